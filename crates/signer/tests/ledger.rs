//! The signer does not work on with a ledger that is not its own, whole and complete.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::fs;

use common::{CLIENT_ID, ENDPOINT, Home, job, tenant};
use mailkeep_identity::{
    Checkpoint, CheckpointKey, FaultKind, Head,
    ledger::{self, LedgerEvent, WitnessError, verify_witnessed},
};
use mailkeep_model::Function;
use mailkeep_signer::SignerError;

/// A signer that has worked and stopped.
async fn worked() -> Home {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    for _ in 0..3 {
        client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    }
    running.stop().await;
    home
}

fn lines(home: &Home) -> Vec<Vec<u8>> {
    let bytes = fs::read(home.ledger()).unwrap();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

async fn start_error(home: &Home) -> SignerError {
    home.start_with(home.options()).await.err().expect("the signer must not start")
}

/// The same events as a chain of its own, as somebody makes it who can write the file.
fn rewritten(lines: &[Vec<u8>]) -> Vec<u8> {
    let (mut head, mut bytes) = (Head::EMPTY, Vec::new());
    for line in lines {
        let record = ledger::parse(line.strip_suffix(b"\n").unwrap()).unwrap();
        let (line, next) = ledger::encode(&head, record.time, &record.event).unwrap();
        bytes.extend(line);
        head = next;
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_stops_the_start_and_the_place_is_named() {
    let home = worked().await;
    let mut lines = lines(&home);
    let middle = lines[3].len() / 2;
    lines[3][middle] ^= 1;
    fs::write(home.ledger(), lines.concat()).unwrap();
    let error = start_error(&home).await;
    let SignerError::Ledger { fault, .. } = &error else { panic!("{error}") };
    assert_eq!(fault.line, 4, "{error}");
    assert!(error.to_string().contains("line 4"), "{error}");
    assert_eq!(fs::read(home.ledger()).unwrap(), lines.concat(), "evidence is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_cut_off_or_a_chain_made_anew_are_found_by_the_checkpoint() {
    let home = worked().await;
    let whole = lines(&home);

    fs::write(home.ledger(), whole[..whole.len() - 1].concat()).unwrap();
    let error = start_error(&home).await;
    let SignerError::Ledger { fault, .. } = &error else { panic!("{error}") };
    assert!(matches!(fault.kind, FaultKind::Truncated { .. }), "{error}");

    // One signature less, and a chain without a fault.
    let mut fewer = whole.clone();
    let signed = |line: &Vec<u8>| String::from_utf8_lossy(line).contains("assertion_signed");
    let at = fewer.iter().position(signed).unwrap();
    fewer.remove(at);
    // With something harmless at the end, so that the number of records is right.
    fewer.push(whole[1].clone());
    let rewritten = rewritten(&fewer);
    ledger::verify(&rewritten[..]).expect("the chain itself is in order");
    fs::write(home.ledger(), rewritten).unwrap();
    let error = start_error(&home).await;
    let SignerError::Ledger { fault, .. } = &error else { panic!("{error}") };
    assert!(matches!(fault.kind, FaultKind::NotAsWitnessed), "{error}");

    // Somebody else's ledger, with or without its checkpoint.
    let other = worked().await;
    fs::copy(other.ledger(), home.ledger()).unwrap();
    assert!(matches!(start_error(&home).await, SignerError::Ledger { .. }));
    let checkpoint = "checkpoint.json";
    fs::copy(other.signer().join(checkpoint), home.signer().join(checkpoint)).unwrap();
    let error = start_error(&home).await;
    assert!(
        matches!(&error, SignerError::Witness { error: WitnessError::Checkpoint(_), .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_removed_is_not_begun_anew() {
    let home = worked().await;
    let checkpoint = home.signer().join("checkpoint.json");
    let kept = fs::read(&checkpoint).unwrap();

    fs::remove_file(&checkpoint).unwrap();
    let error = start_error(&home).await;
    assert!(
        matches!(&error, SignerError::LedgerMissing { path } if *path == checkpoint),
        "{error}"
    );
    fs::remove_file(home.ledger()).unwrap();
    let error = start_error(&home).await;
    assert!(matches!(&error, SignerError::LedgerMissing { path } if *path == home.ledger()));
    fs::write(&checkpoint, kept).unwrap();
    let error = start_error(&home).await;
    assert!(matches!(&error, SignerError::LedgerMissing { path } if *path == home.ledger()));
    assert!(!home.ledger().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_crash_tore_is_put_aside_and_told() {
    let home = worked().await;
    let before = lines(&home);
    // The record that was to follow, as far as the crash let it get.
    let last = ledger::parse(before.last().unwrap().strip_suffix(b"\n").unwrap()).unwrap();
    let head = Head { seq: last.seq, hash: last.hash };
    let (next, _) = ledger::encode(&head, last.time, &LedgerEvent::Stopped).unwrap();
    for cut in [1, next.len() / 2, next.len() - 1] {
        let mut bytes = before.concat();
        bytes.extend(&next[..cut]);
        fs::write(home.ledger(), bytes).unwrap();
        let checkpoint = fs::read(home.signer().join("checkpoint.json")).unwrap();
        home.start().await.stop().await;

        let events = home.events();
        let told: Vec<_> = events[before.len()..].to_vec();
        let LedgerEvent::Torn { bytes, kept_as, .. } = &told[0] else { panic!("{told:?}") };
        assert_eq!(*bytes, cut as u64);
        assert_eq!(fs::read(home.signer().join(kept_as)).unwrap(), &next[..cut]);
        assert!(matches!(told[1..], [LedgerEvent::Started { .. }, LedgerEvent::Stopped]));
        fs::write(home.signer().join("checkpoint.json"), checkpoint).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_kept_elsewhere_witnesses_the_ledger() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let early = client.checkpoint().await.unwrap();
    client.create_key(&job(), &tenant("acme"), Function::Reader).await.unwrap();
    let late = client.checkpoint().await.unwrap();
    let status = client.status().await.unwrap();
    assert_eq!(status.ledger, late.head);
    let key: CheckpointKey = status.checkpoint_key.parse().unwrap();
    running.stop().await;

    let bytes = fs::read(home.ledger()).unwrap();
    let both = [late.clone(), early.clone()];
    verify_witnessed(&bytes[..], &key, &both, |_| ()).unwrap();
    // The ledger itself says which key its checkpoints are checked with.
    let LedgerEvent::Begun { checkpoint_key } = &home.events()[0] else { panic!() };
    assert_eq!(*checkpoint_key, key.to_string());

    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let cut = verify_witnessed(&bytes[..first], &key, &both, |_| ()).unwrap_err();
    assert!(
        matches!(cut, WitnessError::Ledger(fault) if matches!(fault.kind, FaultKind::Truncated { witnessed } if witnessed == late.head.seq))
    );

    for forged in [
        Checkpoint { head: Head { seq: 1, ..late.head }, ..late.clone() },
        Checkpoint { head: early.head, ..late.clone() },
        Checkpoint { time: late.time + time::Duration::SECOND, ..late.clone() },
        Checkpoint { signature: "AAAA".into(), ..late.clone() },
        Checkpoint { signature: "?".into(), ..late },
    ] {
        assert!(key.verify(&forged).is_err(), "{forged:?}");
    }
}
