//! Whether the signer that is there may take the place of the one that was: what its ledger says, held
//! against what was seen of the other.

use std::collections::HashSet;

use mailkeep_control::Tenant;
use mailkeep_identity::{CheckpointKey, Follows, LedgerEnd, Origin, ledger::Requester};
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
    /// Those that were lost before that one, the last first.
    pub earlier: Vec<LedgerEnd>,
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

    /// Where a lost ledger ended that it names.
    fn end_of(&self, key: &CheckpointKey) -> Option<&LedgerEnd> {
        self.lost.iter().chain(&self.earlier).find(|one| one.checkpoint_key == *key)
    }

    /// What is known of the end of the ledger that was here, for people; `seen` is where it stood when it
    /// was last seen here.
    pub(super) fn end_in_words(&self, seen: Option<&LedgerEnd>) -> String {
        let seen = seen.filter(|seen| seen.checkpoint_key != self.present.checkpoint_key);
        let Some(seen) = seen else { return words_for(self.lost.as_ref()) };
        match self.end_of(&seen.checkpoint_key) {
            Some(named) if named.checkpoint.head.seq > seen.checkpoint.head.seq => {
                words_for(Some(named))
            }
            Some(named) if named.checkpoint.head.seq < seen.checkpoint.head.seq => format!(
                "{}; the order names it only up to record {}: what came behind that is known here alone",
                words_for(Some(seen)),
                named.checkpoint.head.seq
            ),
            _ => words_for(Some(seen)),
        }
    }
}

/// What is known of where the present ledger comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownOrigin {
    /// Where the lost one ended that it follows, if any.
    pub(crate) lost: Option<LedgerEnd>,
    /// Whether it says that it follows one.
    pub(crate) says_so: bool,
    /// Whether that cannot change any more.
    pub(crate) settled: bool,
}

impl Service {
    /// What the present signer's ledger says of a lost one, if anything. Reads all of it.
    ///
    /// # Errors
    /// When the signer does not answer; [`ServiceError::Ledger`] when its ledger is not as it wrote it.
    pub async fn succession(&self) -> Result<Option<Succession>, ServiceError> {
        let (read, origin) = self.read_ledger(Vec::new(), Origin::default(), Origin::note).await?;
        let ledger = |what: String| ServiceError::Ledger { what };
        read.outcome.map_err(|error| ledger(error.to_string()))?;
        let settled = origin.is_settled();
        let follows = origin.read().map_err(|error| ledger(error.to_string()))?;
        let (lost, says_so) =
            (follows.as_ref().and_then(|one| one.lost.clone()), follows.is_some());
        *self.origin.lock().await =
            Some((read.key.clone(), KnownOrigin { lost, says_so, settled }));
        let present = LedgerEnd { checkpoint: read.checkpoint, checkpoint_key: read.key };
        Ok(follows.map(|Follows { record, at, lost, earlier, reason, by }| Succession {
            present,
            record,
            at,
            lost,
            earlier,
            reason,
            by,
        }))
    }

    /// What the ledger with that key says of where it comes from. All of a ledger is read for it once, and
    /// again only as long as it may still be said.
    pub(crate) async fn origin_of(&self, key: &CheckpointKey) -> Result<KnownOrigin, ServiceError> {
        let known = |origin: &Option<(CheckpointKey, KnownOrigin)>| {
            origin.as_ref().filter(|(of, _)| of == key).map(|(_, known)| known.clone())
        };
        if let Some(settled) = known(&*self.origin.lock().await).filter(|one| one.settled) {
            return Ok(settled);
        }
        self.succession().await?;
        Ok(known(&*self.origin.lock().await).unwrap_or_default())
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
        let all = self.ledgers_seen().await?;
        Ok(all.into_iter().max_by_key(|end| end.checkpoint.time))
    }

