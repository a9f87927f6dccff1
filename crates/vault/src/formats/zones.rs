//! Time zones: which one a name means, and `VTIMEZONE` for it.
//!
//! A zone whose rules are known is called by its IANA name. A name that nobody knows ("Customized
//! Time Zone") is not given rules that we made up: its times are written *floating* (RFC 5545,
//! section 3.3.5, form 1: what the clock shows wherever one is), with the name in a parameter
//! `X-MAILKEEP-ZONE`. Who reads them in the place where they were written sees the right hour.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::{
    Timestamp,
    civil::{DateTime, Weekday},
    tz::{Offset, TimeZone, TimeZoneDatabase},
};
use time::{Date, PrimitiveDateTime, Time};

use super::{
    text::{Lines, Property},
    windows,
};

/// Rules that are compiled in: the same bytes on every machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
/// Names of UTC itself, beside `Etc/UTC`.
const UTC: &[&str] = &["utc", "z", "etc/utc", "etc/uct", "uct", "zulu", "tzone://microsoft/utc"];
/// A rule is read off these years. They are late, so that it is the one which goes on for ever, and
/// 28, so that every date falls on every weekday.
const RULE_YEARS: std::ops::Range<i16> = 2044..2072;
/// The first year that a rule may hold from.
const EARLIEST_RULE: i16 = 1970;
/// A zone without a rule has its changes listed to the end of this year, when a series has no end.
const HORIZON: i16 = 2050;
/// When what has always held began, to the eyes of readers that want a date.
const ALWAYS: &str = "16010101T000000";

/// What a zone's name means.
#[derive(Clone)]
pub(super) enum Zone {
    Utc,
    Known { id: String, rules: TimeZone },
    Unknown(String),
}

impl Zone {
    /// From a Windows name, an IANA name or a name of UTC, whatever the case.
    pub(super) fn named(name: &str) -> Self {
        let id = windows::iana(name).unwrap_or(name);
        if UTC.contains(&id.to_ascii_lowercase().as_str()) {
            return Self::Utc;
        }
        match ZONES.get(id) {
            Ok(rules) => Self::Known { id: rules.iana_name().unwrap_or(id).to_owned(), rules },
            Err(_) => Self::Unknown(name.to_owned()),
        }
    }

    /// Whether both are the same; unknown ones never are.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Utc, Self::Utc) => true,
            (Self::Known { id: a, .. }, Self::Known { id: b, .. }) => a == b,
            _ => false,
        }
    }

    /// What a clock here shows when one in `from` shows `local`; `None` when a zone is unknown.
    /// A time that a change of the clock skips or repeats is taken as RFC 5545 says.
    pub(super) fn convert(
        &self,
        local: PrimitiveDateTime,
        from: &Self,
    ) -> Option<PrimitiveDateTime> {
        if self.is(from) {
            return Some(local);
        }
        let there = from.rules()?.to_timestamp(civil(local)).ok()?;
        primitive(self.rules()?.to_datetime(there))
    }

    fn rules(&self) -> Option<TimeZone> {
        match self {
            Self::Utc => Some(TimeZone::UTC),
            Self::Known { rules, .. } => Some(rules.clone()),
            Self::Unknown(_) => None,
        }
    }

    /// Ends a line with a time in this zone.
    pub(super) fn time(&self, line: Property<'_, '_>, local: PrimitiveDateTime) {
        match self {
            Self::Utc => line.raw(&utc(local)),
            Self::Known { id, .. } => line.parameter("TZID", id).raw(&stamp(local)),
            Self::Unknown(name) => line.parameter("X-MAILKEEP-ZONE", name).raw(&stamp(local)),
        }
    }

    /// A time as the value of `UNTIL`: UTC, as RFC 5545 wants it, or floating.
    pub(super) fn until(&self, local: PrimitiveDateTime) -> String {
        match Self::Utc.convert(local, self) {
            Some(time) => utc(time),
            None => stamp(local),
        }
    }
}

/// `20261123T091400`.
pub(super) fn stamp(time: PrimitiveDateTime) -> String {
    let (hour, minute, second) = time.as_hms();
    format!("{}T{hour:02}{minute:02}{second:02}", day(time.date()))
}

