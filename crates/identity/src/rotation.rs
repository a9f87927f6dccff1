//! How the keys of one tenant and function are changed: `prepared → registered → active → retiring →
//! revoked`.
//!
//! [`next`] says what to do, given what is known of each key and what time it is. What was done is
//! noted in the keys' [`KeyFacts`], and `next` is asked again. Nothing else is remembered, so that a
//! crash anywhere costs at most a repetition, and every action can be repeated: registering a key that
//! is there, or removing one that is not, changes nothing. Only that a key is about to be registered
//! has to be noted before it is done ([`KeyFindings::requested`]).
//!
//! Two things hold whatever happens: no key is removed before another one has been *seen to be
//! accepted* by the provider, and none is forgotten before it has been *seen to be refused*.

mod facts;
mod machine;
mod order;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

pub use facts::{BACKDATED, KeyFacts, KeyFindings};
use machine::Rotation;
pub use order::{Order, ordered};

use crate::Slot;

/// How keys are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long the old key stays at the provider after the new one took its place: whoever signed
    /// with it just before shall get his token.
    pub overlap: Duration,
    /// Between two tries of what the provider has not caught up with.
    pub retry: Duration,
    /// How long the provider may take to know a key, or to forget it, before somebody has to be
    /// told. Nothing is given up then.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overlap: Duration::minutes(15),
            retry: Duration::seconds(20),
            patience: Duration::minutes(30),
        }
    }
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Nothing, before that time or before something else happens.
    Wait {
        /// When to ask again.
        until: OffsetDateTime,
    },
    /// Make a key in the prepared slot.
    Prepare,
    /// Destroy a key in the signer that is not to be used any more, or has done its service.
    Destroy {
        /// The key.
        key_id: String,
    },
    /// Have the provider take a key, with a proof by another.
    Register {
        /// The key.
        key_id: String,
        /// The one that the provider takes already.
        proof_by: String,
    },
    /// Get a token with a key, and note whether that is refused.
    Try {
        /// The key.
        key_id: String,
    },
    /// Make a key the one that signs.
    Activate {
        /// The key.
        key_id: String,
    },
    /// Have the provider take a key no more, with a proof by another.
    Remove {
        /// The key.
        key_id: String,
        /// The one that the provider takes.
        proof_by: String,
    },
    /// None of our keys is accepted any more: only the steward or the tenant's administrator can
    /// register this one.
    AskForHelp {
        /// The key to be registered.
        key_id: String,
        /// When to ask again.
        until: OffsetDateTime,
    },
}

/// Where a rotation stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// One key, accepted, and not old.
    Settled,
    /// A new key is being made or registered.
    Registering,
    /// The provider has not been seen to take the new key yet.
    Verifying,
    /// The old key is still accepted.
    Retiring,
    /// No key of ours is accepted.
    LockedOut,
}

/// What to do next for one tenant and function.
///
/// `keys` are all that the signer has; those that it has no more are left out.
pub fn next(
    keys: &[KeyFacts],
    order: Option<&Order>,
    policy: &Policy,
    now: OffsetDateTime,
) -> Action {
    Rotation { keys, order, policy, now }.next()
}

/// Where a rotation stands, and whether it has stood there for longer than [`Policy::patience`].
pub fn stage(
    keys: &[KeyFacts],
    order: Option<&Order>,
    policy: &Policy,
    now: OffsetDateTime,
) -> (Stage, bool) {
    Rotation { keys, order, policy, now }.stage()
}

/// When a key of that life is changed: at two thirds of it.
pub fn due(key: &KeyFacts) -> OffsetDateTime {
    key.not_before + (key.not_after - key.not_before) * 2 / 3
}

/// Whether the key in use may only be followed by one that the customer's own authority certifies, and
/// there is none: nothing is begun then that ends with one of ours, unless somebody is being shut out
/// until that has been done.
pub fn needs_the_authority(keys: &[KeyFacts], order: Option<&Order>) -> bool {
    let certified = |slot: Slot| keys.iter().any(|key| key.slot == slot && key.certified_elsewhere);
    let begun = order.is_some_and(|order| order.urgent && order.is_pending(keys))
        || keys.iter().any(|key| key.slot == Slot::Retiring);
    certified(Slot::Active) && !begun && !certified(Slot::Prepared)
}

/// For how long of `hold` a key that is due may be left in use: half of what is left of its life then.
pub fn held(keys: &[KeyFacts], hold: Duration) -> Duration {
    let active = keys.iter().find(|key| key.slot == Slot::Active);
    active.map_or(hold, |active| hold.min((active.not_after - due(active)) / 2))
}
