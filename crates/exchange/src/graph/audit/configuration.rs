//! Exchange's configuration as it stands, by snapshots of Tenant Configuration Management
//! (<https://learn.microsoft.com/graph/api/configurationbaseline-createsnapshot>,
//! <https://learn.microsoft.com/graph/api/resources/configurationsnapshotjob>).
//!
//! A snapshot is a job at the provider that takes minutes or longer, and there are limits: some 20,000
//! objects a tenant and month, twelve jobs that are kept. What is not among its resource types is not seen
//! at all: audit bypass and management scopes are not.

use std::collections::BTreeMap;

use mailkeep_model::{ExchangeObject, ExchangePart};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, macros::format_description};

use super::GraphAuditor;
use crate::{ExchangeError, graph::client::Ask};

/// What ordering a snapshot needs: there is none that does less. It changes nothing of a tenant's
/// configuration but these jobs and monitors.
const RIGHT: &str = "ConfigurationMonitoring.ReadWrite.All";
const ACTION: &str = "taking a snapshot of Exchange's configuration";
const ROOT: [&str; 2] = ["admin", "configurationManagement"];
/// What is in front of each kind of object.
const EXCHANGE: &str = "microsoft.exchange.";
/// The resource types that are asked for, and the part of the configuration that each is.
const RESOURCES: &[(&str, ExchangePart)] = &[
    ("microsoft.exchange.transportrule", ExchangePart::TransportRule),
    ("microsoft.exchange.journalrule", ExchangePart::JournalRule),
    ("microsoft.exchange.inboundconnector", ExchangePart::Connector),
    ("microsoft.exchange.outboundconnector", ExchangePart::Connector),
    ("microsoft.exchange.remotedomain", ExchangePart::Forwarding),
    ("microsoft.exchange.hostedoutboundspamfilterpolicy", ExchangePart::Forwarding),
    ("microsoft.exchange.managementroleassignment", ExchangePart::Scope),
    ("microsoft.exchange.applicationaccesspolicy", ExchangePart::Scope),
    ("microsoft.exchange.organizationconfig", ExchangePart::Audit),
];
/// Of what has hundreds of properties, those that matter here.
const ONLY: &[(&str, &[&str])] = &[
    ("microsoft.exchange.organizationconfig", &["AuditDisabled"]),
    ("microsoft.exchange.remotedomain", &["DomainName", "AutoForwardEnabled"]),
    ("microsoft.exchange.hostedoutboundspamfilterpolicy", &["AutoForwardingMode"]),
];
/// Properties that say how the provider tells, and nothing of what is there.
const NOISE: &[&str] = &[
    // It is the object's name.
    "Identity",
    "Ensure",
    "Credential",
    "ApplicationId",
    "TenantId",
    "CertificateThumbprint",
    "CertificatePath",
    "CertificatePassword",
    "ManagedIdentity",
    "AccessTokens",
    "IsSingleInstance",
];
/// Objects of one snapshot that are kept, and bytes of a property.
const MOST: usize = 2_000;
const LONGEST: usize = 2_000;

