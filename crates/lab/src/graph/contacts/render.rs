//! Contacts and their folders as JSON.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::input::{ADDRESSES, LISTS};
use crate::clock;
use crate::graph::extended;
use crate::graph::render::change_key;
use crate::graph::select::Selection;
use crate::ids;
use crate::state::{Contact, ContactFolder, IdKind};

/// The selected properties of a contact, and those extended ones that were asked for.
pub(crate) fn contact(
    mailbox: Uuid,
    kind: IdKind,
    selection: Selection,
    expand: &[String],
    item: u64,
    contact: &Contact,
) -> Map<String, Value> {
    let key = change_key(mailbox, contact.changed);
    let mut shown = Map::new();
    shown.insert("@odata.etag".into(), json!(format!("W/\"{key}\"")));
    shown.insert("id".into(), json!(id(mailbox, kind, item, contact.place.location)));
    for name in selection.iter() {
        let value = match name {
            "createdDateTime" => json!(clock::iso(contact.created)),
            "lastModifiedDateTime" => json!(clock::iso(contact.modified)),
            "changeKey" => json!(key),
            "parentFolderId" => json!(ids::folder_id(mailbox, contact.place.folder)),
            "primaryEmailAddress" => address(contact, 0),
            "secondaryEmailAddress" => address(contact, 1),
            "tertiaryEmailAddress" => address(contact, 2),
            other => contact.fields.get(other).cloned().unwrap_or_else(|| default(other)),
        };
        shown.insert(name.to_owned(), value);
    }
    if let Some(value) = extended::shown(&contact.properties, expand) {
        shown.insert(extended::NAME.to_owned(), value);
    }
    shown
}

pub(super) fn id(mailbox: Uuid, kind: IdKind, item: u64, location: u64) -> String {
    let mut out = Vec::with_capacity(64);
    match kind {
        IdKind::Immutable => ids::push_immutable_id(&mut out, mailbox, item),
        IdKind::Regular => ids::push_located_id(&mut out, mailbox, item, location),
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The selected properties of a folder.
pub(super) fn folder(
    mailbox: Uuid,
    selection: Selection,
    folder: &ContactFolder,
) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".into(), json!(ids::folder_id(mailbox, folder.number)));
    for name in selection.iter() {
        let value = match name {
            "displayName" => json!(folder.name),
            _ => json!(ids::folder_id(mailbox, folder.parent)),
        };
        shown.insert(name.to_owned(), value);
    }
    shown
}

fn address(contact: &Contact, number: usize) -> Value {
    let list = contact.fields.get("emailAddresses").and_then(Value::as_array);
    list.and_then(|list| list.get(number)).cloned().unwrap_or_default()
}

fn default(name: &str) -> Value {
    if name == "emailAddresses" || LISTS.iter().any(|(list, _)| *list == name) {
        json!([])
    } else if ADDRESSES.contains(&name) {
        json!({})
    } else if matches!(name, "displayName" | "fileAs" | "personalNotes") {
        json!("")
    } else {
        Value::Null
    }
}
