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
    #[error("{error}")]
    Checkpoint {
        /// Which of the lines it is, from 0.
        line: usize,
        /// What is wrong with it.
        error: CheckpointError,
    },
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
    /// Tells apart what witnesses kept. `named` are the lost ledgers that the present one itself names
    /// ([`Follows::named`](crate::Follows::named)); those before them are told as [`lost_before`] finds them.
    ///
    /// # Errors
    /// When a line was not signed with its key; when there was another ledger of which nobody says that it
    /// was lost, or more of it than is said.
    pub fn of(
        lines: &[WitnessLine],
        present: &CheckpointKey,
        named: &[LedgerEnd],
    ) -> Result<Self, Unexplained> {
        let mut kept = Self::default();
        let mut lost: BTreeMap<String, LedgerEnd> = BTreeMap::new();
        for (line, WitnessLine { checkpoint, checkpoint_key, .. }) in lines.iter().enumerate() {
            if let Some(key) = checkpoint_key {
                let signed = key.verify(checkpoint);
                signed.map_err(|error| Unexplained::Checkpoint { line, error })?;
            }
            match checkpoint_key.as_ref().filter(|key| *key != present) {
                None => kept.present.push(checkpoint.clone()),
                Some(key) => {
                    let (checkpoint, checkpoint_key) = (checkpoint.clone(), key.clone());
                    keep_last(&mut lost, LedgerEnd { checkpoint, checkpoint_key });
                }
            }
        }
        kept.lost = lost.into_values().collect();
        let said = lost_before(lines, present, named);
        kept.lost.iter().try_for_each(|lost| explained(lost, &said))?;
        Ok(kept)
    }
}

/// The lost ledgers that the present one comes from, where each ended: those that it names itself, and of
/// each of these what witnesses were told that it follows. What is told of the present one is no matter of
/// the witness: nobody has signed that, and its ledger says it or it is not so. An end that its own key did
/// not sign is passed over.
pub fn lost_before(
    lines: &[WitnessLine],
    present: &CheckpointKey,
    named: &[LedgerEnd],
) -> Vec<LedgerEnd> {
    let mut found = BTreeMap::new();
    let mut waiting = named.to_vec();
    while let Some(end) = waiting.pop() {
        if end.checkpoint_key == *present || end.verify().is_err() {
            continue;
        }
        let key = end.checkpoint_key.clone();
        // Each is looked up once, so that two which name each other are no circle.
        if keep_last(&mut found, end) {
            let of_it = lines.iter().filter(|line| line.checkpoint_key.as_ref() == Some(&key));
            let signed = of_it.filter(|line| key.verify(&line.checkpoint).is_ok());
            waiting.extend(signed.filter_map(|line| line.follows.clone()));
        }
    }
    found.into_values().collect()
}

/// Keeps of each ledger the last that is known. Tells whether nothing was known of this one.
fn keep_last(ends: &mut BTreeMap<String, LedgerEnd>, end: LedgerEnd) -> bool {
    match ends.get_mut(&end.checkpoint_key.to_string()) {
        Some(known) => {
            if known.checkpoint.head.seq < end.checkpoint.head.seq {
                *known = end;
            }
            false
        }
        None => ends.insert(end.checkpoint_key.to_string(), end).is_none(),
    }
}

/// Whether somebody says of a ledger that it was lost, and where it ended, no earlier than it was seen.
fn explained(lost: &LedgerEnd, said: &[LedgerEnd]) -> Result<(), Unexplained> {
    let (seen, key) = (lost.checkpoint.head, lost.checkpoint_key.clone());
    let Some(end) = said.iter().find(|one| one.checkpoint_key == key) else {
        return Err(Unexplained::Replaced { seq: seen.seq, key });
    };
    let said = end.checkpoint.head;
    if said.seq < seen.seq || (said.seq == seen.seq && said.hash != seen.hash) {
        return Err(Unexplained::Shortened { said: said.seq, seen: seen.seq });
    }
    Ok(())
}
