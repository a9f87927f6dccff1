//! What comes back of events, contacts and messages that were backed up, deleted and restored,
//! property by property. Writes `docs/fidelity.md`, which says what does not.

#![allow(clippy::unwrap_used, reason = "a test")]

mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
    process::Command,
};

use serde_json::{Map, Value, json};
use story::World;

const EVENTS: usize = 200;
const CONTACTS: usize = 200;
/// Of a mailbox in which nobody set anything: its own, and six categories.
const SETTINGS: usize = 7;

/// Properties that name the copy, not the thing, and why they differ.
const MADE_ANEW: &[(&str, &str)] = &[
    ("@odata.etag", "version of the copy"),
    ("changeKey", "version of the copy"),
    ("createdDateTime", "when the copy was made"),
    ("extended", "carries the origin that a restore looks for"),
    ("id", "the copy's own"),
    ("lastModifiedDateTime", "when the copy was made"),
    ("transactionId", "the request's own"),
    ("webLink", "leads to the copy"),
    ("calendar", "the folder's identifier"),
    ("folder", "the folder's identifier"),
    ("parentFolderId", "the folder's identifier"),
    ("size", "the MIME is written anew"),
    (
        "mime_sha256",
        "the MIME is written anew: signatures (DKIM, S/MIME) of the copy do not verify",
    ),
];

/// Why a property cannot come back through Graph's JSON.
const LOST: &[(&str, &str)] = &[
    (
        "attendees",
        "Graph would send them invitations; kept in a property of ours on the copy, and in the vault",
    ),
    ("isOrganizer", "the copy is the mailbox owner's own"),
    ("organizer", "Graph makes the mailbox's owner the organizer"),
    ("iCalUId", "Graph gives each event a new one; the old one stays in the vault's ICS"),
    ("uid", "Graph gives each event a new one; the old one stays in the vault's ICS"),
    ("responseStatus", "an answer cannot be written"),
    ("isCancelled", "a meeting cannot be made called off"),
    ("onlineMeeting", "belongs to the meeting service"),
    ("onlineMeetingUrl", "belongs to the meeting service"),
    ("hasAttachments", "see attachments"),
    ("received", "a draft has the time at which the copy was made"),
    ("sent", "a draft has the time at which the copy was made"),
];

