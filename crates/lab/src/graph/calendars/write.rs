//! Making, changing and deleting of events
//! (<https://learn.microsoft.com/graph/api/user-post-events>).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use time::{Date, PrimitiveDateTime};

use super::events::{Expand, find, view, whole};
use super::input::{Creation, Wanted, check_times, wrong};
use super::invite::{self, Notice, What};
use super::recurrence::refuse;
use super::{applied, calendar_of, preferred_zone};
use crate::compose::Attachment;
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::object;
use crate::graph::page::single;
use crate::graph::personal::In;
use crate::graph::select::Selection;
use crate::state::{
    Aspect, Attached, Details, Event, Exception, ExtendedProperties, MailboxState, Moment,
    Recurrence, Zone,
};

/// `POST …/events`. Attendees are invited.
pub(super) fn create(desk: &Desk<'_>, place: &In, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let wanted = Wanted::read(&object(body)?, Creation::New, &desk.base, desk.now)?;
    let (zone, zone_applied) = preferred_zone(desk)?;
    let mut event = build(&wanted, owned(desk), desk.now)?;
    let mut state = desk.mailbox.write();
    event.calendar = calendar_of(&state, place)?;
    let before = wanted.transaction.as_deref().and_then(|transaction| {
        let made = |event: &&Event| event.transaction.as_deref() == Some(transaction);
        state.calendars.events.iter().find(|(_, event)| made(event)).map(|(item, _)| *item)
    });
    let (item, notices) = match before {
        Some(item) => (item, Vec::new()),
        None => {
            let notices = Notice::of(desk, &event, Aspect::Whole, What::Request);
            (state.add_event(event, desk.now)?, notices)
        }
    };
    let answer = shown(desk, &state, &zone, item, Aspect::Whole, 201)?;
    drop(state);
    invite::send(desk, notices);
    Ok(applied(desk, answer, zone_applied))
}

/// `PATCH …/events/{id}`. An occurrence becomes an exception; attendees are told of what matters to
/// them.
pub(super) fn patch(
    desk: &Desk<'_>,
    place: &In,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let wanted = Wanted::read(&object(body)?, Creation::Change, &desk.base, desk.now)?;
    let (zone, zone_applied) = preferred_zone(desk)?;
    let mut state = desk.mailbox.write();
    let (item, event, aspect) = find(&state, place, id)?;
    // Tried on a copy first: a change that is refused must change nothing.
    let before = event.attendees(aspect);
    let mut event = event.clone();
    match aspect {
        Aspect::Whole => change_whole(&mut event, &wanted)?,
        Aspect::Occurrence(date) => change_occurrence(&mut event, date, &wanted, desk.now)?,
    }
    let mut notices = Vec::new();
    if wanted.is_told() {
        notices = Notice::of(desk, &event, aspect, What::Update);
        notices.extend(Notice::to_removed(desk, &event, aspect, &before));
    }
    state.change_event(item, aspect, desk.now, |there| *there = event)?;
    let answer = shown(desk, &state, &zone, item, aspect, 200)?;
    drop(state);
    invite::send(desk, notices);
    Ok(applied(desk, answer, zone_applied))
}

/// `DELETE …/events/{id}`. An occurrence is cancelled; attendees of the organizer's meeting are told.
pub(super) fn delete(desk: &Desk<'_>, place: &In, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let (item, event, aspect) = find(&state, place, id)?;
    let notices = Notice::of(desk, event, aspect, What::Cancellation);
    match aspect {
        Aspect::Whole => {
            state.delete_event(item)?;
        }
        Aspect::Occurrence(date) => state.change_event(item, Aspect::Whole, desk.now, |event| {
            event.exceptions.remove(&date);
            event.cancelled.insert(date);
        })?,
    }
    drop(state);
    invite::send(desk, notices);
    Ok(Answer::no_content())
}

