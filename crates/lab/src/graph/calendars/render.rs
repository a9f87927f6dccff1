//! Events and calendars as JSON.

use data_encoding::{BASE64, BASE64URL};
use mail_parser::decoders::html::html_to_text;
use serde_json::{Map, Value, json};
use time::PrimitiveDateTime;
use uuid::Uuid;

use super::input::{NO_TIME, location};
use super::{id, recurrence};
use crate::clock;
use crate::graph::render::change_key;
use crate::graph::select::Selection;
use crate::graph::{attached, extended};
use crate::ids;
use crate::state::{
    Aspect, Attached, Calendar, DEFAULT_CALENDAR, Event, IdKind, Mailbox, Moment, Zone,
};

/// Characters of a body in `bodyPreview`.
const PREVIEW: usize = 255;
/// The beginning of every global object id (MS-OXOCAL 2.2.1.27), in hexadecimal.
const UID: &str = "040000008200E00074C5B7101A82E008";

/// How events are to be shown to one client.
pub(crate) struct View<'a> {
    pub(crate) mailbox: Uuid,
    pub(crate) ids: IdKind,
    pub(crate) zone: &'a Zone,
    pub(crate) text_body: bool,
    pub(crate) beta: bool,
}

/// The selected properties of an event or occurrence.
pub(crate) fn event(
    view: &View<'_>,
    selection: Selection,
    item: u64,
    event: &Event,
    aspect: Aspect,
) -> Map<String, Value> {
    let key = change_key(view.mailbox, changed(event, aspect));
    let mut shown = Map::new();
    shown.insert("@odata.etag".into(), json!(format!("W/\"{key}\"")));
    shown.insert("id".into(), json!(id::write(view.mailbox, view.ids, item, event, aspect)));
    for name in selection.iter() {
        if let Some(value) = property(view, item, event, aspect, name) {
            shown.insert(name.to_owned(), value);
        }
    }
    shown
}

/// Extended properties, when some of those that were asked for are there.
pub(super) fn add_extended(
    shown: &mut Map<String, Value>,
    event: &Event,
    aspect: Aspect,
    ids: &[String],
) {
    if let Some(value) = extended::shown(&event.details(aspect).properties, ids) {
        shown.insert(extended::NAME.to_owned(), value);
    }
}

fn property(
    view: &View<'_>,
    item: u64,
    event: &Event,
    aspect: Aspect,
    name: &str,
) -> Option<Value> {
    let exception = match aspect {
        Aspect::Whole => None,
        Aspect::Occurrence(date) => event.exceptions.get(&date),
    };
    let details = event.details(aspect);
    let (start, end) = event.times(aspect);
    Some(match name {
        "createdDateTime" => json!(clock::iso(exception.map_or(event.created, |e| e.created))),
        "lastModifiedDateTime" => {
            json!(clock::iso(exception.map_or(event.modified, |e| e.modified)))
        }
        "changeKey" => json!(change_key(view.mailbox, changed(event, aspect))),
        "originalStartTimeZone" => json!(details.start.zone),
        "originalEndTimeZone" => json!(details.end.zone),
        "originalStart" => match aspect {
            Aspect::Whole => Value::Null,
            Aspect::Occurrence(date) => json!(clock::iso(event.planned(date).0.unix())),
        },
        "iCalUId" => json!(uid(view.mailbox, item, event)),
        "hasAttachments" => {
            json!(event.attachments(aspect).iter().any(|attached| !attached.file.inline))
        }
        "isAllDay" => json!(details.all_day),
        "seriesMasterId" => match aspect {
            Aspect::Whole => Value::Null,
            Aspect::Occurrence(_) => {
                json!(id::write(view.mailbox, view.ids, item, event, Aspect::Whole))
            }
        },
        "transactionId" => json!(event.transaction),
        "type" => json!(kind(event, aspect)),
        "webLink" => {
            let id = id::write(view.mailbox, view.ids, item, event, aspect).replace('=', "%3D");
            json!(format!(
                "https://outlook.office365.com/owa/?itemid={id}&exvsurl=1&path=/calendar/item"
            ))
        }
        "recurrence" => match (&event.recurrence, aspect) {
            (Some(series), Aspect::Whole) => recurrence::written(series),
            _ => Value::Null,
        },
        "start" => moment(&start, details.all_day, view.zone),
        "end" => moment(&end, details.all_day, view.zone),
        "bodyPreview" => {
            let text: String = body_text(event, aspect).trim().chars().take(PREVIEW).collect();
            json!(text)
        }
        "body" if view.text_body => {
            json!({ "contentType": "text", "content": body_text(event, aspect) })
        }
        // Only of a series that was asked for by its id, and then not here.
        "cancelledOccurrences" | "exceptionOccurrences" => return None,
        other => event.field(aspect, other).cloned().unwrap_or_else(|| default(other)),
    })
}

