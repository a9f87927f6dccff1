//! `mailkeep identity …`

use std::{fs::File, io::BufReader, sync::Arc};

use mailkeep_control::Recorded;
use mailkeep_identity::{CredentialInfo, KeyInfo, KeyUse, Slot, rotation::Stage};
use mailkeep_model::{Function, TenantName};
use mailkeep_sentry::report;
use mailkeep_service::{KeyFailure, Reconciled, Revocation, Rotation, Service, ServiceError};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Outcome, alerts, browse::rfc3339, certificates, fleet, open_service};
use crate::{
    cli::{Global, Identity, Revoke, Rotate},
    exit::{Exit, Failure},
    output::{Output, plain, table},
};

pub(super) async fn run(global: &Global, command: Identity, output: &Output) -> Outcome {
    let service = Arc::new(open_service(global).await?);
    match command {
        Identity::Status { tenant } => status(&service, tenant.as_ref(), output).await,
        Identity::Certificate { tenant, function, prepared } => {
            certificates::show(&service, &tenant, function, prepared, output).await
        }
        Identity::Csr { tenant, function, out } => {
            certificates::request(&service, &tenant, function, out.as_deref(), output).await
        }
        Identity::Install { tenant, function, chain } => {
            certificates::install(&service, &tenant, function, &chain, output).await
        }
        Identity::Rotate(arguments) => rotate(&service, arguments, output).await,
        Identity::Revoke(arguments) => {
            let outcome = revoke(&service, arguments, output).await;
            alerts::deliver(&service, output).await;
            outcome
        }
        Identity::Recover(arguments) => {
            let outcome = super::recover::tenant(&service, &arguments, output).await;
            alerts::deliver(&service, output).await;
            outcome
        }
        Identity::Reconcile { tenant, calls } => {
            for path in calls {
                import(&service, &tenant, &path, output).await?;
            }
            let outcome = reconcile(&service, &tenant, output).await;
            alerts::deliver(&service, output).await;
            outcome
        }
        Identity::Posture { tenant, accept } => {
            super::posture::run(&service, &tenant, accept, output).await
        }
        Identity::Canary(arguments) => super::canary::send(&service, arguments, output).await,
        Identity::BlastRadius(arguments) => super::blast::run(&service, arguments, output).await,
        Identity::Ledger(command) => super::ledger::run(&service, command, output).await,
    }
}

async fn status(service: &Service, tenant: Option<&TenantName>, output: &Output) -> Outcome {
    if let Some(tenant) = tenant {
        service.tenant(tenant).await?;
    }
    let signer = service.signer().await?;
    let all = signer.credentials(tenant).await.map_err(ServiceError::from)?;
    let failing = service.key_failures(tenant).await?;
    if output.is_json() {
        for one in &all {
            let mut value = json_of(one);
            let is_its = |(of, function, _): &&(TenantName, Function, KeyFailure)| {
                *of == one.key_use.tenant && *function == one.key_use.function
            };
            value["failing"] = json!(failing.iter().find(is_its).map(|(_, _, failure)| failure));
            output.result(&value, String::new);
        }
        return Ok(Exit::Done);
    }
    let (mut rows, mut ending) = (Vec::new(), Vec::new());
    for one in &all {
        let KeyUse { tenant, function } = &one.key_use;
        for key in &one.keys {
            if let Some(expiry) = certificates::ending(one, key) {
                ending.push(format!("{tenant} {function}: {}", plain(&expiry.text)));
            }
            rows.push(vec![
                one.key_use.tenant.to_string(),
                one.key_use.function.to_string(),
                slot(key.slot).to_owned(),
                format!("until {}", rfc3339(key.certificate.not_after)),
                key.certificate.thumbprint_sha1.clone(),
                key.key_id.clone(),
            ]);
        }
    }
    output.result(&json!({}), || {
        let ending = ending.iter().map(|line| format!("\n{line}"));
        let mut text = format!("{}{}", table(&rows), ending.collect::<String>());
        for (tenant, function, KeyFailure { since, tries, error, next }) in &failing {
            text.push_str(&format!(
                "\n{tenant} {function}: its key cannot be changed since {} ({tries} tries; next {}): {}",
                rfc3339(*since),
                rfc3339(*next),
                plain(error)
            ));
        }
        text
    });
    Ok(Exit::Done)
}

