use std::{
    fmt,
    io::{self, BufRead, Read},
};

use time::OffsetDateTime;

use super::{
    Begins, Event, Head, LineError, MAX_LINE, Record,
    line::{is_torn, parse_line},
};

/// What a whole chain comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its last record.
    pub head: Head,
    /// The number of the last record that was let go of; 0 when it has all of them.
    pub begins_after: u64,
    /// When its first record was written.
    pub first: Option<OffsetDateTime>,
    /// When its last record was written.
    pub last: Option<OffsetDateTime>,
    /// Bytes up to the end of the last whole record.
    pub bytes: u64,
    /// What is left of a record that a crash kept from being written. Legal: nothing is
    /// answered before its record is whole.
    pub torn: Option<Torn>,
}

impl Summary {
    /// Of a chain of which nothing was read yet.
    pub const EMPTY: Self =
        Self { head: Head::EMPTY, begins_after: 0, first: None, last: None, bytes: 0, torn: None };

    /// How many lines it has, without what is torn.
    fn lines(&self) -> u64 {
        let begins_later = self.begins_after > 0;
        self.head.seq - self.begins_after + u64::from(begins_later)
    }
}

/// The beginning of a record at the end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// The first place where a chain is not what its writer wrote.
#[derive(Debug, thiserror::Error)]
#[error("line {line} (byte {offset}), where record {expected} belongs: {kind}")]
pub struct Fault {
    /// The line, from 1.
    pub line: u64,
    /// Where that line begins, in bytes.
    pub offset: u64,
    /// The number of the record that belongs there.
    pub expected: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with a chain.
#[derive(Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// The file cannot be read.
    Io(io::Error),
    /// The line is not a record, or not as it was written.
    Line(LineError),
    /// A record is missing; this one stands there instead, and the missing one comes nowhere.
    Gap {
        /// The number that stands there.
        found: u64,
    },
    /// The records are all there, but not in their order.
    Reordered {
        /// The number that stands there.
        found: u64,
    },
    /// A record that came before is there again.
    Repeated {
        /// Its number.
        found: u64,
    },
    /// The record has the right number and is whole, but does not follow from the one before:
    /// one of both was replaced.
    Spliced,
    /// The file ends in bytes that are neither a record nor the beginning of the next one.
    Trailing,
    /// The record is whole and in its place, but a checkpoint says that another one was there.
    NotAsWitnessed,
    /// The chain ends before a record that a checkpoint says was there.
    Truncated {
        /// The number of that record.
        witnessed: u64,
    },
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Line(error) => error.fmt(f),
            Self::Gap { found } => write!(f, "a record is missing; record {found} stands there"),
            Self::Reordered { found } => {
                write!(f, "the records are out of order; record {found} stands there")
            }
            Self::Repeated { found } => write!(f, "record {found} is there a second time"),
            Self::Spliced => {
                f.write_str("it does not follow from the record before: one of both was replaced")
            }
            Self::Trailing => f.write_str("bytes that are not a record end the file"),
            Self::NotAsWitnessed => f.write_str("a checkpoint says that another record was there"),
            Self::Truncated { witnessed } => {
                write!(f, "the chain ends, but a checkpoint has seen record {witnessed}")
            }
        }
    }
}

/// Reads a whole chain, a line at a time, and gives every good record to `each`, which may object.
pub(crate) fn verify<E: Event>(
    reader: impl BufRead,
    mut each: impl FnMut(&Record<E>) -> Result<(), FaultKind>,
) -> Result<Summary, Fault> {
    verify_on(reader, &Summary::EMPTY, |record, _| record.map_or(Ok(()), &mut each))
}

