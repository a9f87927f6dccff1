use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mailkeep_model::TenantName;
use mailkeep_service::{ErrorKind, Service, Unobserved};
use tokio::{task::JoinSet, time::Instant};

use super::{Outcome, backup, children, config, open_service};
use crate::{
    cli::{Global, Serve},
    exit::Exit,
    output::Output,
};

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

/// Runs pass after pass, each tenant in its own rhythm: one that is slow or broken holds no other
/// up.
async fn passes(service: &Arc<Service>, interval: Duration, output: &Output) {
    let mut due: BTreeMap<TenantName, Instant> = BTreeMap::new();
    let mut running = JoinSet::new();
    loop {
        match service.control().tenants().await {
            Ok(tenants) => {
                let ready = tenants.into_iter().filter(|tenant| !tenant.functions.is_empty());
                for tenant in ready {
                    let now = Instant::now();
                    if due.get(&tenant.name).is_some_and(|due| *due > now) {
                        continue;
                    }
                    due.insert(tenant.name.clone(), now + interval);
                    let service = Arc::clone(service);
                    running.spawn(async move {
                        let outcome = service.backup(&tenant.name, &[], Arc::new(Unobserved)).await;
                        (tenant.name, outcome)
                    });
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
            // A pass that outlasts its interval finds itself running: that is no fault.
            Ok(Some(Ok((tenant, Err(error))))) if error.kind() == ErrorKind::Busy => {
                tracing::info!(%tenant, "the former pass still runs");
            }
            Ok(Some(Ok((tenant, Err(error))))) => tracing::error!(%tenant, %error, "a pass failed"),
            Ok(Some(Err(error))) => tracing::error!(%error, "a pass ended unexpectedly"),
            // Nothing runs.
            Ok(None) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(_) => {}
        }
    }
}
