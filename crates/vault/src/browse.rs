use std::{collections::HashMap, io::Write};

use mailkeep_model::{Address, FolderId};
use rustic_core::repofile::Node;

use crate::{
    FolderPath, ItemPath, ShortId, SnapshotId, StoredFolder, StoredItem, StoredMailbox, Vault,
    VaultError, layout,
    records::{FolderRecord, FoldersFile},
    view::{self, MailboxView},
};

impl Vault {
    /// The mailboxes in a snapshot, by address.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`]; [`VaultError::Storage`], [`VaultError::Damaged`].
    pub fn mailboxes(&self, snapshot: &SnapshotId) -> Result<Vec<StoredMailbox>, VaultError> {
        let root = self.tree(self.root(&self.snapshot(snapshot)?)?)?;
        let mut mailboxes = Vec::new();
        for node in root.nodes.iter().filter(|node| node.is_dir()) {
            let view = MailboxView::new(self, view::subtree(self, node)?)?;
            mailboxes.push(StoredMailbox {
                mailbox: view.about.mailbox,
                complete: view.about.complete,
                folders: view.folders.folders.len(),
            });
        }
        mailboxes.sort_by(|a, b| a.mailbox.address.cmp(&b.mailbox.address));
        Ok(mailboxes)
    }

    /// The folders of a mailbox, parents before their children. Reads every directory of the
    /// mailbox, but no index: the number of items is counted.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`], [`VaultError::NoSuchMailbox`]; [`VaultError::Storage`],
    /// [`VaultError::Damaged`].
    pub fn folders(
        &self,
        snapshot: &SnapshotId,
        mailbox: &Address,
    ) -> Result<Vec<StoredFolder>, VaultError> {
        let mut view = self.view(snapshot, mailbox)?;
        stored_folders(&mut view)
    }

    /// The items directly in a folder, in the order of arrival.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`], [`VaultError::NoSuchMailbox`],
    /// [`VaultError::NoSuchFolder`]; [`VaultError::Storage`], [`VaultError::Damaged`].
    pub fn items(
        &self,
        snapshot: &SnapshotId,
        mailbox: &Address,
        folder: &FolderId,
    ) -> Result<Vec<StoredItem>, VaultError> {
        let mut view = self.view(snapshot, mailbox)?;
        if !view.directories.contains(folder) {
            return Err(VaultError::no_such_folder(snapshot, mailbox, folder));
        }
        let mut items = Vec::new();
        for (leaf, tree) in view.leaves(folder)? {
            items.extend(view.index(folder, &leaf, tree)?);
        }
        items.sort_by(|a, b| (a.item.received, &a.short).cmp(&(b.item.received, &b.short)));
        Ok(items)
    }

