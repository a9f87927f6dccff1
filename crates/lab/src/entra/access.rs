//! Conditional Access for workload identities: policies that block service principals by the
//! address that they come from
//! (<https://learn.microsoft.com/entra/identity/conditional-access/workload-identity>).

use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;

/// Stands for every service principal of the tenant.
const ALL_PRINCIPALS: &str = "ServicePrincipalsInMyTenant";

/// The policies and named locations of a tenant.
#[derive(Debug, Default)]
pub(crate) struct ConditionalAccess {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    policies: Vec<Policy>,
    locations: Vec<Location>,
}

/// A policy, as the administrator writes it: Graph's form.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Policy {
    #[serde(default = "Uuid::new_v4")]
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) state: State,
    conditions: Conditions,
    grant_controls: GrantControls,
    #[serde(skip)]
    created: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    Enabled,
    Disabled,
    EnabledForReportingButNotEnforced,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Conditions {
    /// Of a policy about service principals: all.
    #[serde(default)]
    applications: Applications,
    client_applications: ClientApplications,
    locations: Locations,
}

/// What is accessed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Applications {
    include_applications: Vec<String>,
}

/// Object ids of service principals.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientApplications {
    include_service_principals: Vec<String>,
    #[serde(default)]
    exclude_service_principals: Vec<String>,
}

/// `All`, `AllTrusted` or ids of named locations.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Locations {
    include_locations: Vec<String>,
    #[serde(default)]
    exclude_locations: Vec<String>,
}

/// Blocking is the only control that there is for service principals.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantControls {
    operator: String,
    built_in_controls: Vec<String>,
}

/// Ranges of addresses (`ipNamedLocation`).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Location {
    #[serde(default = "Uuid::new_v4")]
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    #[serde(default)]
    is_trusted: bool,
    /// `203.0.113.0/24`
    ip_ranges: Vec<String>,
    #[serde(skip)]
    created: i64,
}

/// What a policy came to for one sign-in.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    /// `failure`, `notApplied`, `notEnabled`, `reportOnlyFailure` or `reportOnlyNotApplied`.
    pub(crate) result: &'static str,
}

impl Applied {
    pub(crate) fn to_json(&self) -> Value {
        let blocks = matches!(self.result, "failure" | "reportOnlyFailure");
        json!({
            "id": self.id,
            "displayName": self.display_name,
            "enforcedGrantControls": if blocks { json!(["Block"]) } else { json!([]) },
            "enforcedSessionControls": [],
            "result": self.result,
        })
    }
}

impl ConditionalAccess {
    /// Replaces policies and locations.
    pub(crate) fn set(
        &self,
        mut policies: Vec<Policy>,
        mut locations: Vec<Location>,
        now: i64,
    ) -> Result<(), String> {
        for policy in &mut policies {
            policy.created = now;
            if policy.grant_controls.built_in_controls != ["block"] {
                return Err("service principals can only be blocked: builtInControls [\"block\"]"
                    .to_owned());
            }
        }
        let everything = |policy: &Policy| {
            let included = &policy.conditions.applications.include_applications;
            included.is_empty() || included == &["All"]
        };
        if !policies.iter().all(everything) {
            return Err("policies about service principals are about all applications".to_owned());
        }
        for location in &mut locations {
            location.created = now;
            if let Some(bad) = location.ip_ranges.iter().find(|range| Range::parse(range).is_none())
            {
                return Err(format!("'{bad}' is no range of addresses"));
            }
        }
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Inner { policies, locations };
        Ok(())
    }

    /// What each policy comes to for a service principal that comes from an address.
    pub(crate) fn evaluate(&self, principal: Uuid, address: IpAddr) -> Vec<Applied> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner
            .policies
            .iter()
            .map(|policy| Applied {
                id: policy.id,
                display_name: policy.display_name.clone(),
                result: match (policy.state, policy.fits(principal, address, &inner.locations)) {
                    (State::Disabled, _) => "notEnabled",
                    (State::Enabled, true) => "failure",
                    (State::Enabled, false) => "notApplied",
                    (State::EnabledForReportingButNotEnforced, true) => "reportOnlyFailure",
                    (State::EnabledForReportingButNotEnforced, false) => "reportOnlyNotApplied",
                },
            })
            .collect()
    }

    pub(crate) fn blocks(&self, principal: Uuid, address: IpAddr) -> bool {
        self.evaluate(principal, address).iter().any(|applied| applied.result == "failure")
    }

    pub(crate) fn policies(&self) -> Vec<Value> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.policies.iter().map(Policy::to_json).collect()
    }

    pub(crate) fn locations(&self) -> Vec<Value> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.locations.iter().map(Location::to_json).collect()
    }
}

