//! A file of records, one line each, every one naming the hash of the one before.
//!
//! ```text
//! {"seq":2,"prev":"<hash of record 1>","time":"…","event":{…},"hash":"<hash of this record>"}
//! ```
//!
//! The hash is SHA-256 over the chain's domain, a line feed, and the very bytes of the line in
//! front of `,"hash":`. So a record has one form only, nobody has to agree on how JSON is
//! written, and every byte of a line counts. The first record's number is 1 and its `prev` is
//! all zeros.

mod line;
mod verify;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

pub use line::{LineError, MAX_LINE};
pub(crate) use line::{encode_line, parse_line};
pub use verify::{Fault, FaultKind, Summary, Torn};
pub(crate) use verify::{verify, verify_on, verify_seen};

/// No record has a higher number, so that there is always one behind it.
pub(crate) const HIGHEST: u64 = u64::MAX >> 1;

/// What the records of one kind of chain hold.
pub(crate) trait Event: Serialize + DeserializeOwned {
    /// Goes into every hash, so that a line of one kind of chain is no line of another.
    const DOMAIN: &'static str;
    /// Whether old records may be let go of: then the chain begins with a [`Begins`] line.
    const MAY_BEGIN_LATER: bool = false;
}

/// In front of a chain from whose beginning records were taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begins {
    /// The last record that is not there any more.
    pub(crate) begins_after: Head,
}

impl Begins {
    /// Reads the first line of a chain; `None` when it is a record like others, or nothing that is written.
    pub(crate) fn read<E: Event>(line: &[u8]) -> Option<Self> {
        let may = E::MAY_BEGIN_LATER && line.starts_with(b"{\"begins_after\":");
        let read: Option<Self> = serde_json::from_slice(line).ok().filter(|_| may);
        read.filter(|begins| (1..=HIGHEST).contains(&begins.begins_after.seq))
    }
}

/// SHA-256 of a record; written as 64 hexadecimal digits, lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub(crate) [u8; 32]);

impl Hash {
    /// What the first record names as the hash before it.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(LineError::NotARecord("a hash is not 64 hexadecimal digits"))
    }
}

impl TryFrom<String> for Hash {
    type Error = LineError;

    fn try_from(text: String) -> Result<Self, LineError> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

/// The last record of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number; 0 when there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// The head of an empty chain.
    pub const EMPTY: Self = Self { seq: 0, hash: Hash::ZERO };
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<E> {
    /// Its number; without gaps, from 1.
    pub seq: u64,
    /// Hash of the record before.
    pub prev: Hash,
    /// When it was written, by the writer's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// What happened.
    pub event: E,
    /// Its own hash.
    pub hash: Hash,
}
