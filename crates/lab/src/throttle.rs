//! Limits per application and mailbox, as Exchange Online has them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::counters::Peak;

/// Length of the window in which requests are counted, in seconds.
const WINDOW: i64 = 600;

#[derive(Debug)]
pub(crate) struct Throttle {
    concurrency: usize,
    requests: Option<u32>,
    lanes: Mutex<HashMap<(Uuid, Uuid), Lane>>,
}

/// One application at one mailbox.
#[derive(Debug)]
struct Lane {
    mailbox: Arc<str>,
    open: usize,
    peak: usize,
    window_began: i64,
    in_window: u32,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Concurrency,
    /// Seconds until requests are taken again.
    Requests {
        retry_after: u32,
    },
}

/// A request that is being answered. It ends when this is dropped, which must happen before the
/// last byte of the answer is handed on: a client that has the whole answer may ask again at once.
#[derive(Debug)]
pub(crate) struct Permit {
    throttle: Arc<Throttle>,
    key: (Uuid, Uuid),
}

impl Throttle {
    pub(crate) fn new(concurrency: usize, requests: Option<u32>) -> Self {
        Self { concurrency, requests, lanes: Mutex::default() }
    }

    /// Takes a request in, or tells which limit refuses it.
    pub(crate) fn enter(
        self: &Arc<Self>,
        application: Uuid,
        mailbox: Uuid,
        address: &Arc<str>,
        now: i64,
    ) -> Result<Permit, Limit> {
        let key = (application, mailbox);
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(key).or_insert_with(|| Lane {
            mailbox: Arc::clone(address),
            open: 0,
            peak: 0,
            window_began: now,
            in_window: 0,
        });
        if !(0..WINDOW).contains(&(now - lane.window_began)) {
            lane.window_began = now;
            lane.in_window = 0;
        }
        if self.requests.is_some_and(|most| lane.in_window >= most) {
            let left = (lane.window_began + WINDOW - now).clamp(1, WINDOW);
            return Err(Limit::Requests { retry_after: u32::try_from(left).unwrap_or(1) });
        }
        lane.in_window += 1;
        // The refused request is open, too: what a client did is what the peak shows.
        lane.peak = lane.peak.max(lane.open + 1);
        if lane.open >= self.concurrency {
            return Err(Limit::Concurrency);
        }
        lane.open += 1;
        drop(lanes);
        Ok(Permit { throttle: Arc::clone(self), key })
    }

    pub(crate) fn peaks(&self) -> Vec<Peak> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peaks: Vec<Peak> = lanes
            .iter()
            .map(|((application, _), lane)| Peak {
                application: *application,
                mailbox: Arc::clone(&lane.mailbox),
                requests: lane.peak,
            })
            .collect();
        peaks.sort_by(|a, b| (a.application, &a.mailbox).cmp(&(b.application, &b.mailbox)));
        peaks
    }

    pub(crate) fn reset_peaks(&self) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        for lane in lanes.values_mut() {
            lane.peak = lane.open;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut lanes = self.throttle.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get_mut(&self.key) {
            lane.open = lane.open.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_request_at_once_is_refused_for_that_mailbox_alone() {
        let throttle = Arc::new(Throttle::new(4, None));
        let (app, mailbox, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let address: Arc<str> = "a@b.example".into();
        let open: Vec<Permit> =
            (0..4).map(|_| throttle.enter(app, mailbox, &address, 0).unwrap()).collect();
        assert_eq!(throttle.enter(app, mailbox, &address, 0).unwrap_err(), Limit::Concurrency);
        assert!(throttle.enter(app, other, &address, 0).is_ok());
        assert!(throttle.enter(other, mailbox, &address, 0).is_ok());
        drop(open);
        assert!(throttle.enter(app, mailbox, &address, 0).is_ok());
        let peak = throttle.peaks().iter().map(|peak| peak.requests).max();
        assert_eq!(peak, Some(5), "what was refused counts, too");
    }

    #[test]
    fn requests_are_counted_over_ten_minutes() {
        let throttle = Arc::new(Throttle::new(4, Some(3)));
        let (app, mailbox) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let address: Arc<str> = "a@b.example".into();
        for _ in 0..3 {
            throttle.enter(app, mailbox, &address, 100).unwrap();
        }
        let refused = throttle.enter(app, mailbox, &address, 160).unwrap_err();
        assert_eq!(refused, Limit::Requests { retry_after: 540 });
        assert!(throttle.enter(app, mailbox, &address, 700).is_ok());
    }
}
