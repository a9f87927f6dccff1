//! Applications and service principals themselves.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::filter::Known;
use super::render::{self, Keys};
use super::{
    Key, Office, Paging, bad, created, credentials, denied, filter, not_found, one, page, shown,
};
use crate::entra::credentials as log_credentials;
use crate::entra::{Change, Kind, Modified, change, graph_principal, modified};
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::shape::{self, Kind as Shape, Property};
use crate::state::{Application, DirectoryObject, ExchangeAccess, Registry, ServicePrincipal};

const PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;
const FILTERED: &[Known] = &[
    ("id", &["eq"]),
    ("appId", &["eq"]),
    ("displayName", &["eq", "startswith"]),
    ("accountEnabled", &["eq"]),
    ("servicePrincipalType", &["eq"]),
];
/// What may read all objects.
const READ: &[&str] = &["Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"];
const WRITE: &str = "Application.ReadWrite.All";
const WRITE_OWNED: &str = "Application.ReadWrite.OwnedBy";

const KEY: Shape = Shape::Object(&[
    ("customKeyIdentifier", Shape::Text),
    ("displayName", Shape::Text),
    ("endDateTime", Shape::Time),
    ("key", Shape::Text),
    ("keyId", Shape::Text),
    ("startDateTime", Shape::Time),
    ("type", Shape::Text),
    ("usage", Shape::Text),
]);
const PASSWORD: Shape = Shape::Object(&[
    ("customKeyIdentifier", Shape::Text),
    ("displayName", Shape::Text),
    ("endDateTime", Shape::Time),
    ("hint", Shape::Text),
    ("keyId", Shape::Text),
    ("secretText", Shape::Text),
    ("startDateTime", Shape::Time),
]);
const APPLICATION: &[Property] = &[
    ("displayName", Shape::Text),
    ("description", Shape::Text),
    ("notes", Shape::Text),
    ("tags", Shape::Many(&Shape::Text)),
    ("identifierUris", Shape::Many(&Shape::Text)),
    ("signInAudience", Shape::Text),
    ("serviceManagementReference", Shape::Text),
    ("groupMembershipClaims", Shape::Text),
    ("isFallbackPublicClient", Shape::Truth),
    ("requiredResourceAccess", Shape::Many(&Shape::Anything)),
    ("appRoles", Shape::Many(&Shape::Anything)),
    ("optionalClaims", Shape::Anything),
    ("api", Shape::Anything),
    ("info", Shape::Anything),
    ("publicClient", Shape::Anything),
    ("spa", Shape::Anything),
    ("web", Shape::Anything),
    ("keyCredentials", Shape::Many(&KEY)),
    ("passwordCredentials", Shape::Many(&PASSWORD)),
];
const PRINCIPAL: &[Property] = &[
    ("accountEnabled", Shape::Truth),
    ("displayName", Shape::Text),
    ("description", Shape::Text),
    ("notes", Shape::Text),
    ("tags", Shape::Many(&Shape::Text)),
    ("alternativeNames", Shape::Many(&Shape::Text)),
    ("appRoleAssignmentRequired", Shape::Truth),
    ("homepage", Shape::Text),
    ("loginUrl", Shape::Text),
    ("notificationEmailAddresses", Shape::Many(&Shape::Text)),
    ("preferredSingleSignOnMode", Shape::Text),
    ("replyUrls", Shape::Many(&Shape::Text)),
    ("servicePrincipalNames", Shape::Many(&Shape::Text)),
    ("keyCredentials", Shape::Many(&KEY)),
    ("passwordCredentials", Shape::Many(&PASSWORD)),
];
/// The name in the log for what is told there; other properties are only named.
const LOGGED: &[(&str, &str)] = &[
    ("displayName", "DisplayName"),
    ("accountEnabled", "AccountEnabled"),
    ("signInAudience", "AvailableToOtherTenants"),
    ("requiredResourceAccess", "RequiredResourceAccess"),
    ("replyUrls", "AppAddress"),
    ("identifierUris", "AppIdentifierUri"),
    ("tags", "Tags"),
    ("appRoles", "EntitlementManagement"),
];

