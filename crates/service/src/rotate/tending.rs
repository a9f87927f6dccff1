//! Keys that are changed when their time has come, with nobody asking for it.
//!
//! Each tenant is looked at now and then, a few at a time. A key that is due is held back for a while
//! that is the tenant's own, so that thousands which were made on the same day are not changed on the
//! same day. Keys for the next time are made one after another, with pauses. What fails is tried again,
//! more and more seldom, and stands in the state for people to see.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use mailkeep_identity::rotation::Stage;
use mailkeep_model::{Function, TenantName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tokio::task::{Id, JoinError, JoinSet};

use super::{
    course::{Ahead, Course, Manner},
    fleet::OrderedFleet,
};
use crate::{Service, ServiceError, certificates::SOON_ELSEWHERE, watch::LastTokens};

/// How keys are looked after by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTending {
    /// Tenants and functions that are worked on at the same time.
    pub at_a_time: usize,
    /// Between the making of two keys for the next time: each takes a processor for a quarter of a
    /// second.
    pub between_keys: std::time::Duration,
    /// Within so long after a key is due it is changed, each tenant's at a moment of its own.
    pub spread: std::time::Duration,
    /// How often it is looked for new tenants and new orders.
    pub look: std::time::Duration,
}

impl Default for KeyTending {
    fn default() -> Self {
        Self {
            at_a_time: 2,
            between_keys: std::time::Duration::from_secs(2),
            // Keys live for thirty days and are due at twenty: a week is left for what goes wrong.
            spread: std::time::Duration::from_secs(3 * 86_400),
            look: std::time::Duration::from_secs(60),
        }
    }
}

/// A key that could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFailure {
    /// When that began.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// How often it was tried.
    pub tries: u32,
    /// Why it failed last.
    pub error: String,
    /// When it is tried again.
    #[serde(with = "time::serde::rfc3339")]
    pub next: OffsetDateTime,
}

/// However good everything is, it is looked at this often: somebody else may have begun something.
const LOOK_AT_LEAST: Duration = Duration::hours(6);
/// The first looks at many tenants are this far apart.
const FIRST_LOOKS: Duration = Duration::milliseconds(50);
/// Between the first tries of what failed, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::minutes(1);
const LONGEST_PAUSE: Duration = Duration::hours(6);
/// How old the knowledge of which keys were used may be.
const USES_GOOD_FOR: Duration = Duration::minutes(5);

type Place = (TenantName, Function);
/// What is left to do, and where it stands.
type Outcome = Result<(Ahead, Stage), ServiceError>;

impl Service {
    /// Looks after all keys for as long as it is polled.
    pub async fn tend_all_keys(self: &Arc<Self>, tending: &KeyTending) {
        let mut tender = Tender::new(self, tending);
        tender.run().await;
    }

    /// The keys that could not be changed, of one tenant or of all.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn key_failures(
        &self,
        tenant: Option<&TenantName>,
    ) -> Result<Vec<(TenantName, Function, KeyFailure)>, ServiceError> {
        let stored = self.control.rotation_failures(tenant).await?;
        let read = |(tenant, function, value)| {
            Some((tenant, function, serde_json::from_value(value).ok()?))
        };
        Ok(stored.into_iter().filter_map(read).collect())
    }

    async fn tend(
        &self,
        place: &Place,
        manner: &Manner,
        tokens: &LastTokens,
        order: Option<&Arc<OrderedFleet>>,
    ) -> Outcome {
        let (tenant, function) = place;
        let mut course = Course::begin(self, tenant, *function, Some(tokens)).await?;
        let (shuts_out, wanted) = match order {
            Some(order) => (!order.is_about_keys_alone(), Some(order.rotation())),
            None => (false, None),
        };
        // Not even a key for the next time: it would be one that we certified ourselves.
        match course.stay_with_the_authority().await {
            _ if shuts_out => {}
            // What was ordered is not done by that: people have to be told.
            Err(ServiceError::OwnAuthority { ends, .. })
                if OffsetDateTime::now_utc() < ends - SOON_ELSEWHERE
                    && wanted.as_ref().is_none_or(|wanted| !course.has_to(wanted)) =>
            {
                return Ok((Ahead::Nothing, Stage::Settled));
            }
            stays => stays?,
        }
        if let Some(wanted) = wanted {
            course.order(wanted).await?;
        }
        let ahead = course.run(manner).await?;
        let report = course.report();
        match report.waits_for {
            Some(reason) => Err(ServiceError::Refused { tenant: tenant.clone(), reason }),
            None => Ok((ahead, report.stage)),
        }
    }
}

