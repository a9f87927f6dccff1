//! A folder and the roles that folders have.

use std::collections::BTreeMap;

/// The folder above all others (`msgfolderroot`), which no listing shows.
pub(crate) const ROOT: u64 = 1;

/// Folders that a URL may name by role (`GET …/mailFolders/inbox`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WellKnown {
    Root,
    Inbox,
    Drafts,
    SentItems,
    DeletedItems,
    JunkEmail,
    Outbox,
    Archive,
    RecoverableItems,
}

impl WellKnown {
    pub(crate) const ALL: [Self; 9] = [
        Self::Root,
        Self::Inbox,
        Self::Drafts,
        Self::SentItems,
        Self::DeletedItems,
        Self::JunkEmail,
        Self::Outbox,
        Self::Archive,
        Self::RecoverableItems,
    ];

    /// The name in a URL.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Root => "msgfolderroot",
            Self::Inbox => "inbox",
            Self::Drafts => "drafts",
            Self::SentItems => "sentitems",
            Self::DeletedItems => "deleteditems",
            Self::JunkEmail => "junkemail",
            Self::Outbox => "outbox",
            Self::Archive => "archive",
            Self::RecoverableItems => "recoverableitemsdeletions",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|w| w.as_str().eq_ignore_ascii_case(text))
    }

    /// The name that an English mailbox shows.
    pub(crate) fn display_name(self) -> &'static str {
        match self {
            Self::Root => "Top of Information Store",
            Self::Inbox => "Inbox",
            Self::Drafts => "Drafts",
            Self::SentItems => "Sent Items",
            Self::DeletedItems => "Deleted Items",
            Self::JunkEmail => "Junk Email",
            Self::Outbox => "Outbox",
            Self::Archive => "Archive",
            Self::RecoverableItems => "Deletions",
        }
    }

    /// Whether listings and delta queries leave it out.
    pub(crate) fn is_hidden(self) -> bool {
        matches!(self, Self::Root | Self::RecoverableItems)
    }
}

/// What happened to an item in one folder, last.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// Created, changed or moved here.
    Here { item: u64 },
    /// Deleted or moved away.
    Gone { item: u64, location: u64, entered: u64 },
}

#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) parent: u64,
    pub(crate) name: Box<str>,
    pub(crate) well_known: Option<WellKnown>,
    /// Made to be shown to nobody who does not ask for it (`isHidden`).
    pub(crate) unlisted: bool,
    /// The change that created it, and the last one of name or place.
    pub(crate) created: u64,
    pub(crate) changed: u64,
    pub(crate) total: u32,
    pub(crate) unread: u32,
    /// Every item that is or was here, once, by its last change.
    pub(crate) by_change: BTreeMap<u64, Entry>,
}

impl Folder {
    pub(crate) fn is_hidden(&self) -> bool {
        self.well_known.is_some_and(WellKnown::is_hidden)
    }

    /// The items in it, least recently changed first.
    pub(crate) fn items(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.by_change.values().filter_map(|entry| match entry {
            Entry::Here { item } => Some(*item),
            Entry::Gone { .. } => None,
        })
    }
}
