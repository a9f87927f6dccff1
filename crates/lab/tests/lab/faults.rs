//! Faults that were ordered happen as ordered, each and together.

use std::collections::BTreeSet;
use std::time::Instant;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, READ, WRITE, World, client, read};

async fn order(world: &World, rules: Value) {
    world.admin("POST", "faults", rules).await;
}

async fn hits(world: &World) -> Vec<u64> {
    let rules = world.admin("GET", "faults", Value::Null).await;
    rules.as_array().unwrap().iter().map(|rule| rule["hits"].as_u64().unwrap()).collect()
}

fn ids(lines: &[Value]) -> BTreeSet<String> {
    let present = lines.iter().filter(|line| line.get("@removed").is_none());
    present.map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

/// Everything in a list, following its links.
async fn walk(graph: &Graph, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut link = path.to_owned();
    for _ in 0..200 {
        let page = graph.get(&link).await;
        found.extend(page["value"].as_array().unwrap().iter().cloned());
        match page["@odata.nextLink"].as_str() {
            Some(next) => link = next.to_owned(),
            None => return found,
        }
    }
    panic!("{path} does not end");
}

/// Whether the answer broke off.
async fn breaks(request: reqwest::RequestBuilder) -> bool {
    match request.send().await {
        Err(_) => true,
        Ok(response) => response.bytes().await.is_err(),
    }
}

#[tokio::test]
async fn a_write_that_is_cut_off_afterwards_has_happened_and_one_before_has_not() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let folder = json!({ "displayName": "Cut" });
    let (_, folder) = graph.send("POST", &format!("{base}/mailFolders"), folder).await;
    let messages = format!("{base}/mailFolders/{}/messages", folder["id"].as_str().unwrap());
    let there = || async { graph.get(&messages).await["value"].as_array().unwrap().len() };
    let mut expected = 0;
    for http in [world.http.clone(), client(&world.lab, reqwest::ClientBuilder::http1_only)] {
        let graph = Graph { http, ..graph.clone() };
        for (when, happens) in [(json!("before"), 0), (json!("after"), 1), (Value::Null, 1)] {
            let mut rule = json!({ "operation": "message.create", "reset": true });
            if !when.is_null() {
                rule["when"] = when.clone();
            }
            order(&world, json!([rule])).await;
            let request = graph.immutable("POST", &messages).json(&json!({ "subject": "x" }));
            let response = request.send().await;
            if let Ok(response) = response {
                let status = response.status();
                assert!(when != json!("before") || !status.is_success(), "{status}");
                assert!(response.bytes().await.is_err(), "{when}");
            }
            assert_eq!(hits(&world).await, [1]);
            expected += happens;
            assert_eq!(there().await, expected, "{when}");
        }
        // An answer without a body is cut off, too.
        let list = graph.get(&messages).await;
        let path = format!("{base}/messages/{}", list["value"][0]["id"].as_str().unwrap());
        order(&world, json!([{ "operation": "message.delete", "reset": true }])).await;
        let response = graph.request("DELETE", &path).send().await;
        assert!(response.is_err() || !response.unwrap().status().is_success());
        expected -= 1;
        assert_eq!(there().await, expected);
    }
    // A refusal may come after the deed, too.
    order(&world, json!([{ "operation": "message.create", "status": 504, "when": "after" }])).await;
    let (status, body) = graph.send("POST", &messages, json!({ "subject": "x" })).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (504, &json!("GatewayTimeout")));
    assert_eq!(there().await, expected + 1);
}

#[tokio::test]
async fn throttling_comes_with_and_without_the_time_to_wait() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let path = format!("users/{}/mailFolders/inbox", world.mailbox(0));
    for (status, retry_after) in [(429, Some(7)), (429, None), (503, Some(1)), (503, None)] {
        let mut rule = json!({ "folder": "inbox", "status": status, "times": 1 });
        if let Some(seconds) = retry_after {
            rule["retry_after"] = json!(seconds);
        }
        order(&world, json!([rule])).await;
        graph.get(&path.replace("inbox", "drafts")).await;
        let refused = graph.request("GET", &path).send().await.unwrap();
        assert_eq!(refused.status().as_u16(), status);
        let header = refused.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(header, retry_after.map(|seconds| seconds.to_string()));
        graph.get(&path).await;
        assert_eq!(hits(&world).await, [1]);
    }
}

