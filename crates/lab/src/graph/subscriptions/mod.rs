//! Change notifications (<https://learn.microsoft.com/graph/api/resources/subscription>).
//!
//! The lab sends to loopback alone, there also without TLS. Notifications go out at once, those of
//! one change together; what cannot be delivered in three attempts is lost, and told as `missed`.

mod changes;
mod deliver;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::folders::object;
use super::personal::{In, Personal};
use super::query::{Prefer, Query};
use super::route::{Resource, Route, Target};
use super::shape::{self, Kind, Property};
use super::{Base, Call, folders};
use crate::clock;
use crate::entra::Grant;
use crate::operation::Operation;
use crate::state::{DEFAULT_CONTACTS, IdKind, Mailbox, MailboxState};
use changes::Change;
use deliver::Outbox;
pub(crate) use deliver::{admin, watch};

/// Longest life of a subscription to items of a mailbox, in minutes (Graph: under seven days).
const LONGEST_MINUTES: i64 = 10_080;
const LONGEST_STATE: usize = 128;
const PROPERTIES: &[Property] = &[
    ("changeType", Kind::Text),
    ("clientState", Kind::Text),
    ("expirationDateTime", Kind::Time),
    ("includeResourceData", Kind::Truth),
    ("latestSupportedTlsVersion", Kind::Choice(&["v1_0", "v1_1", "v1_2", "v1_3"])),
    ("lifecycleNotificationUrl", Kind::Text),
    ("notificationUrl", Kind::Text),
    ("resource", Kind::Text),
];
const READ_ONLY: &[&str] = &["id", "applicationId", "creatorId"];

/// What a URL below `/subscriptions` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subscribed {
    All,
    One(String),
    Reauthorize(String),
}

impl Subscribed {
    pub(super) fn parse(words: &[&str]) -> Option<Self> {
        match words {
            [] => Some(Self::All),
            [id] => Some(Self::One((*id).to_owned())),
            [id, what] if what.eq_ignore_ascii_case("reauthorize") => {
                Some(Self::Reauthorize((*id).to_owned()))
            }
            _ => None,
        }
    }

    pub(super) fn operation(&self, method: &Method) -> Option<Operation> {
        use Operation as Op;
        match (self, method.as_str()) {
            (Self::All, "GET") => Some(Op::SubscriptionsList),
            (Self::All, "POST") => Some(Op::SubscriptionCreate),
            (Self::One(_), "GET") => Some(Op::SubscriptionShow),
            (Self::One(_), "PATCH") => Some(Op::SubscriptionPatch),
            (Self::One(_), "DELETE") => Some(Op::SubscriptionDelete),
            (Self::Reauthorize(_), "POST") => Some(Op::SubscriptionReauthorize),
            _ => None,
        }
    }
}

/// All subscriptions of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// So that a lab without any does not look.
    any: AtomicBool,
    list: Mutex<BTreeMap<Uuid, Subscription>>,
    outbox: Arc<Outbox>,
}

/// What somebody wants to be told of.
#[derive(Clone, Debug)]
struct Subscription {
    id: Uuid,
    grant: Arc<Grant>,
    mailbox: Arc<Mailbox>,
    topic: Topic,
    changes: Vec<Change>,
    /// As it was given.
    resource: String,
    url: String,
    lifecycle_url: Option<String>,
    client_state: Option<String>,
    tls: Option<String>,
    ids: IdKind,
    expires: i64,
    /// The last change of the mailbox that was looked at.
    position: u64,
    /// Nothing is told until somebody authorises anew.
    paused: bool,
}

/// Items that a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    /// Of a folder, or of all.
    Messages(Option<u64>),
    Events,
    Contacts(u64),
}

impl Subscriptions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Subscription>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that have not expired.
    fn alive(&self, now: i64) -> MutexGuard<'_, BTreeMap<Uuid, Subscription>> {
        let mut list = self.lock();
        list.retain(|_, one| one.expires > now);
        self.any.store(!list.is_empty(), Ordering::Release);
        list
    }
}

