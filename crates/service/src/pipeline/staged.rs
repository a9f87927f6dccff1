use std::sync::Arc;

use mailkeep_model::{Cursor, Folder, FolderId, Item, ItemId, ItemKind, Mailbox};
use sha2::{Digest, Sha256};

use crate::spool::Spooled;

/// An item on its way from a mailbox to the vault.
pub(crate) struct Staged {
    pub(crate) item: Item,
    /// `None`: the vault has these bytes.
    pub(crate) content: Option<Arc<Spooled>>,
}

/// An item that could not be read in this pass.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) item: ItemId,
    pub(crate) kind: ItemKind,
    pub(crate) folder: Option<FolderId>,
    pub(crate) error: String,
}

/// What the reader of a mailbox hands to the writer of rounds: complete in itself, so that a
/// round may end behind any of them.
pub(crate) struct Delivery {
    pub(crate) mailbox: Mailbox,
    /// All folders as far as they are known, the ones included that may turn out to be gone.
    pub(crate) folders: Arc<Vec<Folder>>,
    pub(crate) staged: Vec<Staged>,
    pub(crate) missed: Vec<Missed>,
    /// Items that were missed in an earlier pass and are settled now.
    pub(crate) settled: Vec<ItemId>,
    /// Confirmed to be gone from the mailbox.
    pub(crate) removed: Vec<ItemId>,
    /// Where folders stand once this is durable.
    pub(crate) cursors: Vec<(FolderId, Cursor)>,
    /// Present in the last delivery of a mailbox: where its folder tree stands.
    pub(crate) end: Option<End>,
}

/// The end of a mailbox's pass.
pub(crate) struct End {
    pub(crate) folder_cursor: Cursor,
}

impl Delivery {
    pub(crate) fn new(mailbox: &Mailbox, folders: &Arc<Vec<Folder>>) -> Self {
        Self {
            mailbox: mailbox.clone(),
            folders: Arc::clone(folders),
            staged: Vec::new(),
            missed: Vec::new(),
            settled: Vec::new(),
            removed: Vec::new(),
            cursors: Vec::new(),
            end: None,
        }
    }
}

/// Changes with anything that the vault keeps beside an item's content; tells a change that the
/// provider reports from one that was already stored.
pub(crate) fn meta_key(item: &Item) -> String {
    let json = serde_json::to_vec(item).expect("an item is plain data with string keys");
    let hash = Sha256::digest(&json);
    hash[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}
