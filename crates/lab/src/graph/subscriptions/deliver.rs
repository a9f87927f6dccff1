//! The handshake with whoever subscribes, and notifications on their way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use reqwest::{Certificate, Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::changes::notifications;
use super::{Subscription, Subscriptions};
use crate::clock;
use crate::counters::Outcome;
use crate::faults::Subject;
use crate::graph::errors::GraphError;
use crate::lab::Shared;
use crate::operation::Operation;

/// How long anybody may take to answer (Graph: ten seconds).
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);
/// Notifications in one request.
const AT_ONCE: usize = 100;

/// What sends.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Authorities of those who are notified, besides none.
    trust: RwLock<Vec<Certificate>>,
    /// Requests that are on their way, were taken, and were given up.
    pending: AtomicU64,
    delivered: AtomicU64,
    lost: AtomicU64,
}

/// Whether a request is one after which there may be something to tell.
pub(crate) struct Watch(bool);

/// To be asked for before a request is answered.
pub(crate) fn watch(shared: &Shared, method: &Method) -> Watch {
    Watch(*method != Method::GET && shared.subscriptions.any.load(Ordering::Acquire))
}

impl Watch {
    /// Tells everybody what has happened.
    pub(crate) fn tell(self, shared: &Arc<Shared>) {
        if !self.0 {
            return;
        }
        let mut due: Vec<(Subscription, Vec<Value>)> = Vec::new();
        for one in shared.subscriptions.alive(shared.clock.unix()).values_mut() {
            let state = one.mailbox.read();
            if state.sequence > one.position {
                let told = if one.paused { Vec::new() } else { notifications(one, &state) };
                one.position = state.sequence;
                drop(state);
                if !told.is_empty() {
                    due.push((one.clone(), told));
                }
            }
        }
        for (one, told) in due {
            send(shared, one, told);
        }
    }
}

/// Sends notifications of a subscription in the background.
fn send(shared: &Arc<Shared>, one: Subscription, told: Vec<Value>) {
    let effect = shared.faults.effect(&Subject {
        mailbox: Some(&one.mailbox.address),
        mailbox_id: Some(one.mailbox.id),
        ..Subject::outside(Operation::Notification)
    });
    let outbox = Arc::clone(&shared.subscriptions.outbox);
    outbox.pending.fetch_add(1, Ordering::AcqRel);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(effect.delay_ms)).await;
        let mut lost = effect.refusal.is_some() || effect.reset.is_some();
        for some in told.chunks(AT_ONCE) {
            let body = json!({ "value": some }).to_string();
            if !lost {
                lost = !outbox.post(&one.url, &body).await;
            }
            shared.counters.record(Outcome {
                operation: Operation::Notification,
                application: Some(one.grant.client_id),
                mailbox: Some(Arc::clone(&one.mailbox.address)),
                status: if lost { 503 } else { 202 },
                sent: body.len() as u64,
                received: 0,
            });
        }
        let counter = if lost { &outbox.lost } else { &outbox.delivered };
        counter.fetch_add(told.len() as u64, Ordering::AcqRel);
        if lost {
            outbox.tell_event(&one, Event::Missed).await;
        }
        outbox.pending.fetch_sub(1, Ordering::AcqRel);
    });
}

/// What happens to a subscription itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Event {
    Missed,
    SubscriptionRemoved,
    ReauthorizationRequired,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::SubscriptionRemoved => "subscriptionRemoved",
            Self::ReauthorizationRequired => "reauthorizationRequired",
        }
    }
}

