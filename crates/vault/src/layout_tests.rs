use mailkeep_model::{FolderId, ItemId, MailboxId};
use proptest::prelude::*;
use time::{Date, Time, macros::datetime};

use super::*;

fn folder(id: &str, parent: Option<&str>, name: &str) -> Folder {
    Folder {
        id: FolderId(id.into()),
        parent: parent.map(|id| FolderId(id.into())),
        name: name.into(),
        kind: mailkeep_model::FolderKind::Mail,
        well_known: None,
    }
}

fn item(subject: &str) -> Item {
    let text = serde_json::json!({
        "id": "i", "folder": "f", "subject": subject,
        "received": "2026-11-23T10:14:59+01:00", "content_key": "k",
    });
    serde_json::from_value(text).unwrap()
}

fn directory(folders: &[Folder], id: &str) -> String {
    Directories::new(folders).path(&FolderId(id.into())).unwrap().join("/")
}

#[test]
fn a_person_recognises_a_message_by_its_file_name() {
    let short = ShortId::new(&MailboxId("m".into()), &ItemId("i".into()));
    let name = |subject: &str| item_name(&item(subject), &short);
    assert_eq!(
        name("Re: Budget 3/4?\r\n plan"),
        format!("2026-11-23T0914 Re Budget 3 4 plan {short}.eml")
    );
    assert_eq!(name(""), format!("2026-11-23T0914 {short}.eml"));
    assert_eq!(name("\u{202E}gpj.exe"), format!("2026-11-23T0914 gpj.exe {short}.eml"));
    assert_eq!(short_id_of(&name("a b")), Some(short.as_str()));
    assert_eq!(month(datetime!(2026-12-01 00:30 +1)), "2026-11");
}

#[test]
fn an_event_and_a_contact_are_files_that_other_programs_open() {
    let short = ShortId::new(&MailboxId("m".into()), &ItemId("i".into()));
    let name = |kind, subject: &str| item_name(&Item { kind, ..item(subject) }, &short);
    let event = name(ItemKind::Event, "Weekly");
    assert_eq!(event, format!("2026-11-23T0914 Weekly {short}.ics"));
    assert_eq!(short_id_of(&event), Some(short.as_str()));
    for (subject, expected) in [
        ("Ann Lee", format!("Ann Lee {short}.vcf")),
        ("", format!("{short}.vcf")),
        ("con.tact", format!("_con.tact {short}.vcf")),
        ("Con", format!("Con {short}.vcf")),
        (". .hidden", format!("hidden {short}.vcf")),
    ] {
        let contact = name(ItemKind::Contact, subject);
        assert_eq!(contact, expected);
        assert_eq!(short_id_of(&contact), Some(short.as_str()));
    }
    for other in ["items.jsonl", "a.vcf", "7f3a9c2kd0qm.txt", "7f3a9c2kd0qm"] {
        assert_eq!(short_id_of(other), None, "{other}");
    }
}

#[test]
fn a_stream_is_told_from_an_item_of_its_own() {
    let short = ShortId::new(&MailboxId("m".into()), &ItemId("i".into()));
    let name = |kind, subject: &str| item_name(&Item { kind, ..item(subject) }, &short);
    for kind in [ItemKind::Message, ItemKind::Event, ItemKind::Contact, ItemKind::Task] {
        let item = name(kind, "a.eml");
        let stream = stream_name(&item);
        assert_eq!(stream, format!("{item}.fts"));
        assert_eq!((short_id_of(&stream), item_of_stream(&stream)), (None, Some(item.as_str())));
    }
    for subject in ["", "x", "a.eml", "7f3a9c2kd0qm.eml"] {
        let note = name(ItemKind::Opaque, subject);
        assert_eq!((short_id_of(&note), item_of_stream(&note)), (Some(short.as_str()), None));
    }
    let rule = name(ItemKind::Setting, "Con");
    assert_eq!(rule, format!("Con {short}.json"));
    assert_eq!((short_id_of(&rule), short_id_of(INDEX_FILE)), (Some(short.as_str()), None));
}

