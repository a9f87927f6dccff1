//! The true type of a file, by its bytes (and where bytes do not tell, by its name).

use super::{
    bytes::{find_ignoring_case, slice, u32_le},
    names,
};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FileKind {
    /// Windows programs and libraries.
    Pe,
    /// Old DOS programs that are nothing else.
    Dos,
    Elf,
    MachO,
    JavaClass,
    /// Text that a program runs; which one its name tells.
    Script,
    Shortcut,
    /// `.url`, `.website`, `.library-ms` and their like: text that leads somewhere.
    Pointer,
    Zip,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    SevenZip,
    Rar,
    Tar,
    Cab,
    Cpio,
    Arj,
    Ace,
    Lzh,
    Szdd,
    Sis,
    BinHex,
    UuEncoded,
    Iso,
    DiskImage,
    /// OLE compound file: old Office, MSI, Outlook messages.
    Compound,
    Pdf,
    Rtf,
    OneNote,
    Help,
    Tnef,
    Mail,
    Html,
    Svg,
    Xml,
    /// Symbolic link format of spreadsheets.
    Slk,
    Text,
    Csv,
    Png,
    Jpeg,
    Gif,
    Bmp,
    Webp,
    Tiff,
    /// Icons, sound, film, fonts, signatures: nothing in it is inspected, and nothing has to be.
    Inert,
    Empty,
    Unknown,
}

/// Bytes at the beginning in which text formats tell themselves.
const LOOK: usize = 4 << 10;

