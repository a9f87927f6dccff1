//! Whether the signer that is there may take the place of the one that was: what its ledger says, held
//! against what was seen of the other.

use std::collections::HashSet;

use mailkeep_control::Tenant;
use mailkeep_identity::{
    CheckpointKey, LedgerEnd,
    ledger::{LedgerEvent, LedgerRecord, Requester},
};
use mailkeep_model::Function;
use serde::Serialize;
use time::OffsetDateTime;

use super::{to_the_second, words_for};
use crate::{Service, ServiceError};

/// What a ledger says of the lost one that it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Succession {
    /// Where the present ledger stands.
    pub present: LedgerEnd,
    /// Which of its records says it.
    pub record: u64,
    /// When that was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Where the lost one ended, as far as anybody knew.
    pub lost: Option<LedgerEnd>,
    /// Why, in the words of whoever ordered it.
    pub reason: String,
    /// Who ordered it.
    pub by: Requester,
}

impl Succession {
    /// Who ordered it, for people.
    pub fn by_whom(&self) -> String {
        let who = match self.by.uid {
            Some(uid) => format!("user {uid} on the signer's machine"),
            None => self.by.caller.to_string(),
        };
        format!(
            "{who} ordered it on {} (record {} of the new ledger)",
            to_the_second(self.at),
            self.record
        )
    }
}

impl Service {
    /// What the present signer's ledger says of a lost one, if anything.
    ///
    /// # Errors
    /// When the signer does not answer; [`ServiceError::Ledger`] when its ledger is not as it wrote it.
    pub async fn succession(&self) -> Result<Option<Succession>, ServiceError> {
        let says = |found: &mut Option<Said>, record: &LedgerRecord| {
            if let LedgerEvent::Follows { lost, reason, by } = &record.event {
                let (lost, reason, by) = (lost.clone(), reason.clone(), by.clone());
                *found = Some(Said { record: record.seq, at: record.time, lost, reason, by });
            }
        };
        let (read, said) = self.read_ledger(Vec::new(), None, says).await?;
        read.outcome.map_err(|error| ServiceError::Ledger { what: error.to_string() })?;
        let present = LedgerEnd { checkpoint: read.checkpoint, checkpoint_key: read.key };
        Ok(said.map(|Said { record, at, lost, reason, by }| Succession {
            present,
            record,
            at,
            lost,
            reason,
            by,
        }))
    }

    /// The lost ledger that the present one follows, as a witness is told.
    pub(crate) async fn followed(&self) -> Result<Option<LedgerEnd>, ServiceError> {
        Ok(self.succession().await?.and_then(|one| one.lost))
    }

    /// What the signer signs its checkpoints with.
    pub(crate) async fn checkpoint_key(&self) -> Result<CheckpointKey, ServiceError> {
        let key = self.signer().await?.status().await?.checkpoint_key;
        key.parse().map_err(|error| ServiceError::CheckpointKey { what: format!("{key}: {error}") })
    }

    /// Where the signer's ledger stood when it was last seen, by whichever tenant's watch saw it last.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn ledger_last_seen(&self) -> Result<Option<LedgerEnd>, ServiceError> {
        let mut newest: Option<LedgerEnd> = None;
        for tenant in self.control.tenants().await? {
            let seen = self.watch(&tenant.name).await?.ledger_end();
            let time = |end: &Option<LedgerEnd>| end.as_ref().map(|end| end.checkpoint.time);
            if time(&seen) > time(&newest) {
                newest = seen;
            }
        }
        Ok(newest)
    }

    /// The succession that a tenant is recovered by, and whether the new signer is still to be taken for
    /// ours.
    pub(super) async fn succession_for(
        &self,
        tenant: &Tenant,
    ) -> Result<(Succession, bool), ServiceError> {
        let name = &tenant.name;
        let watch = self.watch(name).await?;
        let seen = watch.ledger_end();
        let key = self.checkpoint_key().await?;
        let begun = watch.signer_lost.as_ref().is_some_and(|lost| lost.checkpoint_key == key);
        let is_known = seen.as_ref().is_some_and(|seen| seen.checkpoint_key == key);
        let succession = self.succession().await?;
        // Of a tenant that nobody watched, its keys tell; one that was added since then was never without them.
        let since = succession.as_ref().is_none_or(|one| tenant.created > one.at);
        let has_its_keys = seen.is_none() && since && self.holds_a_key_of(tenant).await?;
        if is_known && !begun || has_its_keys {
            return Err(ServiceError::SignerNotLost { tenant: name.clone() });
        }
        let refused = |what: String| ServiceError::NoSuccession { tenant: name.clone(), what };
        let Some(succession) = succession else {
            return Err(refused(format!(
                "its ledger does not say that it follows another one; {}. If that is lost for good, whoever runs the signer has to say so first: 'mailkeep signer recover --reason TEXT'",
                words_for(seen.as_ref())
            )));
        };
        if let Some(seen) = seen.as_ref().filter(|_| !begun) {
            follows(succession.lost.as_ref(), seen)
                .map_err(|what| refused(format!("{what}. {BEGIN_AGAIN}")))?;
        }
        Ok((succession, !begun))
    }

    /// Whether the signer is the one that a tenant was set up with, or took its place.
    ///
    /// # Errors
    /// When the signer does not answer, or the state cannot be read.
    pub async fn signer_of(&self, tenant: &Tenant) -> Result<SignerOf, ServiceError> {
        let watch = self.watch(&tenant.name).await?;
        let key = self.checkpoint_key().await?;
        let is_ours = match watch.ledger_end() {
            Some(seen) => seen.checkpoint_key == key,
            None => self.holds_a_key_of(tenant).await?,
        };
        let unfinished = watch.signer_lost.is_some_and(|lost| !lost.finished);
        Ok(match is_ours {
            true if unfinished => SignerOf::Recovering,
            true => SignerOf::Ours,
            false => SignerOf::Another { says_so: self.succession().await?.is_some() },
        })
    }

    /// Whether the signer holds a key that is known to be one of the tenant's, or there is none to hold.
    async fn holds_a_key_of(&self, tenant: &Tenant) -> Result<bool, ServiceError> {
        let states = self.control.key_states(&tenant.name).await?;
        let standing = tenant.functions.iter().filter(|one| one.function != Function::Restorer);
        let mut known: HashSet<&str> = states.iter().map(|one| one.key_id.as_str()).collect();
        known.extend(standing.map(|one| one.key_id.as_str()));
        let held = self.signer().await?.credentials(Some(&tenant.name)).await?;
        let mut keys = held.iter().flat_map(|one| &one.keys);
        Ok(known.is_empty() || keys.any(|key| known.contains(key.key_id.as_str())))
    }
}

