//! Items of every kind (<https://learn.microsoft.com/graph/api/resources/mailboxitem>).

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::folders::{self, Kind, Seen};
use super::path;
use crate::clock;
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::extended;
use crate::graph::page::{Page, collection_at, single_at};
use crate::graph::plain_delta::{self, Told, removed, start, was_seen};
use crate::graph::query::{Comparison, comparisons, split_top};
use crate::graph::render::change_key;
use crate::ids;
use crate::state::{Entry, IdKind, MailboxState, SEARCH_KEY, SEARCH_KEY_TAG};

/// What is told from deltas of the same folder by other interfaces.
const ITEMS: u64 = 0x0200_0000_0000_0000;
const PROPERTIES: &[&str] =
    &["createdDateTime", "lastModifiedDateTime", "changeKey", "categories", "type", "size"];

/// An item as this interface sees it.
pub(super) struct Item {
    pub(super) number: u64,
    location: u64,
    changed: u64,
    created: i64,
    modified: i64,
    class: &'static str,
    size: usize,
    categories: Value,
}

impl Item {
    pub(super) fn id(&self, state: &MailboxState, kind: IdKind) -> String {
        id(state, kind, self.number, self.location)
    }

    pub(super) fn change_key(&self, state: &MailboxState) -> String {
        change_key(state.mailbox, self.changed)
    }
}

