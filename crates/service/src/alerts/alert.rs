use std::collections::BTreeSet;

use mailkeep_control::{StoredIncident, incident_subject};
use mailkeep_model::{TenantName, one_line};
use mailkeep_sentry::{Incident, Severity, Source};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Records of the evidence that are told; the command that is named shows the others.
pub(super) const EVIDENCE_LINES: usize = 3;
/// Characters of a line of what is told: what comes from logs may be of any length.
const LONGEST_LINE: usize = 240;

/// What people are told about, as it stands now: an incident. What else is to be told, such as a
/// disruption of mail traffic, becomes one of these, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about, on this machine: `incident/12`.
    pub subject: String,
    /// The same for all that is said of it, and for nothing else that anybody says anywhere.
    pub thread: String,
    /// Whose; `None` when it is about all of this machine.
    pub tenant: Option<TenantName>,
    /// How bad it is.
    pub severity: Severity,
    /// When it began.
    pub since: OffsetDateTime,
    /// Whether it is over.
    pub closed: bool,
    /// What was said when it was closed.
    pub note: Option<String>,
    /// What happened, in one sentence.
    pub headline: String,
    /// The kinds of evidence that there are. When there is another one, it has grown.
    pub signs: BTreeSet<String>,
    /// The evidence, in a few lines.
    pub evidence: Vec<String>,
    /// What to do next: a command where there is one.
    pub next_step: String,
    /// The command that shows all of it.
    pub shown_by: String,
}

impl Alert {
    /// What there is to say of an incident.
    pub(crate) fn of_incident(stored: &StoredIncident) -> Self {
        let StoredIncident { id, tenant, .. } = stored;
        let incident: Option<Incident> = serde_json::from_value(stored.incident.clone()).ok();
        let shown_by = format!("mailkeep incidents show {id}");
        let mut alert = Self {
            subject: incident_subject(*id),
            thread: format!("mailkeep-{tenant}-incident-{id}-{}", stored.opened.unix_timestamp()),
            tenant: Some(tenant.clone()),
            severity: severity(&stored.severity),
            since: stored.opened,
            closed: stored.closed.is_some(),
            note: stored.note.as_deref().filter(|_| stored.closed.is_some()).map(line),
            headline: format!("tenant {tenant}: {}", stored.kind.replace('_', " ")),
            signs: BTreeSet::new(),
            evidence: Vec::new(),
            next_step: shown_by.clone(),
            shown_by,
        };
        // One of a later version: that there is one can be said all the same.
        let Some(incident) = incident else { return alert };
        alert.headline = format!("tenant {tenant}: {}", incident.kind.title());
        if let Some(first) = incident.evidence.first() {
            alert.since = first.at.min(stored.opened);
        }
        alert.signs = incident.evidence.iter().map(|one| name(one.source).to_owned()).collect();
        let newest = incident.evidence.len().saturating_sub(EVIDENCE_LINES);
        alert.evidence = incident.evidence[newest..]
            .iter()
            .map(|one| line(&format!("{}, {}: {}", at(one.at), name(one.source), one.text)))
            .collect();
        let told = alert.evidence.len() as u64;
        if incident.records > told {
            alert.evidence.push(format!("and {} more records", incident.records - told));
        }
        if let Some(step) = incident.kind.next_steps().first() {
            alert.next_step = step.replace("TENANT", tenant.as_str());
        }
        alert
    }
}

/// What is said of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertEvent {
    /// It began, or began again.
    Opened,
    /// There is evidence of another kind, or it is worse than it was.
    Grown,
    /// It is still open, and nobody looks after it.
    Repeated,
    /// Somebody looks after it.
    Acknowledged,
    /// It is over.
    Closed,
    /// Nothing happened: somebody wants to see that this arrives.
    Test,
}

