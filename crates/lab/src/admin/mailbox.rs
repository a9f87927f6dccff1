//! `GET /_lab/mailbox/{address}`: all that is in a mailbox, for tests that compare.

use aws_lc_rs::digest;
use axum::http::StatusCode;
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::{Refused, people};
use crate::clock;
use crate::compose::{Attachment, Nature};
use crate::graph::{
    categories_as_graph_shows, contact_as_graph_shows, event_as_graph_shows, rule_as_graph_shows,
    search_key, settings_as_graph_shows, tasks_as_graph_shows,
};
use crate::ids;
use crate::lab::Shared;
use crate::state::{
    Aspect, Event, ExtendedProperties, Mailbox, MailboxState, Message, Other, OtherKind, Party,
    ROOT, SEARCH_KEY_TAG,
};

pub(super) fn run(shared: &Shared, address: &str) -> Result<Value, Refused> {
    let tenant = address.rsplit_once('@').and_then(|(_, domain)| shared.tenants.find(domain));
    let found = tenant.and_then(|tenant| tenant.mailbox(address));
    let mailbox = found
        .ok_or_else(|| (StatusCode::NOT_FOUND, format!("no tenant has a mailbox '{address}'")))?;
    Ok(view(&mailbox))
}

/// A mailbox with what lies beside it.
fn view(mailbox: &Mailbox) -> Value {
    let state = mailbox.read();
    let mut messages: Vec<(&u64, &Message)> = state.messages.iter().collect();
    messages.sort_by_key(|(item, _)| **item);
    json!({
        "address": mailbox.address,
        "id": mailbox.id,
        "person": people::shown(mailbox),
        "folders": folders(&state),
        "calendars": state.calendars.list.iter().map(|calendar| json!({
            "id": ids::folder_id(mailbox.id, calendar.number),
            "name": calendar.name,
        })).collect::<Vec<_>>(),
        "contact_folders": state.contacts.folders.iter().map(|folder| json!({
            "id": ids::folder_id(mailbox.id, folder.number),
            "parent": (folder.parent != ROOT).then(|| ids::folder_id(mailbox.id, folder.parent)),
            "name": folder.name,
        })).collect::<Vec<_>>(),
        "messages": messages.iter().map(|(item, m)| message(&state, **item, m)).collect::<Vec<_>>(),
        "events": state.calendars.events.iter()
            .map(|(item, e)| event(mailbox, *item, e))
            .collect::<Vec<_>>(),
        "contacts": state.contacts.items.iter().map(|(item, contact)| {
            let mut shown = contact_as_graph_shows(mailbox.id, *item, contact);
            shown.insert("folder".into(), json!(ids::folder_id(mailbox.id, contact.place.folder)));
            shown.insert("photo_sha256".into(), json!(contact.photo.as_deref().map(sha256)));
            shown.insert("extended".into(), extended(&contact.properties));
            shown
        }).collect::<Vec<_>>(),
        "notes": others(&state, OtherKind::Note),
        "contact_groups": others(&state, OtherKind::Group),
        "settings": settings_as_graph_shows(&state, mailbox.profile.purpose),
        "rules": state.settings.rules.iter().map(rule_as_graph_shows).collect::<Vec<_>>(),
        "categories": categories_as_graph_shows(&state),
        "task_lists": tasks_as_graph_shows(&state),
        "archive": mailbox.archive().map(|archive| view(archive)),
        "archive_goes_on_in": mailbox.auxiliary().map(|auxiliary| view(auxiliary)),
    })
}

fn others(state: &MailboxState, kind: OtherKind) -> Vec<Value> {
    let shown = |(item, other): (u64, &Other)| {
        json!({
            "id": ids::immutable_id(state.mailbox, item),
            "class": other.kind.class(),
            "folder": ids::folder_id(state.mailbox, other.folder),
            "created": clock::iso(other.created),
            "modified": clock::iso(other.modified),
            "fields": other.fields,
        })
    };
    state.others.of(kind).map(shown).collect()
}

