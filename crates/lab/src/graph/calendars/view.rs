//! What takes place in a range of time
//! (<https://learn.microsoft.com/graph/api/user-list-calendarview>), and how that changes
//! (<https://learn.microsoft.com/graph/api/event-delta>).

use serde_json::{Map, Value, json};

use super::events::{self, Expand, Tests, seen_within, whole, window};
use super::{applied, calendar_of, id, preferred_zone, render};
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::cursor::Cursor;
use crate::graph::delta::{first, link, page_size, resumed};
use crate::graph::errors::GraphError;
use crate::graph::page::{Page, collection};
use crate::graph::paging::DeltaPage;
use crate::graph::personal::In;
use crate::graph::select::Selection;
use crate::ids;
use crate::state::{Aspect, DEFAULT_CALENDAR, Event, GoneEvent, IdKind, MailboxState};

/// What stands for a calendar view in a cursor; no folder has this number.
const VIEW: u64 = 0x7fff_0000_0000_0200;
/// What a delta query tells of an occurrence that is as its series.
const OF_OCCURRENCES: &str = "seriesMasterId,type,start,end";

/// `GET …/calendarView`: single events, occurrences and exceptions in their order, no series.
pub(in crate::graph) fn list(desk: &Desk<'_>, place: &In) -> Result<Answer, GraphError> {
    desk.query.allow(&[
        "startdatetime",
        "enddatetime",
        "$select",
        "$top",
        "$skip",
        "$filter",
        "$expand",
        "$orderby",
        "$count",
    ])?;
    let (from, to) = window(desk)?;
    let (selection, _) = Selection::event(desk.query.get("$select"))?;
    let expand = Expand::parse(desk.query.get("$expand"))?;
    expand.of_many()?;
    let tests = Tests::parse(desk.query.get("$filter"))?;
    let descending = descending(desk.query.get("$orderby"))?;
    let page = Page::of(desk)?;
    let (zone, zone_applied) = preferred_zone(desk)?;
    let state = desk.mailbox.read();
    let calendar = calendar_of(&state, place)?;
    let mut found: Vec<(i64, u64, &Event, Aspect)> = Vec::new();
    for (item, event) in state.calendars.events.iter().filter(|(_, e)| e.calendar == calendar) {
        if tests.hold(&state, *item, event) {
            let seen = seen_within(event, from, to).into_iter();
            found.extend(seen.map(|aspect| (event.times(aspect).0.unix(), *item, event, aspect)));
        }
    }
    found.sort_by_key(|(start, item, ..)| (*start, *item));
    if descending {
        found.reverse();
    }
    let view = events::view(desk, &zone);
    let lines: Vec<Value> = found
        .iter()
        .skip(page.skip)
        .take(page.top)
        .map(|(_, item, event, aspect)| {
            Value::Object(whole(&view, selection, &expand, *item, event, *aspect))
        })
        .collect();
    let path = match place {
        In::Mailbox => "calendarView".to_owned(),
        In::Default => "calendar/calendarView".to_owned(),
        In::Calendar(_) => {
            format!("calendars/{}/calendarView", ids::folder_id(state.mailbox, calendar))
        }
    };
    let answer = collection(desk, &page, &path, &selection.context(), found.len(), lines);
    Ok(applied(desk, answer, zone_applied))
}

fn descending(order: Option<&str>) -> Result<bool, GraphError> {
    match order.map(str::to_lowercase).as_deref() {
        None | Some("start/datetime" | "start/datetime asc") => Ok(false),
        Some("start/datetime desc") => Ok(true),
        Some(other) => {
            Err(GraphError::bad_request(format!("The sort order '{other}' is not supported.")))
        }
    }
}

/// One line of a delta query.
enum Line<'s> {
    /// In full: a single event, a series or an exception.
    Full(u64, &'s Event, Aspect),
    Occurrence(u64, &'s Event, Aspect),
    Gone(String),
}

/// `GET …/calendarView/delta`, of the default calendar: what of it takes place in the window that the
/// first request has named.
pub(in crate::graph) fn changes(desk: &Desk<'_>) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let start = match resumed(desk, VIEW)? {
        Some(cursor) => cursor,
        None => {
            desk.query.allow(&["startdatetime", "enddatetime"])?;
            Cursor { window: Some(window(desk)?), ..first(desk, VIEW, state.sequence) }
        }
    };
    let (zone, zone_applied) = preferred_zone(desk)?;
    let (page, offset) = page(desk, &state, &start);
    let view = events::view(desk, &zone);
    let (all, _) = Selection::event(None)?;
    let (few, _) = Selection::event(Some(OF_OCCURRENCES))?;
    let lines: Vec<Value> = page
        .lines
        .iter()
        .map(|(_, line)| {
            let shown = |selection, item, event, aspect| {
                let mut members = render::event(&view, selection, item, event, aspect);
                members.insert("@odata.type".into(), json!("#microsoft.graph.event"));
                Value::Object(members)
            };
            match line {
                Line::Full(item, event, aspect) => shown(all, *item, event, *aspect),
                Line::Occurrence(item, event, aspect) => shown(few, *item, event, *aspect),
                Line::Gone(id) => json!({
                    "@odata.type": "#microsoft.graph.event",
                    "id": id,
                    "@removed": { "reason": "deleted" },
                }),
            }
        })
        .collect();
    let path = format!("users/{}/calendarView/delta", desk.mailbox.id);
    let offset = if page.again { start.offset } else { offset };
    let (name, link) = link(desk, &path, &Cursor { offset, ..start.clone() }, &page);
    let mut answer = Map::new();
    answer.insert("@odata.context".into(), json!(desk.base.context("Collection(event)")));
    answer.insert(name.into(), json!(link));
    answer.insert("value".into(), Value::Array(lines));
    Ok(applied(desk, Answer::json(Value::Object(answer).to_string().into_bytes()), zone_applied))
}

