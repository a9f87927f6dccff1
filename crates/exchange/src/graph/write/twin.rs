//! Messages, events and contacts from their streams: what comes back is told by what it is until it
//! carries our mark.
//!
//! Others may look the same: the same mail was delivered twice, or its original is still there. What
//! lay there before the first import is noted, and never taken for what was imported, nor deleted as a
//! second one of it. Two that look the same are made one after the other.

use mailkeep_model::{Detail, Folder, ItemId, ItemKind, Mailbox};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Map;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    MADE, ORIGIN, Place, REPLACES, SNAPSHOT, add_property, delete,
    existing::{Carrying, marked, property},
    import::{Import, Sent},
    make::instant,
    message, serialized,
};
use crate::{
    Created, ExchangeError, Looked, Mark, NewItem,
    graph::{
        client::{GraphProvider, MAX_FAULTS, Patience},
        mail,
        pages::all_pages,
        wire::Message,
        wire_outlook::Identified,
    },
};

/// What an item is told by while it carries no mark. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// `Message-ID`, and when it was received: an import keeps the time. A draft has none.
    Message(String, Option<i64>),
    /// `iCalUId`.
    Event(String),
    /// Name, and when it was made: an import keeps the time.
    Contact(String, i64),
}

/// What was tried so far to import an item.
#[derive(Clone, Default)]
pub(super) struct Attempt {
    key: Option<Key>,
    /// What is told by the same and was there before; `None` before it was looked for.
    known: Option<Vec<ItemId>>,
    /// Whether an import was sent that was or may have been carried out.
    sent: bool,
    /// Whether one was sent again although the first may still be carried out.
    doubtful: bool,
    /// What was made, by a name that is not the lasting one, and when. It is not yet marked.
    made: Option<Made>,
}

type Made = (String, Option<OffsetDateTime>);

/// An item of a folder, as far as it is needed here: of events and contacts, little of what a message
/// has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(flatten)]
    message: Message,
    display_name: Option<String>,
    created_date_time: Option<String>,
}

struct Twin<'a> {
    graph: &'a GraphProvider,
    place: &'a Place<'a>,
    new: &'a NewItem<'a>,
    key: Option<Key>,
}

/// Imports an item and marks it.
///
/// # Errors
/// [`ExchangeError::Unsettled`] once it was, or may have been, imported: whoever made it in another
/// way would make it twice. What concerns the whole tenant is given back as it is.
pub(super) async fn create(
    import: &Import<'_>,
    folder: &Folder,
    new: &NewItem<'_>,
) -> Result<Created, ExchangeError> {
    let graph = import.graph;
    let place = Place::of(import.mailbox, &folder.id, new.item.kind)?;
    let twin = Twin { graph, place: &place, new, key: Key::of(new) };
    let imports = &graph.streams().imports;
    let turn = twin.key.as_ref().map(|key| imports.turn(&folder.id, key));
    let _turn = match &turn {
        Some(turn) => Some(turn.lock().await),
        None => None,
    };
    let mark = new.origin.mark.text();
    let mut attempt = imports.attempt(&mark).unwrap_or_default();
    attempt.key.clone_from(&twin.key);
    let created = twin.create(import, &mut attempt).await;
    let (sent, doubtful) = (attempt.sent, attempt.doubtful);
    // What is in order is not remembered.
    imports.remember(mark, (created.is_err() || doubtful).then_some(attempt));
    created.map_err(|error| match error {
        error if sent && is_of_item(&error) => ExchangeError::Unsettled {
            action: place.action("restoring an item from its stream"),
            reason: error.to_string(),
        },
        error => error,
    })
}

/// Whether others may go on, and whoever asked would try another way.
fn is_of_item(error: &ExchangeError) -> bool {
    error.concerns_one_item() || matches!(error, ExchangeError::Forbidden { .. })
}

