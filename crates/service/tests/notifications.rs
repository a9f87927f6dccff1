//! What notifications bring, and that they bring nothing else, seen against the lab with a real
//! signer.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod common;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use mailkeep_model::{MailboxId, MailboxSelection};
use mailkeep_service::{
    HintTiming, NotificationCounts, Notifications, NotifyOptions, PassReport, ServiceError, Tended,
    Unobserved,
};
use mailkeep_tls::{CertificateSource, ListenerOptions, TlsFiles};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::common::{TINY, World};

const ANN: &str = "ann.lee@lab.example";
/// Topics of each mailbox.
const TOPICS: usize = 3;

/// A listener for a world's notifications.
struct Watch<'a> {
    world: &'a World,
    notifications: Notifications,
    address: SocketAddr,
}

impl<'a> Watch<'a> {
    /// Listens where nobody else does.
    async fn start(world: &'a World) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::start_at(world, free).await
    }

    async fn start_at(world: &'a World, address: SocketAddr) -> Self {
        Self::start_with(world, address, None).await.unwrap()
    }

    async fn start_with(
        world: &'a World,
        address: SocketAddr,
        tls: Option<ListenerOptions>,
    ) -> Result<Self, ServiceError> {
        let timing = HintTiming {
            quiet: Duration::from_millis(50),
            longest: Duration::from_millis(500),
            gap: Duration::ZERO,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}/").parse().unwrap();
        let options = NotifyOptions { listen: address, url, tls, timing };
        let notifications = Notifications::start(options).await?;
        assert_eq!(notifications.address(), address);
        Ok(Self { world, notifications, address })
    }

    async fn tend_at(&self, now: OffsetDateTime) -> Tended {
        let World { service, tenant, .. } = self.world;
        self.notifications.tend(service, tenant, now).await.unwrap()
    }

    async fn tend(&self) -> Tended {
        self.tend_at(OffsetDateTime::now_utc()).await
    }

    /// Waits for hints and takes them.
    async fn hints(&self) -> Vec<MailboxId> {
        until("a hint", async || !self.notifications.ready().is_empty()).await;
        self.notifications.take(&self.world.tenant)
    }

    /// Sends what anybody on the network could send.
    async fn send(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let client = reqwest::Client::new();
        client.post(format!("http://{}{path}", self.address)).body(body).send().await.unwrap()
    }

    async fn subscriptions(&self) -> Vec<String> {
        let shown = self.world.admin.show("notifications").await;
        shown["subscriptions"].as_object().unwrap().keys().cloned().collect()
    }
}

impl World {
    async fn mailboxes(&self) -> usize {
        let known = self.service.control().mailboxes(&self.tenant).await.unwrap();
        known.iter().filter(|one| one.gone_since.is_none()).count()
    }

    async fn id(&self, address: &str) -> MailboxId {
        let known = self.service.control().mailboxes(&self.tenant).await.unwrap();
        let found = known.into_iter().find(|one| one.mailbox.address.as_str() == address);
        found.unwrap().mailbox.id
    }

    async fn mail_arrives(&self, address: &str) {
        self.admin.order("mutate", json!({"mailbox": address, "seed": 1, "create": 1})).await;
    }

    async fn woken_pass(&self, woken: &[MailboxId]) -> PassReport {
        let pass = self.service.backup_woken(&self.tenant, woken, Arc::new(Unobserved));
        pass.await.unwrap()
    }
}