struct Tender<'a> {
    service: &'a Arc<Service>,
    tending: &'a KeyTending,
    known: HashSet<Place>,
    failing: HashMap<Place, KeyFailure>,
    due: BinaryHeap<Reverse<(OffsetDateTime, Place)>>,
    /// Which of the times in `due` counts for whom.
    scheduled: HashMap<Place, OffsetDateTime>,
    running: JoinSet<Outcome>,
    /// Whose these are.
    places: HashMap<Id, Place>,
    /// Who needs a key for the next time.
    spares: VecDeque<Place>,
    /// When the next of these may be made.
    spare_at: OffsetDateTime,
    /// What was ordered for many, as far as it is not done.
    orders: HashMap<Place, Arc<OrderedFleet>>,
    /// For how many an order, by its number, is not done.
    left: HashMap<i64, usize>,
    uses: Option<(OffsetDateTime, Arc<LastTokens>)>,
}

impl<'a> Tender<'a> {
    fn new(service: &'a Arc<Service>, tending: &'a KeyTending) -> Self {
        Self {
            service,
            tending,
            known: HashSet::new(),
            failing: HashMap::new(),
            due: BinaryHeap::new(),
            scheduled: HashMap::new(),
            running: JoinSet::new(),
            places: HashMap::new(),
            spares: VecDeque::new(),
            spare_at: OffsetDateTime::now_utc(),
            orders: HashMap::new(),
            left: HashMap::new(),
            uses: None,
        }
    }

    async fn run(&mut self) {
        let mut looked = None::<OffsetDateTime>;
        loop {
            let now = OffsetDateTime::now_utc();
            if looked.is_none_or(|at| now >= at + self.tending.look) {
                looked = Some(now);
                if let Err(error) = self.look(now).await {
                    tracing::error!(%error, "which keys there are cannot be read");
                }
            }
            self.start(now).await;
            let next = self.due.peek().map(|Reverse((at, _))| *at);
            let spare = (!self.spares.is_empty()).then_some(self.spare_at);
            let look = looked.map(|at| at + self.tending.look);
            let is_full = self.running.len() >= self.tending.at_a_time;
            let wake = match is_full {
                true => look,
                false => [next, spare, look].into_iter().flatten().min(),
            };
            let pause = wake.map_or(Duration::SECOND, |at| at - now).max(Duration::MILLISECOND);
            let pause = std::time::Duration::try_from(pause).unwrap_or_default();
            tokio::select! {
                Some(finished) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                    self.ended(finished).await;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Finds new tenants, and orders that somebody else did not finish.
    async fn look(&mut self, now: OffsetDateTime) -> Result<(), ServiceError> {
        if self.known.is_empty() {
            for (tenant, function, failure) in self.service.key_failures(None).await? {
                self.failing.insert((tenant, function), failure);
            }
        }
        let mut first = now;
        for tenant in self.service.control.tenants().await? {
            for function in tenant.functions {
                let place = (tenant.name.clone(), function.function);
                // The key that writes lives as long as a restore.
                if place.1 == Function::Restorer || !self.known.insert(place.clone()) {
                    continue;
                }
                let retry = self.failing.get(&place).map(|failure| failure.next);
                self.schedule(place, retry.unwrap_or(first).max(first));
                first += FIRST_LOOKS;
            }
        }
        for order in self.service.open_fleet_orders().await? {
            let order = Arc::new(order);
            if self.left.contains_key(&order.id) {
                continue;
            }
            let places: Vec<Place> = order.places().collect();
            self.left.insert(order.id, places.len());
            for place in places {
                self.orders.insert(place.clone(), Arc::clone(&order));
                self.schedule(place, now);
            }
        }
        Ok(())
    }

    fn schedule(&mut self, place: Place, at: OffsetDateTime) {
        self.scheduled.insert(place.clone(), at);
        self.due.push(Reverse((at, place)));
    }

    /// The next one that is due.
    fn pop(&mut self, now: OffsetDateTime) -> Option<Place> {
        while let Some(Reverse((at, _))) = self.due.peek()
            && *at <= now
            && let Some(Reverse((at, place))) = self.due.pop()
        {
            if self.scheduled.get(&place) == Some(&at) {
                self.scheduled.remove(&place);
                return Some(place);
            }
        }
        None
    }

    async fn start(&mut self, now: OffsetDateTime) {
        while self.running.len() < self.tending.at_a_time {
            if let Some(place) = self.pop(now) {
                self.spawn(place, false, now).await;
            } else if now >= self.spare_at
                && let Some(place) = self.spares.pop_front()
            {
                self.spare_at = now + self.tending.between_keys;
                self.spawn(place, true, now).await;
            } else {
                return;
            }
        }
    }

    async fn spawn(&mut self, place: Place, spare: bool, now: OffsetDateTime) {
        let fresh = self.uses.as_ref().filter(|(at, _)| now < *at + USES_GOOD_FOR);
        let tokens = match fresh {
            Some((_, tokens)) => Arc::clone(tokens),
            None => {
                let tokens = Arc::new(self.service.last_tokens().await);
                self.uses = Some((now, Arc::clone(&tokens)));
                tokens
            }
        };
        let manner = Manner {
            policy: self.service.key_policy,
            deadline: now + LOOK_AT_LEAST,
            waits: false,
            spare,
            hold: hold(&place, self.tending.spread),
        };
        let (service, order) = (Arc::clone(self.service), self.orders.get(&place).cloned());
        let of = place.clone();
        let running = self.running.spawn(async move {
            let outcome = service.tend(&of, &manner, &tokens, order.as_ref()).await;
            service.close_journal(&of.0);
            outcome
        });
        self.places.insert(running.id(), place);
    }

    /// One that ended in a panic has failed like any other, and is tried again.
    async fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a change of keys ended unexpectedly");
            (error.id(), Err(ServiceError::Stopped))
        });
        if let Some(place) = self.places.remove(&id) {
            self.finished(place, outcome).await;
        }
    }