/// `20261123T091400Z`.
pub(super) fn utc(time: PrimitiveDateTime) -> String {
    format!("{}Z", stamp(time))
}

/// `20261123`. No year has more or fewer digits, or a sign.
pub(super) fn day(date: Date) -> String {
    let year = date.year().clamp(1, 9999);
    format!("{year:04}{:02}{:02}", u8::from(date.month()), date.day())
}

/// The zones of one calendar, and which time they are needed for.
#[derive(Default)]
pub(super) struct Needed(BTreeMap<String, Span>);

struct Span {
    rules: TimeZone,
    first: DateTime,
    /// `None`: for ever.
    last: Option<DateTime>,
}

impl Needed {
    /// Notes that times of a zone are used, to `last` (`None`: for ever).
    pub(super) fn add(
        &mut self,
        zone: &Zone,
        first: PrimitiveDateTime,
        last: Option<PrimitiveDateTime>,
    ) {
        let Zone::Known { id, rules } = zone else { return };
        let (first, last) = (civil(first), last.map(civil));
        let span =
            self.0.entry(id.clone()).or_insert_with(|| Span { rules: rules.clone(), first, last });
        span.first = span.first.min(first);
        span.last = span.last.zip(last).map(|(a, b)| a.max(b));
    }

    pub(super) fn write(&self, lines: &mut Lines) {
        for (id, span) in &self.0 {
            lines.begin("VTIMEZONE");
            lines.property("TZID").text(id);
            span.write(lines);
            lines.end("VTIMEZONE");
        }
    }
}

impl Span {
    fn write(&self, lines: &mut Lines) {
        let rule = Rule::of(&self.rules);
        let start = self.rules.to_timestamp(self.first).unwrap_or(Timestamp::UNIX_EPOCH);
        let before = self.rules.preceding(start).next().map(|t| t.timestamp());
        let held = match before {
            Some(at) => at,
            None => {
                let offset = self.rules.to_offset_info(start);
                observance(
                    lines,
                    &Kind::new(&offset.dst(), offset.abbreviation()),
                    offset.offset(),
                    offset.offset(),
                    &[ALWAYS.to_owned()],
                    None,
                );
                start
            }
        };
        let last_year = self.last.map_or(HORIZON.max(self.first.year() + 20), |last| last.year());
        let listed = listed(
            &self.rules,
            held,
            rule.as_ref().map_or(last_year, |rule| (rule.since - 1).min(last_year)),
        );
        for (what, onsets) in listed {
            observance(lines, &what.kind, what.from, what.to, &onsets, None);
        }
        let Some(rule) = rule.filter(|rule| rule.since <= last_year) else { return };
        for change in &rule.changes {
            let first = stamp_of(change.first.local);
            observance(
                lines,
                &change.first.what.kind,
                change.first.what.from,
                change.first.what.to,
                &[first],
                Some(&change.days.rrule(change.first.local.month())),
            );
        }
    }
}

/// Changes of the clock from the one at `held` to the end of a year, those of a kind together.
fn listed(rules: &TimeZone, held: Timestamp, last_year: i16) -> Vec<(What, Vec<String>)> {
    let mut kinds: Vec<(What, Vec<String>)> = Vec::new();
    let from = held.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(held);
    for change in changes(rules, from).take_while(|change| change.local.year() <= last_year) {
        let onset = stamp_of(change.local);
        match kinds.iter_mut().find(|(what, _)| *what == change.what) {
            Some((_, onsets)) => onsets.push(onset),
            None => kinds.push((change.what, vec![onset])),
        }
    }
    kinds
}

/// One change of the clock.
struct Change {
    /// What the clock shows when it is changed.
    local: DateTime,
    what: What,
}

/// From what to what a clock is changed.
#[derive(Clone, PartialEq)]
struct What {
    kind: Kind,
    from: Offset,
    to: Offset,
}

#[derive(Clone, PartialEq)]
struct Kind {
    component: &'static str,
    name: String,
}

impl Kind {
    fn new(dst: &jiff::tz::Dst, name: &str) -> Self {
        let component = if dst.is_dst() { "DAYLIGHT" } else { "STANDARD" };
        Self { component, name: name.to_owned() }
    }
}

