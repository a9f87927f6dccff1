//! LZMA and LZMA2 (as the LZMA SDK specifies them), bounded; and xz, which is made of them.

use super::{
    Source,
    bytes::{slice, u16_be, u32_le},
    contents::Contents,
    inflate::without_ending,
};

/// About the bytes of a decoder's tables: what beginning anew costs.
const TABLE: usize = 32 << 10;
/// Times that a stream begins anew; it does so every few megabytes.
const RESETS: usize = 4_096;

impl Contents<'_> {
    /// The content of a ZIP entry of method 14: version, length of the properties, properties.
    pub(super) fn unlzma_of_zip(&mut self, packed: &[u8], size: u64) -> Vec<u8> {
        let properties = slice(packed, 4, 5).unwrap_or_default();
        self.unlzma(packed.get(9..).unwrap_or_default(), properties, size)
    }

    /// LZMA with five bytes of properties; `size` is where it ends at the latest.
    pub(super) fn unlzma(&mut self, packed: &[u8], properties: &[u8], size: u64) -> Vec<u8> {
        let limit = usize::try_from(size).unwrap_or(usize::MAX).min(self.room());
        let out = match properties.first().and_then(|&byte| Decoder::new(byte)) {
            Some(mut decoder) => {
                if let Some(mut range) = Range::new(packed) {
                    decoder.run(&mut range, limit);
                }
                decoder.out
            }
            None => Vec::new(),
        };
        self.spend(out.len().max(TABLE));
        self.judge_size(packed.len(), out.len(), size > limit as u64 && out.len() >= limit);
        out
    }

    /// LZMA2: chunks, each with its lengths.
    pub(super) fn unlzma2(&mut self, packed: &[u8]) -> (Vec<u8>, usize) {
        let limit = self.room();
        let mut decoder = Decoder::new(0).expect("0 are valid properties: no bit of any kind");
        let mut at = 0;
        let mut resets = 0;
        while resets < RESETS
            && chunk(packed, &mut at, &mut decoder, &mut resets, limit) == Some(true)
        {}
        let out = decoder.out;
        self.spend(out.len().max(at).max(TABLE));
        self.judge_size(packed.len(), out.len(), out.len() >= limit);
        (out, at)
    }
}

/// One chunk of LZMA2; `Some(true)` when another follows.
fn chunk(
    packed: &[u8],
    at: &mut usize,
    decoder: &mut Decoder,
    resets: &mut usize,
    limit: usize,
) -> Option<bool> {
    let control = *packed.get(*at)?;
    *at += 1;
    if control == 0 || decoder.out.len() >= limit {
        return Some(false);
    }
    let low = usize::from(u16_be(packed, *at)?) + 1;
    *at += 2;
    if control < 0x80 {
        let room = limit - decoder.out.len();
        decoder.out.extend_from_slice(&slice(packed, *at, low)?[..low.min(room)]);
        *at += low;
        return (control < 3).then_some(true);
    }
    let size = (usize::from(control & 0x1F) << 16) + low;
    let packed_len = usize::from(u16_be(packed, *at)?) + 1;
    *at += 2;
    *resets += usize::from(control >= 0xA0);
    if control >= 0xC0 {
        let byte = *packed.get(*at)?;
        *at += 1;
        let out = std::mem::take(&mut decoder.out);
        *decoder = Decoder::new(byte)?;
        decoder.out = out;
    } else if control >= 0xA0 {
        decoder.reset();
    }
    let mut range = Range::new(packed.get(*at..)?)?;
    let end = (decoder.out.len() + size).min(limit);
    decoder.run(&mut range, end);
    *at += packed_len;
    Some(decoder.out.len() == end)
}

/// xz (its file format, version 1.1): blocks of LZMA2, with or without other filters in front.
pub(super) fn read_xz(source: &Source<'_>, contents: &mut Contents<'_>) {
    let mut out = Vec::new();
    let mut at = 12;
    while let Some(&size) = source.bytes.get(at)
        && size != 0
        && contents.room() > 0
    {
        let header = (usize::from(size) + 1) * 4;
        let Some(rest) = source.bytes.get(at + header..) else { break };
        let (bytes, used) = contents.unlzma2(rest);
        out.extend_from_slice(&bytes);
        // Behind a block: padding to four bytes, and a check whose length the stream tells.
        let check = match source.bytes.get(7).map(|flags| flags & 0xF) {
            Some(1) => 4,
            Some(4) => 8,
            Some(10) => 32,
            _ => 0,
        };
        at += header + used.next_multiple_of(4) + check;
    }
    contents.child(without_ending(source.name), out);
}