/// Deletes what was imported twice and carries no mark; nothing that was there before.
pub(super) async fn remove_doubles(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    kind: ItemKind,
    mark: &Mark,
    keep: &[ItemId],
) -> Result<usize, ExchangeError> {
    let attempt = graph.streams().imports.attempt(&mark.text());
    let Some(Attempt { key: Some(key), known: Some(known), .. }) = attempt else { return Ok(0) };
    let place = Place::of(mailbox, &folder.id, kind)?;
    let mut removed = 0;
    for told in key.find(graph, &place).await? {
        let id = ItemId(told.message.id);
        if !keep.contains(&id) && !known.contains(&id) {
            delete(graph, mailbox, kind, &id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

impl Twin<'_> {
    async fn create(
        &self,
        import: &Import<'_>,
        attempt: &mut Attempt,
    ) -> Result<Created, ExchangeError> {
        let mark = self.new.origin.mark.text();
        if self.new.looked == Looked::NotYet {
            let there = marked(self.graph, self.place, Carrying::Exactly(&mark)).await?;
            let mut there = there.into_iter().map(|one| ItemId(one.id));
            if let Some(id) = there.find(|id| !self.new.replaces.contains(id)) {
                return Ok(Created { id, lost: Vec::new(), doubtful: attempt.doubtful });
            }
        }
        let (id, at) = match attempt.made.clone() {
            Some(made) => made,
            None => self.import(import, attempt).await?,
        };
        let id = self.mark(&id, at).await?;
        Ok(Created { id, lost: Vec::new(), doubtful: attempt.doubtful })
    }

    /// Imports the item until it is sure that it is there, or finds it.
    async fn import(
        &self,
        import: &Import<'_>,
        attempt: &mut Attempt,
    ) -> Result<Made, ExchangeError> {
        let mut there = match &attempt.known {
            Some(_) => self.find(attempt).await?,
            None => self.look(attempt).await?,
        };
        attempt.doubtful |= attempt.sent && there.is_none();
        let mut patience = Patience::default();
        loop {
            if let Some(there) = there.take() {
                return Ok((there, None));
            }
            let error = match import.send(None).await? {
                Sent::Made(id, at) => {
                    attempt.sent = true;
                    return Ok(attempt.made.insert((id, at)).clone());
                }
                Sent::Unknown(error) => error,
            };
            attempt.sent = true;
            // What could not be told from others is not made once more.
            if self.key.is_none() {
                return Err(error);
            }
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
            there = self.find(attempt).await?;
            attempt.doubtful |= there.is_none();
        }
    }

    /// Notes what is told by the same before anything is imported. Gives what a restore left without
    /// its mark that was killed in between.
    async fn look(&self, attempt: &mut Attempt) -> Result<Option<String>, ExchangeError> {
        let mut known = vec![self.new.item.id.clone()];
        known.extend_from_slice(self.new.replaces);
        let mut left = None;
        match &self.key {
            None => {}
            // They have nothing to filter by, and all of a folder would be read for each.
            Some(key @ Key::Contact(..)) if self.new.looked == Looked::NothingThere => {
                known.extend(self.contacts(key).await?);
            }
            Some(key) => {
                let there = key.find(self.graph, self.place).await?;
                let is_left = |told: &&Told| {
                    known.iter().all(|id| id.0 != told.message.id) && self.is_same(told)
                };
                left = there.iter().find(is_left).map(|told| told.message.id.clone());
                known.extend(there.into_iter().map(|told| ItemId(told.message.id)));
            }
        }
        attempt.known = Some(known);
        Ok(left)
    }

    /// Whether it is what is restored, and no other delivery of the same mail in the same second:
    /// that came another way, and has not the same size.
    fn is_same(&self, told: &Told) -> bool {
        let item = self.new.item;
        item.kind != ItemKind::Message
            || item.draft
            || told.message.content_key() == item.content_key
    }

    /// The contacts of this key that were in the folder before the first was imported into it.
    async fn contacts(&self, key: &Key) -> Result<Vec<ItemId>, ExchangeError> {
        let before = self.graph.streams().imports.contacts(self.place.folder);
        let before = before.get_or_try_init(async || {
            let told = unmarked(self.graph, self.place, None).await?;
            let told = told.into_iter().filter_map(|told| {
                let key = Key::Contact(told.name(), told.created()?);
                Some((ItemId(told.message.id), key))
            });
            Ok::<_, ExchangeError>(told.collect())
        });
        let of_key = before.await?.iter().filter(|(_, one)| one == key);
        Ok(of_key.map(|(id, _)| id.clone()).collect())
    }

    /// What carries no mark, is told by the same and was not there before.
    async fn find(&self, attempt: &Attempt) -> Result<Option<String>, ExchangeError> {
        let Some(key) = &self.key else { return Ok(None) };
        let there = key.find(self.graph, self.place).await?;
        let is_known = |id: &str| attempt.known.iter().flatten().any(|known| known.0 == id);
        Ok(there.into_iter().map(|told| told.message.id).find(|id| !is_known(id)))
    }

    /// Sets our mark, and of a message what may have changed after its stream was read. A meeting of
    /// this mailbox with attendees is left as it is: Graph might tell them of a change. It is told by
    /// its `UID`.
    async fn mark(&self, id: &str, at: Option<OffsetDateTime>) -> Result<ItemId, ExchangeError> {
        let what = "marking what was restored";
        if self.invites() {
            let ask = self.place.ask(self.graph, what, &self.place.item(id), &[("$select", "id")]);
            return Ok(ItemId(self.graph.json::<Identified>(&ask).await?.id));
        }
        let mut fields = match self.new.item.kind {
            ItemKind::Message => message::marks_once_made(self.place.mailbox, self.new.item),
            _ => Map::new(),
        };
        add_property(&mut fields, ORIGIN, &self.new.origin.mark.text());
        add_property(&mut fields, SNAPSHOT, &self.new.origin.snapshot);
        if !self.new.replaces.is_empty() {
            let ids: Vec<&str> = self.new.replaces.iter().map(|id| id.0.as_str()).collect();
            add_property(&mut fields, REPLACES, &ids.join(" "));
        }
        let at = at.unwrap_or_else(OffsetDateTime::now_utc);
        if let Ok(at) = at.format(&Rfc3339) {
            add_property(&mut fields, MADE, &at);
        }
        let ask = self.place.ask(self.graph, what, &self.place.item(id), &[]);
        let answer = self.graph.change(&ask, Method::PATCH, Some(serialized(&fields))).await?;
        match serde_json::from_slice::<Identified>(&answer) {
            Ok(told) => Ok(ItemId(told.id)),
            Err(error) => Err(ExchangeError::protocol(&ask.action, error)),
        }
    }

    fn invites(&self) -> bool {
        match &self.new.item.detail {
            Some(Detail::Event(event)) => event.is_organizer && !event.attendees.is_empty(),
            _ => false,
        }
    }
}

impl Key {
    fn of(new: &NewItem<'_>) -> Option<Self> {
        match &new.item.detail {
            None => {
                let received = (!new.item.draft).then(|| new.item.received.unix_timestamp());
                let id = new.item.internet_message_id.clone();
                id.map(|id| Self::Message(id, received))
            }
            Some(Detail::Event(event)) => event.uid.clone().map(Self::Event),
            Some(Detail::Contact(contact)) => {
                let created = contact.created?.unix_timestamp();
                Some(Self::Contact(contact.display_name.clone(), created))
            }
            _ => None,
        }
    }

    /// The items of a folder that are told by this and carry no mark.
    async fn find(
        &self,
        graph: &GraphProvider,
        place: &Place<'_>,
    ) -> Result<Vec<Told>, ExchangeError> {
        let quoted = |text: &str| text.replace('\'', "''");
        let filter = match self {
            Self::Message(id, _) => Some(format!("internetMessageId eq '{}'", quoted(id))),
            Self::Event(uid) => Some(format!("iCalUId eq '{}'", quoted(uid))),
            Self::Contact(..) => None,
        };
        let mut told = unmarked(graph, place, filter.as_deref()).await?;
        told.retain(|told| self.fits(told));
        Ok(told)
    }

    fn fits(&self, told: &Told) -> bool {
        match self {
            Self::Message(_, None) | Self::Event(_) => true,
            Self::Message(_, Some(received)) => {
                seconds(told.message.received_date_time.as_deref()) == Some(*received)
            }
            Self::Contact(name, created) => {
                told.name() == *name && told.created() == Some(*created)
            }
        }
    }
}

impl Told {
    fn name(&self) -> String {
        self.display_name.clone().unwrap_or_default()
    }

    fn created(&self) -> Option<i64> {
        seconds(self.created_date_time.as_deref())
    }
}

fn seconds(time: Option<&str>) -> Option<i64> {
    instant(time).map(OffsetDateTime::unix_timestamp)
}

/// The items of a folder that carry no mark.
async fn unmarked(
    graph: &GraphProvider,
    place: &Place<'_>,
    filter: Option<&str>,
) -> Result<Vec<Told>, ExchangeError> {
    let expand =
        format!("singleValueExtendedProperties($filter=id eq '{ORIGIN}' or {})", mail::SIZE_IS);
    let select = match place.items {
        "messages" => mail::SELECT,
        "contacts" => "id,displayName,createdDateTime",
        _ => "id,createdDateTime",
    };
    let mut query = vec![("$select", select), ("$expand", &expand), ("$top", "100")];
    query.extend(filter.map(|filter| ("$filter", filter)));
    let what = "looking for what was imported";
    let mut told: Vec<Told> =
        all_pages(graph, place.ask(graph, what, &place.collection(), &query)).await?;
    told.retain(|told| {
        let properties = told.message.single_value_extended_properties.as_deref();
        property(properties, ORIGIN).is_none()
    });
    Ok(told)
}
