use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{AttachmentInfo, Body, Importance, Recurrence, ZonedTime};

/// Something to be done, in a task list (Graph: `todoTask`; EWS: `Task`). Empty texts mean that
/// there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// What is to be done.
    pub title: String,
    /// Description.
    pub body: Body,
    /// How far it is.
    pub status: TaskStatus,
    /// Importance.
    pub importance: Importance,
    /// When it is to begin; a day, whatever the clock shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<ZonedTime>,
    /// When it is to be done; a day, whatever the clock shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<ZonedTime>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<ZonedTime>,
    /// When to remind, kept also while the reminder is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder: Option<ZonedTime>,
    /// Whether to remind.
    pub reminder_on: bool,
    /// How it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Recurrence>,
    /// Categories, in the provider's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Steps that it takes, in the provider's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<TaskStep>,
    /// What it is about elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<TaskLink>,
    /// Attachments; their bytes lie in the item's content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentInfo>,
    /// When it was made. UTC.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub created: Option<OffsetDateTime>,
    /// When it was last changed. UTC.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub modified: Option<OffsetDateTime>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskStatus {
    /// Nobody began.
    #[default]
    NotStarted,
    /// It was begun.
    InProgress,
    /// It is done.
    Completed,
    /// Others have to do something first.
    WaitingOnOthers,
    /// It was put off.
    Deferred,
}

/// One step of a task (Graph: `checklistItem`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskStep {
    /// What is to be done.
    pub title: String,
    /// Whether it is done.
    pub done: bool,
    /// When it was made. UTC.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub created: Option<OffsetDateTime>,
    /// When it was done. UTC.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub completed: Option<OffsetDateTime>,
}

/// A thing in another application that a task is about (Graph: `linkedResource`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskLink {
    /// The application's name.
    pub application: String,
    /// Name shown to people.
    pub name: String,
    /// What the application calls it.
    pub external_id: String,
    /// Address.
    pub url: String,
}
