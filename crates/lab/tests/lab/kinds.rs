//! Attachments that are no files.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::exchange::attached_event;
use crate::world::{Graph, World};

const ALL: &[&str] = &["Mail.ReadWrite", "Calendars.ReadWrite", "User.Read.All"];
const EXPAND: &str = "$expand=microsoft.graph.itemattachment/item";

/// A draft and an event, to either of which things can be attached.
async fn owners(world: &World, graph: &Graph) -> [String; 2] {
    let user = format!("users/{}", world.mailbox(0));
    let (_, draft) =
        graph.send("POST", &format!("{user}/messages"), json!({ "subject": "d" })).await;
    let event = json!({
        "subject": "e",
        "start": { "dateTime": "2026-12-02T18:00:00", "timeZone": "UTC" },
        "end": { "dateTime": "2026-12-02T19:00:00", "timeZone": "UTC" },
    });
    let (_, event) = graph.send("POST", &format!("{user}/events"), event).await;
    [
        format!("{user}/messages/{}", draft["id"].as_str().unwrap()),
        format!("{user}/events/{}", event["id"].as_str().unwrap()),
    ]
}

async fn attach(graph: &Graph, owner: &str, what: Value) -> (Value, String) {
    let (status, made) = graph.send("POST", &format!("{owner}/attachments"), what).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("{owner}/attachments/{}", made["id"].as_str().unwrap());
    (made, path)
}

async fn value(graph: &Graph, path: &str) -> (StatusCode, String, String) {
    let answer = graph.request("GET", &format!("{path}/$value")).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status(), kind, answer.text().await.unwrap())
}

