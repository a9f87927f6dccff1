use std::sync::Arc;

use mailkeep_exchange::ExchangeError;
use mailkeep_model::{Mailbox, TenantName};
use mailkeep_service::{Discovered, Observer, PassReport, Service, ServiceError, Unobserved};
use serde_json::{Value, json};

use super::{Outcome, open_service};
use crate::{
    cli::{Backup, Global},
    exit::{Exit, Failure},
    output::{Output, bytes, plain},
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
        .map(|one| {
            let (unread, _) = unread(&one.error);
            json!({"mailbox": one.mailbox, "unread": unread, "error": one.error.to_string()})
        })
        .collect();
    json!({
        "tenant": report.tenant,
        "mailboxes": report.mailboxes,
        "new": report.new,
        "changed": report.changed,
        "removed": report.removed,
        "content_bytes": report.content_bytes,
        "streams": report.streams,
        "without_stream": report.without_stream,
        "bytes_added": report.bytes_added,
        "tree_blobs_added": report.tree_blobs_added,
        "data_blobs_added": report.data_blobs_added,
        "snapshots": report.snapshots,
        "missed": missed,
        "failed_mailboxes": failures,
        "directory": directory_json(&report.directory),
        "requests": report.requests,
        "throttled": report.throttled,
        "seconds": report.seconds,
        "peak_memory_bytes": super::demo::peak_memory_bytes(),
    })
}

/// Who came and went, for programs.
fn directory_json(directory: &Discovered) -> Value {
    let addresses = |mailboxes: &[Mailbox]| -> Value {
        mailboxes.iter().map(|mailbox| json!(mailbox.address)).collect()
    };
    let changes = &directory.changes;
    let renamed = changes.renamed.iter();
    let renamed: Value =
        renamed.map(|one| json!({"from": one.from, "to": one.mailbox.address})).collect();
    let unclear = directory.unclear.iter();
    let unclear: Value = unclear
        .map(|(mailbox, error)| json!({"mailbox": mailbox, "error": error.to_string()}))
        .collect();
    json!({
        "added": addresses(&changes.added),
        "returned": addresses(&changes.returned),
        "renamed": renamed,
        "gone": addresses(&changes.gone),
        "error": directory.failure.as_ref().map(ToString::to_string),
        "unclear": unclear,
    })
}

/// Who came and went, for people: at most one line of each.
fn directory_words(directory: &Discovered) -> String {
    let mut text = String::new();
    let mut line = |what: &str, all: Vec<String>, end: &str| {
        if all.is_empty() {
            return;
        }
        let more = all.len().saturating_sub(NAMED);
        let named = all[..all.len() - more].join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        text.push_str(&format!("\n{what}: {named}{more}{end}"));
    };
    let addresses = |mailboxes: &[Mailbox]| -> Vec<String> {
        mailboxes.iter().map(|mailbox| mailbox.address.to_string()).collect()
    };
    let changes = &directory.changes;
    line("new mailboxes", addresses(&changes.added), "");
    line("back again", addresses(&changes.returned), "");
    let renamed = changes.renamed.iter();
    let renamed = renamed.map(|one| format!("{} is now {}", one.from, one.mailbox.address));
    line("renamed", renamed.collect(), "");
    line("gone", addresses(&changes.gone), " (their backups stay)");
    let unclear = directory.unclear.iter();
    let unclear = unclear.map(|(mailbox, error)| plain(&format!("{mailbox} ({error})")));
    line("not known whether selected", unclear.collect(), " (backed up as before)");
    if let Some(error) = &directory.failure {
        let error = plain(&error.to_string());
        text.push_str(&format!(
            "\nthe directory could not be asked, so the mailboxes of the pass before were read: {error}"
        ));
    }
    text
}

/// What of a mailbox a missing right keeps from being read, for programs and for people.
const PARTS: [(&str, &str, &str); 8] = [
    ("Calendars.Read", "calendars", "calendars not backed up (mail is not affected)"),
    ("Contacts.Read", "contacts", "contacts not backed up (mail is not affected)"),
    ("MailboxSettings.Read", "settings", "settings not backed up (mail is not affected)"),
    ("Tasks.Read.All", "tasks", "tasks not backed up (mail is not affected)"),
    ("MailboxFolder.Read.All", "streams", NO_STREAMS),
    ("MailboxItem.Read.All", "streams", NO_STREAMS),
    ("MailboxItem.Export.All", "streams", NO_STREAMS),
    ("MailboxItem.ImportExport.All", "streams", NO_STREAMS),
];
const NO_STREAMS: &str = "streams not backed up (all else is not affected)";

