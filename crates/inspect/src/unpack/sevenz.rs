//! 7z (its `7zFormat.txt`): folders of one coder that is LZMA, LZMA2 or copying are unpacked; of
//! others the names are listed.

use super::{
    Source,
    bytes::{prefix, slice, u64_le, utf16_le},
    contents::Contents,
    technique::Technique,
    zip,
};

/// Files and folders that are read of a header.
const MOST: u64 = 20_000;
const AES: &[u8] = &[0x06, 0xF1, 0x07, 0x01];

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    if read_header(source.bytes, contents).is_none() {
        contents.note("the archive is damaged or of an unusual kind: it was not inspected");
    }
}

fn read_header(bytes: &[u8], contents: &mut Contents<'_>) -> Option<()> {
    let offset = usize::try_from(u64_le(bytes, 12)?).ok()?;
    let size = usize::try_from(u64_le(bytes, 20)?).ok()?;
    let mut header = slice(bytes, offset.checked_add(32)?, size)?.to_vec();
    // The header may be packed like a file, and that header again.
    for _ in 0..4 {
        let mut input = Input { bytes: &header, at: 0 };
        match input.byte()? {
            1 => return files(&mut input, bytes, contents),
            0x17 => {
                let streams = input.streams_info()?;
                let folder = streams.folders.first()?;
                if folder.is_encrypted() {
                    contents.mark(
                        Technique::Encrypted,
                        "the archive and the names in it are encrypted",
                    );
                    contents.note("encrypted files were not inspected");
                    return Some(());
                }
                let packed = streams.packed(bytes, 0)?;
                header = folder.unpack(packed, contents)?;
            }
            _ => return None,
        }
    }
    None
}

fn files(input: &mut Input<'_>, bytes: &[u8], contents: &mut Contents<'_>) -> Option<()> {
    let mut streams = Streams::default();
    let mut names = Vec::new();
    let mut empty = Vec::new();
    loop {
        match input.byte()? {
            0 => break,
            4 => streams = input.streams_info()?,
            5 => {
                let count = input.number().filter(|count| *count <= MOST)?;
                loop {
                    let property = input.byte()?;
                    if property == 0 {
                        break;
                    }
                    let size = usize::try_from(input.number()?).ok()?;
                    let data = input.take(size)?;
                    match property {
                        0x11 => {
                            let text = utf16_le(data.get(1..)?);
                            names = text.split('\0').map(str::to_owned).collect();
                        }
                        0x0E => {
                            empty = (0..count as usize)
                                .map(|n| {
                                    data.get(n / 8).is_some_and(|byte| byte & 0x80 >> (n % 8) != 0)
                                })
                                .collect();
                        }
                        _ => {}
                    }
                }
                names.truncate(count as usize);
            }
            _ => return None,
        }
    }
    let full =
        names.iter().enumerate().filter(|(n, _)| !empty.get(*n).copied().unwrap_or_default());
    let mut full: std::collections::VecDeque<&str> = full.map(|(_, name)| name.as_str()).collect();
    let mut closed: Vec<&str> = Vec::new();
    for (index, folder) in streams.folders.iter().enumerate() {
        let sizes = streams.sizes_in(index);
        let inside: Vec<&str> = sizes.iter().filter_map(|_| full.pop_front()).collect();
        if folder.is_encrypted() {
            closed.extend(inside);
            continue;
        }
        let data = streams.packed(bytes, index).and_then(|packed| folder.unpack(packed, contents));
        let Some(data) = data else {
            contents.note("files that are packed in an unusual way were not inspected");
            inside.iter().for_each(|name| zip::list(name, contents));
            continue;
        };
        let mut at = 0;
        for (name, size) in inside.iter().zip(sizes) {
            contents.piece(*name, prefix(&data, at, size));
            at = at.saturating_add(size);
        }
    }
    zip::encrypted(&closed, contents);
    Some(())
}

struct Input<'i> {
    bytes: &'i [u8],
    at: usize,
}

#[derive(Default)]
struct Streams {
    start: usize,
    packed: Vec<usize>,
    folders: Vec<Folder>,
    /// Per folder the sizes of the files in it; where absent, the folder is one file.
    files: Vec<Vec<usize>>,
}

#[derive(Default)]
struct Folder {
    coders: Vec<(Vec<u8>, Vec<u8>)>,
    streams: usize,
    sizes: Vec<usize>,
    /// Whether its checksum is there.
    checked: bool,
}

impl Streams {
    fn packed<'b>(&self, bytes: &'b [u8], folder: usize) -> Option<&'b [u8]> {
        let before: usize = self.folders.get(..folder)?.iter().map(|folder| folder.streams).sum();
        let skipped: usize = self
            .packed
            .get(..before)?
            .iter()
            .try_fold(0_usize, |sum, size| sum.checked_add(*size))?;
        slice(bytes, self.start.checked_add(32)?.checked_add(skipped)?, *self.packed.get(before)?)
    }

    fn sizes_in(&self, folder: usize) -> Vec<usize> {
        let whole = self.folders.get(folder).and_then(|folder| folder.sizes.last().copied());
        self.files.get(folder).cloned().unwrap_or_else(|| whole.into_iter().collect())
    }
}

impl Folder {
    fn is_encrypted(&self) -> bool {
        self.coders.iter().any(|(id, _)| id == AES)
    }

