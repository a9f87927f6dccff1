use std::time::Duration;

/// Tries of one request when the network or the server fails.
pub(super) const MAX_FAULTS: u32 = 6;
/// How long one request may be held back by throttling before this pass gives it up.
pub(super) const MAX_THROTTLED: Duration = Duration::from_secs(15 * 60);
/// Wait after the first fault; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait between two tries that the provider did not ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// How often and how long one request was already tried.
#[derive(Default)]
pub(super) struct Patience {
    faults: u32,
    throttles: u32,
    throttled: Duration,
}

impl Patience {
    /// The wait before the next try after a fault, `None` when `tries` are used up.
    pub(super) fn fault(&mut self, tries: u32) -> Option<Duration> {
        self.faults += 1;
        (self.faults < tries).then(|| backoff(self.faults))
    }

    /// The wait that throttling asks for, `None` when it has gone on for too long.
    pub(super) fn throttled(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        self.throttles += 1;
        let wait = retry_after.unwrap_or_else(|| backoff(self.throttles));
        self.throttled += wait;
        (self.throttled <= MAX_THROTTLED).then_some(wait)
    }
}

/// Exponential, with jitter so that clients that failed together do not return together.
fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << (failures - 1).min(10));
    doubled.min(LONGEST_WAIT).mul_f64(rand::random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends() {
        let mut patience = Patience::default();
        assert!((1..MAX_FAULTS).all(|_| patience.fault(MAX_FAULTS).is_some()));
        assert_eq!(patience.fault(MAX_FAULTS), None);
        let mut patience = Patience::default();
        let minute = Some(Duration::from_secs(60));
        assert!((0..15).all(|_| patience.throttled(minute) == minute));
        assert_eq!(patience.throttled(minute), None);
    }

    #[test]
    fn waits_grow_but_stay_bounded() {
        for failures in 1..40 {
            assert!(backoff(failures) <= LONGEST_WAIT);
        }
        assert!(backoff(1) < FIRST_WAIT);
    }
}
