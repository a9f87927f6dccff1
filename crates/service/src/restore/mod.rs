//! Brings back what the vault holds: an item, a folder, a mailbox; in place, elsewhere, or into
//! another mailbox.
//!
//! A restore is safe to repeat: what it makes carries a mark as a property at the provider, with
//! the item and the state that it was made of, and is found by that. The key that writes exists only
//! while a restore runs.
//!
//! What goes wrong stops as little as possible: one item, the items of one folder or kind; and what
//! stops all of it leaves a report of what was done.

mod course;
mod decide;
mod ending;
mod key;
mod plan;
mod report;
mod run;
mod select;
mod target;
mod write;

pub use course::RestoreLimits;
pub use report::{RestoreOutcome, RestoreReport, RestoreStop, RestoredItem};

use mailkeep_exchange::Extras;
use mailkeep_model::{Address, TenantName};
use mailkeep_vault::{FolderPath, ShortId};
use time::OffsetDateTime;

/// Whatever a snapshot holds can be brought back, also when it is not backed up any more. What lies
/// among the recoverable items is gone to people: it is not looked at.
const RESTORED: Extras =
    Extras { tasks: true, streams: true, archive: true, recoverable_items: false };

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

/// What to do with an item that is still in the mailbox, itself or as what an earlier restore made
/// of it. The same state of an item is never made twice, whatever is chosen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave it as it is. One that lies among the deleted items is moved back.
    #[default]
    Skip,
    /// Bring it to the state of the snapshot. Of a received message flags, categories and folder are
    /// set; anything else is made anew, and what was there is deleted.
    Replace,
    /// Leave it and put a copy beside it.
    Copy,
}
