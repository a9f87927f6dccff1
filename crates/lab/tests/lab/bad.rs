//! A provider that answers badly.

use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::world::{Graph, READ, World};

async fn ordered(world: &World, graph: &Graph, path: &str, body: &str) -> Response {
    world.admin("POST", "faults", json!([{ "body": body, "times": 1 }])).await;
    let answer = graph.request("GET", path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{body}");
    answer
}

fn kind(answer: &Response) -> String {
    answer.headers()["content-type"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn answers_are_cut_nested_or_something_else_and_the_next_one_is_well() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let path = format!("users/{}/mailFolders/inbox/messages?$select=subject", world.mailbox(0));
    let whole = graph.request("GET", &path).send().await.unwrap().bytes().await.unwrap();

    let cut = ordered(&world, &graph, &path, "truncated").await;
    assert!(kind(&cut).starts_with("application/json"));
    let length = cut.content_length().unwrap();
    let bytes = cut.bytes().await.unwrap();
    assert_eq!((bytes.len() as u64, &bytes[..]), (length, &whole[..whole.len() / 2]));

    let deep = ordered(&world, &graph, &path, "deep").await.text().await.unwrap();
    assert!(deep.starts_with("{\"value\":[[") && deep.ends_with("]]}"));
    assert_eq!(deep.matches('[').count(), 100_000);
    assert_eq!(deep.matches(']').count(), 100_000);

    let page = ordered(&world, &graph, &path, "html").await;
    assert!(kind(&page).starts_with("text/html"));
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));

    let error = ordered(&world, &graph, &path, "error").await.bytes().await.unwrap();
    let error: Value = serde_json::from_slice(&error).unwrap();
    assert!(error["error"]["code"].is_string());
    assert_eq!(graph.request("GET", &path).send().await.unwrap().bytes().await.unwrap(), whole);

    let refused = json!([{ "operation": "messages.list", "body": "html", "status": 503 }]);
    world.admin("POST", "faults", refused).await;
    let answer = graph.request("GET", &path).send().await.unwrap();
    assert!(kind(&answer).starts_with("application/json"), "only what succeeds has another body");
    assert_eq!(
        world.try_admin("POST", "faults", json!([{ "body": "soup" }])).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn an_answer_without_end_comes_as_fast_as_it_is_taken_and_stops_with_whoever_reads_it() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let user = format!("users/{}", world.mailbox(0));
    let list = graph.get(&format!("{user}/messages?$top=1&$select=id")).await;
    let mime = format!("{user}/messages/{}/$value", list["value"][0]["id"].as_str().unwrap());
    for (path, begins) in [(format!("{user}/messages"), "{\"value\":[0"), (mime, "0123456\n")] {
        let began = Instant::now();
        let mut answer = ordered(&world, &graph, &path, "endless").await;
        assert_eq!(answer.content_length(), None, "it does not say how long it is");
        let mut read = 0;
        while read < 50_000_000 {
            let piece = answer.chunk().await.unwrap().unwrap();
            if read == 0 {
                assert!(String::from_utf8_lossy(&piece).starts_with(begins));
            }
            read += piece.len();
        }
        drop(answer);
        assert!(began.elapsed() < Duration::from_secs(60));
        // The place that the request took is free again.
        loop {
            let counters = world.admin("DELETE", "counters", Value::Null).await;
            assert_eq!(counters, json!({}));
            let peaks =
                world.admin("GET", "counters", Value::Null).await["peak_concurrency"].clone();
            if peaks.as_array().unwrap().iter().all(|peak| peak["requests"] == 0) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
