use std::{fmt, io, sync::Arc};

use mailkeep_model::{Folder, Item, ItemId, Mailbox, MailboxId};

use crate::{Completeness, ItemPath, ShortId, Snapshot};

/// What one snapshot is made of: the mailboxes that changed. All others stay as they are.
#[derive(Debug, Default)]
pub struct Round {
    /// Changed mailboxes, each at most once.
    pub mailboxes: Vec<MailboxRound>,
}

/// What changed in a mailbox since the newest snapshot.
#[derive(Debug)]
pub struct MailboxRound {
    /// The mailbox as it is now. A new address moves the whole mailbox there.
    pub mailbox: Mailbox,
    /// Whether all of it is in the vault after this round.
    pub complete: Completeness,
    /// All folders as they now are, also the empty ones. What lay in a folder that is missing
    /// here is gone after this round.
    pub folders: Vec<Folder>,
    /// Changed items, each at most once (a `Remove` of an item's former place beside its `Put`
    /// does no harm).
    pub changes: Vec<ItemChange>,
}

/// A change of one item.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all changes are the large one")]
pub enum ItemChange {
    /// The item is there: new, changed or moved.
    Put {
        /// The item as it is now; `item.folder` is the folder that it lies in.
        item: Item,
        /// Where the newest snapshot has it, `None` when it is new. An item that the snapshot
        /// already has in that folder is recognised without, so a round can be written twice.
        previous: Option<ItemPath>,
        /// Its content.
        content: Content,
    },
    /// The item is gone from this place.
    Remove {
        /// Where the newest snapshot has it; nothing happens when it is not there.
        path: ItemPath,
    },
}

/// Where the bytes of an item come from.
#[derive(Clone)]
pub enum Content {
    /// From outside.
    New {
        /// Exact length; an item whose content is shorter or longer is left out.
        bytes: u64,
        /// Opens the content.
        open: Arc<dyn OpenContent>,
        /// What is kept beside it.
        stream: Option<NewStream>,
    },
    /// From where the newest snapshot has the item, with its stream when it has one: only its
    /// description changed, or its folder.
    Kept,
}

/// The provider's full-fidelity stream of an item: everything that it keeps of the item, opaque to
/// us. It lies beside the readable content and goes where that goes.
#[derive(Clone)]
pub struct NewStream {
    /// Exact length; an item whose stream is shorter or longer is left out.
    pub bytes: u64,
    /// Opens the stream.
    pub open: Arc<dyn OpenContent>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New { bytes, stream, .. } => {
                let stream = stream.as_ref().map(|stream| stream.bytes);
                f.debug_struct("New").field("bytes", bytes).field("stream", &stream).finish()
            }
            Self::Kept => f.write_str("Kept"),
        }
    }
}

/// Gives out an item's content. Called on the repository's threads, more than once when a round
/// has to be repeated without a failing item: it must not wait on the network.
pub trait OpenContent: Send + Sync {
    /// A reader at the first byte.
    ///
    /// # Errors
    /// The item is then left out of the round and reported.
    fn open(&self) -> io::Result<Box<dyn io::Read + Send>>;
}

/// What a round came to.
#[derive(Clone, Debug)]
pub struct RoundReport {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Where each item of the round lies now, in no particular order.
    pub placed: Vec<Placed>,
    /// Items that were left out; what an earlier snapshot has of them is still there.
    pub failed: Vec<FailedItem>,
    /// Bytes written to the storage, all files counted.
    pub bytes_added: u64,
    /// Directories written that the repository did not have.
    pub tree_blobs_added: u64,
    /// Pieces of content written that the repository did not have.
    pub data_blobs_added: u64,
}

/// Where an item lies after a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Which item.
    pub item: ItemId,
    /// Its name for people.
    pub short: ShortId,
    /// Where it lies.
    pub path: ItemPath,
    /// Length of its content.
    pub bytes: u64,
}

/// An item that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedItem {
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Which item.
    pub item: ItemId,
    /// What happened.
    pub reason: String,
}
