//! Reads the provider's logs and keeps what is in them.

use std::io::BufRead;

use mailkeep_control::LogRecord;
use mailkeep_exchange::{Entry, ExchangeError, GraphAuditor, Logged, parse_activity_export};
use mailkeep_model::{ExchangeChange, MailAccess, ProviderCall, SignIn, TenantName};
use mailkeep_sentry::{Settle, Span, Spans};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{LogRead, Watch};
use crate::{Service, ServiceError};

/// How far back a log is read the first time; Entra keeps sign-ins for seven days in tenants without
/// a licence, and for thirty with one.
const FIRST: Duration = Duration::days(7);
/// Logs and we do not have the same clock.
const AROUND: Duration = Duration::seconds(30);
/// Records that are kept in one transaction.
const AT_ONCE: usize = 5000;
/// A line of an export is a request of ours, and those are short.
const LONGEST_LINE: usize = 1 << 20;

/// A log of the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogName {
    /// Attempts to get a token.
    SignIns,
    /// Reads of mail.
    MailAccesses,
    /// Requests: they do not come from an interface, but from an export ([`Service::import_calls`]).
    Calls,
    /// Changes of Exchange's configuration.
    ExchangeChanges,
}

impl LogName {
    /// Its name in the database and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIns => "sign_ins",
            Self::MailAccesses => "mail_accesses",
            Self::Calls => "calls",
            Self::ExchangeChanges => "exchange_changes",
        }
    }

    /// How long it takes to show a record at most, as far as that is known: half an hour to two hours for
    /// requests, up to a day for the audit log; for sign-ins Microsoft gives no number, minutes are usual,
    /// and what was seen at worst is taken.
    pub fn settle(self) -> Settle {
        match self {
            Self::Calls => Settle(2 * 3600),
            Self::SignIns => Settle(12 * 3600),
            Self::MailAccesses | Self::ExchangeChanges => Settle(24 * 3600),
        }
    }
}

/// How reading a log went.
pub(super) enum LogResult {
    /// It was read.
    Read { new: usize, damaged: usize },
    /// It cannot be read, and why: a right, a licence or a switch.
    Absent(String),
}

impl Service {
    /// Reads sign-ins since they were read last, and a while more: what was late is new.
    pub(super) async fn read_sign_ins(
        &self,
        auditor: &GraphAuditor,
        tenant: &TenantName,
        applications: &[String],
        watch: &mut Watch,
        now: OffsetDateTime,
    ) -> Result<LogResult, ServiceError> {
        let since = from(watch, LogName::SignIns, now);
        let told = auditor.sign_ins(since, now, applications).await;
        self.take_in(tenant, LogName::SignIns, told, |one: &SignIn| one.at, watch, now).await
    }

    /// Reads which mail was read, since that was read last.
    pub(super) async fn read_mail_accesses(
        &self,
        auditor: &GraphAuditor,
        tenant: &TenantName,
        applications: &[String],
        watch: &mut Watch,
        now: OffsetDateTime,
    ) -> Result<LogResult, ServiceError> {
        let log = LogName::MailAccesses;
        let mut told = auditor.mail_accesses(from(watch, log, now), now).await;
        if let Ok(told) = &mut told {
            // People's reads are none of ours; that a mailbox has fallen silent is.
            told.entries.retain(|access| {
                let client_id = access.client_id.as_deref();
                let ours = |client_id: &str| applications.iter().any(|one| one == client_id);
                access.throttled || client_id.is_some_and(ours)
            });
        }
        self.take_in(tenant, log, told, |one: &MailAccess| one.at, watch, now).await
    }

    /// Reads what was changed in Exchange, since that was read last. What was changed before the first look
    /// is how the tenant's administrators wanted it; our own set-up is part of that.
    pub(super) async fn read_exchange_changes(
        &self,
        auditor: &GraphAuditor,
        tenant: &TenantName,
        watch: &mut Watch,
        now: OffsetDateTime,
    ) -> Result<LogResult, ServiceError> {
        let log = LogName::ExchangeChanges;
        // A search is over some time, be it short.
        let first = watch.read.get(&log).map_or(now - Duration::MILLISECOND, |read| read.since);
        let told = auditor.exchange_changes(from(watch, log, now).max(first), now).await;
        self.take_in(tenant, log, told, |one: &ExchangeChange| one.at, watch, now).await
    }

