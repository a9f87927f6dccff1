//! Feeds a plan to the repository.
//!
//! The library drops what it cannot read from the tree and says `Ok`; so everything that goes
//! wrong on our side is noted in [`Trouble`], and what the library processed is counted against
//! what it was given.

use std::{
    collections::{VecDeque, btree_map},
    ffi::OsStr,
    io::{self, Read},
    iter::Peekable,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Buf, Bytes};
use mailkeep_model::{Item, ItemId, MailboxId};
use rustic_core::{
    DataId, ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult,
    TreeId,
    jiff::Timestamp,
    repofile::{BlobType, Metadata, Node, NodeType},
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{
    FailedItem, layout,
    plan::{Directory, Entry, LeafItem, Source, leaf_files},
    records::leaf_index,
    repository::Repo,
    storage::Watch,
};

/// Go's `fs.FileMode`, which the format uses: the bit that says directory.
const MODE_DIRECTORY: u32 = 1 << 31;
/// Mail is nobody else's business, also after a restore.
const MODE_OWNER_DIRECTORY: u32 = MODE_DIRECTORY | 0o700;
const MODE_OWNER_FILE: u32 = 0o600;

/// What went wrong while a plan was read.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    failed: Mutex<Vec<FailedItem>>,
    disorder: Mutex<Option<String>>,
    emitted: AtomicU64,
}

impl Trouble {
    /// Items that could not be read, in no particular order.
    pub(crate) fn failed(&self) -> Vec<FailedItem> {
        lock(&self.failed).clone()
    }

    /// A bug of ours: entries that were not in order.
    pub(crate) fn disorder(&self) -> Option<String> {
        lock(&self.disorder).clone()
    }

    /// Files and grafts that the library was given.
    pub(crate) fn emitted(&self) -> u64 {
        self.emitted.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plan, to be read once.
pub(crate) struct PlanSource {
    root: Mutex<Directory>,
    context: Context,
}

#[derive(Clone)]
pub(crate) struct Context {
    repo: Arc<Repo>,
    watch: Arc<Watch>,
    trouble: Arc<Trouble>,
}

impl PlanSource {
    pub(crate) fn new(
        root: Directory,
        repo: Arc<Repo>,
        watch: Arc<Watch>,
        trouble: Arc<Trouble>,
    ) -> Self {
        Self { root: Mutex::new(root), context: Context { repo, watch, trouble } }
    }
}

impl ReadSource for PlanSource {
    type Open = Opener;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Entries {
        let root = std::mem::take(&mut *lock(&self.root));
        Entries {
            stack: vec![Frame::Directory(PathBuf::from("/"), root.into_iter())],
            last: PathBuf::from("/"),
            context: self.context.clone(),
        }
    }
}

/// Entries in the order of their paths, component by component: the library makes two directories
/// of the same name without a word when they come in another order.
pub(crate) struct Entries {
    stack: Vec<Frame>,
    last: PathBuf,
    context: Context,
}

enum Frame {
    Directory(PathBuf, btree_map::IntoIter<String, Entry>),
    /// Items and their streams, and the index until its turn comes: a contact's name may sort behind
    /// it.
    Leaf(PathBuf, Peekable<btree_map::IntoIter<String, LeafItem>>, Option<Vec<u8>>),
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Opener>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.context.watch.has_failed() {
            return None;
        }
        let entry = self.step()?;
        let path = if entry.node.is_dir() && entry.node.subtree.is_none() {
            entry.path.clone()
        } else {
            self.context.trouble.emitted.fetch_add(1, Ordering::Relaxed);
            match entry.node.subtree {
                Some(_) => entry.path.join(&*entry.node.name()),
                None => entry.path.clone(),
            }
        };
        if path <= self.last {
            let disorder = format!("{} after {}", path.display(), self.last.display());
            *lock(&self.context.trouble.disorder) = Some(disorder);
            return None;
        }
        self.last = path;
        Some(Ok(entry))
    }
}

impl Entries {
    fn step(&mut self) -> Option<ReadSourceEntry<Opener>> {
        loop {
            match self.stack.last_mut()? {
                Frame::Directory(path, entries) => {
                    let Some((name, entry)) = entries.next() else {
                        self.stack.pop();
                        continue;
                    };
                    let below = path.join(&name);
                    return Some(match entry {
                        // A directory of which the library already has the tree is handed in as
                        // if it were a file of the directory that it lies in.
                        Entry::Graft(tree) => ReadSourceEntry {
                            path: path.clone(),
                            node: directory_node(&name, Some(tree)),
                            open: None,
                        },
                        Entry::File(bytes) => file(below, &name, bytes),
                        Entry::Item(item) => self.item(below, &name, item),
                        Entry::Directory(entries) => self.enter(
                            &name,
                            below.clone(),
                            Frame::Directory(below, entries.into_iter()),
                        ),
                        Entry::Leaf(leaf) => {
                            let index = Some(leaf_index(&leaf));
                            self.enter(
                                &name,
                                below.clone(),
                                Frame::Leaf(below, leaf_files(leaf).into_iter().peekable(), index),
                            )
                        }
                    });
                }
                Frame::Leaf(path, items, index) => {
                    let turn =
                        items.peek().is_none_or(|(name, _)| *name.as_str() > *layout::INDEX_FILE);
                    if let Some(index) = index.take_if(|_| turn) {
                        let path = path.join(layout::INDEX_FILE);
                        return Some(file(path, layout::INDEX_FILE, index));
                    }
                    let Some((name, item)) = items.next() else {
                        self.stack.pop();
                        continue;
                    };
                    let path = path.join(&name);
                    return Some(self.item(path, &name, item));
                }
            }
        }
    }

