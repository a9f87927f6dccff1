//! What comes back may be anything: cut off, endless, somebody else's. Each is an error that says whose
//! answer it was and what to do, within bounded memory and time; and whatever may pass is tried again.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod batches;
#[path = "../common/mod.rs"]
mod common;
mod logs;
mod server;

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{Change, FolderKind, ItemId};
use server::{Asked, Client, Script, Server, json, say};

/// A page of a folder, which leads to its end.
const PAGE: &str = r#"{"value":[{"id":"m1","subject":"Hello","isRead":false,"isDraft":false,"receivedDateTime":"2026-11-23T09:14:00Z","toRecipients":[],"singleValueExtendedProperties":[{"id":"Long 0xe08","value":"77"}]}],"@odata.deltaLink":"https://127.0.0.1/v1.0/x"}"#;

fn script(
    act: impl Fn(&Asked, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
) -> Arc<Script> {
    Arc::new(act)
}

/// It names the tenant, the mailbox, and something to do.
#[track_caller]
fn is_clear(error: &ExchangeError, reason: &str) {
    let text = error.to_string();
    for part in ["acme", "ann@story.example", reason] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(text.contains("look for") || text.contains("look at"), "no remedy in: {text}");
    assert!(text.len() < 1000, "{} characters: {text}", text.len());
}

/// What reading the inbox comes to with such answers, and after how many of them.
async fn reading(act: Arc<Script>) -> (Result<usize, ExchangeError>, usize) {
    let server = Server::start(act);
    let client = Client::of(&server).await;
    let begin = Instant::now();
    let page = client.provider.item_changes(&client.mailbox, &client.inbox, None).await;
    assert!(begin.elapsed() < Duration::from_secs(30), "it took {:?}", begin.elapsed());
    (page.map(|page| page.changes.len()), server.requests())
}

/// The same for the content of a message.
async fn content(client: &Client) -> Result<u64, ExchangeError> {
    let mut content = client.provider.content(&client.mailbox, &ItemId("m1".into())).await?;
    let mut bytes = 0;
    while let Some(chunk) = content.chunk().await? {
        bytes += chunk.len() as u64;
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_ends_in_the_middle_is_asked_for_again_and_then_said_to() {
    let half = &PAGE[..PAGE.len() / 2];
    let (page, requests) =
        reading(script(move |asked, out| json(out, if asked.number < 2 { half } else { PAGE })))
            .await;
    assert_eq!((page.unwrap(), requests), (1, 3));
    let (page, requests) = reading(script(move |_, out| json(out, half))).await;
    let error = page.unwrap_err();
    is_clear(&error, "not understood: EOF");
    assert!(error.is_transient() && error.concerns_one_item() && requests < 5, "{requests}");
    // With no more than its beginning there, it is the connection that broke off.
    let (page, _) = reading(script(move |_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")?;
        write!(out, "Content-Length: 100000\r\n\r\n{half}")
    }))
    .await;
    is_clear(&page.unwrap_err(), "proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_nested_without_end_is_no_reason_to_crash() {
    let deep = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        PAGE.replace("\"Hello\"", &format!("{open}1{close}"))
    };
    for body in [deep("[", "]"), deep("{\"a\":", "}"), "[".repeat(100_000)] {
        let (page, _) = reading(script(move |_, out| json(out, &body))).await;
        is_clear(&page.unwrap_err(), "not understood");
    }
    // Lists of other kinds go the same way.
    let body = format!("{{\"value\":[{}", "[".repeat(100_000));
    let server = Server::start(script(move |_, out| json(out, &body)));
    let client = Client::of(&server).await;
    for kind in [FolderKind::Calendar, FolderKind::Contacts] {
        let error = client.provider.other_folders(&client.mailbox, kind).await.unwrap_err();
        is_clear(&error, "not understood");
    }
    is_clear(&client.provider.item_counts(&client.mailbox).await.unwrap_err(), "not understood");
}

/// A gigabyte, announced or not.
fn endless(out: &mut dyn Write, media_type: &str, announced: bool) -> io::Result<()> {
    static PIECE: [u8; 1 << 16] = [b' '; 1 << 16];
    const PIECES: usize = 1 << 14;
    let length = PIECE.len() * PIECES;
    let how = if announced { format!("Content-Length: {length}") } else { "X-Length: none".into() };
    write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{how}\r\nConnection: close\r\n\r\n"
    )?;
    for _ in 0..PIECES {
        out.write_all(&PIECE)?;
    }
    Ok(())
}

/// The most memory that this process ever held, in bytes (proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_gigabyte_is_not_taken_in() {
    for announced in [true, false] {
        let (page, requests) =
            reading(script(move |_, out| endless(out, "application/json", announced))).await;
        is_clear(&page.unwrap_err(), "larger than 64 MiB");
        assert_eq!(requests, 1, "the same would come again");
    }
    let server = Server::start(script(|asked, out| endless(out, "text/plain", asked.number == 0)));
    let client = Client::of(&server).await;
    for _ in 0..2 {
        let error = content(&client).await.unwrap_err();
        is_clear(&error, "larger than 512 MiB");
        assert!(error.concerns_one_item() && !error.is_transient());
    }
    assert_eq!(server.requests(), 2);
    assert!(peak() < 300 << 20, "{} bytes", peak());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_somebody_elses_is_not_taken_for_the_providers() {
    let html = b"<html><body>Please sign in to the guest network</body></html>";
    let (page, requests) = reading(script(move |asked, out| match asked.number {
        0 | 1 => say(out, "200 OK", "text/html; charset=utf-8", "", html),
        _ => json(out, PAGE),
    }))
    .await;
    assert_eq!((page.unwrap(), requests), (1, 3));
    let (page, requests) =
        reading(script(move |_, out| say(out, "200 OK", "text/html", "", html))).await;
    is_clear(&page.unwrap_err(), "text/html and not JSON");
    assert_eq!(requests, 3);

    // Least of all for somebody's mail.
    let server = Server::start(script(move |_, out| say(out, "200 OK", "Text/HTML", "", html)));
    let error = content(&Client::of(&server).await).await.unwrap_err();
    is_clear(&error, "text/html and not a message");
    assert!(error.concerns_one_item() && error.is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_calls_itself_a_success_is_a_refusal() {
    const REFUSAL: &str =
        r#"{"error":{"code":"ErrorInternalServerTransientError","message":"Try again later."}}"#;
    let (page, requests) =
        reading(script(|asked, out| json(out, if asked.number == 0 { REFUSAL } else { PAGE })))
            .await;
    assert_eq!((page.unwrap(), requests), (1, 2));
    let (page, _) = reading(script(|_, out| json(out, REFUSAL))).await;
    let error = page.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ExchangeError::Answer { status: 200, .. }), "{error}");
    for part in ["acme", "ann@story.example", "ErrorInternalServerTransientError"] {
        assert!(text.contains(part), "{text}");
    }
    let server = Server::start(script(|_, out| json(out, REFUSAL)));
    let client = Client::of(&server).await;
    is_clear(&content(&client).await.unwrap_err(), "ErrorInternalServerTransientError");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_told_as_nonsense_does_not_take_its_folder_along() {
    let body = PAGE.replace("\"value\":[", r#""value":[{"id":"bad","isRead":{"a":[1]}},"#);
    let server = Server::start(script(move |_, out| json(out, &body)));
    let client = Client::of(&server).await;
    let page = client.provider.item_changes(&client.mailbox, &client.inbox, None).await.unwrap();
    let [Change::Upsert(item)] = &page.changes[..] else { panic!("{page:?}") };
    assert_eq!(item.subject, "Hello");
    let [(id, reason)] = &page.unread[..] else { panic!("{page:?}") };
    assert_eq!(id.0, "bad");
    assert!(reason.contains("not understood"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_show_a_certificate_of_the_provider_gets_nothing() {
    let server = Server::start(script(|_, out| json(out, PAGE)));
    let other = Server::start(script(|_, out| json(out, PAGE)));
    let client = Client::trusting(&server, &other.ca_pem).await;
    let error =
        client.provider.item_changes(&client.mailbox, &client.inbox, None).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Untrusted { .. }), "{error}");
    let text = error.to_string();
    for part in ["acme", "127.0.0.1", "not trusted", "--ca", "clock"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(!error.concerns_one_item() && !error.is_transient());
    assert_eq!((server.requests(), server.token_requests()), (0, 0), "something was sent to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_told_as_a_date_is_kept_whatever_our_clock_shows() {
    // The provider's clock is three hours ahead of ours.
    let theirs = |seconds: i64| {
        let now = time::OffsetDateTime::now_utc() + time::Duration::seconds(3 * 3600 + seconds);
        let format = time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        now.format(format).unwrap()
    };
    let server = Server::start(script(move |asked, out| {
        if asked.number > 0 {
            return json(out, PAGE);
        }
        let more = format!("Date: {}\r\nRetry-After: {}\r\n", theirs(0), theirs(2));
        let told = br#"{"error":{"code":"ApplicationThrottled","message":"x"}}"#;
        say(out, "429 Too Many Requests", "application/json", &more, told)
    }));
    let client = Client::of(&server).await;
    let begin = Instant::now();
    client.provider.item_changes(&client.mailbox, &client.inbox, None).await.unwrap();
    let waited = begin.elapsed().as_secs_f64();
    assert!((0.9..4.0).contains(&waited), "{waited} s");
    assert_eq!(client.provider.usage().throttled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_said_to_be_and_no_token_is_asked_for_again_and_again() {
    let server = Server::start_with(
        script(|_, out| {
            let told = br#"{"error":"invalid_client","error_description":"AADSTS700024: Client assertion is not within its valid time range.","error_codes":[700024]}"#;
            say(out, "401 Unauthorized", "application/json", "", told)
        }),
        script(|_, out| json(out, PAGE)),
    );
    let client = Client::of(&server).await;
    let error =
        client.provider.item_changes(&client.mailbox, &client.inbox, None).await.unwrap_err();
    assert!(matches!(error, ExchangeError::TokenRefused { code: 700_024, .. }), "{error}");
    assert!(error.to_string().contains("acme") && error.to_string().contains("clock"), "{error}");
    assert_eq!((server.token_requests(), server.requests()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_place_of_a_token_is_said_and_a_token_never_is() {
    let answers: [(&str, &[u8]); 4] = [
        ("text/html", b"<html>Please sign in to the guest network</html>"),
        ("application/json", br#"{"expires_in":3600,"access_token":{"eyJsecret":1}}"#),
        ("application/json", br#""eyJsecret""#),
        ("application/json", br#"{"token_type":"Bearer","expires_in":3600,"access_token":"eyJse"#),
    ];
    for (media_type, body) in answers {
        let server = Server::start_with(
            script(move |_, out| say(out, "200 OK", media_type, "", body)),
            script(|_, out| json(out, PAGE)),
        );
        let client = Client::of(&server).await;
        let error =
            client.provider.item_changes(&client.mailbox, &client.inbox, None).await.unwrap_err();
        let text = error.to_string();
        for part in ["acme", "127.0.0.1", "token", "proxy"] {
            assert!(text.contains(part), "no {part:?} in: {text}");
        }
        assert!(!text.contains("eyJ"), "{text}");
        assert_eq!(server.requests(), 0);
        assert!((2..6).contains(&server.token_requests()), "{}", server.token_requests());
    }
}
