//! What the provider's logs can be trusted to show, and when we are blind.
//!
//! That nothing stands in a log says something only of a time in which the log was complete. Nobody
//! tells us that it was; but our own uses have to be in it. So a time counts as *seen* when it lies
//! between two of our own uses, next to each other, that both arrived, and is old enough that what was
//! still on its way has come. Everything else is *blind*. A gap in the log that is shorter than the
//! distance of two uses can go unnoticed: how often we sign in is how finely we see.
//!
//! A log of many mailboxes has more to be seen by than what we did in one: see [`lost_for_all`].

use std::collections::HashMap;

use mailkeep_model::MailAccess;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{Span, Spans};

/// Whether a log was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum LogSource {
    /// It was not, and why: not licensed, no right to it, not set up, out of reach.
    Absent {
        /// Why, for people.
        why: String,
    },
    /// It was, with everything in it since then but for the holes.
    Read {
        /// The beginning of what was read.
        #[serde(with = "time::serde::rfc3339")]
        since: OffsetDateTime,
        /// When it was last read.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
        /// How long a record takes to show up, at most.
        settle: Settle,
        /// When something was told that is not understood, or was no longer given out.
        #[serde(default, skip_serializing_if = "Spans::is_empty")]
        holes: Spans,
    },
}

/// How long a record takes to show up at most; what is younger counts as not seen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settle(pub u32);

impl Settle {
    /// As a duration; the number is seconds.
    pub fn duration(self) -> Duration {
        Duration::seconds(self.0.into())
    }
}

/// One of our own uses that a log has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beacon {
    /// When it was, by our clock.
    pub(crate) sent: OffsetDateTime,
    /// When it was, by the log; `None` when the log does not have it.
    pub(crate) arrived: Option<OffsetDateTime>,
}

/// When a log shows all that happened.
pub(crate) fn seen(mut beacons: Vec<Beacon>, source: &LogSource, now: OffsetDateTime) -> Spans {
    let LogSource::Read { since, until, settle, holes } = source else { return Spans::default() };
    beacons.sort_by_key(|beacon| beacon.sent);
    let horizon = now.min(*until) - settle.duration();
    let Some(whole) = Span::new(*since, horizon) else { return Spans::default() };
    let between: Spans = beacons
        .windows(2)
        .filter_map(|pair| Span::new(pair[0].arrived?, pair[1].arrived?))
        .filter_map(|span| span.intersection(&whole))
        .collect();
    between.without(holes)
}

/// When a log of many mailboxes lost what it should have, by what is missing in any of them (`sent` by our
/// clock; those that had fallen silent left out).
///
/// What one mailbox misses while others arrive is its own affair: it is audited differently, or has fallen silent
/// without saying so. When nothing of any arrives meanwhile, the log has lost it, and a mailbox that we did not
/// read just then is as blind as the one that we did: from the last use before that arrived to the first after it.
pub(crate) fn lost_for_all<'a>(
    mailboxes: impl Iterator<Item = &'a [Beacon]> + Clone,
    source: &LogSource,
    now: OffsetDateTime,
) -> Spans {
    let LogSource::Read { since, until, settle, .. } = source else { return Spans::default() };
    let horizon = now.min(*until) - settle.duration();
    let mut there: Vec<(OffsetDateTime, OffsetDateTime)> = mailboxes
        .clone()
        .flatten()
        .filter_map(|beacon| Some((beacon.sent, beacon.arrived?)))
        .collect();
    there.sort_unstable();
    let lost = |run: &[Beacon]| {
        let (first, last) = (run.first()?.sent, run.last()?.sent);
        let behind = there.partition_point(|(sent, _)| *sent < first);
        let next = there.get(behind);
        if next.is_some_and(|(sent, _)| *sent <= last) {
            return None;
        }
        let from = behind.checked_sub(1).map_or(*since, |before| there[before].1);
        Span::new(from, next.map_or(horizon, |(_, arrived)| *arrived))
    };
    let mut spans = Vec::new();
    // Of a mailbox of which nothing ever arrives, nothing is lost.
    for beacons in mailboxes.filter(|beacons| beacons.iter().any(|one| one.arrived.is_some())) {
        let mut old: Vec<Beacon> =
            beacons.iter().filter(|beacon| beacon.sent <= horizon).copied().collect();
        old.sort_by_key(|beacon| beacon.sent);
        let runs = old.chunk_by(|one, next| one.arrived.is_none() == next.arrived.is_none());
        spans.extend(runs.filter(|run| run[0].arrived.is_none()).filter_map(lost));
    }
    spans.into_iter().collect()
}

