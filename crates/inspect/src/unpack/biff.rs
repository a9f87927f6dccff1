//! Old workbooks (MS-XLS): texts, Excel 4 macros, links to programs; encrypted ones with Excel's
//! own password.

use super::{
    address,
    bytes::{find_ignoring_case, latin1, place_le, slice, u16_le, utf16_le},
    contents::Contents,
    office_crypt,
    technique::Technique,
};

/// Bytes of text of a workbook.
const TEXT: usize = 8 << 20;
/// Records that are read.
const RECORDS: usize = 2_000_000;

struct Record<'r> {
    kind: u16,
    at: usize,
    data: &'r [u8],
}

fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let kind = u16_le(bytes, at)?;
        let len = usize::from(u16_le(bytes, at + 2)?);
        let record = Record { kind, at: at + 4, data: slice(bytes, at + 4, len)? };
        at += 4 + len;
        Some(record)
    })
    .take(RECORDS)
}

pub(super) fn read(mut bytes: Vec<u8>, contents: &mut Contents<'_>) {
    contents.spend(bytes.len());
    let locked =
        records(&bytes).find(|record| record.kind == 0x2F).map(|record| record.data.to_vec());
    if let Some(info) = locked {
        let is_open = office_crypt::unlock_workbook(&mut bytes, &info);
        if !is_open {
            contents.mark(Technique::Encrypted, "the workbook is encrypted");
            contents.note("an encrypted document was not inspected");
            return;
        }
        contents.mark(
            Technique::DefaultPassword,
            "encrypted with the password that Excel tries by itself",
        );
    }
    workbook(&bytes, contents);
}

/// Where each record ends that is not encrypted, and where the encryption's blocks are counted on.
pub(super) fn plain_places(bytes: &[u8]) -> Vec<(usize, usize, bool)> {
    records(bytes)
        .map(|record| {
            // MS-XLS 2.2.10: these stay readable, so that the rest can be found.
            let is_plain = matches!(
                record.kind,
                0x0809 | 0x002F | 0x0161 | 0x0191 | 0x0193 | 0x0086 | 0x00E1 | 0x0195
            );
            (record.at, record.data.len(), is_plain)
        })
        .collect()
}

fn workbook(bytes: &[u8], contents: &mut Contents<'_>) {
    let mut text = String::new();
    let mut has_macros = false;
    let mut auto = Vec::new();
    let mut strings: Vec<&[u8]> = Vec::new();
    let mut in_strings = false;
    let is_old = records(bytes).next().is_some_and(|first| u16_le(first.data, 0) != Some(0x0600));
    for record in records(bytes) {
        let data = record.data;
        if record.kind == 0x3C && in_strings {
            strings.push(data);
            continue;
        }
        in_strings = false;
        match record.kind {
            // BOUNDSHEET: of type 1, a sheet of macros.
            0x85 => has_macros |= data.get(5) == Some(&1),
            // BOF of a substream of macros.
            0x0809 => has_macros |= u16_le(data, 2) == Some(0x40),
            0x18 => auto.extend(auto_name(data, is_old)),
            0x01AE => dde_link(data, contents),
            // EXTERNSHEET of Excel 5: the encoded name of another document or program.
            0x17 if is_old => old_link(data, contents),
            0xFC => {
                in_strings = true;
                strings.push(data);
            }
            0x0204 | 0xD6 if text.len() < TEXT => {
                if let Some(label) = label(data, 6, is_old) {
                    text.push_str(&label);
                    text.push('\n');
                }
            }
            0x01B8 => {
                for target in wide_urls(data) {
                    address::hyperlink(&target, "", contents);
                }
            }
            0x0207 if text.len() < TEXT => {
                if let Some(value) = label(data, 0, is_old) {
                    text.push_str(&value);
                    text.push('\n');
                }
            }
            _ => {}
        }
    }
    shared_strings(&strings, &mut text);
    match (has_macros, auto.is_empty()) {
        (true, false) => contents.mark(
            Technique::AutoXlmMacro,
            format!("Excel 4 macros that run by themselves: {}", auto.join(", ")),
        ),
        (true, true) => contents.mark(Technique::XlmMacro, "a sheet of Excel 4 macros"),
        _ => {}
    }
    contents.text(text);
}

/// The LBL record of a name that runs something by itself.
fn auto_name(data: &[u8], is_old: bool) -> Option<String> {
    let flags = u16_le(data, 0)?;
    let len = usize::from(*data.get(3)?);
    let from = if is_old { 14 } else { 15 };
    if flags & 0x20 != 0 {
        return match data.get(from)? {
            1 => Some("auto_open".to_owned()),
            2 => Some("auto_close".to_owned()),
            10 => Some("auto_activate".to_owned()),
            11 => Some("auto_deactivate".to_owned()),
            _ => None,
        };
    }
    let is_wide = !is_old && data.get(14)? & 1 != 0;
    let name = if is_wide {
        utf16_le(slice(data, from, len * 2)?)
    } else {
        latin1(slice(data, from, len)?)
    };
    let name = name.to_ascii_lowercase();
    name.starts_with("auto_").then_some(name)
}

