//! Calendars (<https://learn.microsoft.com/graph/api/resources/calendar>).

mod attachments;
mod events;
mod id;
mod input;
mod invite;
mod recurrence;
mod render;
mod view;
mod write;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::errors::GraphError;
use super::folders::{known, object};
use super::page::{Page, collection, single};
use super::personal::In;
use super::select::Selection;
use super::{Base, Desk};
use crate::compose::Attachment;
use crate::ids;
use crate::operation::Operation;
use crate::state::{
    Aspect, Calendar, DEFAULT_CALENDAR, Event, IdKind, MailboxState, Refusal, Zone,
};

pub(super) use id::unknown;
pub(super) use input::parse_local;
pub(super) use recurrence::{read as recurrence_read, written as recurrence_written};
pub(crate) use render::date_time;
pub(super) use render::{UID_KEPT, uid};
pub(super) use view::{changes as view_delta, list as view};

const LONGEST_NAME: usize = 255;
const COLORS: &[&str] = &[
    "auto",
    "lightBlue",
    "lightGreen",
    "lightOrange",
    "lightGray",
    "lightYellow",
    "lightTeal",
    "lightPink",
    "lightBrown",
    "lightRed",
    "maxColor",
];

/// Answers what is asked of a calendar's list or of one calendar.
pub(super) fn calendars(
    desk: &Desk<'_>,
    operation: Operation,
    name: Option<&str>,
    body: &[u8],
) -> Result<Answer, GraphError> {
    match operation {
        Operation::CalendarsList => list(desk),
        Operation::CalendarCreate => create(desk, body),
        Operation::CalendarPatch => patch(desk, name, body),
        Operation::CalendarDelete => {
            desk.query.allow(&[])?;
            let mut state = desk.mailbox.write();
            let number = find(&state, name)?.number;
            state.delete_calendar(number).map_err(refused)?;
            Ok(Answer::no_content())
        }
        _ => {
            desk.query.allow(&["$select"])?;
            let selection = Selection::calendar(desk.query.get("$select"))?;
            let state = desk.mailbox.read();
            let calendar = find(&state, name)?;
            Ok(shown(desk, selection, calendar, 200))
        }
    }
}

/// Answers what is asked of events.
pub(super) fn events(
    desk: &Desk<'_>,
    operation: Operation,
    place: &In,
    id: Option<&str>,
    attachment: Option<&str>,
    body: &[u8],
) -> Result<Answer, GraphError> {
    use Operation as Op;
    let id = id.unwrap_or_default();
    let attachment = attachment.unwrap_or_default();
    match operation {
        Op::EventsList => events::list(desk, place),
        Op::EventCreate => write::create(desk, place, body),
        Op::EventShow => events::show(desk, place, id),
        Op::EventPatch => write::patch(desk, place, id, body),
        Op::EventDelete => write::delete(desk, place, id),
        Op::EventInstances => events::instances(desk, place, id),
        Op::EventAttachmentsList => attachments::list(desk, place, id),
        Op::EventAttachmentShow => attachments::show(desk, place, id, attachment),
        Op::EventAttachmentValue => attachments::value(desk, place, id, attachment),
        Op::EventAttachmentCreate => attachments::create(desk, place, id, body),
        Op::EventAttachmentDelete => attachments::delete(desk, place, id, attachment),
        _ => Err(GraphError::bad_request("The request URI is not valid.")),
    }
}

/// Refuses the id of an event that is not there.
pub(super) fn must_have(desk: &Desk<'_>, place: &In, id: &str) -> Result<(), GraphError> {
    events::find(&desk.mailbox.read(), place, id).map(drop)
}

/// Attaches a file that came in pieces; the attachment's id.
pub(super) fn attach(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    file: Attachment,
) -> Result<String, GraphError> {
    let made = attachments::add(desk, place, id, file)?;
    Ok(render::attachment_id(&made))
}

/// An event that is attached to another item, as Graph shows it there: it has no id.
pub(super) fn attached(
    body: &Map<String, Value>,
    base: &Base<'_>,
    now: i64,
) -> Result<Map<String, Value>, GraphError> {
    let wanted = input::Wanted::read(body, input::Creation::New, base, now)?;
    let event = write::build(&wanted, Map::new(), now)?;
    let mut shown = everything(Uuid::nil(), 0, &event, Aspect::Whole);
    for name in ["@odata.etag", "changeKey", "webLink", "seriesMasterId", "transactionId"] {
        shown.remove(name);
    }
    shown.insert("@odata.type".into(), json!("#microsoft.graph.event"));
    shown.insert("id".into(), json!(""));
    Ok(shown)
}

/// `GET …/events/{id}/calendar`
pub(super) fn of_event(desk: &Desk<'_>, place: &In, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select"])?;
    let selection = Selection::calendar(desk.query.get("$select"))?;
    let state = desk.mailbox.read();
    let (_, event, _) = events::find(&state, place, id)?;
    let calendar = state.calendars.find(event.calendar).ok_or_else(GraphError::item_not_found)?;
    Ok(shown(desk, selection, calendar, 200))
}

