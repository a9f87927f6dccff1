//! What a restore tells at its end.

use mailkeep_model::{Address, ItemId, ItemKind, TenantName};
use mailkeep_vault::ShortId;
use time::OffsetDateTime;

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
    /// Why it ended before everything was tried; `None`: it came to its end. Then the items that
    /// were not tried are listed as [`RestoreOutcome::NotTried`].
    pub stopped: Option<RestoreStop>,
    /// What went wrong beside the items, for people: the key that could not be destroyed, an entry
    /// that could not be written into the audit.
    pub problems: Vec<String>,
}

/// Why a restore ended early. The same command goes on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreStop {
    /// Whoever asked for it called it off.
    Interrupted,
    /// Something that concerns everything that was left: the provider stayed out of reach, or took
    /// the key back. For people.
    Failed(String),
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
    /// It was there in another state, which is gone: it was made anew, or what an earlier restore made
    /// was set back.
    Replaced,
    /// It was there; its folder, flags or categories were set back.
    Updated,
    /// It is there; nothing was done.
    Present,
    /// It could not be brought back, and why.
    Failed(String),
    /// The restore ended before it was its turn; see [`RestoreReport::stopped`].
    NotTried,
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
            Self::NotTried => "not_tried",
        }
    }
}

impl RestoreReport {
    /// How many items ended so, by the word for it in JSON ([`RestoreOutcome::as_str`]).
    pub fn count(&self, outcome: &str) -> usize {
        self.items.iter().filter(|item| item.outcome.as_str() == outcome).count()
    }
}