/// SUPBOOK: what the workbook takes something from.
fn dde_link(data: &[u8], contents: &mut Contents<'_>) {
    let Some(name) = label(data, 2, false) else { return };
    external(&name, contents);
}

fn old_link(data: &[u8], contents: &mut Contents<'_>) {
    let Some((&len, name)) = data.split_first() else { return };
    let name = latin1(super::bytes::prefix(name, 0, usize::from(len) + 1));
    external(&name, contents);
}

/// Another document, whose encoded path begins with `\1` (MS-XLS 2.5.277, `VirtualPath`), or a
/// program and what it is told, with `\3` between.
fn external(name: &str, contents: &mut Contents<'_>) {
    if let Some(path) = name.strip_prefix('\u{1}') {
        let path: String = path.chars().map(|c| if c.is_control() { '/' } else { c }).collect();
        contents.mark(Technique::ExternalLink, format!("linked to the workbook {path}"));
    } else if let Some((program, topic)) = name.split_once('\u{3}') {
        judge_link(program, topic, contents);
    }
}

/// A link to an object has the same form as one to a program; its "program" is a class.
fn judge_link(program: &str, topic: &str, contents: &mut Contents<'_>) {
    if program.contains('.') && !program.to_ascii_lowercase().ends_with(".exe") {
        address::object(topic, contents);
    } else {
        contents.mark(Technique::Dde, format!("{program} {topic}"));
    }
}

/// A text with its length in front: 16 bits, and in newer files a byte of flags.
fn label(data: &[u8], at: usize, is_old: bool) -> Option<String> {
    let len = usize::from(u16_le(data, at)?);
    if is_old {
        return Some(latin1(slice(data, at + 2, len)?));
    }
    let is_wide = data.get(at + 2)? & 1 != 0;
    Some(if is_wide {
        utf16_le(slice(data, at + 3, len * 2)?)
    } else {
        latin1(slice(data, at + 3, len)?)
    })
}

/// The table of texts (SST and its CONTINUEs): a text that is cut in two begins anew with a byte
/// that says how wide its characters are.
fn shared_strings(pieces: &[&[u8]], out: &mut String) {
    let Some(first) = pieces.first() else { return };
    let Some(count) = place_le(first, 4) else { return };
    let mut reader = Pieces { pieces, piece: 0, at: 8 };
    for _ in 0..count.min(1_000_000) {
        if out.len() > TEXT || reader.string(out).is_none() {
            break;
        }
        out.push('\n');
    }
}

struct Pieces<'p> {
    pieces: &'p [&'p [u8]],
    piece: usize,
    at: usize,
}

impl Pieces<'_> {
    fn byte(&mut self) -> Option<u8> {
        loop {
            let piece = self.pieces.get(self.piece)?;
            if let Some(&byte) = piece.get(self.at) {
                self.at += 1;
                return Some(byte);
            }
            self.piece += 1;
            self.at = 0;
        }
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn skip(&mut self, mut len: usize) -> Option<()> {
        while len > 0 {
            let left = self.pieces.get(self.piece)?.len().saturating_sub(self.at);
            if len <= left {
                self.at += len;
                return Some(());
            }
            len -= left;
            self.piece += 1;
            self.at = 0;
        }
        Some(())
    }

    fn string(&mut self, out: &mut String) -> Option<()> {
        let mut len = usize::from(self.word()?);
        let flags = self.byte()?;
        let runs = if flags & 8 != 0 { usize::from(self.word()?) } else { 0 };
        let extension = if flags & 4 != 0 {
            usize::from(self.word()?) | usize::from(self.word()?) << 16
        } else {
            0
        };
        let mut is_wide = flags & 1 != 0;
        let mut units = Vec::with_capacity(len.min(4_096));
        while len > 0 {
            let piece = self.pieces.get(self.piece)?;
            if self.at >= piece.len() {
                self.piece += 1;
                self.at = 0;
                is_wide = self.byte()? & 1 != 0;
                continue;
            }
            units.push(if is_wide { self.word()? } else { u16::from(self.byte()?) });
            len -= 1;
        }
        out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        self.skip(runs * 4)?;
        self.skip(extension)
    }
}

fn wide_urls(data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = find_ignoring_case(data, b"h\0t\0t\0p\0", at) {
        let text = utf16_le(super::bytes::prefix(data, start, 4_096));
        let end = text.find(char::is_control).unwrap_or(text.len());
        found.push(text[..end].to_owned());
        at = start + 8;
    }
    found
}
