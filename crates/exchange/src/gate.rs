//! How much may be in flight, scoped as the provider scopes it: per application and mailbox, and
//! per application over all mailboxes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mailkeep_model::MailboxId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Requests in flight per application and mailbox. The provider's page is inconsistent on whether
/// the limit of four is per mailbox; implementers treat it so (Graph throttling limits, Outlook).
pub(crate) const PER_MAILBOX: usize = 4;

/// Requests in flight per application over all mailboxes: far below the provider's global limit,
/// and enough to keep many mailboxes busy.
const PER_APPLICATION: usize = 64;

/// The gates of one application.
#[derive(Clone)]
pub(crate) struct Gates {
    application: Arc<Semaphore>,
    /// Paused by a throttled request that belongs to no mailbox.
    directory: Gate,
    mailboxes: Arc<Mutex<HashMap<MailboxId, Gate>>>,
}

/// The gate of one mailbox.
#[derive(Clone)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    paused_until: Arc<Mutex<Option<Instant>>>,
}

/// A place in flight, or several, given back when dropped.
pub(crate) struct Place {
    _mailbox: OwnedSemaphorePermit,
    _application: OwnedSemaphorePermit,
}

impl Gates {
    pub(crate) fn new() -> Self {
        Self {
            application: Arc::new(Semaphore::new(PER_APPLICATION)),
            directory: Gate::new(),
            mailboxes: Arc::default(),
        }
    }

    /// The gate of a mailbox, or of the directory for requests that belong to none.
    pub(crate) fn of(&self, mailbox: Option<&MailboxId>) -> Gate {
        let Some(mailbox) = mailbox else { return self.directory.clone() };
        let mut gates = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(mailbox) {
            return gate.clone();
        }
        let gate = Gate::new();
        gates.insert(mailbox.clone(), gate.clone());
        gate
    }

    /// Waits for so many places in both limits, all of a mailbox's at most, and for the end of a
    /// pause. Whoever asks for several must hold none.
    pub(crate) async fn enter(&self, gate: &Gate, places: u32) -> Place {
        let closed = "the semaphores of a gate are never closed";
        let places = places.min(PER_MAILBOX as u32);
        let mailbox = Arc::clone(&gate.places).acquire_many_owned(places).await.expect(closed);
        // The pause is waited for with the mailbox's place in hand, so that after it at most
        // PER_MAILBOX requests go out at once.
        while let Some(until) = gate.pause() {
            tokio::time::sleep_until(until).await;
        }
        let application = Arc::clone(&self.application);
        let application = application.acquire_many_owned(places).await.expect(closed);
        Place { _mailbox: mailbox, _application: application }
    }
}

impl Gate {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PER_MAILBOX)), paused_until: Arc::default() }
    }

    /// Holds all requests through this gate back for a while; a longer pause stands.
    pub(crate) fn pause_for(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_none_or(|before| before < until) {
            *paused = Some(until);
        }
    }

    fn pause(&self) -> Option<Instant> {
        let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_some_and(|until| until <= Instant::now()) {
            *paused = None;
        }
        *paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_mailbox_never_has_more_than_four_requests_in_flight_and_does_not_block_another() {
        let gates = Gates::new();
        let (a, b) = (MailboxId("a".into()), MailboxId("b".into()));
        let mut places = Vec::new();
        for _ in 0..PER_MAILBOX {
            places.push(gates.enter(&gates.of(Some(&a)), 1).await);
        }
        let soon = Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, gates.enter(&gates.of(Some(&a)), 1)).await.is_err());
        assert!(tokio::time::timeout(soon, gates.enter(&gates.of(Some(&b)), 1)).await.is_ok());
        places.pop();
        assert!(tokio::time::timeout(soon, gates.enter(&gates.of(Some(&a)), 1)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_asks_for_many_at_once_goes_out_when_nothing_else_does_and_is_not_overtaken() {
        let gates = Gates::new();
        let gate = gates.of(Some(&MailboxId("a".into())));
        let one = gates.enter(&gate, 1).await;
        let (mut all, soon) = (Box::pin(gates.enter(&gate, 20)), Duration::from_secs(1));
        assert!(tokio::time::timeout(soon, &mut all).await.is_err());
        assert!(tokio::time::timeout(soon, gates.enter(&gate, 1)).await.is_err());
        drop(one);
        let all = tokio::time::timeout(soon, all).await.expect("all places are free");
        assert!(tokio::time::timeout(soon, gates.enter(&gate, 1)).await.is_err());
        drop(all);
        assert!(tokio::time::timeout(soon, gates.enter(&gate, 4)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_one_mailbox_back_for_as_long_as_the_provider_asked() {
        let gates = Gates::new();
        let (a, b) = (MailboxId("a".into()), MailboxId("b".into()));
        gates.of(Some(&a)).pause_for(Duration::from_secs(30));
        gates.of(Some(&a)).pause_for(Duration::from_secs(3));
        let begin = Instant::now();
        drop(gates.enter(&gates.of(Some(&b)), 1).await);
        assert_eq!(begin.elapsed(), Duration::ZERO);
        drop(gates.enter(&gates.of(Some(&a)), 1).await);
        assert!(begin.elapsed() >= Duration::from_secs(30));
    }
}
