//! PDF (ISO 32000): what it runs, what it carries, where it leads, what is written in it.
//!
//! Objects are found by looking for them, not by the table that says where they are: readers
//! repair broken tables, so broken tables hide nothing from people.

mod font;
mod lexer;
mod streams;
mod text;

use std::collections::HashMap;

use self::{
    lexer::{Lexer, Value},
    streams::Filtered,
};
use super::{
    Source,
    bytes::{latin1, prefix},
    contents::Contents,
    technique::Technique,
};

/// Objects that are read.
const OBJECTS: usize = 100_000;
/// Bytes of a trailer.
const TRAILER: usize = 16 << 10;
/// Files inside, pictures, scripts: of each no more.
const EACH: usize = 200;

/// An object: its value, and where its stream begins.
struct Object<'p> {
    value: Value<'p>,
    stream: Option<&'p [u8]>,
}

/// A document's objects by number.
type Objects<'p> = HashMap<u32, Object<'p>>;

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let mut objects = Objects::new();
    let mut trailers = Vec::new();
    if !scan(source.bytes, &mut objects, &mut trailers) {
        contents.note("a damaged PDF: its rest was not inspected");
    }
    let is_encrypted = is_encrypted(&objects, &trailers);
    // Objects in streams: those are unpacked first, and live as long as this function.
    let packed = if is_encrypted { Vec::new() } else { object_streams(&objects, contents) };
    for (numbers, bytes) in &packed {
        let mut work = bytes.len().saturating_mul(4);
        for &(number, at) in numbers {
            let Some(rest) = bytes.get(at..) else { continue };
            let mut lexer = Lexer::new(rest);
            let value = lexer.value();
            work = work.saturating_sub(lexer.place());
            if work == 0 || objects.len() >= OBJECTS {
                contents.note("a damaged PDF: its rest was not inspected");
                break;
            }
            if let Some(value) = value {
                objects.entry(number).or_insert(Object { value, stream: None });
            }
        }
    }
    if is_encrypted {
        contents.mark(Technique::Encrypted, "the PDF is encrypted");
        contents.note("text of an encrypted PDF was not inspected");
    }
    let mut numbers: Vec<u32> = objects.keys().copied().collect();
    numbers.sort_unstable();
    let document = Document { objects, numbers, is_encrypted };
    document.judge(contents);
    if !is_encrypted {
        text::read(&document, contents);
    }
    behind(source.bytes, contents);
}

/// Finds `1 0 obj` wherever it stands; of one number the last one counts.
/// `false` when objects overlap so much that not all were read.
fn scan<'p>(bytes: &'p [u8], objects: &mut Objects<'p>, trailers: &mut Vec<Value<'p>>) -> bool {
    let mut work = bytes.len().saturating_mul(4).saturating_add(1 << 20);
    for at in memchr::memmem::find_iter(bytes, b"obj") {
        if at >= 3 && &bytes[at - 3..at] == b"end" {
            continue;
        }
        let Some(number) = number_before(bytes, at) else { continue };
        let mut lexer = Lexer::new(&bytes[at + 3..]);
        let value = lexer.value();
        work = work.saturating_sub(lexer.place());
        if work == 0 {
            return false;
        }
        let Some(value) = value else { continue };
        let stream = lexer.stream().map(|offset| {
            let rest = &bytes[at + 3 + offset..];
            let len = value.get(b"Length").and_then(Value::number).unwrap_or_default();
            let told = rest
                .get(len..)
                .is_some_and(|behind| behind.trim_ascii_start().starts_with(b"endstream"));
            if told && len > 0 {
                &rest[..len]
            } else {
                let end = memchr::memmem::find(rest, b"endstream").unwrap_or(rest.len());
                work = work.saturating_sub(end);
                &rest[..end]
            }
        });
        if objects.len() < OBJECTS || objects.contains_key(&number) {
            objects.insert(number, Object { value, stream });
        }
    }
    for at in memchr::memmem::find_iter(bytes, b"trailer").take(EACH) {
        trailers.extend(Lexer::new(prefix(bytes, at + 7, TRAILER)).value());
    }
    true
}

