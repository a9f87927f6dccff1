//! Contacts (<https://learn.microsoft.com/graph/api/resources/contact>).

mod delta;
mod folders;
mod input;
mod photo;
mod render;

use serde_json::{Map, Value, json};

use super::Desk;
use super::answer::Answer;
use super::calendars::unknown;
use super::errors::GraphError;
use super::extended::{self, Filter};
use super::folders::object;
use super::page::{Page, collection, single};
use super::personal::Personal;
use super::query::{Comparison, comparisons, split_top};
use super::select::Selection;
use crate::clock;
use crate::ids::{self, ItemRef};
use crate::operation::Operation;
use crate::state::{Contact, DEFAULT_CONTACTS, ExtendedProperties, IdKind, MailboxState, Place};
use uuid::Uuid;

/// Answers what is asked of contacts and their folders.
pub(super) fn answer(
    desk: &Desk<'_>,
    operation: Operation,
    what: &Personal,
    content_type: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    use Operation as Op;
    match (operation, what) {
        (Op::ContactFoldersDelta, _) => delta::folders(desk),
        (_, Personal::ContactFolders(parent)) => {
            folders::many(desk, operation, parent.as_deref(), body)
        }
        (_, Personal::ContactFolder(id)) => folders::one(desk, operation, id, body),
        (Op::ContactsList, Personal::Contacts(folder)) => list(desk, folder.as_deref()),
        (Op::ContactCreate, Personal::Contacts(folder)) => create(desk, folder.as_deref(), body),
        (_, Personal::ContactsDelta(folder)) => delta::contacts(desk, folder),
        (Op::ContactPatch, Personal::Contact(folder, id)) => {
            patch(desk, folder.as_deref(), id, body)
        }
        (Op::ContactDelete, Personal::Contact(folder, id)) => {
            desk.query.allow(&[])?;
            let mut state = desk.mailbox.write();
            let (item, _) = find(&state, folder.as_deref(), id)?;
            state.delete_contact(item)?;
            Ok(Answer::no_content())
        }
        (_, Personal::Contact(folder, id)) => show(desk, folder.as_deref(), id),
        (Op::ContactPhotoPut, Personal::Photo(folder, id, _)) => {
            photo::put(desk, folder.as_deref(), id, content_type, body)
        }
        (_, Personal::Photo(folder, id, value)) => photo::show(
            desk,
            folder.as_deref(),
            id,
            if *value { photo::What::Bytes } else { photo::What::Facts },
        ),
        _ => Err(GraphError::bad_request("The request URI is not valid.")),
    }
}

/// The contact of an id, in the folder that the URL names if it does.
fn find<'s>(
    state: &'s MailboxState,
    folder: Option<&str>,
    id: &str,
) -> Result<(u64, &'s Contact), GraphError> {
    let reference = ids::parse_item_id(state.mailbox, id).ok_or_else(|| unknown(id))?;
    let item = reference.item();
    let contact = state.contacts.items.get(&item).ok_or_else(GraphError::item_not_found)?;
    let stale = matches!(reference, ItemRef::Located { location, .. }
        if location != contact.place.location);
    let elsewhere = match folder {
        Some(folder) => folder_number(state, folder)? != contact.place.folder,
        None => false,
    };
    if stale || elsewhere { Err(GraphError::item_not_found()) } else { Ok((item, contact)) }
}

