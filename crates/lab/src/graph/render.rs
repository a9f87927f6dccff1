//! Messages and folders as JSON.

use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64URL};
use serde_json::json as value;
use uuid::Uuid;

use super::json::Json;
use super::query::Prefer;
use super::select::{Expand, Selection};
use super::{attachments, input};
use crate::ids;
use crate::state::{Core, Folder, IdKind, MailboxState, Message, Party};

/// Characters of a body in `bodyPreview`.
const PREVIEW: usize = 255;

/// How messages are to be shown to one client.
pub(crate) struct View<'a> {
    pub(crate) mailbox: Uuid,
    pub(crate) selection: Selection,
    pub(crate) expand: &'a Expand,
    pub(crate) prefer: Prefer,
    /// Delta answers name the type of each element.
    pub(crate) typed: bool,
    pub(crate) beta: bool,
}

/// The members of one message.
pub(crate) fn message(json: &mut Json, view: &View<'_>, item: u64, message: &Message) {
    if view.typed {
        json.member("@odata.type", "#microsoft.graph.message");
    }
    json.key("@odata.etag").raw_string(|out| {
        out.extend_from_slice(b"W/\\\"");
        push_change_key(out, view.mailbox, message.changed);
        out.extend_from_slice(b"\\\"");
    });
    json.key("id").raw_string(|out| push_id(out, view, item, message.place.location));
    properties(json, view, item, message);
    if view.expand.attachments {
        attachments::array(json.key("attachments"), view.beta, view.mailbox, item, message);
    }
}

/// The selected properties of a message, which may be one in another.
pub(crate) fn properties(json: &mut Json, view: &View<'_>, item: u64, message: &Message) {
    let core = &*message.core;
    for name in view.selection.iter() {
        match name {
            "createdDateTime" => json.time(name, message.created),
            "lastModifiedDateTime" => json.time(name, message.modified),
            "changeKey" => {
                json.key(name)
                    .raw_string(|out| push_change_key(out, view.mailbox, message.changed));
            }
            "categories" => json.member(name, &message.categories),
            "receivedDateTime" => json.time(name, message.received),
            "sentDateTime" => json.time(name, message.sent),
            "hasAttachments" => json.member(name, &core.has_attachments),
            "internetMessageId" => json.member(name, &core.message_id),
            "subject" => json.member(name, &core.subject),
            "bodyPreview" => {
                let preview: String = core.body_text().chars().take(PREVIEW).collect();
                json.member(name, &preview);
            }
            "importance" => json.member(name, message.importance.as_str()),
            "parentFolderId" => {
                json.member(name, &ids::folder_id(view.mailbox, message.place.folder));
            }
            "conversationId" => json.member(name, &conversation(view.mailbox, core)),
            "conversationIndex" => json.member(name, &conversation_index(core)),
            "isDeliveryReceiptRequested" => json.member(name, &message.delivery_receipt),
            "isReadReceiptRequested" => json.member(name, &message.read_receipt),
            "isRead" => json.member(name, &message.read),
            "isDraft" => json.member(name, &message.draft),
            "webLink" => json.key(name).raw_string(|out| {
                out.extend_from_slice(b"https://outlook.office365.com/owa/?ItemID=");
                let at = out.len();
                push_id(out, view, item, message.place.location);
                // The padding of the id, escaped.
                while out.last() == Some(&b'=') && out.len() > at {
                    out.truncate(out.len() - 1);
                    out.extend_from_slice(b"%3D");
                }
                out.extend_from_slice(b"&exvsurl=1&viewmodel=ReadMessageItem");
            }),
            "inferenceClassification" => json.member(name, "focused"),
            "body" | "uniqueBody" => body(json.key(name), core, view.prefer),
            "sender" => party(json.key(name), core.sender.as_ref()),
            "from" => party(json.key(name), core.from.as_ref()),
            "toRecipients" => parties(json.key(name), &core.to),
            "ccRecipients" => parties(json.key(name), &core.cc),
            "bccRecipients" => parties(json.key(name), &core.bcc),
            "replyTo" => parties(json.key(name), &core.reply_to),
            "flag" => {
                let mut flag = value!({ "flagStatus": message.flag.as_str() });
                for (of, at) in message.flag_times.iter().flat_map(|times| times.iter()) {
                    flag[of] = at.clone();
                }
                json.member(name, &flag);
            }
            "internetMessageHeaders" => headers(json.key(name), core),
            _ => {}
        }
    }
    if !view.expand.extended.is_empty() {
        extended(json, view, message);
    }
}

/// A message that is no longer in a folder.
pub(crate) fn removed_message(
    json: &mut Json,
    view: &View<'_>,
    item: u64,
    location: u64,
    moved: bool,
) {
    json.member("@odata.type", "#microsoft.graph.message");
    json.key("id").raw_string(|out| push_id(out, view, item, location));
    json.key("@removed").object(|json| {
        json.member("reason", if moved { "changed" } else { "deleted" });
    });
}

