//! What a compound file is: an old document, an installer, a message, an encrypted document.

use super::{
    Source, biff, binary_office,
    bytes::{c_string, place_le, utf16_le},
    cfb::{Compound, Entry},
    contents::Contents,
    inflate::Wrapping,
    names, office_crypt, outlook,
    technique::Technique,
    vba,
};

/// Classes of objects whose programs have been attacked for years, as they stand in files.
const VULNERABLE: &[([u8; 16], &str)] = &[
    (*b"\x02\xCE\x02\0\0\0\0\0\xC0\0\0\0\0\0\0\x46", "Equation Editor 3.0"),
    (*b"\xC6\xAF\xAB\xEC\x19\x7F\xD2\x11\x97\x8E\0\0\xF8\x75\x7E\x2A", "Microsoft Works"),
];

/// The class of Windows Installer packages, patches and transforms: they differ in the first byte.
const INSTALLER: [u8; 15] = *b"\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46";

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let Some(file) = Compound::open(source.bytes) else {
        return contents.note("a damaged compound file was not inspected");
    };
    read_file(source.name, &file, contents);
}

fn read_file(name: &str, file: &Compound<'_>, contents: &mut Contents<'_>) {
    if file.has("EncryptedPackage") && file.has("EncryptionInfo") {
        return office_crypt::read_package(file, contents);
    }
    let class = file.class();
    if matches!(class[0], 0x82 | 0x84 | 0x86) && class[1..] == INSTALLER
        || file.streams().any(|entry| entry.path.starts_with('\u{4840}'))
    {
        contents.mark(Technique::Installer, format!("'{name}' is an installer"));
    }
    let locked =
        file.stream("Current User").is_some_and(|user| place_le(&user, 12) == Some(0xF3D1_C4DF));
    if locked || file.has("\u{9}DRMContent") || file.has("\u{6}DataSpaces/DataSpaceMap") {
        contents.mark(Technique::Encrypted, "the document is encrypted");
        return contents.note("an encrypted document was not inspected");
    }
    if file.has("__properties_version1.0") {
        return outlook::read_message(file, contents);
    }
    vba::read(file, contents);
    objects(file, contents);
    let mut is_document = false;
    for entry in file.streams() {
        match entry.name().to_ascii_lowercase().as_str() {
            "workbook" | "book" => biff::read(file.read(entry), contents),
            "worddocument" => binary_office::read_word(file, entry, contents),
            "powerpoint document" => binary_office::read_slides(&file.read(entry), contents),
            _ => continue,
        }
        is_document = true;
    }
    if !is_document {
        hidden_program(file, contents);
    }
    hyperlinks(file, contents);
}

/// Objects in a document: what is in them becomes files of their own.
fn objects(file: &Compound<'_>, contents: &mut Contents<'_>) {
    for entry in &file.entries {
        let class = VULNERABLE.iter().find(|(class, _)| *class == entry.class);
        let is_equation = entry.is_stream && entry.name().eq_ignore_ascii_case("Equation Native");
        if let Some((_, program)) = class.filter(|_| !entry.is_stream) {
            contents.mark(Technique::EmbeddedFile, format!("object of {program}"));
        } else if is_equation {
            judge_equation(&file.read(entry), contents);
        }
        match entry.name().trim_start_matches('\u{1}').to_ascii_lowercase().as_str() {
            // Word 2003 keeps an object in XML as a length and what is deflated.
            name if entry.is_stream && name.starts_with('_') && !entry.path.contains('/') => {
                let bytes = file.read(entry);
                if bytes.get(4) == Some(&0x78) {
                    contents.mark(Technique::EmbeddedFile, "an embedded object");
                    let object = contents.inflate(&bytes[4..], Wrapping::Zlib).bytes;
                    contents.child("object", object);
                }
            }
            "ole10native" if entry.is_stream => package(&file.read(entry), contents),
            "ole" if entry.is_stream => linked(&file.read(entry), contents),
            "package" | "contents" if entry.is_stream && entry.size > 64 => {
                let bytes = file.read(entry);
                let kind = super::kind::detect(&bytes, "");
                if !matches!(kind, super::FileKind::Unknown | super::FileKind::Text) {
                    contents
                        .mark(Technique::EmbeddedFile, format!("embedded: {}", kind.describe()));
                    contents.piece(entry.path.trim_matches('\u{1}').to_owned(), &bytes);
                }
            }
            _ => {}
        }
    }
    let pools = |entry: &&Entry| {
        !entry.is_stream
            && (entry.path.starts_with("ObjectPool/") || entry.path.starts_with("MBD"))
            && !entry.path.trim_start_matches("ObjectPool/").contains('/')
    };
    let count = file.entries.iter().filter(pools).count();
    if count > 0 {
        contents.mark(Technique::EmbeddedFile, format!("{count} embedded object(s)"));
    }
}

