//! Exchange's patterns, written down a second time: by asking of every day whether it is one.

use mailkeep_model::{Pattern, WeekIndex, Weekday};
use time::{Date, Duration};

/// Whether a series that begins on `first` has an occurrence on `day`.
pub(crate) fn is_on(pattern: &Pattern, first: Date, day: Date) -> bool {
    let months = months(day) - months(first);
    let years = day.year() - first.year();
    let every = |count: i32, interval: u32| count % i32::try_from(interval).unwrap() == 0;
    match pattern {
        Pattern::Daily { interval } => every((day - first).whole_days() as i32, *interval),
        Pattern::Weekly { interval, days, first_day } => {
            let weeks = (week(day, *first_day) - week(first, *first_day)).whole_weeks();
            every(weeks as i32, *interval) && days.contains(&weekday(day))
        }
        Pattern::AbsoluteMonthly { interval, day: on } => {
            every(months, *interval) && day.day() == (*on).min(length(day))
        }
        Pattern::RelativeMonthly { interval, index, days } => {
            every(months, *interval) && is_nth(day, *index, days)
        }
        Pattern::AbsoluteYearly { interval, month, day: on } => {
            let is_month = u8::from(day.month()) == *month;
            every(years, *interval) && is_month && day.day() == (*on).min(length(day))
        }
        Pattern::RelativeYearly { interval, month, index, days } => {
            let is_month = u8::from(day.month()) == *month;
            every(years, *interval) && is_month && is_nth(day, *index, days)
        }
    }
}

fn months(day: Date) -> i32 {
    day.year() * 12 + i32::from(u8::from(day.month()))
}

fn length(day: Date) -> u8 {
    day.month().length(day.year())
}

/// The day that the week of a day begins with.
fn week(day: Date, first: Weekday) -> Date {
    let mut day = day;
    while weekday(day) != first {
        day -= Duration::days(1);
    }
    day
}

fn is_nth(day: Date, index: WeekIndex, days: &[Weekday]) -> bool {
    let of_month: Vec<Date> = (1..=length(day))
        .map(|number| day.replace_day(number).unwrap())
        .filter(|day| days.contains(&weekday(*day)))
        .collect();
    let nth = match index {
        WeekIndex::First => of_month.first(),
        WeekIndex::Second => of_month.get(1),
        WeekIndex::Third => of_month.get(2),
        WeekIndex::Fourth => of_month.get(3),
        WeekIndex::Last => of_month.last(),
    };
    nth == Some(&day)
}

pub(crate) const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

fn weekday(day: Date) -> Weekday {
    WEEK[usize::from(day.weekday().number_days_from_monday())]
}
