use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mailkeep_control::TenantFunction;
use mailkeep_model::{Function, TenantName};
use mailkeep_service::{ErrorKind, Service, Unobserved};
use tokio::{
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{Outcome, backup, children, config, open_service};
use crate::{
    cli::{Global, Serve},
    exit::Exit,
    output::Output,
};

/// Passes that run at the same time. Each holds messages in memory and keeps the disk and several
/// connections busy; other tenants that are due wait for their turn.
const PASSES_AT_A_TIME: usize = 2;
/// How often the list of tenants is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

pub(super) async fn run(global: &Global, _: &Serve, output: &Output) -> Outcome {
    let interval = config(global)?.serve.interval();
    let service = Arc::new(open_service(global).await?);
    output.note(&format!(
        "serving {}: one pass of each tenant every {} s. End with Ctrl-C",
        global.data.display(),
        interval.as_secs()
    ));
    tokio::select! {
        () = children::until_told_to_end(false) => {}
        () = passes(&service, interval, output) => {}
    }
    Ok(Exit::Done)
}

/// Runs pass after pass, each tenant in its own rhythm, [`PASSES_AT_A_TIME`] at once.
async fn passes(service: &Arc<Service>, interval: Duration, output: &Output) {
    let mut due: BTreeMap<TenantName, (Instant, AbortHandle)> = BTreeMap::new();
    let mut running = JoinSet::new();
    let slots = Arc::new(Semaphore::new(PASSES_AT_A_TIME));
    loop {
        match service.control().tenants().await {
            Ok(tenants) => {
                let has_reader = |one: &TenantFunction| one.function == Function::Reader;
                let ready =
                    tenants.into_iter().filter(|tenant| tenant.functions.iter().any(has_reader));
                for tenant in ready {
                    let now = Instant::now();
                    // One that waits for its turn, or outlasts its interval, is not queued again.
                    let is_early =
                        |(due, pass): &(Instant, AbortHandle)| *due > now || !pass.is_finished();
                    if due.get(&tenant.name).is_some_and(is_early) {
                        continue;
                    }
                    let (name, service) = (tenant.name.clone(), Arc::clone(service));
                    let pass = running.spawn(in_turn(Arc::clone(&slots), async move {
                        match service.retire_abandoned_restorer(&name).await {
                            Ok(true) => tracing::warn!(
                                tenant = %name,
                                "a restore was cut off; its key is destroyed"
                            ),
                            Ok(false) => {}
                            Err(error) => tracing::warn!(tenant = %name, %error, "looking for a key that a restore left"),
                        }
                        let outcome = service.backup(&name, &[], Arc::new(Unobserved)).await;
                        (name, outcome)
                    }));
                    due.insert(tenant.name, (now + interval, pass));
                }
            }
            Err(error) => tracing::error!(%error, "the list of tenants cannot be read"),
        }
        let finished = tokio::time::timeout(LOOK_AGAIN, running.join_next()).await;
        match finished {
            Ok(Some(Ok((_, Ok(report))))) => {
                let changed = !report.snapshots.is_empty() || !report.is_whole();
                if changed || output.is_json() {
                    output.result(&backup::json_of(&report), || backup::summary(&report));
                }
            }
            // Somebody runs 'mailkeep backup' by hand: that is no fault.
            Ok(Some(Ok((tenant, Err(error))))) if error.kind() == ErrorKind::Busy => {
                tracing::info!(%tenant, "another pass runs already");
            }
            Ok(Some(Ok((tenant, Err(error))))) => tracing::error!(%tenant, %error, "a pass failed"),
            Ok(Some(Err(error))) => tracing::error!(%error, "a pass ended unexpectedly"),
            // Nothing runs.
            Ok(None) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(_) => {}
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
