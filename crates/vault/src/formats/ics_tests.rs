use mailkeep_model::{AttachmentInfo, Pattern, Recurrence, Weekday};
use time::macros::{date, datetime};

use super::*;
use crate::{
    VaultError, attachments_in_icalendar,
    formats::{CalendarParts, text::unfold},
};

fn at(local: PrimitiveDateTime, zone: &str) -> ZonedTime {
    ZonedTime { local, zone: zone.to_owned() }
}

type Time<'z> = (PrimitiveDateTime, &'z str);

fn event((start, start_zone): Time<'_>, (end, end_zone): Time<'_>) -> Event {
    let (start, end) = (at(start, start_zone), at(end, end_zone));
    serde_json::from_value(serde_json::json!({
        "subject": "Plan", "start": start, "end": end, "created": "2026-01-02T03:04:05Z",
    }))
    .unwrap()
}

fn berlin() -> Event {
    let zone = "W. Europe Standard Time";
    event((datetime!(2026-11-23 10:00), zone), (datetime!(2026-11-23 11:00), zone))
}

fn weekly(zone: &str) -> Recurrence {
    Recurrence {
        pattern: Pattern::Weekly {
            interval: 1,
            days: vec![Weekday::Monday],
            first_day: Weekday::Monday,
        },
        first: date!(2026 - 11 - 23),
        until: Until::Day(date!(2027 - 07 - 05)),
        zone: zone.to_owned(),
    }
}

/// Lines of the events, those of zones left out.
fn lines(event: &Event) -> Vec<String> {
    let parts = CalendarParts::of(&icalendar(event, &[])).unwrap();
    let mut lines = Vec::new();
    unfold(&parts.items, |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
    lines
}

fn has(event: &Event, line: &str) {
    let lines = lines(event);
    assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
}

#[test]
fn a_series_keeps_its_hour_although_the_provider_gave_its_start_as_utc() {
    let mut series =
        event((datetime!(2026-11-23 09:00), "UTC"), (datetime!(2026-11-23 10:30), "UTC"));
    series.recurrence = Some(weekly("W. Europe Standard Time"));
    series.cancelled_occurrences = vec![date!(2027 - 06 - 07)];
    let mut changed = event(
        (datetime!(2027-06-14 09:00), "UTC"),
        (datetime!(2027-06-14 10:00), "Eastern Standard Time"),
    );
    changed.subject = "Later".to_owned();
    let original = at(datetime!(2027-06-14 08:00), "UTC");
    series.exceptions = vec![Exception { original, event: changed }];
    for line in [
        "DTSTART;TZID=Europe/Berlin:20261123T100000",
        "DTEND;TZID=Europe/Berlin:20261123T113000",
        "RRULE:FREQ=WEEKLY;BYDAY=MO;WKST=MO;UNTIL=20270705T080000Z",
        "EXDATE;TZID=Europe/Berlin:20270607T100000",
        "RECURRENCE-ID;TZID=Europe/Berlin:20270614T100000",
        "DTSTART:20270614T090000Z",
        "DTEND;TZID=America/New_York:20270614T100000",
    ] {
        has(&series, line);
    }
    let zones = CalendarParts::of(&icalendar(&series, &[])).unwrap().zones;
    let named: Vec<_> = zones.iter().map(|(id, _)| String::from_utf8_lossy(id)).collect();
    assert_eq!(named, ["TZID:America/New_York\r\n", "TZID:Europe/Berlin\r\n"]);
}

#[test]
fn days_are_days_and_an_unknown_zone_is_no_made_up_one() {
    let mut days = berlin();
    days.all_day = true;
    days.recurrence = Some(weekly("W. Europe Standard Time"));
    days.cancelled_occurrences = vec![date!(2026 - 11 - 30)];
    for line in [
        "DTSTART;VALUE=DATE:20261123",
        "DTEND;VALUE=DATE:20261124",
        "RRULE:FREQ=WEEKLY;BYDAY=MO;WKST=MO;UNTIL=20270705",
        "EXDATE;VALUE=DATE:20261130",
    ] {
        has(&days, line);
    }
    let zone = "Customized Time Zone";
    let mut floating =
        event((datetime!(2026-11-23 10:00), zone), (datetime!(2026-11-23 11:00), zone));
    floating.recurrence = Some(weekly(zone));
    has(&floating, "DTSTART;X-MAILKEEP-ZONE=\"Customized Time Zone\":20261123T100000");
    has(&floating, "RRULE:FREQ=WEEKLY;BYDAY=MO;WKST=MO;UNTIL=20270705T100000");
}

#[test]
fn an_event_without_an_identifier_keeps_the_one_it_is_given() {
    let uid = |event: &Event| lines(event).into_iter().find(|line| line.starts_with("UID:"));
    let mut later = berlin();
    later.subject = "Another".to_owned();
    later.modified = later.created;
    assert_eq!(uid(&berlin()), uid(&later));
    has(&berlin(), "DTSTAMP:20260102T030405Z");
}

#[test]
fn attachments_come_back_as_they_were_or_not_at_all() {
    let info = |name: &str| AttachmentInfo { name: name.to_owned(), ..AttachmentInfo::default() };
    let attachments = [
        Attachment { info: info("BEGIN:VEVENT;\n:\".txt"), bytes: (0..=255).collect() },
        Attachment { info: info(""), bytes: vec![] },
        Attachment { info: info("large.bin"), bytes: vec![7; 200_001] },
    ];
    let mut event = berlin();
    event.attachments = attachments.iter().map(|a| a.info.clone()).collect();
    let ics = icalendar(&event, &attachments);
    assert_eq!(attachments_in_icalendar(&ics, &event.attachments).unwrap(), attachments);
    for cut in [0, 100, ics.len() / 2] {
        let damaged = attachments_in_icalendar(&ics[..cut], &event.attachments);
        assert!(matches!(damaged, Err(VaultError::Content { .. })), "{cut}");
    }
    event.attachments.pop();
    assert!(attachments_in_icalendar(&ics, &event.attachments).is_err());
}

#[test]
fn a_hostile_provider_cannot_break_it() {
    let mut event = event(
        (PrimitiveDateTime::MIN, "W. Europe Standard Time"),
        (PrimitiveDateTime::MAX, "\r\nEND:VCALENDAR"),
    );
    event.reminder_minutes = Some(i64::MIN);
    event.created = Some(datetime!(-9999-01-01 00:00 +23:59));
    event.uid = Some("a\r\nBEGIN:VEVENT".to_owned());
    event.online_meeting_url = Some("https://a.example/\r\nEND:VEVENT".to_owned());
    let patterns = [
        Pattern::Daily { interval: u32::MAX },
        Pattern::AbsoluteMonthly { interval: 0, day: 0 },
        Pattern::AbsoluteYearly { interval: 0, month: 0, day: 255 },
        Pattern::Weekly { interval: 0, days: vec![], first_day: Weekday::Sunday },
    ];
    for pattern in patterns {
        for until in [Until::Never, Until::Count(0), Until::Day(time::Date::MAX)] {
            event.recurrence = Some(Recurrence { pattern: pattern.clone(), until, ..weekly("?") });
            event.cancelled_occurrences = vec![time::Date::MIN];
            let ics = String::from_utf8(icalendar(&event, &[])).unwrap();
            let count = |line: &str| ics.split("\r\n").filter(|found| *found == line).count();
            assert_eq!((count("BEGIN:VEVENT"), count("END:VCALENDAR")), (1, 1), "{ics}");
        }
    }
}
