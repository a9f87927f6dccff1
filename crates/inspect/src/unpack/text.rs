//! Files that are text.

use super::{FileKind, Source, bytes, contents::Contents, names};
use crate::message::decode_text;

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let text = decode(source);
    let is_page = source.kind == FileKind::Html
        || matches!(source.declared, "text/html" | "application/xhtml+xml")
        || matches!(names::ending(source.name).as_str(), "html" | "htm" | "xhtml" | "shtml");
    if is_page {
        contents.html(text);
    } else {
        contents.text(text);
    }
}

/// The text, by its byte order mark, else by the character set that the message declares.
pub(super) fn decode(source: &Source<'_>) -> String {
    match source.bytes {
        [0xFF, 0xFE, rest @ ..] => bytes::utf16_le(rest),
        [0xFE, 0xFF, rest @ ..] => {
            let swapped: Vec<u8> =
                rest.as_chunks::<2>().0.iter().flat_map(|&[a, b]| [b, a]).collect();
            bytes::utf16_le(&swapped)
        }
        all => decode_text(all, source.charset),
    }
}