/// The number of an object, in front of its generation.
fn number_before(bytes: &[u8], at: usize) -> Option<u32> {
    let head = &bytes[at.saturating_sub(24)..at];
    let mut words = head.rsplit(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let generation = words.next()?;
    if !generation.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = words.next()?;
    let digits = number.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&number[number.len() - digits..]).ok()?.parse().ok()
}

fn is_encrypted(objects: &Objects<'_>, trailers: &[Value<'_>]) -> bool {
    trailers.iter().any(|trailer| trailer.get(b"Encrypt").is_some())
        || objects
            .values()
            .any(|object| object.value.is_a(b"XRef") && object.value.get(b"Encrypt").is_some())
}

/// Numbers of objects, and where in the unpacked bytes they are.
type Places = Vec<(u32, usize)>;

/// Streams of objects (7.5.7): which numbers are where in the unpacked bytes.
fn object_streams(objects: &Objects<'_>, contents: &mut Contents<'_>) -> Vec<(Places, Vec<u8>)> {
    let mut numbers: Vec<u32> = objects
        .iter()
        .filter(|(_, object)| object.value.is_a(b"ObjStm"))
        .map(|(number, _)| *number)
        .collect();
    numbers.sort_unstable();
    let mut found = Vec::new();
    for number in numbers {
        let object = &objects[&number];
        let Filtered::Plain(bytes) = streams::unpack(object, contents) else { continue };
        let first = object.value.get(b"First").and_then(Value::number).unwrap_or_default();
        let count = object.value.get(b"N").and_then(Value::number).unwrap_or_default();
        let mut lexer = Lexer::new(prefix(&bytes, 0, first));
        let mut places = Vec::new();
        for _ in 0..count.min(OBJECTS) {
            let (Some(number), Some(at)) =
                (lexer.value().and_then(|v| v.number()), lexer.value().and_then(|v| v.number()))
            else {
                break;
            };
            if let (Ok(number), Some(at)) = (u32::try_from(number), first.checked_add(at)) {
                places.push((number, at));
            }
        }
        found.push((places, bytes));
    }
    found
}

/// What lies behind the end: a ZIP that is read from its end, or a program.
fn behind(bytes: &[u8], contents: &mut Contents<'_>) {
    let Some(end) = memchr::memmem::rfind(bytes, b"%%EOF") else { return };
    let tail = &bytes[end + 5..];
    for mark in [&b"PK\x03\x04"[..], b"MZ"] {
        let Some(at) = memchr::memmem::find(tail, mark) else { continue };
        if mark == b"MZ" && super::kind::pe_header(&tail[at..], 0).is_none() {
            continue;
        }
        contents.mark(Technique::Polyglot, "a file lies behind the end of the PDF");
        return contents.piece("overlay", &tail[at..]);
    }
}

/// A document whose objects are at hand.
struct Document<'p> {
    objects: Objects<'p>,
    /// Their numbers in order, so that the same file gives the same report.
    numbers: Vec<u32>,
    is_encrypted: bool,
}

