use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A setting of a mailbox, as the provider gives it and takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What it is.
    pub kind: SettingKind,
    /// The provider's JSON, without what belongs to the answer alone (`@odata.context`, `etag`).
    pub value: Value,
}

/// What a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SettingKind {
    /// Time zone, language, formats, working hours, automatic replies (Graph: `mailboxSettings`;
    /// EWS: `OofSettings` and others). One a mailbox.
    Mailbox,
    /// An inbox rule (Graph: `messageRule`; EWS: `Rule`).
    InboxRule,
    /// A category and its colour (Graph: `outlookCategory`; EWS: the `CategoryList` configuration).
    Category,
}
