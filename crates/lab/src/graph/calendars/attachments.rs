//! Attachments of events (<https://learn.microsoft.com/graph/api/event-post-attachments>).

use serde_json::Value;

use super::events::find;
use super::invite::{self, Notice, What};
use super::render::{self, attachment_id};
use super::write;
use crate::compose::Attachment;
use crate::graph::Desk;
use crate::graph::answer::{Answer, Content};
use crate::graph::attached;
use crate::graph::errors::GraphError;
use crate::graph::folders::object;
use crate::graph::page::{Page, collection, single};
use crate::graph::personal::In;
use crate::state::{Aspect, Attached, Event};

/// A larger one needs an upload session.
const LARGEST: usize = 3 * 1024 * 1024;

/// `GET …/attachments`. With `$select` without `contentBytes`, without these.
pub(super) fn list(desk: &Desk<'_>, place: &In, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand", "$top", "$skip", "$count"])?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let (_, event, aspect) = find(&state, place, id)?;
    let all = event.attachments(aspect);
    let lines: Result<Vec<Value>, GraphError> =
        all.iter().skip(page.skip).take(page.top).map(|one| selected(desk, one)).collect();
    Ok(collection(desk, &page, &format!("events/{id}/attachments"), "", all.len(), lines?))
}

/// `GET …/attachments/{id}`
pub(super) fn show(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    attachment: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand"])?;
    let state = desk.mailbox.read();
    let (_, event, aspect) = find(&state, place, id)?;
    let found = event.attachments(aspect).iter().find(|one| attachment_id(one) == attachment);
    let shown = selected(desk, found.ok_or_else(GraphError::item_not_found)?)?;
    let members = shown.as_object().cloned().unwrap_or_default();
    Ok(single(desk, &format!("events/{id}/attachments"), "", members, 200))
}

/// `GET …/attachments/{id}/$value`: the file, or an attached item as a file.
pub(super) fn value(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    attachment: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let state = desk.mailbox.read();
    let (_, event, aspect) = find(&state, place, id)?;
    let found = event.attachments(aspect).iter().find(|one| attachment_id(one) == attachment);
    let (kind, bytes) = attached::file(found.ok_or_else(GraphError::item_not_found)?.file.clone())?;
    Ok(Answer::status(200, Content::File(kind, bytes)))
}

/// `POST …/attachments`
pub(super) fn create(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let file = attached::read(&Value::Object(object(body)?), &desk.base, desk.now)?;
    if file.bytes.len() >= LARGEST {
        return Err(GraphError::new(
            413,
            "ErrorMessageSizeExceeded",
            "The attachment is too large: 3 MB and more need an upload session.",
        ));
    }
    let made = add(desk, place, id, file)?;
    let shown = render::attachment(&made, desk.base.is_beta());
    let members = shown.as_object().cloned().unwrap_or_default();
    Ok(single(desk, &format!("events/{id}/attachments"), "", members, 201))
}

/// Attaches a file, whatever its size.
pub(super) fn add(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    file: Attachment,
) -> Result<Attached, GraphError> {
    let mut made = None;
    change(desk, place, id, |all| {
        let all = write::numbered(&all, &[file], desk.now);
        made = all.last().cloned();
        Ok(all)
    })?;
    made.ok_or_else(GraphError::item_not_found)
}

/// `DELETE …/attachments/{id}`
pub(super) fn delete(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    attachment: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    change(desk, place, id, |mut all| {
        let before = all.len();
        all.retain(|one| attachment_id(one) != attachment);
        if all.len() == before { Err(GraphError::item_not_found()) } else { Ok(all) }
    })?;
    Ok(Answer::no_content())
}

/// Changes the list of attachments of an event; an occurrence becomes an exception.
fn change(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    change: impl FnOnce(Vec<Attached>) -> Result<Vec<Attached>, GraphError>,
) -> Result<(), GraphError> {
    let mut state = desk.mailbox.write();
    let (item, event, aspect) = find(&state, place, id)?;
    let mut event: Event = event.clone();
    let all = change(event.attachments(aspect).to_vec())?;
    match aspect {
        Aspect::Whole => event.attachments = all,
        Aspect::Occurrence(date) => {
            let mut exception = write::exception_of(&event, date, desk.now);
            exception.attachments = Some(all);
            event.exceptions.insert(date, exception);
        }
    }
    let notices = Notice::of(desk, &event, aspect, What::Update);
    state.change_event(item, aspect, desk.now, |there| *there = event)?;
    drop(state);
    invite::send(desk, notices);
    Ok(())
}

/// An attachment with what `$select` names, with everything when there is none.
fn selected(desk: &Desk<'_>, one: &Attached) -> Result<Value, GraphError> {
    let mut all = render::attachment(one, desk.base.is_beta());
    if attached::wants_items(desk.query.get("$expand"))?
        && let Some(item) = attached::item(desk.mailbox.id, &one.file, one.modified)
    {
        all["item"] = item;
    }
    let Some(select) = desk.query.get("$select") else { return Ok(all) };
    let names: Vec<&str> = select.split(',').map(str::trim).collect();
    if let Some(unknown) = names.iter().find(|name| all.get(**name).is_none()) {
        return Err(GraphError::new(
            400,
            "RequestBroker--ParseUri",
            format!(
                "Could not find a property named '{unknown}' on type 'microsoft.graph.attachment'."
            ),
        ));
    }
    if let Some(members) = all.as_object_mut() {
        members.retain(|name, _| {
            name.starts_with('@')
                || matches!(name.as_str(), "id" | "item")
                || names.contains(&name.as_str())
        });
    }
    Ok(all)
}
