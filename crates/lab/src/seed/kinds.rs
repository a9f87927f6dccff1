//! Tasks, notes, contact groups, inbox rules, categories and settings made by rule, the same for a seed.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Rng;
use crate::clock;
use crate::ids;
use crate::state::{Entity, MailboxState, OtherKind, Refusal, Task, TaskFile, WellKnown};

type Fields = Map<String, Value>;

/// Every so manieth task lies in a list of its own.
const ELSEWHERE: usize = 4;
const TITLES: &[&str] =
    &["Call the harbour", "Pay invoice", "Überweisung prüfen", "Write the report", "買い物"];
const COLORS: &[&str] = &["blue", "green", "pink", "yellow", "white"];

/// Makes a task; its list and its number.
pub(crate) fn task(
    state: &mut MailboxState,
    rng: &mut Rng,
    number: usize,
    now: i64,
) -> Result<(u64, u64), Refusal> {
    let role = if number % ELSEWHERE == ELSEWHERE - 1 { "none" } else { "defaultList" };
    let there = state.settings.lists.iter().find(|list| list.role == role);
    let list = match there.map(|list| list.number) {
        Some(list) => list,
        None => state.create_task_list("Errands"),
    };
    let item = state.add_task(list, task_fields(rng, number, now), Vec::new(), now)?;
    let mailbox = state.mailbox.to_string();
    let id = |what: &str, part: usize| -> Box<str> {
        let parts = [what, &mailbox, &item.to_string(), &part.to_string()];
        ids::derived(&parts).to_string().into()
    };
    let bytes: Vec<u8> = (0..200 + rng.below(2000)).map(|_| rng.next().to_le_bytes()[0]).collect();
    state.change_task(list, item, now, |task: &mut Task| {
        let step = |part: usize| Entity { id: id("step", part), fields: step(part, now) };
        task.checklist = (0..number % 4).map(step).collect();
        if number % 3 == 1 {
            let fields = [
                ("webUrl", "https://tickets.lab.example/4711"),
                ("applicationName", "Tickets"),
                ("displayName", "Ticket 4711"),
                ("externalId", "4711"),
            ];
            let fields = fields.map(|(name, value)| (name.to_owned(), json!(value)));
            task.linked = vec![Entity { id: id("link", 0), fields: Map::from_iter(fields) }];
        }
        if number % 5 == 2 {
            task.files = vec![TaskFile {
                id: id("file", 0),
                name: "Übersicht.bin".into(),
                content_type: "application/octet-stream".into(),
                modified: now,
                bytes: Bytes::from(bytes),
            }];
        }
    })?;
    Ok((list, item))
}

fn step(part: usize, now: i64) -> Fields {
    let mut fields = Map::from_iter([
        ("displayName".to_owned(), json!(format!("Step {}", part + 1))),
        ("createdDateTime".to_owned(), json!(clock::iso(now))),
        ("isChecked".to_owned(), json!(part == 0)),
    ]);
    if part == 0 {
        fields.insert("checkedDateTime".to_owned(), json!(clock::iso(now)));
    }
    fields
}

fn task_fields(rng: &mut Rng, number: usize, now: i64) -> Fields {
    let statuses = ["notStarted", "inProgress", "completed", "waitingOnOthers", "deferred"];
    let status = statuses[number % statuses.len()];
    let day = |ahead: i64| {
        let at = now - now.rem_euclid(86_400) + ahead * 86_400;
        json!({ "dateTime": clock::iso(at).replace('Z', ".0000000"), "timeZone": "UTC" })
    };
    let title = format!("{} {}", rng.pick(TITLES), number + 1);
    let mut fields = Map::from_iter([
        ("title".to_owned(), json!(title)),
        ("importance".to_owned(), json!(["normal", "high", "low"][number % 3])),
        ("status".to_owned(), json!(status)),
    ]);
    let mut set = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    if number.is_multiple_of(2) {
        let html = number.is_multiple_of(4);
        let content = if html { "<p>Größe &amp; Maße</p>" } else { "Größe & Maße\r\n" };
        let kind = if html { "html" } else { "text" };
        set("body", json!({ "contentType": kind, "content": content }));
    }
    if !number.is_multiple_of(3) || number.is_multiple_of(7) {
        set("dueDateTime", day(1 + number as i64 % 30));
    }
    if number % 4 == 1 {
        set("startDateTime", day(0));
        set("reminderDateTime", day(1));
        set("isReminderOn", json!(true));
    }
    if number.is_multiple_of(7) {
        set(
            "recurrence",
            json!({
                "pattern": {
                    "type": "weekly", "interval": 1, "month": 0, "dayOfMonth": 0,
                    "daysOfWeek": ["monday"], "firstDayOfWeek": "sunday", "index": "first",
                },
                "range": {
                    "type": "noEnd", "startDate": "2026-09-07", "endDate": "0001-01-01",
                    "recurrenceTimeZone": "UTC", "numberOfOccurrences": 0,
                },
            }),
        );
    }
    if number % 5 == 3 {
        set("categories", json!(["Blue category", "Überfällig"]));
    }
    if status == "completed" {
        set("completedDateTime", day(0));
    }
    fields
}