#[tokio::test]
async fn an_answer_trickles_and_is_whole_in_the_end() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let path = format!("users/{}/mailFolders", world.mailbox(0));
    let whole = graph.get(&path).await;
    let length = whole.to_string().len() as u64;
    order(&world, json!([{ "bytes_per_second": length * 4 }])).await;
    let began = Instant::now();
    assert_eq!(graph.get(&path).await, whole);
    assert!(began.elapsed().as_millis() >= 200, "{:?}", began.elapsed());
    // The place is given back all the same.
    for _ in 0..5 {
        graph.get(&path).await;
    }
}

#[tokio::test]
async fn cursors_can_be_made_to_expire_for_good_where_one_says() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let (one, two) = (world.mailbox(0), world.mailbox(1));
    let delta = |mailbox: &str, folder: &str| {
        format!("users/{mailbox}/mailFolders/{folder}/messages/delta?$select=id")
    };
    let link = |path: String| {
        let graph = graph.clone();
        async move { graph.round(&path, 100).await.1 }
    };
    let gone = |link: &str| {
        let (graph, link) = (graph.clone(), link.to_owned());
        async move { graph.try_get(&link).await.0 == StatusCode::GONE }
    };
    let inbox = link(delta(one, "inbox")).await;
    let sent = link(delta(one, "sentitems")).await;
    let other = link(delta(two, "inbox")).await;
    let tree = link(format!("users/{one}/mailFolders/delta")).await;

    // Once: the same link is good again.
    order(&world, json!([{ "mailbox": one, "folder": "inbox", "status": 410, "times": 1 }])).await;
    assert!(!gone(&sent).await && !gone(&other).await);
    assert!(gone(&inbox).await);
    assert!(!gone(&inbox).await);

    let rule = json!([{ "mailbox": one, "folder": "inbox", "invalidate": "cursors", "times": 1 }]);
    order(&world, rule).await;
    let (status, body) = graph.try_get(&inbox).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (410, &json!("syncStateNotFound")));
    assert_eq!(hits(&world).await, [1]);
    assert!(gone(&inbox).await, "for good");
    assert!(!gone(&sent).await && !gone(&tree).await && !gone(&other).await);
    let renewed = link(delta(one, "inbox")).await;
    assert!(!gone(&renewed).await);

    // In the middle of a round, and everywhere.
    let request =
        graph.immutable("GET", &delta(two, "inbox")).header("prefer", "odata.maxpagesize=2");
    let middle = read(request.send().await.unwrap()).await.1;
    let middle = middle["@odata.nextLink"].as_str().unwrap();
    order(&world, json!([{ "invalidate": "cursors", "times": 1 }])).await;
    for link in [middle, &renewed, &sent, &tree, &other] {
        assert!(gone(link).await, "{link}");
    }
    link(delta(two, "inbox")).await;
}

#[tokio::test]
async fn a_token_that_is_revoked_in_mid_page_stays_revoked() {
    let world = World::new().await;
    let app = world.application(READ);
    let graph = world.graph(READ).await;
    let (first, second) = (world.token(&app).await, world.token(&app).await);
    let graph = |token: &str| Graph { token: token.to_owned(), ..graph.clone() };
    let path =
        format!("users/{}/mailFolders/inbox/messages/delta?$top=2&$select=id", world.mailbox(0));
    order(
        &world,
        json!([{ "operation": "messages.delta", "invalidate": "tokens", "pass": 1, "times": 1 }]),
    )
    .await;
    let page = graph(&first).get(&path).await;
    let next = page["@odata.nextLink"].as_str().unwrap();
    for token in [&first, &first, &second] {
        let (status, body) = graph(token).try_get(next).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(body["error"]["code"], json!("InvalidAuthenticationToken"));
    }
    assert_eq!(hits(&world).await, [1]);
    let fresh = world.token(&app).await;
    graph(&fresh).get(next).await;
}

