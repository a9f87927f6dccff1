//! Messages as clients write them in JSON.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::errors::GraphError;
use super::select::extended_id;
use crate::clock;
use crate::compose::{Attachment, Letter};
use crate::state::{Flag, Importance, Message, Party};

type Object = Map<String, Value>;

/// Properties that may be changed on any message.
const ALWAYS: &[&str] = &[
    "isRead",
    "flag",
    "categories",
    "importance",
    "inferenceClassification",
    "singleValueExtendedProperties",
    "@odata.type",
    "@odata.etag",
];

/// Properties that are a message's content: for drafts only.
const CONTENT: &[&str] = &[
    "subject",
    "body",
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "internetMessageId",
    "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
];

/// Only when a message is made.
const CREATION: &[&str] = &["internetMessageHeaders", "attachments"];

/// Properties that a client may read and not write.
const READ_ONLY: &[&str] = &[
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "receivedDateTime",
    "sentDateTime",
    "hasAttachments",
    "bodyPreview",
    "parentFolderId",
    "conversationId",
    "conversationIndex",
    "isDraft",
    "webLink",
    "uniqueBody",
];

/// Whether a change touches content, after everything in it was found to be known.
pub(super) fn touches_content(body: &Object) -> Result<bool, GraphError> {
    check_names(body, false)?;
    Ok(body.keys().any(|key| CONTENT.contains(&key.as_str())))
}

/// Refuses properties that do not exist or cannot be set.
pub(super) fn check_names(body: &Object, creation: bool) -> Result<(), GraphError> {
    for key in body.keys().map(String::as_str) {
        let known = ALWAYS.contains(&key)
            || CONTENT.contains(&key)
            || (creation && CREATION.contains(&key));
        if known {
            continue;
        }
        return Err(if READ_ONLY.contains(&key) {
            GraphError::new(
                400,
                "ErrorInvalidPropertySet",
                format!("The property '{key}' is read-only and cannot be set."),
            )
        } else {
            GraphError::bad_request(format!(
                "The property '{key}' does not exist on type 'microsoft.graph.message'. Make sure to \
                 only use property names that are defined by the type."
            ))
        });
    }
    Ok(())
}

/// Applies what is not content to a message.
pub(super) fn apply_state(body: &Object, message: &mut Message) -> Result<(), GraphError> {
    if let Some(read) = body.get("isRead") {
        message.read = read.as_bool().ok_or_else(|| wrong("isRead"))?;
    }
    if let Some(flag) = body.get("flag") {
        let status = flag.get("flagStatus").and_then(Value::as_str);
        message.flag = status.and_then(Flag::parse).ok_or_else(|| wrong("flag"))?;
    }
    if let Some(categories) = body.get("categories") {
        let names = categories.as_array().ok_or_else(|| wrong("categories"))?;
        let names = names.iter().map(|n| n.as_str().map(Into::into));
        message.categories = names.collect::<Option<_>>().ok_or_else(|| wrong("categories"))?;
    }
    if let Some(importance) = body.get("importance") {
        let name = importance.as_str().and_then(Importance::parse);
        message.importance = name.ok_or_else(|| wrong("importance"))?;
    }
    for (id, value) in extended(body)? {
        apply_extended(message, id, value)?;
    }
    Ok(())
}

fn apply_extended(message: &mut Message, id: String, value: String) -> Result<(), GraphError> {
    match id.as_str() {
        // PidTagMessageFlags: the one way to make a message that is not a draft.
        "Integer 0xe07" | "Long 0xe07" => {
            let flags: u32 = value.parse().map_err(|_| wrong("Integer 0x0E07"))?;
            message.draft = flags & 8 != 0;
            message.read = flags & 1 != 0;
        }
        "SystemTime 0xe06" => {
            let at = clock::parse_rfc3339(&value).ok_or_else(|| wrong("SystemTime 0x0E06"))?;
            message.received = at.unix_timestamp();
        }
        _ => {
            message.properties.retain(|(name, _)| **name != *id);
            message.properties.push((id.into(), value.into()));
        }
    }
    Ok(())
}

