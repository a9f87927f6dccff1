//! Looking for items: by their id, and by the origin that a restore gave them.

use std::collections::{HashMap, HashSet};

use mailkeep_model::{FolderId, FolderKind, ItemId, ItemKind, Mailbox};
use serde::Deserialize;

use super::{ORIGIN, Place, UNFINISHED};
use crate::{
    ExchangeError, Existing, Provider, Wanted,
    graph::{
        client::{Ask, GraphProvider},
        mail,
        refusal::is_foreign_id,
        wire::{Collection, ExtendedProperty, MailFolder, Message},
        wire_outlook::{Identified, Listing},
    },
};

/// Up to so many items are asked for one by one; for more, everything is listed.
const FEW: usize = 20;
const PAGE: &str = "1000";
/// Longer listings than this are not one: the links run in a circle.
const MAX_PAGES: usize = 100_000;

/// An event or a contact.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    change_key: Option<String>,
    last_modified_date_time: Option<String>,
    parent_folder_id: Option<String>,
    single_value_extended_properties: Option<Vec<ExtendedProperty>>,
}

const TOLD: &str = "id,changeKey,lastModifiedDateTime";

/// Those of `wanted` that are there.
pub(in crate::graph) async fn existing(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    kind: ItemKind,
    wanted: &[Wanted],
) -> Result<Vec<Existing>, ExchangeError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let look = Look { graph, mailbox, kind, wanted };
    let mut found =
        if kind == ItemKind::Message { look.messages().await? } else { look.others().await? };
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

/// What in the folder of `place` carries exactly this mark.
pub(super) async fn marked(
    graph: &GraphProvider,
    place: &Place<'_>,
    mark: &str,
) -> Result<Vec<String>, ExchangeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Found {
        id: String,
        parent_folder_id: Option<String>,
    }
    let select = if place.items == "events" { "id" } else { "id,parentFolderId" };
    let query = [("$filter", &*carries(mark)), ("$select", select), ("$top", "10")];
    let what = "looking for what a restore has made";
    let ask = place.ask(graph, what, &place.collection(), &query);
    let page: Listing<Found> = graph.json(&ask).await?;
    // Graph's page says of such a filter that it goes over the whole mailbox.
    let here =
        |found: &Found| found.parent_folder_id.as_ref().is_none_or(|id| *id == place.folder.0);
    Ok(page.value.into_iter().filter(here).map(|found| found.id).collect())
}

fn carries(mark: &str) -> String {
    let mark = mark.replace('\'', "''");
    format!("singleValueExtendedProperties/Any(ep: ep/id eq '{ORIGIN}' and ep/value eq '{mark}')")
}

struct Look<'a> {
    graph: &'a GraphProvider,
    mailbox: &'a Mailbox,
    kind: ItemKind,
    wanted: &'a [Wanted],
}

