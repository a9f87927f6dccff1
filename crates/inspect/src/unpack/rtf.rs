//! RTF (its specification 1.9.1): text, fields, objects and templates. Objects are in hexadecimal,
//! with whatever stands between the digits that Word passes over.

use super::{
    Source, address,
    bytes::{c_string, contains_ignoring_case, place_le, slice},
    compound,
    contents::Contents,
    technique::Technique,
};

/// Bytes of text of a document.
const TEXT: usize = 8 << 20;
/// Groups in one another; Word refuses far fewer.
const DEPTH: usize = 2_000;
/// Bytes of one object.
const OBJECT: usize = 16 << 20;

/// What a group holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Text,
    /// Hexadecimal digits of an object.
    Object,
    Instruction,
    Template,
    Class,
    /// Fonts, styles, pictures: nothing that is read.
    Skipped,
}

#[derive(Clone, Copy)]
struct Group {
    destination: Destination,
    /// Characters that stand for one of Unicode, for programs that do not know it.
    fallback: u8,
}

struct Reader<'c, 'b> {
    contents: &'c mut Contents<'b>,
    text: String,
    hex: Vec<u8>,
    instruction: String,
    template: String,
    class: String,
    update: bool,
    skip: u8,
}

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let mut reader = Reader {
        contents,
        text: String::new(),
        hex: Vec::new(),
        instruction: String::new(),
        template: String::new(),
        class: String::new(),
        update: false,
        skip: 0,
    };
    walk(source.bytes, &mut reader);
    reader.object();
    let Reader { text, contents, .. } = reader;
    contents.text(text);
}

fn walk(bytes: &[u8], reader: &mut Reader<'_, '_>) {
    let mut groups = vec![Group { destination: Destination::Text, fallback: 1 }];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let group =
            *groups.last().unwrap_or(&Group { destination: Destination::Text, fallback: 1 });
        at += 1;
        match byte {
            b'{' => {
                if groups.len() < DEPTH {
                    groups.push(group);
                }
            }
            b'}' => {
                if groups.len() > 1 {
                    groups.pop();
                }
                let outer = groups.last().map_or(Destination::Text, |group| group.destination);
                if outer != group.destination {
                    reader.close(group.destination);
                }
            }
            b'\\' => at = control(bytes, at, &mut groups, reader),
            b'\r' | b'\n' => {}
            byte => reader.put(group.destination, byte),
        }
    }
    for destination in [Destination::Instruction, Destination::Template] {
        reader.close(destination);
    }
}

/// A control word or symbol behind a backslash; gives where it ends.
fn control(bytes: &[u8], at: usize, groups: &mut [Group], reader: &mut Reader<'_, '_>) -> usize {
    let Some(&first) = bytes.get(at) else { return at };
    let depth = groups.len() - 1;
    let group = &mut groups[depth];
    if !first.is_ascii_alphabetic() {
        match first {
            b'\'' => {
                let code = slice(bytes, at + 1, 2)
                    .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
                // In an object's digits such a character counts for none.
                if let Some(code) = code.filter(|_| group.destination != Destination::Object) {
                    reader.put(group.destination, code);
                }
                return at + 3;
            }
            b'~' => reader.put(group.destination, b' '),
            b'{' | b'}' | b'\\' => reader.put(group.destination, first),
            _ => {}
        }
        return at + 1;
    }
    let rest = &bytes[at..];
    let len = rest.iter().take(33).take_while(|b| b.is_ascii_alphabetic()).count();
    let word = &rest[..len];
    let digits =
        rest[len..].iter().take(11).take_while(|b| b.is_ascii_digit() || **b == b'-').count();
    let number = std::str::from_utf8(&rest[len..len + digits])
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    let mut end = at + len + digits;
    if bytes.get(end) == Some(&b' ') {
        end += 1;
    }
    match word {
        b"bin" => {
            // Bytes as they are, in the middle of digits.
            let count = usize::try_from(number.unwrap_or_default()).unwrap_or_default();
            let data = super::bytes::prefix(bytes, end, count);
            if group.destination == Destination::Object {
                reader.binary(data);
            }
            return end + data.len();
        }
        b"objdata" => {
            reader.object();
            group.destination = Destination::Object;
        }
        b"objclass" => group.destination = Destination::Class,
        b"objupdate" => reader.update = true,
        b"objautlink" | b"objlink" => {
            reader.contents.mark(Technique::LinkedObject, "an object that is linked");
        }
        b"fldinst" => group.destination = Destination::Instruction,
        b"template" => group.destination = Destination::Template,
        b"fonttbl"
        | b"colortbl"
        | b"stylesheet"
        | b"pict"
        | b"themedata"
        | b"colorschememapping"
        | b"latentstyles"
        | b"datastore"
        | b"listtable"
        | b"listoverridetable"
        | b"rsidtbl"
        | b"generator"
        | b"xmlnstbl"
        | b"datafield"
        | b"blipuid"
        | b"panose"
        | b"filetbl"
        | b"revtbl" => group.destination = Destination::Skipped,
        b"par" | b"line" | b"row" | b"sect" | b"page" => reader.put(group.destination, b'\n'),
        b"tab" | b"cell" => reader.put(group.destination, b'\t'),
        b"uc" => group.fallback = number.and_then(|n| u8::try_from(n).ok()).unwrap_or(1),
        b"u" => {
            let code = number.map(|n| if n < 0 { n + 65_536 } else { n });
            if let Some(c) = code.and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32)
            {
                reader.put_char(group.destination, c);
            }
            reader.skip = group.fallback;
        }
        _ => {}
    }
    end
}

