//! Following the links from page to page, also of a list that never ends.

use std::collections::HashSet;

use bytes::Bytes;
use mailkeep_model::{Change, Item, ItemId, Page};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use url::Url;

use super::{
    client::{Ask, GraphProvider, not_understood},
    patience::Patience,
    wire_outlook::Listing,
};
use crate::ExchangeError;

/// Pages of a list; one that goes on for longer goes in a circle.
const MAX_PAGES: usize = 1000;
/// A page may be told again when something went wrong at the provider, but not for ever.
const MAX_REPEATS: usize = 4;
const ENDLESS: &str = "the list goes on for ever";

/// All pages of a short list.
pub(super) async fn all_pages<T: DeserializeOwned>(
    graph: &GraphProvider,
    mut ask: Ask<'_>,
) -> Result<Vec<T>, ExchangeError> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for _ in 0..MAX_PAGES {
        let body = page(graph, &ask).await?;
        let page: Listing<T> = serde_json::from_slice(&body)
            .map_err(|error| graph.unfit(&ask, &format!("not understood: {error}")))?;
        all.extend(page.value);
        let Some(link) = page.next_link else { return Ok(all) };
        ask.url = graph.link(&ask.action, &link)?;
        if !seen.insert(link) {
            break;
        }
    }
    Err(graph.unfit(&ask, ENDLESS))
}

/// Asks for what a page of changes told only in part: a delta promises no more than what changed.
/// `read` gives the item as it is now, or why it is not understood.
pub(super) async fn complete<F>(
    page: &mut Page<Item, ItemId>,
    partial: Vec<ItemId>,
    read: impl Fn(ItemId) -> F,
) -> Result<(), ExchangeError>
where
    F: Future<Output = Result<Result<Item, String>, ExchangeError>>,
{
    for id in partial {
        match read(id.clone()).await {
            Ok(Ok(item)) => page.changes.push(Change::Upsert(item)),
            Ok(Err(reason)) => page.unread.push((id, reason)),
            // Gone meanwhile: a later page says so.
            Err(ExchangeError::NotFound { .. }) => {}
            Err(error) if error.concerns_one_item() => page.unread.push((id, error.to_string())),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One page, asked for again when it broke off in the middle or names itself as the next one.
pub(super) async fn page(graph: &GraphProvider, ask: &Ask<'_>) -> Result<Bytes, ExchangeError> {
    let mut patience = Patience::default();
    for _ in 0..MAX_REPEATS {
        let body = graph.body(ask).await?;
        match leads_to(&body, &ask.url) {
            Ok(false) => return Ok(body),
            Ok(true) => {}
            Err(error) => graph.once_more(ask, &mut patience, not_understood(&error)).await?,
        }
    }
    Err(graph.unfit(ask, ENDLESS))
}

/// Whether a page leads to this address; fails when it is no page.
fn leads_to(body: &[u8], url: &Url) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct Linked {
        #[serde(rename = "@odata.nextLink")]
        next_link: Option<String>,
        #[serde(rename = "value")]
        _value: Option<IgnoredAny>,
    }
    let linked = serde_json::from_slice::<Linked>(body)?;
    Ok(linked.next_link.and_then(|link| Url::parse(&link).ok()).is_some_and(|link| link == *url))
}
