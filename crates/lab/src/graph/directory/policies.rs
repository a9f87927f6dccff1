//! Conditional Access policies and named locations, for reading. The administrator of the tenant
//! makes them.

use serde_json::Value;

use super::{Office, Paging, not_found, one, page, shown};
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;

const POLICIES: &str = "identity/conditionalAccess/policies";
const LOCATIONS: &str = "identity/conditionalAccess/namedLocations";

/// `GET /identity/conditionalAccess/policies`
pub(super) fn list(office: &Office<'_>) -> Result<Answer, GraphError> {
    may_read(office)?;
    told(office, POLICIES, &office.tenant.access.policies())
}

/// `GET /identity/conditionalAccess/policies/{id}`
pub(super) fn show(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    may_read(office)?;
    single(office, POLICIES, office.tenant.access.policies(), id)
}

/// `GET /identity/conditionalAccess/namedLocations`
pub(super) fn locations(office: &Office<'_>) -> Result<Answer, GraphError> {
    may_read(office)?;
    told(office, LOCATIONS, &office.tenant.access.locations())
}

/// `GET /identity/conditionalAccess/namedLocations/{id}`
pub(super) fn location(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    may_read(office)?;
    single(office, LOCATIONS, office.tenant.access.locations(), id)
}

fn told(office: &Office<'_>, path: &str, all: &[Value]) -> Result<Answer, GraphError> {
    office.query.allow(&["$select", "$top", "$skiptoken", "$count"])?;
    page(office, &Paging { path, context: path, page: 100, largest: 999 }, all)
}

fn single(
    office: &Office<'_>,
    path: &str,
    all: Vec<Value>,
    id: &str,
) -> Result<Answer, GraphError> {
    let found = all.into_iter().find(|entry| entry["id"] == *id);
    Ok(shown(&one(office, path, found.ok_or_else(|| not_found(id))?)?))
}

fn may_read(office: &Office<'_>) -> Result<(), GraphError> {
    office.need(&["Policy.Read.All", "Policy.Read.ConditionalAccess"])
}
