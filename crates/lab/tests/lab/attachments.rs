//! Attachments of messages, small and large.

use data_encoding::BASE64;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::world::{Graph, READ, WRITE, World, read};

/// A piece of an upload that every server takes.
const PIECE: usize = 10 * 320 * 1024;

async fn draft(graph: &Graph, world: &World) -> String {
    let path = format!("users/{}/messages", world.mailbox(0));
    let (status, made) = graph.send("POST", &path, json!({ "subject": "d" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    format!("{path}/{}", made["id"].as_str().unwrap())
}

async fn session(graph: &Graph, message: &str, size: usize) -> Value {
    let order =
        json!({ "AttachmentItem": { "attachmentType": "file", "name": "big.bin", "size": size } });
    let (status, made) =
        graph.send("POST", &format!("{message}/attachments/createUploadSession"), order).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

async fn put(world: &World, url: &str, range: (usize, usize, usize), bytes: &[u8]) -> Response {
    let (first, last, size) = range;
    let request = world
        .http
        .put(url)
        .header("content-range", format!("bytes {first}-{last}/{size}"))
        .header("content-type", "application/octet-stream")
        .body(bytes.to_vec());
    request.send().await.unwrap()
}

#[tokio::test]
async fn attachments_of_mail_that_was_always_there_can_be_read() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let base = format!("users/{}/messages", world.mailbox(0));
    let found = graph
        .get(&format!("{base}?$filter=hasAttachments eq true&$select=id&$expand=attachments"))
        .await;
    let message = &found["value"][0];
    let path = format!("{base}/{}/attachments", message["id"].as_str().unwrap());
    let list = graph.get(&path).await;
    assert_eq!(list["value"], message["attachments"], "the same by either way");
    let one = &list["value"][0];
    let bytes = BASE64.decode(one["contentBytes"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(one["size"], json!(bytes.len()));
    let path = format!("{path}/{}", one["id"].as_str().unwrap());
    let mut shown = graph.get(&path).await;
    assert!(shown["@odata.context"].as_str().unwrap().ends_with("/attachments/$entity"));
    shown.as_object_mut().unwrap().remove("@odata.context");
    assert_eq!(&shown, one);
    let value = graph.request("GET", &format!("{path}/$value")).send().await.unwrap();
    assert_eq!(value.headers()["content-type"], one["contentType"].as_str().unwrap());
    assert_eq!(value.bytes().await.unwrap(), bytes);

    let few =
        graph.get(&format!("{path}?$select=name,microsoft.graph.fileAttachment/contentId")).await;
    assert!(few["name"].is_string() && few.get("contentId").is_some());
    assert!(few.get("contentBytes").is_none() && few.get("size").is_none());
    for bad in ["?$select=contentBytes", "?$select=colour", "?$expand=item", "x", "x/$value"] {
        let (status, _) = graph.try_get(&format!("{path}{bad}")).await;
        assert!(status.is_client_error(), "{bad}");
    }
    let (status, _) = graph.send("DELETE", &path, Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "reading is not writing");
}

#[tokio::test]
async fn a_draft_gains_and_loses_attachments_and_the_others_keep_their_ids() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let message = draft(&graph, &world).await;
    let path = format!("{message}/attachments");
    let mut ids = Vec::new();
    for name in ["a.txt", "b.txt", "b.txt"] {
        let file = json!({
            "@odata.type": "#microsoft.graph.fileAttachment", "name": name,
            "contentType": "text/plain", "contentBytes": BASE64.encode(b"x\ny\n"),
        });
        let (status, made) = graph.send("POST", &path, file).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        assert_eq!(made["contentBytes"], json!(BASE64.encode(b"x\ny\n")));
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let item = json!({
        "@odata.type": "#microsoft.graph.itemAttachment", "name": "Inner",
        "item": { "@odata.type": "microsoft.graph.message", "subject": "inner", "internetMessageId": "<i@a.example>" },
    });
    let (status, made) = graph.send("POST", &path, item).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!((&made["contentType"], made.get("contentBytes")), (&Value::Null, None));
    let inner = format!("{path}/{}", made["id"].as_str().unwrap());
    let shown = graph.get(&format!("{inner}?$expand=microsoft.graph.itemattachment/item")).await;
    assert_eq!(shown["item"]["subject"], json!("inner"));
    assert_eq!(shown["item"]["internetMessageId"], json!("<i@a.example>"));
    let value = graph.request("GET", &format!("{inner}/$value")).send().await.unwrap();
    assert!(value.text().await.unwrap().contains("Subject: inner\r\n"));

    let (status, _) = graph.send("DELETE", &format!("{path}/{}", ids[0]), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = graph.send("DELETE", &format!("{path}/{}", ids[0]), Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let list = graph.get(&path).await;
    let left: Vec<&str> =
        list["value"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(left[..2], ids[1..]);
    assert_eq!(left.len(), 3);
    assert_eq!(graph.get(&message).await["hasAttachments"], json!(true));
}

#[tokio::test]
async fn a_large_file_goes_up_in_pieces_in_their_order() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let message = draft(&graph, &world).await;
    let file: Vec<u8> = (0..2 * PIECE + 1234).map(|n| (n * 7 % 251) as u8).collect();
    let size = file.len();
    let made = session(&graph, &message, size).await;
    assert_eq!(made["nextExpectedRanges"], json!(["0-"]));
    let url = made["uploadUrl"].as_str().unwrap();
    assert!(url.contains("authtoken="), "the URL is the permission");
    let piece = |from: usize, to: usize| (from, to - 1, size);

    let authorised = world.http.put(url).bearer_auth(&graph.token).body(vec![0; 8]);
    assert_eq!(authorised.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    for (range, bytes, status) in [
        (piece(PIECE, 2 * PIECE), &file[PIECE..2 * PIECE], 416),
        (piece(0, 1000), &file[..1000], 400),
        (piece(0, PIECE), &file[..PIECE - 1], 400),
        ((0, PIECE - 1, size + 1), &file[..PIECE], 400),
        (piece(0, 14 * 320 * 1024), &file[..14 * 320 * 1024], 413),
    ] {
        let response = put(&world, url, range, bytes).await;
        assert_eq!(response.status().as_u16(), status, "{range:?}");
    }
    let response = put(&world, url, piece(0, PIECE), &file[..PIECE]).await;
    let (status, body) = read(response).await;
    assert_eq!((status.as_u16(), &body["nextExpectedRanges"]), (200, &json!([PIECE.to_string()])));
    let response = put(&world, url, piece(0, PIECE), &file[..PIECE]).await;
    assert_eq!(response.status().as_u16(), 416, "twice is once too often");
    put(&world, url, piece(PIECE, 2 * PIECE), &file[PIECE..2 * PIECE]).await;
    assert_eq!(graph.get(&message).await["hasAttachments"], json!(false), "not before the end");
    let response = put(&world, url, piece(2 * PIECE, size), &file[2 * PIECE..]).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(response.headers()["location"].to_str().unwrap().contains("/Attachments('"));
    let response = put(&world, url, piece(2 * PIECE, size), &file[2 * PIECE..]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND, "the session has ended");

    let list = graph.get(&format!("{message}/attachments?$select=name,size")).await;
    assert_eq!(list["value"][0]["name"], json!("big.bin"));
    let path = format!("{message}/attachments/{}/$value", list["value"][0]["id"].as_str().unwrap());
    let value = graph.request("GET", &path).send().await.unwrap().bytes().await.unwrap();
    assert!(value == file, "every byte of it");
    assert_eq!(world.count("upload.put").await, 11);
}

#[tokio::test]
async fn an_upload_session_has_its_limits() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let message = draft(&graph, &world).await;
    let path = format!("{message}/attachments/createUploadSession");
    let order = |name: &str, value: Value| {
        let mut item = json!({ "attachmentType": "file", "name": "x", "size": 4_000_000 });
        item[name] = value;
        json!({ "AttachmentItem": item })
    };
    for (order, code) in [
        (order("size", json!(1_000_000)), "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"),
        (order("size", json!(160_000_000)), "ErrorAttachmentSizeLimitExceeded"),
        (order("size", json!("many")), "BadRequest"),
        (order("attachmentType", json!("item")), "BadRequest"),
        (order("colour", json!("red")), "BadRequest"),
        (json!({}), "BadRequest"),
    ] {
        let (status, body) = graph.send("POST", &path, order).await;
        assert_eq!((status.as_u16(), &body["error"]["code"]), (400, &json!(code)));
    }
    let made = session(&graph, &message, 4_000_000).await;
    let url = made["uploadUrl"].as_str().unwrap();
    let (known, _) = url.split_once("authtoken=").unwrap();
    let response =
        put(&world, &format!("{known}authtoken=0"), (0, PIECE - 1, 4_000_000), &[0; PIECE]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.http.get(url).send().await.unwrap().status().as_u16(), 405);
    assert_eq!(world.http.delete(url).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(world.http.delete(url).send().await.unwrap().status(), StatusCode::NOT_FOUND);

    let made = session(&graph, &message, 4_000_000).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 4 * 3600 })).await;
    let response =
        put(&world, made["uploadUrl"].as_str().unwrap(), (0, PIECE - 1, 4_000_000), &[0; PIECE])
            .await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND, "it expires");
}

#[tokio::test]
async fn a_mailbox_takes_only_so_much_in_five_minutes() {
    let world =
        World::with(|options| options.upload_bytes_per_five_minutes = Some(5_000_000)).await;
    let graph = world.graph(WRITE).await;
    let message = draft(&graph, &world).await;
    let made = session(&graph, &message, 7_000_000).await;
    let url = made["uploadUrl"].as_str().unwrap();
    let piece = vec![0; PIECE];
    assert_eq!(put(&world, url, (0, PIECE - 1, 7_000_000), &piece).await.status().as_u16(), 200);
    let range = (PIECE, 2 * PIECE - 1, 7_000_000);
    let refused = put(&world, url, range, &piece).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait));
    graph.get(&message).await;
    world.admin("POST", "clock", json!({ "offset_seconds": wait })).await;
    assert_eq!(put(&world, url, range, &piece).await.status().as_u16(), 200);

    let limits = json!({
        "concurrency": 4, "requests_per_ten_minutes": null, "upload_bytes_per_five_minutes": null,
    });
    assert_eq!(world.admin("POST", "limits", limits.clone()).await, limits);
    assert_eq!(world.admin("GET", "limits", Value::Null).await, limits);
    let range = (2 * PIECE, 7_000_000 - 1, 7_000_000);
    let response = put(&world, url, range, &vec![0; 7_000_000 - 2 * PIECE]).await;
    assert_eq!(response.status(), StatusCode::CREATED);
}
