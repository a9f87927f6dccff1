//! Made-up events: all patterns, in zones that change their clocks and zones that do not, with
//! moved and cancelled occurrences; and when each should take place.

use mailkeep_model::{
    Attachment, AttachmentInfo, Attendee, Body, Event, Exception, Importance, Pattern, Person,
    Recurrence, Response, Role, Sensitivity, ShowAs, Until, WeekIndex, ZonedTime,
};
use serde_json::{Value, json};
use time::{
    Date, Duration, PrimitiveDateTime, Time,
    macros::{datetime, format_description},
};

use crate::{
    contacts::{TEXTS, line},
    patterns::{self, WEEK},
};

/// What Exchange calls a zone, and what everybody else does.
const ZONES: [(&str, Option<&str>); 19] = [
    ("W. Europe Standard Time", Some("Europe/Berlin")),
    ("Eastern Standard Time", Some("America/New_York")),
    ("UTC", Some("UTC")),
    ("AUS Eastern Standard Time", Some("Australia/Sydney")),
    ("GMT Standard Time", Some("Europe/London")),
    ("India Standard Time", Some("Asia/Calcutta")),
    ("Europe/Dublin", Some("Europe/Dublin")),
    ("Israel Standard Time", Some("Asia/Jerusalem")),
    ("Morocco Standard Time", Some("Africa/Casablanca")),
    ("Egypt Standard Time", Some("Africa/Cairo")),
    ("Lord Howe Standard Time", Some("Australia/Lord_Howe")),
    ("Newfoundland Standard Time", Some("America/St_Johns")),
    ("Pacific SA Standard Time", Some("America/Santiago")),
    ("Greenland Standard Time", Some("America/Godthab")),
    ("Tokyo Standard Time", Some("Asia/Tokyo")),
    ("Customized Time Zone", None),
    ("Tonga Standard Time", Some("Pacific/Tongatapu")),
    ("E. South America Standard Time", Some("America/Sao_Paulo")),
    ("Paraguay Standard Time", Some("America/Asuncion")),
];
/// How long series are compared, in days.
const DAYS: i64 = 1200;

