//! What a restore made, compared with the mailbox as it was.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::mailbox::{Mailbox, Place};

/// What of a message has to come back, under the name that the lab shows it by.
///
/// Not in the list: the ids; `size` and `mime_sha256`, because Graph takes no MIME for what is not
/// a draft; whatever `extended` holds, because it is ours.
const MESSAGE: [&str; 13] = [
    "subject",
    "from",
    "to",
    "cc",
    "bcc",
    "read",
    "draft",
    "flag",
    "importance",
    "categories",
    "internet_message_id",
    "body_text_sha256",
    "attachments",
];
/// Besides, of what is no draft: a draft's times are those of its making.
const MESSAGE_TIMES: [&str; 2] = ["received", "sent"];

/// What of an event, and of an occurrence that was changed, has to come back.
///
/// Not in the list: attendees, organizer and answers, because Graph would send invitations: they
/// are kept as a property; the address of an online meeting, likewise; whether it was called off;
/// ids, `changeKey` and times of making.
const EVENT: [&str; 13] = [
    "subject",
    "body",
    "start",
    "end",
    "isAllDay",
    "originalStartTimeZone",
    "categories",
    "importance",
    "sensitivity",
    "showAs",
    "isReminderOn",
    "responseRequested",
    "recurrence",
];

/// What of a contact does not come back: who it is called by machines, and when it was made.
const NOT_OF_A_CONTACT: [&str; 8] = [
    "@odata.etag",
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "parentFolderId",
    "folder",
    "extended",
];

/// An item without what a restore cannot carry, for comparison.
pub(crate) fn normal(kind: &str, item: &Value) -> Value {
    let mut kept = Map::new();
    let mut keep = |names: &[&str]| {
        kept.extend(names.iter().map(|name| ((*name).to_owned(), item[name].clone())));
    };
    match kind {
        "message" => {
            keep(&MESSAGE);
            if item["draft"] == false {
                keep(&MESSAGE_TIMES);
            }
            let attachments = item["attachments"].as_array().into_iter().flatten();
            let files = attachments.map(|file| json!([file["name"], file["sha256"]])).collect();
            kept.insert("attachments".into(), files);
            for list in ["from", "to", "cc", "bcc"] {
                kept.insert(list.into(), addresses(&item[list]));
            }
        }
        "event" => {
            kept = occurrence(item);
            kept.insert("cancelled".into(), item["cancelled"].clone());
            let exceptions = item["exceptions"].as_array().into_iter().flatten();
            let exceptions = exceptions.map(|one| {
                let mut kept = occurrence(one);
                // Its time is told on the clock of the series, whatever it was written on.
                kept.remove("originalStartTimeZone");
                kept.insert("original_date".into(), one["original_date"].clone());
                Value::Object(kept)
            });
            kept.insert("exceptions".into(), exceptions.collect());
            let attachments = item["attachments"].as_array().into_iter().flatten();
            let files = attachments.map(|file| json!([file["name"], file["sha256"]])).collect();
            kept.insert("attachments".into(), files);
        }
        _ => {
            kept = item.as_object().cloned().unwrap_or_default();
            kept.retain(|name, _| !NOT_OF_A_CONTACT.contains(&name.as_str()));
        }
    }
    kept.insert("kind".into(), json!(kind));
    Value::Object(kept)
}

fn occurrence(item: &Value) -> Map<String, Value> {
    let mut kept: Map<_, _> =
        EVENT.iter().map(|name| ((*name).to_owned(), item[name].clone())).collect();
    let places = item["locations"].as_array().into_iter().flatten();
    let places = places.map(|place| place["displayName"].clone()).collect();
    kept.insert("locations".into(), places);
    // Minutes that nobody is reminded by do not matter.
    if item["isReminderOn"] == true {
        let minutes = item["reminderMinutesBeforeStart"].clone();
        kept.insert("reminderMinutesBeforeStart".into(), minutes);
    }
    kept
}

/// A name that only repeats the address is none.
fn addresses(of: &Value) -> Value {
    let one = |party: &Value| {
        let name = party["name"].as_str().filter(|name| Some(*name) != party["address"].as_str());
        json!([name.unwrap_or_default(), party["address"]])
    };
    match of {
        Value::Array(list) => list.iter().map(one).collect(),
        Value::Null => Value::Null,
        party => one(party),
    }
}

