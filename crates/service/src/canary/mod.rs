//! Canaries: harmless messages of ours, from a mailbox of the tenant to another, that have to be backed up
//! and inspected in time. Whatever is switched off on the way, the next one is missed.
//!
//! The order is written down before a canary goes out, and is never given twice: what a process left
//! behind that was killed is looked for as any other. One of a tenant is under way at a time.
//!
//! When it was backed up and inspected, the responder takes it away as it would take bad mail away, which is
//! the last leg of its way. Without a responder it stays in its recipient's mailbox: the application that
//! sends cannot read, let alone delete.

mod course;
mod sending;
mod tend;

use std::collections::HashSet;

use mailkeep_control::StoredCanary;
use mailkeep_model::{Address, CanaryMark, ItemId, TenantName};
use mailkeep_sentry::Leg;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

pub(crate) use sending::InHand;

use crate::{Service, ServiceError, View, service::audit_entry};

/// Canaries are not sent more often: each leaves a message.
const SHORTEST_INTERVAL: Duration = Duration::minutes(10);
/// What is seen more seldom is not watched.
const LONGEST_INTERVAL: Duration = Duration::days(366);
/// A deadline below that is missed by a provider that takes its time.
const SHORTEST_DEADLINE: Duration = Duration::minutes(1);
/// Whoever asks for one, and waits for what becomes of it, knows better how much it needs.
const SHORTEST_ASKED: Duration = Duration::seconds(1);
/// What is not through after that, nobody waits for.
const LONGEST_DEADLINE: Duration = Duration::days(7);

/// How a tenant is sent canaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryPlan {
    /// The mailbox that they are sent from. The prober may send there.
    pub from: Address,
    /// The one that they are sent to. It is backed up.
    pub to: Address,
    /// Seconds between two of them; `None`: only when somebody asks for one.
    pub every: Option<u64>,
    /// Seconds in which one has to have come through.
    pub deadline: u64,
}

/// What became of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryOutcome {
    /// It has time yet.
    UnderWay,
    /// It is backed up, inspected and, where there is a responder, removed, in time.
    CameThrough,
    /// It missed its deadline.
    Missed(Leg),
    /// Nobody knows whether it was sent, and it did not arrive.
    Void,
}

/// A canary, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryReport {
    /// Its number.
    pub id: i64,
    /// What it is looked up by; it stands in its subject.
    pub reference: String,
    /// Whose mailbox it is sent from.
    pub from: Address,
    /// To whose.
    pub to: Address,
    /// When it was about to be sent.
    pub begun: OffsetDateTime,
    /// By when it has to have come through.
    pub deadline: OffsetDateTime,
    /// When the provider took it, if that is known.
    pub sent: Option<OffsetDateTime>,
    /// When a pass read it in its recipient's mailbox.
    pub seen: Option<OffsetDateTime>,
    /// When the responder took it away.
    pub removed: Option<OffsetDateTime>,
    /// What became of it.
    pub outcome: CanaryOutcome,
    /// When that was decided.
    pub ended: Option<OffsetDateTime>,
    /// What else there is to say of that.
    pub note: String,
}

impl CanaryPlan {
    /// The usual: one every six hours, and two hours for it to come through.
    pub fn new(from: Address, to: Address) -> Self {
        Self { from, to, every: Some(6 * 3600), deadline: 2 * 3600 }
    }

    fn deadline(&self) -> Duration {
        Duration::seconds(i64::try_from(self.deadline).unwrap_or(i64::MAX))
    }

    fn every(&self) -> Option<Duration> {
        self.every.map(|seconds| Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
    }

    /// Why it cannot be followed, if so.
    fn objection(&self) -> Option<String> {
        if self.from == self.to {
            return Some("a canary goes from one mailbox to another".to_owned());
        }
        if self.every().is_some_and(|every| every < SHORTEST_INTERVAL) {
            return Some(format!(
                "canaries are at least {} minutes apart: each leaves a message",
                SHORTEST_INTERVAL.whole_minutes()
            ));
        }
        if self.every().is_some_and(|every| every > LONGEST_INTERVAL) {
            return Some("canaries are a year apart at most".to_owned());
        }
        let bounds = SHORTEST_DEADLINE..=LONGEST_DEADLINE;
        (!bounds.contains(&self.deadline()))
            .then(|| "a canary is given a minute at least, and seven days at most".to_owned())
    }
}

impl CanaryOutcome {
    /// Its name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnderWay => "under_way",
            Self::CameThrough => "came_through",
            Self::Missed(leg) => leg.as_str(),
            Self::Void => "void",
        }
    }

    fn of(name: &str) -> Self {
        let missed = Leg::ALL.into_iter().map(Self::Missed);
        let mut all = missed.chain([Self::CameThrough, Self::Void]);
        // What a later version calls otherwise proves nothing here.
        all.find(|one| one.as_str() == name).unwrap_or(Self::Void)
    }
}

