//! An item as a stream of bytes with everything that the lab knows of it. What is in it is nobody's
//! business: it begins with a version and ends with a hash, and one that was changed is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use time::Date;

use super::folders::Kind;
use super::items;
use crate::compose::{Attachment, Nature};
use crate::graph::calendars;
use crate::graph::errors::GraphError;
use crate::state::{
    Attached, Contact, Core, Details, Event, Exception, ExtendedProperties, Flag, Importance,
    MailboxState, Message, Moment, Natures, Other, OtherKind, Refusal, SEARCH_KEY_TAG, SeedMessage,
    Task, TaskFile,
};

const MAGIC: [u8; 12] = [1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0];
const HASH: usize = 32;

/// The stream of an item.
pub(super) fn write(state: &MailboxState, number: u64) -> Option<Vec<u8>> {
    let mut content = if let Some(message) = state.messages.get(&number) {
        of_message(message)
    } else if let Some(event) = state.calendars.events.get(&number) {
        let mut content = of_event(event);
        content["uid"] = json!(calendars::uid(state.mailbox, number, event));
        content
    } else if let Some(contact) = state.contacts.items.get(&number) {
        of_contact(contact)
    } else if let Some(other) = state.others.items.get(&number) {
        of_other(other)
    } else {
        let mut lists = state.settings.lists.iter();
        of_task(lists.find_map(|list| list.tasks.get(&number))?)
    };
    content["search_key"] = json!(items::search_key(state, number));
    let mut stream = MAGIC.to_vec();
    stream.extend(content.to_string().into_bytes());
    let hash = digest::digest(&digest::SHA256, &stream);
    stream.extend_from_slice(hash.as_ref());
    Some(stream)
}

/// Makes an item of a stream, in a folder for such items; its number. With `over`, that item becomes
/// what the stream has, where it lies.
pub(super) fn read(
    state: &mut MailboxState,
    folder: (u64, Kind),
    over: Option<u64>,
    stream: &[u8],
    now: i64,
) -> Result<u64, GraphError> {
    let corrupt =
        || GraphError::new(400, "ErrorCorruptData", "The stream is not one that was exported.");
    let (content, hash) =
        stream.split_at_checked(stream.len().saturating_sub(HASH)).ok_or_else(corrupt)?;
    if digest::digest(&digest::SHA256, content).as_ref() != hash {
        return Err(corrupt());
    }
    let content = content.strip_prefix(&MAGIC).ok_or_else(corrupt)?;
    let value: Value = serde_json::from_slice(content).map_err(|_| corrupt())?;
    let number = folder.0;
    let made = match (folder.1, value["kind"].as_str().unwrap_or_default()) {
        (Kind::Mail, "message") => message(state, number, over, &value, now),
        (Kind::Calendar, "event") => event(state, number, over, &value, now),
        (Kind::Contacts, "contact") => contact(state, number, over, &value, now),
        (Kind::Contacts, "group") => other(state, OtherKind::Group, number, over, &value, now),
        (Kind::Notes, "note") => other(state, OtherKind::Note, number, over, &value, now),
        (Kind::Tasks, "task") => task(state, number, over, &value, now),
        _ => {
            return Err(GraphError::new(
                400,
                "ErrorInvalidFolderTypeForOperation",
                "The folder is not one for items of this kind.",
            ));
        }
    };
    made.ok_or_else(corrupt)?.map_err(GraphError::from)
}

/// `None`: the stream does not have what it should.
type Made = Option<Result<u64, Refusal>>;

fn of_message(message: &Message) -> Value {
    json!({
        "kind": "message",
        "mime": BASE64.encode(&message.core.content.bytes()),
        "read": message.read,
        "draft": message.draft,
        "flag": message.flag.as_str(),
        "flag_times": message.flag_times,
        "importance": message.importance.as_str(),
        "categories": message.categories,
        "sent": message.sent,
        "received": message.received,
        "created": message.created,
        "modified": message.modified,
        "read_receipt": message.read_receipt,
        "receipt_given": message.receipt_given,
        "delivery_receipt": message.delivery_receipt,
        "properties": of_properties(&message.properties),
        "natures": message.natures.iter()
            .map(|(hash, nature)| json!([BASE64.encode(hash), of_nature(nature)]))
            .collect::<Vec<_>>(),
    })
}

