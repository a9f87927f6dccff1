//! What a snapshot holds, compared with the mailbox as it was.

use std::collections::{BTreeMap, HashSet};

use jiff::{Timestamp, civil, tz::TimeZone};
use mailkeep_model::{
    Address, Detail, Event, FolderKind, FollowUp, Importance, Item, Person, ZonedTime,
};
use mailkeep_vault::{Snapshot, StoredItem, Vault, attachments_in_icalendar, photo_in_vcard};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::mailbox::{Mailbox, Place};

/// Every difference between a mailbox in a snapshot and the mailbox as the lab had it.
pub(crate) fn differences(vault: &Vault, snapshot: &Snapshot, truth: &Mailbox) -> Vec<String> {
    let address: Address = truth.0["address"].as_str().unwrap().parse().unwrap();
    let mut found = Vec::new();
    let mut stored = BTreeMap::new();
    let mut places = BTreeMap::new();
    let mut settings = Vec::new();
    for folder in vault.folders(&snapshot.id, &address).unwrap() {
        if folder.folder.kind == FolderKind::Settings {
            let kept = vault.items(&snapshot.id, &address, &folder.folder.id).unwrap();
            settings.extend(kept.into_iter().map(|kept| kept.item.subject));
            continue;
        }
        let id = folder.folder.id.0.clone();
        let kind = match folder.folder.kind {
            FolderKind::Calendar => "calendar",
            FolderKind::Contacts => "contacts",
            _ => "mail",
        };
        let role = folder.folder.well_known.map(|role| {
            serde_json::to_value(role).unwrap().as_str().unwrap_or_default().to_owned()
        });
        for item in vault.items(&snapshot.id, &address, &folder.folder.id).unwrap() {
            if item.item.folder != folder.folder.id {
                found.push(format!("{} names another folder than its own", item.short));
            }
            let before = stored.insert(item.item.id.0.clone(), item);
            found.extend(before.map(|twice| format!("twice: {}", twice.item.subject)));
        }
        let place = Place { path: folder.path.0, kind, role };
        found.extend(places.insert(id, place).map(|twice| format!("a folder twice: {twice:?}")));
    }
    for (id, mut place) in truth.places() {
        // Roles that nothing depends on are not kept.
        place.role.take_if(|role| matches!(role.as_str(), "outbox" | "archive"));
        match places.remove(&id) {
            Some(kept) if kept == place => {}
            kept => found.push(format!("folder: there {place:?}, stored {kept:?}")),
        }
    }
    found.extend(places.values().map(|place| format!("a folder that is not there: {place:?}")));
    for (kind, there) in truth.items() {
        let id = there["id"].as_str().unwrap_or_default();
        let Some(kept) = stored.remove(id) else {
            found.push(format!("missing {kind} {} ({})", there["subject"], there["displayName"]));
            continue;
        };
        let mut content = Vec::new();
        if let Err(error) = vault.read_item(&snapshot.id, &address, &kept.path, &mut content) {
            found.push(format!("{kind} {}: {error}", kept.item.subject));
            continue;
        }
        let pairs = match kind {
            "message" => message(there, &kept, &content),
            "event" => event(there, &kept.item, &content),
            _ => contact(there, &kept.item, &content),
        };
        let folder = Mailbox::folder_of(kind, there);
        let place = ("folder".to_owned(), json!(folder), json!(kept.item.folder.0));
        for (name, there, kept_value) in pairs.into_iter().chain([place]) {
            if there != kept_value {
                let subject = &kept.item.subject;
                found.push(format!(
                    "{kind} '{subject}': {name}: there {there}, stored {kept_value}"
                ));
            }
        }
    }
    settings.sort();
    if settings != truth.settings() {
        found.push(format!("settings: there {:?}, stored {settings:?}", truth.settings()));
    }
    found.extend(stored.values().map(|kept| {
        format!("an item that is not there: {:?} '{}'", kept.item.kind, kept.item.subject)
    }));
    found
}

/// Which of the items that stayed in a mailbox are not in a snapshot.
pub(crate) fn lost(
    vault: &Vault,
    snapshot: &Snapshot,
    of: &Mailbox,
    stayed: &HashSet<String>,
) -> Vec<String> {
    let address: Address = of.0["address"].as_str().unwrap().parse().unwrap();
    let mut there = HashSet::new();
    for folder in vault.folders(&snapshot.id, &address).unwrap() {
        let items = vault.items(&snapshot.id, &address, &folder.folder.id).unwrap();
        there.extend(items.into_iter().map(|item| item.item.id.0));
    }
    let missing = of.items().filter(|(_, item)| {
        let id = item["id"].as_str().unwrap_or_default();
        stayed.contains(id) && !there.contains(id)
    });
    let line = |(kind, item): (&str, &Value)| {
        let (subject, name) = (&item["subject"], &item["displayName"]);
        format!("{kind} {subject} ({name}) of {address} never left and is not in {}", snapshot.id)
    };
    missing.map(line).collect()
}

