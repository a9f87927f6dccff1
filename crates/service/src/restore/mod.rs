//! Brings back what the vault holds: an item, a folder, a mailbox; in place, elsewhere, or into
//! another mailbox.
//!
//! A restore is safe to repeat: what it makes carries its origin as a property at the provider,
//! and is found by that. The key that writes exists only while a restore runs.

mod decide;
mod key;
mod run;
mod select;
mod target;

use mailkeep_model::{Address, ItemId, ItemKind, TenantName};
use mailkeep_vault::{FolderPath, ShortId};
use time::OffsetDateTime;

/// What to bring back, and where to.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// Out of whose vault.
    pub tenant: TenantName,
    /// What.
    pub what: RestoreWhat,
    /// As it was at this time; `None`: as the newest snapshot has it.
    pub at: Option<OffsetDateTime>,
    /// Where to; `None`: where it was.
    pub to: Option<RestoreTarget>,
    /// Into which tenant; `None`: the same one.
    pub to_tenant: Option<TenantName>,
    /// What to do with an item that is still there.
    pub on_conflict: OnConflict,
}

/// What to bring back.
#[derive(Clone, Debug)]
pub enum RestoreWhat {
    /// A folder with everything below it; the empty path is the whole mailbox.
    Folder {
        /// Whose.
        mailbox: Address,
        /// Which.
        path: FolderPath,
    },
    /// Single items.
    Items(Vec<ShortId>),
}

/// Where a restore puts things.
#[derive(Clone, Debug)]
pub struct RestoreTarget {
    /// Into whose mailbox.
    pub mailbox: Address,
    /// Below this folder, which is made when it is not there; the empty path: into the same
    /// folders as in the mailbox that it comes from.
    pub path: FolderPath,
}

/// What to do with an item that is still in the mailbox. What an earlier restore made is never
/// made twice, whatever is chosen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave it as it is. One that lies among the deleted items is moved back.
    #[default]
    Skip,
    /// Bring it to the state of the snapshot.
    Replace,
    /// Leave it and put a copy beside it.
    Copy,
}

/// What a restore came to, or what it would do.
#[derive(Debug)]
pub struct RestoreReport {
    /// Out of whose vault.
    pub tenant: TenantName,
    /// From which snapshot.
    pub snapshot: String,
    /// When that was taken.
    pub taken: OffsetDateTime,
    /// Each item, in no particular order.
    pub items: Vec<RestoredItem>,
    /// Folders that were made, as `MAILBOX:PATH`, for people.
    pub folders_created: Vec<String>,
    /// Bytes of content read from the vault.
    pub bytes: u64,
    /// Requests that the provider was sent.
    pub requests: u64,
    /// Of these, answered with "too many requests".
    pub throttled: u64,
    /// How long it took, from the first request that writes.
    pub seconds: f64,
}

/// What became of one item.
#[derive(Clone, Debug)]
pub struct RestoredItem {
    /// How people name it.
    pub item: ShortId,
    /// What it is.
    pub kind: ItemKind,
    /// Its subject or name.
    pub subject: String,
    /// Into whose mailbox.
    pub mailbox: Address,
    /// Into which folder.
    pub folder: String,
    /// What was done.
    pub outcome: RestoreOutcome,
    /// What the provider calls the item that was made; `None` when none was.
    pub made: Option<ItemId>,
    /// What the provider did not take, for people.
    pub lost: Vec<String>,
}

/// What a restore did with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreOutcome {
    /// It was not there and was made.
    Created,
    /// It was there in another state and was made anew.
    Replaced,
    /// It was there; its folder, flags or categories were set back.
    Updated,
    /// It is there; nothing was done.
    Present,
    /// It could not be brought back, and why.
    Failed(String),
}

impl RestoreOutcome {
    /// The word for it in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Updated => "updated",
            Self::Present => "present",
            Self::Failed(_) => "failed",
        }
    }
}

impl RestoreReport {
    /// How many items ended so.
    pub fn count(&self, outcome: &str) -> usize {
        self.items.iter().filter(|item| item.outcome.as_str() == outcome).count()
    }
}