/// The event that is wanted, in no calendar yet. `fields`: what it has besides.
pub(super) fn build(
    wanted: &Wanted,
    fields: Map<String, Value>,
    now: i64,
) -> Result<Event, GraphError> {
    let start = wanted.start.clone().ok_or_else(|| wrong("start"))?;
    let end = wanted.end.clone().ok_or_else(|| wrong("end"))?;
    let mut event = Event {
        calendar: 0,
        location: 0,
        entered: 0,
        changed: 0,
        created: now,
        modified: now,
        transaction: wanted.transaction.clone().map(Into::into),
        details: Details {
            start,
            end,
            all_day: wanted.all_day.unwrap_or(false),
            fields,
            properties: ExtendedProperties::default(),
        },
        attachments: numbered(&[], &wanted.attachments, now),
        recurrence: wanted.recurrence.clone().flatten(),
        exceptions: BTreeMap::new(),
        cancelled: BTreeSet::new(),
    };
    apply(&mut event.details, wanted)?;
    settle(&mut event)?;
    Ok(event)
}

/// What makes an event the mailbox owner's.
fn owned(desk: &Desk<'_>) -> Map<String, Value> {
    let organizer = json!({
        "emailAddress": { "name": desk.mailbox.display_name, "address": desk.mailbox.address },
    });
    Map::from_iter([("organizer".to_owned(), organizer)])
}

fn shown(
    desk: &Desk<'_>,
    state: &MailboxState,
    zone: &Zone,
    item: u64,
    aspect: Aspect,
    status: u16,
) -> Result<Answer, GraphError> {
    let event = state.calendars.events.get(&item).ok_or_else(GraphError::item_not_found)?;
    let (selection, _) = Selection::event(None)?;
    let members = whole(&view(desk, zone), selection, &Expand::default(), item, event, aspect);
    Ok(single(desk, "events", "", members, status))
}

/// Attachments behind those that are there, with numbers of their own.
pub(super) fn numbered(there: &[Attached], files: &[Attachment], now: i64) -> Vec<Attached> {
    let mut number = there.iter().map(|attached| attached.number).max().unwrap_or(0);
    let mut all = there.to_vec();
    all.extend(files.iter().map(|file| {
        number += 1;
        Attached { number, modified: now, file: file.clone() }
    }));
    all
}

/// Writes what is wanted over what is there, without times and recurrence.
fn apply(details: &mut Details, wanted: &Wanted) -> Result<(), GraphError> {
    for (name, value) in &wanted.fields {
        let mut value = value.clone();
        if name == "attendees" {
            keep_answers(&mut value, details.fields.get(name));
        }
        details.fields.insert(name.clone(), value);
    }
    for (id, value) in &wanted.properties {
        details.properties.set(id, value)?;
    }
    Ok(())
}

/// Who stays invited has answered already.
fn keep_answers(attendees: &mut Value, before: Option<&Value>) {
    let address = |attendee: &Value| {
        attendee["emailAddress"]["address"].as_str().unwrap_or_default().to_lowercase()
    };
    let before: Vec<&Value> = before.and_then(Value::as_array).into_iter().flatten().collect();
    for attendee in attendees.as_array_mut().into_iter().flatten() {
        let at = address(attendee);
        if let Some(known) = before.iter().find(|known| address(known) == at) {
            attendee["status"] = known["status"].clone();
        }
    }
}

fn change_whole(event: &mut Event, wanted: &Wanted) -> Result<(), GraphError> {
    let was = (event.details.start.clone(), event.details.end.clone(), event.details.all_day);
    let series = event.recurrence.clone();
    if let Some(start) = &wanted.start {
        event.details.start = start.clone();
    }
    if let Some(end) = &wanted.end {
        event.details.end = end.clone();
    }
    event.details.all_day = wanted.all_day.unwrap_or(event.details.all_day);
    match (&wanted.recurrence, &mut event.recurrence) {
        (Some(recurrence), there) => *there = recurrence.clone(),
        // A series that begins on another day.
        (None, Some(series)) if wanted.start.is_some() => {
            series.first = first_day(&event.details, &series.zone);
        }
        _ => {}
    }
    apply(&mut event.details, wanted)?;
    settle(event)?;
    let is = (event.details.start.clone(), event.details.end.clone(), event.details.all_day);
    if is != was || event.recurrence != series {
        // Exceptions are exceptions to the rule that was.
        event.exceptions.clear();
        event.cancelled.clear();
    }
    Ok(())
}

