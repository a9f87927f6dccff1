use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use mailkeep_control::FindingFilter;
use mailkeep_model::{MailboxId, TenantName, VerdictKind};
use mailkeep_service::{
    Service, ServiceError,
    remedy::{
        CopyState, FoundCopy, Order, OrderedBy, Reach, RemedyAction, RemedyId, RemedyReport,
        StoredCopy, StoredRemedy, Which,
    },
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Outcome, browse::rfc3339, open_service};
use crate::{
    cli::{Global, Remedy, RemedyOrder},
    exit::{Exit, Failure},
    output::{Output, plain, table},
};

/// How long an order is waited for that another process carries out.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at how it stands.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) async fn run(global: &Global, command: Remedy, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    match command {
        Remedy::Quarantine(order) => give(&service, RemedyAction::Quarantine, order, output).await,
        Remedy::Remove(order) => give(&service, RemedyAction::Remove, order, output).await,
        Remedy::Release(order) => give(&service, RemedyAction::Release, order, output).await,
        Remedy::List { tenant, limit } => list(&service, tenant, limit, output).await,
        Remedy::Show { remedy } => show(&service, RemedyId(remedy), output).await,
    }
}

async fn give(
    service: &Service,
    action: RemedyAction,
    arguments: RemedyOrder,
    output: &Output,
) -> Outcome {
    let begin = Instant::now();
    let (yes, dry_run, no_wait) = (arguments.yes, arguments.dry_run, arguments.no_wait);
    let order = order(service, action, arguments).await?;
    if dry_run {
        let found = match action {
            RemedyAction::Release => service.releasable(&order).await?,
            _ => service.preview_remedy(&order).await?,
        };
        return Ok(preview(&order, &found, output));
    }
    if action == RemedyAction::Remove && !yes && service.is_for_all_mailboxes(&order).await? {
        confirm(service, &order).await?;
    }
    let tenant = order.tenant.clone();
    let id = service.order_remedy(order).await?;
    if !no_wait && let Err(error) = carry_out(service, &tenant, id).await {
        output.complain(&format!(
            "error: {error}. The order is kept as remedy {id}; 'serve' goes on with it"
        ));
    }
    let report = service.remedy_report(id).await?;
    let seconds = begin.elapsed().as_secs_f64();
    output.result(&json_of(&report, Some(seconds)), || summary(&report));
    Ok(if no_wait || report.is_whole() { Exit::Done } else { Exit::Partly })
}

/// What the arguments ask for.
async fn order(
    service: &Service,
    action: RemedyAction,
    arguments: RemedyOrder,
) -> Result<Order, Failure> {
    let RemedyOrder { which, tenant, everywhere, mailbox, why, .. } = arguments;
    let (which, of, whole) = if let Some(finding) = which.finding {
        let of = tenant_of_finding(service, tenant.as_ref(), finding).await?;
        (Which::Finding(finding), Some(of), false)
    } else if let Some(remedy) = which.remedy.map(RemedyId) {
        let of = service.remedy_report(remedy).await?.tenant;
        (Which::Remedy(remedy), Some(of), false)
    } else if let Some(message_id) = which.message_id {
        (Which::MessageId(message_id), None, true)
    } else if let Some(hash) = which.sha256 {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hash.trim().as_bytes());
        let bytes: Option<[u8; 32]> = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        let wrong = || Failure::usage("--sha256 takes 64 hexadecimal digits");
        (Which::Attachment(bytes.ok_or_else(wrong)?), None, true)
    } else if let Some(link) = which.link {
        (Which::Link(link), None, true)
    } else {
        return Err(Failure::usage("name a finding, --message-id, --sha256 or --link"));
    };
    let reach = match mailbox {
        Some(mailbox) => Reach::Mailbox(mailbox),
        None if everywhere || whole => Reach::Everywhere,
        None => Reach::WhereFound,
    };
    let tenant = match of.or(tenant) {
        Some(tenant) => tenant,
        None => only_tenant(service).await?,
    };
    let by = OrderedBy::Person(Service::whoami());
    Ok(Order { tenant, action, which, reach, by, why, at: OffsetDateTime::now_utc() })
}

async fn only_tenant(service: &Service) -> Result<TenantName, Failure> {
    let mut all = service.control().tenants().await.map_err(ServiceError::from)?;
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only.name),
        _ => Err(Failure::usage("there is not one tenant alone: name it with --tenant")),
    }
}

/// Numbers of findings are the same for all tenants.
async fn tenant_of_finding(
    service: &Service,
    tenant: Option<&TenantName>,
    finding: i64,
) -> Result<TenantName, Failure> {
    if let Some(tenant) = tenant {
        return Ok(tenant.clone());
    }
    for tenant in service.control().tenants().await.map_err(ServiceError::from)? {
        match service.finding(&tenant.name, finding).await {
            Ok(_) => return Ok(tenant.name),
            Err(ServiceError::NoFinding { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(
        Exit::NotFound,
        format!("there is no finding {finding}; 'mailkeep findings' lists them"),
    ))
}

/// Asks whether a message is to be removed from all mailboxes.
async fn confirm(service: &Service, order: &Order) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "removing from all mailboxes is asked about, and there is no terminal to ask at: say --yes, or look first with --dry-run",
        ));
    }
    let found = service.preview_remedy(order).await?;
    let mailboxes: std::collections::BTreeSet<_> =
        found.iter().map(|copy| &copy.mailbox.address).collect();
    eprint!(
        "remove {} copies from {} mailboxes, and delete them for good after 30 days? [yes/no] ",
        found.len(),
        mailboxes.len()
    );
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read =
        tokio::task::spawn_blocking(move || io::stdin().read_line(&mut answer).map(|_| answer));
    match read.await {
        Ok(Ok(answer)) if answer.trim() == "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was removed")),
    }
}

