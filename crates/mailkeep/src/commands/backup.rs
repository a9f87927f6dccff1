use std::sync::Arc;

use mailkeep_model::TenantName;
use mailkeep_service::{Observer, PassReport, Service, Unobserved};
use serde_json::{Value, json};

use super::{Outcome, open_service};
use crate::{
    cli::{Backup, Global},
    exit::{Exit, Failure},
    output::{Output, bytes},
    progress::Bars,
};

/// Missed items that are named one by one to people; all are in JSON.
const NAMED: usize = 20;

pub(super) async fn run(global: &Global, arguments: &Backup, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    let report = pass(&service, &arguments.tenant, arguments, output).await?;
    output.result(&json_of(&report), || summary(&report));
    Ok(exit_of(&report))
}

async fn pass(
    service: &Service,
    tenant: &TenantName,
    arguments: &Backup,
    output: &Output,
) -> Result<PassReport, Failure> {
    Ok(service.backup(tenant, &arguments.mailbox, observer(output)).await?)
}

/// Bars for a person who watches, nothing for a program.
pub(super) fn observer(output: &Output) -> Arc<dyn Observer> {
    if output.shows_progress() { Arc::new(Bars::new()) } else { Arc::new(Unobserved) }
}

pub(super) fn exit_of(report: &PassReport) -> Exit {
    if report.is_whole() { Exit::Done } else { Exit::Partly }
}

pub(super) fn json_of(report: &PassReport) -> Value {
    let missed = report.missed.iter();
    let missed: Vec<_> = missed
        .map(|one| json!({"mailbox": one.mailbox, "item": one.item, "error": one.error}))
        .collect();
    let failures = report.failures.iter();
    let failures: Vec<_> = failures
        .map(|one| json!({"mailbox": one.mailbox, "error": one.error.to_string()}))
        .collect();
    json!({
        "tenant": report.tenant,
        "mailboxes": report.mailboxes,
        "new": report.new,
        "changed": report.changed,
        "removed": report.removed,
        "content_bytes": report.content_bytes,
        "bytes_added": report.bytes_added,
        "tree_blobs_added": report.tree_blobs_added,
        "data_blobs_added": report.data_blobs_added,
        "snapshots": report.snapshots,
        "missed": missed,
        "failed_mailboxes": failures,
        "requests": report.requests,
        "throttled": report.throttled,
        "seconds": report.seconds,
        "peak_memory_bytes": super::demo::peak_memory_bytes(),
    })
}

pub(super) fn summary(report: &PassReport) -> String {
    let mut text = format!(
        "{}: {} mailboxes, {} new, {} changed, {} removed messages; {} read, {} stored, {} requests, {:.1} s",
        report.tenant,
        report.mailboxes,
        report.new,
        report.changed,
        report.removed,
        bytes(report.content_bytes),
        bytes(report.bytes_added),
        report.requests,
        report.seconds,
    );
    if report.snapshots.is_empty() {
        text.push_str("\nnothing changed, no snapshot was needed");
    }
    for snapshot in &report.snapshots {
        text.push_str(&format!("\nsnapshot {}", &snapshot[..snapshot.len().min(8)]));
    }
    for failure in &report.failures {
        text.push_str(&format!("\nnot backed up: {}: {}", failure.mailbox, failure.error));
    }
    for missed in report.missed.iter().take(NAMED) {
        text.push_str(&format!(
            "\nmissed: {}: item {}: {}",
            missed.mailbox, missed.item, missed.error
        ));
    }
    if report.missed.len() > NAMED {
        text.push_str(&format!("\n… and {} more (--json lists all)", report.missed.len() - NAMED));
    }
    if !report.missed.is_empty() {
        text.push_str("\nmissed items are tried again in every pass");
    }
    text
}
