//! Events made by rule: of every kind that a calendar has, the same for a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use time::{Date, Duration, Month, PrimitiveDateTime, Time, Weekday};

use super::Rng;
use super::generate::Setting;
use crate::compose::{Attachment, Nature};
use crate::state::{
    Aspect, Attached, Details, Event, Exception, ExtendedProperties, MailboxState, Moment, Pattern,
    Recurrence, Refusal, Until, WeekIndex,
};

/// Kinds of events that follow one another.
pub(crate) const KINDS: usize = 14;
/// Every so manieth event lies in a calendar of its own.
const ELSEWHERE: usize = 5;

/// Adds events to a mailbox, of the kinds that `numbers` stand for; they begin in the weeks after
/// `first`. Gives their numbers in the mailbox.
pub(crate) fn generate(
    state: &mut MailboxState,
    rng: &mut Rng,
    setting: &Setting<'_>,
    numbers: Range<usize>,
    first: Date,
    now: i64,
) -> Result<Vec<u64>, Refusal> {
    let mut made = Vec::with_capacity(numbers.len());
    for number in numbers {
        let calendar = match number % ELSEWHERE {
            4 => match state.calendars.named("Projects") {
                Some(calendar) => calendar.number,
                None => state.create_calendar("Projects", "lightGreen")?,
            },
            _ => crate::state::DEFAULT_CALENDAR,
        };
        let day = first.checked_add(Duration::days(rng.below(60) as i64)).unwrap_or(first);
        let mut event = of_kind(rng, setting, number, day);
        event.calendar = calendar;
        for exception in event.exceptions.values_mut() {
            (exception.created, exception.modified) = (now, now);
        }
        for attached in &mut event.attachments {
            attached.modified = now;
        }
        made.push(state.add_event(event, now)?);
    }
    Ok(made)
}

/// A weekly meeting, a birthday and a holiday: what a demonstration needs.
pub(crate) fn everyday(state: &mut MailboxState, setting: &Setting<'_>, first: Date, now: i64) {
    let monday = on_or_after(first, Weekday::Monday);
    let mut team = Draft::new(setting, "Team meeting", monday, (9, 30), 45, BERLIN);
    team.weekly(&[Weekday::Monday], 1, Until::Never);
    team.invite(setting, 3);
    team.field("categories", json!(["Blue category"]));
    let mut team = team.event;
    move_occurrence(&mut team, 2, 1, now);
    cancel_occurrence(&mut team, 4);
    let mut birthday = Draft::new(setting, "Birthday: Orla Byrne", first, (0, 0), 0, BERLIN);
    birthday.whole_days(1);
    birthday.series(
        Pattern::AbsoluteYearly { month: first.month(), day: first.day() },
        1,
        Until::Never,
    );
    let holiday = Date::from_calendar_date(2026, Month::December, 25).unwrap_or(first);
    let mut holiday = Draft::new(setting, "Christmas Day", holiday, (0, 0), 0, BERLIN);
    holiday.whole_days(1);
    holiday.field("showAs", json!("free"));
    for event in [team, birthday.event, holiday.event] {
        // The default calendar is always there.
        let _ = state.add_event(event, now);
    }
}

/// Moves the `nth` occurrence of a series by some days, later in the day.
pub(crate) fn move_occurrence(event: &mut Event, nth: usize, days: i64, now: i64) -> Option<Date> {
    let date = event.occurrences().nth(nth)?;
    let (start, end) = event.times(Aspect::Occurrence(date));
    // It may have been changed before.
    let all_day = event.details(Aspect::Occurrence(date)).all_day;
    let later = |moment: Moment| {
        let ahead =
            Duration::days(days) + if all_day { Duration::ZERO } else { Duration::minutes(30) };
        Moment { local: moment.local.checked_add(ahead).unwrap_or(moment.local), ..moment }
    };
    let exception = Exception {
        details: Details {
            start: later(start),
            end: later(end),
            all_day,
            fields: Map::from_iter([
                ("location".to_owned(), place("Room 7, second floor")),
                ("locations".to_owned(), json!([place("Room 7, second floor")])),
            ]),
            properties: ExtendedProperties::default(),
        },
        attachments: None,
        changed: 0,
        created: now,
        modified: now,
    };
    event.exceptions.insert(date, exception);
    Some(date)
}