    /// Finds an item by its short id, in one mailbox or in all. Nothing found is an empty list.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`], [`VaultError::NoSuchMailbox`]; [`VaultError::Storage`],
    /// [`VaultError::Damaged`].
    pub fn find_item(
        &self,
        snapshot: &SnapshotId,
        mailbox: Option<&Address>,
        short: &ShortId,
    ) -> Result<Vec<(Address, StoredFolder, StoredItem)>, VaultError> {
        let addresses = match mailbox {
            Some(address) => vec![address.clone()],
            None => self.mailboxes(snapshot)?.into_iter().map(|m| m.mailbox.address).collect(),
        };
        let mut found = Vec::new();
        for address in addresses {
            let mut view = self.view(snapshot, &address)?;
            let records = view.folders.folders.clone();
            for record in &records {
                let folder = &record.folder.id;
                for (leaf, id) in view.leaves(folder)? {
                    let tree = view.tree(id)?;
                    let is_it =
                        |node: &Node| layout::short_id_of(&node.name) == Some(short.as_str());
                    if !tree.nodes.iter().any(is_it) {
                        continue;
                    }
                    let items = view.index(folder, &leaf, id)?;
                    if let Some(item) = items.into_iter().find(|item| item.short == *short) {
                        let folder = stored_folder(&mut view, &names(&records), record)?;
                        found.push((address.clone(), folder, item));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Writes an item's content out, byte for byte as it was stored, a piece at a time. Returns
    /// its length.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`], [`VaultError::NoSuchMailbox`], [`VaultError::NoSuchItem`];
    /// [`VaultError::Storage`], [`VaultError::Damaged`]; [`VaultError::Output`] when `out` fails.
    pub fn read_item(
        &self,
        snapshot: &SnapshotId,
        mailbox: &Address,
        path: &ItemPath,
        out: &mut dyn Write,
    ) -> Result<u64, VaultError> {
        let node = self.view(snapshot, mailbox)?.item(path)?;
        let node =
            node.ok_or_else(|| VaultError::no_such_item(snapshot, mailbox, path.name.clone()))?;
        self.stream(&node, out)
    }

    /// Writes the stream beside an item's content out, as [`Vault::read_item`] does the content.
    ///
    /// # Errors
    /// As [`Vault::read_item`]; [`VaultError::NoSuchItem`] also when there is no stream, see
    /// [`StoredItem::stream_bytes`].
    pub fn read_stream(
        &self,
        snapshot: &SnapshotId,
        mailbox: &Address,
        path: &ItemPath,
        out: &mut dyn Write,
    ) -> Result<u64, VaultError> {
        let node = self.view(snapshot, mailbox)?.stream(path)?;
        let missing =
            || VaultError::no_such_item(snapshot, mailbox, layout::stream_name(&path.name));
        self.stream(&node.ok_or_else(missing)?, out)
    }

    pub(crate) fn view(
        &self,
        snapshot: &SnapshotId,
        mailbox: &Address,
    ) -> Result<MailboxView<'_>, VaultError> {
        let root = self.tree(self.root(&self.snapshot(snapshot)?)?)?;
        match view::mailbox_tree(self, &root, mailbox)? {
            Some(id) => MailboxView::new(self, id),
            None => Err(VaultError::NoSuchMailbox {
                snapshot: snapshot.clone(),
                mailbox: mailbox.clone(),
            }),
        }
    }
}

/// All folders of a mailbox, parents before their children.
pub(crate) fn stored_folders(view: &mut MailboxView<'_>) -> Result<Vec<StoredFolder>, VaultError> {
    let FoldersFile { folders, .. } = view.folders.clone();
    let names = names(&folders);
    let mut stored: Vec<_> = folders
        .iter()
        .map(|record| stored_folder(view, &names, record))
        .collect::<Result<_, _>>()?;
    stored.sort_by(|a, b| (&a.path, &a.folder.id).cmp(&(&b.path, &b.folder.id)));
    Ok(stored)
}

type Names<'a> = HashMap<&'a FolderId, &'a str>;

fn names(records: &[FolderRecord]) -> Names<'_> {
    records.iter().map(|record| (&record.folder.id, record.folder.name.as_str())).collect()
}

fn stored_folder(
    view: &mut MailboxView<'_>,
    names: &Names<'_>,
    record: &FolderRecord,
) -> Result<StoredFolder, VaultError> {
    let mut items = 0;
    for (_, leaf) in view.leaves(&record.folder.id)? {
        let tree = view.tree(leaf)?;
        let is_item = |node: &&Node| {
            node.name != layout::INDEX_FILE && layout::item_of_stream(&node.name).is_none()
        };
        items += tree.nodes.iter().filter(is_item).count() as u64;
    }
    let mut path = Vec::new();
    let mut next = Some(&record.folder.id);
    while let Some(id) = next {
        path.push(names.get(id).copied().unwrap_or_default().to_owned());
        next = view.directories.place(id).and_then(|(parent, _)| parent);
    }
    path.reverse();
    Ok(StoredFolder {
        folder: record.folder.clone(),
        path: FolderPath(path),
        directory: record.directory.clone(),
        items,
    })
}
