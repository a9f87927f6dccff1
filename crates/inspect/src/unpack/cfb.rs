//! OLE compound files (MS-CFB): the file system in one file of old Office documents, of the macros
//! in new ones, of installers and of Outlook's messages.

use std::cell::Cell;

use super::bytes::{place_le, prefix, slice, u16_le, u64_le, utf16_le};

/// Entries of the directory that are read.
const ENTRIES: usize = 10_000;
/// The sector number that ends a chain; greater ones mean other things than a sector.
const LAST: usize = 0xFFFF_FFFA;

/// A compound file.
pub(super) struct Compound<'c> {
    bytes: &'c [u8],
    sector: usize,
    mini_sector: usize,
    cutoff: u64,
    table: Vec<u32>,
    mini_table: Vec<u8>,
    mini: Vec<u8>,
    /// Bytes that may still be read: streams may share their sectors.
    left: Cell<usize>,
    /// All streams and storages, in the directory's order.
    pub(super) entries: Vec<Entry>,
}

/// A stream or a storage.
#[derive(Debug)]
pub(super) struct Entry {
    /// Names of the storages around it and its own, with `/` between.
    pub(super) path: String,
    /// The class of a storage: which program it belongs to.
    pub(super) class: [u8; 16],
    pub(super) is_stream: bool,
    pub(super) size: u64,
    start: usize,
}

impl Entry {
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl<'c> Compound<'c> {
    /// `None` where not even a directory can be read.
    pub(super) fn open(bytes: &'c [u8]) -> Option<Self> {
        if !bytes.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
            return None;
        }
        let sector = 1_usize << u16_le(bytes, 30).filter(|shift| matches!(shift, 7..=12))?;
        let mini_sector = 1_usize << u16_le(bytes, 32).filter(|shift| matches!(shift, 4..=8))?;
        let mut file = Self {
            bytes,
            sector,
            mini_sector,
            cutoff: place_le(bytes, 56)? as u64,
            table: Vec::new(),
            mini_table: Vec::new(),
            mini: Vec::new(),
            left: Cell::new(bytes.len().saturating_mul(4).saturating_add(1 << 20)),
            entries: Vec::new(),
        };
        file.table = file.allocation_table()?;
        let directory = file.chain(place_le(bytes, 48)?, usize::MAX);
        file.mini_table = file.chain(place_le(bytes, 60)?, usize::MAX);
        if let (Some(start), Some(size)) = (place_le(&directory, 116), u64_le(&directory, 120)) {
            file.mini = file.chain(start, usize::try_from(size & 0xFFFF_FFFF).ok()?);
        }
        file.entries = entries(&directory);
        Some(file)
    }

    fn sector_bytes(&self, number: usize) -> &'c [u8] {
        prefix(self.bytes, number.saturating_add(1).saturating_mul(self.sector), self.sector)
    }

    /// The table that says of each sector which is next.
    fn allocation_table(&self) -> Option<Vec<u32>> {
        let most = self.bytes.len() / self.sector + 1;
        let mut places: Vec<usize> =
            (0..109).filter_map(|n| place_le(self.bytes, 76 + n * 4)).collect();
        let mut next = place_le(self.bytes, 68)?;
        for _ in 0..most {
            if next >= LAST {
                break;
            }
            let sector = self.sector_bytes(next);
            let numbers = self.sector / 4 - 1;
            places.extend((0..numbers).filter_map(|n| place_le(sector, n * 4)));
            next = place_le(sector, numbers * 4).unwrap_or(LAST);
        }
        let mut table = Vec::new();
        for place in places.into_iter().filter(|place| *place < LAST).take(most) {
            let sector = self.sector_bytes(place);
            table.extend(sector.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four)));
        }
        Some(table)
    }

    /// The bytes of a chain of sectors, at most `len`.
    fn chain(&self, start: usize, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = start;
        // A chain that bites its tail ends when it is longer than the file.
        for _ in 0..=self.bytes.len() / self.sector {
            if at >= LAST || out.len() >= len {
                break;
            }
            let sector = self.sector_bytes(at);
            if sector.is_empty() {
                break;
            }
            out.extend_from_slice(sector);
            at = self.table.get(at).map_or(LAST, |next| *next as usize);
        }
        out.truncate(len);
        out
    }

    /// The content of a stream.
    pub(super) fn read(&self, entry: &Entry) -> Vec<u8> {
        let size = usize::try_from(entry.size).unwrap_or(usize::MAX).min(self.left.get());
        let out = self.read_up_to(entry, size);
        self.left.set(self.left.get() - out.len());
        out
    }

    fn read_up_to(&self, entry: &Entry, size: usize) -> Vec<u8> {
        if entry.size >= self.cutoff {
            return self.chain(entry.start, size);
        }
        let mut out = Vec::new();
        let mut at = entry.start;
        for _ in 0..=size / self.mini_sector {
            if at >= LAST || out.len() >= size {
                break;
            }
            let piece = prefix(&self.mini, at.saturating_mul(self.mini_sector), self.mini_sector);
            if piece.is_empty() {
                break;
            }
            out.extend_from_slice(piece);
            at = place_le(&self.mini_table, at.saturating_mul(4)).unwrap_or(LAST);
        }
        out.truncate(size);
        out
    }

    /// The stream with this path, whatever its case.
    pub(super) fn stream(&self, path: &str) -> Option<Vec<u8>> {
        self.streams()
            .find(|entry| entry.path.eq_ignore_ascii_case(path))
            .map(|entry| self.read(entry))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path.eq_ignore_ascii_case(path))
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_stream)
    }

    /// The class of the file itself.
    pub(super) fn class(&self) -> [u8; 16] {
        self.entries.first().map(|root| root.class).unwrap_or_default()
    }
}

/// The directory's entries with their paths. Siblings are a tree; that it is one is not relied on.
fn entries(directory: &[u8]) -> Vec<Entry> {
    let count = (directory.len() / 128).min(ENTRIES);
    let record = |index: usize| slice(directory, index * 128, 128);
    let link = |index: usize, at: usize| {
        record(index).and_then(|record| place_le(record, at)).filter(|next| *next < count)
    };
    // The storage that each entry is in.
    let mut parents: Vec<Option<usize>> = vec![None; count];
    let mut seen = vec![false; count];
    let mut stack: Vec<(usize, usize)> = link(0, 76).map(|child| (child, 0)).into_iter().collect();
    while let Some((index, parent)) = stack.pop() {
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        parents[index] = Some(parent);
        stack.extend(
            [link(index, 68), link(index, 72)].into_iter().flatten().map(|next| (next, parent)),
        );
        stack.extend(link(index, 76).map(|child| (child, index)));
    }
    let name = |index: usize| {
        let record = record(index)?;
        let len = usize::from(u16_le(record, 64)?).clamp(2, 64) - 2;
        Some(utf16_le(&record[..len]))
    };
    (0..count)
        .filter_map(|index| {
            let record = record(index)?;
            let is_stream = match record[66] {
                1 | 5 => false,
                2 => true,
                _ => return None,
            };
            let mut path = if index == 0 { String::new() } else { name(index)? };
            let mut above = parents[index];
            // Deeper than any document has them, a path is of no use.
            for _ in 0..16 {
                match above {
                    Some(parent) if parent != 0 => {
                        path = format!("{}/{path}", name(parent)?);
                        above = parents[parent];
                    }
                    _ => break,
                }
            }
            Some(Entry {
                path,
                class: record[80..96].try_into().ok()?,
                is_stream,
                size: u64_le(record, 120)? & 0xFFFF_FFFF,
                start: place_le(record, 116)?,
            })
        })
        .collect()
}