fn message(
    state: &mut MailboxState,
    folder: u64,
    over: Option<u64>,
    value: &Value,
    now: i64,
) -> Made {
    let mime = bytes(&value["mime"])?;
    let core = Arc::new(Core::parse(mime, None));
    let flag = Flag::parse(value["flag"].as_str()?)?;
    let importance = Importance::parse(value["importance"].as_str()?)?;
    let mut properties = properties(&value["properties"])?;
    properties.set(SEARCH_KEY_TAG, value["search_key"].as_str()?).ok()?;
    let mut natures = Natures::default();
    for pair in value["natures"].as_array()? {
        natures.insert(&bytes(&pair[0])?, nature(&pair[1])?);
    }
    let categories: Option<Vec<Box<str>>> =
        value["categories"].as_array()?.iter().map(|name| Some(name.as_str()?.into())).collect();
    let (categories, flag_times) = (categories?, value["flag_times"].as_object().cloned());
    let read = value["read"].as_bool()?;
    let number = match over {
        Some(number) => number,
        None => {
            let seed = SeedMessage { read, ..SeedMessage::new(Arc::clone(&core)) };
            match state.add(folder, seed, now) {
                Ok(number) => number,
                Err(refusal) => return Some(Err(refusal)),
            }
        }
    };
    let changed = state.change(number, now, |message| {
        message.core = core;
        message.read = read;
        message.draft = value["draft"] == true;
        message.flag = flag;
        message.flag_times = flag_times.map(Box::new);
        message.importance = importance;
        message.categories = categories;
        message.sent = value["sent"].as_i64().unwrap_or(now);
        message.received = value["received"].as_i64().unwrap_or(now);
        message.created = value["created"].as_i64().unwrap_or(now);
        message.read_receipt = value["read_receipt"] == true;
        message.receipt_given = value["receipt_given"] == true;
        message.delivery_receipt = value["delivery_receipt"] == true;
        message.properties = properties;
        message.natures = natures;
    });
    if let Some(message) = state.messages.get_mut(&number) {
        message.modified = value["modified"].as_i64().unwrap_or(now);
    }
    Some(changed.map(|()| number))
}

fn of_event(event: &Event) -> Value {
    let exceptions: Vec<Value> = event
        .exceptions
        .iter()
        .map(|(date, exception)| {
            json!({
                "date": date.to_julian_day(),
                "details": of_details(&exception.details),
                "attachments": exception.attachments.as_deref().map(of_attachments),
                "created": exception.created,
                "modified": exception.modified,
            })
        })
        .collect();
    let cancelled: Vec<i32> = event.cancelled.iter().map(|date| date.to_julian_day()).collect();
    json!({
        "kind": "event",
        "details": of_details(&event.details),
        "attachments": of_attachments(&event.attachments),
        "recurrence": event.recurrence.as_ref().map(calendars::recurrence_written),
        "exceptions": exceptions,
        "cancelled": cancelled,
        "created": event.created,
        "modified": event.modified,
    })
}

fn event(
    state: &mut MailboxState,
    folder: u64,
    over: Option<u64>,
    value: &Value,
    now: i64,
) -> Made {
    let day = |value: &Value| Date::from_julian_day(i32::try_from(value.as_i64()?).ok()?).ok();
    let changed = state.sequence + 1;
    let mut exceptions = BTreeMap::new();
    for one in value["exceptions"].as_array()? {
        let exception = Exception {
            details: details(&one["details"])?,
            attachments: match &one["attachments"] {
                Value::Null => None,
                list => Some(attachments(state, list)?),
            },
            changed,
            created: one["created"].as_i64()?,
            modified: one["modified"].as_i64()?,
        };
        exceptions.insert(day(&one["date"])?, exception);
    }
    let cancelled: Option<BTreeSet<Date>> =
        value["cancelled"].as_array()?.iter().map(day).collect();
    let event = Event {
        calendar: folder,
        location: 0,
        entered: 0,
        changed,
        created: now,
        modified: now,
        transaction: None,
        details: {
            let mut details = details(&value["details"])?;
            details.fields.insert(calendars::UID_KEPT.to_owned(), value["uid"].clone());
            details
        },
        attachments: attachments(state, &value["attachments"])?,
        recurrence: calendars::recurrence_read(&value["recurrence"]).ok()?,
        exceptions,
        cancelled: cancelled?,
    };
    let number = match over {
        None => match state.add_event(event, now) {
            Ok(number) => number,
            Err(refusal) => return Some(Err(refusal)),
        },
        Some(number) => {
            let replaced = state.change_event(number, crate::state::Aspect::Whole, now, |there| {
                let Event { calendar, location, entered, .. } = *there;
                *there = Event { calendar, location, entered, ..event };
            });
            match replaced {
                Ok(()) => number,
                Err(refusal) => return Some(Err(refusal)),
            }
        }
    };
    if let Some(event) = state.calendars.events.get_mut(&number) {
        event.created = value["created"].as_i64().unwrap_or(now);
        event.modified = value["modified"].as_i64().unwrap_or(now);
    }
    Some(Ok(number))
}

