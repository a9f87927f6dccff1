//! Ids of events and of single occurrences of a series.

use data_encoding::BASE64URL;
use time::Date;
use uuid::Uuid;

use crate::graph::errors::GraphError;
use crate::ids::{self, ItemRef};
use crate::state::{Aspect, Event, IdKind, MailboxState};

/// An occurrence has the id of its series, as bytes, between these and its day.
const OCCURRENCE: [u8; 4] = [0x00, 0x01, 0x51, 0x00];

/// The id of an event, or of one occurrence.
pub(crate) fn write(
    mailbox: Uuid,
    kind: IdKind,
    item: u64,
    event: &Event,
    aspect: Aspect,
) -> String {
    let mut whole = Vec::with_capacity(64);
    match kind {
        IdKind::Immutable => ids::push_immutable_id(&mut whole, mailbox, item),
        IdKind::Regular => ids::push_located_id(&mut whole, mailbox, item, event.location),
    }
    if let Aspect::Occurrence(date) = aspect {
        let mut raw = OCCURRENCE.to_vec();
        raw.extend(BASE64URL.decode(&whole).unwrap_or_default());
        raw.extend_from_slice(&date.to_julian_day().to_be_bytes());
        return BASE64URL.encode(&raw);
    }
    String::from_utf8(whole).unwrap_or_default()
}

/// The event that an id names, and what of it.
pub(super) fn find<'s>(
    state: &'s MailboxState,
    id: &str,
) -> Result<(u64, &'s Event, Aspect), GraphError> {
    let (reference, date) = match ids::parse_item_id(state.mailbox, id) {
        Some(reference) => (reference, None),
        None => occurrence(state.mailbox, id).ok_or_else(|| unknown(id))?,
    };
    let item = reference.item();
    let event = state.calendars.events.get(&item).ok_or_else(GraphError::item_not_found)?;
    if matches!(reference, ItemRef::Located { location, .. } if location != event.location) {
        return Err(GraphError::item_not_found());
    }
    let Some(date) = date else { return Ok((item, event, Aspect::Whole)) };
    let there = event.recurrence.as_ref().is_some_and(|series| series.has(date))
        && !event.cancelled.contains(&date);
    if there {
        Ok((item, event, Aspect::Occurrence(date)))
    } else {
        Err(GraphError::item_not_found())
    }
}

fn occurrence(mailbox: Uuid, id: &str) -> Option<(ItemRef, Option<Date>)> {
    let raw = BASE64URL.decode(id.as_bytes()).ok()?;
    let rest = raw.strip_prefix(&OCCURRENCE)?;
    let (whole, day) = rest.split_at_checked(rest.len().checked_sub(4)?)?;
    let day = i32::from_be_bytes(day.try_into().ok()?);
    let reference = ids::parse_item_id(mailbox, &BASE64URL.encode(whole))?;
    Some((reference, Some(Date::from_julian_day(day).ok()?)))
}

/// Exchange tells an id of another mailbox from text that is no id at all.
pub(in crate::graph) fn unknown(id: &str) -> GraphError {
    if id.len() > 30 && id.starts_with("AA") {
        GraphError::item_not_found()
    } else {
        GraphError::new(400, "ErrorInvalidIdMalformed", "Id is malformed.")
    }
}
