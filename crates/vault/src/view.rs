//! A mailbox as a snapshot has it, read step by step.

use std::collections::HashMap;
use std::sync::Arc;

use mailkeep_model::{Address, FolderId};
use rustic_core::{
    TreeId,
    repofile::{Node, Tree},
};

use crate::{
    ItemPath, StoredItem, Vault, VaultError,
    layout::{self, Directories},
    records::{FoldersFile, MailboxFile, parse_index},
};

/// Directories that are kept in memory at most.
const KEPT: usize = 256;

/// Reads one mailbox of a snapshot. Directories that were read last are kept: those along a path
/// are needed again and again.
#[derive(Debug)]
pub(crate) struct MailboxView<'v> {
    vault: &'v Vault,
    pub(crate) about: MailboxFile,
    pub(crate) folders: FoldersFile,
    pub(crate) directories: Directories,
    /// The tree of `mail`.
    pub(crate) mail: TreeId,
    trees: HashMap<TreeId, Arc<Tree>>,
}

impl<'v> MailboxView<'v> {
    /// Reads what a mailbox's directory says about it.
    pub(crate) fn new(vault: &'v Vault, mailbox: TreeId) -> Result<Self, VaultError> {
        let tree = vault.tree(mailbox)?;
        let file = |name: &str| {
            node(&tree, name).ok_or_else(|| vault.damaged(format!("a mailbox without {name}")))
        };
        let folders: FoldersFile = vault.json(file(layout::FOLDERS_FILE)?)?;
        Ok(Self {
            vault,
            about: vault.json(file(layout::MAILBOX_FILE)?)?,
            directories: folders.directories(),
            folders,
            mail: subtree(vault, file(layout::MAIL)?)?,
            trees: HashMap::new(),
        })
    }

    pub(crate) fn tree(&mut self, id: TreeId) -> Result<Arc<Tree>, VaultError> {
        if let Some(tree) = self.trees.get(&id) {
            return Ok(tree.clone());
        }
        let tree = Arc::new(self.vault.tree(id)?);
        if self.trees.len() >= KEPT {
            self.trees.clear();
        }
        self.trees.insert(id, tree.clone());
        Ok(tree)
    }

    /// The tree of a folder; `None` when the snapshot does not have the folder.
    pub(crate) fn folder(&mut self, folder: &FolderId) -> Result<Option<TreeId>, VaultError> {
        let Some(path) = self.directories.path(folder) else {
            return Ok(None);
        };
        let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
        let mut id = self.mail;
        for name in path {
            match node(&*self.tree(id)?, &name) {
                Some(node) => id = subtree(self.vault, node)?,
                None => return Err(self.vault.damaged(format!("folder '{name}' is missing"))),
            }
        }
        Ok(Some(id))
    }

    /// Leaf directories of a folder, by name.
    pub(crate) fn leaves(
        &mut self,
        folder: &FolderId,
    ) -> Result<Vec<(String, TreeId)>, VaultError> {
        let Some(id) = self.folder(folder)? else {
            return Ok(Vec::new());
        };
        let tree = self.tree(id)?;
        leaves(self.vault, &tree)
    }

    /// The tree of one leaf directory.
    pub(crate) fn leaf(
        &mut self,
        folder: &FolderId,
        leaf: &str,
    ) -> Result<Option<Arc<Tree>>, VaultError> {
        let found = self.leaves(folder)?.into_iter().find(|(name, _)| name == leaf);
        found.map(|(_, id)| self.tree(id)).transpose()
    }

    /// An item's node.
    pub(crate) fn item(&mut self, path: &ItemPath) -> Result<Option<Node>, VaultError> {
        let leaf = self.leaf(&path.folder, &path.leaf)?;
        Ok(leaf.and_then(|tree| node(&tree, &path.name).cloned()))
    }

    /// The node of an item's stream.
    pub(crate) fn stream(&mut self, path: &ItemPath) -> Result<Option<Node>, VaultError> {
        let leaf = self.leaf(&path.folder, &path.leaf)?;
        Ok(leaf.and_then(|tree| node(&tree, &layout::stream_name(&path.name)).cloned()))
    }

    /// Leaf directories of a month, in order.
    pub(crate) fn month(
        &mut self,
        folder: &FolderId,
        month: &str,
    ) -> Result<Vec<(String, Arc<Tree>)>, VaultError> {
        let mut leaves = self.leaves(folder)?;
        leaves.retain(|(leaf, _)| layout::parse_leaf(leaf).is_some_and(|(of, _)| of == month));
        leaves.into_iter().map(|(leaf, id)| Ok((leaf, self.tree(id)?))).collect()
    }

    /// What a leaf's index says.
    pub(crate) fn index(
        &mut self,
        folder: &FolderId,
        leaf: &str,
        id: TreeId,
    ) -> Result<Vec<StoredItem>, VaultError> {
        let tree = self.tree(id)?;
        index(self.vault, &tree, folder, leaf)
    }
}

/// Whose a mailbox's directory is.
pub(crate) fn about(vault: &Vault, mailbox: TreeId) -> Result<MailboxFile, VaultError> {
    let tree = vault.tree(mailbox)?;
    let file = node(&tree, layout::MAILBOX_FILE);
    vault.json(file.ok_or_else(|| vault.damaged("a mailbox without mailbox.json"))?)
}

/// The index of a leaf directory.
pub(crate) fn index(
    vault: &Vault,
    tree: &Tree,
    folder: &FolderId,
    leaf: &str,
) -> Result<Vec<StoredItem>, VaultError> {
    let node = node(tree, layout::INDEX_FILE)
        .ok_or_else(|| vault.damaged(format!("leaf {leaf} has no index")))?;
    parse_index(&vault.file(node)?, folder, leaf).map_err(|what| vault.damaged(what))
}

/// Leaf directories in a folder's tree, months in order and a month's leaves in order.
pub(crate) fn leaves(vault: &Vault, folder: &Tree) -> Result<Vec<(String, TreeId)>, VaultError> {
    let mut leaves = Vec::new();
    for node in folder.nodes.iter().filter(|node| node.is_dir()) {
        if layout::parse_leaf(&node.name).is_some() {
            leaves.push((node.name.clone(), subtree(vault, node)?));
        }
    }
    leaves.sort_by(|a, b| layout::parse_leaf(&a.0).cmp(&layout::parse_leaf(&b.0)));
    Ok(leaves)
}

/// The directory of a mailbox in a root tree.
pub(crate) fn mailbox_tree(
    vault: &Vault,
    root: &Tree,
    mailbox: &Address,
) -> Result<Option<TreeId>, VaultError> {
    node(root, &layout::mailbox_directory(mailbox)).map(|node| subtree(vault, node)).transpose()
}

pub(crate) fn node<'t>(tree: &'t Tree, name: &str) -> Option<&'t Node> {
    tree.nodes.iter().find(|node| *node.name() == *name)
}

pub(crate) fn subtree(vault: &Vault, node: &Node) -> Result<TreeId, VaultError> {
    node.subtree.ok_or_else(|| vault.damaged(format!("'{}' is no directory", node.name)))
}