/// Normalised ids and values of `singleValueExtendedProperties`.
pub(super) fn extended(body: &Object) -> Result<Vec<(String, String)>, GraphError> {
    let name = "singleValueExtendedProperties";
    let Some(list) = body.get(name) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| wrong(name))?;
    list.iter()
        .map(|entry| {
            let id = entry.get("id").and_then(Value::as_str).ok_or_else(|| wrong(name))?;
            let value = entry.get("value").and_then(Value::as_str).ok_or_else(|| wrong(name))?;
            Ok((extended_id(id)?, value.to_owned()))
        })
        .collect()
}

/// Writes the content properties over a letter.
pub(super) fn apply_content(body: &Object, letter: &mut Letter) -> Result<(), GraphError> {
    let text = |name: &'static str| match body.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(String::new())),
        Some(value) => value.as_str().map(|t| Some(t.to_owned())).ok_or_else(|| wrong(name)),
    };
    if let Some(subject) = text("subject")? {
        letter.subject = subject;
    }
    if let Some(id) = text("internetMessageId")? {
        letter.message_id = id;
    }
    for (name, place) in [("from", &mut letter.from), ("sender", &mut letter.sender)] {
        if let Some(value) = body.get(name) {
            *place = Some(party(value).ok_or_else(|| wrong(name))?);
        }
    }
    for (name, place) in [
        ("toRecipients", &mut letter.to),
        ("ccRecipients", &mut letter.cc),
        ("bccRecipients", &mut letter.bcc),
        ("replyTo", &mut letter.reply_to),
    ] {
        if let Some(value) = body.get(name) {
            let list = value.as_array().ok_or_else(|| wrong(name))?;
            *place = list.iter().map(party).collect::<Option<_>>().ok_or_else(|| wrong(name))?;
        }
    }
    if let Some(content) = body.get("body") {
        let kind = content.get("contentType").and_then(Value::as_str).unwrap_or("text");
        letter.html = match kind.to_lowercase().as_str() {
            "html" => true,
            "text" => false,
            _ => return Err(wrong("body")),
        };
        let text = content.get("content").and_then(Value::as_str);
        letter.body = text.ok_or_else(|| wrong("body"))?.to_owned();
    }
    if let Some(headers) = body.get("internetMessageHeaders") {
        letter.headers = headers
            .as_array()
            .and_then(|list| list.iter().map(header).collect::<Option<_>>())
            .ok_or_else(|| wrong("internetMessageHeaders"))?;
    }
    if let Some(attachments) = body.get("attachments") {
        letter.attachments = attachments
            .as_array()
            .and_then(|list| list.iter().map(attachment).collect::<Option<_>>())
            .ok_or_else(|| wrong("attachments"))?;
    }
    if let Some(importance) = body.get("importance").and_then(Value::as_str) {
        letter.importance = Importance::parse(importance).ok_or_else(|| wrong("importance"))?;
    }
    for (id, value) in extended(body)? {
        if id == "SystemTime 0x39" {
            let at = clock::parse_rfc3339(&value).ok_or_else(|| wrong("SystemTime 0x0039"))?;
            letter.date = at.unix_timestamp();
        }
    }
    Ok(())
}

fn party(value: &Value) -> Option<Party> {
    let address = value.get("emailAddress")?;
    let name = address.get("name").and_then(Value::as_str);
    let plain: String = address
        .get("address")?
        .as_str()?
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect();
    Some(Party { name: name.map(Into::into), address: plain.into() })
}

/// Only fields whose name begins with `x-` may be given.
fn header(value: &Value) -> Option<(String, String)> {
    let name = value.get("name")?.as_str()?;
    let text = value.get("value")?.as_str()?;
    name.get(..2)?.eq_ignore_ascii_case("x-").then(|| (name.to_owned(), text.to_owned()))
}

fn attachment(value: &Value) -> Option<Attachment> {
    if value.get("@odata.type")?.as_str()? != "#microsoft.graph.fileAttachment" {
        return None;
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Attachment {
        name: text("name")?,
        content_type: text("contentType").unwrap_or_else(|| "application/octet-stream".to_owned()),
        content_id: text("contentId"),
        inline: value.get("isInline").and_then(Value::as_bool).unwrap_or(false),
        bytes: BASE64.decode(text("contentBytes")?.as_bytes()).ok()?,
    })
}

fn wrong(name: &str) -> GraphError {
    GraphError::new(
        400,
        "RequestBodyRead",
        format!("The value of the property '{name}' is not of the expected type."),
    )
}
