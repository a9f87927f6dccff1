use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use mailkeep_exchange::{ExchangeError, Provider, QUARANTINE};
use mailkeep_model::{
    Change, Cursor, Folder, FolderId, FolderKind, ItemKind, Mailbox, Next, WellKnownFolder,
};

use super::mailbox::is_local;

/// The folder tree of a mailbox, read to its end.
///
/// A folder's disappearance is provisional like an item's: [`known`](Self::known) still lists it,
/// and only the end of the mailbox's pass takes it out.
pub(crate) struct FolderTree {
    folders: BTreeMap<FolderId, Folder>,
    gone: HashSet<FolderId>,
    /// Folders of which the provider tells nothing now, neither that they are there nor that they are
    /// gone. They stay as they were, unread.
    resting: HashSet<FolderId>,
    /// Kinds whose folders were listed. Those of others stay as they were, unread.
    listed: Vec<FolderKind>,
    /// Kinds whose folders could not be listed, all or some of them, and why.
    unlisted: Vec<(FolderKind, ExchangeError)>,
    cursor: Cursor,
}

impl FolderTree {
    /// Reads all changes since `cursor` and applies them to `before`. Beside mail folders those of
    /// `kinds` are listed, whole each time.
    pub(crate) async fn read<P: Provider>(
        provider: &P,
        mailbox: &Mailbox,
        before: Vec<Folder>,
        cursor: Option<Cursor>,
        kinds: &[FolderKind],
    ) -> Result<Self, ExchangeError> {
        let (before, resting): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|folder| provider.is_read(folder));
        let (mail, others): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|folder| folder.kind == FolderKind::Mail);
        let mut tree = match Self::drain(provider, mailbox, mail.clone(), cursor).await {
            Err(ExchangeError::CursorExpired { .. }) => {
                tracing::info!(mailbox = %mailbox.address, "folder tree is read anew");
                Self::drain(provider, mailbox, mail, None).await?
            }
            done => done?,
        };
        tree.folders.extend(others.iter().map(|folder| (folder.id.clone(), folder.clone())));
        for folder in resting {
            tree.resting.insert(folder.id.clone());
            tree.folders.entry(folder.id.clone()).or_insert(folder);
        }
        for kind in kinds.iter().copied() {
            match provider.other_folders(mailbox, kind).await {
                Ok(listed) => {
                    tree.listed.push(kind);
                    let known = others.iter().filter(|folder| folder.kind == kind);
                    tree.gone.extend(known.map(|folder| folder.id.clone()));
                    for folder in listed {
                        tree.gone.remove(&folder.id);
                        tree.folders.insert(folder.id.clone(), folder);
                    }
                    tree.rest_archive(mailbox, kind);
                }
                // Without a right to calendars the mail is read all the same.
                Err(error) if is_local(&error) => tree.unlisted.push((kind, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(tree)
    }

    /// Lets an archive rest of which nothing is told: it is found by an interface that may change at
    /// any time, and that it says nothing does not mean that nothing is there.
    fn rest_archive(&mut self, mailbox: &Mailbox, kind: FolderKind) {
        let is_top = |folder: &&Folder| {
            folder.kind == kind && folder.well_known == Some(WellKnownFolder::Archive)
        };
        let gone = self.gone().find(is_top);
        let Some(top) = gone.map(|folder| folder.id.clone()) else { return };
        let mut untold = vec![top];
        while let Some(id) = untold.pop() {
            let below = self.folders.values().filter(|folder| folder.parent.as_ref() == Some(&id));
            let below = below.filter(|folder| !self.resting.contains(&folder.id));
            untold.extend(below.map(|folder| folder.id.clone()));
            self.gone.remove(&id);
            self.resting.insert(id);
        }
        let error = ExchangeError::Unsupported {
            action: format!("{}: listing the folders of the archive", mailbox.address),
            reason: "the provider does not tell of the archive any more. What is kept of it stays \
                     as it last was; if the archive is gone for good, switch 'archive' off"
                .to_owned(),
        };
        self.unlisted.push((kind, error));
    }

    async fn drain<P: Provider>(
        provider: &P,
        mailbox: &Mailbox,
        before: Vec<Folder>,
        mut cursor: Option<Cursor>,
    ) -> Result<Self, ExchangeError> {
        // An enumeration from the beginning lists every folder: what it does not name is gone.
        let complete = cursor.is_none();
        let mut folders: BTreeMap<_, _> =
            before.into_iter().map(|folder| (folder.id.clone(), folder)).collect();
        let mut gone: HashSet<FolderId> =
            if complete { folders.keys().cloned().collect() } else { HashSet::new() };
        loop {
            let page = provider.folder_changes(mailbox, cursor.as_ref()).await?;
            for change in page.changes {
                match change {
                    Change::Upsert(mut folder) => {
                        gone.remove(&folder.id);
                        if let Some(before) = folders.get(&folder.id) {
                            folder.well_known = folder.well_known.or(before.well_known);
                        }
                        folders.insert(folder.id.clone(), folder);
                    }
                    Change::Removed(id) => {
                        if folders.contains_key(&id) {
                            gone.insert(id);
                        }
                    }
                }
            }
            match page.next {
                Next::More(next) => cursor = Some(next),
                Next::Done(cursor) => {
                    let (resting, listed, unlisted) = (HashSet::new(), Vec::new(), Vec::new());
                    return Ok(Self { folders, gone, resting, listed, unlisted, cursor });
                }
                Next::Complete => {
                    let action = format!("{}: reading the folder tree", mailbox.address);
                    let reason = "the provider gave no place to go on from".to_owned();
                    return Err(ExchangeError::Protocol { action, reason });
                }
            }
        }
    }

    /// Adds those of some folders that were made after the tree was read, and the new ones above
    /// them. The tree stands where it stood: the next pass is told of them again.
    pub(crate) async fn look_again<P: Provider>(
        &mut self,
        provider: &P,
        mailbox: &Mailbox,
        wanted: &[(ItemKind, FolderId)],
    ) -> Result<(), ExchangeError> {
        let holds = |kind: FolderKind| wanted.iter().any(|(items, _)| *items == kind.items());
        let mut told = HashMap::new();
        let mut cursor = holds(FolderKind::Mail).then(|| Some(self.cursor.clone()));
        while let Some(from) = cursor {
            let page = match provider.folder_changes(mailbox, from.as_ref()).await {
                Err(ExchangeError::CursorExpired { .. }) if from.is_some() => {
                    cursor = Some(None);
                    continue;
                }
                page => page?,
            };
            for change in page.changes {
                if let Change::Upsert(folder) = change {
                    told.insert(folder.id.clone(), folder);
                }
            }
            cursor = match page.next {
                Next::More(next) => Some(Some(next)),
                Next::Done(_) | Next::Complete => None,
            };
        }
        for kind in self.listed.iter().copied().filter(|kind| holds(*kind)) {
            let listed = provider.other_folders(mailbox, kind).await?;
            told.extend(listed.into_iter().map(|folder| (folder.id.clone(), folder)));
        }
        for (_, wanted) in wanted {
            let mut next = Some(wanted.clone());
            while let Some(id) = next
                && !self.folders.contains_key(&id)
                && let Some(folder) = told.remove(&id)
            {
                next = folder.parent.clone();
                self.folders.insert(id, folder);
            }
        }
        Ok(())
    }

    /// The folders that are there, to be read.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Folder> {
        self.folders.values().filter(|folder| {
            !self.gone.contains(&folder.id)
                && !self.resting.contains(&folder.id)
                && (folder.kind == FolderKind::Mail || self.listed.contains(&folder.kind))
        })
    }

    /// Folders that stay as they were, because nothing is told of them.
    pub(crate) fn resting(&self) -> &HashSet<FolderId> {
        &self.resting
    }

    /// Kinds whose folders could not be listed, and why.
    pub(crate) fn unlisted(&self) -> &[(FolderKind, ExchangeError)] {
        &self.unlisted
    }

    /// The folders that are no longer there.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Folder> {
        self.gone.iter().filter_map(|id| self.folders.get(id))
    }

    /// Adds a folder that no list names.
    pub(crate) fn add(&mut self, folder: Folder) {
        self.folders.insert(folder.id.clone(), folder);
    }

    /// Takes a folder's disappearance back.
    pub(crate) fn keep(&mut self, folder: &FolderId) {
        self.gone.remove(folder);
    }

    /// All folders, the disappeared ones included.
    pub(crate) fn known(&self) -> Arc<Vec<Folder>> {
        Arc::new(self.folders.values().cloned().collect())
    }

    /// Whether the provider counts items in just the mail folders that are there. A change to the
    /// tree that it never told of shows here.
    pub(crate) fn fits(&self, counts: &HashMap<FolderId, u64>) -> bool {
        let mut mail = self.present().filter(|folder| folder.kind == FolderKind::Mail);
        let known = |id| self.folders.contains_key(id) && !self.gone.contains(id);
        // Hidden, the quarantine need not be counted.
        let told = |folder: &Folder| {
            counts.contains_key(&folder.id) || folder.name.starts_with(QUARANTINE)
        };
        counts.is_empty() || (mail.all(told) && counts.keys().all(known))
    }

    /// The tree as it is, without the disappeared folders; what could not be listed; and the
    /// cursor to go on from once all is durable.
    pub(crate) fn finish(mut self) -> (Arc<Vec<Folder>>, Vec<ExchangeError>, Cursor) {
        self.folders.retain(|id, _| !self.gone.contains(id));
        let folders = Arc::new(self.folders.into_values().collect());
        let unlisted = self.unlisted.into_iter().map(|(_, error)| error).collect();
        (folders, unlisted, self.cursor)
    }
}
