//! Writing items back: a restore.
//!
//! Whatever was made carries its [`Mark`] as a named property. A request that makes something is
//! never repeated blindly: when its answer is lost, what it made is looked for by that property
//! first. When it was repeated and both were carried out after all, the second one is taken away.
//! An item that takes several requests carries `unfinished:` before its mark until the last of
//! them; one found so is deleted and made anew. Tasks carry it as an open extension (`task_marks`);
//! settings, notes and contact groups can carry none and are told by what they are (`setting`,
//! `unmarked`).
//!
//! Sources: the Graph reference pages "Create message", "Create event", "Create contact", "Create
//! singleValueLegacyExtendedProperty", "List instances", "Update profilePhoto"; MS-OXPROPS.

mod attached;
mod contact;
mod event;
mod existing;
mod folders;
mod import;
mod make;
mod message;
mod mime;
mod parts;
mod series;
mod setting;
mod task;
mod task_marks;
mod twin;
mod unmarked;
mod uploads;

use bytes::Bytes;
use mailkeep_model::{
    Detail, Event, Folder, FolderId, Item, ItemId, ItemKind, Mailbox, WellKnownFolder,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) use existing::existing;
pub(super) use folders::create as create_folder;
pub(super) use import::Imports;
pub use message::message_request;

use self::{
    attached::Form,
    event::Clock,
    existing::{Carrying, marked},
    make::Make,
    uploads::NewFile,
};
use super::{
    client::{Ask, GraphProvider},
    events::NOT_KEPT,
    refusal,
};
use crate::{Created, ExchangeError, Mark, NewItem};

const MAIL: &str = "Mail.ReadWrite";
const CALENDARS: &str = "Calendars.ReadWrite";
const CONTACTS: &str = "Contacts.ReadWrite";

/// Our own properties. Their set is ours alone.
pub(super) const ORIGIN: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepOrigin";
const SNAPSHOT: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepSnapshot";
const ATTENDEES: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepAttendees";
/// The identifiers of what an item was made to replace.
const REPLACES: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepReplaces";
/// When the last request for an item was sent that took several, by the provider's clock.
const MADE: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepMade";
/// Before the mark of an item that is not yet whole.
const UNFINISHED: &str = "unfinished:";
/// What happens to an item so soon after it was made is not its owner's doing: the provider sets to
/// work on it, and the time when a restore finished it is a little inexact.
const SETTLING: time::Duration = time::Duration::minutes(1);
/// Where extended properties stand.
const PROPERTIES: &str = "singleValueExtendedProperties";

/// Where an item is made.
struct Place<'a> {
    mailbox: &'a Mailbox,
    folder: &'a FolderId,
    /// What holds the folder, and what holds the items.
    folders: &'static str,
    items: &'static str,
    right: &'static str,
}

/// What there is to do.
#[derive(Default)]
struct Plan<'a> {
    /// The first request.
    fields: Map<String, Value>,
    /// Attachments that did not fit into it.
    files: Vec<NewFile>,
    /// A series whose occurrences are not all like the others.
    series: Option<(&'a Event, Clock)>,
    /// A contact's photograph.
    photo: Option<&'a [u8]>,
    lost: Vec<String>,
}

/// Writes an item back.
pub(super) async fn create(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    new: &NewItem<'_>,
) -> Result<Created, ExchangeError> {
    if folder.well_known == Some(WellKnownFolder::RecoverableItems) {
        return Err(ExchangeError::unsupported(
            format!("{}: restoring an item", mailbox.address),
            "Exchange lets nothing be put among the recoverable items. Restore it into another folder \
             with --to",
        ));
    }
    match (new.item.kind, new.stream) {
        (ItemKind::Setting, _) => return setting::create(graph, mailbox, new).await,
        (ItemKind::Task, _) => {
            return with_notes(task::create(graph, mailbox, folder, new).await?, new);
        }
        // Everything is in it.
        (_, Some(stream)) => return import::create(graph, mailbox, folder, new, stream).await,
        _ => {}
    }
    let place = Place::of(mailbox, &folder.id, new.item.kind)?;
    let make = Make { graph, place: &place, new };
    let created = match make.whole(plan(mailbox, new, Clock::Own, Form::Items).await?).await {
        Err(error) if refusal::is_unknown_zone(&error) => match &new.item.detail {
            Some(Detail::Event(event)) => {
                let clock = Clock::utc(event, new.item.received);
                make.whole(plan(mailbox, new, clock, Form::Items).await?).await?
            }
            _ => return Err(error),
        },
        // An attached item that Graph does not take does not cost the event.
        Err(ExchangeError::Answer { status: 400, .. })
            if attached::has_items(&new.item.provider) =>
        {
            make.whole(plan(mailbox, new, Clock::Own, Form::Files).await?).await?
        }
        done => done?,
    };
    with_notes(created, new)
}

