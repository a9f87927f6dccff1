//! The organisation (<https://learn.microsoft.com/graph/api/organization-list>).

use super::Base;
use super::answer::Answer;
use super::errors::GraphError;
use super::json::Json;
use super::query::Query;
use super::users::CREATED;
use crate::state::Tenant;

/// `GET /organization`
pub(super) fn show(base: &Base<'_>, query: &Query, tenant: &Tenant) -> Result<Answer, GraphError> {
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
