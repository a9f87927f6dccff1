//! Rotation under everything that can come between: crashes before and after each step, a provider
//! that takes its time to know and to forget a key and refuses requests, and orders at any moment.

use std::collections::BTreeMap;

use mailkeep_identity::{
    Slot,
    rotation::{
        Action, KeyFacts, KeyFindings, Order, Policy, Stage, due, held, needs_the_authority, next,
        ordered, stage,
    },
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

const LIFE: Duration = Duration::days(30);
const BEGIN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// What comes in between, in the order in which it is drawn.
#[derive(Clone, Debug)]
enum Chance {
    Nothing,
    /// The process ends before the action.
    CrashBefore,
    /// The process ends when the action has been done and not been noted.
    CrashAfter,
    /// The provider answers 503.
    Refusal,
    /// Given so many hours ago, when it was for many tenants.
    Order {
        ago: u8,
        urgent: bool,
        distrust: bool,
    },
    /// Nobody is there for hours.
    Away(u8),
    /// Somebody removes keys of ours at the provider: all, or the newest.
    Theft {
        all: bool,
    },
    /// What looked like a yes was none.
    FalseYes,
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        6 => Just(Chance::Nothing),
        2 => Just(Chance::CrashBefore),
        2 => Just(Chance::CrashAfter),
        2 => Just(Chance::Refusal),
        1 => (prop_oneof![2 => Just(0), 1 => 1..24_u8], any::<bool>(), any::<bool>())
            .prop_map(|(ago, urgent, distrust)| Chance::Order { ago, urgent, distrust }),
        1 => (1..100_u8).prop_map(Chance::Away),
    ]
}

/// With somebody who works against us.
fn hostile_chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        12 => chance(),
        1 => any::<bool>().prop_map(|all| Chance::Theft { all }),
        1 => Just(Chance::FalseYes),
    ]
}

#[derive(Clone, Debug)]
struct Key {
    slot: Slot,
    made: OffsetDateTime,
}

/// What the provider's token endpoint thinks of a key.
#[derive(Clone, Debug)]
struct Registered {
    known_from: OffsetDateTime,
    forgotten_from: Option<OffsetDateTime>,
}

struct World {
    now: OffsetDateTime,
    signer: BTreeMap<String, Key>,
    provider: BTreeMap<String, Registered>,
    /// When each key ends, also of those that the signer has forgotten.
    ends: BTreeMap<String, OffsetDateTime>,
    noted: BTreeMap<String, KeyFindings>,
    order: Option<Order>,
    delays: Vec<u16>,
    made: usize,
    /// Whether somebody worked against us.
    robbed: bool,
}

impl World {
    fn new(delays: Vec<u16>) -> Self {
        let mut world = Self {
            now: BEGIN,
            signer: BTreeMap::new(),
            provider: BTreeMap::new(),
            ends: BTreeMap::new(),
            noted: BTreeMap::new(),
            order: None,
            delays,
            made: 0,
            robbed: false,
        };
        // As an administrator leaves it who has just set the tenant up.
        let first = world.make(Slot::Active);
        world.provider.insert(first, Registered { known_from: BEGIN, forgotten_from: None });
        world
    }

    fn make(&mut self, slot: Slot) -> String {
        let name = format!("key-{}", self.made);
        self.made += 1;
        self.signer.insert(name.clone(), Key { slot, made: self.now });
        self.ends.insert(name.clone(), self.now + LIFE);
        name
    }

    fn delay(&mut self) -> Duration {
        let delay = self.delays.pop().unwrap_or(60);
        Duration::seconds(delay.into())
    }

    /// Whether a token is given out for it.
    fn is_accepted(&self, key: &str) -> bool {
        let known = self.provider.get(key).is_some_and(|at| {
            at.known_from <= self.now
                && at.forgotten_from.is_none_or(|forgotten| self.now < forgotten)
        });
        known && self.now < self.ends[key]
    }

    fn facts(&self) -> Vec<KeyFacts> {
        let fact = |(name, key): (&String, &Key)| KeyFacts {
            key_id: name.clone(),
            slot: key.slot,
            not_before: key.made - Duration::minutes(5),
            not_after: key.made + LIFE,
            certified_elsewhere: false,
            found: self.noted.get(name).copied().unwrap_or_default(),
        };
        self.signer.iter().map(fact).collect()
    }

    fn next(&self) -> Action {
        next(&self.facts(), self.order.as_ref(), &Policy::default(), self.now)
    }

