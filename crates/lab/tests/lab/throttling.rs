//! Limits and faults.

use std::time::Instant;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{READ, World, client};

#[tokio::test]
async fn more_than_four_requests_at_once_on_one_mailbox_are_refused() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    // So that they are open at the same time.
    let slow = json!([{ "operation": "folder.show", "delay_ms": 300 }]);
    world.admin("POST", "faults", slow).await;
    let ask = |number: usize| {
        graph.request("GET", &format!("users/{}/mailFolders/inbox", world.mailbox(number))).send()
    };
    let answers = join_all((0..6).map(|_| ask(0)).chain((0..4).map(|_| ask(1)))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let refused: Vec<_> =
        answers.iter().filter(|a| a.status() == StatusCode::TOO_MANY_REQUESTS).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|a| a.headers()["retry-after"] == "1"));
    let counters = world.admin("GET", "counters", Value::Null).await;
    let peaks = counters["peak_concurrency"].as_array().unwrap();
    let peak = |number: usize| {
        peaks.iter().find(|p| p["mailbox"] == json!(world.mailbox(number))).unwrap()["requests"]
            .clone()
    };
    assert_eq!((peak(1), counters["total"]["throttled"].clone()), (json!(4), json!(2)));
    assert!(peak(0).as_u64().unwrap() > 4);
}

#[tokio::test]
async fn four_in_a_row_at_once_never_trip_over_the_limit() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let (lines, _) = graph
        .round(&format!("users/{mailbox}/mailFolders/inbox/messages/delta?$select=id"), 100)
        .await;
    let worker = |http: reqwest::Client| {
        let (graph, lines) = (graph.clone(), lines.clone());
        async move {
            for line in lines.iter().cycle().take(150) {
                let id = line["id"].as_str().unwrap();
                let url = format!("{}/users/{mailbox}/messages/{id}/$value", graph.base);
                let response = http.get(url).bearer_auth(&graph.token).send().await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                response.bytes().await.unwrap();
            }
        }
    };
    for http in [world.http.clone(), client(&world.lab, reqwest::ClientBuilder::http1_only)] {
        join_all((0..4).map(|_| worker(http.clone()))).await;
    }
    let counters = world.admin("GET", "counters", Value::Null).await;
    assert!(counters["peak_concurrency"][0]["requests"].as_u64().unwrap() <= 4);
}

#[tokio::test]
async fn the_limit_of_requests_in_ten_minutes_can_be_turned_on() {
    let world = World::with(|options| options.requests_per_ten_minutes = Some(3)).await;
    let graph = world.graph(READ).await;
    let path = format!("users/{}/mailFolders/inbox", world.mailbox(0));
    for _ in 0..3 {
        graph.get(&path).await;
    }
    let refused = graph.request("GET", &path).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait));
    world.admin("POST", "clock", json!({ "offset_seconds": wait })).await;
    graph.get(&path).await;
}

