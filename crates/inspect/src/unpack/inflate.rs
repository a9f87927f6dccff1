//! DEFLATE (RFC 1951), zlib (RFC 1950) and gzip (RFC 1952), bounded and as far as it goes.

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags},
};

use super::{
    Source,
    bytes::{c_string, u16_le},
    contents::Contents,
    technique::Technique,
};

/// What is around the compressed data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    Raw,
    Zlib,
}

/// What came out.
pub(super) struct Inflated {
    pub(super) bytes: Vec<u8>,
    /// Bytes of input that belong to the stream.
    pub(super) used: usize,
    /// Whether the stream came to its end.
    pub(super) complete: bool,
    /// Whether it was cut off at the limit.
    pub(super) cut: bool,
}

/// Decompresses at most `limit` bytes. Damaged data gives what stands before the damage.
pub(super) fn inflate(packed: &[u8], wrapping: Wrapping, limit: usize) -> Inflated {
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
        | match wrapping {
            Wrapping::Raw => 0,
            Wrapping::Zlib => inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER,
        };
    let mut state = Box::<DecompressorOxide>::default();
    // Small to begin with: an archive may have thousands of files that are nothing.
    let mut bytes = vec![0; (4 << 10).min(limit)];
    let (mut used, mut filled) = (0, 0);
    let (complete, cut) = loop {
        let rest = packed.get(used..).unwrap_or_default();
        let (status, read, written) = decompress(&mut state, rest, &mut bytes, filled, flags);
        used += read;
        filled += written;
        match status {
            TINFLStatus::Done => break (true, false),
            TINFLStatus::HasMoreOutput if bytes.len() >= limit => break (false, true),
            TINFLStatus::HasMoreOutput => {
                bytes.resize(bytes.len().saturating_mul(2).max(1 << 10).min(limit), 0);
            }
            _ => break (false, false),
        }
    };
    bytes.truncate(filled);
    Inflated { bytes, used, complete, cut }
}

/// How many times larger than its packed form something is that is made to exhaust a scanner.
/// Real documents reach 100 in places (empty pages of spreadsheets), and are small.
const BOMB: usize = 150;
/// Bytes below which nothing is a bomb.
const BOMB_BYTES: usize = 8 << 20;

impl Contents<'_> {
    /// Decompresses within the budget, and says so when that is used up.
    pub(super) fn inflate(&mut self, packed: &[u8], wrapping: Wrapping) -> Inflated {
        let inflated = inflate(packed, wrapping, self.room());
        // What gives nothing is work all the same.
        self.spend(inflated.bytes.len().max(inflated.used));
        self.judge_size(inflated.used, inflated.bytes.len(), inflated.cut);
        inflated
    }

    /// What it means that so many bytes became so many.
    pub(super) fn judge_size(&mut self, packed: usize, unpacked: usize, cut: bool) {
        if cut {
            self.note("more than can be unpacked: the rest was not inspected");
        }
        if unpacked >= BOMB_BYTES && unpacked / packed.max(1) >= BOMB {
            self.mark(Technique::ArchiveBomb, format!("{packed} bytes become {unpacked} and more"));
        }
    }
}

/// Members of a gzip file; some are made of hundreds.
const MEMBERS: usize = 2_000;

/// A gzip file: its members, one after the other, are one file.
pub(super) fn read_gzip(source: &Source<'_>, contents: &mut Contents<'_>) {
    let mut name = None;
    let mut bytes = Vec::new();
    let mut rest = source.bytes;
    let mut members = 0;
    while let Some((header, stored)) = gzip_header(rest) {
        members += 1;
        if members > MEMBERS || contents.room() == 0 {
            contents.note("more than can be unpacked: the rest was not inspected");
            break;
        }
        let inflated = contents.inflate(&rest[header..], Wrapping::Raw);
        name = name.or(stored);
        bytes.extend_from_slice(&inflated.bytes);
        if !inflated.complete {
            break;
        }
        // Behind the data: checksum and size.
        rest = rest.get(header + inflated.used + 8..).unwrap_or_default();
    }
    contents.child(name.unwrap_or_else(|| without_ending(source.name)), bytes);
}

/// The length of a member's header, and the name in it.
fn gzip_header(bytes: &[u8]) -> Option<(usize, Option<String>)> {
    if !bytes.starts_with(b"\x1F\x8B\x08") {
        return None;
    }
    let flags = *bytes.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16_le(bytes, at)?);
    }
    let mut name = None;
    if flags & 8 != 0 {
        name = Some(c_string(bytes, at).into_owned());
        at += memchr::memchr(0, bytes.get(at..)?)? + 1;
    }
    if flags & 16 != 0 {
        at += memchr::memchr(0, bytes.get(at..)?)? + 1;
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at < bytes.len()).then_some((at, name))
}

/// The name of what a file of one compressed file holds.
pub(super) fn without_ending(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, "tgz" | "tbz" | "txz")) => format!("{stem}.tar"),
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => "content".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand times the letter "a".
    const PACKED: &[u8] = b"\x4b\x4c\x1c\x05\xa3\x60\x14\x0c\x77\x00\x00";

    #[test]
    fn a_stream_is_read_to_its_end_or_to_the_limit() {
        let whole = inflate(PACKED, Wrapping::Raw, 1 << 20);
        assert_eq!((whole.bytes.len(), whole.complete, whole.used), (1_000, true, PACKED.len()));
        let cut = inflate(PACKED, Wrapping::Raw, 100);
        assert_eq!((cut.bytes.len(), cut.cut), (100, true));
        let damaged = inflate(&PACKED[..4], Wrapping::Raw, 1 << 20);
        assert!(!damaged.complete && !damaged.cut);
    }
}
