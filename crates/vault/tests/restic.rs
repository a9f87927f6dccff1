//! A repository without Mailkeep: stock restic opens it with the recovery kit, checks every byte
//! of it and restores files that a person can read.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::*;
use mailkeep_vault::{RecoveryKit, VaultError, write_recovery_kit};
use tempfile::TempDir;

const ANN: &str = "ann@example.com";

/// restic's command, or nothing when it is not installed.
fn restic(kit: &Path, arguments: &[&str]) -> Option<std::process::Output> {
    let output = Command::new("restic")
        .current_dir(kit)
        .args(["--no-cache", "--repository-file", "repository", "--password-file", "password"])
        .args(arguments)
        .output();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "restic {arguments:?}: {text}");
            Some(output)
        }
        Err(error) => {
            eprintln!("skipped, because restic cannot be run: {error}");
            None
        }
    }
}

fn files(dir: &Path, below: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            files(dir, &path, found);
        } else {
            found.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

fn kit_for(dir: &TempDir, vault: &mailkeep_vault::Vault) -> PathBuf {
    let out = dir.path().join("kit");
    let kit = RecoveryKit {
        tenant: &"acme".parse().unwrap(),
        repository: &dir.path().join("vault"),
        repository_id: &vault.repository_id(),
        password: &password(),
    };
    write_recovery_kit(&out, &kit).unwrap();
    out
}

#[test]
fn stock_restic_checks_and_restores_what_we_wrote() {
    let (dir, mut vault) = new_vault();
    let names =
        ["Inbox", "inbox", "a/b", "CON", "2026-11", "Gelöschte „Elemente“", "..", "100 %", ""];
    let mut folders: Vec<_> =
        names.iter().enumerate().map(|(i, name)| folder(&format!("f{i}"), None, name)).collect();
    folders.push(folder("deep", Some("f0"), "Projekte"));
    folders.push(folder("empty", Some("deep"), "leer"));
    let mut changes: Vec<_> =
        (0..names.len()).map(|i| put_new(item(i, &format!("f{i}")), &eml(i))).collect();
    let mut odd = item(100, "deep");
    odd.subject = "“Ünïcödé” \u{202e} \"quoted\" back\\slash\ttab 漢字 🙂".to_owned();
    changes.push(put_new(odd, &eml(100)));
    let large: Vec<u8> =
        (0..3_000_000_u32).flat_map(|n| (n.wrapping_mul(n)).to_le_bytes()).collect();
    changes.push(put_new(item(101, "deep"), &large));
    let first = vault.write_round(round(vec![of(ANN, &folders, changes)]), NOW).unwrap();
    let many = (200..1400).map(|n| put_new(item(n, "f0"), &eml(n)));
    let more = many.chain([put_kept(item(0, "deep"), &path_of(&first, 0))]).collect();
    let second = vault.write_round(round(vec![of(ANN, &folders, more)]), NOW).unwrap();

    let kit = kit_for(&dir, &vault);
    let Some(listed) = restic(&kit, &["snapshots", "--json"]) else { return };
    let listed = String::from_utf8(listed.stdout).unwrap();
    for snapshot in [&first.snapshot, &second.snapshot] {
        assert!(listed.contains(&snapshot.id.0), "{listed}");
    }
    restic(&kit, &["check", "--read-data"]);
    let target = dir.path().join("restored");
    restic(&kit, &["restore", "latest", "--target", target.to_str().unwrap()]);

    let mut restored = BTreeMap::new();
    files(&target, Path::new(""), &mut restored);
    let mut expected = BTreeMap::new();
    let address = ANN.parse().unwrap();
    for folder in vault.folders(&second.snapshot.id, &address).unwrap() {
        let directory = Path::new(ANN).join("mail").join(&folder.directory);
        assert!(target.join(&directory).is_dir(), "{}", directory.display());
        for stored in vault.items(&second.snapshot.id, &address, &folder.folder.id).unwrap() {
            let mut bytes = Vec::new();
            vault.read_item(&second.snapshot.id, &address, &stored.path, &mut bytes).unwrap();
            expected.insert(directory.join(&stored.path.leaf).join(&stored.path.name), bytes);
        }
    }
    assert_eq!(expected.len(), names.len() + 2 + 1200);
    let is_item = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "eml");
    let items: Vec<_> = restored.iter().filter(|(path, _)| is_item(path)).collect();
    assert!(items.into_iter().eq(&expected), "the restored files are not what was stored");
    assert!(
        expected.values().any(|bytes| *bytes == large) && expected.values().any(|b| *b == eml(3))
    );

    // What an .eml cannot hold stands in files that any program can read.
    let text = |path: &Path| String::from_utf8(restored[path].clone()).unwrap();
    let about: serde_json::Value =
        serde_json::from_str(&text(&Path::new(ANN).join("mailbox.json"))).unwrap();
    assert_eq!((&about["address"], &about["complete"]), (&ANN.into(), &"complete".into()));
    let tree: serde_json::Value =
        serde_json::from_str(&text(&Path::new(ANN).join("folders.json"))).unwrap();
    assert_eq!(tree["folders"].as_array().unwrap().len(), folders.len());
    let index = text(&Path::new(ANN).join("mail/a%2Fb/2026-11/items.jsonl"));
    let line: serde_json::Value = serde_json::from_str(index.trim_end()).unwrap();
    assert_eq!((&line["item"]["id"], &line["bytes"]), (&"item 2".into(), &eml(2).len().into()));
}

#[test]
fn a_recovery_kit_is_for_its_owner_only_and_is_never_overwritten() {
    let (dir, vault) = new_vault();
    let kit = kit_for(&dir, &vault);
    let text = |name: &str| fs::read_to_string(kit.join(name)).unwrap();
    assert_eq!(text("password"), "correct horse\n");
    assert_eq!(text("repository"), format!("{}\n", dir.path().join("vault").display()));
    let readme = text("README.txt");
    assert!(readme.contains("'acme'") && readme.contains(&vault.repository_id()), "{readme}");
    assert!(!readme.contains("correct horse"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(kit.join("password")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    fs::remove_file(kit.join("repository")).unwrap();
    let again = RecoveryKit {
        tenant: &"other".parse().unwrap(),
        repository: dir.path(),
        repository_id: "x",
        password: &password(),
    };
    let refused = write_recovery_kit(&kit, &again);
    assert!(matches!(refused, Err(VaultError::OutputExists { .. })), "{refused:?}");
    assert!(!kit.join("repository").exists(), "nothing is written when something is there");
}
