//! Following the links from page to page, also of a list that never ends.

use std::collections::HashSet;

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use url::Url;

use super::{
    client::{Ask, GraphProvider},
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
        let page: Listing<T> = serde_json::from_slice(&body).map_err(|error| {
            ExchangeError::protocol(&ask.action, format!("not understood: {error}"))
        })?;
        all.extend(page.value);
        let Some(link) = page.next_link else { return Ok(all) };
        ask.url = graph.link(&ask.action, &link)?;
        if !seen.insert(link) {
            break;
        }
    }
    Err(ExchangeError::protocol(&ask.action, ENDLESS))
}

/// One page, asked for again when it names itself as the next one.
pub(super) async fn page(graph: &GraphProvider, ask: &Ask<'_>) -> Result<Bytes, ExchangeError> {
    for _ in 0..MAX_REPEATS {
        let body = graph.body(ask).await?;
        if !leads_to(&body, &ask.url) {
            return Ok(body);
        }
    }
    Err(ExchangeError::protocol(&ask.action, ENDLESS))
}

fn leads_to(body: &[u8], url: &Url) -> bool {
    #[derive(Deserialize)]
    struct Linked {
        #[serde(rename = "@odata.nextLink")]
        next_link: Option<String>,
        #[serde(rename = "value")]
        _value: Option<IgnoredAny>,
    }
    // What is no page is for others to complain of.
    let linked = serde_json::from_slice::<Linked>(body).ok();
    let link = linked.and_then(|linked| linked.next_link);
    link.and_then(|link| Url::parse(&link).ok()).is_some_and(|link| link == *url)
}
