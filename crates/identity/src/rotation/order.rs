//! Orders to change keys, and what several of them come to.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::facts::{KeyFacts, in_use_since};
use crate::Slot;

/// Why keys are changed before their time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Keys made before then must go; the prepared one stays good unless it was made before
    /// `distrust`.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Keys made before then are not put to use any more: whoever broke into the signer has them.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub distrust: Option<OffsetDateTime>,
    /// Whether the old key goes at once, and not after [`Policy::overlap`].
    pub urgent: bool,
}

impl Order {
    /// This order, given when an earlier one has been carried out: what that one did not trust stays
    /// distrusted.
    #[must_use]
    fn after(self, earlier: Option<&Self>) -> Self {
        let distrusted = earlier.and_then(|earlier| earlier.distrust);
        Self { distrust: self.distrust.max(distrusted), ..self }
    }

    /// This order, where an earlier one asked for no less and the key in use has not been replaced yet:
    /// that one goes on, and what was made because of it is not thrown away. `None` when this one has to
    /// stand for itself.
    fn goes_on_with(&self, running: &Self) -> Option<Self> {
        let as_strict = (running.urgent || !self.urgent)
            && (running.distrust.is_some() || self.distrust.is_none());
        as_strict.then(|| running.clone())
    }

    /// This order, given after one of a later moment: that moment stays, and what both ask for.
    fn beside(self, later: &Self) -> Self {
        Self {
            at: later.at,
            distrust: self.distrust.max(later.distrust),
            urgent: self.urgent || later.urgent,
        }
    }

    /// Whether the key in use is one that has to go.
    pub fn is_pending(&self, keys: &[KeyFacts]) -> bool {
        let active = keys.iter().find(|key| key.slot == Slot::Active);
        active.is_none_or(|active| in_use_since(active) < self.at)
    }
}

/// The order to follow when `wanted` is given while `running` was given before: an order that has not
/// replaced the key in use yet goes on when it asks for no less, else `wanted` stands. One that was given
/// earlier than `running`, for many tenants, takes nothing of it back.
pub fn ordered(keys: &[KeyFacts], running: Option<&Order>, wanted: Order) -> Order {
    if let Some(later) = running.filter(|running| wanted.at <= running.at) {
        return wanted.beside(later);
    }
    let replacing = running.filter(|running| running.is_pending(keys));
    replacing
        .and_then(|running| wanted.goes_on_with(running))
        .unwrap_or_else(|| wanted.after(running))
}