impl Subscription {
    fn shown(&self) -> Map<String, Value> {
        let kinds: Vec<&str> = self.changes.iter().map(|change| change.as_str()).collect();
        let members = json!({
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.grant.client_id,
            "changeType": kinds.join(","),
            "clientState": self.client_state,
            "notificationUrl": self.url,
            "notificationQueryOptions": null,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": clock::iso(self.expires),
            "creatorId": self.grant.service_principal_id,
            "includeResourceData": null,
            "latestSupportedTlsVersion": self.tls.as_deref().unwrap_or("v1_2"),
            "encryptionCertificate": null,
            "encryptionCertificateId": null,
            "notificationUrlAppId": null,
        });
        members.as_object().cloned().unwrap_or_default()
    }
}

impl Call<'_> {
    /// Answers a request below `/subscriptions`. An application sees its own alone.
    pub(super) async fn subscribed(
        &self,
        what: &Subscribed,
        grant: &Arc<Grant>,
        body: &[u8],
    ) -> Result<Answer, GraphError> {
        Query::parse(self.parts.uri.query())?.allow(&[])?;
        let base = Base { graph: &self.shared.authority, version: self.version };
        let now = self.shared.clock.unix();
        let ours = |one: &Subscription| {
            one.grant.client_id == grant.client_id && one.grant.tenant.id == grant.tenant.id
        };
        let id = match what {
            Subscribed::All if self.operation == Operation::SubscriptionCreate => {
                let made = self.subscribe(grant, body).await?;
                let answer = entity(&base, &made, 201);
                self.shared.subscriptions.lock().insert(made.id, made);
                self.shared.subscriptions.any.store(true, Ordering::Release);
                return Ok(answer);
            }
            Subscribed::All => {
                let list = self.shared.subscriptions.alive(now);
                let lines: Vec<_> =
                    list.values().filter(|one| ours(one)).map(Subscription::shown).collect();
                let of = base.context("subscriptions");
                let answer = json!({ "@odata.context": of, "value": lines });
                return Ok(Answer::json(answer.to_string().into_bytes()));
            }
            Subscribed::One(id) | Subscribed::Reauthorize(id) => id,
        };
        let unknown = || GraphError::new(404, "ResourceNotFound", "The object was not found.");
        let id = Uuid::try_parse(id).map_err(|_| unknown())?;
        let find = || {
            let list = self.shared.subscriptions.alive(now);
            list.get(&id).filter(|one| ours(one)).cloned().ok_or_else(unknown)
        };
        let mut found = find()?;
        match self.operation {
            Operation::SubscriptionDelete => {
                self.shared.subscriptions.lock().remove(&id);
                return Ok(Answer::no_content());
            }
            Operation::SubscriptionReauthorize => {
                if let Some(one) = self.shared.subscriptions.lock().get_mut(&id) {
                    one.paused = false;
                }
                return Ok(Answer::status(200, Content::Empty));
            }
            Operation::SubscriptionPatch => {
                let wanted = shape::read(&object(body)?, PROPERTIES, &[READ_ONLY, FIXED].concat())?;
                if let Some(at) = wanted.get("expirationDateTime") {
                    found.expires = expiration(at, now)?;
                }
                if let Some(url) = wanted.get("notificationUrl").and_then(Value::as_str) {
                    self.shared.subscriptions.outbox.shake_hands(url).await?;
                    found.url = url.to_owned();
                }
                if let Some(one) = self.shared.subscriptions.lock().get_mut(&id) {
                    (one.expires, one.paused) = (found.expires, false);
                    one.url.clone_from(&found.url);
                }
            }
            _ => {}
        }
        Ok(entity(&base, &found, 200))
    }

    /// A new subscription, after both its URLs have answered.
    async fn subscribe(&self, grant: &Arc<Grant>, body: &[u8]) -> Result<Subscription, GraphError> {
        let now = self.shared.clock.unix();
        let wanted = shape::read(&object(body)?, PROPERTIES, READ_ONLY)?;
        let text = |name: &str| wanted.get(name).and_then(Value::as_str);
        let needed = |name: &str| {
            text(name)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| invalid(format!("The property '{name}' is required.")))
        };
        if wanted.get("includeResourceData") == Some(&json!(true)) {
            return Err(invalid(
                "The lab sends no resource data with its notifications.".to_owned(),
            ));
        }
        let changes = needed("changeType")?
            .split(',')
            .map(|name| Change::parse(name.trim()))
            .collect::<Option<Vec<Change>>>()
            .ok_or_else(|| invalid("The property 'changeType' is not valid.".to_owned()))?;
        let client_state = text("clientState").map(str::to_owned);
        if client_state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE) {
            return Err(invalid("The property 'clientState' is too long.".to_owned()));
        }
        let expires = expiration(&json!(needed("expirationDateTime")?), now)?;
        let resource = needed("resource")?;
        let (mailbox, topic) = self.topic(grant, resource)?;
        let (url, lifecycle_url) = (needed("notificationUrl")?, text("lifecycleNotificationUrl"));
        for url in [Some(url), lifecycle_url].into_iter().flatten() {
            self.shared.subscriptions.outbox.shake_hands(url).await?;
        }
        let position = mailbox.read().sequence;
        Ok(Subscription {
            id: Uuid::new_v4(),
            grant: Arc::clone(grant),
            mailbox,
            topic,
            changes,
            resource: resource.to_owned(),
            url: url.to_owned(),
            lifecycle_url: lifecycle_url.map(str::to_owned),
            client_state,
            tls: text("latestSupportedTlsVersion").map(str::to_owned),
            ids: Prefer::parse(&self.parts.headers).ids,
            expires,
            position,
            paused: false,
        })
    }

    /// Reads `users/{id}/messages` and the like; whoever may read them may subscribe to them.
    fn topic(&self, grant: &Grant, resource: &str) -> Result<(Arc<Mailbox>, Topic), GraphError> {
        let refuse = || invalid(format!("The resource '{resource}' cannot be subscribed to."));
        let path = format!("/{}", resource.trim_start_matches('/'));
        let route = Route::parse(&Method::GET, &path).map_err(|_| refuse())?;
        self.authorize(grant, &route)?;
        let Target::Mail { user, resource: what } = &route.target else { return Err(refuse()) };
        let mailbox = grant.tenant.mailbox(user).ok_or_else(|| GraphError::user_not_found(user))?;
        let folder = |state: &MailboxState, name: &str| folders::find(state, name);
        let topic = match what {
            Resource::Messages(None) => Topic::Messages(None),
            Resource::Messages(Some(name)) => Topic::Messages(Some(folder(&mailbox.read(), name)?)),
            Resource::Personal(Personal::Events(In::Mailbox | In::Default)) => Topic::Events,
            Resource::Personal(Personal::Contacts(None)) => Topic::Contacts(DEFAULT_CONTACTS),
            _ => return Err(refuse()),
        };
        Ok((mailbox, topic))
    }
}

