//! What a round promises: see `Vault::write_round`.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::*;
use mailkeep_model::{Address, FolderId, ItemId, MailboxId};
use mailkeep_vault::{
    Completeness, Content, ItemChange, ItemPath, Outcome, ReadData, ShortId, Vault, VaultError,
};
use time::Duration;

const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";

fn folders() -> Vec<mailkeep_model::Folder> {
    vec![
        folder("inbox", None, "Inbox"),
        folder("archive", None, "Archive"),
        folder("projects", Some("archive"), "2026-11"),
        folder("empty", Some("projects"), "Nothing/here?"),
    ]
}

fn is_sound(vault: &Vault) {
    assert_eq!(vault.verify(ReadData::Yes).unwrap().problems, []);
}

#[test]
fn what_was_backed_up_reads_back_byte_for_byte() {
    let (_dir, mut vault) = new_vault();
    let report = vault.write_round(first_round(ANN, &folders(), 300), NOW).unwrap();
    assert_eq!((report.placed.len(), report.failed.len()), (300, 0));
    assert_eq!(report.snapshot.outcome, Outcome::Whole);
    let snapshot = &report.snapshot.id;
    let contents = contents(&vault, snapshot, ANN);
    assert_eq!(contents.len(), 300);
    for n in 0..300 {
        let (stored, bytes) = &contents[&("Inbox".to_owned(), format!("item {n}"))];
        assert_eq!(stored.item, item(n, "inbox"));
        assert_eq!(*bytes, eml(n));
        assert_eq!(stored.path, path_of(&report, n));
        assert_eq!(stored.path.short().as_ref(), Some(&stored.short));
    }
    let mailboxes = vault.mailboxes(snapshot).unwrap();
    assert_eq!(mailboxes.len(), 1);
    assert_eq!(
        (&mailboxes[0].mailbox, mailboxes[0].complete),
        (&mailbox(ANN), Completeness::Complete)
    );
    let paths: Vec<_> = vault.folders(snapshot, &ANN.parse().unwrap()).unwrap();
    let paths: Vec<_> = paths.iter().map(|f| (f.path.to_string(), f.items)).collect();
    let expected = [
        ("Archive", 0),
        ("Archive/2026-11", 0),
        ("Archive/2026-11/Nothing%2Fhere?", 0),
        ("Inbox", 300),
    ];
    assert_eq!(paths, expected.map(|(path, items)| (path.to_owned(), items)));
    is_sound(&vault);
}

#[test]
fn a_repository_opens_again_with_its_password_only() {
    let (dir, mut vault) = new_vault();
    let report = vault.write_round(first_round(ANN, &folders(), 3), NOW).unwrap();
    let path = dir.path().join("vault");
    let again = Vault::open(&path, &password()).unwrap();
    assert_eq!(again.repository_id(), vault.repository_id());
    assert_eq!(again.snapshots().unwrap(), std::slice::from_ref(&report.snapshot));
    assert_eq!(contents(&again, &report.snapshot.id, ANN).len(), 3);
    let wrong = mailkeep_model::Secret::new("wrong".to_owned());
    assert!(matches!(Vault::open(&path, &wrong), Err(VaultError::WrongPassword { .. })));
    assert!(matches!(Vault::open(dir.path(), &wrong), Err(VaultError::NotARepository { .. })));
    assert!(matches!(Vault::create(&path, &wrong), Err(VaultError::Exists { .. })));
    assert!(matches!(Vault::create(dir.path(), &wrong), Err(VaultError::Exists { .. })));
}

#[test]
fn a_vault_prints_no_key_and_can_go_to_another_thread() {
    let (_dir, vault) = new_vault();
    let printed = std::thread::spawn(move || format!("{vault:?}")).join().unwrap();
    assert!(printed.starts_with("Vault { dir: ") && !printed.contains("key"), "{printed}");
}