/// `GET /applications`, `GET /servicePrincipals`
pub(super) fn list(office: &Office<'_>, kind: Kind) -> Result<Answer, GraphError> {
    office.query.allow(&["$select", "$filter", "$top", "$skiptoken", "$count"])?;
    if !READ.iter().any(|role| office.has(role)) {
        office.need(&[WRITE_OWNED])?;
    }
    let filter = filter(office.query, FILTERED)?;
    let registry = office.tenant.registry();
    let mut found: Vec<Value> = match kind {
        Kind::Application => registry
            .applications
            .iter()
            .filter(|application| may_read(office, &application.object).is_ok())
            .map(|one| render::application(office.tenant, &one.object, Keys::Without))
            .collect(),
        Kind::ServicePrincipal => registry
            .principals
            .iter()
            .filter(|principal| may_read(office, &principal.object).is_ok())
            .map(|one| render::principal(office.tenant, one, Keys::Without))
            .collect(),
    };
    drop(registry);
    if kind == Kind::ServicePrincipal {
        found.push(render::graph(office.tenant));
    }
    found.retain(|entry| filter.holds(entry));
    let path = render::collection(kind);
    page(office, &Paging { path, context: path, page: PAGE, largest: LARGEST_PAGE }, &found)
}

/// `GET …/{id}`. The certificates themselves are in it only when `$select` asks for them.
pub(super) fn show(office: &Office<'_>, kind: Kind, key: &Key) -> Result<Answer, GraphError> {
    let wants_keys = office
        .query
        .get("$select")
        .is_some_and(|names| names.split(',').any(|name| name.trim() == "keyCredentials"));
    let keys = if wants_keys { Keys::Whole } else { Keys::Without };
    let value = {
        let registry = office.tenant.registry();
        match kind {
            Kind::Application => {
                let object = find(&registry, kind, key)?;
                may_read(office, object)?;
                render::application(office.tenant, object, keys)
            }
            Kind::ServicePrincipal if names_graph(office, key) => {
                office.need(&[READ, &[WRITE_OWNED]].concat())?;
                render::graph(office.tenant)
            }
            Kind::ServicePrincipal => {
                let principal = principal(&registry, key)?;
                may_read(office, &principal.object)?;
                render::principal(office.tenant, principal, keys)
            }
        }
    };
    Ok(shown(&one(office, render::collection(kind), value)?))
}

/// `POST /applications`, `POST /servicePrincipals`. Who may only manage what they own, own it.
pub(super) fn create(
    office: &Office<'_>,
    kind: Kind,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    office.need(&[WRITE, WRITE_OWNED])?;
    let value = match kind {
        Kind::Application => create_application(office, body)?,
        Kind::ServicePrincipal => create_principal(office, body)?,
    };
    let mut value = value;
    let context = format!("{}/$entity", render::collection(kind));
    value["@odata.context"] = json!(office.base.context(&context));
    Ok(created(&value))
}

fn create_application(office: &Office<'_>, body: &Map<String, Value>) -> Result<Value, GraphError> {
    let read = shape::read(body, APPLICATION, &["id", "appId", "createdDateTime"])?;
    let name = read.get("displayName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        bad("A value is required for property 'displayName' of resource 'Application'.")
    })?;
    let mut object = DirectoryObject::new(Uuid::new_v4(), name.to_owned(), office.now);
    own(office, &mut object);
    let log = apply(office, Kind::Application, &mut object, read)?;
    let value = render::application(office.tenant, &object, Keys::Without);
    let mut registry = office.tenant.registry();
    change(
        office.tenant,
        &office.actor,
        Kind::Application,
        Change::Added,
        &object,
        log.modified,
        office.now,
    );
    log_credentials(office.tenant, &office.actor, Kind::Application, &[], &object, office.now);
    registry.applications.push(Application { object, federated: Vec::new() });
    Ok(value)
}

