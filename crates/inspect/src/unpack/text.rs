//! Files that are text: what a person reads, and what a program does with it.

use super::{
    FileKind, Source, address, bytes,
    contents::Contents,
    names, opendocument, relics,
    technique::Technique,
    vba,
    xml::{self, Event, Events},
};
use crate::message::{decode_base64, decode_text};

/// Lines of a table that are looked at for formulas.
const LINES: usize = 200_000;

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let text = decode(source);
    let ending = names::ending(source.name);
    let is_page = matches!(source.declared, "text/html" | "application/xhtml+xml")
        || matches!(ending.as_str(), "html" | "htm" | "xhtml" | "shtml");
    if is_page {
        return contents.html(text);
    }
    if let Some(bytes) = base64(source) {
        contents.spend(bytes.len());
        contents.child("content", bytes);
    }
    if source.kind == FileKind::Csv || matches!(ending.as_str(), "csv" | "tsv") {
        table(&text, contents);
    }
    contents.text(text);
}

/// The content of a file of nothing but Base64.
fn base64(source: &Source<'_>) -> Option<Vec<u8>> {
    let first = source.bytes.first()?;
    let is_short = source.bytes.len() < 64;
    if is_short || !first.is_ascii_alphanumeric() {
        return None;
    }
    let blanks = source.bytes[..64].iter().filter(|b| **b == b' ').count();
    (blanks == 0).then(|| relics::base64_file(source.bytes)).flatten()
}

/// Cells that a spreadsheet takes for formulas that start a program.
fn table(text: &str, contents: &mut Contents<'_>) {
    for line in text.lines().take(LINES) {
        if !line.contains(['|', '(']) {
            continue;
        }
        for cell in line.split([',', ';', '\t']) {
            let cell = cell.trim_matches(['"', ' ']);
            if cell.starts_with(['=', '+', '-', '@']) && address::is_command(cell) {
                contents.mark(Technique::CommandFormula, cell);
            }
        }
    }
}

pub(super) fn read_script(source: &Source<'_>, contents: &mut Contents<'_>) {
    let text = decode(source);
    if names::ending(source.name) == "vba" {
        vba::judge(&text, false, contents);
    }
    contents.text(text);
}

/// SYLK: a spreadsheet in lines. Its macros run without a mark of the web.
pub(super) fn read_slk(source: &Source<'_>, contents: &mut Contents<'_>) {
    let text = decode(source);
    let (mut has_macros, mut auto) = (false, false);
    for line in text.lines().take(LINES) {
        let upper = line.to_ascii_uppercase();
        has_macros |= upper.starts_with("O;E")
            || upper.starts_with("O;") && upper.split(';').any(|field| field == "E");
        auto |= upper.starts_with("NN;") && upper.contains("AUTO_");
        if let Some(formula) = line
            .split(';')
            .find_map(|field| field.strip_prefix('E'))
            .filter(|_| upper.starts_with("C;"))
            && address::is_command(formula)
        {
            contents.mark(Technique::CommandFormula, formula);
        }
    }
    if auto {
        contents
            .mark(Technique::AutoXlmMacro, "Excel 4 macros in a SYLK file that run by themselves");
    } else if has_macros {
        contents.mark(Technique::XlmMacro, "Excel 4 macros in a SYLK file");
    }
    contents.text(text);
}

/// XML that Office opens: Word 2003, Excel 2003, flat packages, flat OpenDocument; else its text.
pub(super) fn read_xml(source: &Source<'_>, contents: &mut Contents<'_>) {
    let page = decode(source);
    let head = &page[..page.floor_char_boundary(8 << 10)];
    if head.contains("urn:oasis:names:tc:opendocument") {
        return opendocument::read_flat(source, contents);
    }
    if head.contains("schemas.microsoft.com/office")
        || head.contains("urn:schemas-microsoft-com:office")
        || head.contains("mso-application")
    {
        office(&page, contents);
    }
    contents.text(page);
}

fn office(page: &str, contents: &mut Contents<'_>) {
    let mut instruction = String::new();
    let (mut in_instruction, mut in_path, mut in_data) = (false, false, false);
    for event in Events::new(page) {
        match event {
            Event::Start("instrText", rest) => in_instruction = !xml::is_empty(rest),
            Event::End("instrText") => in_instruction = false,
            Event::Start("fldChar", _) | Event::End("p") => {
                address::field(&std::mem::take(&mut instruction), contents);
            }
            Event::Start("fldSimple", rest) => {
                if let Some(instruction) = xml::attribute(rest, "instr") {
                    address::field(&instruction, contents);
                }
            }
            Event::Start("Path", rest) => in_path = !xml::is_empty(rest),
            Event::End("Path") => in_path = false,
            Event::Start("Cell", rest) => {
                if let Some(formula) =
                    xml::attribute(rest, "Formula").filter(|formula| address::is_command(formula))
                {
                    contents.mark(Technique::CommandFormula, formula);
                }
            }
            Event::Start("Relationship", rest) => {
                let target = xml::attribute(rest, "Target").unwrap_or_default();
                let kind = xml::attribute(rest, "Type").unwrap_or_default();
                if xml::attribute(rest, "TargetMode").is_some_and(|mode| mode == "External") {
                    match kind.rsplit('/').next().unwrap_or_default() {
                        "attachedTemplate" | "frame" => address::template(&target, contents),
                        "oleObject" => address::object(&target, contents),
                        "hyperlink" => address::hyperlink(&target, "", contents),
                        _ => address::resource(&target, contents),
                    }
                }
            }
            Event::Start("attachedTemplate", rest) => {
                if let Some(target) = xml::attribute(rest, "val") {
                    address::template(&target, contents);
                }
            }
            // A part of a flat package, or of Word 2003: a file in Base64.
            Event::Start("binaryData" | "docOleData" | "docSuppData" | "binData", rest) => {
                in_data = !xml::is_empty(rest);
            }
            Event::End("binaryData" | "docOleData" | "docSuppData" | "binData") => in_data = false,
            Event::Text(text) if in_instruction && instruction.len() < 8_192 => {
                instruction.push_str(&xml::unescape(text));
            }
            Event::Text(text) if in_path => {
                let path = xml::unescape(text);
                if path.contains('|') {
                    contents.mark(Technique::Dde, &*path);
                }
            }
            Event::Text(text) if in_data => {
                part(&decode_base64(text.as_bytes()), contents);
            }
            _ => {}
        }
    }
}

/// A file in XML. Word 2003 packs its macros and objects once more, behind a header of 50 bytes.
fn part(bytes: &[u8], contents: &mut Contents<'_>) {
    if bytes.starts_with(b"ActiveMime") {
        let packed = memchr::memchr(0x78, bytes.get(10..).unwrap_or_default()).map(|at| at + 10);
        let unpacked =
            packed.map(|at| contents.inflate(&bytes[at..], super::inflate::Wrapping::Zlib).bytes);
        return contents.child("part", unpacked.unwrap_or_default());
    }
    contents.piece("part", bytes);
}

/// The text, by its byte order mark, else by the character set that the message declares.
pub(super) fn decode(source: &Source<'_>) -> String {
    match source.bytes {
        [0xFF, 0xFE, rest @ ..] => bytes::utf16_le(rest),
        [0xFE, 0xFF, rest @ ..] => {
            let swapped: Vec<u8> =
                rest.as_chunks::<2>().0.iter().flat_map(|&[a, b]| [b, a]).collect();
            bytes::utf16_le(&swapped)
        }
        all => decode_text(all, source.charset),
    }
}
