//! The course of a restore: whether it goes on, and how an outage of the provider is waited out.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mailkeep_exchange::ExchangeError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RestoreStop;
use crate::ServiceError;

/// How long a restore keeps trying while the provider is out of reach. A router that restarts, a
/// new address, a failover at the provider take minutes; what takes longer wants somebody to look.
const OUTAGE: Duration = Duration::from_secs(10 * 60);
/// Wait after the first failure, which itself has seen some tries; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What is being written when a restore is called off may come to its end; nobody waits for a large
/// upload.
const GRACE: Duration = Duration::from_secs(10);

/// Bounds of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreLimits {
    /// How long it keeps trying while the provider cannot be reached.
    pub outage: Duration,
}

impl Default for RestoreLimits {
    fn default() -> Self {
        Self { outage: OUTAGE }
    }
}

/// Whether a restore goes on.
pub(super) struct Course {
    limits: RestoreLimits,
    /// Whoever asked for it called it off.
    called_off: CancellationToken,
    /// Nothing more is begun.
    halted: CancellationToken,
    error: Mutex<Option<ServiceError>>,
    unreachable_since: Mutex<Option<Instant>>,
}

impl Course {
    pub(super) fn new(limits: RestoreLimits, called_off: &CancellationToken) -> Self {
        Self {
            limits,
            called_off: called_off.clone(),
            halted: called_off.child_token(),
            error: Mutex::new(None),
            unreachable_since: Mutex::new(None),
        }
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.is_cancelled()
    }

    pub(super) fn is_called_off(&self) -> bool {
        self.called_off.is_cancelled()
    }

    /// What an error means for one item, in words; ends the restore when it concerns all others, too.
    pub(super) fn failed(&self, error: ServiceError) -> String {
        let text = error.to_string();
        let concerns_this_alone = match &error {
            ServiceError::Exchange(error) => {
                error.concerns_one_item() || matches!(error, ExchangeError::Forbidden { .. })
            }
            ServiceError::Vault(_) => true,
            _ => false,
        };
        if !concerns_this_alone {
            lock(&self.error).get_or_insert(error);
            self.halted.cancel();
        }
        text
    }

    /// What ended it, when that was an error.
    pub(super) fn take_error(&self) -> Option<ServiceError> {
        lock(&self.error).take()
    }

    /// Why it ended early.
    pub(super) fn stop(&self) -> Option<RestoreStop> {
        match &*lock(&self.error) {
            Some(error) => Some(RestoreStop::Failed(error.to_string())),
            None => self.is_called_off().then_some(RestoreStop::Interrupted),
        }
    }

    /// Comes when what is being written must be left as it is.
    pub(super) async fn cut_off(&self) {
        self.called_off.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    /// Comes when nothing more is begun.
    pub(super) async fn halted(&self) {
        self.halted.cancelled().await;
    }

    /// Asks until there is an answer, good or bad, or the provider was out of reach for too long.
    /// `ask` is told how often it was asked before.
    pub(super) async fn outlast<T, F>(&self, ask: impl Fn(u32) -> F) -> Result<T, ExchangeError>
    where
        F: Future<Output = Result<T, ExchangeError>>,
    {
        let (mut asked, mut wait) = (0, FIRST_WAIT);
        loop {
            let error = match ask(asked).await {
                Err(error) if is_outage(&error) => error,
                answer => {
                    *lock(&self.unreachable_since) = None;
                    return answer;
                }
            };
            // Whoever else works on this restore waits for the same.
            let since = *lock(&self.unreachable_since).get_or_insert_with(Instant::now);
            if since.elapsed() + wait > self.limits.outage {
                return Err(error);
            }
            tracing::warn!(%error, wait_s = wait.as_secs(), "the provider is out of reach");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.halted.cancelled() => return Err(error),
            }
            asked += 1;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The same for what only looks: `None` at once when the restore ends.
    pub(super) async fn look<T, F>(
        &self,
        ask: impl Fn(u32) -> F,
    ) -> Option<Result<T, ExchangeError>>
    where
        F: Future<Output = Result<T, ExchangeError>>,
    {
        tokio::select! {
            biased;
            () = self.halted.cancelled() => None,
            answer = self.outlast(ask) => Some(answer),
        }
    }
}

/// Whether nobody is to blame and trying again later may help.
fn is_outage(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Unreachable { .. } => true,
        // A signer that restarts.
        ExchangeError::Identity(error) => error.is_transient(),
        _ => false,
    }
}

/// What is in there is whole at every moment, also when a thread panicked that held it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn gone() -> ExchangeError {
        ExchangeError::Unreachable {
            tenant: "acme".parse().unwrap(),
            host: "graph.example:443".into(),
            reason: "connection refused".into(),
        }
    }

    fn course(stop: &CancellationToken) -> Course {
        Course::new(RestoreLimits::default(), stop)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_minutes_does_not_end_a_restore_and_one_of_an_hour_does() {
        let course = course(&CancellationToken::new());
        let back = Instant::now() + Duration::from_secs(9 * 60);
        for _ in 0..2 {
            let answer =
                course.outlast(async |_| if Instant::now() < back { Err(gone()) } else { Ok(7) });
            assert_eq!(answer.await.unwrap(), 7);
        }
        let begin = Instant::now();
        let tries = AtomicU32::new(0);
        let answer = course.outlast(async |asked| {
            assert_eq!(tries.fetch_add(1, Ordering::Relaxed), asked);
            Err::<(), _>(gone())
        });
        assert!(answer.await.is_err());
        let lasted = begin.elapsed();
        assert!(lasted <= OUTAGE && lasted > OUTAGE / 2, "{lasted:?}");
        assert!(tries.into_inner() < 60, "it hammers on a provider that is down");
        // Everybody else waited, too: nobody waits once more.
        let begin = Instant::now();
        assert!(course.outlast(async |_| Err::<(), _>(gone())).await.is_err());
        assert!(begin.elapsed() < LONGEST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn who_calls_a_restore_off_does_not_wait_for_the_end_of_an_outage() {
        let stop = CancellationToken::new();
        let course = course(&stop);
        let begin = Instant::now();
        let waiting = course.outlast(async |_| Err::<(), _>(gone()));
        let (answer, ()) = tokio::join!(waiting, async { stop.cancel() });
        assert!(answer.is_err() && begin.elapsed() < FIRST_WAIT);
        // Nor for the answer to a look.
        assert!(course.look(|_| std::future::pending::<Result<(), _>>()).await.is_none());
        assert_eq!(course.stop(), Some(RestoreStop::Interrupted));
    }

    #[test]
    fn what_concerns_one_item_stops_nothing_else() {
        let course = course(&CancellationToken::new());
        let one = ExchangeError::not_found("writing");
        course.failed(one.into());
        assert!(!course.is_halted() && course.stop().is_none());
        let text = course.failed(gone().into());
        assert!(course.is_halted());
        assert_eq!(course.stop(), Some(RestoreStop::Failed(text)));
    }
}