    /// Does it; what is to be noted comes back.
    fn perform(&mut self, action: &Action) -> Option<(String, KeyFindings)> {
        let now = Some(self.now);
        let note = |key: &String, with: fn(&mut KeyFindings, Option<OffsetDateTime>)| {
            let mut found = self.noted.get(key).copied().unwrap_or_default();
            with(&mut found, now);
            Some((key.clone(), found))
        };
        match action {
            Action::Prepare => {
                let there = self.signer.values().any(|key| key.slot == Slot::Prepared);
                assert!(!there, "the signer would give the same key again");
                assert!(self.signer.len() < 4, "the signer has no room");
                self.make(Slot::Prepared);
                None
            }
            Action::Destroy { key_id } => {
                assert!(
                    !self.is_accepted(key_id),
                    "{key_id} is forgotten while it is accepted, at {}: {:#?} {:?}",
                    self.now,
                    self.facts(),
                    self.order
                );
                assert_ne!(self.signer[key_id].slot, Slot::Active);
                self.signer.remove(key_id);
                None
            }
            Action::Register { key_id, proof_by } if !self.can_prove(proof_by) => {
                assert!(self.robbed, "{proof_by} proves nothing for {key_id}");
                // The proof is refused, and the driver looks why.
                self.perform(&Action::Try { key_id: proof_by.clone() })
            }
            Action::Remove { key_id, proof_by } if !self.can_prove(proof_by) => {
                assert!(self.robbed, "{proof_by} proves nothing against {key_id}");
                self.perform(&Action::Try { key_id: proof_by.clone() })
            }
            Action::Register { key_id, .. } => {
                let noted = note(key_id, |found, now| found.registered = now);
                let known_from = self.now + self.delay();
                let fresh = Registered { known_from, forgotten_from: None };
                let entry = self.provider.entry(key_id.clone()).or_insert(fresh.clone());
                if entry.forgotten_from.is_some() {
                    *entry = fresh;
                }
                noted
            }
            Action::Remove { key_id, .. } => {
                let noted = note(key_id, |found, now| found.removed = now);
                let forgotten = self.now + self.delay();
                // What was never registered is not there to be removed.
                if let Some(entry) = self.provider.get_mut(key_id) {
                    entry.forgotten_from.get_or_insert(forgotten);
                }
                noted
            }
            Action::Try { key_id } => {
                assert!(self.now < self.ends[key_id], "the signer does not sign with {key_id}");
                match self.is_accepted(key_id) {
                    true => note(key_id, |found, now| found.accepted = now),
                    false => note(key_id, |found, now| found.refused = now),
                }
            }
            Action::Activate { key_id } => {
                let accepted = self.robbed || self.is_accepted(key_id);
                assert!(accepted, "{key_id} is put to use and not accepted");
                for key in self.signer.values_mut().filter(|key| key.slot == Slot::Active) {
                    key.slot = Slot::Retiring;
                }
                self.signer.get_mut(key_id).expect("it is there").slot = Slot::Active;
                None
            }
            other => panic!("{other:?}"),
        }
    }

    /// The directory knows at once what its token endpoint may take minutes for.
    fn can_prove(&self, key: &str) -> bool {
        let listed = self.provider.get(key).is_some_and(|at| at.forgotten_from.is_none());
        listed && self.now < self.ends[key]
    }

