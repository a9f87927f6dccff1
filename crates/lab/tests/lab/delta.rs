//! Delta queries.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, READ, World, read};

fn ids(lines: &[Value]) -> BTreeSet<String> {
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

/// A mailbox as a client sees it that follows every folder: message id to folder id.
async fn follow(
    graph: &Graph,
    mailbox: &str,
    links: &mut BTreeMap<String, String>,
    folders_link: &mut String,
    seen: &mut BTreeMap<String, String>,
) {
    let (folders, next) = graph.round(folders_link, 3).await;
    *folders_link = next;
    for folder in folders {
        let id = folder["id"].as_str().unwrap().to_owned();
        if folder.get("@removed").is_some() {
            links.remove(&id);
            seen.retain(|_, at| *at != id);
        } else {
            links.entry(id.clone()).or_insert_with(|| {
                format!("users/{mailbox}/mailFolders/{id}/messages/delta?$select=subject,isRead")
            });
        }
    }
    let mut here = Vec::new();
    for (folder, link) in links.iter_mut() {
        let (lines, next) = graph.round(link, 7).await;
        *link = next;
        for line in lines {
            let id = line["id"].as_str().unwrap().to_owned();
            if line.get("@removed").is_some() {
                if seen.get(&id) == Some(folder) {
                    seen.remove(&id);
                }
            } else {
                here.push((id, folder.clone()));
            }
        }
    }
    seen.extend(here);
}

#[tokio::test]
async fn a_client_that_follows_the_deltas_has_what_is_there() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let (mut links, mut seen) = (BTreeMap::new(), BTreeMap::new());
    let mut folders = format!("users/{mailbox}/mailFolders/delta");
    follow(&graph, mailbox, &mut links, &mut folders, &mut seen).await;
    let before = seen.len();
    assert!(before >= 35);
    for seed in 0..6 {
        let order = json!({ "mailbox": mailbox, "seed": seed, "create": 9, "change": 7, "move": 6, "delete": 4 });
        let done = world.admin("POST", "mutate", order).await;
        assert_eq!(done["moved"].as_array().unwrap().len(), 6);
        follow(&graph, mailbox, &mut links, &mut folders, &mut seen).await;
        for moved in done["moved"].as_array().unwrap() {
            let id = moved["id"].as_str().unwrap();
            if let Some(folder) = seen.get(id) {
                assert_eq!(json!(folder), moved["to"], "{moved}");
            }
        }
        for deleted in done["deleted"].as_array().unwrap() {
            assert!(!seen.contains_key(deleted["id"].as_str().unwrap()));
        }
    }
    assert_eq!(seen.len(), before + 6 * (9 - 4));
    let mut truth = BTreeMap::new();
    for folder in links.keys() {
        let path = format!("users/{mailbox}/mailFolders/{folder}/messages?$top=1000&$select=id");
        for message in graph.get(&path).await["value"].as_array().unwrap() {
            truth.insert(message["id"].as_str().unwrap().to_owned(), folder.clone());
        }
    }
    assert_eq!(seen, truth);
}

#[tokio::test]
async fn what_was_selected_at_first_is_what_every_page_has() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let size = "$expand=singleValueExtendedProperties($filter=id eq 'Long 0x0E08')";
    let path =
        format!("users/{mailbox}/mailFolders/inbox/messages/delta?$select=subject,flag&{size}");
    let (lines, link) = graph.round(&path, 5).await;
    let keys: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["@odata.etag", "@odata.type", "flag", "id", "singleValueExtendedProperties", "subject"];
    assert_eq!(keys, expected);
    let same = |line: &Value| line.as_object().unwrap().keys().map(String::as_str).eq(expected);
    assert!(lines.iter().all(same), "on later pages, too");

    let order = json!({ "mailbox": mailbox, "folder": "inbox", "create": 1, "bytes": 5000 });
    world.admin("POST", "mutate", order).await;
    let (lines, _) = graph.round(&link, 5).await;
    assert_eq!(lines.len(), 1);
    assert!(same(&lines[0]));
    assert_eq!(lines[0]["singleValueExtendedProperties"][0]["value"], json!("5000"));
}