#[tokio::test]
async fn faults_happen_as_ordered() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let base = format!("users/{}", world.mailbox(0));
    let list = graph.get(&format!("{base}/messages?$top=2&$select=id")).await;
    let (one, two) = (&list["value"][0]["id"], &list["value"][1]["id"]);
    let value = |id: &Value| format!("{base}/messages/{}/$value", id.as_str().unwrap());

    let rules = json!([
        { "operation": "message.value", "item": one, "status": 500, "code": "ErrorItemCorrupt" },
        { "operation": "users.list", "status": 503, "retry_after": 7, "times": 1 },
        { "operation": "organization", "delay_ms": 200 },
    ]);
    world.admin("POST", "faults", rules).await;
    let (status, body) = graph.try_get(&value(one)).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (500, &json!("ErrorItemCorrupt")));
    let fine = graph.request("GET", &value(two)).send().await.unwrap();
    assert_eq!(fine.status(), StatusCode::OK);
    let busy = graph.request("GET", "users").send().await.unwrap();
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (503, &"7".parse().unwrap())
    );
    graph.get("users").await;
    let began = Instant::now();
    graph.get("organization").await;
    assert!(began.elapsed().as_millis() >= 200);
    let rules = world.admin("GET", "faults", Value::Null).await;
    assert_eq!(rules[1]["hits"], json!(1));

    // A connection that is cut gives an error, not a shorter message.
    world.admin("POST", "faults", json!([{ "operation": "message.value", "reset": true }])).await;
    for http in [world.http.clone(), client(&world.lab, reqwest::ClientBuilder::http1_only)] {
        let url = format!("{}/{}", graph.base, value(two));
        let response = http.get(url).bearer_auth(&graph.token).send().await;
        let whole = match response {
            Ok(response) => response.bytes().await,
            Err(error) => Err(error),
        };
        assert!(whole.is_err());
    }
    world.admin("DELETE", "faults", Value::Null).await;
    let fine = graph.request("GET", &value(two)).send().await.unwrap();
    assert!(!fine.bytes().await.unwrap().is_empty());

    let rule = json!([{ "operation": "token", "code": "700027", "times": 1 }]);
    world.admin("POST", "faults", rule).await;
    let app = world.application(READ);
    let (status, body) = world.ask_token(&app, &app.form()).await;
    assert_eq!((status.as_u16(), &body["error_codes"]), (401, &json!([700_027])));
    world.token(&app).await;
}

#[tokio::test]
async fn limits_that_mailboxes_share_are_kept_and_counted() {
    let world = World::new().await;
    let auditor = world.graph(&["AuditLog.Read.All", "Application.Read.All"]).await;
    for _ in 0..5 {
        auditor.get("auditLogs/directoryAudits").await;
    }
    let refused = auditor.request("GET", "auditLogs/directoryAudits").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait));
    let other = world.graph(&["AuditLog.Read.All"]).await;
    other.get("auditLogs/directoryAudits").await;
    world.admin("POST", "clock", json!({ "offset_seconds": wait })).await;
    auditor.get("auditLogs/directoryAudits").await;

    // A list of the directory costs two units.
    let limits = json!({
        "concurrency": 4,
        "requests_per_ten_minutes": null,
        "upload_bytes_per_five_minutes": null,
        "directory_units_per_ten_seconds": 5,
        "application_requests_per_ten_seconds": 1000,
    });
    world.admin("POST", "limits", limits).await;
    let mut used = Vec::new();
    for _ in 0..2 {
        let answer = auditor.request("GET", "applications").send().await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["x-ms-resource-unit"]),
            (StatusCode::OK, &"2".parse().unwrap())
        );
        used.push(answer.headers().get("x-ms-throttle-limit-percentage").cloned());
    }
    assert_eq!(used, [None, Some("0.8".parse().unwrap())]);
    let refused = auditor.request("GET", "applications").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let counters = world.admin("GET", "counters", Value::Null).await;
    assert_eq!(
        counters["refused_by_limit"],
        json!({ "ReportingRequests": 1, "DirectoryResourceUnits": 1 })
    );
    let peaks = counters["shared_limits"].as_array().unwrap();
    let peak = |limit: &str| {
        let found = peaks.iter().filter(|peak| peak["limit"] == *limit);
        found.map(|peak| peak["used"].as_u64().unwrap()).max()
    };
    assert_eq!((peak("ReportingRequests"), peak("DirectoryResourceUnits")), (Some(6), Some(6)));
    world.admin("DELETE", "counters", Value::Null).await;

    let limits = json!({
        "concurrency": 4,
        "requests_per_ten_minutes": null,
        "upload_bytes_per_five_minutes": null,
        "application_requests_per_ten_seconds": 3,
    });
    world.admin("POST", "limits", limits).await;
    let graph = world.graph(READ).await;
    let mut refused = 0;
    for number in [0, 1, 0, 1] {
        let path = format!("users/{}/mailFolders/inbox", world.mailbox(number));
        refused += u32::from(graph.try_get(&path).await.0 == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 1, "the limit is one for both mailboxes");
}