    fn step(&mut self, chance: &Chance) {
        match chance {
            // Whoever stays away until the key has ended needs its administrator anyway.
            Chance::Away(hours) => {
                let back = self.now + Duration::hours(i64::from(*hours));
                if self.signer.values().all(|key| back < key.made + LIFE - Duration::days(2)) {
                    self.now = back;
                }
            }
            Chance::Theft { all } => {
                self.robbed = true;
                let newest = self.provider.keys().last().cloned();
                let now = self.now;
                let chosen = self
                    .provider
                    .iter_mut()
                    .filter(|(name, _)| *all || Some(*name) == newest.as_ref());
                for (_, registered) in chosen {
                    registered.forgotten_from.get_or_insert(now);
                }
                self.notice();
            }
            Chance::FalseYes => self.robbed = true,
            Chance::Order { ago, urgent, distrust } => {
                let at = self.now - Duration::hours(i64::from(*ago));
                let distrust = distrust.then_some(at);
                let wanted = Order { at, distrust, urgent: *urgent };
                let running = self.order.clone();
                let order = ordered(&self.facts(), running.as_ref(), wanted.clone());
                if let Some(running) = &running {
                    assert!(order.at >= running.at, "{order:?} takes {running:?} back");
                    assert!(order.distrust >= running.distrust, "{order:?} trusts more");
                    if running.at >= wanted.at {
                        assert_eq!(order.urgent, running.urgent || wanted.urgent);
                    }
                }
                // Whoever is told to change keys at once does not keep the one that is in use.
                let active = self.facts().into_iter().find(|key| key.slot == Slot::Active);
                let active = active.expect("there is an active key");
                let since = active.found.registered.unwrap_or(active.not_before);
                assert!(since < order.at || !urgent || *ago > 0, "the key in use is kept");
                self.order = Some(order);
            }
            _ => {}
        }
        let action = self.next();
        match action {
            Action::Wait { until } => {
                assert!(until > self.now, "it waits for what has been");
                self.now = until.min(self.now + Duration::days(1));
            }
            // After thieves, or with an answer that looked like a yes.
            Action::AskForHelp { key_id, until } => {
                assert!(self.robbed, "nobody took our keys away: {:#?}", self.facts());
                let known = Registered { known_from: self.now, forgotten_from: None };
                self.provider.insert(key_id.clone(), known);
                let found = self.noted.entry(key_id).or_default();
                (found.requested, found.registered) = (Some(self.now), Some(self.now));
                self.now = until.max(self.now + Duration::seconds(1));
            }
            action => {
                let local = matches!(
                    action,
                    Action::Prepare | Action::Destroy { .. } | Action::Activate { .. }
                );
                let refused = matches!(chance, Chance::Refusal) && !local;
                if let Action::Register { key_id, .. } = &action {
                    self.noted.entry(key_id.clone()).or_default().requested = Some(self.now);
                }
                if let (Chance::FalseYes, Action::Register { key_id, .. }) = (chance, &action) {
                    self.noted.entry(key_id.clone()).or_default().registered = Some(self.now);
                } else if !refused && !matches!(chance, Chance::CrashBefore) {
                    let noted = self.perform(&action);
                    if let (Some((key, found)), false) =
                        (noted, matches!(chance, Chance::CrashAfter))
                    {
                        self.noted.insert(key, found);
                    }
                }
                self.now += Duration::seconds(2);
            }
        }
        let active = self.signer.iter().find(|(_, key)| key.slot == Slot::Active);
        let (active, _) = active.expect("there is an active key");
        assert!(self.robbed || self.is_accepted(active), "{active} signs and is not accepted");
    }

    /// The service notices that its key is gone when it is refused the next token.
    fn notice(&mut self) {
        let active = self.signer.iter().find(|(_, key)| key.slot == Slot::Active);
        let (active, _) = active.expect("there is an active key");
        if !self.is_accepted(active) {
            self.noted.entry(active.clone()).or_default().refused = Some(self.now);
            self.now += Duration::seconds(1);
        }
    }

