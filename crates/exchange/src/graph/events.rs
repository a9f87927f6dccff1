//! From Graph's JSON to [`Event`]s; the requests are made in `calendar`.
//!
//! Sources: the Graph resource page `event` and `Get event`.

use mailkeep_model::{
    Attendee, Body, Change, Detail, Event, Exception, FolderId, Importance, Item, ItemId, ItemKind,
    Next, Page, Person, Response, Role, Sensitivity, ShowAs, ZonedTime,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    wire_outlook::{self as wire, ListedEvent, Listing},
    zones,
};
use crate::ExchangeError;

/// Where an item's [`provider`](Item::provider) has what Graph told, unchanged.
pub(super) const TOLD: &str = "graph";
/// Where it has what could not be kept, for people.
pub(super) const NOT_KEPT: &str = "notKept";
/// Where it has the zone that an event was made in.
pub(super) const ZONE: &str = "originalStartTimeZone";
/// Where it has Graph's `event.type`.
pub(super) const TYPE: &str = "type";
/// The type of an event that has no occurrences.
pub(super) const SINGLE: &str = "singleInstance";
/// Stands in for the identifier of something that was listed without one.
const NO_ID: &str = "(listed without an id)";

/// Reads one page of a list of events, times in UTC, of the calendar `folder`.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such a page.
pub fn parse_events_page(
    body: &[u8],
    folder: &FolderId,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    let action = "reading the events of a calendar";
    let page: Listing<Value> = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let mut changes = Vec::with_capacity(page.value.len());
    let mut unread = Vec::new();
    for event in page.value {
        match listed(&event, folder) {
            Ok(item) => changes.push(Change::Upsert(item)),
            Err(reason) => unread.push((id_of(&event), reason)),
        }
    }
    let next =
        page.next_link.map_or(Next::Complete, |link| Next::More(mailkeep_model::Cursor(link)));
    Ok(Page { changes, unread, next })
}

/// Reads the answer to `Get event`; `listed` is the same event as a list told it, or as
/// [`Provider::item`](crate::Provider::item) did: with its folder, and its start in UTC.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not an event.
pub fn parse_event(body: &[u8], listed: &Item) -> Result<Item, ExchangeError> {
    let action = "reading an event";
    let told: Value = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    event_item(told, listed).map_err(|reason| ExchangeError::protocol(action, reason))
}

/// What a list told of an event.
pub(super) fn listed(told: &Value, folder: &FolderId) -> Result<Item, String> {
    let event = ListedEvent::deserialize(told).map_err(|error| not_understood(&error))?;
    let content_key = event.change_key.or(event.last_modified_date_time);
    let start = zones::zoned(event.start.as_ref(), "start")?;
    if !zones::is_utc(&start.zone) {
        return Err(format!("the start is in {:?} instead of UTC", zones::shortened(&start.zone)));
    }
    let mut provider = Map::new();
    for (key, value) in [(ZONE, event.original_start_time_zone), (TYPE, event.kind)] {
        if let Some(value) = value {
            provider.insert(key.to_owned(), Value::String(value));
        }
    }
    Ok(Item {
        subject: event.subject.unwrap_or_default(),
        from: event.organizer.and_then(|one| one.email_address?.address),
        received: start.local.assume_utc(),
        draft: event.is_draft.unwrap_or_default(),
        importance: importance(event.importance.as_deref()),
        categories: event.categories.unwrap_or_default(),
        content_key: content_key.ok_or("neither a change key nor a time of change is told")?,
        provider,
        ..Item::new(ItemId(event.id), ItemKind::Event, folder.clone())
    })
}

