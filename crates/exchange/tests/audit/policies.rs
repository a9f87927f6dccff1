use mailkeep_model::{AccessPolicy, PolicyState};
use serde_json::json;

use crate::world::{World, is_missing};

#[tokio::test(flavor = "multi_thread")]
async fn from_where_tokens_are_given_out_is_told() {
    let world = World::new().await;
    let auditor = world.auditor();
    assert_eq!(auditor.access_policies().await.unwrap(), mailkeep_model::AccessRules::default());
    let (home, principal) = (uuid::Uuid::new_v4(), world.auditor.service_principal_id);
    let policy = |state: &str| {
        json!({
            "displayName": "egress", "state": state,
            "conditions": {
                "clientApplications": { "includeServicePrincipals": [principal] },
                "locations": { "includeLocations": ["All"], "excludeLocations": [home] },
            },
            "grantControls": { "operator": "and", "builtInControls": ["block"] },
        })
    };
    let order = json!({
        "policies": [policy("enabled"), policy("enabledForReportingButNotEnforced"), policy("disabled")],
        "locations": [{
            "id": home, "displayName": "home", "isTrusted": true,
            "ipRanges": ["127.0.0.1/32", "2001:db8::/32"],
        }],
    });
    world.site.order("conditional-access", order).await;
    let rules = auditor.access_policies().await.unwrap();
    let states: Vec<PolicyState> = rules.policies.iter().map(|policy| policy.state).collect();
    assert_eq!(states, [PolicyState::Enabled, PolicyState::ReportOnly, PolicyState::Disabled]);
    for policy in &rules.policies {
        assert_eq!(policy.principals, [principal.to_string()]);
        assert_eq!(policy.locations, [AccessPolicy::EVERYWHERE]);
        assert_eq!(policy.locations_excluded, [home.to_string()]);
        assert!(policy.blocks && policy.name == "egress" && policy.principals_excluded.is_empty());
    }
    let [location] = &rules.locations[..] else { panic!("{rules:?}") };
    assert_eq!(location.ranges, ["127.0.0.1/32", "2001:db8::/32"]);
    assert!(location.trusted && location.id == home.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_missing_right_is_named() {
    let world = World::without("Policy.Read.All").await;
    let error = world.auditor().access_policies().await.unwrap_err();
    is_missing(&error, "Policy.Read.All");
}
