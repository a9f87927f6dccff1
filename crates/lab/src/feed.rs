//! The Office 365 Management Activity API, for Exchange's part of the audit log
//! (<https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference>).
//!
//! Records are told in blobs: what became available within five minutes is one. Blobs are there from
//! the moment of the subscription on, and for seven days.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;
use crate::counters::Outcome;
use crate::entra::{Grant, Resource};
use crate::faults::Subject;
use crate::lab::Shared;
use crate::operation::Operation;

/// Where it lies.
pub(crate) const PATH: &str = "/api/v1.0/";
/// Content of which the lab has some.
const EXCHANGE: &str = "Audit.Exchange";
/// All kinds of content that there are.
const KINDS: &[&str] =
    &["Audit.AzureActiveDirectory", EXCHANGE, "Audit.SharePoint", "Audit.General", "DLP.All"];
/// Seconds that a blob covers.
const BLOB: i64 = 300;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// Blobs on a page.
const PAGE: usize = 20;

/// Which content each tenant's applications have subscribed to, since when.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    started: Mutex<HashMap<(Uuid, &'static str), i64>>,
}

/// A refusal: status, code and text.
type Refused = (u16, &'static str, String);

/// An answer: its body, and the link to the next page.
type Told = (Value, Option<String>);

/// Answers a request below `/api/v1.0`.
pub(crate) async fn serve(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response<Body> {
    let effect = shared.faults.effect(&Subject::outside(Operation::ActivityFeed));
    if effect.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(effect.delay_ms)).await;
    }
    let grant = grant(shared, headers);
    let application = grant.as_ref().ok().map(|grant| grant.client_id);
    let result = grant.and_then(|grant| answer(shared, method, uri, &grant));
    let error = |code: &str, text: &str| json!({ "error": { "code": code, "message": text } });
    let (status, body, next) = match (&effect.refusal, effect.answer, result) {
        (Some(fault), ..) => {
            let code = fault.code.as_deref().unwrap_or("AF50000");
            (
                fault.status,
                error(code, "The lab was told to refuse this request.").to_string(),
                None,
            )
        }
        (_, Some(told), _) => (200, told, None),
        (.., Ok((Value::Null, next))) => (200, String::new(), next),
        (.., Ok((value, next))) => (200, value.to_string(), next),
        (.., Err((status, code, text))) => (status, error(code, &text).to_string(), None),
    };
    shared.counters.record(Outcome {
        operation: Operation::ActivityFeed,
        application,
        mailbox: None,
        status,
        sent: body.len() as u64,
        received: 0,
    });
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, json);
    if let Some(seconds) = effect.refusal.and_then(|fault| fault.retry_after) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(next) = next.and_then(|next| HeaderValue::from_str(&next).ok()) {
        headers.insert(HeaderName::from_static("nextpageuri"), next);
    }
    response
}

fn answer(shared: &Shared, method: &Method, uri: &Uri, grant: &Grant) -> Result<Told, Refused> {
    let path = uri.path().trim_start_matches(PATH).trim_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    let [tenant, "activity", "feed", what, rest @ ..] = segments.as_slice() else {
        return Err((404, "AF20050", "The specified resource does not exist.".to_owned()));
    };
    let tenant = Uuid::try_parse(tenant).map_err(|_| {
        let text = format!("The tenant ID passed in the URL ({tenant}) is not a valid GUID.");
        (400, "AF20013", text)
    })?;
    if tenant != grant.tenant.id {
        let text = format!(
            "The tenant ID passed in the URL ({tenant}) does not match the tenant ID passed in the \
             access token ({}).",
            grant.tenant.id
        );
        return Err((400, "AF20010", text));
    }
    if !grant.roles.contains("ActivityFeed.Read") {
        let text = "The permission set () sent in the request does not include the expected \
                    permission (ActivityFeed.Read).";
        return Err((401, "AF10001", text.to_owned()));
    }
    let feed = Feed { shared, grant, query: uri.query().unwrap_or_default() };
    match (method, *what, rest) {
        (&Method::POST, "subscriptions", ["start"]) => Ok((feed.start()?, None)),
        (&Method::POST, "subscriptions", ["stop"]) => Ok((feed.stop()?, None)),
        (&Method::GET, "subscriptions", ["list"]) => Ok((feed.list(), None)),
        (&Method::GET, "subscriptions", ["content"]) => feed.content(),
        (&Method::GET, "audit", [id]) => Ok((feed.blob(id)?, None)),
        _ => Err((404, "AF20050", "The specified resource does not exist.".to_owned())),
    }
}

/// The token of a request; one for Graph is none for this.
fn grant(shared: &Shared, headers: &HeaderMap) -> Result<Arc<Grant>, Refused> {
    let token = headers.get(header::AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    token
        .and_then(|token| shared.grants.find(token.trim()))
        .filter(|grant| {
            grant.resource == Resource::ActivityFeed && shared.clock.unix() < grant.expires
        })
        .ok_or_else(|| {
            (401, "AF10001", "Authorization has been denied for this request.".to_owned())
        })
}

/// One request of somebody who may ask.
struct Feed<'a> {
    shared: &'a Shared,
    grant: &'a Grant,
    query: &'a str,
}