/// All that Graph told of an event.
pub(super) fn event_item(mut told: Value, listed: &Item) -> Result<Item, String> {
    let event = wire::Event::deserialize(&told).map_err(|error| not_understood(&error))?;
    let key = ["changeKey", "lastModifiedDateTime"].into_iter().find_map(|key| told[key].as_str());
    let content_key = key.ok_or("neither a change key nor a time of change is told")?.to_owned();
    let draft = told["isDraft"].as_bool().unwrap_or_default();
    let mut not_kept = Vec::new();
    let exceptions = event.exception_occurrences.as_deref().unwrap_or_default();
    let cancelled = event.cancelled_occurrences.as_deref().unwrap_or_default();
    let mut full = self::event(&event)?;
    // On a clock that shows UTC, the time told is the time.
    let starts = if zones::is_utc(&full.start.zone) {
        full.start.local.assume_utc()
    } else {
        listed.received
    };
    for exception in exceptions {
        match self::exception(exception, &full.start, starts) {
            Ok(exception) => full.exceptions.push(exception),
            Err(reason) => not_kept.push(format!("a changed occurrence: {reason}")),
        }
    }
    full.exceptions.sort_by_key(|exception| exception.original.local);
    for id in cancelled {
        match zones::occurrence_date(id) {
            Some(date) => full.cancelled_occurrences.push(date),
            None => not_kept.push("a cancelled occurrence: its id names no date".to_owned()),
        }
    }
    full.cancelled_occurrences.sort_unstable();
    drop_texts(&mut told);
    let mut provider = Map::from_iter([(TOLD.to_owned(), told)]);
    note(&mut provider, not_kept);
    Ok(Item {
        subject: full.subject.clone(),
        from: full.organizer.as_ref().map(|one| one.address.clone()).filter(|one| !one.is_empty()),
        recipients: full
            .attendees
            .iter()
            .map(|one| one.person.address.clone())
            .filter(|address| !address.is_empty())
            .collect(),
        received: starts,
        draft,
        importance: full.importance,
        categories: full.categories.clone(),
        content_key,
        detail: Some(Detail::Event(Box::new(full))),
        provider,
        ..Item::new(listed.id.clone(), ItemKind::Event, listed.folder.clone())
    })
}

/// Adds to what an item could not keep.
pub(super) fn note(provider: &mut Map<String, Value>, texts: Vec<String>) {
    if texts.is_empty() {
        return;
    }
    let notes = provider.entry(NOT_KEPT).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(notes) = notes {
        notes.extend(texts.into_iter().map(Value::String));
    }
}

fn exception(told: &Value, start: &ZonedTime, starts: OffsetDateTime) -> Result<Exception, String> {
    let event = wire::Event::deserialize(told).map_err(|error| not_understood(&error))?;
    let (original, id) = (event.original_start.as_deref(), event.occurrence_id.as_deref());
    let original = zones::original(start, starts, original, id)
        .ok_or("it is not told which occurrence it was")?;
    let mut full = self::event(&event)?;
    full.recurrence = None;
    Ok(Exception { original, event: full })
}

/// One event, without what a series has beside it.
fn event(told: &wire::Event) -> Result<Event, String> {
    let start = zones::zoned(told.start.as_ref(), "start")?;
    let end = zones::zoned(told.end.as_ref(), "end")?;
    let recurrence = told.recurrence.as_ref();
    let recurrence = recurrence.map(|told| zones::recurrence(told, &start.zone)).transpose()?;
    let reminder = told.is_reminder_on.unwrap_or_default();
    let meeting = told.online_meeting.as_ref().and_then(|meeting| meeting.join_url.as_ref());
    let meeting = told.online_meeting_url.as_ref().filter(|url| !url.is_empty()).or(meeting);
    Ok(Event {
        uid: told.ical_uid.clone(),
        subject: told.subject.clone().unwrap_or_default(),
        body: body(told.body.as_ref()),
        start,
        end,
        all_day: told.is_all_day.unwrap_or_default(),
        locations: locations(told),
        organizer: told.organizer.as_ref().and_then(|one| person(one.email_address.as_ref())),
        is_organizer: told.is_organizer.unwrap_or_default(),
        attendees: told.attendees.iter().flatten().map(attendee).collect(),
        response: response(told.response_status.as_ref()),
        response_requested: told.response_requested.unwrap_or_default(),
        categories: told.categories.clone().unwrap_or_default(),
        importance: importance(told.importance.as_deref()),
        sensitivity: sensitivity(told.sensitivity.as_deref()),
        show_as: show_as(told.show_as.as_deref()),
        reminder_minutes: told.reminder_minutes_before_start.filter(|_| reminder),
        cancelled: told.is_cancelled.unwrap_or_default(),
        online_meeting_url: meeting.cloned(),
        recurrence,
        exceptions: Vec::new(),
        cancelled_occurrences: Vec::new(),
        attachments: Vec::new(),
        created: zones::instant(told.created_date_time.as_deref()),
        modified: zones::instant(told.last_modified_date_time.as_deref()),
    })
}

