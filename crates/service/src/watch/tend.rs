//! Looking again and again, while nobody asks for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use mailkeep_control::Tenant;
use mailkeep_model::{Function, TenantName};
use time::OffsetDateTime;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{Acceptance, LATELY, Look};
use crate::{Service, ServiceError};

/// How often a tenant is looked at.
#[derive(Clone, Copy, Debug)]
pub struct WatchPace {
    /// Between two looks at what it has of ours.
    pub posture: Duration,
    /// Between two readings of its logs. A query of the audit log runs for minutes.
    pub logs: Duration,
    /// How long ago what was read of our own records may have been found unchanged, for whichever tenant.
    pub compared: Duration,
}

impl Default for WatchPace {
    fn default() -> Self {
        Self {
            posture: Duration::from_secs(5 * 60),
            logs: Duration::from_secs(15 * 60),
            compared: LATELY,
        }
    }
}

/// Tenants that are looked at at once, and whose logs are read at once. A search of the audit log may
/// take half an hour: who waits for one holds up no look at others.
const AT_ONCE: usize = 4;
/// How often it is asked who is due.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What is done with a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Posture,
    Logs,
}

type Place = (TenantName, Part);

/// Who is due when, and what runs.
struct Tender<'a> {
    service: &'a Arc<Service>,
    pace: &'a WatchPace,
    due: BTreeMap<Place, Instant>,
    running: BTreeSet<Place>,
    tasks: JoinSet<Place>,
    looks: Arc<Semaphore>,
    readings: Arc<Semaphore>,
}

/// When a tenant was looked at last; what never was is absent.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// What it has of ours.
    pub posture: Option<OffsetDateTime>,
    /// When its logs were held against what we know of ourselves.
    pub judged: Option<OffsetDateTime>,
}

impl Service {
    /// Looks at every tenant that has an auditor, each in its rhythm; never ends. What is found are
    /// incidents; what cannot be looked at is in the log, and tried again when it is due.
    pub async fn tend_watch(self: &Arc<Self>, pace: &WatchPace) {
        let semaphore = || Arc::new(Semaphore::new(AT_ONCE));
        let mut tender = Tender {
            service: self,
            pace,
            due: BTreeMap::new(),
            running: BTreeSet::new(),
            tasks: JoinSet::new(),
            looks: semaphore(),
            readings: semaphore(),
        };
        let (mut tenants, mut listed) = (Vec::new(), None::<Instant>);
        loop {
            // Not anew for each that has ended: there may be thousands.
            if listed.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
                match self.control.tenants().await {
                    Ok(all) => tenants = all,
                    Err(error) => tracing::error!(%error, "tenants cannot be watched"),
                }
                listed = Some(Instant::now());
            }
            tender.start_those_due(&tenants);
            tender.pause().await;
        }
    }

    async fn watch_once(&self, (tenant, part): &Place, pace: &WatchPace) {
        let now = OffsetDateTime::now_utc();
        let outcome = match part {
            Part::Posture => {
                let looked = self.posture(tenant, Acceptance::Compare, now).await.map(drop);
                // One does not stand for the other.
                match self.look_at_exchange(tenant, Acceptance::Compare, now).await {
                    Ok(_) => looked,
                    Err(error) => looked.and(Err(error)),
                }
            }
            Part::Logs => {
                let look = Look::Lately(pace.compared);
                self.reconcile_with(tenant, now, look).await.map(drop)
            }
        };
        if let Err(error) = outcome {
            tracing::warn!(%tenant, ?part, %error, "the tenant could not be looked at");
        }
    }

    /// When a tenant was looked at last.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn watched(&self, tenant: &TenantName) -> Result<Watched, ServiceError> {
        let watch = self.watch(tenant).await?;
        Ok(Watched { posture: watch.posture.map(|seen| seen.at), judged: watch.judged })
    }
}

impl Tender<'_> {
    /// Starts what is due, as far as there is room.
    fn start_those_due(&mut self, tenants: &[Tenant]) {
        let now = Instant::now();
        let has_auditor =
            |tenant: &&Tenant| tenant.functions.iter().any(|one| one.function == Function::Auditor);
        let mut due = BTreeMap::new();
        for tenant in tenants.iter().filter(has_auditor) {
            for part in [Part::Posture, Part::Logs] {
                let place = (tenant.name.clone(), part);
                let at = self.due.get(&place).copied().unwrap_or(now);
                due.insert(place, at);
            }
        }
        let mut waiting: Vec<(Instant, Place)> = due
            .iter()
            .filter(|(place, at)| **at <= now && !self.running.contains(place))
            .map(|(place, at)| (*at, place.clone()))
            .collect();
        // Who has waited longest comes first.
        waiting.sort();
        for (_, place) in waiting {
            let (room, every) = match place.1 {
                Part::Posture => (&self.looks, self.pace.posture),
                Part::Logs => (&self.readings, self.pace.logs),
            };
            let Ok(permit) = Arc::clone(room).try_acquire_owned() else { continue };
            due.insert(place.clone(), now + every);
            self.running.insert(place.clone());
            let (service, pace) = (Arc::clone(self.service), *self.pace);
            self.tasks.spawn(async move {
                let _permit = permit;
                service.watch_once(&place, &pace).await;
                place
            });
        }
        self.due = due;
    }

    /// Until something may be due.
    async fn pause(&mut self) {
        tokio::select! {
            Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => match finished {
                Ok(place) => {
                    self.running.remove(&place);
                }
                Err(error) => {
                    // Which one it was is not told: all may be started again.
                    tracing::error!(%error, "a look at a tenant ended unexpectedly");
                    self.running.clear();
                }
            },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}
