use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::FolderId;

/// The provider's immutable identifier of an item: it stays when the item moves to another folder
/// of the mailbox (Graph: `Prefer: IdType="ImmutableId"`). Opaque, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub String);

/// Follow-up flag of a message (Graph: `followupFlag.flagStatus`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FollowUp {
    /// No flag.
    #[default]
    NotFlagged,
    /// To be followed up.
    Flagged,
    /// Done.
    Complete,
}

/// Importance that the sender gave a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Importance {
    /// Low.
    Low,
    /// Normal.
    #[default]
    Normal,
    /// High.
    High,
}

/// A message, as the provider describes it beside its content.
///
/// What can change without the content changing (folder, flags, categories) is here and is read
/// again with every change; the content (MIME) is read only when [`Item::content_key`] changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Immutable identifier.
    pub id: ItemId,
    /// The folder that it lies in.
    pub folder: FolderId,
    /// Subject; empty when there is none.
    #[serde(default)]
    pub subject: String,
    /// Sender's address (`From`) as the provider gives it; not validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Recipients' addresses (`To`, `Cc`, `Bcc`), as the provider gives them; not validated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// When it arrived (for a draft: when it was created). UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub received: OffsetDateTime,
    /// When it was sent, where the provider tells. UTC.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub sent: Option<OffsetDateTime>,
    /// `Message-ID` header, with its angle brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_message_id: Option<String>,
    /// Whether the user has read it.
    #[serde(default)]
    pub read: bool,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// Follow-up flag.
    #[serde(default)]
    pub follow_up: FollowUp,
    /// Importance.
    #[serde(default)]
    pub importance: Importance,
    /// Categories, in the provider's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Changes whenever the content may have changed, and does not change when only flags,
    /// categories or the folder do. Made by the provider's client; opaque.
    pub content_key: String,
    /// What else the provider told, unchanged, for a restore to the same provider.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub provider: serde_json::Map<String, serde_json::Value>,
}