impl From<StoredCanary> for CanaryReport {
    fn from(stored: StoredCanary) -> Self {
        let end = stored.end.as_ref();
        Self {
            id: stored.id,
            reference: reference(&stored.digest),
            outcome: end.map_or(CanaryOutcome::UnderWay, |end| CanaryOutcome::of(&end.outcome)),
            ended: end.map(|end| end.at),
            note: end.map(|end| end.note.clone()).unwrap_or_default(),
            from: stored.sender,
            to: stored.recipient,
            begun: stored.begun,
            deadline: stored.deadline,
            sent: stored.sent,
            seen: stored.seen.map(|seen| seen.at),
            removed: stored.removed,
        }
    }
}

impl Service {
    /// How a tenant is sent canaries.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn canary_plan(
        &self,
        tenant: &TenantName,
    ) -> Result<Option<CanaryPlan>, ServiceError> {
        self.tenant(tenant).await?;
        let plan = self.control.canary_plan(tenant).await?;
        // One that a later version wrote is none here; the next `tenant canary` says it anew.
        Ok(plan.and_then(|plan| serde_json::from_value(plan).ok()))
    }

    /// Sets it; `None`: none are sent.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] when it cannot be followed, [`ServiceError::NoMailbox`] when its recipient
    /// is not backed up.
    pub async fn set_canary_plan(
        &self,
        tenant: &TenantName,
        plan: Option<CanaryPlan>,
    ) -> Result<(), ServiceError> {
        let known = self.tenant(tenant).await?;
        if let Some(plan) = &plan {
            let refused = |reason| ServiceError::Refused { tenant: tenant.clone(), reason };
            if let Some(reason) = plan.objection() {
                return Err(refused(reason));
            }
            let function = mailkeep_model::Function::Prober;
            if !known.functions.iter().any(|one| one.function == function) {
                return Err(ServiceError::NotRegistered { tenant: tenant.clone(), function });
            }
            let backed_up = self.control.mailboxes(tenant).await?;
            let is_it = |one: &mailkeep_control::KnownMailbox| {
                one.mailbox.address == plan.to && one.gone_since.is_none()
            };
            // Nothing is known before the first pass.
            if !backed_up.is_empty() && !backed_up.iter().any(is_it) {
                let mailbox = plan.to.clone();
                return Err(ServiceError::NoMailbox { tenant: tenant.clone(), mailbox });
            }
        }
        let value =
            plan.map(|plan| serde_json::to_value(plan).expect("texts and numbers serialise"));
        let details = serde_json::json!({ "plan": value });
        let entry = audit_entry(tenant, "tenant.canary", details);
        Ok(self.control.set_canary_plan(tenant, value, entry).await?)
    }

    /// The newest canaries of a tenant, the newest first.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn canaries(
        &self,
        tenant: &TenantName,
        most: u64,
    ) -> Result<Vec<CanaryReport>, ServiceError> {
        self.tenant(tenant).await?;
        let all = self.control.canaries(tenant, most).await?;
        Ok(all.into_iter().map(CanaryReport::from).collect())
    }

    /// Which items of a mailbox are canaries.
    ///
    /// # Errors
    /// [`ServiceError::NoMailbox`].
    pub async fn canary_items(
        &self,
        tenant: &TenantName,
        view: &View,
        mailbox: &Address,
    ) -> Result<HashSet<ItemId>, ServiceError> {
        Ok(self.control.canary_items(tenant, &view.mailbox_id(mailbox)?).await?)
    }
}

/// What is kept of a mark: enough to recognise it, and nothing to make it from.
pub(crate) fn mark_digest(mark: &CanaryMark) -> [u8; 32] {
    Sha256::digest(mark.as_str()).into()
}

/// What a canary is looked up by: the beginning of its mark's hash.
fn reference(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_floods_a_mailbox_or_cannot_be_kept_is_refused() {
        let (from, to): (Address, Address) =
            ("a@own.example".parse().unwrap(), "b@own.example".parse().unwrap());
        let good = CanaryPlan::new(from.clone(), to);
        assert_eq!(good.objection(), None);
        assert_eq!(CanaryPlan { every: None, ..good.clone() }.objection(), None);
        for bad in [
            CanaryPlan { to: from, ..good.clone() },
            CanaryPlan { every: Some(599), ..good.clone() },
            CanaryPlan { every: Some(u64::MAX), ..good.clone() },
            CanaryPlan { deadline: 59, ..good.clone() },
            CanaryPlan { deadline: u64::MAX, ..good },
        ] {
            assert!(bad.objection().is_some(), "{bad:?}");
        }
    }

    #[test]
    fn what_became_of_a_canary_is_read_back_as_it_was_written() {
        let missed = Leg::ALL.into_iter().map(CanaryOutcome::Missed);
        for outcome in missed.chain([CanaryOutcome::CameThrough, CanaryOutcome::Void]) {
            assert_eq!(CanaryOutcome::of(outcome.as_str()), outcome);
        }
    }

    #[test]
    fn a_reference_tells_nobody_the_mark() {
        let mark = CanaryMark::from_bytes(&[3; 32]);
        let reference = reference(&mark_digest(&mark));
        assert_eq!(reference.len(), 16);
        assert!(!mark.as_str().contains(&reference));
    }
}