#[tokio::test]
async fn messages_events_and_contacts_are_attached_and_shown_as_what_they_are() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    for owner in owners(&world, &graph).await {
        let (made, path) = attach(&graph, &owner, attached_event()).await;
        assert_eq!(made["@odata.type"], json!("#microsoft.graph.itemAttachment"));
        assert_eq!((&made["contentType"], made.get("contentBytes")), (&Value::Null, None));
        assert!(made.get("item").is_none(), "only when it is asked for");
        let shown = graph.get(&format!("{path}?{EXPAND}")).await;
        let item = &shown["item"];
        assert_eq!(item["@odata.type"], json!("#microsoft.graph.event"));
        assert_eq!(item["subject"], json!("Discuss gifts for children"));
        assert_eq!(item["start"]["dateTime"], json!("2016-12-03T02:00:00.0000000"), "in UTC");
        let (status, kind, text) = value(&graph, &path).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/calendar"));
        assert!(text.contains("SUMMARY:Discuss gifts for children\r\n"));

        let card = json!({
            "@odata.type": "#microsoft.graph.itemAttachment", "name": "Card",
            "item": {
                "@odata.type": "#microsoft.graph.contact", "givenName": "Orla", "surname": "Byrne",
                "emailAddresses": [{ "address": "orla@a.example" }],
            },
        });
        let (_, path) = attach(&graph, &owner, card).await;
        let shown = graph.get(&format!("{path}?{EXPAND}")).await;
        assert_eq!(shown["item"]["displayName"], json!("Orla Byrne"));
        assert_eq!(shown["item"]["emailAddresses"][0]["address"], json!("orla@a.example"));
        let (_, kind, text) = value(&graph, &path).await;
        assert_eq!(kind, "text/vcard");
        assert!(text.contains("FN:Orla Byrne\r\n"));

        let letter = json!({
            "@odata.type": "#microsoft.graph.itemAttachment", "name": "Inner",
            "item": { "@odata.type": "#microsoft.graph.message", "subject": "inner",
                      "attachments": [{ "@odata.type": "#microsoft.graph.fileAttachment",
                                        "name": "deep.txt", "contentBytes": BASE64.encode(b"deep") }] },
        });
        let (_, path) = attach(&graph, &owner, letter).await;
        let shown = graph.get(&format!("{path}?{EXPAND}")).await;
        assert_eq!(
            (&shown["item"]["subject"], &shown["item"]["hasAttachments"]),
            (&json!("inner"), &json!(true))
        );
        let (_, kind, text) = value(&graph, &path).await;
        assert_eq!(kind, "text/plain");
        assert!(text.contains("Subject: inner\r\n") && text.contains("filename=\"deep.txt\""));

        let list = graph.get(&format!("{owner}/attachments?{EXPAND}")).await;
        let kinds: Vec<&Value> = list["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["item"]["@odata.type"])
            .collect();
        let kind = |name: &str| json!(format!("#microsoft.graph.{name}"));
        assert_eq!(kinds, [&kind("event"), &kind("contact"), &kind("message")]);
        let (status, _) = graph.send("DELETE", &path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let left = graph.get(&format!("{owner}/attachments?{EXPAND}")).await;
        assert_eq!(left["value"].as_array().unwrap().len(), 2);
        assert_eq!(left["value"][0]["item"], list["value"][0]["item"]);

        for bad in [
            json!({ "@odata.type": "#microsoft.graph.itemAttachment", "name": "x" }),
            json!({ "@odata.type": "#microsoft.graph.itemAttachment", "name": "x",
                    "item": { "@odata.type": "#microsoft.graph.todoTask", "title": "x" } }),
            json!({ "@odata.type": "#microsoft.graph.itemAttachment", "name": "x",
                    "item": { "@odata.type": "#microsoft.graph.event", "subject": "no times" } }),
            json!({ "@odata.type": "#microsoft.graph.referenceAttachment", "name": "x",
                    "sourceUrl": "https://a.example" }),
        ] {
            let (status, _) =
                graph.send("POST", &format!("{owner}/attachments"), bad.clone()).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}

#[tokio::test]
async fn what_lies_elsewhere_is_told_in_the_beta_alone_and_has_no_content() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let beta = Graph { base: graph.base.replace("/v1.0", "/beta"), ..graph.clone() };
    for owner in owners(&world, &graph).await {
        let reference = json!({
            "@odata.type": "#microsoft.graph.referenceAttachment", "name": "Sales.docx",
            "sourceUrl": "https://files.lab.example/Sales.docx", "providerType": "oneDriveBusiness",
            "permission": "edit", "isFolder": false,
        });
        let (made, path) = attach(&beta, &owner, reference).await;
        assert_eq!(made["sourceUrl"], json!("https://files.lab.example/Sales.docx"));
        let plain = graph.get(&path).await;
        assert_eq!(plain["@odata.type"], json!("#microsoft.graph.referenceAttachment"));
        assert_eq!(plain["name"], json!("Sales.docx"));
        assert!(plain.get("sourceUrl").is_none() && plain.get("contentBytes").is_none());
        assert_eq!(value(&graph, &path).await.0, StatusCode::METHOD_NOT_ALLOWED);
        let listed = beta.get(&format!("{owner}?$expand=attachments")).await;
        assert_eq!(listed["attachments"][0]["permission"], json!("edit"));
    }
}

#[tokio::test]
async fn mime_has_files_for_what_is_none_and_does_not_bring_it_back() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let [draft, _] = owners(&world, &graph).await;
    attach(&graph, &draft, attached_event()).await;
    let mime = graph
        .request("GET", &format!("{draft}/$value"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&mime).contains("Content-Type: text/calendar"));
    let user = format!("users/{}", world.mailbox(0));
    let request = graph
        .immutable("POST", &format!("{user}/messages"))
        .header("content-type", "text/plain")
        .body(BASE64.encode(&mime));
    let (_, made) = crate::world::read(request.send().await.unwrap()).await;
    let list =
        graph.get(&format!("{user}/messages/{}/attachments", made["id"].as_str().unwrap())).await;
    assert_eq!(list["value"][0]["@odata.type"], json!("#microsoft.graph.fileAttachment"));

    let whole = world.admin("GET", &format!("mailbox/{}", world.mailbox(0)), Value::Null).await;
    let all = whole["messages"].as_array().unwrap();
    let kept = all.iter().find(|message| draft.ends_with(message["id"].as_str().unwrap())).unwrap();
    assert_eq!(kept["attachments"][0]["item"]["subject"], json!("Discuss gifts for children"));
}
