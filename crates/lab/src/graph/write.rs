//! Making, changing, moving and deleting of messages.

use std::sync::Arc;

use axum::body::Bytes;
use data_encoding::BASE64_MIME_PERMISSIVE;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answer::Answer;
use super::errors::GraphError;
use super::select::{Expand, Selection};
use super::{Desk, folders, input, messages};
use crate::compose::Letter;
use crate::entra::Grant;
use crate::ids;
use crate::seed::generate::party;
use crate::state::{Core, MailboxState, Message, Natures, SeedMessage, WellKnown};
use input::Occasion;

/// Largest message that a mailbox takes: 150 MB of attachments, encoded.
const LARGEST_MESSAGE: usize = 210 * 1024 * 1024;

/// `POST …/messages`: a draft, unless PidTagMessageFlags says otherwise.
pub(super) fn create(
    desk: &Desk<'_>,
    folder: Option<&str>,
    content_type: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_lowercase();
    let mut natures = Natures::default();
    let (core, fields) = match kind.as_str() {
        "text/plain" => (from_mime(body)?, Map::new()),
        "application/json" => {
            let fields = folders::object(body)?;
            input::check_names(&fields, Occasion::Creation)?;
            let letter = from_json(desk, &fields)?;
            natures.remember(&letter.attachments);
            (Arc::new(Core::parse(Bytes::from(letter.mime()), None)), fields)
        }
        _ => {
            return Err(GraphError::new(
                415,
                "UnsupportedMediaType",
                "The content type must be application/json, or text/plain for MIME.",
            ));
        }
    };
    let mut state = desk.mailbox.write();
    let at = match folder {
        Some(name) => folders::find(&state, name)?,
        None => state.well_known(WellKnown::Drafts).ok_or_else(GraphError::item_not_found)?,
    };
    let item = state.add(at, new_draft(core), desk.now)?;
    let mut applied = Ok(());
    state.change(item, desk.now, |message| {
        message.received = desk.now;
        message.natures = natures;
        applied = input::apply_state(&fields, message, Occasion::Creation);
        message.receipt_given = message.read;
    })?;
    if let Err(error) = applied {
        state.discard(item);
        return Err(error);
    }
    let mut answer = shown(desk, &state, item, 201)?;
    answer.location = Some(desk.base.url(&format!(
        "users/{}/messages/{}",
        desk.mailbox.id,
        ids::immutable_id(state.mailbox, item)
    )));
    Ok(answer)
}

/// `PATCH …/messages/{id}`
pub(super) fn patch(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let fields = folders::object(body)?;
    let content = input::touches_content(&fields)?;
    let guarded = content || input::touches_times(&fields)?;
    let mut state = desk.mailbox.write();
    let (item, message) = messages::find(&state, folder, id)?;
    if guarded {
        may_change_content(desk.grant, message)?;
    }
    let core = if content {
        let mut letter = letter(&message.core);
        input::apply_content(&fields, &mut letter, &desk.base)?;
        Some(Arc::new(Core::parse(Bytes::from(letter.mime()), None)))
    } else {
        None
    };
    // Tried on a copy first: a change that is refused must change nothing.
    let mut trial = message.clone();
    input::apply_state(&fields, &mut trial, Occasion::Change)?;
    if trial.read && !message.read && trial.gives_receipt(&desk.mailbox.address) {
        desk.shared.counters.receipt();
    }
    state.change(item, desk.now, |message| {
        trial.place = message.place;
        trial.changed = message.changed;
        *message = trial;
        if let Some(core) = core {
            message.core = core;
        }
    })?;
    shown(desk, &state, item, 200)
}

/// `POST …/messages/{id}/move`
pub(super) fn relocate(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let destination = folders::destination(body)?;
    let mut state = desk.mailbox.write();
    let (item, _) = messages::find(&state, folder, id)?;
    let to = folders::find(&state, &destination)?;
    state.relocate(item, to, desk.now)?;
    shown(desk, &state, item, 201)
}

/// `DELETE …/messages/{id}`
pub(super) fn delete(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let (item, _) = messages::find(&state, folder, id)?;
    state.delete(item, desk.now)?;
    Ok(Answer::no_content())
}

