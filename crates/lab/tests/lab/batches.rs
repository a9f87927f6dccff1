//! `$batch`.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, WRITE, World};

async fn batch(graph: &Graph, requests: Value) -> (StatusCode, Value) {
    graph.send("POST", "$batch", json!({ "requests": requests })).await
}

/// Answers by the ids of their requests.
fn answer<'a>(answers: &'a Value, id: &str) -> &'a Value {
    let list = answers["responses"].as_array().unwrap();
    list.iter().find(|one| one["id"] == json!(id)).unwrap()
}

#[tokio::test]
async fn twenty_requests_go_in_one_and_each_has_its_own_answer() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let user = format!("/users/{}", world.mailbox(0));
    let listed = graph.get(&format!("{user}/messages?$top=18&$select=id,subject")).await;
    let messages = listed["value"].as_array().unwrap();
    let mut requests: Vec<Value> = messages
        .iter()
        .enumerate()
        .map(|(number, message)| {
            let url =
                format!("{user}/messages/{}?$select=id,subject", message["id"].as_str().unwrap());
            json!({ "id": number.to_string(), "method": "GET", "url": url,
                    "headers": { "Prefer": "IdType=\"ImmutableId\"" } })
        })
        .collect();
    requests.push(json!({ "id": "none", "method": "GET", "url": format!("{user}/messages/AAkA") }));
    let value = format!("{user}/messages/{}/$value", messages[0]["id"].as_str().unwrap());
    requests.push(json!({ "id": "mime", "method": "GET", "url": value }));
    let (status, answers) = batch(&graph, json!(requests)).await;
    assert_eq!(status, StatusCode::OK, "{answers}");
    for (number, message) in messages.iter().enumerate() {
        let one = answer(&answers, &number.to_string());
        assert_eq!(one["status"], json!(200));
        assert_eq!(one["body"]["id"], message["id"], "the preference of the request counts");
        assert_eq!(one["body"]["subject"], message["subject"]);
        assert!(one["headers"]["Content-Type"].as_str().unwrap().starts_with("application/json"));
    }
    assert_eq!(answer(&answers, "none")["status"], json!(400));
    assert_eq!(answer(&answers, "none")["body"]["error"]["code"], json!("ErrorInvalidIdMalformed"));
    let mime = answer(&answers, "mime")["body"].as_str().unwrap();
    let alone = graph.request("GET", &value[1..]).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(BASE64.decode(mime.as_bytes()).unwrap(), alone, "what is no JSON is in base64");
    assert_eq!(world.count("message.show").await, 19, "they count one by one");
    assert_eq!(world.count("batch").await, 1);

    requests.push(json!({ "id": "21", "method": "GET", "url": "/users" }));
    assert_eq!(batch(&graph, json!(requests)).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_depends_on_something_waits_for_it_and_fails_with_it() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let drafts = format!("/users/{}/mailFolders/drafts/messages", world.mailbox(0));
    let json_kind = json!({ "Content-Type": "application/json" });
    let post = |id: &str, body: Value, on: &[&str]| json!({ "id": id, "method": "POST", "url": drafts, "headers": json_kind, "body": body, "dependsOn": on });
    let (_, answers) = batch(
        &graph,
        json!([
            post("last", json!({ "subject": "third" }), &["middle"]),
            post("middle", json!({ "subject": "second" }), &["first"]),
            post("first", json!({ "subject": "first" }), &[]),
        ]),
    )
    .await;
    let created =
        |id: &str| answer(&answers, id)["body"]["createdDateTime"].as_str().unwrap().to_owned();
    assert!(created("first") <= created("middle") && created("middle") <= created("last"));
    let order: Vec<&Value> =
        answers["responses"].as_array().unwrap().iter().map(|a| &a["id"]).collect();
    assert_eq!(order, ["first", "middle", "last"], "answers come as they are made");
    assert!(answer(&answers, "first")["headers"]["Location"].is_string());

    let (status, answers) = batch(
        &graph,
        json!([
            post("bad", json!({ "colour": "red" }), &[]),
            post("next", json!({ "subject": "never" }), &["bad"]),
            post("after", json!({ "subject": "never" }), &["next"]),
            post("other", json!({ "subject": "yes" }), &[]),
        ]),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let statuses: Vec<u64> = ["bad", "next", "after", "other"]
        .iter()
        .map(|id| answer(&answers, id)["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [400, 424, 424, 201]);

    for bad in [
        json!([]),
        json!([post("a", json!({}), &["b"]), post("b", json!({}), &["a"])]),
        json!([post("a", json!({}), &["nobody"])]),
        json!([post("a", json!({}), &[]), post("A", json!({}), &[])]),
        json!([{ "id": "a", "method": "GET" }]),
        json!([{ "id": "a", "method": "POST", "url": "/$batch", "headers": json_kind, "body": {} }]),
        json!([{ "id": "a", "method": "POST", "url": drafts, "body": {} }]),
    ] {
        assert_eq!(batch(&graph, bad.clone()).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let away =
        json!([{ "id": "a", "method": "GET", "url": "https://elsewhere.example/v1.0/users" }]);
    let (_, answers) = batch(&graph, away).await;
    assert_eq!(answer(&answers, "a")["status"], json!(400), "it leads nowhere, least of all there");
}

#[tokio::test]
async fn one_of_many_is_throttled_and_the_batch_is_not() {
    let world = World::new().await;
    let graph = world.graph(WRITE).await;
    let url = format!("/users/{}/mailFolders/inbox", world.mailbox(0));
    let requests: Vec<Value> =
        (0..12).map(|id| json!({ "id": id.to_string(), "method": "GET", "url": url })).collect();
    let (_, answers) = batch(&graph, json!(requests)).await;
    let all = answers["responses"].as_array().unwrap();
    assert!(all.iter().all(|one| one["status"] == 200), "four at a time, whatever their number");
    let counters = world.admin("GET", "counters", Value::Null).await;
    let peak = counters["peak_concurrency"][0]["requests"].as_u64().unwrap();
    assert!(peak <= 4, "{peak}");

    let rules = json!([{ "operation": "folder.show", "status": 429, "retry_after": 7, "pass": 2, "times": 1 }]);
    world.admin("POST", "faults", rules).await;
    let (status, answers) = batch(&graph, json!(requests)).await;
    assert_eq!(status, StatusCode::OK);
    let all = answers["responses"].as_array().unwrap();
    let refused: Vec<&Value> = all.iter().filter(|one| one["status"] == 429).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["headers"]["Retry-After"], json!("7"));
    assert_eq!(all.iter().filter(|one| one["status"] == 200).count(), 11);

    world.admin("DELETE", "faults", Value::Null).await;
    let limits = json!({ "concurrency": 2, "requests_per_ten_minutes": null, "upload_bytes_per_five_minutes": null });
    world.admin("POST", "limits", limits).await;
    let slow = json!([{ "operation": "folder.show", "delay_ms": 200 }]);
    world.admin("POST", "faults", slow).await;
    let (status, answers) = batch(&graph, json!(requests[..4])).await;
    assert_eq!(status, StatusCode::OK);
    let all = answers["responses"].as_array().unwrap();
    assert_eq!(all.iter().filter(|one| one["status"] == 429).count(), 2, "{answers}");
    assert!(all.iter().all(|one| one["status"] == 200 || one["headers"]["Retry-After"] == "1"));

    let (status, _) =
        world.graph(&[]).await.send("POST", "$batch", json!({ "requests": requests[..1] })).await;
    assert_eq!(status, StatusCode::OK, "rights are those of each request");
    let request = graph.http.post(format!("{}/$batch", graph.base)).json(&json!({}));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_no_json_goes_in_and_comes_back_as_base64() {
    let world = World::new().await;
    let graph = world.graph(&["Mail.ReadWrite", "Contacts.ReadWrite"]).await;
    let user = format!("/users/{}", world.mailbox(0));
    let (_, contact) =
        graph.send("POST", &format!("{user}/contacts"), json!({ "displayName": "Pictured" })).await;
    let photo = format!("{user}/contacts/{}/photo/$value", contact["id"].as_str().unwrap());
    let bytes: &[u8] = b"\xff\xd8\xff\xe0 picture";
    let mime = BASE64.encode(b"Subject: in a batch\r\n\r\nbody\r\n");
    let (_, answers) = batch(
        &graph,
        json!([
            { "id": "put", "method": "PUT", "url": photo, "headers": { "Content-Type": "image/jpeg" },
              "body": BASE64.encode(bytes) },
            { "id": "get", "method": "GET", "url": photo, "dependsOn": ["put"] },
            { "id": "mime", "method": "POST", "url": format!("{user}/messages"),
              "headers": { "Content-Type": "text/plain" }, "body": BASE64.encode(mime.as_bytes()) },
        ]),
    )
    .await;
    assert_eq!(answer(&answers, "put")["status"], json!(200), "{answers}");
    assert_eq!(answer(&answers, "get")["body"], json!(BASE64.encode(bytes)));
    assert_eq!(answer(&answers, "get")["headers"]["Content-Type"], json!("image/jpeg"));
    assert_eq!(answer(&answers, "mime")["body"]["subject"], json!("in a batch"));
}
