//! Builds the directory of one changed mailbox.

use std::{collections::HashMap, collections::HashSet, sync::Arc};

use mailkeep_model::FolderId;
use rustic_core::TreeId;

use super::{
    Directory, Entry, Excluded, Leaf, LeafItem, LeafStream, MailboxInput, Plan, Source,
    folders::Shapes,
    placement::{self, Edits, LeafEdit},
};
use crate::{
    Vault, VaultError,
    layout::{self, Directories},
    records::{self, FoldersFile, MailboxFile},
    view::MailboxView,
};

/// The directory of a mailbox after a round.
pub(crate) fn plan(
    vault: &Vault,
    mut old: Option<MailboxView<'_>>,
    input: &MailboxInput,
    excluded: &Excluded,
    plan: &mut Plan,
) -> Result<Directory, VaultError> {
    let directories = Directories::new(&input.folders);
    let edits = placement::place(old.as_mut(), &directories, input, excluded, plan)?;
    let about = MailboxFile::new(input.mailbox.clone(), input.complete);
    let folders = FoldersFile::new(&input.folders, &directories);
    let mail = Builder::new(vault, old, &directories, edits, input, excluded).build()?;
    Ok(Directory::from([
        (layout::FOLDERS_FILE.to_owned(), Entry::File(records::to_file(&folders))),
        (layout::MAIL.to_owned(), mail),
        (layout::MAILBOX_FILE.to_owned(), Entry::File(records::to_file(&about))),
    ]))
}

struct Builder<'a, 'v> {
    vault: &'v Vault,
    old: Option<MailboxView<'v>>,
    new: &'a Directories,
    edits: Edits,
    /// Folders with changed leaves, and all folders above them.
    touched: HashSet<FolderId>,
    input: &'a MailboxInput,
    excluded: &'a Excluded,
}

impl<'a, 'v> Builder<'a, 'v> {
    fn new(
        vault: &'v Vault,
        old: Option<MailboxView<'v>>,
        new: &'a Directories,
        edits: Edits,
        input: &'a MailboxInput,
        excluded: &'a Excluded,
    ) -> Self {
        let mut touched = HashSet::new();
        for folder in edits.keys() {
            let mut next = Some(folder);
            while let Some(folder) = next {
                touched.insert(folder.clone());
                next = new.place(folder).and_then(|(parent, _)| parent);
            }
        }
        Self { vault, old, new, edits, touched, input, excluded }
    }

    fn build(mut self) -> Result<Entry, VaultError> {
        let same = self.same_below();
        if self.touched.is_empty()
            && same.contains(&None)
            && let Some(old) = &self.old
        {
            return Ok(Entry::Graft(old.mail));
        }
        Ok(Entry::Directory(self.children(None, &same)?))
    }

    /// Folders (`None`: the mailbox's root) below which the tree of folders is as it was.
    fn same_below(&self) -> HashSet<Option<FolderId>> {
        let Some(old) = &self.old else {
            return HashSet::new();
        };
        let mut before = Shapes::new(&old.directories);
        let mut after = Shapes::new(self.new);
        let folders = self.input.folders.iter().map(|folder| Some(&folder.id));
        folders
            .chain([None])
            .filter(|folder| folder.is_none_or(|id| old.directories.contains(id)))
            .filter(|folder| before.of(*folder) == after.of(*folder))
            .map(Option::<&FolderId>::cloned)
            .collect()
    }

    fn children(
        &mut self,
        parent: Option<&FolderId>,
        same: &HashSet<Option<FolderId>>,
    ) -> Result<Directory, VaultError> {
        let new = self.new;
        let mut directory = Directory::new();
        for (name, folder) in new.children(parent) {
            let graft = if same.contains(&Some(folder.clone())) && !self.touched.contains(folder) {
                self.old_tree(folder)?
            } else {
                None
            };
            let entry = match graft {
                Some(tree) => Entry::Graft(tree),
                None => Entry::Directory(self.folder(folder, same)?),
            };
            directory.insert(name.clone(), entry);
        }
        Ok(directory)
    }

    fn folder(
        &mut self,
        folder: &FolderId,
        same: &HashSet<Option<FolderId>>,
    ) -> Result<Directory, VaultError> {
        let mut directory = self.children(Some(folder), same)?;
        let mut edits = self.edits.remove(folder).unwrap_or_default();
        let leaves = match &mut self.old {
            Some(old) => old.leaves(folder)?,
            None => Vec::new(),
        };
        for (leaf, tree) in leaves {
            match edits.remove(&leaf) {
                None => {
                    directory.insert(leaf, Entry::Graft(tree));
                }
                Some(edit) => {
                    let before = self.read(folder, &leaf, tree)?;
                    insert(&mut directory, leaf, before, edit);
                }
            }
        }
        for (leaf, edit) in edits {
            insert(&mut directory, leaf, Leaf::new(), edit);
        }
        Ok(directory)
    }

    fn old_tree(&mut self, folder: &FolderId) -> Result<Option<TreeId>, VaultError> {
        self.old.as_mut().map_or(Ok(None), |old| old.folder(folder))
    }

    /// A leaf as the newest snapshot has it.
    fn read(&mut self, folder: &FolderId, leaf: &str, id: TreeId) -> Result<Leaf, VaultError> {
        let Some(old) = &mut self.old else {
            return Ok(Leaf::new());
        };
        let tree = old.tree(id)?;
        let mut content: HashMap<_, _> = tree
            .nodes
            .iter()
            .filter_map(|node| {
                Some((node.name().to_string_lossy().into_owned(), node.content.clone()?))
            })
            .collect();
        let mut items = Leaf::new();
        for stored in old.index(folder, leaf, id)? {
            let Some(pieces) = content.remove(&stored.path.name) else {
                return Err(self.vault.damaged(format!("item {} has no content", stored.short)));
            };
            let stream = match stored.stream_bytes {
                None => None,
                Some(bytes) => match content.remove(&layout::stream_name(&stored.path.name)) {
                    Some(pieces) => Some(LeafStream { bytes, source: Source::Stored(pieces) }),
                    None => {
                        let what = format!("item {} has no stream", stored.short);
                        return Err(self.vault.damaged(what));
                    }
                },
            };
            // It failed when it was read for this round, so the vault's copy is damaged.
            if self.excluded.contains(&(self.input.mailbox.id.clone(), stored.item.id.clone()))
                && !self.input.puts.iter().any(|put| put.item.id == stored.item.id)
            {
                continue;
            }
            let item = LeafItem {
                item: Arc::new(stored.item),
                mailbox: self.input.id.clone(),
                short: stored.short,
                bytes: stored.bytes,
                source: Source::Stored(pieces),
                stream,
            };
            items.insert(stored.path.name, item);
        }
        Ok(items)
    }
}

/// Puts a changed leaf into its folder, unless nothing is left in it.
fn insert(directory: &mut Directory, name: String, mut leaf: Leaf, edit: LeafEdit) {
    leaf.retain(|name, _| !edit.remove.contains(name));
    leaf.extend(edit.put);
    if !leaf.is_empty() {
        directory.insert(name, Entry::Leaf(leaf));
    }
}
