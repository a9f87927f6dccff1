use std::{fmt, str::FromStr};

use mailkeep_model::{Folder, FolderId, Item, ItemId, Mailbox, MailboxId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{FolderPath, InvalidShortId, layout};

/// Identifies a snapshot: the SHA-256 of its file, in hex, as restic prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub String);

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state of all mailboxes of a tenant after one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier.
    pub id: SnapshotId,
    /// When the round was written.
    pub time: OffsetDateTime,
    /// Identifier of the root tree: two snapshots of the same state have the same one.
    pub tree: String,
    /// Whether items were left out of the round that wrote it.
    pub outcome: Outcome,
}

/// Whether a round is wholly in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was handed in is in the snapshot.
    Whole,
    /// Some items could not be read and are missing, or are there in their former state.
    Partial,
}

/// Whether all that the provider holds of a mailbox is in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    /// Everything that the provider had told of when the round was put together.
    Complete,
    /// The first backup still runs, or items were skipped.
    Incomplete,
}

/// Names an item within a tenant, for people and the command line: a hash over mailbox and item
/// identifier, [`ShortId::LENGTH`] characters of Crockford's base 32 in lower case (60 bits). It
/// stays when the item moves within its mailbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShortId(String);

impl ShortId {
    /// Number of characters.
    pub const LENGTH: usize = 12;
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    /// The short id of an item.
    pub fn new(mailbox: &MailboxId, item: &ItemId) -> Self {
        Self(short_hash(&[&mailbox.0, &item.0]))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// [`ShortId::LENGTH`] characters that stand for a list of texts.
pub(crate) fn short_hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length in front, so that no two lists of texts are hashed alike.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let bits = digest.iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    (0..ShortId::LENGTH)
        .map(|i| char::from(ShortId::ALPHABET[((bits >> (59 - 5 * i)) & 31) as usize]))
        .collect()
}

impl FromStr for ShortId {
    type Err = InvalidShortId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == Self::LENGTH && text.bytes().all(|b| Self::ALPHABET.contains(&b));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidShortId(text.to_owned())) }
    }
}

impl TryFrom<String> for ShortId {
    type Error = InvalidShortId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ShortId> for String {
    fn from(id: ShortId) -> Self {
        id.0
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where an item lies in its mailbox; stable as long as it stays in its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemPath {
    /// The folder.
    pub folder: FolderId,
    /// The leaf directory in it: `2026-11`, or `2026-11 (2)` when a month has many items.
    pub leaf: String,
    /// File name in it: `2026-11-23T0914 Subject 7f3a9c2kd0qm.eml`.
    pub name: String,
}

impl ItemPath {
    /// The short id at the end of the file name; `None` when the name is not one of ours.
    pub fn short(&self) -> Option<ShortId> {
        layout::short_id_of(&self.name)?.parse().ok()
    }
}

/// A mailbox in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMailbox {
    /// The mailbox, as it was when it was last written.
    pub mailbox: Mailbox,
    /// Whether all of it is there.
    pub complete: Completeness,
    /// How many folders it has.
    pub folders: usize,
}

/// A folder in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFolder {
    /// The folder as the provider described it, with its true name.
    pub folder: Folder,
    /// True names from the mailbox's root down to this folder.
    pub path: FolderPath,
    /// Its directory below the mailbox's `mail`, escaped, `/` between components.
    pub directory: String,
    /// Items directly in it.
    pub items: u64,
}

/// An item in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredItem {
    /// Where it lies.
    pub path: ItemPath,
    /// How people name it.
    pub short: ShortId,
    /// What the provider told beside the content.
    pub item: Item,
    /// Length of the content.
    pub bytes: u64,
    /// Length of the provider's stream that lies beside it; `None` when there is none.
    pub stream_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_tells_items_and_mailboxes_apart() {
        let id = |mailbox: &str, item: &str| {
            ShortId::new(&MailboxId(mailbox.into()), &ItemId(item.into()))
        };
        assert_eq!(id("a", "b").as_str().len(), ShortId::LENGTH);
        assert_eq!(id("a", "b"), id("a", "b"));
        for (mailbox, item) in [("ab", ""), ("", "ab"), ("b", "a"), ("a", "c")] {
            assert_ne!(id("a", "b"), id(mailbox, item), "{mailbox:?} {item:?}");
        }
        assert_eq!(id("a", "b").to_string().parse(), Ok(id("a", "b")));
        for bad in
            ["", "0123456789a", "0123456789abc", "0123456789ai", "0123456789aB", "../../../../x"]
        {
            assert!(bad.parse::<ShortId>().is_err(), "{bad}");
        }
    }
}
