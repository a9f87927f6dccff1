//! What a report is made of.

use mailkeep_model::TenantName;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{BlastRadius, IncidentKind, Logs, State};

/// What was reached in one tenant, what that is known from, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlastReport {
    /// Whose.
    pub tenant: TenantName,
    /// What was reached.
    #[serde(flatten)]
    pub radius: BlastRadius,
    /// The logs that it is known from.
    pub logs: Logs,
    /// Incidents that are open or were found or changed in the time of the report, the newest first.
    pub incidents: Vec<ReportedIncident>,
    /// When the tenant's keys were revoked in that time.
    pub revoked: Vec<KeysRevoked>,
}

/// How an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Nobody has said that he looks after it.
    Open,
    /// Somebody looks after it.
    Acknowledged,
    /// It is explained.
    Closed,
}

impl IncidentState {
    /// Its name for people and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }
}

/// An incident as a report has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedIncident {
    /// Its number.
    pub id: i64,
    /// Its kind ([`IncidentKind::as_str`]), or one that this version does not know.
    pub kind: String,
    /// When it was found.
    #[serde(with = "time::serde::rfc3339")]
    pub opened: OffsetDateTime,
    /// How it stands.
    pub state: IncidentState,
    /// When it was closed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closed: Option<OffsetDateTime>,
    /// What was said when it was closed.
    pub note: Option<String>,
}

impl ReportedIncident {
    /// What happened, in a few words.
    pub fn title(&self) -> &str {
        self.known_kind().map_or(self.kind.as_str(), |kind| kind.title())
    }

    pub(super) fn known_kind(&self) -> Option<IncidentKind> {
        IncidentKind::all().find(|kind| kind.as_str() == self.kind)
    }
}

/// An order to revoke a tenant's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysRevoked {
    /// When it was given.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why.
    pub reason: String,
}

/// A tenant among many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlastSummary {
    /// Which.
    pub tenant: TenantName,
    /// Whether somebody else had a token or read mail.
    pub reached: bool,
    /// Tokens in the hands of somebody else.
    pub tokens: u64,
    /// Mailboxes in which mail was read.
    pub mailboxes_reached: u64,
    /// Mailboxes that there are.
    pub mailboxes: u64,
    /// Messages that were read, as far as the log tells them one by one.
    pub messages: u64,
    /// Folders that were read as a whole.
    pub folders: u64,
    /// Records of reads that nobody can be named for.
    pub unattributed: u64,
    /// Of the time, over all mailboxes, which part is blind: 0 to 1; `None` without mailboxes.
    pub blind: Option<f64>,
    /// When the last token has ended at the latest.
    #[serde(with = "time::serde::rfc3339::option")]
    pub live_until: Option<OffsetDateTime>,
    /// Incidents that are not closed.
    pub open_incidents: u64,
}

impl BlastReport {
    /// The tenant in one line.
    pub fn summary(&self) -> BlastSummary {
        let BlastRadius { tokens, mailboxes, live_until, .. } = &self.radius;
        let reaches = || mailboxes.values();
        let reached = reaches().filter(|reach| reach.is_reached()).count();
        let times = reaches().flat_map(|reach| &reach.timeline);
        let blind = times.clone().filter(|stretch| stretch.state == State::Blind);
        let long = |stretch: &crate::Stretch| stretch.span.to - stretch.span.from;
        let (blind, all): (Duration, Duration) = (blind.map(long).sum(), times.map(long).sum());
        let is_open = |one: &&ReportedIncident| one.state != IncidentState::Closed;
        BlastSummary {
            tenant: self.tenant.clone(),
            reached: reached > 0 || !tokens.is_empty(),
            tokens: tokens.len() as u64,
            mailboxes_reached: reached as u64,
            mailboxes: mailboxes.len() as u64,
            messages: reaches().map(|reach| reach.messages.len() as u64).sum(),
            folders: reaches().map(|reach| reach.folders.len() as u64).sum(),
            unattributed: reaches().map(|reach| reach.unattributed).sum(),
            blind: (all > Duration::ZERO).then(|| blind / all),
            live_until: *live_until,
            open_incidents: self.incidents.iter().filter(is_open).count() as u64,
        }
    }
}

impl BlastSummary {
    /// What orders tenants so that those reached come first, the worst before the others.
    pub fn rank(&self) -> impl Ord + use<> {
        std::cmp::Reverse((
            self.mailboxes_reached > 0,
            self.reached,
            self.messages,
            self.folders,
            self.tokens,
            self.unattributed,
        ))
    }
}
