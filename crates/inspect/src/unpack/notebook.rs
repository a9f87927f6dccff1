//! OneNote sections (MS-ONESTORE): the files that are in them.

use super::{
    FileKind, Source,
    bytes::{slice, u64_le, utf16_le},
    contents::Contents,
    kind, names,
    technique::Technique,
};

/// `FileDataStoreObject` (2.6.13): its first GUID, behind which stand the length and the content.
const FILE: &[u8; 16] = b"\xE7\x16\xE3\xBD\x65\x26\x11\x45\xA4\xC4\x8D\x4D\x0B\x7A\x9E\xAC";
const FILES: usize = 200;

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    for at in memchr::memmem::find_iter(source.bytes, FILE).take(FILES) {
        let data = u64_le(source.bytes, at + 16)
            .and_then(|len| slice(source.bytes, at + 36, usize::try_from(len).ok()?));
        let Some(data) = data else { continue };
        let kind = kind::detect(data, "");
        if kind != FileKind::Unknown && !kind.is_image() {
            contents.mark(
                Technique::NotebookFile,
                format!("a file in a notebook: {}", kind.describe()),
            );
        }
        contents.piece("embedded", data);
    }
    names_of_files(source.bytes, contents);
}

/// Names of files stand in UTF-16 somewhere; of scripts they are all that tells what they are.
fn names_of_files(bytes: &[u8], contents: &mut Contents<'_>) {
    const DOTS: usize = 50_000;
    let dots = memchr::memchr_iter(b'.', bytes).filter(|at| bytes.get(at + 1) == Some(&0));
    for at in dots.take(DOTS) {
        // Back to where the name begins.
        let mut from = at;
        while from >= 2 && at - from < 400 && bytes[from - 1] == 0 && is_of_name(bytes[from - 2]) {
            from -= 2;
        }
        let tail = slice(bytes, at, 10).unwrap_or(&bytes[at..]);
        let end = tail
            .chunks(2)
            .take_while(|unit| {
                unit.len() == 2
                    && unit[1] == 0
                    && (unit[0] == b'.' || unit[0].is_ascii_alphanumeric())
            })
            .count();
        let name = utf16_le(&bytes[from..(at + end * 2).min(bytes.len())]);
        if from < at
            && names::starts_something(&name)
            && !matches!(names::ending(&name).as_str(), "com" | "app" | "dll")
        {
            contents.mark(Technique::Launcher, format!("a notebook with the file '{name}'"));
            return;
        }
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'<' | b'>' | b':' | b'"' | b'/' | b'\\' | b'|' | b'?' | b'*')
        || byte == b' '
}
