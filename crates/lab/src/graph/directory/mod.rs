//! The directory in Graph: applications, service principals, their credentials and owners, policies,
//! and the logs.

mod accesses;
mod assignments;
mod audits;
mod configuration;
mod credentials;
mod federated;
mod filter;
mod objects;
mod owners;
mod permissions;
mod policies;
mod proof;
mod queries;
mod render;
mod route;

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Map, Value, json};

pub(super) use accesses::note as note_accesses;
pub(super) use audits::newest_first;
pub(crate) use configuration::Snapshots;
pub(super) use filter::{Filter, Known};
pub(crate) use queries::Queries;
pub(super) use route::Directory;
use route::{Key, Verb};

use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::query::Query;
use super::users::encode;
use super::{Base, signins};
use crate::entra::{Actor, Grant};
use crate::lab::Shared;
use crate::state::Tenant;

/// What every operation on the directory needs.
pub(super) struct Office<'a> {
    pub(super) shared: &'a Shared,
    pub(super) base: &'a Base<'a>,
    pub(super) query: &'a Query,
    pub(super) grant: &'a Grant,
    pub(super) tenant: &'a Arc<Tenant>,
    /// Who asks.
    pub(super) actor: Actor,
    /// Unix time.
    pub(super) now: i64,
}

/// Answers a request to the directory.
pub(super) fn answer(
    office: &Office<'_>,
    what: &Directory,
    method: &Method,
    body: &[u8],
) -> Result<Answer, GraphError> {
    let body = |known: &[&str]| object(body, known);
    match (what, method) {
        (Directory::Objects(kind), &Method::GET) => objects::list(office, *kind),
        (Directory::Objects(kind), _) => objects::create(office, *kind, &body(&[])?),
        (Directory::Object(kind, key), &Method::GET) => objects::show(office, *kind, key),
        (Directory::Object(kind, key), &Method::PATCH) => {
            objects::patch(office, *kind, key, &body(&[])?)
        }
        (Directory::Object(kind, key), _) => objects::delete(office, *kind, key),
        (Directory::Action(kind, key, Verb::AddKey), _) => {
            let body = body(&["keyCredential", "passwordCredential", "proof"])?;
            credentials::add_key(office, *kind, key, &body)
        }
        (Directory::Action(kind, key, Verb::RemoveKey), _) => {
            credentials::remove_key(office, *kind, key, &body(&["keyId", "proof"])?)
        }
        (Directory::Action(kind, key, Verb::AddPassword), _) => {
            credentials::add_password(office, *kind, key, &body(&["passwordCredential"])?)
        }
        (Directory::Action(kind, key, Verb::RemovePassword), _) => {
            credentials::remove_password(office, *kind, key, &body(&["keyId"])?)
        }
        (Directory::Owners(kind, key), _) => owners::list(office, *kind, key),
        (Directory::OwnersRef(kind, key), _) => {
            owners::add(office, *kind, key, &body(&["@odata.id"])?)
        }
        (Directory::OwnerRef(kind, key, owner), _) => owners::remove(office, *kind, key, owner),
        (Directory::Federated(key), &Method::GET) => federated::list(office, key),
        (Directory::Federated(key), _) => federated::create(office, key, &body(&[])?),
        (Directory::FederatedOne(key, id), &Method::GET) => federated::show(office, key, id),
        (Directory::FederatedOne(key, id), &Method::PATCH) => {
            federated::patch(office, key, id, &body(&[])?)
        }
        (Directory::FederatedOne(key, id), _) => federated::delete(office, key, id),
        (Directory::Assignments(key), &Method::GET) => assignments::list(office, key),
        (Directory::Assignments(key), _) => {
            let body = body(&["principalId", "resourceId", "appRoleId"])?;
            assignments::create(office, key, &body)
        }
        (Directory::Assignment(key, id), &Method::GET) => assignments::show(office, key, id),
        (Directory::Assignment(key, id), _) => assignments::delete(office, key, id),
        (Directory::Audits, _) => audits::list(office),
        (Directory::Audit(id), _) => audits::show(office, id),
        (Directory::SignIns, _) => signins::list(office),
        (Directory::SignIn(id), _) => signins::show(office, id),
        (Directory::Policies, _) => policies::list(office),
        (Directory::Policy(id), _) => policies::show(office, id),
        (Directory::Locations, _) => policies::locations(office),
        (Directory::Location(id), _) => policies::location(office, id),
        (Directory::Queries, &Method::GET) => queries::list(office),
        (Directory::Queries, _) => queries::create(office, &body(&[])?),
        (Directory::Query(id), _) => queries::show(office, id),
        (Directory::Records(id), _) => queries::records(office, id),
        (Directory::SnapshotOrder, _) => {
            configuration::create(office, &body(&["displayName", "description", "resources"])?)
        }
        (Directory::SnapshotJob(id), &Method::GET) => configuration::job(office, id),
        (Directory::SnapshotJob(id), _) => configuration::forget(office, id),
        (Directory::Snapshot(id), _) => configuration::snapshot(office, id),
    }
}