fn of_contact(contact: &Contact) -> Value {
    json!({
        "kind": "contact",
        "fields": contact.fields,
        "photo": contact.photo.as_deref().map(|photo| BASE64.encode(photo)),
        "properties": of_properties(&contact.properties),
        "created": contact.created,
        "modified": contact.modified,
    })
}

fn contact(
    state: &mut MailboxState,
    folder: u64,
    over: Option<u64>,
    value: &Value,
    now: i64,
) -> Made {
    let fields = value["fields"].as_object()?.clone();
    let properties = properties(&value["properties"])?;
    let number = match over {
        Some(number) => number,
        None => match state.add_contact(folder, Map::new(), ExtendedProperties::default(), now) {
            Ok(number) => number,
            Err(refusal) => return Some(Err(refusal)),
        },
    };
    let changed = state.change_contact(number, now, |contact| {
        contact.fields = fields;
        contact.properties = properties;
        contact.photo = bytes(&value["photo"]);
    });
    if let Some(contact) = state.contacts.items.get_mut(&number) {
        contact.created = value["created"].as_i64().unwrap_or(now);
        contact.modified = value["modified"].as_i64().unwrap_or(now);
    }
    Some(changed.map(|()| number))
}

fn of_other(other: &Other) -> Value {
    json!({
        "kind": match other.kind {
            OtherKind::Note => "note",
            OtherKind::Group => "group",
        },
        "fields": other.fields,
        "created": other.created,
        "modified": other.modified,
    })
}

fn other(
    state: &mut MailboxState,
    kind: OtherKind,
    folder: u64,
    over: Option<u64>,
    value: &Value,
    now: i64,
) -> Made {
    let fields = value["fields"].as_object()?.clone();
    let times = (value["created"].as_i64()?, value["modified"].as_i64()?);
    let number = match over {
        // What is there is of another kind: nothing can become a note that was a contact.
        Some(number) if state.others.items.get(&number).is_none_or(|one| one.kind != kind) => {
            return Some(Err(Refusal::NoSuchItem));
        }
        Some(number) => number,
        None => match state.add_other(kind, folder, Map::new(), now) {
            Ok(number) => number,
            Err(refusal) => return Some(Err(refusal)),
        },
    };
    let changed = state.change_other(number, times.1, |other| {
        other.fields = fields;
        other.created = times.0;
    });
    Some(changed.map(|()| number))
}

fn of_task(task: &Task) -> Value {
    let parts = |list: &[crate::state::Entity]| -> Vec<Value> {
        list.iter().map(|one| json!({ "id": one.id, "fields": one.fields })).collect()
    };
    json!({
        "kind": "task",
        "fields": task.fields,
        "checklist": parts(&task.checklist),
        "linked": parts(&task.linked),
        "files": task.files.iter().map(|file| json!({
            "id": file.id,
            "name": file.name,
            "content_type": file.content_type,
            "modified": file.modified,
            "bytes": BASE64.encode(&file.bytes),
        })).collect::<Vec<_>>(),
        "extensions": parts(&task.extensions),
        "body_modified": task.body_modified,
        "created": task.created,
        "modified": task.modified,
    })
}