#[tokio::test]
async fn a_page_that_repeats_tells_everything_and_ends() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let base = format!("users/{}", world.mailbox(0));
    let delta = format!("{base}/mailFolders/inbox/messages/delta?$select=id");
    let list = format!("{base}/mailFolders/inbox/messages?$select=id&$top=4");
    let tree = format!("{base}/mailFolders/delta");
    let (all, _) = graph.round(&delta, 4).await;
    let (folders, _) = graph.round(&tree, 4).await;
    order(&world, json!([{ "page": "repeat" }])).await;
    let (told, link) = graph.round(&delta, 4).await;
    assert_eq!(told.len(), 2 * all.len(), "each page twice");
    assert_eq!(told[..4], told[4..8]);
    assert_eq!(ids(&told), ids(&all));
    let (told, _) = graph.round(&tree, 4).await;
    assert_eq!((told.len(), ids(&told)), (2 * folders.len(), ids(&folders)));
    for _ in 0..2 {
        let told = walk(&graph, &list).await;
        assert_eq!((told.len(), ids(&told)), (2 * all.len(), ids(&all)));
    }
    order(&world, json!([{ "page": "repeat", "times": 1 }])).await;
    assert_eq!(graph.round(&delta, 4).await.0.len(), all.len() + 4, "once");
    order(&world, json!([])).await;
    assert_eq!(graph.round(&link, 4).await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_delta_skips_it_tells_later_and_what_it_loses_it_never_tells() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let base = format!("users/{mailbox}");
    let delta = format!("{base}/mailFolders/inbox/messages/delta?$select=id,isRead");
    let (all, quiet) = graph.round(&delta, 4).await;
    let mut ways = BTreeSet::new();
    for seed in 0..12 {
        order(&world, json!([{ "operation": "messages.delta", "page": "skip", "seed": seed }]))
            .await;
        let (told, link) = graph.round(&delta, 4).await;
        order(&world, json!([])).await;
        let (later, link) = graph.round(&link, 4).await;
        assert_eq!(ids(&[told.clone(), later.clone()].concat()), ids(&all), "nothing is lost");
        assert_eq!(told.len() + later.len(), all.len(), "nothing is told twice");
        assert_eq!(graph.round(&link, 4).await.0.len(), 0);
        ways.insert(later.is_empty());
    }
    assert!(ways.contains(&false), "some come in the next round");

    // What was held back and changes meanwhile is told once, as it is now.
    order(&world, json!([{ "page": "skip", "share": 1.0 }])).await;
    let (told, link) = graph.round(&delta, 1000).await;
    assert_eq!(told, Vec::<Value>::new());
    order(&world, json!([])).await;
    let change = json!({ "mailbox": mailbox, "folder": "inbox", "change": 1, "delete": 1 });
    let done = world.admin("POST", "mutate", change).await;
    let (later, _) = graph.round(&link, 3).await;
    let mut left = ids(&all);
    left.remove(done["deleted"][0]["id"].as_str().unwrap());
    assert_eq!(ids(&later), left);
    let present = later.iter().filter(|line| line.get("@removed").is_none()).count();
    assert_eq!(present, left.len());

    // Lost changes come only when one begins anew, or when they change again.
    let (_, quiet) = graph.round(&quiet, 100).await;
    let create = json!({ "mailbox": mailbox, "folder": "inbox", "create": 5 });
    let created = world.admin("POST", "mutate", create).await;
    let created: BTreeSet<String> = created["created"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap().to_owned())
        .collect();
    order(&world, json!([{ "page": "lose", "share": 0.5, "seed": 3 }])).await;
    let (told, link) = graph.round(&quiet, 100).await;
    assert_eq!(hits(&world).await, [1]);
    order(&world, json!([])).await;
    assert!(!told.is_empty() && told.len() < 5, "{}", told.len());
    assert_eq!(graph.round(&link, 100).await.0.len(), 0, "not told later");
    let lost: Vec<String> = created.difference(&ids(&told)).cloned().collect();
    let (again, _) = graph.round(&delta, 100).await;
    assert!(lost.iter().all(|id| ids(&again).contains(id)), "told from the beginning");
    let writer = world.graph(WRITE).await;
    let touched = json!({ "isRead": true });
    writer.send("PATCH", &format!("{base}/messages/{}", lost[0]), touched).await;
    let (told, _) = graph.round(&link, 100).await;
    assert_eq!(ids(&told), BTreeSet::from([lost[0].clone()]));
}

