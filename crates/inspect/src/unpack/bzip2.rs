//! bzip2, bounded. There is no standard; the format is as its reference implementation has it.

use super::{Source, contents::Contents, inflate::without_ending};

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let bytes = contents.bunzip2(source.bytes);
    contents.child(without_ending(source.name), bytes);
}

impl Contents<'_> {
    /// Decompresses within the budget; damaged data gives the blocks in front of the damage.
    pub(super) fn bunzip2(&mut self, packed: &[u8]) -> Vec<u8> {
        let limit = self.room();
        let mut out = Vec::new();
        let mut bits = Bits { bytes: packed, at: 0, held: 0, count: 0 };
        while stream(&mut bits, &mut out, limit) == Some(true) {}
        let cut = out.len() >= limit;
        out.truncate(limit);
        // A block that gives nothing is work all the same.
        self.spend(out.len().max(bits.at));
        self.judge_size(packed.len(), out.len(), cut);
        out
    }
}

struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// The next bits, at most 32.
    fn take(&mut self, wanted: u32) -> Option<u32> {
        while self.count < wanted {
            self.held = self.held << 8 | u64::from(*self.bytes.get(self.at)?);
            self.at += 1;
            self.count += 8;
        }
        self.count -= wanted;
        let value = self.held >> self.count & ((1 << wanted) - 1);
        self.held &= (1 << self.count) - 1;
        u32::try_from(value).ok()
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    fn align(&mut self) {
        self.count -= self.count % 8;
        self.held &= (1 << self.count) - 1;
    }
}

/// One stream; `Some(true)` when it came to its end and another may follow.
fn stream(bits: &mut Bits<'_>, out: &mut Vec<u8>, limit: usize) -> Option<bool> {
    bits.align();
    if bits.take(24)? != 0x42_5A_68 {
        return None;
    }
    let level =
        bits.take(8)?.checked_sub(u32::from(b'0')).filter(|level| (1..=9).contains(level))?;
    let block_size = level as usize * 100_000;
    loop {
        match (bits.take(24)?, bits.take(24)?) {
            (0x31_41_59, 0x26_53_59) => {
                bits.take(32)?; // checksum
                block(bits, block_size, out, limit)?;
                if out.len() >= limit {
                    return Some(false);
                }
            }
            (0x17_72_45, 0x38_50_90) => {
                bits.take(32)?;
                return Some(true);
            }
            _ => return None,
        }
    }
}

fn block(bits: &mut Bits<'_>, block_size: usize, out: &mut Vec<u8>, limit: usize) -> Option<()> {
    let randomised = bits.flag()?;
    let origin = bits.take(24)? as usize;
    if randomised {
        return None; // not made since 1996
    }
    let used = bits.take(16)?;
    let mut symbols = Vec::with_capacity(256);
    for row in 0..16_u32 {
        if used & 0x8000 >> row != 0 {
            let columns = bits.take(16)?;
            symbols.extend(
                (0..16).filter(|c| columns & 0x8000 >> c != 0).map(|c| (row * 16 + c) as u8),
            );
        }
    }
    let alphabet = symbols.len() + 2;
    let tables = bits.take(3)? as usize;
    let selectors = bits.take(15)? as usize;
    if symbols.is_empty() || !(2..=6).contains(&tables) || selectors == 0 {
        return None;
    }
    let mut order: Vec<u8> = (0..tables as u8).collect();
    let mut chosen = Vec::with_capacity(selectors);
    for _ in 0..selectors {
        let mut index = 0;
        while bits.flag()? {
            index += 1;
            if index >= tables {
                return None;
            }
        }
        let table = order.remove(index);
        order.insert(0, table);
        chosen.push(table);
    }
    let codes = (0..tables).map(|_| Code::read(bits, alphabet)).collect::<Option<Vec<_>>>()?;
    let text = front_coded(bits, &codes, &chosen, symbols, alphabet, block_size)?;
    transform_back(&text, origin, out, limit)
}

