//! Receipts are there before the request goes out, whoever writes them, and whatever crashes.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fs, io::Cursor, path::Path, thread};

use mailkeep_identity::{
    ReceiptError, ReceiptEvent, ReceiptLog, Record, Summary, verify_receipts, verify_receipts_on,
};
use mailkeep_model::Function;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn intend(log: &ReceiptLog, id: u128) -> Result<(), ReceiptError> {
    let (job, tenant) = ("job".parse().unwrap(), "acme".parse().unwrap());
    log.intend(NOW, Uuid::from_u128(id), &job, &tenant, Function::Reader, "jti")
}

fn read(path: &Path) -> (Vec<ReceiptEvent>, Summary) {
    let bytes = fs::read(path).unwrap();
    let mut events = Vec::new();
    let summary =
        verify_receipts(Cursor::new(bytes), None, |record| events.push(record.event.clone()));
    (events, summary.unwrap())
}

#[test]
fn a_token_s_story_can_be_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.jsonl");
    let log = ReceiptLog::open(&path).unwrap();
    intend(&log, 1).unwrap();
    log.received(NOW, Uuid::from_u128(1), Some("server"), Some("uti"), NOW).unwrap();
    intend(&log, 2).unwrap();
    log.refused(NOW, Uuid::from_u128(2), &"7".repeat(100_000)).unwrap();
    intend(&log, 3).unwrap();

    let (events, summary) = read(&path);
    assert_eq!(summary.head.seq, 5);
    assert!(matches!(&events[1], ReceiptEvent::Received { uti: Some(uti), .. } if uti == "uti"));
    assert!(matches!(&events[3], ReceiptEvent::Refused { code, .. } if code.len() == 256));
    // The third was intended, and nobody knows what became of it: ours, lost.
    assert!(
        matches!(&events[4], ReceiptEvent::Intended { client_request_id, .. } if client_request_id.as_u128() == 3)
    );
}

#[test]
fn backup_and_serve_can_write_receipts_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.jsonl");
    thread::scope(|scope| {
        for writer in 0..4u128 {
            // A log of its own each, as another process would have.
            let log = ReceiptLog::open(&path).unwrap();
            for thread in 0..2u128 {
                let log = log.clone();
                scope.spawn(move || {
                    for number in 0..10 {
                        intend(&log, writer << 64 | thread << 32 | number).unwrap();
                    }
                });
            }
        }
    });
    let (events, summary) = read(&path);
    assert_eq!((summary.head.seq, summary.torn), (80, None));
    let mut ids: Vec<Uuid> = events
        .iter()
        .map(|event| match event {
            ReceiptEvent::Intended { client_request_id, .. } => *client_request_id,
            other => panic!("{other:?}"),
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 80);
}

#[test]
fn a_crash_inside_a_receipt_does_not_end_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.jsonl");
    let log = ReceiptLog::open(&path).unwrap();
    intend(&log, 1).unwrap();
    let one = fs::read(&path).unwrap();
    intend(&log, 2).unwrap();
    let two = fs::read(&path).unwrap();
    for cut in [one.len() + 1, two.len() - 1, 1] {
        fs::write(&path, &two[..cut]).unwrap();
        intend(&log, 3).unwrap();
        let (events, summary) = read(&path);
        assert_eq!(summary.torn, None);
        let torn = events.iter().filter(|event| matches!(event, ReceiptEvent::Torn { .. }));
        assert_eq!(torn.count(), 1, "cut at {cut}");
        assert!(
            matches!(events.last(), Some(ReceiptEvent::Intended { client_request_id, .. }) if client_request_id.as_u128() == 3)
        );
    }
}

#[test]
fn a_log_that_ends_in_garbage_is_not_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.jsonl");
    fs::write(&path, b"not a receipt\n").unwrap();
    let log = ReceiptLog::open(&path).unwrap();
    let error = intend(&log, 1).unwrap_err();
    assert!(matches!(error, ReceiptError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"not a receipt\n");
}

#[test]
fn a_line_of_the_signer_s_ledger_is_no_receipt() {
    use mailkeep_identity::{Head, ledger};
    let (line, _) = ledger::encode(&Head::EMPTY, NOW, &ledger::LedgerEvent::Stopped).unwrap();
    assert!(verify_receipts(Cursor::new(line), None, |_| ()).is_err());
}

