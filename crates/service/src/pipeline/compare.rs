//! When a folder is read from its beginning although its cursor is good.

use std::time::Duration;

use mailkeep_control::{Comparison, SyncState};
use mailkeep_model::{Cursor, FolderId, MailboxId};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::PassLimits;

/// Passes in a row in which the provider must have counted the same wrong number of items. In one
/// alone, mail may have come in between the reading and the counting.
const DOUBTS: u64 = 2;

/// Which folders of a mailbox a pass compares.
pub(super) struct Comparing<'a> {
    mailbox: &'a MailboxId,
    every: Duration,
    doubted: Duration,
    now: OffsetDateTime,
}

/// Where to read a folder from.
pub(super) struct Start {
    pub(super) cursor: Option<Cursor>,
    /// Whether at the end it will have been read from its beginning, in this pass or in parts.
    pub(super) whole: bool,
}

impl<'a> Comparing<'a> {
    pub(super) fn new(mailbox: &'a MailboxId, limits: &PassLimits, now: OffsetDateTime) -> Self {
        Self { mailbox, every: limits.compare_every, doubted: limits.compare_doubted, now }
    }

    /// Where to read the list of folders from.
    pub(super) fn tree_cursor(&self, state: &mut SyncState) -> Option<Cursor> {
        let due = state.tree_compared.is_some_and(|last| self.is_due("", last));
        state.folder_cursor.take().filter(|_| !due)
    }

    /// Where to read a folder from.
    pub(super) fn start(&self, state: &SyncState, folder: &FolderId) -> Start {
        let comparison = state.comparisons.get(folder).copied().unwrap_or_default();
        let mut cursor = state.item_cursors.get(folder).cloned();
        if cursor.is_some() && self.wants(folder, comparison) {
            let (mailbox, doubts) = (&self.mailbox.0, comparison.doubts);
            tracing::info!(mailbox, folder = folder.0, doubts, "a folder is compared");
            cursor = None;
        }
        let whole = cursor.is_none() || comparison.last.is_none();
        Start { cursor, whole }
    }

    fn wants(&self, folder: &FolderId, Comparison { last, doubts }: Comparison) -> bool {
        // One that has never been read to its end is on its way there.
        let Some(last) = last else { return false };
        let doubted = doubts >= DOUBTS && self.now - last >= self.doubted;
        doubted || self.is_due(&folder.0, last)
    }

    /// Whether the moment has passed since `last` that each interval has for this folder. The
    /// moments are spread, so that what was first read together is not compared together.
    fn is_due(&self, folder: &str, last: OffsetDateTime) -> bool {
        let Ok(every @ 1..) = i64::try_from(self.every.as_secs()) else {
            return self.every.is_zero();
        };
        let hash = Sha256::new().chain_update(&self.mailbox.0).chain_update([0]);
        let hash = hash.chain_update(folder).finalize();
        let phase = hash[..8].iter().fold(0, |sum, byte| (sum * 256 + i64::from(*byte)) % every);
        let interval = |time: OffsetDateTime| (time.unix_timestamp() - phase).div_euclid(every);
        interval(self.now) > interval(last)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    const DAY: Duration = Duration::from_secs(86_400);

    fn at(mailbox: &MailboxId, now: OffsetDateTime) -> Comparing<'_> {
        Comparing { mailbox, every: WEEK, doubted: DAY, now }
    }

    #[test]
    fn every_folder_is_compared_once_a_week_and_not_all_on_the_same_day() {
        let mailbox = MailboxId("m".into());
        let begin = datetime!(2026-11-23 09:14 UTC);
        let mut days = [0; 7];
        for number in 0..210 {
            let folder = FolderId(format!("folder {number}"));
            let mut last = begin;
            let mut times = Vec::new();
            for pass in 0..4 * 7 * 24 {
                let now = begin + time::Duration::hours(pass);
                let known = Comparison { last: Some(last), doubts: 0 };
                if at(&mailbox, now).wants(&folder, known) {
                    times.push(usize::try_from(pass).unwrap());
                    last = now;
                }
            }
            assert_eq!(times.len(), 4, "{times:?}");
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 7 * 24), "{times:?}");
            days[times[0] / 24] += 1;
        }
        assert!(days.iter().all(|folders| (12..60).contains(folders)), "{days:?}");
    }

    #[test]
    fn a_doubted_folder_is_compared_at_once_but_not_all_day_long() {
        let mailbox = MailboxId("m".into());
        let folder = FolderId("f".into());
        let now = datetime!(2026-11-23 09:14 UTC);
        let comparing = at(&mailbox, now);
        let wants = |hours, doubts| {
            let last = Some(now - time::Duration::hours(hours));
            // By the week it is not due in these hours.
            assert!(!comparing.wants(&folder, Comparison { last, doubts: 0 }));
            comparing.wants(&folder, Comparison { last, doubts })
        };
        assert!(!wants(25, 1));
        assert!(wants(25, 2) && wants(25, 3));
        assert!(!wants(23, 2));
    }

    #[test]
    fn a_first_reading_that_was_interrupted_goes_on_instead_of_beginning_again() {
        let mailbox = MailboxId("m".into());
        let comparing =
            Comparing { every: Duration::ZERO, ..at(&mailbox, datetime!(2026-11-23 9:14 UTC)) };
        let known = Comparison { last: None, doubts: 5 };
        assert!(!comparing.wants(&FolderId("f".into()), known));
    }
}