fn list(desk: &Desk<'_>) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$top", "$skip", "$count"])?;
    let selection = Selection::calendar(desk.query.get("$select"))?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let lines = state.calendars.list.iter().skip(page.skip).take(page.top);
    let lines: Vec<Value> =
        lines.map(|one| Value::Object(render::calendar(desk.mailbox, selection, one))).collect();
    Ok(collection(
        desk,
        &page,
        "calendars",
        &selection.context(),
        state.calendars.list.len(),
        lines,
    ))
}

fn create(desk: &Desk<'_>, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let (name, color) = named(body)?;
    let name = name.ok_or_else(bad_name)?;
    let mut state = desk.mailbox.write();
    let number = state.create_calendar(&name, color.unwrap_or("auto")).map_err(refused)?;
    let calendar = state.calendars.find(number).ok_or_else(GraphError::item_not_found)?;
    Ok(shown(desk, Selection::calendar(None)?, calendar, 201))
}

fn patch(desk: &Desk<'_>, name: Option<&str>, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let (new_name, color) = named(body)?;
    let mut state = desk.mailbox.write();
    let number = find(&state, name)?.number;
    state.change_calendar(number, new_name.as_deref(), color).map_err(refused)?;
    let calendar = state.calendars.find(number).ok_or_else(GraphError::item_not_found)?;
    Ok(shown(desk, Selection::calendar(None)?, calendar, 200))
}

fn shown(desk: &Desk<'_>, selection: Selection, calendar: &Calendar, status: u16) -> Answer {
    let members = render::calendar(desk.mailbox, selection, calendar);
    single(desk, "calendars", &selection.context(), members, status)
}

/// The calendar of an id; the default one when none is named.
fn find<'s>(state: &'s MailboxState, id: Option<&str>) -> Result<&'s Calendar, GraphError> {
    let number = match id {
        None => DEFAULT_CALENDAR,
        Some(id) => ids::parse_folder_id(state.mailbox, id).ok_or_else(|| unknown(id))?,
    };
    state.calendars.find(number).ok_or_else(GraphError::item_not_found)
}

/// The calendar that a URL is about: `/events` is about all of them when it names an event, and
/// about the default one otherwise.
fn calendar_of(state: &MailboxState, place: &In) -> Result<u64, GraphError> {
    match place {
        In::Mailbox | In::Default => Ok(DEFAULT_CALENDAR),
        In::Calendar(id) => Ok(find(state, Some(id))?.number),
    }
}

/// The zone of `Prefer: outlook.timezone`, UTC when there is none, and whether there is one.
fn preferred_zone(desk: &Desk<'_>) -> Result<(Zone, Option<String>), GraphError> {
    let preference = desk.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    for part in preference.flat_map(|value| value.split([',', ';'])) {
        let Some((name, value)) = part.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("outlook.timezone") {
            let zone = input::zone(value.trim().trim_matches('"'))?;
            let applied = format!("outlook.timezone=\"{}\"", zone.name);
            return Ok((zone, Some(applied)));
        }
    }
    Ok((Zone::utc(), None))
}

/// Name and colour in the body of a request.
fn named(body: &[u8]) -> Result<(Option<String>, Option<&'static str>), GraphError> {
    let body = object(body)?;
    known(&body, &["name", "color", "@odata.type"])?;
    let name = match body.get("name") {
        None => None,
        Some(value) => Some(
            value
                .as_str()
                .filter(|name| !name.trim().is_empty() && name.chars().count() <= LONGEST_NAME)
                .map(str::to_owned)
                .ok_or_else(bad_name)?,
        ),
    };
    let color = match body.get("color").and_then(Value::as_str) {
        None if body.get("color").is_some_and(|color| *color != json!(null)) => {
            return Err(input::wrong("color"));
        }
        None => None,
        Some(text) => {
            let known = COLORS.iter().find(|known| known.eq_ignore_ascii_case(text));
            Some(*known.ok_or_else(|| input::wrong("color"))?)
        }
    };
    Ok((name, color))
}

fn bad_name() -> GraphError {
    GraphError::new(400, "ErrorInvalidArgument", "The calendar's name is missing or too long.")
}

fn refused(refusal: Refusal) -> GraphError {
    match refusal {
        Refusal::Distinguished => GraphError::new(
            400,
            "ErrorCannotDeleteObject",
            "The default calendar cannot be renamed or deleted.",
        ),
        other => other.into(),
    }
}

/// The header that tells which preferences were followed.
fn applied(desk: &Desk<'_>, answer: Answer, zone: Option<String>) -> Answer {
    Answer { preference_applied: desk.prefer.applied(), zone_applied: zone, ..answer }
}

/// All properties of an event or occurrence, in UTC.
pub(crate) fn everything(
    mailbox: Uuid,
    item: u64,
    event: &Event,
    aspect: Aspect,
) -> Map<String, Value> {
    let Ok((all, _)) = Selection::event(None) else { return Map::new() };
    let zone = Zone::utc();
    let view = render::View {
        mailbox,
        ids: IdKind::Immutable,
        zone: &zone,
        text_body: false,
        beta: false,
    };
    render::event(&view, all, item, event, aspect)
}
