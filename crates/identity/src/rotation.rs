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

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::Slot;

/// What is known of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// The signer's name for it.
    pub key_id: String,
    /// Which it is in the signer.
    pub slot: Slot,
    /// Its certificate is good from then on.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Its certificate is good until then.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Whether an authority issued its certificate, which is asked for by people: no other can be made
    /// in its place.
    #[serde(default)]
    pub certified_elsewhere: bool,
    /// What was found out about it at the provider.
    #[serde(flatten)]
    pub found: KeyFindings,
}

/// What was found out about a key at the provider, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFindings {
    /// We were about to ask the provider to take it. Noted *before* [`Action::Register`] is done: a
    /// key that the provider may know must not be forgotten because a crash came in between.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub requested: Option<OffsetDateTime>,
    /// We asked the provider to take it, and it said yes.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub registered: Option<OffsetDateTime>,
    /// A token was got with it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub accepted: Option<OffsetDateTime>,
    /// We asked the provider to take it no more, and it said yes.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub removed: Option<OffsetDateTime>,
    /// A token was refused because the provider does not know it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub refused: Option<OffsetDateTime>,
}

impl KeyFindings {
    /// When it was last tried.
    fn tried(&self) -> Option<OffsetDateTime> {
        self.accepted.max(self.refused)
    }

    /// Whether the provider may take it.
    fn is_known(&self) -> bool {
        self.requested.is_some() || self.registered.is_some() || self.accepted.is_some()
    }

    /// Whether the provider took it when it was last tried.
    fn is_accepted(&self) -> bool {
        self.accepted > self.refused
    }

    /// Whether the provider refused it after we had it removed. Of a key that it may not have known
    /// yet, being refused says nothing until it has had the time to get to know it.
    fn is_gone(&self, patience: Duration) -> bool {
        let Some((removed, refused)) = self.removed.zip(self.refused) else { return false };
        let was_known = self.accepted.is_some()
            || self.requested.max(self.registered).is_none_or(|asked| refused > asked + patience);
        refused > removed && was_known && !self.is_accepted()
    }
}

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

struct Rotation<'a> {
    keys: &'a [KeyFacts],
    order: Option<&'a Order>,
    policy: &'a Policy,
    now: OffsetDateTime,
}

impl<'a> Rotation<'a> {
    fn next(&self) -> Action {
        // What serves nothing goes first: it must not be taken for a spare.
        if let Some(useless) = self.keys.iter().find(|key| self.is_useless(key)) {
            return Action::Destroy { key_id: useless.key_id.clone() };
        }
        match self.active() {
            Some(active) if !self.is_due(active) => {
                self.retire(active).unwrap_or_else(|| self.rest(active))
            }
            active => self.replace(active),
        }
    }

