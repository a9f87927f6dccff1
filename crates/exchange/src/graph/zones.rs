//! Graph's dates, times and rules of repetition. What cannot be read is said in words, for the one
//! item that has it.
//!
//! Sources: the Graph resource pages `dateTimeTimeZone`, `patternedRecurrence`,
//! `recurrencePattern`, `recurrenceRange`, `event` (`originalStart`, `cancelledOccurrences`).

use std::ops::RangeInclusive;

use mailkeep_model::{Pattern, Recurrence, Until, WeekIndex, Weekday, ZonedTime};
use time::{
    Date, OffsetDateTime, PrimitiveDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

use super::wire_outlook::{DateTimeTimeZone, PatternedRecurrence, RecurrencePattern};

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const LOCAL: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]"
);

/// Years that RFC 3339 can write.
const YEARS: RangeInclusive<i32> = 1..=9999;

/// A time on a clock of some zone; without a zone Graph means UTC.
pub(super) fn zoned(told: Option<&DateTimeTimeZone>, what: &str) -> Result<ZonedTime, String> {
    let told = told.ok_or_else(|| format!("no {what} is told"))?;
    let local = PrimitiveDateTime::parse(told.date_time.trim_end_matches('Z'), LOCAL).ok();
    let local = local.filter(|local| YEARS.contains(&local.year()));
    let local =
        local.ok_or_else(|| format!("the {what} {:?} is no time", shortened(&told.date_time)))?;
    let zone = told.time_zone.as_deref().filter(|zone| !zone.trim().is_empty()).unwrap_or("UTC");
    Ok(ZonedTime { local, zone: zone.to_owned() })
}

/// A time with its offset, in UTC.
pub(super) fn instant(text: Option<&str>) -> Option<OffsetDateTime> {
    // A time at the very end of the calendar has no equivalent in UTC.
    let utc = OffsetDateTime::parse(text?, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    YEARS.contains(&utc.year()).then_some(utc)
}

/// Whether a zone's clock shows UTC.
pub(super) fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "Etc/GMT", "tzone://Microsoft/Utc"]
        .iter()
        .any(|name| zone.eq_ignore_ascii_case(name))
}

/// The preference for times in a zone; `None` for UTC, and for a name that cannot stand in a
/// header.
pub(super) fn preference(zone: &str) -> Option<String> {
    let printable = |c: char| (c == ' ' || c.is_ascii_graphic()) && c != '"' && c != '\\';
    let usable = !is_utc(zone) && !zone.is_empty() && zone.len() <= 128;
    (usable && zone.chars().all(printable)).then(|| format!("outlook.timezone=\"{zone}\""))
}

/// The date behind the last dot of an occurrence's id: `OID.….2026-11-23`.
pub(super) fn occurrence_date(id: &str) -> Option<Date> {
    day(id.rsplit('.').next()?)
}

/// Where a series had one of its occurrences, on the clock of the series' start.
///
/// `start` is the series' first occurrence and `starts` the same in UTC. Graph gives the original
/// start in UTC, the offset on that day depends on the zone's rules, and yet the answer is known
/// without them: all occurrences of a series begin at the same time by the clock, so it is the day
/// on which that time is nearest.
pub(super) fn original(
    start: &ZonedTime,
    starts: OffsetDateTime,
    original_start: Option<&str>,
    occurrence_id: Option<&str>,
) -> Option<ZonedTime> {
    let Some(original) = instant(original_start) else {
        let date = occurrence_date(occurrence_id?)?;
        let local = PrimitiveDateTime::new(date, start.local.time());
        return Some(ZonedTime { local, zone: start.zone.clone() });
    };
    let original = PrimitiveDateTime::new(original.date(), original.time());
    let starts = PrimitiveDateTime::new(starts.date(), starts.time());
    let about = original.checked_add(start.local - starts)?;
    let at = start.local.time();
    let local = [about.date().previous_day(), Some(about.date()), about.date().next_day()]
        .into_iter()
        .flatten()
        .filter(|date| YEARS.contains(&date.year()))
        .map(|date| PrimitiveDateTime::new(date, at))
        .min_by_key(|local| (*local - about).abs())?;
    Some(ZonedTime { local, zone: start.zone.clone() })
}

/// A rule of repetition; `zone` is the one of the series' start.
pub(super) fn recurrence(told: &PatternedRecurrence, zone: &str) -> Result<Recurrence, String> {
    let range = &told.range;
    let date = |text: Option<&str>, what: &str| {
        let text = text.ok_or_else(|| format!("the series has no {what}"))?;
        day(text).ok_or_else(|| format!("the series' {what} {:?} is no date", shortened(text)))
    };
    let until = match range.kind.as_str() {
        "noEnd" => Until::Never,
        "endDate" => Until::Day(date(range.end_date.as_deref(), "last day")?),
        "numbered" => match u32::try_from(range.number_of_occurrences) {
            Ok(count) if count > 0 => Until::Count(count),
            _ => {
                return Err(format!("a series of {} occurrences", range.number_of_occurrences));
            }
        },
        other => return Err(format!("a series that ends by {:?}", shortened(other))),
    };
    let own_zone = range.recurrence_time_zone.as_deref().filter(|zone| !zone.trim().is_empty());
    Ok(Recurrence {
        pattern: pattern(&told.pattern)?,
        first: date(range.start_date.as_deref(), "first day")?,
        until,
        zone: own_zone.unwrap_or(zone).to_owned(),
    })
}

