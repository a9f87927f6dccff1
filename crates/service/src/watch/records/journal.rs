//! The journal of a tenant's requests: a file a day, held against how much of each was seen the last time.

use std::{collections::BTreeMap, path::Path};

use mailkeep_identity::journal::{self, About};
use mailkeep_model::TenantName;
use mailkeep_sentry::{Call, CallAbout, Damage, Journal, OwnRecord, Span, Spans};
use time::{Date, Duration, OffsetDateTime, UtcOffset};

use super::Lost;
use crate::ServiceError;

pub(super) type ReadJournal = (Journal, BTreeMap<Date, u64>, Option<(Lost, Damage)>);

/// The requests of a tenant since `since`, how much of each day there is, and what is missing of what was
/// `seen`.
pub(super) fn read_journal(
    directory: &Path,
    tenant: &TenantName,
    since: OffsetDateTime,
    seen: &BTreeMap<Date, u64>,
    lost: &[Lost],
) -> Result<ReadJournal, ServiceError> {
    let io = |source| ServiceError::Data { path: directory.to_owned(), source };
    let extent = journal::extent(directory, tenant, since).map_err(io)?;
    let read = journal::read(directory, tenant, since).map_err(io)?;
    let calls = read.entries.into_iter().map(|entry| Call {
        client_request_id: entry.client_request_id,
        at: entry.at,
        job: entry.job,
        mailbox: entry.mailbox,
        about: match entry.about {
            About::Item { item } => CallAbout::Item(item),
            About::Page => CallAbout::Page,
            About::Other => CallAbout::Other,
        },
    });
    let mut holes: Vec<(OffsetDateTime, OffsetDateTime)> = read.holes;
    holes.extend(lost.iter().map(|lost| (lost.from, lost.to)));
    let mut missing = Vec::new();
    let first = since.to_offset(UtcOffset::UTC).date();
    for (day, known) in seen.range(first..) {
        let there = extent.get(day).copied().unwrap_or_default();
        if there < *known {
            let begins = day.midnight().assume_utc();
            holes.push((begins, begins + Duration::days(1)));
            missing.push((*day, known - there));
        }
    }
    let damage = missing.first().map(|(day, _)| {
        let begins = day.midnight().assume_utc();
        let lost = Lost { from: begins, to: OffsetDateTime::now_utc().max(begins) };
        let days: Vec<String> =
            missing.iter().map(|(day, bytes)| format!("{bytes} bytes of {day}")).collect();
        let damage = Damage {
            of: OwnRecord::Journal,
            whole_until: begins,
            text: format!(
                "{} are missing in {}",
                days.join(", "),
                directory.join(tenant.as_str()).display()
            ),
        };
        (lost, damage)
    });
    let holes: Spans = holes.into_iter().filter_map(|(from, to)| Span::new(from, to)).collect();
    Ok((Journal::new(calls.collect(), holes), extent, damage))
}