/// The contact folder of an id, or of its role.
fn folder_number(state: &MailboxState, id: &str) -> Result<u64, GraphError> {
    if id.eq_ignore_ascii_case("contacts") {
        return Ok(DEFAULT_CONTACTS);
    }
    let number = ids::parse_folder_id(state.mailbox, id).ok_or_else(|| unknown(id))?;
    state.contacts.find(number).map(|folder| folder.number).ok_or_else(GraphError::item_not_found)
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

fn list(desk: &Desk<'_>, folder: Option<&str>) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$top", "$skip", "$filter", "$expand", "$orderby", "$count"])?;
    let selection = Selection::contact(desk.query.get("$select"))?;
    let expand = expand(desk)?;
    let tests = Tests::parse(desk.query.get("$filter"))?;
    let order = order(desk.query.get("$orderby"))?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let number = folder.map_or(Ok(DEFAULT_CONTACTS), |id| folder_number(&state, id))?;
    let mut found: Vec<(u64, &Contact)> = state
        .contacts
        .items
        .iter()
        .filter(|(_, contact)| contact.place.folder == number && tests.hold(contact))
        .map(|(item, contact)| (*item, contact))
        .collect();
    if let Some((name, descending)) = order {
        found.sort_by_key(|(_, contact)| {
            contact.fields.get(name).and_then(Value::as_str).unwrap_or_default().to_lowercase()
        });
        if descending {
            found.reverse();
        }
    }
    let lines: Vec<Value> = found
        .iter()
        .skip(page.skip)
        .take(page.top)
        .map(|(item, contact)| {
            Value::Object(render::contact(
                desk.mailbox.id,
                desk.prefer.ids,
                selection,
                &expand,
                *item,
                contact,
            ))
        })
        .collect();
    let path = match folder {
        None => "contacts".to_owned(),
        Some(_) => format!("contactFolders/{}/contacts", ids::folder_id(state.mailbox, number)),
    };
    let answer = collection(desk, &page, &path, &selection.context(), found.len(), lines);
    Ok(Answer { preference_applied: desk.prefer.applied(), ..answer })
}

fn show(desk: &Desk<'_>, folder: Option<&str>, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand"])?;
    let selection = Selection::contact(desk.query.get("$select"))?;
    let expand = expand(desk)?;
    let state = desk.mailbox.read();
    let (item, contact) = find(&state, folder, id)?;
    Ok(entity(desk, selection, &expand, item, contact, 200))
}

fn entity(
    desk: &Desk<'_>,
    selection: Selection,
    expand: &[String],
    item: u64,
    contact: &Contact,
    status: u16,
) -> Answer {
    let members =
        render::contact(desk.mailbox.id, desk.prefer.ids, selection, expand, item, contact);
    let answer = single(desk, "contacts", &selection.context(), members, status);
    Answer { preference_applied: desk.prefer.applied(), ..answer }
}

fn create(desk: &Desk<'_>, folder: Option<&str>, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let body = object(body)?;
    let mut fields = Map::new();
    input::apply(&body, &mut fields)?;
    input::derive_names(&mut fields);
    let mut properties = ExtendedProperties::default();
    for (id, value) in extended::given(&body)? {
        properties.set(&id, &value)?;
    }
    let mut state = desk.mailbox.write();
    let number = match (folder, body.get("parentFolderId").and_then(Value::as_str)) {
        (Some(id), _) | (None, Some(id)) => folder_number(&state, id)?,
        (None, None) => DEFAULT_CONTACTS,
    };
    let item = state.add_contact(number, fields, properties, desk.now)?;
    let contact = state.contacts.items.get(&item).ok_or_else(GraphError::item_not_found)?;
    Ok(entity(desk, Selection::contact(None)?, &[], item, contact, 201))
}

fn patch(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let body = object(body)?;
    if body.contains_key("parentFolderId") {
        return Err(GraphError::new(
            400,
            "ErrorInvalidPropertySet",
            "The property 'parentFolderId' is read-only and cannot be set.",
        ));
    }
    let given = extended::given(&body)?;
    let mut state = desk.mailbox.write();
    let (item, contact) = find(&state, folder, id)?;
    // Tried on a copy first: a change that is refused must change nothing.
    let (mut fields, mut properties) = (contact.fields.clone(), contact.properties.clone());
    input::apply(&body, &mut fields)?;
    for (id, value) in given {
        properties.set(&id, &value)?;
    }
    state.change_contact(item, desk.now, |contact| {
        contact.fields = fields;
        contact.properties = properties;
    })?;
    let contact = state.contacts.items.get(&item).ok_or_else(GraphError::item_not_found)?;
    Ok(entity(desk, Selection::contact(None)?, &[], item, contact, 200))
}

/// A `$filter`.
enum Tests {
    Extended(Filter),
    Address(String),
    All(Vec<Comparison>),
}

impl Tests {
    fn parse(filter: Option<&str>) -> Result<Self, GraphError> {
        const PREFIX: &str = "emailAddresses/any(";
        let Some(filter) = filter else { return Ok(Self::All(Vec::new())) };
        if let Some(filter) = Filter::parse(filter)? {
            return Ok(Self::Extended(filter));
        }
        let refuse = || {
            GraphError::new(
                400,
                "ErrorInvalidUrlQueryFilter",
                format!("The query filter contains one or more invalid nodes: '{filter}'."),
            )
        };
        if filter.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
            let inner = filter[PREFIX.len()..].strip_suffix(')').and_then(|i| i.split_once(':'));
            let all = comparisons(inner.ok_or_else(refuse)?.1.trim())?;
            return match all.as_slice() {
                [one] if one.property.ends_with("/address") && one.operator == "eq" => {
                    Ok(Self::Address(one.value.to_lowercase()))
                }
                _ => Err(refuse()),
            };
        }
        let all = comparisons(filter)?;
        let known = |one: &Comparison| match one.property.as_str() {
            "displayName" | "givenName" | "surname" | "companyName" | "fileAs" => {
                one.operator == "eq"
            }
            "createdDateTime" | "lastModifiedDateTime" => {
                clock::parse_rfc3339(&one.value).is_some()
                    && matches!(one.operator.as_str(), "ge" | "gt" | "le" | "lt" | "eq")
            }
            _ => false,
        };
        if all.iter().all(known) { Ok(Self::All(all)) } else { Err(refuse()) }
    }

    fn hold(&self, contact: &Contact) -> bool {
        let all = match self {
            Self::Extended(filter) => return filter.holds(contact.properties.get(&filter.id)),
            Self::Address(wanted) => {
                let list = contact.fields.get("emailAddresses").and_then(Value::as_array);
                return list.into_iter().flatten().any(|one| {
                    one["address"].as_str().is_some_and(|at| at.to_lowercase() == *wanted)
                });
            }
            Self::All(all) => all,
        };
        all.iter().all(|one| {
            let is = match one.property.as_str() {
                "createdDateTime" => contact.created,
                "lastModifiedDateTime" => contact.modified,
                name => return contact.fields.get(name) == Some(&json!(one.value)),
            };
            let wanted = clock::parse_rfc3339(&one.value).map_or(0, |at| at.unix_timestamp());
            match one.operator.as_str() {
                "eq" => is == wanted,
                "ge" => is >= wanted,
                "gt" => is > wanted,
                "le" => is <= wanted,
                _ => is < wanted,
            }
        })
    }
}

