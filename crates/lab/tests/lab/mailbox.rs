//! `GET /_lab/mailbox/{address}`, which other tests compare with.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{PERSONAL, World};

#[tokio::test]
async fn the_whole_mailbox_is_what_graph_shows_of_it() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    let mailbox = world.mailbox(0);
    let whole = world.admin("GET", &format!("mailbox/{mailbox}"), Value::Null).await;
    assert_eq!(whole["address"], json!(mailbox));
    let mut checked = 0;
    for message in whole["messages"].as_array().unwrap() {
        let path = format!("users/{mailbox}/messages/{}", message["id"].as_str().unwrap());
        let shown = graph.get(&path).await;
        for (here, there) in [
            ("subject", "subject"),
            ("folder", "parentFolderId"),
            ("read", "isRead"),
            ("draft", "isDraft"),
            ("received", "receivedDateTime"),
            ("sent", "sentDateTime"),
            ("categories", "categories"),
            ("internet_message_id", "internetMessageId"),
        ] {
            assert_eq!(message[here], shown[there], "{here}");
        }
        let mime = graph.request("GET", &format!("{path}/$value")).send().await.unwrap();
        let mime = mime.bytes().await.unwrap();
        let hash = HEXLOWER.encode(digest::digest(&digest::SHA256, &mime).as_ref());
        assert_eq!(message["mime_sha256"], json!(hash));
        checked += 1;
    }
    assert!(checked >= 35);
    let folders = whole["folders"].as_array().unwrap();
    assert!(folders.iter().any(|f| f["path"] == json!(["Projects", "Harbour / Phase 2"])));
    for (kind, path) in [("events", "events"), ("contacts", "contacts")] {
        for item in whole[kind].as_array().unwrap() {
            let elsewhere = item.get("folder").is_some_and(|f| *f != item["parentFolderId"]);
            assert!(!elsewhere);
            let id = item["id"].as_str().unwrap();
            let shown = graph.get(&format!("users/{mailbox}/{path}/{id}")).await;
            for (name, value) in shown.as_object().unwrap() {
                if name != "@odata.context" {
                    assert_eq!(&item[name], value, "{name}");
                }
            }
        }
    }
    let (status, _) = world.try_admin("GET", "mailbox/nobody@lab.example", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn page_faults_reach_calendars_and_contacts() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    let order = json!({ "mailbox": "many", "events": 40, "contacts": 40 });
    world.admin("POST", "generate", order).await;
    let rules = json!([
        { "operation": "contacts.delta", "page": "skip", "seed": 1 },
        { "operation": "events.list", "page": "lose", "seed": 1 },
    ]);
    world.admin("POST", "faults", rules).await;
    let user = "users/many@lab.example";
    let events = graph.get(&format!("{user}/events?$top=1000")).await;
    assert!(events["value"].as_array().unwrap().len() < 32);
    let path = format!("{user}/contactFolders/contacts/contacts/delta?$select=id");
    let (first, link) = graph.round(&path, 1000).await;
    assert!(first.len() < 32);
    world.admin("DELETE", "faults", Value::Null).await;
    let (second, _) = graph.round(&link, 1000).await;
    assert_eq!(first.len() + second.len(), 32, "what was held back is told later");
}

#[tokio::test]
async fn properties_of_other_programs_are_put_on_items_of_every_kind() {
    let world = World::new().await;
    let order = json!({
        "mailbox": "foreign", "messages": 3, "events": 3, "contacts": 3, "foreign_properties": 2,
    });
    world.admin("POST", "generate", order).await;
    let whole = world.admin("GET", "mailbox/foreign@lab.example", Value::Null).await;
    let graph = world.graph(PERSONAL).await;
    let id = "String {4d3f7c1e-8a52-4b60-9f0d-61c2b7a9e358} Name Ticket";
    for kind in ["messages", "events", "contacts"] {
        let all = whole[kind].as_array().unwrap();
        let with: Vec<_> = all.iter().filter(|one| one["extended"][id].is_string()).collect();
        assert_eq!((all.len(), with.len()), (3, 2), "{kind}");
        let query = format!("$expand=singleValueExtendedProperties($filter=id eq '{id}')");
        let path = format!("users/foreign@lab.example/{kind}/{}", with[1]["id"].as_str().unwrap());
        let shown = graph.get(&format!("{path}?{query}")).await;
        let told = &shown["singleValueExtendedProperties"][0]["value"];
        assert_eq!(*told, with[1]["extended"][id], "{kind}");
    }
}
