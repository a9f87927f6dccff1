//! What people do to their calendars.

use data_encoding::BASE64;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    mailbox::Mailbox,
    operations::{Scene, categories, folder_name, id},
    random::Random,
};

/// Zones by both kinds of names, with and without changes of the clock.
const ZONES: [&str; 5] = [
    "W. Europe Standard Time",
    "Eastern Standard Time",
    "AUS Eastern Standard Time",
    "Asia/Kolkata",
    "UTC",
];

pub(crate) async fn any(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let event = random.any(there.list("events")).cloned();
    match (random.below(12), event) {
        (0..=2, _) | (_, None) => create(scene, random, there).await,
        (3, _) => {
            let number = 1 + random.below(2);
            let events = json!({ "create": number });
            let order = json!({ "seed": random.next() >> 1, "events": events });
            scene.mutate("events appear", order).await;
        }
        (4, _) => {
            let events = json!({ "change": 1 + random.below(5) });
            let order = json!({ "seed": random.next() >> 1, "events": events });
            scene.mutate("events change", order).await;
        }
        (5..=6, Some(event)) => {
            let path = format!("events/{}", id(&event));
            let change = change(random);
            let what = format!("change event {} {change}", event["subject"]);
            scene.send(&what, Method::PATCH, &path, Some(change)).await;
        }
        (7..=8, Some(event)) => occurrence(scene, random, &event).await,
        (9..=10, Some(event)) => {
            let what = format!("delete event {}", event["subject"]);
            scene.send(&what, Method::DELETE, &format!("events/{}", id(&event)), None).await;
        }
        (_, Some(_)) => calendar(scene, random, there).await,
    }
}

async fn create(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let Some(calendar) = random.any(there.list("calendars")) else { return };
    let day = 1 + random.below(28);
    let month = 1 + random.below(12);
    let zone = random.pick(&ZONES);
    let all_day = random.percent(20);
    let (begin, end) = if all_day {
        (format!("2026-{month:02}-{day:02}T00:00:00"), end_of_day(month, day))
    } else {
        let hour = 6 + random.below(14);
        let time = |minute| format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00");
        (time(0), time(45))
    };
    let mut event = json!({
        "subject": format!("Termin {}", random.below(10_000)),
        "body": { "contentType": "text", "content": "Tagesordnung\n1. Größe" },
        "start": { "dateTime": begin, "timeZone": zone },
        "end": { "dateTime": end, "timeZone": zone },
        "isAllDay": all_day,
        "location": { "displayName": random.pick(&["Room 1", "Büro", ""]) },
        "categories": categories(random),
        "showAs": random.pick(&["free", "busy", "oof", "tentative"]),
        "sensitivity": random.pick(&["normal", "private", "confidential"]),
        "isReminderOn": random.percent(50),
    });
    if random.percent(50) {
        let first = format!("2026-{month:02}-{day:02}");
        let pattern = match random.below(3) {
            0 => json!({ "type": "daily", "interval": 1 + random.below(3) }),
            1 => json!({ "type": "absoluteMonthly", "interval": 1, "dayOfMonth": day }),
            _ => {
                json!({ "type": "absoluteYearly", "interval": 1, "dayOfMonth": day, "month": month })
            }
        };
        event["recurrence"] = json!({
            "pattern": pattern,
            "range": {
                "type": "numbered",
                "startDate": first,
                "numberOfOccurrences": 3 + random.below(9),
                "recurrenceTimeZone": zone,
            },
        });
    }
    if random.percent(25) {
        event["attachments"] = json!([{
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": "agenda.txt",
            "contentType": "text/plain",
            "contentBytes": BASE64.encode(format!("item {}", random.below(100)).as_bytes()),
        }]);
    }
    if random.percent(20) {
        event["attendees"] = json!([{
            "type": random.pick(&["required", "optional"]),
            "emailAddress": { "name": "Orla Byrne", "address": "orla@partner.example" },
        }]);
    }
    let path = format!("calendars/{}/events", id(calendar));
    scene.send("make an event", Method::POST, &path, Some(event)).await;
}

/// Midnight after a day that is not after the 28th.
fn end_of_day(month: usize, day: usize) -> String {
    format!("2026-{month:02}-{:02}T00:00:00", day + 1).replace("2026-02-29", "2026-03-01")
}

fn change(random: &mut Random) -> Value {
    match random.below(5) {
        0 => json!({ "subject": format!("Neuer Titel {}", random.below(1000)) }),
        1 => json!({ "categories": categories(random) }),
        2 => json!({ "body": { "contentType": "html", "content": "<p>Neu</p>" } }),
        3 => json!({ "showAs": "oof", "importance": "high", "isReminderOn": false }),
        _ => {
            let (day, zone) = (1 + random.below(28), random.pick(&ZONES));
            let time = |hour| json!({ "dateTime": format!("2026-06-{day:02}T{hour:02}:00:00"), "timeZone": zone });
            json!({ "start": time(9), "end": time(10), "isAllDay": false })
        }
    }
}

/// Moves, renames or cancels one time of a series.
async fn occurrence(scene: &Scene<'_>, random: &mut Random, series: &Value) {
    let path = format!(
        "{}/events/{}/instances?startDateTime=2025-01-01T00:00:00Z&endDateTime=2028-12-31T00:00:00Z\
         &$top=20",
        scene.address,
        id(series)
    );
    let instances = scene.user.send(Method::GET, &path, None).await.unwrap_or_default();
    let list = instances["value"].as_array().cloned().unwrap_or_default();
    let Some(chosen) = random.any(&list) else { return };
    let path = format!("events/{}", id(chosen));
    let day = &chosen["start"]["dateTime"];
    match random.below(3) {
        0 => {
            let what = format!("cancel {} on {day}", series["subject"]);
            scene.send(&what, Method::DELETE, &path, None).await;
        }
        1 => {
            let what = format!("rename {} on {day}", series["subject"]);
            let change = json!({ "subject": format!("Only once {}", random.below(100)) });
            scene.send(&what, Method::PATCH, &path, Some(change)).await;
        }
        _ => {
            let what = format!("move {} on {day}", series["subject"]);
            let at = day.as_str().and_then(|text| text.get(..11)).unwrap_or_default();
            let time = |clock| json!({ "dateTime": format!("{at}{clock}"), "timeZone": "UTC" });
            let change =
                json!({ "start": time("11:15:00"), "end": time("12:00:00"), "isAllDay": false });
            scene.send(&what, Method::PATCH, &path, Some(change)).await;
        }
    }
}

async fn calendar(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let name = folder_name(random);
    let others = there.list("calendars").get(1..).unwrap_or_default();
    let body = Some(json!({ "name": name }));
    match (random.below(4), random.any(others)) {
        (0..=1, _) | (_, None) => {
            scene.send(&format!("make calendar {name:?}"), Method::POST, "calendars", body).await;
        }
        (2, Some(calendar)) => {
            let path = format!("calendars/{}", id(calendar));
            scene.send(&format!("rename a calendar to {name:?}"), Method::PATCH, &path, body).await;
        }
        (_, Some(calendar)) => {
            let path = format!("calendars/{}", id(calendar));
            scene.send(&format!("delete calendar {calendar}"), Method::DELETE, &path, None).await;
        }
    }
}
