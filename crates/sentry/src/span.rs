//! Stretches of time, and sets of them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// From one time to another; what happens at either end lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its beginning.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Its end; not before `from`.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
}

impl Span {
    /// From `from` to `to`; `None` when that runs backwards.
    pub fn new(from: OffsetDateTime, to: OffsetDateTime) -> Option<Self> {
        (from <= to).then_some(Self { from, to })
    }

    /// Whether `at` lies in it.
    pub fn contains(&self, at: OffsetDateTime) -> bool {
        self.from <= at && at <= self.to
    }

    /// What lies in both.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to))
    }
}

/// Stretches of time in their order, which neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// The stretches.
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From the beginning of the first to the end of the last.
    pub fn whole(&self) -> Option<Span> {
        Some(Span { from: self.0.first()?.from, to: self.0.last()?.to })
    }

    /// What lies in these and not in others.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        self.whole().map_or_else(Self::default, |whole| self.intersection(&others.gaps_in(whole)))
    }

    /// Whether `at` lies in one of them.
    pub fn contains(&self, at: OffsetDateTime) -> bool {
        let next = self.0.partition_point(|span| span.to < at);
        self.0.get(next).is_some_and(|span| span.contains(at))
    }

    /// Whether the whole of `span` lies in one of them.
    pub fn cover(&self, span: Span) -> bool {
        let next = self.0.partition_point(|own| own.to < span.to);
        self.0.get(next).is_some_and(|own| own.from <= span.from && span.to <= own.to)
    }

    /// What lies in one or the other.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// What lies in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.as_slice(), other.0.as_slice());
        let mut both = Vec::new();
        while let (Some(one), Some(two)) = (left.first(), right.first()) {
            both.extend(one.intersection(two));
            // The one that ends first meets nothing more.
            match one.to <= two.to {
                true => left = &left[1..],
                false => right = &right[1..],
            }
        }
        both.into_iter().collect()
    }

    /// What of `whole` lies in none of them. Their ends belong to both sides: of a moment at which
    /// something begins to be seen, it is not said that all of it was.
    #[must_use]
    pub fn gaps_in(&self, whole: Span) -> Self {
        let mut gaps = Vec::new();
        let mut from = whole.from;
        for span in self.0.iter().filter_map(|span| span.intersection(&whole)) {
            if from < span.from {
                gaps.push(Span { from, to: span.from });
            }
            from = from.max(span.to);
        }
        if from < whole.to {
            gaps.push(Span { from, to: whole.to });
        }
        gaps.into_iter().collect()
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut spans: Vec<Span> = spans.into_iter().collect();
        spans.sort_unstable_by_key(|span| (span.from, span.to));
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u16) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(second.into())
    }

    fn spans() -> impl Strategy<Value = Spans> {
        prop::collection::vec((0..200_u16, 0..20_u16), 0..12).prop_map(|pairs| {
            pairs
                .into_iter()
                .filter_map(|(from, long)| Span::new(at(from), at(from + long)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn sets_of_times_are_sets(a in spans(), b in spans(), second in 0..230_u16) {
            let moment = at(second);
            let (in_a, in_b) = (a.contains(moment), b.contains(moment));
            prop_assert_eq!(a.union(&b).contains(moment), in_a || in_b);
            prop_assert_eq!(a.intersection(&b).contains(moment), in_a && in_b);
            let whole = Span { from: at(0), to: at(230) };
            let gaps = a.gaps_in(whole);
            prop_assert!(in_a || gaps.contains(moment));
            let inside = a.0.iter().any(|span| span.from < moment && moment < span.to);
            prop_assert!(!(inside && gaps.contains(moment)));
        }
    }

    #[test]
    fn a_stretch_is_covered_by_one_other_and_not_by_two_with_a_gap() {
        let set: Spans = [(0, 10), (12, 20)]
            .into_iter()
            .filter_map(|(from, to)| Span::new(at(from), at(to)))
            .collect();
        assert!(set.cover(Span { from: at(12), to: at(20) }));
        assert!(!set.cover(Span { from: at(9), to: at(13) }));
        assert!(!set.cover(Span { from: at(19), to: at(21) }));
    }
}