/// A mark of a format: where it stands, and what it is.
struct Magic(usize, &'static [u8], FileKind);

/// Longer and surer marks come first.
const MAGIC: &[Magic] = &[
    Magic(0, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", FileKind::Compound),
    Magic(
        0,
        b"\xE4\x52\x5C\x7B\x8C\xD8\xA7\x4D\xAE\xB1\x53\x78\xD0\x29\x96\xD3",
        FileKind::OneNote,
    ),
    Magic(0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xC0\0\0\0\0\0\0\x46", FileKind::Shortcut),
    Magic(0, b"\x89PNG\r\n\x1A\n", FileKind::Png),
    Magic(0, b"\xFF\xD8\xFF", FileKind::Jpeg),
    Magic(0, b"GIF87a", FileKind::Gif),
    Magic(0, b"GIF89a", FileKind::Gif),
    Magic(0, b"PK\x03\x04", FileKind::Zip),
    Magic(0, b"PK\x05\x06", FileKind::Zip),
    Magic(0, b"PK00PK\x03\x04", FileKind::Zip),
    Magic(0, b"7z\xBC\xAF\x27\x1C", FileKind::SevenZip),
    Magic(0, b"Rar!\x1A\x07", FileKind::Rar),
    Magic(0, b"\xFD7zXZ\0", FileKind::Xz),
    Magic(0, b"\x28\xB5\x2F\xFD", FileKind::Zstd),
    Magic(0, b"\x1F\x8B\x08", FileKind::Gzip),
    Magic(0, b"BZh", FileKind::Bzip2),
    Magic(0, b"MSCF\0\0\0\0", FileKind::Cab),
    Magic(0, b"ITSF", FileKind::Help),
    Magic(7, b"**ACE**", FileKind::Ace),
    Magic(0, b"\x60\xEA", FileKind::Arj),
    Magic(2, b"-lh", FileKind::Lzh),
    Magic(0, b"SZDD\x88\xF0\x27\x33", FileKind::Szdd),
    Magic(8, b"\x19\x04\0\x10", FileKind::Sis),
    Magic(0, b"070701", FileKind::Cpio),
    Magic(0, b"070702", FileKind::Cpio),
    Magic(0, b"070707", FileKind::Cpio),
    Magic(0, b"\xC7\x71", FileKind::Cpio),
    Magic(0, b"\x71\xC7", FileKind::Cpio),
    Magic(257, b"ustar", FileKind::Tar),
    Magic(0x8001, b"CD001", FileKind::Iso),
    Magic(0x8001, b"BEA01", FileKind::Iso),
    Magic(0, b"conectix", FileKind::DiskImage),
    Magic(0, b"vhdxfile", FileKind::DiskImage),
    Magic(0, b"KDMV", FileKind::DiskImage),
    Magic(0, b"QFI\xFB", FileKind::DiskImage),
    Magic(0, b"\x7FELF", FileKind::Elf),
    Magic(0, b"\xFE\xED\xFA\xCE", FileKind::MachO),
    Magic(0, b"\xFE\xED\xFA\xCF", FileKind::MachO),
    Magic(0, b"\xCE\xFA\xED\xFE", FileKind::MachO),
    Magic(0, b"\xCF\xFA\xED\xFE", FileKind::MachO),
    Magic(0, b"\x78\x9F\x3E\x22", FileKind::Tnef),
    Magic(0, b"II*\0", FileKind::Tiff),
    Magic(0, b"MM\0*", FileKind::Tiff),
    Magic(8, b"WEBP", FileKind::Webp),
    Magic(0, b"\0\0\x01\0", FileKind::Inert), // icon
    Magic(0, b"\0\0\x02\0", FileKind::Inert), // cursor
    Magic(0, b"ID3", FileKind::Inert),
    Magic(0, b"OggS", FileKind::Inert),
    Magic(0, b"fLaC", FileKind::Inert),
    Magic(8, b"WAVE", FileKind::Inert),
    Magic(8, b"AVI ", FileKind::Inert),
    Magic(4, b"ftyp", FileKind::Inert),
    Magic(0, b"\x1A\x45\xDF\xA3", FileKind::Inert), // Matroska
    Magic(0, b"wOFF", FileKind::Inert),
    Magic(0, b"wOF2", FileKind::Inert),
    Magic(0, b"OTTO", FileKind::Inert),
    Magic(0, b"\0\x01\0\0\0", FileKind::Inert), // TrueType
    Magic(0, b"\xD7\xCD\xC6\x9A", FileKind::Inert), // Windows metafile
    Magic(40, b" EMF", FileKind::Inert),
];

/// The type of a file with this content and name.
pub(super) fn detect(bytes: &[u8], name: &str) -> FileKind {
    if bytes.is_empty() {
        return FileKind::Empty;
    }
    let by_magic =
        MAGIC.iter().find(|Magic(at, mark, _)| slice(bytes, *at, mark.len()) == Some(mark));
    if let Some(Magic(.., kind)) = by_magic {
        return *kind;
    }
    if bytes.starts_with(b"MZ") {
        return if pe_header(bytes, 0).is_some() || bytes.len() < 64 {
            FileKind::Pe
        } else {
            FileKind::Dos
        };
    }
    if bytes.starts_with(b"\xCA\xFE\xBA\xBE") && bytes.len() > 8 {
        // Fat Mach-O counts its architectures where a class has its version.
        return if bytes[7] < 40 { FileKind::MachO } else { FileKind::JavaClass };
    }
    if bytes.starts_with(b"BM") && u32_le(bytes, 6) == Some(0) {
        return FileKind::Bmp;
    }
    if bytes.starts_with(b"0\x82") || bytes.starts_with(b"0\x80\x06\x09") {
        return FileKind::Inert; // DER: signatures and certificates
    }
    let head = &bytes[..bytes.len().min(LOOK)];
    // Readers look for PDF's mark in the first kibibyte.
    if memchr::memmem::find(&head[..head.len().min(1 << 10)], b"%PDF-").is_some() {
        return FileKind::Pdf;
    }
    text_kind(head, name)
}

fn text_kind(head: &[u8], name: &str) -> FileKind {
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let starts =
        |mark: &[u8]| find_ignoring_case(&text[..text.len().min(mark.len())], mark, 0) == Some(0);
    let has = |mark: &[u8]| find_ignoring_case(text, mark, 0).is_some();
    if starts(b"{\\rt") {
        return FileKind::Rtf;
    }
    let by_name = names::kind_of(name);
    if let Some(kind @ (FileKind::Script | FileKind::Pointer)) = by_name
        && is_text(head)
    {
        return kind;
    }
    if starts(b"#!") {
        return FileKind::Script;
    }
    if has(b"(this file must be converted with binhex") {
        return FileKind::BinHex;
    }
    if starts(b"begin ") && text.get(6).is_some_and(u8::is_ascii_digit) {
        return FileKind::UuEncoded;
    }
    if starts(b"id;p") && memchr::memmem::find(text, b"\nC;").is_some() {
        return FileKind::Slk;
    }
    if starts(b"[internetshortcut]") || starts(b"[{000214a0") {
        return FileKind::Pointer;
    }
    if starts(b"<") {
        if starts(b"<?xml") && has(b"<?mso-application") {
            return FileKind::Xml;
        }
        if has(b"<svg") && !has(b"<html") {
            return FileKind::Svg;
        }
        if has(b"<html")
            || has(b"<!doctype html")
            || has(b"<script")
            || has(b"<body")
            || has(b"<head>")
        {
            return FileKind::Html;
        }
        if starts(b"<?xml") {
            return FileKind::Xml;
        }
    }
    if looks_like_mail(text) && by_name.is_none_or(|kind| kind == FileKind::Mail) {
        return FileKind::Mail;
    }
    match by_name {
        Some(kind) if is_text(head) => kind,
        _ if is_text(head) => {
            if starts(b"<") && has(b"</") {
                FileKind::Xml
            } else {
                FileKind::Text
            }
        }
        _ => FileKind::Unknown,
    }
}

/// Headers that only mail has, at the beginning of lines at the beginning of the file.
fn looks_like_mail(text: &[u8]) -> bool {
    const HEADERS: [&[u8]; 8] = [
        b"received:",
        b"from:",
        b"to:",
        b"subject:",
        b"date:",
        b"message-id:",
        b"mime-version:",
        b"return-path:",
    ];
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let is_header = |line: &[u8]| {
        HEADERS.iter().any(|h| line.len() >= h.len() && line[..h.len()].eq_ignore_ascii_case(h))
    };
    (first.starts_with(b"From ") || first.contains(&b':'))
        && text
            .split(|b| *b == b'\n')
            .take(60)
            .take_while(|line| !line.trim_ascii().is_empty())
            .filter(|line| is_header(line))
            .count()
            >= 2
}

/// Whether a person would see text: no zero bytes but those of UTF-16, few control characters.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        return true;
    }
    let odd = head
        .iter()
        .filter(|b| {
            b.is_ascii_control() && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B | 0x1A)
        })
        .count();
    odd * 100 <= head.len() && !head.contains(&0)
}

