use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Contact, Event, FolderId, Setting, Task};

/// What an item is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ItemKind {
    /// A message; its content is MIME.
    #[default]
    Message,
    /// An appointment, a meeting or a series of these; its content is iCalendar.
    Event,
    /// A contact; its content is a vCard.
    Contact,
    /// A task of a task list; its content is iCalendar (`VTODO`).
    Task,
    /// A setting of the mailbox: an inbox rule, the list of categories, time zone and automatic
    /// replies. Its content is the provider's JSON.
    Setting,
    /// What the provider gives out only as a whole: a sticky note, a contact group. Its content is
    /// the provider's full-fidelity stream, opaque to us.
    Opaque,
}

impl ItemKind {
    /// The name used in the command line, the database and the repository.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Event => "event",
            Self::Contact => "contact",
            Self::Task => "task",
            Self::Setting => "setting",
            Self::Opaque => "opaque",
        }
    }

    fn is_message(&self) -> bool {
        *self == Self::Message
    }
}

/// Everything that the provider told of an item that is no message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Of an [`ItemKind::Event`].
    Event(Box<Event>),
    /// Of an [`ItemKind::Contact`].
    Contact(Box<Contact>),
    /// Of an [`ItemKind::Task`].
    Task(Box<Task>),
    /// Of an [`ItemKind::Setting`].
    Setting(Box<Setting>),
}

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

/// A message, event, contact, task or setting, as the provider describes it beside its content.
///
/// Of a message, what can change without the content changing (folder, flags, categories) is here
/// and is read again with every change; the content (MIME) is read only when
/// [`Item::content_key`] changes. Of an event, contact, task or setting everything is here, in
/// [`Item::detail`], once it was read in full; its content (iCalendar, vCard, JSON) is made from
/// that, and its content key changes with anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Immutable identifier.
    pub id: ItemId,
    /// What it is.
    #[serde(default, skip_serializing_if = "ItemKind::is_message")]
    pub kind: ItemKind,
    /// The folder that it lies in.
    pub folder: FolderId,
    /// Subject, or a contact's name; empty when there is none.
    #[serde(default)]
    pub subject: String,
    /// Sender's address (`From`; an event's organizer) as the provider gives it; not validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Recipients' addresses (`To`, `Cc`, `Bcc`), as the provider gives them; not validated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// When it arrived (a draft, a contact: was created; an event: begins). UTC.
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
    /// All of an event, a contact, a task or a setting; `None` for what is kept as the provider gives
    /// it (messages, streams), and before it was read in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// What else the provider told, unchanged, for a restore to the same provider.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub provider: serde_json::Map<String, serde_json::Value>,
}

impl Item {
    /// An item of which nothing more is known: no subject and no content key, and it arrived at the
    /// Unix epoch.
    pub fn new(id: ItemId, kind: ItemKind, folder: FolderId) -> Self {
        Self {
            id,
            kind,
            folder,
            subject: String::new(),
            from: None,
            recipients: Vec::new(),
            received: OffsetDateTime::UNIX_EPOCH,
            sent: None,
            internet_message_id: None,
            read: false,
            draft: false,
            follow_up: FollowUp::NotFlagged,
            importance: Importance::Normal,
            categories: Vec::new(),
            content_key: String::new(),
            detail: None,
            provider: serde_json::Map::new(),
        }
    }
}
