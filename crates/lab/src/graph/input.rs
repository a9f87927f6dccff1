//! Messages as clients write them in JSON.

use serde_json::{Map, Value};

use super::errors::GraphError;
use super::{Base, attached, extended};
use crate::clock;
use crate::compose::Letter;
use crate::state::{Flag, Importance, Message, Party};

type Object = Map<String, Value>;

/// PidTagTransportMessageHeaders.
pub(super) const TRANSPORT_HEADERS: &str = "String 0x7d";

/// Most header fields that one message may be given.
const MOST_HEADERS: usize = 5;

/// What a client writes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    Creation,
    Change,
}

/// Properties that may be changed on any message.
const ALWAYS: &[&str] = &[
    "isRead",
    "flag",
    "categories",
    "importance",
    "inferenceClassification",
    "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
    "singleValueExtendedProperties",
    "@odata.type",
    "@odata.etag",
];

/// Properties that are a message's content: for drafts only
/// (<https://learn.microsoft.com/graph/api/message-update>).
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
];

/// Only when a message is made.
const CREATION: &[&str] = &["internetMessageHeaders", "attachments"];

/// Properties that a client may read and not write: refused in a change, ignored when a message is
/// made, so that what was read may be sent back.
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
    check_names(body, Occasion::Change)?;
    Ok(body.keys().any(|key| CONTENT.contains(&key.as_str())))
}

/// MAPI properties that say when a message was sent and received, and what it is about.
const GUARDED: &[&str] =
    &["SystemTime 0x39", "SystemTime 0xe06", "String 0x37", "String 0x1000", TRANSPORT_HEADERS];

/// Whether a change touches what is as much a message's as its content, by the names of MAPI.
pub(super) fn touches_times(body: &Object) -> Result<bool, GraphError> {
    Ok(extended::given(body)?.iter().any(|(id, _)| GUARDED.contains(&id.as_str())))
}