/// Where the PE header of the program that begins at `start` stands.
pub(super) fn pe_header(bytes: &[u8], start: usize) -> Option<usize> {
    let at = start.checked_add(usize::try_from(u32_le(bytes, start.checked_add(0x3C)?)?).ok()?)?;
    (slice(bytes, at, 4)? == b"PE\0\0").then_some(at)
}

impl FileKind {
    /// Runs when it is opened.
    pub(crate) fn is_program(self) -> bool {
        matches!(
            self,
            Self::Pe
                | Self::Dos
                | Self::Elf
                | Self::MachO
                | Self::JavaClass
                | Self::Script
                | Self::Shortcut
        )
    }

    /// A picture that a person looks at.
    pub(crate) fn is_image(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Gif | Self::Bmp | Self::Webp | Self::Tiff)
    }

    /// What a person calls it.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Pe => "a Windows program",
            Self::Dos => "a DOS program",
            Self::Elf => "a Linux program",
            Self::MachO => "a macOS program",
            Self::JavaClass => "a Java program",
            Self::Script => "a script",
            Self::Shortcut => "a Windows shortcut",
            Self::Pointer => "a file that leads elsewhere",
            Self::Zip => "a ZIP archive",
            Self::Gzip => "a gzip archive",
            Self::Bzip2 => "a bzip2 archive",
            Self::Xz => "an xz archive",
            Self::Zstd => "a Zstandard archive",
            Self::SevenZip => "a 7z archive",
            Self::Rar => "a RAR archive",
            Self::Tar => "a tar archive",
            Self::Cab => "a cabinet archive",
            Self::Cpio => "a cpio archive",
            Self::Arj => "an ARJ archive",
            Self::Ace => "an ACE archive",
            Self::Lzh => "an LZH archive",
            Self::Szdd => "a file of DOS's COMPRESS",
            Self::Sis => "a Symbian installer",
            Self::BinHex => "a BinHex file",
            Self::UuEncoded => "a uuencoded file",
            Self::Iso => "a CD image",
            Self::DiskImage => "a disk image",
            Self::Compound => "an OLE compound file",
            Self::Pdf => "a PDF",
            Self::Rtf => "an RTF document",
            Self::OneNote => "a OneNote section",
            Self::Help => "a compiled help file",
            Self::Tnef => "a winmail.dat",
            Self::Mail => "a message",
            Self::Html => "a web page",
            Self::Svg => "an SVG drawing",
            Self::Xml => "XML",
            Self::Slk => "a SYLK spreadsheet",
            Self::Text => "text",
            Self::Csv => "a table of values",
            Self::Png | Self::Jpeg | Self::Gif | Self::Bmp | Self::Webp | Self::Tiff => "a picture",
            Self::Inert => "a file of media or fonts",
            Self::Empty => "empty",
            Self::Unknown => "of a type that is not known",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_bytes_say_whatever_it_is_called() {
        for (bytes, name, kind) in [
            (&b"MZ"[..], "invoice.pdf", FileKind::Pe),
            (b"%PDF-1.4", "invoice.exe", FileKind::Pdf),
            (b"\x89PNG\r\n\x1A\n", "a.doc", FileKind::Png),
            (b"{\\rtf1", "a.doc", FileKind::Rtf),
            (b"<html>", "a.txt", FileKind::Html),
            (b"<?xml version='1.0'?><svg>", "a.xml", FileKind::Svg),
            (b"From: a\nTo: b\n\nx", "a.mail", FileKind::Mail),
            (b"WScript.Echo 1", "a.vbs", FileKind::Script),
            (b"#!/bin/sh", "a", FileKind::Script),
            (b"a,b", "a.csv", FileKind::Csv),
            (b"hello", "a", FileKind::Text),
            (b"\0\x05\x06\x07", "a", FileKind::Unknown),
            (b"", "a.exe", FileKind::Empty),
        ] {
            assert_eq!(detect(bytes, name), kind, "{name}");
        }
    }
}