fn create_principal(office: &Office<'_>, body: &Map<String, Value>) -> Result<Value, GraphError> {
    let mut body = body.clone();
    let client = body.remove("appId");
    let client = client.as_ref().and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    let client = client.ok_or_else(|| {
        bad("A value is required for property 'appId' of resource 'ServicePrincipal'.")
    })?;
    let mut read = shape::read(&body, PRINCIPAL, &["id"])?;
    let mut registry = office.tenant.registry();
    let Some(application) = registry.application(client) else {
        return Err(GraphError::new(
            400,
            "Request_BadRequest",
            format!(
                "The appId '{client}' of the service principal does not reference a valid application \
                 object."
            ),
        ));
    };
    may_change(office, &application.object)?;
    if registry.principal(client).is_some() {
        return Err(GraphError::new(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            format!(
                "The service principal cannot be created, updated, or restored because the service \
                 principal name {client} is already in use."
            ),
        ));
    }
    let name = application.object.display_name.clone();
    let mut object = DirectoryObject::new(client, name, office.now);
    own(office, &mut object);
    let enabled = read.remove("accountEnabled").and_then(|value| value.as_bool()).unwrap_or(true);
    let log = apply(office, Kind::ServicePrincipal, &mut object, read)?;
    let made = ServicePrincipal {
        object,
        enabled,
        revoked: None,
        assignments: Vec::new(),
        exchange: ExchangeAccess::default(),
    };
    let (tenant, actor, now) = (office.tenant, &office.actor, office.now);
    let kind = Kind::ServicePrincipal;
    change(tenant, actor, kind, Change::Added, &made.object, log.modified, now);
    log_credentials(tenant, actor, kind, &[], &made.object, now);
    let value = render::principal(tenant, &made, Keys::Without);
    registry.principals.push(made);
    Ok(value)
}

/// `PATCH …/{id}`. A collection of credentials is replaced as a whole.
pub(super) fn patch(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    let properties = match kind {
        Kind::Application => APPLICATION,
        Kind::ServicePrincipal => PRINCIPAL,
    };
    let mut read = shape::read(body, properties, &["id", "appId", "createdDateTime"])?;
    let mut registry = office.tenant.registry();
    let (tenant, actor, now) = (office.tenant, &office.actor, office.now);
    // What it will be, so that all is changed or nothing.
    let mut object = find(&registry, kind, key)?.clone();
    may_change(office, &object)?;
    let before = object.credentials.described();
    let enabled = read.remove("accountEnabled").and_then(|value| value.as_bool());
    let mut log = apply(office, kind, &mut object, read)?;
    if let Some(enabled) = enabled {
        let principal = principal_mut(&mut registry, key)?;
        if principal.enabled != enabled {
            let (old, new) = (json!(principal.enabled), json!(enabled));
            log.modified.push(modified("AccountEnabled", old, new));
        }
        principal.set_enabled(enabled, now);
    }
    if log.changed || !log.modified.is_empty() {
        change(tenant, actor, kind, Change::Updated, &object, log.modified, now);
    }
    log_credentials(tenant, actor, kind, &before, &object, now);
    *find_mut(&mut registry, kind, key)? = object;
    Ok(Answer::no_content())
}

/// `DELETE …/{id}`. An application takes its service principal along.
pub(super) fn delete(office: &Office<'_>, kind: Kind, key: &Key) -> Result<Answer, GraphError> {
    let mut registry = office.tenant.registry();
    let object = find(&registry, kind, key)?.clone();
    may_change(office, &object)?;
    let (tenant, actor, now) = (office.tenant, &office.actor, office.now);
    let principal = registry.principal(object.client_id).map(|one| one.object.clone());
    if kind == Kind::Application {
        registry.applications.retain(|one| one.object.client_id != object.client_id);
        change(tenant, actor, kind, Change::Removed, &object, Vec::new(), now);
    }
    if let Some(principal) = principal {
        registry.principals.retain(|one| one.object.client_id != object.client_id);
        let kind = Kind::ServicePrincipal;
        change(tenant, actor, kind, Change::Removed, &principal, Vec::new(), now);
    }
    Ok(Answer::no_content())
}

/// What a change is in the log.
struct Log {
    modified: Vec<Modified>,
    /// Something besides credentials was given.
    changed: bool,
}