/// All mail folders, hidden ones too.
fn folders(state: &MailboxState) -> Vec<Value> {
    let of = |number: &u64| ids::folder_id(state.mailbox, *number);
    state
        .folders
        .iter()
        .map(|(number, folder)| {
            json!({
                "id": of(number),
                "parent": (*number != ROOT).then(|| of(&folder.parent)),
                "name": folder.name,
                "path": path(state, *number),
                "role": folder.well_known.map(crate::state::WellKnown::as_str),
                "hidden": folder.is_hidden() || folder.unlisted,
            })
        })
        .collect()
}

/// Names from the top.
fn path(state: &MailboxState, folder: u64) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = folder;
    while at != ROOT {
        let Some(folder) = state.folders.get(&at) else { break };
        names.push(folder.name.to_string());
        at = folder.parent;
    }
    names.reverse();
    names
}

fn message(state: &MailboxState, item: u64, message: &Message) -> Value {
    let core = &*message.core;
    let mime = core.content.bytes();
    let folder = state.folders.get(&message.place.folder);
    json!({
        "id": ids::immutable_id(state.mailbox, item),
        "folder": ids::folder_id(state.mailbox, message.place.folder),
        "folder_path": path(state, message.place.folder),
        "hidden": folder.is_some_and(|folder| folder.is_hidden() || folder.unlisted),
        "subject": core.subject,
        "from": core.from.as_ref().map(party),
        "to": core.to.iter().map(party).collect::<Vec<_>>(),
        "cc": core.cc.iter().map(party).collect::<Vec<_>>(),
        "bcc": core.bcc.iter().map(party).collect::<Vec<_>>(),
        "received": clock::iso(message.received),
        "sent": clock::iso(core.sent),
        "read": message.read,
        "draft": message.draft,
        "flag": message.flag.as_str(),
        "importance": message.importance.as_str(),
        "categories": message.categories,
        "read_receipt": message.read_receipt,
        "delivery_receipt": message.delivery_receipt,
        "internet_message_id": core.message_id,
        "search_key": search_key(state, item),
        "size": mime.len(),
        "mime_sha256": sha256(&mime),
        "body_text_sha256": sha256(core.body_text().trim_end().as_bytes()),
        "attachments": message.attachments().iter().map(attachment).collect::<Vec<_>>(),
        "extended": extended(&message.properties),
    })
}

fn party(party: &Party) -> Value {
    json!({ "name": party.name, "address": party.address })
}

fn attachment(file: &Attachment) -> Value {
    json!({
        "name": file.name,
        "content_type": file.content_type,
        "content_id": file.content_id,
        "inline": file.inline,
        "size": file.bytes.len(),
        "sha256": sha256(&file.bytes),
        "item": match &file.nature {
            Nature::Item(item) => Some(item),
            _ => None,
        },
        "reference": match &file.nature {
            Nature::Reference(reference) => Some(reference),
            _ => None,
        },
    })
}

/// An event as Graph shows it in UTC, with what Graph shows elsewhere.
fn event(mailbox: &Mailbox, item: u64, event: &Event) -> Value {
    let mut whole = seen(mailbox, item, event, Aspect::Whole);
    let exceptions: Vec<Value> = event
        .exceptions
        .keys()
        .map(|date| {
            let mut exception = seen(mailbox, item, event, Aspect::Occurrence(*date));
            exception.insert("original_date".into(), json!(date.to_string()));
            Value::Object(exception)
        })
        .collect();
    let cancelled: Vec<String> = event.cancelled.iter().map(time::Date::to_string).collect();
    whole.insert("calendar".into(), json!(ids::folder_id(mailbox.id, event.calendar)));
    whole.insert("exceptions".into(), json!(exceptions));
    whole.insert("cancelled".into(), json!(cancelled));
    Value::Object(whole)
}

fn seen(mailbox: &Mailbox, item: u64, event: &Event, aspect: Aspect) -> Map<String, Value> {
    let mut shown = event_as_graph_shows(mailbox.id, item, event, aspect);
    let files = event.attachments(aspect).iter().map(|attached| attachment(&attached.file));
    shown.insert("attachments".into(), files.collect());
    shown.insert("extended".into(), extended(&event.details(aspect).properties));
    shown
}

fn extended(properties: &ExtendedProperties) -> Value {
    // Every item has a search key, whether it is kept or made from what the item is.
    let set = properties.iter().filter(|(id, _)| *id != SEARCH_KEY_TAG);
    set.map(|(id, value)| (id.to_owned(), json!(value))).collect::<Map<_, _>>().into()
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}