#[test]
fn what_is_asked_for_and_not_there_is_named() {
    let (_dir, mut vault) = new_vault();
    assert_eq!(vault.latest().unwrap(), None);
    let report = vault.write_round(first_round(ANN, &folders(), 1), NOW).unwrap();
    let (snapshot, ann) = (&report.snapshot.id, &ANN.parse::<Address>().unwrap());
    let ben: Address = BEN.parse().unwrap();
    assert!(matches!(vault.folders(snapshot, &ben), Err(VaultError::NoSuchMailbox { .. })));
    let nowhere = FolderId("nowhere".to_owned());
    assert!(matches!(vault.items(snapshot, ann, &nowhere), Err(VaultError::NoSuchFolder { .. })));
    let path = ItemPath { name: "x.eml".to_owned(), ..path_of(&report, 0) };
    let read = vault.read_item(snapshot, ann, &path, &mut Vec::new());
    assert!(matches!(read, Err(VaultError::NoSuchItem { .. })));
    let unknown = mailkeep_vault::SnapshotId("00".to_owned());
    assert!(matches!(vault.mailboxes(&unknown), Err(VaultError::NoSuchSnapshot { .. })));
    let short = ShortId::new(&mailbox(ANN).id, &item(0, "").id);
    let found = vault.find_item(snapshot, None, &short).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].1.path.to_string(), found[0].2.path.clone()),
        ("Inbox".to_owned(), path_of(&report, 0))
    );
    let other = ShortId::new(&mailbox(BEN).id, &item(0, "").id);
    assert_eq!(vault.find_item(snapshot, Some(ann), &other).unwrap(), []);
}

/// The law of grafting: whatever way a state came about, it has the tree that a vault has which
/// was given all of it at once.
#[test]
fn a_grafted_snapshot_equals_one_that_was_written_anew() {
    let (_dir, mut vault) = new_vault();
    // No more than one leaf takes: which leaf an item is in does depend on how it came about.
    let before = vault.write_round(first_round(ANN, &folders(), 15), NOW).unwrap();
    vault.write_round(first_round(BEN, &folders(), 5), NOW).unwrap();

    // New, changed, moved and deleted items, a renamed folder with a folder in it, a folder that
    // went elsewhere, one that is gone, one that is new, two that differ by case.
    let mut later = vec![
        folder("inbox", None, "Inbox"),
        folder("archive", None, "Old things"),
        folder("projects", None, "2026-11"),
        folder("new", Some("archive"), "New"),
        folder("new2", Some("archive"), "nEW"),
    ];
    let flagged = |n: usize, to: &str| {
        let mut item = item(n, to);
        item.read = true;
        item.categories.push("red".to_owned());
        item
    };
    let mut edited = item(5, "inbox");
    edited.content_key = "new key".to_owned();
    let changes = vec![
        ItemChange::Remove { path: path_of(&before, 1) },
        put_kept(flagged(2, "inbox"), &path_of(&before, 2)),
        put_kept(flagged(3, "projects"), &path_of(&before, 3)),
        put_kept(item(4, "new"), &path_of(&before, 4)),
        ItemChange::Put {
            item: edited.clone(),
            previous: Some(path_of(&before, 5)),
            content: new_content(b"edited"),
        },
        put_new(item(200, "inbox"), &eml(200)),
    ];
    let moved = vault.write_round(round(vec![of(ANN, &later, changes)]), NOW).unwrap();
    later[2].parent = Some(FolderId("new".to_owned()));
    let changes = vec![put_kept(item(3, "projects"), &path_of(&moved, 3))];
    let grafted = vault.write_round(round(vec![of(ANN, &later, changes)]), NOW).unwrap();

    let mut all: Vec<_> = (6..15).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    all.extend([
        put_new(item(0, "inbox"), &eml(0)),
        put_new(flagged(2, "inbox"), &eml(2)),
        put_new(item(3, "projects"), &eml(3)),
        put_new(item(4, "new"), &eml(4)),
        put_new(edited, b"edited"),
        put_new(item(200, "inbox"), &eml(200)),
    ]);
    let mut anew = first_round(BEN, &folders(), 5);
    anew.mailboxes.push(of(ANN, &later, all));
    let (_other_dir, mut other) = new_vault();
    let anew = other.write_round(anew, NOW).unwrap();
    assert_eq!(grafted.snapshot.tree, anew.snapshot.tree);
    assert_eq!(
        contents(&vault, &grafted.snapshot.id, ANN),
        contents(&other, &anew.snapshot.id, ANN)
    );
    is_sound(&vault);
    // What was before is still there.
    assert_eq!(contents(&vault, &before.snapshot.id, ANN).len(), 15);
}

