//! Mail from files: what goes in comes out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use data_encoding::HEXLOWER;
use mailkeep_lab::{Lab, LabError, LabOptions};
use serde_json::Value;

use crate::world::{Graph, READ, World, shared_data};

/// Prints, for every message of every mbox below a directory, the file and the hash of what
/// Python takes for the message.
const PYTHON: &str = r#"
import hashlib, mailbox, os, sys
for above, _, files in os.walk(sys.argv[1]):
    for name in files:
        if name.endswith(".mbox"):
            path = os.path.join(above, name)
            box = mailbox.mbox(path, create=False)
            for key in box.keys():
                content = box.get_bytes(key).replace(b"\r\n", b"\n")
                print(os.path.relpath(path, sys.argv[1]), hashlib.sha256(content).hexdigest())
"#;

fn hash(mime: &[u8]) -> String {
    let lines: Vec<&[u8]> = mime.split(|b| *b == b'\n').collect();
    let plain: Vec<&[u8]> =
        lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    let algorithm = &aws_lc_rs::digest::SHA256;
    HEXLOWER.encode(aws_lc_rs::digest::digest(algorithm, &plain.join(&b"\n"[..])).as_ref())
}

/// Every message of a mailbox as (folder path, hash).
async fn contents(
    graph: &Graph,
    mailbox: &str,
    found: &mut BTreeMap<(String, String), usize>,
) -> usize {
    let (folders, _) = graph.round(&format!("users/{mailbox}/mailFolders/delta"), 1000).await;
    let by_id: BTreeMap<&str, &Value> =
        folders.iter().map(|f| (f["id"].as_str().unwrap(), f)).collect();
    let mut count = 0;
    for folder in &folders {
        let mut path = folder["displayName"].as_str().unwrap().to_owned();
        let mut above = folder["parentFolderId"].as_str().unwrap();
        while let Some(parent) = by_id.get(above) {
            path = format!("{}.{path}", parent["displayName"].as_str().unwrap());
            above = parent["parentFolderId"].as_str().unwrap();
        }
        let id = folder["id"].as_str().unwrap();
        let delta = format!("users/{mailbox}/mailFolders/{id}/messages/delta?$select=id");
        let (messages, _) = graph.round(&delta, 1000).await;
        for message in messages {
            let url =
                format!("users/{mailbox}/messages/{}/$value", message["id"].as_str().unwrap());
            let mime = graph.request("GET", &url).send().await.unwrap().bytes().await.unwrap();
            let person = mailbox.split('@').next().unwrap();
            *found.entry((format!("{person}/{path}.mbox"), hash(&mime))).or_default() += 1;
            count += 1;
        }
    }
    count
}

fn python_says(directory: &Path) -> BTreeMap<(String, String), usize> {
    let output = Command::new("python3").arg("-c").arg(PYTHON).arg(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (path, hash) = line.rsplit_once(' ').unwrap();
        *found.entry((path.to_owned(), hash.to_owned())).or_default() += 1;
    }
    found
}

async fn compare(seed: PathBuf, unpacked: &Path) -> usize {
    let world = World::with(|options| options.seed = vec![seed]).await;
    let graph = world.graph(READ).await;
    let mut found = BTreeMap::new();
    let mut count = 0;
    for mailbox in &world.lab.description().tenants[0].mailboxes {
        count += contents(&graph, mailbox, &mut found).await;
    }
    let expected = python_says(unpacked);
    let missing: Vec<_> =
        expected.iter().filter(|(k, n)| found.get(k) != Some(n)).take(5).collect();
    let surplus: Vec<_> =
        found.iter().filter(|(k, n)| expected.get(k) != Some(n)).take(5).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
    assert_eq!(expected.values().sum::<usize>(), count);
    count
}

#[tokio::test]
async fn every_real_message_comes_out_as_python_reads_it() {
    let unpacked =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/testdata/mailboxes");
    let python = Command::new("python3").arg("--version").output().is_ok();
    if !unpacked.is_dir() || !python {
        eprintln!("skipped, because the unpacked mailboxes or python3 are absent");
        return;
    }
    let began = Instant::now();
    let archive =
        shared_data().map(|data| data.join("mail/mailboxes.tar.xz")).filter(|a| a.is_file());
    let count = compare(archive.unwrap_or_else(|| unpacked.clone()), &unpacked).await;
    assert_eq!(count, 24_689);
    eprintln!("{count} messages compared in {:?}", began.elapsed());
}

#[tokio::test]
async fn odd_mbox_files_are_split_as_python_splits_them() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped, because python3 is absent");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let person = directory.path().join("ann");
    std::fs::create_dir(&person).unwrap();
    for (name, content) in [
        ("inbox.mbox", &b"From a\nSubject: x\n\nFrom me to you\n\nFrom b\n\n\n\nFrom c\n"[..]),
        ("a.b.mbox", b"From a\r\nSubject: x\r\n\r\nbody\r\n\r\nFrom b\r\nno header"),
        ("early.mbox", b"\n\nlost\nFrom a\n>From quoted\n\n"),
        ("empty.mbox", b""),
        ("blank.mbox", b"\n\n"),
        ("binary.mbox", b"From \xff\n\x00\xff\n\n\nFrom \n\n"),
    ] {
        std::fs::write(person.join(name), content).unwrap();
    }
    let count = compare(directory.path().to_owned(), directory.path()).await;
    assert_eq!(count, 9);
}

#[tokio::test]
async fn malformed_mail_crashes_nothing() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/testdata/fixtures");
    if !fixtures.is_dir() {
        eprintln!("skipped, because the fixtures are absent");
        return;
    }
    let world = World::with(|options| options.seed = vec![fixtures]).await;
    let graph = world.graph(READ).await;
    let mut count = 0;
    for mailbox in &world.lab.description().tenants[0].mailboxes {
        let mut link = format!("users/{mailbox}/messages?$top=50&$expand=attachments");
        while !link.is_empty() {
            let page = graph.get(&link).await;
            count += page["value"].as_array().unwrap().len();
            link = page["@odata.nextLink"].as_str().unwrap_or_default().to_owned();
        }
    }
    assert!(count > 100, "{count}");
}

#[tokio::test]
async fn a_seed_without_mail_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (name, refused) in
        [("nothing", "empty"), ("missing.mbox", "missing"), ("bad.tar.xz", "bad")]
    {
        let path = directory.path().join(name);
        match refused {
            "empty" => std::fs::create_dir(&path).unwrap(),
            "bad" => std::fs::write(&path, b"not xz").unwrap(),
            _ => {}
        }
        let mut options = LabOptions::new(directory.path());
        options.seed = vec![path];
        let error = Lab::start(options).await.err().unwrap();
        assert!(matches!(error, LabError::Seed { .. } | LabError::EmptySeed(_)), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}
