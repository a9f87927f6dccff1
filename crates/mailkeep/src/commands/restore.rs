use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use mailkeep_service::{
    Event, Observer, OnConflict, RestoreOutcome, RestoreReport, RestoreRequest, RestoreTarget,
    RestoreWhat, RestoredItem,
};
use mailkeep_vault::FolderPath;
use serde_json::{Value, json};

use super::{Outcome, browse::rfc3339, children::until_told_to_end, open_service};
use crate::{
    cli::{Conflict, Global, Restore},
    exit::{Exit, Failure},
    output::{Output, bytes, plain},
};

/// Items that are named one by one to people; all are in JSON.
const NAMED: usize = 20;

pub(super) async fn run(global: &Global, arguments: Restore, output: &Output) -> Outcome {
    let dry_run = arguments.dry_run;
    let request = request(arguments)?;
    let service = open_service(global).await?;
    if dry_run {
        let report = service.preview_restore(&request).await?;
        for item in report.items.iter().filter(|_| output.is_json()) {
            output.result(&item_json(item), String::new);
        }
        output.result(&json_of(&report, true), || summary(&report, true));
        return Ok(Exit::Done);
    }
    let into = request.to_tenant.clone().unwrap_or_else(|| request.tenant.clone());
    let watcher = Arc::new(Watcher::new(output, into.to_string()));
    let outcome = tokio::select! {
        outcome = service.restore(&request, watcher.clone()) => outcome,
        () = until_told_to_end(false) => {
            watcher.bar.finish_and_clear();
            service.retire_restorer(&into).await?;
            return Err(Failure::failed(
                "interrupted; what was restored stays, and the same command goes on from there",
            ));
        }
    };
    watcher.bar.finish_and_clear();
    let report = outcome?;
    output.result(&json_of(&report, false), || summary(&report, false));
    Ok(if report.count("failed") == 0 { Exit::Done } else { Exit::Partly })
}

fn request(arguments: Restore) -> Result<RestoreRequest, Failure> {
    let what = match (arguments.place, arguments.item.is_empty()) {
        (Some(place), true) => RestoreWhat::Folder {
            mailbox: place.mailbox,
            path: place.path.unwrap_or_else(FolderPath::default),
        },
        (None, false) => {
            RestoreWhat::Items(arguments.item.into_iter().map(|name| name.0).collect())
        }
        _ => return Err(Failure::usage("name either MAILBOX[:PATH] or items with --item")),
    };
    let to = arguments.to.map(|place| RestoreTarget {
        mailbox: place.mailbox,
        path: place.path.unwrap_or_else(FolderPath::default),
    });
    if arguments.to_tenant.is_some() && to.is_none() {
        return Err(Failure::usage("into which mailbox of that tenant? Name it with --to"));
    }
    Ok(RestoreRequest {
        tenant: arguments.tenant,
        what,
        at: arguments.at.at,
        to,
        to_tenant: arguments.to_tenant,
        on_conflict: match arguments.on_conflict {
            Conflict::Skip => OnConflict::Skip,
            Conflict::Replace => OnConflict::Replace,
            Conflict::Copy => OnConflict::Copy,
        },
    })
}

/// Shows a restore while it runs: what to register, and each item.
struct Watcher {
    json: Output,
    tenant: String,
    bar: ProgressBar,
}

impl Watcher {
    fn new(output: &Output, tenant: String) -> Self {
        let bar = if output.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = "restore [{bar:30}] {pos}/{len} items  {elapsed}";
        bar.set_style(ProgressStyle::with_template(style).expect("a constant template"));
        Self { json: output.clone(), tenant, bar }
    }
}

impl Observer for Watcher {
    fn on_event(&self, event: &Event) {
        match event {
            Event::KeyToRegister { client_id, certificate_pem, thumbprint } => {
                let tenant = &self.tenant;
                let value = json!({
                    "register": {
                        "tenant": tenant,
                        "function": "restorer",
                        "client_id": client_id,
                        "certificate": certificate_pem,
                        "thumbprint_sha256": thumbprint,
                    }
                });
                self.bar.suspend(|| self.json.result(&value, || format!(
                    "This restore has a key of its own, which exists only while it runs. Upload its certificate to\n\
                     the application {client_id} ('Mailkeep restorer' of tenant {tenant}, Certificates & secrets) and\n\
                     remove it there afterwards:\n\n{}\n   SHA-256 thumbprint {thumbprint}\n\n\
                     waiting until Entra ID accepts it …",
                    certificate_pem.trim_end()
                )));
            }
            Event::KeyAccepted => self.bar.suspend(|| self.json.note("the key is accepted")),
            Event::Restoring { items } => self.bar.set_length(*items as u64),
            Event::Restored { item } => {
                self.bar.inc(1);
                if self.json.is_json() {
                    self.json.result(&item_json(item), String::new);
                }
            }
            _ => {}
        }
    }
}

fn item_json(item: &RestoredItem) -> Value {
    let mut value = json!({
        "item": item.item,
        "kind": item.kind,
        "mailbox": item.mailbox,
        "folder": item.folder,
        "outcome": item.outcome.as_str(),
    });
    if let RestoreOutcome::Failed(error) = &item.outcome {
        value["error"] = json!(error);
    }
    if let Some(made) = &item.made {
        value["made"] = json!(made);
    }
    if !item.lost.is_empty() {
        value["lost"] = json!(item.lost);
    }
    value
}

fn json_of(report: &RestoreReport, dry_run: bool) -> Value {
    json!({
        "tenant": report.tenant,
        "snapshot": report.snapshot,
        "taken": rfc3339(report.taken),
        "dry_run": dry_run,
        "created": report.count("created"),
        "replaced": report.count("replaced"),
        "updated": report.count("updated"),
        "present": report.count("present"),
        "failed": report.count("failed"),
        "folders_created": report.folders_created,
        "bytes": report.bytes,
        "requests": report.requests,
        "throttled": report.throttled,
        "seconds": report.seconds,
    })
}

fn summary(report: &RestoreReport, dry_run: bool) -> String {
    let mut text = format!(
        "{}from snapshot {} ({}): {} {}, {} replaced, {} set back, {} already there, {} failed; {}, {} requests, {:.1} s",
        if dry_run { "nothing was written. It would restore " } else { "" },
        &report.snapshot[..report.snapshot.len().min(8)],
        super::browse::minute(report.taken),
        report.count("created"),
        if dry_run { "to be made" } else { "made" },
        report.count("replaced"),
        report.count("updated"),
        report.count("present"),
        report.count("failed"),
        bytes(report.bytes),
        report.requests,
        report.seconds,
    );
    for folder in &report.folders_created {
        let verb = if dry_run { "would make" } else { "made" };
        text.push_str(&format!("\n{verb} the folder {}", plain(folder)));
    }
    let told = report.items.iter().filter_map(|item| {
        let name = format!("{} '{}'", item.item, plain(&item.subject));
        match &item.outcome {
            RestoreOutcome::Failed(error) => {
                Some(format!("not restored: {name}: {}", plain(error)))
            }
            _ if !item.lost.is_empty() => {
                Some(format!("restored, but: {name}: {}", plain(&item.lost.join("; "))))
            }
            _ => None,
        }
    });
    let told: Vec<_> = told.collect();
    for line in told.iter().take(NAMED) {
        text.push_str(&format!("\n{line}"));
    }
    if told.len() > NAMED {
        text.push_str(&format!("\n… and {} more (--json lists all)", told.len() - NAMED));
    }
    if report.count("failed") > 0 {
        text.push_str("\nthe same command tries again what failed, and makes nothing twice");
    }
    text
}
