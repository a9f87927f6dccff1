//! Macros (MS-OVBA): the source of a project's modules, and what it does.

use super::{
    bytes::{contains_ignoring_case, find_ignoring_case, latin1, place_le, slice, u16_le},
    cfb::Compound,
    contents::Contents,
    technique::Technique,
};

/// Bytes of source of all modules together.
const SOURCE: usize = 4 << 20;

/// Modules of a project.
const MODULES: usize = 1_000;

/// Procedures that run by themselves, in lower case.
const AUTO: &[&str] = &[
    "autoexec",
    "autoopen",
    "auto_open",
    "autonew",
    "autoclose",
    "auto_close",
    "autoexit",
    "document_open",
    "documentopen",
    "document_close",
    "document_beforeclose",
    "document_new",
    "documentchange",
    "workbook_open",
    "workbook_activate",
    "workbook_beforeclose",
    "workbook_close",
    "workbook_deactivate",
    "worksheet_activate",
    "worksheet_calculate",
    "app_workbookopen",
    "slideshow_begin",
    "onslideshowpagechange",
    "onslideshowterminate",
    "presentation_open",
    "application_startup",
    "application_newmail",
    "image1_click_auto",
    "_onconnecting",
    "_onload",
    "_layout",
    "_painted",
    "_painting",
    "_gotfocus",
    "_lostfocus",
    "_mousehover",
    "_mousemove",
    "_resize",
    "_beforenavigate2",
    "_beforescriptexecute",
    "_documentcomplete",
    "_downloadbegin",
    "_downloadcomplete",
    "_navigatecomplete2",
    "_newwindow2",
    "_propertychange",
    "_windowstatetextchanged",
];

/// What a document has no use for, in lower case. Each is a call that starts, fetches, injects or
/// hides something.
const SUSPICIOUS: &[&str] = &[
    "shell(",
    "shell ",
    "wscript.shell",
    "shellexecute",
    "shell.application",
    "powershell",
    "cmd.exe",
    "cmd /c",
    "mshta",
    "rundll32",
    "regsvr32",
    "certutil",
    "bitsadmin",
    "wmic ",
    "winmgmts",
    "win32_process",
    "cscript",
    "createthread",
    "createremotethread",
    "virtualalloc",
    "virtualprotect",
    "rtlmovememory",
    "writeprocessmemory",
    "queueuserapc",
    "callwindowproc",
    "enumsystemlanguagegroups",
    "urldownloadtofile",
    "internetopenurl",
    "xmlhttp",
    "winhttprequest",
    "adodb.stream",
    "savetofile",
    "scripting.filesystemobject",
    "createtextfile",
    "callbyname",
    "strreverse",
    "environ(",
    "regwrite",
    "regread",
    "schedule.service",
    "schtasks",
    "accessvbom",
    "vbproject.vbcomponents",
    "codemodule",
    "msxml2.",
    "responsebody",
    "transformnode",
    "new-object",
    "downloadfile",
    "downloadstring",
    "frombase64",
    "executeexcel4macro",
    "application.run",
    "getobject(",
    "createobject(",
    ".run(",
    "chrw(",
    "kill ",
    "lib \"kernel32",
    "lib \"user32",
    "lib \"ntdll",
    "lib \"urlmon",
    "lib \"shell32",
    "application.followhyperlink",
    "sendkeys",
];

/// Of those, what honest macros use as well: one alone says nothing.
const COMMON: &[&str] = &[
    "createobject(",
    "getobject(",
    "environ(",
    "chrw(",
    "kill ",
    "application.run",
    "callbyname",
    "scripting.filesystemobject",
    "createtextfile",
    "strreverse",
    "shell ",
    "lib \"user32",
    "sendkeys",
    "lib \"kernel32",
    "application.followhyperlink",
    ".run(",
    "codemodule",
    "msxml2.",
    "regread",
    "rtlmovememory",
    "lib \"shell32",
    "vbproject.vbcomponents",
    "savetofile",
    "adodb.stream",
];

