//! What the name of a file says, and what it hides.

use super::kind::FileKind;

/// Endings of text that a program runs when it is opened.
const SCRIPTS: &[&str] = &[
    "bat", "cmd", "hta", "js", "jse", "pl", "ps1", "ps1xml", "ps2", "psc1", "psd1", "psm1", "py",
    "pyw", "rb", "reg", "scf", "sct", "sh", "vb", "vba", "vbe", "vbs", "wsc", "wsf", "wsh",
];

/// Endings of programs and of what installs or starts them.
const PROGRAMS: &[&str] = &[
    "apk",
    "app",
    "appinstaller",
    "appref-ms",
    "appx",
    "chm",
    "com",
    "cpl",
    "deb",
    "diagcab",
    "dll",
    "dmg",
    "elf",
    "exe",
    "gadget",
    "inf",
    "ins",
    "isp",
    "jar",
    "jnlp",
    "lnk",
    "msc",
    "msi",
    "msix",
    "msp",
    "mst",
    "ocx",
    "ova",
    "pif",
    "pkg",
    "ppam",
    "rdp",
    "rpm",
    "scr",
    "settingcontent-ms",
    "sys",
    "vsto",
    "wll",
    "xll",
];

/// Endings of text that leads elsewhere when it is opened.
const POINTERS: &[&str] = &[
    "appref-ms",
    "desktop",
    "iqy",
    "jnlp",
    "library-ms",
    "mht.url",
    "oqy",
    "rdp",
    "rqy",
    "search-ms",
    "searchconnector-ms",
    "settingcontent-ms",
    "theme",
    "themepack",
    "url",
    "vsto",
    "webloc",
    "website",
];

/// Endings that people trust: documents and pictures.
const DOCUMENTS: &[&str] = &[
    "bmp", "csv", "doc", "docx", "gif", "htm", "html", "jpeg", "jpg", "mp3", "mp4", "odt", "pdf",
    "png", "ppt", "pptx", "rtf", "txt", "xls", "xlsx", "zip",
];

/// Endings of documents that may hold macros or scripts, or mount something.
const ACTIVE: &[&str] = &[
    "doc", "docm", "dot", "dotm", "hta", "htm", "html", "img", "iso", "mht", "mhtml", "one", "pot",
    "potm", "pps", "ppsm", "ppt", "pptm", "pub", "slk", "svg", "vhd", "vhdx", "xla", "xlam", "xls",
    "xlsb", "xlsm", "xlt", "xltm", "xml",
];

/// Characters that turn the writing direction round, so that `exe.fdp` reads as `pdf.exe`
/// backwards (Unicode standard annex 9), or that cannot be seen.
const TURNING: &[char] = &[
    '\u{202A}', '\u{202B}', '\u{202D}', '\u{202E}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{200F}',
];

/// The ending in lower case, without its dot; empty when there is none.
pub(super) fn ending(name: &str) -> String {
    // Windows drops blanks and dots at the end.
    let name = name.trim_end_matches([' ', '.', '\0']);
    match name.rsplit_once('.') {
        Some((_, ending)) if ending.len() <= 20 => ending.to_ascii_lowercase(),
        _ => String::new(),
    }
}

fn is_in(list: &[&str], ending: &str) -> bool {
    list.contains(&ending)
}

pub(super) fn is_script(name: &str) -> bool {
    is_in(SCRIPTS, &ending(name))
}

/// Whether opening a file of this name starts something.
pub(super) fn starts_something(name: &str) -> bool {
    let ending = ending(name);
    is_in(SCRIPTS, &ending) || is_in(PROGRAMS, &ending)
}

/// Whether a file of this name may run something: an old document with macros, a page, an image
/// of a disk, a program.
pub(super) fn may_be_active(name: &str) -> bool {
    is_in(ACTIVE, &ending(name)) || starts_something(name)
}

/// The type that text of this name has; `None` where the name does not tell.
pub(super) fn kind_of(name: &str) -> Option<FileKind> {
    let ending = ending(name);
    Some(match ending.as_str() {
        ending if is_in(SCRIPTS, ending) => FileKind::Script,
        ending if is_in(POINTERS, ending) => FileKind::Pointer,
        "html" | "htm" | "xhtml" | "shtml" | "xht" => FileKind::Html,
        "svg" => FileKind::Svg,
        "csv" | "tsv" => FileKind::Csv,
        "slk" => FileKind::Slk,
        "eml" | "mht" | "mhtml" | "mail" => FileKind::Mail,
        "txt" | "text" | "log" | "md" | "json" | "xml" | "ini" | "yaml" | "ics" | "vcf" => {
            FileKind::Text
        }
        _ => return None,
    })
}

/// How a name deceives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trick {
    /// `invoice.pdf.exe`: where endings are hidden, a document.
    DoubleEnding,
    /// Characters that turn the writing direction round.
    Turned,
    /// So many blanks that the ending is pushed out of sight.
    Blanks,
}

pub(super) fn trick(name: &str) -> Option<Trick> {
    if name.contains(TURNING) && starts_something(&name.replace(TURNING, "")) {
        return Some(Trick::Turned);
    }
    if !starts_something(name) {
        return None;
    }
    let stem = name.trim_end_matches([' ', '.']).rsplit_once('.')?.0;
    if stem.contains("          ") {
        return Some(Trick::Blanks);
    }
    // `archive.zip.exe` is made by self-extractors, too, but nobody sends those any more.
    is_in(DOCUMENTS, &ending(stem)).then_some(Trick::DoubleEnding)
}

/// A name from inside an archive as a piece of a path that a person can read.
pub(super) fn tidy(name: &str) -> String {
    const LONGEST: usize = 200;
    let clean: String = name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let clean = clean.replace('\\', "/");
    let clean = clean.trim_matches('/');
    if clean.is_empty() { "unnamed".to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hide_a_program_are_seen_through() {
        assert_eq!(trick("invoice.pdf.exe"), Some(Trick::DoubleEnding));
        assert_eq!(trick("photo\u{202E}gpj.exe"), Some(Trick::Turned));
        assert_eq!(trick("invoice.pdf                    .scr"), Some(Trick::Blanks));
        for innocent in ["invoice.pdf", "report.2024.pdf", "setup.exe", "archive.tar.gz", "a.b.c"] {
            assert_eq!(trick(innocent), None, "{innocent}");
        }
        assert_eq!(ending("A.EXE. "), "exe");
        assert_eq!(tidy("..\\a\nb\\"), "../ab");
    }
}