/// The members of one folder.
pub(crate) fn folder(
    json: &mut Json,
    state: &MailboxState,
    selection: Selection,
    number: u64,
    folder: &Folder,
) {
    json.member("id", &ids::folder_id(state.mailbox, number));
    for name in selection.iter() {
        match name {
            "displayName" => json.member(name, &folder.name),
            "parentFolderId" => json.member(name, &ids::folder_id(state.mailbox, folder.parent)),
            "childFolderCount" => {
                let listed = state.children(number).filter(|(_, child)| !child.unlisted);
                json.member(name, &listed.count());
            }
            "unreadItemCount" => json.member(name, &folder.unread),
            "totalItemCount" => json.member(name, &folder.total),
            "isHidden" => json.member(name, &(folder.is_hidden() || folder.unlisted)),
            _ => {}
        }
    }
}

fn push_id(out: &mut Vec<u8>, view: &View<'_>, item: u64, location: u64) {
    match view.prefer.ids {
        IdKind::Immutable => ids::push_immutable_id(out, view.mailbox, item),
        IdKind::Regular => ids::push_located_id(out, view.mailbox, item, location),
    }
}

/// The change key of anything that counts its changes.
pub(crate) fn change_key(mailbox: Uuid, changed: u64) -> String {
    let mut out = Vec::with_capacity(44);
    push_change_key(&mut out, mailbox, changed);
    String::from_utf8(out).unwrap_or_default()
}

fn push_change_key(out: &mut Vec<u8>, mailbox: Uuid, changed: u64) {
    let mut raw = [0; 32];
    raw[..8].copy_from_slice(&[0x09, 0, 0, 0, 0x16, 0, 0, 0]);
    raw[8..24].copy_from_slice(mailbox.as_bytes());
    raw[24..].copy_from_slice(&changed.to_be_bytes());
    out.extend_from_slice(BASE64.encode(&raw).as_bytes());
}

fn party(json: &mut Json, party: Option<&Party>) {
    match party {
        None => json.null(),
        Some(party) => json.object(|json| {
            json.key("emailAddress").object(|json| {
                json.member("name", party.name.as_deref().unwrap_or(&party.address));
                json.member("address", &party.address);
            });
        }),
    }
}

fn parties(json: &mut Json, list: &[Party]) {
    json.array(|json| {
        for one in list {
            party(json, Some(one));
        }
    });
}

fn body(json: &mut Json, core: &Core, prefer: Prefer) {
    let (kind, content) = if prefer.text_body { ("text", core.body_text()) } else { core.body() };
    json.object(|json| {
        json.member("contentType", kind);
        json.member("content", &content);
    });
}

fn headers(json: &mut Json, core: &Core) {
    json.array(|json| {
        for (name, value) in core.headers() {
            json.object(|json| {
                json.member("name", &name);
                json.member("value", &value);
            });
        }
    });
}

/// Messages of one conversation have the same subject behind `Re:` and the like.
fn conversation(mailbox: Uuid, core: &Core) -> String {
    let mut raw = vec![0x00, 0x09, 0x10];
    raw.extend_from_slice(mailbox.as_bytes());
    raw.extend_from_slice(&conversation_hash(core));
    BASE64URL.encode(&raw)
}

fn conversation_index(core: &Core) -> String {
    let mut raw = vec![0x01];
    raw.extend_from_slice(&core.sent.to_be_bytes()[3..]);
    raw.extend_from_slice(&conversation_hash(core));
    BASE64.encode(&raw)
}

fn conversation_hash(core: &Core) -> [u8; 16] {
    let subject = core.subject.rsplit(": ").next().unwrap_or_default().trim().to_lowercase();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest::digest(&digest::SHA256, subject.as_bytes()).as_ref()[..16]);
    hash
}

/// Extended properties that a message has; the others that were asked for are left out.
fn extended(json: &mut Json, view: &View<'_>, message: &Message) {
    let found: Vec<(&str, String)> = view
        .expand
        .extended
        .iter()
        .filter_map(|id| Some((id.as_str(), extended_value(message, id)?)))
        .collect();
    if found.is_empty() {
        return;
    }
    json.key("singleValueExtendedProperties").array(|json| {
        for (id, value) in found {
            json.object(|json| {
                json.member("id", id);
                json.member("value", &value);
            });
        }
    });
}

pub(super) fn extended_value(message: &Message, id: &str) -> Option<String> {
    if let Some(value) = message.properties.get(id) {
        return Some(value.to_owned());
    }
    let core = &*message.core;
    Some(match id {
        "Long 0xe08" | "Integer 0xe08" => core.content.len().to_string(),
        // mfRead, mfUnsent, mfHasAttach (MS-OXCMSG 2.2.1.6).
        "Long 0xe07" | "Integer 0xe07" => (u32::from(message.read)
            | u32::from(message.draft) << 3
            | u32::from(core.has_attachments) << 4)
            .to_string(),
        "SystemTime 0xe06" => crate::clock::iso(message.received),
        "SystemTime 0x39" => crate::clock::iso(message.sent),
        input::TRANSPORT_HEADERS if !message.draft => core.header_text(),
        "String 0x1035" => core.message_id.as_deref()?.to_owned(),
        "String 0x37" => core.subject.to_string(),
        _ => return None,
    })
}
