use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use mailkeep_service::{
    Event, Observer, OnConflict, RestoreReport, RestoreRequest, RestoreTarget, RestoreWhat,
};
use mailkeep_vault::FolderPath;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome,
    children::until_told_to_end,
    open_service,
    restored::{Tense, item_json, json_of, summary},
};
use crate::{
    cli::{Conflict, Global, Restore},
    exit::{Exit, Failure},
    output::Output,
};

pub(super) async fn run(global: &Global, arguments: Restore, output: &Output) -> Outcome {
    let dry_run = arguments.dry_run;
    let request = request(arguments)?;
    let service = open_service(global).await?;
    if dry_run {
        let report = service.preview_restore(&request).await?;
        for item in report.items.iter().filter(|_| output.is_json()) {
            output.result(&item_json(item), String::new);
        }
        output.result(&json_of(&report, Tense::Would), || summary(&report, Tense::Would));
        return Ok(exit_of(&report));
    }
    let into = request.to_tenant.clone().unwrap_or_else(|| request.tenant.clone());
    let watcher = Arc::new(Watcher::new(output, into.to_string()));
    let called_off = CancellationToken::new();
    let restore = service.restore_until(&request, watcher.clone(), &called_off);
    tokio::pin!(restore);
    let outcome = tokio::select! {
        outcome = &mut restore => outcome,
        () = until_told_to_end(false) => {
            watcher.bar.suspend(|| output.note("stopping; what is being written is finished …"));
            called_off.cancel();
            restore.await
        }
    };
    watcher.bar.finish_and_clear();
    let report = outcome?;
    output.result(&json_of(&report, Tense::Done), || summary(&report, Tense::Done));
    Ok(exit_of(&report))
}

fn exit_of(report: &RestoreReport) -> Exit {
    let is_whole = report.stopped.is_none()
        && report.problems.is_empty()
        && ["failed", "not_tried"].iter().all(|outcome| report.count(outcome) == 0);
    if is_whole { Exit::Done } else { Exit::Partly }
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
