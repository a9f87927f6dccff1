//! Looking for items: by their id, and by the mark that a restore gave them.

use std::collections::{HashMap, HashSet};

use mailkeep_model::{FolderId, FolderKind, ItemId, ItemKind, Mailbox};
use serde::Deserialize;
use serde_json::Value;

use super::{
    MADE, ORIGIN, Place, REPLACES, SETTLING, UNFINISHED, make::instant, setting, task_marks,
    unmarked,
};
use crate::{
    ExchangeError, Existing, Mark, Provider, Wanted,
    graph::{
        client::{Ask, GraphProvider},
        mail,
        refusal::is_foreign_id,
        wire::{Collection, ExtendedProperty, MailFolder, Message},
        wire_outlook::{Identified, Listing},
    },
    heading,
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
    parent_folder_id: Option<String>,
    is_organizer: Option<bool>,
    attendees: Option<Vec<Value>>,
    single_value_extended_properties: Option<Vec<ExtendedProperty>>,
    #[serde(flatten)]
    times: Times,
}

/// A message, and when it was changed.
#[derive(Deserialize)]
struct ToldMessage {
    #[serde(flatten)]
    message: Message,
    #[serde(flatten)]
    times: Times,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Times {
    created_date_time: Option<String>,
    last_modified_date_time: Option<String>,
}

const TOLD: &str = "id,changeKey,createdDateTime,lastModifiedDateTime";

/// What is looked for by its mark.
#[derive(Clone, Copy)]
pub(super) enum Carrying<'a> {
    Exactly(&'a str),
    AtTheFront(&'a str),
}

/// Something that carries a mark.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marked {
    pub(super) id: String,
    pub(super) created_date_time: Option<String>,
    parent_folder_id: Option<String>,
    single_value_extended_properties: Option<Vec<ExtendedProperty>>,
}

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
    match kind {
        ItemKind::Task => return task_marks::existing(graph, mailbox, wanted).await,
        ItemKind::Setting => return setting::existing(graph, mailbox, wanted).await,
        ItemKind::Opaque => return unmarked::existing(graph, mailbox, wanted).await,
        _ => {}
    }
    let look = Look { graph, mailbox, kind, wanted };
    let mut found =
        if kind == ItemKind::Message { look.messages().await? } else { look.others().await? };
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

/// What in the folder of `place` carries a mark.
pub(super) async fn marked(
    graph: &GraphProvider,
    place: &Place<'_>,
    carrying: Carrying<'_>,
) -> Result<Vec<Marked>, ExchangeError> {
    let select = if place.items == "events" {
        "id,createdDateTime"
    } else {
        "id,createdDateTime,parentFolderId"
    };
    let expand = format!("singleValueExtendedProperties($filter=id eq '{ORIGIN}')");
    let filter = carrying.filter();
    let query = [("$filter", &*filter), ("$select", select), ("$expand", &expand), ("$top", "50")];
    let what = "looking for what a restore has made";
    let mut ask = place.ask(graph, what, &place.collection(), &query);
    let mut all = Vec::new();
    for _ in 0..MAX_PAGES {
        let page: Listing<Marked> = graph.json(&ask).await?;
        // Graph's page says of such a filter that it goes over the whole mailbox, and that it takes
        // upper and lower case for the same. What is found may be deleted: it is looked at again.
        all.extend(page.value.into_iter().filter(|found| {
            let here = found.parent_folder_id.as_ref().is_none_or(|id| *id == place.folder.0);
            let mark = property(found.single_value_extended_properties.as_deref(), ORIGIN);
            here && mark.is_some_and(|mark| carrying.holds(mark))
        }));
        let Some(link) = page.next_link else { return Ok(all) };
        ask.url = graph.link(&ask.action, &link)?;
    }
    Err(ExchangeError::protocol(&ask.action, "the list goes on for ever"))
}

impl Carrying<'_> {
    /// Graph: "Get singleValueLegacyExtendedProperty", `eq` and `startswith`.
    fn filter(self) -> String {
        let quoted = |mark: &str| mark.replace('\'', "''");
        let test = match self {
            Self::Exactly(mark) => format!("ep/value eq '{}'", quoted(mark)),
            Self::AtTheFront(mark) => format!("startswith(ep/value, '{}')", quoted(mark)),
        };
        format!("singleValueExtendedProperties/Any(ep: ep/id eq '{ORIGIN}' and {test})")
    }

