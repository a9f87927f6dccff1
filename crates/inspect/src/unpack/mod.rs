//! Files in messages: their true type, what is inside them, and what was seen there.
//!
//! - A *seed* is a file before it was looked at; [`unpack`] turns it into an [`Object`], the texts
//!   in it and further seeds. The caller keeps the stack of seeds: nothing in here calls itself
//!   for a file in a file, however deep they are nested.
//! - A *reader* reads one format. It sees bytes and writes into [`Contents`]; it never fails: what
//!   it cannot read it leaves out, and what was left out because of a bound it notes.
//! - A *mark* is something seen in a file. [`technique`] says what each means.
//! - A [`Budget`] bounds all files of a message together.
//!
//! Readers parse leniently, as the programs do that will open the file: what a strict parser
//! refuses is where attacks hide.

mod address;
mod biff;
mod binary_office;
mod bytes;
mod bzip2;
mod cab;
mod cfb;
mod compound;
mod contents;
mod crypt;
mod disk;
mod inflate;
mod kind;
mod lzma;
mod names;
mod notebook;
mod object;
mod office;
mod office_crypt;
mod opendocument;
mod outlook;
mod page;
mod pdf;
mod rar;
mod relics;
mod rtf;
mod sevenz;
mod shortcut;
mod tape;
mod technique;
mod text;
mod typed;
mod vba;
mod xml;
mod zip;
mod zip_crypt;

use sha2::{Digest, Sha256};

use self::contents::Contents;
pub(crate) use self::{
    contents::{Budget, Text},
    kind::FileKind,
    object::{Mark, Object},
    technique::Technique,
};

/// A file before it was looked at.
pub(crate) struct Seed {
    pub(crate) path: String,
    pub(crate) name: String,
    /// The media type that the message declares, in lower case.
    pub(crate) declared: String,
    /// The character set that the message declares.
    pub(crate) charset: Option<String>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) parent: Option<usize>,
    /// Containers around it.
    pub(crate) depth: usize,
}

/// What became of a seed.
pub(crate) struct Unpacked {
    pub(crate) object: Object,
    pub(crate) texts: Vec<Text>,
    /// Addresses that the file leads to, as HTML; empty when there are none.
    pub(crate) links: String,
    /// Files inside: name and content.
    pub(crate) children: Vec<(String, Vec<u8>)>,
    /// What was not inspected, and why.
    pub(crate) notes: Vec<String>,
}

/// What a reader is given.
pub(super) struct Source<'s> {
    pub(super) bytes: &'s [u8],
    pub(super) name: &'s str,
    pub(super) declared: &'s str,
    pub(super) charset: Option<&'s str>,
    pub(super) kind: FileKind,
}

type Reader = fn(&Source<'_>, &mut Contents<'_>);

/// What reads a format. Formats without a row are not looked into.
fn reader(kind: FileKind) -> Option<Reader> {
    Some(match kind {
        FileKind::Html => page::read,
        FileKind::Svg => page::read_drawing,
        FileKind::Xml => text::read_xml,
        FileKind::Text | FileKind::Csv => text::read,
        FileKind::Slk => text::read_slk,
        FileKind::Script => text::read_script,
        FileKind::Shortcut => shortcut::read_shortcut,
        FileKind::Pointer => shortcut::read_pointer,
        FileKind::Zip => zip::read,
        FileKind::Gzip => inflate::read_gzip,
        FileKind::Bzip2 => bzip2::read,
        FileKind::Xz => lzma::read_xz,
        FileKind::SevenZip => sevenz::read,
        FileKind::Rar => rar::read,
        FileKind::Tar => tape::read_tar,
        FileKind::Cpio => tape::read_cpio,
        FileKind::Cab => cab::read,
        FileKind::Arj => relics::read_arj,
        FileKind::Ace | FileKind::Lzh => relics::read_listed,
        FileKind::Szdd => relics::read_szdd,
        FileKind::BinHex => relics::read_binhex,
        FileKind::UuEncoded => relics::read_uu,
        FileKind::Iso => disk::read_iso,
        FileKind::DiskImage => disk::read_image,
        FileKind::Compound => compound::read,
        FileKind::Pdf => pdf::read,
        FileKind::Rtf => rtf::read,
        FileKind::OneNote => notebook::read,
        FileKind::Tnef => outlook::read_tnef,
        _ => return None,
    })
}

/// Looks at a file. `passwords` gives words of the message that may open what is encrypted.
pub(crate) fn unpack(
    seed: Seed,
    budget: &mut Budget,
    passwords: &dyn Fn() -> Vec<String>,
) -> Unpacked {
    let kind = kind::detect(&seed.bytes, &seed.name);
    let source = Source {
        bytes: &seed.bytes,
        name: &seed.name,
        declared: &seed.declared,
        charset: seed.charset.as_deref(),
        kind,
    };
    let mut contents = Contents::new(budget, passwords);
    typed::judge(&source, &mut contents);
    match reader(kind) {
        Some(reader) => reader(&source, &mut contents),
        None if kind == FileKind::Unknown => {
            contents.note(format!("'{}' is of a type that is not inspected", seed.name));
        }
        None => {}
    }
    let Contents { children, texts, links, marks, notes, .. } = contents;
    let sha256 = Sha256::digest(&seed.bytes).into();
    let Seed { path, name, declared, bytes, parent, .. } = seed;
    Unpacked {
        object: Object { path, name, declared, kind, bytes, sha256, parent, marks },
        texts,
        links: page_of(&links),
        children: children.into_iter().map(|(name, bytes)| (names::tidy(&name), bytes)).collect(),
        notes,
    }
}

/// The addresses of a document as the HTML that detectors of links read.
fn page_of(links: &[(String, String)]) -> String {
    let mut page = String::new();
    for (href, shown) in links {
        page.push_str("<a href=\"");
        escape(href, &mut page);
        page.push_str("\">");
        escape(shown, &mut page);
        page.push_str("</a>\n");
    }
    page
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}
