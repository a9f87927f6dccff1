use time::OffsetDateTime;

use crate::{
    LedgerEnd,
    ledger::{LedgerEvent, LedgerRecord, Requester},
};

/// So many ledgers that were lost before the one that it follows a ledger can name.
pub const MOST_EARLIER: usize = 8;

/// What a ledger says of those that were lost before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follows {
    /// Which of its records says it.
    pub record: u64,
    /// When that was written.
    pub at: OffsetDateTime,
    /// Where the lost one ended, as far as anybody knew.
    pub lost: Option<LedgerEnd>,
    /// Those that were lost before that one, the last first.
    pub earlier: Vec<LedgerEnd>,
    /// Why, in the words of whoever ordered it.
    pub reason: String,
    /// Who ordered it.
    pub by: Requester,
}

impl Follows {
    /// The ledgers that it names, where each ended.
    pub fn named(&self) -> Vec<LedgerEnd> {
        self.lost.iter().chain(&self.earlier).cloned().collect()
    }
}

/// What a ledger says of those before it, found while it is read from its beginning. Whoever asks a ledger
/// for that asks here, so that nobody believes what another reader would not.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    own_key: Option<String>,
    follows: Option<Follows>,
    settled: Option<&'static str>,
    unbelieved: Option<Unbelieved>,
}

/// A record says that the ledger follows a lost one, and is not to be believed: no signer of ours writes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "record {record} says that the ledger follows a lost one, which is not to be believed: {why}"
)]
pub struct Unbelieved {
    /// The record.
    pub record: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Origin {
    /// Takes the next record.
    pub fn note(&mut self, record: &LedgerRecord) {
        match &record.event {
            LedgerEvent::Begun { checkpoint_key } => self.own_key = Some(checkpoint_key.clone()),
            LedgerEvent::Follows { lost, earlier, reason, by } => {
                let follows = Follows {
                    record: record.seq,
                    at: record.time,
                    lost: lost.clone(),
                    earlier: earlier.clone(),
                    reason: reason.clone(),
                    by: by.clone(),
                };
                match self.why_not(&follows) {
                    Some(why) => {
                        let record = record.seq;
                        self.unbelieved.get_or_insert(Unbelieved { record, why });
                    }
                    None => self.follows = Some(follows),
                }
            }
            _ => {}
        }
        self.settled = self.settled.or_else(|| settles(&record.event));
    }

    /// Whether nothing that is written from now on changes the answer.
    pub fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// What it says, if anything.
    ///
    /// # Errors
    /// When what it says is not to be believed: it says it twice, or behind a signature, or names an end
    /// that the lost ledger's own key did not sign.
    pub fn read(self) -> Result<Option<Follows>, Unbelieved> {
        match self.unbelieved {
            Some(unbelieved) => Err(unbelieved),
            None => Ok(self.follows),
        }
    }

    fn why_not(&self, follows: &Follows) -> Option<String> {
        if let Some(why) = self.settled {
            return Some(why.to_owned());
        }
        why_unnamed(follows.lost.as_ref(), &follows.earlier, self.own_key.as_deref())
    }
}

/// Why a ledger with this record can follow no lost one any more: whoever could have it say so later could
/// explain a ledger away that is in the way.
pub fn settles(event: &LedgerEvent) -> Option<&'static str> {
    match event {
        LedgerEvent::Follows { .. } => Some("it says already which ledger it follows"),
        LedgerEvent::AssertionSigned { .. }
        | LedgerEvent::ProofSigned { .. }
        | LedgerEvent::CertificateRequested { .. } => Some("something was signed already"),
        _ => None,
    }
}

/// Why a ledger with that key of its own cannot follow these, if so.
pub fn why_unnamed(
    lost: Option<&LedgerEnd>,
    earlier: &[LedgerEnd],
    own_key: Option<&str>,
) -> Option<String> {
    if earlier.len() > MOST_EARLIER {
        return Some(format!("at most {MOST_EARLIER} earlier ledgers are named"));
    }
    if lost.is_none() && !earlier.is_empty() {
        return Some("earlier ledgers are named, and not the one that was lost last".to_owned());
    }
    let named: Vec<&LedgerEnd> = lost.into_iter().chain(earlier).collect();
    for (at, end) in named.iter().enumerate() {
        if own_key.is_some_and(|own| end.checkpoint_key.to_string() == own) {
            return Some("that is this very ledger: it is not lost".to_owned());
        }
        if named[..at].iter().any(|one| one.checkpoint_key == end.checkpoint_key) {
            return Some("it names the same ledger twice".to_owned());
        }
        if let Err(error) = end.verify() {
            return Some(error.to_string());
        }
    }
    None
}