    fn active(&self) -> Option<&'a KeyFacts> {
        self.keys.iter().find(|key| key.slot == Slot::Active)
    }

    fn is_expired(&self, key: &KeyFacts) -> bool {
        self.now >= key.not_after
    }

    fn is_distrusted(&self, key: &KeyFacts) -> bool {
        let since = self.order.and_then(|order| order.distrust);
        since.is_some_and(|since| made(key) < since)
    }

    /// Whether a key is no longer worth to be put to use.
    fn is_spent(&self, key: &KeyFacts) -> bool {
        self.is_distrusted(key) || self.now >= due(key) || key.found.removed.is_some()
    }

    /// Whether the signer can forget a key: nobody takes it, or it will never be asked for.
    fn is_useless(&self, key: &KeyFacts) -> bool {
        let gone = key.found.is_gone(self.policy.patience) || self.is_expired(key);
        match key.slot {
            Slot::Active => false,
            Slot::Retiring => gone,
            Slot::Prepared => self.is_spent(key) && (gone || !key.found.is_known()),
        }
    }

    /// Whether the active key has to be replaced.
    fn is_due(&self, active: &KeyFacts) -> bool {
        self.order.is_some_and(|order| in_use_since(active) < order.at)
            || self.is_spent(active)
            || self.is_locked_out(active)
    }

    /// The active key was in use, and is refused now: somebody else removed it. A provider that does
    /// not know a fresh key everywhere yet is no reason.
    fn is_locked_out(&self, active: &KeyFacts) -> bool {
        let found = &active.found;
        let settled = found.registered.is_none_or(|at| self.now > at + self.policy.patience);
        found.accepted.is_some() && !found.is_accepted() && settled
    }

    /// The key that can prove to the provider that we are who we are: the one that signs anyway,
    /// where it can.
    fn prover(&self, but: &str) -> Option<&'a KeyFacts> {
        let usable = |key: &&KeyFacts| {
            key.key_id != but
                && !self.is_expired(key)
                && key.found.is_accepted()
                && key.found.removed.is_none()
        };
        let usable = self.keys.iter().filter(usable);
        usable.min_by_key(|key| (key.slot != Slot::Active, std::cmp::Reverse(key.not_after)))
    }

    /// Brings a new key into the place of the active one.
    fn replace(&self, active: Option<&'a KeyFacts>) -> Action {
        let prepared = self.keys.iter().find(|key| key.slot == Slot::Prepared);
        if let Some(action) = self.make_room(active) {
            return action;
        }
        let Some(candidate) = prepared else { return Action::Prepare };
        if self.is_spent(candidate) {
            return self.replace_spent(candidate);
        }
        if candidate.found.is_accepted() {
            return Action::Activate { key_id: candidate.key_id.clone() };
        }
        // The provider said yes, and still refuses it after all this time: somebody removed it, or the
        // yes was not what it seemed. It is registered anew.
        let registered = candidate.found.registered;
        let hopeless = registered.is_some_and(|at| {
            candidate.found.refused.is_some() && self.now > at + self.policy.patience
        });
        if registered.is_some() && !hopeless {
            return self.keep_trying(candidate);
        }
        match self.prover(&candidate.key_id) {
            // Somebody may have removed that one, too.
            Some(prover) if hopeless && prover.found.tried() < registered => {
                Action::Try { key_id: prover.key_id.clone() }
            }
            Some(prover) => Action::Register {
                key_id: candidate.key_id.clone(),
                proof_by: prover.key_id.clone(),
            },
            None => self.ask_for_help(active, candidate),
        }
    }

    /// The signer has room for so many keys on their way out.
    fn make_room(&self, active: Option<&KeyFacts>) -> Option<Action> {
        let retiring: Vec<&KeyFacts> =
            self.keys.iter().filter(|key| key.slot == Slot::Retiring).collect();
        if retiring.len() < MOST_RETIRING {
            return None;
        }
        if let Some(active) = active.filter(|active| active.found.is_accepted()) {
            return self.retire(active);
        }
        // One of them may still be accepted, and ends the others.
        if let Some(prover) = self.prover("") {
            let other = retiring.iter().find(|key| key.key_id != prover.key_id)?;
            return Some(self.end(other, Some(prover)));
        }
        // What is refused was removed by somebody else.
        let oldest = retiring.first()?;
        Some(match oldest.found.refused {
            Some(_) if !oldest.found.is_accepted() => {
                Action::Destroy { key_id: oldest.key_id.clone() }
            }
            _ => self.keep_trying(oldest),
        })
    }

    /// A prepared key that is not wanted any more, and that the provider may know.
    fn replace_spent(&self, candidate: &KeyFacts) -> Action {
        let key_id = candidate.key_id.clone();
        if let Some(prover) = self.prover(&candidate.key_id) {
            return self.end(candidate, Some(prover));
        }
        // Nothing else is accepted: it serves once more, to bring in its successor.
        if candidate.found.is_accepted() && candidate.found.removed.is_none() {
            return Action::Activate { key_id };
        }
        let asked = candidate.found.requested.max(candidate.found.registered);
        let refused_for_good = asked.is_none_or(|asked| {
            candidate.found.refused.is_some_and(|refused| refused > asked + self.policy.patience)
        });
        match refused_for_good && !candidate.found.is_accepted() {
            true => Action::Destroy { key_id },
            false => self.keep_trying(candidate),
        }
    }

    /// Nothing of ours is known to be accepted. A key that nobody has tried may well be; else somebody
    /// has to register the new one, and may have done so meanwhile.
    fn ask_for_help(&self, active: Option<&KeyFacts>, candidate: &KeyFacts) -> Action {
        if let Some(active) = active
            && active.found.accepted.is_none()
            && !self.is_expired(active)
        {
            // Nobody has seen yet that it is not registered: the provider may need its time.
            match self.try_again_at(active) {
                Some(until) if self.now < until => {
                    if self.now < made(active) + self.policy.patience {
                        return Action::Wait { until };
                    }
                }
                _ => return Action::Try { key_id: active.key_id.clone() },
            }
        }
        let key_id = candidate.key_id.clone();
        match self.try_again_at(candidate) {
            Some(until) if self.now < until => Action::AskForHelp { key_id, until },
            _ => Action::Try { key_id },
        }
    }

    /// When a key that was refused is tried again: more and more seldom, but at once when something was
    /// done about it since.
    fn try_again_at(&self, key: &KeyFacts) -> Option<OffsetDateTime> {
        let tried = key.found.tried()?;
        let since = key.found.removed.or(key.found.registered).unwrap_or(tried);
        if since > tried {
            return None;
        }
        let pause = ((tried - since) / 4_i32).clamp(self.policy.retry, LONGEST_PAUSE);
        Some(tried + pause)
    }

    fn keep_trying(&self, key: &KeyFacts) -> Action {
        match self.try_again_at(key) {
            Some(until) if self.now < until => Action::Wait { until },
            _ => Action::Try { key_id: key.key_id.clone() },
        }
    }

    /// Ends the keys that the active one replaced; `None` when there are none.
    fn retire(&self, active: &KeyFacts) -> Option<Action> {
        let is_old = |key: &&KeyFacts| match key.slot {
            Slot::Active => false,
            Slot::Retiring => true,
            Slot::Prepared => self.is_spent(key),
        };
        // All are removed before it is waited for any to be refused.
        let old = self.keys.iter().filter(is_old);
        let old = old.min_by_key(|key| (key.found.removed.is_some(), key.found.tried()))?;
        // Nothing is taken away before what took its place has been seen to work.
        if !active.found.is_accepted() {
            return Some(self.keep_trying(active));
        }
        let urgent = self.order.is_some_and(|order| order.urgent);
        let overlap = if urgent { Duration::ZERO } else { self.policy.overlap };
        let until = active.found.registered.map(|registered| registered + overlap);
        match until {
            Some(until) if self.now < until && old.found.removed.is_none() => {
                Some(Action::Wait { until })
            }
            _ => Some(self.end(old, Some(active))),
        }
    }

    /// Has the provider forget a key, and sees to it that it has.
    fn end(&self, old: &KeyFacts, prover: Option<&KeyFacts>) -> Action {
        let key_id = old.key_id.clone();
        match (old.found.removed, prover) {
            (None, Some(prover)) => Action::Remove { key_id, proof_by: prover.key_id.clone() },
            (None, None) => Action::Destroy { key_id },
            (Some(removed), _) if old.found.tried() < Some(removed) => Action::Try { key_id },
            (Some(_), _) => self.keep_trying(old),
        }
    }

    /// Everything is as it should be: a fresh key for the next time is made ahead.
    fn rest(&self, active: &KeyFacts) -> Action {
        if !active.found.is_accepted() {
            let asked = active.found.registered;
            let late = asked.is_none_or(|at| self.now > at + self.policy.patience);
            return match self.keep_trying(active) {
                // Nobody has registered it yet, or somebody removed it before it was ever used.
                Action::Wait { until } if late && active.found.accepted.is_none() => {
                    Action::AskForHelp { key_id: active.key_id.clone(), until }
                }
                action => action,
            };
        }
        let Some(spare) = self.keys.iter().find(|key| key.slot == Slot::Prepared) else {
            return Action::Prepare;
        };
        let stale = match spare.certified_elsewhere {
            true => spare.not_after,
            false => spare.not_before + (spare.not_after - spare.not_before) / 3,
        };
        match spare.found.is_known() {
            false if self.now >= stale => Action::Destroy { key_id: spare.key_id.clone() },
            false => Action::Wait { until: due(active).min(stale) },
            true => Action::Wait { until: due(active) },
        }
    }

    fn stage(&self) -> (Stage, bool) {
        let late = |since: Option<OffsetDateTime>| {
            since.is_some_and(|since| self.now > since + self.policy.patience)
        };
        let is_due = self.active().is_none_or(|active| self.is_due(active));
        let of = |slot| self.keys.iter().filter(move |key| key.slot == slot);
        let candidate = of(Slot::Prepared).next().map(|key| key.found).unwrap_or_default();
        match self.next() {
            Action::AskForHelp { .. } => (Stage::LockedOut, true),
            _ if is_due && candidate.registered.is_some() => {
                (Stage::Verifying, late(candidate.registered))
            }
            _ if is_due => (Stage::Registering, late(self.order.map(|order| order.at))),
            _ if self.active().is_some_and(|active| !active.found.is_accepted()) => {
                let registered = self.active().and_then(|active| active.found.registered);
                (Stage::Verifying, late(registered))
            }
            _ if of(Slot::Retiring).next().is_some() => {
                let removed = of(Slot::Retiring).filter_map(|key| key.found.removed).min();
                (Stage::Retiring, late(removed))
            }
            _ => (Stage::Settled, false),
        }
    }
}

/// Keys that are on their way out at the same time; the signer has room for two more.
const MOST_RETIRING: usize = 2;

/// Between two tries of a key that the provider has refused for long.
const LONGEST_PAUSE: Duration = Duration::minutes(5);

/// Since when a key has been in use at the most.
fn in_use_since(key: &KeyFacts) -> OffsetDateTime {
    key.found.registered.unwrap_or(made(key))
}

/// When a key was made. Certificates are backdated by minutes, for clocks that are behind: orders are
/// given with that in mind ([`BACKDATED`]).
fn made(key: &KeyFacts) -> OffsetDateTime {
    key.not_before + BACKDATED
}

/// How much earlier than it was made a certificate begins to be good.
pub const BACKDATED: Duration = Duration::minutes(5);
