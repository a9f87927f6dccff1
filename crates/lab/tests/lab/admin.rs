//! The administrative interface.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Key, READ, World, read};

#[tokio::test]
async fn nobody_without_the_token_file_gets_in() {
    let world = World::new().await;
    let description = world.lab.description();
    let mode = std::fs::metadata(&description.admin_token_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for token in ["", "x"] {
        let request = world.http.get(format!("{}/counters", description.admin)).bearer_auth(token);
        assert_eq!(read(request.send().await.unwrap()).await.0, StatusCode::UNAUTHORIZED);
    }
    let (status, _) = world.try_admin("GET", "nothing", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_description_is_what_other_programs_rely_on() {
    let world = World::with(|options| options.tenants = 3).await;
    let description = serde_json::to_value(world.lab.description()).unwrap();
    let keys: Vec<&str> = description.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "schema",
        "authority",
        "graph",
        "ews",
        "smtp",
        "ca",
        "admin",
        "admin_token_file",
        "tenants",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(description["schema"], json!(1));
    assert_eq!(description["tenants"].as_array().unwrap().len(), 3);
    assert_eq!(description["tenants"][2]["domain"], json!("lab-3.example"));
    assert!(!serde_json::to_string(world.lab.description()).unwrap().contains('\n'));

    // The same tenants and mailboxes in every run, so that a backup goes on where it was.
    let again = World::with(|options| options.tenants = 3).await;
    assert_eq!(
        serde_json::to_value(&again.lab.description().tenants).unwrap(),
        description["tenants"]
    );
}

#[tokio::test]
async fn an_application_can_be_registered_from_outside() {
    let world = World::new().await;
    let tenant = world.tenant();
    let certificate = &Key::shared().certificate;
    let order =
        json!({ "tenant": tenant, "name": "reader", "certificate": certificate, "roles": READ });
    let made = world.admin("POST", "register", order).await;
    for name in ["client_id", "object_id", "service_principal_id", "key_id"] {
        assert!(made[name].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    }
    let elliptic = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap().cert.pem();
    for bad in ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &elliptic] {
        let order = json!({ "name": "x", "certificate": bad, "roles": [] });
        let (status, body) = world.try_admin("POST", "register", order).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
    let order =
        json!({ "tenant": "nobody.example", "name": "x", "certificate": certificate, "roles": [] });
    assert_eq!(world.try_admin("POST", "register", order).await.0, StatusCode::NOT_FOUND);
    let listed = world.admin("GET", "applications", Value::Null).await;
    assert_eq!(listed[0]["client_id"], made["client_id"]);
}

#[tokio::test]
async fn a_seed_makes_the_same_changes_again() {
    let order = json!({ "seed": 3, "create": 20, "change": 12, "move": 7, "delete": 5 });
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = World::new().await;
        let done = world.admin("POST", "mutate", order.clone()).await;
        for (what, count) in [("created", 20), ("changed", 12), ("moved", 7), ("deleted", 5)] {
            assert_eq!(done[what].as_array().unwrap().len(), count);
        }
        runs.push((done["deleted"].clone(), done["moved"].clone()));
    }
    // What was created has ids of its run; what was there before has the same.
    let seeded = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|e| e["mailbox"].to_string()).collect()
    };
    assert_eq!(seeded(&runs[0].0), seeded(&runs[1].0));
    assert_eq!(seeded(&runs[0].1), seeded(&runs[1].1));
}

#[tokio::test]
async fn changes_stay_among_the_newest_when_told_so() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let mailbox = world.mailbox(0);
    let path = format!("users/{mailbox}/mailFolders/inbox/messages?$top=6&$select=id");
    let newest = graph.get(&path).await;
    let newest: Vec<&Value> =
        newest["value"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    let order = json!({ "mailbox": mailbox, "folder": "inbox", "newest": 6, "change": 3, "move": 2, "delete": 9 });
    let done = world.admin("POST", "mutate", order).await;
    let mut touched = 0;
    for what in ["changed", "moved", "deleted"] {
        for entry in done[what].as_array().unwrap() {
            assert!(newest.contains(&&entry["id"]), "{what} {entry}");
            touched += 1;
        }
    }
    assert_eq!(touched, 6, "there were no more");
    for bad in [json!({ "folder": "nowhere" }), json!({ "mailbox": "x@lab.example" })] {
        assert_eq!(world.try_admin("POST", "mutate", bad).await.0, StatusCode::NOT_FOUND);
    }
    let (status, _) = world.try_admin("POST", "mutate", json!({ "crate": 1 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a slip of the pen does not pass for nothing");
}

#[tokio::test]
async fn a_large_mailbox_is_there_at_once() {
    let world = World::new().await;
    let began = Instant::now();
    let order =
        json!({ "mailbox": "big", "messages": 20_000, "folders": 30, "seed": 1, "bytes": 4000 });
    let made = world.admin("POST", "generate", order).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(made["mailbox"], json!("big@lab.example"));
    let bytes = made["bytes"].as_u64().unwrap();
    assert!((60_000_000..100_000_000).contains(&bytes), "{bytes}");
    let graph = world.graph(READ).await;
    let (folders, _) = graph.round("users/big@lab.example/mailFolders/delta", 1000).await;
    let total: u64 = folders.iter().map(|f| f["totalItemCount"].as_u64().unwrap()).sum();
    assert_eq!(total, 20_000);

    world.admin("DELETE", "counters", Value::Null).await;
    let order = json!({ "mailbox": "big@lab.example", "create": 1, "bytes": 150_000_000, "folder": "inbox" });
    let id = world.admin("POST", "mutate", order).await["created"][0]["id"].clone();
    let path = format!("users/big@lab.example/messages/{}/$value", id.as_str().unwrap());
    let value = graph.request("GET", &path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(value.len(), 150_000_000);
    let counters = world.admin("GET", "counters", Value::Null).await;
    let mailbox = &counters["mailboxes"]["big@lab.example"]["message.value"];
    assert_eq!((&mailbox["requests"], &mailbox["bytes"]), (&json!(1), &json!(150_000_000)));
    let application = &counters["applications"][graph.client_id.to_string()];
    assert_eq!(application["message.value"]["requests"], json!(1));
    assert_eq!(world.count("folders.delta").await, 0);
}
