//! What has happened in a mailbox since somebody was told of it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Subscription, Topic};
use crate::clock;
use crate::graph::render::change_key;
use crate::ids;
use crate::state::{DEFAULT_CALENDAR, Entry, IdKind, MailboxState};

/// What happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Updated,
    Deleted,
}

impl Change {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted]
            .into_iter()
            .find(|change| change.as_str().eq_ignore_ascii_case(text))
    }
}

/// What is told of one item.
struct Told {
    change: Change,
    item: u64,
    location: u64,
    /// The item's last change.
    changed: u64,
}

/// The notifications that a subscription is due, in the order of the changes.
pub(super) fn notifications(one: &Subscription, state: &MailboxState) -> Vec<Value> {
    let mut found = match one.topic {
        Topic::Messages(Some(folder)) => messages(state, folder, one.position),
        Topic::Messages(None) => {
            let folders = state.folders.iter().filter(|(_, folder)| !folder.is_hidden());
            folders.flat_map(|(number, _)| messages(state, *number, one.position)).collect()
        }
        Topic::Events => events(state, one.position),
        Topic::Contacts(folder) => {
            let entries = state.contacts.find(folder).map(|folder| &folder.by_change);
            let entries = entries.into_iter().flat_map(|log| log.range(one.position + 1..));
            entries
                .filter_map(|(change, entry)| {
                    told(*change, entry, one.position, |item| {
                        state.contacts.items.get(&item).map(|c| (c.place.location, c.place.entered))
                    })
                })
                .collect()
        }
    };
    found.sort_by_key(|told| told.changed);
    let wanted = found.iter().filter(|told| one.changes.contains(&told.change));
    wanted.map(|told| notification(one, state.mailbox, told)).collect()
}

fn messages(state: &MailboxState, folder: u64, position: u64) -> Vec<Told> {
    let entries = state.folders.get(&folder).map(|folder| folder.by_change.range(position + 1..));
    let entries = entries.into_iter().flatten();
    let message = |item| {
        state.messages.get(&item).map(|message| (message.place.location, message.place.entered))
    };
    entries.filter_map(|(change, entry)| told(*change, entry, position, message)).collect()
}

/// One line of a folder's log. `place`: location and entry of an item that is there.
fn told(
    changed: u64,
    entry: &Entry,
    position: u64,
    place: impl Fn(u64) -> Option<(u64, u64)>,
) -> Option<Told> {
    match *entry {
        Entry::Here { item } => {
            let (location, entered) = place(item)?;
            let change = if entered > position { Change::Created } else { Change::Updated };
            Some(Told { change, item, location, changed })
        }
        // What came and went meanwhile was never there.
        Entry::Gone { entered, .. } if entered > position => None,
        Entry::Gone { item, location, .. } => {
            Some(Told { change: Change::Deleted, item, location, changed })
        }
    }
}

fn events(state: &MailboxState, position: u64) -> Vec<Told> {
    let calendars = &state.calendars;
    let here = calendars.events.iter();
    let here = here.filter(|(_, e)| e.calendar == DEFAULT_CALENDAR && e.changed > position);
    let mut found: Vec<Told> = here
        .map(|(item, event)| {
            let change = if event.entered > position { Change::Created } else { Change::Updated };
            Told { change, item: *item, location: event.location, changed: event.changed }
        })
        .collect();
    let gone = calendars.gone.range(position + 1..);
    let gone = gone.filter(|(_, e)| e.calendar == DEFAULT_CALENDAR && e.entered <= position);
    found.extend(gone.map(|(change, event)| Told {
        change: Change::Deleted,
        item: event.item,
        location: event.location,
        changed: *change,
    }));
    found
}

fn notification(one: &Subscription, mailbox: Uuid, told: &Told) -> Value {
    let mut id = Vec::with_capacity(64);
    match one.ids {
        IdKind::Immutable => ids::push_immutable_id(&mut id, mailbox, told.item),
        IdKind::Regular => ids::push_located_id(&mut id, mailbox, told.item, told.location),
    }
    let id = String::from_utf8(id).unwrap_or_default();
    let (kind, list) = match one.topic {
        Topic::Messages(_) => ("Message", "Messages"),
        Topic::Events => ("Event", "Events"),
        Topic::Contacts(_) => ("Contact", "Contacts"),
    };
    let path = format!("Users/{mailbox}@{}/{list}/{id}", one.grant.tenant.id);
    json!({
        "subscriptionId": one.id,
        "subscriptionExpirationDateTime": clock::iso(one.expires),
        "changeType": told.change.as_str(),
        "resource": path,
        "resourceData": {
            "@odata.type": format!("#Microsoft.Graph.{kind}"),
            "@odata.id": path,
            "@odata.etag": format!("W/\"{}\"", change_key(mailbox, told.changed)),
            "id": id,
        },
        "clientState": one.client_state,
        "tenantId": one.grant.tenant.id,
    })
}
