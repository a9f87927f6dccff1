//! Reading of events (<https://learn.microsoft.com/graph/api/event-get>).

use serde_json::{Map, Value, json};

use super::input::parse_local;
use super::recurrence::day_text;
use super::render::{self, View};
use super::{applied, calendar_of, id, preferred_zone};
use crate::clock;
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::extended::{self, Filter};
use crate::graph::page::{Page, collection, single};
use crate::graph::personal::In;
use crate::graph::query::{Comparison, comparisons, split_top};
use crate::graph::select::Selection;
use crate::ids;
use crate::state::{Aspect, DEFAULT_CALENDAR, Event, MailboxState, Zone};

/// Widest range of `instances`, in days (Exchange: five years).
const WIDEST: i64 = 1825;

/// What `$expand` asks for.
#[derive(Default)]
pub(super) struct Expand {
    attachments: bool,
    exceptions: bool,
    extended: Vec<String>,
}

impl Expand {
    pub(super) fn parse(expand: Option<&str>) -> Result<Self, GraphError> {
        let mut found = Self::default();
        for part in expand.into_iter().flat_map(|expand| split_top(expand, ',')) {
            if part.eq_ignore_ascii_case("attachments") {
                found.attachments = true;
            } else if part.eq_ignore_ascii_case("exceptionOccurrences") {
                found.exceptions = true;
            } else if let Some(ids) = extended::expanded(part)? {
                found.extended.extend(ids);
            } else {
                return Err(GraphError::bad_request(format!(
                    "Parsing $expand failed at '{part}'."
                )));
            }
        }
        Ok(found)
    }

    /// Refuses what can be expanded for one event alone.
    pub(super) fn of_many(&self) -> Result<(), GraphError> {
        match self.exceptions {
            true => {
                Err(GraphError::bad_request("Parsing $expand failed at 'exceptionOccurrences'."))
            }
            false => Ok(()),
        }
    }
}

/// The event of an id, in the calendar that the URL names if it does.
pub(super) fn find<'s>(
    state: &'s MailboxState,
    place: &In,
    id: &str,
) -> Result<(u64, &'s Event, Aspect), GraphError> {
    let (item, event, aspect) = id::find(state, id)?;
    let here = match place {
        In::Mailbox => true,
        In::Default | In::Calendar(_) => event.calendar == calendar_of(state, place)?,
    };
    if here { Ok((item, event, aspect)) } else { Err(GraphError::item_not_found()) }
}

/// `GET …/events`: single events and series, neither occurrences nor exceptions.
pub(super) fn list(desk: &Desk<'_>, place: &In) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$top", "$skip", "$filter", "$expand", "$orderby", "$count"])?;
    let (selection, _) = Selection::event(desk.query.get("$select"))?;
    let expand = Expand::parse(desk.query.get("$expand"))?;
    if expand.exceptions {
        return Err(GraphError::bad_request(
            "The query specified in the URI is not valid: 'exceptionOccurrences' can be expanded for one event only.",
        ));
    }
    let tests = Tests::parse(desk.query.get("$filter"))?;
    let order = Order::parse(desk.query.get("$orderby"))?;
    let page = Page::of(desk)?;
    let (zone, zone_applied) = preferred_zone(desk)?;
    let state = desk.mailbox.read();
    let calendar = calendar_of(&state, place)?;
    let all = state.calendars.events.iter().filter(|(_, event)| event.calendar == calendar);
    let mut found: Vec<(u64, &Event)> = all
        .map(|(item, event)| (*item, event))
        .filter(|(item, event)| tests.hold(&state, *item, event))
        .collect();
    order.sort(&mut found);
    let view = view(desk, &zone);
    let lines: Vec<Value> = found
        .iter()
        .skip(page.skip)
        .take(page.top)
        .map(|(item, event)| {
            Value::Object(whole(&view, selection, &expand, *item, event, Aspect::Whole))
        })
        .collect();
    let path = path(&state, place, calendar);
    let answer = collection(desk, &page, &path, &selection.context(), found.len(), lines);
    Ok(applied(desk, answer, zone_applied))
}

/// `GET …/events/{id}`, of an occurrence as well.
pub(super) fn show(desk: &Desk<'_>, place: &In, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand"])?;
    let (selection, relation) = Selection::event(desk.query.get("$select"))?;
    let expand = Expand::parse(desk.query.get("$expand"))?;
    let (zone, zone_applied) = preferred_zone(desk)?;
    let state = desk.mailbox.read();
    let (item, event, aspect) = find(&state, place, id)?;
    let view = view(desk, &zone);
    let mut members = whole(&view, selection, &expand, item, event, aspect);
    if event.recurrence.is_some() && aspect == Aspect::Whole {
        if selection.iter().any(|name| name == "cancelledOccurrences") {
            let series = id::write(desk.mailbox.id, desk.prefer.ids, item, event, aspect);
            let ids: Vec<String> = event
                .cancelled
                .iter()
                .map(|date| format!("OID.{series}.{}", day_text(*date)))
                .collect();
            members.insert("cancelledOccurrences".into(), json!(ids));
        }
        if expand.exceptions && relation {
            let (all, _) = Selection::event(None)?;
            let inner = Expand { extended: expand.extended.clone(), ..Expand::default() };
            let exceptions: Vec<Value> = event
                .exceptions
                .keys()
                .map(|date| {
                    let aspect = Aspect::Occurrence(*date);
                    Value::Object(whole(&view, all, &inner, item, event, aspect))
                })
                .collect();
            members.insert("exceptionOccurrences".into(), json!(exceptions));
        }
    }
    let answer = single(desk, "events", &selection.context(), members, 200);
    Ok(applied(desk, answer, zone_applied))
}