/// `POST …/messages/{id}/permanentDelete`
pub(super) fn permanent_delete(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let (item, _) = messages::find(&state, folder, id)?;
    state.purge(item, desk.now)?;
    Ok(Answer::no_content())
}

/// Content of a message that is no draft is not for everybody to change: Exchange Online asks for
/// more rights from 2026-12-31, the lab always
/// (<https://devblogs.microsoft.com/microsoft365dev/graph-api-updates-to-sensitive-email-properties>).
pub(super) fn may_change_content(grant: &Grant, message: &Message) -> Result<(), GraphError> {
    if message.draft || grant.roles.contains("Mail-Advanced.ReadWrite.All") {
        return Ok(());
    }
    Err(GraphError::new(
        403,
        "ErrorAccessDenied",
        "Access is denied. Content of a message that is not a draft cannot be changed. Needed: \
         Mail-Advanced.ReadWrite.All.",
    ))
}

/// A message as it could be written anew. Header fields that nobody asked about stay.
pub(super) fn letter(core: &Core) -> Letter {
    let (kind, body) = core.body();
    Letter {
        from: core.from.clone(),
        sender: core.sender.clone().filter(|sender| Some(sender) != core.from.as_ref()),
        to: core.to.to_vec(),
        cc: core.cc.to_vec(),
        bcc: core.bcc.to_vec(),
        reply_to: core.reply_to.to_vec(),
        subject: core.subject.to_string(),
        message_id: core.message_id.as_deref().unwrap_or_default().to_owned(),
        date: core.sent,
        importance: core.importance,
        read_receipt: core.read_receipt,
        delivery_receipt: core.delivery_receipt,
        transport: core.headers(),
        headers: Vec::new(),
        html: kind == "html",
        body,
        attachments: core.attachments(),
    }
}

/// Gives a message new content, and leaves everything else as it is.
pub(super) fn replace_content(
    state: &mut MailboxState,
    item: u64,
    letter: &Letter,
    now: i64,
) -> Result<(), GraphError> {
    let mime = letter.mime();
    if mime.len() > LARGEST_MESSAGE {
        return Err(GraphError::new(
            400,
            "ErrorMessageSizeExceeded",
            "The message exceeds the maximum supported size.",
        ));
    }
    let core = Arc::new(Core::parse(Bytes::from(mime), None));
    state.change(item, now, |message| message.core = core)?;
    Ok(())
}

fn shown(
    desk: &Desk<'_>,
    state: &MailboxState,
    item: u64,
    status: u16,
) -> Result<Answer, GraphError> {
    let message = state.messages.get(&item).ok_or_else(GraphError::item_not_found)?;
    let selection = Selection::message(None)?;
    Ok(messages::entity(desk, state, selection, &Expand::default(), item, message, status))
}

fn new_draft(core: Arc<Core>) -> SeedMessage {
    SeedMessage { draft: true, ..SeedMessage::new(core) }
}

/// MIME in base64, as one line or several.
pub(super) fn from_mime(body: &[u8]) -> Result<Arc<Core>, GraphError> {
    let mime = BASE64_MIME_PERMISSIVE.decode(body).map_err(|_| {
        GraphError::new(
            400,
            "ErrorMimeContentInvalidBase64String",
            "The MIME content is not valid base64.",
        )
    })?;
    if mime.is_empty() {
        return Err(GraphError::new(400, "ErrorMimeContentInvalid", "The MIME content is empty."));
    }
    Ok(Arc::new(Core::parse(Bytes::from(mime), None)))
}

pub(super) fn from_json(
    desk: &Desk<'_>,
    fields: &Map<String, Value>,
) -> Result<Letter, GraphError> {
    let domain = desk.mailbox.address.rsplit('@').next().unwrap_or("lab.example");
    let owner = party(&desk.mailbox.display_name, &desk.mailbox.address);
    let mut letter = Letter {
        from: Some(owner),
        message_id: format!("<{}@{domain}>", Uuid::new_v4().simple()),
        date: desk.now,
        ..Letter::default()
    };
    input::apply_content(fields, &mut letter, &desk.base)?;
    Ok(letter)
}
