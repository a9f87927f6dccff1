//! Keeps a flood of refusals from filling the ledger.

use std::collections::HashMap;

use mailkeep_identity::KeyUse;
use time::{Duration, OffsetDateTime};

/// Refusals of one kind that come within this time of a recorded one are counted, not recorded.
const WINDOW: Duration = Duration::seconds(10);

/// What makes refusals alike. `key_use` is set for keys that exist only: otherwise a caller could
/// make as many kinds as there are names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) operation: &'static str,
    pub(crate) key_use: Option<KeyUse>,
    pub(crate) from: Origin,
}

/// Who was refused. A worker is one of those in the list, so that there are not more kinds than those.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    User(u32),
    Worker(String),
    /// Whoever else has a certificate of ours.
    Unlisted,
}

#[derive(Default)]
pub(crate) struct Refusals {
    recorded: HashMap<Kind, Recorded>,
}

struct Recorded {
    at: OffsetDateTime,
    since: u64,
}

impl Refusals {
    /// Whether this one is to be recorded; then with how many more that were not.
    pub(crate) fn admit(&mut self, kind: Kind, now: OffsetDateTime) -> Option<u64> {
        match self.recorded.get_mut(&kind) {
            Some(recorded) if (now - recorded.at).abs() < WINDOW => {
                recorded.since += 1;
                None
            }
            Some(recorded) => {
                recorded.at = now;
                Some(std::mem::take(&mut recorded.since))
            }
            None => {
                self.recorded.insert(kind, Recorded { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_and_does_not_hide_others() {
        let mut refusals = Refusals::default();
        let from = Origin::User;
        let kind = |uid| Kind { operation: "sign_assertion", key_use: None, from: from(uid) };
        let now = datetime!(2026-03-01 12:00 UTC);
        assert_eq!(refusals.admit(kind(1), now), Some(0));
        for _ in 0..1000 {
            assert_eq!(refusals.admit(kind(1), now), None);
        }
        assert_eq!(refusals.admit(kind(2), now), Some(0));
        assert_eq!(refusals.admit(kind(1), now + WINDOW), Some(1000));
        assert_eq!(refusals.admit(kind(1), now + WINDOW * 2), Some(0));
    }
}
