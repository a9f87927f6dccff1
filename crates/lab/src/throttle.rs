//! Limits per application and mailbox, as Exchange Online has them, and per application or
//! application and tenant, as Graph has them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::counters::Peak;

/// Length of the window in which requests are counted, in seconds.
const WINDOW: i64 = 600;
/// Length of the window in which uploaded bytes are counted, in seconds.
const UPLOAD_WINDOW: i64 = 300;
/// Length of the windows of what is not a mailbox's limit, in seconds.
const SHORT_WINDOW: i64 = 10;

/// The limits, as `/_lab/limits` shows and sets them. What is `None` is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Requests that may be open at once.
    pub(crate) concurrency: usize,
    pub(crate) requests_per_ten_minutes: Option<u32>,
    pub(crate) upload_bytes_per_five_minutes: Option<u64>,
    /// Of one application, over all mailboxes and tenants. Graph: 130,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) application_requests_per_ten_seconds: Option<u32>,
    /// Of one application in one tenant, to the logs of sign-ins and changes. Graph: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reporting_requests_per_ten_seconds: Option<u32>,
    /// Resource units of one application in one tenant's directory. `None`: as many as Graph gives a
    /// tenant of that size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory_units_per_ten_seconds: Option<u32>,
}

impl Limits {
    /// Those of the real services, but for the two that the owner of a lab turns on.
    pub(crate) fn new(
        concurrency: usize,
        requests_per_ten_minutes: Option<u32>,
        upload_bytes_per_five_minutes: Option<u64>,
    ) -> Self {
        Self {
            concurrency,
            requests_per_ten_minutes,
            upload_bytes_per_five_minutes,
            application_requests_per_ten_seconds: Some(130_000),
            reporting_requests_per_ten_seconds: Some(5),
            directory_units_per_ten_seconds: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Throttle {
    limits: RwLock<Limits>,
    lanes: Mutex<HashMap<(Uuid, Uuid), Lane>>,
    windows: Mutex<HashMap<WindowKey, Window>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

/// A limit, an application, and the tenant unless the limit is one for all.
type WindowKey = (Shared, Uuid, Option<Uuid>);

/// A limit that all mailboxes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Shared {
    Application,
    Reporting,
    Directory,
}

/// What an application has used of a shared limit.
#[derive(Debug)]
struct Window {
    began: i64,
    used: u32,
    peak: u32,
}

/// What was used of a shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) used: u32,
    pub(crate) most: u32,
}

/// What an application used at most of a shared limit in one of its windows.
#[derive(Debug, Serialize)]
pub(crate) struct SharedPeak {
    pub(crate) limit: &'static str,
    pub(crate) application: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<Uuid>,
    pub(crate) used: u32,
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
    /// Of all mailboxes together, or of the directory.
    Shared {
        limit: Shared,
        retry_after: u32,
    },
}

impl Limit {
    /// What it is called in the counters, and in refusals of a mailbox.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Concurrency => "MailboxConcurrency",
            Self::Requests { .. } => "MailboxRequests",
            Self::Upload { .. } => "MailboxUploadVolume",
            Self::Shared { limit, .. } => limit.name(),
        }
    }
}

impl Shared {
    fn name(self) -> &'static str {
        match self {
            Self::Application => "ApplicationRequests",
            Self::Reporting => "ReportingRequests",
            Self::Directory => "DirectoryResourceUnits",
        }
    }
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
        Self {
            limits: RwLock::new(limits),
            lanes: Mutex::default(),
            windows: Mutex::default(),
            refused: Mutex::default(),
        }
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
        self.try_enter(application, mailbox, address, now).map_err(|limit| self.refuse(limit))
    }

    /// Takes `cost` from what an application may use of a shared limit; `users` is the size of the
    /// tenant.
    pub(crate) fn take(
        &self,
        limit: Shared,
        application: Uuid,
        tenant: Uuid,
        users: usize,
        cost: u32,
        now: i64,
    ) -> Result<Share, Limit> {
        let limits = self.limits();
        let most = match limit {
            Shared::Application => limits.application_requests_per_ten_seconds,
            Shared::Reporting => limits.reporting_requests_per_ten_seconds,
            Shared::Directory => {
                Some(limits.directory_units_per_ten_seconds.unwrap_or(match users {
                    ..50 => 3500,
                    50..=500 => 5000,
                    _ => 8000,
                }))
            }
        };
        let Some(most) = most else { return Ok(Share { used: 0, most: u32::MAX }) };
        let tenant = Some(tenant).filter(|_| limit != Shared::Application);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((limit, application, tenant)).or_insert(Window {
            began: now,
            used: 0,
            peak: 0,
        });
        if !(0..SHORT_WINDOW).contains(&(now - window.began)) {
            window.began = now;
            window.used = 0;
        }
        // What was refused shows in the peak, as for a mailbox.
        window.peak = window.peak.max(window.used.saturating_add(cost));
        if window.used.saturating_add(cost) > most {
            let retry_after = left(window.began, SHORT_WINDOW, now);
            return Err(self.refuse(Limit::Shared { limit, retry_after }));
        }
        window.used += cost;
        Ok(Share { used: window.used, most })
    }

    fn refuse(&self, limit: Limit) -> Limit {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(limit.name()).or_default() += 1;
        limit
    }

    /// How often each limit has refused a request.
    pub(crate) fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn shared_peaks(&self) -> Vec<SharedPeak> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peaks: Vec<SharedPeak> = windows
            .iter()
            .map(|((limit, application, tenant), window)| SharedPeak {
                limit: limit.name(),
                application: *application,
                tenant: *tenant,
                used: window.peak,
            })
            .collect();
        peaks.sort_by(|a, b| {
            (a.limit, a.application, a.tenant).cmp(&(b.limit, b.application, b.tenant))
        });
        peaks
    }

    fn try_enter(
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
            let retry_after = left(lane.upload_began, UPLOAD_WINDOW, now);
            return Err(self.refuse(Limit::Upload { retry_after }));
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
        drop(lanes);
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        Arc::new(Throttle::new(Limits::new(concurrency, requests, upload)))
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

    #[test]
    fn the_sixth_look_into_a_log_within_ten_seconds_is_refused_in_that_tenant() {
        let throttle = throttle(4, None, None);
        let (app, tenant, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let look = |tenant, now| throttle.take(Shared::Reporting, app, tenant, 9, 1, now);
        for _ in 0..5 {
            look(tenant, 100).unwrap();
        }
        let refused = Limit::Shared { limit: Shared::Reporting, retry_after: 7 };
        assert_eq!(look(tenant, 103), Err(refused));
        assert!(look(other, 103).is_ok() && look(tenant, 110).is_ok());
        assert_eq!(throttle.refused(), [("ReportingRequests", 1)].into());
        // The directory gives larger tenants more.
        let units = |users| throttle.take(Shared::Directory, app, tenant, users, 4000, 0);
        assert!(units(49).is_err());
        assert_eq!(units(50), Ok(Share { used: 4000, most: 5000 }));
    }
}
