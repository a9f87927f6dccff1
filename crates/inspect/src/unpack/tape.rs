//! Archives that are a row of files with headers: tar (POSIX.1-2001 ustar with GNU's long names)
//! and cpio (its binary, old and new ASCII forms).

use super::{
    Source,
    bytes::{c_string, slice, u16_be, u16_le},
    contents::Contents,
};

/// Headers that are read; more than a message may hold files anyway.
const HEADERS: usize = 20_000;

pub(super) fn read_tar(source: &Source<'_>, contents: &mut Contents<'_>) {
    let bytes = source.bytes;
    let mut at = 0;
    let mut long_name = None;
    for _ in 0..HEADERS {
        let Some(header) = slice(bytes, at, 512) else { break };
        if header[0] == 0 && header.iter().all(|b| *b == 0) {
            break;
        }
        let Some(size) = octal(&header[124..136]) else { break };
        let data = super::bytes::prefix(bytes, at + 512, size);
        match header[156] {
            b'L' => long_name = Some(c_string(data, 0).into_owned()),
            0 | b'0' | b'7' => {
                let name =
                    long_name.take().unwrap_or_else(|| c_string(&header[..100], 0).into_owned());
                contents.piece(name, data);
            }
            _ => {}
        }
        at = at.saturating_add(512).saturating_add(size.next_multiple_of(512));
    }
}

fn octal(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    // No file here is longer than its archive, and larger numbers would overflow sums.
    usize::from_str_radix(text, 8).ok().filter(|size| *size < 1 << 40)
}

/// One header of cpio: the length of header and name together, the name's, and the content's.
struct Cpio {
    header: usize,
    name: usize,
    size: usize,
    /// To what names and contents are padded.
    align: usize,
}

pub(super) fn read_cpio(source: &Source<'_>, contents: &mut Contents<'_>) {
    let bytes = source.bytes;
    let mut at = 0;
    for _ in 0..HEADERS {
        let Some(header) = bytes.get(at..).and_then(cpio_header) else { break };
        let name = c_string(slice(bytes, at + header.header, header.name).unwrap_or_default(), 0);
        if name == "TRAILER!!!" || name.is_empty() {
            break;
        }
        let data = at + (header.header + header.name).next_multiple_of(header.align);
        contents.piece(name, super::bytes::prefix(bytes, data, header.size));
        at = data.saturating_add(header.size.next_multiple_of(header.align));
    }
}

fn cpio_header(bytes: &[u8]) -> Option<Cpio> {
    let number = |at, len, radix| {
        let text = std::str::from_utf8(slice(bytes, at, len)?).ok()?;
        usize::from_str_radix(text, radix).ok().filter(|size| *size < 1 << 40)
    };
    let words = |word: fn(&[u8], usize) -> Option<u16>| {
        let high = usize::from(word(bytes, 22)?) << 16;
        Some(Cpio {
            header: 26,
            name: usize::from(word(bytes, 20)?),
            size: high | usize::from(word(bytes, 24)?),
            align: 2,
        })
    };
    match bytes {
        [b'0', b'7', b'0', b'7', b'0', b'1' | b'2', ..] => {
            Some(Cpio { header: 110, name: number(94, 8, 16)?, size: number(54, 8, 16)?, align: 4 })
        }
        [b'0', b'7', b'0', b'7', b'0', b'7', ..] => {
            Some(Cpio { header: 76, name: number(59, 6, 8)?, size: number(65, 11, 8)?, align: 1 })
        }
        [0xC7, 0x71, ..] => words(u16_le),
        [0x71, 0xC7, ..] => words(u16_be),
        _ => None,
    }
}