    fn enter(&mut self, name: &str, path: PathBuf, frame: Frame) -> ReadSourceEntry<Opener> {
        self.stack.push(frame);
        ReadSourceEntry { path, node: directory_node(name, None), open: None }
    }

    fn item(&self, path: PathBuf, name: &str, item: LeafItem) -> ReadSourceEntry<Opener> {
        let node =
            Node::new_node(OsStr::new(name), NodeType::File, item_metadata(&item.item, item.bytes));
        let open = Opener::Item {
            source: item.source,
            bytes: item.bytes,
            who: Who { mailbox: item.mailbox, item: item.item },
            context: self.context.clone(),
        };
        ReadSourceEntry { path, node, open: Some(open) }
    }
}

fn directory_node(name: &str, subtree: Option<TreeId>) -> Node {
    let meta = Metadata {
        mode: Some(MODE_OWNER_DIRECTORY),
        // Always the same, so that the same state has the same tree.
        mtime: Some(Timestamp::UNIX_EPOCH),
        ..Metadata::default()
    };
    let mut node = Node::new_node(OsStr::new(name), NodeType::Dir, meta);
    node.subtree = subtree;
    node
}

fn file(path: PathBuf, name: &str, bytes: Vec<u8>) -> ReadSourceEntry<Opener> {
    let meta = Metadata {
        mode: Some(MODE_OWNER_FILE),
        mtime: Some(Timestamp::UNIX_EPOCH),
        // The library takes a file of the same name, size and time for unchanged.
        ctime: Some(fingerprint_time(OffsetDateTime::UNIX_EPOCH, &bytes)),
        size: bytes.len() as u64,
        ..Metadata::default()
    };
    let node = Node::new_node(OsStr::new(name), NodeType::File, meta);
    ReadSourceEntry { path, node, open: Some(Opener::Bytes(bytes)) }
}

/// An item's times: `mtime` is when it arrived. `ctime` says the same to a person, but its
/// fraction of a second stands for the content key: the library takes a file of the same name,
/// size, `mtime` and `ctime` for unchanged and does not read it, and an edited draft may well
/// have its former length.
fn item_metadata(item: &Item, bytes: u64) -> Metadata {
    Metadata {
        mode: Some(MODE_OWNER_FILE),
        mtime: Some(timestamp(item.received)),
        ctime: Some(fingerprint_time(item.received, item.content_key.as_bytes())),
        size: bytes,
        ..Metadata::default()
    }
}

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp::from_nanosecond(time.unix_timestamp_nanos()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A time within the same second whose fraction stands for some bytes.
fn fingerprint_time(time: OffsetDateTime, bytes: &[u8]) -> Timestamp {
    let digest = Sha256::digest(bytes);
    let hash = digest.iter().take(8).fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    let fraction = i32::try_from(hash % 1_000_000_000).unwrap_or_default();
    Timestamp::new(time.unix_timestamp(), fraction).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Opens what an entry holds, on one of the library's threads.
pub(crate) enum Opener {
    Bytes(Vec<u8>),
    Item { source: Source, bytes: u64, who: Who, context: Context },
}

/// Whose content is read.
pub(crate) struct Who {
    mailbox: Arc<MailboxId>,
    item: Arc<Item>,
}

impl Who {
    fn failed(&self, reason: String) -> FailedItem {
        let item: ItemId = self.item.id.clone();
        FailedItem { mailbox: (*self.mailbox).clone(), item, reason }
    }
}

impl ReadSourceOpen for Opener {
    type Reader = Box<dyn Read + Send>;

    fn open(self) -> RusticResult<Self::Reader> {
        let (source, bytes, who, context) = match self {
            Self::Bytes(bytes) => return Ok(Box::new(io::Cursor::new(bytes))),
            Self::Item { source, bytes, who, context } => (source, bytes, who, context),
        };
        if context.watch.has_failed() {
            return Err(RusticError::new(ErrorKind::Backend, "the storage failed"));
        }
        let opened: io::Result<Box<dyn Read + Send>> = match source {
            Source::New(open) => open.open(),
            Source::Stored(content) => Ok(Box::new(StoredReader {
                repo: context.repo,
                rest: content.into(),
                current: Bytes::new(),
            })),
        };
        match opened {
            Ok(inner) => {
                Ok(Box::new(ItemReader { inner, left: bytes, who, trouble: context.trouble }))
            }
            Err(error) => {
                lock(&context.trouble.failed).push(who.failed(format!("cannot open: {error}")));
                Err(RusticError::with_source(ErrorKind::InputOutput, "cannot open an item", error))
            }
        }
    }
}

/// Reads an item's content and insists on its length.
struct ItemReader {
    inner: Box<dyn Read + Send>,
    left: u64,
    who: Who,
    trouble: Arc<Trouble>,
}

impl Read for ItemReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match self.inner.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Ok(0) if self.left > 0 && !buffer.is_empty() => {
                Err(io::Error::other(format!("{} bytes are missing at the end", self.left)))
            }
            Ok(read) => match self.left.checked_sub(read as u64) {
                Some(left) => {
                    self.left = left;
                    Ok(read)
                }
                None => Err(io::Error::other("there are more bytes than announced")),
            },
            Err(error) => Err(error),
        };
        result.inspect_err(|error| {
            let failed = self.who.failed(format!("cannot read: {error}"));
            lock(&self.trouble.failed).push(failed);
        })
    }
}

/// Reads an item's content from the repository, piece by piece.
struct StoredReader {
    repo: Arc<Repo>,
    rest: VecDeque<DataId>,
    current: Bytes,
}

impl Read for StoredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let Some(id) = self.rest.pop_front() else {
                return Ok(0);
            };
            self.current = self
                .repo
                .get_blob_cached(&id.into(), BlobType::Data)
                .map_err(|error| io::Error::other(error.display_log()))?;
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
