//! Graph's JSON, as much of it as is asked for. Every property may be missing: a delta names only
//! "at least" what changed.

use mailkeep_model::{Cursor, Next};
use serde::Deserialize;
use serde_json::Value;

use crate::ExchangeError;

/// One page of a collection.
#[derive(Deserialize)]
pub(super) struct Collection<T> {
    #[serde(default = "Vec::new")]
    pub(super) value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next_link: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    pub(super) delta_link: Option<String>,
}

impl<T> Collection<T> {
    /// What follows this page of a delta.
    pub(super) fn next(&mut self, action: &str) -> Result<Next, ExchangeError> {
        match (self.next_link.take(), self.delta_link.take()) {
            (Some(link), _) => Ok(Next::More(Cursor(link))),
            (None, Some(link)) => Ok(Next::Done(Cursor(link))),
            (None, None) => {
                Err(ExchangeError::protocol(action, "the page names no link to go on from"))
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organization {
    #[serde(default)]
    pub(super) verified_domains: Vec<VerifiedDomain>,
}

#[derive(Deserialize)]
pub(super) struct VerifiedDomain {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) id: String,
    pub(super) mail: Option<String>,
    pub(super) display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MailFolder {
    pub(super) id: String,
    #[serde(rename = "@removed")]
    pub(super) removed: Option<Value>,
    pub(super) parent_folder_id: Option<String>,
    pub(super) display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) id: String,
    #[serde(rename = "@removed")]
    pub(super) removed: Option<Value>,
    pub(super) parent_folder_id: Option<String>,
    pub(super) change_key: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) from: Option<Recipient>,
    #[serde(default)]
    pub(super) to_recipients: Option<Vec<Recipient>>,
    #[serde(default)]
    pub(super) cc_recipients: Option<Vec<Recipient>>,
    #[serde(default)]
    pub(super) bcc_recipients: Option<Vec<Recipient>>,
    pub(super) received_date_time: Option<String>,
    pub(super) sent_date_time: Option<String>,
    pub(super) internet_message_id: Option<String>,
    pub(super) is_read: Option<bool>,
    pub(super) is_draft: Option<bool>,
    pub(super) has_attachments: Option<bool>,
    pub(super) importance: Option<String>,
    pub(super) categories: Option<Vec<String>>,
    pub(super) flag: Option<Value>,
    #[serde(default)]
    pub(super) single_value_extended_properties: Option<Vec<ExtendedProperty>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recipient {
    pub(super) email_address: Option<EmailAddress>,
}

#[derive(Deserialize)]
pub(super) struct EmailAddress {
    pub(super) address: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ExtendedProperty {
    pub(super) id: String,
    pub(super) value: Option<String>,
}