fn pattern(told: &RecurrencePattern) -> Result<Pattern, String> {
    let interval = u32::try_from(told.interval)
        .ok()
        .filter(|interval| *interval > 0)
        .ok_or_else(|| format!("a series with an interval of {}", told.interval))?;
    let month = || within(told.month, 12, "month");
    let day = || within(told.day_of_month, 31, "day of the month");
    Ok(match told.kind.as_str() {
        "daily" => Pattern::Daily { interval },
        "weekly" => {
            let first_day = match told.first_day_of_week.as_deref() {
                None | Some("") => Weekday::Sunday,
                Some(name) => weekday(name)?,
            };
            Pattern::Weekly { interval, days: days(told)?, first_day }
        }
        "absoluteMonthly" => Pattern::AbsoluteMonthly { interval, day: day()? },
        "relativeMonthly" => {
            Pattern::RelativeMonthly { interval, index: index(told)?, days: days(told)? }
        }
        "absoluteYearly" => Pattern::AbsoluteYearly { interval, month: month()?, day: day()? },
        "relativeYearly" => Pattern::RelativeYearly {
            interval,
            month: month()?,
            index: index(told)?,
            days: days(told)?,
        },
        other => return Err(format!("a series that repeats by {:?}", shortened(other))),
    })
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text, DAY).ok().filter(|date| YEARS.contains(&date.year()))
}

fn within(told: i64, most: u8, what: &str) -> Result<u8, String> {
    u8::try_from(told)
        .ok()
        .filter(|told| (1..=most).contains(told))
        .ok_or_else(|| format!("a series on {what} {told}"))
}

fn days(told: &RecurrencePattern) -> Result<Vec<Weekday>, String> {
    let names = told.days_of_week.as_deref().unwrap_or_default();
    if names.is_empty() {
        return Err("a series on no day of the week".to_owned());
    }
    names.iter().map(|name| weekday(name)).collect()
}

fn weekday(name: &str) -> Result<Weekday, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return Err(format!("{:?} is no day of the week", shortened(name))),
    })
}

fn index(told: &RecurrencePattern) -> Result<WeekIndex, String> {
    Ok(match told.index.as_deref().unwrap_or("first") {
        "first" => WeekIndex::First,
        "second" => WeekIndex::Second,
        "third" => WeekIndex::Third,
        "fourth" => WeekIndex::Fourth,
        "last" => WeekIndex::Last,
        other => return Err(format!("a series on the {:?} of its days", shortened(other))),
    })
}