#[test]
fn a_round_written_again_after_a_crash_changes_nothing() {
    let (_dir, mut vault) = new_vault();
    let before = vault.write_round(first_round(ANN, &folders(), 200), NOW).unwrap();
    let changes = || {
        let mut changes: Vec<_> = (200..500).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
        changes.extend([
            ItemChange::Remove { path: path_of(&before, 199) },
            put_kept(item(3, "archive"), &path_of(&before, 3)),
            put_kept(item(4, "inbox"), &path_of(&before, 4)),
        ]);
        round(vec![of(ANN, &folders(), changes)])
    };
    let first = vault.write_round(changes(), NOW).unwrap();
    let again = vault.write_round(changes(), NOW + Duration::minutes(1)).unwrap();
    assert_eq!(first.snapshot.tree, again.snapshot.tree);
    assert_eq!((again.failed, again.tree_blobs_added, again.data_blobs_added), (vec![], 0, 0));
    let sorted = |mut placed: Vec<mailkeep_vault::Placed>| {
        placed.sort_by(|a, b| a.item.cmp(&b.item));
        placed
    };
    assert_eq!(sorted(first.placed), sorted(again.placed));
    assert_eq!(contents(&vault, &again.snapshot.id, ANN).len(), 499);
    assert_eq!(vault.latest().unwrap().unwrap(), again.snapshot);
    is_sound(&vault);
}

#[test]
fn a_mailbox_that_did_not_change_costs_nothing() {
    let (_dir, mut vault) = new_vault();
    let mut all = first_round(ANN, &folders(), 400);
    all.mailboxes.extend(first_round(BEN, &folders(), 400).mailboxes);
    let before = vault.write_round(all, NOW).unwrap();
    assert!(before.tree_blobs_added > 8, "{}", before.tree_blobs_added);

    let opened = Arc::<AtomicUsize>::default();
    let bytes = eml(1000);
    let text = Text { bytes: bytes.clone(), opened: opened.clone() };
    let change = ItemChange::Put {
        item: item(1000, "archive"),
        previous: None,
        content: Content::New { bytes: bytes.len() as u64, open: Arc::new(text), stream: None },
    };
    let after = vault.write_round(round(vec![of(BEN, &folders(), vec![change])]), NOW).unwrap();
    // Root, mailbox, mail, Archive, leaf; the item and its index.
    assert_eq!((after.tree_blobs_added, after.data_blobs_added), (5, 2));
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    assert_eq!(contents(&vault, &after.snapshot.id, BEN).len(), 401);
    assert_eq!(
        contents(&vault, &after.snapshot.id, ANN),
        contents(&vault, &before.snapshot.id, ANN)
    );
}

#[test]
fn a_renamed_folder_is_neither_read_nor_written_again() {
    let (_dir, mut vault) = new_vault();
    vault.write_round(first_round(ANN, &folders(), 300), NOW).unwrap();
    let mut renamed = folders();
    renamed[0].name = "Eingang".to_owned();
    renamed[0].parent = Some(FolderId("archive".to_owned()));
    let after = vault.write_round(round(vec![of(ANN, &renamed, vec![])]), NOW).unwrap();
    // Root, mailbox, mail, Archive; folders.json.
    assert_eq!((after.tree_blobs_added, after.data_blobs_added), (4, 1));
    let contents = contents(&vault, &after.snapshot.id, ANN);
    assert_eq!(contents.len(), 300);
    assert!(contents.keys().all(|(folder, _)| folder == "Archive/Eingang"));
    is_sound(&vault);
}

#[test]
fn a_mailbox_with_a_new_address_keeps_its_mail() {
    let (_dir, mut vault) = new_vault();
    vault.write_round(first_round(ANN, &folders(), 10), NOW).unwrap();
    let mut changed = of(ANN, &folders(), vec![]);
    changed.mailbox.address = "ann.lee@example.com".parse().unwrap();
    changed.complete = Completeness::Incomplete;
    let after = vault.write_round(round(vec![changed]), NOW).unwrap();
    let mailboxes = vault.mailboxes(&after.snapshot.id).unwrap();
    assert_eq!(mailboxes.len(), 1);
    assert_eq!(mailboxes[0].complete, Completeness::Incomplete);
    assert_eq!(contents(&vault, &after.snapshot.id, "ann.lee@example.com").len(), 10);
    assert_eq!(after.data_blobs_added, 1, "mailbox.json");
    is_sound(&vault);
}