/// What a destination is told, whatever its shape. Holds no secrets and nothing of what people
/// write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// Which of the things that can be said.
    pub event: AlertEvent,
    /// What it is about, on this machine.
    pub subject: String,
    /// The same for all that is said of it.
    pub thread: String,
    /// Whose; `None` for a test.
    pub tenant: Option<TenantName>,
    /// How bad it is.
    pub severity: Severity,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// When this was to be said.
    #[serde(with = "time::serde::rfc3339")]
    pub said: OffsetDateTime,
    /// What happened, in one sentence.
    pub headline: String,
    /// What is new in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<String>,
    /// The evidence, in a few lines.
    pub evidence: Vec<String>,
    /// What to do next.
    pub next_step: String,
    /// The command that shows all of it.
    pub shown_by: String,
}

impl AlertMessage {
    pub(crate) fn of(
        alert: &Alert,
        event: AlertEvent,
        news: Option<&str>,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            event,
            subject: alert.subject.clone(),
            thread: alert.thread.clone(),
            tenant: alert.tenant.clone(),
            severity: alert.severity,
            since: alert.since,
            said: now,
            headline: alert.headline.clone(),
            news: news.map(line),
            evidence: alert.evidence.clone(),
            next_step: alert.next_step.clone(),
            shown_by: alert.shown_by.clone(),
        }
    }

    pub(crate) fn test(now: OffsetDateTime, id: &str) -> Self {
        Self {
            event: AlertEvent::Test,
            subject: "test".to_owned(),
            thread: format!("mailkeep-test-{id}"),
            tenant: None,
            severity: Severity::Notice,
            since: now,
            said: now,
            headline: "this is how an alert of Mailkeep looks; nothing happened".to_owned(),
            news: None,
            evidence: vec!["somebody ran 'mailkeep alerts test'".to_owned()],
            next_step: "nothing: it arrived".to_owned(),
            shown_by: "mailkeep alerts list".to_owned(),
        }
    }

    /// What happened, with how bad it is and what is said of it, on one line.
    pub(crate) fn title(&self) -> String {
        let severity = self.severity.as_str().to_uppercase();
        let what = match self.event {
            AlertEvent::Opened => severity,
            AlertEvent::Grown => format!("{severity}, more of it"),
            AlertEvent::Repeated => format!("{severity}, still open"),
            AlertEvent::Acknowledged => "Acknowledged".to_owned(),
            AlertEvent::Closed => "Closed".to_owned(),
            AlertEvent::Test => "TEST".to_owned(),
        };
        line(&format!("{what}: {}", self.headline))
    }

    /// Everything below the title, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("Since {}", at(self.since))];
        lines.extend(self.news.clone());
        lines.extend(self.evidence.iter().cloned());
        if !matches!(self.event, AlertEvent::Closed | AlertEvent::Acknowledged) {
            lines.push(format!("Next: {}", self.next_step));
        }
        lines.push(format!("All of it: {}", self.shown_by));
        lines.iter().map(|text| line(text)).collect()
    }
}

/// Text from outside as one line that is not too long.
pub(crate) fn line(text: &str) -> String {
    cut(&one_line(text), LONGEST_LINE)
}

/// The beginning of a text, of at most so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

pub(crate) fn at(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_else(|_| whole.to_string())
}

fn severity(name: &str) -> Severity {
    let all = [Severity::Notice, Severity::Warning, Severity::Critical];
    // What a later version calls otherwise is rather too loud than too quiet.
    all.into_iter().find(|one| one.as_str() == name).unwrap_or(Severity::Critical)
}

fn name(source: Source) -> &'static str {
    match source {
        Source::SignIns => "sign-in log",
        Source::Calls => "log of requests",
        Source::MailAccesses => "log of reads of mail",
        Source::DirectoryChanges => "directory's log",
        Source::Posture => "registration",
        Source::Ledger => "receipts and ledger",
        Source::Canary => "canaries",
        Source::ExchangeChanges => "Exchange's log of changes",
        _ => "another source",
    }
}