/// [`verify`] of what is behind the whole records that were read before. What is handed out is the record
/// and its line, with the line feed; no record for the line in front that says where the chain begins.
pub(crate) fn verify_on<E: Event>(
    mut reader: impl BufRead,
    so_far: &Summary,
    mut each: impl FnMut(Option<&Record<E>>, &[u8]) -> Result<(), FaultKind>,
) -> Result<Summary, Fault> {
    let mut summary = Summary { torn: None, ..*so_far };
    let mut line = Vec::new();
    for number in so_far.lines() + 1.. {
        let fault = |summary: &Summary, kind| Fault {
            line: number,
            offset: summary.bytes,
            expected: summary.head.seq + 1,
            kind,
        };
        read_line(&mut reader, &mut line).map_err(|e| fault(&summary, FaultKind::Io(e)))?;
        if line.is_empty() {
            break;
        }
        let Some(content) = line.strip_suffix(b"\n") else {
            if line.len() >= MAX_LINE {
                return Err(fault(&summary, FaultKind::Line(LineError::TooLong)));
            }
            if !is_torn::<E>(&summary.head, &line) {
                return Err(fault(&summary, FaultKind::Trailing));
            }
            summary.torn = Some(Torn { offset: summary.bytes, bytes: line.len() as u64 });
            break;
        };
        if number == 1
            && let Some(begins) = Begins::read::<E>(content)
        {
            summary.head = begins.begins_after;
            summary.begins_after = begins.begins_after.seq;
            summary.bytes += line.len() as u64;
            each(None, &line).map_err(|kind| fault(&summary, kind))?;
            continue;
        }
        let record = parse_line::<E>(content)
            .map_err(FaultKind::Line)
            .and_then(|record| in_place(&summary.head, record))
            .and_then(|record| each(Some(&record), &line).map(|()| record))
            .map_err(|kind| fault(&summary, look_further::<E>(&mut reader, &summary.head, kind)))?;
        summary.head = Head { seq: record.seq, hash: record.hash };
        summary.first = summary.first.or(Some(record.time));
        summary.last = Some(record.time);
        summary.bytes += line.len() as u64;
    }
    Ok(summary)
}

/// [`verify`], and holds the chain against heads of it that were seen before, in any order.
pub(crate) fn verify_seen<E: Event>(
    reader: impl BufRead,
    seen: impl IntoIterator<Item = Head>,
    mut each: impl FnMut(&Record<E>),
) -> Result<Summary, Fault> {
    let mut seen: Vec<Head> = seen.into_iter().filter(|head| head.seq > 0).collect();
    seen.sort_unstable_by_key(|head| head.seq);
    let mut left = seen.as_slice();
    let summary = verify(reader, |record: &Record<E>| {
        while let Some((head, rest)) = left.split_first()
            && head.seq == record.seq
        {
            if head.hash != record.hash {
                return Err(FaultKind::NotAsWitnessed);
            }
            left = rest;
        }
        each(record);
        Ok(())
    })?;
    match left.last() {
        None => Ok(summary),
        Some(head) => {
            let expected = summary.head.seq + 1;
            let kind = FaultKind::Truncated { witnessed: head.seq };
            Err(Fault { line: expected, offset: summary.bytes, expected, kind })
        }
    }
}

fn in_place<E>(head: &Head, record: Record<E>) -> Result<Record<E>, FaultKind> {
    let found = record.seq;
    match found.cmp(&(head.seq + 1)) {
        std::cmp::Ordering::Less => Err(FaultKind::Repeated { found }),
        std::cmp::Ordering::Greater => Err(FaultKind::Gap { found }),
        std::cmp::Ordering::Equal if record.prev != head.hash => Err(FaultKind::Spliced),
        std::cmp::Ordering::Equal => Ok(record),
    }
}

/// A gap is an exchange of places when the missing record comes later.
fn look_further<E: Event>(reader: &mut impl BufRead, head: &Head, kind: FaultKind) -> FaultKind {
    let FaultKind::Gap { found } = kind else { return kind };
    let mut line = Vec::new();
    while read_line(reader, &mut line).is_ok() && !line.is_empty() {
        let record = line.strip_suffix(b"\n").map(parse_line::<E>);
        if matches!(record, Some(Ok(record)) if record.seq == head.seq + 1) {
            return FaultKind::Reordered { found };
        }
    }
    kind
}

/// The next line with its line feed, at most [`MAX_LINE`] bytes of it; empty at the end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    reader.take(MAX_LINE as u64).read_until(b'\n', line).map(drop)
}