/// Carries an order out, or waits until the process has done it that is at it.
async fn carry_out(
    service: &Service,
    tenant: &TenantName,
    id: RemedyId,
) -> Result<(), ServiceError> {
    let begin = Instant::now();
    loop {
        let busy = match service.carry_out_remedies(tenant).await {
            Err(error @ ServiceError::Busy { .. }) => error,
            done => return done,
        };
        if service.remedy_report(id).await?.is_settled() {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(busy);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn preview(order: &Order, found: &[FoundCopy], output: &Output) -> Exit {
    if output.is_json() {
        for copy in found {
            output.result(
                &json!({
                    "tenant": order.tenant,
                    "action": order.action,
                    "mailbox": copy.mailbox.address,
                    "item": copy.item,
                    "folder": copy.folder,
                    "message_id": copy.message_id,
                    "state": copy.state,
                }),
                String::new,
            );
        }
        return Exit::Done;
    }
    let row = |copy: &FoundCopy| {
        let mailbox = copy.mailbox.address.to_string();
        vec![mailbox, state_name(copy.state), plain(&copy.message_id)]
    };
    if !found.is_empty() {
        output.result(&json!({}), || table(&found.iter().map(row).collect::<Vec<_>>()));
    }
    output.note(&format!("{} copies; nothing was done", found.len()));
    Exit::Done
}

async fn list(
    service: &Service,
    tenant: Option<TenantName>,
    limit: u64,
    output: &Output,
) -> Outcome {
    let mut rows = Vec::new();
    for tenant in tenants(service, tenant).await? {
        let remedies =
            service.control().remedies(&tenant, limit).await.map_err(ServiceError::from)?;
        for remedy in remedies {
            let report = service.remedy_report(remedy.id).await?;
            if output.is_json() {
                output.result(&json_of(&report, None), String::new);
            }
            rows.push(vec![
                remedy.id.to_string(),
                rfc3339(remedy.order.ordered),
                tenant.to_string(),
                remedy.order.action.as_str().to_owned(),
                plain(remedy.order.subject.text()),
                counts_text(&report.copies),
                plain(&remedy.order.by.to_string()),
            ]);
        }
    }
    match (output.is_json(), rows.is_empty()) {
        (true, _) => {}
        (false, true) => output.note("no remedies"),
        (false, false) => output.result(&json!({}), || table(&rows)),
    }
    Ok(Exit::Done)
}

async fn tenants(
    service: &Service,
    only: Option<TenantName>,
) -> Result<Vec<TenantName>, ServiceError> {
    match only {
        Some(tenant) => Ok(vec![service.tenant(&tenant).await?.name]),
        None => Ok(service.control().tenants().await?.into_iter().map(|one| one.name).collect()),
    }
}

async fn show(service: &Service, remedy: RemedyId, output: &Output) -> Outcome {
    let report = service.remedy_report(remedy).await?;
    let mut value = json_of(&report, None);
    value["recipients"] = report.copies.iter().map(copy_json).collect();
    output.result(&value, || {
        let row = |copy: &StoredCopy| {
            let mailbox = copy.found.mailbox.address.to_string();
            let state = match copy.found.state == copy.wanted || copy.due.is_none() {
                true => state_name(copy.found.state),
                false => {
                    format!("{}, to be {}", state_name(copy.found.state), state_name(copy.wanted))
                }
            };
            let note = copy.note.as_deref().map(plain).unwrap_or_default();
            vec![mailbox, state, rfc3339(copy.changed), note]
        };
        let mut text = summary(&report);
        if !report.copies.is_empty() {
            text.push('\n');
            text.push_str(&table(&report.copies.iter().map(row).collect::<Vec<_>>()));
        }
        text
    });
    Ok(Exit::Done)
}

/// An order and how it stands, for people.
fn summary(report: &RemedyReport) -> String {
    let RemedyReport { tenant, remedy, copies, left_out } = report;
    let StoredRemedy { id, order, unsearched, .. } = remedy;
    let subject = plain(order.subject.text());
    let mut text = format!(
        "remedy {id} of tenant {tenant}: {} {} '{subject}', ordered by {} {}: {}",
        order.action.as_str(),
        order.subject.kind(),
        plain(&order.by.to_string()),
        rfc3339(order.ordered),
        counts_text(copies),
    );
    if !order.why.is_empty() {
        text.push_str(&format!("\nbecause: {}", plain(&order.why)));
    }
    if remedy.searched.is_none() {
        text.push_str("\nnot all mailboxes were looked through yet");
    }
    if *left_out > 0 {
        text.push_str(&format!(
            "\n{left_out} more messages carry it and were left out: give the order again to reach them, too"
        ));
    }
    for one in unsearched {
        let reason = plain(&one.reason);
        text.push_str(&format!("\nnot looked through: {}: {reason}", one.mailbox));
    }
    for copy in copies.iter().filter(|copy| copy.found.state == CopyState::Failed) {
        let note = copy.note.as_deref().map(plain).unwrap_or_default();
        text.push_str(&format!("\nfailed: {}: {note}", copy.found.mailbox.address));
    }
    text
}

fn state_name(state: CopyState) -> String {
    json!(state).as_str().unwrap_or_default().to_owned()
}

fn counts(copies: &[StoredCopy]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for copy in copies {
        *counts.entry(state_name(copy.found.state)).or_default() += 1;
    }
    counts
}

fn counts_text(copies: &[StoredCopy]) -> String {
    if copies.is_empty() {
        return "no copies".to_owned();
    }
    let counts = counts(copies).into_iter().map(|(state, count)| format!("{count} {state}"));
    counts.collect::<Vec<_>>().join(", ")
}

fn json_of(report: &RemedyReport, seconds: Option<f64>) -> Value {
    let RemedyReport { tenant, remedy, copies, left_out } = report;
    let order = &remedy.order;
    json!({
        "remedy": remedy.id,
        "tenant": tenant,
        "action": order.action,
        "subject": { order.subject.kind(): order.subject.text() },
        "mailbox": order.mailbox,
        "by": order.by.name(),
        "rule": matches!(order.by, OrderedBy::Rule(_)),
        "why": order.why,
        "ordered": rfc3339(order.ordered),
        "open_until": rfc3339(order.open_until),
        "messages": remedy.messages,
        "searched": remedy.searched.map(rfc3339),
        "unsearched": remedy.unsearched,
        "left_out": left_out,
        "copies": counts(copies),
        "settled": report.is_settled(),
        "seconds": seconds,
    })
}

fn copy_json(copy: &StoredCopy) -> Value {
    json!({
        "mailbox": copy.found.mailbox.address,
        "item": copy.found.item,
        "message_id": copy.found.message_id,
        "folder": copy.found.folder,
        "state": copy.found.state,
        "wanted": copy.wanted,
        "note": copy.note,
        "found": rfc3339(copy.found_at),
        "changed": rfc3339(copy.changed),
        "tries": copy.tries,
        "due": copy.due.map(rfc3339),
    })
}

/// 'mailkeep findings'.
pub(super) async fn findings(
    global: &Global,
    arguments: crate::cli::Findings,
    output: &Output,
) -> Outcome {
    let service = open_service(global).await?;
    let mut rows = Vec::new();
    for tenant in tenants(&service, arguments.tenant.clone()).await? {
        let known = service.control().mailboxes(&tenant).await.map_err(ServiceError::from)?;
        let address = |id: &MailboxId| {
            let found = known.iter().find(|known| known.mailbox.id == *id);
            found.map(|known| known.mailbox.address.to_string()).unwrap_or_default()
        };
        let mailbox = match &arguments.mailbox {
            None => None,
            Some(wanted) => {
                let found = known.iter().find(|known| known.mailbox.address == *wanted);
                let missing =
                    || ServiceError::NoMailbox { tenant: tenant.clone(), mailbox: wanted.clone() };
                Some(found.ok_or_else(missing)?.mailbox.id.clone())
            }
        };
        let filter = FindingFilter {
            mailbox,
            at_least: arguments.at_least.map(VerdictKind::from),
            message_id: arguments.message_id.clone(),
            since: arguments.since,
            limit: Some(arguments.limit),
            ..FindingFilter::default()
        };
        for found in
            service.control().findings(&tenant, &filter).await.map_err(ServiceError::from)?
        {
            let verdict = &found.verdict;
            if output.is_json() {
                output.result(
                    &json!({
                        "finding": found.id,
                        "tenant": tenant,
                        "mailbox": address(&found.mailbox),
                        "item": found.item,
                        "message_id": found.message_id,
                        "inspected": rfc3339(found.inspected),
                        "verdict": verdict.verdict,
                        "score": verdict.score,
                        "findings": verdict.findings,
                        "not_inspected": verdict.not_inspected,
                    }),
                    String::new,
                );
                continue;
            }
            let first = verdict.findings.iter().max_by_key(|one| one.severity);
            rows.push(vec![
                found.id.to_string(),
                rfc3339(found.inspected),
                tenant.to_string(),
                address(&found.mailbox),
                json!(verdict.verdict).as_str().unwrap_or_default().to_owned(),
                first.map(|one| plain(&one.detector)).unwrap_or_default(),
                first.map(|one| plain(&one.evidence)).unwrap_or_default(),
            ]);
        }
    }
    match (output.is_json(), rows.is_empty()) {
        (true, _) => {}
        (false, true) => output.note("no findings"),
        (false, false) => output.result(&json!({}), || table(&rows)),
    }
    Ok(Exit::Done)
}