#[test]
fn old_receipts_are_let_go_of_and_the_rest_is_still_a_chain() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.jsonl");
    let (log, other) = (ReceiptLog::open(&path).unwrap(), ReceiptLog::open(&path).unwrap());
    let (tenant, job) = ("acme".parse().unwrap(), "job".parse().unwrap());
    let at = |day: i64| OffsetDateTime::UNIX_EPOCH + time::Duration::days(day);
    for day in 0..6 {
        log.intend(at(day), Uuid::from_u128(1), &job, &tenant, Function::Reader, "j").unwrap();
    }
    let (_, whole) = read(&path);
    assert_eq!(log.forget(at(0)).unwrap(), 0);
    assert_eq!(log.forget(at(1)).unwrap(), 0);
    assert_eq!(log.forget(at(2)).unwrap(), 1);
    let (left, summary) = read(&path);
    assert_eq!((left.len(), summary.begins_after, summary.head), (5, 1, whole.head));
    assert_eq!(summary.first, Some(at(1)), "it begins before the time in question");
    // Again, from a chain that begins later already; and the last one stays for what follows it.
    assert_eq!(other.forget(at(3)).unwrap(), 1);
    assert_eq!(log.forget(at(100)).unwrap(), 3);
    assert_eq!(read(&path).1.begins_after, 5);

    // Two who had the file open before go on in the one that there is, in one chain.
    for log in [&other, &log] {
        log.intend(at(7), Uuid::from_u128(2), &job, &tenant, Function::Reader, "j").unwrap();
    }
    let (left, summary) = read(&path);
    assert_eq!((left.len(), summary.head.seq), (3, 8));

    // What was seen is missed, and so is a record behind the line in front.
    let text = std::fs::read_to_string(&path).unwrap();
    let seen = Some(summary.head);
    assert!(verify_receipts(text.as_bytes(), seen, |_| {}).is_ok());
    let lines: Vec<&str> = text.lines().collect();
    let cut = |lines: &[&str]| lines.iter().flat_map(|line| [line, "\n"]).collect::<String>();
    assert!(verify_receipts(cut(&lines[..3]).as_bytes(), seen, |_| {}).is_err());
    let gap = cut(&[&lines[..1], &lines[2..]].concat());
    assert!(verify_receipts(gap.as_bytes(), None, |_| {}).is_err());
    assert!(verify_receipts(cut(&lines[1..]).as_bytes(), None, |_| {}).is_err());

    // Of a damaged chain nothing is let go of.
    std::fs::write(&path, gap).unwrap();
    assert!(ReceiptLog::open(&path).unwrap().forget(at(100)).is_err());
}

#[test]
fn a_chain_that_begins_later_is_read_on_as_another_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.jsonl");
    let log = ReceiptLog::open(&path).unwrap();
    let (tenant, job) = ("acme".parse().unwrap(), "job".parse().unwrap());
    let at = |day: i64| OffsetDateTime::UNIX_EPOCH + time::Duration::days(day);
    for day in 0..6 {
        log.intend(at(day), Uuid::from_u128(1), &job, &tenant, Function::Reader, "j").unwrap();
    }
    assert_eq!(log.forget(at(3)).unwrap(), 2);
    let text = std::fs::read(&path).unwrap();
    let (_, whole) = read(&path);
    let ends: Vec<usize> =
        text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    assert_eq!(ends.len(), 5);
    for end in ends {
        let mut lines = Vec::new();
        let mut each =
            |_: Option<&Record<ReceiptEvent>>, line: &[u8]| lines.extend_from_slice(line);
        let first = verify_receipts_on(&text[..end], &Summary::EMPTY, &mut each).unwrap();
        assert_eq!(first.bytes, end as u64);
        assert_eq!(verify_receipts_on(&text[end..], &first, &mut each).unwrap(), whole);
        assert_eq!(lines, text, "a line was not handed out");
        // What is wrong is said by the line of the file.
        let fault = verify_receipts_on(&b"x\n"[..], &first, |_, _| ()).unwrap_err();
        let before = text[..end].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!((fault.line, fault.offset), (before + 1, end as u64));
        // The line in front is in front only.
        let again = verify_receipts_on(&text[..], &first, |_, _| ());
        assert!(again.is_err(), "a chain that begins a second time");
    }
}

#[test]
fn a_chain_that_begins_at_a_number_that_no_record_has_is_damaged() {
    for seq in [0, u64::MAX, u64::MAX >> 1] {
        let hash = "0".repeat(64);
        let line = format!("{{\"begins_after\":{{\"seq\":{seq},\"hash\":\"{hash}\"}}}}\n");
        let good = seq == u64::MAX >> 1;
        assert_eq!(verify_receipts(line.as_bytes(), None, |_| {}).is_ok(), good, "{seq}");
    }
}

#[test]
fn a_ledger_cannot_begin_later() {
    let line = format!("{{\"begins_after\":{{\"seq\":7,\"hash\":\"{}\"}}}}\n", "0".repeat(64));
    assert!(mailkeep_identity::ledger::verify_each(line.as_bytes(), |_| {}).is_err());
    assert!(verify_receipts(line.as_bytes(), None, |_| {}).is_ok());
}