fn task(state: &mut MailboxState, folder: u64, over: Option<u64>, value: &Value, now: i64) -> Made {
    let parts = |list: &Value| -> Option<Vec<crate::state::Entity>> {
        let entity = |one: &Value| {
            Some(crate::state::Entity {
                id: one["id"].as_str()?.into(),
                fields: one["fields"].as_object()?.clone(),
            })
        };
        list.as_array()?.iter().map(entity).collect()
    };
    let (checklist, linked) = (parts(&value["checklist"])?, parts(&value["linked"])?);
    let extensions = parts(&value["extensions"])?;
    let file = |one: &Value| {
        Some(TaskFile {
            id: one["id"].as_str()?.into(),
            name: one["name"].as_str()?.into(),
            content_type: one["content_type"].as_str()?.into(),
            modified: one["modified"].as_i64()?,
            bytes: bytes(&one["bytes"])?,
        })
    };
    let files: Vec<TaskFile> =
        value["files"].as_array()?.iter().map(file).collect::<Option<_>>()?;
    let body_modified = value["body_modified"].as_i64()?;
    let fields = value["fields"].as_object()?.clone();
    let number = match over {
        Some(number) => number,
        None => match state.add_task(folder, Map::new(), Vec::new(), now) {
            Ok(number) => number,
            Err(refusal) => return Some(Err(refusal)),
        },
    };
    let times = (value["created"].as_i64()?, value["modified"].as_i64()?);
    let changed = state.change_task(folder, number, times.1, |task| {
        task.fields = fields;
        task.checklist = checklist;
        task.linked = linked;
        task.files = files;
        task.extensions = extensions;
        task.body_modified = body_modified;
        task.created = times.0;
    });
    Some(changed.map(|()| number))
}

fn of_properties(properties: &ExtendedProperties) -> Value {
    properties.iter().map(|(id, value)| json!([id, value])).collect()
}

fn properties(value: &Value) -> Option<ExtendedProperties> {
    let mut found = ExtendedProperties::default();
    for pair in value.as_array()? {
        found.set(pair[0].as_str()?, pair[1].as_str()?).ok()?;
    }
    Some(found)
}

fn of_details(details: &Details) -> Value {
    let moment = |moment: &Moment| json!({ "local": calendars::date_time(moment.local), "zone": moment.zone });
    json!({
        "start": moment(&details.start),
        "end": moment(&details.end),
        "all_day": details.all_day,
        "fields": details.fields,
        "properties": of_properties(&details.properties),
    })
}

fn details(value: &Value) -> Option<Details> {
    let moment = |value: &Value| {
        let local = calendars::parse_local(value["local"].as_str()?)?;
        Some(Moment { local, zone: value["zone"].as_str()?.into() })
    };
    Some(Details {
        start: moment(&value["start"])?,
        end: moment(&value["end"])?,
        all_day: value["all_day"].as_bool()?,
        fields: value["fields"].as_object()?.clone(),
        properties: properties(&value["properties"])?,
    })
}

fn of_attachments(list: &[Attached]) -> Value {
    let one = |attached: &Attached| {
        let file = &attached.file;
        json!({
            "modified": attached.modified,
            "name": file.name,
            "content_type": file.content_type,
            "content_id": file.content_id,
            "inline": file.inline,
            "bytes": BASE64.encode(&file.bytes),
            "nature": of_nature(&file.nature),
        })
    };
    list.iter().map(one).collect()
}

fn attachments(state: &mut MailboxState, list: &Value) -> Option<Vec<Attached>> {
    let mut found = Vec::new();
    for one in list.as_array()? {
        let text = |name: &str| one[name].as_str().map(str::to_owned);
        let file = Attachment {
            name: text("name")?,
            content_type: text("content_type")?,
            content_id: text("content_id"),
            inline: one["inline"].as_bool()?,
            bytes: bytes(&one["bytes"])?,
            nature: nature(&one["nature"])?,
        };
        let number = state.fresh_number();
        found.push(Attached { number, modified: one["modified"].as_i64()?, file });
    }
    Some(found)
}

fn of_nature(nature: &Nature) -> Value {
    match nature {
        Nature::File => Value::Null,
        Nature::Item(item) => json!({ "item": item }),
        Nature::Reference(reference) => json!({ "reference": reference }),
    }
}

fn nature(value: &Value) -> Option<Nature> {
    if value.is_null() {
        return Some(Nature::File);
    }
    let (name, what) = value.as_object()?.iter().next()?;
    match name.as_str() {
        "item" => Some(Nature::Item(Arc::new(what.clone()))),
        "reference" => Some(Nature::Reference(Arc::new(what.clone()))),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<Bytes> {
    Some(BASE64.decode(value.as_str()?.as_bytes()).ok()?.into())
}
