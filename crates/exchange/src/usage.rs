use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What was asked of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests as the provider counts them, repeated ones included: those in a batch, and the batch.
    pub requests: u64,
    /// Of these, answered with 429.
    pub throttled: u64,
    /// Of these, sent again after a fault of the network or the server.
    pub retried: u64,
    /// Bytes of message content received.
    pub content_bytes: u64,
}

/// The counters behind [`Usage`], shared by clones.
#[derive(Clone, Default)]
pub(crate) struct Counters(Arc<Cells>);

#[derive(Default)]
struct Cells {
    requests: AtomicU64,
    throttled: AtomicU64,
    retried: AtomicU64,
    content_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add_request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_throttled(&self) {
        self.0.throttled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_retried(&self) {
        self.0.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.0.content_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Usage {
        Usage {
            requests: self.0.requests.load(Ordering::Relaxed),
            throttled: self.0.throttled.load(Ordering::Relaxed),
            retried: self.0.retried.load(Ordering::Relaxed),
            content_bytes: self.0.content_bytes.load(Ordering::Relaxed),
        }
    }
}
