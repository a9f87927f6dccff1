//! What takes place in a range of time, and how that changes.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, PERSONAL, World};

const WINDOW: &str = "startDateTime=2026-12-01T00:00:00Z&endDateTime=2027-01-01T00:00:00Z";

fn at(day: &str, hour: u32) -> Value {
    json!({ "dateTime": format!("2026-{day}T{hour:02}:00:00"), "timeZone": "UTC" })
}

fn single(subject: &str, day: &str) -> Value {
    json!({ "subject": subject, "start": at(day, 9), "end": at(day, 10) })
}

async fn create(graph: &Graph, user: &str, event: Value) -> Value {
    let (status, made) = graph.send("POST", &format!("{user}/events"), event).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

/// Subjects and beginnings in a view.
async fn view(graph: &Graph, user: &str) -> Vec<(String, String)> {
    let shown = graph.get(&format!("{user}/calendarView?{WINDOW}&$top=500")).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = shown["value"].as_array().unwrap().iter();
    lines.map(|line| (text(&line["subject"]), text(&line["start"]["dateTime"]))).collect()
}

/// What a client knows who follows a delta: by id, what is there and no series.
fn follow(known: &mut BTreeMap<String, Value>, lines: &[Value]) {
    for line in lines {
        let id = line["id"].as_str().unwrap().to_owned();
        if line.get("@removed").is_some() {
            known.remove(&id);
            known.retain(|_, other| other["seriesMasterId"] != json!(id));
        } else if line["type"] != json!("seriesMaster") {
            known.insert(id, line.clone());
        }
    }
}

#[tokio::test]
async fn a_view_has_occurrences_in_their_order_and_no_series() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    world.admin("POST", "generate", json!({ "mailbox": "seen" })).await;
    let user = "users/seen@lab.example";
    create(&graph, user, single("late", "12-30")).await;
    create(&graph, user, single("before", "11-30")).await;
    create(
        &graph,
        user,
        json!({ "subject": "over", "start": at("11-30", 22), "end": at("12-01", 2) }),
    )
    .await;
    create(&graph, user, single("early", "12-02")).await;
    let mut weekly = single("weekly", "11-27");
    weekly["recurrence"] = json!({
        "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["friday"] },
        "range": { "type": "numbered", "startDate": "2026-11-27", "numberOfOccurrences": 4 },
    });
    create(&graph, user, weekly).await;
    let seen = view(&graph, user).await;
    let names: Vec<&str> = seen.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(names, ["over", "early", "weekly", "weekly", "weekly", "late"]);
    let whole =
        graph.get(&format!("{user}/calendar/calendarView?{WINDOW}&$count=true&$top=2")).await;
    assert_eq!(whole["@odata.count"], json!(6));
    let next = graph.get(whole["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(next["value"][0]["type"], json!("occurrence"));
    let back =
        graph.get(&format!("{user}/calendarView?{WINDOW}&$orderby=start/dateTime desc")).await;
    assert_eq!(back["value"][0]["subject"], json!("late"));
    for bad in ["", "startDateTime=2026-12-01", "startDateTime=x&endDateTime=y"] {
        assert!(graph.try_get(&format!("{user}/calendarView?{bad}")).await.0.is_client_error());
    }
    let wide = "startDateTime=2020-01-01&endDateTime=2030-01-01";
    assert!(graph.try_get(&format!("{user}/calendarView?{wide}")).await.0.is_client_error());
}

#[tokio::test]
async fn whoever_follows_the_delta_of_a_view_knows_what_the_view_shows() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    world.admin("POST", "generate", json!({ "mailbox": "followed" })).await;
    let user = "users/followed@lab.example";
    let first = create(&graph, user, single("first", "12-02")).await;
    let mut daily = single("daily", "12-07");
    daily["recurrence"] = json!({
        "pattern": { "type": "daily", "interval": 1 },
        "range": { "type": "numbered", "startDate": "2026-12-07", "numberOfOccurrences": 9 },
    });
    let series = create(&graph, user, daily).await;
    let mut known = BTreeMap::new();
    let (lines, mut link) = graph.round(&format!("{user}/calendarView/delta?{WINDOW}"), 4).await;
    assert!(lines.iter().any(|line| line["type"] == json!("seriesMaster")));
    follow(&mut known, &lines);
    let series = format!("{user}/events/{}", series["id"].as_str().unwrap());
    let instances = graph.get(&format!("{series}/instances?{WINDOW}")).await;
    let nth = |n: usize| format!("{user}/events/{}", instances["value"][n]["id"].as_str().unwrap());
    let first = format!("{user}/events/{}", first["id"].as_str().unwrap());
    let steps: Vec<(&str, String, Value)> = vec![
        ("PATCH", first.clone(), json!({ "subject": "renamed" })),
        (
            "PATCH",
            nth(2),
            json!({ "subject": "exception", "start": at("12-09", 20), "end": at("12-09", 21) }),
        ),
        ("DELETE", nth(4), Value::Null),
        ("PATCH", first.clone(), json!({ "start": at("11-02", 9), "end": at("11-02", 10) })),
        ("POST", format!("{user}/events"), single("third", "12-24")),
        ("PATCH", first.clone(), json!({ "start": at("12-28", 9), "end": at("12-28", 10) })),
        ("DELETE", first, Value::Null),
        ("DELETE", series, Value::Null),
    ];
    for (number, (method, path, body)) in steps.into_iter().enumerate() {
        let (status, answer) = graph.send(method, &path, body).await;
        assert!(status.is_success(), "{method} {path}: {answer}");
        let (lines, next) = graph.round(&link, 3).await;
        assert!(!lines.is_empty(), "step {number}");
        link = next;
        follow(&mut known, &lines);
        let mut seen = view(&graph, user).await;
        seen.sort();
        let ids: Vec<String> = {
            let shown = graph.get(&format!("{user}/calendarView?{WINDOW}&$top=500")).await;
            let lines = shown["value"].as_array().unwrap().iter();
            let mut ids: Vec<String> =
                lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect();
            ids.sort();
            ids
        };
        assert_eq!(known.keys().cloned().collect::<Vec<_>>(), ids, "step {number}");
        for (subject, start) in seen {
            let fits = |line: &&Value| {
                line["start"]["dateTime"] == json!(start)
                    && line.get("subject").is_none_or(|known| *known == json!(subject))
            };
            assert!(known.values().any(|line| fits(&line)), "step {number}: {subject} {start}");
        }
    }
    let (nothing, _) = graph.round(&link, 3).await;
    assert_eq!(nothing, [] as [Value; 0]);
}

#[tokio::test]
async fn a_view_of_another_window_is_another_delta() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    let user = format!("users/{}", world.mailbox(0));
    assert!(graph.try_get(&format!("{user}/calendarView/delta")).await.0.is_client_error());
    let (_, link) = graph.round(&format!("{user}/calendarView/delta?{WINDOW}"), 50).await;
    let more = format!("{link}&startDateTime=2026-01-01");
    assert!(graph.try_get(&more).await.0.is_client_error(), "a token stands for its window");
    world
        .admin("POST", "mutate", json!({ "mailbox": world.mailbox(0), "events": { "create": 1 } }))
        .await;
    let rules = json!([{ "operation": "calendarview.delta", "invalidate": "cursors", "times": 1 }]);
    world.admin("POST", "faults", rules).await;
    assert_eq!(graph.try_get(&link).await.0, StatusCode::GONE);
}