#[test]
fn an_address_that_went_to_another_person_does_not_mix_their_mail() {
    let (_dir, mut vault) = new_vault();
    vault.write_round(first_round(ANN, &folders(), 10), NOW).unwrap();
    let mut other = of(ANN, &folders(), vec![put_new(item(50, "inbox"), &eml(50))]);
    other.mailbox.id = MailboxId("another Ann".to_owned());
    let after = vault.write_round(round(vec![other]), NOW).unwrap();
    assert_eq!(contents(&vault, &after.snapshot.id, ANN).len(), 1);
    let mailboxes = vault.mailboxes(&after.snapshot.id).unwrap();
    assert_eq!(mailboxes.len(), 2, "the former owner's mail is still in the snapshot");
    is_sound(&vault);
}

#[test]
fn an_edited_draft_of_the_same_length_is_stored() {
    let (_dir, mut vault) = new_vault();
    let before = vault.write_round(first_round(ANN, &folders(), 3), NOW).unwrap();
    let mut edited = item(1, "inbox");
    edited.content_key = "edited".to_owned();
    let bytes = vec![b'x'; eml(1).len()];
    let change = ItemChange::Put {
        item: edited,
        previous: Some(path_of(&before, 1)),
        content: new_content(&bytes),
    };
    let after = vault.write_round(round(vec![of(ANN, &folders(), vec![change])]), NOW).unwrap();
    let contents = contents(&vault, &after.snapshot.id, ANN);
    assert_eq!(contents[&("Inbox".to_owned(), "item 1".to_owned())].1, bytes);
}

#[test]
fn a_leaf_directory_stays_small_and_its_items_stay_where_they_are() {
    let (_dir, mut vault) = new_vault();
    let first = vault.write_round(first_round(ANN, &folders(), 150), NOW).unwrap();
    let more = (150..400).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    let second = vault.write_round(round(vec![of(ANN, &folders(), more)]), NOW).unwrap();
    let contents = contents(&vault, &second.snapshot.id, ANN);
    let mut sizes = BTreeMap::<_, usize>::new();
    for (stored, _) in contents.values() {
        *sizes.entry(stored.path.leaf.clone()).or_default() += 1;
    }
    let names: BTreeSet<_> = sizes.keys().cloned().collect();
    let later = (2..=25).map(|number| format!("2026-11 ({number})"));
    assert_eq!(names, std::iter::once("2026-11".to_owned()).chain(later).collect());
    assert!(sizes.values().all(|size| *size <= 16), "{sizes:?}");
    for n in 0..150 {
        assert_eq!(contents[&("Inbox".to_owned(), format!("item {n}"))].0.path, path_of(&first, n));
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_bring_an_old_state_back() {
    let (_dir, mut vault) = new_vault();
    vault.write_round(first_round(ANN, &folders(), 3), NOW).unwrap();
    let more = vec![put_new(item(10, "inbox"), &eml(10))];
    let past = NOW - Duration::days(400);
    vault.write_round(round(vec![of(ANN, &folders(), more)]), past).unwrap();
    let more = vec![put_new(item(11, "inbox"), &eml(11))];
    let third = vault.write_round(round(vec![of(ANN, &folders(), more)]), past).unwrap();
    assert_eq!(vault.latest().unwrap().unwrap(), third.snapshot);
    assert_eq!(contents(&vault, &third.snapshot.id, ANN).len(), 5);
}

#[test]
fn a_folder_that_is_gone_takes_its_items_with_it_unless_they_moved() {
    let (_dir, mut vault) = new_vault();
    let before = vault.write_round(first_round(ANN, &folders(), 20), NOW).unwrap();
    let left = &folders()[1..];
    let changes = vec![put_kept(item(3, "archive"), &path_of(&before, 3))];
    let after = vault.write_round(round(vec![of(ANN, left, changes)]), NOW).unwrap();
    let contents = contents(&vault, &after.snapshot.id, ANN);
    let keys: Vec<_> = contents.keys().cloned().collect();
    assert_eq!(keys, [("Archive".to_owned(), "item 3".to_owned())]);
    assert_eq!(contents[&keys[0]].1, eml(3));
    is_sound(&vault);
}

#[test]
fn a_round_that_names_a_mailbox_twice_is_refused() {
    let (_dir, mut vault) = new_vault();
    let mut twice = first_round(ANN, &folders(), 1);
    twice.mailboxes.extend(first_round(ANN, &folders(), 1).mailboxes);
    assert!(matches!(vault.write_round(twice, NOW), Err(VaultError::InvalidRound { .. })));
    assert_eq!(vault.snapshots().unwrap(), []);
    let report = vault.write_round(first_round(ANN, &folders(), 1), NOW).unwrap();
    assert_eq!(report.placed[0].item, ItemId("item 0".to_owned()));
}