#[test]
fn a_folder_cannot_be_taken_for_a_leaf_directory() {
    for name in ["2026-11", "2026-11 (2)", "0000-99 (10)"] {
        assert!(parse_leaf(name).is_some(), "{name}");
        let directory = directory(&[folder("f", None, name)], "f");
        assert!(parse_leaf(&directory).is_none(), "{directory}");
    }
    for name in ["2026", "2026-11 ", "2026-11 (1)", "2026-11 (02)", "2026-11 ()", "2026-1é"] {
        assert!(parse_leaf(name).is_none(), "{name}");
    }
    assert_eq!(parse_leaf(&leaf("2026-11", 1)), Some(("2026-11", 1)));
    assert_eq!(parse_leaf(&leaf("2026-11", 2)), Some(("2026-11", 2)));
    assert_ne!(directory(&[folder("f", None, "Items.jsonl")], "f"), "Items.jsonl");
}

#[test]
fn folders_that_differ_only_in_case_survive_a_restore_to_windows() {
    let folders = [folder("1", None, "Inbox"), folder("2", None, "inbox"), folder("3", None, "x")];
    let (one, two) = (directory(&folders, "1"), directory(&folders, "2"));
    assert_ne!(one.to_lowercase(), two.to_lowercase());
    assert!(one.starts_with("Inbox ~") && two.starts_with("inbox ~"), "{one} {two}");
    assert_eq!(directory(&folders, "3"), "x");
    let mut reversed = folders.clone();
    reversed.reverse();
    assert_eq!(directory(&reversed, "1"), one, "the provider's order must not matter");
    // Somebody may name a folder just like a mark.
    let sly = [folder("1", None, "Inbox"), folder("2", None, "inbox"), folder("3", None, &one)];
    assert_ne!(directory(&sly, "3"), directory(&sly, "1"));
}

#[test]
fn a_folder_with_a_missing_or_circular_parent_is_kept() {
    let folders =
        [folder("a", Some("b"), "A"), folder("b", Some("a"), "B"), folder("c", Some("?"), "C")];
    for (id, path) in [("a", "A"), ("b", "B"), ("c", "C")] {
        assert_eq!(directory(&folders, id), path);
    }
    let nested = [folder("a", None, "A"), folder("b", Some("a"), "B/C")];
    assert_eq!(directory(&nested, "b"), "A/B%2FC");
}

#[test]
fn names_that_windows_reserves_are_escaped() {
    for (name, directory_name) in [
        ("CON", "%43ON"),
        ("nul.txt", "%6Eul.txt"),
        ("console", "console"),
        ("..", ".%2E"),
        ("a.", "a%2E"),
        ("a ", "a%20"),
        ("", "%"),
        ("100%", "100%25"),
        ("a\u{0}b", "a%00b"),
        ("Gelöschte Elemente", "Gelöschte Elemente"),
    ] {
        assert_eq!(directory(&[folder("f", None, name)], "f"), directory_name);
    }
}

#[test]
fn a_long_address_still_has_a_directory_of_its_own() {
    let address = |fill: &str| -> Address {
        format!("{}@example.com", fill.repeat(300 / fill.len())).parse().unwrap()
    };
    let (a, b) = (mailbox_directory(&address("a")), mailbox_directory(&address("é")));
    assert!(a.len() <= 255 && b.len() <= 255);
    assert_eq!(mailbox_directory(&"ann@example.com".parse().unwrap()), "ann@example.com");
    assert_eq!(mailbox_directory(&"a/b@example.com".parse().unwrap()), "a%2Fb@example.com");
}

