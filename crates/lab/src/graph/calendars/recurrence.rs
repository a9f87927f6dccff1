//! `patternedRecurrence`, read and written.

use serde_json::{Value, json};
use time::macros::format_description;
use time::{Date, Month, Weekday};

use super::input::zone;
use crate::graph::errors::GraphError;
use crate::state::{MOST, Pattern, Recurrence, Until, WeekIndex};

/// Largest interval.
const WIDEST: i64 = 999;
const DAYS: [(Weekday, &str); 7] = [
    (Weekday::Sunday, "sunday"),
    (Weekday::Monday, "monday"),
    (Weekday::Tuesday, "tuesday"),
    (Weekday::Wednesday, "wednesday"),
    (Weekday::Thursday, "thursday"),
    (Weekday::Friday, "friday"),
    (Weekday::Saturday, "saturday"),
];

/// What a request says; null for no recurrence. The zone is empty when none is named.
pub(in crate::graph) fn read(value: &Value) -> Result<Option<Recurrence>, GraphError> {
    if value.is_null() {
        return Ok(None);
    }
    only(value, &["pattern", "range", "@odata.type"])?;
    let (pattern, range) = (&value["pattern"], &value["range"]);
    only(
        pattern,
        &[
            "type",
            "interval",
            "month",
            "dayOfMonth",
            "daysOfWeek",
            "firstDayOfWeek",
            "index",
            "@odata.type",
        ],
    )?;
    only(
        range,
        &[
            "type",
            "startDate",
            "endDate",
            "recurrenceTimeZone",
            "numberOfOccurrences",
            "@odata.type",
        ],
    )?;
    let interval = number(pattern, "interval", 1..=WIDEST)?;
    let first = date(&range["startDate"]).ok_or_else(|| refuse("range.startDate"))?;
    let until = match range["type"].as_str().map(str::to_lowercase).as_deref() {
        Some("noend") => Until::Never,
        Some("enddate") => {
            let last = date(&range["endDate"]).filter(|last| *last >= first);
            Until::Day(last.ok_or_else(|| refuse("range.endDate"))?)
        }
        Some("numbered") => {
            Until::Count(number(range, "numberOfOccurrences", 1..=i64::from(MOST))?)
        }
        _ => return Err(refuse("range.type")),
    };
    let zone = match range["recurrenceTimeZone"].as_str() {
        None | Some("") => "".into(),
        Some(name) => zone(name)?.name,
    };
    let pattern = rule(pattern)?;
    Ok(Some(Recurrence { pattern, interval, first, until, zone }))
}

fn rule(pattern: &Value) -> Result<Pattern, GraphError> {
    let day = || -> Result<u8, GraphError> {
        Ok(u8::try_from(number(pattern, "dayOfMonth", 1..=31)?).unwrap_or(1))
    };
    let month = || -> Result<Month, GraphError> {
        let number = u8::try_from(number(pattern, "month", 1..=12)?).unwrap_or(1);
        Month::try_from(number).map_err(|_| refuse("pattern.month"))
    };
    let index = || match pattern["index"].as_str() {
        None => Ok(WeekIndex::First),
        Some(name) => WeekIndex::ALL
            .into_iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|(index, _)| index)
            .ok_or_else(|| refuse("pattern.index")),
    };
    let days = || -> Result<Vec<Weekday>, GraphError> {
        let list = pattern["daysOfWeek"].as_array().filter(|list| !list.is_empty());
        list.and_then(|list| list.iter().map(weekday).collect())
            .ok_or_else(|| refuse("pattern.daysOfWeek"))
    };
    match pattern["type"].as_str().map(str::to_lowercase).as_deref() {
        Some("daily") => Ok(Pattern::Daily),
        Some("weekly") => {
            let first_day = match &pattern["firstDayOfWeek"] {
                Value::Null => Weekday::Sunday,
                value => weekday(value).ok_or_else(|| refuse("pattern.firstDayOfWeek"))?,
            };
            Ok(Pattern::Weekly { days: days()?, first_day })
        }
        Some("absolutemonthly") => Ok(Pattern::AbsoluteMonthly { day: day()? }),
        Some("relativemonthly") => Ok(Pattern::RelativeMonthly { index: index()?, days: days()? }),
        Some("absoluteyearly") => {
            let (month, day) = (month()?, day()?);
            // The 30th of February is no day of any year.
            if day > month.length(2024) {
                return Err(refuse("pattern.dayOfMonth"));
            }
            Ok(Pattern::AbsoluteYearly { month, day })
        }
        Some("relativeyearly") => {
            Ok(Pattern::RelativeYearly { month: month()?, index: index()?, days: days()? })
        }
        _ => Err(refuse("pattern.type")),
    }
}