fn id(state: &MailboxState, kind: IdKind, item: u64, location: u64) -> String {
    let mut out = Vec::with_capacity(64);
    match kind {
        IdKind::Immutable => ids::push_immutable_id(&mut out, state.mailbox, item),
        IdKind::Regular => ids::push_located_id(&mut out, state.mailbox, item, location),
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The item with a number, wherever it lies, and its folder.
pub(super) fn item(state: &MailboxState, number: u64) -> Option<(u64, Item)> {
    if let Some(message) = state.messages.get(&number) {
        let item = Item {
            number,
            location: message.place.location,
            changed: message.changed,
            created: message.created,
            modified: message.modified,
            class: "IPM.Note",
            size: message.core.content.len(),
            categories: json!(message.categories),
        };
        return Some((message.place.folder, item));
    }
    let categories = |fields: &Map<String, Value>| {
        fields.get("categories").filter(|value| value.is_array()).cloned().unwrap_or(json!([]))
    };
    let size = |fields: &Map<String, Value>| Value::Object(fields.clone()).to_string().len();
    if let Some(event) = state.calendars.events.get(&number) {
        let files: usize = event.attachments.iter().map(|one| one.file.bytes.len()).sum();
        let item = Item {
            number,
            location: event.location,
            changed: event.changed,
            created: event.created,
            modified: event.modified,
            class: "IPM.Appointment",
            size: size(&event.details.fields) + files,
            categories: categories(&event.details.fields),
        };
        return Some((event.calendar, item));
    }
    if let Some(contact) = state.contacts.items.get(&number) {
        let item = Item {
            number,
            location: contact.place.location,
            changed: contact.changed,
            created: contact.created,
            modified: contact.modified,
            class: "IPM.Contact",
            size: size(&contact.fields) + contact.photo.as_ref().map_or(0, bytes::Bytes::len),
            categories: categories(&contact.fields),
        };
        return Some((contact.place.folder, item));
    }
    if let Some(other) = state.others.items.get(&number) {
        let item = Item {
            number,
            location: other.location,
            changed: other.changed,
            created: other.created,
            modified: other.modified,
            class: other.kind.class(),
            size: size(&other.fields),
            categories: categories(&other.fields),
        };
        return Some((other.folder, item));
    }
    state.settings.lists.iter().find_map(|list| {
        let task = list.tasks.get(&number)?;
        let item = Item {
            number,
            location: number,
            changed: task.changed,
            created: task.created,
            modified: task.modified,
            class: "IPM.Task",
            size: size(&task.fields)
                + task.files.iter().map(|file| file.bytes.len()).sum::<usize>(),
            categories: categories(&task.fields),
        };
        Some((list.number, item))
    })
}

/// Numbers of the items in a folder.
fn numbers(state: &MailboxState, folder: &Seen) -> Vec<u64> {
    match folder.kind {
        Kind::Mail => {
            state.folders.get(&folder.number).into_iter().flat_map(|f| f.items()).collect()
        }
        Kind::Calendar => {
            let events = state.calendars.events.iter();
            events.filter(|(_, e)| e.calendar == folder.number).map(|(number, _)| *number).collect()
        }
        Kind::Contacts => {
            let contacts = state.contacts.items.iter();
            let here = contacts.filter(|(_, contact)| contact.place.folder == folder.number);
            here.map(|(number, _)| *number).chain(others(state, folder.number)).collect()
        }
        Kind::Notes => others(state, folder.number).collect(),
        Kind::Tasks => {
            let list = state.settings.list(folder.number);
            list.into_iter().flat_map(|list| list.tasks.keys().copied()).collect()
        }
    }
}

fn others(state: &MailboxState, folder: u64) -> impl Iterator<Item = u64> {
    let here = state.others.items.iter().filter(move |(_, other)| other.folder == folder);
    here.map(|(number, _)| *number)
}

/// `PidTagSearchKey` of an item, base64: it stays when the item is copied, exported or imported.
pub(crate) fn search_key(state: &MailboxState, number: u64) -> String {
    let of_message = state.messages.get(&number).and_then(|one| one.properties.get(SEARCH_KEY_TAG));
    let of_other = state.others.items.get(&number).and_then(|one| one.fields.get(SEARCH_KEY));
    let kept = of_message.or(of_other.and_then(Value::as_str));
    kept.map_or_else(
        || {
            let parts = ["search key", &state.mailbox.to_string(), &number.to_string()];
            BASE64.encode(ids::derived(&parts).as_bytes())
        },
        str::to_owned,
    )
}

/// What people call an item.
fn subject(state: &MailboxState, number: u64) -> Option<String> {
    let text = |fields: &Map<String, Value>, name: &str| {
        fields.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    if let Some(message) = state.messages.get(&number) {
        return Some(message.core.subject.to_string());
    }
    if let Some(event) = state.calendars.events.get(&number) {
        return text(&event.details.fields, "subject");
    }
    if let Some(contact) = state.contacts.items.get(&number) {
        return text(&contact.fields, "displayName");
    }
    if let Some(other) = state.others.items.get(&number) {
        return text(&other.fields, "subject").or_else(|| text(&other.fields, "displayName"));
    }
    let mut lists = state.settings.lists.iter();
    text(&lists.find_map(|list| list.tasks.get(&number))?.fields, "title")
}

/// Ids of the extended properties that `$expand` asks for; nothing else can be expanded.
fn expand(desk: &Desk<'_>) -> Result<Vec<String>, GraphError> {
    let mut ids = Vec::new();
    for part in desk.query.get("$expand").into_iter().flat_map(|text| split_top(text, ',')) {
        let more = extended::expanded(part)?.ok_or_else(|| {
            GraphError::bad_request(format!("Parsing $expand failed at '{part}'."))
        })?;
        ids.extend(more);
    }
    Ok(ids)
}

/// The extended properties that were asked for, of those that the lab knows of every item.
fn expanded(state: &MailboxState, item: &Item, wanted: &[String]) -> Option<Value> {
    let value = |id: &String| match id.as_str() {
        SEARCH_KEY_TAG => Some(search_key(state, item.number)),
        "String 0x37" => subject(state, item.number),
        "String 0x1a" => Some(item.class.to_owned()),
        _ => None,
    };
    let found = wanted.iter().filter_map(|id| Some(json!({ "id": id, "value": value(id)? })));
    let found: Vec<Value> = found.collect();
    // An item that has none of them comes without the property.
    (!found.is_empty()).then(|| json!(found))
}

/// `GET …/items`
pub(super) fn list(desk: &Desk<'_>, folder: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$top", "$skip", "$filter", "$expand", "$orderby", "$count"])?;
    let (selection, wanted) = (select(desk)?, expand(desk)?);
    let tests = desk.query.get("$filter").map(tests).transpose()?.unwrap_or_default();
    if desk.query.get("$orderby").is_some_and(|o| !o.eq_ignore_ascii_case("createdDateTime desc")) {
        return Err(GraphError::bad_request("The sort order is not supported."));
    }
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let seen = folders::find(&state, folder)?;
    let all = numbers(&state, &seen).into_iter().filter_map(|number| item(&state, number));
    let mut found: Vec<Item> =
        all.map(|(_, item)| item).filter(|item| tests.iter().all(|t| t.holds(item))).collect();
    found.sort_by_key(|item| std::cmp::Reverse((item.created, item.number)));
    let lines = found.iter().skip(page.skip).take(page.top);
    let lines = lines.map(|item| {
        let mut members = shown(desk, &state, item, &selection);
        members.extend(expanded(&state, item, &wanted).map(|all| (extended::NAME.to_owned(), all)));
        Value::Object(members)
    });
    let lines = lines.collect();
    let path = path(desk, &format!("folders('{folder}')/items"));
    let answer = collection_at(desk, &page, &path, &path, found.len(), lines);
    Ok(Answer { preference_applied: desk.prefer.applied(), ..answer })
}

/// `GET …/items/{id}`
pub(super) fn show(desk: &Desk<'_>, folder: &str, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand"])?;
    let (selection, wanted) = (select(desk)?, expand(desk)?);
    let state = desk.mailbox.read();
    let seen = folders::find(&state, folder)?;
    let found = find(&state, id)?;
    if found.0 != seen.number {
        return Err(GraphError::item_not_found());
    }
    let path = path(desk, &format!("folders('{folder}')/items"));
    let mut members = shown(desk, &state, &found.1, &selection);
    let more = expanded(&state, &found.1, &wanted);
    members.extend(more.map(|all| (extended::NAME.to_owned(), all)));
    Ok(single_at(desk, &path, members, 200))
}

/// The item of an id, and its folder.
pub(super) fn find(state: &MailboxState, id: &str) -> Result<(u64, Item), GraphError> {
    let reference = ids::parse_item_id(state.mailbox, id)
        .ok_or_else(|| crate::graph::calendars::unknown(id))?;
    let found = item(state, reference.item()).ok_or_else(GraphError::item_not_found)?;
    match reference {
        ids::ItemRef::Located { location, .. } if location != found.1.location => {
            Err(GraphError::item_not_found())
        }
        _ => Ok(found),
    }
}

/// `GET …/items/delta`
pub(super) fn changes(desk: &Desk<'_>, folder: &str) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let seen = folders::find(&state, folder)?;
    let start = start(desk, ITEMS ^ seen.number, state.sequence)?;
    let kind = desk.prefer.ids;
    let mut lines: Vec<(u64, Value)> = Vec::new();
    for number in numbers(&state, &seen) {
        let Some((_, item)) = item(&state, number) else { continue };
        if item.changed > start.position || start.held.contains(&item.changed) {
            lines.push((item.changed, Value::Object(shown(desk, &state, &item, PROPERTIES))));
        }
    }
    let mut gone = |change: u64, item: u64, location: u64, entered: u64| {
        if was_seen(&start, change, entered) {
            lines.push((change, removed(&id(&state, kind, item, location))));
        }
    };
    for (change, one) in &state.others.gone {
        if one.folder == seen.number {
            gone(*change, one.item, one.location, one.entered);
        }
    }
    let by_change = match seen.kind {
        Kind::Notes => None,
        Kind::Mail => state.folders.get(&seen.number).map(|folder| &folder.by_change),
        Kind::Contacts => state.contacts.find(seen.number).map(|folder| &folder.by_change),
        Kind::Calendar => {
            for (change, one) in &state.calendars.gone {
                if one.calendar == seen.number {
                    gone(*change, one.item, one.location, one.entered);
                }
            }
            None
        }
        Kind::Tasks => {
            if let Some(list) = state.settings.list(seen.number) {
                for (change, (number, entered)) in &list.gone {
                    gone(*change, *number, *number, *entered);
                }
            }
            None
        }
    };
    for (change, entry) in by_change.into_iter().flatten() {
        if let Entry::Gone { item: number, location, entered } = *entry {
            let now = item(&state, number).map(|(folder, _)| folder);
            // With immutable ids, what has come back is not gone.
            if now != Some(seen.number) || kind == IdKind::Regular {
                gone(*change, number, location, entered);
            }
        }
    }
    let path = path(desk, &format!("folders/{folder}/items/delta"));
    Ok(plain_delta::answer(
        desk,
        &start,
        Told { path: &path, kind: "mailboxItem", lines, sequence: state.sequence },
    ))
}

fn shown(
    desk: &Desk<'_>,
    state: &MailboxState,
    item: &Item,
    selection: &[&str],
) -> Map<String, Value> {
    let key = item.change_key(state);
    let mut members = Map::new();
    members.insert("@odata.type".into(), json!("#microsoft.graph.mailboxItem"));
    members.insert("@odata.etag".into(), json!(format!("W/\"{key}\"")));
    members.insert("id".into(), json!(item.id(state, desk.prefer.ids)));
    for name in selection {
        let value = match *name {
            "createdDateTime" => json!(clock::iso(item.created)),
            "lastModifiedDateTime" => json!(clock::iso(item.modified)),
            "changeKey" => json!(key),
            "categories" => item.categories.clone(),
            "type" => json!(item.class),
            _ => json!(item.size),
        };
        members.insert((*name).to_owned(), value);
    }
    members
}

fn select(desk: &Desk<'_>) -> Result<Vec<&'static str>, GraphError> {
    let Some(select) = desk.query.get("$select") else { return Ok(PROPERTIES.to_vec()) };
    let mut selection = Vec::new();
    for name in select.split(',').map(str::trim).filter(|name| !name.eq_ignore_ascii_case("id")) {
        let known = PROPERTIES.iter().find(|known| known.eq_ignore_ascii_case(name));
        selection.push(*known.ok_or_else(|| {
            GraphError::bad_request(format!(
                "Could not find a property named '{name}' on type 'microsoft.graph.mailboxItem'."
            ))
        })?);
    }
    Ok(selection)
}

/// A clause of a `$filter`: when an item was made or changed, or its class.
enum Test {
    Time { created: bool, operator: String, at: i64 },
    Class(String),
}

impl Test {
    fn holds(&self, item: &Item) -> bool {
        match self {
            Self::Class(class) => item.class == class,
            Self::Time { created, operator, at } => {
                let is = if *created { item.created } else { item.modified };
                match operator.as_str() {
                    "ge" => is >= *at,
                    "gt" => is > *at,
                    "le" => is <= *at,
                    "lt" => is < *at,
                    _ => is == *at,
                }
            }
        }
    }
}

fn tests(filter: &str) -> Result<Vec<Test>, GraphError> {
    let test = |one: &Comparison| {
        // A day alone is its beginning.
        let time = clock::parse_rfc3339(&one.value)
            .or_else(|| clock::parse_rfc3339(&format!("{}T00:00:00Z", one.value)))
            .map(|at| at.unix_timestamp());
        let created = one.property == "createdDateTime";
        match (one.property.as_str(), one.operator.as_str(), time) {
            ("type", "eq", _) => Some(Test::Class(one.value.clone())),
            (
                "createdDateTime" | "lastModifiedDateTime",
                operator @ ("ge" | "gt" | "le" | "lt" | "eq"),
                Some(at),
            ) => Some(Test::Time { created, operator: operator.to_owned(), at }),
            _ => None,
        }
    };
    comparisons(filter)?.iter().map(test).collect::<Option<_>>().ok_or_else(|| {
        GraphError::new(
            400,
            "ErrorInvalidUrlQueryFilter",
            format!("The query filter contains one or more invalid nodes: '{filter}'."),
        )
    })
}
