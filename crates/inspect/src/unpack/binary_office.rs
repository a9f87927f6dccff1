//! Old Word and PowerPoint documents (MS-DOC, MS-PPT): their text, their fields, their objects.

use super::{
    address,
    bytes::{latin1, place_le, slice, u16_le, utf16_le},
    cfb::{Compound, Entry},
    contents::Contents,
    inflate::Wrapping,
    technique::Technique,
};

/// Bytes of text of a document.
const TEXT: usize = 8 << 20;

/// Word: the pieces that its text consists of, wherever in the stream they are.
pub(super) fn read_word(file: &Compound<'_>, entry: &Entry, contents: &mut Contents<'_>) {
    let bytes = file.read(entry);
    contents.spend(bytes.len());
    let Some(flags) = u16_le(&bytes, 10) else { return };
    if flags & 0x100 != 0 {
        contents.mark(Technique::Encrypted, "the document is encrypted");
        contents.note("an encrypted document was not inspected");
        return;
    }
    let folder = entry.path.strip_suffix(entry.name()).unwrap_or_default();
    let table = if flags & 0x200 != 0 { "1Table" } else { "0Table" };
    let table = file.stream(&format!("{folder}{table}")).unwrap_or_default();
    let text = pieces(&bytes, &table).unwrap_or_else(|| whole(&bytes));
    fields(&text, contents);
    contents.text(text.chars().filter_map(shown).collect());
}

/// What a person sees of a character of Word's text; fields and pictures have marks in it.
fn shown(c: char) -> Option<char> {
    match c {
        '\r' | '\u{B}' | '\u{C}' => Some('\n'),
        '\u{7}' => Some('\t'),
        '\t' | '\n' => Some(c),
        '\0'..='\u{1F}' => None,
        c => Some(c),
    }
}

/// The text by the table of pieces (MS-DOC 2.8.35).
fn pieces(bytes: &[u8], table: &[u8]) -> Option<String> {
    let at = place_le(bytes, 0x01A2)?;
    let len = place_le(bytes, 0x01A6)?;
    let mut clx = slice(table, at, len)?;
    // In front may stand properties, each with its length.
    while clx.first() == Some(&1) {
        clx = clx.get(3 + usize::from(u16_le(clx, 1)?)..)?;
    }
    if clx.first() != Some(&2) {
        return None;
    }
    let plc = slice(clx, 5, place_le(clx, 1)?)?;
    let count = plc.len().checked_sub(4)? / 12;
    let mut text = String::new();
    for index in 0..count {
        let chars = place_le(plc, (index + 1) * 4)?.checked_sub(place_le(plc, index * 4)?)?;
        let place = place_le(plc, (count + 1) * 4 + index * 8 + 2)?;
        if text.len() > TEXT {
            break;
        }
        let from = place & 0x3FFF_FFFF;
        if place & 0x4000_0000 != 0 {
            text.push_str(&windows(slice(bytes, from / 2, chars)?));
        } else {
            text.push_str(&utf16_le(slice(bytes, from, chars.checked_mul(2)?)?));
        }
    }
    Some(text)
}

/// Windows-1252, which one-byte pieces are in.
fn windows(bytes: &[u8]) -> String {
    if bytes.is_ascii() {
        latin1(bytes)
    } else {
        crate::message::decode_text(bytes, Some("windows-1252"))
    }
}

/// The text of a document without that table (Word 6 and 95): it stands in one piece.
fn whole(bytes: &[u8]) -> String {
    let from = place_le(bytes, 24).unwrap_or_default();
    let to = place_le(bytes, 28).unwrap_or_default();
    let text = bytes.get(from..to).unwrap_or_default();
    windows(&text[..text.len().min(TEXT)])
}

/// Instructions of fields: between their marks 0x13 and 0x14 (or 0x15).
pub(super) fn fields(text: &str, contents: &mut Contents<'_>) {
    const LONGEST: usize = 4_096;
    let mut open: Vec<String> = Vec::new();
    for c in text.chars() {
        match c {
            '\u{13}' if open.len() < 50 => open.push(String::new()),
            '\u{14}' => {
                if let Some(instruction) = open.last_mut() {
                    address::field(instruction, contents);
                    instruction.clear();
                }
            }
            '\u{15}' => {
                if let Some(instruction) = open.pop() {
                    address::field(&instruction, contents);
                }
            }
            c => {
                if let Some(instruction) = open.last_mut().filter(|text| text.len() < LONGEST) {
                    instruction.push(c);
                }
            }
        }
    }
}

/// PowerPoint: records in records (MS-PPT 2.3).
pub(super) fn read_slides(bytes: &[u8], contents: &mut Contents<'_>) {
    contents.spend(bytes.len());
    let mut text = String::new();
    let mut at = 0;
    while let (Some(version), Some(kind), Some(len)) =
        (u16_le(bytes, at), u16_le(bytes, at + 2), place_le(bytes, at + 4))
    {
        let from = at + 8;
        let is_container = version & 0xF == 0xF;
        // Containers are walked into: what follows their header are records.
        at = if is_container { from } else { from.saturating_add(len) };
        let Some(data) = slice(bytes, from, len.min(bytes.len().saturating_sub(from))) else {
            break;
        };
        match kind {
            4_000 | 4_026 if text.len() < TEXT => {
                let piece = utf16_le(data);
                if kind == 4_026 {
                    for target in piece.split('\0').filter(|piece| address::is_remote(piece)) {
                        address::hyperlink(target, "", contents);
                    }
                } else {
                    text.extend(piece.chars().filter_map(shown));
                    text.push('\n');
                }
            }
            4_008 if text.len() < TEXT => {
                text.extend(windows(data).chars().filter_map(shown));
                text.push('\n');
            }
            // An object, a linked one's storage or macros: packed (of version 1) or not.
            0x1011 => {
                let packed = version >> 4 == 1;
                let object = if packed {
                    contents.inflate(data.get(4..).unwrap_or_default(), Wrapping::Zlib).bytes
                } else {
                    data.to_vec()
                };
                storage(object, contents);
            }
            // An action with a program (InteractiveInfoAtom, action 2).
            4_083 if data.get(8) == Some(&2) => {
                contents.mark(Technique::RemoteObject, "a click starts a program");
            }
            // A linked object.
            0x0FCE => contents.mark(Technique::LinkedObject, "an object that is linked"),
            0x2F14 => {
                contents.mark(Technique::Encrypted, "the presentation is encrypted");
                contents.note("an encrypted document was not inspected");
            }
            _ => {}
        }
    }
    contents.text(text);
}

fn storage(object: Vec<u8>, contents: &mut Contents<'_>) {
    if object.starts_with(b"\xD0\xCF\x11\xE0") {
        contents.mark(Technique::EmbeddedFile, "an embedded object");
        contents.child("object", object);
    }
}
