//! Exchange's patterns of repetition as `RRULE` (RFC 5545, section 3.3.10).
//!
//! Where they differ: in a month that is too short, Exchange takes the last day and RFC 5545 no
//! day. So "the 31st" is written as "the last of 28, 29, 30, 31".

use mailkeep_model::{Pattern, Recurrence, Until, WeekIndex, Weekday};

/// Days that the shortest month has.
const SHORTEST: u8 = 28;

/// The value of `RRULE`. `day` gives a day as the value of `UNTIL`, `start` is the weekday of the
/// first occurrence: what a pattern without days means.
pub(super) fn rrule(
    recurrence: &Recurrence,
    start: Weekday,
    day: impl Fn(time::Date) -> String,
) -> String {
    let mut rule = Rule(String::new());
    let days = |days: &[Weekday]| -> Vec<Weekday> {
        let mut days = if days.is_empty() { vec![start] } else { days.to_vec() };
        days.sort();
        days.dedup();
        days
    };
    match &recurrence.pattern {
        Pattern::Daily { interval } => rule.every("DAILY", *interval),
        Pattern::Weekly { interval, days: on, first_day } => {
            rule.every("WEEKLY", *interval);
            rule.part("BYDAY", &list(&days(on)));
            rule.part("WKST", code(*first_day));
        }
        Pattern::AbsoluteMonthly { interval, day } => {
            rule.every("MONTHLY", *interval);
            rule.day_of_month(*day, SHORTEST);
        }
        Pattern::RelativeMonthly { interval, index, days: on } => {
            rule.every("MONTHLY", *interval);
            rule.relative(*index, &days(on));
        }
        Pattern::AbsoluteYearly { interval, month, day } => {
            rule.every("YEARLY", *interval);
            let month = (*month).clamp(1, 12);
            rule.part("BYMONTH", &month.to_string());
            let shortest = match month {
                2 => SHORTEST,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            rule.day_of_month(*day, shortest);
        }
        Pattern::RelativeYearly { interval, month, index, days: on } => {
            rule.every("YEARLY", *interval);
            rule.part("BYMONTH", &(*month).clamp(1, 12).to_string());
            rule.relative(*index, &days(on));
        }
    }
    match recurrence.until {
        Until::Never => {}
        Until::Day(last) => rule.part("UNTIL", &day(last)),
        Until::Count(count) => rule.part("COUNT", &count.max(1).to_string()),
    }
    rule.0
}

/// The weekday of a day.
pub(super) fn weekday(day: time::Date) -> Weekday {
    match day.weekday() {
        time::Weekday::Monday => Weekday::Monday,
        time::Weekday::Tuesday => Weekday::Tuesday,
        time::Weekday::Wednesday => Weekday::Wednesday,
        time::Weekday::Thursday => Weekday::Thursday,
        time::Weekday::Friday => Weekday::Friday,
        time::Weekday::Saturday => Weekday::Saturday,
        time::Weekday::Sunday => Weekday::Sunday,
    }
}

struct Rule(String);

impl Rule {
    fn part(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push(';');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(value);
    }

    fn every(&mut self, unit: &str, interval: u32) {
        self.part("FREQ", unit);
        if interval > 1 {
            self.part("INTERVAL", &interval.to_string());
        }
    }

    /// A day of a month that has `shortest` days or more.
    fn day_of_month(&mut self, day: u8, shortest: u8) {
        let day = day.clamp(1, 31);
        if day <= shortest {
            return self.part("BYMONTHDAY", &day.to_string());
        }
        let days: Vec<String> = (shortest..=day).map(|day| day.to_string()).collect();
        self.part("BYMONTHDAY", &days.join(","));
        self.part("BYSETPOS", "-1");
    }

    fn relative(&mut self, index: WeekIndex, days: &[Weekday]) {
        let index = match index {
            WeekIndex::First => "1",
            WeekIndex::Second => "2",
            WeekIndex::Third => "3",
            WeekIndex::Fourth => "4",
            WeekIndex::Last => "-1",
        };
        match days {
            [day] => self.part("BYDAY", &format!("{index}{}", code(*day))),
            all if all.len() == 7 => self.part("BYMONTHDAY", index),
            days => {
                self.part("BYDAY", &list(days));
                self.part("BYSETPOS", index);
            }
        }
    }
}

fn list(days: &[Weekday]) -> String {
    days.iter().map(|day| code(*day)).collect::<Vec<_>>().join(",")
}

fn code(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "MO",
        Weekday::Tuesday => "TU",
        Weekday::Wednesday => "WE",
        Weekday::Thursday => "TH",
        Weekday::Friday => "FR",
        Weekday::Saturday => "SA",
        Weekday::Sunday => "SU",
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn rule(pattern: Pattern, until: Until) -> String {
        let recurrence =
            Recurrence { pattern, first: date!(2026 - 01 - 05), until, zone: "UTC".to_owned() };
        rrule(&recurrence, Weekday::Monday, |day| day.to_string())
    }

    #[test]
    fn a_meeting_on_the_31st_takes_place_in_short_months_too() {
        let monthly = |day| rule(Pattern::AbsoluteMonthly { interval: 1, day }, Until::Never);
        assert_eq!(monthly(28), "FREQ=MONTHLY;BYMONTHDAY=28");
        assert_eq!(monthly(31), "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1");
        let yearly =
            |month, day| rule(Pattern::AbsoluteYearly { interval: 1, month, day }, Until::Never);
        assert_eq!(yearly(12, 31), "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31");
        assert_eq!(yearly(2, 29), "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1");
        assert_eq!(yearly(4, 31), "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=30,31;BYSETPOS=-1");
    }

    #[test]
    fn patterns_by_weekday_keep_their_meaning() {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let work = vec![Monday, Tuesday, Wednesday, Thursday, Friday];
        let all = vec![Saturday, Sunday, Monday, Tuesday, Wednesday, Thursday, Friday];
        let weekly = Pattern::Weekly { interval: 2, days: vec![Friday, Monday], first_day: Sunday };
        assert_eq!(
            rule(weekly, Until::Count(9)),
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU;COUNT=9"
        );
        let relative =
            |index, days| rule(Pattern::RelativeMonthly { interval: 0, index, days }, Until::Never);
        assert_eq!(relative(WeekIndex::Second, vec![Tuesday]), "FREQ=MONTHLY;BYDAY=2TU");
        assert_eq!(
            relative(WeekIndex::Last, work),
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"
        );
        assert_eq!(relative(WeekIndex::Third, all), "FREQ=MONTHLY;BYMONTHDAY=3");
        assert_eq!(relative(WeekIndex::First, vec![]), "FREQ=MONTHLY;BYDAY=1MO");
        let yearly = Pattern::RelativeYearly {
            interval: 1,
            month: 11,
            index: WeekIndex::Fourth,
            days: vec![Thursday],
        };
        assert_eq!(
            rule(yearly, Until::Day(date!(2030 - 11 - 30))),
            "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;UNTIL=2030-11-30"
        );
    }
}
