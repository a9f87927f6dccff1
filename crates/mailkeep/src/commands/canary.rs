//! `mailkeep tenant canary`, `mailkeep identity canary`

use std::{sync::Arc, time::Duration};

use mailkeep_control::KnownMailbox;
use mailkeep_model::TenantName;
use mailkeep_service::{
    CanaryOutcome, CanaryPlan, CanaryReport, ErrorKind, Service, ServiceError, Unobserved,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Outcome, alerts, browse::rfc3339};
use crate::{
    cli::{Canary, TenantCanary},
    exit::Exit,
    output::{Output, plain, table},
};

/// Between two looks at what became of one.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Canaries that are listed.
const LISTED: u64 = 10;

/// Shows or sets how a tenant is sent canaries.
pub(super) async fn plan(service: &Service, arguments: TenantCanary, output: &Output) -> Outcome {
    let tenant = &arguments.tenant;
    if arguments.off {
        service.set_canary_plan(tenant, None).await?;
    } else if let (Some(from), Some(to)) = (arguments.from, arguments.to) {
        let mut plan = CanaryPlan::new(from, to);
        let seconds = |span: time::Duration| span.whole_seconds().unsigned_abs();
        if let Some(every) = arguments.every {
            plan.every = Some(seconds(every));
        }
        if arguments.on_demand {
            plan.every = None;
        }
        if let Some(deadline) = arguments.deadline {
            plan.deadline = seconds(deadline);
        }
        warn_of_scope(service, &plan, tenant, output).await?;
        service.set_canary_plan(tenant, Some(plan)).await?;
    }
    let plan = service.canary_plan(tenant).await?;
    let newest = service.canaries(tenant, LISTED).await?;
    let value = json!({
        "tenant": tenant,
        "plan": plan.as_ref().map(|plan| json!({
            "from": plan.from,
            "to": plan.to,
            "every_seconds": plan.every,
            "deadline_seconds": plan.deadline,
        })),
        "canaries": newest.iter().map(json_of).collect::<Vec<_>>(),
    });
    output.result(&value, || {
        let mut text = match &plan {
            None => format!(
                "no canaries are sent; 'mailkeep tenant canary {tenant} --from ADDRESS --to ADDRESS' begins"
            ),
            Some(plan) => described(plan),
        };
        if !newest.is_empty() {
            text.push('\n');
            text.push_str(&table(&newest.iter().map(row).collect::<Vec<_>>()));
        }
        text
    });
    Ok(Exit::Done)
}

/// A scope that leaves the sender out is found by the first canary; it is told sooner.
async fn warn_of_scope(
    service: &Service,
    plan: &CanaryPlan,
    tenant: &TenantName,
    output: &Output,
) -> Result<(), ServiceError> {
    let asked = service.asked(tenant).await?;
    if !asked.send_from.is_empty() && !asked.send_from.contains(&plan.from) {
        output.note(&format!(
            "the prober is set up to send from other mailboxes than {}; 'mailkeep tenant setup {tenant} --send-from {} --out DIR' widens that",
            plan.from, plan.from
        ));
    }
    let known: Vec<KnownMailbox> = service.control().mailboxes(tenant).await?;
    if known.is_empty() {
        output.note("nothing was backed up yet: whether the recipient will be is not known");
    }
    Ok(())
}

/// Sends one now, and tells what becomes of it.
pub(super) async fn send(service: &Service, arguments: Canary, output: &Output) -> Outcome {
    let Canary { tenant, deadline, pass } = arguments;
    let asked = OffsetDateTime::now_utc();
    let mut canary = service.send_canary(&tenant, deadline).await?;
    if canary.ended.is_none() {
        if canary.begun < asked {
            output.note("one is under way already: no other is sent");
        }
        let who = if pass { "" } else { "; a pass has to bring it in: --pass runs one" };
        output.note(&format!(
            "canary {} from {} to {}: it has time until {}{who}",
            canary.reference,
            canary.from,
            canary.to,
            rfc3339(canary.deadline)
        ));
    }
    while canary.ended.is_none() {
        if pass {
            back_up(service, &tenant, &canary).await;
        }
        let now = OffsetDateTime::now_utc();
        canary = service.look_after_canary(&tenant, canary.id, now).await?;
        if canary.ended.is_none() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    alerts::deliver(service, output).await;
    output.result(&json!({ "tenant": tenant, "canary": json_of(&canary) }), || {
        format!("canary {}: {}", canary.reference, words(&canary))
    });
    Ok(match canary.outcome {
        CanaryOutcome::CameThrough => Exit::Done,
        CanaryOutcome::Missed(_) => Exit::Incident,
        _ => Exit::Failed,
    })
}

/// What fails here shows in what becomes of the canary.
async fn back_up(service: &Service, tenant: &TenantName, canary: &CanaryReport) {
    let recipient = std::slice::from_ref(&canary.to);
    match service.backup(tenant, recipient, Arc::new(Unobserved)).await {
        Err(error) if error.kind() != ErrorKind::Busy => {
            tracing::warn!(%tenant, %error, "the pass for a canary failed");
        }
        _ => {}
    }
}

fn described(plan: &CanaryPlan) -> String {
    let rhythm = match plan.every {
        Some(seconds) => format!("one every {}", span(seconds)),
        None => "when somebody asks for one".to_owned(),
    };
    format!(
        "from {} to {}: {rhythm}, to be backed up and inspected within {}. Each leaves a message in {}",
        plan.from,
        plan.to,
        span(plan.deadline),
        plan.to
    )
}

/// `2 h`, `90 min`, `45 s`.
fn span(seconds: u64) -> String {
    match seconds {
        0 => "0 s".to_owned(),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn row(canary: &CanaryReport) -> Vec<String> {
    vec![rfc3339(canary.begun), canary.reference.clone(), words(canary)]
}

fn words(canary: &CanaryReport) -> String {
    let note = plain(&canary.note);
    match canary.outcome {
        CanaryOutcome::CameThrough => format!("came through: {note}"),
        CanaryOutcome::Missed(leg) => format!("MISSED, {leg}: {note}"),
        CanaryOutcome::Void => format!("proves nothing: {note}"),
        _ => "under way".to_owned(),
    }
}

fn json_of(canary: &CanaryReport) -> Value {
    let leg = match canary.outcome {
        CanaryOutcome::Missed(leg) => Some(leg),
        _ => None,
    };
    json!({
        "id": canary.id,
        "reference": canary.reference,
        "from": canary.from,
        "to": canary.to,
        "begun": rfc3339(canary.begun),
        "deadline": rfc3339(canary.deadline),
        "sent": canary.sent.map(rfc3339),
        "seen": canary.seen.map(rfc3339),
        "removed": canary.removed.map(rfc3339),
        "outcome": if leg.is_some() { "missed" } else { canary.outcome.as_str() },
        "leg": leg,
        "ended": canary.ended.map(rfc3339),
        "note": canary.note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_units_that_people_use() {
        assert_eq!([span(7200), span(5400), span(45)], ["2 h", "90 min", "45 s"]);
    }
}
