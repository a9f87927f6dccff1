//! Mail folders.

use serde_json::Value;

use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::json::Json;
use super::select::Selection;
use super::users::encode;
use super::{Desk, render};
use crate::ids;
use crate::state::{Folder, MailboxState, ROOT, WellKnown};

/// Folders on a page when nobody asks for more.
const PAGE: usize = 10;
const LARGEST_PAGE: usize = 1000;
const LONGEST_NAME: usize = 255;

/// The folder that a URL names by id or role.
pub(super) fn find(state: &MailboxState, name: &str) -> Result<u64, GraphError> {
    let number = match WellKnown::parse(name) {
        Some(role) => state.well_known(role),
        None => match ids::parse_folder_id(state.mailbox, name) {
            Some(number) => state.folders.contains_key(&number).then_some(number),
            None => {
                return Err(GraphError::new(400, "ErrorInvalidIdMalformed", "Id is malformed."));
            }
        },
    };
    number.ok_or_else(GraphError::item_not_found)
}

/// `GET …/mailFolders` and `…/childFolders`
pub(super) fn list(desk: &Desk<'_>, parent: Option<&String>) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$top", "$skip", "$count", "includehiddenfolders"])?;
    let selection = Selection::folder(desk.query.get("$select"))?;
    let top = desk.query.number("$top", 1..=LARGEST_PAGE)?.or(desk.prefer.page).unwrap_or(PAGE);
    let top = top.min(LARGEST_PAGE);
    let skip = desk.query.number("$skip", 0..=usize::MAX)?.unwrap_or(0);
    let state = desk.mailbox.read();
    let at = parent.map_or(Ok(ROOT), |name| find(&state, name))?;
    // Graph: "Include hidden folders in the response".
    let hidden_too = desk.query.get("includehiddenfolders") == Some("true");
    let mut found: Vec<(u64, &Folder)> =
        state.children(at).filter(|(_, folder)| hidden_too || !folder.unlisted).collect();
    found.sort_by_key(|(_, folder)| folder.name.to_lowercase());
    let path = match parent {
        None => format!("users/{}/mailFolders", desk.mailbox.id),
        Some(_) => format!(
            "users/{}/mailFolders/{}/childFolders",
            desk.mailbox.id,
            ids::folder_id(state.mailbox, at)
        ),
    };
    let mut json = Json::with_capacity(4096);
    json.object(|json| {
        let context = format!(
            "{}{}",
            path.replacen("users/", "users('", 1).replacen("/mailFolders", "')/mailFolders", 1),
            selection.context()
        );
        json.member("@odata.context", &desk.base.context(&context));
        if desk.query.get("$count") == Some("true") {
            json.member("@odata.count", &found.len());
        }
        if found.len() > skip.saturating_add(top) {
            let mut link = desk.base.url(&format!("{path}?"));
            if let Some(select) = desk.query.get("$select") {
                link.push_str(&format!("%24select={}&", encode(select)));
            }
            if desk.query.get("$top").is_some() {
                link.push_str(&format!("%24top={top}&"));
            }
            if hidden_too {
                link.push_str("includeHiddenFolders=true&");
            }
            link.push_str(&format!("%24skip={}", skip + top));
            json.member("@odata.nextLink", &link);
        }
        json.key("value").array(|json| {
            for (number, folder) in found.iter().skip(skip).take(top) {
                json.object(|json| render::folder(json, &state, selection, *number, folder));
            }
        });
    });
    Ok(Answer::json(json.finish()))
}

/// `GET …/mailFolders/{id}`
pub(super) fn show(desk: &Desk<'_>, name: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select"])?;
    let selection = Selection::folder(desk.query.get("$select"))?;
    let state = desk.mailbox.read();
    let number = find(&state, name)?;
    entity(desk, &state, selection, number, 200)
}

