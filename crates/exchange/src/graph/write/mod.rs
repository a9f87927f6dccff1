//! Writing items back: a restore.
//!
//! Whatever was made carries its origin as a named property. A request that makes something is
//! never repeated blindly: when its answer is lost, what it made is looked for by that property
//! first. An item that takes several requests carries `unfinished:` before its key until the last
//! of them; one found so is deleted and made anew.
//!
//! Sources: the Graph reference pages "Create message", "Create event", "Create contact", "Create
//! singleValueLegacyExtendedProperty", "List instances", "Update profilePhoto"; MS-OXPROPS.

mod contact;
mod event;
mod existing;
mod folders;
mod message;
mod mime;
mod parts;
mod series;
mod uploads;

use bytes::Bytes;
use mailkeep_model::{Detail, Event, Folder, FolderId, Item, ItemId, ItemKind, Mailbox};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) use existing::existing;
pub(super) use folders::create as create_folder;
pub use message::message_request;

use self::{event::Clock, uploads::NewFile};
use super::{
    client::{Ask, GraphProvider, MAX_FAULTS, Patience},
    events::NOT_KEPT,
    refusal,
    send::Posted,
};
use crate::{Created, ExchangeError, Looked, NewItem, Origin};

const MAIL: &str = "Mail.ReadWrite";
const CALENDARS: &str = "Calendars.ReadWrite";
const CONTACTS: &str = "Contacts.ReadWrite";

/// Our own properties. Their set is ours alone.
pub(super) const ORIGIN: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepOrigin";
const SNAPSHOT: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepSnapshot";
const ATTENDEES: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepAttendees";
/// Before the key of an item that is not yet whole.
const UNFINISHED: &str = "unfinished:";
/// Where extended properties stand.
const PROPERTIES: &str = "singleValueExtendedProperties";
/// How often an item is made anew that broke off half-made.
const MAX_ATTEMPTS: u32 = 3;

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

#[derive(Deserialize)]
struct Made {
    id: String,
}

