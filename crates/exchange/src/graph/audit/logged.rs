use std::collections::HashSet;

use mailkeep_model::{DirectoryChange, ExchangeChange, MailAccess, SignIn};
use time::OffsetDateTime;

use super::LogPage;

/// What a log told. Whatever is in it happened; of what is not in it nothing is known where entries were
/// damaged or missing, and before [`Logged::since`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged<T> {
    /// The entries, each once.
    pub entries: Vec<T>,
    /// Entries that are not understood.
    pub damaged: usize,
    /// When those of them were of which that much is understood.
    pub dated: Vec<OffsetDateTime>,
    /// Pieces of the log that it named and would not give out any more.
    pub missing: usize,
    /// Since when the log was asked: later than wanted where it keeps nothing that old, or was switched
    /// on just now.
    pub since: OffsetDateTime,
    ids: HashSet<String>,
}

/// What has an id that stays the same, whenever it is read.
pub trait Entry {
    /// The log's own id of it.
    fn id(&self) -> &str;
}

impl<T> Logged<T> {
    pub(super) fn asked_since(since: OffsetDateTime) -> Self {
        let (entries, dated) = (Vec::new(), Vec::new());
        Self { entries, damaged: 0, dated, missing: 0, since, ids: HashSet::new() }
    }

    /// Whether something is missing of which nobody knows when it was.
    pub fn has_undated_gaps(&self) -> bool {
        self.missing > 0 || self.damaged > self.dated.len()
    }

    /// Whether the log told everything that it has of the time that it was asked for.
    pub fn is_complete(&self) -> bool {
        self.damaged == 0 && self.missing == 0
    }
}

impl<T: Entry> Logged<T> {
    /// Takes in what is new and wanted.
    pub(super) fn add(&mut self, page: LogPage<T>, is_wanted: impl Fn(&T) -> bool) {
        self.damaged += page.damaged;
        self.dated.extend(page.dated);
        for entry in page.entries.into_iter().filter(is_wanted) {
            if self.ids.insert(entry.id().to_owned()) {
                self.entries.push(entry);
            }
        }
    }
}

macro_rules! entries {
    ($($name:ty),*) => { $(impl Entry for $name {
        fn id(&self) -> &str {
            &self.id
        }
    })* };
}
entries!(SignIn, DirectoryChange, ExchangeChange, MailAccess);
