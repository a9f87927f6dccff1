//! Reading numbers and pieces of files that lie about their lengths.

use std::borrow::Cow;

/// The `len` bytes at `at`; `None` where they are not all there.
pub(super) fn slice(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}

/// The bytes from `at`, at most `len`; as many as are there.
pub(super) fn prefix(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    &rest[..rest.len().min(len)]
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    slice(bytes, at, N)?.try_into().ok()
}

pub(super) fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_le(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

pub(super) fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// A 32-bit number as a place in memory.
pub(super) fn place_le(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_le(bytes, at)?).ok()
}

/// The bytes in front of the first zero, as text.
pub(super) fn c_string(bytes: &[u8], at: usize) -> Cow<'_, str> {
    let rest = bytes.get(at..).unwrap_or_default();
    let end = memchr::memchr(0, rest).unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end])
}

/// UTF-16 in little-endian order; half a unit at the end is dropped.
pub(super) fn utf16_le(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// One byte per character, as Windows-1252 is nearly.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Whether `needle`, which is in lower case, stands in the bytes, whatever their case.
pub(super) fn contains_ignoring_case(bytes: &[u8], needle: &[u8]) -> bool {
    find_ignoring_case(bytes, needle, 0).is_some()
}

/// Where `needle`, which is in lower case and not empty, next stands at or behind `from`.
pub(super) fn find_ignoring_case(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        at += memchr::memchr2(first, first.to_ascii_uppercase(), rest)?;
        if slice(bytes, at, needle.len())?.eq_ignore_ascii_case(needle) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_read() {
        assert_eq!(slice(b"abc", 1, 2), Some(&b"bc"[..]));
        assert_eq!(slice(b"abc", 2, 2), None);
        assert_eq!(slice(b"abc", usize::MAX, 2), None);
        assert_eq!(u32_le(b"abc", 0), None);
        assert_eq!(u32_le(&[1, 0, 0, 0], 0), Some(1));
        assert_eq!(utf16_le(b"a\0b\0c"), "ab");
        assert_eq!(c_string(b"ab\0c", 0), "ab");
        assert_eq!(find_ignoring_case(b"xxAuTo", b"auto", 0), Some(2));
        assert_eq!(find_ignoring_case(b"xxAuT", b"auto", 0), None);
    }
}
