use std::collections::HashMap;

use super::{
    Document,
    lexer::{Lexer, Value},
    streams::{self, Filtered},
};
use crate::unpack::contents::Contents;

/// Characters that a font's table may name.
const CODES: usize = 70_000;

/// How the codes of a font become text.
#[derive(Default)]
pub(super) struct Font {
    /// What each code stands for; where there is no table, codes are Windows-1252.
    table: Option<HashMap<u32, String>>,
    is_wide: bool,
}

impl Font {
    pub(super) fn read(
        font: &Value<'_>,
        document: &Document<'_>,
        codes: &mut usize,
        contents: &mut Contents<'_>,
    ) -> Self {
        let is_wide = font.subtype() == Some(b"Type0");
        let table = match font.get(b"ToUnicode") {
            Some(Value::Reference(number)) => document.objects.get(number).and_then(|object| {
                match streams::unpack(object, contents) {
                    Filtered::Plain(bytes) => {
                        let table = table(&bytes, (*codes).min(CODES));
                        *codes -= table.len().min(*codes);
                        Some(table)
                    }
                    Filtered::Other => None,
                }
            }),
            _ => None,
        };
        Self { table, is_wide }
    }

    pub(super) fn decode(&self, codes: &[u8], out: &mut String) {
        let Some(table) = &self.table else {
            if !self.is_wide {
                out.push_str(&crate::message::decode_text(codes, Some("windows-1252")));
            }
            return;
        };
        let width = if self.is_wide { 2 } else { 1 };
        for code in codes.chunks(width) {
            let code = code.iter().fold(0_u32, |code, byte| code << 8 | u32::from(*byte));
            match table.get(&code) {
                Some(text) => out.push_str(text),
                None if !self.is_wide => out.extend(char::from_u32(code)),
                None => {}
            }
        }
    }
}

/// The table of a ToUnicode stream (9.10.3): `bfchar` and `bfrange`.
fn table(bytes: &[u8], most: usize) -> HashMap<u32, String> {
    let mut table = HashMap::new();
    let mut lexer = Lexer::new(bytes);
    let mut values: Vec<Value<'_>> = Vec::new();
    while let Some(value) = lexer.value() {
        match value {
            Value::Word(b"beginbfchar" | b"beginbfrange" | b"begincodespacerange") => {
                values.clear();
            }
            Value::Word(b"endbfchar") => {
                for pair in values.chunks_exact(2) {
                    if let (Some(code), Value::Text(text)) = (code(&pair[0]), &pair[1]) {
                        table.insert(code, wide(text));
                    }
                }
                values.clear();
            }
            Value::Word(b"endbfrange") => {
                for three in values.chunks_exact(3) {
                    range(three, most, &mut table);
                }
                values.clear();
            }
            value if values.len() < CODES => values.push(value),
            _ => {}
        }
        if table.len() > most {
            break;
        }
    }
    table
}

fn range(three: &[Value<'_>], most: usize, table: &mut HashMap<u32, String>) {
    let (Some(from), Some(to)) = (code(&three[0]), code(&three[1])) else { return };
    for (offset, code) in (from..=to).take(65_536).enumerate() {
        if table.len() > most {
            return;
        }
        match &three[2] {
            Value::Text(text) => {
                let mut text: Vec<u16> =
                    text.as_chunks::<2>().0.iter().map(|two| u16::from_be_bytes(*two)).collect();
                if let Some(last) = text.last_mut() {
                    *last = last.wrapping_add(offset as u16);
                }
                table.insert(code, String::from_utf16_lossy(&text));
            }
            Value::Array(texts) => {
                if let Some(Value::Text(text)) = texts.get(offset) {
                    table.insert(code, wide(text));
                }
            }
            _ => return,
        }
    }
}

fn code(value: &Value<'_>) -> Option<u32> {
    match value {
        Value::Text(bytes) if bytes.len() <= 4 => {
            Some(bytes.iter().fold(0, |code, byte| code << 8 | u32::from(*byte)))
        }
        _ => None,
    }
}

fn wide(bytes: &[u8]) -> String {
    let units: Vec<u16> =
        bytes.as_chunks::<2>().0.iter().map(|two| u16::from_be_bytes(*two)).collect();
    String::from_utf16_lossy(&units)
}