/// The lines behind a cursor, and how many of the next change are among them.
fn page<'s>(
    desk: &Desk<'_>,
    state: &'s MailboxState,
    start: &Cursor,
) -> (DeltaPage<Line<'s>>, usize) {
    enum What<'s> {
        There(u64, &'s Event),
        Gone(&'s GoneEvent),
    }
    let size = page_size(desk, start);
    let (from, to) = start.window.unwrap_or_default();
    let mut changes: Vec<(u64, What<'s>)> = Vec::new();
    for (item, event) in &state.calendars.events {
        if event.calendar == DEFAULT_CALENDAR && event.changed > start.position {
            changes.push((event.changed, What::There(*item, event)));
        }
    }
    let gone = state.calendars.gone.range(start.position + 1..);
    for (change, gone) in gone.filter(|(_, gone)| gone.calendar == DEFAULT_CALENDAR) {
        if gone.entered <= start.position && *change > start.floor {
            changes.push((*change, What::Gone(gone)));
        }
    }
    changes.sort_by_key(|(change, _)| *change);
    let kind = desk.prefer.ids;
    let mut page = DeltaPage {
        lines: Vec::new(),
        position: start.position,
        more: false,
        held: Vec::new(),
        held_for_next_round: Vec::new(),
        again: false,
        circle: false,
    };
    let mut told = start.offset;
    for (change, what) in changes {
        let lines = match what {
            What::There(item, event) => {
                let known = event.entered <= start.position;
                lines(state, kind, item, event, (from, to), known)
            }
            What::Gone(gone) => vec![Line::Gone(located(state, kind, gone.item, gone.location))],
        };
        // Another change came in between: what was told of the former is told again.
        let skip = if told <= lines.len() { told } else { 0 };
        let room = size - page.lines.len();
        let left = lines.len() - skip;
        page.lines.extend(lines.into_iter().skip(skip).take(room).map(|line| (None, line)));
        if left > room {
            page.more = true;
            page.falsify(desk, 0, start.again);
            return (page, skip + room);
        }
        told = 0;
        page.position = change;
    }
    // Behind what came and went meanwhile, too.
    page.position = state.sequence;
    page.falsify(desk, 0, start.again);
    (page, 0)
}

/// What is to be told of an event that has changed. `known`: the client may have it already.
fn lines<'s>(
    state: &MailboxState,
    kind: IdKind,
    item: u64,
    event: &'s Event,
    (from, to): (i64, i64),
    known: bool,
) -> Vec<Line<'s>> {
    let seen = seen_within(event, from, to);
    let gone = |aspect| Line::Gone(id::write(state.mailbox, kind, item, event, aspect));
    let mut lines = Vec::new();
    if known {
        let cancelled = event.cancelled.iter().filter(|date| {
            let (start, end) = event.planned(**date);
            start.unix() < to && end.unix() > from
        });
        lines.extend(cancelled.map(|date| gone(Aspect::Occurrence(*date))));
        let moved_away = event.exceptions.keys().map(|date| Aspect::Occurrence(*date));
        lines.extend(moved_away.filter(|aspect| !seen.contains(aspect)).map(gone));
    }
    if seen.is_empty() {
        if known {
            lines.push(gone(Aspect::Whole));
        }
        return lines;
    }
    lines.push(Line::Full(item, event, Aspect::Whole));
    lines.extend(seen.into_iter().filter_map(|aspect| match aspect {
        Aspect::Whole => None,
        Aspect::Occurrence(date) if event.exceptions.contains_key(&date) => {
            Some(Line::Full(item, event, aspect))
        }
        Aspect::Occurrence(_) => Some(Line::Occurrence(item, event, aspect)),
    }));
    lines
}

/// The id that an event had which is there no more.
fn located(state: &MailboxState, kind: IdKind, item: u64, location: u64) -> String {
    let mut out = Vec::with_capacity(64);
    match kind {
        IdKind::Immutable => ids::push_immutable_id(&mut out, state.mailbox, item),
        IdKind::Regular => ids::push_located_id(&mut out, state.mailbox, item, location),
    }
    String::from_utf8(out).unwrap_or_default()
}
