//! Messages as Graph's JSON.
//!
//! A message that was received is made with its `PidTagMessageFlags` in the first request: made
//! without, it is a draft for ever.

use mailkeep_model::{Body, FollowUp, Importance, Item, Mailbox, Person};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Plan, add_property,
    mime::{self, Letter, Piece},
    serialized,
    uploads::{self, LONGEST_REQUEST, NewFile},
};

/// `PidTagMessageFlags` (MS-OXCMSG 2.2.1.6).
const FLAGS: &str = "Integer 0x0E07";
const READ: u32 = 1;
/// `PidTagMessageDeliveryTime`, `PidTagClientSubmitTime`, `PidTagTransportMessageHeaders`.
const RECEIVED: &str = "SystemTime 0x0E06";
const SENT: &str = "SystemTime 0x0039";
const HEADER: &str = "String 0x007D";
/// Longest body, as JSON, in the request that makes a message; leaves room for the rest.
const LONGEST_BODY: usize = LONGEST_REQUEST - 600_000;
/// Most addresses in all fields together; Exchange refuses messages with more than some thousands.
/// And how long they may be as JSON, beside a body of the greatest length.
const MOST_RECIPIENTS: usize = 2_000;
const LONGEST_RECIPIENTS: usize = 450_000;

pub(super) fn plan(mailbox: &Mailbox, item: &Item, content: &[u8]) -> Plan<'static> {
    let mut letter = mime::read(content);
    let mut fields = Map::new();
    let mut lost = std::mem::take(&mut letter.lost);
    let from = letter.from.as_ref().or(letter.sender.as_ref());
    let own = is_own(mailbox, from.map(|from| from.address.as_str()));
    complete(&mut letter, item);
    let mut files = std::mem::take(&mut letter.files);
    if serialized(&body(&letter.body)).len() > LONGEST_BODY {
        files.push(Piece { file: body_file(std::mem::take(&mut letter.body)), letter: None });
        lost.push("the text is too long for Microsoft Graph: it is attached as a file".into());
    }
    content_fields(&letter, &mut fields, &mut lost);
    // Who has had a receipt shall not get another one when the owner opens what was restored.
    if item.draft || own {
        fields.insert("isReadReceiptRequested".into(), json!(letter.read_receipt));
        fields.insert("isDeliveryReceiptRequested".into(), json!(letter.delivery_receipt));
    } else if letter.read_receipt {
        lost.push("its request for a receipt, which would be sent a second time".into());
    }
    fields.extend(marks(item));
    if item.follow_up == FollowUp::NotFlagged {
        fields.remove("flag");
    }
    if !item.draft {
        let flags = if item.read { READ } else { 0 };
        add_property(&mut fields, FLAGS, &flags.to_string());
        add_time(&mut fields, RECEIVED, Some(item.received));
        add_time(&mut fields, SENT, item.sent);
    }
    if !letter.header.is_empty() {
        add_property(&mut fields, HEADER, &letter.header);
    }
    let files = uploads::attach(&mut fields, files.into_iter().map(attachment).collect());
    Plan { fields, files, lost, ..Plan::default() }
}

/// The request that makes a message, without its origin: what [`Provider::create`] makes of MIME.
///
/// [`Provider::create`]: crate::Provider::create
pub fn message_request(mailbox: &Mailbox, item: &Item, content: &[u8]) -> Value {
    Value::Object(plan(mailbox, item, content).fields)
}

/// Whether the mailbox's owner wrote it.
fn is_own(mailbox: &Mailbox, from: Option<&str>) -> bool {
    from.is_some_and(|from| from.eq_ignore_ascii_case(mailbox.address.as_str()))
}

/// The read mark, the follow-up flag with its dates, categories and importance.
fn marks(item: &Item) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("isRead".into(), json!(item.read));
    fields.insert("flag".into(), flag(item));
    fields.insert("categories".into(), json!(item.categories));
    fields.insert("importance".into(), json!(importance(item.importance)));
    fields
}

/// The same for a message that is there, whose sender may wait for a receipt. One that was read has
/// given it, and to mark it as read by an application would send another: it no longer asks.
pub(super) fn marks_once_made(mailbox: &Mailbox, item: &Item) -> Map<String, Value> {
    let mut fields = marks(item);
    if item.read && !item.draft && !is_own(mailbox, item.from.as_deref()) {
        fields.insert("isReadReceiptRequested".into(), json!(false));
    }
    fields
}

fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Low => "low",
        Importance::Normal => "normal",
        Importance::High => "high",
    }
}

fn flag(item: &Item) -> Value {
    let status = match item.follow_up {
        FollowUp::NotFlagged => return json!({ "flagStatus": "notFlagged" }),
        FollowUp::Flagged => "flagged",
        FollowUp::Complete => "complete",
    };
    let mut flag = json!({ "flagStatus": status });
    let told = &item.provider.get("flag").cloned().unwrap_or_default();
    let mut take = |name: &str, from: &str| {
        let date = &told[from];
        if date["dateTime"].is_string() && date["timeZone"].is_string() {
            let date = json!({ "dateTime": date["dateTime"], "timeZone": date["timeZone"] });
            flag[name] = date;
        }
    };
    match item.follow_up {
        FollowUp::Complete => take("completedDateTime", "completedDateTime"),
        _ => {
            // Graph refuses a due date without a start.
            take("startDateTime", "dueDateTime");
            take("startDateTime", "startDateTime");
            take("dueDateTime", "dueDateTime");
        }
    }
    flag
}

