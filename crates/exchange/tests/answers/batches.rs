//! Answers to many questions at once: some of them refused, some missing, and the batch itself.

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{ItemId, ItemKind};
use serde_json::{Value, json};

use crate::{
    script,
    server::{Asked, Client, Log, Server, json as say_json, say},
};

/// What Graph tells of a message.
fn message(id: &str) -> Value {
    json!({"id": id, "parentFolderId": "inbox", "subject": id, "isRead": false, "isDraft": false,
        "receivedDateTime": "2026-11-23T09:14:00Z", "toRecipients": []})
}

/// The id of the message that an address asks for.
fn named(path: &str) -> String {
    let (_, rest) = path.split_once("/messages/").unwrap();
    rest.split('?').next().unwrap().to_owned()
}

/// The requests in a batch: their ids, and which messages they ask for.
fn requests(asked: &Asked) -> Vec<(String, String)> {
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let requests = body["requests"].as_array().unwrap();
    assert!((1..=20).contains(&requests.len()));
    requests
        .iter()
        .map(|request| {
            assert_eq!(request["method"], "GET");
            let prefer = request["headers"]["Prefer"].as_str().unwrap();
            assert!(prefer.contains("ImmutableId"), "{prefer}");
            let url = request["url"].as_str().unwrap();
            assert!(url.starts_with("/users/ann/messages/"), "{url}");
            assert!(!url.contains(['+', ' ']), "{url}");
            (request["id"].as_str().unwrap().to_owned(), named(url))
        })
        .collect()
}

fn ids(count: usize) -> Vec<ItemId> {
    (0..count).map(|number| ItemId(format!("m{number}"))).collect()
}

/// What each of these came to, in order: the subject, `None` when it is not there.
async fn looked_for(client: &Client, count: usize) -> Vec<Result<Option<String>, ExchangeError>> {
    let found = client.provider.items(&client.mailbox, ItemKind::Message, &ids(count)).await;
    found.unwrap().into_iter().map(|one| one.map(|item| item.map(|item| item.subject))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_a_batch_is_refused_throttled_and_answered_by_itself() {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::start(script(move |asked, out| {
        seen.note(asked);
        let first = asked.number == 0;
        let answers = requests(asked).into_iter().filter_map(|(id, message_id)| {
            let refused = |status: u16, code: &str| {
                json!({"id": id, "status": status, "headers": {"Retry-After": "1"},
                    "body": {"error": {"code": code, "message": "x"}}})
            };
            Some(match message_id.as_str() {
                "m3" => refused(404, "ErrorItemNotFound"),
                "m5" if first => refused(429, "ApplicationThrottled"),
                "m7" if first => refused(503, "ServiceUnavailable"),
                "m8" => refused(403, "ErrorAccessDenied"),
                "m9" => refused(400, "ErrorItemCorrupt"),
                "m11" if first => return None,
                name => json!({"id": id, "status": 200, "headers": {}, "body": message(name)}),
            })
        });
        // In an order of its own.
        let answers: Vec<Value> = answers.collect::<Vec<_>>().into_iter().rev().collect();
        say_json(out, &json!({ "responses": answers }).to_string())
    }));
    let client = Client::of(&server).await;
    let found = looked_for(&client, 12).await;
    for (number, found) in found.into_iter().enumerate() {
        match (number, found) {
            (3, found) => assert_eq!(found.unwrap(), None),
            (8, found) => assert!(matches!(found, Err(ExchangeError::Forbidden { .. }))),
            (9, found) => {
                let error = found.unwrap_err();
                assert!(error.to_string().contains("ErrorItemCorrupt"), "{error}");
                assert!(error.concerns_one_item());
            }
            (_, found) => assert_eq!(found.unwrap(), Some(format!("m{number}"))),
        }
    }
    // Only what had no answer was asked for again, together.
    assert_eq!(log.lines(), ["/v1.0/$batch"; 2]);
    let usage = client.provider.usage();
    // A token, two batches, and everything in them.
    assert_eq!((usage.requests, usage.throttled), (1 + 2 + 12 + 3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_failing_in_a_batch_ends_in_an_error_of_its_own() {
    let server = Server::start(script(|asked, out| {
        let answers = requests(asked).into_iter().map(|(id, name)| match name.as_str() {
            "m1" => json!({"id": id, "status": 503}),
            name => json!({"id": id, "status": 200, "body": message(name)}),
        });
        say_json(out, &json!({ "responses": answers.collect::<Vec<_>>() }).to_string())
    }));
    let client = Client::of(&server).await;
    let mut found = looked_for(&client, 6).await;
    let error = found.remove(1).unwrap_err();
    assert!(error.is_transient() && error.concerns_one_item(), "{error}");
    assert!(found.into_iter().all(|one| one.unwrap().is_some()));
    assert!(server.requests() <= 6, "{}", server.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_batches_do_not_get_through_each_question_is_asked_alone() {
    type Answer = (&'static str, &'static str, &'static [u8]);
    let answers: [Answer; 4] = [
        ("404 Not Found", "text/html", b"<html>not here</html>"),
        ("200 OK", "text/html", b"<html>not here</html>"),
        ("200 OK", "application/json", b"{\"responses\":7}"),
        ("413 Payload Too Large", "application/json", b""),
    ];
    for (status, media_type, body) in answers {
        let server = Server::start(script(move |asked, out| {
            if asked.path.ends_with("/$batch") {
                return say(out, status, media_type, "", body);
            }
            say_json(out, &message(&named(&asked.path)).to_string())
        }));
        let client = Client::of(&server).await;
        let found = looked_for(&client, 5).await;
        let names: Vec<_> = found.into_iter().map(|one| one.unwrap().unwrap()).collect();
        assert_eq!(names, ["m0", "m1", "m2", "m3", "m4"], "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_questions_need_no_batch_and_many_no_request_each() {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::start(script(move |asked, out| {
        seen.note(asked);
        if asked.path.ends_with("/$batch") {
            let answers = requests(asked).into_iter();
            let answers =
                answers.map(|(id, name)| json!({"id": id, "status": 200, "body": message(&name)}));
            let answers: Vec<_> = answers.collect();
            return say_json(out, &json!({ "responses": answers }).to_string());
        }
        say_json(out, &message(&named(&asked.path)).to_string())
    }));
    let client = Client::of(&server).await;
    assert_eq!(looked_for(&client, 4).await.len(), 4);
    assert_eq!(log.lines().len(), 4);
    assert!(log.lines().iter().all(|path| !path.contains("$batch")));
    assert_eq!(looked_for(&client, 45).await.len(), 45);
    assert_eq!(log.lines()[4..], ["/v1.0/$batch"; 3]);
}