/// As Graph writes it: with a value for everything, needed or not.
pub(in crate::graph) fn written(series: &Recurrence) -> Value {
    let named = |days: &[Weekday]| -> Vec<&str> { days.iter().map(|day| name(*day)).collect() };
    let (kind, month, day, days, first_day, index) = match &series.pattern {
        Pattern::Daily => ("daily", 0, 0, Vec::new(), Weekday::Sunday, WeekIndex::First),
        Pattern::Weekly { days, first_day } => {
            ("weekly", 0, 0, named(days), *first_day, WeekIndex::First)
        }
        Pattern::AbsoluteMonthly { day } => {
            ("absoluteMonthly", 0, *day, Vec::new(), Weekday::Sunday, WeekIndex::First)
        }
        Pattern::RelativeMonthly { index, days } => {
            ("relativeMonthly", 0, 0, named(days), Weekday::Sunday, *index)
        }
        Pattern::AbsoluteYearly { month, day } => (
            "absoluteYearly",
            u8::from(*month),
            *day,
            Vec::new(),
            Weekday::Sunday,
            WeekIndex::First,
        ),
        Pattern::RelativeYearly { month, index, days } => {
            ("relativeYearly", u8::from(*month), 0, named(days), Weekday::Sunday, *index)
        }
    };
    let (range, last, count) = match series.until {
        Until::Never => ("noEnd", None, 0),
        Until::Day(day) => ("endDate", Some(day), 0),
        Until::Count(count) => ("numbered", None, count),
    };
    let mut pattern = json!({
        "type": kind,
        "interval": series.interval,
        "month": month,
        "dayOfMonth": day,
        "firstDayOfWeek": name(first_day),
        "index": index.as_str(),
    });
    if !days.is_empty() {
        pattern["daysOfWeek"] = json!(days);
    }
    json!({
        "pattern": pattern,
        "range": {
            "type": range,
            "startDate": day_text(series.first),
            "endDate": last.map_or_else(|| "0001-01-01".to_owned(), day_text),
            "recurrenceTimeZone": series.zone,
            "numberOfOccurrences": count,
        },
    })
}

/// `2026-11-23`
pub(crate) fn day_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

fn date(value: &Value) -> Option<Date> {
    let text = value.as_str()?;
    let date = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    (1601..=4500).contains(&date.year()).then_some(date)
}

fn name(day: Weekday) -> &'static str {
    DAYS.iter().find(|(known, _)| *known == day).map_or("sunday", |(_, name)| name)
}

fn weekday(value: &Value) -> Option<Weekday> {
    let text = value.as_str()?;
    DAYS.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(day, _)| *day)
}

fn number(
    of: &Value,
    name: &str,
    bounds: std::ops::RangeInclusive<i64>,
) -> Result<u32, GraphError> {
    let number = of[name].as_i64().filter(|number| bounds.contains(number));
    number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| refuse(name))
}

fn only(value: &Value, names: &[&str]) -> Result<(), GraphError> {
    match value.as_object() {
        Some(object) => crate::graph::folders::known(object, names),
        None => Err(refuse("recurrence")),
    }
}

pub(super) fn refuse(what: &str) -> GraphError {
    GraphError::new(
        400,
        "ErrorPropertyValidationFailure",
        format!(
            "The recurrence is not valid: '{what}' is missing or has a value that it cannot have."
        ),
    )
}
