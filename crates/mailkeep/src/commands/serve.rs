use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mailkeep_control::TenantFunction;
use mailkeep_model::{Function, MailboxId, TenantName};
use mailkeep_service::{
    DataDirectory, ErrorKind, Notifications, PassReport, Service, ServiceError, Unobserved,
    WatchPace,
};
use tokio::{
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{Outcome, backup, children, config, doctor, open_service};
use crate::{
    cli::{Global, Serve},
    exit::Exit,
    output::Output,
};

/// Passes that run at the same time. Each holds messages in memory and keeps the disk and several
/// connections busy; other tenants that are due wait for their turn.
const PASSES_AT_A_TIME: usize = 2;
/// Passes that follow notifications and run at the same time, beside those. They are short; that
/// they have a turn of their own keeps either kind from waiting for the other.
const WOKEN_AT_A_TIME: usize = 1;
/// How often the list of tenants is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The same where notifications may come in.
const LOOK_FOR_HINTS: Duration = Duration::from_millis(250);

pub(super) async fn run(global: &Global, _: &Serve, output: &Output) -> Outcome {
    let settings = config(global)?.serve;
    let data = DataDirectory::new(&global.data);
    let keep_evidence = settings.keep_evidence();
    let (interval, notifications) = (settings.interval(), settings.notifications(&data)?);
    let watch = WatchPace::default();
    let keys = settings.keys();
    let service = Arc::new(open_service(global).await?);
    let notifications = match notifications {
        Some(options) => {
            let url = options.url.clone();
            let notifications = Notifications::start(options).await?;
            output
                .note(&format!("notifications of {url} are taken at {}", notifications.address()));
            if let Some(status) = notifications.certificate() {
                output.note(&format!("its certificate: {}", doctor::certificate(&status)));
            }
            Some(notifications)
        }
        None => None,
    };
    output.note(&format!(
        "serving {}: one pass of each tenant every {} s. End with Ctrl-C",
        global.data.display(),
        interval.as_secs()
    ));
    let tending = async {
        match &notifications {
            Some(notifications) => notifications.tend_all(&service).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = children::until_told_to_end(false) => {}
        () = Schedule::new(&service, interval, notifications.as_ref()).run(output) => {}
        () = tending => {}
        () = service.tend_alerts() => {}
        () = service.tend_protection() => {}
        () = service.tend_decisions() => {}
        () = service.tend_watch(&watch) => {}
        () = service.tend_canaries() => {}
        () = service.tend_remedies() => {}
        () = service.tend_witnesses() => {}
        () = service.tend_evidence(keep_evidence) => {}
        () = service.tend_all_keys(&keys) => {}
    }
    Ok(Exit::Done)
}

/// Runs pass after pass, each tenant in its own rhythm, [`PASSES_AT_A_TIME`] at once; and in between
/// over mailboxes in which something is said to have changed.
struct Schedule<'a> {
    service: &'a Arc<Service>,
    interval: Duration,
    notifications: Option<&'a Notifications>,
    /// When the next pass over all mailboxes of a tenant is due.
    due: BTreeMap<TenantName, Instant>,
    /// The pass of a tenant that waits for its turn or runs.
    current: BTreeMap<TenantName, AbortHandle>,
    running: JoinSet<Finished>,
    slots: Arc<Semaphore>,
    woken_slots: Arc<Semaphore>,
}

/// A pass that has ended.
struct Finished {
    tenant: TenantName,
    /// The mailboxes that it was about; none: all.
    woken: Vec<MailboxId>,
    outcome: Result<PassReport, ServiceError>,
}

impl<'a> Schedule<'a> {
    fn new(
        service: &'a Arc<Service>,
        interval: Duration,
        notifications: Option<&'a Notifications>,
    ) -> Self {
        Self {
            service,
            interval,
            notifications,
            due: BTreeMap::new(),
            current: BTreeMap::new(),
            running: JoinSet::new(),
            slots: Arc::new(Semaphore::new(PASSES_AT_A_TIME)),
            woken_slots: Arc::new(Semaphore::new(WOKEN_AT_A_TIME)),
        }
    }

    async fn run(mut self, output: &Output) {
        let mut looked = None;
        let look_again = if self.notifications.is_some() { LOOK_FOR_HINTS } else { LOOK_AGAIN };
        loop {
            if looked.is_none_or(|at: Instant| at.elapsed() >= LOOK_AGAIN) {
                looked = Some(Instant::now());
                self.start_due().await;
            }
            self.start_woken();
            let finished = tokio::time::timeout(look_again, self.running.join_next()).await;
            match finished {
                Ok(Some(Ok(finished))) => self.report(finished, output),
                Ok(Some(Err(error))) => tracing::error!(%error, "a pass ended unexpectedly"),
                // Nothing runs.
                Ok(None) => tokio::time::sleep(look_again).await,
                Err(_) => {}
            }
        }
    }

    /// One that waits for its turn, or outlasts its interval, is not queued again.
    fn is_busy(&self, tenant: &TenantName) -> bool {
        self.current.get(tenant).is_some_and(|pass| !pass.is_finished())
    }

    async fn start_due(&mut self) {
        let tenants = match self.service.control().tenants().await {
            Ok(tenants) => tenants,
            Err(error) => return tracing::error!(%error, "the list of tenants cannot be read"),
        };
        let has_reader = |one: &TenantFunction| one.function == Function::Reader;
        for tenant in tenants.into_iter().filter(|one| one.functions.iter().any(has_reader)) {
            let now = Instant::now();
            let is_early = self.due.get(&tenant.name).is_some_and(|due| *due > now);
            if is_early || self.is_busy(&tenant.name) {
                continue;
            }
            if let Some(notifications) = self.notifications {
                // A pass over all mailboxes looks at these, too.
                notifications.take(&tenant.name);
            }
            let (name, service) = (tenant.name.clone(), Arc::clone(self.service));
            let pass = self.running.spawn(in_turn(Arc::clone(&self.slots), async move {
                match service.retire_abandoned_restorer(&name).await {
                    Ok(true) => tracing::warn!(
                        tenant = %name,
                        "a restore was cut off; its key is destroyed"
                    ),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(tenant = %name, %error, "looking for a key that a restore left");
                    }
                }
                let outcome = service.backup(&name, &[], Arc::new(Unobserved)).await;
                Finished { tenant: name, woken: Vec::new(), outcome }
            }));
            self.due.insert(tenant.name.clone(), now + self.interval);
            self.current.insert(tenant.name, pass);
        }
    }

    /// Hints of a tenant whose pass runs stay where they are until it has ended.
    fn start_woken(&mut self) {
        let Some(notifications) = self.notifications else { return };
        for tenant in notifications.ready() {
            if self.is_busy(&tenant) {
                continue;
            }
            let (woken, service) = (notifications.take(&tenant), Arc::clone(self.service));
            let name = tenant.clone();
            let pass = self.running.spawn(in_turn(Arc::clone(&self.woken_slots), async move {
                let outcome = service.backup_woken(&name, &woken, Arc::new(Unobserved)).await;
                Finished { tenant: name, woken, outcome }
            }));
            self.current.insert(tenant, pass);
        }
    }

    fn report(&self, finished: Finished, output: &Output) {
        let Finished { tenant, woken, outcome } = finished;
        if let Some(notifications) = self.notifications.filter(|_| woken.is_empty()) {
            notifications.tend_soon();
        }
        match outcome {
            Ok(report) => {
                let changed = !report.snapshots.is_empty() || !report.is_whole();
                if changed || output.is_json() {
                    output.result(&backup::json_of(&report), || backup::summary(&report));
                }
            }
            // Somebody runs 'mailkeep backup' by hand: that is no fault.
            Err(error) if error.kind() == ErrorKind::Busy => {
                tracing::info!(%tenant, "another pass runs already");
                if let Some(notifications) = self.notifications {
                    notifications.give_back(&tenant, &woken);
                }
            }
            Err(error) => tracing::error!(%tenant, %error, "a pass failed"),
        }
    }
}

/// Does the work as soon as there is a slot for it.
async fn in_turn<T>(slots: Arc<Semaphore>, work: impl Future<Output = T>) -> T {
    let _slot = slots.acquire().await.expect("the semaphore is never closed");
    work.await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_tenants_that_are_due_at_once_do_not_all_run_at_once() {
        let slots = Arc::new(Semaphore::new(PASSES_AT_A_TIME));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut running = JoinSet::new();
        for _ in 0..7 {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            running.spawn(in_turn(Arc::clone(&slots), async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
            }));
        }
        assert_eq!(running.join_all().await.len(), 7);
        assert_eq!(most.load(Ordering::SeqCst), PASSES_AT_A_TIME);
    }
}
