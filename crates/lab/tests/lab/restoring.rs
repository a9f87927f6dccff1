//! Messages written as a restore writes them.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, WRITE, World, read};

const ADVANCED: &[&str] = &["Mail.ReadWrite", "Mail-Advanced.ReadWrite.All"];

fn recipient(name: &str, address: &str) -> Value {
    json!({ "emailAddress": { "name": name, "address": address } })
}

/// As it was received, with all that a client can give.
fn received() -> Value {
    json!({
        "subject": "Angebot für März =?utf-8?Q?not?= coded",
        "body": { "contentType": "html", "content": "<p>Grüße<br>aus Köln</p>" },
        "from": recipient("Zoë \"Z\" Ek", "zoe@a.example"),
        "sender": recipient("Office", "office@a.example"),
        "toRecipients": (0..60)
            .map(|n| recipient(&format!("Person {n}"), &format!("p{n}@b.example")))
            .collect::<Vec<_>>(),
        "ccRecipients": [recipient("Cc", "cc@b.example")],
        "bccRecipients": [recipient("Bcc", "bcc@b.example")],
        "replyTo": [recipient("Reply", "reply@a.example")],
        "importance": "low",
        "isRead": false,
        "isReadReceiptRequested": true,
        "isDeliveryReceiptRequested": false,
        "categories": ["Red category"],
        "flag": {
            "flagStatus": "flagged",
            "startDateTime": { "dateTime": "2026-03-01T00:00:00.0000000", "timeZone": "UTC" },
            "dueDateTime": { "dateTime": "2026-03-05T00:00:00.0000000", "timeZone": "UTC" },
        },
        "internetMessageId": "<received-1@a.example>",
        "internetMessageHeaders": [{ "name": "X-Restored", "value": "yes" }],
        "receivedDateTime": "1999-01-01T00:00:00Z",
        "isDraft": true,
        "attachments": [
            {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": "Zahlen.csv", "contentType": "text/csv",
                "contentBytes": BASE64.encode(b"a;b\r\nc\xe9;d\n"),
            },
            {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": "logo.png", "contentType": "image/png", "isInline": true,
                "contentId": "logo@a.example", "contentBytes": BASE64.encode(&[0, 1, 2, 3]),
            },
            {
                "@odata.type": "#microsoft.graph.itemAttachment",
                "name": "Inner",
                "item": {
                    "@odata.type": "#microsoft.graph.message",
                    "subject": "Inner größer",
                    "body": { "contentType": "text", "content": "inside" },
                    "from": recipient("In", "in@a.example"),
                    "attachments": [{
                        "@odata.type": "#microsoft.graph.fileAttachment",
                        "name": "deep.bin", "contentBytes": BASE64.encode(&[9, 9]),
                    }],
                },
            },
        ],
        "singleValueExtendedProperties": [
            { "id": "Integer 0x0E07", "value": "1" },
            { "id": "SystemTime 0x0E06", "value": "2024-05-06T07:08:09Z" },
            { "id": "SystemTime 0x0039", "value": "2024-05-06T07:08:00Z" },
            {
                "id": "String 0x007D",
                "value": "Received: from mx.a.example by mx.b.example;\r\n\tMon, 6 May 2024 07:08:09 +0000\r\n\
                          X-Spam: =?utf-8?Q?n=C3=B6?=\r\nSubject: not this one\r\n",
            },
            { "id": "String {6F1D9E4A-0000-4111-8222-333344445555} Name origin", "value": "key-1" },
        ],
    })
}

