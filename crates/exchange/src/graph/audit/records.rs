//! Records of accesses to mail, which come the same way from a query and from the feed
//! (<https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema>,
//! <https://learn.microsoft.com/purview/audit-log-investigate-accounts>).

use mailkeep_model::{AccessedMessage, Breadth, MailAccess};
use serde::Deserialize;
use serde_json::Value;

use super::{
    LogPage,
    fields::{Damaged, address, entries, guid, id, needed, time, uti},
};
use crate::ExchangeError;

/// The operation that says that mail was read.
pub(super) const OPERATION: &str = "MailItemsAccessed";

/// `auditData`, and an element of a blob of the feed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Record {
    pub(super) id: Option<String>,
    pub(super) creation_time: Option<String>,
    pub(super) operation: Option<String>,
    mailbox_guid: Option<String>,
    #[serde(rename = "MailboxOwnerUPN")]
    mailbox_owner_upn: Option<String>,
    app_id: Option<String>,
    client_app_id: Option<String>,
    client_request_id: Option<String>,
    #[serde(rename = "ClientIPAddress")]
    client_ip_address: Option<String>,
    #[serde(rename = "ClientIP")]
    client_ip: Option<String>,
    app_access_context: Option<AppAccessContext>,
    operation_properties: Option<Vec<Named>>,
    folders: Option<Vec<Folder>>,
    /// Of what was synchronised as a whole, in older records.
    item: Option<Synchronised>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AppAccessContext {
    client_app_id: Option<String>,
    unique_token_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Folder {
    path: Option<String>,
    folder_items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    id: Option<String>,
    immutable_id: Option<String>,
    internet_message_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Synchronised {
    parent_folder: Option<Folder>,
}

impl Record {
    /// `None` for a record of something else.
    pub(super) fn read(self) -> Result<Option<MailAccess>, Damaged> {
        if needed("operation", self.operation.as_deref())? != OPERATION {
            return Ok(None);
        }
        let breadth = match self.property("MailAccessType") {
            Some(kind) if kind.eq_ignore_ascii_case("bind") => Breadth::Messages,
            // What is not known to be about single messages may be about all of them.
            _ => Breadth::Folders,
        };
        let throttled =
            self.property("IsThrottled").is_some_and(|told| told.eq_ignore_ascii_case("true"));
        let context = self.app_access_context.as_ref();
        let applications =
            [context.and_then(|one| one.client_app_id.clone()), self.client_app_id, self.app_id];
        let mailbox_id = id(self.mailbox_guid);
        let mailbox = id(self.mailbox_owner_upn).or_else(|| mailbox_id.clone());
        let told = [self.client_ip_address.as_deref(), self.client_ip.as_deref()];
        let parent = self.item.and_then(|item| item.parent_folder);
        let folders = self.folders.unwrap_or_default().into_iter().chain(parent);
        Ok(Some(MailAccess {
            id: needed("id", self.id.filter(|id| !id.is_empty()))?,
            at: needed("time", self.creation_time.as_deref().and_then(time))?,
            client_id: applications.into_iter().find_map(id),
            uti: context.and_then(|one| one.unique_token_id.as_deref()).and_then(uti),
            client_request_id: guid(self.client_request_id),
            address: told.into_iter().flatten().find_map(address),
            mailbox: needed("mailbox", mailbox)?,
            mailbox_id,
            breadth,
            messages: folders.flat_map(Folder::read).collect(),
            throttled,
        }))
    }

    fn property(&self, name: &str) -> Option<&str> {
        let of_name = |one: &&Named| one.name.as_deref() == Some(name);
        self.operation_properties.as_deref()?.iter().find(of_name)?.value.as_deref()
    }
}

impl Folder {
    fn read(self) -> Vec<AccessedMessage> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let folder = filled(self.path);
        let items = self.folder_items.unwrap_or_default();
        if items.is_empty() && folder.is_some() {
            return vec![AccessedMessage { item: None, message_id: None, folder }];
        }
        let message = |item: Item| AccessedMessage {
            item: filled(item.immutable_id).or_else(|| filled(item.id)),
            message_id: filled(item.internet_message_id),
            folder: folder.clone(),
        };
        items.into_iter().map(message).collect()
    }
}

/// Reads a blob of the Management Activity API: an array of records, of which those of other operations
/// than reads of mail are left out.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no such array.
pub fn parse_audit_records(body: &[u8]) -> Result<LogPage<MailAccess>, ExchangeError> {
    let told: Vec<Value> = serde_json::from_slice(body).map_err(|error| {
        ExchangeError::protocol("reading audit records", format!("not understood: {error}"))
    })?;
    Ok(entries(told, Record::read))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(record: &Value) -> MailAccess {
        let page = parse_audit_records(json!([record]).to_string().as_bytes()).unwrap();
        assert_eq!(page.damaged, 0);
        page.entries.into_iter().next().unwrap()
    }

    #[test]
    fn what_was_read_when_from_where_and_with_which_token_is_understood() {
        let access = one(&json!({
            "Id": "r1", "CreationTime": "2026-11-27T08:00:00", "Operation": "MailItemsAccessed",
            "ClientAppId": "AA", "AppId": "BB", "ClientIPAddress": "[203.0.113.5]:443",
            "ClientRequestId": "00112233-4455-6677-8899-AABBCCDDEEFF",
            "MailboxOwnerUPN": "Ann@X.example", "MailboxGuid": "G",
            "AppAccessContext": { "UniqueTokenId": "abc_-9==", "ClientAppId": "CC" },
            "OperationProperties": [
                { "Name": "MailAccessType", "Value": "Bind" },
                { "Name": "IsThrottled", "Value": "True" },
            ],
            "Folders": [
                { "Path": "\\Inbox", "FolderItems": [
                    { "Id": "i1", "ImmutableId": "i1x", "InternetMessageId": "<1@x>" },
                    { "Id": "i2" },
                ]},
            ],
        }));
        assert_eq!(access.client_id.as_deref(), Some("cc"));
        assert_eq!(
            (access.uti.as_deref(), access.mailbox.as_str()),
            (Some("abc_-9"), "ann@x.example")
        );
        assert_eq!(access.address, "203.0.113.5".parse().ok());
        assert!(access.client_request_id.is_some() && access.throttled);
        assert_eq!(access.breadth, Breadth::Messages);
        let message = |item: &str, message_id: Option<&str>| AccessedMessage {
            item: Some(item.into()),
            message_id: message_id.map(str::to_owned),
            folder: Some("\\Inbox".into()),
        };
        assert_eq!(access.messages, [message("i1x", Some("<1@x>")), message("i2", None)]);
    }

    #[test]
    fn a_folder_that_was_synchronised_counts_as_read_whole_however_it_is_told() {
        let sync = json!([{ "Name": "MailAccessType", "Value": "Sync" }]);
        let record = |more: Value| {
            let mut record = json!({
                "Id": "r", "CreationTime": "2026-11-27T08:00:00Z", "Operation": "MailItemsAccessed",
                "MailboxGuid": "G-1", "OperationProperties": sync,
            });
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one(&record)
        };
        let inbox =
            [AccessedMessage { item: None, message_id: None, folder: Some("\\Inbox".into()) }];
        for told in [
            json!({ "Folders": [{ "Path": "\\Inbox" }] }),
            json!({ "Folders": [{ "Path": "\\Inbox", "FolderItems": [] }] }),
            json!({ "Item": { "ParentFolder": { "Path": "\\Inbox" } } }),
        ] {
            let access = record(told);
            assert_eq!((access.breadth, &access.messages[..]), (Breadth::Folders, &inbox[..]));
            assert_eq!((access.mailbox.as_str(), access.client_id), ("g-1", None));
        }
        // Nobody said what kind of access it was: then it may have been all.
        assert_eq!(record(json!({ "OperationProperties": null })).breadth, Breadth::Folders);
    }

    #[test]
    fn a_damaged_record_is_counted_and_hides_no_other_and_other_operations_are_no_damage() {
        let good = json!({
            "Id": "r", "CreationTime": "2026-11-27T08:00:00", "Operation": "MailItemsAccessed",
            "MailboxOwnerUPN": "ann@x.example",
        });
        let mut without_mailbox = good.clone();
        without_mailbox["MailboxOwnerUPN"] = json!("");
        let mut nonsense = good.clone();
        nonsense["Folders"] = json!("none");
        let mut without_time = good.clone();
        without_time["CreationTime"] = json!(5);
        let other = json!({ "Operation": "Send" });
        let body = json!([other, without_mailbox, nonsense, 7, good, without_time, {}]);
        let page = parse_audit_records(body.to_string().as_bytes()).unwrap();
        assert_eq!((page.entries.len(), page.damaged), (1, 5));
        assert!(parse_audit_records(b"{}").is_err() && parse_audit_records(b"<html>").is_err());
    }
}
