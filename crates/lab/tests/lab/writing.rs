//! Making, changing, moving and deleting.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{WRITE, World, read};

#[tokio::test]
async fn folders_are_made_renamed_moved_and_deleted_and_the_delta_says_so() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}/mailFolders", world.mailbox(0));
    let (_, link) = graph.round(&format!("{base}/delta"), 100).await;

    let (status, outer) = graph.send("POST", &base, json!({ "displayName": "Outer" })).await;
    assert_eq!(status, StatusCode::CREATED, "{outer}");
    let outer = outer["id"].as_str().unwrap();
    let below = format!("{base}/{outer}/childFolders");
    let (_, inner) = graph.send("POST", &below, json!({ "displayName": "In/ner" })).await;
    let inner = inner["id"].as_str().unwrap();
    let (status, body) = graph.send("POST", &below, json!({ "displayName": "in/NER" })).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (409, &json!("ErrorFolderExists")));
    for bad in [json!({}), json!({ "displayName": "" }), json!({ "name": "x" }), json!([])] {
        assert_eq!(graph.send("POST", &base, bad).await.0, StatusCode::BAD_REQUEST);
    }
    let (lines, link) = graph.round(&link, 100).await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["parentFolderId"], json!(outer));

    let (status, _) =
        graph.send("PATCH", &format!("{base}/{inner}"), json!({ "displayName": "New" })).await;
    assert_eq!(status, StatusCode::OK);
    let to_inbox = json!({ "destinationId": "inbox" });
    let (status, moved) = graph.send("POST", &format!("{base}/{inner}/move"), to_inbox).await;
    assert_eq!(status, StatusCode::CREATED, "{moved}");
    let (lines, link) = graph.round(&link, 100).await;
    assert_eq!(lines.len(), 1, "one folder, however often it changed");
    assert_eq!((&lines[0]["displayName"], &lines[0]["id"]), (&json!("New"), &json!(inner)));

    for (path, status) in [(format!("{base}/inbox"), 400), (format!("{base}/{outer}"), 204)] {
        let response = graph.request("DELETE", &path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
    let (lines, _) = graph.round(&link, 100).await;
    assert_eq!(lines[0]["@removed"], json!({ "reason": "deleted" }));
    assert_eq!(lines[0]["id"], json!(outer));
}

#[tokio::test]
async fn a_message_made_from_json_is_a_draft_unless_its_flags_say_otherwise() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let recipient =
        |name: &str, address: &str| json!({ "emailAddress": { "name": name, "address": address } });
    let mut message = json!({
        "subject": "Größe",
        "body": { "contentType": "HTML", "content": "<p>Hallo, Welt – 你好</p>" },
        "toRecipients": [recipient("Bo", "bo@a.example"), recipient("Zoë", "zoe@a.example")],
        "ccRecipients": [recipient("C", "c@a.example")],
        "from": recipient("Sender", "s@a.example"),
        "internetMessageId": "<kept@a.example>",
        "internetMessageHeaders": [{ "name": "X-Origin", "value": "restore" }],
        "categories": ["One", "Two"],
        "importance": "high",
        "flag": { "flagStatus": "flagged" },
        "isRead": true,
        "attachments": [{
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": "a.txt", "contentType": "text/plain", "contentBytes": BASE64.encode(b"inside"),
        }],
        "singleValueExtendedProperties": [
            { "id": "SystemTime 0x0E06", "value": "2020-02-03T04:05:06Z" },
            { "id": "SystemTime 0x0039", "value": "2020-02-03T04:05:00Z" },
            { "id": "String {11111111-2222-3333-4444-555555555555} Name origin", "value": "item-7" },
        ],
    });
    let inbox = format!("{base}/mailFolders/inbox/messages");
    let (status, draft) = graph.send("POST", &inbox, message.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{draft}");
    assert_eq!(draft["isDraft"], json!(true));
    message["singleValueExtendedProperties"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "id": "Integer 0x0E07", "value": "1" }));
    let (_, made) = graph.send("POST", &inbox, message).await;
    for (name, value) in [
        ("isDraft", json!(false)),
        ("isRead", json!(true)),
        ("subject", json!("Größe")),
        ("receivedDateTime", json!("2020-02-03T04:05:06Z")),
        ("sentDateTime", json!("2020-02-03T04:05:00Z")),
        ("internetMessageId", json!("<kept@a.example>")),
        ("categories", json!(["One", "Two"])),
        ("importance", json!("high")),
        ("hasAttachments", json!(true)),
        ("from", recipient("Sender", "s@a.example")),
        (
            "toRecipients",
            json!([recipient("Bo", "bo@a.example"), recipient("Zoë", "zoe@a.example")]),
        ),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    assert!(made["body"]["content"].as_str().unwrap().contains("你好"));
    let origin = "singleValueExtendedProperties/Any(ep: ep/id eq 'String {11111111-2222-3333-4444-555555555555} Name origin' and ep/value eq 'item-7')";
    let found = graph.get(&format!("{base}/messages?$filter={origin}")).await;
    assert_eq!(found["value"].as_array().unwrap().len(), 2, "by a property of the client's own");

    // Content of a message that is no draft stays as it is; everything else may change.
    let path = |message: &Value| format!("{base}/messages/{}", message["id"].as_str().unwrap());
    let (status, body) = graph.send("PATCH", &path(&made), json!({ "subject": "x" })).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (403, &json!("ErrorAccessDenied")));
    let (status, changed) = graph
        .send(
            "PATCH",
            &path(&made),
            json!({ "isRead": false, "categories": [], "importance": "low" }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!((&changed["isRead"], &changed["importance"]), (&json!(false), &json!("low")));
    let (status, changed) = graph.send("PATCH", &path(&draft), json!({ "subject": "x" })).await;
    assert_eq!((status.as_u16(), &changed["subject"]), (200, &json!("x")));
    assert_eq!(changed["hasAttachments"], json!(true));
    for bad in [
        json!({ "receivedDateTime": "2020-01-01T00:00:00Z" }),
        json!({ "isRead": "yes" }),
        json!({ "colour": "red" }),
        json!({ "flag": { "flagStatus": "waving" } }),
    ] {
        let (status, body) = graph.send("PATCH", &path(&made), bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test]
async fn mime_comes_back_as_it_was_given() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let mime = b"From: a@b.example\r\nSubject: =?utf-8?B?w6Q=?=\r\n\r\nFrom here\r\n..\r\n\xff\r\n";
    let post = |body: String| {
        graph
            .immutable("POST", &format!("{base}/messages"))
            .header("content-type", "text/plain")
            .body(body)
    };
    let (status, made) = read(post(BASE64.encode(mime)).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!((&made["subject"], &made["isDraft"]), (&json!("ä"), &json!(true)));
    let path = format!("{base}/messages/{}/$value", made["id"].as_str().unwrap());
    let value = graph.request("GET", &path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&value[..], mime);
    let (status, _) = read(post("not base64!".into()).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_message_that_moves_keeps_its_immutable_id_and_one_that_is_deleted_is_gone() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let base = format!("users/{}", world.mailbox(0));
    let delta = |folder: &str| format!("{base}/mailFolders/{folder}/messages/delta?$select=id");
    let (inbox, in_link) = graph.round(&delta("inbox"), 100).await;
    let (_, junk_link) = graph.round(&delta("junkemail"), 100).await;
    let id = inbox[0]["id"].as_str().unwrap();
    let path = format!("{base}/mailFolders/inbox/messages/{id}");
    let to_junk = json!({ "destinationId": "junkemail" });
    let (status, moved) = graph.send("POST", &format!("{path}/move"), to_junk).await;
    assert_eq!((status.as_u16(), &moved["id"]), (201, &json!(id)));
    assert_eq!(graph.try_get(&path).await.0, StatusCode::NOT_FOUND, "not in the inbox any more");
    let (left, _) = graph.round(&in_link, 100).await;
    assert_eq!(left[0]["@removed"], json!({ "reason": "changed" }));
    let (came, junk_link) = graph.round(&junk_link, 100).await;
    assert_eq!(came[0]["id"], json!(id));

    let path = format!("{base}/messages/{id}");
    let response = graph.request("DELETE", &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(graph.try_get(&path).await.0, StatusCode::NOT_FOUND);
    let (gone, _) = graph.round(&junk_link, 100).await;
    assert_eq!(gone[0]["@removed"], json!({ "reason": "deleted" }));
    let recoverable = format!("{base}/mailFolders/recoverableitemsdeletions/messages");
    assert_eq!(graph.get(&recoverable).await["value"][0]["id"], json!(id));
}

#[tokio::test]
async fn content_of_what_was_sent_is_changed_by_nobody_without_the_advanced_right() {
    let world = World::new().await;
    let usual = ["Mail.ReadWrite", "User.Read.All", "MailboxItem.ImportExport.All"];
    let graph = world.graph(&usual).await;
    let advanced = world.graph(&[&usual[..], &["Mail-Advanced.ReadWrite.All"]].concat()).await;
    let user = format!("users/{}", world.mailbox(0));
    let found = graph.get(&format!("{user}/messages?$filter=hasAttachments eq true&$top=1")).await;
    let id = found["value"][0]["id"].as_str().unwrap();
    let path = format!("{user}/messages/{id}");
    let attached = graph.get(&format!("{path}/attachments")).await["value"][0]["id"].clone();
    let one = format!("{path}/attachments/{}", attached.as_str().unwrap());
    let mime = async || {
        let value = graph.request("GET", &format!("{path}/$value")).send().await.unwrap();
        value.bytes().await.unwrap()
    };
    let before = (graph.get(&path).await, mime().await);
    let extended = |id: &str, value: &str| json!({ "singleValueExtendedProperties": [{ "id": id, "value": value }] });
    let to = json!([{ "emailAddress": { "address": "a@b.example" } }]);
    for change in [
        json!({ "subject": "other" }),
        json!({ "body": { "contentType": "text", "content": "other" } }),
        json!({ "toRecipients": to }),
        json!({ "ccRecipients": [] }),
        json!({ "bccRecipients": to }),
        json!({ "replyTo": to }),
        json!({ "from": to[0] }),
        json!({ "sender": to[0] }),
        json!({ "internetMessageId": "<x@a.example>" }),
        json!({ "isRead": true, "subject": "other" }),
        extended("SystemTime 0x0039", "2020-01-02T03:04:05Z"),
        extended("SystemTime 0x0E06", "2020-01-02T03:04:05Z"),
        extended("String 0x0037", "other"),
    ] {
        let (status, _) = graph.send("PATCH", &path, change.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{change}");
    }
    for name in ["sentDateTime", "receivedDateTime", "hasAttachments"] {
        let (status, _) =
            advanced.send("PATCH", &path, json!({ name: "2020-01-02T03:04:05Z" })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name} is nobody's to write");
    }
    let file = json!({
        "@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "AAAA",
    });
    let large =
        json!({ "AttachmentItem": { "attachmentType": "file", "name": "x", "size": 4_000_000 } });
    for (method, to, body) in [
        ("POST", format!("{path}/attachments"), file),
        ("DELETE", one.clone(), serde_json::Value::Null),
        ("POST", format!("{path}/attachments/createUploadSession"), large),
    ] {
        assert_eq!(graph.send(method, &to, body).await.0, StatusCode::FORBIDDEN, "{method} {to}");
    }
    let settings = graph.get(&format!("{user}/settings/exchange")).await;
    let at = format!("admin/exchange/mailboxes/{}", settings["primaryMailboxId"].as_str().unwrap());
    let (_, exported) =
        graph.send("POST", &format!("{at}/exportItems"), json!({ "itemIds": [id] })).await;
    let exported = &exported["value"][0];
    let (_, session) =
        graph.send("POST", &format!("{at}/createImportSession"), serde_json::Value::Null).await;
    let mut item = json!({
        "FolderId": before.0["parentFolderId"], "Mode": "update", "Data": exported["data"],
        "ItemId": id, "ChangeKey": exported["changeKey"],
    });
    let import = async |item: &serde_json::Value| {
        let request = world.http.post(session["importUrl"].as_str().unwrap()).json(item);
        crate::world::read(request.send().await.unwrap()).await.0
    };
    assert_eq!(import(&item).await, StatusCode::FORBIDDEN);
    assert_eq!((graph.get(&path).await, mime().await), before, "nothing of it has changed");
    item["Mode"] = json!("create");
    assert_eq!(import(&item).await, StatusCode::OK, "what is made anew may be as it was");

    let (status, changed) =
        graph.send("PATCH", &path, json!({ "isRead": false, "categories": ["x"] })).await;
    assert_eq!((status, &changed["categories"]), (StatusCode::OK, &json!(["x"])));
    let (status, _) = advanced.send("PATCH", &path, json!({ "subject": "other" })).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = advanced.send("DELETE", &one, serde_json::Value::Null).await;
    assert!(status.is_success());
}