/// What of a mailbox an error kept from being read, for programs and for people. Mail, calendars,
/// contacts and the rest do not wait for each other.
fn unread(error: &ServiceError) -> (&'static str, &'static str) {
    if let ServiceError::Exchange(ExchangeError::Forbidden { right, .. }) = error
        && let Some((_, part, words)) = PARTS.iter().find(|(of, ..)| of == right)
    {
        return (part, words);
    }
    ("mailbox", "not backed up to its end")
}

pub(super) fn summary(report: &PassReport) -> String {
    let mut text = format!(
        "{}: {} mailboxes, {} new, {} changed, {} removed items; {} read, {} stored, {} requests, {:.1} s",
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
    text.push_str(&directory_words(&report.directory));
    if report.snapshots.is_empty() {
        text.push_str("\nnothing changed, no snapshot was needed");
    }
    if report.without_stream > 0 {
        text.push_str(&format!(
            "\n{} items are kept without the provider's stream beside them, {} with it",
            report.without_stream, report.streams
        ));
    }
    for snapshot in &report.snapshots {
        text.push_str(&format!("\nsnapshot {}", &snapshot[..snapshot.len().min(8)]));
    }
    for failure in report.failures.iter().take(NAMED) {
        let error = plain(&failure.error.to_string());
        let (_, words) = unread(&failure.error);
        text.push_str(&format!("\n{words}: {}: {error}", failure.mailbox));
    }
    if report.failures.len() > NAMED {
        let more = report.failures.len() - NAMED;
        text.push_str(&format!("\n… and {more} more (--json lists all)"));
    }
    for missed in report.missed.iter().take(NAMED) {
        text.push_str(&format!(
            "\nmissed: {}: item {}: {}",
            missed.mailbox,
            plain(&missed.item),
            plain(&missed.error)
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

#[cfg(test)]
mod tests {
    use mailkeep_model::Function;
    use mailkeep_service::{MailboxFailure, MissedItem};

    use super::*;

    #[test]
    fn a_right_to_calendars_that_is_missing_does_not_look_like_lost_mail() {
        let forbidden = |right| {
            ServiceError::from(ExchangeError::Forbidden {
                tenant: "demo".parse().unwrap(),
                function: Function::Reader,
                action: "listing".into(),
                right,
                message: "no".into(),
            })
        };
        assert_eq!(unread(&forbidden("Calendars.Read")).0, "calendars");
        assert!(unread(&forbidden("Contacts.Read")).1.starts_with("contacts not backed up"));
        assert_eq!(unread(&forbidden("MailboxItem.Export.All")).0, "streams");
        assert_eq!(unread(&forbidden("Mail.Read")).0, "mailbox");
        assert_eq!(unread(&ServiceError::Stopped).0, "mailbox");
    }

    #[test]
    fn what_a_provider_says_cannot_steer_the_terminal_in_a_summary() {
        let mailbox = || "ann@example.com".parse().unwrap();
        let tenant: TenantName = "demo".parse().unwrap();
        let reason = "no\x1b[2J\nrights".to_owned();
        let report = PassReport {
            tenant: tenant.clone(),
            mailboxes: 0,
            new: 0,
            changed: 0,
            removed: 0,
            content_bytes: 0,
            streams: 0,
            without_stream: 0,
            bytes_added: 0,
            tree_blobs_added: 0,
            data_blobs_added: 0,
            snapshots: vec![],
            missed: vec![MissedItem {
                mailbox: mailbox(),
                item: "i\x1b[1m".to_owned(),
                error: "bad\u{202E}\nreply".to_owned(),
            }],
            failures: vec![MailboxFailure {
                mailbox: mailbox(),
                error: ServiceError::Refused { tenant, reason },
            }],
            directory: Discovered::default(),
            requests: 0,
            throttled: 0,
            seconds: 0.0,
        };
        let text = summary(&report);
        assert!(text.contains("missed: ann@example.com: item i [1m: bad  reply\n"), "{text}");
        assert!(text.contains("no [2J rights\n") && !text.contains('\x1b'), "{text}");
    }
}