#[tokio::test]
async fn ids_without_the_preference_change_when_a_message_moves() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let path = format!("users/{mailbox}/mailFolders/inbox/messages/delta?$select=subject");
    let regular = |link: String| {
        let request = graph.request("GET", &link).header("prefer", "odata.maxpagesize=1000");
        async move { read(request.send().await.unwrap()).await.1 }
    };
    let first = regular(path.clone()).await;
    let (immutable, _) = graph.round(&path, 1000).await;
    assert!(ids(&immutable).is_disjoint(&ids(first["value"].as_array().unwrap())));

    let order = json!({ "mailbox": mailbox, "folder": "inbox", "move": 1 });
    let moved = world.admin("POST", "mutate", order).await["moved"][0].clone();
    let link = first["@odata.deltaLink"].as_str().unwrap().to_owned();
    let second = regular(link).await;
    let old = second["value"][0]["id"].as_str().unwrap();
    assert_eq!(second["value"][0]["@removed"], json!({ "reason": "changed" }));
    assert!(ids(first["value"].as_array().unwrap()).contains(old));
    let (status, _) = graph.try_get(&format!("users/{mailbox}/messages/{old}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "the regular id died with the move");
    graph.get(&format!("users/{mailbox}/messages/{}", moved["id"].as_str().unwrap())).await;
}

#[tokio::test]
async fn a_token_is_refused_anywhere_but_where_it_was_given() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let (one, two) = (world.mailbox(0), world.mailbox(1));
    let (_, link) =
        graph.round(&format!("users/{one}/mailFolders/inbox/messages/delta"), 100).await;
    let token = link.split("deltatoken=").nth(1).unwrap();
    for path in [
        format!("users/{two}/mailFolders/inbox/messages/delta?$deltatoken={token}"),
        format!("users/{one}/mailFolders/sentitems/messages/delta?$deltatoken={token}"),
        format!("users/{one}/mailFolders/delta?$deltatoken={token}"),
        format!("users/{one}/mailFolders/inbox/messages/delta?$skiptoken={token}"),
        format!("users/{one}/mailFolders/inbox/messages/delta?$deltatoken={token}&$select=id"),
        format!("users/{one}/mailFolders/inbox/messages/delta?$deltatoken={token}x"),
    ] {
        let (status, body) = graph.try_get(&path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
    }
    graph.get(&link).await;
    let days = 31 * 86_400;
    world.admin("POST", "clock", json!({ "offset_seconds": days })).await;
    let (status, _) = graph.try_get(&link).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the access token ends long before");
    world.admin("POST", "clock", json!({ "offset_seconds": 0 })).await;

    let rule = json!([{ "operation": "messages.delta", "status": 410, "times": 1 }]);
    world.admin("POST", "faults", rule).await;
    graph.get(&format!("users/{one}/mailFolders/inbox/messages/delta")).await;
    let (status, body) = graph.try_get(&link).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (410, &json!("syncStateNotFound")));
    graph.get(&link).await;
}

#[tokio::test]
async fn a_delta_can_begin_at_a_time() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let path = format!("users/{mailbox}/mailFolders/inbox/messages/delta");
    let (all, _) = graph.round(&path, 100).await;
    let mut times: Vec<&str> =
        all.iter().map(|m| m["receivedDateTime"].as_str().unwrap()).collect();
    times.sort_unstable();
    let from = times[times.len() / 2];
    let (some, link) = graph.round(&format!("{path}?$filter=receivedDateTime ge {from}"), 4).await;
    assert_eq!(some.len(), times.len() - times.len() / 2);
    let order = |received: &str| json!({ "mailbox": mailbox, "folder": "inbox", "create": 1, "received": received });
    world.admin("POST", "mutate", order("2020-01-01T00:00:00Z")).await;
    world.admin("POST", "mutate", order("2030-01-01T00:00:00Z")).await;
    let (later, _) = graph.round(&link, 4).await;
    assert_eq!(later.len(), 1, "the filter stays");
}