#[test]
fn what_comes_back_of_a_mailbox_is_what_the_documentation_says() {
    // 1. A mailbox with all that a calendar and an address book can hold, and ordinary mail.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"]);
    world.set_up("acme");
    world.set_up_restorer("acme");
    let wanted = json!({"mailbox": "everything", "messages": 0, "events": EVENTS,
                        "contacts": CONTACTS, "seed": 7});
    let made = world.lab.post("generate", &wanted);
    let events_of = made["mailbox"].as_str().unwrap().to_owned();
    let mail_of = world.lab.mailboxes()[0].clone();

    // 2. It is backed up, and all of it is deleted.
    world.backup("acme");
    let before = [world.lab.contents(&events_of), world.lab.contents(&mail_of)];
    assert_eq!(before[0]["events"].as_array().unwrap().len(), EVENTS);
    assert_eq!(before[0]["contacts"].as_array().unwrap().len(), CONTACTS);
    for mailbox in [&events_of, &mail_of] {
        let all = json!({"mailbox": mailbox, "seed": 1, "delete": 1000,
                         "events": {"delete": 1000}, "contacts": {"delete": 1000}});
        world.lab.post("mutate", &all);
        let left = world.lab.contents(mailbox);
        assert!(left["events"].as_array().unwrap().is_empty(), "{}", left["events"]);
        assert!(left["contacts"].as_array().unwrap().is_empty());
    }
    world.lab.forget_counts();

    // 3. It is restored. Nobody is sent anything.
    let mut restored = BTreeMap::new();
    for mailbox in [&events_of, &mail_of] {
        let names = short_names(&world, mailbox);
        let run = world.restore(&["acme", mailbox]).ok();
        for line in run.json_lines() {
            if let (Some(short), Some(made)) = (line["item"].as_str(), line["made"].as_str()) {
                restored.insert(names[short].clone(), made.to_owned());
            }
        }
        let summary = run.json();
        assert_eq!(summary["failed"], 0, "{summary}");
    }
    assert_eq!(world.lab.counters()["invitations_sent"], 0);

    // 4. Each property is compared.
    let after = [world.lab.contents(&events_of), world.lab.contents(&mail_of)];
    let mut document = String::from(HEAD);
    let mut unexplained = Vec::new();
    for (title, kind, which) in
        [("Events", "events", 0), ("Contacts", "contacts", 0), ("Messages", "messages", 1)]
    {
        let table = compare(&before[which][kind], &after[which][kind], &restored);
        document.push_str(&table.section(title));
        for (property, row) in &table.0 {
            let explained = |table: &[(&str, &str)]| table.iter().any(|(name, _)| name == property);
            if row.equal < row.of && !explained(MADE_ANEW) && !explained(LOST) {
                unexplained.push(format!(
                    "{kind}: {property} came back in {} of {}: {}",
                    row.equal, row.of, row.example
                ));
            }
        }
    }
    assert!(unexplained.is_empty(), "nothing says why:\n{}", unexplained.join("\n"));

    // 5. A repetition makes nothing.
    let again = world.restore(&["acme", &events_of]).ok().json();
    assert_eq!((&again["created"], &again["failed"]), (&json!(0), &json!(0)), "{again}");

    // 6. What was changed since is left alone, too.
    let changes = json!({"mailbox": events_of, "seed": 5, "events": {"change": 10},
                         "contacts": {"change": 10}});
    let changed = world.lab.post("mutate", &changes);
    assert_eq!(changed["events"]["changed"].as_array().unwrap().len(), 10, "{changed}");
    let again = world.restore(&["acme", &events_of]).ok().json();
    assert_eq!(again["present"], json!(EVENTS + CONTACTS + SETTINGS), "{again}");

    // 7. The documentation says the same.
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
    longer true: 200 events, 200 contacts and a mailbox of ordinary mail are created at the simulated Microsoft 365, backed up, deleted, restored in place\n\
    and compared, property by property, as Graph v1.0 shows them. *Of*: how many have the property with a value; *equal*: how many came back with\n\
    the same one. Whether Microsoft's own service does the same is to be seen in a live tenant ([verify-live.md](verify-live.md)).\n\n\
    Route: MIME and JSON through Graph v1.0. Everything stays in the vault, also what a restore cannot write back.\n\n\
    A restore that is repeated leaves alone what an earlier one made and somebody has changed since: such a draft, event or contact is reported\n\
    `present` (`--on-conflict skip` and `copy`); `replace` makes it anew as the snapshot has it.\n";

/// The provider's identifier of each item by its short one.
fn short_names(world: &World, mailbox: &str) -> BTreeMap<String, String> {
    let folders = world.mailkeep.json(&["ls", "acme", mailbox]).ok().json_lines();
    let mut names = BTreeMap::new();
    for folder in folders {
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

#[derive(Default)]
struct Row {
    of: usize,
    equal: usize,
    example: String,
}

#[derive(Default)]
struct Table(BTreeMap<String, Row>);

/// Compares what was with what is, property by property.
fn compare(before: &Value, after: &Value, restored: &BTreeMap<String, String>) -> Table {
    let after: BTreeMap<&str, &Value> =
        after.as_array().unwrap().iter().map(|item| (item["id"].as_str().unwrap(), item)).collect();
    let mut table = Table::default();
    let mut compared = 0;
    for item in before.as_array().unwrap() {
        if item["hidden"] == true {
            continue;
        }
        let id = item["id"].as_str().unwrap();
        let made = restored.get(id).unwrap_or_else(|| panic!("not restored: {item}"));
        let copy = after.get(made.as_str()).unwrap_or_else(|| panic!("not there: {made}"));
        let (item, copy) = (flat(item), flat(copy));
        let names: BTreeSet<&String> = item.keys().chain(copy.keys()).collect();
        for name in names {
            let nothing = Value::Null;
            let (was, is) =
                (item.get(name).unwrap_or(&nothing), copy.get(name).unwrap_or(&nothing));
            if is_empty(was) && is_empty(is) {
                continue;
            }
            let row = table.0.entry(name.clone()).or_default();
            row.of += 1;
            if was == is {
                row.equal += 1;
            } else {
                row.example = format!("{was} became {is}");
            }
        }
        compared += 1;
    }
    assert!(compared > 0);
    table
}

/// Top-level properties, and those of exceptions under `exceptions.NAME` as a list.
fn flat(item: &Value) -> Map<String, Value> {
    let mut flat = item.as_object().unwrap().clone();
    for attached in flat.get_mut("attachments").and_then(Value::as_array_mut).into_iter().flatten()
    {
        attached.as_object_mut().unwrap().remove("id");
    }
    if let Some(Value::Array(exceptions)) = flat.remove("exceptions") {
        for exception in exceptions {
            for (name, value) in self::flat(&exception) {
                let known = MADE_ANEW.iter().any(|(known, _)| *known == name);
                let lost = LOST.iter().any(|(known, _)| *known == name);
                if known || lost || ["occurrenceId", "seriesMasterId"].contains(&name.as_str()) {
                    continue;
                }
                let all = flat.entry(format!("exceptions: {name}")).or_insert_with(|| json!([]));
                all.as_array_mut().unwrap().push(value);
            }
        }
    }
    flat
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_empty),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

impl Table {
    fn section(&self, title: &str) -> String {
        let mut text =
            format!("\n## {title}\n\n| property | of | equal | why not |\n|---|---:|---:|---|\n");
        for (property, row) in &self.0 {
            let why = LOST.iter().chain(MADE_ANEW).find(|(name, _)| name == property);
            let why = why.filter(|_| row.equal < row.of).map_or("", |(_, why)| *why);
            writeln!(text, "| {property} | {} | {} | {why} |", row.of, row.equal).unwrap();
        }
        text
    }
}
