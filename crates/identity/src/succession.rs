use std::collections::BTreeMap;

use crate::{Checkpoint, CheckpointError, CheckpointKey, LedgerEnd, WitnessLine};

/// What witnesses kept, told apart by the ledger that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Of the present ledger.
    pub present: Vec<Checkpoint>,
    /// Of each that was lost before, the last.
    pub lost: Vec<LedgerEnd>,
}

/// What witnesses kept does not fit what a ledger says of itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unexplained {
    /// A checkpoint was not signed with the key that stands beside it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The witnesses knew another ledger, and nothing says that this one follows it.
    #[error(
        "the witness knew another ledger, up to record {seq} (checkpoints signed with {key}), and this one does not say that it follows it: that one was replaced"
    )]
    Replaced {
        /// Its last record that is known.
        seq: u64,
        /// What its checkpoints were signed with.
        key: CheckpointKey,
    },
    /// The ledger that it says it follows went on for longer than it says.
    #[error(
        "this ledger says that the one before ended at record {said}, but the witness saw record {seen} of it: what came between was dropped"
    )]
    Shortened {
        /// Where it is said to have ended.
        said: u64,
        /// What was seen of it.
        seen: u64,
    },
}

impl Kept {
    /// Tells apart what witnesses kept. `follows` is what the present ledger says that it follows; of those
    /// before that one, what the witnesses were told then.
    ///
    /// # Errors
    /// When there was another ledger of which nobody says that it was lost, or more of it than is said.
    pub fn of(
        lines: &[WitnessLine],
        present: &CheckpointKey,
        follows: Option<&LedgerEnd>,
    ) -> Result<Self, Unexplained> {
        let mut kept = Self::default();
        let mut lost: BTreeMap<String, LedgerEnd> = BTreeMap::new();
        for line in lines {
            let key = line.checkpoint_key.as_ref().filter(|key| *key != present);
            let Some(key) = key else {
                kept.present.push(line.checkpoint.clone());
                continue;
            };
            key.verify(&line.checkpoint)?;
            let end =
                LedgerEnd { checkpoint: line.checkpoint.clone(), checkpoint_key: key.clone() };
            let known = lost.entry(key.to_string()).or_insert_with(|| end.clone());
            if known.checkpoint.head.seq < end.checkpoint.head.seq {
                *known = end;
            }
        }
        kept.lost = lost.into_values().collect();
        let said: Vec<&LedgerEnd> = follows
            .into_iter()
            .chain(lines.iter().filter_map(|line| line.follows.as_ref()))
            .collect();
        kept.lost.iter().try_for_each(|lost| explained(lost, &said))?;
        Ok(kept)
    }
}

/// Whether somebody says of a ledger that it was lost, and where it ended, no earlier than it was seen.
fn explained(lost: &LedgerEnd, said: &[&LedgerEnd]) -> Result<(), Unexplained> {
    let of_it = said.iter().filter(|one| one.checkpoint_key == lost.checkpoint_key);
    let (seen, key) = (lost.checkpoint.head, lost.checkpoint_key.clone());
    let Some(end) = of_it.max_by_key(|one| one.checkpoint.head.seq) else {
        return Err(Unexplained::Replaced { seq: seen.seq, key });
    };
    let said = end.checkpoint.head;
    if said.seq < seen.seq || (said.seq == seen.seq && said.hash != seen.hash) {
        return Err(Unexplained::Shortened { said: said.seq, seen: seen.seq });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use data_encoding::BASE64URL_NOPAD;
    use time::OffsetDateTime;

    use super::*;
    use crate::Head;

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
        assert_eq!(told.present, [new.end(3).checkpoint]);
        assert_eq!(told.lost, [old.end(9)]);
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
}
