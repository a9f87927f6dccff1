use std::collections::{BTreeMap, HashMap, HashSet};

use mailkeep_model::{Folder, FolderId, ItemId, MailboxId};
use rustic_core::{TreeId, repofile::Tree};

use crate::{
    ItemPath, SnapshotId, StoredItem, StoredMailbox, Vault, VaultError, layout,
    view::{self, MailboxView},
};

/// One difference between two snapshots, for whoever keeps a catalog beside the vault.
///
/// Within a mailbox everything that is gone comes before everything that is there, so that a
/// moved item is first taken away and then put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogChange {
    /// A mailbox is new, or what is known of it changed. Comes before its folders and items.
    Mailbox(StoredMailbox),
    /// A mailbox is no longer there, with everything in it.
    MailboxGone(MailboxId),
    /// A mailbox's folders, all of them, because one of them changed.
    Folders {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its folders.
        folders: Vec<Folder>,
    },
    /// An item is no longer in this place.
    ItemGone {
        /// The mailbox.
        mailbox: MailboxId,
        /// Which item.
        item: ItemId,
        /// Where it was.
        path: ItemPath,
    },
    /// An item is new in this place, or its description or content changed.
    Item {
        /// The mailbox.
        mailbox: MailboxId,
        /// The item.
        item: Box<StoredItem>,
    },
}

type Each<'e> = &'e mut dyn FnMut(CatalogChange);

