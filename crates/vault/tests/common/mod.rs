//! A made-up tenant: what its mailboxes hold, how that changes, and what a vault says of it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use mailkeep_model::{Folder, FolderId, Item, ItemId, ItemKind, Mailbox, MailboxId, Secret};
use mailkeep_vault::{
    Completeness, Content, ItemChange, ItemPath, MailboxRound, OpenContent, Round, RoundReport,
    SnapshotId, StoredItem, Vault,
};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::datetime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

pub(crate) fn password() -> Secret {
    Secret::new("correct horse".to_owned())
}

pub(crate) fn new_vault() -> (TempDir, Vault) {
    let dir = TempDir::new().unwrap();
    let vault = Vault::create(&dir.path().join("vault"), &password()).unwrap();
    (dir, vault)
}

pub(crate) fn mailbox(address: &str) -> Mailbox {
    Mailbox {
        id: MailboxId(format!("id of {address}")),
        address: address.parse().unwrap(),
        display_name: format!("{address} in full"),
    }
}

pub(crate) fn folder(id: &str, parent: Option<&str>, name: &str) -> Folder {
    Folder {
        id: FolderId(id.to_owned()),
        parent: parent.map(|id| FolderId(id.to_owned())),
        name: name.to_owned(),
        kind: mailkeep_model::FolderKind::Mail,
        well_known: None,
    }
}

/// The `n`th item of a mailbox: one each hour from 1 November 2026, three days into the month.
pub(crate) fn item(n: usize, folder: &str) -> Item {
    let received = datetime!(2026-11-03 08:00 UTC) + Duration::minutes(i64::try_from(n).unwrap());
    Item {
        subject: format!("Subject of {n}: what/else?"),
        from: Some("ben@example.com".to_owned()),
        recipients: vec!["ann@example.com".to_owned()],
        received,
        internet_message_id: Some(format!("<{n}@example.com>")),
        content_key: format!("key of {n}"),
        ..Item::new(ItemId(format!("item {n}")), ItemKind::Message, FolderId(folder.to_owned()))
    }
}

pub(crate) fn eml(n: usize) -> Vec<u8> {
    format!("Subject: Subject of {n}\r\nMessage-ID: <{n}@example.com>\r\n\r\nFrom now on: {n}\r\n")
        .into_bytes()
}

/// Content that counts how often it is opened.
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    pub(crate) opened: Arc<AtomicUsize>,
}

impl OpenContent for Text {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }
}

pub(crate) fn new_content(bytes: &[u8]) -> Content {
    let text = Text { bytes: bytes.to_vec(), opened: Arc::default() };
    Content::New { bytes: bytes.len() as u64, open: Arc::new(text), stream: None }
}

pub(crate) fn put_new(item: Item, bytes: &[u8]) -> ItemChange {
    ItemChange::Put { item, previous: None, content: new_content(bytes) }
}

pub(crate) fn put_kept(item: Item, previous: &ItemPath) -> ItemChange {
    ItemChange::Put { item, previous: Some(previous.clone()), content: Content::Kept }
}

pub(crate) fn of(address: &str, folders: &[Folder], changes: Vec<ItemChange>) -> MailboxRound {
    MailboxRound {
        mailbox: mailbox(address),
        complete: Completeness::Complete,
        folders: folders.to_vec(),
        changes,
    }
}

pub(crate) fn round(mailboxes: Vec<MailboxRound>) -> Round {
    Round { mailboxes }
}

/// A round that starts a mailbox with items `0..count` in folder `inbox`.
pub(crate) fn first_round(address: &str, folders: &[Folder], count: usize) -> Round {
    let changes = (0..count).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    round(vec![of(address, folders, changes)])
}

pub(crate) fn path_of(report: &RoundReport, n: usize) -> ItemPath {
    let id = item(n, "").id;
    report.placed.iter().find(|placed| placed.item == id).unwrap().path.clone()
}

/// Everything that a mailbox holds: folder path and item, with the content.
pub(crate) fn contents(
    vault: &Vault,
    snapshot: &SnapshotId,
    address: &str,
) -> BTreeMap<(String, String), (StoredItem, Vec<u8>)> {
    let address = address.parse().unwrap();
    let mut contents = BTreeMap::new();
    for folder in vault.folders(snapshot, &address).unwrap() {
        let items = vault.items(snapshot, &address, &folder.folder.id).unwrap();
        assert_eq!(items.len() as u64, folder.items);
        for item in items {
            let mut bytes = Vec::new();
            let read = vault.read_item(snapshot, &address, &item.path, &mut bytes).unwrap();
            assert_eq!((read, item.bytes), (bytes.len() as u64, bytes.len() as u64));
            let key = (folder.path.to_string(), item.item.id.0.clone());
            assert!(contents.insert(key, (item, bytes)).is_none());
        }
    }
    contents
}