/// What the backup could not keep cannot come back.
fn with_notes(mut created: Created, new: &NewItem<'_>) -> Result<Created, ExchangeError> {
    let not_kept = new.item.provider.get(NOT_KEPT).and_then(Value::as_array);
    created
        .lost
        .extend(not_kept.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    Ok(created)
}

async fn plan<'a>(
    mailbox: &Mailbox,
    new: &NewItem<'a>,
    clock: Clock,
    form: Form,
) -> Result<Plan<'a>, ExchangeError> {
    match (new.item.kind, &new.item.detail) {
        (ItemKind::Message, _) => {
            let (mailbox, item, content) = (mailbox.clone(), new.item.clone(), new.content.clone());
            // Taking 150 MB apart would keep others waiting for this thread.
            let planned = move || message::plan(&mailbox, &item, &content);
            tokio::task::spawn_blocking(planned).await.map_err(|error| {
                ExchangeError::protocol("taking a message apart", format!("it broke off: {error}"))
            })
        }
        (ItemKind::Event, Some(Detail::Event(event))) => {
            let told = &new.item.provider;
            let files = |lost: &mut Vec<String>| attached::files(new.attachments, told, form, lost);
            Ok(event::plan(event, files, clock))
        }
        (ItemKind::Contact, Some(Detail::Contact(contact))) => {
            Ok(contact::plan(contact, new.attachments))
        }
        _ => Err(ExchangeError::unsupported(
            format!("{}: restoring an item", mailbox.address),
            "the backup holds no more of it than its heading",
        )),
    }
}

/// Deletes what an item was made twice as, and is none of those to keep.
pub(super) async fn remove_doubles(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    kind: ItemKind,
    mark: &Mark,
    keep: &[ItemId],
) -> Result<usize, ExchangeError> {
    match kind {
        ItemKind::Task => {
            return task_marks::remove_doubles(graph, mailbox, folder, mark, keep).await;
        }
        ItemKind::Opaque => {
            return unmarked::remove_doubles(graph, mailbox, folder, mark, keep).await;
        }
        // One that says the same is not made once more.
        ItemKind::Setting => return Ok(0),
        _ => {}
    }
    let place = Place::of(mailbox, &folder.id, kind)?;
    let unmarked = twin::remove_doubles(graph, mailbox, folder, kind, mark, keep).await?;
    Ok(unmarked + remove_marked(graph, &place, kind, mark, keep).await?)
}

/// Deletes what carries a mark and is none of those to keep.
async fn remove_marked(
    graph: &GraphProvider,
    place: &Place<'_>,
    kind: ItemKind,
    mark: &Mark,
    keep: &[ItemId],
) -> Result<usize, ExchangeError> {
    let mark = mark.text();
    let mut removed = 0;
    for mark in [format!("{UNFINISHED}{mark}"), mark] {
        for found in marked(graph, place, Carrying::Exactly(&mark)).await? {
            let id = ItemId(found.id);
            if !keep.contains(&id) {
                delete(graph, place.mailbox, kind, &id).await?;
                removed += 1;
            }
        }
    }
    if removed > 0 {
        tracing::debug!(removed, "a request was carried out after it was repeated");
    }
    Ok(removed)
}

/// Gives a message the marks of `to`. Nobody gets a receipt.
pub(super) async fn update(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
    to: &Item,
) -> Result<(), ExchangeError> {
    let fields = message::marks_once_made(mailbox, to);
    let ask = Ask {
        action: format!("{}: setting a message's marks", mailbox.address),
        right: MAIL,
        mailbox: Some(mailbox),
        url: graph.url(&["users", &mailbox.id.0, "messages", &id.0], &[]),
        prefer: None,
    };
    graph.change(&ask, Method::PATCH, Some(serialized(&fields))).await.map(drop)
}

/// Graph: `message: move`.
pub(super) async fn relocate(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    kind: ItemKind,
    id: &ItemId,
    to: &FolderId,
) -> Result<(), ExchangeError> {
    let action = format!("{}: moving {}", mailbox.address, named(kind));
    if kind != ItemKind::Message {
        let reason = "Microsoft Graph v1.0 moves messages only. Restore it into the other folder, \
                      and delete the one that is there";
        return Err(ExchangeError::unsupported(action, reason));
    }
    let ask = Ask {
        action,
        right: MAIL,
        mailbox: Some(mailbox),
        url: graph.url(&["users", &mailbox.id.0, "messages", &id.0, "move"], &[]),
        prefer: None,
    };
    // An immutable id stays when the message moves, and moving it to where it is does nothing.
    graph
        .change(&ask, Method::POST, Some(serialized(&json!({ "destinationId": to.0 }))))
        .await
        .map(drop)
}

