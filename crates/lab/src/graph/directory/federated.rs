//! Federated identity credentials: whose assertions an application takes for its own
//! (<https://learn.microsoft.com/graph/api/resources/federatedidentitycredentials-overview>).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::objects::{may_change, may_read};
use super::{Key, Office, Paging, bad, created, not_found, one, page, shown};
use crate::entra::{Change, Kind, change, modified};
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::shape::{self, Kind as Shape, Property};
use crate::state::{Application, FederatedCredential, Registry};

/// Credentials of one application.
const MOST: usize = 20;
const PROPERTIES: &[Property] = &[
    ("name", Shape::Text),
    ("issuer", Shape::Text),
    ("subject", Shape::Text),
    ("audiences", Shape::Many(&Shape::Text)),
    ("description", Shape::Text),
];

/// `GET /applications/{id}/federatedIdentityCredentials`
pub(super) fn list(office: &Office<'_>, key: &Key) -> Result<Answer, GraphError> {
    office.query.allow(&["$select", "$top", "$skiptoken"])?;
    let found: Vec<Value> = {
        let mut registry = office.tenant.registry();
        let application = find(&mut registry, key)?;
        may_read(office, &application.object)?;
        application.federated.iter().map(render).collect()
    };
    let path = path(key);
    page(office, &Paging { path: &path, context: &path, page: 100, largest: 999 }, &found)
}

/// `GET …/federatedIdentityCredentials/{id or name}`
pub(super) fn show(office: &Office<'_>, key: &Key, id: &str) -> Result<Answer, GraphError> {
    let value = {
        let mut registry = office.tenant.registry();
        let application = find(&mut registry, key)?;
        may_read(office, &application.object)?;
        render(&application.federated[position(application, id)?])
    };
    Ok(shown(&one(office, &path(key), value)?))
}

/// `POST …/federatedIdentityCredentials`
pub(super) fn create(
    office: &Office<'_>,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    let given = shape::read(body, PROPERTIES, &["id"])?;
    let mut value = with_log(office, key, |application| {
        let mut made = FederatedCredential {
            id: Uuid::new_v4(),
            name: String::new(),
            issuer: String::new(),
            subject: String::new(),
            audiences: Vec::new(),
            description: None,
        };
        apply(&mut made, &given)?;
        if application.federated.len() >= MOST {
            return Err(bad(
                "The application has as many federated identity credentials as it can have.",
            ));
        }
        distinct(application, &made)?;
        let value = render(&made);
        application.federated.push(made);
        Ok(value)
    })?;
    value["@odata.context"] = json!(office.base.context(&format!("{}/$entity", path(key))));
    Ok(created(&value))
}

/// `PATCH …/federatedIdentityCredentials/{id or name}`; the name stays.
pub(super) fn patch(
    office: &Office<'_>,
    key: &Key,
    id: &str,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    let given = shape::read(body, PROPERTIES, &["id", "name"])?;
    with_log(office, key, |application| {
        let at = position(application, id)?;
        let mut changed = application.federated[at].clone();
        apply(&mut changed, &given)?;
        distinct(application, &changed)?;
        application.federated[at] = changed;
        Ok(())
    })?;
    Ok(Answer::no_content())
}

/// `DELETE …/federatedIdentityCredentials/{id or name}`
pub(super) fn delete(office: &Office<'_>, key: &Key, id: &str) -> Result<Answer, GraphError> {
    with_log(office, key, |application| {
        let at = position(application, id)?;
        application.federated.remove(at);
        Ok(())
    })?;
    Ok(Answer::no_content())
}

/// Changes an application's credentials and writes that into the log; nothing when it is refused.
fn with_log<T>(
    office: &Office<'_>,
    key: &Key,
    with: impl FnOnce(&mut Application) -> Result<T, GraphError>,
) -> Result<T, GraphError> {
    let mut registry = office.tenant.registry();
    let application = find(&mut registry, key)?;
    may_change(office, &application.object)?;
    let shown =
        |application: &Application| -> Value { application.federated.iter().map(render).collect() };
    let before = shown(application);
    let done = with(application)?;
    let log = vec![modified("FederatedIdentityCredentials", before, shown(application))];
    let kind = Kind::Application;
    let object = &application.object;
    change(office.tenant, &office.actor, kind, Change::Updated, object, log, office.now);
    Ok(done)
}

fn find<'r>(registry: &'r mut Registry, key: &Key) -> Result<&'r mut Application, GraphError> {
    let named = |one: &&mut Application| key.names(one.object.object_id, one.object.client_id);
    registry.applications.iter_mut().find(named).ok_or_else(|| not_found(key.text()))
}

fn position(application: &Application, id: &str) -> Result<usize, GraphError> {
    let named = |one: &FederatedCredential| Uuid::try_parse(id) == Ok(one.id) || one.name == id;
    application.federated.iter().position(named).ok_or_else(|| not_found(id))
}

fn apply(
    credential: &mut FederatedCredential,
    given: &Map<String, Value>,
) -> Result<(), GraphError> {
    let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
    credential.name = text("name").unwrap_or_else(|| credential.name.clone());
    credential.issuer = text("issuer").unwrap_or_else(|| credential.issuer.clone());
    credential.subject = text("subject").unwrap_or_else(|| credential.subject.clone());
    if given.contains_key("description") {
        credential.description = text("description");
    }
    if let Some(audiences) = given.get("audiences").and_then(Value::as_array) {
        let texts = audiences.iter().filter_map(Value::as_str);
        credential.audiences = texts.map(str::to_owned).collect();
    }
    let named = !credential.name.is_empty()
        && credential.name.len() <= 120
        && credential.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !named || credential.subject.is_empty() || !credential.issuer.starts_with("https://") {
        return Err(bad("A federated identity credential needs a name, an issuer and a subject."));
    }
    match credential.audiences.as_slice() {
        [audience] if !audience.is_empty() => Ok(()),
        _ => Err(bad("A federated identity credential has exactly one audience.")),
    }
}

/// No two have the same name, or the same issuer and subject.
fn distinct(application: &Application, credential: &FederatedCredential) -> Result<(), GraphError> {
    let others = application.federated.iter().filter(|one| one.id != credential.id);
    let same = |one: &&FederatedCredential| {
        one.name == credential.name
            || (one.issuer == credential.issuer && one.subject == credential.subject)
    };
    match others.filter(same).count() {
        0 => Ok(()),
        _ => Err(GraphError::new(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "FederatedIdentityCredential with the same name, or issuer and subject, exists already.",
        )),
    }
}

fn render(credential: &FederatedCredential) -> Value {
    json!({
        "id": credential.id,
        "name": credential.name,
        "issuer": credential.issuer,
        "subject": credential.subject,
        "audiences": credential.audiences,
        "description": credential.description,
    })
}

fn path(key: &Key) -> String {
    format!("{}/federatedIdentityCredentials", key.under("applications"))
}
