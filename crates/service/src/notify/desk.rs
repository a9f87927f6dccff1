use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64, atomic::Ordering},
};

use mailkeep_exchange::{About, Notification, Subscription, SubscriptionId, Topic};
use mailkeep_model::{MailboxId, Secret, TenantName};
use time::OffsetDateTime;
use tokio::{sync::Notify, time::Instant};

use super::queue::{HintTiming, Queue};

/// What a subscription is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) tenant: TenantName,
    pub(super) mailbox: MailboxId,
    pub(super) topic: Topic,
}

/// Knows our subscriptions, and takes notifications in.
pub(super) struct Desk {
    state: Mutex<State>,
    /// Somebody should look after subscriptions.
    asked: Notify,
    counts: Counts,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) believed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) garbage: AtomicU64,
}

struct State {
    watched: HashMap<SubscriptionId, Watched>,
    queue: Queue,
    /// The provider asked to hear again that it may go on.
    doubted: HashSet<SubscriptionId>,
}

struct Watched {
    place: Place,
    subscription: Subscription,
    client_state: Secret,
}

impl Desk {
    pub(super) fn new(timing: HintTiming) -> Self {
        let state =
            State { watched: HashMap::new(), queue: Queue::new(timing), doubted: HashSet::new() };
        Self { state: Mutex::new(state), asked: Notify::new(), counts: Counts::default() }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Believes those notifications that carry the secret of the subscription that they name, and
    /// no others.
    pub(super) fn accept(&self, told: &[Notification], now: Instant) {
        let (mut believed, mut refused) = (0, 0);
        let mut state = self.lock();
        for one in told {
            let id = &one.subscription;
            let known = state.watched.get(id);
            let known = known.filter(|known| one.is_from_the_provider(&known.client_state));
            let Some(place) = known.map(|known| known.place.clone()) else {
                refused += 1;
                continue;
            };
            believed += 1;
            match one.about {
                About::Change | About::Missed => {}
                About::SubscriptionRemoved => {
                    state.watched.remove(id);
                    self.asked.notify_one();
                }
                About::ReauthorizationRequired => {
                    state.doubted.insert(id.clone());
                    self.asked.notify_one();
                    continue;
                }
            }
            // What was not told meanwhile is found by looking, whatever is the reason.
            state.queue.add(&place.tenant, &place.mailbox, now);
        }
        drop(state);
        self.counts.believed.fetch_add(believed, Ordering::Relaxed);
        self.counts.refused.fetch_add(refused, Ordering::Relaxed);
        if refused > 0 {
            tracing::warn!(
                refused,
                "notifications that are of no subscription of ours were refused"
            );
        }
    }

    pub(super) fn refuse_garbage(&self) {
        self.counts.garbage.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hint(&self, tenant: &TenantName, mailbox: &MailboxId, now: Instant) {
        self.lock().queue.add(tenant, mailbox, now);
    }

    pub(super) fn ready(&self, now: Instant) -> Vec<TenantName> {
        self.lock().queue.ready(now)
    }

    pub(super) fn take(&self, tenant: &TenantName, now: Instant) -> Vec<MailboxId> {
        self.lock().queue.take(tenant, now)
    }

    /// Waits until somebody should look after subscriptions.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Asks that somebody does, at once.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    pub(super) fn watch(&self, place: Place, subscription: Subscription, client_state: Secret) {
        let id = subscription.id.clone();
        self.lock().watched.insert(id, Watched { place, subscription, client_state });
    }

    /// A subscription ends later than was known.
    pub(super) fn renewed(&self, id: &SubscriptionId, expires: OffsetDateTime) {
        let mut state = self.lock();
        state.doubted.remove(id);
        if let Some(known) = state.watched.get_mut(id) {
            known.subscription.expires = expires;
        }
    }

    pub(super) fn forget(&self, id: &SubscriptionId) {
        let mut state = self.lock();
        state.doubted.remove(id);
        state.watched.remove(id);
    }

    /// A tenant's subscriptions, and whether the provider doubts that they may go on.
    pub(super) fn of(&self, tenant: &TenantName) -> Vec<(Place, Subscription, Standing)> {
        let state = self.lock();
        let watched = state.watched.values().filter(|known| known.place.tenant == *tenant);
        let standing = |id: &SubscriptionId| {
            if state.doubted.contains(id) { Standing::Doubted } else { Standing::Good }
        };
        watched
            .map(|known| {
                let subscription = known.subscription.clone();
                let standing = standing(&subscription.id);
                (known.place.clone(), subscription, standing)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the provider asked to hear again that a subscription may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Doubted,
}
