//! People come and go, marry, and get the addresses of others; an administrator says whose mailboxes
//! are backed up. No history is lost, and none gets into somebody else's.

mod story;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use story::World;

const ROLES: &[&str] = &[
    "Mail.Read",
    "Calendars.Read",
    "Contacts.Read",
    "User.Read.All",
    "GroupMember.Read.All",
    "MailboxSettings.Read",
];

/// The mailboxes of a tenant as `tenant show` has them, by address; of two with one address, the one
/// that is not gone.
fn shown(world: &World) -> BTreeMap<String, Value> {
    let shown = world.mailkeep.json(&["tenant", "show", "acme"]).ok().json();
    let mut all: Vec<Value> = shown["mailboxes"].as_array().cloned().unwrap_or_default();
    all.sort_by_key(|one| one["gone_since"].is_null());
    let by_address = all.into_iter().map(|one| (text(&one["mailbox"]), one));
    by_address.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a pass says of a kind of change in the directory.
fn told(report: &Value, what: &str) -> Vec<String> {
    let mut all: Vec<_> =
        report["directory"][what].as_array().into_iter().flatten().map(text).collect();
    all.sort();
    all
}

fn subjects(items: &BTreeMap<String, Value>) -> Vec<String> {
    let mut all: Vec<_> = items.values().map(|item| text(&item["properties"]["subject"])).collect();
    all.sort();
    all
}

#[test]
fn people_come_and_go_and_no_history_is_lost_or_mixed() {
    // 1. A tenant with three people, all backed up.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "3"]);
    let certificate = world.add_tenant("acme");
    let client_id = world.lab.register("Mailkeep reader", &certificate, ROLES);
    world.name_client("acme", &client_id);
    let first = world.backup("acme");
    let people = world.lab.mailboxes();
    assert_eq!(told(&first, "added").len(), 3, "{first}");
    let (ann, bob) = (&people[0], &people[1]);
    let domain = ann.split_once('@').map(|(_, domain)| domain).unwrap_or_default();
    let (anns, bobs) = (world.items("acme", ann, &[]), world.items("acme", bob, &[]));
    assert!(!anns.is_empty() && !bobs.is_empty());

    // 2. Somebody joins, and is backed up without anybody doing anything.
    world.lab.post("users", &json!({"add": [{"mailbox": "joiner", "name": "Jo Iner"}]}));
    let joiner = format!("joiner@{domain}");
    world.lab.post("mutate", &json!({"mailbox": joiner, "seed": 1, "create": 3}));
    let joined = world.backup("acme");
    assert_eq!(told(&joined, "added"), [joiner.as_str()], "{joined}");
    assert_eq!(joined["new"], 3 + story::SETTINGS, "{joined}");

    // 3. Ann marries. Her mail is found under her new address, also when nothing else has changed,
    //    and nothing is read again.
    let married = format!("ann.married@{domain}");
    world.lab.post("users", &json!({"change": [{"mailbox": ann, "to": married}]}));
    world.lab.forget_counts();
    let renamed = world.backup("acme");
    assert_eq!(renamed["directory"]["renamed"], json!([{"from": ann, "to": married}]), "{renamed}");
    assert_eq!(world.lab.contents_read(), 0);
    assert_eq!(world.items("acme", &married, &[]), renamed_items(&anns, &married));
    world.mailkeep.run(&["ls", "acme", ann]).exits(10);

    // 4. Bob leaves. He is said to be gone wherever mailboxes are listed; his mail stays.
    world.lab.post("users", &json!({"remove": [bob]}));
    let left = world.backup("acme");
    assert_eq!(told(&left, "gone"), [bob.as_str()], "{left}");
    assert!(left["failed_mailboxes"] == json!([]), "{left}");
    assert_eq!(shown(&world)[bob]["gone_because"], "left");
    world.mailkeep.run(&["tenant", "show", "acme"]).ok().says(&["gone since", "its backups stay"]);
    world.mailkeep.run(&["ls", "acme"]).ok().says(&["gone since"]);
    world.mailkeep.run(&["doctor"]).says(&["1 gone from the directory"]);
    assert_eq!(world.items("acme", bob, &[]), bobs);
    let before_the_other = text(&world.mailkeep.json(&["snapshots", "acme"]).ok().json()["time"]);

    // 5. Somebody else gets Bob's address. His history begins with him, and Bob's is not in it.
    world.lab.post("users", &json!({"add": [{"mailbox": bob, "name": "Another Bob"}]}));
    world.lab.post("mutate", &json!({"mailbox": bob, "seed": 7, "create": 2}));
    let other = world.backup("acme");
    assert_eq!(told(&other, "added"), [bob.as_str()], "{other}");
    let others = world.items("acme", bob, &[]);
    assert_eq!(others.len(), 2, "{:?}", subjects(&others));
    assert!(others.keys().all(|id| !bobs.contains_key(id)), "Bob's mail is in the other's mailbox");
    // Bob's is where it was, at the time when it was his address.
    assert_eq!(world.items("acme", bob, &["--at", &before_the_other]), bobs);
    let both = world.mailkeep.json(&["ls", "acme"]).ok().json_lines();
    let both = both.iter().filter(|line| line["mailbox"] == bob.as_str());
    let gone: Vec<bool> = both.map(|line| !line["gone_since"].is_null()).collect();
    assert!(gone.len() == 2 && gone.contains(&true) && gone.contains(&false), "{gone:?}");
    world.repository("acme").is_sound();
    world.mailkeep.run(&["verify", "acme"]).ok();

    // 6. Bob comes back, to another address because his is taken, and goes on where he was.
    let back = format!("bob.back@{domain}");
    world.lab.post("users", &json!({"restore": [{"mailbox": bob, "to": back}]}));
    world.lab.post("mutate", &json!({"mailbox": back, "seed": 9, "create": 1}));
    world.lab.forget_counts();
    let returned = world.backup("acme");
    assert_eq!(told(&returned, "returned"), [back.as_str()], "{returned}");
    assert_eq!((&returned["new"], world.lab.contents_read()), (&json!(1), 1), "{returned}");
    let all = world.items("acme", &back, &[]);
    assert!(bobs.keys().all(|id| all.contains_key(id)) && all.len() == bobs.len() + 1);
    assert_eq!(world.items("acme", bob, &[]), others);

    // 7. Nothing happens: the directory costs one request.
    world.lab.forget_counts();
    world.backup("acme");
    assert_eq!(world.lab.requests(Some("users.delta")), 1);
    assert_eq!(world.lab.requests(Some("users.list")), 0);
}

/// The same items in a mailbox with another address.
fn renamed_items(items: &BTreeMap<String, Value>, address: &str) -> BTreeMap<String, Value> {
    let renamed = |item: &Value| {
        let mut item = item.clone();
        item["mailbox"] = json!(address);
        item
    };
    items.iter().map(|(id, item)| (id.clone(), renamed(item))).collect()
}

#[test]
fn an_administrator_says_whose_mailboxes_are_backed_up() {
    // 1. Only a group's, from the first pass on; a right that this needs is missing.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "4"]);
    let mut people = world.lab.mailboxes();
    people.sort();
    let domain = people[0].split_once('@').map(|(_, domain)| domain).unwrap_or_default();
    let staff = json!({"set": [{"name": "Staff", "members": [people[0], people[1]]},
        {"name": "All staff", "members": ["Staff"]}]});
    world.lab.post("groups", &staff);
    let client_id = world.set_up("acme");
    world.mailkeep.run(&["tenant", "mailboxes", "acme", "--group", "All staff"]).ok();
    world.mailkeep.run(&["tenant", "check", "acme"]).exits(12).says(&["GroupMember.Read.All"]);
    world.mailkeep.run(&["backup", "acme"]).exits(12).says(&["GroupMember.Read.All"]);
    world.lab.change_application(&client_id, &json!({"roles": ROLES}));

    // 2. Now just those are read, also through the group in the group.
    let checks = world.mailkeep.json(&["tenant", "check", "acme"]).ok().json_lines();
    let selected = checks.iter().find(|check| check["check"] == "selection of mailboxes");
    assert!(text(&selected.unwrap()["detail"]).starts_with("2 of 4"), "{checks:#?}");
    let first = world.backup("acme");
    assert_eq!(told(&first, "added"), [people[0].as_str(), people[1].as_str()], "{first}");
    let listed = world.mailkeep.json(&["ls", "acme"]).ok().json_lines();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let other = world.mailkeep.run(&["backup", "acme", "--mailbox", &people[2]]);
    other.exits(10).says(&["has no mailbox"]);

    // 3. Somebody leaves the group: not the directory, and that is said.
    let smaller = json!({"set": [{"name": "Staff", "members": [people[0]]}]});
    world.lab.post("groups", &smaller);
    let report = world.backup("acme");
    assert_eq!(told(&report, "gone"), [people[1].as_str()], "{report}");
    assert_eq!(shown(&world)[&people[1]]["gone_because"], "deselected");
    world
        .mailkeep
        .run(&["tenant", "mailboxes", "acme"])
        .ok()
        .says(&["members of 'All staff'", "not selected since"]);
    let named = world.mailkeep.run(&["backup", "acme", "--mailbox", &people[1]]);
    named.exits(1).says(&["not among the mailboxes that are backed up"]);

    // 4. Somebody deletes the group. Backups of those who were in it go on, and it is said.
    world.lab.post("groups", &json!({"remove": ["All staff"]}));
    world.lab.post("mutate", &json!({"mailbox": people[0], "seed": 3, "create": 1}));
    let run = world.mailkeep.json(&["backup", "acme"]).exits(3).json();
    assert_eq!(run["new"], 1, "{run}");
    assert!(text(&run["directory"]["error"]).contains("All staff"), "{run}");

    // 5. By kind, by filter and by name; a room is asked once what it is.
    world.lab.post(
        "users",
        &json!({"add": [{"mailbox": "hall", "purpose": "room"},
        {"mailbox": "desk", "purpose": "shared"}]}),
    );
    let (hall, desk) = (format!("hall@{domain}"), format!("desk@{domain}"));
    let kinds =
        ["tenant", "mailboxes", "acme", "--kind", "shared", "--kind", "room", "--exclude", &hall];
    world.mailkeep.run(&kinds).ok();
    let report = world.backup("acme");
    assert_eq!(told(&report, "added"), [desk.as_str()], "{report}");
    assert_eq!(told(&report, "gone"), [people[0].as_str()], "{report}");
    world.lab.forget_counts();
    world.backup("acme");
    // Its settings are backed up; nobody's kind is asked once more.
    assert_eq!(world.lab.requests(Some("mailboxsettings.show")), 1);
    let filter = "accountEnabled eq true";
    world
        .mailkeep
        .run(&["tenant", "mailboxes", "acme", "--filter", filter, "--include", &hall])
        .ok();
    let report = world.backup("acme");
    let mut expected: Vec<String> = vec![people[2].clone(), people[3].clone(), hall.clone()];
    expected.sort();
    assert_eq!(told(&report, "added"), expected, "{report}");
    let mut expected = vec![people[0].clone(), people[1].clone()];
    expected.sort();
    assert_eq!(told(&report, "returned"), expected, "{report}");

    // 6. A filter that is none, and all again.
    world.mailkeep.run(&["tenant", "mailboxes", "acme", "--filter", "nonsense"]).ok();
    world.mailkeep.run(&["backup", "acme"]).exits(3).says(&["nonsense", "tenant mailboxes acme"]);
    world.mailkeep.run(&["tenant", "mailboxes", "acme", "--all"]).ok().says(&["all mailboxes"]);
    let report = world.backup("acme");
    assert_eq!(report["mailboxes"], 6, "{report}");
    world.mailkeep.run(&["tenant", "mailboxes", "acme", "--all", "--kind", "user"]).exits(2);
    world.mailkeep.run(&["tenant", "mailboxes", "nobody"]).exits(10);
}
