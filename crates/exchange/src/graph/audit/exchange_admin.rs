//! What Exchange's administrators changed, by a query of the services' audit log
//! (<https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema#exchange-admin-schema>).
//! It needs no right that reads of mail do not need, and comes sooner than any snapshot of the configuration.

use mailkeep_model::{ExchangeChange, ExchangePart, ModifiedProperty};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    GraphAuditor, LogPage, Logged,
    fields::{self, Damaged, address, needed, time},
};
use crate::ExchangeError;

const ACTION: &str = "searching the audit log for changes of Exchange's configuration";
/// Parameters and properties of one record that are kept, and bytes of each: a rule may list thousands of
/// addresses.
const MOST: usize = 100;
const LONGEST: usize = 2_000;
/// Of no use to anybody who was not there.
const NOISE: &[&str] = &["DomainController", "Confirm"];

/// `auditData` of a record.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    id: Option<String>,
    creation_time: Option<String>,
    operation: Option<String>,
    object_id: Option<String>,
    user_id: Option<String>,
    #[serde(rename = "ClientIP")]
    client_ip: Option<String>,
    result_status: Option<String>,
    #[serde(default)]
    parameters: Vec<Named>,
    #[serde(default)]
    modified_properties: Vec<Modified>,
}

/// Values are texts, usually.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modified {
    name: String,
    #[serde(default)]
    old_value: Value,
    #[serde(default)]
    new_value: Value,
}

/// `auditLogRecord`: what all records have, and the record itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    created_date_time: Option<String>,
    operation: Option<String>,
    audit_data: Record,
}

impl GraphAuditor {
    /// The changes of Exchange's configuration from `since` until before `until`, as the audit log has them
    /// by now: of those parts that decide where mail goes, who reads it and what is logged of that.
    ///
    /// # Errors
    /// As for [`GraphAuditor::mail_accesses`].
    pub async fn exchange_changes(
        &self,
        since: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Logged<ExchangeChange>, ExchangeError> {
        let commands: Vec<&str> = ExchangePart::commands().collect();
        self.search(ACTION, since, until, &commands, parse_exchange_changes_page).await
    }
}

impl Wire {
    fn read(self) -> Result<Option<ExchangeChange>, Damaged> {
        let record = self.audit_data;
        let command = needed("operation", record.operation.or(self.operation))?;
        if ExchangePart::of_command(&command).is_none() {
            return Ok(None);
        }
        let id = record.id.or(self.id).filter(|id| !id.is_empty());
        let at = record.creation_time.or(self.created_date_time);
        let is_kept = |one: &Named| !NOISE.iter().any(|noise| one.name.eq_ignore_ascii_case(noise));
        let parameters = record.parameters.into_iter().filter(is_kept).take(MOST);
        let modified = record.modified_properties.into_iter().take(MOST);
        let filled =
            |text: Option<String>| text.map(|one| short(&one)).filter(|one| !one.is_empty());
        let failed = record.result_status.is_some_and(|told| {
            ["false", "failed"].iter().any(|word| told.eq_ignore_ascii_case(word))
        });
        Ok(Some(ExchangeChange {
            id: needed("id", id)?,
            at: needed("time", at.as_deref().and_then(time))?,
            command,
            object: filled(record.object_id),
            user: filled(record.user_id)
                .unwrap_or_else(|| "somebody whom the log does not name".into()),
            address: record.client_ip.as_deref().and_then(address),
            parameters: parameters
                .map(|one| (short(&one.name), value(&one.value).unwrap_or_default()))
                .collect(),
            modified: modified
                .map(|one| ModifiedProperty {
                    name: short(&one.name),
                    before: value(&one.old_value),
                    after: value(&one.new_value),
                })
                .collect(),
            succeeded: !failed,
        }))
    }
}

/// A value as a text; `None`: there is none.
fn value(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(short(text)),
        other => Some(short(&other.to_string())),
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

/// Reads a page of what a query for changes of Exchange's configuration found. Those of other parts are left out.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no page.
pub fn parse_exchange_changes_page(body: &[u8]) -> Result<LogPage<ExchangeChange>, ExchangeError> {
    fields::page(ACTION, body, Wire::read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(records: &[Value]) -> LogPage<ExchangeChange> {
        let value: Vec<Value> = records
            .iter()
            .map(|data| json!({ "id": "outer", "createdDateTime": "2026-11-27T08:00:00Z", "auditData": data }))
            .collect();
        parse_exchange_changes_page(json!({ "value": value }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn who_changed_what_to_what_from_where_is_understood() {
        let page = page(&[json!({
            "Id": "r1", "CreationTime": "2026-11-27T08:00:00", "RecordType": 1,
            "Operation": "Set-TransportRule", "ObjectId": "x.example\\Copy", "ResultStatus": "True",
            "UserId": "admin@x.example", "ClientIP": "[203.0.113.5]:443", "ExternalAccess": false,
            "Parameters": [
                { "Name": "Identity", "Value": "Copy" },
                { "Name": "DomainController", "Value": "" },
                { "Name": "Enabled", "Value": true },
            ],
            "ModifiedProperties": [{ "Name": "BlindCopyTo", "OldValue": "", "NewValue": "eve@y.example" }],
        })]);
        let [change] = &page.entries[..] else { panic!("{page:?}") };
        assert_eq!((change.part(), change.subject()), (Some(ExchangePart::TransportRule), "Copy"));
        assert_eq!(change.address, "203.0.113.5".parse().ok());
        let parameters =
            [("Identity".to_owned(), "Copy".to_owned()), ("Enabled".into(), "true".into())];
        assert_eq!(change.parameters, parameters);
        assert_eq!(change.modified[0].after.as_deref(), Some("eve@y.example"));
        assert!(change.succeeded);
    }

    #[test]
    fn a_record_of_any_length_is_cut_and_a_damaged_one_hides_no_other() {
        let long = "é".repeat(5_000);
        let many: Vec<Value> =
            (0..500).map(|n| json!({ "Name": format!("p{n}"), "Value": long })).collect();
        let found = page(&[
            json!({ "Operation": "New-JournalRule", "Parameters": many, "ResultStatus": "Failed" }),
            json!({ "Operation": "New-JournalRule", "CreationTime": "yesterday" }),
            json!({ "Operation": "Get-JournalRule" }),
            json!({ "Operation": "New-JournalRule", "Parameters": "none" }),
        ]);
        assert_eq!((found.entries.len(), found.damaged), (1, 2));
        let change = &found.entries[0];
        assert_eq!((change.parameters.len(), change.parameters[0].1.len()), (MOST, LONGEST));
        assert_eq!((change.id.as_str(), change.succeeded), ("outer", false));
    }
}