impl Outbox {
    /// Asks whether somebody at a URL wants to be notified.
    pub(super) async fn shake_hands(&self, url: &str) -> Result<(), GraphError> {
        let refuse = |text: String| GraphError::new(400, "ValidationError", text);
        let mut target = Url::parse(url)
            .ok()
            .filter(is_loopback)
            .ok_or_else(|| refuse(format!("The lab notifies loopback alone, not '{url}'.")))?;
        let token = format!(
            "Validation: Testing client application reachability for subscription Request-Id: {}",
            Uuid::new_v4()
        );
        target.query_pairs_mut().append_pair("validationToken", &token);
        let client = self.client().map_err(|error| refuse(error.to_string()))?;
        let asked = client.post(target).header("content-type", "text/plain; charset=utf-8");
        let answer = asked.send().await.map_err(|error| {
            if error.is_timeout() {
                refuse("Subscription validation request timed out.".to_owned())
            } else {
                refuse(
                    "Subscription validation request failed. Notification endpoint must respond \
                     with 200 OK to validation request."
                        .to_owned(),
                )
            }
        })?;
        if answer.status() != StatusCode::OK {
            return Err(refuse(format!(
                "Subscription validation request failed. HTTP status code is '{}'. Notification \
                 endpoint must respond with 200 OK to validation request.",
                answer.status().as_u16()
            )));
        }
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let plain = kind.is_some_and(|kind| kind.to_lowercase().starts_with("text/plain"));
        let text = answer.text().await.unwrap_or_default();
        if !plain || text != token {
            return Err(refuse(
                "Subscription validation request failed. Must respond with the validationToken \
                 as text/plain to validation request."
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Posts until it is taken; `false` when it never was.
    async fn post(&self, url: &str, body: &str) -> bool {
        let Ok(client) = self.client() else { return false };
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            }
            let request = client.post(url).header("content-type", "application/json");
            let answer = request.body(body.to_owned()).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
        }
        false
    }

    /// Tells of the subscription itself, if somebody wants to know.
    async fn tell_event(&self, one: &Subscription, event: Event) {
        let Some(url) = &one.lifecycle_url else { return };
        let told = json!({
            "subscriptionId": one.id,
            "subscriptionExpirationDateTime": clock::iso(one.expires),
            "tenantId": one.grant.tenant.id,
            "clientState": one.client_state,
            "lifecycleEvent": event.as_str(),
            "resource": one.resource,
        });
        self.post(url, &json!({ "value": [told] }).to_string()).await;
    }

    fn client(&self) -> reqwest::Result<Client> {
        let trust = self.trust.read().unwrap_or_else(PoisonError::into_inner).clone();
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .tls_certs_only(trust)
            .build()
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    };
    host && matches!(url.scheme(), "http" | "https")
}

/// What `POST /_lab/notifications` wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// PEM of an authority that the lab is to trust when it notifies.
    trust: Option<String>,
    /// What happens to subscriptions: to one, or to all.
    event: Option<Event>,
    subscription: Option<Uuid>,
}

/// `/_lab/notifications`: what was sent, and on request what happens to subscriptions.
pub(crate) fn admin(shared: &Shared, order: Option<&[u8]>) -> Result<Value, String> {
    let subscriptions = &shared.subscriptions;
    let outbox = &subscriptions.outbox;
    if let Some(order) = order {
        let order: Order = serde_json::from_slice(order).map_err(|error| error.to_string())?;
        if let Some(pem) = order.trust {
            let more = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| e.to_string())?;
            outbox.trust.write().unwrap_or_else(PoisonError::into_inner).extend(more);
        }
        if let Some(event) = order.event {
            happen(subscriptions, shared.clock.unix(), event, order.subscription);
        }
    }
    let alive = subscriptions.alive(shared.clock.unix());
    let of: BTreeMap<String, Value> = alive
        .values()
        .map(|one| {
            let about = json!({ "resource": one.resource, "paused": one.paused });
            (one.id.to_string(), about)
        })
        .collect();
    Ok(json!({
        "pending": outbox.pending.load(Ordering::Acquire),
        "delivered": outbox.delivered.load(Ordering::Acquire),
        "lost": outbox.lost.load(Ordering::Acquire),
        "subscriptions": of,
    }))
}

fn happen(subscriptions: &Subscriptions, now: i64, event: Event, only: Option<Uuid>) {
    let mut list = subscriptions.alive(now);
    let meant = |one: &Subscription| only.is_none_or(|id| one.id == id);
    let mut told = Vec::new();
    for one in list.values_mut().filter(|one| meant(one)) {
        match event {
            // What has happened so far is not told.
            Event::Missed => one.position = one.mailbox.read().sequence,
            Event::ReauthorizationRequired => one.paused = true,
            Event::SubscriptionRemoved => {}
        }
        told.push(one.clone());
    }
    if event == Event::SubscriptionRemoved {
        list.retain(|_, one| !meant(one));
    }
    drop(list);
    for one in told {
        let outbox = Arc::clone(&subscriptions.outbox);
        outbox.pending.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            outbox.tell_event(&one, event).await;
            outbox.pending.fetch_sub(1, Ordering::AcqRel);
        });
    }
}