/// The range decoder.
struct Range<'r> {
    bytes: &'r [u8],
    at: usize,
    range: u32,
    code: u32,
}

impl<'r> Range<'r> {
    fn new(bytes: &'r [u8]) -> Option<Self> {
        // The first byte is always zero.
        let code = u32_le(bytes, 1)?.swap_bytes();
        Some(Self { bytes, at: 5, range: u32::MAX, code })
    }

    fn normalize(&mut self) -> Option<()> {
        if self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(*self.bytes.get(self.at)?);
            self.at += 1;
        }
        Some(())
    }

    fn bit(&mut self, probability: &mut u16) -> Option<u32> {
        let bound = (self.range >> 11) * u32::from(*probability);
        let bit = if self.code < bound {
            self.range = bound;
            *probability += (2048 - *probability) >> 5;
            0
        } else {
            self.range -= bound;
            self.code -= bound;
            *probability -= *probability >> 5;
            1
        };
        self.normalize()?;
        Some(bit)
    }

    fn direct(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            self.range >>= 1;
            let bit = u32::from(self.code >= self.range);
            if bit == 1 {
                self.code -= self.range;
            }
            value = value << 1 | bit;
            self.normalize()?;
        }
        Some(value)
    }

    fn tree(&mut self, probabilities: &mut [u16], bits: u32) -> Option<u32> {
        let mut node = 1;
        for _ in 0..bits {
            node = node << 1 | self.bit(probabilities.get_mut(node as usize)?)?;
        }
        Some(node - (1 << bits))
    }

    fn reverse_tree(&mut self, probabilities: &mut [u16], bits: u32) -> Option<u32> {
        let (mut node, mut value) = (1, 0);
        for index in 0..bits {
            let bit = self.bit(probabilities.get_mut(node as usize)?)?;
            node = node << 1 | bit;
            value |= bit << index;
        }
        Some(value)
    }
}

const HALF: u16 = 1024;

/// Lengths of matches.
struct Lengths {
    choice: [u16; 2],
    low: [[u16; 8]; 16],
    middle: [[u16; 8]; 16],
    high: [u16; 256],
}

impl Lengths {
    fn new() -> Self {
        Self { choice: [HALF; 2], low: [[HALF; 8]; 16], middle: [[HALF; 8]; 16], high: [HALF; 256] }
    }

    fn read(&mut self, range: &mut Range<'_>, position: usize) -> Option<usize> {
        let value = if range.bit(&mut self.choice[0])? == 0 {
            range.tree(&mut self.low[position], 3)?
        } else if range.bit(&mut self.choice[1])? == 0 {
            8 + range.tree(&mut self.middle[position], 3)?
        } else {
            16 + range.tree(&mut self.high, 8)?
        };
        Some(value as usize + 2)
    }
}

/// The decoder. What it gave is its dictionary, too: all of it is at hand.
struct Decoder {
    out: Vec<u8>,
    literal_context: u32,
    literal_position: u32,
    position_mask: usize,
    literals: Vec<u16>,
    is_match: [[u16; 16]; 12],
    is_repeat: [u16; 12],
    is_repeat_0: [u16; 12],
    is_repeat_1: [u16; 12],
    is_repeat_2: [u16; 12],
    is_repeat_0_long: [[u16; 16]; 12],
    slots: [[u16; 64]; 4],
    special: [u16; 128],
    align: [u16; 16],
    lengths: Lengths,
    repeat_lengths: Lengths,
    state: usize,
    repeats: [usize; 4],
}

impl Decoder {
    /// `None` when the properties are not valid.
    fn new(properties: u8) -> Option<Self> {
        if properties >= 9 * 5 * 5 {
            return None;
        }
        let literal_context = u32::from(properties % 9);
        let literal_position = u32::from(properties / 9 % 5);
        let position_bits = properties / 45;
        // As LZMA2 has it, and as every program writes LZMA: more would be megabytes of table.
        if literal_context + literal_position > 4 {
            return None;
        }
        Some(Self {
            out: Vec::new(),
            literal_context,
            literal_position,
            position_mask: (1 << position_bits) - 1,
            literals: vec![HALF; 0x300 << (literal_context + literal_position)],
            is_match: [[HALF; 16]; 12],
            is_repeat: [HALF; 12],
            is_repeat_0: [HALF; 12],
            is_repeat_1: [HALF; 12],
            is_repeat_2: [HALF; 12],
            is_repeat_0_long: [[HALF; 16]; 12],
            slots: [[HALF; 64]; 4],
            special: [HALF; 128],
            align: [HALF; 16],
            lengths: Lengths::new(),
            repeat_lengths: Lengths::new(),
            state: 0,
            repeats: [0; 4],
        })
    }

