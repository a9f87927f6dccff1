use mailkeep_model::{Attendee, Person};
use time::macros::{date, datetime};

use super::*;

fn event() -> Event {
    let at = |local| ZonedTime { local, zone: "W. Europe Standard Time".into() };
    Event {
        uid: Some("u1".into()),
        subject: "Standup".into(),
        body: Body::Html("<p>x</p>".into()),
        start: at(datetime!(2026-11-02 10:00)),
        end: at(datetime!(2026-11-02 10:30)),
        all_day: false,
        locations: vec!["Room 1".into(), "Room 2".into()],
        organizer: None,
        is_organizer: true,
        attendees: Vec::new(),
        response: Response::None,
        response_requested: true,
        categories: vec!["Blue".into()],
        importance: Importance::High,
        sensitivity: Sensitivity::Private,
        show_as: ShowAs::WorkingElsewhere,
        reminder_minutes: Some(15),
        cancelled: false,
        online_meeting_url: None,
        recurrence: None,
        exceptions: Vec::new(),
        cancelled_occurrences: Vec::new(),
        attachments: Vec::new(),
        created: None,
        modified: None,
    }
}

#[test]
fn a_single_event_keeps_its_clock_and_its_properties() {
    let event = event();
    let plan = plan(&event, |_| Vec::new(), Clock::Own);
    let fields = &plan.fields;
    assert_eq!(
        fields["start"],
        json!({"dateTime": "2026-11-02T10:00:00", "timeZone": "W. Europe Standard Time"})
    );
    assert_eq!(fields["locations"][1]["displayName"], "Room 2");
    assert_eq!(
        (&fields["showAs"], &fields["sensitivity"]),
        (&json!("workingElsewhere"), &json!("private"))
    );
    assert_eq!(fields["reminderMinutesBeforeStart"], 15);
    assert!(plan.lost.is_empty() && plan.series.is_none() && !fields.contains_key("recurrence"));
}

#[test]
fn nobody_can_be_invited_by_a_restore_and_who_was_invited_is_not_forgotten() {
    let mut event = event();
    let person = |n: usize| Person { name: "N".repeat(100), address: format!("p{n}@a.example") };
    event.organizer = Some(person(0));
    event.is_organizer = false;
    event.response = Response::Accepted;
    event.online_meeting_url = Some("https://meet.example/1".into());
    event.attendees = (0..1000)
        .map(|n| Attendee { person: person(n), role: Default::default(), response: Response::None })
        .collect();
    let plan = plan(&event, |_| Vec::new(), Clock::Own);
    for name in ["attendees", "organizer", "isOnlineMeeting", "onlineMeeting"] {
        assert!(!plan.fields.contains_key(name), "{name}");
    }
    let property = &plan.fields["singleValueExtendedProperties"][0];
    assert_eq!(property["id"], ATTENDEES);
    let kept = property["value"].as_str().unwrap();
    assert!(kept.len() <= LONGEST_PROPERTY);
    let kept: Value = serde_json::from_str(kept).unwrap();
    assert_eq!(kept["organizer"]["address"], "p0@a.example");
    assert!(kept["attendees"].as_array().unwrap().len() > 100);
    for word in ["invitations", "accepted", "online meeting", "only the first"] {
        assert!(plan.lost.iter().any(|lost| lost.contains(word)), "{word}: {:?}", plan.lost);
    }
}

#[test]
fn every_rule_of_repetition_is_written_as_graph_wants_it() {
    use Pattern as P;
    let days = vec![Weekday::Monday, Weekday::Friday];
    let (index, interval) = (WeekIndex::Last, 2);
    let patterns = [
        (P::Daily { interval }, json!({"type": "daily", "interval": 2})),
        (
            P::Weekly { interval, days: days.clone(), first_day: Weekday::Sunday },
            json!({"type": "weekly", "interval": 2, "daysOfWeek": ["monday", "friday"], "firstDayOfWeek": "sunday"}),
        ),
        (
            P::AbsoluteMonthly { interval, day: 31 },
            json!({"type": "absoluteMonthly", "interval": 2, "dayOfMonth": 31}),
        ),
        (
            P::RelativeMonthly { interval, index, days: days.clone() },
            json!({"type": "relativeMonthly", "interval": 2, "index": "last", "daysOfWeek": ["monday", "friday"]}),
        ),
        (
            P::AbsoluteYearly { interval, month: 2, day: 29 },
            json!({"type": "absoluteYearly", "interval": 2, "month": 2, "dayOfMonth": 29}),
        ),
        (
            P::RelativeYearly { interval, month: 11, index, days },
            json!({"type": "relativeYearly", "interval": 2, "month": 11, "index": "last", "daysOfWeek": ["monday", "friday"]}),
        ),
    ];
    let ends = [
        (Until::Never, json!({"type": "noEnd"})),
        (Until::Day(date!(2027 - 01 - 31)), json!({"type": "endDate", "endDate": "2027-01-31"})),
        (Until::Count(7), json!({"type": "numbered", "numberOfOccurrences": 7})),
    ];
    for (pattern, wanted) in patterns {
        for (until, end) in &ends {
            let mut event = event();
            event.recurrence = Some(Recurrence {
                pattern: pattern.clone(),
                first: date!(2026 - 11 - 02),
                until: *until,
                zone: "Europe/Berlin".into(),
            });
            let written = plan(&event, |_| Vec::new(), Clock::Own).fields["recurrence"].clone();
            assert_eq!(written["pattern"], wanted);
            let mut range = end.clone();
            range["startDate"] = json!("2026-11-02");
            range["recurrenceTimeZone"] = json!("Europe/Berlin");
            assert_eq!(written["range"], range);
        }
    }
}

#[test]
fn in_a_zone_that_nobody_knows_the_first_occurrence_still_begins_when_it_did() {
    let mut event = event();
    event.start.zone = "Customized Time Zone".into();
    event.recurrence = Some(Recurrence {
        pattern: Pattern::Daily { interval: 1 },
        first: date!(2026 - 11 - 02),
        until: Until::Never,
        zone: event.start.zone.clone(),
    });
    let clock = Clock::utc(&event, datetime!(2026-11-02 04:30 UTC));
    let plan = plan(&event, |_| Vec::new(), clock);
    assert_eq!(plan.fields["start"], json!({"dateTime": "2026-11-02T04:30:00", "timeZone": "UTC"}));
    assert_eq!(plan.fields["end"]["dateTime"], "2026-11-02T05:00:00");
    assert_eq!(plan.fields["recurrence"]["range"]["recurrenceTimeZone"], "UTC");
    assert!(plan.lost[0].contains("Customized"), "{:?}", plan.lost);
    let earlier = Clock::utc(&event, datetime!(2026-11-01 23:00 UTC));
    let plan = super::plan(&event, |_| Vec::new(), earlier);
    assert_eq!(plan.fields["recurrence"]["range"]["startDate"], "2026-11-01");
}
