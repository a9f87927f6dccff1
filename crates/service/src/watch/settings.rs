use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use mailkeep_control::ControlError;
use mailkeep_identity::{CheckpointKey, LedgerEnd};
use mailkeep_model::TenantName;
use mailkeep_sentry::{Settle, Span, Spans};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    LogName, OwnRecordsSeen, exchange::ExchangeSeen, posture::PostureSeen, reconcile::REACH,
};
use crate::{Service, ServiceError};

/// How a tenant is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The addresses that our requests come from, as the provider sees them.
    #[serde(default)]
    pub egress: Vec<IpNet>,
    /// How long the provider's logs take to show a record at most, in seconds; `None` for what is
    /// known of each ([`LogName::settle`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Settle>,
    /// How far each log was read.
    #[serde(default)]
    pub read: BTreeMap<LogName, LogRead>,
    /// What was seen of our own records.
    #[serde(default)]
    pub(super) own: OwnRecordsSeen,
    /// What was seen of the tenant's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) posture: Option<PostureSeen>,
    /// What was seen of Exchange's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exchange: Option<ExchangeSeen>,
    /// When the logs were last held against what we know of ourselves.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) judged: Option<OffsetDateTime>,
    /// The signer was lost, and another one took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signer_lost: Option<SignerLost>,
    /// Service principals (object ids) that we have disabled to end tokens, and are about to enable.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) switching: BTreeSet<String>,
}

/// That the signer was lost, and another one took its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignerLost {
    /// When the new one was taken for ours.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    /// What the new one signs its checkpoints with.
    pub(crate) checkpoint_key: CheckpointKey,
    /// Where the ledger of the lost one was seen last.
    pub(crate) lost: Option<LedgerEnd>,
    /// Whether all new keys are at the provider, and none from before.
    #[serde(default)]
    pub(crate) finished: bool,
}

/// How far a log was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRead {
    /// Everything since then.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// When it was read last.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// But for what was not understood then, or was no longer given out.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub holes: Spans,
}

impl Watch {
    /// Where the signer's ledger stood when it was seen last.
    pub(crate) fn ledger_end(&self) -> Option<LedgerEnd> {
        self.own.ledger_end()
    }

    /// Takes the signer that is there for ours, in the place of one that was lost.
    pub(crate) fn take_new_signer(&mut self, present: LedgerEnd, now: OffsetDateTime) {
        let lost = self.own.ledger_end();
        let checkpoint_key = present.checkpoint_key.clone();
        self.signer_lost = Some(SignerLost { at: now, checkpoint_key, lost, finished: false });
        self.own.begun_anew(present, now);
    }

    /// Who may own our applications and service principals, by their object ids, as far as they were
    /// looked at.
    pub(crate) fn accepted_owners(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.posture.as_ref().map(|seen| seen.accepted.owners.clone()).unwrap_or_default()
    }

    /// How long that log takes to show a record.
    pub(super) fn settle(&self, log: LogName) -> Settle {
        self.settle.unwrap_or(log.settle())
    }

    /// Notes that a log was read; what is between this and the last time counts as read only when
    /// nothing was left out. What was read again is as it is now: a record may have been mended. Of the time
    /// that nothing is held against any more, nothing is noted: it would grow for ever.
    pub(super) fn note(&mut self, log: LogName, read: LogRead) {
        let LogRead { mut since, until, mut holes } = read;
        if let Some(before) = self.read.get(&log).filter(|before| since <= before.until) {
            let older = Span::new(before.since, since).into_iter().collect();
            holes = holes.union(&before.holes.intersection(&older));
            since = since.min(before.since);
        }
        since = since.max(until - REACH);
        let reached = Span::new(since, until).into_iter().collect();
        holes = holes.intersection(&reached);
        self.read.insert(log, LogRead { since, until, holes });
    }
}

impl Service {
    /// How a tenant is watched.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn watch(&self, tenant: &TenantName) -> Result<Watch, ServiceError> {
        self.tenant(tenant).await?;
        Ok(read(tenant, self.control.watch(tenant).await?)?)
    }

    /// Sets the addresses that our requests to a tenant's provider come from.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn set_egress(
        &self,
        tenant: &TenantName,
        egress: Vec<IpNet>,
    ) -> Result<(), ServiceError> {
        let details = serde_json::json!({ "egress": egress });
        self.change_watch(tenant, |watch| watch.egress = egress).await?;
        self.audit(tenant, "tenant.egress", details).await
    }

    /// Changes what is kept of how a tenant is watched, and leaves the rest as it is now: somebody else
    /// may have changed that while the provider was asked.
    pub(crate) async fn change_watch(
        &self,
        tenant: &TenantName,
        change: impl FnOnce(&mut Watch),
    ) -> Result<(), ServiceError> {
        let change = |known| {
            let mut watch = read(tenant, known)?;
            change(&mut watch);
            Ok(serde_json::to_value(watch).expect("times, addresses and numbers serialise"))
        };
        Ok(self.control.change_watch(tenant, change).await?)
    }
}

fn read(tenant: &TenantName, stored: Option<serde_json::Value>) -> Result<Watch, ControlError> {
    let unreadable = |error: serde_json::Error| {
        ControlError::Corrupt(format!("how {tenant} is watched: {error}"))
    };
    Ok(stored.map(serde_json::from_value).transpose().map_err(unreadable)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn a_log_that_was_not_read_for_too_long_begins_anew() {
        let at = |hour: i64| OffsetDateTime::UNIX_EPOCH + Duration::hours(hour);
        let hole = |from, to| Span { from: at(from), to: at(to) };
        let read = |since, until, holes: &[Span]| LogRead {
            since: at(since),
            until: at(until),
            holes: holes.iter().copied().collect(),
        };
        let mut watch = Watch::default();
        watch.note(LogName::SignIns, read(0, 10, &[hole(3, 4), hole(7, 9)]));
        watch.note(LogName::SignIns, read(8, 20, &[hole(12, 13)]));
        // What was not understood then, and is now, is no hole any more; what was not read again stays one.
        let holes = [hole(3, 4), hole(7, 8), hole(12, 13)];
        assert_eq!(watch.read[&LogName::SignIns], read(0, 20, &holes));
        watch.note(LogName::SignIns, read(30, 40, &[]));
        assert_eq!(watch.read[&LogName::SignIns], read(30, 40, &[]));
    }

    #[test]
    fn holes_of_a_time_that_nothing_is_held_against_any_more_do_not_pile_up() {
        let at = |day: i64| OffsetDateTime::UNIX_EPOCH + Duration::days(day);
        let mut watch = Watch::default();
        for day in 1..=400 {
            let holes = [Span { from: at(day - 1), to: at(day - 1) + Duration::HOUR }];
            let holes = holes.into_iter().collect();
            watch.note(LogName::SignIns, LogRead { since: at(day - 1), until: at(day), holes });
        }
        let read = &watch.read[&LogName::SignIns];
        assert_eq!((read.since, read.until), (at(400) - REACH, at(400)));
        assert_eq!(
            read.holes.as_slice().len(),
            30,
            "one a day, and all of the days that are judged"
        );
    }
}
