//! RAR 4 and 5: stored files are unpacked, of others the names are listed. Its compression is not
//! documented, and code that undoes it may not be used here (the licence of unrar forbids it).

use super::{
    Source,
    bytes::{latin1, place_le, prefix, slice, u16_le},
    contents::Contents,
    technique::Technique,
    zip,
};

/// Headers that are read.
const HEADERS: usize = 20_000;

/// A file of the archive.
struct File<'r> {
    name: String,
    encrypted: bool,
    /// The content where it is only stored.
    stored: Option<&'r [u8]>,
}

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let (files, closed) = match source.bytes {
        [b'R', b'a', b'r', b'!', 0x1A, 7, 1, 0, ..] => version_5(source.bytes),
        bytes => version_4(bytes),
    };
    if closed {
        contents.mark(Technique::Encrypted, "the archive and the names in it are encrypted");
        contents.note("encrypted files were not inspected");
    }
    let (locked, open): (Vec<File<'_>>, Vec<File<'_>>) =
        files.into_iter().partition(|file| file.encrypted);
    let names: Vec<&str> = locked.iter().map(|file| file.name.as_str()).collect();
    zip::encrypted(&names, contents);
    for file in open {
        if let Some(bytes) = file.stored {
            contents.piece(file.name, bytes);
        } else {
            zip::list(&file.name, contents);
            contents.note("files that are packed with RAR were not inspected");
        }
    }
}

/// The files, and whether even the headers are encrypted (RAR's TechNote.txt of version 4).
fn version_4(bytes: &[u8]) -> (Vec<File<'_>>, bool) {
    let mut files = Vec::new();
    let mut at = 7;
    for _ in 0..HEADERS {
        let Some((kind, flags, len)) = header_4(bytes, at) else { break };
        let mut data = 0;
        match kind {
            0x73 if flags & 0x80 != 0 => return (files, true),
            0x74 => {
                let Some(file) = file_4(bytes, at, flags, len) else { break };
                data = place_le(bytes, at + 7).unwrap_or_default();
                files.push(file);
            }
            _ if flags & 0x8000 != 0 => data = place_le(bytes, at + 7).unwrap_or_default(),
            _ => {}
        }
        at = at.saturating_add(len.max(7)).saturating_add(data);
    }
    (files, false)
}

fn header_4(bytes: &[u8], at: usize) -> Option<(u8, u16, usize)> {
    Some((*bytes.get(at + 2)?, u16_le(bytes, at + 3)?, usize::from(u16_le(bytes, at + 5)?)))
}

fn file_4(bytes: &[u8], at: usize, flags: u16, len: usize) -> Option<File<'_>> {
    let size = place_le(bytes, at + 7)?;
    let method = *bytes.get(at + 25)?;
    let name_len = usize::from(u16_le(bytes, at + 26)?);
    let from = at + 32 + if flags & 0x100 != 0 { 8 } else { 0 };
    let name = slice(bytes, from, name_len)?;
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    let name = String::from_utf8(name.to_vec()).unwrap_or_else(|_| latin1(name));
    Some(File {
        name,
        encrypted: flags & 4 != 0,
        stored: (method == 0x30).then(|| prefix(bytes, at + len, size)),
    })
}

/// The same for version 5 (its archive format note).
fn version_5(bytes: &[u8]) -> (Vec<File<'_>>, bool) {
    let mut files = Vec::new();
    let mut at = 8;
    for _ in 0..HEADERS {
        let Some((file, next, kind)) = header_5(bytes, at) else { break };
        if kind == 4 {
            return (files, true);
        }
        files.extend(file);
        at = next;
    }
    (files, false)
}

/// A header: the file that it tells of, where the next one is, and its kind.
fn header_5(bytes: &[u8], at: usize) -> Option<(Option<File<'_>>, usize, u64)> {
    let mut input = at.checked_add(4)?;
    let size = usize::try_from(number(bytes, &mut input)?).ok()?;
    let end = input.checked_add(size).filter(|end| *end <= bytes.len() && size > 0)?;
    let kind = number(bytes, &mut input)?;
    let flags = number(bytes, &mut input)?;
    let extra = if flags & 1 != 0 { usize::try_from(number(bytes, &mut input)?).ok()? } else { 0 };
    let data = if flags & 2 != 0 { usize::try_from(number(bytes, &mut input)?).ok()? } else { 0 };
    let next = end.checked_add(data)?;
    if kind != 2 {
        return Some((None, next, kind));
    }
    let file_flags = number(bytes, &mut input)?;
    number(bytes, &mut input)?; // unpacked size
    number(bytes, &mut input)?; // attributes
    input += if file_flags & 2 != 0 { 4 } else { 0 };
    input += if file_flags & 4 != 0 { 4 } else { 0 };
    let compression = number(bytes, &mut input)?;
    number(bytes, &mut input)?; // system
    let name_len = usize::try_from(number(bytes, &mut input)?).ok()?;
    let name = String::from_utf8_lossy(slice(bytes, input, name_len)?).into_owned();
    let records = bytes.get(end.checked_sub(extra)?..end)?;
    let file = File {
        name,
        encrypted: has_record(records, 1),
        stored: (compression >> 7 & 7 == 0).then(|| prefix(bytes, end, data)),
    };
    Some(((file_flags & 1 == 0).then_some(file), next, kind))
}

/// Whether the extra area has a record of this kind.
fn has_record(records: &[u8], wanted: u64) -> bool {
    let mut at = 0;
    while let Some(size) = number(records, &mut at).and_then(|size| usize::try_from(size).ok()) {
        let mut inside = at;
        if number(records, &mut inside) == Some(wanted) {
            return true;
        }
        at = at.saturating_add(size.max(1));
    }
    false
}

/// A number of seven bits a byte, the low ones first.
fn number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
