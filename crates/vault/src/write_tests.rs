use std::{
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use bytes::Bytes;
use mailkeep_model::{Folder, FolderId, Item, ItemId, Mailbox, MailboxId, Secret};
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
    repofile::Tree,
};
use tempfile::TempDir;
use time::macros::datetime;

use super::*;
use crate::{
    Completeness, Content, ItemChange, ItemPath, MailboxRound, OpenContent, ReadData, layout,
    plan::{Entry, Leaf, LeafItem, Source},
    records::parse_index,
    repository::Storage,
    storage::LocalDirectory,
    view,
};

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

/// Content of random bytes: every item takes room.
struct Random(u64);

static OPENED: AtomicUsize = AtomicUsize::new(0);

impl OpenContent for Random {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        OPENED.fetch_add(1, Ordering::Relaxed);
        let mut state = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        Ok(Box::new(io::Cursor::new(std::iter::repeat_with(next).take(40_000).collect::<Vec<_>>())))
    }
}

fn item(n: u64, folder: &str) -> Item {
    serde_json::from_value(serde_json::json!({
        "id": format!("item {n}"), "folder": folder, "subject": format!("{n}"),
        "received": "2026-11-03T09:14:59Z", "content_key": "k",
    }))
    .unwrap()
}

fn round(numbers: std::ops::Range<u64>, more: Vec<ItemChange>) -> Round {
    let folder = |id: &str, parent: Option<&str>| Folder {
        id: FolderId(id.to_owned()),
        parent: parent.map(|id| FolderId(id.to_owned())),
        name: id.to_owned(),
        kind: mailkeep_model::FolderKind::Mail,
        well_known: None,
    };
    let new = |n| Content::New { bytes: 40_000, open: Arc::new(Random(n)), stream: None };
    let put = |n| ItemChange::Put { item: item(n, "a"), previous: None, content: new(n) };
    Round {
        mailboxes: vec![MailboxRound {
            mailbox: Mailbox {
                id: MailboxId("m".to_owned()),
                address: "m@example.com".parse().unwrap(),
                display_name: "M".to_owned(),
            },
            complete: Completeness::Complete,
            folders: vec![folder("a", None), folder("b", Some("a")), folder("c", None)],
            changes: numbers.map(put).chain(more).collect(),
        }],
    }
}

/// All of a snapshot, nothing grafted.
fn expand(vault: &Vault, tree: &Tree) -> Directory {
    let entry = |node: &rustic_core::repofile::Node| {
        let Some(id) = node.subtree else {
            return Entry::File(vault.file(node).unwrap());
        };
        let tree = vault.tree(id).unwrap();
        if layout::parse_leaf(&node.name).is_none() {
            return Entry::Directory(expand(vault, &tree));
        }
        let index = vault.file(view::node(&tree, layout::INDEX_FILE).unwrap()).unwrap();
        let items = parse_index(&index, &FolderId(String::new()), &node.name).unwrap();
        let leaf: Leaf = items
            .into_iter()
            .map(|item| {
                let node = view::node(&tree, &item.path.name).unwrap();
                let entry = LeafItem {
                    item: Arc::new(item.item),
                    mailbox: Arc::new(MailboxId(String::new())),
                    short: item.short,
                    bytes: item.bytes,
                    source: Source::Stored(node.content.clone().unwrap()),
                    stream: None,
                };
                (item.path.name, entry)
            })
            .collect();
        Entry::Leaf(leaf)
    };
    tree.nodes.iter().map(|node| (node.name.clone(), entry(node))).collect()
}

