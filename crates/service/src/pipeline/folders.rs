use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{Change, Cursor, Folder, FolderId, Mailbox, Next};

/// The folder tree of a mailbox, read to its end.
///
/// A folder's disappearance is provisional like an item's: [`known`](Self::known) still lists it,
/// and only the end of the mailbox's pass takes it out.
pub(crate) struct FolderTree {
    folders: BTreeMap<FolderId, Folder>,
    gone: HashSet<FolderId>,
    cursor: Cursor,
}

impl FolderTree {
    /// Reads all changes since `cursor` and applies them to `before`.
    pub(crate) async fn read<P: Provider>(
        provider: &P,
        mailbox: &Mailbox,
        before: Vec<Folder>,
        cursor: Option<Cursor>,
    ) -> Result<Self, ExchangeError> {
        match Self::drain(provider, mailbox, before.clone(), cursor).await {
            Err(ExchangeError::CursorExpired { .. }) => {
                tracing::info!(mailbox = %mailbox.address, "folder tree is read anew");
                Self::drain(provider, mailbox, before, None).await
            }
            done => done,
        }
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
                Next::Done(cursor) => return Ok(Self { folders, gone, cursor }),
            }
        }
    }

    /// The folders that are there, to be read.
    pub(crate) fn present(&self) -> impl Iterator<Item = &FolderId> {
        self.folders.keys().filter(|id| !self.gone.contains(id))
    }

    /// The folders that are no longer there.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &FolderId> {
        self.gone.iter()
    }

    /// All folders, the disappeared ones included.
    pub(crate) fn known(&self) -> Arc<Vec<Folder>> {
        Arc::new(self.folders.values().cloned().collect())
    }

    /// The tree as it is, without the disappeared folders, and the cursor to go on
    /// from once it is durable.
    pub(crate) fn finish(mut self) -> (Arc<Vec<Folder>>, Cursor) {
        self.folders.retain(|id, _| !self.gone.contains(id));
        (Arc::new(self.folders.into_values().collect()), self.cursor)
    }
}
