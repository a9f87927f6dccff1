use data_encoding::BASE64URL_NOPAD;
use mailkeep_model::{
    Change, Cursor, Folder, FolderId, Item, ItemId, ItemKind, Mailbox, Next, Page,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{GROUP, ITEMS_READ, Spot, Store, store, told_store};
use crate::{
    Details, ExchangeError, Held,
    graph::{
        client::{Ask, GraphProvider},
        events::{id_of, not_understood},
        pages::{self, all_pages},
        wire::ExtendedProperty,
        zones,
    },
    provider::{SEARCH_KEY, STATE},
};

/// `PidTagSearchKey` and `PidTagSubject` (MS-OXPROPS).
const KEY: &str = "Binary 0x300B";
const SUBJECT: &str = "String 0x0037";
/// What is asked for beside an item's own properties.
const SUBJECT_AND_KEY: &str =
    "singleValueExtendedProperties($filter=id eq 'Binary 0x300B' or id eq 'String 0x0037')";
/// Items a page.
pub(super) const PAGE: &str = "200";
/// Where an item's [`provider`](Item::provider) has its class, and its size in bytes.
const CLASS: &str = "class";
const SIZE: &str = "size";
pub(super) const READING: &str = "reading an item's properties";

/// An item of any kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct Told {
    pub(in crate::graph) id: String,
    pub(in crate::graph) change_key: Option<String>,
    created_date_time: Option<String>,
    last_modified_date_time: Option<String>,
    categories: Option<Vec<String>>,
    #[serde(rename = "type")]
    pub(super) class: Option<String>,
    size: Option<i64>,
    single_value_extended_properties: Option<Vec<ExtendedProperty>>,
}

/// Graph: `mailboxItem: delta` of one folder; contact groups are listed whole.
pub(in crate::graph) async fn changes(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &FolderId,
    cursor: Option<&Cursor>,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    let nothing = Page { changes: Vec::new(), unread: Vec::new(), next: Next::Complete };
    let Some(spot) = Spot::of(folder) else { return Ok(nothing) };
    let action = format!("{}: reading what changed in a folder of streams", mailbox.address);
    let id = told_store(graph, mailbox, spot.store).await?;
    let url = match cursor {
        Some(Cursor(link)) => graph.link(&action, link)?,
        None if spot.groups => {
            let only = format!("type eq '{GROUP}'");
            graph.url(&path(&id, spot.folder, &[]), &[("$filter", &only), ("$top", PAGE)])
        }
        None => graph.url(&path(&id, spot.folder, &["delta"]), &[]),
    };
    let prefer = (!spot.groups).then(|| format!("odata.maxpagesize={PAGE}"));
    let ask = Ask { action, right: ITEMS_READ, mailbox: Some(mailbox), url, prefer };
    let body = pages::page(graph, &ask).await.map_err(explained)?;
    parse_mailbox_items_page(&body, folder)
}

/// Graph: `Get mailboxItem` with its subject and its search key.
pub(in crate::graph) async fn details(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &Item,
) -> Result<Details, ExchangeError> {
    let gone = || ExchangeError::not_found(format!("{}: {READING}", mailbox.address));
    let spot = Spot::of(&item.folder).ok_or_else(gone)?;
    let store = store(graph, mailbox, spot.store).await?.ok_or_else(gone)?;
    let path = path(&store, spot.folder, &[Store::of(&item.id).1]);
    let query = [("$expand", SUBJECT_AND_KEY)];
    let told = match graph.json::<Told>(&asked(graph, mailbox, &path, &query)).await {
        // Without these properties there is still the stream, which is what matters.
        Err(ExchangeError::Answer { status: 400, .. }) => {
            graph.json(&asked(graph, mailbox, &path, &[])).await
        }
        told => told,
    };
    let item = told_item(told.map_err(explained)?, &item.folder)
        .map_err(|reason| ExchangeError::protocol(READING, reason))?;
    Ok(Details { item, attachments: Vec::new(), room: Held::default() })
}

/// All items of a folder, with their search keys.
pub(in crate::graph) async fn listed(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
) -> Result<Vec<Item>, ExchangeError> {
    let Some(spot) = Spot::of(&folder.id) else { return Ok(Vec::new()) };
    let Some(store) = store(graph, mailbox, spot.store).await? else { return Ok(Vec::new()) };
    let path = path(&store, spot.folder, &[]);
    let query = [("$top", PAGE), ("$expand", SUBJECT_AND_KEY)];
    let all: Vec<Value> = match all_pages(graph, asked(graph, mailbox, &path, &query)).await {
        Err(ExchangeError::Answer { status: 400, .. }) => {
            all_pages(graph, asked(graph, mailbox, &path, &query[..1])).await
        }
        all => all,
    }
    .map_err(explained)?;
    let told = all.into_iter().filter_map(|told| Told::deserialize(told).ok());
    let told = told.filter(|told| !spot.groups || told.class.as_deref() == Some(GROUP));
    Ok(told.filter_map(|told| told_item(told, &folder.id).ok()).collect())
}

