//! Whatever is done to a ledger is found, and found where it was done.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::Cursor;

use mailkeep_identity::{
    FaultKind, Head, LineError, MAX_LINE, Slot,
    ledger::{self, LedgerEvent, LedgerFault, Requester},
};
use mailkeep_model::Function;
use proptest::prelude::*;
use time::macros::datetime;

fn event(number: u32) -> LedgerEvent {
    LedgerEvent::AssertionSigned {
        tenant: "acme".parse().unwrap(),
        function: Function::Reader,
        jti: format!("jti-{number}"),
        key_id: "key".into(),
        client_id: "client".into(),
        audience: "https://login.example/token".into(),
        expires: datetime!(2026-03-01 12:05 UTC),
        by: Requester {
            caller: "service".parse().unwrap(),
            job: Some("job-1".parse().unwrap()),
            uid: Some(1000),
            pid: Some(7),
            certificate: None,
        },
    }
}

/// A ledger of so many records, a line each, with line feeds.
fn lines(count: u32, first: u32) -> Vec<Vec<u8>> {
    let mut head = Head::EMPTY;
    let mut lines = Vec::new();
    for number in 0..count {
        let time = datetime!(2026-03-01 12:00 UTC);
        let (line, next) = ledger::encode(&head, time, &event(first + number)).unwrap();
        head = next;
        lines.push(line);
    }
    lines
}

fn verify(bytes: &[u8]) -> Result<ledger::LedgerSummary, LedgerFault> {
    ledger::verify(Cursor::new(bytes))
}

#[test]
fn an_untouched_ledger_is_found_whole() {
    let bytes = lines(5, 0).concat();
    let mut jtis = Vec::new();
    let summary = ledger::verify_each(Cursor::new(&bytes), |record| match &record.event {
        LedgerEvent::AssertionSigned { jti, .. } => jtis.push(jti.clone()),
        other => panic!("{other:?}"),
    })
    .unwrap();
    assert_eq!(summary.head.seq, 5);
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.torn, None);
    assert_eq!(jtis, ["jti-0", "jti-1", "jti-2", "jti-3", "jti-4"]);
    assert_eq!(verify(b"").unwrap().head, Head::EMPTY);
}

/// What an intruder may do to a ledger of six records, the line where it must be found, and as
/// what.
#[test]
fn every_manipulation_is_found_where_it_was_done() {
    type Manipulation = fn(&mut Vec<Vec<u8>>);
    type Expected = fn(&FaultKind) -> bool;
    let table: &[(&str, Manipulation, u64, Expected)] = &[
        (
            "a word is changed",
            |l| l[2] = String::from_utf8(l[2].clone()).unwrap().replace("acme", "evil").into(),
            3,
            |k| matches!(k, FaultKind::Line(LineError::Edited)),
        ),
        (
            "a space is added that means nothing in JSON",
            |l| l[2].insert(1, b' '),
            3,
            |k| matches!(k, FaultKind::Line(LineError::Edited)),
        ),
        (
            "a record is changed and its hash made anew",
            |l| {
                let head = ledger::parse(l[1].strip_suffix(b"\n").unwrap()).unwrap();
                let head = Head { seq: head.seq, hash: head.hash };
                let time = datetime!(2026-03-01 12:00 UTC);
                l[2] = ledger::encode(&head, time, &event(99)).unwrap().0;
            },
            4,
            |k| matches!(k, FaultKind::Spliced),
        ),
        (
            "the first record is removed",
            |l| drop(l.remove(0)),
            1,
            |k| matches!(k, FaultKind::Gap { found: 2 }),
        ),
        (
            "a record in the middle is removed",
            |l| drop(l.remove(3)),
            4,
            |k| matches!(k, FaultKind::Gap { found: 5 }),
        ),
        (
            "two neighbours change places",
            |l| l.swap(1, 2),
            2,
            |k| matches!(k, FaultKind::Reordered { found: 3 }),
        ),
        (
            "two far records change places",
            |l| l.swap(1, 5),
            2,
            |k| matches!(k, FaultKind::Reordered { found: 6 }),
        ),
        (
            "a record is there twice",
            |l| l.insert(3, l[2].clone()),
            4,
            |k| matches!(k, FaultKind::Repeated { found: 3 }),
        ),
        (
            "an old record is put at the end",
            |l| l.push(l[0].clone()),
            7,
            |k| matches!(k, FaultKind::Repeated { found: 1 }),
        ),
        (
            "the end of another ledger is put on",
            |l| l.splice(3.., lines(6, 50).split_off(3)).for_each(drop),
            4,
            |k| matches!(k, FaultKind::Spliced),
        ),
        (
            "an empty line is put in",
            |l| l.insert(2, b"\n".to_vec()),
            3,
            |k| matches!(k, FaultKind::Line(LineError::NotARecord(_))),
        ),
        (
            "lines end as on Windows",
            |l| {
                let end = l[0].len() - 1;
                l[0].insert(end, b'\r');
            },
            1,
            |k| matches!(k, FaultKind::Line(LineError::NotARecord(_))),
        ),
        (
            "a line without end is put in",
            |l| l.insert(2, vec![b'x'; 10 * MAX_LINE]),
            3,
            |k| matches!(k, FaultKind::Line(LineError::NotARecord(_) | LineError::TooLong)),
        ),
        (
            "garbage is put at the end",
            |l| l.push(b"garbage".to_vec()),
            7,
            |k| matches!(k, FaultKind::Trailing),
        ),
        (
            "half of an old record is put at the end",
            |l| l.push(l[0][..40].to_vec()),
            7,
            |k| matches!(k, FaultKind::Trailing),
        ),
        (
            "bytes follow the last record's line",
            |l| l.push(b"\0x".to_vec()),
            7,
            |k| matches!(k, FaultKind::Trailing),
        ),
    ];
    for (what, manipulate, line, expected) in table {
        let mut lines = lines(6, 0);
        manipulate(&mut lines);
        let offset: usize =
            lines.iter().take(usize::try_from(line - 1).unwrap()).map(Vec::len).sum();
        let fault = verify(&lines.concat()).expect_err(what);
        assert_eq!(fault.line, *line, "{what}: {fault}");
        assert!(expected(&fault.kind), "{what}: {fault:?}");
        assert_eq!(fault.offset, offset as u64, "{what}: {fault}");
    }
}