pub(crate) fn cancel_occurrence(event: &mut Event, nth: usize) -> Option<Date> {
    let date = event.occurrences().nth(nth)?;
    event.exceptions.remove(&date);
    event.cancelled.insert(date);
    Some(date)
}

const BERLIN: &str = "W. Europe Standard Time";
const NEW_YORK: &str = "Eastern Standard Time";
const SYDNEY: &str = "AUS Eastern Standard Time";
const KOLKATA: &str = "Asia/Kolkata";
const ZONES: &[&str] = &[BERLIN, NEW_YORK, SYDNEY, KOLKATA, "UTC", "Newfoundland Standard Time"];
const SUBJECTS: &[&str] = &[
    "Planning",
    "Harbour inspection",
    "Review of the quarter",
    "Interview",
    "Visit of the supplier",
    "Besprechung – Größe & Maße",
    "定例会議",
    "Maintenance window",
];

fn of_kind(rng: &mut Rng, setting: &Setting<'_>, number: usize, day: Date) -> Event {
    let kind = number % KINDS;
    let zone = ZONES[rng.below(ZONES.len())];
    let subject = format!("{} {}", rng.pick(SUBJECTS), number + 1);
    let at = (7 + u8::try_from(rng.below(10)).unwrap_or(0), if rng.below(2) == 0 { 0 } else { 30 });
    let mut draft = Draft::new(setting, &subject, day, at, 30 + 15 * rng.below(6) as i64, zone);
    match kind {
        0 => {
            draft.invite(setting, 1 + rng.below(3));
            draft.field("location", place("Harbour room"));
            draft.field("locations", json!([place("Harbour room")]));
        }
        1 => draft.whole_days(1),
        2 => {
            draft.whole_days(1);
            let pattern = Pattern::AbsoluteYearly { month: day.month(), day: day.day() };
            draft.series(pattern, 1, Until::Never);
        }
        3 => {
            draft.zone(NEW_YORK);
            let pattern = Pattern::RelativeMonthly {
                index: WeekIndex::ALL[rng.below(5)].0,
                days: vec![Weekday::Tuesday],
            };
            draft.series(pattern, 1, Until::Count(14));
        }
        4 => {
            // Long enough to see the clock change twice.
            draft.zone([BERLIN, NEW_YORK, SYDNEY][rng.below(3)]);
            draft.weekly(&[day.weekday()], 1, Until::Count(45));
            draft.invite(setting, 2);
            move_occurrence(&mut draft.event, 3, 2, 0);
            cancel_occurrence(&mut draft.event, 6);
            cancel_occurrence(&mut draft.event, 20);
        }
        5 => {
            draft.zone(NEW_YORK);
            let last = day.checked_add(Duration::weeks(40)).unwrap_or(day);
            draft.weekly(&[Weekday::Tuesday, Weekday::Thursday], 2, Until::Day(last));
            move_occurrence(&mut draft.event, 1, 1, 0);
            rename_occurrence(&mut draft.event, 5);
        }
        6 => {
            draft.invite(setting, 1);
            let (address, name) = draft.invited_by();
            draft.field(
                "organizer",
                json!({ "emailAddress": { "name": name, "address": address } }),
            );
            draft.field("isOrganizer", json!(false));
            let answer = rng.pick(&["accepted", "tentativelyAccepted", "notResponded"]);
            draft.field(
                "responseStatus",
                json!({ "response": answer, "time": "2026-09-02T08:00:00Z" }),
            );
        }
        7 => {
            draft.html(rng);
            let count = 1 + rng.below(2);
            draft.attach(rng, count);
        }
        8 => {
            draft.whole_days(3 + rng.below(4) as i64);
            draft.field("sensitivity", json!("private"));
            draft.field("showAs", json!("oof"));
            draft.field("categories", json!(["Vacation", "Überfällig"]));
        }
        9 => {
            draft.zone(SYDNEY);
            draft.series(
                Pattern::Daily,
                1 + u32::try_from(rng.below(3)).unwrap_or(0),
                Until::Count(10),
            );
            cancel_occurrence(&mut draft.event, 2);
        }
        10 => {
            draft.series(Pattern::AbsoluteMonthly { day: 31 }, 1, Until::Count(12));
            move_occurrence(&mut draft.event, 1, 1, 0);
        }
        11 => {
            let pattern = Pattern::RelativeYearly {
                month: Month::November,
                index: WeekIndex::Fourth,
                days: vec![Weekday::Thursday],
            };
            let last = day.checked_add(Duration::days(365 * 6)).unwrap_or(day);
            draft.series(pattern, 1, Until::Day(last));
        }
        12 => {
            draft.zone(KOLKATA);
            draft.html(rng);
            draft.field("showAs", json!("tentative"));
            draft.field("importance", json!("high"));
            draft.field("isReminderOn", json!(false));
        }
        _ => {
            draft.field("sensitivity", json!("confidential"));
            draft.field("reminderMinutesBeforeStart", json!(1440));
            draft.field("onlineMeetingUrl", json!("https://meet.lab.example/rooms/4711"));
            draft.field("responseRequested", json!(false));
        }
    }
    draft.event
}