impl Feed<'_> {
    fn option(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.into_owned())
    }

    fn kind(&self) -> Result<&'static str, Refused> {
        let Some(name) = self.option("contentType") else {
            return Err((400, "AF20001", "Missing parameter: contentType.".to_owned()));
        };
        let known = KINDS.iter().find(|kind| kind.eq_ignore_ascii_case(&name));
        known
            .copied()
            .ok_or_else(|| (400, "AF20020", "The specified content type is not valid.".to_owned()))
    }

    fn started(&self, kind: &'static str) -> Result<i64, Refused> {
        let started = self.shared.feeds.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.get(&(self.grant.tenant.id, kind)).copied().ok_or_else(no_subscription)
    }

    fn start(&self) -> Result<Value, Refused> {
        let kind = self.kind()?;
        let mut started = self.shared.feeds.started.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.grant.tenant.id, kind);
        if started.contains_key(&key) {
            let text = "The subscription is already enabled. No property change.";
            return Err((400, "AF20024", text.to_owned()));
        }
        started.insert(key, self.shared.clock.unix());
        Ok(subscription(kind))
    }

    fn stop(&self) -> Result<Value, Refused> {
        let key = (self.grant.tenant.id, self.kind()?);
        let mut started = self.shared.feeds.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.remove(&key).map(|_| Value::Null).ok_or_else(no_subscription)
    }

    fn list(&self) -> Value {
        let started = self.shared.feeds.started.lock().unwrap_or_else(PoisonError::into_inner);
        let there = |kind: &&&str| started.contains_key(&(self.grant.tenant.id, **kind));
        KINDS.iter().filter(there).map(|kind| subscription(kind)).collect()
    }

    fn content(&self) -> Result<Told, Refused> {
        let kind = self.kind()?;
        let since = self.started(kind)?;
        let now = self.shared.clock.unix();
        let (from, to) = self.window(now)?;
        let skip = match self.option("nextPage") {
            None => 0,
            Some(text) => text
                .parse()
                .map_err(|_| (400, "AF20031", format!("Invalid nextPage Input: {text}.")))?,
        };
        let blobs = self.blobs(kind, since, now);
        let in_window = blobs.keys().filter(|end| (from..to).contains(*end));
        let all: Vec<Value> = in_window.map(|end| self.shown(kind, *end)).collect();
        let next = (skip + PAGE < all.len()).then(|| {
            format!(
                "{}{PATH}{}/activity/feed/subscriptions/content?contentType={kind}&startTime={}&\
                 endTime={}&nextPage={}",
                self.shared.authority,
                self.grant.tenant.id,
                clock::iso(from),
                clock::iso(to),
                skip + PAGE
            )
        });
        Ok((all.into_iter().skip(skip).take(PAGE).collect(), next))
    }

    /// The times between which content became available; the last day when none are given.
    fn window(&self, now: i64) -> Result<(i64, i64), Refused> {
        let time = |text: &str| {
            // With or without seconds, or even without a time of day.
            let forms = [
                text.to_owned(),
                format!("{text}Z"),
                format!("{text}:00Z"),
                format!("{text}T00:00:00Z"),
            ];
            forms.iter().find_map(|form| clock::parse_rfc3339(form)).map(|at| at.unix_timestamp())
        };
        let wrong = || {
            let text = "Start time and end time must both be specified (or both omitted) and must be \
                        less than or equal to 24 hours apart, with the start time no more than 7 days \
                        in the past.";
            (400, "AF20030", text.to_owned())
        };
        match (self.option("startTime"), self.option("endTime")) {
            (None, None) => Ok((now - DAY, now + 1)),
            (Some(from), Some(to)) => {
                let (from, to) = time(&from).zip(time(&to)).ok_or_else(wrong)?;
                let fits = from < to && to - from <= DAY && from >= now - WEEK;
                fits.then_some((from, to)).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    fn blob(&self, id: &str) -> Result<Value, Refused> {
        let invalid = || (400, "AF20052", format!("Content ID {id} in the URL is invalid."));
        let (end, name) = id.split_once('$').ok_or_else(invalid)?;
        let end: i64 = end.parse().map_err(|_| invalid())?;
        let kind = KINDS.iter().find(|kind| kind.replace('.', "") == name);
        let kind = kind.copied().ok_or_else(invalid)?;
        let now = self.shared.clock.unix();
        if end < now - WEEK {
            let text = format!(
                "Content requested with the key {id} has already expired. Content older than 7 days \
                 cannot be retrieved."
            );
            return Err((400, "AF20051", text));
        }
        let since = self.started(kind)?;
        let mut blobs = self.blobs(kind, since, now);
        blobs.remove(&end).map(Value::from).ok_or_else(|| {
            (404, "AF20050", format!("The specified content ({id}) does not exist."))
        })
    }

    /// Records by the end of the blob that they are in; a blob is there when it is complete.
    fn blobs(&self, kind: &str, since: i64, now: i64) -> BTreeMap<i64, Vec<Value>> {
        let settings = self.shared.entra.settings().mail_items_accessed;
        let mut blobs: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        if kind != EXCHANGE {
            return blobs;
        }
        let delay = i64::from(settings.delay);
        for (at, record) in self.grant.tenant.mail_audit.available(now, delay) {
            let available = at + delay + crate::mail_audit::AGGREGATED;
            let end = available - available.rem_euclid(BLOB) + BLOB;
            if available >= since && end <= now && end > now - WEEK {
                blobs.entry(end).or_default().push(record);
            }
        }
        blobs
    }

    fn shown(&self, kind: &str, end: i64) -> Value {
        let id = format!("{end}${}", kind.replace('.', ""));
        let tenant = self.grant.tenant.id;
        json!({
            "contentType": kind,
            "contentId": id,
            "contentUri":
                format!("{}{PATH}{tenant}/activity/feed/audit/{id}", self.shared.authority),
            "contentCreated": clock::iso(end),
            "contentExpiration": clock::iso(end + WEEK),
        })
    }
}

fn subscription(kind: &str) -> Value {
    json!({ "contentType": kind, "status": "enabled", "webhook": null })
}

fn no_subscription() -> Refused {
    (400, "AF20022", "No subscription found for the specified content type".to_owned())
}