/// A property, as it was and as it is stored.
type Pair = (String, Value, Value);

fn pair(name: &str, there: impl Into<Value>, kept: impl Into<Value>) -> Pair {
    (name.to_owned(), there.into(), kept.into())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn message(there: &Value, kept: &StoredItem, content: &[u8]) -> Vec<Pair> {
    let item = &kept.item;
    let recipients = ["to", "cc", "bcc"].iter().flat_map(|list| there[list].as_array());
    let recipients: Vec<&Value> = recipients.flatten().map(|one| &one["address"]).collect();
    let flag = match item.follow_up {
        FollowUp::NotFlagged => "notFlagged",
        FollowUp::Flagged => "flagged",
        FollowUp::Complete => "complete",
    };
    vec![
        pair("content", there["mime_sha256"].clone(), sha256(content)),
        pair("size", there["size"].clone(), kept.bytes),
        pair("subject", there["subject"].clone(), item.subject.clone()),
        pair("from", there["from"]["address"].clone(), item.from.clone()),
        pair("recipients", json!(recipients), item.recipients.clone()),
        pair("received", there["received"].clone(), time(Some(item.received))),
        pair("sent", there["sent"].clone(), time(item.sent)),
        pair("message id", there["internet_message_id"].clone(), item.internet_message_id.clone()),
        pair("read", there["read"].clone(), item.read),
        pair("draft", there["draft"].clone(), item.draft),
        pair("flag", there["flag"].clone(), flag),
        pair("importance", there["importance"].clone(), importance(item.importance)),
        pair("categories", there["categories"].clone(), item.categories.clone()),
    ]
}

fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Low => "low",
        Importance::Normal => "normal",
        Importance::High => "high",
    }
}

fn time(time: Option<time::OffsetDateTime>) -> Value {
    use time::format_description::well_known::Rfc3339;
    time.map_or(Value::Null, |time| json!(time.format(&Rfc3339).unwrap()))
}

/// What the lab told and is kept unchanged, but for times on another clock.
fn told(there: &Value, item: &Item) -> Vec<Pair> {
    const ELSEWHERE: [&str; 5] =
        ["start", "end", "exceptionOccurrences", "cancelledOccurrences", "attachments"];
    let empty = Map::new();
    let kept = item.provider.get("graph").and_then(Value::as_object).unwrap_or(&empty);
    let kept = kept
        .iter()
        .filter(|(name, _)| !ELSEWHERE.contains(&name.as_str()) && !name.starts_with('@'));
    let pairs = kept.map(|(name, kept)| pair(name, there[name].clone(), kept.clone()));
    let key = pair("change key", there["changeKey"].clone(), item.content_key.clone());
    pairs.chain([key]).collect()
}

fn event(there: &Value, item: &Item, content: &[u8]) -> Vec<Pair> {
    let Some(Detail::Event(event)) = &item.detail else {
        return vec![pair("detail", "an event", Value::Null)];
    };
    let mut pairs = told(there, item);
    pairs.push(pair("subject", there["subject"].clone(), item.subject.clone()));
    pairs.extend(own(there, event, ""));
    pairs.push(pair("begins", clock(&there["start"]), utc_of(item.received)));
    let mut cancelled: Vec<Value> = there["cancelled"].as_array().cloned().unwrap_or_default();
    cancelled.sort_by_key(Value::to_string);
    let kept: Vec<_> = event.cancelled_occurrences.iter().map(|day| day.to_string()).collect();
    pairs.push(pair("cancelled", cancelled, kept));
    pairs.push(pair("repeats", !there["recurrence"].is_null(), event.recurrence.is_some()));
    let exceptions = there["exceptions"].as_array().cloned().unwrap_or_default();
    let days: Vec<_> = exceptions.iter().map(|one| one["original_date"].clone()).collect();
    let kept: Vec<_> =
        event.exceptions.iter().map(|one| one.original.local.date().to_string()).collect();
    pairs.push(pair("changed occurrences", days, kept));
    for (there, kept) in exceptions.iter().zip(&event.exceptions) {
        pairs.extend(own(there, &kept.event, &format!("{}: ", there["original_date"])));
    }
    let files = there["attachments"].as_array().into_iter().flatten();
    let files: Vec<_> =
        files.map(|file| json!([file["name"], file["content_type"], file["sha256"]])).collect();
    let kept = attachments_in_icalendar(content, &event.attachments).unwrap_or_default();
    let kept: Vec<_> = kept
        .iter()
        .map(|file| json!([file.info.name, file.info.content_type, sha256(&file.bytes)]))
        .collect();
    pairs.push(pair("attachments", files, kept));
    pairs
}

