//! What a destination is to be told now: a pure function over what there is, who looks after it, what
//! was told, and the time.

use std::collections::BTreeSet;

use mailkeep_control::Acknowledgement;
use mailkeep_model::TenantName;
use mailkeep_sentry::Severity;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Alert, AlertEvent, alert::at};

/// How long nobody is reminded, each time longer; then it stays at the last. A quarter of an hour is
/// what it takes to get to a desk; a day is how long what everybody knows may go unsaid.
const GROWING: [Duration; 4] =
    [Duration::minutes(15), Duration::hours(1), Duration::hours(4), Duration::DAY];
/// A clock that was put back by more than this does not keep us silent.
const CLOCK_SLACK: Duration = Duration::minutes(1);

/// How often a destination is reminded of what is open while nobody looks after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// After a quarter of an hour, then an hour, four hours, and every day.
    Growing,
    /// Every so many seconds.
    EverySeconds(u32),
    /// Not at all.
    Never,
}

impl Repeat {
    /// How long after the last word, when there were so many reminders before.
    fn after(self, reminders: usize) -> Option<Duration> {
        match self {
            Self::Growing => Some(GROWING[reminders.min(GROWING.len() - 1)]),
            Self::EverySeconds(seconds) => Some(Duration::seconds(seconds.into())),
            Self::Never => None,
        }
    }
}

/// What of all alerts a destination is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Nothing that is less bad.
    pub severity: Severity,
    /// Only what these tenants concerns; of all, and of this machine itself, when empty.
    pub tenants: Vec<TenantName>,
    /// How often it is reminded.
    pub repeat: Repeat,
}

impl Rule {
    fn wants(&self, alert: &Alert) -> bool {
        alert.severity >= self.severity
            && (self.tenants.is_empty()
                // What is about all of this machine is not for whoever looks after one tenant.
                || alert.tenant.as_ref().is_some_and(|one| self.tenants.contains(one)))
    }
}

/// What a destination knows of an alert that is open as far as it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When it was told last.
    #[serde(with = "time::serde::rfc3339")]
    pub last: OffsetDateTime,
    /// Reminders since it was told something new.
    pub reminders: usize,
    /// How bad it was.
    pub severity: Severity,
    /// The kinds of evidence that there were.
    pub signs: BTreeSet<String>,
    /// The acknowledgement that it was told of.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub acknowledged: Option<OffsetDateTime>,
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What.
    pub event: AlertEvent,
    /// What is new in it.
    pub news: Option<String>,
    /// What the destination knows then; `None`: that it is over.
    pub told: Option<Told>,
}

/// What a destination is to be told of an alert at `now`, if anything. `is_waiting`: something about it
/// has not arrived yet; a reminder would only say the same behind it.
///
/// An alert that the destination does not know of is told while it is open and nobody looks after it.
/// What it was told of it hears to the end: that there is more of it, at once, also when somebody looks
/// after it; that somebody does; reminders while nobody does; that it is over.
pub fn due(
    rule: &Rule,
    alert: &Alert,
    acknowledgement: Option<&Acknowledgement>,
    told: Option<&Told>,
    is_waiting: bool,
    now: OffsetDateTime,
) -> Option<Due> {
    let active = acknowledgement.filter(|one| one.until.is_none_or(|until| until > now));
    let knows = |told: Option<&Told>| {
        let mut signs = alert.signs.clone();
        signs.extend(told.iter().flat_map(|told| told.signs.iter().cloned()));
        Told {
            last: now,
            reminders: 0,
            severity: told.map_or(alert.severity, |told| told.severity.max(alert.severity)),
            signs,
            acknowledged: told.and_then(|told| told.acknowledged),
        }
    };
    let Some(told) = told else {
        if alert.closed || active.is_some() || !rule.wants(alert) {
            return None;
        }
        return Some(Due { event: AlertEvent::Opened, news: None, told: Some(knows(None)) });
    };
    if alert.closed {
        let news = alert.note.as_ref().map(|note| format!("Closed: {note}"));
        return Some(Due { event: AlertEvent::Closed, news, told: None });
    }
    if let Some(news) = growth(alert, told) {
        let event = AlertEvent::Grown;
        return Some(Due { event, news: Some(news), told: Some(knows(Some(told))) });
    }
    if let Some(active) = active {
        if told.acknowledged == Some(active.at) {
            return None;
        }
        let until = active.until.map_or_else(String::new, |until| format!(" until {}", at(until)));
        let news = format!("{} looks after it{until}: {}", active.who, active.note);
        let told = Told { acknowledged: Some(active.at), ..knows(Some(told)) };
        return Some(Due { event: AlertEvent::Acknowledged, news: Some(news), told: Some(told) });
    }
    let waited = now - told.last;
    let after = rule.repeat.after(told.reminders);
    let is_time = after.is_some_and(|after| waited >= after || waited < -CLOCK_SLACK);
    if is_waiting || !is_time {
        return None;
    }
    let news = acknowledgement
        .map(|ended| format!("{} said to look after it; that time has passed", ended.who));
    let reminders = told.reminders.saturating_add(1);
    let told = Told { reminders, ..knows(Some(told)) };
    Some(Due { event: AlertEvent::Repeated, news, told: Some(told) })
}

/// What the destination does not know of yet.
fn growth(alert: &Alert, told: &Told) -> Option<String> {
    let new: Vec<&str> = alert.signs.difference(&told.signs).map(String::as_str).collect();
    if !new.is_empty() {
        return Some(format!("New evidence: {}", new.join(", ")));
    }
    let (was, is) = (told.severity, alert.severity);
    (is > was).then(|| format!("It was {}, and is {} now", was.as_str(), is.as_str()))
}
