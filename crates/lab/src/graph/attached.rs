//! Attachments of every kind, of messages and events alike
//! (<https://learn.microsoft.com/graph/api/resources/attachment>): files, items and references.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::errors::GraphError;
use super::json::Json;
use super::query::Prefer;
use super::render::{self, View};
use super::select::{Expand, Selection};
use super::{Base, calendars, contacts, input};
use crate::compose::{Attachment, Letter, MESSAGE, Nature};
use crate::state::{Core, ExtendedProperties, Message, Natures, Place};

type Object = Map<String, Value>;

/// What an attached message shows of itself: it lies in no folder and has no id.
const NESTED: &str = "createdDateTime,lastModifiedDateTime,receivedDateTime,sentDateTime,\
    hasAttachments,internetMessageId,subject,bodyPreview,importance,conversationId,\
    conversationIndex,isDeliveryReceiptRequested,isReadReceiptRequested,isRead,isDraft,\
    internetMessageHeaders,body,sender,from,toRecipients,ccRecipients,bccRecipients,replyTo,flag";
/// What a reference says of itself in the beta; v1.0 tells none of it.
const REFERENCE: &[&str] =
    &["sourceUrl", "providerType", "thumbnailUrl", "previewUrl", "permission", "isFolder"];

/// Reads an attachment in the body of a request.
pub(super) fn read(value: &Value, base: &Base<'_>, now: i64) -> Result<Attachment, GraphError> {
    let refused = || wrong("attachments");
    let given = value.as_object().ok_or_else(refused)?;
    let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = text("@odata.type").ok_or_else(refused)?;
    let own: &[&str] = match kind.trim_start_matches('#') {
        "microsoft.graph.fileAttachment" => &["contentBytes", "contentId", "contentLocation"],
        "microsoft.graph.itemAttachment" => &["item"],
        "microsoft.graph.referenceAttachment" if base.is_beta() => REFERENCE,
        "microsoft.graph.referenceAttachment" => {
            return Err(GraphError::new(
                400,
                "RequestBodyRead",
                "A reference attachment cannot be made in v1.0.",
            ));
        }
        _ => return Err(refused()),
    };
    const COMMON: &[&str] =
        &["@odata.type", "id", "name", "contentType", "isInline", "size", "lastModifiedDateTime"];
    let known = |name: &&String| COMMON.contains(&name.as_str()) || own.contains(&name.as_str());
    if let Some(unknown) = given.keys().find(|name| !known(name)) {
        return Err(GraphError::bad_request(format!(
            "The property '{unknown}' does not exist on type '{kind}'."
        )));
    }
    let (content_type, nature, bytes) = if own.contains(&"contentBytes") {
        let encoded = text("contentBytes").ok_or_else(refused)?;
        let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| refused())?;
        let kind = text("contentType").unwrap_or_else(|| "application/octet-stream".to_owned());
        (kind, Nature::File, bytes)
    } else if own.contains(&"item") {
        item_read(given.get("item").ok_or_else(refused)?, base, now)?
    } else {
        let mut reference = given.clone();
        reference.retain(|name, _| REFERENCE.contains(&name.as_str()));
        let url = text("sourceUrl").filter(|url| !url.is_empty()).ok_or_else(refused)?;
        let kind = text("contentType").unwrap_or_else(|| "application/octet-stream".to_owned());
        (kind, Nature::Reference(Arc::new(json!(reference))), shortcut(&url))
    };
    Ok(Attachment {
        name: text("name").filter(|name| !name.is_empty()).ok_or_else(refused)?,
        content_type,
        content_id: text("contentId"),
        inline: given.get("isInline").and_then(Value::as_bool).unwrap_or(false),
        bytes: bytes.into(),
        nature,
    })
}

/// An attached item: content type, what it is, and what MIME has in its place.
fn item_read(
    item: &Value,
    base: &Base<'_>,
    now: i64,
) -> Result<(String, Nature, Vec<u8>), GraphError> {
    let item = item.as_object().ok_or_else(|| wrong("item"))?;
    let kind = item.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
    let mut body = item.clone();
    body.remove("@odata.type");
    let shown = match kind.trim_start_matches('#') {
        "microsoft.graph.message" => {
            input::check_names(item, input::Occasion::Creation)?;
            let mut letter = Letter { date: now, ..Letter::default() };
            input::apply_content(item, &mut letter, base)?;
            return Ok((MESSAGE.to_owned(), Nature::File, letter.mime()));
        }
        "microsoft.graph.event" => calendars::attached(&body, base, now)?,
        "microsoft.graph.contact" => contacts::attached(&body, now)?,
        _ => {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRequest",
                "An attached item is a message, an event or a contact.",
            ));
        }
    };
    let (content_type, text) = as_file(&shown);
    Ok((content_type.to_owned(), Nature::Item(Arc::new(Value::Object(shown))), text.into_bytes()))
}

