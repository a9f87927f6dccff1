//! Conditional Access for service principals (Graph: "List conditionalAccessPolicies", "List
//! namedLocations").

use mailkeep_model::{AccessPolicy, AccessRules, NamedLocation, PolicyState};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    GraphAuditor, LogPage,
    fields::{self, Damaged, id, needed},
};
use crate::{
    ExchangeError,
    graph::{client::Ask, pages},
};

const ACTION: &str = "reading the Conditional Access policies";
const RIGHT: &str = "Policy.Read.All";
const BASE: [&str; 2] = ["identity", "conditionalAccess"];
/// Pages of a list. A tenant may have some hundred policies and locations.
const MAX_PAGES: usize = 100;

impl GraphAuditor {
    /// What the tenant's Conditional Access says of service principals.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] names the missing right; [`ExchangeError::Protocol`] when one of
    /// the policies or locations is not understood: nobody may take it for absent.
    pub async fn access_policies(&self) -> Result<AccessRules, ExchangeError> {
        let policies = self.list_of("policies", parse_access_policies_page).await?;
        let locations = self.list_of("namedLocations", parse_named_locations_page).await?;
        Ok(AccessRules { policies, locations })
    }

    async fn list_of<T>(
        &self,
        what: &str,
        read: fn(&[u8]) -> Result<LogPage<T>, ExchangeError>,
    ) -> Result<Vec<T>, ExchangeError> {
        let url = self.graph.url(&[&BASE[..], &[what]].concat(), &[]);
        let mut ask = Ask { action: ACTION.into(), right: RIGHT, mailbox: None, url, prefer: None };
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let body = pages::page(&self.graph, &ask).await?;
            let page = read(&body).map_err(|error| self.graph.explained(&ask, error))?;
            if page.damaged > 0 {
                return Err(self.graph.unfit(&ask, "one of them is not understood"));
            }
            all.extend(page.entries);
            let Some(link) = page.next else { return Ok(all) };
            ask.url = self.graph.link(ACTION, &link)?;
        }
        Err(self.graph.unfit(&ask, "the list goes on for ever"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePolicy {
    id: Option<String>,
    display_name: Option<String>,
    state: Option<String>,
    conditions: Option<Conditions>,
    grant_controls: Option<GrantControls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conditions {
    client_applications: Option<ClientApplications>,
    locations: Option<Locations>,
    applications: Option<Applications>,
    /// Conditions of other kinds, those that were not there when this was written among them.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Applications {
    include_applications: Option<Vec<String>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientApplications {
    include_service_principals: Option<Vec<String>>,
    exclude_service_principals: Option<Vec<String>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locations {
    include_locations: Option<Vec<String>>,
    exclude_locations: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrantControls {
    built_in_controls: Option<Vec<String>>,
}

impl WirePolicy {
    /// `None` for a policy about people.
    fn read(self) -> Result<Option<AccessPolicy>, Damaged> {
        let conditions = needed("conditions", self.conditions)?;
        let whom = conditions.client_applications;
        let mut narrowed_by = narrowing(&conditions.others);
        if let Some(applications) = conditions.applications {
            narrowed_by.extend(narrowing(&applications.others));
            let all = |named: &String| named.eq_ignore_ascii_case(AccessPolicy::EVERYWHERE);
            if applications.include_applications.is_some_and(|some| !some.iter().any(all)) {
                narrowed_by.push("includeApplications".to_owned());
            }
        }
        let (principals, principals_excluded) = whom.map_or_else(Default::default, |whom| {
            narrowed_by.extend(narrowing(&whom.others));
            (names(whom.include_service_principals), names(whom.exclude_service_principals))
        });
        if principals.is_empty() && principals_excluded.is_empty() {
            return Ok(None);
        }
        let place = conditions.locations.unwrap_or(Locations {
            // A policy that names no place holds everywhere.
            include_locations: Some(vec![AccessPolicy::EVERYWHERE.to_owned()]),
            exclude_locations: None,
        });
        let controls = self.grant_controls.and_then(|one| one.built_in_controls);
        Ok(Some(AccessPolicy {
            id: needed("id", id(self.id))?,
            name: self.display_name.unwrap_or_default(),
            state: state(self.state.as_deref()),
            principals,
            principals_excluded,
            locations: names(place.include_locations),
            locations_excluded: names(place.exclude_locations),
            blocks: controls.unwrap_or_default().iter().any(|control| control == "block"),
            narrowed_by,
        }))
    }
}

/// The conditions among these that say something. What they say does not matter: under none of them
/// a policy holds for every sign-in.
fn narrowing(conditions: &Map<String, Value>) -> Vec<String> {
    let said = conditions.iter().filter(|(name, value)| {
        let of_people = matches!(name.as_str(), "users" | "clientAppTypes" | "@odata.type");
        !of_people && says_something(value)
    });
    said.map(|(name, _)| name.clone()).collect()
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => all.values().any(says_something),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn state(told: Option<&str>) -> PolicyState {
    match told.unwrap_or_default() {
        "enabled" => PolicyState::Enabled,
        "enabledForReportingButNotEnforced" => PolicyState::ReportOnly,
        "disabled" => PolicyState::Disabled,
        _ => PolicyState::Unknown,
    }
}

/// Ids in lower case; the words that stand for many are left as they are.
fn names(told: Option<Vec<String>>) -> Vec<String> {
    const WORDS: [&str; 3] =
        [AccessPolicy::ALL_PRINCIPALS, AccessPolicy::EVERYWHERE, AccessPolicy::TRUSTED];
    let name = |name: String| match WORDS.iter().find(|word| name.eq_ignore_ascii_case(word)) {
        Some(word) => (*word).to_owned(),
        None => name.to_lowercase(),
    };
    told.unwrap_or_default().into_iter().map(name).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLocation {
    id: Option<String>,
    display_name: Option<String>,
    is_trusted: Option<bool>,
    ip_ranges: Option<Vec<IpRange>>,
    countries_and_regions: Option<Vec<String>>,
    include_unknown_countries_and_regions: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IpRange {
    cidr_address: String,
}

impl WireLocation {
    fn read(self) -> Result<Option<NamedLocation>, Damaged> {
        let ranges = self.ip_ranges.unwrap_or_default();
        let mut countries = self.countries_and_regions.unwrap_or_default();
        if self.include_unknown_countries_and_regions.unwrap_or_default() {
            countries.push("unknown".to_owned());
        }
        Ok(Some(NamedLocation {
            id: needed("id", id(self.id))?,
            name: self.display_name.unwrap_or_default(),
            trusted: self.is_trusted.unwrap_or_default(),
            ranges: ranges.into_iter().map(|range| range.cidr_address).collect(),
            countries,
        }))
    }
}

fn page<W: DeserializeOwned, T>(
    body: &[u8],
    read: fn(W) -> Result<Option<T>, Damaged>,
) -> Result<LogPage<T>, ExchangeError> {
    fields::page(ACTION, body, read)
}

/// Reads a page of policies; those about people are left out.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no page.
pub fn parse_access_policies_page(body: &[u8]) -> Result<LogPage<AccessPolicy>, ExchangeError> {
    page(body, WirePolicy::read)
}

/// Reads a page of named locations.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no page.
pub fn parse_named_locations_page(body: &[u8]) -> Result<LogPage<NamedLocation>, ExchangeError> {
    page(body, WireLocation::read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_that_holds_only_sometimes_says_when() {
        let policy = |condition: &str, value: serde_json::Value| {
            let mut policy = json!({
                "id": "P", "state": "enabled",
                "conditions": {
                    "clientAppTypes": ["all"],
                    "applications": { "includeApplications": ["All"], "excludeApplications": [] },
                    "clientApplications": { "includeServicePrincipals": ["X"] },
                    "servicePrincipalRiskLevels": [],
                },
            });
            policy["conditions"][condition] = value;
            let page = json!({ "value": [policy] });
            let page = parse_access_policies_page(page.to_string().as_bytes()).unwrap();
            page.entries[0].narrowed_by.clone()
        };
        assert!(policy("platforms", json!(null)).is_empty());
        assert_eq!(
            policy("servicePrincipalRiskLevels", json!(["high"])),
            ["servicePrincipalRiskLevels"]
        );
        assert_eq!(
            policy("applications", json!({"includeApplications": ["none"]})),
            ["includeApplications"]
        );
        let filter = json!({"includeServicePrincipals": ["X"], "servicePrincipalFilter": {"mode": "exclude", "rule": "y"}});
        assert_eq!(policy("clientApplications", filter), ["servicePrincipalFilter"]);
        assert_eq!(policy("somethingNew", json!({"level": "x"})), ["somethingNew"]);
    }

    #[test]
    fn policies_about_people_are_left_out_and_one_without_places_holds_everywhere() {
        let body = json!({ "value": [
            {
                "id": "P1", "displayName": "people", "state": "enabled",
                "conditions": { "users": { "includeUsers": ["All"] }, "clientApplications": null },
            },
            {
                "id": "P2", "state": "enabledForReportingButNotEnforced",
                "conditions": { "clientApplications": {
                    "includeServicePrincipals": ["servicePrincipalsInMyTenant", "A-B"],
                } },
                "grantControls": { "operator": "and", "builtInControls": ["block"] },
            },
            { "id": "P3", "state": "new", "conditions": {
                "clientApplications": { "includeServicePrincipals": ["X"] },
                "locations": { "includeLocations": ["all"], "excludeLocations": ["L-1"] },
            } },
            { "id": "P4" },
        ]});
        let page = parse_access_policies_page(body.to_string().as_bytes()).unwrap();
        assert_eq!(page.damaged, 1);
        let [second, third] = &page.entries[..] else { panic!("{page:?}") };
        assert_eq!(second.principals, [AccessPolicy::ALL_PRINCIPALS, "a-b"]);
        assert_eq!((second.state, second.blocks), (PolicyState::ReportOnly, true));
        assert_eq!(second.locations, [AccessPolicy::EVERYWHERE]);
        assert_eq!((third.state, third.blocks), (PolicyState::Unknown, false));
        assert!(second.narrowed_by.is_empty() && third.narrowed_by.is_empty());
        assert_eq!(
            (&third.locations[..], &third.locations_excluded[..]),
            (&["All".into()][..], &["l-1".into()][..])
        );
    }
}