pub(crate) struct Case {
    pub(crate) event: Event,
    pub(crate) attachments: Vec<Attachment>,
    /// Local times of occurrences that are expected, each with its zone.
    occurrences: Vec<[(String, Option<&'static str>); 2]>,
    zone: Option<&'static str>,
}

impl Case {
    /// What the script compares with.
    pub(crate) fn expected(&self) -> Value {
        let of = |time: &ZonedTime| shown(time.local, self.event.all_day);
        let attachments: Vec<_> = self.attachments.iter().map(|a| latin1(&a.bytes)).collect();
        json!({
            "event": self.event,
            "attachments": attachments,
            "occurrences": self.occurrences,
            "start": (of(&self.event.start), self.zone),
            "end": (of(&self.event.end), self.zone),
            "begin": shown(self.event.start.local, false),
            "days": DAYS,
        })
    }
}

pub(crate) fn bytes(n: usize) -> Vec<u8> {
    (0..n * 13 % 4000).map(|i| (i * i + n) as u8).collect()
}

/// Bytes as a text, a character each.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

pub(crate) fn case(n: usize) -> Case {
    let (zone_name, zone) = ZONES[n % ZONES.len()];
    let all_day = n % 9 == 4;
    let base = datetime!(2025-01-01 00:00) + Duration::days((n as i64 * 37) % 700);
    // Old ones too, from before today's rules.
    let base = if n % 17 == 3 { base - Duration::days(6700) } else { base };
    let pattern = pattern(n);
    let mut first = base.date();
    if let Some(pattern) = &pattern {
        while !patterns::is_on(pattern, first, first) {
            first = first.next_day().unwrap();
        }
    }
    let clock = [(9, 0), (2, 30), (23, 45), (0, 0), (14, 15)][n % 5];
    let clock = if all_day { Time::MIDNIGHT } else { Time::from_hms(clock.0, clock.1, 0).unwrap() };
    let length =
        if all_day { Duration::days(1 + n as i64 % 3) } else { Duration::minutes(30 + n as i64) };
    let start = first.with_time(clock);
    let mut event = single(n, start, length, zone_name);
    event.all_day = all_day;
    let mut occurrences = Vec::new();
    let zone = if all_day { None } else { zone };
    if let Some(pattern) = pattern {
        let until = match n / 7 % 3 {
            0 => Until::Never,
            1 => Until::Count(3 + n as u32 % 40),
            _ => Until::Day(first + Duration::days(30 + (n as i64 * 53) % 900)),
        };
        let days = expand(&pattern, first, until);
        for (number, day) in days.iter().enumerate() {
            let local = day.with_time(clock);
            if number > 0 && number % 11 == 5 {
                event.cancelled_occurrences.push(*day);
                continue;
            }
            let moved = if number > 0 && number % 13 == 7 {
                let to = local + if all_day { Duration::days(1) } else { Duration::minutes(95) };
                let mut changed = single(n + number, to, length, zone_name);
                changed.all_day = all_day;
                changed.attachments.clear();
                let original = ZonedTime { local, zone: zone_name.to_owned() };
                event.exceptions.push(Exception { original, event: changed });
                to
            } else {
                local
            };
            let end = moved + length;
            occurrences.push([(shown(moved, all_day), zone), (shown(end, all_day), zone)]);
        }
        event.recurrence = Some(Recurrence { pattern, first, until, zone: zone_name.to_owned() });
    }
    let attachments: Vec<Attachment> = event
        .attachments
        .iter()
        .enumerate()
        .map(|(number, info)| Attachment { info: info.clone(), bytes: bytes(n + number) })
        .collect();
    Case { event, attachments, occurrences, zone }
}

/// Days of a series within what is compared.
fn expand(pattern: &Pattern, first: Date, until: Until) -> Vec<Date> {
    let last = first + Duration::days(DAYS);
    let last = if let Until::Day(day) = until { day.min(last) } else { last };
    let count = if let Until::Count(count) = until { count as usize } else { usize::MAX };
    let days = std::iter::successors(Some(first), |day| day.next_day());
    days.take_while(|day| *day <= last)
        .filter(|day| patterns::is_on(pattern, first, *day))
        .take(count)
        .collect()
}

pub(crate) fn shown(time: PrimitiveDateTime, all_day: bool) -> String {
    if all_day {
        return time.date().to_string();
    }
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    time.format(format).unwrap()
}

fn pattern(n: usize) -> Option<Pattern> {
    let interval = 1 + (n / 8) as u32 % 3;
    let days = match n / 5 % 4 {
        0 => vec![WEEK[n % 7]],
        1 => WEEK[..5].to_vec(),
        2 => WEEK.to_vec(),
        _ => vec![WEEK[n % 7], WEEK[(n + 3) % 7]],
    };
    let index =
        [WeekIndex::First, WeekIndex::Second, WeekIndex::Third, WeekIndex::Fourth, WeekIndex::Last]
            [n / 3 % 5];
    let month = 1 + (n / 2 % 12) as u8;
    Some(match n % 8 {
        0 => Pattern::Daily { interval: interval * 5 },
        1 => Pattern::Weekly { interval, days, first_day: WEEK[n / 3 % 7] },
        2 => Pattern::AbsoluteMonthly { interval, day: [31, 30, 29, 28, 1, 15][n / 8 % 6] },
        3 => Pattern::RelativeMonthly { interval, index, days },
        4 => Pattern::AbsoluteYearly {
            interval: 1,
            month: if n % 16 == 4 { 2 } else { month },
            day: if n % 16 == 4 { 29 } else { 1 + (n % 28) as u8 },
        },
        5 => Pattern::RelativeYearly { interval: 1, month, index, days },
        6 => Pattern::Weekly { interval: 1, days, first_day: WEEK[6] },
        _ => return None,
    })
}

fn single(n: usize, start: PrimitiveDateTime, length: Duration, zone: &str) -> Event {
    let time = |local| ZonedTime { local, zone: zone.to_owned() };
    let created = datetime!(2024-01-31 08:00 UTC) + Duration::minutes(n as i64 * 1001);
    let inline = format!(
        "<html><body><p>Hello {n} &amp; you</p><div>second <b>line</b></div></body></html>"
    );
    let body =
        if n.is_multiple_of(2) { Body::Html(inline) } else { Body::Text(TEXTS[n % 8].to_owned()) };
    let person =
        |k: usize| Person { name: line(n + k), address: format!("p{k}.{n}@people.example") };
    let attendee = |k: usize| Attendee {
        person: person(k),
        role: [Role::Required, Role::Optional, Role::Resource][k % 3],
        response: [
            Response::None,
            Response::NotResponded,
            Response::Tentative,
            Response::Accepted,
            Response::Declined,
            Response::Organizer,
        ][(n + k) % 6],
    };
    let attachment = |k: usize| AttachmentInfo {
        name: format!("{} {k}.pdf", line(n + k)),
        content_type: "application/pdf".to_owned(),
        inline: k == 1,
        content_id: (k == 1).then(|| format!("image{n}@people.example")),
    };
    Event {
        uid: Some(format!("040000008200E00074C5B7101A82E008{n:08}")),
        subject: line(n),
        body,
        start: time(start),
        end: time(start + length),
        all_day: false,
        locations: (0..n % 3).map(|k| format!("Room {k}, {}", line(n + k))).collect(),
        organizer: (!n.is_multiple_of(3)).then(|| person(0)),
        is_organizer: n % 3 == 1,
        attendees: (0..n % 5).map(attendee).collect(),
        response: Response::Accepted,
        response_requested: n % 2 == 1,
        categories: (0..n % 3).map(|c| format!("Cat {c}, {}", line(c))).collect(),
        importance: [Importance::Low, Importance::Normal, Importance::High][n % 3],
        sensitivity: [
            Sensitivity::Normal,
            Sensitivity::Personal,
            Sensitivity::Private,
            Sensitivity::Confidential,
        ][n % 4],
        show_as: [
            ShowAs::Free,
            ShowAs::Tentative,
            ShowAs::Busy,
            ShowAs::Oof,
            ShowAs::WorkingElsewhere,
            ShowAs::Unknown,
        ][n % 6],
        reminder_minutes: (!n.is_multiple_of(4)).then_some(n as i64 * 5 - 5),
        cancelled: n % 29 == 7,
        online_meeting_url: (n % 6 == 1).then(|| format!("https://meet.example/j?id={n}&a=1,2;b")),
        recurrence: None,
        exceptions: vec![],
        cancelled_occurrences: vec![],
        attachments: (0..if n % 5 == 2 { n % 4 } else { 0 }).map(attachment).collect(),
        created: Some(created),
        modified: Some(created + Duration::minutes(7)),
    }
}