/// Reads the project in a compound file, below `prefix` (`Macros/`, `_VBA_PROJECT_CUR/`, or
/// nothing). `false` when there is none.
pub(super) fn read(file: &Compound<'_>, contents: &mut Contents<'_>) -> bool {
    let Some(folder) = file.streams().find_map(|entry| {
        let path = entry.path.to_ascii_lowercase();
        path.ends_with("vba/dir").then(|| entry.path[..entry.path.len() - 3].to_owned())
    }) else {
        return orphaned(file, contents);
    };
    let directory =
        file.stream(&format!("{folder}dir")).and_then(|bytes| decompress(&bytes, SOURCE));
    let modules = directory.map(|bytes| modules(&bytes)).unwrap_or_default();
    let mut source = String::new();
    let mut is_stomped = false;
    for entry in file.streams().filter(|entry| entry.path.starts_with(&folder)) {
        if matches!(entry.name().to_ascii_lowercase().as_str(), "dir" | "_vba_project")
            || entry.name().to_ascii_lowercase().starts_with("__srp")
        {
            continue;
        }
        let bytes = file.read(entry);
        let offset = modules
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(entry.name()))
            .map(|(_, offset)| *offset);
        let text = offset
            .and_then(|offset| decompress(bytes.get(offset..)?, SOURCE))
            .or_else(|| carved(&bytes));
        match text {
            Some(text) if source.len() < SOURCE => {
                let text = latin1(&text);
                is_stomped |= is_empty(&text)
                    && offset.is_some_and(|offset| compiled(&bytes[..offset.min(bytes.len())]));
                source.push_str(&text);
                source.push('\n');
            }
            Some(_) => {
                contents.note("more source of macros than is read: the rest was not inspected");
            }
            None => is_stomped |= offset.is_some() && compiled(&bytes),
        }
    }
    judge(&source, is_stomped, contents);
    true
}

/// A file whose directory of modules is gone: whatever compressed source can be found.
fn orphaned(file: &Compound<'_>, contents: &mut Contents<'_>) -> bool {
    let mut source = String::new();
    for entry in file.streams().take(200) {
        let bytes = file.read(entry);
        if memchr::memmem::find(&bytes, b"\0Attribut").is_some()
            && let Some(text) = carved(&bytes)
        {
            source.push_str(&latin1(&text));
        }
        if source.len() > SOURCE {
            break;
        }
    }
    if source.is_empty() {
        return false;
    }
    judge(&source, false, contents);
    true
}

/// Source without a line that does anything.
fn is_empty(text: &str) -> bool {
    !text.lines().any(|line| {
        let line = line.trim();
        !line.is_empty()
            && !line.to_ascii_lowercase().starts_with("attribute")
            && !line.starts_with('\'')
            && !line.to_ascii_lowercase().starts_with("option ")
    })
}

/// Whether compiled code names what a module that does nothing would not.
fn compiled(bytes: &[u8]) -> bool {
    AUTO[..16].iter().any(|name| contains_ignoring_case(bytes, name.as_bytes()))
        || contains_ignoring_case(bytes, b"wscript.shell")
        || contains_ignoring_case(bytes, b"powershell")
}

/// What the source of macros says.
pub(super) fn judge(source: &str, is_stomped: bool, contents: &mut Contents<'_>) {
    if is_stomped {
        contents.mark(
            Technique::StompedMacro,
            "compiled macros without the source that they were made from",
        );
    }
    if is_empty(source) {
        return contents.mark(Technique::Macro, "a project of macros (VBA) without code");
    }
    let code = source.to_ascii_lowercase();
    let auto: Vec<&str> = AUTO.iter().copied().filter(|name| has_procedure(&code, name)).collect();
    let calls: Vec<&str> = SUSPICIOUS.iter().copied().filter(|call| code.contains(call)).collect();
    let sure = calls.iter().filter(|call| !COMMON.contains(call)).count();
    let suspicious = sure > 0 || calls.len() >= 3;
    let evidence = |names: &[&str]| names.join(", ");
    contents.mark(Technique::Macro, "macros (VBA)");
    match (auto.is_empty(), suspicious) {
        (false, true) => contents.mark(
            Technique::HarmfulMacro,
            format!("runs by itself ({}) and calls {}", evidence(&auto), evidence(&calls)),
        ),
        (false, false) => {
            contents.mark(Technique::AutoMacro, format!("runs by itself: {}", evidence(&auto)));
        }
        (true, true) => {
            contents.mark(Technique::SuspiciousMacro, format!("calls {}", evidence(&calls)));
        }
        (true, false) => {}
    }
    if find_ignoring_case(code.as_bytes(), b"http", 0).is_some() {
        for word in source
            .split(['"', '\'', ' ', '\r', '\n'])
            .filter(|word| word.starts_with("http"))
            .take(50)
        {
            contents.link(word, "");
        }
    }
}

