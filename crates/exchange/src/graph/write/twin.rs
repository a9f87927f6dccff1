//! Messages, events and contacts from their streams: what comes back is told by what it is until it
//! carries our mark.

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
        pages::all_pages,
        wire::ExtendedProperty,
        wire_outlook::Identified,
    },
};

/// What an item is told by while it carries no mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `Message-ID`.
    Message(String),
    /// `iCalUId`.
    Event(String),
    /// Name, and when it was made: an import keeps the time.
    Contact(String, OffsetDateTime),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    display_name: Option<String>,
    created_date_time: Option<String>,
    single_value_extended_properties: Option<Vec<ExtendedProperty>>,
}

struct Twin<'a> {
    graph: &'a GraphProvider,
    place: &'a Place<'a>,
    new: &'a NewItem<'a>,
    key: Option<Key>,
}

/// Imports an item and marks it.
pub(super) async fn create(
    import: &Import<'_>,
    folder: &Folder,
    new: &NewItem<'_>,
) -> Result<Created, ExchangeError> {
    let graph = import.graph;
    let place = Place::of(import.mailbox, &folder.id, new.item.kind)?;
    let twin = Twin { graph, place: &place, new, key: Key::of(new) };
    let mark = new.origin.mark.text();
    if new.looked == Looked::NotYet {
        let there = marked(graph, &place, Carrying::Exactly(&mark)).await?;
        let mut there = there.into_iter().map(|one| ItemId(one.id));
        if let Some(id) = there.find(|id| !new.replaces.contains(id)) {
            return Ok(Created { id, lost: Vec::new(), doubtful: false });
        }
    }
    // What a restore left without its mark that was killed in between. Contacts have nothing to filter
    // by: all of a folder would be read for each.
    let early = new.item.kind != ItemKind::Contact || new.looked == Looked::NotYet;
    let mut there = if early { twin.find().await? } else { None };
    let (mut patience, mut doubtful, mut made_at) = (Patience::default(), false, None);
    let id = loop {
        if let Some(there) = there.take() {
            break there;
        }
        let error = match import.send(None).await? {
            Sent::Made(id, date) => {
                made_at = date;
                break id;
            }
            Sent::Unknown(error) => error,
        };
        // What could not be told from others is not made once more.
        if twin.key.is_none() {
            return Err(error);
        }
        let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
        graph.counters().add_retried();
        tokio::time::sleep(wait).await;
        there = twin.find().await?;
        doubtful |= there.is_none();
    };
    let id = twin.mark(&id, made_at).await?;
    if let (true, Some(key)) = (doubtful, twin.key) {
        graph.streams().imports.doubt_twin(mark, key);
    }
    Ok(Created { id, lost: Vec::new(), doubtful })
}

/// Deletes what was imported twice and carries no mark.
pub(super) async fn remove_doubles(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    kind: ItemKind,
    mark: &Mark,
    keep: &[ItemId],
) -> Result<usize, ExchangeError> {
    let Some(key) = graph.streams().imports.twin(&mark.text()) else { return Ok(0) };
    let place = Place::of(mailbox, &folder.id, kind)?;
    let mut removed = 0;
    for id in key.find(graph, &place).await? {
        let id = ItemId(id);
        if !keep.contains(&id) {
            delete(graph, mailbox, kind, &id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

impl Twin<'_> {
    /// What is the same item, carries no mark and is neither the original nor to be replaced.
    async fn find(&self) -> Result<Option<String>, ExchangeError> {
        let Some(key) = &self.key else { return Ok(None) };
        let there = key.find(self.graph, self.place).await?;
        let is_other = |id: &str| {
            self.new.item.id.0 != *id && self.new.replaces.iter().all(|old| old.0 != *id)
        };
        Ok(there.into_iter().find(|id| is_other(id)))
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
            ItemKind::Message => message::marks(self.new.item),
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
            None => new.item.internet_message_id.clone().map(Self::Message),
            Some(Detail::Event(event)) => event.uid.clone().map(Self::Event),
            Some(Detail::Contact(contact)) => {
                Some(Self::Contact(contact.display_name.clone(), contact.created?))
            }
            _ => None,
        }
    }

    /// The items of a folder that are told by this and carry no mark.
    async fn find(
        &self,
        graph: &GraphProvider,
        place: &Place<'_>,
    ) -> Result<Vec<String>, ExchangeError> {
        let quoted = |text: &str| text.replace('\'', "''");
        let filter = match self {
            Self::Message(id) => Some(format!("internetMessageId eq '{}'", quoted(id))),
            Self::Event(uid) => Some(format!("iCalUId eq '{}'", quoted(uid))),
            Self::Contact(..) => None,
        };
        let expand = format!("singleValueExtendedProperties($filter=id eq '{ORIGIN}')");
        let select = match self {
            Self::Contact(..) => "id,displayName,createdDateTime",
            _ => "id,createdDateTime",
        };
        let mut query = vec![("$select", select), ("$expand", &expand), ("$top", "100")];
        query.extend(filter.as_deref().map(|filter| ("$filter", filter)));
        let what = "looking for what was imported";
        let ask = place.ask(graph, what, &place.collection(), &query);
        let told: Vec<Told> = all_pages(graph, ask).await?;
        let told = told.into_iter().filter(|told| {
            let properties = told.single_value_extended_properties.as_deref();
            property(properties, ORIGIN).is_none() && self.fits(told)
        });
        Ok(told.map(|told| told.id).collect())
    }

    fn fits(&self, told: &Told) -> bool {
        let Self::Contact(name, made) = self else { return true };
        let seconds = |time: OffsetDateTime| time.unix_timestamp();
        told.display_name.as_deref().unwrap_or_default() == name
            && instant(told.created_date_time.as_deref()).map(seconds) == Some(seconds(*made))
    }
}