/// Deletes an item, but not a meeting whose attendees would be told.
pub(super) async fn delete(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    kind: ItemKind,
    id: &ItemId,
) -> Result<(), ExchangeError> {
    match kind {
        ItemKind::Task => return task::delete(graph, mailbox, id).await,
        ItemKind::Setting => return setting::delete(graph, mailbox, id).await,
        ItemKind::Opaque => {
            return Err(ExchangeError::unsupported(
                format!("{}: deleting an item", mailbox.address),
                "Microsoft Graph has no way to delete notes and contact groups. Their owner can in \
                 Outlook",
            ));
        }
        _ => {}
    }
    let place = Place::of(mailbox, &NO_FOLDER, kind)?;
    if kind == ItemKind::Event {
        match invites(graph, &place, &id.0).await {
            Ok(false) => {}
            Ok(true) => {
                return Err(ExchangeError::unsupported(
                    format!("{}: deleting an event", mailbox.address),
                    "it is a meeting of this mailbox with attendees, to whom Microsoft Graph would \
                     send cancellations. Its owner can delete it in Outlook",
                ));
            }
            Err(error) if refusal::is_foreign_id(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    remove(graph, &place, &id.0).await
}

/// Stands in where no folder matters.
static NO_FOLDER: FolderId = FolderId(String::new());

/// Whether an event is one that deleting would call off.
async fn invites(
    graph: &GraphProvider,
    place: &Place<'_>,
    id: &str,
) -> Result<bool, ExchangeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Meeting {
        is_organizer: Option<bool>,
        attendees: Option<Vec<Value>>,
    }
    let query = [("$select", "id,isOrganizer,attendees")];
    let ask = place.ask(graph, "looking whether an event has attendees", &place.item(id), &query);
    let meeting: Meeting = graph.json(&ask).await?;
    // What is not told is taken for the worse.
    Ok(meeting.is_organizer.unwrap_or(true)
        && meeting.attendees.is_none_or(|attendees| !attendees.is_empty()))
}

async fn remove(graph: &GraphProvider, place: &Place<'_>, id: &str) -> Result<(), ExchangeError> {
    let ask = place.ask(graph, "deleting an item", &place.item(id), &[]);
    match graph.change(&ask, Method::DELETE, None).await {
        Err(error) if !refusal::is_foreign_id(&error) => Err(error),
        _ => Ok(()),
    }
}

impl<'a> Place<'a> {
    fn of(
        mailbox: &'a Mailbox,
        folder: &'a FolderId,
        kind: ItemKind,
    ) -> Result<Self, ExchangeError> {
        let (folders, items, right) = match kind {
            ItemKind::Message => ("mailFolders", "messages", MAIL),
            ItemKind::Event => ("calendars", "events", CALENDARS),
            ItemKind::Contact => ("contactFolders", "contacts", CONTACTS),
            _ => {
                let action = format!("{}: restoring {}", mailbox.address, named(kind));
                return Err(ExchangeError::unsupported(action, "not a kind that Graph takes"));
            }
        };
        Ok(Self { mailbox, folder, folders, items, right })
    }

    fn collection(&self) -> Vec<&'a str> {
        vec!["users", &self.mailbox.id.0, self.folders, &self.folder.0, self.items]
    }

    fn item<'b>(&'b self, id: &'b str) -> Vec<&'b str> {
        vec!["users", &self.mailbox.id.0, self.items, id]
    }

    fn action(&self, what: &str) -> String {
        format!("{}: {what}", self.mailbox.address)
    }

    fn ask(
        &self,
        graph: &GraphProvider,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Ask<'a> {
        Ask {
            action: self.action(what),
            right: self.right,
            mailbox: Some(self.mailbox),
            url: graph.url(path, query),
            prefer: None,
        }
    }
}

fn named(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Message => "a message",
        ItemKind::Event => "an event",
        ItemKind::Contact => "a contact",
        ItemKind::Task => "a task",
        ItemKind::Setting => "a setting",
        _ => "an item",
    }
}

/// Sets an extended property in a request.
fn add_property(fields: &mut Map<String, Value>, id: &str, value: &str) {
    let list = fields.entry(PROPERTIES).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.retain(|property| property["id"] != id);
        list.push(json!({ "id": id, "value": value }));
    }
}

fn serialized(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("JSON values have keys that are text").into()
}