/// Writes an item back.
pub(super) async fn create(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    new: &NewItem<'_>,
) -> Result<Created, ExchangeError> {
    let place = Place::of(mailbox, &folder.id, new.item.kind)?;
    let make = Make { graph, place: &place, origin: new.origin, looked: new.looked };
    let planned = |clock| plan(mailbox, new, clock);
    let mut created = match make.whole(planned(Clock::Own)?).await {
        Err(error) if refusal::is_unknown_zone(&error) => match &new.item.detail {
            Some(Detail::Event(event)) => {
                make.whole(planned(Clock::utc(event, new.item.received))?).await?
            }
            _ => return Err(error),
        },
        done => done?,
    };
    // What the backup could not keep cannot come back.
    let not_kept = new.item.provider.get(NOT_KEPT).and_then(Value::as_array);
    created
        .lost
        .extend(not_kept.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    Ok(created)
}

fn plan<'a>(mailbox: &Mailbox, new: &NewItem<'a>, clock: Clock) -> Result<Plan<'a>, ExchangeError> {
    match (new.item.kind, &new.item.detail) {
        (ItemKind::Message, _) => Ok(message::plan(mailbox, new.item, new.content)),
        (ItemKind::Event, Some(Detail::Event(event))) => {
            Ok(event::plan(event, new.attachments, clock))
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

/// Gives a message the marks of `to`.
pub(super) async fn update(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
    to: &Item,
) -> Result<(), ExchangeError> {
    let fields = message::marks(to);
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

/// The making of one item.
struct Make<'a> {
    graph: &'a GraphProvider,
    place: &'a Place<'a>,
    origin: &'a Origin,
    looked: Looked,
}

impl Make<'_> {
    async fn whole(&self, mut plan: Plan<'_>) -> Result<Created, ExchangeError> {
        let several = !plan.files.is_empty() || plan.photo.is_some() || plan.series.is_some();
        let unfinished = format!("{UNFINISHED}{}", self.origin.key);
        let mark = if several { &unfinished } else { &self.origin.key };
        add_property(&mut plan.fields, ORIGIN, mark);
        add_property(&mut plan.fields, SNAPSHOT, &self.origin.snapshot);
        if self.looked == Looked::NotYet
            && let Some(id) = self.find(&self.origin.key).await?.pop()
        {
            return Ok(Created { id: ItemId(id), lost: plan.lost });
        }
        let mut attempt = 1;
        loop {
            if several {
                for id in self.find(&unfinished).await? {
                    remove(self.graph, self.place, &id).await?;
                }
            }
            let id = self.begin(&mut plan.fields, mark).await?;
            if !several {
                return Ok(Created { id: ItemId(id), lost: plan.lost });
            }
            match self.finish(&id, &plan).await {
                Ok(lost) => {
                    plan.lost.extend(lost);
                    return Ok(Created { id: ItemId(id), lost: plan.lost });
                }
                Err(error) if error.is_transient() && attempt < MAX_ATTEMPTS => {
                    tracing::debug!(attempt, %error, "a restored item broke off half-made");
                    attempt += 1;
                }
                Err(error) => {
                    // What stays behind when this fails is found by the next restore.
                    let _ = remove(self.graph, self.place, &id).await;
                    return Err(error);
                }
            }
        }
    }

    /// The first request, until it is sure what it made.
    async fn begin(
        &self,
        fields: &mut Map<String, Value>,
        mark: &str,
    ) -> Result<String, ExchangeError> {
        if self.place.items == "events" {
            // Within this attempt the server recognises a repetition by it, too. Not the bare key:
            // a deleted event's identifier is not free again.
            let key: String = self.origin.key.chars().take(32).collect();
            let transaction = format!("{key}-{}", uuid::Uuid::new_v4());
            fields.insert("transactionId".into(), Value::String(transaction));
        }
        let ask = self.place.ask(self.graph, "restoring an item", &self.place.collection(), &[]);
        let body = serialized(fields);
        let mut patience = Patience::default();
        loop {
            let error = match self.graph.post(&ask, body.clone()).await? {
                Posted::Done(answer) => match serde_json::from_slice::<Made>(&answer) {
                    Ok(made) => return Ok(made.id),
                    Err(error) => ExchangeError::protocol(
                        &ask.action,
                        format!("the answer is not understood: {error}"),
                    ),
                },
                Posted::Unknown(error) => error,
            };
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
            if let Some(id) = self.find(mark).await?.pop() {
                return Ok(id);
            }
        }
    }

    /// The other requests, and with the last of them the item is whole.
    async fn finish(&self, id: &str, plan: &Plan<'_>) -> Result<Vec<String>, ExchangeError> {
        let mut lost = Vec::new();
        for file in &plan.files {
            uploads::add(self.graph, self.place, id, file).await?;
        }
        if let Some(photo) = plan.photo {
            lost.extend(contact::set_photo(self.graph, self.place, id, photo).await?);
        }
        if let Some((event, clock)) = &plan.series {
            lost.extend(series::write(self.graph, self.place, id, event, clock).await?);
        }
        let mut fields = Map::new();
        add_property(&mut fields, ORIGIN, &self.origin.key);
        add_property(&mut fields, SNAPSHOT, &self.origin.snapshot);
        let ask = self.place.ask(self.graph, "restoring an item", &self.place.item(id), &[]);
        self.graph.change(&ask, Method::PATCH, Some(serialized(&fields))).await?;
        Ok(lost)
    }

    /// What in this folder carries a mark.
    async fn find(&self, mark: &str) -> Result<Vec<String>, ExchangeError> {
        existing::marked(self.graph, self.place, mark).await
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

    fn ask(
        &self,
        graph: &GraphProvider,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Ask<'a> {
        Ask {
            action: format!("{}: {what}", self.mailbox.address),
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