/// What a subscription keeps.
const FIXED: &[&str] = &[
    "changeType",
    "clientState",
    "includeResourceData",
    "latestSupportedTlsVersion",
    "lifecycleNotificationUrl",
    "resource",
];

fn entity(base: &Base<'_>, one: &Subscription, status: u16) -> Answer {
    let mut answer = Map::new();
    answer.insert("@odata.context".into(), json!(base.context("subscriptions/$entity")));
    answer.extend(one.shown());
    let location = (status == 201).then(|| base.url(&format!("subscriptions/{}", one.id)));
    let content = Content::Json(Value::Object(answer).to_string().into_bytes());
    Answer { location, ..Answer::status(status, content) }
}

fn expiration(at: &Value, now: i64) -> Result<i64, GraphError> {
    let at = at.as_str().and_then(clock::parse_rfc3339).map(|at| at.unix_timestamp());
    let at = at.ok_or_else(|| invalid("The expirationDateTime is not valid.".to_owned()))?;
    if at <= now {
        return Err(invalid("Subscription expiration must be in the future.".to_owned()));
    }
    // A client's clock may be a little ahead.
    if at > now + LONGEST_MINUTES * 60 + 60 {
        return Err(invalid(format!(
            "Subscription expiration can only be {LONGEST_MINUTES} minutes in the future."
        )));
    }
    Ok(at)
}

fn invalid(text: String) -> GraphError {
    GraphError::new(400, "InvalidRequest", text)
}