/// What the MIME does not say and the provider told: blind copies, and everything of a message
/// that cannot be read.
fn complete(letter: &mut Letter, item: &Item) {
    if letter.subject.is_empty() {
        letter.subject = item.subject.chars().filter(|c| !c.is_control()).take(255).collect();
    }
    let person = |address: &String| Person { name: String::new(), address: address.clone() };
    letter.from = letter.from.take().or_else(|| item.from.as_ref().map(person));
    letter.message_id = letter.message_id.take().or_else(|| item.internet_message_id.clone());
    let known: std::collections::HashSet<String> = [&letter.to, &letter.cc, &letter.bcc]
        .into_iter()
        .flatten()
        .map(|one| one.address.to_lowercase())
        .collect();
    let hidden = item.recipients.iter().filter(|address| !known.contains(&address.to_lowercase()));
    letter.bcc.extend(hidden.map(person));
}

fn content_fields(letter: &Letter, fields: &mut Map<String, Value>, lost: &mut Vec<String>) {
    fields.insert("subject".into(), json!(letter.subject));
    fields.insert("body".into(), body(&letter.body));
    for (name, person) in [("from", &letter.from), ("sender", &letter.sender)] {
        if let Some(person) = person.as_ref().or(letter.from.as_ref()) {
            fields.insert(name.into(), recipient(person));
        }
    }
    let (mut count, mut length, mut dropped) = (0, 0, 0);
    for (name, list) in [
        ("toRecipients", &letter.to),
        ("ccRecipients", &letter.cc),
        ("bccRecipients", &letter.bcc),
        ("replyTo", &letter.reply_to),
    ] {
        let mut taken = Vec::new();
        for person in list {
            let person = recipient(person);
            length += serialized(&person).len() + 1;
            if count == MOST_RECIPIENTS || length > LONGEST_RECIPIENTS {
                dropped += 1;
                continue;
            }
            count += 1;
            taken.push(person);
        }
        if !taken.is_empty() {
            fields.insert(name.into(), Value::Array(taken));
        }
    }
    if dropped > 0 {
        lost.push(format!("{dropped} of its recipients: there are too many for one message"));
    }
    if let Some(id) = &letter.message_id {
        fields.insert("internetMessageId".into(), json!(id));
    }
}

fn body(body: &Body) -> Value {
    let (kind, content) = match body {
        Body::Text(text) => ("text", text),
        Body::Html(html) => ("html", html),
    };
    json!({ "contentType": kind, "content": content })
}

fn body_file(body: Body) -> NewFile {
    let (name, content_type, text) = match body {
        Body::Text(text) => ("body.txt", "text/plain", text),
        Body::Html(html) => ("body.html", "text/html", html),
    };
    NewFile {
        name: name.into(),
        content_type: content_type.into(),
        bytes: text.into_bytes(),
        ..NewFile::default()
    }
}

/// Somebody with a name alone gets it as an address: Graph wants one.
fn recipient(person: &Person) -> Value {
    let address = if person.address.is_empty() { &person.name } else { &person.address };
    let name = if person.name.is_empty() { &person.address } else { &person.name };
    json!({ "emailAddress": { "name": name, "address": address } })
}

/// A message within becomes an Outlook item when nothing is lost by that; else it stays a file.
fn attachment(piece: Piece) -> NewFile {
    let Piece { mut file, letter } = piece;
    if let Some(letter) = letter {
        file.item = attached_item(&letter, file.bytes.len());
    }
    file
}

/// A message within as an Outlook item; `None` when something would be lost by that.
pub(super) fn attached_item(letter: &Letter, bytes: usize) -> Option<Value> {
    if !letter.files.is_empty() || !letter.lost.is_empty() || bytes > LONGEST_BODY / 4 {
        return None;
    }
    let mut item = Map::new();
    let mut lost = Vec::new();
    content_fields(letter, &mut item, &mut lost);
    if !lost.is_empty() {
        return None;
    }
    item.insert("@odata.type".into(), json!("#microsoft.graph.message"));
    item.insert("importance".into(), json!(importance(letter.importance.unwrap_or_default())));
    add_property(&mut item, FLAGS, &READ.to_string());
    add_time(&mut item, SENT, letter.sent);
    add_property(&mut item, HEADER, &letter.header);
    Some(Value::Object(item))
}

fn add_time(fields: &mut Map<String, Value>, id: &str, time: Option<OffsetDateTime>) {
    if let Some(text) = time.and_then(|time| time.format(&Rfc3339).ok()) {
        add_property(fields, id, &text);
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
