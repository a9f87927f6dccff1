//! What witnesses kept of one ledger says nothing of another, and shows when one was put in its place.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use data_encoding::BASE64URL_NOPAD;
use mailkeep_identity::{
    Checkpoint, CheckpointKey, Follows, Head, Kept, LedgerEnd, Origin, Unbelieved, Unexplained,
    WitnessLine,
    ledger::{self, LedgerEvent, LedgerRecord, Requester},
    lost_before,
};
use mailkeep_model::Function;
use time::OffsetDateTime;

/// A ledger, as far as witnesses see it.
struct Ledger(EcdsaKeyPair);

impl Ledger {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn key(&self) -> CheckpointKey {
        CheckpointKey::from_point(self.0.public_key().as_ref()).unwrap()
    }

    fn end(&self, seq: u64) -> LedgerEnd {
        let (head, time) = (Head { seq, ..Head::EMPTY }, OffsetDateTime::UNIX_EPOCH);
        let text = Checkpoint::signed_text(&head, time);
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        let signature = BASE64URL_NOPAD.encode(signature.as_ref());
        let checkpoint = Checkpoint { head, time, signature };
        LedgerEnd { checkpoint, checkpoint_key: self.key() }
    }

    fn line(&self, seq: u64, follows: Option<LedgerEnd>) -> WitnessLine {
        let LedgerEnd { checkpoint, checkpoint_key } = self.end(seq);
        WitnessLine { checkpoint, checkpoint_key: Some(checkpoint_key), follows }
    }
}

#[test]
fn a_ledger_is_not_shed_by_beginning_another_one() {
    let (old, new) = (Ledger::new(), Ledger::new());
    let kept = [old.line(4, None), old.line(9, None), new.line(3, None)];
    // Nothing says that it was lost; or less of it than the witness has seen.
    let replaced = Unexplained::Replaced { seq: 9, key: old.key() };
    assert_eq!(Kept::of(&kept, &new.key(), &[]), Err(replaced.clone()));
    assert_eq!(Kept::of(&kept, &new.key(), &[Ledger::new().end(9)]), Err(replaced));
    let shortened = Unexplained::Shortened { said: 8, seen: 9 };
    assert_eq!(Kept::of(&kept, &new.key(), &[old.end(8)]), Err(shortened));
    // Said as it was: what is left of it is told apart from the present one.
    let told = Kept::of(&kept, &new.key(), &[old.end(9)]).unwrap();
    // Signatures differ each time.
    let seqs = |all: Vec<&Checkpoint>| all.iter().map(|one| one.head.seq).collect::<Vec<_>>();
    assert_eq!(seqs(told.present.iter().collect()), [3]);
    assert_eq!(seqs(told.lost.iter().map(|end| &end.checkpoint).collect()), [9]);
    assert_eq!(told.lost[0].checkpoint_key, old.key());
    for forged in [1, 2] {
        let mut lines = kept.clone();
        lines[forged].checkpoint.head.seq = 7;
        let refused = Kept::of(&lines, &new.key(), &[old.end(9)]);
        assert!(
            matches!(refused, Err(Unexplained::Checkpoint { line, .. }) if line == forged),
            "{refused:?}"
        );
    }
}

#[test]
fn what_somebody_tells_a_witness_of_his_own_ledger_explains_no_other_one() {
    let (old, new, third) = (Ledger::new(), Ledger::new(), Ledger::new());
    // Who began another ledger can add what he likes to his own lines, and to those of a third.
    let kept = [
        old.line(9, None),
        new.line(3, Some(old.end(9))),
        third.line(1, Some(old.end(9))),
        third.line(2, Some(new.end(3))),
    ];
    let replaced = Kept::of(&kept[..2], &new.key(), &[]);
    assert!(matches!(replaced, Err(Unexplained::Replaced { seq: 9, .. })), "{replaced:?}");
    let replaced = Kept::of(&kept, &new.key(), &[]);
    assert!(matches!(replaced, Err(Unexplained::Replaced { .. })), "{replaced:?}");
    // An end that its key did not sign is none.
    let mut forged = old.end(9);
    forged.checkpoint.head.seq = 12;
    assert!(Kept::of(&kept[..2], &new.key(), &[forged]).is_err());
}