impl Reader<'_, '_> {
    fn put(&mut self, destination: Destination, byte: u8) {
        if destination == Destination::Object {
            if byte.is_ascii_hexdigit() && self.hex.len() < OBJECT * 2 {
                self.hex.push(byte);
            }
        } else if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.put_char(destination, char::from(byte));
        }
    }

    fn put_char(&mut self, destination: Destination, c: char) {
        const SHORT: usize = 4_096;
        let (text, limit) = match destination {
            Destination::Text => (&mut self.text, TEXT),
            Destination::Instruction => (&mut self.instruction, SHORT),
            Destination::Template => (&mut self.template, SHORT),
            Destination::Class => (&mut self.class, SHORT),
            Destination::Object | Destination::Skipped => return,
        };
        if text.len() < limit {
            text.push(c);
        }
    }

    /// Bytes that stand in an object as they are, written as the digits around them.
    fn binary(&mut self, data: &[u8]) {
        let room = (OBJECT * 2).saturating_sub(self.hex.len()) / 2;
        for byte in &data[..data.len().min(room)] {
            self.hex.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }

    fn close(&mut self, destination: Destination) {
        match destination {
            Destination::Object => self.object(),
            Destination::Instruction => {
                let instruction = std::mem::take(&mut self.instruction);
                address::field(&instruction, self.contents);
            }
            Destination::Template => {
                let template = std::mem::take(&mut self.template);
                if !template.trim().is_empty() {
                    address::template(template.trim(), self.contents);
                }
            }
            _ => {}
        }
    }

    /// What the digits so far are (MS-OLEDS 2.2.5: version, format, class, names, size, data).
    fn object(&mut self) {
        let hex = std::mem::take(&mut self.hex);
        if hex.len() < 32 {
            return;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
        let bytes: Vec<u8> =
            hex.as_chunks::<2>().0.iter().map(|[a, b]| digit(*a) << 4 | digit(*b)).collect();
        self.contents.spend(bytes.len());
        let (class, data) = object_parts(&bytes).unwrap_or_else(|| {
            let start = memchr::memmem::find(&bytes, b"\xD0\xCF\x11\xE0").unwrap_or_default();
            (String::new(), &bytes[start..])
        });
        let class = if class.is_empty() { std::mem::take(&mut self.class) } else { class };
        let lower = class.to_ascii_lowercase();
        if self.update {
            self.contents.mark(
                Technique::SelfUpdatingObject,
                format!("object of '{class}' that loads without a click"),
            );
        }
        let equation_class = b"\x02\xce\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46";
        if lower.starts_with("equation") || contains_ignoring_case(&bytes, equation_class) {
            self.contents.mark(Technique::VulnerableObject, "an object of the equation editor");
        }
        if lower.starts_with("package") {
            return compound::package_of_rtf(data, self.contents);
        }
        self.contents.mark(Technique::EmbeddedFile, format!("embedded object of '{class}'"));
        self.contents.piece("object", data);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn object_parts(bytes: &[u8]) -> Option<(String, &[u8])> {
    let format = place_le(bytes, 4)?;
    if !matches!(format, 1 | 2) {
        return None;
    }
    let mut at = 8;
    let mut class = String::new();
    for index in 0..3 {
        let len = place_le(bytes, at).filter(|len| *len < 4_096)?;
        if index == 0 {
            class = c_string(slice(bytes, at + 4, len)?, 0).into_owned();
        }
        at += 4 + len;
    }
    let size = place_le(bytes, at)?;
    Some((class, super::bytes::prefix(bytes, at + 4, size)))
}
