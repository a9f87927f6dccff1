use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{Event, HIGHEST, Hash, Head, Record};

/// Most bytes in a line, with its line feed.
pub const MAX_LINE: usize = 16 * 1024;

/// Stands between the hashed part of a line and its hash. It cannot occur in the hashed part: in
/// JSON texts quotes are escaped, and no event has a field of this name.
const HASH_KEY: &[u8] = br#","hash":""#;
const END: &[u8] = br#""}"#;
const HEX: usize = 64;

/// A line is not a record of this chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Longer than [`MAX_LINE`].
    #[error("longer than 16384 bytes")]
    TooLong,
    /// Not of the shape of a record.
    #[error("not a record: {0}")]
    NotARecord(&'static str),
    /// Its hash is not that of its content.
    #[error("its hash is not that of its content: it was edited")]
    Edited,
    /// The content is what was written, but this version cannot read it.
    #[error("this version cannot read it (byte {column}): written by a later one?")]
    Unreadable {
        /// Where.
        column: usize,
    },
}

/// The line (with its line feed) of the record that follows `head`, and the head after it.
pub(crate) fn encode_line<E: Event>(
    head: &Head,
    time: OffsetDateTime,
    event: &E,
) -> Result<(Vec<u8>, Head), LineError> {
    #[derive(Serialize)]
    struct Body<'a, E> {
        seq: u64,
        prev: &'a Hash,
        #[serde(with = "time::serde::rfc3339")]
        time: OffsetDateTime,
        event: &'a E,
    }

    let seq = head.seq + 1;
    let time = time.to_offset(time::UtcOffset::UTC);
    let mut line = serde_json::to_vec(&Body { seq, prev: &head.hash, time, event })
        .map_err(|_| LineError::NotARecord("the event cannot be written as JSON"))?;
    line.pop(); // the closing brace: the hash comes in front of it
    let hash = hash_of::<E>(&line);
    line.extend_from_slice(HASH_KEY);
    line.extend_from_slice(hash.to_string().as_bytes());
    line.extend_from_slice(END);
    line.push(b'\n');
    if line.len() > MAX_LINE { Err(LineError::TooLong) } else { Ok((line, Head { seq, hash })) }
}

/// Reads a line (without its line feed) and checks its own hash.
pub(crate) fn parse_line<E: Event>(line: &[u8]) -> Result<Record<E>, LineError> {
    if line.len() >= MAX_LINE {
        return Err(LineError::TooLong);
    }
    let shape = || LineError::NotARecord("it does not end in a hash");
    let rest = line.strip_suffix(END).ok_or_else(shape)?;
    let (rest, hex) = rest.split_at_checked(rest.len().wrapping_sub(HEX)).ok_or_else(shape)?;
    let body = rest.strip_suffix(HASH_KEY).ok_or_else(shape)?;
    let hash: Hash = std::str::from_utf8(hex).map_err(|_| shape())?.parse()?;
    if hash != hash_of::<E>(body) {
        return Err(LineError::Edited);
    }
    let unreadable = |error: serde_json::Error| LineError::Unreadable { column: error.column() };
    let record: Record<E> = serde_json::from_slice(line).map_err(unreadable)?;
    match record.seq {
        ..=HIGHEST => Ok(record),
        _ => Err(LineError::NotARecord("no record has so high a number")),
    }
}

/// Whether `tail`, which ends the file without a line feed, can be what a crash left of the
/// record that was to follow `head`: a piece of its beginning. After a power failure, some file
/// systems show zeros where nothing was written.
pub(super) fn is_torn<E: Event>(head: &Head, tail: &[u8]) -> bool {
    let zeros = tail.iter().rev().take_while(|byte| **byte == 0).count();
    let tail = &tail[..tail.len() - zeros];
    let beginning = format!(r#"{{"seq":{},"prev":"{}","time":""#, head.seq + 1, head.hash);
    let common = beginning.len().min(tail.len());
    if tail[..common] != beginning.as_bytes()[..common] {
        return false;
    }
    match tail.windows(HASH_KEY.len()).position(|window| window == HASH_KEY) {
        None => true,
        Some(at) => {
            let mut end = hash_of::<E>(&tail[..at]).to_string().into_bytes();
            end.extend_from_slice(END);
            end.starts_with(&tail[at + HASH_KEY.len()..])
        }
    }
}

fn hash_of<E: Event>(body: &[u8]) -> Hash {
    let digest = Sha256::new().chain_update(E::DOMAIN).chain_update(b"\n").chain_update(body);
    Hash(digest.finalize().into())
}