/// An equation's record. Real ones are short texts with a header of 28 bytes; those that attack
/// have a font name (record 8) that is longer than the 40 bytes that the program keeps for it.
fn judge_equation(bytes: &[u8], contents: &mut Contents<'_>) {
    let header = bytes.first().copied().map_or(28, usize::from);
    let body = bytes.get(header.min(64)..).unwrap_or_default();
    let long_font = memchr::memchr_iter(8, &body[..body.len().min(64)]).any(|at| {
        let name = body.get(at + 3..).unwrap_or_default();
        let len = memchr::memchr(0, name).unwrap_or(name.len());
        len > 40
    });
    let calls = [&b"cmd"[..], b"mshta", b"powershell", b"winexec", b"http"]
        .iter()
        .any(|word| super::bytes::contains_ignoring_case(body, word));
    if long_font || calls {
        contents.mark(Technique::VulnerableObject, "an equation that overflows its editor");
    }
}

/// Ole10Native (MS-OLEDS 2.3.6): a file in a document, with its name; or a command.
fn package(bytes: &[u8], contents: &mut Contents<'_>) {
    let Some((name, path, data)) = package_parts(bytes) else {
        let native = bytes.get(4..).unwrap_or_default();
        if super::kind::detect(native, "").is_program() {
            contents.piece("object", native);
        }
        return;
    };
    let shown = if name.is_empty() { &path } else { &name };
    contents.mark(Technique::PackagedFile, format!("packaged file '{}'", names::tidy(shown)));
    // What is started is the file under its path, whatever the label says.
    let named = if names::starts_something(&path) { &path } else { shown };
    let named = named.rsplit(['\\', '/']).next().unwrap_or_default();
    if data.is_empty() {
        // Linked: the file stays where it is, and its path is a command.
        if names::starts_something(&path) {
            contents.mark(Technique::Program, format!("starts {path}"));
        }
        return;
    }
    contents.piece(named, data);
}

/// The same without the size in front, as RTF has it.
pub(super) fn package_of_rtf(bytes: &[u8], contents: &mut Contents<'_>) {
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    package(&[&size.to_le_bytes(), bytes].concat(), contents);
}

fn package_parts(bytes: &[u8]) -> Option<(String, String, &[u8])> {
    // Size, 2; then label and path, each with a zero behind it.
    let mut at = if bytes.get(4..6)? == [2, 0] { 6 } else { return None };
    let name = c_string(bytes, at).into_owned();
    at += memchr::memchr(0, bytes.get(at..)?)? + 1;
    let path = c_string(bytes, at).into_owned();
    at += memchr::memchr(0, bytes.get(at..)?)? + 1;
    Some((name, path, package_data(bytes, at + 4).unwrap_or_default()))
}

/// The content, behind a second path: of a link there is none.
fn package_data(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let at = at.checked_add(4)?.checked_add(place_le(bytes, at)?)?;
    Some(super::bytes::prefix(bytes, at.checked_add(4)?, place_le(bytes, at)?))
}

/// The stream `\1Ole` (MS-OLEDS 2.3.3) of a link: where it leads.
fn linked(bytes: &[u8], contents: &mut Contents<'_>) {
    let is_link = place_le(bytes, 4).is_some_and(|flags| flags & 1 != 0);
    if !is_link && bytes.len() < 40 {
        return;
    }
    for target in wide_addresses(bytes) {
        super::address::object(&target, contents);
    }
    if is_link {
        contents.mark(Technique::LinkedObject, "an object that is linked");
    }
}

/// Addresses in UTF-16 that stand anywhere in the bytes.
fn wide_addresses(bytes: &[u8]) -> Vec<String> {
    let marks: [&[u8]; 3] = [b"h\0t\0t\0p\0", b"\\\0\\\0", b"f\0t\0p\0:\0"];
    let mut found = Vec::new();
    for mark in marks {
        for at in memchr::memmem::find_iter(bytes, mark).take(20) {
            let text = utf16_le(super::bytes::prefix(bytes, at, 2_048));
            let end =
                text.find(|c: char| c.is_control() || c.is_whitespace()).unwrap_or(text.len());
            let text = text[..end].to_owned();
            if text.len() > 7 && !found.contains(&text) && text.is_ascii() {
                found.push(text);
            }
        }
    }
    found
}

/// Programs that stand in a stream as they are.
fn hidden_program(file: &Compound<'_>, contents: &mut Contents<'_>) {
    for entry in file.streams().take(500) {
        let bytes = file.read(entry);
        let is_program = bytes.starts_with(b"MZ") && super::kind::pe_header(&bytes, 0).is_some();
        if is_program || bytes.starts_with(b"MSCF\0\0\0\0") {
            contents.piece(entry.path.clone(), &bytes);
        }
    }
}

/// Links in the summary (MS-OSHARED 2.3.3.1.21): `_PID_HLINKS`.
fn hyperlinks(file: &Compound<'_>, contents: &mut Contents<'_>) {
    let Some(bytes) = file.stream("\u{5}DocumentSummaryInformation") else { return };
    for target in wide_addresses(&bytes) {
        super::address::hyperlink(&target, "", contents);
    }
}