/// A canonical Huffman code.
struct Code {
    /// Per length: the first code, and where its symbols begin.
    first: [u32; 22],
    offset: [usize; 22],
    count: [u32; 22],
    symbols: Vec<u16>,
}

impl Code {
    fn read(bits: &mut Bits<'_>, alphabet: usize) -> Option<Self> {
        let mut length = bits.take(5)?;
        let mut lengths = Vec::with_capacity(alphabet);
        for _ in 0..alphabet {
            while bits.flag()? {
                length = if bits.flag()? { length.checked_sub(1)? } else { length + 1 };
                if length > 20 {
                    return None;
                }
            }
            if !(1..=20).contains(&length) {
                return None;
            }
            lengths.push(length);
        }
        let mut code =
            Self { first: [0; 22], offset: [0; 22], count: [0; 22], symbols: Vec::new() };
        let mut next = 0_u32;
        for length in 1..=20 {
            code.first[length] = next;
            code.offset[length] = code.symbols.len();
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, l)| **l as usize == length) {
                code.symbols.push(symbol as u16);
                code.count[length] += 1;
            }
            next = next.wrapping_add(code.count[length]) << 1;
        }
        Some(code)
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let mut value = 0;
        for length in 1..=20 {
            value = value << 1 | bits.take(1)?;
            let index = value.wrapping_sub(self.first[length]);
            if index < self.count[length] {
                return self.symbols.get(self.offset[length] + index as usize).copied();
            }
        }
        None
    }
}

/// Undoes Huffman, zero runs and move-to-front.
fn front_coded(
    bits: &mut Bits<'_>,
    codes: &[Code],
    chosen: &[u8],
    mut front: Vec<u8>,
    alphabet: usize,
    block_size: usize,
) -> Option<Vec<u8>> {
    let end = alphabet as u16 - 1;
    let mut text = Vec::new();
    let (mut run, mut weight) = (0_usize, 1_usize);
    for &table in chosen {
        let code = &codes[usize::from(table)];
        for _ in 0..50 {
            let symbol = code.symbol(bits)?;
            if symbol < 2 {
                run += weight << symbol;
                weight <<= 1;
                if run > block_size {
                    return None;
                }
                continue;
            }
            if run > 0 {
                if text.len() + run > block_size {
                    return None;
                }
                text.resize(text.len() + run, front[0]);
                (run, weight) = (0, 1);
            }
            if symbol == end {
                return Some(text);
            }
            let byte = front.remove(usize::from(symbol) - 1);
            front.insert(0, byte);
            if text.len() >= block_size {
                return None;
            }
            text.push(byte);
        }
    }
    None
}

/// Undoes the Burrows-Wheeler transform and the runs of the first step.
fn transform_back(text: &[u8], origin: usize, out: &mut Vec<u8>, limit: usize) -> Option<()> {
    let mut starts = [0_usize; 256];
    for &byte in text {
        starts[usize::from(byte)] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += std::mem::replace(start, sum);
    }
    let mut next = vec![0_u32; text.len()];
    for (index, &byte) in text.iter().enumerate() {
        let start = &mut starts[usize::from(byte)];
        next[*start] = index as u32;
        *start += 1;
    }
    let mut at = *next.get(origin)? as usize;
    let (mut last, mut same) = (None, 0);
    for _ in 0..text.len() {
        let byte = text[at];
        at = next[at] as usize;
        if same == 4 {
            // Four of a kind are followed by how many more there are.
            let more = usize::from(byte).min(limit.saturating_sub(out.len()));
            out.resize(out.len() + more, last.unwrap_or_default());
            (last, same) = (None, 0);
        } else {
            same = if last == Some(byte) { same + 1 } else { 1 };
            last = Some(byte);
            out.push(byte);
        }
        if out.len() >= limit {
            break;
        }
    }
    Some(())
}