async fn inbox(graph: &Graph, base: &str, message: Value) -> Value {
    let (status, made) =
        graph.send("POST", &format!("{base}/mailFolders/inbox/messages"), message).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

#[tokio::test]
async fn a_received_message_comes_back_as_it_was_received() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let made = inbox(&graph, &base, received()).await;
    let path = format!("{base}/messages/{}", made["id"].as_str().unwrap());
    let shown = graph.get(&path).await;
    let given = received();
    for name in [
        "subject",
        "from",
        "sender",
        "toRecipients",
        "ccRecipients",
        "bccRecipients",
        "replyTo",
        "importance",
        "categories",
        "flag",
        "internetMessageId",
        "isReadReceiptRequested",
        "isDeliveryReceiptRequested",
    ] {
        assert_eq!(shown[name], given[name], "{name}");
    }
    for (name, value) in [
        ("isDraft", json!(false)),
        ("isRead", json!(true)),
        ("hasAttachments", json!(true)),
        ("receivedDateTime", json!("2024-05-06T07:08:09Z")),
        ("sentDateTime", json!("2024-05-06T07:08:00Z")),
        ("body", json!({ "contentType": "html", "content": "<p>Grüße<br>aus Köln</p>" })),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let headers = graph.get(&format!("{path}?$select=internetMessageHeaders")).await;
    let headers = headers["internetMessageHeaders"].as_array().unwrap().clone();
    let header = |name: &str| -> Vec<&str> {
        let named = headers.iter().filter(|h| h["name"] == json!(name));
        named.map(|h| h["value"].as_str().unwrap()).collect()
    };
    let trace = "from mx.a.example by mx.b.example; Mon, 6 May 2024 07:08:09 +0000";
    assert_eq!(header("Received"), [trace]);
    assert_eq!(
        (header("X-Spam"), header("X-Restored")),
        (vec!["=?utf-8?Q?n=C3=B6?="], vec!["yes"])
    );
    assert_eq!(header("Subject").len(), 1, "its own, not that of the transport headers");

    // The MIME has all of it, and no line is longer than a line may be.
    let mime = graph.request("GET", &format!("{path}/$value")).send().await.unwrap();
    let mime = mime.bytes().await.unwrap();
    assert!(mime.split(|b| *b == b'\n').all(|line| line.len() <= 999));
    let copy = graph
        .immutable("POST", &format!("{base}/messages"))
        .header("content-type", "text/plain")
        .body(BASE64.encode(&mime));
    let (status, copy) = read(copy.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{copy}");
    assert_eq!(copy["isDraft"], json!(true), "MIME makes a draft, always");
    for name in ["subject", "from", "sender", "toRecipients", "body", "internetMessageId"] {
        assert_eq!(copy[name], shown[name], "{name}");
    }
    let list = |message: &Value| {
        let id = message["id"].as_str().unwrap();
        let path = format!("{base}/messages/{id}/attachments");
        let graph = graph.clone();
        async move { graph.get(&path).await["value"].as_array().unwrap().clone() }
    };
    let (attachments, copied) = (list(&made).await, list(&copy).await);
    assert_eq!(attachments.len(), 3);
    for (one, other) in attachments.iter().zip(&copied) {
        for name in ["@odata.type", "name", "contentType", "isInline", "contentId", "contentBytes"]
        {
            assert_eq!(one[name], other[name], "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_restore_made_is_found_by_its_mark_and_shows_the_marks_it_was_asked_for() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let made = inbox(&graph, &base, received()).await;
    let name = "String {6f1d9e4a-0000-4111-8222-333344445555} Name origin";
    let marked = |value: &str| {
        format!(
            "$filter=singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq '{value}')"
        )
    };
    let expand = format!(
        "$expand=singleValueExtendedProperties($filter=id eq '{name}' or id eq 'String 0x007D' or id eq 'Integer 0x0E07')"
    );
    for path in ["messages", "mailFolders/inbox/messages"] {
        let found = graph
            .get(&format!("{base}/{path}?{}&{expand}&$top=1000&$select=id", marked("key-1")))
            .await;
        let [one] = found["value"].as_array().unwrap().as_slice() else { panic!("{found}") };
        assert_eq!(one["id"], made["id"]);
        let shown = one["singleValueExtendedProperties"].as_array().unwrap();
        assert_eq!(shown.len(), 3);
        assert_eq!(shown[0], json!({ "id": name, "value": "key-1" }));
        assert!(shown[1]["value"].as_str().unwrap().starts_with("Received: from mx.a.example"));
        let none = graph.get(&format!("{base}/{path}?{}", marked("key-2"))).await;
        assert_eq!(none["value"], json!([]));
    }
    let elsewhere = format!("{base}/mailFolders/sentitems/messages?{}", marked("key-1"));
    assert_eq!(graph.get(&elsewhere).await["value"], json!([]));

    // A mark may be set later, too.
    let path = format!("{base}/messages/{}", made["id"].as_str().unwrap());
    let mark = json!({ "singleValueExtendedProperties": [{ "id": name, "value": "key-2" }] });
    let (status, body) = graph.send("PATCH", &path, mark).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let found = graph.get(&format!("{base}/messages?{}", marked("key-2"))).await;
    assert_eq!(found["value"][0]["id"], made["id"]);
    let (status, _) = graph.try_get(&format!("{base}/messages?$top=1001")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_draft_stays_a_draft_and_a_message_that_is_none_keeps_its_content() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let flags = |value: &str| json!({ "singleValueExtendedProperties": [{ "id": "Integer 0x0E07", "value": value }] });
    let path = |message: &Value| format!("{base}/messages/{}", message["id"].as_str().unwrap());

    let draft =
        inbox(&graph, &base, json!({ "subject": "d", "receivedDateTime": "1999-01-01T00:00:00Z" }))
            .await;
    assert_eq!(draft["isDraft"], json!(true));
    assert!(draft["receivedDateTime"].as_str().unwrap() > "2020");
    let (status, patched) = graph.send("PATCH", &path(&draft), flags("0")).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    assert_eq!((&patched["isDraft"], &patched["isRead"]), (&json!(true), &json!(false)));

    let made = inbox(&graph, &base, received()).await;
    for (name, value) in [
        ("subject", json!("x")),
        ("body", json!({ "contentType": "text", "content": "x" })),
        ("from", recipient("x", "x@a.example")),
        ("sender", recipient("x", "x@a.example")),
        ("toRecipients", json!([])),
        ("ccRecipients", json!([])),
        ("bccRecipients", json!([])),
        ("replyTo", json!([])),
        ("internetMessageId", json!("<x@a.example>")),
    ] {
        let (status, body) = graph.send("PATCH", &path(&made), json!({ name: value })).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("Mail-Advanced.ReadWrite.All"));
    }
    let file = json!({
        "@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "AAAA",
    });
    let attachments = format!("{}/attachments", path(&made));
    let (status, _) = graph.send("POST", &attachments, file.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let first = graph.get(&attachments).await["value"][0]["id"].clone();
    let first = format!("{attachments}/{}", first.as_str().unwrap());
    let (status, _) = graph.send("DELETE", &first, Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let session =
        json!({ "AttachmentItem": { "attachmentType": "file", "name": "x", "size": 4_000_000 } });
    let (status, _) =
        graph.send("POST", &format!("{attachments}/createUploadSession"), session).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let harmless = json!({
        "isRead": false, "flag": { "flagStatus": "complete" }, "categories": ["Blue category"],
        "importance": "high", "inferenceClassification": "other", "isReadReceiptRequested": false,
    });
    let (status, changed) = graph.send("PATCH", &path(&made), harmless).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!((&changed["importance"], &changed["isRead"]), (&json!("high"), &json!(false)));
    assert_eq!(changed["flag"], json!({ "flagStatus": "complete" }));

    let privileged = world.graph(ADVANCED).await;
    let (status, changed) =
        privileged.send("PATCH", &path(&made), json!({ "subject": "corrected" })).await;
    assert_eq!((status.as_u16(), &changed["subject"]), (200, &json!("corrected")));
    assert_eq!((&changed["isDraft"], &changed["body"]), (&json!(false), &made["body"]));
    let (status, body) = privileged.send("POST", &attachments, file).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let headers = graph.get(&format!("{}?$select=internetMessageHeaders", path(&made))).await;
    assert!(headers.to_string().contains("mx.a.example"), "the rest of the header stays");
}

#[tokio::test]
async fn a_sender_who_asks_for_it_is_told_once_that_an_application_marked_a_message_as_read() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let sent = async || {
        let counters = world.admin("GET", "counters", Value::Null).await;
        counters["receipts_sent"].as_u64().unwrap()
    };
    let mut asking = received();
    asking["isReadReceiptRequested"] = json!(true);
    asking["singleValueExtendedProperties"] = json!([{ "id": "Integer 0x0E07", "value": "0" }]);
    let mut paths = Vec::new();
    for _ in 0..2 {
        let made = inbox(&graph, &base, asking.clone()).await;
        assert_eq!(
            (&made["isRead"], &made["isReadReceiptRequested"]),
            (&json!(false), &json!(true))
        );
        paths.push(format!("{base}/messages/{}", made["id"].as_str().unwrap()));
    }
    let patch = async |path: &str, body: Value| {
        let (status, shown) = graph.send("PATCH", path, body).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
    };
    patch(&paths[0], json!({ "isRead": true, "isReadReceiptRequested": false })).await;
    assert_eq!(sent().await, 0);
    for (read, told) in [(true, 1), (false, 1), (true, 1)] {
        patch(&paths[1], json!({ "isRead": read })).await;
        assert_eq!(sent().await, told);
    }
}

#[tokio::test]
async fn a_message_that_exchange_would_not_take_is_refused() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let inbox = format!("users/{}/mailFolders/inbox/messages", world.mailbox(0));
    let header = |name: &str| json!({ "name": name, "value": "v" });
    let file = |change: (&str, Value)| {
        let mut file = json!({
            "@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "AAAA",
        });
        file[change.0] = change.1;
        json!({ "attachments": [file] })
    };
    let before = graph.get(&format!("{inbox}?$count=true&$top=1")).await["@odata.count"].clone();
    for (message, status, code) in [
        (
            json!({ "internetMessageHeaders": [header("Received")] }),
            400,
            "InvalidInternetMessageHeader",
        ),
        (
            json!({ "internetMessageHeaders": [header("x-a"), header("x-b"), header("x-c"), header("x-d"), header("x-e"), header("x-f")] }),
            400,
            "InvalidInternetMessageHeaderCollection",
        ),
        (json!({ "toRecipients": "a@b.example" }), 400, "RequestBodyRead"),
        (json!({ "colour": "red" }), 400, "BadRequest"),
        (file(("contentBytes", json!("***"))), 400, "RequestBodyRead"),
        (file(("name", Value::Null)), 400, "RequestBodyRead"),
        (file(("colour", json!("red"))), 400, "BadRequest"),
        (
            file(("@odata.type", json!("#microsoft.graph.referenceAttachment"))),
            400,
            "RequestBodyRead",
        ),
        (
            json!({ "singleValueExtendedProperties": [{ "id": "Integer 0x0E07", "value": "read" }] }),
            400,
            "RequestBodyRead",
        ),
        (
            json!({ "singleValueExtendedProperties": [{ "id": "Number 0x0E07", "value": "1" }] }),
            400,
            "ErrorInvalidProperty",
        ),
        (
            json!({ "flag": { "flagStatus": "flagged", "dueDateTime": { "dateTime": "2026-03-05T00:00:00", "timeZone": "UTC" } } }),
            400,
            "ErrorInvalidArgument",
        ),
        (
            file(("contentBytes", json!(BASE64.encode(&vec![0; 3_200_000])))),
            413,
            "RequestEntityTooLarge",
        ),
    ] {
        let (given, body) = graph.send("POST", &inbox, message).await;
        assert_eq!((given.as_u16(), &body["error"]["code"]), (status, &json!(code)));
    }
    let after = graph.get(&format!("{inbox}?$count=true&$top=1")).await["@odata.count"].clone();
    assert_eq!(before, after, "nothing was left behind");
}

#[tokio::test]
async fn deleted_mail_is_recoverable_until_it_is_purged() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let recoverable = || async {
        let path =
            format!("{base}/mailFolders/recoverableitemsdeletions/messages?$top=1000&$select=id");
        let list = graph.get(&path).await;
        list["value"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect::<Vec<_>>()
    };
    let (_, folder) = graph
        .send("POST", &format!("{base}/mailFolders"), json!({ "displayName": "Doomed" }))
        .await;
    let folder = format!("{base}/mailFolders/{}", folder["id"].as_str().unwrap());
    let (_, inside) = graph.send("POST", &format!("{folder}/messages"), received()).await;
    let purged = inbox(&graph, &base, received()).await;
    let delta = format!("{base}/mailFolders/inbox/messages/delta?$select=id");
    let (_, link) = graph.round(&delta, 100).await;

    let path = format!("{base}/messages/{}", purged["id"].as_str().unwrap());
    let response = graph.request("POST", &format!("{path}/permanentDelete")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(graph.try_get(&path).await.0, StatusCode::NOT_FOUND);
    let (gone, _) = graph.round(&link, 100).await;
    assert_eq!(gone[0]["@removed"], json!({ "reason": "deleted" }));
    assert!(!recoverable().await.contains(&purged["id"]));

    let response = graph.request("DELETE", &folder).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(graph.try_get(&folder).await.0, StatusCode::NOT_FOUND);
    assert!(recoverable().await.contains(&inside["id"]));
    let all = graph.get(&format!("{base}/messages?$top=1000&$select=id")).await;
    assert!(!all.to_string().contains(inside["id"].as_str().unwrap()));
}