/// Makes a note.
pub(crate) fn note(
    state: &mut MailboxState,
    rng: &mut Rng,
    number: usize,
    now: i64,
) -> Result<u64, Refusal> {
    let subject = format!("{} {}", rng.pick(TITLES), number + 1);
    let fields = json!({
        "subject": subject,
        "body": format!("{subject}\r\nSecond line; größer\r\n"),
        "color": COLORS[number % COLORS.len()],
        "width": 200 + rng.below(100),
        "height": 166,
        "categories": if number.is_multiple_of(3) { vec!["Customers"] } else { Vec::new() },
    });
    add_other(state, OtherKind::Note, &fields, now)
}

/// Makes a group of contacts.
pub(crate) fn group(
    state: &mut MailboxState,
    rng: &mut Rng,
    number: usize,
    now: i64,
) -> Result<u64, Refusal> {
    let member = |at: usize| json!({ "name": format!("Member {at}"), "address": format!("member.{at}@a.example") });
    let members: Vec<Value> = (0..1 + rng.below(5)).map(member).collect();
    let fields = json!({
        "displayName": format!("Group {}", number + 1),
        "members": members,
        "personalNotes": "Those who unload; größer",
        "categories": if number.is_multiple_of(2) { vec!["Customers"] } else { Vec::new() },
    });
    add_other(state, OtherKind::Group, &fields, now)
}

fn add_other(
    state: &mut MailboxState,
    kind: OtherKind,
    fields: &Value,
    now: i64,
) -> Result<u64, Refusal> {
    let fields = fields.as_object().cloned().unwrap_or_default();
    state.add_other(kind, MailboxState::home_of(kind), fields, now)
}

/// Makes an inbox rule; its id.
pub(crate) fn rule(state: &mut MailboxState, number: usize) -> Box<str> {
    let archive = state.well_known(WellKnown::Archive);
    let actions = match number % 3 {
        0 => json!({
            "moveToFolder": archive.map(|folder| ids::folder_id(state.mailbox, folder)),
            "stopProcessingRules": true,
        }),
        1 => json!({ "assignCategories": ["Blue category"], "markAsRead": true }),
        _ => json!({ "forwardTo": [{
            "emailAddress": { "name": "Orla Byrne", "address": "orla.byrne@harbourfreight.example" },
        }] }),
    };
    let fields = json!({
        "displayName": format!("Rule {}", number + 1),
        "sequence": state.settings.rules.len() + 1,
        "isEnabled": number % 4 != 3,
        "hasError": false,
        "isReadOnly": false,
        "conditions": { "subjectContains": [format!("Offer {number}")], "hasAttachments": true },
        "actions": actions,
        "exceptions": { "importance": "high" },
    });
    state.add_rule(fields.as_object().cloned().unwrap_or_default()).id
}

/// A category.
pub(crate) fn category(mailbox: &str, number: usize) -> Entity {
    let name = format!("Category {}", number + 1);
    Entity {
        id: ids::derived(&["category", mailbox, &name]).to_string().into(),
        fields: Map::from_iter([
            ("displayName".to_owned(), json!(name)),
            ("color".to_owned(), json!(format!("preset{}", number % 25))),
        ]),
    }
}

/// What somebody has set of a mailbox.
pub(crate) fn settings(number: usize) -> Fields {
    let zone = ["W. Europe Standard Time", "Tokyo Standard Time"][number % 2];
    let language = [("de-DE", "German (Germany)"), ("ja-JP", "Japanese (Japan)")][number % 2];
    let status = ["alwaysEnabled", "scheduled"][number % 2];
    let day = |day: &str| json!({ "dateTime": day, "timeZone": "UTC" });
    let fields = json!({
        "automaticRepliesSetting": {
            "status": status,
            "externalAudience": "contactsOnly",
            "internalReplyMessage": "<p>Back on Monday; größer</p>",
            "externalReplyMessage": "<p>Away</p>",
            "scheduledStartDateTime": day("2026-03-20T18:00:00.0000000"),
            "scheduledEndDateTime": day("2026-03-28T18:00:00.0000000"),
        },
        "dateFormat": "dd.MM.yyyy",
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateAndPrincipal",
        "language": { "locale": language.0, "displayName": language.1 },
        "timeFormat": "HH:mm",
        "timeZone": zone,
        "workingHours": {
            "daysOfWeek": ["monday", "tuesday", "thursday"],
            "startTime": "07:30:00.0000000",
            "endTime": "16:00:00.0000000",
            "timeZone": { "name": zone },
        },
    });
    fields.as_object().cloned().unwrap_or_default()
}
