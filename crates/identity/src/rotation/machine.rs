//! What comes next, given what is known.

use time::{Duration, OffsetDateTime};

use super::{
    Action, KeyFacts, Order, Policy, Stage, due,
    facts::{in_use_since, made},
};
use crate::Slot;

/// Keys that are on their way out at the same time; the signer has room for two more.
const MOST_RETIRING: usize = 2;

/// Between two tries of a key that the provider has refused for long.
const LONGEST_PAUSE: Duration = Duration::minutes(5);

pub(super) struct Rotation<'a> {
    pub(super) keys: &'a [KeyFacts],
    pub(super) order: Option<&'a Order>,
    pub(super) policy: &'a Policy,
    pub(super) now: OffsetDateTime,
}

impl<'a> Rotation<'a> {
    pub(super) fn next(&self) -> Action {
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

    pub(super) fn stage(&self) -> (Stage, bool) {
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