/// How a snapshot stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationSnapshot {
    /// The provider works on it.
    UnderWay,
    /// What it holds. Of a part that could not be taken `failed` has the provider's words: then what is
    /// missing may be there.
    Taken {
        /// The objects.
        objects: Vec<ExchangeObject>,
        /// Why it is not whole.
        failed: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    id: String,
    #[serde(default)]
    status: String,
    resource_location: Option<String>,
    #[serde(default)]
    error_details: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Baseline {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    display_name: Option<String>,
    resource_type: String,
    #[serde(default)]
    properties: Option<Map<String, Value>>,
}

impl GraphAuditor {
    /// Has a snapshot taken; its job's id. When the answer is lost there is one more, which ends by itself.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] names the right that is missing.
    pub async fn order_configuration(&self, now: OffsetDateTime) -> Result<String, ExchangeError> {
        let ask = self.ask_configuration(&["configurationSnapshots", "createSnapshot"], &[]);
        let resources: Vec<&str> = RESOURCES.iter().map(|(name, _)| *name).collect();
        // Letters, digits and spaces only, 32 at most; a name that is there already is refused.
        let form = format_description!("[year][month][day][hour][minute][second]");
        let order = json!({
            "displayName": format!("Mailkeep {}", now.format(&form).unwrap_or_default()),
            "description": "Mailkeep looks whether mail goes where it should",
            "resources": resources,
        });
        let answer = self.graph.change(&ask, Method::POST, Some(order.to_string().into())).await?;
        let job: Job = serde_json::from_slice(&answer)
            .map_err(|error| self.graph.unfit(&ask, &format!("not understood: {error}")))?;
        Ok(job.id)
    }

    /// How a snapshot stands that was ordered.
    ///
    /// # Errors
    /// [`ExchangeError::NotFound`] when the provider has forgotten it (after seven days, or because an
    /// administrator took the job away); [`ExchangeError::Protocol`] when it gave it up.
    pub async fn configuration(&self, job: &str) -> Result<ConfigurationSnapshot, ExchangeError> {
        let select = [("$select", "id,status,resourceLocation,errorDetails")];
        let mut ask = self.ask_configuration(&["configurationSnapshotJobs", job], &select);
        // Without it, one that succeeded in part is told as an unknown state.
        ask.prefer = Some("include-unknown-enum-members".to_owned());
        let job: Job = self.graph.json(&ask).await?;
        let failed = job.error_details.unwrap_or_default();
        match job.status.as_str() {
            "succeeded" | "partiallySuccessful" => {}
            "failed" => {
                let reason = format!("the provider gave it up: {}", failed.join("; "));
                return Err(self.graph.unfit(&ask, &reason));
            }
            _ => return Ok(ConfigurationSnapshot::UnderWay),
        }
        let location = job.resource_location.filter(|location| !location.is_empty());
        let Some(location) = location else {
            return Err(self.graph.unfit(&ask, "the snapshot is taken and lies nowhere"));
        };
        let look = Ask { url: self.graph.link(ACTION, &location)?, ..ask };
        let body = self.graph.body(&look).await?;
        let parsed = parse_configuration(&body);
        let (objects, cut) = parsed.map_err(|error| self.graph.explained(&look, error))?;
        let failed = failed.into_iter().chain(cut).collect();
        Ok(ConfigurationSnapshot::Taken { objects, failed })
    }

    /// Takes a snapshot's job away: only a dozen are kept, and others may want theirs.
    ///
    /// # Errors
    /// What the provider refuses; that it is gone is none.
    pub async fn forget_configuration(&self, job: &str) -> Result<(), ExchangeError> {
        let ask = self.ask_configuration(&["configurationSnapshotJobs", job], &[]);
        match self.graph.change(&ask, Method::DELETE, None).await {
            Ok(_) | Err(ExchangeError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn ask_configuration(&self, below: &[&str], query: &[(&str, &str)]) -> Ask<'static> {
        let url = self.graph.url(&[&ROOT[..], below].concat(), query);
        Ask { action: ACTION.into(), right: RIGHT, mailbox: None, url, prefer: None }
    }
}

/// Reads a snapshot (`configurationBaseline`): its objects, and why these are not all, if so. Objects of other
/// kinds are left out.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are none.
pub fn parse_configuration(
    body: &[u8],
) -> Result<(Vec<ExchangeObject>, Option<String>), ExchangeError> {
    let baseline: Baseline = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(ACTION, format!("not understood: {error}")))?;
    let mut objects: Vec<ExchangeObject> =
        baseline.resources.into_iter().filter_map(Resource::read).collect();
    let all = objects.len();
    objects.truncate(MOST);
    let cut =
        (all > MOST).then(|| format!("{all} objects are there, and {MOST} of them were read"));
    Ok((objects, cut))
}

impl Resource {
    fn read(self) -> Option<ExchangeObject> {
        let kind = self.resource_type.to_lowercase();
        let (_, part) = RESOURCES.iter().find(|(name, _)| *name == kind)?;
        let properties = self.properties.unwrap_or_default();
        let text = |name: &str| properties.get(name).and_then(Value::as_str);
        let name = text("Identity").or_else(|| text("Name")).or(self.display_name.as_deref());
        let name = match part {
            // There is one.
            ExchangePart::Audit => "organization".to_owned(),
            _ => short(name?),
        };
        let only = ONLY.iter().find(|(one, _)| *one == kind).map(|(_, names)| *names);
        let is_told = |property: &&String| {
            !NOISE.contains(&property.as_str())
                && only.is_none_or(|only| only.contains(&property.as_str()))
        };
        let told: BTreeMap<String, String> = properties
            .keys()
            .filter(is_told)
            .filter_map(|property| Some((property.clone(), value(&properties[property])?)))
            .collect();
        let kind = kind.strip_prefix(EXCHANGE).unwrap_or(&kind).to_owned();
        Some(ExchangeObject { part: *part, kind, name, properties: told })
    }
}

/// A value as a text, the same whatever order a list is told in; `None`: there is none.
fn value(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(short(text)),
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) => {
            let mut texts: Vec<String> = list.iter().filter_map(self::value).collect();
            texts.sort();
            Some(short(&texts.join(", ")))
        }
        other => Some(short(&other.to_string())),
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_where_mail_goes_is_read_and_the_rest_is_left() {
        let body = json!({
            "id": "1", "displayName": "Mailkeep 1", "parameters": [],
            "resources": [
                {
                    "displayName": "Rule", "resourceType": "microsoft.exchange.TransportRule",
                    "properties": {
                        "Name": "Copy", "BlindCopyTo": ["b@y.example", "a@y.example"], "Enabled": true,
                        "Ensure": "Present", "Comments": "", "From": [], "TenantId": "x", "Priority": null,
                    },
                },
                {
                    "displayName": "Organization", "resourceType": "microsoft.exchange.organizationconfig",
                    "properties": { "AuditDisabled": false, "IsSingleInstance": "Yes", "Hundreds": 1 },
                },
                { "resourceType": "microsoft.exchange.sharedmailbox", "properties": { "Identity": "x" } },
                { "resourceType": "microsoft.exchange.journalrule" },
            ],
        });
        let (found, cut) = parse_configuration(body.to_string().as_bytes()).unwrap();
        assert_eq!(cut, None);
        let [rule, organization] = &found[..] else { panic!("{found:?}") };
        assert_eq!((rule.part, rule.name.as_str()), (ExchangePart::TransportRule, "Copy"));
        assert_eq!(rule.kind, "transportrule");
        let told: Vec<(&str, &str)> =
            rule.properties.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(
            told,
            [("BlindCopyTo", "a@y.example, b@y.example"), ("Enabled", "true"), ("Name", "Copy")]
        );
        assert_eq!(organization.properties.len(), 1);
        assert!(parse_configuration(b"[]").is_err() && parse_configuration(b"{}").is_err());
    }

    #[test]
    fn a_snapshot_that_was_cut_off_says_that_more_is_there() {
        let parsed = |number: usize| {
            let rule = |name: usize| json!({ "resourceType": "microsoft.exchange.transportrule", "properties": { "Name": name.to_string() } });
            let body = json!({ "resources": (0..number).map(rule).collect::<Vec<_>>() });
            let (objects, cut) = parse_configuration(body.to_string().as_bytes()).unwrap();
            (objects.len(), cut)
        };
        assert_eq!(parsed(MOST), (MOST, None));
        let (kept, cut) = parsed(MOST + 1);
        assert_eq!(kept, MOST);
        assert!(cut.unwrap().contains("2001 objects"), "what is not read is not gone");
    }
}