fn change_occurrence(
    event: &mut Event,
    date: Date,
    wanted: &Wanted,
    now: i64,
) -> Result<(), GraphError> {
    if wanted.recurrence.is_some() {
        return Err(GraphError::new(
            400,
            "ErrorInvalidPropertySet",
            "The recurrence of an occurrence cannot be set.",
        ));
    }
    let mut exception = exception_of(event, date, now);
    let details = &mut exception.details;
    if let Some(start) = &wanted.start {
        details.start = start.clone();
    }
    if let Some(end) = &wanted.end {
        details.end = end.clone();
    }
    details.all_day = wanted.all_day.unwrap_or(details.all_day);
    check_times(&details.start, &details.end, details.all_day)?;
    let inherited = event.details.fields.get("attendees").cloned();
    if let Some(attendees) = inherited.filter(|_| wanted.fields.contains_key("attendees")) {
        details.fields.entry("attendees").or_insert(attendees);
    }
    apply(details, wanted)?;
    let zone = event.series_zone();
    let day = |moment: &Moment, all_day: bool| {
        if all_day { moment.local.date() } else { moment.seen_in(&zone).date() }
    };
    let at = day(&details.start, details.all_day);
    let neighbours = (
        event.occurrences().take_while(|other| *other < date).last(),
        event.occurrences().find(|other| *other > date),
    );
    let day_of = |other: Date| {
        let aspect = Aspect::Occurrence(other);
        day(&event.times(aspect).0, event.details(aspect).all_day)
    };
    if neighbours.0.is_some_and(|other| day_of(other) >= at)
        || neighbours.1.is_some_and(|other| day_of(other) <= at)
    {
        return Err(GraphError::new(
            400,
            "ErrorOccurrenceCrossingBoundary",
            "Modified occurrence is crossing or overlapping adjacent occurrence.",
        ));
    }
    event.exceptions.insert(date, exception);
    Ok(())
}

/// The exception of a day, or one that does not differ from the series yet.
pub(super) fn exception_of(event: &Event, date: Date, now: i64) -> Exception {
    if let Some(exception) = event.exceptions.get(&date) {
        return exception.clone();
    }
    let (start, end) = event.planned(date);
    Exception {
        details: Details {
            start,
            end,
            all_day: event.details.all_day,
            fields: Map::new(),
            properties: ExtendedProperties::default(),
        },
        attachments: None,
        changed: 0,
        created: now,
        modified: now,
    }
}

/// Checks the times of an event, and that its series and its start agree. A series begins with its
/// first occurrence, also when the start was on another day.
fn settle(event: &mut Event) -> Result<(), GraphError> {
    let details = &mut event.details;
    check_times(&details.start, &details.end, details.all_day)?;
    let Some(series) = &mut event.recurrence else { return Ok(()) };
    if series.zone.is_empty() {
        series.zone = details.start.zone.clone();
    }
    if first_day(details, &series.zone) != series.first {
        return Err(refuse("range.startDate"));
    }
    let (first, gap) = spacing(series)?;
    let length = details.end.unix() - details.start.unix();
    if gap.is_some_and(|days| length > days * 86_400) {
        return Err(GraphError::new(
            400,
            "ErrorOccurrenceTimeSpanTooBig",
            "The duration of an occurrence is longer than the time between two occurrences.",
        ));
    }
    if first != series.first {
        series.first = first;
        let (start, end) = event.planned(first);
        event.details.start = start;
        event.details.end = end;
    }
    Ok(())
}

/// The first day of a series, and the days between it and the next.
fn spacing(series: &Recurrence) -> Result<(Date, Option<i64>), GraphError> {
    let mut dates = series.dates();
    let first = dates.next().ok_or_else(|| refuse("range"))?;
    Ok((first, dates.next().map(|next| (next - first).whole_days())))
}

/// The day on which an event begins, in a zone.
fn first_day(details: &Details, zone: &str) -> Date {
    if details.all_day {
        return details.start.local.date();
    }
    let zone = Zone::find(zone).unwrap_or_else(|| details.start.zone());
    PrimitiveDateTime::date(details.start.seen_in(&zone))
}
