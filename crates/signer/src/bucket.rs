//! How often a key may sign: a token bucket for each tenant and function.

use std::{collections::HashMap, time::Duration};

use mailkeep_identity::KeyUse;
use time::OffsetDateTime;

use crate::RateLimit;

const HOUR: f64 = 3600.0;

/// Full at first, one token per signature.
pub(crate) struct Buckets {
    limit: RateLimit,
    levels: HashMap<KeyUse, Level>,
}

#[derive(Clone, Copy)]
struct Level {
    tokens: f64,
    at: OffsetDateTime,
}

impl Buckets {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, levels: HashMap::new() }
    }

    /// Takes a token, or tells when there will be one.
    pub(crate) fn take(&mut self, key_use: &KeyUse, now: OffsetDateTime) -> Result<(), Duration> {
        let level = self.level(key_use, now);
        if level.tokens < 1.0 {
            let seconds = (1.0 - level.tokens) * HOUR / f64::from(self.limit.per_hour.max(1));
            return Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        }
        let left = Level { tokens: level.tokens - 1.0, ..level };
        self.levels.insert(key_use.clone(), left);
        Ok(())
    }

    /// Counts a signature of an earlier run, so that a restart does not fill the buckets.
    pub(crate) fn replay(&mut self, key_use: &KeyUse, time: OffsetDateTime) {
        let level = self.level(key_use, time);
        let left = Level { tokens: (level.tokens - 1.0).max(0.0), ..level };
        self.levels.insert(key_use.clone(), left);
    }

    fn level(&self, key_use: &KeyUse, now: OffsetDateTime) -> Level {
        let burst = f64::from(self.limit.burst.max(1));
        let Some(level) = self.levels.get(key_use) else { return Level { tokens: burst, at: now } };
        // A clock that was set back fills nothing, and empties nothing.
        let elapsed = (now - level.at).as_seconds_f64().max(0.0);
        let gained = elapsed * f64::from(self.limit.per_hour) / HOUR;
        Level { tokens: (level.tokens + gained).min(burst), at: now }
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::Function;
    use time::macros::datetime;

    use super::*;

    fn key_use(tenant: &str) -> KeyUse {
        KeyUse { tenant: tenant.parse().unwrap(), function: Function::Reader }
    }

    #[test]
    fn a_thief_of_one_tenant_s_signatures_gets_few_and_takes_none_from_others() {
        let mut buckets = Buckets::new(RateLimit { per_hour: 60, burst: 3 });
        let now = datetime!(2026-03-01 12:00 UTC);
        for _ in 0..3 {
            assert_eq!(buckets.take(&key_use("a"), now), Ok(()));
        }
        assert_eq!(buckets.take(&key_use("a"), now), Err(Duration::from_secs(60)));
        assert_eq!(buckets.take(&key_use("b"), now), Ok(()));

        let later = now + Duration::from_secs(30);
        assert_eq!(buckets.take(&key_use("a"), later), Err(Duration::from_secs(30)));
        let later = now + Duration::from_secs(61);
        assert_eq!(buckets.take(&key_use("a"), later), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_fills_no_bucket() {
        let mut buckets = Buckets::new(RateLimit { per_hour: 60, burst: 1 });
        let now = datetime!(2026-03-01 12:00 UTC);
        assert_eq!(buckets.take(&key_use("a"), now), Ok(()));
        for back in [1, 60, 3600] {
            assert!(buckets.take(&key_use("a"), now - Duration::from_secs(back)).is_err());
        }
    }

    #[test]
    fn a_restart_does_not_fill_the_bucket() {
        let mut buckets = Buckets::new(RateLimit { per_hour: 60, burst: 2 });
        let now = datetime!(2026-03-01 12:00 UTC);
        for _ in 0..5 {
            buckets.replay(&key_use("a"), now);
        }
        assert_eq!(buckets.take(&key_use("a"), now), Err(Duration::from_secs(60)));
    }
}