/// Looks again and again until it is so.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_mail_is_in_the_vault_without_waiting_for_the_next_pass_over_all() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    let mailboxes = world.mailboxes().await;
    assert_eq!(watch.tend().await, Tended { made: TOPICS * mailboxes, ..Tended::default() });
    assert_eq!(watch.tend().await, Tended::default(), "made again");

    world.mail_arrives(ANN).await;
    let hints = watch.hints().await;
    assert_eq!(hints, [world.id(ANN).await]);
    let users = async || {
        let counters = world.admin.counters().await;
        counters["operations"]["users.delta"]["requests"].as_u64()
    };
    let before = users().await;
    let report = world.woken_pass(&hints).await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.mailboxes, report.new), (1, 1));
    assert_eq!(users().await, before, "the directory was asked for a hint");
    assert!(watch.notifications.ready().is_empty(), "a pass is followed by another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_else_sends_wakes_nothing_and_learns_nothing() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    watch.tend().await;
    let known = watch.subscriptions().await.remove(0);
    let forged = |id: &str, state: &str| {
        json!({"value": [{"subscriptionId": id, "clientState": state, "changeType": "created",
            "resource": "Users/x/Messages/y"}]})
        .to_string()
    };
    // The right subscription with a wrong secret, and a subscription that there is not.
    let guess = "A".repeat(43);
    for (id, state) in [(known.as_str(), guess.as_str()), (&known, ""), ("another", &guess)] {
        let answer = watch.send("/", forged(id, state)).await;
        // No other answer than a true one gets.
        assert_eq!(answer.status(), 202, "{id}");
    }
    let removed = json!({"value": [{"subscriptionId": known, "clientState": guess,
        "lifecycleEvent": "subscriptionRemoved"}]});
    watch.send("/", removed.to_string()).await;
    assert_eq!(watch.send("/", "<html>").await.status(), 400);
    assert_eq!(watch.send("/", vec![b' '; 2 << 20]).await.status(), 413);
    let get = reqwest::get(format!("http://{}/", watch.address)).await.unwrap();
    assert_eq!(get.status(), 405);
    let expected = NotificationCounts { believed: 0, refused: 4, garbage: 1 };
    assert_eq!(watch.notifications.counts(), expected);
    assert!(watch.notifications.take(&world.tenant).is_empty());
    // Nothing was believed of the removal either.
    assert_eq!(watch.tend().await, Tended::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_gives_back_plain_text_and_nothing_that_a_browser_would_run() {
    let world = World::new().await;
    let watch = Watch::start(&world).await;
    let answer = watch.send("/any/path?validationToken=Validation%3A+a%20%3Cb%3E", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.text().await.unwrap(), "Validation: a <b>");
    let long = format!("/?validationToken={}", "x".repeat(3_000));
    assert_eq!(watch.send(&long, "").await.status(), 400);
    assert_eq!(watch.send("/?validationToken=a%0d%0ab", "").await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_removed_is_made_anew_and_its_mailbox_looked_at() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    watch.tend().await;
    let before = watch.subscriptions().await;
    let of_ann = {
        let shown = world.admin.show("notifications").await;
        let id = world.id(ANN).await.0;
        let all = shown["subscriptions"].as_object().unwrap().clone();
        let is_ann = |one: &Value| one["resource"] == format!("users/{id}/messages");
        all.into_iter().find(|(_, one)| is_ann(one)).unwrap().0
    };
    let event = json!({"event": "subscriptionRemoved", "subscription": of_ann});
    world.admin.order("notifications", event).await;
    assert_eq!(watch.hints().await, [world.id(ANN).await]);
    assert_eq!(watch.tend().await, Tended { made: 1, ..Tended::default() });
    let after = watch.subscriptions().await;
    assert_eq!(after.len(), before.len());
    assert!(!after.contains(&of_ann));
    // And it works.
    world.mail_arrives(ANN).await;
    assert_eq!(watch.hints().await, [world.id(ANN).await]);
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_that_got_lost_lead_to_a_look_and_doubted_subscriptions_go_on() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    watch.tend().await;
    let fault = json!([{"operation": "notification", "mailbox": ANN, "status": 503, "times": 1}]);
    world.admin.order("faults", fault).await;
    world.mail_arrives(ANN).await;
    let hints = watch.hints().await;
    assert_eq!(hints, [world.id(ANN).await], "the provider said that it lost something");
    assert_eq!(world.woken_pass(&hints).await.new, 1);

    world.admin.order("notifications", json!({"event": "reauthorizationRequired"})).await;
    let all = TOPICS * world.mailboxes().await;
    until("the provider's doubts", async || watch.notifications.counts().believed > all as u64)
        .await;
    assert_eq!(watch.tend().await, Tended { renewed: all, ..Tended::default() });
    let shown = world.admin.show("notifications").await;
    let paused = shown["subscriptions"].as_object().unwrap().values();
    assert!(paused.clone().all(|one| one["paused"] == false), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_single_notification_nothing_is_lost() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    watch.tend().await;
    // Neither changes nor what happens to subscriptions arrive any more.
    drop(watch);
    world.mail_arrives(ANN).await;
    assert_eq!(world.pass().await.new, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_renewed_before_they_end_and_taken_over_after_a_restart() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    let all = TOPICS * world.mailboxes().await;
    watch.tend().await;
    let now = OffsetDateTime::now_utc();
    assert_eq!(watch.tend_at(now + time::Duration::days(1)).await, Tended::default());
    let renewed = watch.tend_at(now + time::Duration::days(2)).await;
    assert_eq!(renewed, Tended { renewed: all, ..Tended::default() });
    let before = watch.subscriptions().await;
    // On the fourth day none of those would be there that was not renewed.
    world.admin.order("clock", json!({"offset_seconds": 4 * 86_400})).await;
    assert_eq!(watch.subscriptions().await, before);
    world.admin.order("clock", json!({"offset_seconds": 0})).await;

    let address = watch.address;
    drop(watch);
    let watch = restarted(&world, address).await;
    assert_eq!(watch.tend().await, Tended { adopted: all, ..Tended::default() });
    assert_eq!(watch.subscriptions().await, before);
    world.mail_arrives(ANN).await;
    assert_eq!(watch.hints().await, [world.id(ANN).await]);
}

/// The port is free a moment after the former listener has ended.
async fn restarted(world: &World, address: SocketAddr) -> Watch<'_> {
    until("the port", async || TcpListener::bind(address).is_ok()).await;
    Watch::start_at(world, address).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_of_its_own_the_listener_needs_nothing_in_front() {
    let world = World::new().await;
    world.pass().await;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str| world.directory.path().join(name);
    std::fs::write(file("endpoint.pem"), made.cert.pem()).unwrap();
    std::fs::write(file("endpoint.key"), made.signing_key.serialize_pem()).unwrap();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tls = |key: &str| {
        let files = TlsFiles { certificate: file("endpoint.pem"), key: file(key) };
        Some(ListenerOptions::new(CertificateSource::Files(files)))
    };
    let refused = Watch::start_with(&world, free(), tls("no-such-file")).await;
    let error = refused.err().expect("there is no such key").to_string();
    assert!(error.contains("no-such-file"), "{error}");

    let watch = Watch::start_with(&world, free(), tls("endpoint.key")).await.unwrap();
    world.admin.order("notifications", json!({"trust": made.cert.pem()})).await;
    assert_eq!(watch.tend().await.made, TOPICS * world.mailboxes().await);
    world.mail_arrives(ANN).await;
    assert_eq!(watch.hints().await, [world.id(ANN).await]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_is_not_backed_up_any_more_is_not_subscribed_to_any_more() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    watch.tend().await;
    let before = watch.subscriptions().await.len();
    let selection =
        MailboxSelection { exclude: [ANN.parse().unwrap()].into(), ..MailboxSelection::default() };
    world.service.select_mailboxes(&world.tenant, &selection).await.unwrap();
    let report = world.pass().await;
    assert_eq!(report.directory.changes.gone.len(), 1);
    assert_eq!(watch.tend().await, Tended { ended: TOPICS, ..Tended::default() });
    assert_eq!(watch.subscriptions().await.len(), before - TOPICS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_oddly_does_not_keep_all_else_from_being_subscribed_to() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    let odd = json!([{"operation": "subscription.create", "status": 400, "times": 2}]);
    world.admin.order("faults", odd).await;
    let all = TOPICS * world.mailboxes().await;
    assert_eq!(watch.tend().await, Tended { made: all - 2, failed: 2, ..Tended::default() });
    assert_eq!(watch.tend().await, Tended::default(), "tried again at once");
    let later = OffsetDateTime::now_utc() + time::Duration::hours(2);
    assert_eq!(watch.tend_at(later).await, Tended { made: 2, ..Tended::default() });
    assert_eq!(watch.subscriptions().await.len(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_the_provider_does_not_reach_is_not_tried_for_each_mailbox() {
    let world = World::with(|lab| lab.mailboxes = Some(12), TINY).await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    let odd = json!([{"operation": "subscription.create", "status": 400}]);
    world.admin.order("faults", odd).await;
    let now = OffsetDateTime::now_utc();
    let tried = watch.notifications.tend(&world.service, &world.tenant, now).await;
    assert!(tried.unwrap_err().to_string().contains("400"));
    let counters = world.admin.counters().await;
    let requests = counters["operations"]["subscription.create"]["requests"].as_u64().unwrap();
    let all = TOPICS * world.mailboxes().await;
    assert!(requests < all as u64, "{requests} of {all}");
    // It is reached again, and after an hour nothing is left out.
    world.admin.clear_faults().await;
    let later = now + time::Duration::minutes(70);
    assert_eq!(watch.tend_at(later).await, Tended { made: all, ..Tended::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_are_made_while_another_fails_are_not_made_twice() {
    let world = World::new().await;
    world.pass().await;
    let watch = Watch::start(&world).await;
    // One is refused at once, and all of the tenant's with it, while others are being made.
    let faults = json!([
        {"operation": "subscription.create", "status": 429, "retry_after": 86_400, "times": 1},
        {"operation": "subscription.create", "delay_ms": 300},
    ]);
    world.admin.order("faults", faults).await;
    let now = OffsetDateTime::now_utc();
    let tried = watch.notifications.tend(&world.service, &world.tenant, now).await;
    assert!(tried.is_err(), "{tried:?}");
    world.admin.clear_faults().await;
    let all = TOPICS * world.mailboxes().await;
    watch.tend_at(now + time::Duration::minutes(20)).await;
    assert_eq!(watch.subscriptions().await.len(), all);
}

/// Waits until the listener ends the connection, whatever it says before.
async fn is_closed(connection: &mut TcpStream) {
    let _ = connection.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_many_connections_takes_nothing_from_the_rest_of_the_service() {
    let world = World::new().await;
    let watch = Watch::start(&world).await;
    let mut held = Vec::new();
    loop {
        assert!(held.len() < 1_000, "connections are not counted");
        let mut one = TcpStream::connect(watch.address).await.unwrap();
        // A request that is never ended.
        let _ = one.write_all(b"POST / HTTP/1.1\r\nHost: a\r\n").await;
        let wait = Duration::from_millis(20);
        if tokio::time::timeout(wait, is_closed(&mut one)).await.is_ok() {
            break;
        }
        held.push(one);
    }
    assert!(held.len() > 100, "{} are let in", held.len());
    // They do not hold them for ever, and everybody else is heard again.
    let all = futures::future::join_all(held.iter_mut().map(is_closed));
    let closed = tokio::time::timeout(Duration::from_secs(30), all).await;
    assert!(closed.is_ok(), "a request may take as long as it likes");
    assert_eq!(watch.send("/?validationToken=a", "").await.status(), 200);
}
