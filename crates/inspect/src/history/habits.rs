use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Departure, RuleRead, Sent, known::Known};

/// How far back a mailbox's habits go: a newsletter that is sent once a month is one.
const WEEKS: i64 = 8;
/// Hours of which the messages are counted.
const MOST_HOURS: usize = WEEKS as usize * 7 * 24;
/// Pairs of hour and link of which the people are counted.
const MOST_PAIRS: usize = 512;
/// A mailbox that nobody showed us from its beginning is known after this long.
const LEARNED: i64 = 4 * 7 * 24;
/// Messages before it means something that a program, a language or a person is new.
const FEW: u32 = 30;
/// And that an hour of the day is.
const MANY: u32 = 200;
/// Recipients of a message from which on it means something that most are strangers.
const SOME: usize = 5;
/// How long a rule is new.
const NEW_RULE: Duration = Duration::days(14);
/// Rules that are remembered.
const MOST_RULES: usize = 64;

/// What a mailbox is used to: whom it writes to, how much and when, which links it sends, with
/// which programs and in which languages, and the inbox rules that hide its mail. At most
/// 120 kB as JSON, most often a tenth of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Habits {
    /// All that the mailbox held when it was first backed up has been learned.
    settled: bool,
    /// The hour since which the mailbox is known.
    since: i64,
    messages: u32,
    hours: BTreeMap<i64, u32>,
    of_day: [u32; 24],
    recipients: Known<2_048>,
    domains: Known<512>,
    links: Known<512>,
    clients: Known<16>,
    languages: Known<16>,
    /// People to whom a link was sent within an hour.
    people: BTreeMap<i64, BTreeMap<u32, u32>>,
    /// The most of a day.
    campaigns: BTreeMap<i32, u32>,
    /// Hiding rules, with the second when they were first seen; `None`: before we knew the mailbox.
    rules: BTreeMap<u32, Option<i64>>,
}

impl Habits {
    /// Those of a mailbox that is known from now on.
    pub fn new(now: OffsetDateTime) -> Self {
        Self { since: now.unix_timestamp().div_euclid(3_600), ..Self::default() }
    }

    /// Notes that the first backup has come to its end: from now on what is new is new.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// Learns what the mailbox sent.
    pub fn learn(&mut self, sent: &Sent) {
        let hour = sent.hour();
        let day = day_of(hour);
        self.messages = self.messages.saturating_add(1);
        add(self.hours.entry(hour).or_default(), 1);
        add(&mut self.of_day[hour.rem_euclid(24) as usize], 1);
        sent.recipients.iter().for_each(|recipient| self.recipients.see(*recipient, day));
        sent.domains.iter().for_each(|domain| self.domains.see(*domain, day));
        sent.client.iter().for_each(|client| self.clients.see(*client, day));
        sent.language.iter().for_each(|language| self.languages.see(*language, day));
        for &link in &sent.links {
            self.links.see(link, day);
            let people = self.people.entry(hour).or_default().entry(link).or_default();
            add(people, sent.recipients.len().max(1) as u32);
            let people = *people;
            let largest = self.campaigns.entry(day).or_default();
            *largest = (*largest).max(people);
        }
        self.forget(hour);
    }

    /// Notes that the mailbox has this rule. What is there when the mailbox is first read is none of
    /// its news.
    pub fn see_rule(&mut self, rule: &RuleRead, now: OffsetDateTime) {
        if rule.hides() && self.rules.len() < MOST_RULES {
            let at = self.settled.then(|| now.unix_timestamp());
            self.rules.entry(rule.digest).or_insert(at);
        }
    }