    fn holds(self, value: &str) -> bool {
        match self {
            Self::Exactly(mark) => value == mark,
            Self::AtTheFront(mark) => value.starts_with(mark),
        }
    }
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
        let ours = format!("id eq '{ORIGIN}' or id eq '{MADE}' or id eq '{REPLACES}'");
        if self.kind == ItemKind::Message {
            format!("singleValueExtendedProperties($filter={} or {ours})", mail::SIZE_IS)
        } else {
            format!("singleValueExtendedProperties($filter={ours})")
        }
    }

    /// Which identifiers and marks are looked for.
    fn sought(&self) -> Sought<'_> {
        Sought {
            ids: self.wanted.iter().map(|one| one.item.0.as_str()).collect(),
            marks: self.wanted.iter().flat_map(|one| [&*one.mark, &*one.former]).collect(),
        }
    }

    async fn messages(&self) -> Result<Vec<Existing>, ExchangeError> {
        let user = self.mailbox.id.0.as_str();
        let expand = self.expand();
        let select = format!("{},createdDateTime,lastModifiedDateTime", mail::SELECT);
        let all = [("$select", select.as_str()), ("$expand", expand.as_str())];
        let mut told: Vec<ToldMessage> = Vec::new();
        if self.wanted.len() <= FEW {
            for wanted in self.wanted {
                let ask = self.ask(&["users", user, "messages", &wanted.item.0], &all)?;
                told.extend(found(self.graph.json(&ask).await)?);
                told.extend(self.carrying(&["users", user, "messages"], &all, wanted).await?);
            }
        } else {
            let sought = self.sought();
            let ask = self.ask(&["users", user, "messages"], &[all[0], all[1], ("$top", PAGE)])?;
            let wanted = |told: &ToldMessage| {
                let message = &told.message;
                sought.holds(&message.id, message.single_value_extended_properties.as_deref())
            };
            told = self.pages(ask, wanted).await?;
        }
        let sought = self.sought();
        let deleted = if told.is_empty() { HashSet::new() } else { self.deleted_folders().await? };
        let existing = told.into_iter().filter_map(|ToldMessage { message, times }| {
            let folder = message.parent_folder_id.clone().map(FolderId)?;
            let properties = message.single_value_extended_properties.as_deref();
            let mark = mark(properties);
            if mark.is_none() && !sought.ids.contains(message.id.as_str()) {
                return None;
            }
            let edited = mark.is_some() && times.edited(properties);
            let replaces = replaced(properties);
            let deleted = deleted.contains(&folder.0);
            let item = mail::item(message, &folder);
            Some(Existing {
                heading: heading(&item),
                content_key: item.content_key,
                id: item.id,
                folder,
                mark,
                edited,
                replaces,
                deleted,
                notifies: false,
            })
        });
        Ok(existing.collect())
    }

    /// What carries the mark of one item, of this version or, where there is none, an earlier one.
    async fn carrying<T: serde::de::DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        wanted: &Wanted,
    ) -> Result<Vec<T>, ExchangeError> {
        let now = format!("{}.", wanted.mark);
        for carrying in [Carrying::AtTheFront(&now), Carrying::Exactly(&wanted.former)] {
            let filter = carrying.filter();
            let query = [query, &[("$filter", filter.as_str())]].concat();
            let found = self.pages(self.ask(path, &query)?, |_| true).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
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
        let sought = self.sought();
        let expand = self.expand();
        let select = match self.kind {
            ItemKind::Event => format!("{TOLD},isOrganizer,attendees"),
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
                    told.extend(self.carrying::<Told>(&path, &all, wanted).await?);
                }
            } else {
                let wanted = |one: &Told| {
                    sought.holds(&one.id, one.single_value_extended_properties.as_deref())
                };
                let query = [all[0], all[1], ("$top", PAGE)];
                told.extend(self.pages::<Told>(self.ask(&path, &query)?, wanted).await?);
            }
            for one in told {
                // A filter may go over the whole mailbox, whatever folder is asked.
                let folder = one.parent_folder_id.clone().map_or(folder.id.clone(), FolderId);
                existing.entry(one.id.clone()).or_insert_with(|| self.there(one, folder));
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
        let counts = |one: &Existing| one.mark.is_some() || sought.ids.contains(one.id.0.as_str());
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
        Ok(Some(self.there(told, FolderId(folder))))
    }

    fn there(&self, told: Told, folder: FolderId) -> Existing {
        let properties = told.single_value_extended_properties.as_deref();
        let mark = mark(properties);
        // What is not told is taken for the worse.
        let notifies = self.kind == ItemKind::Event
            && told.is_organizer.unwrap_or(true)
            && told.attendees.as_ref().is_none_or(|attendees| !attendees.is_empty());
        let edited = mark.is_some() && told.times.edited(properties);
        // As `events::listed` and `contacts` compute it.
        let content_key = told.change_key.or(told.times.last_modified_date_time);
        let content_key = content_key.unwrap_or_default();
        Existing {
            edited,
            replaces: replaced(properties),
            mark,
            notifies,
            ..Existing::new(ItemId(told.id), folder, content_key)
        }
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

struct Sought<'a> {
    ids: HashSet<&'a str>,
    marks: HashSet<&'a str>,
}

impl Sought<'_> {
    fn holds(&self, id: &str, properties: Option<&[ExtendedProperty]>) -> bool {
        let marked = || mark(properties).is_some_and(|mark| self.marks.contains(&*mark.item));
        self.ids.contains(id) || marked()
    }
}