/// Reads one page of `mailboxItem: delta`, or of the contact groups, of `folder`.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such a page.
pub fn parse_mailbox_items_page(
    body: &[u8],
    folder: &FolderId,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    #[derive(Deserialize)]
    struct Told {
        value: Vec<Value>,
        #[serde(rename = "@odata.nextLink")]
        next_link: Option<String>,
        #[serde(rename = "@odata.deltaLink")]
        delta_link: Option<String>,
    }
    let action = "reading what changed in a folder of streams";
    let page: Told = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let spot = Spot::of(folder);
    let is_list = spot.is_none_or(|spot| spot.groups);
    let next = match (page.next_link, page.delta_link) {
        (Some(link), _) => Next::More(Cursor(link)),
        (None, Some(link)) => Next::Done(Cursor(link)),
        (None, None) if is_list => Next::Complete,
        (None, None) => {
            return Err(ExchangeError::protocol(action, "the page names no link to go on from"));
        }
    };
    let ours = |id: String| spot.map_or(Store::Primary, |spot| spot.store).item(id);
    let (mut changes, mut unread) = (Vec::with_capacity(page.value.len()), Vec::new());
    for told in page.value {
        let id = ours(id_of(&told).0);
        if told.get("@removed").is_some() {
            changes.push(Change::Removed(id));
            continue;
        }
        let item = self::Told::deserialize(told).map_err(|error| not_understood(&error));
        match item.and_then(|told| told_item(told, folder)) {
            Ok(item) => changes.push(Change::Upsert(item)),
            Err(reason) => unread.push((id, reason)),
        }
    }
    Ok(Page { changes, unread, next })
}

/// An item of any kind as one that comes as a stream.
pub(super) fn told_item(told: Told, folder: &FolderId) -> Result<Item, String> {
    let store = Spot::of(folder).map_or(Store::Primary, |spot| spot.store);
    let content_key = told.change_key.as_ref().or(told.last_modified_date_time.as_ref());
    let content_key = content_key.ok_or("neither a change key nor a time of change is told")?;
    let content_key = content_key.clone();
    let property = |id: &str| {
        let all = told.single_value_extended_properties.as_deref().unwrap_or_default();
        all.iter().find(|one| is_named(&one.id, id)).and_then(|one| one.value.clone())
    };
    let (subject, key) = (property(SUBJECT), property(KEY));
    let mut provider = Map::new();
    provider.insert(STATE.into(), json!(state(&told)));
    let more = [(SEARCH_KEY, key.map(Value::from)), (CLASS, told.class.map(Value::from))];
    let more = more.into_iter().chain([(SIZE, told.size.map(Value::from))]);
    for (name, value) in more {
        if let Some(value) = value {
            provider.insert(name.to_owned(), value);
        }
    }
    Ok(Item {
        subject: subject.unwrap_or_default(),
        // One without a readable time is kept all the same, under the epoch.
        received: zones::instant(told.created_date_time.as_deref())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        categories: told.categories.unwrap_or_default(),
        content_key,
        provider,
        ..Item::new(store.item(told.id), ItemKind::Opaque, folder.clone())
    })
}

/// The same for every copy that nobody changed: an import keeps class, size and times.
fn state(told: &Told) -> String {
    let mut hash = Sha256::new();
    let size = told.size.unwrap_or_default().to_string();
    let parts = [told.class.as_deref(), told.last_modified_date_time.as_deref(), Some(&size)];
    for part in parts {
        let part = part.unwrap_or_default();
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    BASE64URL_NOPAD.encode(&hash.finalize()[..15])
}

/// Asked for as `Binary 0x300B`, the answer may say `Binary 0x300b`.
fn is_named(told: &str, asked: &str) -> bool {
    let tag = |id: &str| {
        let (kind, tag) = id.split_once(" 0x")?;
        Some((kind.to_owned(), u32::from_str_radix(tag, 16).ok()?))
    };
    tag(told).is_some() && tag(told) == tag(asked)
}

pub(super) fn path<'a>(store: &'a str, folder: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let begin = ["admin", "exchange", "mailboxes", store, "folders", folder, "items"];
    begin.into_iter().chain(rest.iter().copied()).collect()
}

pub(super) fn asked<'a>(
    graph: &GraphProvider,
    mailbox: &'a Mailbox,
    path: &[&str],
    query: &[(&str, &str)],
) -> Ask<'a> {
    Ask {
        action: format!("{}: {READING}", mailbox.address),
        right: ITEMS_READ,
        mailbox: Some(mailbox),
        url: graph.url(path, query),
        prefer: None,
    }
}

/// What an archive answers whose folders went on growing into other mailboxes.
pub(super) fn explained(error: ExchangeError) -> ExchangeError {
    match error {
        ExchangeError::Answer { action, status: 308, .. } => ExchangeError::unsupported(
            action,
            "this folder of the archive lies in a further archive mailbox (auto-expanding archive), \
             which this version does not read",
        ),
        error => error,
    }
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
