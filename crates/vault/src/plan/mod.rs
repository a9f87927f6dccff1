//! Works out the directories of the next snapshot: which are taken over as they are, which are
//! rebuilt, and what is in those.
//!
//! A plan follows what changed. Of a mailbox without changes nothing is read; of one with changes,
//! the directories along the touched paths.

mod folders;
mod large;
mod mailbox;
mod placement;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use mailkeep_model::{Folder, Item, ItemId, Mailbox, MailboxId};
use rustic_core::{DataId, TreeId, repofile::Tree};

use crate::{
    Completeness, Content, FailedItem, ItemChange, ItemPath, OpenContent, Placed, Round, ShortId,
    Vault, VaultError, layout,
    view::{self, MailboxView},
};

/// A directory of the next snapshot.
pub(crate) type Directory = BTreeMap<String, Entry>;

/// What lies in a directory.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A directory that is there already, taken over as it is.
    Graft(TreeId),
    /// A rebuilt directory.
    Directory(Directory),
    /// A rebuilt leaf directory.
    Leaf(Leaf),
    /// A file of ours.
    File(Vec<u8>),
    /// An item outside of a leaf: only in an [`Plan::large`] extract.
    Item(LeafItem),
}

/// The items of a leaf directory by file name; its index is made from them.
pub(crate) type Leaf = BTreeMap<String, LeafItem>;

/// An item in a rebuilt leaf.
#[derive(Clone, Debug)]
pub(crate) struct LeafItem {
    pub(crate) item: Arc<Item>,
    pub(crate) mailbox: Arc<MailboxId>,
    pub(crate) short: ShortId,
    pub(crate) bytes: u64,
    pub(crate) source: Source,
    /// What is kept beside the content.
    pub(crate) stream: Option<LeafStream>,
}

/// The stream of an item in a rebuilt leaf.
#[derive(Clone, Debug)]
pub(crate) struct LeafStream {
    pub(crate) bytes: u64,
    pub(crate) source: Source,
}

impl LeafItem {
    /// Its stream, as a file of its own.
    pub(crate) fn stream_file(&self) -> Option<Self> {
        let LeafStream { bytes, source } = self.stream.clone()?;
        Some(Self { bytes, source, stream: None, ..self.clone() })
    }
}

/// All files of a leaf but its index: contents, and the streams beside them.
pub(crate) fn leaf_files(leaf: Leaf) -> Leaf {
    let streams: Leaf = leaf
        .iter()
        .filter_map(|(name, item)| Some((layout::stream_name(name), item.stream_file()?)))
        .collect();
    let mut files = leaf;
    files.extend(streams);
    files
}

/// Where an item's content comes from.
#[derive(Clone)]
pub(crate) enum Source {
    /// From outside.
    New(Arc<dyn OpenContent>),
    /// From the repository.
    Stored(Vec<DataId>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New(_) => "New",
            Self::Stored(_) => "Stored",
        })
    }
}

/// The next snapshot.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) root: Directory,
    pub(crate) placed: Vec<Placed>,
    pub(crate) failed: Vec<FailedItem>,
}

/// Items that a plan leaves out, because they could not be read in an earlier attempt.
pub(crate) type Excluded = HashSet<(MailboxId, ItemId)>;

/// A round, checked, with each item once.
#[derive(Debug)]
pub(crate) struct Input {
    mailboxes: Vec<MailboxInput>,
}

#[derive(Debug)]
struct MailboxInput {
    mailbox: Mailbox,
    id: Arc<MailboxId>,
    complete: Completeness,
    folders: Vec<Folder>,
    puts: Vec<Put>,
    removes: Vec<ItemPath>,
}

#[derive(Debug)]
struct Put {
    item: Arc<Item>,
    short: ShortId,
    previous: Option<ItemPath>,
    content: Content,
}

