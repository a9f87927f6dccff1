use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use crate::Importance;

/// Somebody, as a message or an event names them; not validated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Name shown to people; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Address; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
}

/// A text and how it is marked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type", content = "content")]
pub enum Body {
    /// Plain text.
    Text(String),
    /// HTML.
    Html(String),
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// A time as its author meant it: what the clock shows in a time zone, so that a weekly meeting
/// stays at ten o'clock when the offset from UTC changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonedTime {
    /// What the clock shows.
    pub local: PrimitiveDateTime,
    /// The zone as the provider names it: a Windows name (`W. Europe Standard Time`), an IANA
    /// name (`Europe/Berlin`) or `UTC`.
    pub zone: String,
}

/// An appointment or meeting, single or recurring (Graph: `event`; EWS: `CalendarItem`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `UID` of RFC 5545; the same in all attendees' calendars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Subject; empty when there is none.
    #[serde(default)]
    pub subject: String,
    /// Description.
    #[serde(default)]
    pub body: Body,
    /// When it begins; of a series: the first occurrence.
    pub start: ZonedTime,
    /// When it ends (exclusive).
    pub end: ZonedTime,
    /// Whether it takes whole days; then `start` and `end` are midnights.
    #[serde(default)]
    pub all_day: bool,
    /// Where it takes place; the first is the one shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<String>,
    /// Who invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizer: Option<Person>,
    /// Whether the mailbox's owner is the organizer.
    #[serde(default)]
    pub is_organizer: bool,
    /// Who was invited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attendees: Vec<Attendee>,
    /// What the mailbox's owner answered.
    #[serde(default)]
    pub response: Response,
    /// Whether the organizer asked for answers.
    #[serde(default)]
    pub response_requested: bool,
    /// Categories, in the provider's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Importance.
    #[serde(default)]
    pub importance: Importance,
    /// Who may see it.
    #[serde(default)]
    pub sensitivity: Sensitivity,
    /// What others see of the owner's time.
    #[serde(default)]
    pub show_as: ShowAs,
    /// Minutes before the start at which to remind; `None`: no reminder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder_minutes: Option<i64>,
    /// Whether the organizer called it off.
    #[serde(default)]
    pub cancelled: bool,
    /// Address of the online meeting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online_meeting_url: Option<String>,
    /// How it repeats; `None` for a single event and for an exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Recurrence>,
    /// Occurrences that differ from the series, by original date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// Original dates, in the zone of the recurrence, of occurrences that were deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancelled_occurrences: Vec<Date>,
    /// Attachments; their bytes lie in the item's content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentInfo>,
    /// When it was made. UTC.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created: Option<OffsetDateTime>,
    /// When it was last changed. UTC.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub modified: Option<OffsetDateTime>,
}

/// One occurrence of a series that was changed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Where the series had it, in the zone of the series' start.
    pub original: ZonedTime,
    /// What it became; without recurrence and exceptions of its own.
    pub event: Event,
}

/// One invited person, room or piece of equipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendee {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// In which role.
    #[serde(default)]
    pub role: Role,
    /// What they answered.
    #[serde(default)]
    pub response: Response,
}

/// An attendee's role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Has to be there.
    #[default]
    Required,
    /// May be there.
    Optional,
    /// A room or a piece of equipment.
    Resource,
}

/// An answer to an invitation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Response {
    /// No invitation, or nothing is known.
    #[default]
    None,
    /// It is the owner's own meeting.
    Organizer,
    /// Not answered yet.
    NotResponded,
    /// Perhaps.
    Tentative,
    /// Yes.
    Accepted,
    /// No.
    Declined,
}

/// Who may see an event's or a contact's details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// Everybody who sees the calendar.
    #[default]
    Normal,
    /// It is personal.
    Personal,
    /// The owner alone.
    Private,
    /// The owner alone, and it is confidential.
    Confidential,
}

/// What others see of the owner's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ShowAs {
    /// Free.
    Free,
    /// Perhaps busy.
    Tentative,
    /// Busy.
    #[default]
    Busy,
    /// Out of office.
    Oof,
    /// At work, elsewhere.
    WorkingElsewhere,
    /// Nothing is known.
    Unknown,
}

/// How a series repeats, in the terms that Exchange uses (Graph: `patternedRecurrence`; EWS:
/// `RecurrenceType`), which are narrower than RFC 5545's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// The rule.
    pub pattern: Pattern,
    /// The first day, in `zone`.
    pub first: Date,
    /// When it ends.
    pub until: Until,
    /// The zone in which days are counted, named as in [`ZonedTime::zone`].
    pub zone: String,
}

/// When a series ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// Never.
    Never,
    /// With this day, which may have an occurrence.
    Day(Date),
    /// After so many occurrences.
    Count(u32),
}

/// A rule of repetition. `interval` is in the unit of the rule and at least 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Pattern {
    /// Every `interval` days.
    Daily {
        /// Days.
        interval: u32,
    },
    /// On some days of every `interval`th week.
    Weekly {
        /// Weeks.
        interval: u32,
        /// Which days.
        days: Vec<Weekday>,
        /// What a week begins with; matters when `interval` is more than 1.
        first_day: Weekday,
    },
    /// On a day of every `interval`th month; in a shorter month, on its last day.
    AbsoluteMonthly {
        /// Months.
        interval: u32,
        /// 1 to 31.
        day: u8,
    },
    /// On the first … last of some days of every `interval`th month.
    RelativeMonthly {
        /// Months.
        interval: u32,
        /// Which of them.
        index: WeekIndex,
        /// Of which days the one that `index` says (all seven: any day).
        days: Vec<Weekday>,
    },
    /// On a date of every `interval`th year.
    AbsoluteYearly {
        /// Years.
        interval: u32,
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
    },
    /// On the first … last of some days of a month of every `interval`th year.
    RelativeYearly {
        /// Years.
        interval: u32,
        /// 1 to 12.
        month: u8,
        /// Which of them.
        index: WeekIndex,
        /// Of which days the one that `index` says (all seven: any day).
        days: Vec<Weekday>,
    },
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Which of a month's days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum WeekIndex {
    First,
    Second,
    Third,
    Fourth,
    Last,
}

/// What is known of an attachment beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentInfo {
    /// File name; empty when there is none.
    #[serde(default)]
    pub name: String,
    /// Media type (`application/pdf`); empty when the provider tells none.
    #[serde(default)]
    pub content_type: String,
    /// Whether the body shows it.
    #[serde(default)]
    pub inline: bool,
    /// What the body refers to it by (`cid:`), without angle brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
}

/// An attachment with its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// What is known of it.
    pub info: AttachmentInfo,
    /// Its content.
    pub bytes: Vec<u8>,
}