    /// Where each ledger stood when a tenant's watch saw it last: more than one, where a tenant has seen
    /// nothing since one was lost.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn ledgers_seen(&self) -> Result<Vec<LedgerEnd>, ServiceError> {
        let mut all = Vec::new();
        for tenant in self.control.tenants().await? {
            all.extend(self.watch(&tenant.name).await?.ledger_end());
        }
        Ok(all)
    }

    /// The succession that a tenant is recovered by, and whether the new signer is still to be taken for
    /// ours.
    pub(super) async fn succession_for(
        &self,
        tenant: &Tenant,
    ) -> Result<(Succession, bool), ServiceError> {
        let name = &tenant.name;
        let watch = self.watch(name).await?;
        let key = self.checkpoint_key().await?;
        let begun = watch.signer_lost.as_ref().is_some_and(|lost| lost.checkpoint_key == key);
        let before = watch.ledger_end().filter(|seen| seen.checkpoint_key != key);
        let succession = self.succession().await?;
        // A tenant of which only this ledger was seen, or none: its keys tell. That the ledger was seen says
        // nothing, as a look before the order takes what is there. One that was added since then was never
        // without its keys.
        let since = succession.as_ref().is_none_or(|one| tenant.created > one.at);
        if before.is_none() && !begun && since && self.holds_a_key_of(tenant).await? {
            return Err(ServiceError::SignerNotLost { tenant: name.clone() });
        }
        let refused = |what: String| ServiceError::NoSuccession { tenant: name.clone(), what };
        let Some(succession) = succession else {
            return Err(refused(format!(
                "its ledger does not say that it follows another one; {}. If that is lost for good, whoever runs the signer has to say so first: 'mailkeep signer recover --reason TEXT --witness FILE'",
                words_for(before.as_ref())
            )));
        };
        if let Some(before) = before.as_ref().filter(|_| !begun) {
            follows(&succession, before)
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
        let taken = watch.signer_lost.as_ref().filter(|lost| lost.checkpoint_key == key);
        let is_ours = match watch.ledger_end() {
            Some(seen) if seen.checkpoint_key != key => false,
            _ => taken.is_some() || self.holds_a_key_of(tenant).await?,
        };
        Ok(match is_ours {
            true if taken.is_some_and(|lost| !lost.finished) => SignerOf::Recovering,
            true => SignerOf::Ours,
            false => SignerOf::Another { says_so: self.origin_of(&key).await?.says_so },
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
const BEGIN_AGAIN: &str = "To order it rightly, begin once more with an empty directory: stop the signer, move its directory away, start it, and 'mailkeep signer recover --reason TEXT --witness FILE --witness FILE2' with what every witness kept and what 'mailkeep identity ledger last-seen' prints";

/// Whether a ledger names as lost the one that was seen here. It may name an earlier end of it than was
/// seen: who ordered it knew no more, and what is known here goes into the incident.
fn follows(succession: &Succession, seen: &LedgerEnd) -> Result<(), String> {
    let here = words_for(Some(seen));
    let Some(lost) = &succession.lost else {
        return Err(format!(
            "its ledger follows one of which nobody said where it ended; here {here}"
        ));
    };
    let Some(named) = succession.end_of(&seen.checkpoint_key) else {
        return Err(format!(
            "its ledger follows another one than the one that was here: that signed its checkpoints with {}; here {here}",
            lost.checkpoint_key
        ));
    };
    let (named, known) = (&named.checkpoint.head, &seen.checkpoint.head);
    if named.seq == known.seq && named.hash != known.hash {
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

    fn says(lost: Option<LedgerEnd>, earlier: Vec<LedgerEnd>) -> Succession {
        let by = Requester {
            caller: "cli".parse().unwrap(),
            job: None,
            uid: None,
            pid: None,
            certificate: None,
        };
        let (record, at, reason) = (2, OffsetDateTime::UNIX_EPOCH, "the disk".to_owned());
        Succession { present: end(5, 7), record, at, lost, earlier, reason, by }
    }

    #[test]
    fn a_new_ledger_that_does_not_name_the_lost_one_is_not_taken() {
        let seen = end(9, 1);
        follows(&says(Some(end(9, 1)), vec![]), &seen).unwrap();
        follows(&says(Some(end(12, 1)), vec![]), &seen).unwrap();
        for (lost, why) in [
            (None, "nobody said where it ended"),
            (Some(end(9, 2)), "another one than the one that was here"),
        ] {
            let said = follows(&says(lost, vec![]), &seen).unwrap_err();
            assert!(said.contains(why) && said.contains("record 9"), "{said}");
        }
        let mut forked = end(9, 1);
        forked.checkpoint.head.hash = forged_hash();
        assert!(follows(&says(Some(forked), vec![]), &seen).is_err(), "a fork at the same record");
    }

    #[test]
    fn a_witness_that_lags_strands_no_tenant_and_what_it_did_not_know_is_in_the_incident() {
        let (seen, lagging) = (end(9, 1), says(Some(end(8, 1)), vec![]));
        follows(&lagging, &seen).unwrap();
        let words = lagging.end_in_words(Some(&seen));
        assert!(
            words.contains("last seen at record 9") && words.contains("up to record 8"),
            "{words}"
        );
        let ahead = says(Some(end(12, 1)), vec![]).end_in_words(Some(&seen));
        assert!(ahead.contains("record 12") && !ahead.contains("record 9"), "{ahead}");
    }

    #[test]
    fn a_tenant_that_saw_nothing_since_the_loss_before_is_recovered_all_the_same() {
        let seen = end(9, 1);
        follows(&says(Some(end(4, 2)), vec![end(9, 1)]), &seen).unwrap();
        assert!(follows(&says(Some(end(4, 2)), vec![end(9, 3)]), &seen).is_err());
    }

    fn forged_hash() -> mailkeep_identity::Hash {
        let text = format!("\"{}\"", "ab".repeat(32));
        serde_json::from_str(&text).unwrap()
    }
}