/// What an event has that nobody said anything about.
fn default(name: &str) -> Value {
    match name {
        "subject" => json!(""),
        "body" => json!({ "contentType": "text", "content": "" }),
        "importance" | "sensitivity" => json!("normal"),
        "showAs" => json!("busy"),
        "isReminderOn" | "responseRequested" | "allowNewTimeProposals" | "isOrganizer" => {
            json!(true)
        }
        "reminderMinutesBeforeStart" => json!(15),
        "hideAttendees" | "isOnlineMeeting" | "isCancelled" | "isDraft" => json!(false),
        "onlineMeetingProvider" => json!("unknown"),
        "responseStatus" => json!({ "response": "organizer", "time": NO_TIME }),
        "location" => location(&json!({})).unwrap_or_default(),
        "categories" | "locations" | "attendees" => json!([]),
        _ => Value::Null,
    }
}

pub(super) fn kind(event: &Event, aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Occurrence(date) if event.exceptions.contains_key(&date) => "exception",
        Aspect::Occurrence(_) => "occurrence",
        Aspect::Whole if event.recurrence.is_some() => "seriesMaster",
        Aspect::Whole => "singleInstance",
    }
}

/// Where an event that was imported keeps the `iCalUId` that it had where it came from.
pub(in crate::graph) const UID_KEPT: &str = "@uid";

/// The same for an event in all its occurrences.
pub(in crate::graph) fn uid(mailbox: Uuid, item: u64, event: &Event) -> String {
    if let Some(kept) = event.details.fields.get(UID_KEPT).and_then(Value::as_str) {
        return kept.to_owned();
    }
    format!("{UID}00000000{}{item:016X}", mailbox.simple().to_string().to_uppercase())
}

fn changed(event: &Event, aspect: Aspect) -> u64 {
    match aspect {
        Aspect::Whole => event.changed,
        Aspect::Occurrence(date) => {
            event.exceptions.get(&date).map_or(event.changed, |exception| exception.changed)
        }
    }
}

fn body_text(event: &Event, aspect: Aspect) -> String {
    let Some(body) = event.field(aspect, "body") else { return String::new() };
    let content = body["content"].as_str().unwrap_or_default();
    if body["contentType"] == "html" { html_to_text(content) } else { content.to_owned() }
}

/// A time in the zone that the client prefers. Whole days begin at midnight wherever one is.
fn moment(moment: &Moment, all_day: bool, zone: &Zone) -> Value {
    let local = if all_day { moment.local } else { moment.seen_in(zone) };
    json!({ "dateTime": date_time(local), "timeZone": zone.name })
}

/// `2026-11-23T09:00:00.0000000`
pub(crate) fn date_time(at: PrimitiveDateTime) -> String {
    let (hour, minute, second) = at.time().as_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}.0000000", recurrence::day_text(at.date()))
}

pub(super) fn attachment_id(attached: &Attached) -> String {
    BASE64URL.encode(&attached.number.to_be_bytes())
}

pub(super) fn attachment(one: &Attached, beta: bool) -> Value {
    let file = &one.file;
    let kind = attached::kind(file);
    let mut shown = json!({
        "@odata.type": format!("#microsoft.graph.{kind}"),
        "id": attachment_id(one),
        "lastModifiedDateTime": clock::iso(one.modified),
        "name": file.name,
        "contentType": (kind != "itemAttachment").then_some(&file.content_type),
        "size": file.bytes.len(),
        "isInline": file.inline,
    });
    if kind == "fileAttachment" {
        shown["@odata.mediaContentType"] = json!(file.content_type);
        shown["contentId"] = json!(file.content_id);
        shown["contentLocation"] = Value::Null;
        shown["contentBytes"] = json!(BASE64.encode(&file.bytes));
    }
    for (name, value) in attached::reference(file, beta) {
        shown[name] = value;
    }
    shown
}

/// The selected properties of a calendar.
pub(super) fn calendar(
    mailbox: &Mailbox,
    selection: Selection,
    calendar: &Calendar,
) -> Map<String, Value> {
    let default = calendar.number == DEFAULT_CALENDAR;
    let mut shown = Map::new();
    shown.insert("id".into(), json!(ids::folder_id(mailbox.id, calendar.number)));
    for name in selection.iter() {
        let value = match name {
            "name" => json!(calendar.name),
            "color" => json!(calendar.color),
            "hexColor" => json!(""),
            "isDefaultCalendar" => json!(default),
            "changeKey" => json!(change_key(mailbox.id, calendar.changed)),
            "canEdit" => json!(calendar.shared.as_ref().is_none_or(|shared| shared.can_edit)),
            "canShare" | "canViewPrivateItems" => json!(calendar.shared.is_none()),
            "allowedOnlineMeetingProviders" => json!(["teamsForBusiness"]),
            "defaultOnlineMeetingProvider" => json!("teamsForBusiness"),
            "isTallyingResponses" => json!(default),
            "isRemovable" => json!(!default),
            "owner" => match &calendar.shared {
                Some(shared) => json!({ "name": shared.owner, "address": shared.owner }),
                None => json!({ "name": mailbox.display_name, "address": mailbox.address }),
            },
            _ => Value::Null,
        };
        shown.insert(name.to_owned(), value);
    }
    shown
}
