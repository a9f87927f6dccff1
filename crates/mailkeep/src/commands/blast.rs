//! `mailkeep identity blast-radius`

use std::{io::Write, path::Path};

use mailkeep_sentry::report::{self, BlastSummary, FleetPage};
use mailkeep_service::{Service, ServiceError};
use serde_json::json;
use time::OffsetDateTime;

use super::{Outcome, browse::rfc3339, fleet::bar};
use crate::{
    cli::BlastRadius,
    exit::{Exit, Failure},
    output::{Output, plain, table},
};

pub(super) async fn run(service: &Service, arguments: BlastRadius, output: &Output) -> Outcome {
    let Some(tenant) = &arguments.tenant else { return all(service, &arguments, output).await };
    let now = OffsetDateTime::now_utc();
    let report = service.blast_report(tenant, arguments.since, now).await?;
    if let Some(file) = &arguments.html {
        write(file, &report::html(&report))?;
    }
    output.result(&report, || {
        let text: Vec<String> = report::text(&report).lines().map(plain).collect();
        text.join("\n")
    });
    Ok(Exit::Done)
}

/// A line for each tenant, those reached first.
async fn all(service: &Service, arguments: &BlastRadius, output: &Output) -> Outcome {
    let now = OffsetDateTime::now_utc();
    let tenants = service.control().tenants().await.map_err(ServiceError::from)?;
    let bar = bar(tenants.len(), "reports", output);
    let mut page = arguments.html.as_ref().map(|_| FleetPage::new(arguments.since, now));
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for tenant in tenants {
        match service.blast_report(&tenant.name, arguments.since, now).await {
            Ok(report) => {
                if let Some(page) = &mut page {
                    page.add(&report);
                }
                done.push(report.summary());
            }
            Err(error) => {
                if let Some(page) = &mut page {
                    page.add_failed(tenant.name.clone(), error.to_string());
                }
                failed.push((tenant.name, error.to_string()));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let (Some(file), Some(page)) = (&arguments.html, page) {
        write(file, &page.html())?;
    }
    done.sort_by_cached_key(|one| (one.rank(), one.tenant.clone()));
    if output.is_json() {
        done.iter().for_each(|one| output.result(one, String::new));
    } else if !done.is_empty() {
        output.result(&json!({}), || table(&done.iter().map(row).collect::<Vec<_>>()));
    }
    for (tenant, why) in &failed {
        output.complain(&format!("error: {tenant}: {}", plain(why)));
        if output.is_json() {
            output.result(&json!({"tenant": tenant, "error": why}), String::new);
        }
    }
    let reached = done.iter().filter(|one| one.reached).count();
    let (of, without) = (done.len() + failed.len(), failed.len());
    output.note(&format!("{of} tenants, {reached} of them reached, {without} without a report"));
    Ok(if failed.is_empty() { Exit::Done } else { Exit::Partly })
}

fn row(one: &BlastSummary) -> Vec<String> {
    let known = match (one.mailboxes_reached, one.reached, one.unattributed) {
        (1.., ..) => "MAIL WAS READ",
        (0, true, _) => "foreign token",
        (0, false, 1..) => "unattributed reads",
        (0, false, 0) => "-",
    };
    vec![
        one.tenant.to_string(),
        known.to_owned(),
        format!("{} tokens", one.tokens),
        format!("{} of {} mailboxes", one.mailboxes_reached, one.mailboxes),
        format!("{} messages", one.messages),
        one.blind.map_or_else(|| "-".to_owned(), |share| format!("{:.1} % blind", share * 100.0)),
        one.live_until.map_or_else(String::new, |until| format!("until {}", rfc3339(until))),
    ]
}

/// Writes a page whole or not at all: whoever looks at the file never sees half a report.
fn write(file: &Path, page: &str) -> Result<(), Failure> {
    let written = || -> std::io::Result<()> {
        let directory = file.parent().filter(|one| !one.as_os_str().is_empty());
        let mut new = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        new.write_all(page.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(file)?;
        Ok(())
    };
    written().map_err(|error| Failure::failed(format!("cannot write {}: {error}", file.display())))
}