    fn reset(&mut self) {
        let bits = self.position_mask.count_ones();
        let properties = (bits * 5 + self.literal_position) * 9 + self.literal_context;
        if let Some(fresh) = u8::try_from(properties).ok().and_then(Self::new) {
            let out = std::mem::take(&mut self.out);
            *self = Self { out, ..fresh };
        }
    }

    /// Decodes until `end` bytes are there, the stream ends, or it is damaged.
    fn run(&mut self, range: &mut Range<'_>, end: usize) {
        while self.out.len() < end {
            if self.step(range, end).is_none() {
                return;
            }
        }
    }

    fn step(&mut self, range: &mut Range<'_>, end: usize) -> Option<()> {
        let position = self.out.len() & self.position_mask;
        let state = self.state;
        if range.bit(&mut self.is_match[state][position])? == 0 {
            return self.literal(range);
        }
        let length = if range.bit(&mut self.is_repeat[state])? == 0 {
            let length = self.lengths.read(range, position)?;
            self.repeats.rotate_right(1);
            self.repeats[0] = self.distance(range, length)?;
            self.state = if state < 7 { 7 } else { 10 };
            length
        } else {
            let chosen = if range.bit(&mut self.is_repeat_0[state])? == 0 {
                if range.bit(&mut self.is_repeat_0_long[state][position])? == 0 {
                    self.state = if state < 7 { 9 } else { 11 };
                    return self.copy(1, end);
                }
                0
            } else if range.bit(&mut self.is_repeat_1[state])? == 0 {
                1
            } else {
                2 + range.bit(&mut self.is_repeat_2[state])? as usize
            };
            self.repeats[..=chosen].rotate_right(1);
            self.state = if state < 7 { 8 } else { 11 };
            self.repeat_lengths.read(range, position)?
        };
        self.copy(length, end)
    }

    fn literal(&mut self, range: &mut Range<'_>) -> Option<()> {
        let before = self.out.last().copied().unwrap_or_default();
        let low = self.out.len() & ((1 << self.literal_position) - 1);
        let context =
            (low << self.literal_context) + (usize::from(before) >> (8 - self.literal_context));
        let probabilities = self.literals.get_mut(0x300 * context..0x300 * (context + 1))?;
        let mut symbol = 1_usize;
        if self.state >= 7 {
            let mut matched =
                usize::from(*self.out.get(self.out.len().checked_sub(self.repeats[0] + 1)?)?);
            while symbol < 0x100 {
                let expected = matched >> 7 & 1;
                matched <<= 1;
                let bit = range.bit(&mut probabilities[((1 + expected) << 8) + symbol])? as usize;
                symbol = symbol << 1 | bit;
                if bit != expected {
                    break;
                }
            }
        }
        while symbol < 0x100 {
            symbol = symbol << 1 | range.bit(&mut probabilities[symbol])? as usize;
        }
        self.out.push((symbol & 0xFF) as u8);
        self.state = match self.state {
            0..4 => 0,
            state @ 4..10 => state - 3,
            state => state - 6,
        };
        Some(())
    }

    fn distance(&mut self, range: &mut Range<'_>, length: usize) -> Option<usize> {
        let slot = range.tree(&mut self.slots[(length - 2).min(3)], 6)?;
        if slot < 4 {
            return Some(slot as usize);
        }
        let bits = (slot >> 1) - 1;
        let base = (2 | slot & 1) << bits;
        let distance = if slot < 14 {
            let from = (base - slot) as usize;
            base + range.reverse_tree(self.special.get_mut(from..)?, bits)?
        } else {
            let high = range.direct(bits - 4)?;
            base.checked_add(high << 4)?.checked_add(range.reverse_tree(&mut self.align, 4)?)?
        };
        // All ones: the mark of the end.
        (distance != u32::MAX).then_some(distance as usize)
    }

    fn copy(&mut self, length: usize, end: usize) -> Option<()> {
        let from = self.out.len().checked_sub(self.repeats[0] + 1)?;
        for index in 0..length.min(end - self.out.len()) {
            self.out.push(self.out[from + index]);
        }
        Some(())
    }
}