fn slot(slot: Slot) -> &'static str {
    match slot {
        Slot::Active => "signs",
        Slot::Prepared => "prepared",
        Slot::Retiring => "retiring",
    }
}

fn json_of(one: &CredentialInfo) -> Value {
    let key = |key: &KeyInfo| {
        json!({
            "key_id": key.key_id,
            "slot": key.slot,
            "thumbprint_sha256": key.certificate.thumbprint_sha256,
            "thumbprint_sha1": key.certificate.thumbprint_sha1,
            "not_before": rfc3339(key.certificate.not_before),
            "not_after": rfc3339(key.certificate.not_after),
            "issuer": Some(&key.certificate.issuer).filter(|issuer| !issuer.is_empty()),
            "ends_soon": certificates::ending(one, key).map(|expiry| expiry.text),
        })
    };
    json!({
        "tenant": one.key_use.tenant,
        "function": one.key_use.function,
        "state": one.state,
        "client_id": one.binding.as_ref().map(|binding| &binding.client_id),
        "keys": one.keys.iter().map(key).collect::<Vec<_>>(),
    })
}

async fn rotate(service: &Arc<Service>, arguments: Rotate, output: &Output) -> Outcome {
    let deadline = arguments.deadline;
    let Some(tenant) = arguments.whose.tenant.clone() else {
        return fleet::rotate(Arc::clone(service), arguments, output).await;
    };
    let mut exit = Exit::Done;
    let functions = match arguments.function.as_slice() {
        [] => functions_of(service, &tenant).await?,
        some => some.to_vec(),
    };
    for function in functions {
        match service.rotate(&tenant, function, deadline).await {
            Ok(rotation) => {
                output.result(&rotation, || rotation_text(&rotation));
                if rotation.stage != Stage::Settled {
                    exit = Exit::Partly;
                }
            }
            Err(error) => {
                exit = Exit::Partly;
                fleet::complain(&tenant, function, &error.to_string(), output);
            }
        }
    }
    Ok(exit)
}

/// The functions of a tenant that have a key, but for the one that lives as long as a restore.
async fn functions_of(service: &Service, tenant: &TenantName) -> Result<Vec<Function>, Failure> {
    let tenant = service.tenant(tenant).await?;
    let functions = tenant.functions.into_iter().map(|one| one.function);
    Ok(functions.filter(|one| *one != Function::Restorer).collect())
}

pub(super) fn rotation_text(rotation: &Rotation) -> String {
    let Rotation { tenant, function, stage, late, .. } = rotation;
    let stage = match stage {
        Stage::Settled => "done: one key, accepted; the old one is refused",
        Stage::Registering => "a new key is being registered",
        Stage::Verifying => "the provider does not take the new key yet; the old one signs",
        Stage::Retiring => "the new key signs; the provider still takes the old one",
        Stage::LockedOut => "no key of ours is accepted",
    };
    let late = if *late { ", for longer than it should" } else { "" };
    let mut text = format!("{tenant} {function}: {stage}{late}");
    for step in &rotation.done {
        text.push_str(&format!(
            "\n  {}  key {} {}",
            rfc3339(step.at),
            step.key_id,
            step.what.as_str()
        ));
    }
    if let Some(what) = &rotation.waits_for {
        text.push_str(&format!("\n  {what}"));
    }
    text
}

async fn revoke(service: &Arc<Service>, arguments: Revoke, output: &Output) -> Outcome {
    let Some(tenant) = arguments.whose.tenant.clone() else {
        return fleet::revoke(Arc::clone(service), arguments, output).await;
    };
    let (deadline, distrust) = (arguments.deadline, arguments.distrust_prepared);
    let report = service.revoke(&tenant, &arguments.reason, distrust, deadline).await?;
    output.result(&report, || revocation_text(&report));
    Ok(if report.is_complete() { Exit::Done } else { Exit::Partly })
}

