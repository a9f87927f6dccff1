//! Contents that are hard: unreadable, large, many at once.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    io::{self, Read},
    sync::Arc,
};

use common::*;
use mailkeep_vault::{Content, ItemChange, OpenContent, Outcome, ReadData, Vault};

const ANN: &str = "ann@example.com";

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

/// Content that breaks in one of the ways in which content breaks.
enum Broken {
    DoesNotOpen,
    BreaksOff,
    TooShort,
    TooLong,
}

impl OpenContent for Broken {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        struct Breaks;
        impl Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("bad sector"))
            }
        }
        match self {
            Self::DoesNotOpen => Err(io::Error::other("no such file")),
            Self::BreaksOff => Ok(Box::new(io::Cursor::new(vec![1; 10]).chain(Breaks))),
            Self::TooShort => Ok(Box::new(io::Cursor::new(vec![1; 99]))),
            Self::TooLong => Ok(Box::new(io::Cursor::new(vec![1; 101]))),
        }
    }
}

#[test]
fn a_bad_item_is_left_out_and_reported_and_the_others_are_safe() {
    let (_dir, mut vault) = new_vault();
    let before = vault.write_round(first_round(ANN, &folders(), 100), NOW).unwrap();
    let mut changes: Vec<_> = (200..400).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    let broken = |broken| Content::New { bytes: 100, open: Arc::new(broken), stream: None };
    let bad = [
        (1000, None, Broken::DoesNotOpen),
        (1001, None, Broken::BreaksOff),
        (1002, None, Broken::TooShort),
        (1003, None, Broken::TooLong),
        // A changed one, and one that changed and moved: the vault keeps what it has.
        (7, Some(path_of(&before, 7)), Broken::TooShort),
        (8, Some(path_of(&before, 8)), Broken::DoesNotOpen),
    ];
    for (n, previous, content) in bad {
        let mut item = item(n, if n == 8 { "archive" } else { "inbox" });
        item.content_key = "changed".to_owned();
        changes.push(ItemChange::Put { item, previous, content: broken(content) });
    }
    changes.push(ItemChange::Remove { path: path_of(&before, 8) });
    changes.push(put_new(item(2000, "nowhere"), b"x"));
    changes.push(ItemChange::Put {
        item: item(2001, "inbox"),
        previous: None,
        content: Content::Kept,
    });
    let after = vault.write_round(round(vec![of(ANN, &folders(), changes)]), NOW).unwrap();
    let mut failed: Vec<_> = after.failed.iter().map(|failed| failed.item.0.clone()).collect();
    failed.sort();
    let expected = [1000, 1001, 1002, 1003, 2000, 2001, 7, 8].map(|n| format!("item {n}"));
    assert_eq!(failed, expected);
    assert!(after.failed.iter().all(|failed| !failed.reason.is_empty()));
    assert_eq!((after.snapshot.outcome, after.placed.len()), (Outcome::Partial, 200));
    let contents = contents(&vault, &after.snapshot.id, ANN);
    assert_eq!(contents.len(), 300);
    for n in [7, 8] {
        let (stored, bytes) = &contents[&("Inbox".to_owned(), format!("item {n}"))];
        assert_eq!((&stored.item, bytes), (&item(n, "inbox"), &eml(n)));
    }
    assert_eq!(vault.snapshots().unwrap().len(), 2);
    is_sound(&vault);
}

/// Bytes that do not repeat, without holding them.
struct Large(u64);

struct Stream {
    state: u64,
    left: u64,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap());
        for byte in &mut buffer[..length] {
            self.state =
                self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = self.state.to_be_bytes()[0];
        }
        self.left -= length as u64;
        Ok(length)
    }
}

impl OpenContent for Large {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Stream { state: 1, left: self.0 }))
    }
}

/// Compares what is written to it with a stream.
struct Compare(Stream);

impl io::Write for Compare {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut expected = vec![0; bytes.len()];
        self.0.read_exact(&mut expected)?;
        assert!(bytes.len() <= 1 << 20, "an item goes through memory a piece at a time");
        if expected == bytes { Ok(bytes.len()) } else { Err(io::Error::other("not the same")) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_large_message_streams_in_and_out() {
    let (_dir, mut vault) = new_vault();
    let bytes = 20 << 20;
    let put = ItemChange::Put {
        item: item(1, "inbox"),
        previous: None,
        content: Content::New { bytes, open: Arc::new(Large(bytes)), stream: None },
    };
    let report = vault.write_round(round(vec![of(ANN, &folders(), vec![put])]), NOW).unwrap();
    assert_eq!(report.placed[0].bytes, bytes);
    let mut compare = Compare(Stream { state: 1, left: bytes });
    let path = path_of(&report, 1);
    let address = ANN.parse().unwrap();
    let read = vault.read_item(&report.snapshot.id, &address, &path, &mut compare).unwrap();
    assert_eq!((read, compare.0.left), (bytes, 0));
}

/// A round of many items is stored in another way than a small one.
#[test]
fn many_items_at_once_are_stored_like_the_same_items_one_by_one() {
    let large = |n: usize| {
        let bytes = 60_000 + 4_000 * (n as u64 % 7) + if n == 1100 { 3 << 20 } else { 0 };
        let content = Content::New { bytes, open: Arc::new(Large(bytes)), stream: None };
        ItemChange::Put { item: item(n, "inbox"), previous: None, content }
    };
    let put = |n: usize| {
        if n.is_multiple_of(100) { large(n) } else { put_new(item(n, "inbox"), &eml(n)) }
    };
    let (_dir, mut vault) = new_vault();
    let all = round(vec![of(ANN, &folders(), (0..1200).map(put).collect())]);
    let at_once = vault.write_round(all, NOW).unwrap();
    is_sound(&vault);
    let before = contents(&vault, &at_once.snapshot.id, ANN);
    assert_eq!((before.len(), at_once.placed.len(), at_once.failed.len()), (1200, 1200, 0));

    // The same, in rounds; then all of it once more, in the first vault: nothing is new.
    for first in (0..1200).step_by(300) {
        let some = (first..first + 300).map(put).collect();
        vault.write_round(round(vec![of(ANN, &folders(), some)]), NOW).unwrap();
    }
    let again = round(vec![of(ANN, &folders(), (0..1200).map(put).collect())]);
    let again = vault.write_round(again, NOW).unwrap();
    assert_eq!(again.snapshot.tree, at_once.snapshot.tree);
    assert_eq!(again.data_blobs_added, 0);
    // Many items in a mailbox that moved are read from the vault: cut where they were cut before.
    let mut renamed = folders();
    renamed[0].name = "Renamed".to_owned();
    let flags = before.values().map(|(stored, _)| {
        let mut item = stored.item.clone();
        item.read = true;
        put_kept(item, &stored.path)
    });
    let moved = vault.write_round(round(vec![of(ANN, &renamed, flags.collect())]), NOW).unwrap();
    let leaves = 1200_u64.div_ceil(16);
    assert_eq!(moved.data_blobs_added, leaves + 1, "the indexes and folders.json");
    let after = contents(&vault, &moved.snapshot.id, ANN);
    assert!(before.values().map(|(_, bytes)| bytes).eq(after.values().map(|(_, bytes)| bytes)));
    let again = vault.reopen().unwrap();
    assert_eq!(again.repository_id(), vault.repository_id());
    is_sound(&vault);
}
