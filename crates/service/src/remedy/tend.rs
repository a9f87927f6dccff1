//! Carrying orders out while nobody asks for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration as Wait,
};

use mailkeep_model::TenantName;
use time::OffsetDateTime;
use tokio::{task::JoinSet, time::Instant};

use super::UNDO_FOR;
use crate::{Service, ServiceError};

/// How often it is asked what is due, for orders that another process gave.
const PAUSE: Wait = Wait::from_millis(250);
/// Tenants whose orders are carried out at once.
const AT_ONCE: usize = 8;
/// Before one is tried again that could not be gone on with.
const TRY_AGAIN: Wait = Wait::from_secs(10);
/// How often it is looked which messages' parts are old enough to be forgotten.
const FORGET_EVERY: Wait = Wait::from_secs(3_600);

/// Never ends.
pub(super) async fn run(service: &Arc<Service>) {
    let (mut tasks, mut running) = (JoinSet::new(), BTreeSet::<TenantName>::new());
    let mut rests = BTreeMap::<TenantName, Instant>::new();
    let mut forgot = None::<Instant>;
    loop {
        if forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            forgot = Some(Instant::now());
            let before = OffsetDateTime::now_utc() - UNDO_FOR;
            if let Err(error) = service.control.forget_message_parts(before).await {
                tracing::error!(%error, "what messages carry cannot be forgotten");
            }
        }
        let due = match service.control.remedy_work(OffsetDateTime::now_utc()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "which remedies are due cannot be read");
                Vec::new()
            }
        };
        rests.retain(|_, until| *until > Instant::now());
        for tenant in due {
            if running.len() >= AT_ONCE || running.contains(&tenant) || rests.contains_key(&tenant)
            {
                continue;
            }
            running.insert(tenant.clone());
            let service = Arc::clone(service);
            tasks.spawn(async move {
                let outcome = service.carry_out_remedies(&tenant).await;
                (tenant, outcome)
            });
        }
        tokio::select! {
            Some(finished) = tasks.join_next(), if !tasks.is_empty() => match finished {
                Ok((tenant, outcome)) => {
                    running.remove(&tenant);
                    let rest = match outcome {
                        Ok(()) => continue,
                        // Somebody waits for it at a command line, who is soon done.
                        Err(ServiceError::Busy { .. }) => PAUSE,
                        Err(error) => {
                            tracing::warn!(%tenant, %error, "remedies cannot be carried out");
                            TRY_AGAIN
                        }
                    };
                    rests.insert(tenant, Instant::now() + rest);
                }
                Err(error) => {
                    // Which one it was is not told: all may be started again. The lease keeps any from
                    // running twice.
                    tracing::error!(%error, "carrying out remedies ended unexpectedly");
                    running.clear();
                }
            },
            () = service.remedy_ordered.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
