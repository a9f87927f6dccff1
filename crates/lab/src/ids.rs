//! Identifiers: GUIDs that are the same in every run of the lab, and the opaque ids of folders
//! and messages.
//!
//! Message ids come in Exchange's two kinds: an *immutable* id names the item for as long as it
//! stays in its mailbox, a *regular* one names it in the place where it lies and dies when it moves.

use aws_lc_rs::digest;
use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use uuid::Uuid;

/// A GUID derived from names, so that a lab started again with the same seed has the same
/// tenants and mailboxes.
pub(crate) fn derived(parts: &[&str]) -> Uuid {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// A request id as Entra writes it into a token (`uti`): base64url of the GUID in .NET byte order.
pub(crate) fn token_identifier(request: Uuid) -> String {
    BASE64URL_NOPAD.encode(&request.to_bytes_le())
}

/// What an id of a message in a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemRef {
    Immutable { item: u64 },
    Located { item: u64, location: u64 },
}

impl ItemRef {
    pub(crate) fn item(self) -> u64 {
        match self {
            Self::Immutable { item } | Self::Located { item, .. } => item,
        }
    }
}

// The first bytes make the ids begin as Exchange's do (`AAkA`, `AAMk`); the lengths tell the kinds apart.
const IMMUTABLE: [u8; 5] = [0x00, 0x09, 0x00, 0x2e, 0x00];
const LOCATED: [u8; 6] = [0x00, 0x03, 0x24, 0x00, 0x46, 0x00];
const FOLDER: [u8; 6] = [0x00, 0x03, 0x24, 0x00, 0x2e, 0x00];

pub(crate) fn push_immutable_id(out: &mut Vec<u8>, mailbox: Uuid, item: u64) {
    let mut raw = [0; 29];
    raw[..5].copy_from_slice(&IMMUTABLE);
    raw[5..21].copy_from_slice(mailbox.as_bytes());
    raw[21..].copy_from_slice(&item.to_be_bytes());
    push_encoded(out, &raw);
}

pub(crate) fn push_located_id(out: &mut Vec<u8>, mailbox: Uuid, item: u64, location: u64) {
    let mut raw = [0; 38];
    raw[..6].copy_from_slice(&LOCATED);
    raw[6..22].copy_from_slice(mailbox.as_bytes());
    raw[22..30].copy_from_slice(&location.to_be_bytes());
    raw[30..].copy_from_slice(&item.to_be_bytes());
    push_encoded(out, &raw);
}

pub(crate) fn immutable_id(mailbox: Uuid, item: u64) -> String {
    let mut out = Vec::with_capacity(40);
    push_immutable_id(&mut out, mailbox, item);
    String::from_utf8(out).unwrap_or_default()
}

pub(crate) fn folder_id(mailbox: Uuid, folder: u64) -> String {
    let mut raw = [0; 32];
    raw[..6].copy_from_slice(&FOLDER);
    raw[6..22].copy_from_slice(mailbox.as_bytes());
    raw[22..24].copy_from_slice(&[0, 1]);
    raw[24..].copy_from_slice(&folder.to_be_bytes());
    BASE64URL.encode(&raw)
}

/// The item that a message id of this mailbox names; `None` for anything else.
pub(crate) fn parse_item_id(mailbox: Uuid, text: &str) -> Option<ItemRef> {
    let raw = BASE64URL.decode(text.as_bytes()).ok()?;
    match raw.len() {
        29 if raw[..5] == IMMUTABLE && raw[5..21] == *mailbox.as_bytes() => {
            Some(ItemRef::Immutable { item: number(&raw[21..])? })
        }
        38 if raw[..6] == LOCATED && raw[6..22] == *mailbox.as_bytes() => {
            Some(ItemRef::Located { location: number(&raw[22..30])?, item: number(&raw[30..])? })
        }
        _ => None,
    }
}

/// The folder that a folder id of this mailbox names; `None` for anything else.
pub(crate) fn parse_folder_id(mailbox: Uuid, text: &str) -> Option<u64> {
    let raw = BASE64URL.decode(text.as_bytes()).ok()?;
    if raw.len() != 32 || raw[..6] != FOLDER || raw[6..22] != *mailbox.as_bytes() {
        return None;
    }
    number(&raw[24..])
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn push_encoded(out: &mut Vec<u8>, raw: &[u8]) {
    let start = out.len();
    out.resize(start + BASE64URL.encode_len(raw.len()), 0);
    BASE64URL.encode_mut(raw, &mut out[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_one_mailbox_opens_nothing_in_another() {
        let (ours, other) = (derived(&["a"]), derived(&["b"]));
        let id = immutable_id(ours, 7);
        assert!(id.starts_with("AAkA") && id.ends_with('='));
        assert_eq!(parse_item_id(ours, &id), Some(ItemRef::Immutable { item: 7 }));
        assert_eq!(parse_item_id(other, &id), None);
        let folder = folder_id(ours, 3);
        assert_eq!(parse_folder_id(ours, &folder), Some(3));
        assert_eq!(parse_folder_id(other, &folder), None);
        assert_eq!(parse_item_id(ours, &folder), None);
        let mut located = Vec::new();
        push_located_id(&mut located, ours, 7, 9);
        let located = String::from_utf8(located).unwrap();
        assert_eq!(parse_item_id(ours, &located), Some(ItemRef::Located { item: 7, location: 9 }));
    }

    #[test]
    fn the_token_identifier_is_in_dotnet_byte_order() {
        let request: Uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
        assert_eq!(
            token_identifier(request),
            BASE64URL_NOPAD.encode(&[
                0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff
            ],)
        );
    }
}
