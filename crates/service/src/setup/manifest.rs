//! What is sent to Graph as it is: an application's manifest, and the policy that locks our applications
//! to our addresses.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Plan, PlannedApplication};

/// The application id of Microsoft Graph itself.
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// `application` (<https://learn.microsoft.com/graph/api/resources/application>), without what Exchange
/// grants: whoever presses "Grant admin consent" grants all that stands in there, in all mailboxes.
pub(super) fn application(planned: &PlannedApplication) -> Value {
    let access: Vec<Value> = planned
        .granted()
        .filter_map(|right| right.id)
        .map(|id| json!({ "id": id, "type": "Role" }))
        .collect();
    let keys: Vec<Value> = planned
        .certificate
        .iter()
        .filter_map(|certificate| certificate.certificate_der())
        .map(|der| {
            json!({
                "type": "AsymmetricX509Cert",
                "usage": "Verify",
                "key": BASE64.encode(&der),
                "displayName": planned.name,
            })
        })
        .collect();
    json!({
        "displayName": planned.name,
        "signInAudience": "AzureADMyOrg",
        "requiredResourceAccess": [{ "resourceAppId": GRAPH, "resourceAccess": access }],
        "keyCredentials": keys,
    })
}

/// The name of the place that our requests come from.
fn location_name(plan: &Plan) -> String {
    format!("Mailkeep {} egress", plan.tenant)
}

/// `ipNamedLocation` (<https://learn.microsoft.com/graph/api/resources/ipnamedlocation>).
pub(super) fn named_location(plan: &Plan) -> Value {
    let range = |network: &ipnet::IpNet| {
        let kind = if network.addr().is_ipv4() { "iPv4CidrRange" } else { "iPv6CidrRange" };
        json!({
            "@odata.type": format!("#microsoft.graph.{kind}"),
            "cidrAddress": network.to_string(),
        })
    };
    json!({
        "@odata.type": "#microsoft.graph.ipNamedLocation",
        "displayName": location_name(plan),
        "isTrusted": false,
        "ipRanges": plan.egress.iter().map(range).collect::<Vec<_>>(),
    })
}

/// What stands for an object id until the object is there.
pub(super) fn principal_placeholder(planned: &PlannedApplication) -> String {
    format!("<service principal of {}>", planned.name)
}

/// As [`principal_placeholder`].
pub(super) const LOCATION_PLACEHOLDER: &str = "<named location>";

/// `conditionalAccessPolicy` for workload identities
/// (<https://learn.microsoft.com/entra/identity/conditional-access/workload-identity>): it blocks our
/// service principals, and no others, from everywhere but our addresses. It begins as a report.
pub(super) fn access_policy(plan: &Plan) -> Value {
    let principals: Vec<String> = plan.applications.iter().map(principal_placeholder).collect();
    json!({
        "displayName": format!("Mailkeep {}: from our addresses only", plan.tenant),
        "state": "enabledForReportingButNotEnforced",
        "conditions": {
            "applications": { "includeApplications": ["All"] },
            "clientApplications": { "includeServicePrincipals": principals },
            "locations": {
                "includeLocations": ["All"],
                "excludeLocations": [LOCATION_PLACEHOLDER],
            },
        },
        "grantControls": { "operator": "and", "builtInControls": ["block"] },
    })
}
