//! Events and contacts.

use mailkeep_exchange::Provider;
use mailkeep_model::{
    Attachment, AttachmentInfo, Attendee, Body, Contact, Detail, Event, Exception, Folder,
    FolderKind, Importance, ItemId, ItemKind, Pattern, Person, Recurrence, Response, Role,
    Sensitivity, ShowAs, Until, Weekday, ZonedTime,
};
use serde_json::{Value, json};
use time::{
    PrimitiveDateTime,
    macros::{date, datetime},
};

use crate::world::{self, World, by_mark, mark, wanted};

pub(crate) const ZONE: &str = "W. Europe Standard Time";

pub(crate) fn at(local: PrimitiveDateTime) -> ZonedTime {
    ZonedTime { local, zone: ZONE.into() }
}

pub(crate) fn appointment(subject: &str) -> Event {
    Event {
        uid: None,
        subject: subject.into(),
        body: Body::Html("<p>Agenda</p>".into()),
        start: at(datetime!(2026-10-19 10:00)),
        end: at(datetime!(2026-10-19 10:30)),
        all_day: false,
        locations: vec!["Room 1".into()],
        organizer: None,
        is_organizer: true,
        attendees: Vec::new(),
        response: Response::None,
        response_requested: false,
        categories: vec!["Blue".into()],
        importance: Importance::High,
        sensitivity: Sensitivity::Private,
        show_as: ShowAs::Oof,
        reminder_minutes: Some(30),
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

/// Weekly over the end of summer time; one moved, one renamed, one deleted.
pub(crate) fn series() -> Event {
    let series = appointment("Weekly");
    let mut moved = appointment("Weekly");
    (moved.start, moved.end) = (at(datetime!(2026-11-03 15:00)), at(datetime!(2026-11-03 16:00)));
    let mut renamed = appointment("Weekly, elsewhere");
    renamed.locations = vec!["Garden".into(), "Room 2".into()];
    renamed.show_as = ShowAs::Free;
    (renamed.start, renamed.end) =
        (at(datetime!(2026-10-26 10:00)), at(datetime!(2026-10-26 10:30)));
    Event {
        recurrence: Some(Recurrence {
            pattern: Pattern::Weekly {
                interval: 1,
                days: vec![Weekday::Monday],
                first_day: Weekday::Monday,
            },
            first: date!(2026 - 10 - 19),
            until: Until::Count(6),
            zone: ZONE.into(),
        }),
        exceptions: vec![
            Exception { original: at(datetime!(2026-10-26 10:00)), event: renamed },
            Exception { original: at(datetime!(2026-11-02 10:00)), event: moved },
        ],
        cancelled_occurrences: vec![date!(2026 - 11 - 09)],
        ..series
    }
}

/// An event as the lab has it, times in UTC.
pub(crate) async fn kept(world: &World, calendar: &Folder, subject: &str) -> Value {
    let mut all = world.kept("events", subject).await;
    all.retain(|one| one["calendar"] == json!(calendar.id.0));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Start and end of an event as the lab has it.
pub(crate) fn times(event: &Value) -> [&str; 2] {
    ["start", "end"]
        .map(|name| event[name]["dateTime"].as_str().unwrap().split('.').next().unwrap())
}

fn places(event: &Value) -> Vec<&str> {
    let places = event["locations"].as_array().unwrap().iter();
    places.map(|place| place["displayName"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_comes_back_with_its_moved_changed_and_deleted_occurrences() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let series = series();
    // Something breaks off in the middle, and once an answer is lost.
    world
        .fails(json!([
            {"operation": "event.instances", "reset": true, "times": 1},
            {"operation": "event.create", "reset": true, "when": "after", "times": 1},
            {"operation": "event.delete", "reset": true, "when": "after", "times": 1},
        ]))
        .await;
    let item = world::event(series.clone());
    let created = world.create(&calendar, &item, &[], &[]).await.unwrap();
    assert_eq!(created.lost, Vec::<String>::new());
    let event = kept(&world, &calendar, "Weekly").await;
    assert_eq!(event["id"], created.id.0);
    // Ten o'clock in summer time.
    assert_eq!(times(&event), ["2026-10-19T08:00:00", "2026-10-19T08:30:00"]);
    assert_eq!(event["originalStartTimeZone"], ZONE);
    assert_eq!(event["recurrence"]["pattern"]["daysOfWeek"], json!(["monday"]));
    assert_eq!(event["recurrence"]["range"]["numberOfOccurrences"], 6);
    assert_eq!(event["recurrence"]["range"]["recurrenceTimeZone"], ZONE);
    assert_eq!(event["cancelled"], json!(["2026-11-09"]));
    assert_eq!((&event["showAs"], &event["sensitivity"]), (&json!("oof"), &json!("private")));
    assert_eq!((&event["importance"], &event["categories"]), (&json!("high"), &json!(["Blue"])));
    assert_eq!(
        (&event["isReminderOn"], &event["reminderMinutesBeforeStart"]),
        (&json!(true), &json!(30))
    );
    assert_eq!(places(&event), ["Room 1"]);
    let [renamed, moved] = &event["exceptions"].as_array().unwrap()[..] else { panic!("{event}") };
    assert_eq!(
        (&renamed["original_date"], &renamed["subject"]),
        (&json!("2026-10-26"), &json!("Weekly, elsewhere"))
    );
    // And in winter time.
    assert_eq!(times(renamed), ["2026-10-26T09:00:00", "2026-10-26T09:30:00"]);
    assert_eq!((places(renamed), &renamed["showAs"]), (vec!["Garden", "Room 2"], &json!("free")));
    assert_eq!(
        (&moved["original_date"], &moved["subject"]),
        (&json!("2026-11-02"), &json!("Weekly"))
    );
    assert_eq!(times(moved), ["2026-11-03T14:00:00", "2026-11-03T15:00:00"]);
    assert_eq!(places(moved), ["Room 1"]);
    let again = world.create(&calendar, &item, &[], &[]).await.unwrap();
    assert_eq!(again.id, created.id);
    kept(&world, &calendar, "Weekly").await;
    for more in [0, 30] {
        let mut all = vec![wanted("Weekly")];
        all.extend((0..more).map(|n| wanted(&format!("none {n}"))));
        let existing = world.existing(ItemKind::Event, &all).await;
        assert_eq!(existing.len(), 1, "{existing:?}");
        assert_eq!((&existing[0].id, &existing[0].folder), (&created.id, &calendar.id));
        assert_eq!(existing[0].mark, Some(mark("Weekly", "k")));
        let itself = by_mark(created.id.clone(), "other");
        all[0] = itself;
        assert_eq!(world.existing(ItemKind::Event, &all).await, existing);
    }
    assert_eq!(world.invitations().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_is_restored_without_anybody_hearing_of_it() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let person = |name: &str| Person { name: name.into(), address: format!("{name}@far.example") };
    let mut meeting = series();
    meeting.subject = "Meeting".into();
    meeting.organizer = Some(person("org"));
    meeting.attendees = vec![Attendee {
        person: person("ann"),
        role: Role::Required,
        response: Response::Accepted,
    }];
    for exception in &mut meeting.exceptions {
        exception.event.attendees = meeting.attendees.clone();
    }
    let info = |name: &str| AttachmentInfo {
        name: name.into(),
        content_type: "application/pdf".into(),
        ..AttachmentInfo::default()
    };
    let files = [
        Attachment { info: info("small.pdf"), bytes: b"small".to_vec() },
        Attachment { info: info("first.pdf"), bytes: vec![1; 2_900_000] },
        Attachment { info: info("second.pdf"), bytes: vec![2; 2_900_000] },
    ];
    meeting.attachments = files.iter().map(|file| file.info.clone()).collect();
    let item = world::event(meeting);
    let created = world.create(&calendar, &item, &[], &files).await.unwrap();
    assert!(created.lost.iter().any(|lost| lost.contains("invitations")), "{:?}", created.lost);
    let event = kept(&world, &calendar, "Meeting").await;
    assert_eq!(
        (&event["attendees"], event["exceptions"].as_array().unwrap().len()),
        (&json!([]), 2)
    );
    let files = event["attachments"].as_array().unwrap().iter();
    let mut files: Vec<_> =
        files.map(|one| (one["name"].as_str().unwrap(), &one["size"])).collect();
    files.sort_by_key(|(name, _)| *name);
    let (large, small) = (json!(2_900_000), json!(5));
    assert_eq!(files, [("first.pdf", &large), ("second.pdf", &large), ("small.pdf", &small)]);
    let extended = event["extended"].to_string();
    assert!(
        extended.contains("MailkeepAttendees") && extended.contains("ann@far.example"),
        "{extended}"
    );
    world.provider.delete(&world.mailbox, ItemKind::Event, &created.id).await.unwrap();
    world.provider.delete(&world.mailbox, ItemKind::Event, &created.id).await.unwrap();
    assert!(world.existing(ItemKind::Event, &[wanted("Meeting")]).await.is_empty());
    assert_eq!(world.invitations().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_back_with_a_file_that_is_too_large_for_one_request() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let info = AttachmentInfo {
        name: "plan.pdf".into(),
        content_type: "application/pdf".into(),
        ..AttachmentInfo::default()
    };
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let expected = world::sha256(&bytes);
    let mut event = appointment("Planning");
    event.attachments = vec![info.clone()];
    // A piece that is refused, and one whose answer is lost.
    world
        .fails(json!([
            {"operation": "upload.put", "status": 503, "retry_after": 0, "times": 1},
            {"operation": "upload.create", "reset": true, "times": 1},
        ]))
        .await;
    let files = [Attachment { info, bytes }];
    let created = world.create(&calendar, &world::event(event), &[], &files).await.unwrap();
    assert_eq!(created.lost, Vec::<String>::new());
    let event = kept(&world, &calendar, "Planning").await;
    let [file] = &event["attachments"].as_array().unwrap()[..] else { panic!("{event}") };
    assert_eq!(
        (&file["name"], &file["content_type"]),
        (&json!("plan.pdf"), &json!("application/pdf"))
    );
    assert_eq!((&file["size"], &file["sha256"]), (&json!(5_000_000), &json!(expected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_day_events_and_unknown_zones_are_restored() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let mut holiday = appointment("Holiday");
    holiday.all_day = true;
    (holiday.start, holiday.end) = (at(datetime!(2026-12-24 0:00)), at(datetime!(2026-12-27 0:00)));
    let created = world.create(&calendar, &world::event(holiday.clone()), &[], &[]).await.unwrap();
    let event = kept(&world, &calendar, "Holiday").await;
    assert_eq!((&event["id"], &event["isAllDay"]), (&json!(created.id.0), &json!(true)));
    assert!(times(&event)[0].starts_with("2026-12-2") && created.lost.is_empty(), "{event}");

    let mut odd = series();
    odd.subject = "Odd".into();
    let zone = "Customized Time Zone".to_owned();
    odd.start.zone = zone.clone();
    odd.end.zone = zone.clone();
    odd.recurrence.as_mut().unwrap().zone = zone.clone();
    for exception in &mut odd.exceptions {
        exception.original.zone = zone.clone();
        exception.event.start.zone = zone.clone();
        exception.event.end.zone = zone.clone();
    }
    let mut item = world::event(odd);
    // What the provider told: eight in UTC is ten on that clock.
    item.received = datetime!(2026-10-19 8:00 UTC);
    let created = world.create(&calendar, &item, &[], &[]).await.unwrap();
    assert!(created.lost.iter().any(|lost| lost.contains(&zone)), "{:?}", created.lost);
    let event = kept(&world, &calendar, "Odd").await;
    assert_eq!(times(&event)[0], "2026-10-19T08:00:00");
    assert_eq!(times(&event["exceptions"][0])[0], "2026-10-26T08:00:00");
    assert_eq!(times(&event["exceptions"][1])[0], "2026-11-03T13:00:00");
    assert_eq!(event["cancelled"], json!(["2026-11-09"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_comes_back_with_its_photograph() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Contacts, "Restored").await;
    let contact = Contact {
        display_name: "Zoë Example".into(),
        given_name: "Zoë".into(),
        emails: vec![Person { name: "Zoë".into(), address: "zoe@far.example".into() }],
        mobile_phone: "+371 1".into(),
        birthday: Some(date!(1990 - 05 - 06)),
        categories: vec!["Red".into()],
        ..Contact::default()
    };
    let photo = [&[0xFF, 0xD8, 0xFF, 0xE0][..], &[7; 500], &[0xFF, 0xD9]].concat();
    let photo = Attachment { bytes: photo, ..Attachment::default() };
    world
        .fails(json!([
            {"operation": "contact.create", "reset": true, "when": "after", "times": 1},
            {"operation": "contact.photo.put", "status": 503, "times": 1},
        ]))
        .await;
    let item = world::contact(contact.clone());
    let created = world.create(&folder, &item, &[], std::slice::from_ref(&photo)).await.unwrap();
    assert_eq!(created.lost, Vec::<String>::new());
    let found = world.provider.item(&world.mailbox, ItemKind::Contact, &created.id).await.unwrap();
    let details = world.provider.details(&world.mailbox, &found.unwrap()).await.unwrap();
    let Some(Detail::Contact(read)) = details.item.detail else { panic!("no contact") };
    assert_eq!((read.emails, read.birthday), (contact.emails, contact.birthday));
    assert_eq!((read.mobile_phone, read.categories), (contact.mobile_phone, contact.categories));
    assert_eq!(details.attachments[0].bytes, photo.bytes);
    for more in [0, 30] {
        let mut all = vec![wanted("Zoë Example")];
        all.extend((0..more).map(|n| wanted(&format!("none {n}"))));
        let existing = world.existing(ItemKind::Contact, &all).await;
        assert_eq!(existing.len(), 1, "{existing:?}");
        assert_eq!((&existing[0].id, &existing[0].folder), (&created.id, &folder.id));
    }
    let again = world.create(&folder, &item, &[], &[photo]).await.unwrap();
    assert_eq!(again.id, created.id);
    assert_eq!(world.kept("contacts", "Zoë Example").await.len(), 1);
    world.provider.delete(&world.mailbox, ItemKind::Contact, &created.id).await.unwrap();
    assert!(world.existing(ItemKind::Contact, &[wanted("Zoë Example")]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_whose_attendees_would_be_told_is_not_deleted() {
    let world = World::new().await;
    let order =
        json!({"mailbox": world.mailbox.address.as_str(), "seed": 1, "events": {"create": 30}});
    world.order("mutate", order).await;
    let before = world.invitations().await;
    let all = world.all("events").await;
    let mut refused = 0;
    for event in &all {
        let id = ItemId(event["id"].as_str().unwrap().to_owned());
        let deleted = world.provider.delete(&world.mailbox, ItemKind::Event, &id).await;
        let attendees = event["attendees"].as_array().unwrap();
        let told = event["isOrganizer"] == true && !attendees.is_empty();
        assert_eq!(deleted.is_err(), told, "{event}: {deleted:?}");
        if let Err(error) = deleted {
            assert!(error.to_string().contains("cancellations"), "{error}");
            refused += 1;
        }
    }
    assert!(refused > 0, "no meeting with attendees was there");
    assert_eq!(world.invitations().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_item_comes_back_as_what_it_is() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Calendar, "Restored").await;
    let letter = world::mime("Within", 0);
    let attachments = [
        attached("Within.eml", "message/rfc822", &letter),
        attached("Lunch.ics", "text/calendar", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"),
        attached("Ann.vcf", "text/vcard", b"BEGIN:VCARD\r\nEND:VCARD\r\n"),
        attached("plan.txt", "text/plain", b"plan"),
    ];
    let mut item = world::event(appointment("With items"));
    let lunch = json!({"@odata.type": "#microsoft.graph.event", "subject": "Lunch",
        "body": {"contentType": "text", "content": "Soup"}, "isAllDay": false,
        "start": {"dateTime": "2026-10-19T12:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-10-19T13:00:00", "timeZone": "UTC"}, "changeKey": "k"});
    let ann = json!({"@odata.type": "#microsoft.graph.contact", "displayName": "Ann",
        "emailAddresses": [{"name": "Ann", "address": "ann@far.example"}], "id": "x"});
    let letter = json!({"@odata.type": "#microsoft.graph.message", "subject": "Within"});
    item.provider =
        json!({"attachedItems": {"0": letter, "1": lunch, "2": ann}}).as_object().unwrap().clone();
    let created = world.create(&folder, &item, &[], &attachments).await.unwrap();
    assert_eq!(created.lost, Vec::<String>::new());
    // Read again, each is an item, with all that was written of it.
    let listed = world.provider.item(&world.mailbox, ItemKind::Event, &created.id).await.unwrap();
    let details = world.provider.details(&world.mailbox, &listed.unwrap()).await.unwrap();
    let items = details.item.provider["attachedItems"].as_object().unwrap();
    assert_eq!(items.len(), 3, "{items:?}");
    assert_eq!(items["1"]["subject"], "Lunch");
    assert_eq!(items["1"]["body"]["content"].as_str().map(str::trim), Some("Soup"));
    assert_eq!(items["2"]["emailAddresses"][0]["address"], "ann@far.example");
    assert_eq!(details.attachments.len(), 4);
    assert_eq!(details.attachments[3].bytes, b"plan");
    // One that Graph refuses is a file, and the event is there all the same.
    let mut odd = world::event(appointment("With an odd item"));
    odd.provider = json!({"attachedItems": {"1": {"@odata.type": "#microsoft.graph.event",
        "subject": "Lunch", "start": {"dateTime": "never", "timeZone": "UTC"}}}})
    .as_object()
    .unwrap()
    .clone();
    let created = world.create(&folder, &odd, &[], &attachments[..2]).await.unwrap();
    assert_eq!(created.lost.len(), 1, "{:?}", created.lost);
    let [kept] = &world.kept("events", "With an odd item").await[..] else { panic!("not one") };
    assert_eq!(kept["attachments"].as_array().unwrap().len(), 2);
}

fn attached(name: &str, content_type: &str, bytes: &[u8]) -> Attachment {
    let info = AttachmentInfo {
        name: name.into(),
        content_type: content_type.into(),
        ..AttachmentInfo::default()
    };
    Attachment { info, bytes: bytes.to_vec() }
}