    /// Keeps what a log told, and when it told something that is not understood.
    async fn take_in<T: Entry + Serialize>(
        &self,
        tenant: &TenantName,
        log: LogName,
        told: Result<Logged<T>, ExchangeError>,
        at: impl Fn(&T) -> OffsetDateTime,
        watch: &mut Watch,
        now: OffsetDateTime,
    ) -> Result<LogResult, ServiceError> {
        let told = match told {
            Ok(told) => told,
            // What cannot be read is not known; what others tell counts all the same.
            Err(error) => return Ok(LogResult::Absent(error.to_string())),
        };
        let (since, damaged) = (told.since, told.damaged + told.missing);
        let holes = holes(&told, now);
        let record = |one: T| LogRecord { id: one.id().to_owned(), at: at(&one), record: one };
        let records: Vec<LogRecord<T>> = told.entries.into_iter().map(record).collect();
        self.keep(tenant, log, &records).await?;
        watch.note(log, LogRead { since, until: now, holes });
        Ok(LogResult::Read { new: records.len(), damaged })
    }

    /// Takes in an export of the log of requests (Azure Monitor: `MicrosoftGraphActivityLogs`, one
    /// JSON object a line). Tells how many requests there were, and how many lines are none.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`], and when the file cannot be read.
    pub async fn import_calls(
        &self,
        tenant: &TenantName,
        mut export: impl BufRead,
    ) -> Result<(usize, usize), ServiceError> {
        let mut watch = self.watch(tenant).await?;
        let (mut calls, mut damaged, mut line) = (Vec::new(), 0, Vec::new());
        let mut taken = 0;
        let mut whole: Option<LogRead> = None;
        loop {
            line.clear();
            let length = read_line(&mut export, &mut line)
                .map_err(|source| ServiceError::Data { path: "export".into(), source })?;
            if length == 0 {
                break;
            }
            match parse_activity_export(&line) {
                Ok(Some(call)) => {
                    let (since, until, holes) = (call.at, call.at, Spans::default());
                    let read = whole.get_or_insert(LogRead { since, until, holes });
                    (read.since, read.until) = (read.since.min(since), read.until.max(until));
                    taken += 1;
                    calls.push(LogRecord {
                        id: call.request_id.clone(),
                        at: call.at,
                        record: call,
                    });
                }
                Ok(None) => {}
                Err(_) => damaged += 1,
            }
            if calls.len() >= AT_ONCE {
                self.keep::<ProviderCall>(tenant, LogName::Calls, &calls).await?;
                calls.clear();
            }
        }
        self.keep::<ProviderCall>(tenant, LogName::Calls, &calls).await?;
        // Of an export with a hole in it nobody knows where the hole is.
        if let Some(read) = whole.filter(|_| damaged == 0) {
            watch.note(LogName::Calls, read);
            let read = watch.read.remove(&LogName::Calls);
            self.change_watch(tenant, |kept| {
                kept.read.extend(read.map(|read| (LogName::Calls, read)));
            })
            .await?;
        }
        Ok((taken, damaged))
    }

    async fn keep<T: Serialize>(
        &self,
        tenant: &TenantName,
        log: LogName,
        records: &[LogRecord<T>],
    ) -> Result<(), ServiceError> {
        for some in records.chunks(AT_ONCE) {
            self.control.keep_log_records(tenant, log.as_str(), some).await?;
        }
        Ok(())
    }
}

/// When a log told something that is not understood: the moments of what has one, and all that was asked
/// for where there is something of which nobody knows when it was.
fn holes<T>(told: &Logged<T>, now: OffsetDateTime) -> Spans {
    if told.has_undated_gaps() {
        return Span::new(told.since, now).into_iter().collect();
    }
    // A record of reads is about what happened for so long after it.
    let long = MailAccess::AGGREGATED;
    told.dated.iter().map(|at| Span { from: *at - AROUND, to: *at + long + AROUND }).collect()
}

fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    std::io::Read::take(from, LONGEST_LINE as u64).read_until(b'\n', line)
}

/// From when on a log is read: what was late the last time is read again.
fn from(watch: &Watch, log: LogName, now: OffsetDateTime) -> OffsetDateTime {
    let late = (log.settle().duration() * 2_i32).max(Duration::days(1));
    watch.read.get(&log).map_or(now - FIRST, |read| read.until - late)
}
