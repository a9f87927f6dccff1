//! Attachments of messages
//! (<https://learn.microsoft.com/graph/api/message-list-attachments>).

use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64URL};
use serde_json::Value;
use uuid::Uuid;

use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::json::Json;
use super::users::encode;
use super::{Desk, attached, folders, messages, write};
use crate::compose::Attachment;
use crate::ids;
use crate::state::{MailboxState, Message};

/// Attachments on a page when nobody asks for more, and at most.
const PAGE: usize = 100;
/// A larger file needs an upload session (Graph: 3 MB).
pub(super) const LARGEST: usize = 3 * 1024 * 1024;
const PROPERTIES: &[&str] = &[
    "lastModifiedDateTime",
    "name",
    "contentType",
    "size",
    "isInline",
    "contentId",
    "contentLocation",
    "contentBytes",
];

/// That many of them are not of files alone.
const OF_ALL: usize = 5;

/// Which properties to show, and whether attached items are to be shown themselves.
#[derive(Clone, Copy)]
struct Shape {
    properties: [bool; PROPERTIES.len()],
    items: bool,
    /// References tell what they are of.
    beta: bool,
}

const ALL: Shape = Shape { properties: [true; PROPERTIES.len()], items: false, beta: false };

/// `GET …/attachments`
pub(super) fn list(desk: &Desk<'_>, folder: Option<&str>, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand", "$top", "$skip", "$count"])?;
    let shape = shape(desk)?;
    let top = desk.query.number("$top", 1..=PAGE)?.or(desk.prefer.page).unwrap_or(PAGE).min(PAGE);
    let skip = desk.query.number("$skip", 0..=usize::MAX)?.unwrap_or(0);
    let state = desk.mailbox.read();
    let (item, message) = messages::find(&state, folder, id)?;
    let found = named(state.mailbox, item, message);
    let mut json = Json::with_capacity(4096);
    json.object(|json| {
        let of = path(desk, &state, item);
        json.member("@odata.context", &desk.base.context(&of));
        if desk.query.get("$count") == Some("true") {
            json.member("@odata.count", &found.len());
        }
        if found.len() > skip.saturating_add(top) {
            let mut link =
                format!("users/{}/messages/{}/attachments?", desk.mailbox.id, encode(id));
            for name in ["$select", "$expand", "$top", "$count"] {
                if let Some(value) = desk.query.get(name) {
                    link.push_str(&format!("%24{}={}&", &name[1..], encode(value)));
                }
            }
            json.member(
                "@odata.nextLink",
                &desk.base.url(&format!("{link}%24skip={}", skip + top)),
            );
        }
        json.key("value").array(|json| {
            for (name, attachment) in found.iter().skip(skip).take(top) {
                json.object(|json| one(json, shape, state.mailbox, message, (name, attachment)));
            }
        });
    });
    Ok(Answer::json(json.finish()))
}

/// `GET …/attachments/{id}`
pub(super) fn show(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    attachment: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand"])?;
    let shape = shape(desk)?;
    let state = desk.mailbox.read();
    let (item, message) = messages::find(&state, folder, id)?;
    let found = find(state.mailbox, item, message, attachment)?;
    Ok(entity(desk, &state, shape, item, message, (attachment, &found), 200))
}

/// `GET …/attachments/{id}/$value`: the file, or an attached item as a file.
pub(super) fn value(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    attachment: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let state = desk.mailbox.read();
    let (item, message) = messages::find(&state, folder, id)?;
    let (kind, bytes) = attached::file(find(state.mailbox, item, message, attachment)?)?;
    Ok(Answer::status(200, Content::File(kind, bytes)))
}

