//! Events as clients write them in JSON.

use serde_json::{Map, Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, time};
use time::{Date, PrimitiveDateTime};

use super::recurrence;
use crate::compose::Attachment;
use crate::graph::errors::GraphError;
use crate::graph::{Base, attached, extended};
use crate::state::{Moment, Recurrence, Zone};

type Object = Map<String, Value>;

const LOCAL: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute][optional [:[second][optional [.[subsecond]]]]]"
);
/// Longest event in days (Exchange: five years).
const LONGEST: i64 = 1825;
/// What `time` of a response is before there is one.
pub(crate) const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// Properties of an event that a client may read and not write.
const READ_ONLY: &[&str] = &[
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "originalStartTimeZone",
    "originalEndTimeZone",
    "originalStart",
    "iCalUId",
    "hasAttachments",
    "bodyPreview",
    "isCancelled",
    "isDraft",
    "isOrganizer",
    "organizer",
    "seriesMasterId",
    "type",
    "webLink",
    "onlineMeeting",
    "onlineMeetingUrl",
    "responseStatus",
    "cancelledOccurrences",
    "exceptionOccurrences",
    "instances",
    "calendar",
];

/// Changes of which attendees are told.
const TOLD: &[&str] = &["subject", "body", "location", "locations", "attendees"];

/// What a request wants an event to be; what it does not mention is `None`.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
    pub(super) all_day: Option<bool>,
    /// As Graph writes them.
    pub(super) fields: Object,
    /// `Some(None)`: no recurrence any more.
    pub(super) recurrence: Option<Option<Recurrence>>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) properties: Vec<(String, String)>,
    pub(super) transaction: Option<String>,
}

impl Wanted {
    /// Reads the body of a request; `creation` allows what only a new event can have.
    pub(super) fn read(
        body: &Object,
        creation: Creation,
        base: &Base<'_>,
        now: i64,
    ) -> Result<Self, GraphError> {
        let mut wanted = Self { properties: extended::given(body)?, ..Self::default() };
        for (name, value) in body {
            let wrong = || wrong(name);
            match name.as_str() {
                "start" => wanted.start = Some(moment(value)?),
                "end" => wanted.end = Some(moment(value)?),
                "isAllDay" => wanted.all_day = Some(value.as_bool().ok_or_else(wrong)?),
                "recurrence" => wanted.recurrence = Some(recurrence::read(value)?),
                "transactionId" if creation == Creation::New => {
                    wanted.transaction = value.as_str().map(str::to_owned);
                }
                "attachments" if creation == Creation::New => {
                    let list = value.as_array().ok_or_else(wrong)?;
                    let list = list.iter().map(|value| attached::read(value, base, now));
                    wanted.attachments = list.collect::<Result<_, _>>()?;
                }
                extended::NAME | "@odata.type" | "@odata.etag" | "@odata.context" => {}
                _ => wanted.field(name, value)?,
            }
        }
        Ok(wanted)
    }

    fn field(&mut self, name: &str, value: &Value) -> Result<(), GraphError> {
        let canonical = match name {
            "subject" => text(value),
            "body" => body(value),
            "importance" => one_of(value, &["low", "normal", "high"]),
            "sensitivity" => one_of(value, &["normal", "personal", "private", "confidential"]),
            "showAs" => {
                one_of(value, &["free", "tentative", "busy", "oof", "workingElsewhere", "unknown"])
            }
            "onlineMeetingProvider" => one_of(
                value,
                &["unknown", "skypeForBusiness", "skypeForConsumer", "teamsForBusiness"],
            ),
            "isReminderOn"
            | "responseRequested"
            | "allowNewTimeProposals"
            | "hideAttendees"
            | "isOnlineMeeting" => value.is_boolean().then(|| value.clone()),
            "reminderMinutesBeforeStart" => {
                value.as_i64().filter(|minutes| i32::try_from(*minutes).is_ok()).map(Value::from)
            }
            "categories" => value
                .as_array()
                .filter(|list| list.iter().all(Value::is_string))
                .map(|_| value.clone()),
            "location" => location(value),
            "locations" => value.as_array().and_then(|list| list.iter().map(location).collect()),
            "attendees" => value.as_array().and_then(|list| list.iter().map(attendee).collect()),
            _ if READ_ONLY.contains(&name) => {
                return Err(GraphError::new(
                    400,
                    "ErrorInvalidPropertySet",
                    format!("The property '{name}' is read-only and cannot be set."),
                ));
            }
            _ => {
                return Err(GraphError::bad_request(format!(
                    "The property '{name}' does not exist on type 'microsoft.graph.event' or cannot be set here. Make \
                     sure to only use property names that are defined by the type."
                )));
            }
        };
        let canonical = canonical.ok_or_else(|| wrong(name))?;
        // The one place and the list of places say the same.
        match name {
            "location" => {
                let named = canonical["displayName"] != "";
                let list = if named { vec![canonical.clone()] } else { Vec::new() };
                self.fields.entry("locations").or_insert(Value::Array(list));
            }
            "locations" => {
                let names: Vec<&str> = canonical
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|place| place["displayName"].as_str())
                    .collect();
                let whole = location(&json!({ "displayName": names.join("; ") }));
                if names.len() != 1 {
                    self.fields.insert("location".to_owned(), whole.unwrap_or_default());
                } else {
                    self.fields.insert("location".to_owned(), canonical[0].clone());
                }
            }
            _ => {}
        }
        self.fields.insert(name.to_owned(), canonical);
        Ok(())
    }

    /// Whether attendees of a meeting are told of the change.
    pub(super) fn is_told(&self) -> bool {
        self.start.is_some()
            || self.end.is_some()
            || self.all_day.is_some()
            || self.recurrence.is_some()
            || !self.attachments.is_empty()
            || TOLD.iter().any(|name| self.fields.contains_key(*name))
    }
}