/// Refuses properties that do not exist or cannot be set.
pub(super) fn check_names(body: &Object, occasion: Occasion) -> Result<(), GraphError> {
    let creation = occasion == Occasion::Creation;
    for key in body.keys().map(String::as_str) {
        let known = ALWAYS.contains(&key)
            || CONTENT.contains(&key)
            || (creation && (CREATION.contains(&key) || READ_ONLY.contains(&key)));
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
pub(super) fn apply_state(
    body: &Object,
    message: &mut Message,
    occasion: Occasion,
) -> Result<(), GraphError> {
    let truth = |name: &'static str| match body.get(name) {
        None => Ok(None),
        Some(value) => value.as_bool().map(Some).ok_or_else(|| wrong(name)),
    };
    if let Some(wanted) = truth("isReadReceiptRequested")? {
        message.read_receipt = wanted;
    }
    if let Some(wanted) = truth("isDeliveryReceiptRequested")? {
        message.delivery_receipt = wanted;
    }
    if let Some(read) = truth("isRead")? {
        message.read = read;
    }
    if let Some(flag) = body.get("flag") {
        let status = flag.get("flagStatus").and_then(Value::as_str);
        message.flag = status.and_then(Flag::parse).ok_or_else(|| wrong("flag"))?;
        message.flag_times = flag_times(flag)?;
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
    for (id, value) in extended::given(body)? {
        apply_extended(message, &id, &value, occasion)?;
    }
    Ok(())
}

fn apply_extended(
    message: &mut Message,
    id: &str,
    value: &str,
    occasion: Occasion,
) -> Result<(), GraphError> {
    match id {
        // PidTagMessageFlags: the one way to make a message that is not a draft, and only before
        // it is saved for the first time (MS-OXCMSG 2.2.1.6, mfUnsent).
        "Integer 0xe07" | "Long 0xe07" => {
            let flags: u32 = value.parse().map_err(|_| wrong("Integer 0x0E07"))?;
            message.read = flags & 1 != 0;
            if occasion == Occasion::Creation {
                message.draft = flags & 8 != 0;
            }
        }
        "SystemTime 0xe06" => message.received = time(id, value)?,
        "SystemTime 0x39" => message.sent = time(id, value)?,
        // It has become the header of the message.
        TRANSPORT_HEADERS if occasion == Occasion::Creation => {}
        _ => message.properties.set(id, value)?,
    }
    Ok(())
}

fn time(id: &str, value: &str) -> Result<i64, GraphError> {
    clock::parse_rfc3339(value).map(time::OffsetDateTime::unix_timestamp).ok_or_else(|| wrong(id))
}

/// The times of a follow-up flag, as they were given.
fn flag_times(flag: &Value) -> Result<Option<Box<Object>>, GraphError> {
    let mut times = flag.as_object().cloned().unwrap_or_default();
    times.retain(|name, value| name != "flagStatus" && !value.is_null());
    let known = |(name, value): (&String, &Value)| {
        ["startDateTime", "dueDateTime", "completedDateTime"].contains(&name.as_str())
            && value.get("dateTime").is_some_and(Value::is_string)
            && value.get("timeZone").is_some_and(Value::is_string)
    };
    if !times.iter().all(known) {
        return Err(wrong("flag"));
    }
    if times.contains_key("dueDateTime") && !times.contains_key("startDateTime") {
        return Err(GraphError::new(
            400,
            "ErrorInvalidArgument",
            "A flag with a dueDateTime needs a startDateTime.",
        ));
    }
    Ok((!times.is_empty()).then(|| Box::new(times)))
}

/// Writes the content properties over a letter.
pub(super) fn apply_content(
    body: &Object,
    letter: &mut Letter,
    base: &Base<'_>,
) -> Result<(), GraphError> {
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
        let list = headers.as_array().ok_or_else(|| wrong("internetMessageHeaders"))?;
        if list.len() > MOST_HEADERS {
            return Err(GraphError::new(
                400,
                "InvalidInternetMessageHeaderCollection",
                "Maximum number of headers in one message should be less than or equal to 5.",
            ));
        }
        letter.headers = list.iter().map(header).collect::<Result<_, _>>()?;
    }
    if let Some(attachments) = body.get("attachments") {
        let list = attachments.as_array().ok_or_else(|| wrong("attachments"))?;
        let list = list.iter().map(|value| attached::read(value, base, letter.date));
        letter.attachments = list.collect::<Result<_, _>>()?;
    }
    if let Some(importance) = body.get("importance").and_then(Value::as_str) {
        letter.importance = Importance::parse(importance).ok_or_else(|| wrong("importance"))?;
    }
    for (name, place) in [
        ("isReadReceiptRequested", &mut letter.read_receipt),
        ("isDeliveryReceiptRequested", &mut letter.delivery_receipt),
    ] {
        if let Some(value) = body.get(name) {
            *place = value.as_bool().ok_or_else(|| wrong(name))?;
        }
    }
    for (id, value) in extended::given(body)? {
        match id.as_str() {
            "SystemTime 0x39" => letter.date = time(&id, &value)?,
            TRANSPORT_HEADERS => letter.transport = fields(&value),
            _ => {}
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
fn header(value: &Value) -> Result<(String, String), GraphError> {
    let text = |name: &str| {
        value.get(name).and_then(Value::as_str).ok_or_else(|| wrong("internetMessageHeaders"))
    };
    let (name, text) = (text("name")?, text("value")?);
    let extension = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
    if !extension || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        return Err(GraphError::new(
            400,
            "InvalidInternetMessageHeader",
            format!("The internet message header name '{name}' should start with 'x-' or 'X-'."),
        ));
    }
    Ok((name.to_owned(), text.to_owned()))
}

/// The unfolded fields of a header.
fn fields(header: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.lines().take_while(|line| !line.is_empty()) {
        match (line.starts_with([' ', '\t']), fields.last_mut(), line.split_once(':')) {
            (true, Some((_, value)), _) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (false, _, Some((name, value))) => {
                fields.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => {}
        }
    }
    fields
}

fn wrong(name: &str) -> GraphError {
    GraphError::new(
        400,
        "RequestBodyRead",
        format!("The value of the property '{name}' is not of the expected type."),
    )
}
