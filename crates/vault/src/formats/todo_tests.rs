use mailkeep_model::{
    AttachmentInfo, Body, Importance, Pattern, Recurrence, TaskStep, Until, Weekday,
};
use time::macros::{date, datetime};

use super::*;
use crate::{attachments_in_icalendar, formats::CalendarParts};

fn zoned(local: PrimitiveDateTime, zone: &str) -> ZonedTime {
    ZonedTime { local, zone: zone.to_owned() }
}

fn full() -> (Task, Vec<Attachment>) {
    let info = |name: &str| AttachmentInfo {
        name: name.to_owned(),
        content_type: "text/plain".to_owned(),
        ..AttachmentInfo::default()
    };
    let attachments = vec![
        Attachment { info: info("a; b.txt"), bytes: vec![7; 4000] },
        Attachment { info: info("empty"), bytes: vec![] },
    ];
    let step = |title: &str, done| TaskStep { title: title.into(), done, ..TaskStep::default() };
    let task = Task {
        title: "Order paint, white".into(),
        body: Body::Html("<p>Two <b>tins</b></p>".into()),
        status: TaskStatus::Completed,
        importance: Importance::High,
        start: Some(zoned(datetime!(2026-11-23 00:00), "UTC")),
        due: Some(zoned(datetime!(2026-11-27 00:00), "UTC")),
        completed: Some(zoned(datetime!(2026-11-26 10:30), "W. Europe Standard Time")),
        reminder: Some(zoned(datetime!(2026-11-26 08:00), "UTC")),
        reminder_on: true,
        recurrence: Some(Recurrence {
            pattern: Pattern::Weekly {
                interval: 2,
                days: vec![Weekday::Friday],
                first_day: Weekday::Monday,
            },
            first: date!(2026 - 11 - 27),
            until: Until::Day(date!(2027 - 02 - 05)),
            zone: "UTC".into(),
        }),
        categories: vec!["Red".into(), "House, garden".into()],
        steps: vec![step("Measure", true), step("Pay", false)],
        links: vec![
            TaskLink {
                application: "Wiki".into(),
                name: "Colours".into(),
                external_id: "7".into(),
                url: "https://wiki.example/7?a=1;b=2".into(),
            },
            TaskLink { name: "Nowhere".into(), ..TaskLink::default() },
        ],
        attachments: attachments.iter().map(|one| one.info.clone()).collect(),
        created: Some(datetime!(2026-11-20 11:00 UTC)),
        modified: Some(datetime!(2026-11-26 09:30 UTC)),
    };
    (task, attachments)
}

fn lines(ics: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    super::super::text::unfold(ics, |line| all.push(String::from_utf8(line.to_vec()).unwrap()));
    all
}

#[test]
fn what_a_task_is_stands_in_its_calendar_file() {
    let (task, attachments) = full();
    let id = ItemId("AAMk".into());
    let ics = todo(&id, &task, &attachments);
    assert_eq!(ics, todo(&id, &task, &attachments));
    let lines = lines(&ics);
    for expected in [
        "BEGIN:VTODO",
        "SUMMARY:Order paint\\, white",
        "DTSTART;VALUE=DATE:20261123",
        "DUE;VALUE=DATE:20261127",
        "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=FR;WKST=MO;UNTIL=20270205",
        "STATUS:COMPLETED",
        // 10:30 in Berlin.
        "COMPLETED:20261126T093000Z",
        "PERCENT-COMPLETE:100",
        "PRIORITY:1",
        "CATEGORIES:Red,House\\, garden",
        "COMMENT:[x] Measure",
        "COMMENT:[ ] Pay",
        "ATTACH;X-FILENAME=Colours;X-APPLICATION=Wiki;X-EXTERNAL-ID=7:https://wiki.example/7?a=1;b=2",
        "X-MAILKEEP-LINK;X-FILENAME=Nowhere:Nowhere",
        "TRIGGER;VALUE=DATE-TIME:20261126T080000Z",
        "CREATED:20261120T110000Z",
        "LAST-MODIFIED:20261126T093000Z",
        "END:VTODO",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
    // Another state of it is the same task to other programs, and another task is not.
    let uid = |ics: &[u8]| self::lines(ics).into_iter().find(|line| line.starts_with("UID:"));
    assert_eq!(uid(&ics), uid(&todo(&id, &Task::default(), &[])));
    assert_ne!(uid(&ics), uid(&todo(&ItemId("AAMl".into()), &task, &[])));
}

#[test]
fn attachments_of_a_task_come_back_and_a_damaged_file_is_told() {
    let (task, attachments) = full();
    let ics = todo(&ItemId("a".into()), &task, &attachments);
    assert_eq!(attachments_in_icalendar(&ics, &task.attachments).unwrap(), attachments);
    assert!(attachments_in_icalendar(&ics[..ics.len() / 2], &task.attachments).is_err());
    assert!(attachments_in_icalendar(&ics, &task.attachments[1..]).is_err());
}

#[test]
fn tasks_go_into_a_calendar_with_others() {
    let (task, attachments) = full();
    let ics = todo(&ItemId("a".into()), &task, &attachments);
    let parts = CalendarParts::of(&ics).unwrap();
    assert!(parts.items.starts_with(b"BEGIN:VTODO\r\n"));
    assert!(parts.items.ends_with(b"END:VTODO\r\n"));
    assert_eq!(CalendarParts::of(&ics[..ics.len() - 3]), None);
}

#[test]
fn a_repeated_task_without_a_beginning_has_one_for_its_rule() {
    let (mut task, _) = full();
    task.start = None;
    let ics = todo(&ItemId("a".into()), &task, &[]);
    assert!(lines(&ics).contains(&"DTSTART;VALUE=DATE:20261127".to_owned()));
    let plain = Task { title: "x".into(), ..Task::default() };
    let ics = String::from_utf8(todo(&ItemId("a".into()), &plain, &[])).unwrap();
    assert!(!ics.contains("DTSTART") && !ics.contains("DUE") && !ics.contains("VALARM"), "{ics}");
}
