use mailkeep_model::{AttachmentInfo, Pattern, Recurrence, Until, Weekday};
use serde_json::json;
use time::macros::{date, datetime};

use super::*;

const ZONE_NAME: &str = "W. Europe Standard Time";

fn at(local: &str) -> Value {
    json!({"dateTime": format!("{local}.0000000"), "timeZone": ZONE_NAME})
}

/// A series but for its recurrence.
fn single() -> Value {
    json!({
        "id": "e1", "changeKey": "K1", "@odata.context": "c", "@odata.etag": "W/\"K1\"",
        "createdDateTime": "2026-01-02T08:00:00.1234567Z",
        "lastModifiedDateTime": "2026-01-03T08:00:00Z",
        "originalStartTimeZone": ZONE_NAME, "originalEndTimeZone": ZONE_NAME,
        "iCalUId": "uid-1", "type": "seriesMaster", "subject": "Jour fixe", "isDraft": false,
        "bodyPreview": "Bring", "body": {"contentType": "html", "content": "<p>Bring notes</p>"},
        "start": at("2026-01-05T10:00:00"), "end": at("2026-01-05T11:30:00"),
        "isAllDay": false, "isCancelled": true, "isOrganizer": true, "responseRequested": true,
        "hasAttachments": false, "importance": "high", "sensitivity": "private",
        "showAs": "workingElsewhere", "isReminderOn": true, "reminderMinutesBeforeStart": 15,
        "categories": ["Blue", "Red"],
        "location": {"displayName": "Room 1; Elsewhere"},
        "locations": [{"displayName": "Room 1", "locationType": "conferenceRoom"},
            {"displayName": "", "address": {"street": "High Street 1", "city": "Town"}},
            {"locationUri": "https://place.example/"}, {"displayName": null}],
        "organizer": {"emailAddress": {"name": "Ann", "address": "ann@story.example"}},
        "attendees": [
            {"type": "required", "status": {"response": "accepted", "time": "x"},
             "emailAddress": {"name": "Bob", "address": "bob@story.example"}},
            {"type": "optional", "status": {"response": "tentativelyAccepted"},
             "emailAddress": {"name": "Cat", "address": "cat@else.example"}},
            {"type": "resource", "status": {"response": "declined"},
             "emailAddress": {"name": "Room 1", "address": "room1@story.example"}},
            {"emailAddress": {"name": "By telephone"}},
        ],
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "onlineMeetingUrl": null, "onlineMeeting": {"joinUrl": "https://meet.example/1"},
    })
}

fn weekly() -> Value {
    let mut event = single();
    let mut series = json!({
        "recurrence": {
            "pattern": {"type": "weekly", "interval": 1, "month": 0, "dayOfMonth": 0,
                "daysOfWeek": ["monday"], "firstDayOfWeek": "monday", "index": "first"},
            "range": {"type": "endDate", "startDate": "2026-01-05", "endDate": "2026-12-28",
                "recurrenceTimeZone": ZONE_NAME, "numberOfOccurrences": 0}},
        "cancelledOccurrences": ["OID.e1.2026-04-06", "OID.e1.2026-01-19", "OID.e1.soon"],
        "exceptionOccurrences": [
            {"id": "x2", "type": "exception", "originalStart": "2026-07-06T08:00:00Z",
             "subject": "Summer", "start": at("2026-07-07T09:00:00"),
             "end": at("2026-07-07T10:00:00"),
             "body": {"contentType": "text", "content": "plain"}, "bodyPreview": "plain"},
            {"id": "x1", "type": "exception", "originalStart": "2026-02-02T09:00:00Z",
             "start": at("2026-02-02T10:00:00"), "end": at("2026-02-02T12:00:00")},
            {"id": "x0", "type": "exception", "start": at("2026-03-02T10:00:00"),
             "end": at("2026-03-02T12:00:00")},
            {"id": "x3", "originalStart": "2026-02-09T09:00:00Z", "start": {"dateTime": "odd"}},
            "not an event",
        ],
    });
    event.as_object_mut().unwrap().append(series.as_object_mut().unwrap());
    event
}

fn list_entry() -> Value {
    json!({
        "id": "e1", "changeKey": "K1", "subject": "Jour fixe", "type": "seriesMaster",
        "start": {"dateTime": "2026-01-05T09:00:00.0000000", "timeZone": "UTC"},
        "originalStartTimeZone": ZONE_NAME, "categories": ["Blue"], "importance": "low",
        "organizer": {"emailAddress": {"name": "Ann", "address": "ann@story.example"}},
    })
}

fn page(events: &[Value]) -> Page<Item, ItemId> {
    let body = json!({"value": events}).to_string();
    parse_events_page(body.as_bytes(), &FolderId("cal".into())).unwrap()
}

fn listed_item(event: &Value) -> Item {
    listed(event, &FolderId("cal".into())).unwrap()
}