#[tokio::test]
async fn a_stale_answer_lacks_the_newest_until_the_next_round() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let delta = format!("users/{mailbox}/mailFolders/inbox/messages/delta?$select=id");
    let (_, link) = graph.round(&delta, 100).await;
    let create = json!({ "mailbox": mailbox, "folder": "inbox", "create": 4 });
    let created = world.admin("POST", "mutate", create).await;
    order(&world, json!([{ "page": "stale", "share": 1.0, "times": 1 }])).await;
    let (told, link) = graph.round(&link, 100).await;
    assert_eq!(told, Vec::<Value>::new());
    let (told, _) = graph.round(&link, 100).await;
    assert_eq!(told.len(), created["created"].as_array().unwrap().len());

    let list = format!("users/{mailbox}/mailFolders/inbox/messages?$select=id&$top=1000");
    let all = walk(&graph, &list).await;
    for kind in ["skip", "lose", "stale"] {
        order(&world, json!([{ "operation": "messages.list", "page": kind, "times": 1 }])).await;
        let told = walk(&graph, &list).await;
        assert!(told.len() < all.len() && ids(&told).is_subset(&ids(&all)), "{kind}");
        assert_eq!(walk(&graph, &list).await.len(), all.len());
    }
}

#[tokio::test]
async fn three_faults_at_once_are_three_faults() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let delta = format!("users/{mailbox}/mailFolders/inbox/messages/delta?$select=id");
    let (all, _) = graph.round(&delta, 100).await;
    order(
        &world,
        json!([
            { "operation": "messages.delta", "page": "repeat", "pass": 1 },
            { "operation": "messages.delta", "page": "skip", "seed": 5 },
            { "operation": "messages.delta", "delay_ms": 20 },
        ]),
    )
    .await;
    let began = Instant::now();
    let (told, link) = graph.round(&delta, 6).await;
    let (later, _) = graph.round(&link, 6).await;
    assert!(began.elapsed().as_millis() >= 40);
    assert_eq!(ids(&[told, later].concat()), ids(&all));
    let hits = hits(&world).await;
    assert!(hits[0] + 1 == hits[1] && hits[1] == hits[2] && hits[2] > 3, "{hits:?}");

    order(&world, json!([{ "status": 429 }, { "reset": true }, { "delay_ms": 1 }])).await;
    assert!(breaks(graph.request("GET", &delta)).await);
}

#[tokio::test]
async fn an_item_of_150_mb_can_be_listed_without_being_made() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let create =
        json!({ "mailbox": mailbox, "folder": "inbox", "create": 1, "bytes": 150_000_000 });
    let made = world.admin("POST", "mutate", create).await;
    let id = made["created"][0]["id"].as_str().unwrap();
    let began = Instant::now();
    let shown = graph.get(&format!("users/{mailbox}/messages/{id}")).await;
    assert!(shown["body"]["content"].as_str().unwrap().contains("The file is attached."));
    assert_eq!(shown["hasAttachments"], json!(true));
    let path = format!(
        "users/{mailbox}/messages?$top=3&$select=subject,bodyPreview,internetMessageHeaders"
    );
    assert_eq!(graph.get(&path).await["value"][0]["id"], json!(id));
    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
    order(&world, json!([{ "operation": "message.value", "item": id, "reset": true }])).await;
    assert!(breaks(graph.request("GET", &format!("users/{mailbox}/messages/{id}/$value"))).await);
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_more_than_five_minutes_locks_everybody_out() {
    let world = World::new().await;
    let app = world.application(READ);
    for (offset, code) in [(-900, 700_024), (900, 700_024), (-240, 0), (240, 0)] {
        world.admin("POST", "clock", json!({ "offset_seconds": offset })).await;
        let (status, body) = world.ask_token(&app, &app.form()).await;
        let given = body["error_codes"][0].as_u64().unwrap_or(0);
        assert_eq!((status.is_success(), given), (code == 0, code), "{offset}: {body}");
    }
}

#[tokio::test]
async fn a_rule_with_a_slip_of_the_pen_is_refused_and_changes_nothing() {
    let world = World::new().await;
    order(&world, json!([{ "status": 500, "operation": "upload.put" }])).await;
    for bad in [
        json!([{ "statsu": 500 }]),
        json!([{ "page": "skipp" }]),
        json!([{ "operation": "message.value", "page": "skip" }]),
        json!([{ "status": 500, "hits": 5, "colour": 1 }]),
        json!([{ "when": "after", "delay_ms": 1 }]),
        json!([{ "invalidate": "everything" }]),
        json!([{ "bytes_per_second": 0 }]),
    ] {
        let (status, text) = world.try_admin("POST", "faults", bad.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {text}");
    }
    let rules = world.admin("GET", "faults", Value::Null).await;
    assert_eq!(rules[0]["operation"], json!("upload.put"));
    // What was shown can be given back.
    order(&world, rules).await;
}
