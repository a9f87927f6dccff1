//! Web pages and drawings that come as files: those that build a file from what is in them
//! (HTML smuggling, MITRE T1027.006), lead away, or run something.

use super::{
    FileKind, Source,
    bytes::{contains_ignoring_case, find_ignoring_case},
    contents::Contents,
    kind,
    technique::Technique,
    text,
};

/// What hands a file to the person who looks at the page, in lower case.
const DELIVERIES: &[&[u8]] = &[
    b"mssaveoropenblob",
    b"mssaveblob",
    b"createobjecturl",
    b".download=",
    b".download =",
    b"download=",
    b"data:application",
    b"saveas(",
    b"fromcharcode",
    b"setattribute('download",
    b"setattribute(\"download",
];

/// What builds one.
const BUILDERS: &[&[u8]] =
    &[b"new blob(", b"new file(", b"atob(", b"uint8array", b"base64toarraybuffer", b"arraybuffer"];

/// Calls of a page on the machine that it is shown on: only HTA and old browsers have them.
const MACHINE: &[&[u8]] = &[
    b"wscript.shell",
    b"activexobject",
    b"shell.application",
    b"<hta:application",
    b"ms-msdt:",
    b"vbscript",
];

pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let page = text::decode(source);
    judge(page.as_bytes(), contents);
    contents.html(page);
}

fn judge(page: &[u8], contents: &mut Contents<'_>) {
    let has = |word: &&&[u8]| contains_ignoring_case(page, word);
    let scripted =
        contains_ignoring_case(page, b"<script") || contains_ignoring_case(page, b"onload=");
    let packed = packed_files(page, contents);
    let delivers = DELIVERIES.iter().filter(has).count();
    let builds = BUILDERS.iter().filter(has).count();
    let carries = packed || longest_word(page) > 2_000 || longest_digits(page) > 200;
    if (scripted && builds > 0 && delivers > 0 && (carries || builds + delivers >= 4))
        || (packed && (delivers > 1 || scripted))
    {
        contents.mark(Technique::Smuggling, "the page builds a file and hands it over");
    }
    if let Some(word) = MACHINE.iter().find(has) {
        contents.mark(
            Technique::Launcher,
            format!("a page that calls {}", String::from_utf8_lossy(word)),
        );
    }
    if let Some(target) = redirection(page) {
        contents.link(&target, "");
        if target.contains("://") {
            contents.mark(Technique::RedirectingPage, format!("leads to {target} by itself"));
        }
    } else if scripted && contains_ignoring_case(page, b"location") && visible(page) < 200 {
        contents.mark(
            Technique::RedirectingPage,
            "a page of nothing but a script that leads elsewhere",
        );
    }
    if scripted {
        contents.mark(Technique::ScriptedPage, "a page with scripts");
    }
}

/// Files in Base64 or in a data address; `true` when one is a program or an archive.
fn packed_files(page: &[u8], contents: &mut Contents<'_>) -> bool {
    const SHORTEST: usize = 100;
    const MOST: usize = 200;
    let mut found = false;
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let mut at = 0;
    let mut tried = 0;
    while at < page.len() && tried < MOST {
        let Some(len) = page[at..].iter().position(|b| !is_base64(b)).or(Some(page.len() - at))
        else {
            break;
        };
        if len >= SHORTEST {
            tried += 1;
            let word = &page[at..at + len];
            let whole = &word[..word.len() / 4 * 4];
            let bytes = data_encoding::BASE64
                .decode(whole)
                .or_else(|_| data_encoding::BASE64_NOPAD.decode(whole.trim_ascii_end()));
            if let Ok(bytes) = bytes {
                let kind = kind::detect(&bytes, "");
                let is_file = kind.is_program()
                    || matches!(
                        kind,
                        FileKind::Zip
                            | FileKind::SevenZip
                            | FileKind::Rar
                            | FileKind::Iso
                            | FileKind::DiskImage
                            | FileKind::Compound
                            | FileKind::Pdf
                            | FileKind::Cab
                            | FileKind::OneNote
                            | FileKind::Gzip
                            | FileKind::Html
                            | FileKind::Svg
                    );
                if is_file {
                    found |= kind != FileKind::Svg;
                    contents.piece("packed", &bytes);
                }
            }
        }
        at += len + 1;
    }
    found
}

/// The longest run of characters without a break; real scripts in mail have lines.
fn longest_word(page: &[u8]) -> usize {
    longest(page, |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

fn longest_digits(page: &[u8]) -> usize {
    longest(page, |b| b.is_ascii_hexdigit() || matches!(b, b',' | b'x' | b'\\' | b' '))
}

fn longest(page: &[u8], is_of: impl Fn(u8) -> bool) -> usize {
    page.split(|b| !is_of(*b)).map(<[u8]>::len).max().unwrap_or_default()
}

/// Where `<meta http-equiv=refresh>` leads.
fn redirection(page: &[u8]) -> Option<String> {
    let mut at = 0;
    while let Some(found) = find_ignoring_case(page, b"http-equiv", at) {
        at = found + 10;
        let near = super::bytes::prefix(page, at, 4_096);
        let tag = &near[..memchr::memchr(b'>', near).unwrap_or(near.len())];
        if contains_ignoring_case(tag, b"refresh")
            && let Some(url) = find_ignoring_case(tag, b"url=", 0)
        {
            let target = String::from_utf8_lossy(&tag[url + 4..]);
            let target = target.trim_start_matches(['\'', '"', ' ']);
            let end = target.find(['\'', '"', ' ', '>']).unwrap_or(target.len());
            return Some(target[..end].to_owned());
        }
    }
    None
}

/// About how many bytes of the page are not in scripts or tags.
fn visible(page: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < page.len() {
        if page[at] == b'<' {
            let is_script =
                page[at..].get(1..7).is_some_and(|name| name.eq_ignore_ascii_case(b"script"));
            let end = if is_script {
                find_ignoring_case(page, b"</script", at)
            } else {
                memchr::memchr(b'>', &page[at..]).map(|n| at + n)
            };
            at = end.map_or(page.len(), |end| end + 1);
        } else {
            count += usize::from(!page[at].is_ascii_whitespace());
            at += 1;
        }
    }
    count
}

/// A drawing has no use for scripts.
pub(super) fn read_drawing(source: &Source<'_>, contents: &mut Contents<'_>) {
    let page = text::decode(source);
    let bytes = page.as_bytes();
    let words: [&[u8]; 6] =
        [b"<script", b"onload=", b"javascript:", b"<foreignobject", b"onclick=", b"onbegin="];
    let found = words.iter().filter(|word| contains_ignoring_case(bytes, word)).count();
    let only_foreign = found == 1 && contains_ignoring_case(bytes, b"<foreignobject");
    if found > 0 && !only_foreign {
        contents.mark(Technique::ScriptedDrawing, "a drawing with scripts");
    }
    judge_packed(bytes, contents);
    contents.html(page);
}

fn judge_packed(page: &[u8], contents: &mut Contents<'_>) {
    if packed_files(page, contents) && contains_ignoring_case(page, b"<script") {
        contents.mark(Technique::Smuggling, "the drawing builds a file and hands it over");
    }
}