/// A text from outside, short enough for a message to people.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::{date, datetime};

    use super::*;

    fn berlin(local: PrimitiveDateTime) -> ZonedTime {
        ZonedTime { local, zone: "W. Europe Standard Time".into() }
    }

    fn rule(pattern: &Value, range: &Value) -> Result<Recurrence, String> {
        let told = json!({"pattern": pattern, "range": range});
        recurrence(&serde_json::from_value(told).unwrap(), "UTC")
    }

    fn forever() -> Value {
        json!({"type": "noEnd", "startDate": "2026-01-05", "endDate": "0001-01-01",
            "recurrenceTimeZone": "W. Europe Standard Time", "numberOfOccurrences": 0})
    }

    #[test]
    fn every_rule_of_repetition_is_read() {
        use Weekday::{Friday, Monday, Sunday};
        let unset = json!({"month": 0, "dayOfMonth": 0, "firstDayOfWeek": "sunday",
            "index": "first", "interval": 2});
        let read = |kind: &str, more: Value| {
            let mut told = unset.clone();
            told["type"] = json!(kind);
            for (key, value) in more.as_object().unwrap() {
                told[key] = value.clone();
            }
            rule(&told, &forever()).unwrap().pattern
        };
        let interval = 2;
        assert_eq!(read("daily", json!({})), Pattern::Daily { interval });
        assert_eq!(
            read("weekly", json!({"daysOfWeek": ["monday", "friday"], "firstDayOfWeek": "monday"})),
            Pattern::Weekly { interval, days: vec![Monday, Friday], first_day: Monday }
        );
        assert_eq!(
            read("absoluteMonthly", json!({"dayOfMonth": 31})),
            Pattern::AbsoluteMonthly { interval, day: 31 }
        );
        let days = json!({"daysOfWeek": ["sunday"], "index": "last", "month": 10});
        let (index, sundays) = (WeekIndex::Last, vec![Sunday]);
        assert_eq!(
            read("relativeMonthly", days.clone()),
            Pattern::RelativeMonthly { interval, index, days: sundays.clone() }
        );
        assert_eq!(
            read("absoluteYearly", json!({"dayOfMonth": 29, "month": 2})),
            Pattern::AbsoluteYearly { interval, month: 2, day: 29 }
        );
        assert_eq!(
            read("relativeYearly", days),
            Pattern::RelativeYearly { interval, month: 10, index, days: sundays }
        );
    }

    #[test]
    fn a_series_ends_when_its_author_said() {
        let daily = json!({"type": "daily", "interval": 1});
        let read = |range: Value| rule(&daily, &range);
        let never = read(forever()).unwrap();
        assert_eq!((never.until, never.first), (Until::Never, date!(2026 - 01 - 05)));
        assert_eq!(never.zone, "W. Europe Standard Time");
        let mut range = forever();
        range["type"] = json!("endDate");
        range["endDate"] = json!("2026-12-31");
        range["recurrenceTimeZone"] = json!("");
        let dated = read(range.clone()).unwrap();
        assert_eq!((dated.until, dated.zone.as_str()), (Until::Day(date!(2026 - 12 - 31)), "UTC"));
        range["type"] = json!("numbered");
        range["numberOfOccurrences"] = json!(10);
        assert_eq!(read(range).unwrap().until, Until::Count(10));
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_an_error_and_not_another_rule() {
        let weekly = |more: Value| {
            let mut told = json!({"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]});
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            rule(&told, &forever())
        };
        assert!(weekly(json!({})).is_ok());
        for odd in [
            json!({"interval": 0}),
            json!({"interval": -1}),
            json!({"interval": 4_294_967_296_i64}),
            json!({"daysOfWeek": []}),
            json!({"daysOfWeek": ["someday"]}),
            json!({"firstDayOfWeek": "x"}),
            json!({"type": "hourly"}),
            json!({"type": "absoluteMonthly", "dayOfMonth": 32}),
            json!({"type": "absoluteYearly", "dayOfMonth": 1, "month": 13}),
            json!({"type": "relativeMonthly", "index": "fifth"}),
        ] {
            assert!(weekly(odd.clone()).is_err(), "{odd}");
        }
        let daily = json!({"type": "daily", "interval": 1});
        for odd in [
            json!({"type": "noEnd"}),
            json!({"type": "noEnd", "startDate": "2026-02-30"}),
            json!({"type": "endDate", "startDate": "2026-01-01"}),
            json!({"type": "numbered", "startDate": "2026-01-01", "numberOfOccurrences": 0}),
            json!({"type": "sometime", "startDate": "2026-01-01"}),
        ] {
            assert!(rule(&daily, &odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_moved_occurrence_is_found_in_its_series_on_both_sides_of_the_time_change() {
        let (start, starts) = (berlin(datetime!(2026-01-05 10:00)), datetime!(2026-01-05 9:00 UTC));
        let at = |text: &str| original(&start, starts, Some(text), None).unwrap().local;
        assert_eq!(at("2026-02-02T09:00:00Z"), datetime!(2026-02-02 10:00));
        assert_eq!(at("2026-07-06T08:00:00Z"), datetime!(2026-07-06 10:00));
        // A zone far from Greenwich, where the date differs.
        let start =
            ZonedTime { local: datetime!(2026-01-05 08:00), zone: "Tokyo Standard Time".into() };
        let found =
            original(&start, datetime!(2026-01-04 23:00 UTC), Some("2026-03-08T23:00:00Z"), None);
        assert_eq!(found.unwrap().local, datetime!(2026-03-09 08:00));
        let found = original(&start, starts, None, Some("OID.x.y=.2026-03-09"));
        assert_eq!(found.unwrap().local, datetime!(2026-03-09 08:00));
        assert_eq!(original(&start, starts, Some("soon"), Some("OID")), None);
    }

    #[test]
    fn a_zone_named_by_an_outsider_does_not_break_the_request() {
        let preferred = preference("W. Europe Standard Time");
        assert_eq!(preferred.as_deref(), Some("outlook.timezone=\"W. Europe Standard Time\""));
        for zone in ["UTC", "", "a\"b", "a\\b", "a\r\nb", "Zürich", &"x".repeat(200)] {
            assert_eq!(preference(zone), None, "{zone:?}");
        }
    }

    #[test]
    fn odd_times_are_errors() {
        let read = |text: &str| {
            let told = DateTimeTimeZone { date_time: text.into(), time_zone: None };
            zoned(Some(&told), "start")
        };
        let good = read("2026-11-23T09:14:00.0000000").unwrap();
        assert_eq!((good.local, good.zone.as_str()), (datetime!(2026-11-23 9:14), "UTC"));
        assert_eq!(read("2026-11-23T09:14:00").unwrap().local, good.local);
        for odd in [
            "",
            "2026-11-23",
            "2026-02-30T09:14:00",
            "2026-11-23T25:00:00",
            "0000-01-01T00:00:00",
            "x",
        ] {
            assert!(read(odd).is_err(), "{odd}");
        }
        assert!(zoned(None, "start").is_err());
    }
}
