//! Contact folders.

use serde_json::Value;

use super::{folder_number, render};
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::{display_name, known, object};
use crate::graph::page::{Page, collection, single};
use crate::graph::select::Selection;
use crate::ids;
use crate::operation::Operation;
use crate::state::{ContactFolder, MailboxState, ROOT, Refusal};

/// `…/contactFolders` and `…/childFolders`. The default folder stands in the list of the mailbox.
pub(super) fn many(
    desk: &Desk<'_>,
    operation: Operation,
    parent: Option<&str>,
    body: &[u8],
) -> Result<Answer, GraphError> {
    if operation == Operation::ContactFolderCreate {
        return create(desk, parent, body);
    }
    desk.query.allow(&["$select", "$top", "$skip", "$count"])?;
    let selection = Selection::contact_folder(desk.query.get("$select"))?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let at = above(&state, parent)?;
    let mut found: Vec<&ContactFolder> = state.contacts.children(at).collect();
    found.sort_by_key(|folder| folder.name.to_lowercase());
    let lines: Vec<Value> = found
        .iter()
        .skip(page.skip)
        .take(page.top)
        .map(|folder| Value::Object(render::folder(desk.mailbox.id, selection, folder)))
        .collect();
    let path = match parent {
        None => "contactFolders".to_owned(),
        Some(_) => {
            format!("contactFolders/{}/childFolders", ids::folder_id(desk.mailbox.id, at))
        }
    };
    Ok(collection(desk, &page, &path, &selection.context(), found.len(), lines))
}

/// `…/contactFolders/{id}`
pub(super) fn one(
    desk: &Desk<'_>,
    operation: Operation,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    match operation {
        Operation::ContactFolderPatch => {
            desk.query.allow(&[])?;
            let body = object(body)?;
            known(&body, &["displayName", "@odata.type"])?;
            let name = display_name(&body)?;
            let mut state = desk.mailbox.write();
            let number = folder_number(&state, id)?;
            state.rename_contact_folder(number, &name).map_err(refused)?;
            entity(desk, &state, Selection::contact_folder(None)?, number, 200)
        }
        Operation::ContactFolderDelete => {
            desk.query.allow(&[])?;
            let mut state = desk.mailbox.write();
            let number = folder_number(&state, id)?;
            state.delete_contact_folder(number).map_err(refused)?;
            Ok(Answer::no_content())
        }
        _ => {
            desk.query.allow(&["$select"])?;
            let selection = Selection::contact_folder(desk.query.get("$select"))?;
            let state = desk.mailbox.read();
            let number = folder_number(&state, id)?;
            entity(desk, &state, selection, number, 200)
        }
    }
}

fn create(desk: &Desk<'_>, parent: Option<&str>, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let body = object(body)?;
    known(&body, &["displayName", "parentFolderId", "@odata.type"])?;
    let name = display_name(&body)?;
    let mut state = desk.mailbox.write();
    let at = above(&state, parent)?;
    let number = state.create_contact_folder(at, &name).map_err(refused)?;
    entity(desk, &state, Selection::contact_folder(None)?, number, 201)
}

fn above(state: &MailboxState, parent: Option<&str>) -> Result<u64, GraphError> {
    parent.map_or(Ok(ROOT), |id| folder_number(state, id))
}

fn entity(
    desk: &Desk<'_>,
    state: &MailboxState,
    selection: Selection,
    number: u64,
    status: u16,
) -> Result<Answer, GraphError> {
    let folder = state.contacts.find(number).ok_or_else(GraphError::item_not_found)?;
    let members = render::folder(desk.mailbox.id, selection, folder);
    Ok(single(desk, "contactFolders", &selection.context(), members, status))
}

fn refused(refusal: Refusal) -> GraphError {
    refusal.into()
}