    async fn finished(&mut self, place: Place, outcome: Outcome) {
        let now = OffsetDateTime::now_utc();
        let at_least = now + LOOK_AT_LEAST;
        let next = match &outcome {
            Ok((ahead, stage)) => {
                self.succeeded(&place).await;
                if *stage == Stage::Settled {
                    self.obeyed(&place, now).await;
                }
                if *ahead == Ahead::Spare {
                    self.spares.push_back(place.clone());
                }
                match ahead {
                    Ahead::Until(at) if *stage != Stage::Settled => *at,
                    Ahead::Until(at) => (*at).min(at_least),
                    Ahead::Spare | Ahead::Nothing => at_least,
                }
            }
            // Somebody changes it by hand.
            Err(ServiceError::Busy { .. }) => now + FIRST_PAUSE,
            Err(error) => self.failed(&place, error, now).await,
        };
        self.schedule(place, next);
    }

    /// What was ordered is done for one; and when it was the last one, altogether. A revocation has more
    /// to it than keys: whoever ordered that has to order it again.
    async fn obeyed(&mut self, place: &Place, now: OffsetDateTime) {
        let Some(order) = self.orders.remove(place) else { return };
        let Some(left) = self.left.get_mut(&order.id) else { return };
        *left = left.saturating_sub(1);
        if *left == 0
            && order.is_about_keys_alone()
            && let Err(error) = self.service.control.close_fleet_order(order.id, now).await
        {
            tracing::error!(%error, "that an order is done cannot be noted");
        }
    }

    async fn succeeded(&mut self, place: &Place) {
        if self.failing.remove(place).is_some() {
            self.note(place, None).await;
        }
    }

    async fn failed(
        &mut self,
        place: &Place,
        error: &ServiceError,
        now: OffsetDateTime,
    ) -> OffsetDateTime {
        let (tenant, function) = place;
        tracing::error!(%tenant, %function, %error, "a key could not be changed");
        let known = self.failing.get(place);
        let (since, tries) = known.map_or((now, 0), |known| (known.since, known.tries));
        let pause = FIRST_PAUSE * 2_i32.saturating_pow(tries.min(10));
        let next = now + pause.min(LONGEST_PAUSE);
        let failure = KeyFailure { since, tries: tries + 1, error: error.to_string(), next };
        self.note(place, Some(&failure)).await;
        self.failing.insert(place.clone(), failure);
        next
    }

    async fn note(&self, (tenant, function): &Place, failure: Option<&KeyFailure>) {
        let value = failure.map(serde_json::to_value).transpose();
        let value = value.expect("texts and times serialise");
        let control = &self.service.control;
        if let Err(error) = control.note_rotation_failure(tenant, *function, value).await {
            tracing::error!(%tenant, %error, "what failed cannot be noted");
        }
    }
}

/// How long a key that is due is left in use yet: the same for a tenant and function whenever it is
/// asked.
fn hold((tenant, function): &Place, spread: std::time::Duration) -> Duration {
    let digest = Sha256::digest(format!("{tenant}/{function}"));
    let part = digest.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    Duration::seconds_f64(spread.as_secs_f64() * f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataDirectory;

    #[tokio::test]
    async fn a_change_that_ends_in_a_panic_is_noted_and_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        let service = Arc::new(Service::open(data, "test".parse().unwrap()).await.unwrap());
        let tending = KeyTending::default();
        let mut tender = Tender::new(&service, &tending);
        let place: Place = ("acme".parse().unwrap(), Function::Reader);
        let running = tender.running.spawn(async { panic!("a defect") });
        tender.places.insert(running.id(), place.clone());
        let ended = tender.running.join_next_with_id().await.unwrap();
        tender.ended(ended).await;
        assert_eq!(tender.failing[&place].tries, 1);
        assert!(tender.scheduled.contains_key(&place) && tender.places.is_empty());
    }

    #[test]
    fn thousands_of_keys_of_the_same_day_are_not_changed_in_the_same_hour() {
        let spread = std::time::Duration::from_secs(3 * 86_400);
        let mut hours = [0_u32; 72];
        for tenant in 0..36_000 {
            let place = (format!("t{tenant}").parse().unwrap(), Function::Reader);
            let held = hold(&place, spread);
            assert_eq!(held, hold(&place, spread));
            hours[usize::try_from(held.whole_hours()).unwrap().min(71)] += 1;
        }
        // 500 in each, were they even.
        assert!(hours.iter().all(|count| (350..650).contains(count)), "{hours:?}");
    }
}