fn read(event: &Value) -> Result<Item, ExchangeError> {
    parse_event(event.to_string().as_bytes(), &listed_item(&list_entry()))
}

fn detail(item: &Item) -> &Event {
    match &item.detail {
        Some(Detail::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_tells_when_an_event_begins_and_in_which_zone_to_ask_for_it() {
    let page = page(&[list_entry()]);
    assert_eq!((page.next, page.unread), (Next::Complete, Vec::new()));
    let Change::Upsert(item) = &page.changes[0] else { panic!("{:?}", page.changes) };
    assert_eq!((item.kind, item.folder.0.as_str()), (ItemKind::Event, "cal"));
    assert_eq!((item.content_key.as_str(), &item.detail), ("K1", &None));
    assert_eq!(item.received, datetime!(2026-01-05 9:00 UTC));
    assert_eq!(
        (&item.provider[ZONE], &item.provider[TYPE]),
        (&json!(ZONE_NAME), &json!("seriesMaster"))
    );
    assert_eq!(item.from.as_deref(), Some("ann@story.example"));
    assert_eq!((item.importance, item.categories.len()), (Importance::Low, 1));
}

#[test]
fn one_odd_event_does_not_take_the_page_with_it() {
    let odd = |key: &str, value: Value| {
        let mut event = list_entry();
        event[key] = value;
        event
    };
    let mut nameless = list_entry();
    nameless.as_object_mut().unwrap().remove("id");
    let events = [
        odd("start", json!({"dateTime": "2026-13-01T00:00:00", "timeZone": "UTC"})),
        odd("start", json!({"dateTime": "2026-01-01T00:00:00", "timeZone": "Mars"})),
        odd("start", Value::Null),
        odd("changeKey", Value::Null),
        odd("subject", json!(7)),
        nameless,
        json!("no event"),
        list_entry(),
    ];
    let page = page(&events);
    assert_eq!((page.changes.len(), page.unread.len()), (1, 7));
    assert_eq!(page.unread[0].0, ItemId("e1".into()));
    assert!(page.unread[1].1.contains("Mars"), "{:?}", page.unread);
}

#[test]
fn an_answer_that_is_no_list_is_not_taken_for_an_empty_calendar() {
    let folder = FolderId("cal".into());
    for body in ["{}", "{\"value\":null}", "[]", "", "{\"value\":[],"] {
        assert!(parse_events_page(body.as_bytes(), &folder).is_err(), "{body}");
    }
    let more = br#"{"value":[],"@odata.nextLink":"https://x/"}"#;
    assert!(matches!(parse_events_page(more, &folder).unwrap().next, Next::More(_)));
}

#[test]
fn every_property_of_a_series_is_read() {
    let item = read(&weekly()).unwrap();
    let event = detail(&item);
    let zoned = |local| ZonedTime { local, zone: ZONE_NAME.into() };
    let named = |name: &str, address: &str| Person { name: name.into(), address: address.into() };
    let attendee = |person, role, response| Attendee { person, role, response };
    let expected = Event {
        uid: Some("uid-1".into()),
        subject: "Jour fixe".into(),
        body: Body::Html("<p>Bring notes</p>".into()),
        start: zoned(datetime!(2026-01-05 10:00)),
        end: zoned(datetime!(2026-01-05 11:30)),
        all_day: false,
        locations: vec![
            "Room 1".into(),
            "High Street 1, Town".into(),
            "https://place.example/".into(),
        ],
        organizer: Some(named("Ann", "ann@story.example")),
        is_organizer: true,
        attendees: vec![
            attendee(named("Bob", "bob@story.example"), Role::Required, Response::Accepted),
            attendee(named("Cat", "cat@else.example"), Role::Optional, Response::Tentative),
            attendee(named("Room 1", "room1@story.example"), Role::Resource, Response::Declined),
            attendee(named("By telephone", ""), Role::Required, Response::None),
        ],
        response: Response::Organizer,
        response_requested: true,
        categories: vec!["Blue".into(), "Red".into()],
        importance: Importance::High,
        sensitivity: Sensitivity::Private,
        show_as: ShowAs::WorkingElsewhere,
        reminder_minutes: Some(15),
        cancelled: true,
        online_meeting_url: Some("https://meet.example/1".into()),
        recurrence: Some(Recurrence {
            pattern: Pattern::Weekly {
                interval: 1,
                days: vec![Weekday::Monday],
                first_day: Weekday::Monday,
            },
            first: date!(2026 - 01 - 05),
            until: Until::Day(date!(2026 - 12 - 28)),
            zone: ZONE_NAME.into(),
        }),
        exceptions: event.exceptions.clone(),
        cancelled_occurrences: vec![date!(2026 - 01 - 19), date!(2026 - 04 - 06)],
        attachments: Vec::<AttachmentInfo>::new(),
        created: Some(datetime!(2026-01-02 8:00:00.1234567 UTC)),
        modified: Some(datetime!(2026-01-03 8:00 UTC)),
    };
    assert_eq!(*event, expected);
    let recipients = ["bob@story.example", "cat@else.example", "room1@story.example"];
    assert_eq!(item.recipients, recipients);
    assert_eq!(item.received, datetime!(2026-01-05 9:00 UTC));
    assert_eq!((item.content_key.as_str(), item.subject.as_str()), ("K1", "Jour fixe"));
    assert_eq!((item.from.as_deref(), item.folder.0.as_str()), (Some("ann@story.example"), "cal"));
}

#[test]
fn changed_occurrences_keep_their_place_in_the_series_and_what_is_odd_is_named() {
    let item = read(&weekly()).unwrap();
    let event = detail(&item);
    let originals: Vec<_> = event.exceptions.iter().map(|one| one.original.local).collect();
    assert_eq!(originals, [datetime!(2026-02-02 10:00), datetime!(2026-07-06 10:00)]);
    assert_eq!(event.exceptions[1].original.zone, ZONE_NAME);
    let summer = &event.exceptions[1].event;
    assert_eq!(summer.start.local, datetime!(2026-07-07 9:00));
    assert_eq!((summer.subject.as_str(), &summer.body), ("Summer", &Body::Text("plain".into())));
    // One without its original, one with an odd time, one that is no event, an odd cancelled one.
    assert_eq!(item.provider[NOT_KEPT].as_array().unwrap().len(), 4);
}

#[test]
fn what_graph_told_is_kept_unchanged_beside_the_texts() {
    let told = &read(&weekly()).unwrap().provider[TOLD];
    assert_eq!(told["originalEndTimeZone"], ZONE_NAME);
    assert_eq!(told["locations"][0]["locationType"], "conferenceRoom");
    assert_eq!(told["exceptionOccurrences"][0]["id"], "x2");
    for gone in ["body", "bodyPreview", "@odata.context", "@odata.etag"] {
        assert!(told.get(gone).is_none(), "{gone}");
    }
    assert!(told["exceptionOccurrences"][0].get("body").is_none());
}

#[test]
fn an_event_in_utc_needs_no_other_clock() {
    let mut event = weekly();
    event["start"] = json!({"dateTime": "2026-01-05T09:30:00", "timeZone": "UTC"});
    event["end"] = json!({"dateTime": "2026-01-05T11:00:00", "timeZone": "UTC"});
    assert_eq!(read(&event).unwrap().received, datetime!(2026-01-05 9:30 UTC));
}

#[test]
fn a_whole_day_stays_the_day_that_it_is() {
    let mut event = weekly();
    event["isAllDay"] = json!(true);
    event["start"] = json!({"dateTime": "2026-01-05T00:00:00.0000000", "timeZone": "UTC"});
    event["end"] = json!({"dateTime": "2026-01-06T00:00:00.0000000", "timeZone": "UTC"});
    // Told as a midnight in UTC, or as one in the zone of its author.
    event["exceptionOccurrences"][0]["originalStart"] = json!("2026-07-06T00:00:00Z");
    event["exceptionOccurrences"][1]["originalStart"] = json!("2026-02-01T23:00:00Z");
    let item = read(&event).unwrap();
    let event = detail(&item);
    assert!(event.all_day);
    let originals: Vec<_> = event.exceptions.iter().map(|one| one.original.local).collect();
    assert_eq!(originals, [datetime!(2026-02-02 0:00), datetime!(2026-07-06 0:00)]);
}

#[test]
fn a_bare_event_has_no_reminder_and_no_recurrence() {
    let event = json!({"changeKey": "K", "start": at("2026-01-05T10:00:00"),
        "end": at("2026-01-05T10:00:00"), "isReminderOn": false, "reminderMinutesBeforeStart": 15,
        "recurrence": null, "attendees": null, "organizer": null, "location": {"displayName": "A"}});
    let item = read(&event).unwrap();
    let read = detail(&item);
    assert_eq!((read.reminder_minutes, &read.recurrence), (None, &None));
    assert_eq!((&read.organizer, read.show_as), (&None, ShowAs::Busy));
    assert_eq!(read.locations, ["A"]);
    assert!(!item.provider.contains_key(NOT_KEPT));
}

#[test]
fn an_event_that_cannot_be_read_is_an_error_of_that_event() {
    for (key, value) in [
        ("start", Value::Null),
        ("end", json!({"dateTime": "later"})),
        ("changeKey", json!(1)),
        ("recurrence", json!({"pattern": {"type": "weekly"}})),
        (
            "recurrence",
            json!({"pattern": {"type": "daily", "interval": -1},
            "range": {"type": "noEnd", "startDate": "2026-01-01"}}),
        ),
        ("attendees", json!("all")),
    ] {
        let mut event = weekly();
        event[key] = value;
        if key == "changeKey" {
            event["lastModifiedDateTime"] = Value::Null;
        }
        let error = read(&event).unwrap_err();
        assert!(error.concerns_one_item(), "{key}: {error}");
    }
}