/// Whether the source, in lower case, has a procedure with this name (or, when it begins with
/// `_`, with this ending).
fn has_procedure(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        // No declaration is longer, and some sources are one line of megabytes.
        let from = code.floor_char_boundary(at.saturating_sub(200));
        let line = code[from..at].rsplit('\n').next().unwrap_or_default().trim_start();
        let follows = code[at + name.len()..].trim_start().starts_with('(');
        let declares = [
            "sub ",
            "function ",
            "private sub ",
            "public sub ",
            "private function ",
            "public function ",
        ];
        let Some(between) = declares.iter().find_map(|word| line.strip_prefix(word)) else {
            return false;
        };
        let own = if name.starts_with('_') {
            between.chars().all(|c| c.is_alphanumeric() || c == '_')
        } else {
            between.trim().is_empty()
        };
        own && (follows || code[at + name.len()..].starts_with(['\r', '\n', ' ']))
    })
}

/// Names of the modules' streams, and where in them the source begins (MS-OVBA 2.3.4.2).
fn modules(directory: &[u8]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut name = None;
    let mut at = 0;
    while found.len() < MODULES
        && let (Some(id), Some(size)) = (u16_le(directory, at), place_le(directory, at + 2))
    {
        let Some(data) = slice(directory, at + 6, size) else { break };
        match id {
            0x001A => name = Some(latin1(data)),
            // The name in Unicode follows the name of the stream.
            0x0032 => name = Some(super::bytes::utf16_le(data)),
            0x0031 => {
                if let (Some(name), Some(offset)) = (name.take(), place_le(data, 0)) {
                    found.push((name, offset));
                }
            }
            _ => {}
        }
        // PROJECTVERSION has a size of 4 and six bytes.
        at += 6 + size + if id == 9 { 2 } else { 0 };
    }
    found
}

/// Source in a stream of which nothing says where it begins: it begins with attributes.
fn carved(bytes: &[u8]) -> Option<Vec<u8>> {
    let mark = memchr::memmem::find(bytes, b"\0Attribut")?;
    decompress(bytes.get(mark.checked_sub(3)?..)?, SOURCE)
}

/// Undoes the compression of MS-OVBA 2.4.1. What is damaged ends it.
pub(super) fn decompress(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    if packed.first() != Some(&1) {
        return None;
    }
    let mut out = Vec::new();
    let mut at = 1;
    while let Some(header) = u16_le(packed, at) {
        if header >> 12 & 7 != 3 || out.len() >= limit {
            break;
        }
        let end = (at + usize::from(header & 0xFFF) + 3).min(packed.len());
        at += 2;
        if header & 0x8000 == 0 {
            out.extend_from_slice(super::bytes::prefix(packed, at, 4_096));
            at += 4_096;
            continue;
        }
        let start = out.len();
        chunk(packed.get(at..end)?, start, &mut out);
        at = end;
    }
    (!out.is_empty()).then_some(out)
}

fn chunk(packed: &[u8], start: usize, out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&flags) = packed.get(at) {
        at += 1;
        for bit in 0..8 {
            if flags >> bit & 1 == 0 {
                let Some(&byte) = packed.get(at) else { return };
                out.push(byte);
                at += 1;
                continue;
            }
            let Some(token) = u16_le(packed, at) else { return };
            at += 2;
            // The further into the chunk, the more bits tell how far back to go.
            let difference = (out.len() - start).max(1);
            let bits = (usize::BITS - (difference - 1).leading_zeros()).clamp(4, 12);
            let length = usize::from(token & (0xFFFF >> bits)) + 3;
            let offset = usize::from(token >> (16 - bits)) + 1;
            let Some(from) = out.len().checked_sub(offset) else { return };
            if out.len() - start > 4_096 {
                return;
            }
            for index in 0..length {
                out.push(out[from + index]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_come_out() {
        // MS-OVBA 3.2.1 and 3.2.3.
        let literal = b"\x01\x19\xB0\x00abcdefgh\x00ijklmnop\x00qrstuv.";
        assert_eq!(decompress(literal, 1 << 20).unwrap(), b"abcdefghijklmnopqrstuv.");
        let packed = b"\x01\x03\xB0\x02a\x45\x00";
        assert_eq!(decompress(packed, 1 << 20).unwrap(), [b'a'; 73]);
    }

    #[test]
    fn a_procedure_is_not_the_mention_of_its_name() {
        assert!(has_procedure("sub autoopen()\n", "autoopen"));
        assert!(has_procedure("x\nprivate sub workbook_open()\n", "workbook_open"));
        assert!(has_procedure("sub frame1_layout(x)", "_layout"));
        assert!(!has_procedure("' autoopen() is not used\n", "autoopen"));
        assert!(!has_procedure("call autoopen\n", "autoopen"));
    }
}
