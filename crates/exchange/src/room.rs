//! How much of what has to be held in memory whole is held at the same time, over all mailboxes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that a permit stands for: a semaphore counts no further than a `u32`.
const UNIT: u64 = 64 << 10;
/// Units for what is held at the same time, 32 MiB. Its holders make copies, in text that is longer
/// by a third: it is the quarter of what they take. What is larger comes alone.
const ROOM: u32 = 512;

/// Room in memory, shared by everything that a provider reads.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM as usize)))
    }
}

impl Room {
    /// Waits until there is room for so many bytes. Nothing else that others wait for may be held
    /// meanwhile.
    pub(crate) async fn take(&self, bytes: u64) -> Held {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(ROOM).min(ROOM);
        let taken = Arc::clone(&self.0).acquire_many_owned(units).await;
        Held(Some(Arc::new(taken.expect("the semaphore is never closed"))))
    }
}

/// Room that is taken until the last copy of this is dropped. The default is none: for what is
/// small.
#[derive(Clone, Debug, Default)]
pub struct Held(#[allow(dead_code)] Option<Arc<OwnedSemaphorePermit>>);

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    /// What comes without waiting.
    fn at_once(taking: impl Future<Output = Held>) -> Option<Held> {
        match pin!(taking).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(held) => Some(held),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn large_attachments_come_one_after_the_other_and_small_ones_together() {
        let room = Room::default();
        let large = room.take(30 << 20).await;
        assert!(at_once(room.take(30 << 20)).is_none());
        let copy = large.clone();
        drop(large);
        assert!(at_once(room.take(30 << 20)).is_none(), "a copy is still held");
        drop(copy);
        let small: Vec<_> = (0..40).filter_map(|_| at_once(room.take(1 << 20))).collect();
        assert_eq!(small.len(), 32);
        assert!(at_once(room.take(0)).is_some(), "an event without attachments waits");
    }

    #[tokio::test]
    async fn what_is_larger_than_all_the_room_comes_all_the_same_but_alone() {
        let room = Room::default();
        let whole = room.take(u64::MAX).await;
        assert!(at_once(room.take(1)).is_none());
        drop(whole);
        assert!(at_once(room.take(150 << 20)).is_some());
    }
}
