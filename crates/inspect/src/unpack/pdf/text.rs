use std::collections::HashMap;

use super::{
    Document, Object,
    font::Font,
    lexer::{Lexer, Value},
    streams::{self, Filtered},
};
use crate::unpack::{bytes::latin1, contents::Contents};

/// Bytes of text of a document.
const TEXT: usize = 8 << 20;
const PAGES: usize = 2_000;
/// Operators of one page; drawings have millions and no text.
const OPERATORS: usize = 2_000_000;

/// Characters that the tables of all fonts together may name.
const CODES: usize = 300_000;

/// Fonts by the numbers of their objects, and what their tables may still take.
struct Fonts {
    read: HashMap<u32, Font>,
    codes: usize,
}

/// A text string (7.9.2.2): UTF-16 by its mark, UTF-8 by its, else as good as Latin.
pub(super) fn string(bytes: &[u8]) -> String {
    match bytes {
        [0xFE, 0xFF, rest @ ..] => {
            let units: Vec<u16> =
                rest.as_chunks::<2>().0.iter().map(|two| u16::from_be_bytes(*two)).collect();
            String::from_utf16_lossy(&units)
        }
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => latin1(bytes),
    }
}

/// The text of all pages, and what is filled into forms and noted beside them.
pub(super) fn read(document: &Document<'_>, contents: &mut Contents<'_>) {
    let mut fonts = Fonts { read: HashMap::new(), codes: CODES };
    let mut out = String::new();
    let mut operators = OPERATORS;
    for page in document.in_order().filter(|object| object.value.is_a(b"Page")).take(PAGES) {
        let names = page_fonts(document, &page.value, &mut fonts, contents);
        for content in page_contents(document, &page.value) {
            if let Filtered::Plain(bytes) = streams::unpack(content, contents) {
                show(&bytes, &names, &fonts.read, &mut operators, &mut out);
            }
            if out.len() > TEXT || operators == 0 || contents.room() == 0 {
                contents.note("more text than is read of a document: the rest was not inspected");
                return contents.text(out);
            }
        }
        out.push('\n');
    }
    for object in document.in_order() {
        // Forms and notes; and forms of drawing that pages are put together from.
        if object.value.subtype() == Some(b"Form")
            && object.stream.is_some()
            && out.len() < TEXT
            && operators > 0
        {
            let names = page_fonts(document, &object.value, &mut fonts, contents);
            if let Filtered::Plain(bytes) = streams::unpack(object, contents) {
                show(&bytes, &names, &fonts.read, &mut operators, &mut out);
            }
        }
        for key in [&b"V"[..], b"Contents"] {
            if let Some(Value::Text(text)) = object.value.get(key)
                && out.len() < TEXT
                && (object.value.get(b"FT").is_some() || object.value.subtype().is_some())
            {
                out.push_str(&string(text));
                out.push('\n');
            }
        }
    }
    contents.text(out);
}

/// The streams that a page consists of.
fn page_contents<'v, 'p>(document: &'v Document<'p>, page: &'v Value<'p>) -> Vec<&'v Object<'p>> {
    let object = |value: &Value<'p>| match value {
        Value::Reference(number) => document.objects.get(number),
        _ => None,
    };
    match page.get(b"Contents") {
        Some(Value::Array(parts)) => parts.iter().take(1_000).filter_map(object).collect(),
        Some(value @ Value::Reference(_)) => match object(value) {
            Some(Object { value: Value::Array(parts), stream: None }) => {
                parts.iter().take(1_000).filter_map(object).collect()
            }
            Some(part) => vec![part],
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The fonts by the names that a page gives them; resources may be those of the tree above.
fn page_fonts(
    document: &Document<'_>,
    page: &Value<'_>,
    fonts: &mut Fonts,
    contents: &mut Contents<'_>,
) -> HashMap<Vec<u8>, u32> {
    let mut names = HashMap::new();
    let mut node = page;
    for _ in 0..8 {
        let resources = node.get(b"Resources").map(|value| document.resolve(value));
        if let Some(Value::Dictionary(pairs)) =
            resources.and_then(|r| r.get(b"Font")).map(|value| document.resolve(value))
        {
            for (name, value) in pairs.iter().take(200) {
                if let Value::Reference(number) = value {
                    if !fonts.read.contains_key(number) && fonts.read.len() < 500 {
                        let font = Font::read(
                            document.resolve(value),
                            document,
                            &mut fonts.codes,
                            contents,
                        );
                        fonts.read.insert(*number, font);
                    }
                    names.entry(name.to_vec()).or_insert(*number);
                }
            }
        }
        match node.get(b"Parent") {
            Some(parent) => node = document.resolve(parent),
            None => break,
        }
    }
    names
}

/// The text that a content stream shows (9.4), in the order in which it is drawn.
fn show(
    bytes: &[u8],
    names: &HashMap<Vec<u8>, u32>,
    fonts: &HashMap<u32, Font>,
    operators: &mut usize,
    out: &mut String,
) {
    /// Thousandths of the font's size from which on a gap is a blank.
    const BLANK: f64 = -180.0;
    let plain = Font::default();
    let mut font = &plain;
    let mut lexer = Lexer::new(bytes);
    let mut operands: Vec<Value<'_>> = Vec::new();
    let mut failures = 0;
    loop {
        let Some(value) = lexer.value() else {
            failures += 1;
            if failures > 100 || !lexer.step() {
                return;
            }
            continue;
        };
        let Value::Word(operator) = value else {
            if operands.len() < 64 {
                operands.push(value);
            }
            continue;
        };
        *operators = operators.saturating_sub(1);
        if *operators == 0 || out.len() > TEXT {
            return;
        }
        match operator {
            b"Tf" => {
                let name = operands.first().and_then(Value::name).unwrap_or_default();
                font = names.get(name).and_then(|number| fonts.get(number)).unwrap_or(&plain);
            }
            b"Tj" | b"'" | b"\"" => {
                if operator != b"Tj" {
                    out.push('\n');
                }
                if let Some(Value::Text(codes)) = operands.last() {
                    font.decode(codes, out);
                }
            }
            b"TJ" => {
                if let Some(Value::Array(parts)) = operands.last() {
                    for part in parts {
                        match part {
                            Value::Text(codes) => font.decode(codes, out),
                            Value::Number(gap) if *gap < BLANK => blank(out),
                            _ => {}
                        }
                    }
                }
            }
            b"Td" | b"TD" => {
                // Along the line a blank, else another line.
                let down =
                    operands.get(1).is_some_and(|y| !matches!(y, Value::Number(y) if *y == 0.0));
                if down { line(out) } else { blank(out) }
            }
            b"T*" | b"ET" => line(out),
            b"Tm" => blank(out),
            b"ID" => lexer.skip_picture(),
            _ => {}
        }
        operands.clear();
    }
}

fn blank(out: &mut String) {
    if !out.ends_with([' ', '\n']) && !out.is_empty() {
        out.push(' ');
    }
}

fn line(out: &mut String) {
    if !out.ends_with('\n') && !out.is_empty() {
        out.push('\n');
    }
}
