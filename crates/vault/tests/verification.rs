//! Damage is found, and told from untidiness.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::*;
use mailkeep_model::Secret;
use mailkeep_vault::{Problem, ReadData, Vault, VaultError};

const ANN: &str = "ann@example.com";

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn vault_with_mail() -> (tempfile::TempDir, PathBuf, Vault) {
    let (dir, mut vault) = new_vault();
    let folders = [folder("inbox", None, "Inbox")];
    vault.write_round(first_round(ANN, &folders, 150), NOW).unwrap();
    let more = (200..210).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    vault.write_round(round(vec![of(ANN, &folders, more)]), NOW).unwrap();
    let path = dir.path().join("vault");
    (dir, path, vault)
}

fn problems(vault: &Vault, read_data: ReadData) -> (bool, Vec<Problem>) {
    let report = vault.reopen().unwrap().verify(read_data).unwrap();
    assert_eq!(report.snapshots, 2);
    (report.is_damaged(), report.problems)
}

#[test]
fn a_sound_repository_has_no_problems() {
    let (_dir, _path, vault) = vault_with_mail();
    assert_eq!(problems(&vault, ReadData::Yes), (false, vec![]));
    assert_eq!(vault.verify(ReadData::No).unwrap().items, 160);
}

#[test]
fn one_wrong_bit_in_any_pack_is_found() {
    let (_dir, path, vault) = vault_with_mail();
    let packs = files(&path.join("data"));
    assert!(packs.len() >= 4, "{packs:?}");
    for pack in packs {
        let sound = fs::read(&pack).unwrap();
        for place in [0, sound.len() / 2, sound.len() - 1] {
            let mut wrong = sound.clone();
            wrong[place] ^= 0x10;
            fs::write(&pack, wrong).unwrap();
            let (damaged, problems) = problems(&vault, ReadData::Yes);
            assert!(damaged, "byte {place} of {}", pack.display());
            assert!(problems.iter().all(|one| !one.to_string().contains('\n')), "{problems:?}");
        }
        fs::write(&pack, sound).unwrap();
    }
    assert_eq!(problems(&vault, ReadData::Yes), (false, vec![]));
}

#[test]
fn a_lost_pack_is_found_without_reading_all_data() {
    let (dir, path, vault) = vault_with_mail();
    for pack in files(&path.join("data")) {
        let elsewhere = dir.path().join("lost");
        fs::rename(&pack, &elsewhere).unwrap();
        let (damaged, problems) = problems(&vault, ReadData::No);
        assert!(damaged && !problems.is_empty(), "{}", pack.display());
        assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
        fs::rename(&elsewhere, &pack).unwrap();
    }
}

#[test]
fn what_an_interrupted_round_left_is_not_called_damage() {
    let (_dir, path, vault) = vault_with_mail();
    let pack = files(&path.join("data")).remove(0);
    let bytes = fs::read(&pack).unwrap();
    let stray = path.join("data/00").join("00".repeat(32));
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    fs::write(stray, bytes).unwrap();
    let (damaged, problems) = problems(&vault, ReadData::No);
    assert!(!damaged);
    assert!(matches!(&problems[..], [Problem::Untidy { .. }]), "{problems:?}");
}

#[test]
fn damage_to_what_opens_the_repository_is_called_damage_and_not_a_failing_disk() {
    let (_dir, path, vault) = vault_with_mail();
    drop(vault);
    let verify = || Vault::open(&path, &password())?.verify(ReadData::No);
    let mut damaged = vec![path.join("config")];
    for kind in ["keys", "index", "snapshots"] {
        damaged.push(files(&path.join(kind)).remove(0));
    }
    for file in damaged {
        let sound = fs::read(&file).unwrap();
        let mut flipped = sound.clone();
        flipped[sound.len() / 2] ^= 0x01;
        let half = sound[..sound.len() / 2].to_vec();
        for wrong in [flipped, half, vec![]] {
            fs::write(&file, &wrong).unwrap();
            let failed = verify();
            let name = file.display();
            assert!(matches!(failed, Err(VaultError::Damaged { .. })), "{name}: {failed:?}");
            let text = failed.unwrap_err().to_string();
            assert!(!text.contains('\n'), "{text}");
        }
        fs::write(&file, sound).unwrap();
    }
    assert!(!verify().unwrap().is_damaged());
    let wrong = Vault::open(&path, &Secret::new("wrong".to_owned()));
    assert!(matches!(wrong, Err(VaultError::WrongPassword { .. })), "{wrong:?}");
}