    /// Until nothing is left to do but to wait for the next time.
    fn settle(&mut self) {
        for _ in 0..4000 {
            if self.robbed {
                self.notice();
            }
            let (stage, _) =
                stage(&self.facts(), self.order.as_ref(), &Policy::default(), self.now);
            if let Action::Wait { .. } = self.next()
                && stage == Stage::Settled
            {
                return;
            }
            self.step(&Chance::Nothing);
        }
        panic!("it never ends: {:#?} {:?}", self.facts(), self.next());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_rotation_ends_without_a_working_key_or_with_an_old_one_that_works(
        chances in prop::collection::vec(chance(), 1..120),
        delays in prop::collection::vec(0..900_u16, 60),
    ) {
        let mut world = World::new(delays);
        for chance in &chances {
            world.step(chance);
        }
        world.settle();
        let accepted: Vec<&String> =
            world.ends.keys().filter(|key| world.is_accepted(key)).collect();
        let active: Vec<&String> = world
            .signer
            .iter()
            .filter(|(_, key)| key.slot == Slot::Active)
            .map(|(name, _)| name)
            .collect();
        prop_assert_eq!(&accepted, &active);
        if let Some(Order { distrust: Some(since), .. }) = world.order {
            prop_assert!(world.signer[active[0]].made >= since, "a distrusted key is in use");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_thief_removes_the_way_back_ends_with_one_working_key(
        chances in prop::collection::vec(hostile_chance(), 1..100),
        delays in prop::collection::vec(0..900_u16, 60),
    ) {
        let mut world = World::new(delays);
        for chance in &chances {
            world.step(chance);
        }
        world.settle();
        let active = world.signer.iter().find(|(_, key)| key.slot == Slot::Active);
        let (active, _) = active.expect("there is an active key");
        prop_assert!(world.is_accepted(active), "{} does not work", active);
    }
}

#[test]
fn keys_are_changed_at_two_thirds_of_their_life_without_being_told() {
    let mut world = World::new(vec![30; 60]);
    world.settle();
    let first = world.facts().into_iter().find(|key| key.slot == Slot::Active).unwrap();
    assert_eq!(first.key_id, "key-0");
    world.now = due(&first);
    world.settle();
    let now = world.facts().into_iter().find(|key| key.slot == Slot::Active).unwrap();
    assert_ne!(now.key_id, first.key_id);
    assert!(!world.is_accepted(&first.key_id));
}

#[test]
fn a_spare_that_the_customers_authority_certified_lies_until_it_is_wanted() {
    let fact = |key_id: &str, slot, life: i64, found| KeyFacts {
        key_id: key_id.to_owned(),
        slot,
        not_before: BEGIN - Duration::minutes(5),
        not_after: BEGIN + Duration::days(life),
        certified_elsewhere: true,
        found,
    };
    let found = KeyFindings { accepted: Some(BEGIN), ..KeyFindings::default() };
    let active = fact("key-0", Slot::Active, 398, found);
    let spare = fact("key-1", Slot::Prepared, 398, KeyFindings::default());
    let after = BEGIN + Duration::days(200);
    let what =
        |spare: &KeyFacts| next(&[active.clone(), spare.clone()], None, &Policy::default(), after);
    assert_eq!(what(&spare), Action::Wait { until: due(&active) });
    // Once in a hurry is not for ever: a theft that is over asks nobody to leave the authority.
    let hours = |hours| Order { at: BEGIN + Duration::hours(hours), distrust: None, urgent: true };
    let keys = std::slice::from_ref(&active);
    assert!(needs_the_authority(keys, None));
    assert!(!needs_the_authority(keys, Some(&hours(1))));
    assert!(needs_the_authority(keys, Some(&hours(-1))));
    assert!(!needs_the_authority(&[active.clone(), spare.clone()], None));
    // One that we certified ourselves is made anew.
    let own = KeyFacts { certified_elsewhere: false, ..spare };
    assert_eq!(what(&own), Action::Destroy { key_id: own.key_id.clone() });
}

#[test]
fn a_certificate_of_a_day_is_not_held_back_until_it_has_ended() {
    let mut world = World::new(vec![30; 60]);
    world.settle();
    let spread = Duration::days(3);
    let mut keys = world.facts();
    assert_eq!(held(&keys, spread), spread);
    for key in &mut keys {
        key.not_after = key.not_before + Duration::days(1);
    }
    let active = keys.iter().find(|key| key.slot == Slot::Active).unwrap();
    assert!(due(active) + held(&keys, spread) + Duration::hours(4) <= active.not_after);
}

#[test]
fn whoever_removed_our_keys_first_does_not_lock_us_out_unnoticed() {
    let mut world = World::new(vec![30; 60]);
    world.settle();
    world.now += Duration::hours(1);
    // A thief who holds the key proves with it that he may remove it.
    world.provider.get_mut("key-0").unwrap().forgotten_from = Some(world.now);
    let found = world.noted.get_mut("key-0").unwrap();
    found.refused = Some(world.now);
    world.now += Duration::seconds(1);
    let help = loop {
        match world.next() {
            Action::AskForHelp { key_id, .. } => break key_id,
            action => {
                if let Some((key, found)) = world.perform(&action) {
                    world.noted.insert(key, found);
                }
                world.now += Duration::seconds(1);
            }
        }
    };
    let (stage, late) = stage(&world.facts(), None, &Policy::default(), world.now);
    assert_eq!((stage, late), (Stage::LockedOut, true));
    // The steward registers the key that was asked for.
    let known_from = world.now;
    world.provider.insert(help.clone(), Registered { known_from, forgotten_from: None });
    world.now += Duration::minutes(10);
    for _ in 0..20 {
        let action = world.next();
        if matches!(action, Action::Wait { .. }) {
            break;
        }
        if let Some((key, found)) = world.perform(&action) {
            world.noted.insert(key, found);
        }
        world.now += Duration::seconds(1);
    }
    assert_eq!(world.signer[&help].slot, Slot::Active);
}
