//! Limits per application and mailbox, as Exchange Online has them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::counters::Peak;

/// Length of the window in which requests are counted, in seconds.
const WINDOW: i64 = 600;
/// Length of the window in which uploaded bytes are counted, in seconds.
const UPLOAD_WINDOW: i64 = 300;

/// The limits, as `/_lab/limits` shows and sets them. What is `None` is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Requests that may be open at once.
    pub(crate) concurrency: usize,
    pub(crate) requests_per_ten_minutes: Option<u32>,
    pub(crate) upload_bytes_per_five_minutes: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Throttle {
    limits: RwLock<Limits>,
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
    upload_began: i64,
    uploaded: u64,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Concurrency,
    /// Seconds until requests are taken again.
    Requests {
        retry_after: u32,
    },
    /// Seconds until bytes are taken again.
    Upload {
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
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits: RwLock::new(limits), lanes: Mutex::default() }
    }

    pub(crate) fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
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
        let limits = self.limits();
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(key).or_insert_with(|| Lane {
            mailbox: Arc::clone(address),
            open: 0,
            peak: 0,
            window_began: now,
            in_window: 0,
            upload_began: now,
            uploaded: 0,
        });
        if !(0..WINDOW).contains(&(now - lane.window_began)) {
            lane.window_began = now;
            lane.in_window = 0;
        }
        if limits.requests_per_ten_minutes.is_some_and(|most| lane.in_window >= most) {
            return Err(Limit::Requests { retry_after: left(lane.window_began, WINDOW, now) });
        }
        lane.in_window += 1;
        // The refused request is open, too: what a client did is what the peak shows.
        lane.peak = lane.peak.max(lane.open + 1);
        if lane.open >= limits.concurrency {
            return Err(Limit::Concurrency);
        }
        lane.open += 1;
        drop(lanes);
        Ok(Permit { throttle: Arc::clone(self), key })
    }

    /// Takes the body of a request in, or tells when it may come again. One that is larger than the
    /// limit alone is taken at the beginning of a window, else it never could be.
    pub(crate) fn upload(&self, permit: &Permit, bytes: u64, now: i64) -> Result<(), Limit> {
        let Some(most) = self.limits().upload_bytes_per_five_minutes else { return Ok(()) };
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lane) = lanes.get_mut(&permit.key) else { return Ok(()) };
        if !(0..UPLOAD_WINDOW).contains(&(now - lane.upload_began)) {
            lane.upload_began = now;
            lane.uploaded = 0;
        }
        if lane.uploaded > 0 && lane.uploaded + bytes > most {
            return Err(Limit::Upload { retry_after: left(lane.upload_began, UPLOAD_WINDOW, now) });
        }
        lane.uploaded += bytes;
        Ok(())
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

/// Seconds until a window ends.
fn left(began: i64, window: i64, now: i64) -> u32 {
    u32::try_from((began + window - now).clamp(1, window)).unwrap_or(1)
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

    fn throttle(concurrency: usize, requests: Option<u32>, upload: Option<u64>) -> Arc<Throttle> {
        Arc::new(Throttle::new(Limits {
            concurrency,
            requests_per_ten_minutes: requests,
            upload_bytes_per_five_minutes: upload,
        }))
    }

    #[test]
    fn the_fifth_request_at_once_is_refused_for_that_mailbox_alone() {
        let throttle = throttle(4, None, None);
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
        let throttle = throttle(4, Some(3), None);
        let (app, mailbox) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let address: Arc<str> = "a@b.example".into();
        for _ in 0..3 {
            throttle.enter(app, mailbox, &address, 100).unwrap();
        }
        let refused = throttle.enter(app, mailbox, &address, 160).unwrap_err();
        assert_eq!(refused, Limit::Requests { retry_after: 540 });
        assert!(throttle.enter(app, mailbox, &address, 700).is_ok());
    }

    #[test]
    fn uploaded_bytes_are_counted_over_five_minutes() {
        let throttle = throttle(4, None, Some(100));
        let (app, mailbox) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let permit = throttle.enter(app, mailbox, &"a@b.example".into(), 0).unwrap();
        let upload = |bytes, now| throttle.upload(&permit, bytes, now);
        assert_eq!(upload(60, 0), Ok(()));
        assert_eq!(upload(60, 10), Err(Limit::Upload { retry_after: 290 }));
        assert_eq!(upload(40, 10), Ok(()), "what was refused does not count");
        assert_eq!(upload(250, 300), Ok(()), "it could never come otherwise");
        assert_eq!(upload(1, 301), Err(Limit::Upload { retry_after: 299 }));
    }
}
