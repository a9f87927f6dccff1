//! What starts or leads elsewhere: Windows shortcuts (MS-SHLLINK), `.url` and its relatives.

use super::{
    Source, address,
    bytes::{latin1, slice, u16_le, u32_le, utf16_le},
    contents::Contents,
    names,
    technique::Technique,
    text,
};

/// The command line of a shortcut.
pub(super) fn read_shortcut(source: &Source<'_>, contents: &mut Contents<'_>) {
    let Some(strings) = strings(source.bytes) else {
        return contents.note("a damaged shortcut was not inspected");
    };
    let line = strings
        .iter()
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>();
    let line = line.join(" ");
    contents.mark(Technique::Shortcut, format!("starts {line}"));
    // Blanks that push the command out of the window that shows it.
    if strings
        .iter()
        .any(|text| text.contains("                    ") || text.contains("\n\n\n\n\n"))
    {
        contents.mark(Technique::DeceptiveName, "blanks hide the command of a shortcut");
    }
    for word in line.split([' ', '"', '\'']).filter(|word| word.contains("://")) {
        contents.link(word, "");
    }
    // What is behind its blocks is carried along: a program or an archive.
    let behind = source.bytes.get(0x4C..).unwrap_or_default();
    for mark in [&b"PK\x03\x04"[..], b"MSCF\0\0\0\0", b"%PDF-"] {
        if let Some(at) = memchr::memmem::find(behind, mark) {
            contents.mark(Technique::Overlay, "a shortcut that carries a file");
            contents.piece("overlay", &behind[at..]);
            break;
        }
    }
}

/// Name, path, folder, arguments and icon, as far as they are there; and the target of the block
/// of environment variables.
fn strings(bytes: &[u8]) -> Option<Vec<String>> {
    let flags = u32_le(bytes, 0x14)?;
    let mut at = 0x4C;
    let mut found = Vec::new();
    if flags & 1 != 0 {
        at += 2 + usize::from(u16_le(bytes, at)?);
    }
    if flags & 2 != 0 {
        let size = u32_le(bytes, at)? as usize;
        let info = slice(bytes, at, size)?;
        if let Some(offset) = u32_le(info, 16).filter(|offset| *offset != 0) {
            found.push(super::bytes::c_string(info, offset as usize).into_owned());
        }
        at += size;
    }
    let is_wide = flags & 0x80 != 0;
    for bit in [4, 8, 0x10, 0x20, 0x40] {
        if flags & bit == 0 {
            continue;
        }
        let count = usize::from(u16_le(bytes, at)?);
        at += 2;
        let len = if is_wide { count * 2 } else { count };
        let Some(text) = slice(bytes, at, len) else { break };
        let text = if is_wide { utf16_le(text) } else { latin1(text) };
        // Neither the description nor the icon is part of the command.
        if bit != 4 && bit != 0x40 {
            found.push(text);
        }
        at += len;
    }
    Some(found)
}

/// Text that leads elsewhere. Which kind it is its name tells, as Windows has it.
pub(super) fn read_pointer(source: &Source<'_>, contents: &mut Contents<'_>) {
    let page = text::decode(source);
    let mut targets = Vec::new();
    for line in page.lines().take(1_000) {
        let line = line.trim();
        let value = ["url=", "basurl=", "baseurl=", "iconfile=", "workingdirectory="]
            .iter()
            .find_map(|key| {
                line.get(..key.len())
                    .filter(|start| start.eq_ignore_ascii_case(key))
                    .map(|_| &line[key.len()..])
            });
        if let Some(value) = value {
            targets.push(value.to_owned());
        }
    }
    if targets.is_empty() {
        let words = page.split(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\''));
        targets.extend(words.filter(|word| address::is_remote(word)).take(100).map(str::to_owned));
    }
    for target in &targets {
        contents.link(target, "");
    }
    let target = targets.first().cloned().unwrap_or_default();
    let lower = target.to_ascii_lowercase();
    let is_web = lower.starts_with("http://") || lower.starts_with("https://") || target.is_empty();
    let ending = names::ending(source.name);
    let technique = match ending.as_str() {
        "url" | "website" | "webloc" | "desktop" | "theme" if is_web => Technique::InternetShortcut,
        "" | "txt" if is_web => Technique::InternetShortcut,
        _ => Technique::Launcher,
    };
    contents.mark(technique, format!("'{}' leads to {target}", source.name));
    contents.text(page);
}