    /// In which ways a message departs from the habits, which do not know it yet. `None` while too
    /// little is known to tell.
    pub(crate) fn departure(&self, sent: &Sent, now: OffsetDateTime) -> Option<Departure> {
        let hour = sent.hour();
        let day = day_of(hour);
        if !self.settled
            && now.unix_timestamp().div_euclid(3_600).saturating_sub(self.since) < LEARNED
        {
            return None;
        }
        // Of the clock hour before, the share that lies within 60 minutes.
        let minute = (sent.at.unix_timestamp().rem_euclid(3_600) / 60) as u32;
        let sliding = |now: u32, before: u32| {
            now.saturating_add((u64::from(before) * u64::from(60 - minute) / 60) as u32)
        };
        let count = |hour: i64| self.hours.get(&hour).copied().unwrap_or_default();
        let people = |hour: i64, link: u32| {
            self.people.get(&hour).and_then(|links| links.get(&link)).copied().unwrap_or_default()
        };
        let to = sent.recipients.len().max(1) as u32;
        let new_links = sent.links.iter().filter(|link| !self.links.has_before(**link, day));
        let same_link = new_links
            .map(|&link| sliding(people(hour, link).saturating_add(to), people(hour - 1, link)));
        let usual = |hours: std::ops::Range<i64>| {
            self.hours.range(hours).map(|(_, count)| *count).max().unwrap_or_default()
        };
        let earlier = day - (WEEKS * 7) as i32..day;
        let new_rule =
            self.rules.values().flatten().max().map(|at| now.unix_timestamp().saturating_sub(*at));
        let strangers = sent.recipients.iter().filter(|one| !self.recipients.has(**one)).count();
        let strange_domains = sent.domains.iter().any(|domain| !self.domains.has(*domain));
        let around = [23, 0, 1].map(|shift| self.of_day[(hour + shift).rem_euclid(24) as usize]);
        let is_new = |known: bool| self.messages >= FEW && !known;
        Some(Departure {
            sent_last_hour: sliding(count(hour).saturating_add(1), count(hour - 1)),
            // What came the day before may be the same attack.
            busiest_hour: usual(hour - WEEKS * 7 * 24..hour - 24),
            same_link_recipients: same_link.max().unwrap_or_default(),
            largest_campaign: self
                .campaigns
                .range(earlier)
                .map(|(_, n)| *n)
                .max()
                .unwrap_or_default(),
            hiding_rule: new_rule.map(Duration::seconds).filter(|age| *age <= NEW_RULE),
            first_client: sent
                .client
                .is_some_and(|client| is_new(self.clients.is_empty() || self.clients.has(client))),
            first_language: sent.language.is_some_and(|language| {
                is_new(self.languages.is_empty() || self.languages.has(language))
            }),
            first_hour: self.messages >= MANY && around == [0; 3],
            strangers: self.messages >= FEW
                && sent.recipients.len() >= SOME
                && strangers * 2 > sent.recipients.len()
                && strange_domains,
        })
    }

    /// Keeps what is counted within its bounds: what is furthest from the present message goes.
    fn forget(&mut self, hour: i64) {
        while self.hours.len() > MOST_HOURS {
            self.hours.pop_first();
        }
        while self.campaigns.len() > (WEEKS * 7) as usize {
            self.campaigns.pop_first();
        }
        while self.people.values().map(BTreeMap::len).sum::<usize>() > MOST_PAIRS {
            let (first, last) = (self.people.first_key_value(), self.people.last_key_value());
            let (Some((&first, _)), Some((&last, _))) = (first, last) else { break };
            let (before, after) = (hour.saturating_sub(first), last.saturating_sub(hour));
            let furthest = if before >= after { first } else { last };
            if furthest == hour {
                // One hour with so many links: the rest of them is not counted.
                self.people.entry(hour).or_default().pop_last();
            } else {
                self.people.remove(&furthest);
            }
        }
    }
}

fn add(count: &mut u32, more: u32) {
    *count = count.saturating_add(more);
}

