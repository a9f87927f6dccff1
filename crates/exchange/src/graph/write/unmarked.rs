//! What carries no mark of ours (notes, contact groups): which of it is a copy of what is sought, told
//! by its search key or its state, see [`crate::likeness`].

use std::collections::{HashMap, HashSet};

use mailkeep_model::{Folder, Item, ItemId, Mailbox};

use super::import::Doubt;
use crate::{
    ExchangeError, Existing, Likeness, Mark, Wanted,
    graph::{client::GraphProvider, streams},
    likeness,
};

/// The state of a mark on what was changed since.
const CHANGED: &str = "changed";

/// Those of `wanted` that are there.
pub(super) async fn existing(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    wanted: &[Wanted],
) -> Result<Vec<Existing>, ExchangeError> {
    let originals: HashSet<&ItemId> = wanted.iter().map(|one| &one.item).collect();
    let sought = Sought::of(wanted);
    let mut existing = Vec::new();
    for folder in streams::folders(graph, mailbox).await? {
        for item in streams::listed(graph, mailbox, &folder).await? {
            let mark = if originals.contains(&item.id) {
                None
            } else {
                let Some((one, same)) = sought.copied_by(&item) else { continue };
                // Without a state it stands for the one that is sought.
                Some(Mark { item: one.mark.clone(), state: (!same).then(|| CHANGED.to_owned()) })
            };
            existing.push(Existing {
                edited: mark.as_ref().is_some_and(|mark| mark.state.is_some()),
                mark,
                ..Existing::new(item.id, folder.id.clone(), item.content_key)
            });
        }
    }
    Ok(existing)
}

/// Looks for a second one of what was imported without a mark. There is no way to delete it: its
/// owner has to.
pub(super) async fn remove_doubles(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    mark: &Mark,
    keep: &[ItemId],
) -> Result<usize, ExchangeError> {
    let doubt = graph.streams().imports.doubts().get(&mark.text()).cloned();
    let Some(Doubt { likeness, known }) = doubt else { return Ok(0) };
    let there = streams::listed(graph, mailbox, folder).await?;
    let is_double = |item: &&Item| {
        is_copy(&likeness, item).is_some() && !keep.contains(&item.id) && !known.contains(&item.id)
    };
    match there.iter().filter(is_double).count() {
        0 => Ok(0),
        count => Err(ExchangeError::unsupported(
            format!("{}: deleting what was made twice", mailbox.address),
            format!(
                "{count} more of it lie in '{}', and Microsoft Graph has no way to delete them. \
                 Their owner can in Outlook",
                folder.name
            ),
        )),
    }
}

/// What is sought, by what its copies are told by ([`is_copy`]); of several the first.
struct Sought<'a> {
    /// Copies of an item have its key, too, and may be sought with it.
    by_both: HashMap<(&'a str, &'a str), &'a Wanted>,
    by_key: HashMap<&'a str, &'a Wanted>,
    by_state: HashMap<&'a str, &'a Wanted>,
    /// Those without a key.
    by_state_alone: HashMap<&'a str, &'a Wanted>,
}

impl<'a> Sought<'a> {
    fn of(wanted: &'a [Wanted]) -> Self {
        let (by_both, by_key, by_state, by_state_alone) = Default::default();
        let mut sought = Self { by_both, by_key, by_state, by_state_alone };
        for one in wanted {
            let Some(Likeness { key, state }) = &one.likeness else { continue };
            sought.by_state.entry(state).or_insert(one);
            match key {
                Some(key) => {
                    sought.by_both.entry((key, state)).or_insert(one);
                    sought.by_key.entry(key).or_insert(one);
                }
                None => {
                    sought.by_state_alone.entry(state).or_insert(one);
                }
            }
        }
        sought
    }

    /// What an item is a copy of, and whether nobody changed it.
    fn copied_by(&self, item: &Item) -> Option<(&'a Wanted, bool)> {
        let there = likeness(item)?;
        let state = there.state.as_str();
        let one = match there.key.as_deref() {
            Some(key) => {
                let of_key = self.by_both.get(&(key, state)).or_else(|| self.by_key.get(key));
                of_key.or_else(|| self.by_state_alone.get(state))
            }
            None => self.by_state.get(state),
        }?;
        Some((one, is_copy(one.likeness.as_ref()?, item)?))
    }
}

/// Whether an item is a copy of what is sought, and nobody changed it.
pub(super) fn is_copy(sought: &Likeness, item: &Item) -> Option<bool> {
    let there = likeness(item)?;
    let same = there.state == sought.state;
    let is_copy = match (&sought.key, &there.key) {
        (Some(sought), Some(there)) => sought == there,
        // Nothing but its state is known: class, size and times.
        _ => same,
    };
    is_copy.then_some(same)
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{FolderId, ItemKind};
    use serde_json::json;

    use super::*;
    use crate::provider::{SEARCH_KEY, STATE};

    fn note(id: &str, key: Option<&str>, state: &str) -> Item {
        let mut note = Item::new(ItemId(id.into()), ItemKind::Opaque, FolderId("notes".into()));
        note.provider.extend(key.map(|key| (SEARCH_KEY.to_owned(), json!(key))));
        note.provider.insert(STATE.to_owned(), json!(state));
        note
    }

    #[test]
    fn copies_are_told_by_key_and_state_then_by_key_and_without_a_key_by_state() {
        let wanted = [
            note("a", Some("k"), "1"),
            // A copy of it, which somebody changed.
            note("b", Some("k"), "2"),
            note("c", None, "3"),
        ];
        let wanted = wanted.map(|item| Wanted {
            mark: item.id.0.clone(),
            former: String::new(),
            likeness: likeness(&item),
            item: item.id,
        });
        let sought = Sought::of(&wanted);
        for (key, state, copied, same) in [
            (Some("k"), "1", Some("a"), true),
            (Some("k"), "2", Some("b"), true),
            (Some("k"), "9", Some("a"), false),
            (Some("x"), "3", Some("c"), true),
            (Some("x"), "1", None, false),
            (None, "2", Some("b"), true),
            (None, "9", None, false),
        ] {
            let found = sought.copied_by(&note("n", key, state));
            let expected = copied.map(|mark| (mark, same));
            assert_eq!(
                found.map(|(one, same)| (one.mark.as_str(), same)),
                expected,
                "{key:?} {state}"
            );
        }
    }
}
