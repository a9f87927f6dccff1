//! Receipts are there before the request goes out, whoever writes them, and whatever crashes.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fs, io::Cursor, path::Path, thread};

use mailkeep_identity::{ReceiptError, ReceiptEvent, ReceiptLog, Summary, verify_receipts};
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
