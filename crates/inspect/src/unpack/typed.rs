//! What the type and the name of a file say about it, before anything reads it.

use super::{
    FileKind, Source,
    contents::Contents,
    kind,
    names::{self, Trick},
    technique::Technique,
};

/// The test file of the anti-virus industry, in two pieces so that this program is not taken for it.
const TEST_VIRUS: [&[u8]; 2] =
    [b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!"];

pub(super) fn judge(source: &Source<'_>, contents: &mut Contents<'_>) {
    test_virus(source, contents);
    match names::trick(source.name) {
        Some(Trick::DoubleEnding) => {
            contents.mark(Technique::DeceptiveName, format!("'{}' is no document", source.name));
        }
        Some(Trick::Turned) => {
            let plain: String =
                source.name.escape_unicode().filter(char::is_ascii).take(200).collect();
            contents.mark(Technique::DeceptiveName, format!("turned writing direction in {plain}"));
        }
        Some(Trick::Blanks) => {
            contents.mark(
                Technique::DeceptiveName,
                format!("blanks hide the ending of '{}'", source.name),
            );
        }
        None => {}
    }
    overlay(source, contents);
    if let Some(technique) = by_type(source) {
        contents.mark(technique, format!("'{}' is {}", source.name, source.kind.describe()));
    }
    if is_misnamed(source) {
        contents
            .mark(Technique::WrongType, format!("'{}' is {}", source.name, source.kind.describe()));
    }
    if source.kind.is_program() && source.kind != FileKind::Script && is_disguised(source.name) {
        contents.mark(
            Technique::DisguisedProgram,
            format!("'{}' is {}", source.name, source.kind.describe()),
        );
    }
}

fn test_virus(source: &Source<'_>, contents: &mut Contents<'_>) {
    let found = memchr::memmem::find_iter(source.bytes, TEST_VIRUS[0])
        .any(|at| source.bytes[at + TEST_VIRUS[0].len()..].starts_with(TEST_VIRUS[1]));
    if found {
        contents.mark(Technique::TestVirus, "EICAR test file");
    }
}

/// What lies behind a picture, which programs that open pictures ignore and others do not.
fn overlay(source: &Source<'_>, contents: &mut Contents<'_>) {
    const MARKS: [(&[u8], &str); 5] = [
        (b"MZ", "a program"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"Rar!\x1A\x07", "a RAR archive"),
        (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
        (b"%PDF-", "a PDF"),
    ];
    if source.kind == FileKind::Pdf
        && let Some(at) = memchr::memmem::find(source.bytes, b"%PDF-")
        && source.bytes[..at]
            .iter()
            .any(|b| b.is_ascii_control() && !b.is_ascii_whitespace() && *b != 0x1B)
    {
        contents
            .mark(Technique::Prefixed, format!("{at} bytes of something else in front of a PDF"));
    }
    let is_program = source.kind == FileKind::Pe;
    if !source.kind.is_image() && !is_program {
        return;
    }
    // A program's own sections hold anything; only what is read from its end counts.
    if is_program {
        let begins = memchr::memmem::find(source.bytes, b"%PDF-").filter(|at| *at < 1_024);
        if begins.is_some() {
            contents.mark(Technique::Polyglot, "a program that is a PDF, too");
        }
        return;
    }
    let archive_end = memchr::memmem::rfind(source.bytes, b"PK\x05\x06");
    for (mark, what) in MARKS {
        // Pictures are packed: bytes that look like a mark by chance are not followed by the rest
        // of its format.
        let found =
            memchr::memmem::find_iter(&source.bytes[1..], mark).map(|at| at + 1).find(|at| {
                let rest = &source.bytes[*at..];
                match mark {
                    b"MZ" => kind::pe_header(rest, 0).is_some(),
                    b"PK\x03\x04" => archive_end.is_some_and(|end| end > *at),
                    _ => true,
                }
            });
        if let Some(at) = found {
            contents.mark(Technique::Overlay, format!("{what} lies in a picture"));
            contents.piece("overlay", &source.bytes[at..]);
            return;
        }
    }
}

fn by_type(source: &Source<'_>) -> Option<Technique> {
    let ending = names::ending(source.name);
    Some(match source.kind {
        FileKind::Pe if matches!(ending.as_str(), "xll" | "wll") => Technique::AddIn,
        FileKind::Pe | FileKind::Dos | FileKind::Elf | FileKind::MachO | FileKind::JavaClass => {
            Technique::Program
        }
        FileKind::Script => Technique::Script,
        FileKind::Shortcut => Technique::Shortcut,
        FileKind::Help => Technique::HelpFile,
        FileKind::Sis => Technique::Installer,
        FileKind::Iso | FileKind::DiskImage => Technique::DiskImage,
        FileKind::Arj | FileKind::Ace | FileKind::Lzh | FileKind::Szdd | FileKind::BinHex => {
            Technique::RareArchive
        }
        _ => match ending.as_str() {
            "ppam" | "xlam" | "vsto" => Technique::AddIn,
            "msi" | "msix" | "msp" | "appx" | "appinstaller" | "apk" | "deb" | "rpm" | "pkg"
            | "onepkg" | "jar" => Technique::Installer,
            "exe" | "com" | "scr" | "pif" | "cpl" | "dll" if source.kind != FileKind::Empty => {
                Technique::Program
            }
            "img" if source.kind == FileKind::Unknown => Technique::DiskImage,
            _ => return None,
        },
    })
}

/// Whether a program has a name under which nobody expects one.
/// Documents and pictures by the endings that they ought to have.
const PROPER: &[(FileKind, &[&str])] = &[
    (FileKind::Pdf, &["pdf", "ai", "fdf", "bin", "tmp"]),
    (FileKind::Rtf, &["rtf", "doc", "dot", "wri", "bin", "tmp"]),
    (
        FileKind::Html,
        &[
            "html", "htm", "xhtml", "shtml", "mht", "mhtml", "xht", "txt", "hta", "asp", "aspx",
            "php", "xls", "doc", "tmp",
        ],
    ),
    (FileKind::OneNote, &["one", "onetoc2"]),
    (FileKind::Rar, &["rar", "cbr", "r00"]),
    (FileKind::SevenZip, &["7z", "001"]),
    (FileKind::Iso, &["iso", "img", "udf", "cdr"]),
];

/// Whether the name says that it is something else.
fn is_misnamed(source: &Source<'_>) -> bool {
    let ending = names::ending(source.name);
    let proper = PROPER.iter().find(|(kind, _)| *kind == source.kind);
    !ending.is_empty() && proper.is_some_and(|(_, endings)| !endings.contains(&ending.as_str()))
}

fn is_disguised(name: &str) -> bool {
    let ending = names::ending(name);
    !ending.is_empty()
        && !names::starts_something(name)
        && !matches!(ending.as_str(), "bin" | "so" | "o" | "class" | "tmp" | "ax" | "drv")
}
