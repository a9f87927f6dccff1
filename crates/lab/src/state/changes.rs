//! What has changed since a number: the source of the delta queries.

use super::{Entry, Folder, MailboxState, Message};

/// One line of a folder's `messages/delta`.
pub(crate) enum MessageChange<'a> {
    Present {
        item: u64,
        message: &'a Message,
    },
    /// Deleted, or moved out of the folder.
    Gone {
        item: u64,
        location: u64,
        moved: bool,
    },
}

/// One line of `mailFolders/delta`.
pub(crate) enum FolderChange<'a> {
    Present { number: u64, folder: &'a Folder },
    Gone { number: u64 },
}

impl MailboxState {
    /// At most `limit` changes of a folder after `position`, and the position behind the last one;
    /// `true` when there are more.
    ///
    /// A removal is reported when the asker can have seen the item: it was in the folder at
    /// `position`, and it went after `floor`, the state when the asker's first round began.
    /// With immutable ids an item that has come back is not reported as gone.
    pub(crate) fn message_changes(
        &self,
        folder: u64,
        position: u64,
        floor: u64,
        limit: usize,
        ids: IdKind,
    ) -> (Vec<MessageChange<'_>>, u64, bool) {
        let mut found = Vec::new();
        let mut reached = position;
        let entries = self.folders.get(&folder).map(|f| f.by_change.range(position + 1..));
        for (&number, entry) in entries.into_iter().flatten() {
            let change = match *entry {
                Entry::Here { item } => {
                    self.messages.get(&item).map(|message| MessageChange::Present { item, message })
                }
                Entry::Gone { item, location, entered } => {
                    let seen = entered <= position && number > floor;
                    let now = self.messages.get(&item).map(|m| m.place.folder);
                    let back = now == Some(folder) && ids == IdKind::Immutable;
                    (seen && !back).then_some(MessageChange::Gone {
                        item,
                        location,
                        moved: now.is_some_and(|at| !self.is_hidden(at)),
                    })
                }
            };
            let Some(change) = change else {
                if found.len() < limit {
                    reached = number;
                }
                continue;
            };
            if found.len() == limit {
                return (found, reached, true);
            }
            found.push(change);
            reached = number;
        }
        (found, reached.max(position), false)
    }

    /// The same for the folders of the mailbox.
    pub(crate) fn folder_changes(
        &self,
        position: u64,
        floor: u64,
        limit: usize,
    ) -> (Vec<FolderChange<'_>>, u64, bool) {
        let mut found = Vec::new();
        let mut reached = position;
        for (&change, &(number, created)) in self.folder_log.range(position + 1..) {
            let line = match self.folders.get(&number) {
                Some(folder) if folder.is_hidden() || folder.unlisted => None,
                Some(folder) => Some(FolderChange::Present { number, folder }),
                None => {
                    (created <= position && change > floor).then_some(FolderChange::Gone { number })
                }
            };
            let Some(line) = line else {
                if found.len() < limit {
                    reached = change;
                }
                continue;
            };
            if found.len() == limit {
                return (found, reached, true);
            }
            found.push(line);
            reached = change;
        }
        (found, reached.max(position), false)
    }
}

/// Which of the two kinds of message ids an asker wants (`Prefer: IdType="ImmutableId"`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IdKind {
    #[default]
    Regular,
    Immutable,
}
