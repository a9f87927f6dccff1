//! Formats of the eighties and nineties, which are in use no more but to get past filters: what
//! is packed simply is unpacked, of the rest the names are listed.

use data_encoding::BASE64;

use super::{
    Source,
    bytes::{c_string, place_le, slice, u16_le, u32_be},
    contents::Contents,
    inflate::without_ending,
    zip,
};

/// ARJ: names are listed.
pub(super) fn read_arj(source: &Source<'_>, contents: &mut Contents<'_>) {
    let bytes = source.bytes;
    let mut at = 0;
    let mut is_main = true;
    while slice(bytes, at, 2) == Some(b"\x60\xEA") {
        let (Some(len), Some(&first)) = (u16_le(bytes, at + 2), bytes.get(at + 4)) else { break };
        if len == 0 {
            break;
        }
        let name = c_string(bytes, at + 4 + usize::from(first)).into_owned();
        // Behind the header: its checksum, and extended headers, of which there are none.
        let data = at + 4 + usize::from(len) + 4 + 2;
        if is_main {
            at = data;
            is_main = false;
            continue;
        }
        let (Some(size), Some(&method)) = (place_le(bytes, at + 4 + 12), bytes.get(at + 4 + 5))
        else {
            break;
        };
        if method == 0 {
            contents.piece(name, super::bytes::prefix(bytes, data, size));
        } else {
            zip::list(&name, contents);
            contents.note(format!("'{name}' is packed in a way that is not inspected"));
        }
        at = data.saturating_add(size);
    }
}

/// ACE and LZH: the names that stand in the file.
pub(super) fn read_listed(source: &Source<'_>, contents: &mut Contents<'_>) {
    contents.note("files in an archive of this kind were not inspected");
    for name in words(source.bytes) {
        zip::list(&name, contents);
    }
}

/// Pieces that look like file names.
fn words(bytes: &[u8]) -> Vec<String> {
    const LOOK: usize = 1 << 20;
    let bytes = &bytes[..bytes.len().min(LOOK)];
    bytes
        .split(|b| !b.is_ascii_graphic() && *b != b' ')
        .filter(|word| (5..200).contains(&word.len()) && word.contains(&b'.'))
        .take(1_000)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// `COMPRESS.EXE` of DOS: LZSS with a window of 4 KiB.
pub(super) fn read_szdd(source: &Source<'_>, contents: &mut Contents<'_>) {
    let limit = place_le(source.bytes, 10).unwrap_or_default().min(contents.room());
    let mut window = [b' '; 4096];
    let mut position = 4096 - 16;
    let mut out = Vec::new();
    let mut put = |byte: u8, window: &mut [u8; 4096], out: &mut Vec<u8>| {
        window[position] = byte;
        position = (position + 1) % 4096;
        out.push(byte);
    };
    let mut input = source.bytes.get(14..).unwrap_or_default().iter().copied();
    'all: while let Some(flags) = input.next() {
        for bit in 0..8 {
            if out.len() >= limit {
                break 'all;
            }
            let Some(byte) = input.next() else { break 'all };
            if flags >> bit & 1 == 1 {
                put(byte, &mut window, &mut out);
                continue;
            }
            let Some(high) = input.next() else { break 'all };
            let from = usize::from(byte) | usize::from(high & 0xF0) << 4;
            for index in 0..usize::from(high & 0xF) + 3 {
                let byte = window[(from + index) % 4096];
                put(byte, &mut window, &mut out);
            }
        }
    }
    out.truncate(limit);
    contents.spend(out.len());
    contents.child(without_ending(source.name), out);
}

/// uuencode (POSIX), with its Base64 form.
pub(super) fn read_uu(source: &Source<'_>, contents: &mut Contents<'_>) {
    let mut lines = source.bytes.split(|b| *b == b'\n');
    let first = lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    let name = first.split_whitespace().nth(2).unwrap_or("content").to_owned();
    let mut out = Vec::new();
    for line in lines {
        let line = line.trim_ascii_end();
        if line.starts_with(b"end") || out.len() > contents.room() {
            break;
        }
        let Some((&len, data)) = line.split_first() else { continue };
        let wanted = usize::from(len.wrapping_sub(32) & 63);
        let mut group = Vec::with_capacity(45);
        for four in data.chunks(4) {
            let bits = (0..4).fold(0_u32, |bits, index| {
                let byte = four.get(index).copied().unwrap_or(b' ');
                bits << 6 | u32::from(byte.wrapping_sub(32) & 63)
            });
            group.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
        group.truncate(wanted);
        out.extend_from_slice(&group);
    }
    contents.spend(out.len());
    contents.child(name, out);
}

/// BinHex 4.0 (RFC 1741): the data fork.
pub(super) fn read_binhex(source: &Source<'_>, contents: &mut Contents<'_>) {
    const ALPHABET: &[u8; 64] =
        b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
    let Some(start) = memchr::memmem::find(source.bytes, b"\n:")
        .or_else(|| memchr::memmem::find(source.bytes, b"\r:"))
    else {
        return;
    };
    let (mut bits, mut count) = (0_u32, 0);
    let mut packed = Vec::new();
    for &byte in source.bytes[start + 2..].iter().take_while(|b| **b != b':') {
        let Some(value) = ALPHABET.iter().position(|known| *known == byte) else { continue };
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            packed.push((bits >> count & 0xFF) as u8);
        }
    }
    // Runs: 0x90 and how often what stands in front of it is there.
    let mut out: Vec<u8> = Vec::new();
    let mut input = packed.into_iter();
    while let Some(byte) = input.next() {
        match (byte, if byte == 0x90 { input.next() } else { None }) {
            (0x90, Some(0)) => out.push(0x90),
            (0x90, Some(times)) => {
                let last = out.last().copied().unwrap_or_default();
                out.resize(out.len() + usize::from(times).saturating_sub(1), last);
            }
            (byte, _) => out.push(byte),
        }
        if out.len() > contents.room() {
            break;
        }
    }
    contents.spend(out.len());
    let Some((&len, rest)) = out.split_first() else { return };
    let len = usize::from(len);
    let name = String::from_utf8_lossy(super::bytes::prefix(rest, 0, len)).into_owned();
    let size = u32_be(rest, len + 11).unwrap_or_default() as usize;
    contents.child(name, super::bytes::prefix(rest, len + 21, size).to_vec());
}

/// Text of nothing but Base64: somebody's mail program left it so.
pub(super) fn base64_file(bytes: &[u8]) -> Option<Vec<u8>> {
    let packed: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    if packed.len() < 64 {
        return None;
    }
    BASE64.decode(&packed).ok()
}