/// Every difference between a mailbox as it was and what a restore made of it in an empty one.
pub(crate) fn differences(was: &Mailbox, is: &Mailbox) -> Vec<String> {
    let mut found = Vec::new();
    let folders = |mailbox: &Mailbox| {
        let mut places: Vec<_> = mailbox.places().into_values().collect();
        places.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
        places
    };
    let (before, after) = (folders(was), folders(is));
    let missing = before.iter().filter(|place| !after.contains(place));
    found.extend(missing.map(|place| format!("a folder was not restored: {place:?}")));
    let extra = after.iter().filter(|place| !before.contains(place));
    found.extend(extra.map(|place| format!("a folder was made up: {place:?}")));
    let (mut before, mut after) = (in_places(was), in_places(is));
    before.retain(|one| match after.iter().position(|other| other == one) {
        Some(at) => {
            after.swap_remove(at);
            false
        }
        None => true,
    });
    found.extend(unmatched(&before, &after));
    found
}

/// Every item that is not there any more in the state that it had: in its folder, or where that is
/// gone, in one of the same name.
pub(crate) fn not_back(was: &Mailbox, in_between: &Mailbox, is: &Mailbox) -> Vec<String> {
    let (places_then, places_between, places_now) =
        (was.places(), in_between.places(), is.places());
    let mut there: Vec<_> = is
        .items()
        .map(|(kind, item)| (Mailbox::folder_of(kind, item), normal(kind, item)))
        .collect();
    let mut lost = Vec::new();
    for (kind, item) in was.items() {
        let (folder, wanted) = (Mailbox::folder_of(kind, item), normal(kind, item));
        // A folder that was thrown away since is gone: another one is made where it was.
        let thrown_away = |place: &Place| place.path.len() > 1 && place.path[0] == "Deleted Items";
        let stays = places_between.get(&folder).is_some_and(|place| {
            !thrown_away(place) || places_then.get(&folder).is_some_and(thrown_away)
        });
        let name = |place: Option<&Place>| place.and_then(|p| p.path.last().cloned());
        let same_place = |other: &String| {
            *other == folder
                || (!stays && name(places_now.get(other)) == name(places_then.get(&folder)))
        };
        match there.iter().position(|(other, state)| same_place(other) && *state == wanted) {
            Some(at) => drop(there.swap_remove(at)),
            None => lost.push((name(places_then.get(&folder)), wanted)),
        }
    }
    let lost: Vec<_> =
        lost.into_iter().map(|(folder, state)| (vec![folder.unwrap_or_default()], state)).collect();
    let there: Vec<_> = there
        .into_iter()
        .map(|(folder, state)| {
            (places_now.get(&folder).map(|place| place.path.clone()).unwrap_or_default(), state)
        })
        .collect();
    unmatched(&lost, &there).into_iter().filter(|line| !line.starts_with("made up")).collect()
}

/// The items of a mailbox with their paths.
fn in_places(mailbox: &Mailbox) -> Vec<(Vec<String>, Value)> {
    let places: BTreeMap<_, _> = mailbox.places();
    let item = |(kind, item): (&'static str, &Value)| {
        let place = places.get(&Mailbox::folder_of(kind, item));
        (place.map(|place| place.path.clone()).unwrap_or_default(), normal(kind, item))
    };
    mailbox.items().map(item).collect()
}

/// Says what each item that has no equal differs in from the one that is most like it.
fn unmatched(before: &[(Vec<String>, Value)], after: &[(Vec<String>, Value)]) -> Vec<String> {
    let title = |item: &Value| {
        let name = item.get("subject").or_else(|| item.get("displayName"));
        format!("{} {}", item["kind"], name.unwrap_or(&Value::Null))
    };
    let unlike = |a: &(Vec<String>, Value), b: &(Vec<String>, Value)| {
        let mut names = Vec::new();
        if a.0 != b.0 {
            names.push(format!("folder: {:?} became {:?}", a.0, b.0));
        }
        for (name, value) in a.1.as_object().into_iter().flatten() {
            if b.1[name] != *value {
                names.push(format!("{name}: {value} became {}", b.1[name]));
            }
        }
        for (name, value) in b.1.as_object().into_iter().flatten() {
            if a.1.get(name).is_none() {
                names.push(format!("{name}: nothing became {value}"));
            }
        }
        names
    };
    let mut found = Vec::new();
    for one in before {
        let alike = after.iter().filter(|other| other.1["kind"] == one.1["kind"]);
        let alike = alike.min_by_key(|other| unlike(one, other).len());
        let what = match alike.map(|other| unlike(one, other)).filter(|names| names.len() <= 5) {
            Some(names) => names.join("; "),
            None => "missing".to_owned(),
        };
        found.push(format!("not as it was: {} in {:?}: {what}", title(&one.1), one.0));
    }
    found.extend(after.iter().map(|one| format!("made up: {} in {:?}", title(&one.1), one.0)));
    found
}
