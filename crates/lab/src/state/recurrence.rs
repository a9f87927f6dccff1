//! When a series takes place (<https://learn.microsoft.com/graph/api/resources/patternedrecurrence>).
//!
//! Days are counted by the calendar of the series' zone; that a meeting stays at its local time when
//! the clock changes is left to whoever makes times of the days.

use time::{Date, Duration, Month, Weekday};

/// Occurrences that one series has at most (Exchange: 999).
pub(crate) const MOST: u32 = 999;
/// A series is not followed beyond this year.
const LAST_YEAR: i32 = 2200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recurrence {
    pub(crate) pattern: Pattern,
    pub(crate) interval: u32,
    pub(crate) first: Date,
    pub(crate) until: Until,
    /// The zone by which days are counted, as the client called it.
    pub(crate) zone: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Never,
    /// Inclusive.
    Day(Date),
    Count(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Daily,
    Weekly {
        days: Vec<Weekday>,
        first_day: Weekday,
    },
    /// On the last day of a month that is shorter.
    AbsoluteMonthly {
        day: u8,
    },
    RelativeMonthly {
        index: WeekIndex,
        days: Vec<Weekday>,
    },
    AbsoluteYearly {
        month: Month,
        day: u8,
    },
    RelativeYearly {
        month: Month,
        index: WeekIndex,
        days: Vec<Weekday>,
    },
}

/// Which of the month's days that are among some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeekIndex {
    First,
    Second,
    Third,
    Fourth,
    Last,
}

