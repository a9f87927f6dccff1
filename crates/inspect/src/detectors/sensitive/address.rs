use std::ops::Range;

use memchr::{memchr, memmem};

/// Whether the word around a place is a URL, an e-mail address or a message id. Further away than
/// this its beginning is not looked for.
pub(super) fn in_address(text: &str, place: &Range<usize>) -> bool {
    const NEAR: usize = 400;
    let bytes = text.as_bytes();
    let is_border = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'>' | b'|');
    let before = &bytes[place.start.saturating_sub(NEAR)..place.start];
    let start = before.iter().rposition(|b| is_border(b) || *b == b'<').map_or(0, |at| at + 1);
    let before = &before[start..];
    let after = &bytes[place.end..(place.end + NEAR).min(bytes.len())];
    let after = &after[..after.iter().position(is_border).unwrap_or(after.len())];
    memchr(b'@', before).is_some()
        || memchr(b'@', after).is_some()
        || memmem::find(before, b"://").is_some()
        || memmem::find(before, b"www.").is_some()
}
