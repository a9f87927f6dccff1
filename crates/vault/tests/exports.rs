//! What an export holds.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{collections::BTreeSet, fs, path::Path};

use common::*;
use mailkeep_model::{Contact, Detail, Event, Folder, FolderId, FolderKind, ItemKind};
use mailkeep_vault::{
    CatalogChange, ExportForm, ExportProgress, ItemChange, ReadData, Selection, Vault, VaultError,
    icalendar, vcard,
};
use time::Duration;

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
    let report =
        vault.export(&snapshot, &all(), ExportForm::Eml, &out, &mut |p| seen.push(p)).unwrap();
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
    let again = vault.export(&snapshot, &all(), ExportForm::Eml, &out, &mut |_| ());
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
    let report = vault.export(&snapshot, &all(), ExportForm::Mbox, &out, &mut |_| ()).unwrap();
    assert_eq!((report.items, report.files), (101, 1));
    let found = messages(&out);
    let lf = |n| String::from_utf8(eml(n)).unwrap().replace("\r\n", "\n");
    let mut expected: Vec<_> = (0..100).map(lf).collect();
    expected.push("A: b\n\nFrom x\n>From y\nlast line\n".to_owned());
    assert_eq!(found, expected);
    let again = vault.export(&snapshot, &all(), ExportForm::Mbox, &out, &mut |_| ());
    assert!(matches!(again, Err(VaultError::OutputExists { .. })), "{again:?}");
}