impl Look<'_> {
    fn ask(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Ask<'_>, ExchangeError> {
        let folder = FolderId(String::new());
        let place = Place::of(self.mailbox, &folder, self.kind)?;
        let ask = place.ask(self.graph, "looking for items that are there", path, query);
        Ok(Ask { mailbox: Some(self.mailbox), ..ask })
    }

    fn expand(&self) -> String {
        if self.kind == ItemKind::Message {
            format!("singleValueExtendedProperties($filter={} or id eq '{ORIGIN}')", mail::SIZE_IS)
        } else {
            format!("singleValueExtendedProperties($filter=id eq '{ORIGIN}')")
        }
    }

    async fn messages(&self) -> Result<Vec<Existing>, ExchangeError> {
        let user = self.mailbox.id.0.as_str();
        let expand = self.expand();
        let all = [("$select", mail::SELECT), ("$expand", expand.as_str())];
        let mut told: Vec<Message> = Vec::new();
        if self.wanted.len() <= FEW {
            for wanted in self.wanted {
                let ask = self.ask(&["users", user, "messages", &wanted.item.0], &all)?;
                told.extend(found(self.graph.json(&ask).await)?);
                let filter = carries(&wanted.key);
                let query = [all[0], all[1], ("$filter", filter.as_str())];
                let ask = self.ask(&["users", user, "messages"], &query)?;
                told.extend(self.pages::<Message>(ask, |_| true).await?);
            }
        } else {
            let ids: HashSet<&str> = self.wanted.iter().map(|one| one.item.0.as_str()).collect();
            let keys: HashSet<&str> = self.wanted.iter().map(|one| one.key.as_str()).collect();
            let ask = self.ask(&["users", user, "messages"], &[all[0], all[1], ("$top", PAGE)])?;
            let wanted = |message: &Message| {
                let key = key(message.single_value_extended_properties.as_deref());
                ids.contains(message.id.as_str()) || key.is_some_and(|key| keys.contains(key))
            };
            told = self.pages(ask, wanted).await?;
        }
        let ids: HashSet<&str> = self.wanted.iter().map(|one| one.item.0.as_str()).collect();
        let deleted = if told.is_empty() { HashSet::new() } else { self.deleted_folders().await? };
        let existing = told.into_iter().filter_map(|message| {
            let folder = message.parent_folder_id.clone()?;
            let deleted = deleted.contains(&folder);
            let key = key(message.single_value_extended_properties.as_deref()).map(str::to_owned);
            (key.is_some() || ids.contains(message.id.as_str())).then(|| Existing {
                content_key: message.content_key(),
                id: ItemId(message.id),
                folder: FolderId(folder),
                key,
                deleted,
            })
        });
        Ok(existing.collect())
    }

    /// The deleted items with all folders in them.
    async fn deleted_folders(&self) -> Result<HashSet<String>, ExchangeError> {
        let user = self.mailbox.id.0.as_str();
        let mut all = HashSet::new();
        let path = ["users", user, "mailFolders", "deleteditems"];
        let ask = self.ask(&path, &[("$select", "id")])?;
        let Some(root) = found(self.graph.json::<Identified>(&ask).await)? else {
            return Ok(all);
        };
        let mut open = vec![root.id];
        while let Some(folder) = open.pop() {
            if all.contains(&folder) {
                continue;
            }
            let path = ["users", user, "mailFolders", &folder, "childFolders"];
            let query = [("$select", "id"), ("$top", "200"), ("includeHiddenFolders", "true")];
            let ask = self.ask(&path, &query)?;
            match self.pages::<MailFolder>(ask, |_| true).await {
                Ok(children) => open.extend(children.into_iter().map(|child| child.id)),
                Err(error) if is_foreign_id(&error) => {}
                Err(error) => return Err(error),
            }
            all.insert(folder);
        }
        Ok(all)
    }

    /// Events lie in calendars and contacts in contact folders; what was deleted lies in neither.
    async fn others(&self) -> Result<Vec<Existing>, ExchangeError> {
        let (kind, folders, items) = match self.kind {
            ItemKind::Event => (FolderKind::Calendar, "calendars", "events"),
            _ => (FolderKind::Contacts, "contactFolders", "contacts"),
        };
        let user = self.mailbox.id.0.as_str();
        let ids: HashSet<&str> = self.wanted.iter().map(|one| one.item.0.as_str()).collect();
        let keys: HashSet<&str> = self.wanted.iter().map(|one| one.key.as_str()).collect();
        let expand = self.expand();
        let select = match self.kind {
            ItemKind::Event => TOLD.to_owned(),
            _ => format!("{TOLD},parentFolderId"),
        };
        let all = [("$select", select.as_str()), ("$expand", expand.as_str())];
        let in_folders = self.graph.other_folders(self.mailbox, kind).await?;
        let mut existing = HashMap::new();
        for folder in &in_folders {
            let path = ["users", user, folders, &folder.id.0, items];
            let mut told: Vec<Told> = Vec::new();
            if self.wanted.len() <= FEW {
                for wanted in self.wanted {
                    let filter = carries(&wanted.key);
                    let query = [all[0], all[1], ("$filter", filter.as_str())];
                    told.extend(self.pages::<Told>(self.ask(&path, &query)?, |_| true).await?);
                }
            } else {
                let wanted = |one: &Told| {
                    let key = key(one.single_value_extended_properties.as_deref());
                    ids.contains(one.id.as_str()) || key.is_some_and(|key| keys.contains(key))
                };
                let query = [all[0], all[1], ("$top", PAGE)];
                told.extend(self.pages::<Told>(self.ask(&path, &query)?, wanted).await?);
            }
            for one in told {
                // A filter may go over the whole mailbox, whatever folder is asked.
                let folder = one.parent_folder_id.clone().map_or(folder.id.clone(), FolderId);
                existing.entry(one.id.clone()).or_insert_with(|| one.existing(folder));
            }
        }
        if self.wanted.len() <= FEW {
            for wanted in self.wanted {
                if existing.contains_key(&wanted.item.0) {
                    continue;
                }
                if let Some(one) = self.itself(items, &wanted.item, &all).await? {
                    existing.insert(one.id.0.clone(), one);
                }
            }
        }
        let counts = |one: &Existing| one.key.is_some() || ids.contains(one.id.0.as_str());
        Ok(existing.into_values().filter(counts).collect())
    }

    /// An event or contact by its id.
    async fn itself(
        &self,
        items: &str,
        id: &ItemId,
        query: &[(&str, &str)],
    ) -> Result<Option<Existing>, ExchangeError> {
        let path = ["users", &self.mailbox.id.0, items, &id.0];
        let told: Told = match found(self.graph.json(&self.ask(&path, query)?).await)? {
            Some(told) => told,
            None => return Ok(None),
        };
        let folder = match &told.parent_folder_id {
            Some(folder) => folder.clone(),
            None => {
                let path = [&path[..], &["calendar"]].concat();
                let ask = self.ask(&path, &[("$select", "id")])?;
                // An event that lies in no calendar was deleted.
                match found(self.graph.json::<Identified>(&ask).await)? {
                    Some(calendar) => calendar.id,
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(told.existing(FolderId(folder))))
    }

    /// All pages of a listing, as much of it as is `kept`.
    async fn pages<T: serde::de::DeserializeOwned>(
        &self,
        mut ask: Ask<'_>,
        kept: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, ExchangeError> {
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let page: Collection<T> = self.graph.json(&ask).await?;
            all.extend(page.value.into_iter().filter(&kept));
            let Some(link) = page.next_link else { return Ok(all) };
            ask.url = self.graph.link(&ask.action, &link)?;
        }
        Err(ExchangeError::protocol(&ask.action, "the list goes on for ever"))
    }
}

impl Told {
    fn existing(self, folder: FolderId) -> Existing {
        let key = key(self.single_value_extended_properties.as_deref()).map(str::to_owned);
        // As `events::listed` and `contacts` compute it.
        let content_key = self.change_key.or(self.last_modified_date_time).unwrap_or_default();
        Existing { id: ItemId(self.id), folder, key, deleted: false, content_key }
    }
}

/// The key of what a restore made to the end.
fn key(properties: Option<&[ExtendedProperty]>) -> Option<&str> {
    let property = properties?.iter().find(|one| one.id.eq_ignore_ascii_case(ORIGIN))?;
    property.value.as_deref().filter(|value| !value.starts_with(UNFINISHED))
}

/// `None` for what is not there.
fn found<T>(answer: Result<T, ExchangeError>) -> Result<Option<T>, ExchangeError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_foreign_id(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
