//! Subscriptions, from their handshake to their end.

use std::{net::SocketAddr, sync::Arc};

use mailkeep_exchange::{
    About, Endpoint, ExchangeError, Notification, SubscriptionId, Topic, parse_notifications,
};
use mailkeep_model::Secret;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{World, mailbox};

/// An endpoint that believes everything and hands it on.
struct Ear {
    url: url::Url,
    heard: mpsc::UnboundedReceiver<Vec<Notification>>,
}

impl Ear {
    async fn new() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}/told", listener.local_addr().unwrap()).parse().unwrap();
        let (hand_on, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, hand_on.clone()));
            }
        });
        Self { url, heard }
    }

    async fn next(&mut self) -> Notification {
        let soon = std::time::Duration::from_secs(60);
        let told = tokio::time::timeout(soon, self.heard.recv()).await.unwrap().unwrap();
        told.into_iter().next().unwrap()
    }
}

/// One request over HTTP/1.1, which is all that this needs.
async fn answer(mut stream: TcpStream, hand_on: mpsc::UnboundedSender<Vec<Notification>>) {
    let mut got = Vec::new();
    let (head, length) = loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        got.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            break (
                text[..end].to_owned(),
                end + 4 + length.map_or(0, |n| n.trim().parse().unwrap()),
            );
        }
    };
    while got.len() < length {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap_or(0);
        got.extend_from_slice(&piece[..count]);
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let body = &got[head.len() + 4..];
    let query = path.split_once("validationToken=").map(|(_, token)| token.to_owned());
    let text = query.map(|token| {
        let query = format!("t={token}");
        let decoded = url::form_urlencoded::parse(query.as_bytes()).next();
        decoded.map(|(_, token)| token.into_owned()).unwrap_or_default()
    });
    let status = if text.is_some() { "200 OK" } else { "202 Accepted" };
    let text = text.unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    if !body.is_empty() {
        let _ = hand_on.send(parse_notifications(body).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_with_our_secret_and_a_subscription_is_renewed_and_ended() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let mut ear = Ear::new().await;
    let secret = Secret::new("only-the-provider-knows".into());
    let endpoint = Endpoint { url: &ear.url.clone(), client_state: &secret };
    let now = OffsetDateTime::now_utc();
    let mut made = Vec::new();
    for topic in Topic::ALL {
        let one = provider.subscribe(&mailbox, topic, &endpoint, now + Duration::days(3)).await;
        let one = one.unwrap();
        assert_eq!((&one.mailbox, one.topic), (&mailbox.id, topic));
        made.push(one);
    }
    let mut listed = provider.subscriptions().await.unwrap();
    listed.sort_by_key(|one| one.topic);
    assert_eq!(listed, made);

    let order = json!({"mailbox": mailbox.address.as_str(), "seed": 1, "create": 1});
    world.order("mutate", order).await;
    let told = ear.next().await;
    assert_eq!((told.about, &told.subscription), (About::Change, &made[0].id));
    assert!(told.is_from_the_provider(&secret));
    assert!(!told.is_from_the_provider(&Secret::new("somebody-else-guesses".into())));

    // Renewed, it outlives the day on which the others end.
    let until = provider.renew(&made[0], now + Duration::days(6)).await.unwrap();
    assert!(until > now + Duration::days(5), "{until}");
    world.order("clock", json!({"offset_seconds": 4 * 86_400})).await;
    let alive = world.look("notifications").await;
    let alive: Vec<&String> = alive["subscriptions"].as_object().unwrap().keys().collect();
    assert_eq!(alive, [&made[0].id.0]);
    world.order("clock", json!({"offset_seconds": 0})).await;

    for one in &made {
        provider.unsubscribe(&one.id).await.unwrap();
    }
    assert_eq!(provider.subscriptions().await.unwrap(), []);
    let error = provider.renew(&made[0], now + Duration::days(6)).await.unwrap_err();
    assert!(matches!(error, ExchangeError::NotFound { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_the_provider_doubts_or_removes_says_so() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let mut ear = Ear::new().await;
    let secret = Secret::new("s".into());
    let endpoint = Endpoint { url: &ear.url.clone(), client_state: &secret };
    let until = OffsetDateTime::now_utc() + Duration::days(3);
    let one = provider.subscribe(&mailbox, Topic::Messages, &endpoint, until).await.unwrap();
    let paused = async || {
        let shown = world.look("notifications").await;
        shown["subscriptions"][&one.id.0]["paused"].as_bool()
    };
    world.order("notifications", json!({"event": "reauthorizationRequired"})).await;
    assert_eq!(ear.next().await.about, About::ReauthorizationRequired);
    assert_eq!(paused().await, Some(true));
    provider.reauthorize(&one).await.unwrap();
    assert_eq!(paused().await, Some(false));
    world.order("notifications", json!({"event": "missed"})).await;
    assert_eq!(ear.next().await.about, About::Missed);
    world.order("notifications", json!({"event": "subscriptionRemoved"})).await;
    let removed = ear.next().await;
    assert_eq!((removed.about, &removed.subscription), (About::SubscriptionRemoved, &one.id));
    // Somebody else ended it: that is what was wanted.
    provider.unsubscribe(&one.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_the_provider_does_not_reach_or_a_missing_right_is_an_error() {
    let world = World::with_roles(&["Mail.Read", "User.Read.All"]).await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let secret = Secret::new("s".into());
    let until = OffsetDateTime::now_utc() + Duration::days(1);
    let nowhere = "http://127.0.0.1:9/".parse().unwrap();
    let endpoint = Endpoint { url: &nowhere, client_state: &secret };
    let error = provider.subscribe(&mailbox, Topic::Messages, &endpoint, until).await.unwrap_err();
    assert!(!error.is_refusal(), "{error}");
    let ear = Arc::new(Ear::new().await);
    let endpoint = Endpoint { url: &ear.url, client_state: &secret };
    let error = provider.subscribe(&mailbox, Topic::Events, &endpoint, until).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("Calendars.Read"), "{error}");
    let unknown = SubscriptionId("00000000-0000-4000-8000-000000000000".into());
    provider.unsubscribe(&unknown).await.unwrap();
}
