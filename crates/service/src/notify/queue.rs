use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mailkeep_model::{MailboxId, TenantName};
use tokio::time::Instant;

/// How long hints wait, so that one pass follows a burst instead of one each.
#[derive(Clone, Copy, Debug)]
pub struct HintTiming {
    /// For as long as nothing new was hinted at.
    pub quiet: Duration,
    /// And no longer than this, however many come.
    pub longest: Duration,
    /// Between the beginnings of two passes that follow hints of one tenant: each opens the vault,
    /// asks for a token and makes a snapshot.
    pub gap: Duration,
}

impl Default for HintTiming {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(1),
            longest: Duration::from_secs(5),
            gap: Duration::from_secs(60),
        }
    }
}

/// Hints that wait. It holds each mailbox once, and only those with a subscription of ours: however
/// many notifications come, it does not grow beyond that.
#[derive(Debug)]
pub(super) struct Queue {
    timing: HintTiming,
    waiting: BTreeMap<TenantName, Waiting>,
    /// When hints of a tenant were last taken.
    taken: BTreeMap<TenantName, Instant>,
}

#[derive(Debug)]
struct Waiting {
    mailboxes: BTreeSet<MailboxId>,
    first: Instant,
    last: Instant,
}

impl Queue {
    pub(super) fn new(timing: HintTiming) -> Self {
        Self { timing, waiting: BTreeMap::new(), taken: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, tenant: &TenantName, mailbox: &MailboxId, now: Instant) {
        let new = || Waiting { mailboxes: BTreeSet::new(), first: now, last: now };
        let waiting = self.waiting.entry(tenant.clone()).or_insert_with(new);
        waiting.mailboxes.insert(mailbox.clone());
        waiting.last = now;
    }

    /// Tenants whose hints have waited for long enough.
    pub(super) fn ready(&self, now: Instant) -> Vec<TenantName> {
        let is_ready = |(tenant, waiting): &(&TenantName, &Waiting)| {
            let settled = now - waiting.last >= self.timing.quiet;
            let is_long = now - waiting.first >= self.timing.longest;
            let rested = self.taken.get(*tenant).is_none_or(|at| now - *at >= self.timing.gap);
            rested && (settled || is_long)
        };
        self.waiting.iter().filter(is_ready).map(|(tenant, _)| tenant.clone()).collect()
    }

    pub(super) fn take(&mut self, tenant: &TenantName, now: Instant) -> Vec<MailboxId> {
        let Some(waiting) = self.waiting.remove(tenant) else { return Vec::new() };
        self.taken.insert(tenant.clone(), now);
        waiting.mailboxes.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: HintTiming = HintTiming {
        quiet: Duration::from_secs(1),
        longest: Duration::from_secs(5),
        gap: Duration::from_secs(15),
    };

    fn names() -> (TenantName, TenantName, MailboxId) {
        ("acme".parse().unwrap(), "other".parse().unwrap(), MailboxId("ann".into()))
    }

    #[test]
    fn a_burst_is_followed_by_one_pass_and_does_not_put_it_off_for_ever() {
        let (acme, _, ann) = names();
        let begin = Instant::now();
        let mut queue = Queue::new(TIMING);
        let mut ready = None;
        for tenth in 0..100 {
            let now = begin + Duration::from_millis(100) * tenth;
            queue.add(&acme, &ann, now);
            if ready.is_none() && !queue.ready(now).is_empty() {
                ready = Some(now - begin);
            }
        }
        assert_eq!(ready, Some(TIMING.longest));
        assert_eq!(queue.take(&acme, begin + Duration::from_secs(10)), [ann]);
    }

    #[test]
    fn one_hint_waits_for_a_moment_only() {
        let (acme, _, ann) = names();
        let begin = Instant::now();
        let mut queue = Queue::new(TIMING);
        queue.add(&acme, &ann, begin);
        assert!(queue.ready(begin + Duration::from_millis(999)).is_empty());
        assert_eq!(queue.ready(begin + Duration::from_secs(1)), [acme]);
    }

    #[test]
    fn a_tenant_where_much_happens_neither_holds_others_up_nor_is_read_without_a_pause() {
        let (acme, other, ann) = names();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut queue = Queue::new(TIMING);
        queue.add(&acme, &ann, begin);
        queue.take(&acme, after(1));
        queue.add(&acme, &ann, after(2));
        queue.add(&other, &ann, after(2));
        assert_eq!(queue.ready(after(8)), [other]);
        assert!(queue.ready(after(16)).contains(&acme));
    }
}