    fn unpack(&self, packed: &[u8], contents: &mut Contents<'_>) -> Option<Vec<u8>> {
        let [(id, properties)] = self.coders.as_slice() else { return None };
        match id.as_slice() {
            [0] => {
                contents.spend(packed.len());
                Some(packed.to_vec())
            }
            [3, 1, 1] => {
                // The raw stream begins with the zero byte of the range coder, as in ZIP.
                let size = self.sizes.last().copied().unwrap_or(usize::MAX);
                Some(contents.unlzma(packed, properties, size as u64))
            }
            [0x21] => Some(contents.unlzma2(packed).0),
            [4, 1, 8] => Some(contents.inflate(packed, super::inflate::Wrapping::Raw).bytes),
            [4, 2, 2] => Some(contents.bunzip2(packed)),
            _ => None,
        }
    }
}

impl<'i> Input<'i> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, len: usize) -> Option<&'i [u8]> {
        let piece = slice(self.bytes, self.at, len)?;
        self.at += len;
        Some(piece)
    }

    /// A number in which the first byte's leading ones say how many bytes follow.
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let mut value = 0_u64;
        for index in 0..8 {
            let mask = 0x80 >> index;
            if first & mask == 0 {
                let high = u64::from(first & (mask - 1));
                return Some(value | high << (8 * index));
            }
            value |= u64::from(self.byte()?) << (8 * index);
        }
        Some(value)
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn count(&mut self) -> Option<u64> {
        self.number().filter(|count| *count <= MOST)
    }

    fn streams_info(&mut self) -> Option<Streams> {
        let mut streams = Streams::default();
        loop {
            match self.byte()? {
                0 => return Some(streams),
                6 => {
                    streams.start = self.size()?;
                    let count = self.count()?;
                    loop {
                        match self.byte()? {
                            0 => break,
                            9 => {
                                streams.packed =
                                    (0..count).map(|_| self.size()).collect::<Option<_>>()?;
                            }
                            10 => drop(self.digests(count)?),
                            _ => return None,
                        }
                    }
                }
                7 => self.folders(&mut streams)?,
                8 => self.files(&mut streams)?,
                _ => return None,
            }
        }
    }

    fn folders(&mut self, streams: &mut Streams) -> Option<()> {
        if self.byte()? != 11 {
            return None;
        }
        let count = self.count()?;
        if self.byte()? != 0 {
            return None; // elsewhere
        }
        for _ in 0..count {
            let folder = self.folder()?;
            streams.folders.push(folder);
        }
        if self.byte()? != 12 {
            return None;
        }
        for folder in &mut streams.folders {
            let outputs = folder.sizes.len();
            folder.sizes = (0..outputs).map(|_| self.size()).collect::<Option<_>>()?;
        }
        loop {
            match self.byte()? {
                0 => return Some(()),
                10 => {
                    let checked = self.digests(count)?;
                    for (folder, checked) in streams.folders.iter_mut().zip(checked) {
                        folder.checked = checked;
                    }
                }
                _ => return None,
            }
        }
    }

    fn folder(&mut self) -> Option<Folder> {
        let mut folder = Folder::default();
        let (mut inputs, mut outputs) = (0, 0);
        for _ in 0..self.number().filter(|count| (1..=8).contains(count))? {
            let flags = self.byte()?;
            let id = self.take(usize::from(flags & 0xF))?.to_vec();
            let (mut ins, mut outs) = (1, 1);
            if flags & 0x10 != 0 {
                ins = self.number().filter(|count| *count <= 32)?;
                outs = self.number().filter(|count| *count <= 32)?;
            }
            inputs += ins;
            outputs += outs;
            let mut properties = Vec::new();
            if flags & 0x20 != 0 {
                let len = self.size()?;
                properties = self.take(len)?.to_vec();
            }
            folder.coders.push((id, properties));
        }
        let pairs = u64::checked_sub(outputs, 1)?;
        for _ in 0..pairs {
            self.number()?;
            self.number()?;
        }
        let packed = inputs.checked_sub(pairs)?;
        if packed > 1 {
            for _ in 0..packed {
                self.number()?;
            }
        }
        folder.streams = packed as usize;
        folder.sizes = vec![0; outputs as usize];
        Some(folder)
    }

    /// Passes over checksums and says which are there.
    fn digests(&mut self, count: u64) -> Option<Vec<bool>> {
        let count = count as usize;
        let defined = if self.byte()? == 0 {
            let bits = self.take(count.div_ceil(8))?;
            (0..count).map(|n| bits[n / 8] & 0x80 >> (n % 8) != 0).collect()
        } else {
            vec![true; count]
        };
        self.take(defined.iter().filter(|defined| **defined).count() * 4)?;
        Some(defined)
    }

    fn files(&mut self, streams: &mut Streams) -> Option<()> {
        let mut counts = vec![1_u64; streams.folders.len()];
        let mut kind = self.byte()?;
        if kind == 13 {
            for count in &mut counts {
                *count = self.count()?;
            }
            kind = self.byte()?;
        }
        if counts.iter().sum::<u64>() > MOST {
            return None;
        }
        for (folder, count) in streams.folders.iter().zip(&counts) {
            let whole = folder.sizes.last().copied().unwrap_or_default();
            let mut sizes = Vec::new();
            for _ in 1..*count {
                sizes.push(if kind == 9 { self.size()? } else { 0 });
            }
            if *count > 0 {
                let known: usize =
                    sizes.iter().try_fold(0_usize, |sum, size| sum.checked_add(*size))?;
                sizes.push(whole.saturating_sub(known));
            }
            streams.files.push(sizes);
        }
        if kind == 9 {
            kind = self.byte()?;
        }
        // Checksums of the files that their folder's does not cover.
        let unknown = streams.folders.iter().zip(&counts);
        let unknown = unknown.filter(|(folder, count)| **count != 1 || !folder.checked);
        let unknown = unknown.map(|(_, count)| count).sum();
        while kind != 0 {
            if kind != 10 {
                return None;
            }
            self.digests(unknown)?;
            kind = self.byte()?;
        }
        Some(())
    }
}