/// The day of an hour, both counted from 1970.
fn day_of(hour: i64) -> i32 {
    hour.div_euclid(24).clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2)) as i32
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-06-01 09:00 UTC);

    fn sent(at: OffsetDateTime, to: &[u32], links: &[u32]) -> Sent {
        Sent {
            at,
            recipients: to.to_vec(),
            domains: to.iter().map(|to| to / 100).collect(),
            links: links.to_vec(),
            client: Some(1),
            language: None,
        }
    }

    /// Three letters a day to the same few, for ten weeks.
    fn quiet() -> Habits {
        let mut habits = Habits::new(START);
        habits.settle();
        for day in 0..70 {
            for hour in 0..3 {
                let at = START + Duration::days(day) + Duration::hours(hour);
                habits.learn(&sent(at, &[1, 2], &[7]));
            }
        }
        habits
    }

    #[test]
    fn a_quiet_mailbox_that_sends_one_new_link_to_many_departs_from_its_habits() {
        let mut habits = quiet();
        let now = START + Duration::days(70);
        for n in 0..40 {
            habits.learn(&sent(now + Duration::seconds(n * 30), &[1_000 + n as u32 * 100], &[66]));
        }
        let last = sent(now + Duration::minutes(21), &[9_000, 9_100, 9_200, 9_300, 9_400], &[66]);
        let departure = habits.departure(&last, now).unwrap();
        assert_eq!((departure.sent_last_hour, departure.busiest_hour), (41, 1));
        assert_eq!((departure.same_link_recipients, departure.largest_campaign), (45, 2));
        assert!(departure.strangers && !departure.first_client && !departure.first_hour);
    }

    #[test]
    fn a_newsletter_that_is_sent_every_week_is_a_habit() {
        let mut habits = Habits::new(START);
        habits.settle();
        let issue = |habits: &mut Habits, week: i64| {
            for n in 0..300 {
                let at = START + Duration::weeks(week) + Duration::seconds(n);
                habits.learn(&sent(at, &[n as u32], &[week as u32]));
            }
        };
        (0..4).for_each(|week| issue(&mut habits, week));
        let now = START + Duration::weeks(4);
        issue(&mut habits, 4);
        let departure = habits.departure(&sent(now, &[301], &[4]), now).unwrap();
        assert_eq!((departure.sent_last_hour, departure.busiest_hour), (301, 300));
        assert_eq!((departure.same_link_recipients, departure.largest_campaign), (301, 300));
    }

    #[test]
    fn the_order_in_which_a_first_backup_reads_does_not_matter() {
        let messages: Vec<Sent> = (0..200)
            .map(|n| sent(START + Duration::hours(n * 5), &[n as u32, 1], &[n as u32 % 9]))
            .collect();
        let (mut forward, mut backward) = (Habits::new(START), Habits::new(START));
        messages.iter().for_each(|sent| forward.learn(sent));
        messages.iter().rev().for_each(|sent| backward.learn(sent));
        assert_eq!(forward, backward);
        let json = serde_json::to_string(&forward).unwrap();
        assert_eq!(serde_json::from_str::<Habits>(&json).unwrap(), forward);
    }

    #[test]
    fn what_is_remembered_stays_bounded_whatever_is_sent() {
        let mut habits = Habits::new(START);
        for n in 0..20_000_u32 {
            let at = START + Duration::minutes(i64::from(n) * 7);
            let links: Vec<u32> = (0..16).map(|link| n * 16 + link).collect();
            habits.learn(&sent(at, &[n * 3, n * 3 + 1, n * 3 + 2], &links));
        }
        assert!(serde_json::to_string(&habits).unwrap().len() < 120_000);
    }

    #[test]
    fn a_mailbox_that_is_hardly_known_departs_from_nothing() {
        let mut habits = Habits::new(START);
        habits.learn(&sent(START, &[1], &[]));
        let later = |days| {
            let now = START + Duration::days(days);
            habits.departure(&sent(now, &[2], &[3]), now)
        };
        assert_eq!(later(3), None);
        assert!(later(28).is_some());
    }
}