impl Times {
    /// Whether it was changed after a restore had made it.
    fn edited(&self, properties: Option<&[ExtendedProperty]>) -> bool {
        let made = property(properties, MADE).or(self.created_date_time.as_deref());
        let (made, changed) = (instant(made), instant(self.last_modified_date_time.as_deref()));
        made.zip(changed).is_some_and(|(made, changed)| changed - made > SETTLING)
    }
}

/// The mark of what a restore made to the end.
fn mark(properties: Option<&[ExtendedProperty]>) -> Option<Mark> {
    let text = property(properties, ORIGIN)?;
    (!text.starts_with(UNFINISHED)).then(|| Mark::parse(text))
}

fn replaced(properties: Option<&[ExtendedProperty]>) -> Vec<ItemId> {
    let ids = property(properties, REPLACES).unwrap_or_default();
    ids.split_whitespace().map(|id| ItemId(id.into())).collect()
}

pub(super) fn property<'a>(
    properties: Option<&'a [ExtendedProperty]>,
    id: &str,
) -> Option<&'a str> {
    properties?.iter().find(|one| one.id.eq_ignore_ascii_case(id))?.value.as_deref()
}

/// `None` for what is not there.
fn found<T>(answer: Result<T, ExchangeError>) -> Result<Option<T>, ExchangeError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_foreign_id(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_to_make_is_not_taken_for_changed_by_its_owner() {
        let times = |modified: &str| Times {
            created_date_time: Some("2026-11-24T10:00:00Z".into()),
            last_modified_date_time: Some(modified.into()),
        };
        let made = ExtendedProperty {
            id: MADE.to_lowercase(),
            value: Some("2026-11-24T10:20:00.5Z".into()),
        };
        let made = Some(std::slice::from_ref(&made));
        assert!(!times("2026-11-24T10:20:01Z").edited(made));
        assert!(times("2026-11-24T10:22:00Z").edited(made));
        assert!(times("2026-11-24T10:20:01Z").edited(None));
        assert!(!times("2026-11-24T10:00:30Z").edited(None));
        assert!(!times("some day").edited(made));
    }

    #[test]
    fn only_what_carries_exactly_our_mark_may_be_taken_away() {
        assert!(Carrying::Exactly("ab.c").holds("ab.c"));
        for other in ["ab.C", "ab.cd", "xab.c", "unfinished:ab.c", "ab"] {
            assert!(!Carrying::Exactly("ab.c").holds(other), "{other}");
            assert!(!Carrying::AtTheFront("unfinished:ab.d").holds(other), "{other}");
        }
        assert!(Carrying::Exactly("o'x").filter().contains("ep/value eq 'o''x'"));
    }
}