fn rename_occurrence(event: &mut Event, nth: usize) {
    let Some(date) = event.occurrences().nth(nth) else { return };
    let (start, end) = event.planned(date);
    let details = Details {
        start,
        end,
        all_day: event.details.all_day,
        fields: Map::from_iter([("subject".to_owned(), json!("Another subject"))]),
        properties: ExtendedProperties::default(),
    };
    let exception = Exception { details, attachments: None, changed: 0, created: 0, modified: 0 };
    event.exceptions.insert(date, exception);
}

/// An event that is being made up.
struct Draft {
    event: Event,
    colleague: (String, String),
}

impl Draft {
    fn new(
        setting: &Setting<'_>,
        subject: &str,
        day: Date,
        (hour, minute): (u8, u8),
        minutes: i64,
        zone: &str,
    ) -> Self {
        let time = Time::from_hms(hour, minute, 0).unwrap_or(Time::MIDNIGHT);
        let start = PrimitiveDateTime::new(day, time);
        let moment = |local| Moment { local, zone: zone.into() };
        let owner = json!({
            "emailAddress": { "name": setting.owner_name, "address": setting.owner },
        });
        let fields = Map::from_iter([
            ("subject".to_owned(), json!(subject)),
            (
                "body".to_owned(),
                json!({ "contentType": "text", "content": format!("{subject}.\r\n") }),
            ),
            ("organizer".to_owned(), owner),
        ]);
        let (address, name) = match setting.colleagues.first() {
            Some((address, name)) => (address.to_string(), name.clone()),
            None => ("orla.byrne@harbourfreight.example".to_owned(), "Orla Byrne".to_owned()),
        };
        let event = Event {
            calendar: crate::state::DEFAULT_CALENDAR,
            location: 0,
            entered: 0,
            changed: 0,
            created: 0,
            modified: 0,
            transaction: None,
            details: Details {
                start: moment(start),
                end: moment(start.checked_add(Duration::minutes(minutes)).unwrap_or(start)),
                all_day: false,
                fields,
                properties: ExtendedProperties::default(),
            },
            attachments: Vec::new(),
            recurrence: None,
            exceptions: BTreeMap::new(),
            cancelled: BTreeSet::new(),
        };
        Self { event, colleague: (address, name) }
    }