impl Input {
    pub(crate) fn new(round: Round) -> Result<Self, VaultError> {
        let mut seen = HashSet::new();
        let mut addresses = HashSet::new();
        let mut mailboxes = Vec::with_capacity(round.mailboxes.len());
        for changed in round.mailboxes {
            let mailbox = changed.mailbox;
            if !seen.insert(mailbox.id.clone()) || !addresses.insert(mailbox.address.clone()) {
                let reason = format!("mailbox {} is in it twice", mailbox.address);
                return Err(VaultError::InvalidRound { mailbox: mailbox.id, reason });
            }
            let mut puts: BTreeMap<ItemId, Put> = BTreeMap::new();
            let mut removes = Vec::new();
            for change in changed.changes {
                match change {
                    ItemChange::Remove { path } => removes.push(path),
                    ItemChange::Put { item, previous, content } => {
                        let short = ShortId::new(&mailbox.id, &item.id);
                        let item = Arc::new(item);
                        puts.insert(item.id.clone(), Put { item, short, previous, content });
                    }
                }
            }
            // The order of arrival decides who goes to which leaf, not the provider's.
            let mut puts: Vec<_> = puts.into_values().collect();
            puts.sort_by(|a, b| (a.item.received, &a.short).cmp(&(b.item.received, &b.short)));
            mailboxes.push(MailboxInput {
                id: Arc::new(mailbox.id.clone()),
                mailbox,
                complete: changed.complete,
                folders: changed.folders,
                puts,
                removes,
            });
        }
        Ok(Self { mailboxes })
    }
}

impl Plan {
    /// Plans the snapshot that follows the one whose root tree is given.
    pub(crate) fn new(
        vault: &Vault,
        root: Option<TreeId>,
        input: &Input,
        excluded: &Excluded,
    ) -> Result<Self, VaultError> {
        let tree = root.map(|id| vault.tree(id)).transpose()?.unwrap_or_default();
        let mut plan = Self::default();
        for node in tree.nodes.iter().filter(|node| node.is_dir()) {
            let name = node.name().to_string_lossy().into_owned();
            plan.root.insert(name, Entry::Graft(view::subtree(vault, node)?));
        }
        let mut owners = Owners::new(vault, &tree);
        let mut changed = Vec::with_capacity(input.mailboxes.len());
        for mailbox in &input.mailboxes {
            let name = layout::mailbox_directory(&mailbox.mailbox.address);
            let former = owners.directory(&name, &mailbox.mailbox.id)?;
            if let Some((former, _)) = &former {
                plan.root.remove(former);
            }
            changed.push((name, former, mailbox));
        }
        for (name, former, mailbox) in changed {
            // What still has this name is another mailbox, which had the address before.
            if let Some(other) = plan.root.remove(&name) {
                let owner = owners.of(&name)?;
                plan.root.insert(layout::former_mailbox_directory(&name, &owner), other);
            }
            let old = former.map(|(_, id)| MailboxView::new(vault, id)).transpose()?;
            let directory = mailbox::plan(vault, old, mailbox, excluded, &mut plan)?;
            plan.root.insert(name, Entry::Directory(directory));
        }
        Ok(plan)
    }
}

/// Whose the directories of the newest snapshot are.
struct Owners<'v> {
    vault: &'v Vault,
    root: &'v Tree,
    all: Option<HashMap<MailboxId, (String, TreeId)>>,
}

impl<'v> Owners<'v> {
    fn new(vault: &'v Vault, root: &'v Tree) -> Self {
        Self { vault, root, all: None }
    }

    /// Where a mailbox lies: at its address, or, when it is new there, wherever it was. Only the
    /// latter takes looking into every directory.
    fn directory(
        &mut self,
        name: &str,
        mailbox: &MailboxId,
    ) -> Result<Option<(String, TreeId)>, VaultError> {
        if let Some(node) = view::node(self.root, name) {
            let id = view::subtree(self.vault, node)?;
            if view::about(self.vault, id)?.mailbox.id == *mailbox {
                return Ok(Some((name.to_owned(), id)));
            }
        }
        if self.all.is_none() {
            let mut all = HashMap::new();
            for node in self.root.nodes.iter().filter(|node| node.is_dir()) {
                let id = view::subtree(self.vault, node)?;
                let about = view::about(self.vault, id)?;
                all.insert(about.mailbox.id, (node.name().to_string_lossy().into_owned(), id));
            }
            self.all = Some(all);
        }
        Ok(self.all.as_ref().and_then(|all| all.get(mailbox)).cloned())
    }

    /// Whose a directory is.
    fn of(&self, name: &str) -> Result<MailboxId, VaultError> {
        let node = view::node(self.root, name);
        let node = node.ok_or_else(|| self.vault.damaged("a mailbox without a directory"))?;
        Ok(view::about(self.vault, view::subtree(self.vault, node)?)?.mailbox.id)
    }
}
