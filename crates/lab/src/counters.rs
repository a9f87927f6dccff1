//! Counts of what was asked, for tests and measurements.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use uuid::Uuid;

use crate::operation::Operation;
use crate::throttle::{SharedPeak, Throttle};

/// Requests and bytes by operation, application and mailbox.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    counts: Mutex<HashMap<Key, Count>>,
    invitations: AtomicU64,
    receipts: AtomicU64,
    assertions_reused: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    operation: Operation,
    application: Option<Uuid>,
    mailbox: Option<Arc<str>>,
}

/// What one request was and came to.
pub(crate) struct Outcome {
    pub(crate) operation: Operation,
    pub(crate) application: Option<Uuid>,
    /// Address of the mailbox.
    pub(crate) mailbox: Option<Arc<str>>,
    pub(crate) status: u16,
    /// Bytes of the answer's body, and of the request's.
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Count {
    requests: u64,
    /// Answers of 400 and above, throttled ones included.
    errors: u64,
    /// Answers of 429.
    throttled: u64,
    /// Bytes of answers' bodies.
    bytes: u64,
    /// Bytes of requests' bodies.
    bytes_in: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.throttled += other.throttled;
        self.bytes += other.bytes;
        self.bytes_in += other.bytes_in;
    }
}

/// The counters as `GET /_lab/counters` gives them.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema: u32,
    total: Count,
    operations: BTreeMap<&'static str, Count>,
    applications: BTreeMap<Uuid, BTreeMap<&'static str, Count>>,
    mailboxes: BTreeMap<Arc<str>, BTreeMap<&'static str, Count>>,
    /// Mails that the lab sent by itself to invite, to tell of a change, or to call off.
    invitations_sent: u64,
    /// Receipts that went to senders because an application marked their mail as read.
    receipts_sent: u64,
    /// Client assertions that were taken a second time.
    assertions_reused: u64,
    /// Most requests that were open at once.
    peak_concurrency: Vec<Peak>,
    /// How often each limit refused a request.
    refused_by_limit: BTreeMap<&'static str, u64>,
    /// Most that was used of a limit which mailboxes share.
    shared_limits: Vec<SharedPeak>,
}

/// Most requests of an application that were open on one mailbox at once.
#[derive(Debug, Serialize)]
pub(crate) struct Peak {
    pub(crate) application: Uuid,
    pub(crate) mailbox: Arc<str>,
    pub(crate) requests: usize,
}

impl Counters {
    pub(crate) fn record(&self, outcome: Outcome) {
        let count = Count {
            requests: 1,
            errors: u64::from(outcome.status >= 400),
            throttled: u64::from(outcome.status == 429),
            bytes: outcome.sent,
            bytes_in: outcome.received,
        };
        let Outcome { operation, application, mailbox, .. } = outcome;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(Key { operation, application, mailbox }).or_default().add(count);
    }

    pub(crate) fn invitation(&self) {
        self.invitations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn receipt(&self) {
        self.receipts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn assertion_reused(&self) {
        self.assertions_reused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reset(&self) {
        self.assertions_reused.store(0, Ordering::Relaxed);
        self.invitations.store(0, Ordering::Relaxed);
        self.receipts.store(0, Ordering::Relaxed);
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn report(&self, throttle: &Throttle) -> Report {
        let mut report = Report {
            schema: 1,
            total: Count::default(),
            operations: BTreeMap::new(),
            applications: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            invitations_sent: self.invitations.load(Ordering::Relaxed),
            receipts_sent: self.receipts.load(Ordering::Relaxed),
            assertions_reused: self.assertions_reused.load(Ordering::Relaxed),
            peak_concurrency: throttle.peaks(),
            refused_by_limit: throttle.refused(),
            shared_limits: throttle.shared_peaks(),
        };
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (key, count) in counts {
            let name = key.operation.as_str();
            report.total.add(count);
            report.operations.entry(name).or_default().add(count);
            if let Some(application) = key.application {
                let by_operation = report.applications.entry(application).or_default();
                by_operation.entry(name).or_default().add(count);
            }
            if let Some(mailbox) = key.mailbox {
                report.mailboxes.entry(mailbox).or_default().entry(name).or_default().add(count);
            }
        }
        report
    }
}
