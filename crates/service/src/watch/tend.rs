//! Looking again and again, while nobody asks for it.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use mailkeep_control::Tenant;
use mailkeep_model::{Function, TenantName};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::Acceptance;
use crate::{Service, ServiceError};

/// How often a tenant is looked at.
#[derive(Clone, Copy, Debug)]
pub struct WatchPace {
    /// Between two looks at what it has of ours.
    pub posture: Duration,
    /// Between two readings of its logs. A query of the audit log runs for minutes.
    pub logs: Duration,
}

impl Default for WatchPace {
    fn default() -> Self {
        Self { posture: Duration::from_secs(5 * 60), logs: Duration::from_secs(15 * 60) }
    }
}

/// Tenants that are looked at at once.
const AT_ONCE: usize = 4;
/// How often it is asked who is due.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// When a tenant is due.
#[derive(Clone, Copy)]
struct Due {
    posture: Instant,
    logs: Instant,
}

/// When a tenant was looked at last; what never was is absent.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// What it has of ours.
    pub posture: Option<OffsetDateTime>,
    /// Its sign-in log.
    pub sign_ins: Option<OffsetDateTime>,
}

impl Service {
    /// Looks at every tenant that has an auditor, each in its rhythm; never ends. What is found are
    /// incidents; what cannot be looked at is in the log, and tried again when it is due.
    pub async fn tend_watch(&self, pace: &WatchPace) {
        let mut due: BTreeMap<TenantName, Due> = BTreeMap::new();
        loop {
            match self.control.tenants().await {
                Ok(tenants) => self.watch_those_due(&tenants, &mut due, pace).await,
                Err(error) => tracing::error!(%error, "tenants cannot be watched"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn watch_those_due(
        &self,
        tenants: &[Tenant],
        due: &mut BTreeMap<TenantName, Due>,
        pace: &WatchPace,
    ) {
        let now = Instant::now();
        let has_auditor =
            |tenant: &&Tenant| tenant.functions.iter().any(|one| one.function == Function::Auditor);
        let mut work = Vec::new();
        for tenant in tenants.iter().filter(has_auditor) {
            let entry = due.entry(tenant.name.clone());
            let entry = entry.or_insert(Due { posture: now, logs: now });
            let (posture, logs) = (entry.posture <= now, entry.logs <= now);
            if posture {
                entry.posture = now + pace.posture;
            }
            if logs {
                entry.logs = now + pace.logs;
            }
            if posture || logs {
                work.push((tenant.name.clone(), posture, logs));
            }
        }
        due.retain(|name, _| tenants.iter().any(|tenant| tenant.name == *name));
        let watched = futures::stream::iter(work);
        watched
            .for_each_concurrent(AT_ONCE, async |(tenant, posture, logs)| {
                let now = OffsetDateTime::now_utc;
                if posture
                    && let Err(error) = self.posture(&tenant, Acceptance::Compare, now()).await
                {
                    tracing::warn!(%tenant, %error, "the tenant could not be looked at");
                }
                if logs && let Err(error) = self.reconcile(&tenant, now()).await {
                    tracing::warn!(%tenant, %error, "the tenant's logs could not be read");
                }
            })
            .await;
    }

    /// When a tenant was looked at last.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn watched(&self, tenant: &TenantName) -> Result<Watched, ServiceError> {
        let watch = self.watch(tenant).await?;
        Ok(Watched {
            posture: watch.posture.map(|seen| seen.at),
            sign_ins: watch.read.get(&super::LogName::SignIns).map(|read| read.until),
        })
    }
}
