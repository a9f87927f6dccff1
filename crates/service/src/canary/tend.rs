//! Sending canaries and looking after them, while nobody asks for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration as Wait,
};

use mailkeep_model::TenantName;
use time::{Duration, OffsetDateTime};
use tokio::{task::JoinSet, time::Instant};

use super::{CanaryOutcome, CanaryPlan, CanaryReport};
use crate::{Service, ServiceError};

/// Between two looks at one tenant.
const LOOK_AGAIN: Wait = Wait::from_secs(5);
/// How often it is asked who is due.
const PAUSE: Wait = Wait::from_secs(1);
/// Tenants that are looked after at once. One whose provider takes nothing is given a bounded time at a
/// look, and is looked after again later: however many there are, the others have their turn.
const AT_ONCE: usize = 8;
/// When one was missed, the next follows sooner than planned: to see that all is well again.
const AFTER_A_MISS: Duration = Duration::minutes(10);

impl Service {
    /// Sends canaries to all tenants that have a plan, each in its rhythm, and looks after them; never
    /// ends. What is due is read from the state, so that a process that was killed is followed by one that
    /// goes on.
    pub async fn tend_canaries(self: &Arc<Self>) {
        let (mut tasks, mut running) = (JoinSet::new(), BTreeSet::<TenantName>::new());
        let mut due = BTreeMap::<TenantName, Instant>::new();
        let (mut plans, mut listed) = (BTreeMap::new(), None::<Instant>);
        loop {
            let now = Instant::now();
            // Not anew for each that has ended: there may be thousands.
            if listed.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
                match self.all_canary_plans().await {
                    Ok(all) => plans = all,
                    Err(error) => tracing::error!(%error, "plans for canaries cannot be read"),
                }
                due.retain(|tenant, _| plans.contains_key(tenant));
                listed = Some(now);
            }
            let at = |tenant: &TenantName| due.get(tenant).copied().unwrap_or(now);
            let waiting = plans.keys().filter(|one| at(one) <= now && !running.contains(*one));
            let mut waiting: Vec<(Instant, TenantName)> =
                waiting.map(|tenant| (at(tenant), tenant.clone())).collect();
            // Who has waited longest comes first.
            waiting.sort();
            let room = AT_ONCE.saturating_sub(running.len());
            for (_, tenant) in waiting.into_iter().take(room) {
                let Some(plan) = plans.get(&tenant).cloned() else { continue };
                due.insert(tenant.clone(), now + LOOK_AGAIN);
                running.insert(tenant.clone());
                let service = Arc::clone(self);
                tasks.spawn(async move {
                    if let Err(error) = service.tend_canary(&tenant, &plan).await {
                        tracing::warn!(%tenant, %error, "canaries cannot be looked after");
                    }
                    tenant
                });
            }
            tokio::select! {
                Some(finished) = tasks.join_next(), if !tasks.is_empty() => match finished {
                    Ok(tenant) => {
                        running.remove(&tenant);
                    }
                    Err(error) => {
                        // Which one it was is not told: all may be started again. The state keeps any
                        // from being sent twice.
                        tracing::error!(%error, "looking after a canary ended unexpectedly");
                        running.clear();
                    }
                },
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn all_canary_plans(&self) -> Result<BTreeMap<TenantName, CanaryPlan>, ServiceError> {
        let all = self.control.canary_plans().await?.into_iter();
        // What a later version wrote is not followed by this one.
        let known = all.filter_map(|(tenant, plan)| {
            Some((tenant, serde_json::from_value::<CanaryPlan>(plan).ok()?))
        });
        Ok(known.collect())
    }

    async fn tend_canary(
        &self,
        tenant: &TenantName,
        plan: &CanaryPlan,
    ) -> Result<(), ServiceError> {
        let now = OffsetDateTime::now_utc();
        let last = self.canaries(tenant, 1).await?.pop();
        if let Some(last) = &last
            && last.ended.is_none()
        {
            return self.look_after_canary(tenant, last.id, now).await.map(drop);
        }
        if is_due(plan, last.as_ref(), now) {
            self.send_planned_canary(tenant).await?;
        }
        Ok(())
    }
}

/// Whether the next one is to be sent. `last` has ended.
fn is_due(plan: &CanaryPlan, last: Option<&CanaryReport>, now: OffsetDateTime) -> bool {
    let Some(every) = plan.every() else { return false };
    let Some(last) = last else { return true };
    // What an earlier version took as a plan may be any span.
    let regular = last.begun.saturating_add(every);
    now >= match (last.outcome, last.ended) {
        // It proved nothing: the next one has to.
        (CanaryOutcome::Void, Some(ended)) => ended,
        (CanaryOutcome::Missed(_), Some(ended)) => regular.min(ended + AFTER_A_MISS),
        _ => regular,
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_sentry::Leg;

    use super::*;

    #[test]
    fn after_a_miss_the_next_canary_comes_sooner_and_after_a_crash_at_once() {
        let begin = OffsetDateTime::UNIX_EPOCH;
        let plan =
            CanaryPlan::new("a@own.example".parse().unwrap(), "b@own.example".parse().unwrap());
        let last = |outcome| CanaryReport {
            id: 1,
            reference: "r".into(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            begun: begin,
            deadline: begin + Duration::hours(2),
            sent: None,
            seen: None,
            removed: None,
            outcome,
            ended: Some(begin + Duration::hours(2)),
            note: String::new(),
        };
        let due = |outcome: CanaryOutcome, minutes: i64| {
            is_due(&plan, Some(&last(outcome)), begin + Duration::minutes(minutes))
        };
        let through = CanaryOutcome::CameThrough;
        assert!(!due(through, 359) && due(through, 360));
        let missed = CanaryOutcome::Missed(Leg::NotBackedUp);
        assert!(!due(missed, 129) && due(missed, 130));
        assert!(due(CanaryOutcome::Void, 120));
        assert!(is_due(&plan, None, begin));
        let asked_for = CanaryPlan { every: None, ..plan.clone() };
        assert!(!is_due(&asked_for, None, begin + Duration::days(9)));
    }
}