fn changes(rules: &TimeZone, behind: Timestamp) -> impl Iterator<Item = Change> {
    rules.following(behind).filter_map(|transition| {
        let before = transition.timestamp().checked_sub(jiff::SignedDuration::from_secs(1)).ok()?;
        let from = rules.to_offset(before);
        let what = What {
            kind: Kind::new(&transition.dst(), transition.abbreviation()),
            from,
            to: transition.offset(),
        };
        Some(Change { local: from.to_datetime(transition.timestamp()), what })
    })
}

/// The rule that a zone follows from some year on.
struct Rule {
    since: i16,
    changes: Vec<Yearly>,
}

/// One change of the clock in every year, with its first one.
struct Yearly {
    days: Days,
    first: Change,
}

/// On which day of a month: a weekday on or behind a day, or the last one.
#[derive(Clone, Copy, PartialEq)]
enum Days {
    From(i8, Weekday),
    Last(Weekday),
}

impl Rule {
    /// `None` when the zone has no changes any more, or such as no rule of this kind describes.
    fn of(rules: &TimeZone) -> Option<Self> {
        let begin = jiff::civil::date(EARLIEST_RULE, 1, 1).at(0, 0, 0, 0);
        let begin = TimeZone::UTC.to_timestamp(begin).ok()?;
        let mut years: BTreeMap<i16, Vec<Change>> = BTreeMap::new();
        for change in changes(rules, begin) {
            if change.local.year() >= RULE_YEARS.end {
                break;
            }
            years.entry(change.local.year()).or_default().push(change);
        }
        let model = years.get(&RULE_YEARS.start)?;
        let mut days = Vec::with_capacity(model.len());
        for (number, first) in model.iter().enumerate() {
            let of_years: Option<Vec<DateTime>> = RULE_YEARS
                .map(|year| years.get(&year)?.get(number).map(|change| change.local))
                .collect();
            days.push(Days::of(&of_years?, first)?);
        }
        let follows = |year: i16| {
            years.get(&year).is_some_and(|found| {
                found.len() == model.len()
                    && found.iter().zip(model).zip(&days).all(|((found, model), days)| {
                        found.what == model.what
                            && found.local.month() == model.local.month()
                            && found.local.time() == model.local.time()
                            && days.contains(found.local)
                    })
            })
        };
        if !RULE_YEARS.into_iter().all(follows) {
            return None;
        }
        let mut since = RULE_YEARS.start;
        while since > EARLIEST_RULE && follows(since - 1) {
            since -= 1;
        }
        let firsts = years.remove(&since)?;
        let changes =
            days.into_iter().zip(firsts).map(|(days, first)| Yearly { days, first }).collect();
        Some(Self { since, changes })
    }
}

impl Days {
    /// What dates of 28 years have in common.
    fn of(dates: &[DateTime], like: &Change) -> Option<Self> {
        let weekday = like.local.weekday();
        let same =
            |date: &DateTime| date.weekday() == weekday && date.month() == like.local.month();
        if !dates.iter().all(same) {
            return None;
        }
        if dates.iter().all(|date| Self::Last(weekday).contains(*date)) {
            return Some(Self::Last(weekday));
        }
        let first = dates.iter().map(|date| date.day()).min()?;
        let all = Self::From(first, weekday);
        dates.iter().all(|date| all.contains(*date)).then_some(all)
    }

    fn contains(self, date: DateTime) -> bool {
        match self {
            Self::From(first, weekday) => {
                date.weekday() == weekday && (first..first + 7).contains(&date.day())
            }
            Self::Last(weekday) => {
                date.weekday() == weekday && date.day() > date.date().days_in_month() - 7
            }
        }
    }

    fn rrule(self, month: i8) -> String {
        let day = match self {
            Self::Last(weekday) => format!("BYDAY=-1{}", code(weekday)),
            Self::From(first, weekday) if first % 7 == 1 => {
                format!("BYDAY={}{}", first / 7 + 1, code(weekday))
            }
            Self::From(first, weekday) => {
                let days: Vec<_> = (first..first + 7).map(|day| day.to_string()).collect();
                format!("BYMONTHDAY={};BYDAY={}", days.join(","), code(weekday))
            }
        };
        format!("FREQ=YEARLY;BYMONTH={month};{day}")
    }
}