/// `POST …/mailFolders` and `…/childFolders`
pub(super) fn create(
    desk: &Desk<'_>,
    parent: Option<&String>,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let body = object(body)?;
    known(&body, &["displayName", "isHidden", "@odata.type"])?;
    let name = display_name(&body)?;
    let hidden = match body.get("isHidden") {
        None => false,
        Some(Value::Bool(hidden)) => *hidden,
        Some(_) => return Err(GraphError::bad_request("The property 'isHidden' is a Boolean.")),
    };
    let mut state = desk.mailbox.write();
    let at = parent.map_or(Ok(ROOT), |name| find(&state, name))?;
    let number = match hidden {
        true => state.create_hidden_folder(at, &name)?,
        false => state.create_folder(at, &name)?,
    };
    let selection = Selection::folder(None)?;
    let mut answer = entity(desk, &state, selection, number, 201)?;
    answer.location = Some(desk.base.url(&format!(
        "users/{}/mailFolders/{}",
        desk.mailbox.id,
        ids::folder_id(state.mailbox, number)
    )));
    Ok(answer)
}

/// `PATCH …/mailFolders/{id}`
pub(super) fn rename(desk: &Desk<'_>, folder: &str, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let body = object(body)?;
    known(&body, &["displayName", "@odata.type"])?;
    let name = display_name(&body)?;
    let mut state = desk.mailbox.write();
    let number = find(&state, folder)?;
    state.rename_folder(number, &name)?;
    entity(desk, &state, Selection::folder(None)?, number, 200)
}

/// `DELETE …/mailFolders/{id}`
pub(super) fn delete(desk: &Desk<'_>, folder: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let number = find(&state, folder)?;
    state.delete_folder(number, desk.now)?;
    Ok(Answer::no_content())
}

/// `POST …/mailFolders/{id}/move`
pub(super) fn relocate(desk: &Desk<'_>, folder: &str, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let number = find(&state, folder)?;
    let to = find(&state, &destination(body)?)?;
    state.move_folder(number, to)?;
    // The answer to an action that makes nothing new, but Graph documents 201 here.
    entity(desk, &state, Selection::folder(None)?, number, 201)
}

fn entity(
    desk: &Desk<'_>,
    state: &MailboxState,
    selection: Selection,
    number: u64,
    status: u16,
) -> Result<Answer, GraphError> {
    let folder = state.folders.get(&number).ok_or_else(GraphError::item_not_found)?;
    let mut json = Json::with_capacity(512);
    json.object(|json| {
        let of = format!("users('{}')/mailFolders{}/$entity", desk.mailbox.id, selection.context());
        json.member("@odata.context", &desk.base.context(&of));
        render::folder(json, state, selection, number, folder);
    });
    Ok(Answer::status(status, Content::Json(json.finish())))
}

/// The JSON object of a request's body.
pub(super) fn object(body: &[u8]) -> Result<serde_json::Map<String, Value>, GraphError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(GraphError::bad_request("Unable to read JSON request payload.")),
    }
}

/// Refuses members that are not among `names`.
pub(super) fn known(
    body: &serde_json::Map<String, Value>,
    names: &[&str],
) -> Result<(), GraphError> {
    match body.keys().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(GraphError::bad_request(format!(
            "The property '{key}' does not exist or cannot be set here. Make sure to only use property \
             names that are defined by the type."
        ))),
    }
}

/// `destinationId` of a move.
pub(super) fn destination(body: &[u8]) -> Result<String, GraphError> {
    let body = object(body)?;
    known(&body, &["destinationId", "DestinationId"])?;
    body.values()
        .next()
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| GraphError::bad_request("The parameter 'destinationId' is required."))
}

pub(super) fn display_name(body: &serde_json::Map<String, Value>) -> Result<String, GraphError> {
    body.get("displayName")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty() && name.chars().count() <= LONGEST_NAME)
        .map(str::to_owned)
        .ok_or_else(|| {
            GraphError::new(
                400,
                "ErrorInvalidArgument",
                "The folder's display name is missing or too long.",
            )
        })
}
