//! `contacts/delta` and `contactFolders/delta`
//! (<https://learn.microsoft.com/graph/api/contact-delta>): as for messages and their folders.

use serde_json::{Map, Value, json};

use super::{expand, folder_number, render};
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::cursor::Cursor;
use crate::graph::delta::{finished, first, link, page_size, resumed, unfinished};
use crate::graph::errors::GraphError;
use crate::graph::paging::DeltaPage;
use crate::graph::select::Selection;
use crate::ids;
use crate::state::{ContactChange, ContactFolderChange, MailboxState};

const LARGEST_PAGE: usize = 1000;
/// What stands for "all contact folders" in a cursor; no folder has this number.
const FOLDERS: u64 = 0x7fff_0000_0000_0100;

/// `GET …/contactFolders/{id}/contacts/delta`
pub(super) fn contacts(desk: &Desk<'_>, folder: &str) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let number = folder_number(&state, folder)?;
    let start = match resumed(desk, number)? {
        Some(cursor) => cursor,
        None => {
            desk.query.allow(&["$select", "$top", "$expand"])?;
            Cursor {
                selection: Selection::contact(desk.query.get("$select"))?.bits,
                extended: expand(desk)?,
                top: desk.query.number("$top", 1..=LARGEST_PAGE)?,
                ..first(desk, number, state.sequence)
            }
        }
    };
    let selection = Selection::contact_bits(start.selection);
    let page = contact_page(desk, &state, number, &start);
    let (mailbox, kind) = (desk.mailbox.id, desk.prefer.ids);
    let lines: Vec<Value> = page
        .lines
        .iter()
        .map(|(_, change)| match change {
            ContactChange::Present { item, contact } => {
                let mut members =
                    render::contact(mailbox, kind, selection, &start.extended, *item, contact);
                members.insert("@odata.type".into(), json!("#microsoft.graph.contact"));
                Value::Object(members)
            }
            ContactChange::Gone { item, location, moved } => json!({
                "@odata.type": "#microsoft.graph.contact",
                "id": render::id(mailbox, kind, *item, *location),
                "@removed": { "reason": if *moved { "changed" } else { "deleted" } },
            }),
        })
        .collect();
    let path = format!(
        "users/{mailbox}/contactFolders('{}')/contacts/delta",
        ids::folder_id(mailbox, number)
    );
    let of = format!("Collection(contact){}", selection.context());
    let told = answer(desk, &of, &link(desk, &path, &start, &page), lines);
    Ok(Answer { preference_applied: desk.prefer.applied(), ..told })
}

/// `GET …/contactFolders/delta`
pub(super) fn folders(desk: &Desk<'_>) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let start = match resumed(desk, FOLDERS)? {
        Some(cursor) => cursor,
        None => {
            desk.query.allow(&["$select", "$top"])?;
            Cursor {
                selection: Selection::contact_folder(desk.query.get("$select"))?.bits,
                top: desk.query.number("$top", 1..=LARGEST_PAGE)?,
                ..first(desk, FOLDERS, state.sequence)
            }
        }
    };
    let selection = Selection::contact_folder_bits(start.selection);
    let page = folder_page(desk, &state, &start);
    let mailbox = desk.mailbox.id;
    let lines: Vec<Value> = page
        .lines
        .iter()
        .map(|(_, change)| match change {
            ContactFolderChange::Present(folder) => {
                let mut members = render::folder(mailbox, selection, folder);
                members.insert("@odata.type".into(), json!("#microsoft.graph.contactFolder"));
                Value::Object(members)
            }
            ContactFolderChange::Gone(number) => json!({
                "@odata.type": "#microsoft.graph.contactFolder",
                "id": ids::folder_id(mailbox, *number),
                "@removed": { "reason": "deleted" },
            }),
        })
        .collect();
    let path = format!("users/{mailbox}/contactFolders/delta");
    let of = format!("Collection(contactFolder){}", selection.context());
    Ok(answer(desk, &of, &link(desk, &path, &start, &page), lines))
}

/// As a page of messages is made: with what a fault rule held back before.
fn contact_page<'s>(
    desk: &Desk<'_>,
    state: &'s MailboxState,
    folder: u64,
    start: &Cursor,
) -> DeltaPage<ContactChange<'s>> {
    let size = page_size(desk, start);
    let held = |change: &u64| {
        let mut items = state.contacts.items.iter();
        let (item, contact) =
            items.find(|(_, c)| c.changed == *change && c.place.folder == folder)?;
        Some((Some(*change), ContactChange::Present { item: *item, contact }))
    };
    let mut lines: Vec<_> = start.held.iter().take(size).filter_map(held).collect();
    let due = lines.len();
    let (changes, position, more) =
        state.contact_changes(folder, start.position, start.floor, size - due, desk.prefer.ids);
    lines.extend(changes.into_iter().map(|change| match &change {
        ContactChange::Present { contact, .. } => (Some(contact.changed), change),
        ContactChange::Gone { .. } => (None, change),
    }));
    finished(desk, start, DeltaPage { lines, ..unfinished(start, size, position, more) }, due)
}

/// Folders are few: nothing is held back of them.
fn folder_page<'s>(
    desk: &Desk<'_>,
    state: &'s MailboxState,
    start: &Cursor,
) -> DeltaPage<ContactFolderChange<'s>> {
    let size = page_size(desk, start);
    let (changes, position, more) = state.contact_folder_changes(start.position, start.floor, size);
    let lines = changes.into_iter().map(|change| (None, change)).collect();
    finished(desk, start, DeltaPage { lines, ..unfinished(start, size, position, more) }, 0)
}

fn answer(desk: &Desk<'_>, of: &str, link: &(&'static str, String), lines: Vec<Value>) -> Answer {
    let mut answer = Map::new();
    answer.insert("@odata.context".into(), json!(desk.base.context(of)));
    answer.insert(link.0.into(), json!(link.1));
    answer.insert("value".into(), Value::Array(lines));
    Answer::json(Value::Object(answer).to_string().into_bytes())
}
