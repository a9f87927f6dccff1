//! Graph's JSON of calendars, events and contacts, as much of it as is asked for. Every property
//! may be missing.

use serde::Deserialize;
use serde_json::Value;

use super::wire::Recipient;

/// One page of a list that has no cursor. Without `value` it is no page: taken for an empty one,
/// everything would look deleted.
#[derive(Deserialize)]
pub(super) struct Listing<T> {
    pub(super) value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calendar {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) is_default_calendar: Option<bool>,
    pub(super) can_edit: Option<bool>,
    pub(super) owner: Option<NamedAddress>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContactFolder {
    pub(super) id: String,
    pub(super) parent_folder_id: Option<String>,
    pub(super) display_name: Option<String>,
}

/// An answer of which nothing but the identifier matters.
#[derive(Deserialize)]
pub(super) struct Identified {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct NamedAddress {
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamedRecipient {
    pub(super) email_address: Option<NamedAddress>,
}

/// What a list tells of an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedEvent {
    pub(super) id: String,
    pub(super) change_key: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) start: Option<DateTimeTimeZone>,
    pub(super) original_start_time_zone: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) categories: Option<Vec<String>>,
    pub(super) importance: Option<String>,
    pub(super) organizer: Option<Recipient>,
    pub(super) is_draft: Option<bool>,
}

/// All of an event but what is in [`ListedEvent`], too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    #[serde(rename = "iCalUId")]
    pub(super) ical_uid: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) body: Option<ItemBody>,
    pub(super) start: Option<DateTimeTimeZone>,
    pub(super) end: Option<DateTimeTimeZone>,
    pub(super) is_all_day: Option<bool>,
    pub(super) location: Option<Location>,
    pub(super) locations: Option<Vec<Location>>,
    pub(super) organizer: Option<NamedRecipient>,
    pub(super) is_organizer: Option<bool>,
    pub(super) attendees: Option<Vec<Attendee>>,
    pub(super) response_status: Option<ResponseStatus>,
    pub(super) response_requested: Option<bool>,
    pub(super) categories: Option<Vec<String>>,
    pub(super) importance: Option<String>,
    pub(super) sensitivity: Option<String>,
    pub(super) show_as: Option<String>,
    pub(super) is_reminder_on: Option<bool>,
    pub(super) reminder_minutes_before_start: Option<i64>,
    pub(super) is_cancelled: Option<bool>,
    pub(super) online_meeting_url: Option<String>,
    pub(super) online_meeting: Option<OnlineMeeting>,
    pub(super) recurrence: Option<PatternedRecurrence>,
    pub(super) cancelled_occurrences: Option<Vec<String>>,
    /// Read one by one: an odd one does not take the others with it.
    pub(super) exception_occurrences: Option<Vec<Value>>,
    pub(super) original_start: Option<String>,
    /// Told where Graph knows it already (beta).
    pub(super) occurrence_id: Option<String>,
    pub(super) created_date_time: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DateTimeTimeZone {
    pub(super) date_time: String,
    pub(super) time_zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemBody {
    pub(super) content_type: Option<String>,
    pub(super) content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Location {
    pub(super) display_name: Option<String>,
    pub(super) location_uri: Option<String>,
    pub(super) address: Option<PhysicalAddress>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhysicalAddress {
    pub(super) street: Option<String>,
    pub(super) city: Option<String>,
    pub(super) state: Option<String>,
    pub(super) postal_code: Option<String>,
    pub(super) country_or_region: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attendee {
    pub(super) email_address: Option<NamedAddress>,
    #[serde(rename = "type")]
    pub(super) role: Option<String>,
    pub(super) status: Option<ResponseStatus>,
}

#[derive(Deserialize)]
pub(super) struct ResponseStatus {
    pub(super) response: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnlineMeeting {
    pub(super) join_url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PatternedRecurrence {
    pub(super) pattern: RecurrencePattern,
    pub(super) range: RecurrenceRange,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecurrencePattern {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) interval: i64,
    #[serde(default)]
    pub(super) month: i64,
    #[serde(default)]
    pub(super) day_of_month: i64,
    pub(super) days_of_week: Option<Vec<String>>,
    pub(super) first_day_of_week: Option<String>,
    pub(super) index: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecurrenceRange {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) start_date: Option<String>,
    pub(super) end_date: Option<String>,
    pub(super) recurrence_time_zone: Option<String>,
    #[serde(default)]
    pub(super) number_of_occurrences: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub(super) id: String,
    #[serde(rename = "@odata.type")]
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) is_inline: Option<bool>,
    pub(super) content_id: Option<String>,
    /// Of a reference (beta).
    pub(super) source_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Contact {
    pub(super) id: String,
    pub(super) change_key: Option<String>,
    pub(super) created_date_time: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
    pub(super) categories: Option<Vec<String>>,
    pub(super) sensitivity: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) file_as: Option<String>,
    pub(super) title: Option<String>,
    pub(super) given_name: Option<String>,
    pub(super) middle_name: Option<String>,
    pub(super) surname: Option<String>,
    pub(super) generation: Option<String>,
    pub(super) initials: Option<String>,
    pub(super) nick_name: Option<String>,
    pub(super) yomi_given_name: Option<String>,
    pub(super) yomi_surname: Option<String>,
    pub(super) yomi_company_name: Option<String>,
    pub(super) company_name: Option<String>,
    pub(super) department: Option<String>,
    pub(super) office_location: Option<String>,
    pub(super) job_title: Option<String>,
    pub(super) profession: Option<String>,
    pub(super) assistant_name: Option<String>,
    pub(super) manager: Option<String>,
    pub(super) spouse_name: Option<String>,
    pub(super) children: Option<Vec<String>>,
    pub(super) email_addresses: Option<Vec<NamedAddress>>,
    pub(super) im_addresses: Option<Vec<Option<String>>>,
    pub(super) home_phones: Option<Vec<Option<String>>>,
    pub(super) business_phones: Option<Vec<Option<String>>>,
    pub(super) mobile_phone: Option<String>,
    pub(super) home_address: Option<PhysicalAddress>,
    pub(super) business_address: Option<PhysicalAddress>,
    pub(super) other_address: Option<PhysicalAddress>,
    pub(super) business_home_page: Option<String>,
    pub(super) birthday: Option<String>,
    pub(super) personal_notes: Option<String>,
}
