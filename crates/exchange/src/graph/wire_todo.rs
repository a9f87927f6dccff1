//! Graph's JSON of tasks, as much of it as is asked for. Every property may be missing.

use serde::Deserialize;
use serde_json::Value;

use super::wire_outlook::{DateTimeTimeZone, ItemBody};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskList {
    pub(super) id: String,
    pub(super) display_name: Option<String>,
    pub(super) is_owner: Option<bool>,
    #[serde(rename = "wellknownListName")]
    pub(super) role: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: String,
    #[serde(rename = "@odata.etag")]
    pub(super) etag: Option<String>,
    pub(super) title: Option<String>,
    pub(super) body: Option<ItemBody>,
    pub(super) status: Option<String>,
    pub(super) importance: Option<String>,
    pub(super) start_date_time: Option<DateTimeTimeZone>,
    pub(super) due_date_time: Option<DateTimeTimeZone>,
    pub(super) completed_date_time: Option<DateTimeTimeZone>,
    pub(super) reminder_date_time: Option<DateTimeTimeZone>,
    pub(super) is_reminder_on: Option<bool>,
    /// Read by itself: an odd one does not take the task with it.
    pub(super) recurrence: Option<Value>,
    pub(super) categories: Option<Vec<String>>,
    pub(super) created_date_time: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) display_name: Option<String>,
    pub(super) is_checked: Option<bool>,
    pub(super) created_date_time: Option<String>,
    pub(super) checked_date_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) application_name: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) web_url: Option<String>,
}
