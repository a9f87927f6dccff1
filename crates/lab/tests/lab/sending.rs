//! Mail that is sent: who may, what is refused, where it arrives.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::world::{Graph, World};

fn letter(to: &str) -> Value {
    json!({
        "subject": "Lunch",
        "body": { "contentType": "html", "content": "<p>At <b>noon</b>?</p>" },
        "toRecipients": [{ "emailAddress": { "address": to } }],
        "internetMessageHeaders": [{ "name": "X-Word", "value": "seven" }],
    })
}

async fn subjects(world: &World, number: usize, folder: &str) -> Vec<Value> {
    let graph = world.graph(&["Mail.Read"]).await;
    let path = format!(
        "users/{}/mailFolders/{folder}/messages?$filter=subject eq 'Lunch'&$select=subject,isRead,from,internetMessageHeaders,bccRecipients,body",
        world.mailbox(number)
    );
    graph.get(&path).await["value"].as_array().unwrap().clone()
}

async fn send(graph: &Graph, world: &World, order: Value) -> (u16, String) {
    let path = format!("users/{}/sendMail", world.mailbox(0));
    let (status, answer) = graph.send("POST", &path, order).await;
    (status.as_u16(), answer["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_is_sent_arrives_unread_with_its_header_and_a_copy_stays_unless_nobody_wants_one() {
    let world = World::new().await;
    let graph = world.graph(&["Mail.Send"]).await;
    let mut message = letter(world.mailbox(1));
    message["bccRecipients"] = json!([{ "emailAddress": { "address": world.mailbox(2) } }]);
    let order = json!({ "message": message, "saveToSentItems": false });
    assert_eq!(send(&graph, &world, order).await, (202, String::new()));
    for recipient in [1, 2] {
        let [arrived] = &subjects(&world, recipient, "inbox").await[..] else { panic!() };
        assert_eq!(arrived["isRead"], false);
        assert_eq!(arrived["from"]["emailAddress"]["address"], world.mailbox(0));
        assert_eq!(arrived["bccRecipients"], json!([]), "who else got it is not theirs to see");
        let headers = arrived["internetMessageHeaders"].as_array().unwrap();
        assert!(headers.contains(&json!({ "name": "X-Word", "value": "seven" })), "{headers:?}");
    }
    assert!(subjects(&world, 0, "sentitems").await.is_empty());

    // The documentation writes the second parameter as a text, and without it a copy stays.
    let order = json!({ "message": letter(world.mailbox(1)), "saveToSentItems": "false" });
    assert_eq!(send(&graph, &world, order).await.0, 202);
    assert!(subjects(&world, 0, "sentitems").await.is_empty());
    let order = json!({ "Message": letter("somebody@elsewhere.example") });
    assert_eq!(send(&graph, &world, order).await.0, 202);
    let [copy] = &subjects(&world, 0, "sentitems").await[..] else { panic!() };
    assert_eq!(copy["isRead"], true);
}

#[tokio::test]
async fn what_is_no_message_or_somebody_else_s_is_refused_and_nothing_is_sent() {
    let world = World::new().await;
    let graph = world.graph(&["Mail.Send"]).await;
    let to = world.mailbox(1);
    let with = |name: &str, value: Value| {
        let mut message = letter(to);
        message[name] = value;
        json!({ "message": message })
    };
    let address = |address: &str| json!([{ "emailAddress": { "address": address } }]);
    for (order, status, code) in [
        (json!({}), 400, "BadRequest"),
        (json!({ "message": letter(to), "urgent": true }), 400, "BadRequest"),
        (json!({ "message": letter(to), "saveToSentItems": 1 }), 400, "BadRequest"),
        (json!({ "message": "hello" }), 400, "BadRequest"),
        (with("colour", json!("red")), 400, "BadRequest"),
        (with("toRecipients", json!([])), 400, "ErrorInvalidRecipients"),
        (with("toRecipients", address("nobody")), 400, "ErrorInvalidRecipients"),
        (
            with("internetMessageHeaders", json!([{ "name": "Word", "value": "x" }])),
            400,
            "InvalidInternetMessageHeader",
        ),
        (
            with("from", json!({ "emailAddress": { "address": world.mailbox(2) } })),
            403,
            "ErrorSendAsDenied",
        ),
    ] {
        let said = send(&graph, &world, order.clone()).await;
        assert_eq!((said.0, said.1.as_str()), (status, code), "{order}");
    }
    let reader = world.graph(&["Mail.Read", "Mail.ReadWrite"]).await;
    let order = json!({ "message": letter(to) });
    assert_eq!(send(&reader, &world, order).await, (403, "ErrorAccessDenied".to_owned()));
    assert!(subjects(&world, 1, "inbox").await.is_empty());
    assert!(subjects(&world, 0, "sentitems").await.is_empty());
}

#[tokio::test]
async fn a_message_may_be_sent_as_mime() {
    let world = World::new().await;
    let graph = world.graph(&["Mail.Send"]).await;
    let path = format!("users/{}/sendMail", world.mailbox(0));
    let mime = |from: &str| {
        let text =
            format!("From: {from}\r\nTo: {}\r\nSubject: Lunch\r\n\r\nNoon?\r\n", world.mailbox(1));
        BASE64.encode(text.as_bytes())
    };
    let send = async |body: String| {
        let request = graph.request("POST", &path).header("content-type", "text/plain").body(body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(mime(world.mailbox(0))).await, 202);
    assert_eq!(send(mime(world.mailbox(2))).await, 403);
    assert_eq!(send("no base64".to_owned()).await, 400);
    assert_eq!(subjects(&world, 1, "inbox").await.len(), 1);
}

#[tokio::test]
async fn mail_is_lost_or_sealed_as_somebody_has_set_it() {
    let world = World::new().await;
    let graph = world.graph(&["Mail.Send"]).await;
    let order = json!({ "message": letter(world.mailbox(1)) });
    let blocked = json!({ "blocked_senders": [world.mailbox(0).to_uppercase()] });
    world.admin("POST", "mail-flow", blocked).await;
    assert_eq!(send(&graph, &world, order.clone()).await.0, 202, "it is taken all the same");
    assert!(subjects(&world, 1, "inbox").await.is_empty());
    world.admin("POST", "mail-flow", json!({ "sealed": true })).await;
    assert_eq!(send(&graph, &world, order.clone()).await.0, 202);
    let [sealed] = &subjects(&world, 1, "inbox").await[..] else { panic!() };
    assert!(!sealed["body"]["content"].as_str().unwrap().contains("noon"));
    world.admin("POST", "mail-flow", json!({})).await;
    assert_eq!(send(&graph, &world, order).await.0, 202);
    assert_eq!(subjects(&world, 1, "inbox").await.len(), 2);
}
