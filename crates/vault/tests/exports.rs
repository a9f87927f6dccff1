//! What an export holds.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{fs, path::Path};

use common::*;
use mailkeep_vault::{ExportProgress, Selection, Vault, VaultError};

const ANN: &str = "ann@example.com";

fn vault_with_mail() -> (tempfile::TempDir, Vault, mailkeep_vault::SnapshotId) {
    let (dir, mut vault) = new_vault();
    let folders = [
        folder("inbox", None, "Inbox"),
        folder("sub", Some("inbox"), "A/B"),
        folder("empty", None, "Empty"),
    ];
    let mut changes: Vec<_> = (0..100).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    changes.push(put_new(item(200, "sub"), b"A: b\r\n\r\nFrom x\r\n>From y\r\nlast line"));
    let report = vault.write_round(round(vec![of(ANN, &folders, changes)]), NOW).unwrap();
    (dir, vault, report.snapshot.id)
}

fn all() -> Selection {
    Selection { mailbox: ANN.parse().unwrap(), folder: None }
}

fn folder_named(path: &str) -> Selection {
    Selection { folder: Some(path.parse().unwrap()), ..all() }
}

#[test]
fn an_exported_file_is_what_was_backed_up() {
    let (dir, vault, snapshot) = vault_with_mail();
    let out = dir.path().join("out");
    let mut seen: Vec<ExportProgress> = Vec::new();
    let report = vault.export_eml(&snapshot, &all(), &out, &mut |p| seen.push(p)).unwrap();
    assert_eq!((report.items, report.files, report.failed.len()), (101, 101, 0));
    assert_eq!(seen.len(), 101);
    let bytes = report.bytes;
    assert_eq!(*seen.last().unwrap(), ExportProgress { items: 101, of: 101, bytes });
    let address = ANN.parse().unwrap();
    for folder in vault.folders(&snapshot, &address).unwrap() {
        assert!(out.join(&folder.directory).is_dir());
        for stored in vault.items(&snapshot, &address, &folder.folder.id).unwrap() {
            let path = out.join(&folder.directory).join(&stored.path.leaf).join(&stored.path.name);
            let n: usize = stored.item.id.0["item ".len()..].parse().unwrap();
            if n < 100 {
                assert_eq!(fs::read(path).unwrap(), eml(n));
            }
        }
    }
    let again = vault.export_eml(&snapshot, &all(), &out, &mut |_| ());
    assert!(matches!(again, Err(VaultError::OutputExists { .. })), "{again:?}");
}

/// The messages of an mbox, as a reader of mboxrd sees them.
fn messages(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut messages: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("From ") {
            messages.push(String::new());
            continue;
        }
        let quoted = line.trim_start_matches('>').starts_with("From ");
        messages.last_mut().unwrap().push_str(&line[usize::from(quoted)..]);
    }
    messages.iter().map(|m| m.strip_suffix('\n').unwrap().to_owned()).collect()
}

#[test]
fn an_mbox_gives_the_messages_back_but_for_their_line_ends() {
    let (dir, vault, snapshot) = vault_with_mail();
    let out = dir.path().join("mail.mbox");
    let report = vault.export_mbox(&snapshot, &all(), &out, &mut |_| ()).unwrap();
    assert_eq!((report.items, report.files), (101, 1));
    let found = messages(&out);
    let lf = |n| String::from_utf8(eml(n)).unwrap().replace("\r\n", "\n");
    let mut expected: Vec<_> = (0..100).map(lf).collect();
    expected.push("A: b\n\nFrom x\n>From y\nlast line\n".to_owned());
    assert_eq!(found, expected);
    let again = vault.export_mbox(&snapshot, &all(), &out, &mut |_| ());
    assert!(matches!(again, Err(VaultError::OutputExists { .. })), "{again:?}");
}

#[test]
fn a_folder_can_be_exported_alone_with_what_is_below_it() {
    let (dir, vault, snapshot) = vault_with_mail();
    let export = |selection: &Selection, name: &str| {
        let out = dir.path().join(name);
        vault.export_mbox(&snapshot, selection, &out, &mut |_| ()).map(|report| report.items)
    };
    assert_eq!(export(&folder_named("Inbox"), "1").unwrap(), 101);
    assert_eq!(export(&folder_named("Inbox/A%2FB"), "2").unwrap(), 1);
    assert_eq!(export(&folder_named("Empty"), "3").unwrap(), 0);
    let missing = export(&folder_named("Inbox/A/B"), "4");
    assert!(matches!(missing, Err(VaultError::NoSuchFolder { .. })), "{missing:?}");
    assert!(!dir.path().join("4").exists());

    let out = dir.path().join("folders");
    let report = vault.export_mbox_folders(&snapshot, &all(), &out, &mut |_| ()).unwrap();
    assert_eq!((report.items, report.files), (101, 3));
    assert_eq!(messages(&out.join("Inbox.mbox")).len(), 100);
    assert_eq!(messages(&out.join("Inbox/A%2FB.mbox")).len(), 1);
    assert_eq!(fs::read(out.join("Empty.mbox")).unwrap(), b"");
}

#[test]
fn an_item_that_cannot_be_read_is_left_out_whole_and_reported() {
    let (dir, mut vault) = new_vault();
    let folders = [folder("inbox", None, "Inbox")];
    let small = (0..3).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    vault.write_round(round(vec![of(ANN, &folders, small)]), NOW).unwrap();
    let packs = |dir: &Path| -> Vec<_> {
        let below = fs::read_dir(dir.join("vault/data")).unwrap();
        below
            .flat_map(|d| fs::read_dir(d.unwrap().path()).unwrap())
            .map(|f| f.unwrap().path())
            .collect()
    };
    let before = packs(dir.path());
    let bad = put_new(item(1000, "inbox"), &vec![b'x'; 40_000]);
    let report = vault.write_round(round(vec![of(ANN, &folders, vec![bad])]), NOW).unwrap();
    // Damage the pack with the content of that item: it is the one with data, not the trees, that
    // begins with it.
    let mut damaged = false;
    for pack in packs(dir.path()).into_iter().filter(|pack| !before.contains(pack)) {
        let bytes = fs::read(&pack).unwrap();
        let mut wrong = bytes.clone();
        wrong[20] ^= 1;
        fs::write(&pack, wrong).unwrap();
        let again = Vault::open(&dir.path().join("vault"), &password()).unwrap();
        let path = path_of(&report, 1000);
        let address = ANN.parse().unwrap();
        let read = again.read_item(&report.snapshot.id, &address, &path, &mut Vec::new());
        let listed = again.items(&report.snapshot.id, &address, &path.folder);
        if listed.is_ok() && read.is_err() {
            damaged = true;
            vault = again;
            break;
        }
        fs::write(&pack, bytes).unwrap();
    }
    assert!(damaged, "no pack was found that holds the item alone");
    let out = dir.path().join("out.mbox");
    let exported = vault.export_mbox(&report.snapshot.id, &all(), &out, &mut |_| ()).unwrap();
    assert_eq!((exported.items, exported.failed.len()), (3, 1));
    assert_eq!(exported.failed[0].item, item(1000, "inbox").id);
    assert_eq!(messages(&out).len(), 3);
    let out = dir.path().join("eml");
    let exported = vault.export_eml(&report.snapshot.id, &all(), &out, &mut |_| ()).unwrap();
    assert_eq!((exported.items, exported.failed.len()), (3, 1));
}
