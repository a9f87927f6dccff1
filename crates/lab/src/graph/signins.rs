//! `GET /auditLogs/signIns`
//! (<https://learn.microsoft.com/graph/api/signin-list?view=graph-rest-beta>).

use serde_json::Value;
use uuid::Uuid;

use super::answer::Answer;
use super::directory::{
    Known, Office, Paging, denied, filter, newest_first, one, page, shown, unlicensed,
};
use super::errors::GraphError;
use crate::entra::SignIn;

/// Default and largest page.
const PAGE: usize = 1000;
/// What tells sign-ins of applications from those of people; the beta alone has it.
const TYPES: &str = "signInEventTypes/any";
/// The documented properties and operators, no others.
const FILTERED: &[Known] = &[
    (TYPES, &["eq", "ne"]),
    ("id", &["eq"]),
    ("createdDateTime", &["eq", "ge", "le"]),
    ("appId", &["eq"]),
    ("appDisplayName", &["eq", "startswith"]),
    ("servicePrincipalId", &["eq"]),
    ("servicePrincipalName", &["eq", "startswith"]),
    ("userId", &["eq"]),
    ("userPrincipalName", &["eq", "startswith"]),
    ("ipAddress", &["eq", "startswith"]),
    ("resourceId", &["eq"]),
    ("resourceDisplayName", &["eq"]),
    ("status/errorCode", &["eq"]),
    ("correlationId", &["eq"]),
    ("conditionalAccessStatus", &["eq"]),
];

/// Newest first. Without a filter for them, sign-ins of applications are not shown.
pub(super) fn list(office: &Office<'_>) -> Result<Answer, GraphError> {
    office.query.allow(&["$filter", "$top", "$skiptoken", "$orderby", "$select"])?;
    newest_first(office, "createdDateTime desc")?;
    let filter = filter(office.query, FILTERED)?;
    let by_type = filter.mentions(TYPES);
    if by_type && office.base.version != "beta" {
        return Err(GraphError::bad_request(
            "Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'.",
        ));
    }
    let visible = visible_until(office)?;
    let mut entries = office.tenant.sign_ins.entries();
    entries.reverse();
    let found: Vec<Value> = entries
        .iter()
        .filter(|entry| entry.created() <= visible && (by_type || entry.user.is_some()))
        .filter(|entry| filter.holds(&entry.to_json()))
        .map(|entry| render(office, entry))
        .collect();
    let path = "auditLogs/signIns";
    page(office, &Paging { path, context: path, page: PAGE, largest: PAGE }, &found)
}

/// `GET /auditLogs/signIns/{id}`
pub(super) fn show(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    let visible = visible_until(office)?;
    let found = Uuid::try_parse(id).ok().and_then(|id| office.tenant.sign_ins.find(id));
    let found = found.filter(|entry| entry.created() <= visible);
    let found = found.ok_or_else(|| GraphError::user_not_found(id))?;
    Ok(shown(&one(office, "auditLogs/signIns", render(office, &found))?))
}

fn render(office: &Office<'_>, entry: &SignIn) -> Value {
    match office.base.version {
        "beta" => entry.to_json(),
        _ => entry.to_json_v1(),
    }
}

/// Until when sign-ins can be read.
fn visible_until(office: &Office<'_>) -> Result<i64, GraphError> {
    let may = |role: &str| office.grant.roles.contains(role);
    // Both are needed: a known issue of the service.
    if !may("AuditLog.Read.All") || !may("Directory.Read.All") {
        return Err(denied());
    }
    let log = office.shared.entra.settings().sign_ins;
    match log.licensed {
        true => Ok(office.now - i64::from(log.delay)),
        false => Err(unlicensed()),
    }
}
