//! `GET /auditLogs/directoryAudits`
//! (<https://learn.microsoft.com/graph/api/directoryaudit-list>).

use serde_json::Value;

use super::filter::Known;
use super::{Office, Paging, filter, not_found, one, page, shown, unlicensed};
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;

/// Default and largest page.
const PAGE: usize = 1000;
const FILTERED: &[Known] = &[
    ("id", &["eq"]),
    ("activityDateTime", &["eq", "ge", "le"]),
    ("activityDisplayName", &["eq", "startswith"]),
    ("category", &["eq"]),
    ("correlationId", &["eq"]),
    ("loggedByService", &["eq"]),
    ("operationType", &["eq"]),
    ("result", &["eq"]),
    ("initiatedBy/app/displayName", &["eq"]),
    ("initiatedBy/app/servicePrincipalId", &["eq"]),
    ("initiatedBy/app/servicePrincipalName", &["eq"]),
    ("initiatedBy/user/id", &["eq"]),
    ("initiatedBy/user/userPrincipalName", &["eq", "startswith"]),
    ("targetResources/any/id", &["eq"]),
    ("targetResources/any/displayName", &["eq", "startswith"]),
];

/// Newest first.
pub(super) fn list(office: &Office<'_>) -> Result<Answer, GraphError> {
    let options = ["$filter", "$top", "$skiptoken", "$orderby", "$select", "$count"];
    office.query.allow(&options)?;
    newest_first(office, "activityDateTime desc")?;
    let filter = filter(office.query, FILTERED)?;
    let mut found = visible(office)?;
    found.retain(|entry| filter.holds(entry));
    let path = "auditLogs/directoryAudits";
    page(office, &Paging { path, context: path, page: PAGE, largest: PAGE }, &found)
}

/// `GET /auditLogs/directoryAudits/{id}`
pub(super) fn show(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    let found = visible(office)?.into_iter().find(|entry| entry["id"] == *id);
    let value = found.ok_or_else(|| not_found(id))?;
    Ok(shown(&one(office, "auditLogs/directoryAudits", value)?))
}

fn visible(office: &Office<'_>) -> Result<Vec<Value>, GraphError> {
    office.need(&["AuditLog.Read.All"])?;
    let log = office.shared.entra.settings().directory_audits;
    match log.licensed {
        true => Ok(office.tenant.audits.until(office.now - i64::from(log.delay))),
        false => Err(unlicensed()),
    }
}

/// The only order that the logs are told in.
pub(in crate::graph) fn newest_first(office: &Office<'_>, order: &str) -> Result<(), GraphError> {
    match office.query.get("$orderby") {
        Some(wanted) if !wanted.trim().eq_ignore_ascii_case(order) => {
            Err(GraphError::bad_request(format!("Only $orderby={order} is supported.")))
        }
        _ => Ok(()),
    }
}