/// `GET …/events/{id}/instances`: what of a series takes place in a range of time.
pub(super) fn instances(desk: &Desk<'_>, place: &In, id: &str) -> Result<Answer, GraphError> {
    const OPTIONS: &[&str] =
        &["startdatetime", "enddatetime", "$select", "$top", "$skip", "$expand", "$count"];
    desk.query.allow(OPTIONS)?;
    let (from, to) = window(desk)?;
    let (selection, _) = Selection::event(desk.query.get("$select"))?;
    let expand = Expand::parse(desk.query.get("$expand"))?;
    expand.of_many()?;
    let page = Page::of(desk)?;
    let (zone, zone_applied) = preferred_zone(desk)?;
    let state = desk.mailbox.read();
    let (item, event, aspect) = find(&state, place, id)?;
    if event.recurrence.is_none() || aspect != Aspect::Whole {
        return Err(GraphError::new(
            400,
            "ErrorInvalidRequest",
            "The instances of an event that is not a series cannot be listed.",
        ));
    }
    let view = view(desk, &zone);
    let found: Vec<Aspect> = within(event, from, to);
    let lines: Vec<Value> = found
        .iter()
        .skip(page.skip)
        .take(page.top)
        .map(|aspect| Value::Object(whole(&view, selection, &expand, item, event, *aspect)))
        .collect();
    let path = format!("events/{id}/instances");
    let answer = collection(desk, &page, &path, &selection.context(), found.len(), lines);
    Ok(applied(desk, answer, zone_applied))
}

/// What of an event takes place in a range: a single one itself, of a series its occurrences.
pub(super) fn seen_within(event: &Event, from: i64, to: i64) -> Vec<Aspect> {
    if event.recurrence.is_some() {
        return within(event, from, to);
    }
    let (start, end) = (event.details.start.unix(), event.details.end.unix());
    let overlaps = start < to && (end > from || (start == end && start >= from));
    overlaps.then_some(Aspect::Whole).into_iter().collect()
}

/// Occurrences that overlap a range, in their order.
pub(super) fn within(event: &Event, from: i64, to: i64) -> Vec<Aspect> {
    let overlaps = |aspect: &Aspect| {
        let (start, end) = event.times(*aspect);
        let (start, end) = (start.unix(), end.unix());
        start < to && (end > from || (start == end && start >= from))
    };
    // What was moved may lie far from its day, but only so many days: what lies after the range by
    // the rule cannot come back into it by more than an exception that is there.
    let planned = event
        .occurrences()
        .take_while(|date| event.planned(*date).0.unix() < to)
        .map(Aspect::Occurrence);
    let moved = event
        .exceptions
        .keys()
        .filter(|date| event.planned(**date).0.unix() >= to)
        .map(|date| Aspect::Occurrence(*date));
    let mut found: Vec<Aspect> = planned.chain(moved).filter(overlaps).collect();
    found.sort_by_key(|aspect| event.times(*aspect).0.unix());
    found
}

/// The members of an event with what was expanded.
pub(super) fn whole(
    view: &View<'_>,
    selection: Selection,
    expand: &Expand,
    item: u64,
    event: &Event,
    aspect: Aspect,
) -> Map<String, Value> {
    let mut members = render::event(view, selection, item, event, aspect);
    if expand.attachments {
        let attachments = event.attachments(aspect).iter();
        let list: Vec<Value> = attachments.map(|one| render::attachment(one, view.beta)).collect();
        members.insert("attachments".into(), json!(list));
    }
    render::add_extended(&mut members, event, aspect, &expand.extended);
    members
}

pub(super) fn view<'a>(desk: &Desk<'_>, zone: &'a Zone) -> View<'a> {
    View {
        mailbox: desk.mailbox.id,
        ids: desk.prefer.ids,
        zone,
        text_body: desk.prefer.text_body,
        beta: desk.base.is_beta(),
    }
}

fn path(state: &MailboxState, place: &In, calendar: u64) -> String {
    match place {
        In::Mailbox => "events".to_owned(),
        In::Default if calendar == DEFAULT_CALENDAR => "calendar/events".to_owned(),
        _ => format!("calendars/{}/events", ids::folder_id(state.mailbox, calendar)),
    }
}

