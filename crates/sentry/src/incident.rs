//! What shows that somebody acts as us.

use std::{collections::HashSet, net::IpAddr};

use mailkeep_model::Function;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{IncidentKind, OwnRecord, Severity};

/// Pieces of evidence that an incident keeps; of what comes behind them only the count grows.
pub const MOST_EVIDENCE: usize = 200;

/// A log that evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The provider's sign-in log.
    SignIns,
    /// The provider's log of requests.
    Calls,
    /// The provider's log of reads of mail.
    MailAccesses,
    /// The provider's log of changes of the directory.
    DirectoryChanges,
    /// What the provider has now, against what we expect.
    Posture,
    /// Our own receipts and ledger.
    Ledger,
    /// What became of our canaries.
    Canary,
    /// The provider's log of changes of Exchange's configuration.
    ExchangeChanges,
}

/// One record that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When it was, by the clock of whoever wrote the record.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Which log it is from.
    pub source: Source,
    /// The log's id of the record.
    pub record: String,
    /// What it says, for people.
    pub text: String,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The token that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uti: Option<String>,
}

impl Evidence {
    /// A difference that a posture check found, by its key. What is found anew at another time is another record.
    pub(crate) fn of_posture(key: &str, since: OffsetDateTime, text: String) -> Self {
        let record = format!("{key} since {}", since.unix_timestamp());
        Self { at: since, source: Source::Posture, record, text, address: None, uti: None }
    }
}

/// Records that show one thing that somebody did as us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// What.
    pub kind: IncidentKind,
    /// How bad it is.
    pub severity: Severity,
    /// The application that it was done as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What that application is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Function>,
    /// What tells it from others of its kind: the key, the credential, the assertion, the token.
    pub subject: String,
    /// The records, oldest first, at most [`MOST_EVIDENCE`].
    pub evidence: Vec<Evidence>,
    /// How many records there are.
    pub records: u64,
    /// When the newest of them was, whether it is kept or not.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub newest: Option<OffsetDateTime>,
}

impl Incident {
    /// An incident that one record shows.
    pub fn of(
        kind: IncidentKind,
        client_id: Option<String>,
        function: Option<Function>,
        subject: &str,
        evidence: Evidence,
    ) -> Self {
        Self {
            kind,
            severity: kind.severity(),
            client_id,
            function,
            subject: subject.to_owned(),
            records: 1,
            newest: Some(evidence.at),
            evidence: vec![evidence],
        }
    }

    /// The same for all reconciliations that find this incident, and for no other incident of the
    /// tenant.
    pub fn key(&self) -> String {
        let client = self.client_id.as_deref().unwrap_or("-");
        format!("{}/{client}/{}", self.kind.as_str(), self.subject)
    }

    /// One more record that shows it.
    pub fn add(&mut self, evidence: Evidence) {
        self.records += 1;
        self.newest = self.newest.max(Some(evidence.at));
        self.evidence.push(evidence);
        self.evidence.sort_by(|a, b| (a.at, &a.record).cmp(&(b.at, &b.record)));
    }

    /// Which of our own records it is about, if it is about one.
    pub fn own_record(&self) -> Option<OwnRecord> {
        OwnRecord::of(self.kind, &self.subject)
    }

    /// This incident and what was found of it before: what the logs no longer tell stays evidence, and
    /// what was there before stays as it was seen first.
    #[must_use]
    pub fn with(mut self, before: &Self) -> Self {
        let known = |evidence: &Evidence| (evidence.source, evidence.record.clone());
        let then: HashSet<_> = before.evidence.iter().map(known).collect();
        let all_are_here = self.records == self.evidence.len() as u64;
        self.evidence.retain(|one| !then.contains(&known(one)));
        if all_are_here {
            self.newest = self.evidence.iter().map(|one| one.at).max();
        }
        self.evidence.extend(before.evidence.iter().cloned());
        self.evidence.sort_by(|a, b| (a.at, &a.record).cmp(&(b.at, &b.record)));
        self.evidence.truncate(MOST_EVIDENCE);
        self.records = self.records.max(before.records).max(self.evidence.len() as u64);
        self.newest = self.newest.max(before.newest);
        self.severity = self.severity.max(before.severity);
        self
    }
}
