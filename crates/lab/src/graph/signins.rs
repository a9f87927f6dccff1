//! `GET /beta/auditLogs/signIns`
//! (<https://learn.microsoft.com/graph/api/signin-list?view=graph-rest-beta>).

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use uuid::Uuid;

use super::Base;
use super::answer::Answer;
use super::errors::GraphError;
use super::json::Json;
use super::query::{Comparison, Query, comparisons, split_words};
use super::users::encode;
use crate::clock;
use crate::entra::SignIn;
use crate::lab::Shared;
use crate::state::Tenant;

/// Default and largest page.
const PAGE: usize = 1000;

/// Newest first. Without the filter for them, sign-ins of applications are not shown.
pub(super) fn list(
    shared: &Shared,
    base: &Base<'_>,
    query: &Query,
    tenant: &Tenant,
) -> Result<Answer, GraphError> {
    query.allow(&["$filter", "$top", "$skiptoken", "$orderby"])?;
    if query.get("$orderby").is_some_and(|o| !o.eq_ignore_ascii_case("createdDateTime desc")) {
        return Err(GraphError::bad_request("Only $orderby=createdDateTime desc is supported."));
    }
    let top = query.number("$top", 1..=PAGE)?.unwrap_or(PAGE);
    let filter = Filter::parse(query.get("$filter").unwrap_or_default(), base.version)?;
    let after = query.get("$skiptoken").map(position).transpose()?;
    let visible_until = shared.clock.now() - shared.sign_in_log_delay;
    let mut entries: Vec<SignIn> =
        if filter.applications { tenant.sign_ins.entries() } else { Vec::new() };
    entries.reverse();
    let skip = after.map_or(0, |id| {
        entries.iter().position(|entry| entry.id == id).map_or(entries.len(), |at| at + 1)
    });
    let found: Vec<Value> = entries
        .iter()
        .skip(skip)
        .filter(|entry| entry.at <= visible_until)
        .map(SignIn::to_json)
        .filter(|entry| filter.holds(entry))
        .take(top + 1)
        .collect();
    let mut json = Json::with_capacity(1024 * found.len().min(top) + 256);
    json.object(|json| {
        json.member("@odata.context", &base.context("auditLogs/signIns"));
        if found.len() > top {
            let mut link = base.url("auditLogs/signIns?");
            if let Some(filter) = query.get("$filter") {
                link.push_str(&format!("$filter={}&", encode(filter)));
            }
            let last = found.get(top - 1).and_then(|e| e["id"].as_str()).unwrap_or_default();
            link.push_str(&format!(
                "$top={top}&$skiptoken={}",
                BASE64URL_NOPAD.encode(last.as_bytes())
            ));
            json.member("@odata.nextLink", &link);
        }
        json.key("value").array(|json| {
            for entry in found.iter().take(top) {
                json.value(entry);
            }
        });
    });
    Ok(Answer::json(json.finish()))
}

fn position(token: &str) -> Result<Uuid, GraphError> {
    BASE64URL_NOPAD
        .decode(token.as_bytes())
        .ok()
        .and_then(|raw| Uuid::try_parse_ascii(&raw).ok())
        .ok_or_else(|| GraphError::bad_request("The skip token is not valid."))
}

struct Filter {
    /// `signInEventTypes/any(t: t eq 'servicePrincipal')` is part of it.
    applications: bool,
    others: Vec<Comparison>,
}

impl Filter {
    fn parse(text: &str, version: &str) -> Result<Self, GraphError> {
        let mut filter = Self { applications: false, others: Vec::new() };
        if text.trim().is_empty() {
            return Ok(filter);
        }
        for clause in split_words(text, "and") {
            let compact: String = clause.chars().filter(|c| !c.is_whitespace()).collect();
            let compact = compact.to_lowercase();
            if let Some(lambda) = compact.strip_prefix("signineventtypes/any(") {
                if version != "beta" {
                    return Err(GraphError::bad_request(
                        "Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'.",
                    ));
                }
                filter.applications |= lambda.ends_with("eq'serviceprincipal')");
                continue;
            }
            for comparison in comparisons(clause)? {
                check(&comparison)?;
                filter.others.push(comparison);
            }
        }
        Ok(filter)
    }

    fn holds(&self, entry: &Value) -> bool {
        self.others.iter().all(|comparison| {
            let actual = match comparison.property.as_str() {
                "status/errorCode" => entry["status"]["errorCode"].to_string(),
                name => entry[name].as_str().unwrap_or_default().to_owned(),
            };
            let wanted = &comparison.value;
            match (comparison.property.as_str(), comparison.operator.as_str()) {
                ("createdDateTime", operator) => {
                    let time = |text: &str| clock::parse_rfc3339(text).map(|t| t.unix_timestamp());
                    match operator {
                        "ge" => time(&actual) >= time(wanted),
                        "le" => time(&actual) <= time(wanted),
                        _ => time(&actual) == time(wanted),
                    }
                }
                _ => actual.eq_ignore_ascii_case(wanted),
            }
        })
    }
}

/// The documented properties and operators, no others.
fn check(comparison: &Comparison) -> Result<(), GraphError> {
    const EQUAL: &[&str] = &[
        "id",
        "appId",
        "servicePrincipalId",
        "ipAddress",
        "resourceId",
        "status/errorCode",
        "correlationId",
    ];
    let known = match comparison.property.as_str() {
        "createdDateTime" => {
            matches!(comparison.operator.as_str(), "ge" | "le" | "eq")
                && clock::parse_rfc3339(&comparison.value).is_some()
        }
        name => EQUAL.contains(&name) && comparison.operator == "eq",
    };
    if known {
        return Ok(());
    }
    Err(GraphError::bad_request(format!("Invalid filter clause: '{}'.", comparison.property)))
}