#[test]
fn a_grafted_tree_is_the_tree_that_enumerating_everything_gives() {
    let dir = TempDir::new().unwrap();
    let password = Secret::new("x".to_owned());
    let mut vault = Vault::create(&dir.path().join("v"), &password).unwrap();
    let first = vault.write_round(round(0..200, vec![]), NOW).unwrap();
    let path = |n: u64| -> ItemPath {
        let id = ItemId(format!("item {n}"));
        first.placed.iter().find(|placed| placed.item == id).unwrap().path.clone()
    };
    let to = |n, folder: &str| ItemChange::Put {
        item: item(n, folder),
        previous: Some(path(n)),
        content: Content::Kept,
    };
    let changes =
        vec![to(3, "b"), to(100, "c"), to(101, "a"), ItemChange::Remove { path: path(150) }];
    let report = vault.write_round(round(200..230, changes), NOW).unwrap();
    let root = vault.tree(vault.root(&report.snapshot).unwrap()).unwrap();
    vault.storage.watch.begin();
    let anew = vault.archive(&vault.repo, expand(&vault, &root), &[], NOW).unwrap();
    assert_eq!(anew.file.tree.to_hex().as_str(), report.snapshot.tree);
    assert_eq!((anew.unread, anew.added.trees, anew.added.data), (vec![], 0, 0));
}

/// A disk on which there is room for so many bytes.
#[derive(Debug)]
struct SmallDisk {
    inner: LocalDirectory,
    room: Arc<AtomicU64>,
}

impl ReadBackend for SmallDisk {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        self.inner.list_with_size(tpe)
    }
    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        self.inner.read_full(tpe, id)
    }
    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.inner.read_partial(tpe, id, cacheable, offset, length)
    }
    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        self.inner.warmup_path(tpe, id)
    }
}

impl WriteBackend for SmallDisk {
    fn create(&self) -> RusticResult<()> {
        self.inner.create()
    }
    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let size = content.size() as u64;
        let take = |room: u64| room.checked_sub(size);
        if self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(RusticError::with_source(ErrorKind::InputOutput, "cannot write", full));
        }
        self.inner.write_bytes(tpe, id, cacheable, content)
    }
    fn remove(&self, tpe: FileType, id: &Id, cacheable: bool) -> RusticResult<()> {
        self.inner.remove(tpe, id, cacheable)
    }
}

fn on_a_small_disk(dir: &Path) -> (Vault, Arc<AtomicU64>) {
    let room = Arc::new(AtomicU64::new(u64::MAX));
    let disk = SmallDisk { inner: LocalDirectory::new(dir).unwrap(), room: room.clone() };
    let vault = Vault::create_in(dir, Storage::new(disk), &Secret::new("x".to_owned()));
    (vault.unwrap(), room)
}

#[test]
fn a_full_disk_stops_a_round_at_once_and_leaves_earlier_snapshots_alone() {
    let dir = TempDir::new().unwrap();
    let (mut vault, room) = on_a_small_disk(dir.path());
    let before = vault.write_round(round(0..10, vec![]), NOW).unwrap();
    OPENED.store(0, Ordering::Relaxed);
    room.store(0, Ordering::SeqCst);
    // 4,000 items make five packs of 32 MiB; the first one has no room.
    let failed = vault.write_round(round(10..4_010, vec![]), NOW);
    assert!(matches!(failed, Err(VaultError::DiskFull { .. })), "{failed:?}");
    let opened = OPENED.load(Ordering::Relaxed);
    assert!(opened < 3_000, "{opened} items were read although nothing can be written");
    assert_eq!(vault.snapshots().unwrap(), std::slice::from_ref(&before.snapshot));

    // No room for the snapshot's own file alone.
    for written in [500_000, 1_600_000] {
        room.store(written, Ordering::SeqCst);
        let failed = vault.write_round(round(10..50, vec![]), NOW).map(|report| report.snapshot);
        assert!(matches!(failed, Err(VaultError::DiskFull { .. })), "{failed:?}");
        assert_eq!(vault.snapshots().unwrap(), std::slice::from_ref(&before.snapshot));
    }
    assert!(!vault.verify(ReadData::Yes).unwrap().is_damaged());

    room.store(u64::MAX, Ordering::SeqCst);
    let after = vault.write_round(round(10..50, vec![]), NOW).unwrap();
    assert_eq!((after.placed.len(), after.failed.len()), (40, 0));
    let report = vault.verify(ReadData::Yes).unwrap();
    assert_eq!((report.is_damaged(), report.items), (false, 50));
}