pub(super) fn body(told: Option<&wire::ItemBody>) -> Body {
    let Some(told) = told else { return Body::default() };
    let content = told.content.clone().unwrap_or_default();
    match told.content_type.as_deref() {
        Some(html) if html.eq_ignore_ascii_case("html") => Body::Html(content),
        _ => Body::Text(content),
    }
}

fn locations(told: &wire::Event) -> Vec<String> {
    let named: Vec<_> = told.locations.iter().flatten().filter_map(location).collect();
    if named.is_empty() { told.location.iter().filter_map(location).collect() } else { named }
}

/// What people would call a place.
fn location(told: &wire::Location) -> Option<String> {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let address = || {
        let address = told.address.as_ref()?;
        let parts = [
            &address.street,
            &address.postal_code,
            &address.city,
            &address.state,
            &address.country_or_region,
        ];
        let parts: Vec<_> = parts.into_iter().filter_map(filled).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    };
    filled(&told.display_name).or_else(address).or_else(|| filled(&told.location_uri))
}

fn attendee(told: &wire::Attendee) -> Attendee {
    Attendee {
        person: person(told.email_address.as_ref()).unwrap_or_default(),
        role: match told.role.as_deref() {
            Some("optional") => Role::Optional,
            Some("resource") => Role::Resource,
            _ => Role::Required,
        },
        response: response(told.status.as_ref()),
    }
}

/// `None` when neither name nor address is told.
pub(super) fn person(told: Option<&wire::NamedAddress>) -> Option<Person> {
    let told = told?;
    let name = told.name.clone().unwrap_or_default();
    let address = told.address.clone().unwrap_or_default();
    (!name.is_empty() || !address.is_empty()).then_some(Person { name, address })
}

fn response(told: Option<&wire::ResponseStatus>) -> Response {
    match told.and_then(|told| told.response.as_deref()) {
        Some("organizer") => Response::Organizer,
        Some("tentativelyAccepted") => Response::Tentative,
        Some("accepted") => Response::Accepted,
        Some("declined") => Response::Declined,
        Some("notResponded") => Response::NotResponded,
        _ => Response::None,
    }
}

fn importance(told: Option<&str>) -> Importance {
    match told {
        Some("low") => Importance::Low,
        Some("high") => Importance::High,
        _ => Importance::Normal,
    }
}

pub(super) fn sensitivity(told: Option<&str>) -> Sensitivity {
    match told {
        Some("personal") => Sensitivity::Personal,
        Some("private") => Sensitivity::Private,
        Some("confidential") => Sensitivity::Confidential,
        _ => Sensitivity::Normal,
    }
}

fn show_as(told: Option<&str>) -> ShowAs {
    match told {
        Some("free") => ShowAs::Free,
        Some("tentative") => ShowAs::Tentative,
        Some("busy") => ShowAs::Busy,
        Some("oof") => ShowAs::Oof,
        Some("workingElsewhere") => ShowAs::WorkingElsewhere,
        Some(_) => ShowAs::Unknown,
        None => ShowAs::default(),
    }
}

/// Takes out what is kept as text elsewhere, and what only this answer was about.
fn drop_texts(told: &mut Value) {
    let Value::Object(properties) = told else { return };
    properties.retain(|key, _| !matches!(key.as_str(), "body" | "bodyPreview" | "attachments"));
    drop_answer(properties);
    for exception in properties.get_mut("exceptionOccurrences").into_iter() {
        exception.as_array_mut().into_iter().flatten().for_each(drop_texts);
    }
}

/// Takes out what belongs to the answer and not to the item.
pub(super) fn drop_answer(properties: &mut Map<String, Value>) {
    properties.retain(|key, _| {
        !matches!(
            key.as_str(),
            "@odata.context" | "@odata.etag" | "exceptionOccurrences@odata.context"
        )
    });
}

pub(super) fn id_of(told: &Value) -> ItemId {
    ItemId(told["id"].as_str().unwrap_or(NO_ID).to_owned())
}

/// Why something that was told cannot be read; short, for it repeats what was told.
pub(super) fn not_understood(error: &serde_json::Error) -> String {
    format!("not understood: {}", zones::shortened(&error.to_string()))
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