    fn invited_by(&self) -> (String, String) {
        self.colleague.clone()
    }

    fn field(&mut self, name: &str, value: Value) {
        self.event.details.fields.insert(name.to_owned(), value);
    }

    fn zone(&mut self, zone: &str) {
        self.event.details.start.zone = zone.into();
        self.event.details.end.zone = zone.into();
    }

    fn whole_days(&mut self, days: i64) {
        let details = &mut self.event.details;
        let start = details.start.local.date().midnight();
        details.all_day = true;
        details.start.local = start;
        details.end.local = start.checked_add(Duration::days(days)).unwrap_or(start);
    }

    fn weekly(&mut self, days: &[Weekday], interval: u32, until: Until) {
        let pattern = Pattern::Weekly { days: days.to_vec(), first_day: Weekday::Monday };
        self.series(pattern, interval, until);
    }

    /// Makes a series of it, whose first occurrence is its start.
    fn series(&mut self, pattern: Pattern, interval: u32, until: Until) {
        let details = &mut self.event.details;
        let (day, zone) = (details.start.local.date(), details.start.zone.clone());
        let mut series = Recurrence { pattern, interval, first: day, until, zone };
        let Some(first) = series.dates().next() else { return };
        let ahead = first - day;
        series.first = first;
        for moment in [&mut details.start, &mut details.end] {
            moment.local = moment.local.checked_add(ahead).unwrap_or(moment.local);
        }
        self.event.recurrence = Some(series);
    }

    fn invite(&mut self, setting: &Setting<'_>, count: usize) {
        const OUTSIDERS: &[(&str, &str)] = &[
            ("Tomasz Zielinski", "t.zielinski@papierwerk.example"),
            ("Mei Tanaka", "mei@kumo-design.example"),
        ];
        let inside = setting.colleagues.iter().map(|(address, name)| (name.as_str(), &**address));
        let all: Vec<Value> = inside
            .chain(OUTSIDERS.iter().copied())
            .take(count)
            .enumerate()
            .map(|(number, (name, address))| {
                let answer = ["accepted", "declined", "none", "tentativelyAccepted"][number % 4];
                let time =
                    if answer == "none" { "0001-01-01T00:00:00Z" } else { "2026-09-01T10:00:00Z" };
                let kind = ["required", "optional", "resource"][number % 3];
                json!({
                    "type": kind,
                    "status": { "response": answer, "time": time },
                    "emailAddress": { "name": name, "address": address },
                })
            })
            .collect();
        self.field("attendees", json!(all));
    }

    fn html(&mut self, rng: &mut Rng) {
        let content = format!(
            "<html><body><p>Agenda &amp; notes</p><ul><li>Point {}</li><li>Größe</li></ul></body></html>",
            rng.below(100)
        );
        self.field("body", json!({ "contentType": "html", "content": content }));
    }

    fn attach(&mut self, rng: &mut Rng, count: usize) {
        for number in 1..=count {
            let length = 500 + rng.below(4000);
            let bytes: Vec<u8> =
                std::iter::repeat_with(|| rng.next().to_le_bytes()[0]).take(length).collect();
            let file = Attachment {
                name: format!("Übersicht {number}.bin"),
                content_type: "application/octet-stream".to_owned(),
                content_id: None,
                inline: false,
                bytes: Bytes::from(bytes),
                nature: Nature::File,
            };
            self.event.attachments.push(Attached { number: number as u64, modified: 0, file });
        }
    }
}

fn place(name: &str) -> Value {
    json!({
        "displayName": name,
        "locationType": "default",
        "uniqueId": name,
        "uniqueIdType": "private",
    })
}

fn on_or_after(day: Date, weekday: Weekday) -> Date {
    let ahead = 7 + i64::from(weekday.number_days_from_monday())
        - i64::from(day.weekday().number_days_from_monday());
    day.checked_add(Duration::days(ahead % 7)).unwrap_or(day)
}
