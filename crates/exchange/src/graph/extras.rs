use mailkeep_model::{Folder, FolderKind, WellKnownFolder};

use super::streams::{Spot, Store};

/// What is read and restored beside mail, calendars, contacts and settings. All of it is off at
/// first: each takes rights of its own, and what it adds is not what everybody expects to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Task lists (To Do). Takes `Tasks.Read.All`, which cannot be limited to some mailboxes.
    pub tasks: bool,
    /// What Graph gives out as streams only: sticky notes, contact groups, folders of classes that
    /// no other interface describes. Takes `MailboxFolder.Read.All`, `MailboxItem.Read.All` and
    /// `MailboxItem.Export.All`. Not in national clouds.
    pub streams: bool,
    /// The archive mailbox, all of it as streams. Takes the same rights as `streams`. Where it is, is
    /// told by Graph's beta interface alone, which Microsoft may change at any time.
    pub archive: bool,
    /// What was purged, for as long as Exchange keeps it.
    pub recoverable_items: bool,
}

impl Extras {
    /// The kinds of folders that are read beside mail.
    pub(super) fn kinds(self) -> Vec<FolderKind> {
        let mut kinds = vec![FolderKind::Calendar, FolderKind::Contacts, FolderKind::Settings];
        if self.tasks {
            kinds.push(FolderKind::Tasks);
        }
        if self.streams || self.archive {
            kinds.push(FolderKind::Opaque);
        }
        kinds
    }

    /// Whether a folder is read. Streams of the mailbox and of its archive are of one kind, and what
    /// was purged is mail like other mail.
    pub(super) fn read(self, folder: &Folder) -> bool {
        match folder.kind {
            FolderKind::Tasks => self.tasks,
            // The folder that stands for the archive holds no items.
            FolderKind::Opaque => {
                let store = Spot::of(&folder.id).map_or(Store::Archive, |spot| spot.store);
                self.reads(store)
            }
            _ => {
                folder.well_known != Some(WellKnownFolder::RecoverableItems)
                    || self.recoverable_items
            }
        }
    }

    /// Whether streams are read of what lies there.
    pub(super) fn reads(self, store: Store) -> bool {
        match store {
            Store::Primary => self.streams,
            Store::Archive => self.archive,
        }
    }
}