impl Office<'_> {
    /// Refuses whoever has none of these permissions.
    fn need(&self, any_of: &[&str]) -> Result<(), GraphError> {
        match any_of.iter().any(|role| self.grant.roles.contains(*role)) {
            true => Ok(()),
            false => Err(denied()),
        }
    }

    fn has(&self, role: &str) -> bool {
        self.grant.roles.contains(role)
    }
}

/// The refusal of whoever lacks a permission.
pub(super) fn denied() -> GraphError {
    GraphError::new(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )
}

/// The refusal in a tenant that has no licence for a log.
pub(super) fn unlicensed() -> GraphError {
    GraphError::new(
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "Neither tenant is B2C or tenant doesn't have premium license",
    )
}

fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> GraphError {
    GraphError::new(400, "Request_BadRequest", message)
}

fn not_found(id: &str) -> GraphError {
    GraphError::user_not_found(id)
}

/// The object in a body, which may have these properties; any when none are named.
fn object(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, GraphError> {
    let unreadable = || bad("Unable to read JSON request payload. Please ensure it is valid JSON.");
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| unreadable())?;
    match body.keys().find(|name| !known.is_empty() && !known.contains(&name.as_str())) {
        None => Ok(body),
        Some(name) => Err(bad(format!(
            "The parameter '{name}' in the request payload is not a valid parameter for the operation."
        ))),
    }
}

fn created(value: &Value) -> Answer {
    Answer::status(201, Content::Json(value.to_string().into_bytes()))
}

pub(super) fn shown(value: &Value) -> Answer {
    Answer::json(value.to_string().into_bytes())
}

/// One object with its context, reduced to what `$select` names.
pub(super) fn one(office: &Office<'_>, context: &str, value: Value) -> Result<Value, GraphError> {
    office.query.allow(&["$select"])?;
    let mut value = select(office.query, value)?;
    if let Value::Object(value) = &mut value {
        let names = office.query.get("$select").map(|names| format!("({names})"));
        let context = format!("{context}{}/$entity", names.unwrap_or_default());
        value.insert("@odata.context".to_owned(), json!(office.base.context(&context)));
    }
    Ok(value)
}

/// Keeps what `$select` names.
fn select(query: &Query, value: Value) -> Result<Value, GraphError> {
    let (Some(names), Value::Object(mut all)) = (query.get("$select"), value.clone()) else {
        return Ok(value);
    };
    let mut kept = Map::new();
    for name in names.split(',').map(str::trim) {
        if name == "*" {
            return Ok(value);
        }
        let Some((name, value)) = all.remove_entry(name) else {
            return Err(GraphError::bad_request(format!(
                "Could not find a property named '{name}'."
            )));
        };
        kept.insert(name, value);
    }
    Ok(Value::Object(kept))
}

/// How a collection is paged.
pub(super) struct Paging<'a> {
    /// Behind the version.
    pub(super) path: &'a str,
    pub(super) context: &'a str,
    pub(super) page: usize,
    pub(super) largest: usize,
}

/// One page of a collection: `$top`, `$skiptoken`, `$select` and `$count`; what was filtered by is
/// part of the link to the next one.
pub(super) fn page(
    office: &Office<'_>,
    paging: &Paging<'_>,
    entries: &[Value],
) -> Result<Answer, GraphError> {
    let query = office.query;
    let top = query.number("$top", 1..=paging.largest)?.unwrap_or(paging.page);
    let start = match query.get("$skiptoken") {
        None => 0,
        Some(token) => {
            let id = data_encoding::BASE64URL_NOPAD
                .decode(token.as_bytes())
                .ok()
                .and_then(|raw| String::from_utf8(raw).ok());
            let last = id.and_then(|id| entries.iter().position(|entry| entry["id"] == *id));
            last.ok_or_else(|| GraphError::bad_request("The skip token is not valid."))? + 1
        }
    };
    let told: Vec<&Value> = entries.iter().skip(start).take(top).collect();
    let mut answer = Map::new();
    answer.insert("@odata.context".to_owned(), json!(office.base.context(paging.context)));
    if query.get("$count") == Some("true") {
        answer.insert("@odata.count".to_owned(), json!(entries.len()));
    }
    if let Some(last) = told.last().filter(|_| start + told.len() < entries.len()) {
        let mut link = office.base.url(&format!("{}?", paging.path));
        for name in ["$filter", "$select", "$count", "$orderby"] {
            if let Some(value) = query.get(name) {
                link.push_str(&format!("{name}={}&", encode(value)));
            }
        }
        let id = last["id"].as_str().unwrap_or_default();
        let token = data_encoding::BASE64URL_NOPAD.encode(id.as_bytes());
        link.push_str(&format!("$top={top}&$skiptoken={token}"));
        answer.insert("@odata.nextLink".to_owned(), json!(link));
    }
    let told: Result<Vec<Value>, GraphError> =
        told.into_iter().map(|entry| select(query, entry.clone())).collect();
    answer.insert("value".to_owned(), json!(told?));
    Ok(shown(&Value::Object(answer)))
}

/// The filter of a request; everything holds when it has none.
pub(super) fn filter(query: &Query, known: &[Known]) -> Result<Filter, GraphError> {
    match query.get("$filter") {
        None => Ok(Filter::All(Vec::new())),
        Some(text) => Filter::parse(text, known),
    }
}
