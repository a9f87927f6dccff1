//! What witnesses kept of one ledger says nothing of another, and shows when one was put in its place.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use data_encoding::BASE64URL_NOPAD;
use mailkeep_identity::{
    Checkpoint, CheckpointKey, Head, Kept, LedgerEnd, Unexplained, WitnessLine,
};
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
    assert_eq!(Kept::of(&kept, &new.key(), None), Err(replaced.clone()));
    assert_eq!(Kept::of(&kept, &new.key(), Some(&Ledger::new().end(9))), Err(replaced));
    let shortened = Unexplained::Shortened { said: 8, seen: 9 };
    assert_eq!(Kept::of(&kept, &new.key(), Some(&old.end(8))), Err(shortened));
    // Said as it was: what is left of it is told apart from the present one.
    let told = Kept::of(&kept, &new.key(), Some(&old.end(9))).unwrap();
    // Signatures differ each time.
    let seqs = |all: Vec<&Checkpoint>| all.iter().map(|one| one.head.seq).collect::<Vec<_>>();
    assert_eq!(seqs(told.present.iter().collect()), [3]);
    assert_eq!(seqs(told.lost.iter().map(|end| &end.checkpoint).collect()), [9]);
    assert_eq!(told.lost[0].checkpoint_key, old.key());
    let mut forged = kept.clone();
    forged[1].checkpoint.head.seq = 7;
    assert!(matches!(
        Kept::of(&forged, &new.key(), Some(&old.end(9))),
        Err(Unexplained::Checkpoint(_))
    ));
}

#[test]
fn a_second_loss_leaves_the_first_one_explained_by_what_the_witness_was_told() {
    let (first, second, third) = (Ledger::new(), Ledger::new(), Ledger::new());
    let kept = [first.line(9, None), second.line(5, Some(first.end(9)))];
    let told = Kept::of(&kept, &third.key(), Some(&second.end(5))).unwrap();
    assert_eq!(told.lost.len(), 2);
    let untold = [first.line(9, None), second.line(5, None)];
    assert!(Kept::of(&untold, &third.key(), Some(&second.end(5))).is_err());
}
