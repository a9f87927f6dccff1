//! Calendars and events.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, PERSONAL, World, read};

const PROPERTY: &str = "String {6ca41bbd-3f53-4b7a-8e8e-4dd5a1a5a5a5} Name origin";

pub(crate) struct Calendar {
    pub(crate) world: World,
    pub(crate) graph: Graph,
    pub(crate) user: String,
    pub(crate) events: String,
}

impl Calendar {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let graph = world.graph(PERSONAL).await;
        let user = format!("users/{}", world.mailbox(0));
        let made =
            graph.send("POST", &format!("{user}/calendars"), json!({ "name": "Test" })).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        let events = format!("{user}/calendars/{}/events", made.1["id"].as_str().unwrap());
        Self { world, graph, user, events }
    }

    pub(crate) async fn make(&self, event: Value) -> Value {
        let (status, made) = self.graph.send("POST", &self.events, event).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    pub(crate) fn path(&self, event: &Value) -> String {
        format!("{}/events/{}", self.user, event["id"].as_str().unwrap())
    }

    pub(crate) async fn instances(&self, event: &Value, from: &str, to: &str) -> Vec<Value> {
        let path = format!(
            "{}/instances?startDateTime={from}&endDateTime={to}&$top=1000",
            self.path(event)
        );
        self.graph.get(&path).await["value"].as_array().unwrap().clone()
    }

    async fn sent(&self) -> u64 {
        let counters = self.world.admin("GET", "counters", Value::Null).await;
        counters["invitations_sent"].as_u64().unwrap()
    }
}

fn event(start: &str, end: &str, zone: &str) -> Value {
    json!({
        "subject": "Meeting",
        "start": { "dateTime": start, "timeZone": zone },
        "end": { "dateTime": end, "timeZone": zone },
    })
}

pub(crate) fn weekly(zone: &str) -> Value {
    let mut event = event("2026-09-01T09:00:00", "2026-09-01T10:00:00", zone);
    event["recurrence"] = json!({
        "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"] },
        "range": { "type": "numbered", "startDate": "2026-09-01", "numberOfOccurrences": 40 },
    });
    event
}

