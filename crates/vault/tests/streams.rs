//! Streams beside contents, and items that are nothing but a stream.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{fs, sync::Arc};

use common::*;
use mailkeep_model::{Folder, FolderId, FolderKind, Item, ItemKind};
use mailkeep_vault::{
    CatalogChange, Content, ExportForm, ItemChange, ItemPath, NewStream, ReadData, Selection,
    SnapshotId, Vault, VaultError,
};

const ANN: &str = "ann@example.com";

fn folders() -> Vec<Folder> {
    vec![folder("inbox", None, "Inbox"), folder("other", None, "Other")]
}

fn stream(n: usize) -> Vec<u8> {
    (0..n * 37 % 5000 + 1).map(|at| u8::try_from((at * at + n) % 251).unwrap()).collect()
}

fn with_stream(item: Item, content: &[u8], stream: &[u8]) -> ItemChange {
    let Content::New { bytes, open, .. } = new_content(content) else { unreachable!() };
    let text = Text { bytes: stream.to_vec(), opened: Arc::default() };
    let stream = Some(NewStream { bytes: stream.len() as u64, open: Arc::new(text) });
    ItemChange::Put { item, previous: None, content: Content::New { bytes, open, stream } }
}

/// Ten messages with streams, and one without.
fn vault_with_streams() -> (tempfile::TempDir, Vault, Vec<ItemPath>, SnapshotId) {
    let (dir, mut vault) = new_vault();
    let mut changes: Vec<_> =
        (0..10).map(|n| with_stream(item(n, "inbox"), &eml(n), &stream(n))).collect();
    changes.push(put_new(item(10, "inbox"), &eml(10)));
    let report = vault.write_round(round(vec![of(ANN, &folders(), changes)]), NOW).unwrap();
    assert!(report.failed.is_empty(), "{report:?}");
    let paths = (0..11).map(|n| path_of(&report, n)).collect();
    (dir, vault, paths, report.snapshot.id)
}

fn read_stream(
    vault: &Vault,
    snapshot: &SnapshotId,
    path: &ItemPath,
) -> Result<Vec<u8>, VaultError> {
    let mut bytes = Vec::new();
    vault.read_stream(snapshot, &ANN.parse().unwrap(), path, &mut bytes).map(|_| bytes)
}

fn is_sound(vault: &Vault, items: u64) {
    let report = vault.verify(ReadData::Yes).unwrap();
    assert_eq!((report.problems.as_slice(), report.items), ([].as_slice(), items));
}

#[test]
fn a_stream_reads_back_and_is_not_taken_for_an_item() {
    let (dir, vault, paths, snapshot) = vault_with_streams();
    let found = contents(&vault, &snapshot, ANN);
    assert_eq!(found.len(), 11);
    for n in 0..11 {
        let (stored, content) = &found[&("Inbox".to_owned(), format!("item {n}"))];
        assert_eq!(*content, eml(n));
        let expected = (n < 10).then(|| stream(n));
        assert_eq!(stored.stream_bytes, expected.as_ref().map(|bytes| bytes.len() as u64));
        assert_eq!(read_stream(&vault, &snapshot, &paths[n]).ok(), expected);
    }
    is_sound(&vault, 11);
    let mut told = 0;
    let count = &mut |change| told += u64::from(matches!(change, CatalogChange::Item { .. }));
    vault.diff(None, &snapshot, count).unwrap();
    assert_eq!(told, 11);
    // Who exports mail wants files that mail programs open.
    let (out, all) =
        (dir.path().join("out"), Selection { mailbox: ANN.parse().unwrap(), folder: None });
    let report = vault.export(&snapshot, &all, ExportForm::Eml, &out, &mut |_| ()).unwrap();
    assert_eq!((report.items, report.files, report.not_of_format), (11, 11, 0));
}