pub(super) fn revocation_text(report: &Revocation) -> String {
    let mut text: Vec<String> = report.rotations.iter().map(rotation_text).collect();
    for purged in &report.purged {
        text.push(format!("{}: removed {}", purged.function, plain(&purged.what)));
    }
    if !report.left.is_empty() {
        text.push("Left to do, by an administrator of the tenant:".to_owned());
        text.extend(
            report.left.iter().map(|left| format!("  {}: {}", left.function, plain(&left.what))),
        );
    }
    let tenant = &report.tenant;
    if !report.cut.is_empty() {
        let cut: Vec<&str> = report.cut.iter().map(|function| function.as_str()).collect();
        text.push(format!(
            "Tokens under continuous access evaluation were ended: {}",
            cut.join(", ")
        ));
    }
    text.push(format!(
        "Other tokens that were given out before still work until they end: 'mailkeep identity blast-radius {tenant}' says until when"
    ));
    text.join("\n")
}

async fn import(
    service: &Service,
    tenant: &TenantName,
    path: &std::path::Path,
    output: &Output,
) -> Result<(), Failure> {
    let file = File::open(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let (calls, damaged) = service.import_calls(tenant, BufReader::new(file)).await?;
    output.note(&format!("{}: {calls} requests, {damaged} lines not understood", path.display()));
    Ok(())
}

async fn reconcile(service: &Service, tenant: &TenantName, output: &Output) -> Outcome {
    let done = service.reconcile(tenant, OffsetDateTime::now_utc()).await?;
    let open = open_incidents(service, tenant).await?;
    let value = json!({
        "tenant": tenant,
        "logs": done.logs,
        "own_sign_ins": done.ours.0,
        "own_accesses": done.ours.1,
        "foreign_tokens": done.found.rogue.len(),
        "incidents": done.incidents.iter().map(|(recorded, incident)| {
            json!({"id": recorded.id(), "new": is_new(*recorded), "incident": incident})
        }).collect::<Vec<_>>(),
        "seen": {
            "sign_ins": done.found.seen.sign_ins,
            "mail_accesses": done.found.seen.mail,
            "calls": done.found.seen.calls,
        },
        "open": open,
        "registrations_unread": done.unread,
    });
    output.result(&value, || reconciled_text(tenant, &done, open.len()));
    Ok(if open.is_empty() { Exit::Done } else { Exit::Incident })
}

/// The numbers of a tenant's open incidents.
pub(super) async fn open_incidents(
    service: &Service,
    tenant: &TenantName,
) -> Result<Vec<i64>, Failure> {
    let all = service.incidents(Some(tenant)).await?;
    Ok(all.into_iter().filter(|one| one.closed.is_none()).map(|one| one.id).collect())
}

fn is_new(recorded: Recorded) -> bool {
    matches!(recorded, Recorded::New(_))
}

fn reconciled_text(tenant: &TenantName, done: &Reconciled, open: usize) -> String {
    let mut lines = Vec::new();
    for log in &done.logs {
        let damaged = match log.damaged {
            0 => String::new(),
            count => format!("; {count} records not understood"),
        };
        let name = log.log.as_str().replace('_', " ");
        lines.push(format!("{name}: {}{damaged}", report::source_text(&log.source)));
    }
    if let Some(why) = &done.unread {
        lines.push(format!("registrations: not read: {why}"));
    }
    let (sign_ins, accesses) = done.ours;
    lines.push(format!("ours: {sign_ins} sign-ins, {accesses} records of reads of mail"));
    for (recorded, incident) in &done.incidents {
        let new = if is_new(*recorded) { "NEW " } else { "" };
        let text = report::incident_text(tenant.as_str(), incident);
        lines.push(format!("{new}incident {}: {text}", recorded.id()));
    }
    lines.push(match open {
        0 => "no open incident".to_owned(),
        count => format!("{count} open incidents; 'mailkeep incidents {tenant}' lists them"),
    });
    lines.join("\n").lines().map(plain).collect::<Vec<_>>().join("\n")
}