/// Which signer there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerOf {
    /// The one that the tenant was set up with, or one that took its place.
    Ours,
    /// One that took the place of a lost one; not all of its keys are in use yet.
    Recovering,
    /// Another one.
    Another {
        /// Whether its ledger says that it follows a lost one.
        says_so: bool,
    },
}

/// What is wrong in the ledger stays in it.
const BEGIN_AGAIN: &str = "To order it rightly, begin once more with an empty directory: stop the signer, move its directory away, start it, and 'mailkeep signer recover --reason TEXT --witness FILE' with what 'mailkeep identity ledger last-seen' prints";

/// The record that says it.
struct Said {
    record: u64,
    at: OffsetDateTime,
    lost: Option<LedgerEnd>,
    reason: String,
    by: Requester,
}

/// Whether a ledger names as the lost one the one that was seen here, and no earlier end of it: nothing that
/// was seen is dropped unnamed.
fn follows(lost: Option<&LedgerEnd>, seen: &LedgerEnd) -> Result<(), String> {
    let here = words_for(Some(seen));
    let Some(lost) = lost else {
        return Err(format!(
            "its ledger follows one of which nobody said where it ended; here {here}"
        ));
    };
    let (named, known) = (&lost.checkpoint.head, &seen.checkpoint.head);
    if lost.checkpoint_key != seen.checkpoint_key {
        return Err(format!(
            "its ledger follows another one than the one that was here: that signed its checkpoints with {}; {here}",
            lost.checkpoint_key
        ));
    }
    if named.seq < known.seq || (named.seq == known.seq && named.hash != known.hash) {
        return Err(format!(
            "its ledger says that the lost one ended at record {} (hash {}); here {here}",
            named.seq, named.hash
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mailkeep_identity::{Checkpoint, Head};

    use super::*;

    fn end(seq: u64, key: u8) -> LedgerEnd {
        let mut point = [0; 65];
        (point[0], point[1]) = (4, key);
        let (head, time) = (Head { seq, ..Head::EMPTY }, OffsetDateTime::UNIX_EPOCH);
        LedgerEnd {
            checkpoint: Checkpoint { head, time, signature: String::new() },
            checkpoint_key: CheckpointKey::from_point(&point).unwrap(),
        }
    }

    #[test]
    fn a_new_ledger_that_leaves_out_what_was_seen_of_the_lost_one_is_not_taken() {
        let seen = end(9, 1);
        follows(Some(&end(9, 1)), &seen).unwrap();
        follows(Some(&end(12, 1)), &seen).unwrap();
        for (lost, why) in [
            (None, "nobody said where it ended"),
            (Some(end(8, 1)), "ended at record 8"),
            (Some(end(9, 2)), "another one than the one that was here"),
        ] {
            let said = follows(lost.as_ref(), &seen).unwrap_err();
            assert!(said.contains(why) && said.contains("record 9"), "{said}");
        }
        let mut forked = end(9, 1);
        forked.checkpoint.head.hash = forged_hash();
        assert!(follows(Some(&forked), &seen).is_err(), "a fork at the same record");
    }

    fn forged_hash() -> mailkeep_identity::Hash {
        let text = format!("\"{}\"", "ab".repeat(32));
        serde_json::from_str(&text).unwrap()
    }
}