/// When mailboxes recorded nothing because they had recorded too much, by mailbox.
pub(crate) fn silent_mailboxes(accesses: &[MailAccess]) -> HashMap<&str, Spans> {
    let mut silences: HashMap<&str, Vec<Span>> = HashMap::new();
    for access in accesses.iter().filter(|access| access.throttled) {
        let silence = Span { from: access.at, to: access.at + MailAccess::SILENCE };
        silences.entry(&access.mailbox).or_default().push(silence);
    }
    silences.into_iter().map(|(mailbox, spans)| (mailbox, spans.into_iter().collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::minutes(minutes)
    }

    fn read(since: i64, until: i64, settle: u32) -> LogSource {
        let (since, until, settle) = (at(since), at(until), Settle(settle * 60));
        LogSource::Read { since, until, settle, holes: Spans::default() }
    }

    fn beacons(arrived: &[(i64, bool)]) -> Vec<Beacon> {
        let beacon = |(sent, there): &(i64, bool)| Beacon {
            sent: at(*sent),
            arrived: there.then(|| at(*sent)),
        };
        arrived.iter().map(beacon).collect()
    }

    fn span(from: i64, to: i64) -> Span {
        Span { from: at(from), to: at(to) }
    }

    #[test]
    fn nothing_is_seen_around_a_use_of_ours_that_never_arrived() {
        let log = read(0, 60, 0);
        let all = beacons(&[(0, true), (5, true), (10, false), (15, true), (20, true)]);
        let seen = seen(all, &log, at(60));
        assert_eq!(seen.as_slice(), [span(0, 5), span(15, 20)]);
    }

    #[test]
    fn one_record_that_is_not_understood_blinds_its_own_moment_and_nothing_behind_it() {
        let holes: Spans = [span(22, 24)].into_iter().collect();
        let (since, until, settle) = (at(0), at(60), Settle(0));
        let log = LogSource::Read { since, until, settle, holes };
        let all = beacons(&[(0, true), (20, true), (40, true), (60, true)]);
        assert_eq!(seen(all, &log, at(60)).as_slice(), [span(0, 22), span(24, 60)]);
    }

    #[test]
    fn what_the_log_lost_of_one_mailbox_blinds_those_that_were_not_read_meanwhile() {
        let log = read(0, 90, 0);
        let ada = beacons(&[(0, true), (20, false), (25, false), (40, true)]);
        let bob = beacons(&[(5, true), (35, true), (60, true)]);
        let lost = lost_for_all([&*ada, &*bob].into_iter(), &log, at(90));
        assert_eq!(lost.as_slice(), [span(5, 35)]);
        // Nothing has arrived since.
        let bob = beacons(&[(5, true), (22, false)]);
        let ada = beacons(&[(0, true), (20, false), (25, false)]);
        let lost = lost_for_all([&*ada, &*bob].into_iter(), &log, at(90));
        assert_eq!(lost.as_slice(), [span(5, 90)]);
    }

    #[test]
    fn a_mailbox_that_is_not_audited_or_fell_silent_blinds_no_other() {
        let log = read(0, 90, 0);
        let bob = beacons(&[(5, true), (35, true), (60, true)]);
        let silent = beacons(&[(0, true), (20, false), (40, false), (70, true)]);
        let never = beacons(&[(30, false)]);
        let young = (beacons(&[(0, true), (95, false)]), beacons(&[(5, true)]));
        for all in [[&*silent, &*bob], [&*never, &*bob], [&*young.0, &*young.1]] {
            assert!(lost_for_all(all.into_iter(), &log, at(90)).is_empty());
        }
    }

    #[test]
    fn nothing_is_seen_before_it_has_had_time_to_arrive() {
        let log = read(2, 55, 30);
        let seen = seen(beacons(&[(0, true), (20, true), (40, true)]), &log, at(55));
        assert_eq!(seen.as_slice(), [span(2, 25)]);
        let broken = read(2, 40, 30);
        let before = super::seen(beacons(&[(0, true), (20, true), (40, true)]), &broken, at(55));
        assert_eq!(before.as_slice(), [span(2, 10)], "nothing behind the last whole reading");
        let absent = LogSource::Absent { why: "no licence".into() };
        assert!(super::seen(beacons(&[(0, true), (20, true)]), &absent, at(55)).is_empty());
    }
}
