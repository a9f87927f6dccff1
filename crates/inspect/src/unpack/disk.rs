//! CD images (ECMA-119 with Joliet's names). Other images of disks are named, not read.

use std::collections::HashSet;

use super::{
    Source,
    bytes::{place_le, prefix, slice, u16_be},
    contents::Contents,
};

const SECTOR: usize = 2_048;
/// Entries that are read, of all folders together.
const ENTRIES: usize = 10_000;

pub(super) fn read_iso(source: &Source<'_>, contents: &mut Contents<'_>) {
    let Some((root, wide)) = volume(source.bytes) else {
        return contents
            .note("a CD image without a directory that is understood was not inspected");
    };
    let mut folders = vec![(root, String::new())];
    let mut seen = HashSet::new();
    let mut entries = 0;
    while let Some(((place, size), path)) = folders.pop() {
        // Folders that contain each other end here.
        if !seen.insert(place) {
            continue;
        }
        let folder = prefix(source.bytes, place.saturating_mul(SECTOR), size);
        let mut at = 0;
        while at < folder.len() {
            let len = usize::from(folder[at]);
            if len == 0 {
                // Records do not cross sectors.
                at = (at / SECTOR + 1) * SECTOR;
                continue;
            }
            let Some(record) = slice(folder, at, len) else { break };
            at += len;
            entries += 1;
            if entries > ENTRIES {
                return contents.note("more files than are read: the rest was not inspected");
            }
            let Some((name, place, size, is_folder)) = entry(record, wide) else { continue };
            let path = format!("{path}{name}");
            if is_folder {
                folders.push(((place, size), format!("{path}/")));
            } else {
                contents.piece(path, prefix(source.bytes, place.saturating_mul(SECTOR), size));
            }
        }
    }
}

/// Place and size of the root folder, and whether names have two bytes a character.
fn volume(bytes: &[u8]) -> Option<((usize, usize), bool)> {
    let mut found = None;
    for sector in 16..64 {
        let descriptor = slice(bytes, sector * SECTOR, SECTOR)?;
        if &descriptor[1..6] != b"CD001" {
            break;
        }
        let root = (place_le(descriptor, 156 + 2)?, place_le(descriptor, 156 + 10)?);
        match descriptor[0] {
            1 => found = found.or(Some((root, false))),
            2 if descriptor[88..91].starts_with(b"%/") => return Some((root, true)),
            0xFF => break,
            _ => {}
        }
    }
    found
}

fn entry(record: &[u8], wide: bool) -> Option<(String, usize, usize, bool)> {
    let name = slice(record, 33, usize::from(*record.get(32)?))?;
    if matches!(name, [0 | 1]) {
        return None; // itself and the folder above
    }
    let name = if wide {
        let units = (0..name.len() / 2).filter_map(|n| u16_be(name, n * 2));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        String::from_utf8_lossy(name).into_owned()
    };
    let name = name.split(';').next().unwrap_or_default().trim_end_matches('.').to_owned();
    let is_folder = record.get(25)? & 2 != 0;
    Some((name, place_le(record, 2)?, place_le(record, 10)?, is_folder))
}

/// Images of hard disks are named only; what mail has to do with one is question enough.
pub(super) fn read_image(_: &Source<'_>, contents: &mut Contents<'_>) {
    contents.note("files in an image of a hard disk were not inspected");
}
