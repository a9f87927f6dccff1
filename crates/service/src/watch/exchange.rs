//! Exchange's configuration, by snapshots that the provider takes when it is asked to.

use std::collections::BTreeMap;

use mailkeep_control::Recorded;
use mailkeep_exchange::{ConfigurationSnapshot, ExchangeError};
use mailkeep_model::{ExchangeObject, TenantName};
use mailkeep_sentry::{ExchangeDifference, Incident, Sight, exchange_differences};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Acceptance, posture::Since};
use crate::{Service, ServiceError};

/// Between two snapshots: the provider gives out some 20,000 objects a tenant and month.
const EVERY: Duration = Duration::hours(6);
/// After a failure: the provider keeps a dozen jobs, those that failed among them.
const AFTER_A_FAILURE: Duration = Duration::hours(1);
/// A snapshot that was not taken after that long never will be.
const LONGEST: Duration = Duration::hours(12);

/// What was seen of Exchange's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExchangeSeen {
    /// The snapshot that was ordered and not read yet.
    #[serde(default)]
    ordered: Option<Ordered>,
    /// When the last one that was read was ordered.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) at: Option<OffsetDateTime>,
    /// What was accepted; `None` before the first snapshot that was whole.
    #[serde(default)]
    accepted: Option<Vec<ExchangeObject>>,
    /// What there was when it was not that.
    #[serde(default)]
    present: Option<Vec<ExchangeObject>>,
    /// What differed from that, and since when it is found so.
    #[serde(default)]
    standing: BTreeMap<String, Since>,
    /// Why the last one was not whole, or there was none.
    #[serde(default)]
    pub(super) failed: Vec<String>,
    /// When one failed.
    #[serde(default, with = "time::serde::rfc3339::option")]
    gave_up: Option<OffsetDateTime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ordered {
    job: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// How far a look at Exchange's configuration came.
#[derive(Debug)]
pub enum ExchangeLook {
    /// The tenant was not set up for it.
    NotAsked,
    /// The last one is young enough.
    NotDue,
    /// What the last snapshot had is accepted from now on.
    Accepted,
    /// The provider takes a snapshot.
    UnderWay,
    /// A snapshot was read.
    Seen {
        /// Where it is not as accepted.
        differences: Vec<ExchangeDifference>,
        /// The incidents that they come to.
        incidents: Vec<(Recorded, Incident)>,
        /// Whether this was the first look, and everything was accepted as it is.
        first: bool,
    },
}

impl Service {
    /// Looks at a tenant's Exchange configuration: orders a snapshot when one is due, and reads it once it
    /// is taken, which takes minutes or longer. Call it again and again.
    ///
    /// # Errors
    /// [`ServiceError::NotRegistered`] without an auditor; what the provider refuses.
    pub async fn look_at_exchange(
        &self,
        name: &TenantName,
        acceptance: Acceptance,
        now: OffsetDateTime,
    ) -> Result<ExchangeLook, ServiceError> {
        if !self.asked(name).await?.exchange_configuration {
            return Ok(ExchangeLook::NotAsked);
        }
        let tenant = self.tenant(name).await?;
        let seen = self.watch(name).await?.exchange.unwrap_or_default();
        if acceptance == Acceptance::Accept && seen.present.is_some() {
            self.change_exchange(name, |seen| {
                seen.accepted = seen.present.take().or(seen.accepted.take());
                seen.standing.clear();
            })
            .await?;
            self.audit(name, "identity.posture.accept_exchange", serde_json::json!({})).await?;
            return Ok(ExchangeLook::Accepted);
        }
        let auditor = self.auditor(&tenant).await?;
        let ordered = seen.ordered.clone().filter(|ordered| now - ordered.at < LONGEST);
        let Some(ordered) = ordered else {
            let is_young = seen.at.is_some_and(|at| now - at < EVERY);
            if is_young || seen.gave_up.is_some_and(|at| now - at < AFTER_A_FAILURE) {
                return Ok(ExchangeLook::NotDue);
            }
            let job = match auditor.order_configuration(now).await {
                Ok(job) => job,
                Err(error) => return Err(self.no_snapshot(name, error, now).await?),
            };
            self.change_exchange(name, |seen| seen.ordered = Some(Ordered { job, at: now }))
                .await?;
            return Ok(ExchangeLook::UnderWay);
        };
        let snapshot = match auditor.configuration(&ordered.job).await {
            Ok(snapshot) => snapshot,
            // Out of the provider's reach for a while: the job goes on.
            Err(
                error @ ExchangeError::Unreachable { .. } | error @ ExchangeError::Throttled { .. },
            ) => {
                return Err(error.into());
            }
            Err(error) => {
                // Nothing comes of this one any more. That it stays harms nobody but the next one.
                let _ = auditor.forget_configuration(&ordered.job).await;
                return Err(self.no_snapshot(name, error, now).await?);
            }
        };
        let ConfigurationSnapshot::Taken { objects, failed } = snapshot else {
            return Ok(ExchangeLook::UnderWay);
        };
        let look = self.compare_exchange(name, &seen, (objects, failed), ordered.at, now).await?;
        if let Err(error) = auditor.forget_configuration(&ordered.job).await {
            tracing::info!(tenant = %name, %error, "a snapshot's job stays until it ends by itself");
        }
        Ok(look)
    }

    async fn compare_exchange(
        &self,
        name: &TenantName,
        seen: &ExchangeSeen,
        (objects, failed): (Vec<ExchangeObject>, Vec<String>),
        at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<ExchangeLook, ServiceError> {
        let first = seen.accepted.is_none();
        let sight = if failed.is_empty() { Sight::Whole } else { Sight::Part };
        let differences = match &seen.accepted {
            Some(accepted) => exchange_differences(accepted, &objects, sight),
            None => Vec::new(),
        };
        let (mut standing, mut incidents) = (BTreeMap::new(), Vec::new());
        for difference in &differences {
            let since = seen.standing.get(&difference.key()).copied().unwrap_or(Since(now));
            standing.insert(difference.key(), since);
            incidents.push(self.keep_incident(name, &difference.incident(since.0), now).await?);
        }
        // Only now: what is not kept is found again.
        self.change_exchange(name, |seen| {
            seen.ordered = None;
            seen.at = Some(at);
            seen.standing = standing;
            seen.failed = failed;
            seen.gave_up = None;
            seen.present = None;
            // Of what was not seen nobody knows how its administrators want it.
            match (sight, first) {
                (Sight::Whole, true) => seen.accepted = Some(objects),
                (Sight::Whole, false) if !seen.standing.is_empty() => seen.present = Some(objects),
                _ => {}
            }
        })
        .await?;
        Ok(ExchangeLook::Seen { differences, incidents, first })
    }

    /// Notes why there is no snapshot; the error to be told.
    async fn no_snapshot(
        &self,
        name: &TenantName,
        error: ExchangeError,
        now: OffsetDateTime,
    ) -> Result<ServiceError, ServiceError> {
        let why = error.to_string();
        self.change_exchange(name, |seen| {
            seen.ordered = None;
            seen.failed = vec![why];
            seen.gave_up = Some(now);
        })
        .await?;
        Ok(error.into())
    }

    async fn change_exchange(
        &self,
        name: &TenantName,
        change: impl FnOnce(&mut ExchangeSeen),
    ) -> Result<(), ServiceError> {
        self.change_watch(name, |watch| change(watch.exchange.get_or_insert_default())).await
    }
}
