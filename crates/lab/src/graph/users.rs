//! Users and the organisation.

use super::Base;
use super::answer::Answer;
use super::errors::GraphError;
use super::json::Json;
use super::query::{Query, comparisons};
use super::select::Selection;
use crate::state::{Mailbox, Tenant};

/// Users on a page (Graph: 100, at most 999).
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;
/// When everything in the directory was made: 2026-01-05T09:00:00Z.
const CREATED: i64 = 1_767_603_600;

/// `GET /organization`
pub(super) fn organization(
    base: &Base<'_>,
    query: &Query,
    tenant: &Tenant,
) -> Result<Answer, GraphError> {
    query.allow(&["$select"])?;
    const NAMES: &[&str] =
        &["id", "displayname", "verifieddomains", "createddatetime", "tenanttype"];
    for name in query.get("$select").iter().flat_map(|select| select.split(',')) {
        if !NAMES.contains(&name.trim().to_lowercase().as_str()) {
            return Err(GraphError::bad_request(format!(
                "Could not find a property named '{name}' on type 'microsoft.graph.organization'."
            )));
        }
    }
    let mut json = Json::with_capacity(512);
    json.object(|json| {
        json.member("@odata.context", &base.context("organization"));
        json.key("value").array(|json| {
            json.object(|json| {
                json.member("id", &tenant.id);
                json.member("displayName", &tenant.display_name);
                json.time("createdDateTime", CREATED);
                json.member("tenantType", "AAD");
                json.key("verifiedDomains").array(|json| {
                    json.object(|json| {
                        json.member("capabilities", "Email, OfficeCommunicationsOnline");
                        json.member("isDefault", &true);
                        json.member("isInitial", &true);
                        json.member("name", &tenant.domain);
                        json.member("type", "Managed");
                    });
                });
            });
        });
    });
    Ok(Answer::json(json.finish()))
}

/// `GET /users`
pub(super) fn list(base: &Base<'_>, query: &Query, tenant: &Tenant) -> Result<Answer, GraphError> {
    query.allow(&["$select", "$top", "$skiptoken", "$filter"])?;
    let selection = Selection::user(query.get("$select"))?;
    let top = query.number("$top", 1..=LARGEST_PAGE)?.unwrap_or(PAGE);
    let start = match query.get("$skiptoken") {
        None => 0,
        Some(token) => skip(token).ok_or_else(|| {
            GraphError::new(400, "Request_BadRequest", "The skip token is not valid.")
        })?,
    };
    let filter = query.get("$filter").map(comparisons).transpose()?.unwrap_or_default();
    let mut found = Vec::new();
    for mailbox in tenant.mailboxes() {
        if matches(&mailbox, &filter)? {
            found.push(mailbox);
        }
    }
    let page = found.iter().skip(start).take(top);
    let mut json = Json::with_capacity(4096);
    json.object(|json| {
        json.member("@odata.context", &base.context(&format!("users{}", selection.context())));
        if found.len() > start.saturating_add(top) {
            let mut link = base.url("users?");
            for name in ["$select", "$filter"] {
                if let Some(value) = query.get(name) {
                    link.push_str(&format!("{name}={}&", encode(value)));
                }
            }
            link.push_str(&format!("$top={top}&$skiptoken={}", token(start + top)));
            json.member("@odata.nextLink", &link);
        }
        json.key("value").array(|json| {
            for mailbox in page {
                json.object(|json| user(json, selection, mailbox));
            }
        });
    });
    Ok(Answer::json(json.finish()))
}

/// `GET /users/{id | userPrincipalName}`
pub(super) fn show(
    base: &Base<'_>,
    query: &Query,
    tenant: &Tenant,
    name: &str,
) -> Result<Answer, GraphError> {
    query.allow(&["$select"])?;
    let selection = Selection::user(query.get("$select"))?;
    let mailbox = tenant.mailbox(name).ok_or_else(|| GraphError::user_not_found(name))?;
    let mut json = Json::with_capacity(512);
    json.object(|json| {
        let context = base.context(&format!("users{}/$entity", selection.context()));
        json.member("@odata.context", &context);
        user(json, selection, &mailbox);
    });
    Ok(Answer::json(json.finish()))
}

fn user(json: &mut Json, selection: Selection, mailbox: &Mailbox) {
    json.member("id", &mailbox.id);
    let (given, surname) =
        mailbox.display_name.split_once(' ').unwrap_or((&mailbox.display_name, ""));
    for name in selection.iter() {
        match name {
            "displayName" => json.member(name, &mailbox.display_name),
            "mail" | "userPrincipalName" => json.member(name, &mailbox.address),
            "givenName" => json.member(name, given),
            "surname" => json.member(name, &Some(surname).filter(|s| !s.is_empty())),
            "accountEnabled" => json.member(name, &true),
            "userType" => json.member(name, "Member"),
            "mailNickname" => json.member(name, mailbox.address.split('@').next().unwrap_or("")),
            "proxyAddresses" => json.member(name, &[format!("SMTP:{}", mailbox.address)]),
            "createdDateTime" => json.time(name, CREATED),
            "businessPhones" | "otherMails" => json.member(name, &[(); 0]),
            _ => json.key(name).null(),
        }
    }
}

fn matches(mailbox: &Mailbox, filter: &[super::query::Comparison]) -> Result<bool, GraphError> {
    for comparison in filter {
        let actual = match comparison.property.as_str() {
            "userPrincipalName" | "mail" => mailbox.address.to_string(),
            "displayName" => mailbox.display_name.clone(),
            "id" => mailbox.id.to_string(),
            "accountEnabled" => "true".to_owned(),
            "userType" => "Member".to_owned(),
            other => {
                return Err(GraphError::new(
                    400,
                    "Request_UnsupportedQuery",
                    format!(
                        "Unsupported or invalid query filter clause specified for property '{other}'."
                    ),
                ));
            }
        };
        let equal = actual.eq_ignore_ascii_case(&comparison.value);
        match comparison.operator.as_str() {
            "eq" if equal => {}
            "ne" if !equal => {}
            "eq" | "ne" => return Ok(false),
            _ => return Err(GraphError::bad_request("Invalid filter clause.")),
        }
    }
    Ok(true)
}

fn token(position: usize) -> String {
    data_encoding::BASE64URL_NOPAD.encode(format!("users:{position}").as_bytes())
}

fn skip(token: &str) -> Option<usize> {
    let raw = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    std::str::from_utf8(&raw).ok()?.strip_prefix("users:")?.parse().ok()
}

/// A value in the query of a link.
pub(super) fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
