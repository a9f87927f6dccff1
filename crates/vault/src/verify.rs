use std::{
    any::Any,
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use rustic_core::{
    CheckOptions, CheckResults, DataId, TreeId,
    repofile::{Node, Tree},
};

use crate::{
    SnapshotId, StoredItem, Vault, VaultError, layout,
    records::FolderRecord,
    view::{self, MailboxView},
};

/// How much [`Vault::verify`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadData {
    /// Directories and indexes, and that every piece of content has a place in a file that is
    /// there.
    No,
    /// All of it, decrypted and compared with its hash.
    Yes,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Items in the newest snapshot.
    pub items: u64,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether something is lost or wrong, not only untidy.
    pub fn is_damaged(&self) -> bool {
        self.problems.iter().any(|problem| !matches!(problem, Problem::Untidy { .. }))
    }
}

/// Something wrong in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Not as it should be, but nothing is lost: for instance what an interrupted round left.
    Untidy {
        /// What.
        what: String,
    },
    /// The repository's files are damaged.
    Repository {
        /// What is wrong.
        what: String,
    },
    /// A directory or index of a snapshot cannot be read.
    Unreadable {
        /// The snapshot, the oldest that has it.
        snapshot: SnapshotId,
        /// Where.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// Names in a directory are not in order, or one is there twice.
    Order {
        /// The snapshot, the oldest that has it.
        snapshot: SnapshotId,
        /// The directory.
        path: String,
    },
    /// An item's file, or its stream's, is there, but its leaf's index does not know it.
    NotInIndex {
        /// The snapshot, the oldest that has it.
        snapshot: SnapshotId,
        /// The file.
        path: String,
    },
    /// A leaf's index names an item whose file is not there.
    NoFile {
        /// The snapshot, the oldest that has it.
        snapshot: SnapshotId,
        /// The file.
        path: String,
    },
    /// File, index and stored content do not agree on an item's length.
    Length {
        /// The snapshot, the oldest that has it.
        snapshot: SnapshotId,
        /// The file.
        path: String,
        /// As the index says.
        indexed: u64,
        /// As the directory says.
        listed: u64,
        /// Of what is stored; `None` when a piece is missing.
        stored: Option<u64>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untidy { what } | Self::Repository { what } => f.write_str(what),
            Self::Unreadable { snapshot, path, what } => {
                write!(f, "snapshot {snapshot}: {path}: {what}")
            }
            Self::Order { snapshot, path } => {
                write!(f, "snapshot {snapshot}: {path}: names out of order or twice")
            }
            Self::NotInIndex { snapshot, path } => {
                write!(f, "snapshot {snapshot}: {path}: not in the index of its directory")
            }
            Self::NoFile { snapshot, path } => {
                write!(f, "snapshot {snapshot}: {path}: in the index, but not there")
            }
            Self::Length { snapshot, path, indexed, listed, stored } => {
                write!(
                    f,
                    "snapshot {snapshot}: {path}: {indexed} bytes by the index, {listed} by the directory, "
                )?;
                match stored {
                    Some(stored) => write!(f, "{stored} stored"),
                    None => f.write_str("and a piece is missing"),
                }
            }
        }
    }
}

/// How often the library's check is begun again when it lost a race against itself.
const RACES: u32 = 5;

/// Whether the library found that threads of its own had not ended a tenth of a second after their
/// work had, as happens on a busy machine. That says nothing about the repository.
fn is_race(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<String>().is_some_and(|text| text.starts_with("index still in use"))
}

impl Vault {
    /// Checks the repository, and that directories and indexes of all snapshots agree with each
    /// other. What is wrong is in the report.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Damaged`] when the list of snapshots cannot be read.
    pub fn verify(&self, read_data: ReadData) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport::default();
        self.check_repository(read_data, &mut report);
        let mut checked = Checked::default();
        let snapshots = self.snapshots()?;
        for snapshot in &snapshots {
            report.snapshots += 1;
            let mut walk = Walk {
                vault: self,
                snapshot: &snapshot.id,
                checked: &mut checked,
                problems: &mut report.problems,
            };
            report.items = walk.root(self.root(snapshot)?);
        }
        Ok(report)
    }

    fn check_repository(&self, read_data: ReadData, report: &mut VerifyReport) {
        let options = CheckOptions::default().read_data(read_data == ReadData::Yes);
        let check = || catch_unwind(AssertUnwindSafe(|| self.repo.check(options)));
        let mut checked = check();
        for _ in 0..RACES {
            if !checked.as_ref().is_err_and(|panic| is_race(&**panic)) {
                break;
            }
            checked = check();
        }
        match checked {
            Ok(Ok(results)) => report.problems.extend(results.0.into_iter().map(|finding| {
                let what = crate::error::one_line(&finding.1.to_string());
                // The library does not let its type for the level be named.
                match CheckResults(vec![finding]).is_ok() {
                    Ok(()) => Problem::Untidy { what },
                    Err(_) => Problem::Repository { what },
                }
            })),
            Ok(Err(error)) => {
                let what = crate::error::reason(&error).1;
                report.problems.push(Problem::Repository { what });
            }
            // The library gives up with a panic on data that decrypts but does not decompress.
            Err(panic) => {
                let what = if is_race(&*panic) {
                    "the check did not come to its end; try again".to_owned()
                } else {
                    "the check gave up on data that cannot be decompressed".to_owned()
                };
                report.problems.push(Problem::Repository { what });
            }
        }
    }
}