/// `POST …/attachments`
pub(super) fn create(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let wanted = attached::read(&Value::Object(folders::object(body)?), &desk.base, desk.now)?;
    if wanted.bytes.len() > LARGEST {
        return Err(GraphError::new(
            413,
            "RequestEntityTooLarge",
            "The attachment is larger than 3 MB: create an upload session for it.",
        ));
    }
    let mut state = desk.mailbox.write();
    let (item, _) = messages::find(&state, folder, id)?;
    let name = add(desk, &mut state, item, wanted)?;
    let message = state.messages.get(&item).ok_or_else(GraphError::item_not_found)?;
    let found = find(state.mailbox, item, message, &name)?;
    let shape = Shape { beta: desk.base.is_beta(), ..ALL };
    let mut answer = entity(desk, &state, shape, item, message, (&name, &found), 201);
    answer.location = Some(desk.base.url(&format!(
        "users/{}/messages/{}/attachments/{name}",
        desk.mailbox.id,
        ids::immutable_id(state.mailbox, item)
    )));
    Ok(answer)
}

/// `DELETE …/attachments/{id}`
pub(super) fn delete(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    attachment: &str,
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let (item, message) = messages::find(&state, folder, id)?;
    write::may_change_content(desk.grant, message)?;
    let mut left = named(state.mailbox, item, message);
    let before = left.len();
    left.retain(|(name, _)| name != attachment);
    if left.len() == before {
        return Err(GraphError::item_not_found());
    }
    let mut letter = write::letter(&message.core);
    letter.attachments = left.into_iter().map(|(_, attachment)| attachment).collect();
    write::replace_content(&mut state, item, &letter, desk.now)?;
    Ok(Answer::no_content())
}

/// Puts an attachment behind the others; gives its id.
pub(super) fn add(
    desk: &Desk<'_>,
    state: &mut MailboxState,
    item: u64,
    attachment: Attachment,
) -> Result<String, GraphError> {
    let message = state.messages.get(&item).ok_or_else(GraphError::item_not_found)?;
    write::may_change_content(desk.grant, message)?;
    let before: Vec<String> =
        named(state.mailbox, item, message).into_iter().map(|(name, _)| name).collect();
    let mut letter = write::letter(&message.core);
    letter.attachments.push(attachment.clone());
    write::replace_content(state, item, &letter, desk.now)?;
    if let Some(message) = state.messages.get_mut(&item) {
        message.natures.remember(&[attachment]);
    }
    let message = state.messages.get(&item).ok_or_else(GraphError::item_not_found)?;
    named(state.mailbox, item, message)
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| !before.contains(name))
        .ok_or_else(GraphError::item_not_found)
}

/// The attachments of a message that is shown with them.
pub(super) fn array(json: &mut Json, beta: bool, mailbox: Uuid, item: u64, message: &Message) {
    let shape = Shape { beta, ..ALL };
    json.array(|json| {
        for (name, attachment) in named(mailbox, item, message) {
            json.object(|json| one(json, shape, mailbox, message, (&name, &attachment)));
        }
    });
}

/// Attachments with their ids, which depend on what they are and not on what lies beside them.
fn named(mailbox: Uuid, item: u64, message: &Message) -> Vec<(String, Attachment)> {
    let mut seen = Vec::new();
    let attachments = message.attachments().into_iter();
    attachments
        .map(|attachment| {
            let mut context = digest::Context::new(&digest::SHA256);
            context.update(mailbox.as_bytes());
            context.update(&item.to_be_bytes());
            context.update(attachment.name.as_bytes());
            context.update(&[0, u8::from(attachment.inline)]);
            context.update(&attachment.bytes);
            let hash = context.finish();
            let twins = seen.iter().filter(|other: &&Vec<u8>| *other == hash.as_ref()).count();
            seen.push(hash.as_ref().to_vec());
            let mut raw = vec![0x00, 0x03, 0x24, 0x00, 0x46, 0x00];
            raw.extend_from_slice(&item.to_be_bytes());
            raw.extend_from_slice(&hash.as_ref()[..24]);
            raw.push(u8::try_from(twins).unwrap_or(u8::MAX));
            (BASE64URL.encode(&raw), attachment)
        })
        .collect()
}

