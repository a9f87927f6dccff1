//! What is to be restored, as a snapshot has it.

use std::collections::HashMap;

use mailkeep_model::{Address, FolderId, FolderKind, MailboxId, WellKnownFolder};
use mailkeep_vault::{FolderPath, StoredFolder, StoredItem};

use super::RestoreWhat;
use crate::{ServiceError, View};

/// Which way everything goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Into the same folders as in the mailbox that it comes from.
    Back,
    /// Below one folder.
    Below,
}

/// What comes out of one mailbox.
pub(super) struct Source {
    pub(super) mailbox: Address,
    pub(super) id: MailboxId,
    /// All folders of the mailbox, by identifier.
    pub(super) all: HashMap<FolderId, StoredFolder>,
    /// The folders that were asked for, parents first, with their items.
    pub(super) folders: Vec<SourceFolder>,
}

impl Source {
    /// What the folders hold that were asked for, and those above them.
    pub(super) fn kinds(&self) -> Vec<FolderKind> {
        let mut kinds = Vec::new();
        for wanted in &self.folders {
            let mut next = Some(&wanted.folder);
            // A circle of parents would have no end.
            for _ in 0..=self.all.len() {
                let Some(stored) = next else { break };
                if !kinds.contains(&stored.folder.kind) {
                    kinds.push(stored.folder.kind);
                }
                next = stored.folder.parent.as_ref().and_then(|parent| self.all.get(parent));
            }
        }
        kinds.retain(|kind| *kind != FolderKind::Mail);
        kinds
    }

    /// Leaves out what a whole mailbox holds and nobody means who wants it back: settings lie in no
    /// folder, so they cannot go below one; and what was purged does not go back to where nobody
    /// sees it. Both can be asked for by name.
    fn leave_out(&mut self, way: Way) {
        let mut folders = std::mem::take(&mut self.folders);
        folders.retain(|wanted| {
            let folder = &wanted.folder.folder;
            match way {
                Way::Below => folder.kind != FolderKind::Settings,
                Way::Back => !self.is_below(&folder.id, WellKnownFolder::RecoverableItems),
            }
        });
        self.folders = folders;
    }

    /// Whether a folder lay below the one with this role.
    pub(super) fn is_below(&self, folder: &FolderId, role: WellKnownFolder) -> bool {
        let mut next = self.all.get(folder);
        for _ in 0..=self.all.len() {
            let Some(stored) = next else { return false };
            if stored.folder.well_known == Some(role) {
                return true;
            }
            next = stored.folder.parent.as_ref().and_then(|parent| self.all.get(parent));
        }
        false
    }
}

pub(super) struct SourceFolder {
    pub(super) folder: StoredFolder,
    /// Where it goes below the folder that everything is restored to.
    pub(super) below: FolderPath,
    pub(super) items: Vec<StoredItem>,
    /// Whether the folder itself was asked for, or items in it.
    pub(super) whole: bool,
}

/// Reads what was asked for. Waits for the disk.
pub(super) fn select(
    view: &View,
    what: &RestoreWhat,
    way: Way,
) -> Result<Vec<Source>, ServiceError> {
    match what {
        RestoreWhat::Folder { mailbox, path } => {
            let mut source = folder(view, mailbox, path)?;
            if path.0.is_empty() {
                source.leave_out(way);
            }
            Ok(vec![source])
        }
        RestoreWhat::Items(items) => {
            let mut sources: Vec<Source> = Vec::new();
            for short in items {
                let located = view.find(short)?;
                let at = sources.iter().position(|source| source.mailbox == located.mailbox);
                let at = match at {
                    Some(at) => at,
                    None => {
                        sources.push(empty(view, &located.mailbox)?);
                        sources.len() - 1
                    }
                };
                let folders = &mut sources[at].folders;
                let id = &located.folder.folder.id;
                match folders.iter_mut().find(|known| known.folder.folder.id == *id) {
                    Some(known) if known.items.iter().any(|item| item.short == *short) => {}
                    Some(known) => known.items.push(located.item),
                    None => folders.push(SourceFolder {
                        folder: located.folder,
                        below: FolderPath::default(),
                        items: vec![located.item],
                        whole: false,
                    }),
                }
            }
            Ok(sources)
        }
    }
}

fn folder(view: &View, mailbox: &Address, path: &FolderPath) -> Result<Source, ServiceError> {
    let mut source = empty(view, mailbox)?;
    if !path.0.is_empty() {
        // With its error when there is no such folder.
        view.folder(mailbox, path)?;
    }
    let above = path.0.len().saturating_sub(1);
    for folder in view.folders(mailbox)? {
        if folder.path.is_within(path) {
            let below = FolderPath(folder.path.0[above..].to_vec());
            let items = view.items(mailbox, &folder)?;
            source.folders.push(SourceFolder { folder, below, items, whole: true });
        }
    }
    Ok(source)
}

fn empty(view: &View, mailbox: &Address) -> Result<Source, ServiceError> {
    let folders = view.folders(mailbox)?;
    let id = view.mailbox_id(mailbox)?;
    let all = folders.into_iter().map(|folder| (folder.folder.id.clone(), folder)).collect();
    Ok(Source { mailbox: mailbox.clone(), id, all, folders: Vec::new() })
}