#[test]
fn what_a_crash_leaves_of_the_last_record_is_told_apart_from_tampering() {
    let lines = lines(3, 0);
    let whole = lines[..2].concat();
    for cut in 1..lines[2].len() {
        for zeros in [0, 5] {
            let mut bytes = whole.clone();
            bytes.extend(&lines[2][..cut]);
            bytes.extend(vec![0; zeros]);
            let summary = verify(&bytes).unwrap_or_else(|fault| panic!("cut at {cut}: {fault}"));
            assert_eq!(summary.head.seq, 2);
            let torn = summary.torn.unwrap();
            assert_eq!((torn.offset, torn.bytes), (whole.len() as u64, (cut + zeros) as u64));
        }
    }
}

#[test]
fn a_record_of_a_later_version_does_not_break_the_chain() {
    // Records of kinds that this version does not know are counted, and their hashes checked.
    let line = String::from_utf8(lines(1, 0).remove(0)).unwrap();
    let body = line.split(r#","hash":""#).next().unwrap();
    let body = body.replace(r#""kind":"assertion_signed""#, r#""kind":"hsm_attached""#);
    let hash = {
        use sha2::{Digest, Sha256};
        let text = format!("mailkeep-ledger-1\n{body}");
        data_encoding::HEXLOWER.encode(&Sha256::digest(text))
    };
    let line = format!("{body},\"hash\":\"{hash}\"}}\n");
    let mut events = Vec::new();
    ledger::verify_each(Cursor::new(line), |record| events.push(record.event.clone())).unwrap();
    assert_eq!(events, [LedgerEvent::Other]);
}

#[test]
fn records_from_before_there_were_slots_are_read() {
    let old = [
        r#"{"kind":"key_created","tenant":"acme","function":"reader","key_id":"k","thumbprint":"t","not_before":"2026-03-01T12:00:00Z","not_after":"2026-03-31T12:00:00Z","by":{"caller":"cli","uid":1}}"#,
        r#"{"kind":"bound","tenant":"acme","function":"reader","key_id":"k","client_id":"c","token_endpoint":"https://e/","by":{"caller":"cli","uid":1}}"#,
    ];
    let [created, bound] = old.map(|json| serde_json::from_str::<LedgerEvent>(json).unwrap());
    assert!(matches!(created, LedgerEvent::KeyCreated { slot: Slot::Active, .. }), "{created:?}");
    let LedgerEvent::Bound { key_id, object_id, .. } = bound else { panic!("{bound:?}") };
    assert_eq!((key_id.as_deref(), object_id), (Some("k"), None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_one_byte_change_is_found_in_its_line(at in any::<proptest::sample::Index>(), to in any::<u8>()) {
        let lines = lines(4, 0);
        let mut bytes = lines.concat();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes[at] = to;
        match verify(&bytes) {
            Err(fault) => prop_assert_eq!(fault.line, line, "{}", fault),
            // The last line feed, made a zero, looks as after a power failure; it is still told.
            Ok(summary) => prop_assert!(summary.torn.is_some() && at + 1 == bytes.len() && to == 0),
        }
    }

    #[test]
    fn any_cut_is_a_shorter_ledger_with_at_most_a_torn_record(at in any::<proptest::sample::Index>()) {
        let bytes = lines(4, 0).concat();
        let at = at.index(bytes.len());
        let summary = verify(&bytes[..at]).unwrap();
        prop_assert_eq!(summary.bytes + summary.torn.map_or(0, |torn| torn.bytes), at as u64);
    }

    #[test]
    fn garbage_lines_are_errors_and_never_panics(line in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(ledger::parse(&line).is_err());
        let _ = verify(&line);
    }
}
