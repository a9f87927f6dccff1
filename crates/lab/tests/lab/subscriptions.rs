//! Change notifications and what happens to subscriptions.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::listener::{Listener, Manners};
use crate::world::{Graph, WRITE, World};

const ALL: &[&str] =
    &["Mail.ReadWrite", "Calendars.ReadWrite", "Contacts.ReadWrite", "User.Read.All"];

/// So many minutes from now.
fn later(minutes: i64) -> String {
    let at = time::OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

fn order(listener: &Listener, resource: &str) -> Value {
    json!({
        "changeType": "created,updated,deleted",
        "notificationUrl": format!("{}/told", listener.url),
        "lifecycleNotificationUrl": format!("{}/life", listener.url),
        "resource": resource,
        "expirationDateTime": later(600),
        "clientState": "state of ours",
    })
}

async fn subscribe(graph: &Graph, listener: &Listener, resource: &str) -> Value {
    let (status, made) = graph.send("POST", "subscriptions", order(listener, resource)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().map(|one| one["changeType"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn whoever_subscribes_is_told_of_what_is_made_changed_and_deleted_and_of_nothing_else() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let listener = Listener::new(Manners::Good).await;
    let user = format!("users/{}", world.mailbox(0));
    let inbox = format!("{user}/mailFolders('inbox')/messages");
    let made = subscribe(&graph, &listener, &inbox).await;
    assert_eq!(made["applicationId"], json!(graph.client_id));

    let (_, message) = graph.send("POST", &inbox, json!({ "subject": "one" })).await;
    let told = listener.take(&world, "/told").await;
    assert_eq!(kinds(&told), ["created"]);
    assert_eq!(told[0]["subscriptionId"], made["id"]);
    assert_eq!(told[0]["clientState"], json!("state of ours"));
    assert_eq!(told[0]["tenantId"], json!(world.tenant()));
    assert_eq!(
        told[0]["resourceData"]["id"], message["id"],
        "ids are of the kind that was asked for"
    );
    assert_eq!(told[0]["resourceData"]["@odata.etag"], message["@odata.etag"]);
    assert!(told[0]["resource"].as_str().unwrap().contains("/Messages/"));

    let path = format!("{user}/messages/{}", message["id"].as_str().unwrap());
    graph.send("PATCH", &path, json!({ "isRead": true })).await;
    assert_eq!(kinds(&listener.take(&world, "/told").await), ["updated"]);
    let elsewhere = format!("{user}/mailFolders/drafts/messages");
    graph.send("POST", &elsewhere, json!({ "subject": "two" })).await;
    graph.get(&path).await;
    assert_eq!(listener.take(&world, "/told").await, [] as [Value; 0]);
    graph.send("DELETE", &path, Value::Null).await;
    assert_eq!(kinds(&listener.take(&world, "/told").await), ["deleted"]);

    let one = format!("subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(graph.send("DELETE", &one, Value::Null).await.0, StatusCode::NO_CONTENT);
    graph.send("POST", &inbox, json!({ "subject": "three" })).await;
    assert_eq!(listener.take(&world, "/told").await, [] as [Value; 0]);
    assert_eq!(graph.send("DELETE", &one, Value::Null).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn events_contacts_and_what_people_do_themselves_are_told_too() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let listener = Listener::new(Manners::Good).await;
    let user = format!("users/{}", world.mailbox(0));
    for what in ["events", "contacts", "messages"] {
        subscribe(&graph, &listener, &format!("/{user}/{what}")).await;
    }
    let order = json!({
        "mailbox": world.mailbox(0), "create": 1, "delete": 1,
        "events": { "create": 1 }, "contacts": { "create": 2, "delete": 1 },
    });
    world.admin("POST", "mutate", order).await;
    let told = listener.take(&world, "/told").await;
    let count = |kind: &str, change: &str| {
        let of = format!("#Microsoft.Graph.{kind}");
        let fits = |one: &&Value| {
            one["resourceData"]["@odata.type"] == json!(of) && one["changeType"] == json!(change)
        };
        told.iter().filter(fits).count()
    };
    assert_eq!((count("Event", "created"), count("Message", "created")), (1, 1));
    assert_eq!(count("Message", "deleted"), 1);
    // What came and went at once was never there.
    let contacts = (count("Contact", "created"), count("Contact", "deleted"));
    assert!(contacts == (2, 1) || contacts == (1, 0), "{contacts:?}");
}

#[tokio::test]
async fn nobody_is_notified_who_did_not_say_so_or_who_is_not_on_this_machine() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let inbox = format!("users/{}/mailFolders/inbox/messages", world.mailbox(0));
    for manners in [Manners::Another, Manners::Json, Manners::Refusal] {
        let listener = Listener::new(manners).await;
        let (status, body) = graph.send("POST", "subscriptions", order(&listener, &inbox)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{manners:?}");
        assert_eq!(body["error"]["code"], json!("ValidationError"));
    }
    let listener = Listener::new(Manners::Good).await;
    for (name, value) in [
        ("notificationUrl", json!("https://192.0.2.1/told")),
        ("notificationUrl", json!("https://example.com/told")),
        ("notificationUrl", json!("http://localhost.example.com/told")),
        ("notificationUrl", json!("file:///etc/passwd")),
        ("lifecycleNotificationUrl", json!("https://192.0.2.1/told")),
        ("changeType", json!("created,renamed")),
        ("clientState", json!("x".repeat(129))),
        ("expirationDateTime", json!(later(10_085))),
        ("expirationDateTime", json!(later(-1))),
        ("expirationDateTime", json!("soon")),
        ("resource", json!(format!("users/{}/mailFolders", world.mailbox(0)))),
        ("resource", json!("users/nobody@lab.example/messages")),
        ("includeResourceData", json!(true)),
        ("colour", json!("red")),
    ] {
        let mut wanted = order(&listener, &inbox);
        wanted[name] = value.clone();
        let (status, body) = graph.send("POST", "subscriptions", wanted).await;
        assert!(status.is_client_error(), "{name} {value}: {body}");
    }
    let (status, _) = world
        .graph(&["Calendars.Read"])
        .await
        .send("POST", "subscriptions", order(&listener, &inbox))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN, "whoever may not read is not told");
    assert_eq!(graph.get("subscriptions").await["value"], json!([]));
}

#[tokio::test]
async fn a_subscription_is_renewed_and_ends_when_it_is_not() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let listener = Listener::new(Manners::Good).await;
    let inbox = format!("users/{}/mailFolders/inbox/messages", world.mailbox(0));
    let made = subscribe(&graph, &listener, &inbox).await;
    let path = format!("subscriptions/{}", made["id"].as_str().unwrap());
    let (status, renewed) =
        graph.send("PATCH", &path, json!({ "expirationDateTime": later(1200) })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(renewed["expirationDateTime"].as_str() > made["expirationDateTime"].as_str());
    assert_eq!(graph.get(&path).await["clientState"], json!("state of ours"));
    for fixed in ["resource", "changeType", "clientState", "id"] {
        let (status, _) = graph.send("PATCH", &path, json!({ fixed: "x" })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{fixed}");
    }
    let (status, _) =
        graph.send("PATCH", &path, json!({ "expirationDateTime": later(20_000) })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let other = Listener::new(Manners::Good).await;
    let moved = json!({ "notificationUrl": format!("{}/told", other.url) });
    assert_eq!(graph.send("PATCH", &path, moved).await.0, StatusCode::OK);
    graph.send("POST", &inbox, json!({ "subject": "x" })).await;
    assert_eq!(other.take(&world, "/told").await.len(), 1);

    let stranger = world.graph(WRITE).await;
    assert_eq!(stranger.try_get(&path).await.0, StatusCode::NOT_FOUND);
    world.admin("POST", "clock", json!({ "offset_seconds": 1201 * 60 })).await;
    let told = world.admin("GET", "notifications", Value::Null).await;
    assert_eq!(told["subscriptions"], json!({}));
}

#[tokio::test]
async fn whoever_misses_something_is_told_that_and_so_is_who_loses_a_subscription() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let listener = Listener::new(Manners::Good).await;
    let inbox = format!("users/{}/mailFolders/inbox/messages", world.mailbox(0));
    let made = subscribe(&graph, &listener, &inbox).await;
    let path = format!("subscriptions/{}", made["id"].as_str().unwrap());
    let make = || graph.send("POST", &inbox, json!({ "subject": "x" }));

    // A fault of the way there: the listener itself is well.
    let rules = json!([{ "operation": "notification", "status": 503, "times": 1 }]);
    world.admin("POST", "faults", rules).await;
    make().await;
    assert_eq!(listener.take(&world, "/told").await, [] as [Value; 0]);
    let life = listener.take(&world, "/life").await;
    assert_eq!(life[0]["lifecycleEvent"], json!("missed"));
    assert_eq!(life[0]["subscriptionId"], made["id"]);
    assert_eq!(life[0]["clientState"], json!("state of ours"));
    make().await;
    assert_eq!(listener.take(&world, "/told").await.len(), 1, "it goes on");

    // Somebody who does not answer: three attempts, and no more.
    listener.answer_with(500);
    make().await;
    listener.take(&world, "/told").await;
    let lost = world.admin("GET", "notifications", Value::Null).await;
    assert_eq!(lost["lost"], json!(2));
    listener.answer_with(202);

    world.admin("POST", "notifications", json!({ "event": "reauthorizationRequired" })).await;
    let life = listener.take(&world, "/life").await;
    assert_eq!(life[0]["lifecycleEvent"], json!("reauthorizationRequired"));
    make().await;
    assert_eq!(listener.take(&world, "/told").await, [] as [Value; 0], "nothing until then");
    let (status, _) = graph.send("POST", &format!("{path}/reauthorize"), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    make().await;
    assert_eq!(listener.take(&world, "/told").await.len(), 1);

    let order = json!({ "event": "subscriptionRemoved", "subscription": made["id"] });
    world.admin("POST", "notifications", order).await;
    let life = listener.take(&world, "/life").await;
    assert_eq!(life[0]["lifecycleEvent"], json!("subscriptionRemoved"));
    assert_eq!(graph.try_get(&path).await.0, StatusCode::NOT_FOUND);
}