/// The range of time that a request is about.
pub(super) fn window(desk: &Desk<'_>) -> Result<(i64, i64), GraphError> {
    let (from, to) = (range(desk, "startDateTime")?, range(desk, "endDateTime")?);
    if to < from {
        return Err(GraphError::new(
            400,
            "ErrorInvalidParameter",
            "The end of the range is before its start.",
        ));
    }
    if to - from > WIDEST * 86_400 {
        return Err(GraphError::new(
            400,
            "ErrorCalendarViewRangeTooBig",
            "The specified date range in the request is greater than the maximum date range allowed by the server.",
        ));
    }
    Ok((from, to))
}

/// A bound of a range, in UTC unless it says otherwise.
fn range(desk: &Desk<'_>, name: &str) -> Result<i64, GraphError> {
    let text = desk.query.get(&name.to_lowercase()).ok_or_else(|| {
        GraphError::new(
            400,
            "ErrorInvalidParameter",
            "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.",
        )
    })?;
    let plain = || Some(parse_local(text)?.assume_utc().unix_timestamp());
    clock::parse_rfc3339(text).map(|at| at.unix_timestamp()).or_else(plain).ok_or_else(|| {
        GraphError::new(
            400,
            "ErrorInvalidParameter",
            format!("The value '{text}' of parameter '{name}' is invalid."),
        )
    })
}

/// A `$filter`.
pub(super) enum Tests {
    Extended(Filter),
    All(Vec<Comparison>),
}

impl Tests {
    pub(super) fn parse(filter: Option<&str>) -> Result<Self, GraphError> {
        let Some(filter) = filter else { return Ok(Self::All(Vec::new())) };
        if let Some(filter) = Filter::parse(filter)? {
            return Ok(Self::Extended(filter));
        }
        let all = comparisons(filter)?;
        for one in &all {
            let known = match one.property.as_str() {
                "subject" | "iCalUId" | "type" => one.operator == "eq",
                "start/dateTime" | "end/dateTime" => {
                    parse_local(one.value.trim_end_matches('Z')).is_some()
                }
                "createdDateTime" | "lastModifiedDateTime" => {
                    clock::parse_rfc3339(&one.value).is_some()
                }
                _ => false,
            };
            if !known {
                return Err(GraphError::new(
                    400,
                    "ErrorInvalidUrlQueryFilter",
                    format!(
                        "The query filter contains one or more invalid nodes: '{}'.",
                        one.property
                    ),
                ));
            }
        }
        Ok(Self::All(all))
    }

    pub(super) fn hold(&self, state: &MailboxState, item: u64, event: &Event) -> bool {
        let all = match self {
            Self::Extended(filter) => {
                return filter.holds(event.details.properties.get(&filter.id));
            }
            Self::All(all) => all,
        };
        all.iter().all(|one| {
            let local = |text: &str| {
                parse_local(text.trim_end_matches('Z')).map(|at| at.assume_utc().unix_timestamp())
            };
            let given = clock::parse_rfc3339(&one.value).map(|at| at.unix_timestamp());
            let (is, wanted) = match one.property.as_str() {
                "subject" => {
                    return event.field(Aspect::Whole, "subject") == Some(&json!(one.value));
                }
                "iCalUId" => return render::uid(state.mailbox, item, event) == one.value,
                "type" => return render::kind(event, Aspect::Whole) == one.value,
                "start/dateTime" => (event.details.start.unix(), local(&one.value)),
                "end/dateTime" => (event.details.end.unix(), local(&one.value)),
                "createdDateTime" => (event.created, given),
                _ => (event.modified, given),
            };
            let Some(wanted) = wanted else { return false };
            match one.operator.as_str() {
                "eq" => is == wanted,
                "ne" => is != wanted,
                "ge" => is >= wanted,
                "gt" => is > wanted,
                "le" => is <= wanted,
                "lt" => is < wanted,
                _ => false,
            }
        })
    }
}

/// `$orderby`
struct Order {
    by: &'static str,
    descending: bool,
}

impl Order {
    fn parse(order: Option<&str>) -> Result<Self, GraphError> {
        const KNOWN: &[&str] =
            &["", "start/dateTime", "createdDateTime", "lastModifiedDateTime", "subject"];
        let order = order.unwrap_or_default();
        let (name, direction) = order.split_once(' ').unwrap_or((order, "asc"));
        let by = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name));
        match (by, direction.to_lowercase().as_str()) {
            (Some(by), "asc" | "desc") => {
                Ok(Self { by, descending: direction.eq_ignore_ascii_case("desc") })
            }
            _ => {
                Err(GraphError::bad_request(format!("The sort order '{order}' is not supported.")))
            }
        }
    }

    fn sort(&self, found: &mut [(u64, &Event)]) {
        match self.by {
            "start/dateTime" => found.sort_by_key(|(_, event)| event.details.start.unix()),
            "createdDateTime" => found.sort_by_key(|(_, event)| event.created),
            "lastModifiedDateTime" => found.sort_by_key(|(_, event)| event.modified),
            "subject" => found.sort_by_key(|(_, event)| {
                let subject = event.field(Aspect::Whole, "subject").and_then(Value::as_str);
                subject.unwrap_or_default().to_lowercase()
            }),
            _ => {}
        }
        if self.descending {
            found.reverse();
        }
    }
}