impl WeekIndex {
    pub(crate) const ALL: [(Self, &'static str); 5] = [
        (Self::First, "first"),
        (Self::Second, "second"),
        (Self::Third, "third"),
        (Self::Fourth, "fourth"),
        (Self::Last, "last"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl Recurrence {
    /// The days of the series, in order, cancelled ones included.
    pub(crate) fn dates(&self) -> impl Iterator<Item = Date> + '_ {
        let most = match self.until {
            Until::Count(count) => count as usize,
            _ => usize::MAX,
        };
        let last = match self.until {
            Until::Day(day) => day,
            _ => Date::MAX,
        };
        (0..)
            .map_while(|step| self.period(step))
            .flatten()
            .skip_while(|date| *date < self.first)
            .take_while(move |date| *date <= last)
            .take(most)
    }

    /// Whether the series has an occurrence on that day.
    pub(crate) fn has(&self, date: Date) -> bool {
        self.dates().take_while(|at| *at <= date).last() == Some(date)
    }

    /// The days in the `step`th day, week, month or year that counts; `None` after the end of time.
    fn period(&self, step: u32) -> Option<Vec<Date>> {
        let ahead = i64::from(step) * i64::from(self.interval.max(1));
        match &self.pattern {
            Pattern::Daily => Some(vec![within(self.first.checked_add(Duration::days(ahead))?)?]),
            Pattern::Weekly { days, first_day } => {
                let into = days_since(*first_day, self.first.weekday());
                let week = self.first.checked_sub(Duration::days(into))?;
                let week = within(week.checked_add(Duration::weeks(ahead))?)?;
                let mut found: Vec<Date> = days
                    .iter()
                    .filter_map(|day| {
                        week.checked_add(Duration::days(days_since(*first_day, *day)))
                    })
                    .collect();
                found.sort_unstable();
                found.dedup();
                Some(found)
            }
            Pattern::AbsoluteMonthly { day } => {
                let (year, month) = month_after(self.first, ahead)?;
                Some(absolute(year, month, *day))
            }
            Pattern::RelativeMonthly { index, days } => {
                let (year, month) = month_after(self.first, ahead)?;
                Some(relative(year, month, *index, days))
            }
            Pattern::AbsoluteYearly { month, day } => {
                Some(absolute(year_after(self.first, ahead)?, *month, *day))
            }
            Pattern::RelativeYearly { month, index, days } => {
                Some(relative(year_after(self.first, ahead)?, *month, *index, days))
            }
        }
    }
}

fn within(date: Date) -> Option<Date> {
    (date.year() <= LAST_YEAR).then_some(date)
}

fn days_since(first: Weekday, day: Weekday) -> i64 {
    let number = |day: Weekday| i64::from(day.number_days_from_monday());
    (number(day) - number(first)).rem_euclid(7)
}

fn month_after(first: Date, ahead: i64) -> Option<(i32, Month)> {
    let months = i64::from(first.year()) * 12 + i64::from(u8::from(first.month())) - 1 + ahead;
    let year = i32::try_from(months.div_euclid(12)).ok().filter(|year| *year <= LAST_YEAR)?;
    let month = u8::try_from(months.rem_euclid(12)).ok()? + 1;
    Some((year, Month::try_from(month).ok()?))
}

fn year_after(first: Date, ahead: i64) -> Option<i32> {
    i32::try_from(i64::from(first.year()) + ahead).ok().filter(|year| *year <= LAST_YEAR)
}

fn absolute(year: i32, month: Month, day: u8) -> Vec<Date> {
    let day = day.clamp(1, month.length(year));
    Date::from_calendar_date(year, month, day).into_iter().collect()
}

fn relative(year: i32, month: Month, index: WeekIndex, days: &[Weekday]) -> Vec<Date> {
    let mut all = (1..=month.length(year))
        .filter_map(|day| Date::from_calendar_date(year, month, day).ok())
        .filter(|date| days.contains(&date.weekday()));
    match index {
        WeekIndex::Last => all.next_back(),
        nth => all.nth(nth as usize),
    }
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn dates(pattern: Pattern, interval: u32, first: Date, until: Until) -> Vec<String> {
        let series = Recurrence { pattern, interval, first, until, zone: "UTC".into() };
        let found: Vec<Date> = series.dates().take(20).collect();
        assert!(found.iter().all(|date| series.has(*date)));
        assert!(!series.has(first - Duration::days(1)));
        found.iter().map(Date::to_string).collect()
    }

    #[test]
    fn the_days_of_a_series_are_those_that_outlook_shows() {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let three = Until::Count(3);
        let all = vec![Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
        let workdays = vec![Monday, Tuesday, Wednesday, Thursday, Friday];
        for (pattern, interval, first, until, expected) in [
            (
                Pattern::Daily,
                10,
                date!(2026 - 12 - 25),
                Until::Day(date!(2027 - 01 - 14)),
                "2026-12-25 2027-01-04 2027-01-14",
            ),
            (
                Pattern::Weekly { days: vec![Tuesday, Sunday], first_day: Monday },
                2,
                date!(1997 - 08 - 05),
                Until::Count(4),
                "1997-08-05 1997-08-10 1997-08-19 1997-08-24",
            ),
            (
                // The same with weeks that begin on Sunday (RFC 5545, 3.3.10, WKST).
                Pattern::Weekly { days: vec![Tuesday, Sunday], first_day: Sunday },
                2,
                date!(1997 - 08 - 05),
                Until::Count(4),
                "1997-08-05 1997-08-17 1997-08-19 1997-08-31",
            ),
            (
                Pattern::AbsoluteMonthly { day: 31 },
                1,
                date!(2027 - 12 - 31),
                three,
                "2027-12-31 2028-01-31 2028-02-29",
            ),
            (
                Pattern::RelativeMonthly { index: WeekIndex::Last, days: vec![Friday] },
                1,
                // A month with five Fridays and two with four.
                date!(2026 - 05 - 29),
                three,
                "2026-05-29 2026-06-26 2026-07-31",
            ),
            (
                Pattern::RelativeMonthly { index: WeekIndex::Last, days: workdays },
                1,
                date!(2026 - 01 - 30),
                three,
                "2026-01-30 2026-02-27 2026-03-31",
            ),
            (
                Pattern::RelativeMonthly { index: WeekIndex::Fourth, days: all },
                6,
                date!(2026 - 01 - 04),
                three,
                "2026-01-04 2026-07-04 2027-01-04",
            ),
            (
                Pattern::AbsoluteYearly { month: Month::February, day: 29 },
                1,
                date!(2024 - 02 - 29),
                Until::Count(5),
                "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29",
            ),
            (
                Pattern::RelativeYearly {
                    month: Month::November,
                    index: WeekIndex::Fourth,
                    days: vec![Thursday],
                },
                1,
                date!(2026 - 11 - 01),
                three,
                "2026-11-26 2027-11-25 2028-11-23",
            ),
            (
                // The series begins after this year's day.
                Pattern::AbsoluteYearly { month: Month::March, day: 3 },
                2,
                date!(2026 - 04 - 01),
                Until::Count(2),
                "2028-03-03 2030-03-03",
            ),
        ] {
            let text = format!("{pattern:?}");
            assert_eq!(dates(pattern, interval, first, until).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn a_series_without_end_ends_somewhere() {
        let pattern = Pattern::AbsoluteYearly { month: Month::May, day: 1 };
        let series = Recurrence {
            pattern,
            interval: 1,
            first: date!(2026 - 05 - 01),
            until: Until::Never,
            zone: "UTC".into(),
        };
        assert_eq!(series.dates().count(), 175);
        let never = Recurrence {
            pattern: Pattern::Weekly { days: Vec::new(), first_day: Weekday::Monday },
            ..series
        };
        assert_eq!(never.dates().count(), 0);
    }
}
