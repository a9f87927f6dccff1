//! A catalog that follows `Vault::diff` is the catalog that a walk through the snapshot gives.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use common::*;
use mailkeep_model::{Folder, FolderId, ItemId, MailboxId};
use mailkeep_vault::{
    CatalogChange, Completeness, ItemChange, SnapshotId, StoredItem, StoredMailbox, Vault,
};

const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";

/// What a database would hold: an item has one place.
#[derive(Debug, Default, PartialEq)]
struct Catalog {
    mailboxes: BTreeMap<MailboxId, StoredMailbox>,
    folders: BTreeMap<MailboxId, Vec<Folder>>,
    items: BTreeMap<(MailboxId, ItemId), StoredItem>,
}

impl Catalog {
    fn apply(&mut self, change: CatalogChange) {
        match change {
            CatalogChange::Mailbox(mailbox) => {
                self.mailboxes.insert(mailbox.mailbox.id.clone(), mailbox);
            }
            CatalogChange::MailboxGone(id) => {
                self.mailboxes.remove(&id);
                self.folders.remove(&id);
                self.items.retain(|(mailbox, _), _| *mailbox != id);
            }
            CatalogChange::Folders { mailbox, folders } => {
                self.folders.insert(mailbox, folders);
            }
            CatalogChange::ItemGone { mailbox, item, path } => {
                let gone = self.items.remove(&(mailbox, item)).expect("it was there");
                assert_eq!(gone.path, path);
            }
            CatalogChange::Item { mailbox, item } => {
                self.items.insert((mailbox, item.item.id.clone()), *item);
            }
            other => panic!("{other:?}"),
        }
    }

    fn walk(vault: &Vault, snapshot: &SnapshotId) -> Self {
        let mut catalog = Self::default();
        for mailbox in vault.mailboxes(snapshot).unwrap() {
            let (id, address) = (mailbox.mailbox.id.clone(), mailbox.mailbox.address.clone());
            let folders = vault.folders(snapshot, &address).unwrap();
            for folder in &folders {
                for item in vault.items(snapshot, &address, &folder.folder.id).unwrap() {
                    catalog.items.insert((id.clone(), item.item.id.clone()), item);
                }
            }
            let mut folders: Vec<_> = folders.into_iter().map(|folder| folder.folder).collect();
            folders.sort_by(|a, b| a.id.cmp(&b.id));
            catalog.folders.insert(id.clone(), folders);
            catalog.mailboxes.insert(id, mailbox);
        }
        catalog
    }
}

fn changes(vault: &Vault, from: Option<&SnapshotId>, to: &SnapshotId) -> Vec<CatalogChange> {
    let mut changes = Vec::new();
    vault.diff(from, to, &mut |change| changes.push(change)).unwrap();
    changes
}

#[test]
fn a_catalog_catches_up_after_a_crash_and_can_be_rebuilt() {
    let (_dir, mut vault) = new_vault();
    let mut folders = vec![
        folder("inbox", None, "Inbox"),
        folder("other", None, "Other"),
        folder("sub", Some("other"), "Sub"),
    ];
    let mut both = first_round(ANN, &folders, 200);
    both.mailboxes.extend(first_round(BEN, &folders, 70).mailboxes);
    let first = vault.write_round(both, NOW).unwrap();
    let mut catalog = Catalog::default();
    let found = changes(&vault, None, &first.snapshot.id);
    assert_eq!(found.len(), 270 + 2 + 2);
    found.into_iter().for_each(|change| catalog.apply(change));
    assert_eq!(catalog, Catalog::walk(&vault, &first.snapshot.id));

    // Moved out of a folder that is gone, into one that was renamed and went elsewhere.
    folders.remove(0);
    folders[1].name = "Renamed".to_owned();
    folders[1].parent = None;
    folders.push(folder("inbox2", Some("sub"), "Inbox"));
    let mut read = item(8, "inbox2");
    read.read = true;
    let edits = vec![
        put_kept(item(7, "sub"), &path_of(&first, 7)),
        put_kept(read, &path_of(&first, 8)),
        put_new(item(500, "sub"), &eml(500)),
    ];
    let mut ann = of(ANN, &folders, edits);
    ann.mailbox.address = "ann.lee@example.com".parse().unwrap();
    ann.complete = Completeness::Incomplete;
    let second = vault.write_round(round(vec![ann]), NOW).unwrap();
    let mut seen = 0;
    for change in changes(&vault, Some(&first.snapshot.id), &second.snapshot.id) {
        seen += 1;
        catalog.apply(change);
    }
    assert_eq!(catalog, Catalog::walk(&vault, &second.snapshot.id));
    assert_eq!(seen, 2 + 200 + 3);

    // Items that came and went in leaves of many; back in time works as well.
    let edits = (600..700).map(|n| put_new(item(n, "other"), &eml(n)));
    let gone = ItemChange::Remove { path: path_of(&second, 500) };
    let ann = of("ann.lee@example.com", &folders, edits.chain([gone]).collect());
    let mut ann = ann;
    ann.mailbox.id = mailbox(ANN).id;
    let third = vault.write_round(round(vec![ann]), NOW).unwrap();
    for change in changes(&vault, Some(&second.snapshot.id), &third.snapshot.id) {
        catalog.apply(change);
    }
    assert_eq!(catalog, Catalog::walk(&vault, &third.snapshot.id));
    for change in changes(&vault, Some(&third.snapshot.id), &first.snapshot.id) {
        catalog.apply(change);
    }
    assert_eq!(catalog, Catalog::walk(&vault, &first.snapshot.id));
    assert_eq!(changes(&vault, Some(&first.snapshot.id), &first.snapshot.id), []);
    assert!(catalog.folders[&mailbox(BEN).id].iter().any(|f| f.id == FolderId("inbox".to_owned())));
}
