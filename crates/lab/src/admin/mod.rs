//! The administrative interface below `/_lab`: what tests and drills do to the lab, and what they
//! see of it. No real service has anything like it.

mod applications;
mod directory;
mod generate;
mod kinds;
mod mailbox;
mod mutate;
mod people;
mod personal;
mod send;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::LabError;
use crate::activity::Form;
use crate::faults::Rule;
use crate::lab::Shared;
use crate::operation::Operation;
use crate::options::Registration;
use crate::state::{SharedCalendar, Tenant};
use crate::throttle::Limits;

/// Largest body of a request.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// Entries of a log that one answer has at most.
const LOG_PAGE: usize = 100_000;

/// A refusal: status and text.
type Refused = (StatusCode, String);

/// Answers a request below `/_lab`.
pub(crate) async fn serve(shared: &Shared, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let expected = format!("Bearer {}", shared.admin_token);
    if token != Some(expected.as_str()) {
        let text = "the administrative interface wants the token of admin_token_file".to_owned();
        return respond(Err((StatusCode::UNAUTHORIZED, text)));
    }
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return respond(Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large".to_owned())));
    };
    let path = parts.uri.path().trim_start_matches("/_lab").trim_matches('/');
    let query = parts.uri.query().unwrap_or_default();
    respond(route(shared, &parts.method, path, query, &body))
}