fn find(
    mailbox: Uuid,
    item: u64,
    message: &Message,
    wanted: &str,
) -> Result<Attachment, GraphError> {
    let found = named(mailbox, item, message).into_iter().find(|(name, _)| name == wanted);
    found.map(|(_, attachment)| attachment).ok_or_else(GraphError::item_not_found)
}

fn path(desk: &Desk<'_>, state: &MailboxState, item: u64) -> String {
    let id = ids::immutable_id(state.mailbox, item);
    format!("users('{}')/messages('{}')/attachments", desk.mailbox.id, encode(&id))
}

fn entity(
    desk: &Desk<'_>,
    state: &MailboxState,
    shape: Shape,
    item: u64,
    message: &Message,
    (name, attachment): (&str, &Attachment),
    status: u16,
) -> Answer {
    let mut json = Json::with_capacity(512 + attachment.bytes.len() * 4 / 3);
    json.object(|json| {
        let of = format!("{}/$entity", path(desk, state, item));
        json.member("@odata.context", &desk.base.context(&of));
        one(json, shape, state.mailbox, message, (name, attachment));
    });
    Answer::status(status, Content::Json(json.finish()))
}

fn one(
    json: &mut Json,
    shape: Shape,
    mailbox: Uuid,
    message: &Message,
    (name, attachment): (&str, &Attachment),
) {
    let kind = attached::kind(attachment);
    let is_file = kind == "fileAttachment";
    json.member("@odata.type", &format!("#microsoft.graph.{kind}"));
    if is_file {
        json.member("@odata.mediaContentType", &attachment.content_type);
    }
    json.member("id", name);
    for (property, _) in PROPERTIES.iter().zip(shape.properties).filter(|(_, shown)| *shown) {
        match *property {
            "lastModifiedDateTime" => json.time(property, message.created),
            "name" => json.member(property, &attachment.name),
            "contentType" if kind == "itemAttachment" => json.key(property).null(),
            "contentType" => json.member(property, &attachment.content_type),
            "size" => json.member(property, &attachment.bytes.len()),
            "isInline" => json.member(property, &attachment.inline),
            "contentId" if is_file => json.member(property, &attachment.content_id),
            "contentLocation" if is_file => json.key(property).null(),
            "contentBytes" if is_file => {
                json.key(property).raw_string(|out| {
                    let start = out.len();
                    out.resize(start + BASE64.encode_len(attachment.bytes.len()), 0);
                    BASE64.encode_mut(&attachment.bytes, &mut out[start..]);
                });
            }
            _ => {}
        }
    }
    for (property, value) in attached::reference(attachment, shape.beta) {
        json.member(&property, &value);
    }
    if shape.items
        && let Some(item) = attached::item(mailbox, attachment, message.created)
    {
        json.member("item", &item);
    }
}

fn shape(desk: &Desk<'_>) -> Result<Shape, GraphError> {
    let mut shape = Shape {
        items: attached::wants_items(desk.query.get("$expand"))?,
        beta: desk.base.is_beta(),
        ..ALL
    };
    let Some(select) = desk.query.get("$select") else { return Ok(shape) };
    shape.properties = [false; PROPERTIES.len()];
    for name in select.split(',').map(str::trim) {
        // What only files have is named with their type.
        let plain = name
            .get(.."microsoft.graph.fileAttachment/".len())
            .filter(|start| start.eq_ignore_ascii_case("microsoft.graph.fileAttachment/"))
            .map_or(name, |start| &name[start.len()..]);
        let at = PROPERTIES.iter().position(|known| known.eq_ignore_ascii_case(plain));
        match at {
            // Not on the type that all attachments have in common.
            Some(at) if at < OF_ALL || plain.len() < name.len() => shape.properties[at] = true,
            None if plain.eq_ignore_ascii_case("id") => {}
            _ => {
                return Err(GraphError::new(
                    400,
                    "RequestBroker--ParseUri",
                    format!(
                        "Could not find a property named '{name}' on type \
                         'microsoft.graph.attachment'."
                    ),
                ));
            }
        }
    }
    Ok(shape)
}
