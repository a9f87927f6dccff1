//! Whether items are still there. Their address names the folder that they lie in, so that each has to
//! be looked for in one folder after the other.

use std::collections::{HashMap, HashSet};

use futures::future::join_all;
use mailkeep_model::{FolderId, Item, ItemId, Mailbox};

use super::{
    GROUP, Spot, Store,
    export::again,
    folders::places_in,
    items::{PAGE, READING, Told, asked, explained, path, told_item},
    told_store,
};
use crate::{
    ExchangeError,
    gate::PER_MAILBOX,
    graph::{
        client::GraphProvider, pages::all_pages, refusal::is_foreign_id, wire_outlook::Identified,
    },
};

/// Items that a page of a folder names.
const NAMED: u64 = 200;

type Found = Result<Option<Item>, ExchangeError>;

/// One store, and where in it something can be.
struct Search<'a> {
    graph: &'a GraphProvider,
    mailbox: &'a Mailbox,
    store: String,
    places: Vec<FolderId>,
}

/// Graph: `Get mailboxItem`.
pub(in crate::graph) async fn find(graph: &GraphProvider, mailbox: &Mailbox, id: &ItemId) -> Found {
    let mut found = find_all(graph, mailbox, &[(id.clone(), None)]).await?;
    found.pop().unwrap_or(Ok(None))
}

/// Graph: `Get mailboxItem` of many, each in the folder where it last was and then in all others of its
/// store; or `List items` of all folders, where that takes fewer requests.
pub(in crate::graph) async fn find_all(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    items: &[(ItemId, Option<FolderId>)],
) -> Result<Vec<Found>, ExchangeError> {
    let mut all: Vec<Found> = items.iter().map(|_| Ok(None)).collect();
    for lies_in in [Store::Primary, Store::Archive] {
        let here = (0..items.len()).filter(|at| Store::of(&items[*at].0).0 == lies_in);
        let here: Vec<usize> = here.collect();
        if here.is_empty() {
            continue;
        }
        let sought: Vec<_> = here.iter().map(|at| &items[*at]).collect();
        let found = match of_store(graph, mailbox, lies_in, &sought).await {
            Err(error) if error.concerns_one_item() || error.is_refusal() => {
                // Nobody could be asked: that is so of each of them.
                let one = || again(&error).unwrap_or_else(|| unasked(mailbox, &error));
                sought.iter().map(|_| Err(one())).collect()
            }
            found => found?,
        };
        for (at, found) in here.into_iter().zip(found) {
            all[at] = found;
        }
    }
    Ok(all)
}

async fn of_store(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    lies_in: Store,
    sought: &[&(ItemId, Option<FolderId>)],
) -> Result<Vec<Found>, ExchangeError> {
    let store = told_store(graph, mailbox, lies_in).await?;
    let (mut places, mut pages) = (Vec::new(), 0);
    for (place, items) in places_in(graph, mailbox, lies_in, &store).await? {
        places.push(place);
        pages += items.div_ceil(NAMED).max(1);
    }
    // A list may leave out the very folder that was asked about.
    for (_, last) in sought {
        let last = last.as_ref().filter(|last| !places.contains(last));
        if let Some(last) = last.filter(|id| Spot::of(id).is_some_and(|spot| spot.store == lies_in))
        {
            places.push(last.clone());
        }
    }
    let search = Search { graph, mailbox, store, places };
    let one_by_one = sought.len() as u64 * search.places.len() as u64;
    if one_by_one > pages { search.by_lists(sought).await } else { search.by_items(sought).await }
}

impl Search<'_> {
    async fn by_items(
        &self,
        sought: &[&(ItemId, Option<FolderId>)],
    ) -> Result<Vec<Found>, ExchangeError> {
        let mut all = Vec::with_capacity(sought.len());
        for some in sought.chunks(PER_MAILBOX) {
            let looked = some.iter().map(|(id, last)| self.look(id, last.as_ref()));
            for found in join_all(looked).await {
                all.push(own(found)?);
            }
        }
        Ok(all)
    }

    async fn look(&self, id: &ItemId, last: Option<&FolderId>) -> Found {
        let others = self.places.iter().filter(|place| Some(*place) != last);
        for place in last.into_iter().chain(others) {
            if let Some(item) = self.look_in(id, place).await? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    async fn look_in(&self, id: &ItemId, place: &FolderId) -> Found {
        let Some(spot) = Spot::of(place) else { return Ok(None) };
        let path = path(&self.store, spot.folder, &[Store::of(id).1]);
        match self.graph.json::<Told>(&asked(self.graph, self.mailbox, &path, &[])).await {
            Ok(told) if !spot.groups || told.class.as_deref() == Some(GROUP) => {
                let item = told_item(told, place);
                item.map(Some).map_err(|reason| ExchangeError::protocol(READING, reason))
            }
            Ok(_) => Ok(None),
            Err(error) if is_foreign_id(&error) => Ok(None),
            Err(error) => Err(explained(error)),
        }
    }

    /// What a folder that could not be listed holds is not known: then nothing is gone.
    async fn by_lists(
        &self,
        sought: &[&(ItemId, Option<FolderId>)],
    ) -> Result<Vec<Found>, ExchangeError> {
        let wanted: HashSet<&str> = sought.iter().map(|(id, _)| Store::of(id).1).collect();
        let mut lies_in: HashMap<String, &FolderId> = HashMap::new();
        let mut unlisted = None;
        for place in &self.places {
            match self.named(place).await {
                Ok(named) => {
                    let named = named.into_iter().filter(|one| wanted.contains(one.id.as_str()));
                    lies_in.extend(named.map(|one| (one.id, place)));
                }
                Err(error) if is_foreign_id(&error) => {}
                Err(error) => unlisted = Some(own(Err(explained(error)))?),
            }
        }
        let mut all = Vec::with_capacity(sought.len());
        for (id, _) in sought {
            all.push(match (lies_in.get(Store::of(id).1), &unlisted) {
                (Some(place), _) => own(self.look_in(id, place).await)?,
                (None, Some(Err(error))) => {
                    Err(again(error).unwrap_or_else(|| unasked(self.mailbox, error)))
                }
                (None, _) => Ok(None),
            });
        }
        Ok(all)
    }

    async fn named(&self, place: &FolderId) -> Result<Vec<Identified>, ExchangeError> {
        let Some(spot) = Spot::of(place) else { return Ok(Vec::new()) };
        let path = path(&self.store, spot.folder, &[]);
        let only = format!("type eq '{GROUP}'");
        let mut query = vec![("$select", "id"), ("$top", PAGE)];
        if spot.groups {
            query.push(("$filter", &only));
        }
        all_pages(self.graph, asked(self.graph, self.mailbox, &path, &query)).await
    }
}

/// An error that concerns one item stays with it.
fn own(found: Found) -> Result<Found, ExchangeError> {
    match found {
        Err(error) if !error.concerns_one_item() && !error.is_refusal() => Err(error),
        found => Ok(found),
    }
}

fn unasked(mailbox: &Mailbox, error: &ExchangeError) -> ExchangeError {
    ExchangeError::protocol(format!("{}: {READING}", mailbox.address), error)
}
