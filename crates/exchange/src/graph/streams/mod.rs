//! What Graph gives out as a whole only: a mailbox with folders and items of every kind, and items as
//! full-fidelity streams.
//!
//! # Vocabulary
//!
//! - A *store* is what has folders and items here: the mailbox itself, or its archive. Graph has an
//!   identifier of its own for each, which is not the user's.
//! - A *spot* is a store and a folder in it. Identifiers of what lies in the archive begin with
//!   `archive:`, so that a folder or an item tells by itself where it is.
//! - *Contact groups* lie among contacts, where no other interface tells of them. They are shown in a
//!   folder of ours, whose identifier is `groups:` and that of the contact folder.
//!
//! Streams are not meant as a way to back up whole mailboxes, says their page, and they are not in
//! national clouds: they are read of what comes in no other way.
//!
//! Sources: the Graph pages "Overview of the mailbox import and export APIs", `List folders`
//! (mailbox), `mailboxFolder: delta`, `List items`, `mailboxItem: delta`, `mailbox: exportItems`,
//! "Handle archive mailbox redirects"; MS-OXPROPS (`PidTagSearchKey`, `PidTagSubject`).

mod export;
mod find;
mod folders;
mod items;
mod stores;

use mailkeep_model::{FolderId, ItemId};

pub(super) use export::export;
pub use export::parse_exported;
pub(super) use find::{find, find_all};
pub(super) use folders::{GROUPS_NAME, folders, groups_of};
pub use items::parse_mailbox_items_page;
pub(super) use items::{Told, changes, details, listed};
pub(super) use stores::store;

use self::{
    export::Exports,
    stores::{Stores, told_store},
};

/// The right that listing folders of every kind needs.
pub(super) const FOLDERS_READ: &str = "MailboxFolder.Read.All";
/// The right that listing items of every kind needs.
pub(super) const ITEMS_READ: &str = "MailboxItem.Read.All";
/// The right that reading streams needs.
const EXPORT: &str = "MailboxItem.Export.All";

const ARCHIVE: &str = "archive:";
const GROUPS: &str = "groups:";
/// The class of a contact group.
const GROUP: &str = "IPM.DistList";

/// What is remembered from one request to the next, as long as a provider lives.
#[derive(Default)]
pub(super) struct State {
    stores: Stores,
    exports: Exports,
    pub(super) imports: super::write::Imports,
}

/// Which store of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Store {
    Primary,
    Archive,
}

/// A store and a folder in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot<'a> {
    pub(super) store: Store,
    /// As Graph calls it.
    pub(super) folder: &'a str,
    /// Of what lies there, contact groups alone.
    pub(super) groups: bool,
}

impl<'a> Spot<'a> {
    /// `None` for what holds items of no store: the folder that stands for the archive.
    pub(super) fn of(id: &'a FolderId) -> Option<Self> {
        let id = id.0.as_str();
        let spot = |store, folder, groups| Self { store, folder, groups };
        if let Some(folder) = id.strip_prefix(ARCHIVE) {
            return (!folder.is_empty()).then(|| spot(Store::Archive, folder, false));
        }
        Some(match id.strip_prefix(GROUPS) {
            Some(folder) => spot(Store::Primary, folder, true),
            None => spot(Store::Primary, id, false),
        })
    }
}

impl Store {
    /// Our identifier for one of Graph's.
    pub(super) fn item(self, id: String) -> ItemId {
        match self {
            Self::Primary => ItemId(id),
            Self::Archive => ItemId(format!("{ARCHIVE}{id}")),
        }
    }

    /// Where an item lies, and what Graph calls it.
    pub(super) fn of(id: &ItemId) -> (Self, &str) {
        match id.0.strip_prefix(ARCHIVE) {
            Some(id) => (Self::Archive, id),
            None => (Self::Primary, &id.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_the_archive_is_never_looked_for_in_the_mailbox() {
        let spot = |id: &str| {
            let id = FolderId(id.to_owned());
            Spot::of(&id).map(|spot| (spot.store, spot.folder.to_owned(), spot.groups))
        };
        assert_eq!(spot("AAk="), Some((Store::Primary, "AAk=".into(), false)));
        assert_eq!(spot("groups:AAk="), Some((Store::Primary, "AAk=".into(), true)));
        assert_eq!(spot("archive:AAk="), Some((Store::Archive, "AAk=".into(), false)));
        assert_eq!(spot("archive:"), None);
        let id = Store::Archive.item("x".into());
        assert_eq!(Store::of(&id), (Store::Archive, "x"));
        assert_eq!(Store::of(&Store::Primary.item("x".into())), (Store::Primary, "x"));
    }
}
