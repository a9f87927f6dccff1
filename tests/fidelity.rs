//! What comes back of all that a mailbox holds, after it was backed up, deleted and restored: property
//! by property, on each route. Writes `docs/fidelity.md`, which says what does not.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "fidelity/routes.rs"]
mod routes;
mod story;
#[path = "fidelity/table.rs"]
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};

use routes::{MIME_AND_JSON, Reason, Route, STREAM};
use serde_json::json;
use story::{READER_ROLES, RESTORER_ROLES, World};
use table::{CLASSES, Class};

const EVENTS: usize = 200;
const CONTACTS: usize = 200;
/// Tasks, and on the other route sticky notes and contact groups; rules and categories.
const OTHERS: usize = 40;
/// Messages, events and contacts on which another program has put a property.
const FOREIGN: usize = 10;
/// Messages whose senders ask for a receipt.
const RECEIPTS: usize = 10;

#[test]
fn what_comes_back_of_a_mailbox_is_what_the_documentation_says() {
    let routes = [MIME_AND_JSON, STREAM];
    let sections = std::thread::scope(|scope| {
        let running: Vec<_> =
            routes.iter().map(|route| scope.spawn(|| there_and_back(route))).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let document = format!("{HEAD}{}", sections.concat());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/fidelity.md");
    if std::env::var_os("MAILKEEP_WRITE_DOCS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let documented = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        documented, document,
        "docs/fidelity.md says something else; write it anew with MAILKEEP_WRITE_DOCS=1"
    );
}

/// Mail as it comes, and everything else in a mailbox of its own.
struct Mailboxes {
    mail: String,
    everything: String,
}

impl Mailboxes {
    fn of<'m>(&'m self, class: &Class) -> &'m str {
        if class.name == "messages" { &self.mail } else { &self.everything }
    }

    fn both(&self) -> [&str; 2] {
        [&self.mail, &self.everything]
    }
}

/// Backs up, deletes, restores and compares on one route; what the documentation says of it.
fn there_and_back(route: &Route) -> String {
    // 1. A mailbox with all that Outlook can put into one, and ordinary mail.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"]);
    set_up(&world, route);
    let wanted = json!({"mailbox": "everything", "messages": 0, "events": EVENTS,
                        "contacts": CONTACTS, "tasks": OTHERS, "task_lists": 2, "notes": OTHERS,
                        "contact_groups": OTHERS, "rules": OTHERS, "categories": OTHERS,
                        "settings": 1, "foreign_properties": FOREIGN, "seed": 7});
    let made = world.lab.post("generate", &wanted);
    let everything = made["mailbox"].as_str().unwrap().to_owned();
    let mailboxes = Mailboxes { mail: world.lab.mailboxes()[0].clone(), everything };
    let more = json!({"mailbox": mailboxes.mail, "foreign_properties": FOREIGN,
                      "read_receipts": RECEIPTS});
    world.lab.post("generate", &more);

    // 2. It is backed up, and all of it that the route brings back is deleted.
    world.backup("acme");
    let contents = |mailbox| (mailbox, world.lab.contents(mailbox));
    let before = BTreeMap::from(mailboxes.both().map(contents));
    let classes: Vec<&Class> =
        CLASSES.iter().filter(|class| route.classes.contains(&class.name)).collect();
    for class in &classes {
        assert!(class.count(&before[mailboxes.of(class)]) > 0, "{}", class.title);
    }
    let mut delete = json!({"seed": 1, "delete": 1000});
    for class in classes.iter().filter(|class| class.name != "messages") {
        delete[class.name] = json!({"delete": 1000});
    }
    for mailbox in mailboxes.both() {
        delete["mailbox"] = json!(mailbox);
        world.lab.post("mutate", &delete);
    }
    let gone = BTreeMap::from(mailboxes.both().map(contents));
    for class in &classes {
        let left = class.count(&gone[mailboxes.of(class)]);
        // Two lists of tasks are there by themselves, and settings always.
        let stay = match class.name {
            "task_lists" => 2,
            "settings" => 1,
            _ => 0,
        };
        assert_eq!(left, stay, "{}", class.title);
    }
    world.lab.forget_counts();

    // 3. It is restored; settings are set back only on demand. Nobody is sent anything.
    let mut restored = BTreeMap::new();
    for mailbox in mailboxes.both() {
        restored.append(&mut restore(&world, route, mailbox));
    }
    let settings = format!("{}:Mailbox settings", mailboxes.everything);
    let run = world.restore(&["acme", &settings, "--on-conflict", "replace"]).ok();
    assert_eq!(run.json()["replaced"], 1, "{run}");
    let counters = world.lab.counters();
    assert_eq!((&counters["invitations_sent"], &counters["receipts_sent"]), (&json!(0), &json!(0)));

    // 4. Each property is compared.
    let after = BTreeMap::from(mailboxes.both().map(contents));
    let tables: Vec<_> = classes
        .iter()
        .map(|class| {
            let mailbox = mailboxes.of(class);
            class.compare(&before[mailbox], &after[mailbox], &restored)
        })
        .collect();
    let unexplained: Vec<_> = tables.iter().flat_map(|table| table.unexplained(route)).collect();
    assert!(unexplained.is_empty(), "nothing says why:\n{}", unexplained.join("\n"));
    let needed = |reason: &&Reason| tables.iter().any(|table| table.needs(route, reason));
    let idle = route.reasons.iter().filter(|reason| !needed(reason));
    let idle: Vec<_> = idle.map(|reason| reason.property).collect();
    assert!(idle.is_empty(), "{}: {idle:?} come back after all", route.title);

    // 5. A repetition makes nothing, also after what it would make was changed.
    let changes = json!({"mailbox": mailboxes.everything, "seed": 5, "events": {"change": 10},
                         "contacts": {"change": 10}});
    makes_nothing(&world, &mailboxes.everything);
    let changed = world.lab.post("mutate", &changes);
    assert_eq!(changed["events"]["changed"].as_array().unwrap().len(), 10, "{changed}");
    makes_nothing(&world, &mailboxes.everything);

    let mut section = format!("\n## {}\n\n{}\n", route.title, route.about);
    tables.iter().for_each(|table| section.push_str(&table.section(route)));
    section
}

