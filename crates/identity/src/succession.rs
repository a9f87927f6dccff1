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