/// Writes what was given into an object.
fn apply(
    office: &Office<'_>,
    kind: Kind,
    object: &mut DirectoryObject,
    mut given: Map<String, Value>,
) -> Result<Log, GraphError> {
    if let Some(keys) = given.remove("keyCredentials") {
        credentials::replace_keys(&mut object.credentials, &keys, office.now)?;
    }
    if let Some(passwords) = given.remove("passwordCredentials") {
        credentials::replace_passwords(&mut object.credentials, &passwords)?;
    }
    let mut log = Log { modified: Vec::new(), changed: !given.is_empty() };
    for (name, new) in given {
        let old = match name.as_str() {
            "displayName" => json!(object.display_name),
            name => object.more.get(name).cloned().unwrap_or(Value::Null),
        };
        let logged = LOGGED.iter().find(|(known, _)| *known == name);
        if let Some((_, logged)) = logged.filter(|_| old != new) {
            log.modified.push(modified(logged, old, new.clone()));
        }
        match (name.as_str(), new) {
            ("displayName", Value::String(name)) if !name.is_empty() => object.display_name = name,
            ("displayName", _) => {
                let resource = match kind {
                    Kind::Application => "Application",
                    Kind::ServicePrincipal => "ServicePrincipal",
                };
                return Err(bad(format!(
                    "Invalid value specified for property 'displayName' of resource '{resource}'."
                )));
            }
            (_, new) => {
                object.more.insert(name, new);
            }
        }
    }
    Ok(log)
}

/// Makes the caller the owner.
fn own(office: &Office<'_>, object: &mut DirectoryObject) {
    if !office.has(WRITE) {
        object.owners.insert(office.grant.service_principal_id);
    }
}

pub(super) fn find<'r>(
    registry: &'r Registry,
    kind: Kind,
    key: &Key,
) -> Result<&'r DirectoryObject, GraphError> {
    let named = |object: &&DirectoryObject| key.names(object.object_id, object.client_id);
    let found = match kind {
        Kind::Application => registry.applications.iter().map(|one| &one.object).find(named),
        Kind::ServicePrincipal => registry.principals.iter().map(|one| &one.object).find(named),
    };
    found.ok_or_else(|| not_found(key.text()))
}

pub(super) fn find_mut<'r>(
    registry: &'r mut Registry,
    kind: Kind,
    key: &Key,
) -> Result<&'r mut DirectoryObject, GraphError> {
    let named = |object: &&mut DirectoryObject| key.names(object.object_id, object.client_id);
    let found = match kind {
        Kind::Application => {
            registry.applications.iter_mut().map(|one| &mut one.object).find(named)
        }
        Kind::ServicePrincipal => {
            registry.principals.iter_mut().map(|one| &mut one.object).find(named)
        }
    };
    found.ok_or_else(|| not_found(key.text()))
}

pub(super) fn principal<'r>(
    registry: &'r Registry,
    key: &Key,
) -> Result<&'r ServicePrincipal, GraphError> {
    let named = |one: &&ServicePrincipal| key.names(one.object.object_id, one.object.client_id);
    registry.principals.iter().find(named).ok_or_else(|| not_found(key.text()))
}

pub(super) fn principal_mut<'r>(
    registry: &'r mut Registry,
    key: &Key,
) -> Result<&'r mut ServicePrincipal, GraphError> {
    let named = |one: &&mut ServicePrincipal| key.names(one.object.object_id, one.object.client_id);
    registry.principals.iter_mut().find(named).ok_or_else(|| not_found(key.text()))
}

fn names_graph(office: &Office<'_>, key: &Key) -> bool {
    let client = crate::entra::GRAPH_APPLICATION.parse().unwrap_or_default();
    key.names(graph_principal(office.tenant.id), client)
}

pub(super) fn may_read(office: &Office<'_>, object: &DirectoryObject) -> Result<(), GraphError> {
    match READ.iter().any(|role| office.has(role)) {
        true => Ok(()),
        false => may_change(office, object),
    }
}

pub(super) fn may_change(office: &Office<'_>, object: &DirectoryObject) -> Result<(), GraphError> {
    let owns = object.owners.contains(&office.grant.service_principal_id);
    match office.has(WRITE) || (office.has(WRITE_OWNED) && owns) {
        true => Ok(()),
        false => Err(denied()),
    }
}
