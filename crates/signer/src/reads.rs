//! How much of the ledger somebody may have looked through: a bucket of bytes for each caller. Looking takes
//! a processor and the disk, and whoever asks for it need not even take an answer.

use std::{collections::HashMap, time::Duration};

use time::OffsetDateTime;

use crate::{ReadLimit, refusals::Origin};

pub(crate) struct Reads {
    limit: ReadLimit,
    /// Bytes that are left; below zero after more than that was looked through.
    levels: HashMap<Origin, Level>,
}

#[derive(Clone, Copy)]
struct Level {
    bytes: f64,
    at: OffsetDateTime,
}

impl Reads {
    pub(crate) fn new(limit: ReadLimit) -> Self {
        Self { limit, levels: HashMap::new() }
    }

    /// Takes so many bytes, or tells when some may be taken again. Who has any left may take more than that,
    /// so that a ledger of any length can be read; it is waited for afterwards.
    pub(crate) fn take(
        &mut self,
        by: &Origin,
        bytes: u64,
        now: OffsetDateTime,
    ) -> Result<(), Duration> {
        let rate = self.limit.per_second.max(1) as f64;
        let most = self.limit.at_once.max(1) as f64;
        let left = match self.levels.get(by) {
            None => most,
            // A clock that was set back fills nothing, and empties nothing.
            Some(level) => {
                let elapsed = (now - level.at).as_seconds_f64().max(0.0);
                (level.bytes + elapsed * rate).min(most)
            }
        };
        if left <= 0.0 {
            let seconds = (1.0 - left) / rate;
            return Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        }
        self.levels.insert(by.clone(), Level { bytes: left - bytes as f64, at: now });
        Ok(())
    }

    /// Gives back what was taken and not looked through.
    pub(crate) fn give_back(&mut self, by: &Origin, bytes: u64) {
        if let Some(level) = self.levels.get_mut(by) {
            level.bytes += bytes as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn who_has_the_ledger_looked_through_without_end_waits_and_others_do_not() {
        let mut reads = Reads::new(ReadLimit { per_second: 10, at_once: 100 });
        let (greedy, other) = (Origin::Worker("A".into()), Origin::User(1));
        let now = datetime!(2026-03-01 12:00 UTC);
        assert_eq!(reads.take(&greedy, 60, now), Ok(()));
        // All of a long ledger can be looked through at once; not again until that has been made up for.
        assert_eq!(reads.take(&greedy, 239, now), Ok(()));
        assert_eq!(reads.take(&greedy, 1, now), Err(Duration::from_secs(20)));
        assert_eq!(reads.take(&other, 60, now), Ok(()));
        assert!(reads.take(&greedy, 1, now - Duration::from_secs(60)).is_err());
        assert_eq!(reads.take(&greedy, 1, now + Duration::from_secs(20)), Ok(()));
        reads.give_back(&greedy, 1);
        assert_eq!(reads.take(&greedy, 1, now + Duration::from_secs(20)), Ok(()));
        // Who waits for long has not saved up for a day.
        let later = now + Duration::from_secs(86_400);
        assert_eq!(reads.take(&greedy, 101, later), Ok(()));
        assert_eq!(reads.take(&greedy, 1, later), Err(Duration::from_millis(200)));
    }
}