fn code(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "MO",
        Weekday::Tuesday => "TU",
        Weekday::Wednesday => "WE",
        Weekday::Thursday => "TH",
        Weekday::Friday => "FR",
        Weekday::Saturday => "SA",
        Weekday::Sunday => "SU",
    }
}

/// One `STANDARD` or `DAYLIGHT`, with all its onsets, or the first and a rule.
fn observance(
    lines: &mut Lines,
    kind: &Kind,
    from: Offset,
    to: Offset,
    onsets: &[String],
    rule: Option<&str>,
) {
    let Some((first, others)) = onsets.split_first() else { return };
    lines.begin(kind.component);
    lines.property("DTSTART").raw(first);
    if let Some(rule) = rule {
        lines.property("RRULE").raw(rule);
    }
    for other in others {
        lines.property("RDATE").raw(other);
    }
    lines.property("TZOFFSETFROM").raw(&offset_text(from));
    lines.property("TZOFFSETTO").raw(&offset_text(to));
    lines.text("TZNAME", &kind.name);
    lines.end(kind.component);
}

fn offset_text(offset: Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let all = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match seconds {
        0 => format!("{sign}{hours:02}{minutes:02}"),
        _ => format!("{sign}{hours:02}{minutes:02}{seconds:02}"),
    }
}

fn stamp_of(time: DateTime) -> String {
    primitive(time).map_or_else(|| ALWAYS.to_owned(), stamp)
}

fn civil(time: PrimitiveDateTime) -> DateTime {
    let (date, (hour, minute, second)) = (time.date(), time.as_hms());
    let small = |number: u8| i8::try_from(number).unwrap_or_default();
    let year = i16::try_from(date.year()).unwrap_or_default();
    let month = small(date.month().into());
    DateTime::new(year, month, small(date.day()), small(hour), small(minute), small(second), 0)
        .unwrap_or(DateTime::ZERO)
}

fn primitive(time: DateTime) -> Option<PrimitiveDateTime> {
    let small = |number: i8| u8::try_from(number).ok();
    let month = time::Month::try_from(small(time.month())?).ok()?;
    let date = Date::from_calendar_date(time.year().into(), month, small(time.day())?).ok()?;
    let time = Time::from_hms(small(time.hour())?, small(time.minute())?, small(time.second())?);
    Some(PrimitiveDateTime::new(date, time.ok()?))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn vtimezone(zone: &str, first: PrimitiveDateTime, last: Option<PrimitiveDateTime>) -> String {
        let mut needed = Needed::default();
        needed.add(&Zone::named(zone), first, last);
        let mut written = Vec::new();
        needed.write(&mut Lines::to(&mut written));
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn every_windows_name_means_a_zone_with_rules() {
        let mut last = "";
        for (name, iana) in windows::all() {
            assert!(name > last, "{name} is out of order and would not be found");
            assert!(!matches!(Zone::named(name), Zone::Unknown(_)), "{name}: {iana}");
            last = name;
        }
        let Zone::Known { id, .. } = Zone::named("W. Europe Standard Time") else { panic!() };
        assert_eq!(id, "Europe/Berlin");
        assert!(matches!(Zone::named("utc"), Zone::Utc));
        assert!(matches!(Zone::named("tzone://Microsoft/Utc"), Zone::Utc));
        assert!(matches!(Zone::named("Customized Time Zone"), Zone::Unknown(_)));
        assert!(matches!(Zone::named("../../etc/passwd"), Zone::Unknown(_)));
    }

    #[test]
    fn a_zone_with_a_rule_is_written_with_that_rule() {
        let berlin = vtimezone("W. Europe Standard Time", datetime!(2026-11-23 10:00), None);
        assert_eq!(
            berlin.replace("\r\n", "\n"),
            "BEGIN:VTIMEZONE\nTZID:Europe/Berlin\n\
             BEGIN:DAYLIGHT\nDTSTART:19960331T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\n\
             TZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nTZNAME:CEST\nEND:DAYLIGHT\n\
             BEGIN:STANDARD\nDTSTART:19961027T030000\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\n\
             TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nTZNAME:CET\nEND:STANDARD\n\
             END:VTIMEZONE\n"
        );
    }
}
