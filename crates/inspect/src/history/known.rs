use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Things of which no more than `MOST` are remembered, with the first and the last day they were
/// seen; those are forgotten first that were not seen for longest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, i32, i32)>", into = "Vec<(u32, i32, i32)>")]
pub(super) struct Known<const MOST: usize>(BTreeMap<u32, (i32, i32)>);

impl<const MOST: usize> Known<MOST> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, thing: u32) -> bool {
        self.0.contains_key(&thing)
    }

    /// Whether it was seen on an earlier day.
    pub(super) fn has_before(&self, thing: u32, day: i32) -> bool {
        self.0.get(&thing).is_some_and(|(first, _)| *first < day)
    }

    pub(super) fn see(&mut self, thing: u32, day: i32) {
        let seen = self.0.entry(thing).or_insert((day, day));
        *seen = (seen.0.min(day), seen.1.max(day));
        self.forget();
    }

    /// An eighth at once, so that a full memory is not searched with every message.
    fn forget(&mut self) {
        if self.0.len() <= MOST {
            return;
        }
        let mut last: Vec<(i32, u32)> =
            self.0.iter().map(|(thing, seen)| (seen.1, *thing)).collect();
        last.sort_unstable();
        let many = self.0.len() - MOST + MOST / 8;
        for (_, thing) in last.into_iter().take(many) {
            self.0.remove(&thing);
        }
    }
}

impl<const MOST: usize> From<Vec<(u32, i32, i32)>> for Known<MOST> {
    fn from(rows: Vec<(u32, i32, i32)>) -> Self {
        let rows = rows.into_iter().map(|(thing, first, last)| (thing, (first, last)));
        let mut known = Self(rows.collect());
        known.forget();
        known
    }
}

impl<const MOST: usize> From<Known<MOST>> for Vec<(u32, i32, i32)> {
    fn from(known: Known<MOST>) -> Self {
        known.0.into_iter().map(|(thing, (first, last))| (thing, first, last)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_for_longest_is_forgotten_first() {
        let mut known = Known::<8>::default();
        (0..8).for_each(|thing| known.see(thing, thing as i32));
        known.see(0, 20);
        known.see(100, 20);
        assert!(known.has(0) && known.has(100) && !known.has(1) && !known.has(2));
        assert!(known.has_before(0, 20) && !known.has_before(100, 20));
    }
}