/// What an event and an occurrence both have.
fn own(there: &Value, event: &Event, prefix: &str) -> Vec<Pair> {
    let person = |person: &Person| json!({ "name": person.name, "address": person.address });
    let attendees = there["attendees"].as_array().into_iter().flatten();
    let attendees: Vec<_> = attendees.map(|one| one["emailAddress"].clone()).collect();
    let kept_attendees: Vec<_> = event.attendees.iter().map(|one| person(&one.person)).collect();
    let reminder = match there["isReminderOn"].as_bool() {
        Some(true) => there["reminderMinutesBeforeStart"].clone(),
        _ => Value::Null,
    };
    let names: Vec<_> = there["locations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|place| place["displayName"].clone())
        .collect();
    let body = serde_json::to_value(&event.body).unwrap();
    let (start, end) = if event.all_day {
        (local(&event.start), local(&event.end))
    } else {
        (utc(&event.start), utc(&event.end))
    };
    let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = vec![
        pair("subject", there["subject"].clone(), event.subject.clone()),
        pair("body", there["body"]["content"].clone(), body["content"].clone()),
        pair("body type", there["body"]["contentType"].clone(), body["type"].clone()),
        pair("start", clock(&there["start"]), start),
        pair("end", clock(&there["end"]), end),
        pair("all day", there["isAllDay"].clone(), event.all_day),
        pair("locations", names, event.locations.clone()),
        pair(
            "organizer",
            there["organizer"]["emailAddress"].clone(),
            event.organizer.as_ref().map(person),
        ),
        pair("attendees", attendees, kept_attendees),
        pair("categories", there["categories"].clone(), event.categories.clone()),
        pair("importance", there["importance"].clone(), importance(event.importance)),
        pair("sensitivity", there["sensitivity"].clone(), word(json!(event.sensitivity))),
        pair("show as", there["showAs"].clone(), word(json!(event.show_as))),
        pair("reminder", reminder, event.reminder_minutes),
    ];
    pairs.into_iter().map(|(name, there, kept)| (format!("{prefix}{name}"), there, kept)).collect()
}

fn contact(there: &Value, item: &Item, content: &[u8]) -> Vec<Pair> {
    let Some(Detail::Contact(contact)) = &item.detail else {
        return vec![pair("detail", "a contact", Value::Null)];
    };
    let text = |name: &str| there[name].as_str().unwrap_or_default().to_owned();
    let texts = |name: &str| there[name].as_array().cloned().unwrap_or_default();
    let emails: Vec<_> = texts("emailAddresses").iter().map(|one| one["address"].clone()).collect();
    let kept: Vec<_> = contact.emails.iter().map(|one| one.address.clone()).collect();
    let photo = photo_in_vcard(content).map(|photo| sha256(&photo.bytes));
    let day = text("birthday").split('T').next().unwrap_or_default().to_owned();
    let birthday = contact.birthday.map(|day| day.to_string()).unwrap_or_default();
    let mut pairs = told(there, item);
    pairs.extend([
        pair("name", text("displayName"), contact.display_name.clone()),
        pair("given name", text("givenName"), contact.given_name.clone()),
        pair("job", text("jobTitle"), contact.job_title.clone()),
        pair("company", text("companyName"), contact.company.clone()),
        pair("notes", text("personalNotes"), contact.notes.clone()),
        pair("mobile", text("mobilePhone"), contact.mobile_phone.clone()),
        pair("addresses", emails, kept),
        pair("categories", texts("categories"), contact.categories.clone()),
        pair("birthday", day, birthday),
        pair("photo", there["photo_sha256"].clone(), photo),
    ]);
    pairs
}

/// A time as Graph writes it, without the fractions that nobody uses.
fn clock(told: &Value) -> String {
    told["dateTime"].as_str().and_then(|text| text.get(..19)).unwrap_or_default().to_owned()
}

fn local(time: &ZonedTime) -> String {
    let (hour, minute, second) = time.local.as_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}", time.local.date())
}

fn utc_of(time: time::OffsetDateTime) -> String {
    let local = time::PrimitiveDateTime::new(time.date(), time.time());
    self::local(&ZonedTime { local, zone: "UTC".into() })
}

/// What the clock in Greenwich shows, by another library than the product's.
fn utc(time: &ZonedTime) -> String {
    let zone = match time.zone.as_str() {
        "W. Europe Standard Time" => "Europe/Berlin",
        "Eastern Standard Time" => "America/New_York",
        "AUS Eastern Standard Time" => "Australia/Sydney",
        "Newfoundland Standard Time" => "America/St_Johns",
        other => other,
    };
    let Ok(zone) = TimeZone::get(zone) else { return format!("in {zone}") };
    let local: civil::DateTime = local(time).parse().unwrap();
    let at: Timestamp = zone.to_timestamp(local).unwrap();
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}
