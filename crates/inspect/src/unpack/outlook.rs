//! Outlook's messages as files (MS-OXMSG) and in `winmail.dat` (TNEF, MS-OXTNEF).

use super::{
    Source,
    bytes::{c_string, latin1, place_le, slice, utf16_le},
    cfb::Compound,
    contents::Contents,
};

/// Attachments of a message that are read.
const ATTACHMENTS: usize = 500;

/// A property of a storage as text: `id` as in `__substg1.0_IIIITTTT`.
fn property(file: &Compound<'_>, folder: &str, id: &str) -> Option<String> {
    let stream = |kind: &str| file.stream(&format!("{folder}__substg1.0_{id}{kind}"));
    stream("001F")
        .map(|bytes| utf16_le(&bytes))
        .or_else(|| stream("001E").map(|bytes| latin1(&bytes)))
}

pub(super) fn read_message(file: &Compound<'_>, contents: &mut Contents<'_>) {
    let mut text = property(file, "", "0037").unwrap_or_default();
    text.push('\n');
    text.push_str(&property(file, "", "1000").unwrap_or_default());
    contents.spend(text.len());
    contents.text(text);
    let html =
        file.stream("__substg1.0_10130102").map(|bytes| crate::message::decode_text(&bytes, None));
    if let Some(html) = html.or_else(|| property(file, "", "1013")) {
        contents.spend(html.len());
        contents.html(html);
    }
    let folders =
        file.entries.iter().filter(|entry| !entry.is_stream && entry.path.starts_with("__attach"));
    for entry in folders.filter(|entry| !entry.path.contains('/')).take(ATTACHMENTS) {
        let folder = format!("{}/", entry.path);
        let name = property(file, &folder, "3707").or_else(|| property(file, &folder, "3704"));
        if let Some(bytes) = file.stream(&format!("{folder}__substg1.0_37010102")) {
            contents.piece(name.unwrap_or_default(), &bytes);
        } else if let Some(text) = property(file, &format!("{folder}__substg1.0_3701000D/"), "1000")
        {
            // A message in a message: its storage has no bytes of its own.
            contents.spend(text.len());
            contents.text(text);
        }
    }
}

/// Attributes of TNEF: a level, a number with a type, a length, the content and a checksum.
pub(super) fn read_tnef(source: &Source<'_>, contents: &mut Contents<'_>) {
    const TITLE: u32 = 0x8010;
    const DATA: u32 = 0x800F;
    const RENDERING: u32 = 0x9002;
    const BODY: u32 = 0x800C;
    let bytes = source.bytes;
    let mut at = 6;
    let mut name = String::new();
    let mut data: Option<&[u8]> = None;
    while let (Some(id), Some(len)) = (place_le(bytes, at + 1), place_le(bytes, at + 5)) {
        let Some(content) = slice(bytes, at + 9, len) else { break };
        match (id & 0xFFFF) as u32 {
            RENDERING => {
                if let Some(data) = data.take() {
                    contents.piece(std::mem::take(&mut name), data);
                }
                name.clear();
            }
            TITLE => name = c_string(content, 0).into_owned(),
            DATA => data = Some(content),
            BODY => contents.text(latin1(content)),
            _ => {}
        }
        at += 9 + len + 2;
    }
    if let Some(data) = data {
        contents.piece(name, data);
    }
}