/// Whether a request makes an event or changes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Creation {
    New,
    Change,
}

/// Refuses times that no event can have.
pub(super) fn check_times(start: &Moment, end: &Moment, all_day: bool) -> Result<(), GraphError> {
    if all_day {
        if start.zone != end.zone {
            return Err(GraphError::new(
                400,
                "ErrorPropertyValidationFailure",
                "The start and end of an all-day event must be in the same time zone.",
            ));
        }
        for (name, moment) in [("Start", start), ("End", end)] {
            if moment.local.time() != time!(0:00) {
                return Err(GraphError::new(
                    400,
                    "ErrorPropertyValidationFailure",
                    format!(
                        "The Event.{name} property for an all-day event needs to be set to midnight."
                    ),
                ));
            }
        }
    }
    let length = end.unix() - start.unix();
    if length < 0 || (all_day && length == 0) {
        return Err(GraphError::new(
            400,
            "ErrorCalendarEndDateIsEarlierThanStartDate",
            "End date is earlier than start date.",
        ));
    }
    if length > LONGEST * 86_400 {
        return Err(GraphError::new(
            400,
            "ErrorCalendarDurationIsTooLong",
            "The duration of the event is too long.",
        ));
    }
    Ok(())
}

/// A zone by name.
pub(super) fn zone(name: &str) -> Result<Zone, GraphError> {
    Zone::find(name).ok_or_else(|| {
        GraphError::new(
            400,
            "TimeZoneNotSupportedException",
            format!("A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name}'."),
        )
    })
}

/// A place as Graph shows it that has only a name.
pub(crate) fn location(value: &Value) -> Option<Value> {
    const KNOWN: &[&str] = &[
        "displayName",
        "locationType",
        "uniqueId",
        "uniqueIdType",
        "address",
        "coordinates",
        "locationEmailAddress",
        "locationUri",
        "@odata.type",
    ];
    let given = value.as_object()?;
    if given.keys().any(|key| !KNOWN.contains(&key.as_str())) {
        return None;
    }
    let mut place = given.clone();
    let name = match given.get("displayName") {
        None | Some(Value::Null) => String::new(),
        Some(name) => name.as_str()?.to_owned(),
    };
    place.remove("@odata.type");
    place.retain(|_, value| !value.is_null());
    place.entry("locationType").or_insert(json!("default"));
    if !name.is_empty() {
        place.entry("uniqueId").or_insert(json!(name));
        place.entry("uniqueIdType").or_insert(json!("private"));
    } else {
        place.entry("uniqueIdType").or_insert(json!("unknown"));
    }
    place.insert("displayName".to_owned(), json!(name));
    Some(Value::Object(place))
}

/// Nobody's answer can be written: it comes from the attendee.
fn attendee(value: &Value) -> Option<Value> {
    let given = value.as_object()?;
    let address = given.get("emailAddress")?.as_object()?;
    let at = address.get("address")?.as_str().filter(|at| at.contains('@'))?;
    let name = address.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let kind = match given.get("type") {
        None | Some(Value::Null) => json!("required"),
        Some(kind) => one_of(kind, &["required", "optional", "resource"])?,
    };
    Some(json!({
        "type": kind,
        "status": { "response": "none", "time": NO_TIME },
        "emailAddress": { "name": name.unwrap_or(at), "address": at },
    }))
}

fn body(value: &Value) -> Option<Value> {
    let content = match value.get("content") {
        None | Some(Value::Null) => "",
        Some(content) => content.as_str()?,
    };
    let kind = match value.get("contentType") {
        None | Some(Value::Null) => json!("text"),
        Some(kind) => one_of(kind, &["text", "html"])?,
    };
    value.is_object().then(|| json!({ "contentType": kind, "content": content }))
}

fn text(value: &Value) -> Option<Value> {
    match value {
        Value::Null => Some(json!("")),
        Value::String(_) => Some(value.clone()),
        _ => None,
    }
}

fn one_of(value: &Value, known: &[&str]) -> Option<Value> {
    let text = value.as_str()?;
    known.iter().find(|known| known.eq_ignore_ascii_case(text)).map(|known| json!(known))
}

fn moment(value: &Value) -> Result<Moment, GraphError> {
    let text = value.get("dateTime").and_then(Value::as_str).ok_or_else(|| wrong("dateTime"))?;
    let local = parse_local(text).ok_or_else(|| wrong("dateTime"))?;
    let name = value.get("timeZone").and_then(Value::as_str).unwrap_or("UTC");
    Ok(Moment { local, zone: zone(name)?.name })
}

/// A date and a time, without zone. Fractions of a second are dropped.
pub(in crate::graph) fn parse_local(text: &str) -> Option<PrimitiveDateTime> {
    let at = PrimitiveDateTime::parse(text, LOCAL).ok();
    let at = at.or_else(|| {
        let day = format_description!("[year]-[month]-[day]");
        Date::parse(text, day).ok().map(Date::midnight)
    })?;
    at.replace_nanosecond(0).ok().filter(|at| (1601..=4500).contains(&at.year()))
}

pub(super) fn wrong(name: &str) -> GraphError {
    GraphError::new(
        400,
        "RequestBodyRead",
        format!(
            "The value of the property '{name}' is not of the expected type or is not allowed."
        ),
    )
}
