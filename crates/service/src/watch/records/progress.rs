//! How far a chain was read and found to be whole.

use mailkeep_identity::{Head, Record, Summary};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// Of so many records, it is remembered where the first one begins.
const STRIDE: u64 = 64;

/// A chain as far as it was verified.
#[derive(Clone)]
pub(super) struct Progress {
    pub(super) so_far: Summary,
    /// Over every byte of it.
    digest: Sha256,
    /// The number of the first record: old receipts are let go of.
    first: Option<u64>,
    /// Where that record, the 64th behind it, the 128th, … begin.
    marks: Vec<u64>,
    /// When the last record was written, as far as that is believed: whoever writes records may write any
    /// time into them. Never earlier than for the one before, and never later than it was read.
    believed: OffsetDateTime,
    bytes: u64,
}

/// Where a record is looked for: behind so many others from that byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) from: u64,
    pub(super) behind: usize,
}

/// What is known of a record that somebody has seen, without a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is the last one, or there was none to see.
    There,
    /// Another one stands there, or none.
    Missing,
    /// It has to be looked up.
    Look(Place),
}

impl Progress {
    /// Nothing read yet.
    pub(super) fn none() -> Self {
        Self {
            so_far: Summary::EMPTY,
            digest: Sha256::new(),
            first: None,
            marks: Vec::new(),
            believed: OffsetDateTime::UNIX_EPOCH,
            bytes: 0,
        }
    }

    /// Takes the next record in, which was found to be in its place, with its line; when it was written.
    pub(super) fn take<E>(
        &mut self,
        record: &Record<E>,
        line: &[u8],
        now: OffsetDateTime,
    ) -> OffsetDateTime {
        let first = *self.first.get_or_insert(record.seq);
        if (record.seq - first).is_multiple_of(STRIDE) {
            self.marks.push(self.bytes);
        }
        self.take_line(line);
        self.believed = self.believed.max(record.time.min(now));
        self.believed
    }

    /// Takes the next line in: one that is no record.
    pub(super) fn take_line(&mut self, line: &[u8]) {
        self.bytes += line.len() as u64;
        self.digest.update(line);
    }

    /// What comes from now on was not there when this was read: it is no older than that.
    pub(super) fn read_to_the_end(&mut self, so_far: Summary, at: OffsetDateTime) {
        self.so_far = so_far;
        self.believed = self.believed.max(at);
    }

    /// When the last record was written, as far as that is believed.
    pub(super) fn believed(&self) -> OffsetDateTime {
        self.believed
    }

    /// SHA-256 over all bytes so far.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Whether a record that was seen before is in the chain.
    pub(super) fn has(&self, head: &Head) -> Seen {
        if head.seq == 0 || *head == self.so_far.head {
            return Seen::There;
        }
        let before = self.first.and_then(|first| head.seq.checked_sub(first));
        let Some(before) = before.filter(|_| head.seq < self.so_far.head.seq) else {
            return Seen::Missing;
        };
        let (block, behind) = (before / STRIDE, before % STRIDE);
        let from = usize::try_from(block).ok().and_then(|block| self.marks.get(block));
        match (from, usize::try_from(behind)) {
            (Some(from), Ok(behind)) => Seen::Look(Place { from: *from, behind }),
            _ => Seen::Missing,
        }
    }
}