/// Directories that were found good: snapshots share most of theirs.
#[derive(Default)]
struct Checked {
    mailboxes: HashMap<TreeId, u64>,
    leaves: HashMap<TreeId, u64>,
}

/// The files that an item has by the index, with their lengths: its content, and its stream.
fn indexed_files(item: StoredItem) -> impl Iterator<Item = (String, u64)> {
    let stream = item.stream_bytes.map(|bytes| (layout::stream_name(&item.path.name), bytes));
    std::iter::once((item.path.name, item.bytes)).chain(stream)
}

/// The walk through one snapshot.
struct Walk<'a> {
    vault: &'a Vault,
    snapshot: &'a SnapshotId,
    checked: &'a mut Checked,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    /// Returns the number of items.
    fn root(&mut self, root: TreeId) -> u64 {
        let Some(tree) = self.read("/", self.vault.tree(root)) else {
            return 0;
        };
        self.order("/", &tree);
        let mut items = 0;
        for node in tree.nodes.iter().filter(|node| node.is_dir()) {
            let path = format!("/{}", node.name);
            let Some(id) = self.read(&path, view::subtree(self.vault, node)) else { continue };
            items += match self.checked.mailboxes.get(&id) {
                Some(items) => *items,
                None => {
                    let before = self.problems.len();
                    let items = self.mailbox(&path, id);
                    if self.problems.len() == before {
                        self.checked.mailboxes.insert(id, items);
                    }
                    items
                }
            };
        }
        items
    }

    fn mailbox(&mut self, path: &str, id: TreeId) -> u64 {
        let Some(mut view) = self.read(path, MailboxView::new(self.vault, id)) else {
            return 0;
        };
        let mut items = 0;
        let folders = view.folders.folders.clone();
        for record in &folders {
            let path = format!("{path}/{}/{}", layout::MAIL, record.directory);
            let folder = &record.folder.id;
            let found = view.folder(folder);
            let Some(id) = self.read(&path, found).flatten() else { continue };
            let tree = view.tree(id);
            let Some(tree) = self.read(&path, tree) else { continue };
            self.order(&path, &tree);
            for node in &tree.nodes {
                let path = format!("{path}/{}", node.name);
                if layout::parse_leaf(&node.name).is_none() {
                    if !view.directories.children(Some(folder)).any(|(name, _)| *name == node.name)
                    {
                        let what = "a directory that no folder has".to_owned();
                        self.problems.push(self.unreadable(&path, what));
                    }
                    continue;
                }
                let Some(leaf) = self.read(&path, view::subtree(self.vault, node)) else {
                    continue;
                };
                items += match self.checked.leaves.get(&leaf) {
                    Some(items) => *items,
                    None => {
                        let before = self.problems.len();
                        let items = self.leaf(&mut view, &path, record, &node.name, leaf);
                        if self.problems.len() == before {
                            self.checked.leaves.insert(leaf, items);
                        }
                        items
                    }
                };
            }
        }
        items
    }

    fn leaf(
        &mut self,
        view: &mut MailboxView<'_>,
        path: &str,
        record: &FolderRecord,
        leaf: &str,
        id: TreeId,
    ) -> u64 {
        let read = view.tree(id).and_then(|tree| {
            let index = view.index(&record.folder.id, leaf, id)?;
            Ok((tree, index))
        });
        let Some((tree, index)) = self.read(path, read) else {
            return 0;
        };
        self.order(path, &tree);
        let mut index: HashMap<String, u64> = index.into_iter().flat_map(indexed_files).collect();
        let mut items = 0;
        for node in tree.nodes.iter().filter(|node| node.name != layout::INDEX_FILE) {
            let path = format!("{path}/{}", node.name);
            let snapshot = self.snapshot.clone();
            let Some(indexed) = index.remove(&*node.name().to_string_lossy()) else {
                self.problems.push(Problem::NotInIndex { snapshot, path });
                continue;
            };
            items += u64::from(layout::item_of_stream(&node.name).is_none());
            let (listed, stored) = (node.meta.size, self.stored(node));
            if indexed != listed || stored != Some(listed) {
                self.problems.push(Problem::Length { snapshot, path, indexed, listed, stored });
            }
        }
        for name in index.into_keys() {
            let path = format!("{path}/{name}");
            self.problems.push(Problem::NoFile { snapshot: self.snapshot.clone(), path });
        }
        items
    }

    /// Length of all pieces of a file.
    fn stored(&self, node: &Node) -> Option<u64> {
        let length = |id: &DataId| {
            let entry = self.vault.repo.get_index_entry(id).ok()?;
            Some(u64::from(entry.location.data_length()))
        };
        node.content.as_ref()?.iter().map(length).sum()
    }

    fn order(&mut self, path: &str, tree: &Tree) {
        if !tree.nodes.windows(2).all(|pair| pair[0].name() < pair[1].name()) {
            let snapshot = self.snapshot.clone();
            self.problems.push(Problem::Order { snapshot, path: path.to_owned() });
        }
    }

    fn read<T>(&mut self, path: &str, read: Result<T, VaultError>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(VaultError::Damaged { what, .. }) => {
                self.problems.push(self.unreadable(path, what));
                None
            }
            Err(error) => {
                self.problems.push(self.unreadable(path, error.to_string()));
                None
            }
        }
    }

    fn unreadable(&self, path: &str, what: String) -> Problem {
        Problem::Unreadable { snapshot: self.snapshot.clone(), path: path.to_owned(), what }
    }
}