#[test]
fn a_folder_can_be_exported_alone_with_what_is_below_it() {
    let (dir, vault, snapshot) = vault_with_mail();
    let export = |selection: &Selection, name: &str| {
        let out = dir.path().join(name);
        vault
            .export(&snapshot, selection, ExportForm::Mbox, &out, &mut |_| ())
            .map(|report| report.items)
    };
    assert_eq!(export(&folder_named("Inbox"), "1").unwrap(), 101);
    assert_eq!(export(&folder_named("Inbox/A%2FB"), "2").unwrap(), 1);
    assert_eq!(export(&folder_named("Empty"), "3").unwrap(), 0);
    let missing = export(&folder_named("Inbox/A/B"), "4");
    assert!(matches!(missing, Err(VaultError::NoSuchFolder { .. })), "{missing:?}");
    assert!(!dir.path().join("4").exists());

    let out = dir.path().join("folders");
    let report =
        vault.export(&snapshot, &all(), ExportForm::MboxFolders, &out, &mut |_| ()).unwrap();
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
    // Nothing that compression makes small: most of the pack that it lies in is it, whatever lies
    // there beside it, in whatever order.
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8;
    let bad = put_new(item(1000, "inbox"), &(0..40_000).map(noise).collect::<Vec<u8>>());
    let report = vault.write_round(round(vec![of(ANN, &folders, vec![bad])]), NOW).unwrap();
    // Damage the pack with the content of that item: it is the one with data, not the trees.
    let mut damaged = false;
    for pack in packs(dir.path()).into_iter().filter(|pack| !before.contains(pack)) {
        let bytes = fs::read(&pack).unwrap();
        let mut wrong = bytes.clone();
        wrong[bytes.len() / 2] ^= 1;
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
    let exported =
        vault.export(&report.snapshot.id, &all(), ExportForm::Mbox, &out, &mut |_| ()).unwrap();
    assert_eq!((exported.items, exported.failed.len()), (3, 1));
    assert_eq!(exported.failed[0].item, item(1000, "inbox").id);
    assert_eq!(messages(&out).len(), 3);
    let out = dir.path().join("eml");
    let exported =
        vault.export(&report.snapshot.id, &all(), ExportForm::Eml, &out, &mut |_| ()).unwrap();
    assert_eq!((exported.items, exported.failed.len()), (3, 1));
}

fn events_and_contacts() -> (tempfile::TempDir, Vault, mailkeep_vault::SnapshotId) {
    let of_kind = |mut one: Folder, kind| {
        one.kind = kind;
        one
    };
    let folders = [
        folder("inbox", None, "Inbox"),
        of_kind(folder("calendar", None, "Calendar"), FolderKind::Calendar),
        of_kind(folder("contacts", None, "Contacts"), FolderKind::Contacts),
    ];
    let mut changes: Vec<_> = (0..5).map(|n| put_new(item(n, "inbox"), &eml(n))).collect();
    for n in 0..40 {
        let zone = ["W. Europe Standard Time", "Eastern Standard Time"][n % 2];
        let year = 1990 + n;
        let event: Event = serde_json::from_value(serde_json::json!({
            "uid": format!("uid {n}"), "subject": format!("Event {n}"),
            "start": {"local": format!("{year}-07-01 10:00:00.0"), "zone": zone},
            "end": {"local": format!("{year}-07-01 11:00:00.0"), "zone": zone},
        }))
        .unwrap();
        let mut one = item(100 + n, "calendar");
        one.kind = ItemKind::Event;
        one.subject = event.subject.clone();
        let content = icalendar(&event, &[]);
        one.detail = Some(Detail::Event(Box::new(event)));
        changes.push(put_new(one, &content));
    }
    for (n, name) in ["Ann", "items.jsonm", "zoë", "Items"].into_iter().enumerate() {
        let contact = Contact { display_name: name.to_owned(), ..Contact::default() };
        let mut one = item(200 + n, "contacts");
        one.kind = ItemKind::Contact;
        one.subject = name.to_owned();
        let content = vcard(&contact, None);
        one.detail = Some(Detail::Contact(Box::new(contact)));
        changes.push(put_new(one, &content));
    }
    let (dir, mut vault) = new_vault();
    let report = vault.write_round(round(vec![of(ANN, &folders, changes)]), NOW).unwrap();
    assert_eq!((report.failed.len(), report.placed.len()), (0, 49));
    (dir, vault, report.snapshot.id)
}

#[test]
fn events_and_contacts_lie_in_the_repository_beside_mail() {
    let (_dir, vault, snapshot) = events_and_contacts();
    let report = vault.verify(ReadData::Yes).unwrap();
    assert_eq!((report.items, report.problems.len()), (49, 0), "{:?}", report.problems);
    let all = contents(&vault, &snapshot, ANN);
    assert_eq!(all.len(), 49);
    for (stored, bytes) in all.into_values() {
        assert_eq!(stored.path.short().as_ref(), Some(&stored.short));
        match stored.item.detail {
            Some(Detail::Event(event)) => assert_eq!(icalendar(&event, &[]), bytes),
            Some(Detail::Contact(contact)) => assert_eq!(vcard(&contact, None), bytes),
            Some(other) => panic!("nobody stored {other:?}"),
            None => assert_eq!(stored.item.kind, ItemKind::Message),
        }
    }
    let mut kinds = Vec::new();
    let count = |change: CatalogChange| match change {
        CatalogChange::Item { item, .. } => kinds.push(item.item.kind),
        CatalogChange::Folders { folders, .. } => assert_eq!(folders.len(), 3),
        _ => {}
    };
    vault.diff(None, &snapshot, &mut { count }).unwrap();
    kinds.sort();
    assert_eq!(kinds.iter().filter(|kind| **kind == ItemKind::Event).count(), 40);
    assert_eq!(kinds.last(), Some(&ItemKind::Contact));
}

#[test]
fn each_format_takes_what_it_can_hold_and_counts_the_rest() {
    let (dir, vault, snapshot) = events_and_contacts();
    let out = |name: &str| dir.path().join(name);
    let none = &mut |_| ();
    let eml = vault.export(&snapshot, &all(), ExportForm::Eml, &out("eml"), none).unwrap();
    assert_eq!((eml.items, eml.files, eml.not_of_format), (5, 5, 44));
    assert!(out("eml/Inbox").is_dir() && !out("eml/Calendar").exists());
    let mbox =
        vault.export(&snapshot, &all(), ExportForm::MboxFolders, &out("mbox"), none).unwrap();
    assert_eq!((mbox.items, mbox.files, mbox.not_of_format), (5, 1, 44));
    let mut last = ExportProgress { items: 0, of: 0, bytes: 0 };
    let ics =
        vault.export(&snapshot, &all(), ExportForm::Ics, &out("ics"), &mut |p| last = p).unwrap();
    assert_eq!((ics.items, ics.files, ics.not_of_format), (40, 40, 9));
    assert_eq!((last.items, last.of), (49, 49));
    assert!(!out("ics/Inbox").exists());
    let vcf = vault.export(&snapshot, &all(), ExportForm::Vcf, &out("vcf"), none).unwrap();
    assert_eq!((vcf.items, vcf.files, vcf.not_of_format), (4, 4, 45));
}

#[test]
fn one_calendar_holds_all_events_and_says_once_what_a_zone_is() {
    let (dir, vault, snapshot) = events_and_contacts();
    let out = dir.path().join("all.ics");
    let report = vault.export(&snapshot, &all(), ExportForm::IcsFile, &out, &mut |_| ()).unwrap();
    assert_eq!((report.items, report.files, report.not_of_format), (40, 1, 9));
    let text = fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    let count = |line: &str| lines.iter().filter(|found| **found == line).count();
    assert_eq!((count("BEGIN:VCALENDAR"), count("END:VCALENDAR")), (1, 1));
    assert_eq!((count("BEGIN:VEVENT"), count("END:VEVENT")), (40, 40));
    assert_eq!((count("TZID:Europe/Berlin"), count("TZID:America/New_York")), (1, 1));
    // Rules of different years stand beside each other, and each only once.
    let daylight = lines.iter().position(|line| *line == "TZID:America/New_York").unwrap();
    let zone: Vec<_> = lines[daylight..].iter().take_while(|l| **l != "END:VTIMEZONE").collect();
    let onsets = zone.iter().filter(|line| line.starts_with("DTSTART:")).count();
    let distinct: BTreeSet<_> = zone.iter().filter(|line| line.starts_with("DTSTART:")).collect();
    assert!((4..40).contains(&onsets), "{zone:#?}");
    assert!(distinct.len() >= 4);
    assert!(
        lines.iter().rposition(|l| *l == "END:VTIMEZONE")
            < lines.iter().position(|l| *l == "BEGIN:VEVENT")
    );
    assert!(!dir.path().join("all.ics.part").exists());
    let again = vault.export(&snapshot, &all(), ExportForm::IcsFile, &out, &mut |_| ());
    assert!(matches!(again, Err(VaultError::OutputExists { .. })), "{again:?}");

    let cards = dir.path().join("all.vcf");
    let report = vault.export(&snapshot, &all(), ExportForm::VcfFile, &cards, &mut |_| ()).unwrap();
    assert_eq!((report.items, report.files, report.not_of_format), (4, 1, 45));
    assert_eq!(fs::read_to_string(&cards).unwrap().matches("BEGIN:VCARD\r\n").count(), 4);
}

#[test]
fn a_moved_event_keeps_its_file_in_its_calendar() {
    let (_dir, mut vault, snapshot) = events_and_contacts();
    let folders: Vec<_> = vault
        .folders(&snapshot, &ANN.parse().unwrap())
        .unwrap()
        .into_iter()
        .map(|stored| stored.folder)
        .collect();
    let items =
        vault.items(&snapshot, &ANN.parse().unwrap(), &FolderId("calendar".into())).unwrap();
    let stored = items.into_iter().next().unwrap();
    let mut moved = stored.item.clone();
    moved.received += Duration::days(100);
    moved.subject = "Renamed".to_owned();
    let change = ItemChange::Put {
        item: moved,
        previous: Some(stored.path.clone()),
        content: new_content(b"BEGIN:VCALENDAR"),
    };
    let report = vault.write_round(round(vec![of(ANN, &folders, vec![change])]), NOW).unwrap();
    assert_eq!(report.placed[0].path, stored.path);
}