impl<'p> Document<'p> {
    fn in_order(&self) -> impl Iterator<Item = &Object<'p>> {
        self.numbers.iter().filter_map(|number| self.objects.get(number))
    }

    /// The value, or what it refers to.
    fn resolve<'v>(&'v self, value: &'v Value<'p>) -> &'v Value<'p> {
        let mut value = value;
        for _ in 0..8 {
            let Value::Reference(number) = value else { return value };
            let Some(object) = self.objects.get(number) else { return &Value::Null };
            value = &object.value;
        }
        value
    }

    fn judge(&self, contents: &mut Contents<'_>) {
        let mut scripts = 0;
        let mut automatic = false;
        for object in self.in_order() {
            object.value.each(&mut |dictionary| {
                self.dictionary(dictionary, &mut scripts, &mut automatic, contents);
            });
            let is_file = object.value.is_a(b"EmbeddedFile");
            if object.stream.is_some() && is_file && contents.children.len() < EACH {
                contents.mark(Technique::PdfFile, "a file in the PDF");
                if let (Filtered::Plain(bytes), false) =
                    (streams::unpack(object, contents), self.is_encrypted)
                {
                    contents.child("embedded", bytes);
                }
            }
            if object.value.subtype() == Some(b"Image")
                && contents.children.len() < EACH
                && !self.is_encrypted
            {
                self.picture(object, contents);
            }
        }
        if automatic {
            contents.mark(Technique::PdfAutoScript, "JavaScript that runs when the PDF is opened");
        } else if scripts > 0 {
            contents.mark(Technique::PdfScript, "JavaScript in the PDF");
        }
    }

    /// A dictionary anywhere: actions and what starts them (12.6).
    fn dictionary(
        &self,
        value: &Value<'p>,
        scripts: &mut usize,
        automatic: &mut bool,
        contents: &mut Contents<'_>,
    ) {
        if let Some(script) = value.get(b"JS") {
            *scripts += 1;
            self.script(script, contents);
        }
        match value.get(b"S").and_then(Value::name) {
            Some(b"Launch") => {
                let target = value
                    .get(b"F")
                    .or_else(|| value.get(b"Win"))
                    .map(|target| self.describe(target));
                contents
                    .mark(Technique::PdfLaunch, format!("starts {}", target.unwrap_or_default()));
            }
            Some(b"SubmitForm") => contents.mark(Technique::PdfForm, "sends a form away"),
            Some(b"URI") => {
                if let Some(target) = value.get(b"URI") {
                    super::address::hyperlink(&self.describe(target), "", contents);
                }
            }
            Some(b"GoToR" | b"GoToE") => {
                let target =
                    value.get(b"F").map(|target| self.describe(target)).unwrap_or_default();
                if super::address::is_remote(&target) {
                    super::address::object(&target, contents);
                }
            }
            _ => {}
        }
        // Scripts of the document (7.7.4), of its opening, of its pages.
        if let Some(tree) = value.get(b"JavaScript") {
            *automatic |= !matches!(self.resolve(tree), Value::Null);
        }
        for key in [&b"OpenAction"[..], b"AA"] {
            if let Some(action) = value.get(key) {
                *automatic |= self.has_script(action, 0, &mut 1_000)
                    && (key == b"OpenAction" || value.is_a(b"Catalog") || value.is_a(b"Page"));
            }
        }
        if let Some(files) = value.get(b"EF") {
            let name = self.describe(value);
            contents.mark(Technique::PdfFile, format!("the file '{name}' in the PDF"));
            let file = self.resolve(files).get(b"F").or_else(|| self.resolve(files).get(b"UF"));
            if let Some(Value::Reference(number)) = file
                && let Some(object) =
                    self.objects.get(number).filter(|object| !object.value.is_a(b"EmbeddedFile"))
                && !self.is_encrypted
                && let Filtered::Plain(bytes) = streams::unpack(object, contents)
            {
                contents.child(name, bytes);
            }
        }
        if value.get(b"XFA").is_some() {
            contents.mark(Technique::PdfForm, "a form of XFA");
        }
        if let Some(name) = value.obfuscated() {
            contents.mark(
                Technique::PdfObfuscated,
                format!("a name is written so that it is not found: {}", latin1(name)),
            );
        }
    }

    /// Whether an action, or one that follows it, is a script. `steps` bounds the search: actions
    /// may refer to each other in circles.
    fn has_script(&self, value: &Value<'p>, depth: usize, steps: &mut usize) -> bool {
        /// Keys that lead elsewhere: up the tree, and to the page that is shown.
        const AWAY: [&[u8]; 3] = [b"Parent", b"P", b"D"];
        if depth > 6 || *steps == 0 {
            return false;
        }
        *steps -= 1;
        match self.resolve(value) {
            Value::Dictionary(pairs) => pairs.iter().take(100).any(|(key, value)| {
                &**key == b"JS"
                    || (!AWAY.contains(&&**key) && self.has_script(value, depth + 1, steps))
            }),
            Value::Array(values) => {
                values.iter().take(20).any(|value| self.has_script(value, depth + 1, steps))
            }
            _ => false,
        }
    }

    fn script(&self, value: &Value<'p>, contents: &mut Contents<'_>) {
        let source = match value {
            Value::Reference(number) => match self.objects.get(number) {
                Some(object) if object.stream.is_some() => {
                    match streams::unpack(object, contents) {
                        Filtered::Plain(bytes) => latin1(&bytes),
                        Filtered::Other => return,
                    }
                }
                _ => self.describe(value),
            },
            value => self.describe(value),
        };
        let lower = source.to_ascii_lowercase();
        let harmful = [
            "exportdataobject",
            "nlaunch",
            "collectemailinfo",
            "util.printd",
            "geticon(",
            "unescape(",
            "media.newplayer",
            "launchurl",
            "spell.customdictionary",
            "xfa.host",
            "submitform",
        ];
        let calls: Vec<&str> = harmful.into_iter().filter(|call| lower.contains(call)).collect();
        let surely = calls.iter().any(|call| {
            matches!(*call, "nlaunch" | "collectemailinfo" | "media.newplayer" | "exportdataobject")
        }) || (lower.contains("unescape(") && lower.contains("%u"));
        if surely {
            contents
                .mark(Technique::PdfLaunch, format!("JavaScript that calls {}", calls.join(", ")));
        }
    }

    /// A value as text: a string, the file of a file specification, or nothing.
    fn describe(&self, value: &Value<'p>) -> String {
        match self.resolve(value) {
            Value::Text(bytes) => text::string(bytes),
            Value::Dictionary(_) => {
                let value = self.resolve(value);
                let inner = value.get(b"UF").or_else(|| value.get(b"F"));
                match inner.map(|inner| self.resolve(inner)) {
                    Some(Value::Text(bytes)) => text::string(bytes),
                    _ => String::new(),
                }
            }
            _ => String::new(),
        }
    }

    /// Pictures become files of their own, for whoever looks for codes in them.
    fn picture(&self, object: &Object<'p>, contents: &mut Contents<'_>) {
        let Some(stream) = object.stream else { return };
        let is_jpeg = object.value.get(b"Filter").is_some_and(|filter| {
            let filter = self.resolve(filter);
            filter.name() == Some(b"DCTDecode") || matches!(filter, Value::Array(names) if names.len() == 1 && names[0].name() == Some(b"DCTDecode"))
        });
        if is_jpeg {
            contents.piece("picture.jpg", stream);
        } else if let Some(bitmap) = self.bitmap(object, contents) {
            contents.child("picture.bmp", bitmap);
        }
    }

    /// A picture of one or eight bits a colour as a BMP, so that it has a form that others read.
    fn bitmap(&self, object: &Object<'p>, contents: &mut Contents<'_>) -> Option<Vec<u8>> {
        const SIDE: usize = 4_000;
        let side = |key: &[u8]| {
            object
                .value
                .get(key)
                .map(|value| self.resolve(value))
                .and_then(|value| value.number())
                .filter(|side| (16..=SIDE).contains(side))
        };
        let (width, height) = (side(b"Width")?, side(b"Height")?);
        let bits = if object.value.get(b"ImageMask").is_some() {
            1
        } else {
            object.value.get(b"BitsPerComponent").and_then(Value::number)?
        };
        let Filtered::Plain(data) = streams::unpack(object, contents) else { return None };
        let colours = match bits {
            1 if data.len() >= width.div_ceil(8) * height => 1,
            8 if data.len() >= width * height * 3 => 3,
            8 if data.len() >= width * height => 1,
            _ => return None,
        };
        let row = (width * 3).next_multiple_of(4);
        let size = 54 + row * height;
        if size > contents.room() {
            return None;
        }
        contents.spend(size);
        let mut bitmap = Vec::with_capacity(size);
        bitmap.extend_from_slice(b"BM");
        for value in [
            size as u32,
            0,
            54,
            40,
            width as u32,
            height as u32,
            1 | 24 << 16,
            0,
            (row * height) as u32,
            2_835,
            2_835,
            0,
            0,
        ] {
            bitmap.extend_from_slice(&value.to_le_bytes());
        }
        for y in (0..height).rev() {
            for x in 0..width {
                let pixel = match (bits, colours) {
                    (1, _) => {
                        let bit = data[y * width.div_ceil(8) + x / 8] >> (7 - x % 8) & 1;
                        [bit * 255; 3]
                    }
                    (_, 3) => {
                        let at = (y * width + x) * 3;
                        [data[at + 2], data[at + 1], data[at]]
                    }
                    _ => [data[y * width + x]; 3],
                };
                bitmap.extend_from_slice(&pixel);
            }
            bitmap.resize(54 + row * (height - y), 0);
        }
        Some(bitmap)
    }
}