fn route(
    shared: &Shared,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Result<Value, Refused> {
    match (method.as_str(), path) {
        ("POST", "mutate") => mutate::run(shared, &read(body)?),
        ("POST", "send") => send::run(shared, &read(body)?),
        ("POST", "generate") => generate::run(shared, &read(body)?),
        ("POST", "register") => {
            let wanted: Register = read(body)?;
            let tenant =
                shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
            let registration = Registration {
                name: wanted.name,
                certificate: wanted.certificate,
                roles: wanted.roles,
            };
            let registered = tenant.register(registration, shared.clock.unix());
            Ok(json!(registered.map_err(|error| refused(&error))?))
        }
        ("GET", path) if path.starts_with("mailbox/") => {
            let name = crate::graph::percent_decode(&path["mailbox/".len()..]).unwrap_or_default();
            mailbox::run(shared, &name)
        }
        ("POST", "share") => {
            let wanted: Share = read(body)?;
            let tenant = shared.tenant(None).map_err(|error| refused(&error))?;
            let mailbox = tenant.mailbox(&wanted.mailbox);
            let mailbox = mailbox.ok_or_else(|| unknown_mailbox(&wanted.mailbox, tenant))?;
            let sharing = SharedCalendar { owner: wanted.owner.into(), can_edit: wanted.can_edit };
            let number = mailbox.write().share_calendar(&wanted.calendar, sharing);
            Ok(json!({ "calendar": crate::ids::folder_id(mailbox.id, number) }))
        }
        ("GET", "applications") => applications::list(shared),
        ("POST", path) if path.starts_with("applications/") => {
            applications::change(shared, &path["applications/".len()..], &read(body)?)
        }
        ("GET", "entra") => directory::settings(shared, None),
        ("POST", "entra") => directory::settings(shared, Some(body)),
        ("POST", "conditional-access") => directory::conditional_access(shared, body),
        ("POST", "administrator") => directory::administrator_token(shared, body),
        ("POST", "issuers") => directory::issuer(shared, body),
        ("POST", "exchange-roles") => directory::exchange_roles(shared, body),
        ("POST", "exchange") => directory::exchange(shared, body),
        ("POST", "mail-flow") => directory::mail_flow(shared, body),
        ("POST", "signins") => directory::sign_in(shared, body),
        ("GET", "faults") => Ok(json!(shared.faults.rules())),
        ("POST", "faults") => {
            let rules: Vec<Rule> = read(body)?;
            shared.faults.set(rules).map_err(|text| (StatusCode::BAD_REQUEST, text))?;
            Ok(json!(shared.faults.rules()))
        }
        ("DELETE", "faults") => {
            shared.faults.set(Vec::new()).map_err(|text| (StatusCode::BAD_REQUEST, text))?;
            Ok(json!([]))
        }
        ("POST", "users") => people::users(shared, read(body)?),
        ("POST", "groups") => people::groups(shared, read(body)?),
        ("GET", "operations") => Ok(json!(Operation::ALL)),
        ("GET", "notifications") => notifications(shared, None),
        ("POST", "notifications") => notifications(shared, Some(body)),
        ("GET", "limits") => Ok(json!(shared.throttle.limits())),
        ("POST", "limits") => {
            let limits: Limits = read(body)?;
            if limits.concurrency == 0 {
                let text = "a lab lets at least one request in".to_owned();
                return Err((StatusCode::BAD_REQUEST, text));
            }
            shared.throttle.set_limits(limits);
            Ok(json!(limits))
        }
        ("GET", "clock") => Ok(clock(shared)),
        ("POST", "clock") => {
            let wanted: SetClock = read(body)?;
            shared.clock.set_offset_seconds(wanted.offset_seconds);
            Ok(clock(shared))
        }
        ("GET", "counters") => Ok(json!(shared.counters.report(&shared.throttle))),
        ("DELETE", "counters") => {
            shared.counters.reset();
            shared.throttle.reset_peaks();
            Ok(json!({}))
        }
        ("GET", "logs") => logs(shared, query),
        _ => Err((StatusCode::NOT_FOUND, format!("no such thing: {method} /_lab/{path}"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    tenant: Option<String>,
    name: String,
    #[serde(default)]
    certificate: String,
    roles: Vec<String>,
}

/// Somebody's calendar that a mailbox is shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    mailbox: String,
    calendar: String,
    owner: String,
    can_edit: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    offset_seconds: i64,
}

fn notifications(shared: &Shared, order: Option<&[u8]>) -> Result<Value, Refused> {
    crate::graph::notifications(shared, order).map_err(|text| (StatusCode::BAD_REQUEST, text))
}

fn clock(shared: &Shared) -> Value {
    json!({
        "offset_seconds": shared.clock.offset_seconds(),
        "now": crate::clock::iso(shared.clock.unix()),
    })
}

/// `?kind=signin|activity|activity-export|directory|mail`, optionally `&tenant=…&limit=N`. With the
/// delay that each log has, but for sign-ins, which are shown at once.
fn logs(shared: &Shared, query: &str) -> Result<Value, Refused> {
    let option = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let tenant = option("tenant");
    let limit = match option("limit") {
        None => LOG_PAGE,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| (StatusCode::BAD_REQUEST, "limit is not a number".to_owned()))?
            .min(LOG_PAGE),
    };
    let tenant = match tenant {
        Some(name) => Some(shared.tenant(Some(&name)).map_err(|error| refused(&error))?),
        None => None,
    };
    let tenants = match tenant {
        Some(tenant) => std::slice::from_ref(tenant),
        None => &shared.tenants.all[..],
    };
    let settings = shared.entra.settings();
    let until = |delay: u32| shared.clock.unix() - i64::from(delay);
    let activity = |form| {
        let until = until(settings.graph_activity.delay);
        shared.activity.entries(tenant.map(|t| t.id), limit, until, form)
    };
    let newest = |entries: Vec<Value>| {
        let skip = entries.len().saturating_sub(limit);
        entries.into_iter().skip(skip).collect::<Value>()
    };
    match option("kind").as_deref() {
        Some("signin") => {
            let mut entries: Vec<_> =
                tenants.iter().flat_map(|tenant| tenant.sign_ins.entries()).collect();
            entries.sort_by_key(|entry| entry.at);
            Ok(newest(entries.iter().map(crate::entra::SignIn::to_json).collect()))
        }
        Some("activity") => Ok(activity(Form::Lab).into()),
        Some("activity-export") => Ok(json!({ "records": activity(Form::Export) })),
        Some("directory") => {
            let until = until(settings.directory_audits.delay);
            let of = |tenant: &std::sync::Arc<Tenant>| {
                let mut entries = tenant.audits.until(until);
                entries.reverse();
                entries
            };
            Ok(newest(tenants.iter().flat_map(of).collect()))
        }
        Some("mail") => {
            let delay = i64::from(settings.mail_items_accessed.delay);
            let of = |tenant: &std::sync::Arc<Tenant>| {
                tenant.mail_audit.available(shared.clock.unix(), delay)
            };
            Ok(newest(tenants.iter().flat_map(of).map(|(_, record)| record).collect()))
        }
        _ => {
            let kinds = "kind must be signin, activity, activity-export, directory or mail";
            Err((StatusCode::BAD_REQUEST, kinds.to_owned()))
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn refused(error: &LabError) -> Refused {
    let status = match error {
        LabError::UnknownTenant(_) | LabError::UnknownApplication { .. } => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    (status, error.to_string())
}

fn unknown_mailbox(name: &str, tenant: &Tenant) -> Refused {
    (StatusCode::NOT_FOUND, format!("the tenant {} has no mailbox '{name}'", tenant.domain))
}

fn respond(result: Result<Value, Refused>) -> Response<Body> {
    let (status, value) = match result {
        Ok(value) => (StatusCode::OK, value),
        Err((status, text)) => (status, json!({ "error": text })),
    };
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
