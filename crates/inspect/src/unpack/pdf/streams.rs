use super::{Object, lexer::Value};
use crate::unpack::{contents::Contents, inflate::Wrapping};

/// Filters one after the other.
const FILTERS: usize = 6;
/// Bytes of one stream.
const STREAM: usize = 32 << 20;

/// What became of a stream.
pub(super) enum Filtered {
    Plain(Vec<u8>),
    /// A picture, or packed in a way that is not undone here.
    Other,
}

/// Undoes a stream's filters (7.4).
pub(super) fn unpack(object: &Object<'_>, contents: &mut Contents<'_>) -> Filtered {
    let Some(stream) = object.stream else { return Filtered::Other };
    let one;
    let filters = match object.value.get(b"Filter").or_else(|| object.value.get(b"F")) {
        Some(Value::Array(filters)) => filters.iter().filter_map(Value::name).collect::<Vec<_>>(),
        Some(Value::Name(name)) => {
            one = name;
            vec![&**one]
        }
        _ => Vec::new(),
    };
    let parameters = object.value.get(b"DecodeParms").or_else(|| object.value.get(b"DP"));
    let mut bytes: Option<Vec<u8>> = None;
    for (index, filter) in filters.into_iter().take(FILTERS).enumerate() {
        let input = bytes.as_deref().unwrap_or(stream);
        let parameters = match parameters {
            Some(Value::Array(all)) => all.get(index),
            other => other,
        };
        let output = match filter {
            b"FlateDecode" | b"Fl" => {
                let inflated = contents.inflate(input, Wrapping::Zlib).bytes;
                predict(inflated, parameters)
            }
            b"ASCIIHexDecode" | b"AHx" => hex(input),
            b"ASCII85Decode" | b"A85" => base_85(input),
            b"LZWDecode" | b"LZW" => {
                let out = lzw(input, contents.room().min(STREAM));
                contents.spend(out.len());
                predict(out, parameters)
            }
            b"RunLengthDecode" | b"RL" => {
                let out = runs(input, contents.room().min(STREAM));
                contents.spend(out.len());
                out
            }
            _ => return Filtered::Other,
        };
        bytes = Some(output);
    }
    Filtered::Plain(bytes.unwrap_or_else(|| {
        let stream = &stream[..stream.len().min(contents.room())];
        contents.spend(stream.len());
        stream.to_vec()
    }))
}

/// Undoes PNG's predictors (7.4.4.4); others are left.
fn predict(bytes: Vec<u8>, parameters: Option<&Value<'_>>) -> Vec<u8> {
    let number = |key: &[u8], default| {
        parameters.and_then(|p| p.get(key)).and_then(Value::number).unwrap_or(default)
    };
    if number(b"Predictor", 1) < 10 {
        return bytes;
    }
    let colours = number(b"Colors", 1).clamp(1, 32);
    let bits = number(b"BitsPerComponent", 8).clamp(1, 16);
    let columns = number(b"Columns", 1).clamp(1, 1 << 20);
    let pixel = (colours * bits).div_ceil(8);
    let row = (columns * colours * bits).div_ceil(8);
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    for line in bytes.chunks(row + 1) {
        let start = out.len();
        for (index, &byte) in line[1..].iter().enumerate() {
            let left = if index >= pixel { out[start + index - pixel] } else { 0 };
            let up = if start >= row { out[start - row + index] } else { 0 };
            let corner =
                if start >= row && index >= pixel { out[start - row + index - pixel] } else { 0 };
            out.push(byte.wrapping_add(match line[0] {
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                4 => paeth(left, up, corner),
                _ => 0,
            }));
        }
    }
    out
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(up) - i16::from(corner);
    let [a, b, c] = [left, up, corner].map(|value| (guess - i16::from(value)).abs());
    if a <= b && a <= c {
        left
    } else if b <= c {
        up
    } else {
        corner
    }
}

fn hex(input: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = input
        .iter()
        .take_while(|b| **b != b'>')
        .filter_map(|b| char::from(*b).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or_default()).collect()
}

fn base_85(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() / 5 * 4);
    let mut group: Vec<u8> = Vec::with_capacity(5);
    for &byte in input {
        match byte {
            b'z' if group.is_empty() => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => group.push(byte - b'!'),
            b'~' => break,
            _ => {}
        }
        if group.len() == 5 {
            out.extend_from_slice(&value_85(&group).to_be_bytes());
            group.clear();
        }
    }
    if group.len() > 1 {
        let len = group.len();
        group.resize(5, 84);
        out.extend_from_slice(&value_85(&group).to_be_bytes()[..len - 1]);
    }
    out
}

fn value_85(group: &[u8]) -> u32 {
    group.iter().fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add(u32::from(*digit)))
}

fn runs(input: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&len) = input.get(at)
        && len != 128
        && out.len() < limit
    {
        if len < 128 {
            out.extend_from_slice(crate::unpack::bytes::prefix(
                input,
                at + 1,
                usize::from(len) + 1,
            ));
            at += usize::from(len) + 2;
        } else {
            let Some(&byte) = input.get(at + 1) else { break };
            out.resize(out.len() + 257 - usize::from(len), byte);
            at += 2;
        }
    }
    out
}

/// LZW with codes of 9 to 12 bits that grow one early (7.4.4.2).
fn lzw(input: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    // Each entry is what was given before: where it begins, and how long it is.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let (mut bits, mut held, mut width) = (0_u32, 0_u32, 9);
    let mut before: Option<(usize, usize)> = None;
    for &byte in input {
        bits = bits << 8 | u32::from(byte);
        held += 8;
        if held < width {
            continue;
        }
        held -= width;
        let code = (bits >> held & ((1 << width) - 1)) as usize;
        bits &= (1 << held) - 1;
        if code == 257 || out.len() >= limit {
            break;
        }
        if code == 256 {
            table.clear();
            width = 9;
            before = None;
            continue;
        }
        let start = out.len();
        if code < 256 {
            out.push(code as u8);
        } else if let Some(&(from, len)) = table.get(code - 258) {
            for index in 0..len {
                out.push(out[from + index]);
            }
        } else if let Some((from, len)) = before {
            for index in 0..len {
                out.push(out[from + index]);
            }
            out.push(out[from]);
        } else {
            break;
        }
        if let Some((from, len)) = before
            && table.len() < 4_096 - 258
        {
            table.push((from, len + 1));
        }
        before = Some((start, out.len() - start));
        width = match table.len() + 258 + 1 {
            ..512 => 9,
            512..1_024 => 10,
            1_024..2_048 => 11,
            _ => 12,
        };
    }
    out
}
