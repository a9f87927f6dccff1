//! Permissions of Microsoft Graph that a service principal has (`appRoleAssignment`).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::objects::{may_read, principal, principal_mut};
use super::{Key, Office, Paging, bad, created, not_found, one, page, permissions, render, shown};
use crate::entra::{Change, Kind, Modified, change, graph_principal};
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::state::{DirectoryObject, RoleAssignment};

/// Needed to give or take permissions, besides reading.
const ASSIGN: &str = "AppRoleAssignment.ReadWrite.All";

/// `GET /servicePrincipals/{id}/appRoleAssignments`
pub(super) fn list(office: &Office<'_>, key: &Key) -> Result<Answer, GraphError> {
    office.query.allow(&["$select", "$top", "$skiptoken"])?;
    let found: Vec<Value> = {
        let registry = office.tenant.registry();
        let principal = principal(&registry, key)?;
        may_read(office, &principal.object)?;
        let shown = |one| render::assignment(office.tenant, &principal.object, one);
        principal.assignments.iter().map(shown).collect()
    };
    let path = path(key);
    let paging = Paging { path: &path, context: "appRoleAssignments", page: 100, largest: 999 };
    page(office, &paging, &found)
}

/// `GET …/appRoleAssignments/{id}`
pub(super) fn show(office: &Office<'_>, key: &Key, id: &str) -> Result<Answer, GraphError> {
    let value = {
        let registry = office.tenant.registry();
        let principal = principal(&registry, key)?;
        may_read(office, &principal.object)?;
        let found = principal.assignments.iter().find(|one| one.id == id);
        let found = found.ok_or_else(|| not_found(id))?;
        render::assignment(office.tenant, &principal.object, found)
    };
    Ok(shown(&one(office, "appRoleAssignments", value)?))
}

/// `POST …/appRoleAssignments`
pub(super) fn create(
    office: &Office<'_>,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    office.need(&[ASSIGN])?;
    let id = |name: &str| {
        let id = body.get(name).and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
        id.ok_or_else(|| bad(format!("A value is required for property '{name}'.")))
    };
    let (whom, resource, role) = (id("principalId")?, id("resourceId")?, id("appRoleId")?);
    let mut registry = office.tenant.registry();
    let principal = principal_mut(&mut registry, key)?;
    if principal.object.object_id != whom {
        return Err(bad("The principal is not the one in the URL."));
    }
    if resource != graph_principal(office.tenant.id) {
        return Err(not_found(&resource.to_string()));
    }
    let role = permissions::all().find(|name| permissions::id(name) == role);
    let role = role.ok_or_else(|| {
        bad("Permission being assigned was not found on application 'Microsoft Graph'.")
    })?;
    if principal.assignments.iter().any(|one| one.role == role) {
        return Err(bad("Permission being assigned already exists on the object"));
    }
    let made = RoleAssignment::new(role.to_owned(), office.now);
    let mut value = render::assignment(office.tenant, &principal.object, &made);
    value["@odata.context"] = json!(office.base.context("appRoleAssignments/$entity"));
    log(office, Change::RoleAssigned, &principal.object, &made);
    principal.assignments.push(made);
    Ok(created(&value))
}

/// `DELETE …/appRoleAssignments/{id}`
pub(super) fn delete(office: &Office<'_>, key: &Key, id: &str) -> Result<Answer, GraphError> {
    office.need(&[ASSIGN])?;
    let mut registry = office.tenant.registry();
    let principal = principal_mut(&mut registry, key)?;
    let at = principal.assignments.iter().position(|one| one.id == id);
    let gone = principal.assignments.remove(at.ok_or_else(|| not_found(id))?);
    log(office, Change::RoleUnassigned, &principal.object, &gone);
    Ok(Answer::no_content())
}

fn log(office: &Office<'_>, what: Change, principal: &DirectoryObject, of: &RoleAssignment) {
    let value = Some(json!(of.role));
    let (old, new) = match what {
        Change::RoleAssigned => (None, value),
        _ => (value, None),
    };
    let role = Modified { name: "AppRole.Value", old, new };
    let kind = Kind::ServicePrincipal;
    change(office.tenant, &office.actor, kind, what, principal, vec![role], office.now);
}

fn path(key: &Key) -> String {
    format!("{}/appRoleAssignments", key.under("servicePrincipals"))
}
