use std::{collections::HashMap, sync::Arc};

use mailkeep_model::{Cursor, Detail, Folder, FolderId, Item, ItemId, ItemKind, Mailbox};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::habits::Says;
use crate::spool::Spooled;

/// An item on its way from a mailbox to the vault.
pub(crate) struct Staged {
    pub(crate) item: Item,
    /// `None`: the vault has these bytes.
    pub(crate) content: Option<Contents>,
    pub(crate) traffic: Counts,
    pub(crate) says: Says,
}

/// Whether a message is counted as traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Somebody sent it.
    Yes,
    /// It is a canary of ours.
    No,
}

/// An item's content, and the provider's stream beside it.
pub(crate) struct Contents {
    pub(crate) content: Arc<Spooled>,
    pub(crate) stream: Option<Arc<Spooled>>,
}

impl Contents {
    /// Room that both take in the spool.
    pub(crate) fn bytes(&self) -> u64 {
        self.content.bytes() + self.stream.as_ref().map_or(0, |stream| stream.bytes())
    }
}

/// An item that could not be read in this pass.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) item: ItemId,
    pub(crate) kind: ItemKind,
    pub(crate) folder: Option<FolderId>,
    pub(crate) error: String,
    pub(crate) because: Because,
}

/// Why an item was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// It could not be.
    Failed,
    /// It was named and then not found: deleted on its way, as happens every day, or not yet told
    /// to the server that was asked. Nothing to report; the next pass looks for it once more.
    Vanished,
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
    /// Folders that were read from their beginning to their end.
    pub(crate) compared: Vec<FolderId>,
    /// Present in the last delivery of a mailbox: where its folder tree stands.
    pub(crate) end: Option<End>,
}

/// The end of a mailbox's pass.
pub(crate) struct End {
    /// `None`: something tells that the tree as we know it is not the provider's; the next pass
    /// reads it from the beginning.
    pub(crate) folder_cursor: Option<Cursor>,
    /// When the tree was read from the beginning, if it was.
    pub(crate) tree_compared: Option<OffsetDateTime>,
    /// What the provider counts in folders.
    pub(crate) counts: HashMap<FolderId, u64>,
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
            compared: Vec::new(),
            end: None,
        }
    }
}

/// Changes with anything that the vault keeps beside an item's content; tells a change that the
/// provider reports from one that was already stored.
///
/// What is kept as the provider tells it is sorted first: in which order it does says nothing.
pub(crate) fn meta_key(item: &Item) -> String {
    let is_setting = matches!(item.detail, Some(Detail::Setting(_)));
    let sorted = (is_setting || !item.provider.is_empty()).then(|| {
        let mut item = item.clone();
        item.provider.sort_keys();
        item.provider.values_mut().for_each(Value::sort_all_objects);
        if let Some(Detail::Setting(setting)) = &mut item.detail {
            setting.value.sort_all_objects();
        }
        item
    });
    let item = sorted.as_ref().unwrap_or(item);
    let json = serde_json::to_vec(item).expect("an item is plain data with string keys");
    let hash = Sha256::digest(&json);
    hash[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_is_not_stored_again_because_the_provider_tells_the_same_in_another_order() {
        let told = |provider: Value| {
            let mut item = Item::new(ItemId("i".into()), ItemKind::Message, FolderId("f".into()));
            item.provider = provider.as_object().cloned().unwrap_or_default();
            meta_key(&item)
        };
        let one = told(json!({"a": 1, "b": {"c": 2, "d": [{"e": 3, "f": 4}]}}));
        assert_eq!(one, told(json!({"b": {"d": [{"f": 4, "e": 3}], "c": 2}, "a": 1})));
        assert_ne!(one, told(json!({"a": 2, "b": {"c": 2, "d": [{"e": 3, "f": 4}]}})));
    }
}