impl Policy {
    fn fits(&self, principal: Uuid, address: IpAddr, known: &[Location]) -> bool {
        let id = principal.to_string();
        let whom = &self.conditions.client_applications;
        let named = |list: &[String]| {
            list.iter().any(|one| one == ALL_PRINCIPALS || one.eq_ignore_ascii_case(&id))
        };
        let place = &self.conditions.locations;
        let lies_in = |list: &[String]| {
            list.iter().any(|one| match one.as_str() {
                "All" => true,
                "AllTrusted" => known.iter().any(|l| l.is_trusted && l.holds(address)),
                id => known.iter().any(|l| l.id.to_string() == id && l.holds(address)),
            })
        };
        named(&whom.include_service_principals)
            && !named(&whom.exclude_service_principals)
            && lies_in(&place.include_locations)
            && !lies_in(&place.exclude_locations)
    }

    /// `conditionalAccessPolicy`
    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "displayName": self.display_name,
            "createdDateTime": clock::iso(self.created),
            "modifiedDateTime": null,
            "state": self.state,
            "conditions": {
                "applications": {
                    "includeApplications": ["All"],
                    "excludeApplications": [],
                    "includeUserActions": [],
                },
                "clientApplications": self.conditions.client_applications,
                "clientAppTypes": ["all"],
                "locations": self.conditions.locations,
                "servicePrincipalRiskLevels": [],
                "userRiskLevels": [],
                "signInRiskLevels": [],
                "users": null,
                "platforms": null,
                "devices": null,
            },
            "grantControls": {
                "operator": self.grant_controls.operator,
                "builtInControls": self.grant_controls.built_in_controls,
                "customAuthenticationFactors": [],
                "termsOfUse": [],
            },
            "sessionControls": null,
        })
    }
}

impl Location {
    fn holds(&self, address: IpAddr) -> bool {
        self.ip_ranges
            .iter()
            .filter_map(|range| Range::parse(range))
            .any(|range| range.holds(address))
    }

    /// `ipNamedLocation`
    fn to_json(&self) -> Value {
        let range = |text: &String| {
            let kind = if text.contains(':') { "iPv6CidrRange" } else { "iPv4CidrRange" };
            json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "cidrAddress": text })
        };
        json!({
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "id": self.id,
            "displayName": self.display_name,
            "createdDateTime": clock::iso(self.created),
            "modifiedDateTime": null,
            "isTrusted": self.is_trusted,
            "ipRanges": self.ip_ranges.iter().map(range).collect::<Vec<_>>(),
        })
    }
}

/// A range of addresses.
struct Range {
    base: IpAddr,
    bits: u32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        let bits = bits.parse().ok()?;
        (bits <= if base.is_ipv4() { 32 } else { 128 }).then_some(Self { base, bits })
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let kept = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                base.to_bits() & kept == address.to_bits() & kept
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let kept = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                base.to_bits() & kept == address.to_bits() & kept
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_own_addresses_and_no_others() {
        let holds = |range: &str, address: &str| {
            Range::parse(range).is_some_and(|range| range.holds(address.parse().unwrap()))
        };
        assert!(holds("127.0.0.2/32", "127.0.0.2") && !holds("127.0.0.2/32", "127.0.0.1"));
        assert!(holds("127.0.0.0/8", "127.9.9.9") && !holds("127.0.0.0/8", "128.0.0.1"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("127.0.0.2/32", "::ffff:127.0.0.2"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && holds("::/0", "2001:db8::1"));
        for bad in ["127.0.0.1", "127.0.0.1/33", "x/8", "::1/129"] {
            assert!(Range::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_policy_blocks_whom_it_names_where_it_says() {
        let access = ConditionalAccess::default();
        let (principal, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let home = Uuid::from_u128(3);
        let policy = |state: &str| {
            serde_json::from_value::<Policy>(json!({
                "displayName": "egress",
                "state": state,
                "conditions": {
                    "clientApplications": {
                        "includeServicePrincipals": ["ServicePrincipalsInMyTenant"],
                        "excludeServicePrincipals": [other],
                    },
                    "locations": { "includeLocations": ["All"], "excludeLocations": [home] },
                },
                "grantControls": { "operator": "and", "builtInControls": ["block"] },
            }))
            .unwrap()
        };
        let location = json!({ "id": home, "displayName": "home", "ipRanges": ["127.0.0.1/32"] });
        let location: Location = serde_json::from_value(location).unwrap();
        access.set(vec![policy("enabled")], vec![location.clone()], 0).unwrap();
        let (here, there): (IpAddr, IpAddr) =
            ("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
        assert!(access.blocks(principal, there) && !access.blocks(principal, here));
        assert!(!access.blocks(other, there));
        access.set(vec![policy("enabledForReportingButNotEnforced")], vec![location], 0).unwrap();
        assert!(!access.blocks(principal, there));
        assert_eq!(access.evaluate(principal, there)[0].result, "reportOnlyFailure");
    }
}