#[test]
fn a_second_loss_leaves_the_first_one_explained_by_what_the_witness_was_told() {
    let (first, second, third) = (Ledger::new(), Ledger::new(), Ledger::new());
    let kept = [first.line(9, None), second.line(5, Some(first.end(9)))];
    let told = Kept::of(&kept, &third.key(), &[second.end(5)]).unwrap();
    assert_eq!(told.lost.len(), 2);
    let untold = [first.line(9, None), second.line(5, None)];
    assert!(Kept::of(&untold, &third.key(), &[second.end(5)]).is_err());
    // Nobody told the witness: then the present ledger names both.
    let named = [second.end(5), first.end(9)];
    assert_eq!(Kept::of(&untold, &third.key(), &named).unwrap().lost.len(), 2);
    // Two that name each other end.
    let circle = [first.line(9, Some(second.end(5))), second.line(5, Some(first.end(9)))];
    assert_eq!(lost_before(&circle, &third.key(), &[second.end(5)]).len(), 2);
}

/// A ledger's records from its beginning.
fn records(events: Vec<LedgerEvent>) -> Vec<LedgerRecord> {
    let (mut head, mut records) = (Head::EMPTY, Vec::new());
    for event in events {
        let (line, next) = ledger::encode(&head, OffsetDateTime::UNIX_EPOCH, &event).unwrap();
        records.push(ledger::parse(line.strip_suffix(b"\n").unwrap()).unwrap());
        head = next;
    }
    records
}

fn origin(events: Vec<LedgerEvent>) -> Result<Option<Follows>, Unbelieved> {
    let mut origin = Origin::default();
    records(events).iter().for_each(|record| origin.note(record));
    origin.read()
}

#[test]
fn a_ledger_that_says_where_it_comes_from_too_late_twice_or_falsely_is_not_believed() {
    let (old, older, new) = (Ledger::new(), Ledger::new(), Ledger::new());
    let begun = || LedgerEvent::Begun { checkpoint_key: new.key().to_string() };
    let by = || Requester {
        uid: Some(0),
        pid: None,
        caller: "cli".parse().unwrap(),
        job: None,
        certificate: None,
    };
    let follows = |lost: LedgerEnd, earlier: Vec<LedgerEnd>| LedgerEvent::Follows {
        lost: Some(lost),
        earlier,
        reason: "the disk".to_owned(),
        by: by(),
    };
    let signed = || LedgerEvent::ProofSigned {
        tenant: "acme".parse().unwrap(),
        function: Function::Reader,
        key_id: "k".to_owned(),
        object_id: "o".to_owned(),
        expires: OffsetDateTime::UNIX_EPOCH,
        by: by(),
    };
    let said = origin(vec![begun(), follows(old.end(9), vec![older.end(4)]), signed()]).unwrap();
    let named: Vec<_> = said.unwrap().named().into_iter().map(|end| end.checkpoint_key).collect();
    assert_eq!(named, [old.key(), older.key()]);
    assert_eq!(origin(vec![begun(), signed()]), Ok(None));
    let mut forged = old.end(9);
    forged.checkpoint.head.seq = 10;
    let once = || follows(old.end(9), Vec::new());
    for (events, why) in [
        (vec![begun(), once(), once()], "says already"),
        (vec![begun(), signed(), once()], "signed already"),
        (vec![begun(), follows(forged.clone(), Vec::new())], "not signed with this key"),
        (vec![begun(), follows(old.end(9), vec![forged])], "the same ledger twice"),
        (vec![begun(), follows(new.end(1), Vec::new())], "this very ledger"),
    ] {
        let refused = origin(events).unwrap_err();
        assert!(refused.why.contains(why), "{refused}");
    }
}