#[test]
fn a_stream_goes_where_its_item_goes_and_not_further() {
    let (_dir, mut vault, paths, first) = vault_with_streams();
    let mut moved = item(1, "other");
    moved.read = true;
    let changes = vec![
        // Flags changed.
        put_kept(Item { read: true, ..item(0, "inbox") }, &paths[0]),
        put_kept(moved, &paths[1]),
        ItemChange::Remove { path: paths[2].clone() },
        // New content of which no stream could be read: the old one would tell something else.
        put_new(Item { content_key: "another".into(), ..item(3, "inbox") }, b"A: b\r\n\r\nc"),
        with_stream(Item { content_key: "another".into(), ..item(4, "inbox") }, b"d", b"new"),
    ];
    let report = vault.write_round(round(vec![of(ANN, &folders(), changes)]), NOW).unwrap();
    assert!(report.failed.is_empty(), "{report:?}");
    let second = report.snapshot.id.clone();
    let now = |n: usize| read_stream(&vault, &second, &path_of(&report, n)).ok();
    assert_eq!(now(0), Some(stream(0)));
    assert_eq!(path_of(&report, 1).folder, FolderId("other".into()));
    assert_eq!(now(1), Some(stream(1)));
    assert_eq!(now(3), None);
    assert_eq!(now(4).as_deref(), Some(b"new".as_slice()));
    // What nobody touched, in a leaf that was rewritten.
    assert_eq!(read_stream(&vault, &second, &paths[5]).ok(), Some(stream(5)));
    for (n, path) in paths.iter().enumerate().take(3).skip(1) {
        assert!(read_stream(&vault, &second, path).is_err(), "{n} is still there");
        assert_eq!(read_stream(&vault, &first, path).unwrap(), stream(n));
    }
    is_sound(&vault, 10);
    // A round that is written again, as after a crash, finds the streams where they are.
    let again = vec![
        put_kept(Item { read: true, ..item(0, "inbox") }, &paths[0]),
        with_stream(Item { content_key: "another".into(), ..item(4, "inbox") }, b"d", b"new"),
    ];
    let third = vault.write_round(round(vec![of(ANN, &folders(), again)]), NOW).unwrap();
    assert_eq!(third.snapshot.tree, report.snapshot.tree);
}

#[test]
fn large_streams_survive_a_round_that_is_written_in_two_steps() {
    let (_dir, mut vault) = new_vault();
    let large = |n: usize| stream(134).repeat(40 + n);
    let changes = (0..700).map(|n| {
        let stream = if n % 100 == 7 { large(n / 100) } else { stream(n) };
        with_stream(item(n, "inbox"), &eml(n), &stream)
    });
    let of_ann = of(ANN, &folders(), changes.collect());
    let report = vault.write_round(round(vec![of_ann]), NOW).unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    for n in [0, 7, 107, 607, 699] {
        let expected = if n % 100 == 7 { large(n / 100) } else { stream(n) };
        let found = read_stream(&vault, &report.snapshot.id, &path_of(&report, n)).unwrap();
        assert!(found == expected, "{n}");
    }
    is_sound(&vault, 700);
}

#[test]
fn a_note_a_task_and_a_setting_are_files_of_their_own() {
    let (dir, mut vault) = new_vault();
    let kinds = [
        (FolderKind::Opaque, ItemKind::Opaque, "fts"),
        (FolderKind::Tasks, ItemKind::Task, "ics"),
        (FolderKind::Settings, ItemKind::Setting, "json"),
    ];
    let mut folders = folders();
    let mut changes = vec![put_new(item(9, "inbox"), &eml(9))];
    for (n, (folder_kind, kind, _)) in kinds.into_iter().enumerate() {
        let name = kind.as_str();
        folders.push(Folder { kind: folder_kind, ..folder(name, None, name) });
        changes.push(put_new(Item { kind, ..item(n, name) }, name.as_bytes()));
    }
    let report = vault.write_round(round(vec![of(ANN, &folders, changes)]), NOW).unwrap();
    let snapshot = &report.snapshot.id;
    for (n, (_, kind, extension)) in kinds.into_iter().enumerate() {
        let path = path_of(&report, n);
        assert!(path.name.ends_with(&format!(".{extension}")), "{path:?}");
        let found = contents(&vault, snapshot, ANN);
        let (stored, content) = &found[&(kind.as_str().to_owned(), format!("item {n}"))];
        assert_eq!((stored.item.kind, content.as_slice()), (kind, kind.as_str().as_bytes()));
        let address = ANN.parse().unwrap();
        let located = vault.find_item(snapshot, Some(&address), &stored.short).unwrap();
        assert_eq!(located.len(), 1, "{kind:?} is not found by its short id");
    }
    is_sound(&vault, 4);
    // Calendar programs read tasks; nobody else reads the others.
    let out = dir.path().join("out");
    let all = Selection { mailbox: ANN.parse().unwrap(), folder: None };
    let exported = vault.export(snapshot, &all, ExportForm::Ics, &out, &mut |_| ()).unwrap();
    assert_eq!((exported.items, exported.not_of_format), (1, 3));
    assert!(out.join("task").is_dir() && !out.join("setting").exists());
    assert_eq!(fs::read_dir(out.join("task")).unwrap().count(), 1);
}