/// `$orderby`: a property, and whether the last comes first.
fn order(order: Option<&str>) -> Result<Option<(&'static str, bool)>, GraphError> {
    const KNOWN: &[&str] = &["displayName", "surname", "givenName", "companyName", "fileAs"];
    let Some(order) = order else { return Ok(None) };
    let (name, direction) = order.split_once(' ').unwrap_or((order, "asc"));
    let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name));
    match (known, direction.to_lowercase().as_str()) {
        (Some(name), direction @ ("asc" | "desc")) => Ok(Some((name, direction == "desc"))),
        _ => Err(GraphError::bad_request(format!("The sort order '{order}' is not supported."))),
    }
}

/// A contact that is attached to another item, as Graph shows it there: it has no id.
pub(super) fn attached(
    body: &Map<String, Value>,
    now: i64,
) -> Result<Map<String, Value>, GraphError> {
    let mut fields = Map::new();
    input::apply(body, &mut fields)?;
    input::derive_names(&mut fields);
    let place = Place { folder: DEFAULT_CONTACTS, location: 0, entered: 0 };
    let properties = ExtendedProperties::default();
    let contact =
        Contact { place, changed: 0, created: now, modified: now, fields, photo: None, properties };
    let mut shown = everything(Uuid::nil(), 0, &contact);
    for name in ["@odata.etag", "changeKey", "parentFolderId"] {
        shown.remove(name);
    }
    shown.insert("@odata.type".into(), json!("#microsoft.graph.contact"));
    shown.insert("id".into(), json!(""));
    Ok(shown)
}

/// All properties of a contact.
pub(crate) fn everything(mailbox: Uuid, item: u64, contact: &Contact) -> Map<String, Value> {
    let Ok(all) = Selection::contact(None) else { return Map::new() };
    render::contact(mailbox, IdKind::Immutable, all, &[], item, contact)
}