impl Vault {
    /// Reports what is different in `to`, compared to `from` (`None`: to nothing at all). Only
    /// directories that differ are read, so the cost follows the difference. This is how a catalog
    /// is rebuilt, or catches up after a crash between "snapshot written" and "catalog written".
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`]; [`VaultError::Storage`], [`VaultError::Damaged`]. What was
    /// reported before an error is true.
    pub fn diff(
        &self,
        from: Option<&SnapshotId>,
        to: &SnapshotId,
        each: &mut dyn FnMut(CatalogChange),
    ) -> Result<(), VaultError> {
        let to = self.tree(self.root(&self.snapshot(to)?)?)?;
        let from = match from {
            Some(from) => self.tree(self.root(&self.snapshot(from)?)?)?,
            None => Tree::default(),
        };
        let old = directories(self, &from)?;
        let new = directories(self, &to)?;
        let (had, has): (HashSet<_>, HashSet<_>) = (old.iter().collect(), new.iter().collect());
        let mut before = HashMap::new();
        for id in old.iter().filter(|id| !has.contains(id)) {
            let view = MailboxView::new(self, *id)?;
            before.insert(view.about.mailbox.id.clone(), view);
        }
        let mut after = Vec::new();
        for id in new.iter().filter(|id| !had.contains(id)) {
            after.push(MailboxView::new(self, *id)?);
        }
        let there: HashSet<_> = after.iter().map(|view| view.about.mailbox.id.clone()).collect();
        for id in before.keys().filter(|id| !there.contains(*id)) {
            each(CatalogChange::MailboxGone(id.clone()));
        }
        for mut view in after {
            let mut old = before.remove(&view.about.mailbox.id);
            mailbox(old.as_mut(), &mut view, each)?;
        }
        Ok(())
    }
}

fn directories(vault: &Vault, root: &Tree) -> Result<Vec<TreeId>, VaultError> {
    root.nodes.iter().filter(|n| n.is_dir()).map(|node| view::subtree(vault, node)).collect()
}

fn about(view: &MailboxView<'_>) -> StoredMailbox {
    StoredMailbox {
        mailbox: view.about.mailbox.clone(),
        complete: view.about.complete,
        folders: view.folders.folders.len(),
    }
}

fn folders(view: &MailboxView<'_>) -> Vec<Folder> {
    let mut folders: Vec<_> = view.folders.folders.iter().map(|f| f.folder.clone()).collect();
    folders.sort_by(|a, b| a.id.cmp(&b.id));
    folders
}

fn mailbox(
    mut old: Option<&mut MailboxView<'_>>,
    new: &mut MailboxView<'_>,
    each: Each<'_>,
) -> Result<(), VaultError> {
    let id = new.about.mailbox.id.clone();
    if old.as_ref().map(|old| about(old)) != Some(about(new)) {
        each(CatalogChange::Mailbox(about(new)));
    }
    let now = folders(new);
    if old.as_ref().map(|old| folders(old)).as_ref() != Some(&now) {
        each(CatalogChange::Folders { mailbox: id.clone(), folders: now });
    }
    let changed = changed_leaves(old.as_deref_mut(), new)?;
    for (folder, leaf, before, after) in &changed {
        let after = lines(Some(&mut *new), folder, leaf, *after)?;
        for (name, item) in lines(old.as_deref_mut(), folder, leaf, *before)? {
            if after.get(&name).is_none_or(|after| after.item.item.id != item.item.item.id) {
                let path = item.item.path;
                each(CatalogChange::ItemGone {
                    mailbox: id.clone(),
                    item: item.item.item.id,
                    path,
                });
            }
        }
    }
    for (folder, leaf, before, after) in &changed {
        let before = lines(old.as_deref_mut(), folder, leaf, *before)?;
        for (name, line) in lines(Some(&mut *new), folder, leaf, *after)? {
            if before.get(&name) != Some(&line) {
                each(CatalogChange::Item { mailbox: id.clone(), item: Box::new(line.item) });
            }
        }
    }
    Ok(())
}

/// Folder and leaf, and its tree before and after.
type ChangedLeaf = (FolderId, String, Option<TreeId>, Option<TreeId>);

fn changed_leaves(
    mut old: Option<&mut MailboxView<'_>>,
    new: &mut MailboxView<'_>,
) -> Result<Vec<ChangedLeaf>, VaultError> {
    let ids = |view: &MailboxView<'_>| -> Vec<FolderId> {
        view.folders.folders.iter().map(|f| f.folder.id.clone()).collect()
    };
    let mut folders: HashSet<FolderId> = ids(new).into_iter().collect();
    folders.extend(old.iter().flat_map(|old| ids(old)));
    let mut folders: Vec<_> = folders.into_iter().collect();
    folders.sort();
    let mut changed = Vec::new();
    for folder in folders {
        let after_id = new.folder(&folder)?;
        let before_id = old.as_deref_mut().map_or(Ok(None), |old| old.folder(&folder))?;
        if after_id == before_id {
            continue;
        }
        let mut leaves: BTreeMap<String, (Option<TreeId>, Option<TreeId>)> = BTreeMap::new();
        if let Some(old) = old.as_deref_mut() {
            for (leaf, id) in old.leaves(&folder)? {
                leaves.entry(leaf).or_default().0 = Some(id);
            }
        }
        for (leaf, id) in new.leaves(&folder)? {
            leaves.entry(leaf).or_default().1 = Some(id);
        }
        let differing = leaves.into_iter().filter(|(_, (before, after))| before != after);
        changed
            .extend(differing.map(|(leaf, (before, after))| (folder.clone(), leaf, before, after)));
    }
    Ok(changed)
}

/// An item and what stands for its content, and for its stream.
#[derive(PartialEq)]
struct Line {
    item: StoredItem,
    content: Option<Vec<rustic_core::DataId>>,
    stream: Option<Vec<rustic_core::DataId>>,
}

fn lines(
    view: Option<&mut MailboxView<'_>>,
    folder: &FolderId,
    leaf: &str,
    tree: Option<TreeId>,
) -> Result<HashMap<String, Line>, VaultError> {
    let (Some(view), Some(id)) = (view, tree) else {
        return Ok(HashMap::new());
    };
    let tree = view.tree(id)?;
    let mut content_of: HashMap<_, _> = tree
        .nodes
        .iter()
        .map(|node| (node.name().to_string_lossy().into_owned(), node.content.clone()))
        .collect();
    let items = view.index(folder, leaf, id)?.into_iter();
    Ok(items
        .map(|item| {
            let content = content_of.remove(&item.path.name).flatten();
            let stream = content_of.remove(&layout::stream_name(&item.path.name)).flatten();
            (item.path.name.clone(), Line { item, content, stream })
        })
        .collect())
}