fn reads_back(directory: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = directory.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' && tail.len() >= 2 {
            let hex = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

proptest! {
    #[test]
    fn any_folder_name_gives_a_name_that_every_file_system_takes(name in any::<String>()) {
        let directory = directory(&[folder("f", None, &name)], "f");
        prop_assert!(!directory.is_empty() && directory.len() <= 255);
        prop_assert!(!directory.chars().any(unfit));
        prop_assert!(!directory.ends_with(['.', ' ']));
        prop_assert!(parse_leaf(&directory).is_none());
        let stem = directory.split('.').next().unwrap().to_lowercase();
        prop_assert!(!RESERVED.contains(&stem.as_str()));
    }

    #[test]
    fn an_escaped_name_that_is_not_cut_reads_back(name in "[a-z%/ .:\u{e9}\u{202e}]{1,40}") {
        let directory = directory(&[folder("f", None, &name)], "f");
        prop_assert_eq!(reads_back(&directory), name.as_bytes());
    }

    #[test]
    fn siblings_never_share_a_directory(names in prop::collection::vec("(?i)(inbox|con|2026-11|%|a{0,3}|[a-z]{254,258})", 1..8)) {
        let folders: Vec<_> =
            names.iter().enumerate().map(|(i, name)| folder(&i.to_string(), None, name)).collect();
        let directories = Directories::new(&folders);
        let used: HashSet<String> =
            directories.children(None).map(|(name, _)| name.to_lowercase()).collect();
        prop_assert_eq!(used.len(), folders.len());
    }

    #[test]
    fn any_subject_gives_a_file_name_with_its_short_id(subject in any::<String>()) {
        let short = ShortId::new(&MailboxId("m".into()), &ItemId("i".into()));
        for kind in [ItemKind::Message, ItemKind::Event, ItemKind::Contact] {
            let name = item_name(&Item { kind, ..item(&subject) }, &short);
            prop_assert!(name.len() <= 255 && !name.chars().any(unfit));
            prop_assert!(!name.starts_with(['.', ' ']) && !is_reserved(&name));
            prop_assert_eq!(short_id_of(&name), Some(short.as_str()));
        }
    }
}

#[test]
fn a_message_from_before_our_era_gets_a_name_that_is_found_again() {
    assert_eq!(month(datetime!(-0044-03-15 12:00 UTC)), "0001-01");
    assert_eq!(month(datetime!(0000-12-31 23:59 UTC)), "0001-01");
    assert_eq!(month(datetime!(0001-01-01 00:30 +1)), "0001-01");
    assert_eq!(month(datetime!(9999-12-31 23:30 -1)), "9999-12");
}

fn any_time() -> impl Strategy<Value = OffsetDateTime> {
    let days = Date::MIN.to_julian_day()..=Date::MAX.to_julian_day();
    let ends = prop_oneof![Just(Date::MIN.to_julian_day()), Just(Date::MAX.to_julian_day())];
    let offsets = -UTC_OFFSET_LIMIT..=UTC_OFFSET_LIMIT;
    (prop_oneof![4 => days, 1 => ends], 0..24u8, 0..60u8, offsets).prop_map(
        |(day, hour, minute, offset)| {
            let date = Date::from_julian_day(day).unwrap();
            let time = Time::from_hms(hour, minute, 0).unwrap();
            let offset = UtcOffset::from_whole_seconds(offset).unwrap();
            OffsetDateTime::new_in_offset(date, time, offset)
        },
    )
}

/// Seconds in 23:59:59.
const UTC_OFFSET_LIMIT: i32 = 86_399;

proptest! {
    #[test]
    fn every_time_gives_a_month_that_is_known_as_a_leaf(received in any_time()) {
        let month = month(received);
        prop_assert_eq!(parse_leaf(&month), Some((month.as_str(), 1)));
        prop_assert!(month.as_str() >= "0001-01" && month.as_str() <= "9999-12", "{}", month);
        let short = ShortId::new(&MailboxId("m".into()), &ItemId("i".into()));
        let name = item_name(&Item { received, ..item("x") }, &short);
        prop_assert!(name.starts_with(&month), "{} in {}", name, month);
        prop_assert_eq!(name.find('T'), Some(10));
    }
}