/// Both applications, with the rights that the route needs, and what is to be backed up.
fn set_up(world: &World, route: &Route) {
    let (reader, restorer) = (world.set_up("acme"), world.set_up_restorer("acme"));
    std::fs::write(world.mailkeep.data().join("config.toml"), route.settings).unwrap();
    for (client, roles, more) in
        [(reader, READER_ROLES, route.reader), (restorer, RESTORER_ROLES, route.restorer)]
    {
        let roles = [roles, more].concat();
        world.lab.change_application(&client, &json!({ "roles": roles }));
    }
}

/// Restores a mailbox; what was made of what, by the provider's identifiers.
fn restore(world: &World, route: &Route, mailbox: &str) -> BTreeMap<String, String> {
    let names = short_names(world, mailbox);
    let run = world.restore(&["acme", mailbox]).ok();
    let mut restored = BTreeMap::new();
    for line in run.json_lines() {
        if let (Some(short), Some(made)) = (line["item"].as_str(), line["made"].as_str()) {
            restored.insert(names[short].clone(), made.to_owned());
            let whole = route.whole.iter().any(|kind| line["kind"] == **kind);
            assert!(!whole || line.get("lost").is_none(), "{line}");
        }
    }
    let summary = run.json();
    assert_eq!(summary["failed"], 0, "{summary}");
    restored
}

/// Restores a mailbox in which everything is. What carries no mark is told as made: a setting that
/// came back in another state, a meeting whose attendees might be told; but it is what was there.
fn makes_nothing(world: &World, mailbox: &str) {
    let there = || -> BTreeSet<String> {
        let contents = world.lab.contents(mailbox);
        CLASSES.iter().flat_map(|class| class.keys(&contents)).collect()
    };
    let before = there();
    let run = world.restore(&["acme", mailbox]).ok();
    for line in run.json_lines().iter().filter(|line| line.get("item").is_some()) {
        let known = line["made"].as_str().is_some_and(|made| before.contains(made));
        let marked = !["setting", "event"].iter().any(|kind| line["kind"] == *kind);
        assert!(line["outcome"] == "present" || (known && !marked), "{line}");
    }
    assert_eq!(there(), before);
}

/// The provider's identifier of each item by its short one.
fn short_names(world: &World, mailbox: &str) -> BTreeMap<String, String> {
    let folders = world.mailkeep.json(&["ls", "acme", mailbox]).ok().json_lines();
    let mut names = BTreeMap::new();
    for folder in folders.iter().filter(|folder| folder["items"] != 0) {
        let place = format!("{mailbox}:{}", folder["path"].as_str().unwrap());
        for line in world.mailkeep.json(&["ls", "acme", &place]).ok().json_lines() {
            if let Some(short) = line["item"].as_str() {
                let id = line["properties"]["id"].as_str().unwrap();
                names.insert(short.to_owned(), id.to_owned());
            }
        }
    }
    names
}

#[test]
fn exported_calendars_and_cards_are_read_by_other_programs() {
    let Some(python) = story::python() else {
        eprintln!("skipped, because icalendar and vobject are not installed (cargo xtask test)");
        return;
    };
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    let wanted = json!({"mailbox": "everything", "events": EVENTS, "contacts": CONTACTS,
                        "seed": 11});
    let made = world.lab.post("generate", &wanted);
    let mailbox = made["mailbox"].as_str().unwrap().to_owned();
    world.backup("acme");
    let contents = world.path("contents.json");
    std::fs::write(&contents, world.lab.contents(&mailbox).to_string()).unwrap();
    let (calendar, cards) = (world.path("all.ics"), world.path("all.vcf"));
    for (format, out) in [("ics", &calendar), ("vcf", &cards)] {
        let out = out.to_string_lossy();
        let arguments = ["export", "acme", &mailbox, "--format", format, "--out", &out];
        world.mailkeep.run(&arguments).ok();
    }
    let mut check = Command::new(python);
    check.arg("-c").arg(include_str!("story/outlook.py")).args([&contents, &calendar, &cards]);
    let run = story::run(&mut check, b"").ok();
    let counted = run.json();
    assert_eq!(counted["differences"], json!([]), "{counted}");
    assert_eq!((&counted["events"], &counted["contacts"]), (&json!(EVENTS), &json!(CONTACTS)));
}

const HEAD: &str = "# What comes back\n\n\
    Written by the story `fidelity` (`MAILKEEP_WRITE_DOCS=1 cargo nextest run -p mailkeep --test fidelity`), which fails when this is no\n\
    longer true: a mailbox with everything that is named here, and one of ordinary mail, are created at the simulated Microsoft 365, backed up,\n\
    deleted, restored in place and compared, property by property, as Graph v1.0 shows them. *Of*: how many have the property with a value;\n\
    *equal*: how many came back with the same one. Whether Microsoft's own service does the same is to be seen in a live tenant\n\
    ([verify-live.md](verify-live.md)).\n\n\
    A restore that is repeated leaves alone what an earlier one made and somebody has changed since: such a draft, event or contact is reported\n\
    `present` (`--on-conflict skip` and `copy`); `replace` makes it anew as the snapshot has it. The settings of a mailbox are set back\n\
    with `replace` alone: there are always some.\n";