fn starts(list: &[Value]) -> Vec<&str> {
    list.iter().map(|event| event["start"]["dateTime"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_mailbox_has_a_calendar_that_cannot_be_taken_away() {
    let here = Calendar::new().await;
    let (graph, user) = (&here.graph, &here.user);
    let default = graph.get(&format!("{user}/calendar")).await;
    assert_eq!(
        (&default["name"], &default["isDefaultCalendar"]),
        (&json!("Calendar"), &json!(true))
    );
    let first = graph.get(&format!("{user}/calendars?$top=1&$select=name")).await;
    assert_eq!(first["value"][0]["id"], default["id"]);
    let second = graph.get(first["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(second["value"][0]["name"], json!("Test"));
    assert!(second.get("@odata.nextLink").is_none());
    let path = |calendar: &Value| format!("{user}/calendars/{}", calendar["id"].as_str().unwrap());
    let test = path(&second["value"][0]);
    let (status, body) =
        graph.send("POST", &format!("{user}/calendars"), json!({ "name": "TEST" })).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (409, &json!("ErrorFolderExists")));
    let (status, renamed) = graph.send("PATCH", &test, json!({ "name": "Other" })).await;
    assert_eq!((status.as_u16(), &renamed["name"]), (200, &json!("Other")));
    for (path, status) in [(path(&default), 400), (test.clone(), 204), (test, 404)] {
        let response = graph.request("DELETE", &path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_list_has_single_events_and_series_and_never_what_becomes_of_these() {
    let here = Calendar::new().await;
    let single = here.make(event("2026-11-23T09:00:00", "2026-11-23T10:00:00", "UTC")).await;
    let series = here.make(weekly("UTC")).await;
    let calendar = here.graph.get(&format!("{}/calendar", here.path(&series))).await;
    assert_eq!(calendar["name"], json!("Test"));
    let instances = here.instances(&series, "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z").await;
    assert_eq!(instances.len(), 5);
    assert!(instances.iter().all(|one| one["type"] == "occurrence"));
    let (status, moved) = here
        .graph
        .send(
            "PATCH",
            &here.path(&instances[1]),
            json!({
                "subject": "Moved",
                "start": { "dateTime": "2026-09-09T15:00:00", "timeZone": "UTC" },
                "end": { "dateTime": "2026-09-09T16:30:00", "timeZone": "UTC" },
            }),
        )
        .await;
    assert_eq!((status.as_u16(), &moved["type"]), (200, &json!("exception")), "{moved}");
    assert_eq!(moved["originalStart"], json!("2026-09-08T09:00:00Z"));
    assert_eq!(moved["seriesMasterId"], series["id"]);
    let gone = here.graph.request("DELETE", &here.path(&instances[2])).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);

    let list = here.graph.get(&format!("{}?$select=cancelledOccurrences,type", here.events)).await;
    let ids: Vec<&Value> = list["value"].as_array().unwrap().iter().map(|e| &e["id"]).collect();
    assert_eq!(ids, [&single["id"], &series["id"]]);
    assert!(list["value"][1].get("cancelledOccurrences").is_none());
    let refused = format!("{}?$expand=exceptionOccurrences", here.events);
    assert_eq!(here.graph.try_get(&refused).await.0, StatusCode::BAD_REQUEST);

    let path = here.path(&series);
    let plain = here.graph.get(&path).await;
    assert!(
        plain.get("cancelledOccurrences").is_none() && plain.get("exceptionOccurrences").is_none()
    );
    assert_ne!(plain["changeKey"], series["changeKey"], "the series has changed");
    let full = here
        .graph
        .get(&format!("{path}?$select=subject,exceptionOccurrences,cancelledOccurrences&$expand=exceptionOccurrences"))
        .await;
    let id = series["id"].as_str().unwrap();
    assert_eq!(full["cancelledOccurrences"], json!([format!("OID.{id}.2026-09-15")]));
    assert_eq!(full["exceptionOccurrences"].as_array().unwrap().len(), 1);
    assert_eq!(full["exceptionOccurrences"][0]["id"], moved["id"]);
    assert_eq!(full["exceptionOccurrences"][0]["subject"], json!("Moved"));

    let after = here.instances(&series, "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z").await;
    assert_eq!(
        starts(&after),
        [
            "2026-09-01T09:00:00.0000000",
            "2026-09-09T15:00:00.0000000",
            "2026-09-22T09:00:00.0000000",
            "2026-09-29T09:00:00.0000000"
        ]
    );
    assert_eq!(here.graph.try_get(&here.path(&instances[2])).await.0, StatusCode::NOT_FOUND);

    // What the exception does not say itself it has from the series.
    here.graph.send("PATCH", &path, json!({ "importance": "high", "subject": "All" })).await;
    let exception = here.graph.get(&here.path(&moved)).await;
    assert_eq!(
        (&exception["subject"], &exception["importance"]),
        (&json!("Moved"), &json!("high"))
    );
    // It cannot go past its neighbours.
    let far = json!({
        "start": { "dateTime": "2026-09-23T15:00:00", "timeZone": "UTC" },
        "end": { "dateTime": "2026-09-23T16:00:00", "timeZone": "UTC" },
    });
    let (status, body) = here.graph.send("PATCH", &here.path(&moved), far).await;
    let code = &body["error"]["code"];
    assert_eq!((status.as_u16(), code), (400, &json!("ErrorOccurrenceCrossingBoundary")));
}

#[tokio::test]
async fn a_meeting_stays_at_its_local_time_when_the_clock_changes() {
    let here = Calendar::new().await;
    let series = here.make(weekly("W. Europe Standard Time")).await;
    for (from, to, expected) in [
        ("2026-10-20", "2026-10-31", ["2026-10-20T07:00", "2026-10-27T08:00"]),
        ("2027-03-23", "2027-04-02", ["2027-03-23T08:00", "2027-03-30T07:00"]),
    ] {
        let found = here.instances(&series, from, to).await;
        let expected = expected.map(|at| format!("{at}:00.0000000"));
        assert_eq!(starts(&found), expected);
    }
    let path = format!(
        "{}/instances?startDateTime=2026-09-01&endDateTime=2027-09-01&$top=1000",
        here.path(&series)
    );
    for (zone, hour) in [("W. Europe Standard Time", "T09:"), ("Europe/Paris", "T09:")] {
        let prefer = format!("outlook.timezone=\"{zone}\"");
        let response =
            here.graph.request("GET", &path).header("prefer", &prefer).send().await.unwrap();
        assert_eq!(response.headers()["preference-applied"], prefer);
        let (_, answer) = read(response).await;
        let found = answer["value"].as_array().unwrap().clone();
        assert_eq!(found.len(), 40);
        assert!(starts(&found).iter().all(|at| at.contains(hour)), "{zone}");
        assert!(found.iter().all(|one| one["start"]["timeZone"] == zone));
        assert!(found.iter().all(|one| one["originalStartTimeZone"] == "W. Europe Standard Time"));
    }
    let prefer = "outlook.timezone=\"Mars\"";
    let response = here.graph.request("GET", &path).header("prefer", prefer).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let range = &series["recurrence"]["range"];
    assert_eq!(range["recurrenceTimeZone"], json!("W. Europe Standard Time"));
    assert_eq!(range["numberOfOccurrences"], json!(40));
}

#[tokio::test]
async fn a_series_is_taken_as_it_is_written_or_refused() {
    let here = Calendar::new().await;
    let mut whole = event("2028-02-29T00:00:00", "2028-03-01T00:00:00", "Tokyo Standard Time");
    whole["isAllDay"] = json!(true);
    whole["recurrence"] = json!({
        "pattern": { "type": "absoluteYearly", "interval": 1, "month": 2, "dayOfMonth": 29 },
        "range": { "type": "endDate", "startDate": "2028-02-29", "endDate": "2032-12-31" },
    });
    let leap = here.make(whole.clone()).await;
    let found = here.instances(&leap, "2028-02-01", "2032-04-01").await;
    let days: Vec<&str> = starts(&found).iter().map(|at| &at[..10]).collect();
    assert_eq!(days, ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]);
    assert!(starts(&found).iter().all(|at| at.ends_with("T00:00:00.0000000")), "days have no zone");

    let mut month_end = event("2027-01-31T08:00:00", "2027-01-31T09:00:00", "UTC");
    month_end["recurrence"] = json!({
        "pattern": { "type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31 },
        "range": { "type": "noEnd", "startDate": "2027-01-31" },
    });
    let series = here.make(month_end).await;
    let found = here.instances(&series, "2027-01-01", "2027-05-01").await;
    let days: Vec<&str> = starts(&found).iter().map(|at| &at[5..10]).collect();
    assert_eq!(days, ["01-31", "02-28", "03-31", "04-30"]);
    let range = &here.graph.get(&here.path(&series)).await["recurrence"]["range"];
    assert_eq!(range["endDate"], json!("0001-01-01"));

    // The start of the series is not on its rule: the first occurrence is the start.
    let mut fridays = event("2026-05-01T08:00:00", "2026-05-01T09:00:00", "UTC");
    fridays["recurrence"] = json!({
        "pattern": { "type": "relativeMonthly", "interval": 1, "daysOfWeek": ["friday"], "index": "last" },
        "range": { "type": "numbered", "startDate": "2026-05-01", "numberOfOccurrences": 3 },
    });
    let series = here.make(fridays).await;
    assert_eq!(series["start"]["dateTime"], json!("2026-05-29T08:00:00.0000000"));
    let found = here.instances(&series, "2026-01-01", "2026-12-31").await;
    let days: Vec<&str> = starts(&found).iter().map(|at| &at[5..10]).collect();
    assert_eq!(days, ["05-29", "06-26", "07-31"]);

    let with = |path: &[&str], value: Value| {
        let mut event = whole.clone();
        let mut at = &mut event;
        for name in path {
            at = &mut at[*name];
        }
        *at = value;
        event
    };
    for bad in [
        with(&["recurrence", "pattern", "interval"], json!(0)),
        with(&["recurrence", "pattern", "type"], json!("hourly")),
        with(&["recurrence", "pattern", "dayOfMonth"], json!(30)),
        with(&["recurrence", "pattern", "colour"], json!("red")),
        with(&["recurrence", "range", "startDate"], json!("2028-03-01")),
        with(&["recurrence", "range", "endDate"], json!("2028-02-28")),
        with(&["recurrence", "range", "recurrenceTimeZone"], json!("Mars")),
        with(&["start", "dateTime"], json!("2028-02-29T00:30:00")),
        with(&["start", "dateTime"], json!("2028-02-29T00:00:00Z")),
        with(&["end", "timeZone"], json!("UTC")),
        with(&["end", "dateTime"], json!("2028-02-29T00:00:00")),
        with(&["organizer"], json!({ "emailAddress": { "address": "x@a.example" } })),
        with(&["showAs"], json!("sleeping")),
        with(&["uid"], json!("x")),
    ] {
        let (status, body) = here.graph.send("POST", &here.events, bad.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad} {body}");
    }
    let path = here.path(&series);
    for bad in ["", "?startDateTime=2026-01-01", "?startDateTime=2026-01-01&endDateTime=2036-01-01"]
    {
        let (status, _) = here.graph.try_get(&format!("{path}/instances{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn whoever_writes_attendees_sends_mail() {
    let here = Calendar::new().await;
    let (graph, world) = (&here.graph, &here.world);
    let colleague = world.mailbox(1);
    let inbox = format!("users/{colleague}/mailFolders/inbox/messages?$top=1");
    let mut meeting = weekly("UTC");
    let attendee =
        |address: &str| json!({ "emailAddress": { "address": address }, "type": "optional" });
    meeting["attendees"] =
        json!([attendee(colleague), attendee("x@a.example"), attendee(world.mailbox(0))]);
    meeting["transactionId"] = json!("once");
    let made = here.make(meeting.clone()).await;
    assert_eq!(here.sent().await, 2, "outside and inside, the owner not");
    assert_eq!(graph.get(&inbox).await["value"][0]["subject"], json!("Meeting"));
    let again = here.make(meeting).await;
    assert_eq!((&again["id"], here.sent().await), (&made["id"], 2), "the same transaction");
    assert_eq!(made["attendees"][0]["status"]["response"], json!("none"));

    let path = here.path(&made);
    graph.send("PATCH", &path, json!({ "categories": ["x"], "showAs": "free" })).await;
    assert_eq!(here.sent().await, 2, "nobody's business");
    graph.send("PATCH", &path, json!({ "subject": "New" })).await;
    assert_eq!(here.sent().await, 4);
    let file = json!({
        "@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "YQ==",
    });
    graph.send("POST", &format!("{path}/attachments"), file).await;
    assert_eq!(here.sent().await, 6);
    graph.request("DELETE", &path).send().await.unwrap();
    assert_eq!(here.sent().await, 8);
    assert_eq!(graph.get(&inbox).await["value"][0]["subject"], json!("Canceled: New"));
    let alone = here.make(event("2026-11-23T09:00:00", "2026-11-23T10:00:00", "UTC")).await;
    graph.request("DELETE", &here.path(&alone)).send().await.unwrap();
    assert_eq!(here.sent().await, 8);
    world.admin("DELETE", "counters", Value::Null).await;
    assert_eq!(here.sent().await, 0);
}

#[tokio::test]
async fn what_a_restore_marked_is_found_again_by_its_mark() {
    let here = Calendar::new().await;
    let mut marked = weekly("UTC");
    marked["singleValueExtendedProperties"] = json!([{ "id": PROPERTY, "value": "key-1" }]);
    let made = here.make(marked).await;
    here.make(weekly("UTC")).await;
    let upper =
        PROPERTY.to_uppercase().replace("STRING", "String").replace("NAME ORIGIN", "Name origin");
    for (filter, count) in [
        (format!("ep/id eq '{PROPERTY}' and ep/value eq 'key-1'"), 1),
        (format!("ep/id eq '{upper}' and ep/value eq 'key-1'"), 1),
        (format!("ep/id eq '{PROPERTY}' and ep/value eq 'key-2'"), 0),
        (format!("ep/id eq '{PROPERTY}' and ep/value ne null"), 1),
    ] {
        let path = format!(
            "{}?$filter=singleValueExtendedProperties/Any(ep: {filter})&$expand=singleValueExtendedProperties($filter=id eq '{PROPERTY}')",
            here.events
        );
        let found = here.graph.get(&path).await["value"].as_array().unwrap().clone();
        assert_eq!(found.len(), count, "{filter}");
        for event in found {
            assert_eq!(event["id"], made["id"]);
            assert_eq!(event["singleValueExtendedProperties"][0]["value"], json!("key-1"));
        }
    }
    assert!(made.get("singleValueExtendedProperties").is_none());
}

#[tokio::test]
async fn attachments_come_back_as_they_were_given() {
    let here = Calendar::new().await;
    let file = |name: &str, bytes: &[u8]| {
        json!({
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": name, "contentType": "text/plain", "contentBytes": BASE64.encode(bytes),
        })
    };
    let mut with_file = weekly("UTC");
    with_file["attachments"] = json!([file("a.txt", b"first")]);
    let made = here.make(with_file).await;
    assert_eq!(made["hasAttachments"], json!(true));
    let path = format!("{}/attachments", here.path(&made));
    let (status, second) = here.graph.send("POST", &path, file("b.txt", b"second")).await;
    assert_eq!(status, StatusCode::CREATED, "{second}");
    let list = here.graph.get(&format!("{path}?$select=name,size")).await;
    let sizes: Vec<&Value> = list["value"].as_array().unwrap().iter().map(|a| &a["size"]).collect();
    assert_eq!(sizes, [&json!(5), &json!(6)]);
    assert!(list["value"][0].get("contentBytes").is_none());
    let one = here.graph.get(&format!("{path}/{}", second["id"].as_str().unwrap())).await;
    assert_eq!(one["contentBytes"], json!(BASE64.encode(b"second")));
    let (status, _) = here.graph.send("POST", &path, file("c.bin", &vec![0; 3 << 20])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // Of one occurrence only.
    let instances = here.instances(&made, "2026-09-01", "2026-09-20").await;
    let of_one = format!("{}/attachments", here.path(&instances[0]));
    here.graph.send("POST", &of_one, file("d.txt", b"d")).await;
    assert_eq!(here.graph.get(&of_one).await["value"].as_array().unwrap().len(), 3);
    assert_eq!(here.graph.get(&path).await["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_application_reads_and_writes_no_calendar_without_the_right() {
    let world = World::new().await;
    let user = format!("users/{}", world.mailbox(0));
    for (roles, calendar, contacts, create) in [
        (&["Mail.ReadWrite"][..], 403, 403, 403),
        (&["Calendars.Read"], 200, 403, 403),
        (&["Contacts.Read"], 403, 200, 403),
        (&["Calendars.ReadWrite"], 200, 403, 201),
    ] {
        let graph = world.graph(roles).await;
        let get = async |path: &str| graph.try_get(&format!("{user}/{path}")).await.0.as_u16();
        assert_eq!(get("events").await, calendar, "{roles:?}");
        assert_eq!(get("calendar").await, calendar, "{roles:?}");
        assert_eq!(get("contacts").await, contacts, "{roles:?}");
        let body = event("2026-11-23T09:00:00", "2026-11-23T10:00:00", "UTC");
        let (status, answer) = graph.send("POST", &format!("{user}/events"), body).await;
        assert_eq!(status.as_u16(), create, "{roles:?} {answer}");
    }
}

#[tokio::test]
async fn a_generated_calendar_has_every_kind_of_event_and_is_the_same_again() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let world = World::new().await;
        let order = json!({ "mailbox": "busy", "events": 60, "contacts": 70, "seed": 5 });
        world.admin("POST", "generate", order).await;
        let whole = world.admin("GET", "mailbox/busy@lab.example", Value::Null).await;
        let events = whole["events"].as_array().unwrap();
        assert_eq!(events.len(), 60);
        let count = |test: &dyn Fn(&Value) -> bool| events.iter().filter(|e| test(e)).count();
        assert!(count(&|e| e["type"] == "seriesMaster") > 20);
        assert!(count(&|e| e["exceptions"] != json!([])) > 5);
        assert!(count(&|e| e["cancelled"] != json!([])) > 5);
        assert!(count(&|e| e["attachments"] != json!([])) > 3);
        assert!(count(&|e| e["isOrganizer"] == false) > 3);
        for name in ["isAllDay", "private", "html", "accepted"] {
            assert!(events.iter().any(|e| e.to_string().contains(name)), "{name}");
        }
        seen.push(
            events
                .iter()
                .map(|e| [e["subject"].clone(), e["start"].clone(), e["attachments"].clone()])
                .collect::<Vec<_>>(),
        );

        let order = json!({ "mailbox": "busy@lab.example", "events": { "create": 3, "change": 10, "delete": 4 } });
        let done = world.admin("POST", "mutate", order).await;
        assert_eq!(done["events"]["changed"].as_array().unwrap().len(), 10);
        let whole = world.admin("GET", "mailbox/busy@lab.example", Value::Null).await;
        assert_eq!(whole["events"].as_array().unwrap().len(), 59);
        let (status, _) = world.try_admin("POST", "mutate", json!({ "events": { "x": 1 } })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn the_demo_has_a_meeting_with_a_moved_and_a_cancelled_occurrence() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    let user = format!("users/{}", world.mailbox(2));
    let events = graph.get(&format!("{user}/events?$top=100")).await;
    assert_eq!(events["value"].as_array().unwrap().len(), 3);
    let series = events["value"][0]["id"].as_str().unwrap();
    let path = format!(
        "{user}/events/{series}?$select=exceptionOccurrences,cancelledOccurrences&$expand=exceptionOccurrences"
    );
    let full = graph.get(&path).await;
    assert_eq!(full["cancelledOccurrences"].as_array().unwrap().len(), 1);
    assert_eq!(full["exceptionOccurrences"].as_array().unwrap().len(), 1);
    let contacts = graph.get(&format!("{user}/contactFolders")).await;
    assert_eq!(contacts["value"][0]["displayName"], json!("Contacts"));
    let whole = world.admin("GET", &format!("mailbox/{}", world.mailbox(2)), Value::Null).await;
    assert_eq!(whole["contacts"].as_array().unwrap().len(), 6);
    assert_eq!(world.count("events.list").await, 1);
    assert_eq!(world.count("event.show").await, 1);
}
