//! The directory's audit log (Graph: "List directoryAudits", "directoryAudit resource type").

use mailkeep_model::{Actor, ChangedObject, DirectoryChange};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    GraphAuditor, LogPage, Logged,
    fields::{self, Damaged, address, id, needed, seconds, time},
};
use crate::{ExchangeError, graph::client::Ask};

const ACTION: &str = "reading the directory's audit log";
const RIGHT: &str = "AuditLog.Read.All";
/// What applications, service principals and policies are changed under. Asked for one by one: that
/// `category` takes `eq` is documented, and how it goes with `or` is not.
const CATEGORIES: &[&str] = &["ApplicationManagement", "Policy"];
/// Lists the properties that were changed, in its value.
const INCLUDED: &str = "Included Updated Properties";
/// What the log adds for itself.
const OWN: &str = "TargetId.";

impl GraphAuditor {
    /// The changes of applications, service principals and policies from `since` until `until`, both
    /// included. Attempts that failed are left out.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] names the missing right, [`ExchangeError::Unlicensed`] a tenant
    /// without Entra ID P1.
    pub async fn directory_changes(
        &self,
        since: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Logged<DirectoryChange>, ExchangeError> {
        let mut found = Logged::asked_since(since);
        for category in CATEGORIES {
            let filter = format!(
                "category eq '{category}' and activityDateTime ge {} and activityDateTime le {}",
                seconds(since, false),
                seconds(until, true)
            );
            let url = self.graph.url(&["auditLogs", "directoryAudits"], &[("$filter", &filter)]);
            let ask = Ask { action: ACTION.into(), right: RIGHT, mailbox: None, url, prefer: None };
            self.follow(ask, &mut found, parse_directory_changes_page, |_| true).await?;
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    activity_date_time: Option<String>,
    activity_display_name: Option<String>,
    result: Option<String>,
    initiated_by: Option<InitiatedBy>,
    target_resources: Option<Vec<Target>>,
}

#[derive(Deserialize)]
struct InitiatedBy {
    user: Option<User>,
    app: Option<Application>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: Option<String>,
    user_principal_name: Option<String>,
    ip_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    display_name: Option<String>,
    service_principal_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    id: Option<String>,
    display_name: Option<String>,
    /// The documentation writes it both ways.
    #[serde(rename = "type", alias = "Type")]
    kind: Option<String>,
    modified_properties: Option<Vec<Modified>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modified {
    display_name: Option<String>,
    new_value: Option<String>,
}

impl Wire {
    fn read(self) -> Result<Option<DirectoryChange>, Damaged> {
        if self.result.as_deref() == Some("failure") {
            return Ok(None);
        }
        let targets = self.target_resources.unwrap_or_default();
        Ok(Some(DirectoryChange {
            id: needed("id", self.id.filter(|id| !id.is_empty()))?,
            at: needed("time", self.activity_date_time.as_deref().and_then(time))?,
            activity: needed("activity", self.activity_display_name)?.trim().to_owned(),
            actor: self.initiated_by.map_or(Actor::Unknown, InitiatedBy::read),
            targets: targets.into_iter().map(Target::read).collect(),
        }))
    }
}

impl InitiatedBy {
    fn read(self) -> Actor {
        if let Some(user) = self.user
            && let Some(name) = user.user_principal_name.or(user.id).filter(|name| !name.is_empty())
        {
            return Actor::User { name, address: user.ip_address.as_deref().and_then(address) };
        }
        let of = |application: Application| {
            let principal = id(application.service_principal_id)?;
            Some(Actor::Application {
                principal,
                name: application.display_name.unwrap_or_default(),
            })
        };
        self.app.and_then(of).unwrap_or(Actor::Unknown)
    }
}

impl Target {
    fn read(self) -> ChangedObject {
        let mut properties: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            let name = name.trim();
            if !name.is_empty() && !properties.iter().any(|known| known == name) {
                properties.push(name.to_owned());
            }
        };
        for modified in self.modified_properties.unwrap_or_default() {
            match modified.display_name.as_deref().unwrap_or_default() {
                INCLUDED => {
                    let names = modified.new_value.unwrap_or_default();
                    names.trim_matches('"').split(',').for_each(&mut add);
                }
                name if name.starts_with(OWN) => {}
                name => add(name),
            }
        }
        ChangedObject {
            id: id(self.id).unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            name: self.display_name.filter(|name| !name.is_empty()),
            properties,
        }
    }
}

/// Reads a page of the directory's audit log.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no page.
pub fn parse_directory_changes_page(
    body: &[u8],
) -> Result<LogPage<DirectoryChange>, ExchangeError> {
    fields::page(ACTION, body, Wire::read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_changed_what_is_understood_and_what_failed_is_no_change() {
        let entry = |result: &str, by: serde_json::Value| {
            json!({
                "id": "Directory_1", "activityDateTime": "2026-11-27T08:00:00.7215374Z",
                "activityDisplayName": "Update application \u{2013} Certificates and secrets management ",
                "result": result, "initiatedBy": by,
                "targetResources": [{
                    "id": "A-B", "displayName": "Reader", "Type": "Application",
                    "modifiedProperties": [
                        { "displayName": "KeyDescription", "oldValue": "[]", "newValue": "[1]" },
                        {
                            "displayName": "Included Updated Properties", "oldValue": null,
                            "newValue": "\"KeyDescription, AccountEnabled\"",
                        },
                        { "displayName": "TargetId.ServicePrincipalNames", "newValue": "\"x\"" },
                    ],
                }],
            })
        };
        let person = json!({
            "user": { "userPrincipalName": "Eve@x.example", "ipAddress": "203.0.113.5:80" },
            "app": null,
        });
        let application =
            json!({ "user": null, "app": { "servicePrincipalId": "C-D", "displayName": "Thief" } });
        let body = json!({ "value": [
            entry("success", person), entry("failure", json!(null)), entry("success", application),
            entry("success", json!({ "user": null, "app": {} })), { "id": "x" },
        ]});
        let page = parse_directory_changes_page(body.to_string().as_bytes()).unwrap();
        assert_eq!(page.damaged, 1);
        let actors: Vec<Actor> = page.entries.iter().map(|change| change.actor.clone()).collect();
        let eve = Actor::User { name: "Eve@x.example".into(), address: address("203.0.113.5") };
        let thief = Actor::Application { principal: "c-d".into(), name: "Thief".into() };
        assert_eq!(actors, [eve, thief, Actor::Unknown]);
        let change = &page.entries[0];
        assert!(change.activity.ends_with("secrets management"), "{}", change.activity);
        let expected = ChangedObject {
            id: "a-b".into(),
            kind: "Application".into(),
            name: Some("Reader".into()),
            properties: vec!["KeyDescription".into(), "AccountEnabled".into()],
        };
        assert_eq!(change.targets, [expected]);
    }
}