/// What an event or contact is in MIME: a file, which says less of it.
pub(crate) fn as_file(item: &Object) -> (&'static str, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let escaped = |text: String| text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "");
    let get = |name: &str| item.get(name).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    if item.get("@odata.type") == Some(&json!("#microsoft.graph.contact")) {
        lines.push("BEGIN:VCARD\r\nPROFILE:VCARD\r\nVERSION:3.0".to_owned());
        lines.push(format!("FN:{}", escaped(text(&get("displayName")))));
        let (surname, given) = (text(&get("surname")), text(&get("givenName")));
        lines.push(format!("N:{};{};;;", escaped(surname), escaped(given)));
        for one in get("emailAddresses").as_array().into_iter().flatten() {
            lines.push(format!("EMAIL:{}", escaped(text(&one["address"]))));
        }
        lines.push(format!("NOTE:{}", escaped(text(&get("personalNotes")))));
        lines.push(format!("REV:{}", text(&get("lastModifiedDateTime"))));
        lines.push("END:VCARD\r\n".to_owned());
        return ("text/vcard", lines.join("\r\n"));
    }
    let time = |name: &str| {
        let digits: String = text(&get(name)["dateTime"]).chars().take(19).collect();
        format!("{}Z", digits.replace(['-', ':'], ""))
    };
    lines.push("BEGIN:VCALENDAR\r\nMETHOD:PUBLISH\r\nVERSION:2.0\r\nBEGIN:VEVENT".to_owned());
    lines.push(format!("UID:{}", text(&get("iCalUId"))));
    lines.push(format!("SUMMARY:{}", escaped(text(&get("subject")))));
    lines.push(format!("DESCRIPTION:{}", escaped(text(&get("body")["content"]))));
    lines.push(format!("DTSTART:{}", time("start")));
    lines.push(format!("DTEND:{}", time("end")));
    lines.push("END:VEVENT\r\nEND:VCALENDAR\r\n".to_owned());
    ("text/calendar", lines.join("\r\n"))
}

/// What a file that lies elsewhere is in MIME.
pub(crate) fn shortcut(url: &str) -> Vec<u8> {
    format!("[InternetShortcut]\r\nURL={url}\r\n").into_bytes()
}

/// The name of an attachment's type.
pub(super) fn kind(attachment: &Attachment) -> &'static str {
    match attachment.nature {
        Nature::File if !attachment.is_message() => "fileAttachment",
        Nature::File | Nature::Item(_) => "itemAttachment",
        Nature::Reference(_) => "referenceAttachment",
    }
}

/// What of a reference is told, which the beta alone does.
pub(super) fn reference(attachment: &Attachment, beta: bool) -> Object {
    match &attachment.nature {
        Nature::Reference(members) if beta => members.as_object().cloned().unwrap_or_default(),
        _ => Map::new(),
    }
}

/// The file of an attachment and its content type. A file that lies elsewhere is not there.
pub(super) fn file(attachment: Attachment) -> Result<(String, Bytes), GraphError> {
    match attachment.nature {
        Nature::File if attachment.is_message() => Ok(("text/plain".to_owned(), attachment.bytes)),
        Nature::File | Nature::Item(_) => Ok((attachment.content_type, attachment.bytes)),
        Nature::Reference(_) => Err(GraphError::new(
            405,
            "ErrorInvalidRequest",
            "The content of a reference attachment cannot be read.",
        )),
    }
}

/// An attached item itself; `None` for a file or a reference.
pub(super) fn item(mailbox: Uuid, attachment: &Attachment, created: i64) -> Option<Value> {
    match &attachment.nature {
        Nature::Item(item) => Some((**item).clone()),
        Nature::File if attachment.is_message() => message(mailbox, &attachment.bytes, created),
        Nature::File | Nature::Reference(_) => None,
    }
}

fn message(mailbox: Uuid, mime: &Bytes, created: i64) -> Option<Value> {
    let core = Arc::new(Core::parse(mime.clone(), None));
    let message = Message {
        place: Place { folder: 0, location: 0, entered: 0 },
        changed: 0,
        read: true,
        draft: false,
        flag: crate::state::Flag::NotFlagged,
        flag_times: None,
        importance: core.importance,
        categories: Vec::new(),
        sent: core.sent,
        received: core.received,
        created,
        modified: created,
        read_receipt: core.read_receipt,
        receipt_given: false,
        delivery_receipt: core.delivery_receipt,
        properties: ExtendedProperties::default(),
        natures: Natures::default(),
        core,
    };
    let selection = Selection::message(Some(NESTED)).ok()?;
    let (expand, prefer) = (Expand::default(), Prefer::default());
    let view = View { mailbox, selection, expand: &expand, prefer, typed: true, beta: false };
    let mut json = Json::with_capacity(2048);
    json.object(|json| {
        json.member("@odata.type", "#microsoft.graph.message");
        json.member("id", "");
        render::properties(json, &view, 0, &message);
    });
    serde_json::from_slice(&json.finish()).ok()
}

/// Whether `$expand` asks for attached items themselves; it can ask for nothing else.
pub(super) fn wants_items(expand: Option<&str>) -> Result<bool, GraphError> {
    match expand {
        None => Ok(false),
        Some(expand) if expand.eq_ignore_ascii_case("microsoft.graph.itemAttachment/item") => {
            Ok(true)
        }
        Some(other) => {
            Err(GraphError::bad_request(format!("Parsing $expand failed at '{other}'.")))
        }
    }
}

fn wrong(name: &str) -> GraphError {
    GraphError::new(
        400,
        "RequestBodyRead",
        format!("The value of the property '{name}' is not of the expected type."),
    )
}
