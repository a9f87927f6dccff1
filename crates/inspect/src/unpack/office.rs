//! Office Open XML (ECMA-376): Word, Excel and PowerPoint since 2007, and their binary workbooks.

use super::{
    address,
    bytes::{find_ignoring_case, place_le, slice, u32_le, utf16_le},
    cfb::Compound,
    contents::Contents,
    names,
    technique::Technique,
    vba,
    xml::{self, Event, Events},
    zip::{self, Entry},
};

/// Bytes of text of a document.
const TEXT: usize = 8 << 20;

/// A part's reader.
type Part = fn(&str, &mut Reading<'_, '_>);

/// Parts that hold text or instructions, by what their path begins with and ends with.
const PARTS: &[(&str, &str, Part)] = &[
    ("word/", "settings.xml", settings),
    ("word/", ".xml", word),
    ("xl/sharedstrings", ".xml", shared_strings),
    ("xl/worksheets/", ".xml", sheet),
    ("xl/macrosheets/", ".xml", macro_sheet),
    ("xl/dialogsheets/", ".xml", sheet),
    ("xl/externallinks/", ".xml", external_link),
    ("xl/workbook", ".xml", workbook),
    ("xl/comments", ".xml", text_runs),
    ("xl/drawings/", ".xml", text_runs),
    ("xl/connections", ".xml", connections),
    ("ppt/slides/", ".xml", text_runs),
    ("ppt/notesslides/", ".xml", text_runs),
    ("ppt/comments/", ".xml", text_runs),
    ("docprops/core", ".xml", properties),
];

/// What the parts of one document give together.
struct Reading<'r, 'b> {
    contents: &'r mut Contents<'b>,
    text: String,
    /// Texts that cells refer to by number.
    shared: Vec<String>,
    /// Names of Excel that run a macro sheet by themselves.
    auto_names: Vec<String>,
    has_macro_sheet: bool,
}

pub(super) fn read(entries: &[Entry<'_>], contents: &mut Contents<'_>) {
    let mut reading = Reading {
        contents,
        text: String::new(),
        shared: Vec::new(),
        auto_names: Vec::new(),
        has_macro_sheet: false,
    };
    // Cells refer to shared strings: those first, whatever the order in the archive.
    let mut ordered: Vec<&Entry<'_>> = entries.iter().filter(|entry| !entry.is_folder()).collect();
    ordered.sort_by_key(|entry| !entry.name.to_ascii_lowercase().contains("sharedstrings"));
    for entry in ordered {
        part(entry, &mut reading);
        if reading.contents.room() == 0 {
            break;
        }
    }
    let Reading { contents, text, auto_names, has_macro_sheet, .. } = reading;
    if has_macro_sheet {
        if auto_names.is_empty() {
            contents.mark(Technique::XlmMacro, "a sheet of Excel 4 macros");
        } else {
            let names = auto_names.join(", ");
            contents.mark(
                Technique::AutoXlmMacro,
                format!("Excel 4 macros that run by themselves: {names}"),
            );
        }
    }
    contents.text(text);
}

fn part(entry: &Entry<'_>, reading: &mut Reading<'_, '_>) {
    let path = entry.name.replace('\\', "/").trim_start_matches('/').to_ascii_lowercase();
    let is_text =
        |path: &str| path.ends_with(".xml") || path.ends_with(".rels") || path.ends_with(".vml");
    let is_wanted = path.ends_with(".rels")
        || !is_text(&path)
        || path.contains("activex")
        || PARTS.iter().any(|(begin, end, _)| path.starts_with(begin) && path.ends_with(end));
    if !is_wanted {
        return;
    }
    let Some(bytes) = zip::unpack(entry, reading.contents) else {
        if entry.is_encrypted() {
            zip::encrypted(&[&entry.name], reading.contents);
        }
        return;
    };
    if path.ends_with(".rels") {
        return relations(&xml::decode(&bytes), reading.contents);
    }
    if path.contains("activex/") && path.ends_with(".xml") {
        return reading.contents.mark(Technique::ActiveX, "ActiveX control");
    }
    if let Some((.., read)) =
        PARTS.iter().find(|(begin, end, _)| path.starts_with(begin) && path.ends_with(end))
    {
        return read(&xml::decode(&bytes), reading);
    }
    if path.ends_with(".bin") && binary_part(&path, &bytes, reading) {
        return;
    }
    if is_text(&path) || path.ends_with(".psmdcp") {
        return;
    }
    if path.contains("media/") && !super::kind::detect(&bytes, "").is_image() {
        reading
            .contents
            .mark(Technique::EmbeddedFile, format!("embedded '{}'", names::tidy(&entry.name)));
    }
    if path.contains("embeddings/") {
        reading
            .contents
            .mark(Technique::EmbeddedFile, format!("embedded '{}'", names::tidy(&entry.name)));
    }
    reading.contents.child(entry.name.clone(), bytes);
}

/// Parts of a binary workbook and macros; `true` when it was one.
fn binary_part(path: &str, bytes: &[u8], reading: &mut Reading<'_, '_>) -> bool {
    if bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        // A project of macros under whatever name the relations give it.
        let is_project = Compound::open(bytes).is_some_and(|file| {
            file.streams().any(|entry| entry.path.to_ascii_lowercase().ends_with("vba/dir"))
        });
        if is_project || path.ends_with("vbaproject.bin") {
            macros(bytes, reading.contents);
            return true;
        }
        return false;
    }
    if path.contains("vbaproject") {
        // Overwritten on purpose so that it does not look like one: Office repairs it.
        macros(bytes, reading.contents);
        return true;
    }
    if path.contains("macrosheets/") {
        reading.has_macro_sheet = true;
    } else if path.contains("externallinks/") {
        binary_external_link(bytes, reading);
    } else if path.contains("sharedstrings") {
        binary_strings(bytes, reading);
    } else if path.ends_with("workbook.bin") {
        let wide = |name: &str| name.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<u8>>();
        for name in ["auto_open", "auto_close", "auto_activate"] {
            if find_ignoring_case(bytes, &wide(name), 0).is_some() {
                reading.auto_names.push(name.to_owned());
            }
        }
    } else {
        return path.starts_with("xl/worksheets/")
            || path.contains("printersettings")
            || path.starts_with("xl/styles");
    }
    true
}

fn macros(bytes: &[u8], contents: &mut Contents<'_>) {
    let found = Compound::open(bytes).is_some_and(|file| vba::read(&file, contents));
    if !found {
        contents.mark(Technique::Macro, "a project of macros that cannot be read");
        contents.note("macros that cannot be read were not inspected");
    }
}

/// Where the parts of a document are and what it refers to (ECMA-376 part 2, 9.3).
fn relations(text: &str, contents: &mut Contents<'_>) {
    for event in Events::new(text) {
        let Event::Start("Relationship", attributes) = event else { continue };
        let is_external = xml::attribute(attributes, "TargetMode")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("external"));
        let (Some(kind), Some(target)) =
            (xml::attribute(attributes, "Type"), xml::attribute(attributes, "Target"))
        else {
            continue;
        };
        if !is_external {
            continue;
        }
        match kind.rsplit('/').next().unwrap_or_default() {
            "attachedTemplate" | "frame" | "subDocument" | "aFChunk" => {
                address::template(&target, contents);
            }
            "oleObject" | "package" | "control" => address::object(&target, contents),
            "hyperlink" => address::hyperlink(&target, "", contents),
            _ => address::resource(&target, contents),
        }
    }
}

impl Reading<'_, '_> {
    fn push(&mut self, text: &str) {
        if self.text.len() < TEXT {
            self.text.push_str(text);
        } else {
            self.contents.note("more text than is read of a document: the rest was not inspected");
        }
    }
}

fn word(text: &str, reading: &mut Reading<'_, '_>) {
    // Fields are nested: an instruction may be put together from the results of others.
    let mut instructions: Vec<String> = Vec::new();
    let (mut in_text, mut in_instruction) = (false, false);
    for event in Events::new(text) {
        match event {
            Event::Start("t" | "delText", rest) => in_text = !xml::is_empty(rest),
            Event::Start("instrText" | "delInstrText", rest) => {
                in_instruction = !xml::is_empty(rest);
            }
            Event::Start("fldSimple", rest) => {
                if let Some(instruction) = xml::attribute(rest, "instr") {
                    address::field(&instruction, reading.contents);
                }
            }
            Event::Start("fldChar", rest) => match xml::attribute(rest, "fldCharType").as_deref() {
                Some("begin") if instructions.len() < 50 => instructions.push(String::new()),
                Some("separate" | "end") => {
                    if let Some(instruction) = instructions.pop() {
                        address::field(&instruction, reading.contents);
                        if let Some(outer) = instructions.last_mut() {
                            outer.push_str(&instruction);
                        }
                        // The end that follows a separator finds nothing of its own.
                        if xml::attribute(rest, "fldCharType").as_deref() == Some("separate") {
                            instructions.push(String::new());
                        }
                    }
                }
                _ => {}
            },
            Event::Start("OLEObject", rest) => ole_object(rest, reading.contents),
            Event::Start("tab", _) => reading.push("\t"),
            Event::Start("br" | "cr", _) | Event::End("p" | "tr") => reading.push("\n"),
            Event::End("tc") => reading.push("\t"),
            Event::End("t" | "delText") => in_text = false,
            Event::End("instrText" | "delInstrText") => in_instruction = false,
            Event::Text(text) if in_text => reading.push(&xml::unescape(text)),
            Event::Text(text) if in_instruction => {
                let text = xml::unescape(text);
                match instructions.last_mut() {
                    Some(instruction) if instruction.len() < 4_096 => instruction.push_str(&text),
                    Some(_) => {}
                    None => {
                        address::field(&text, reading.contents);
                    }
                }
            }
            _ => {}
        }
    }
}

/// An object in a page: a linked one is brought up to date when its document is opened.
fn ole_object(attributes: &str, contents: &mut Contents<'_>) {
    let program = xml::attribute(attributes, "ProgID").unwrap_or_default();
    if program.to_ascii_lowercase().starts_with("equation.") && program.ends_with('3') {
        contents.mark(Technique::EmbeddedFile, format!("object of {program}"));
    }
}

fn settings(text: &str, reading: &mut Reading<'_, '_>) {
    for event in Events::new(text) {
        match event {
            Event::Start("mailMerge", _) => {
                reading.contents.mark(Technique::ExternalLink, "merges mail with a source of data");
            }
            Event::Start("documentProtection" | "writeProtection", _) => {
                reading.contents.mark(Technique::Restricted, "changes are restricted");
            }
            _ => {}
        }
    }
}

fn shared_strings(text: &str, reading: &mut Reading<'_, '_>) {
    let (mut in_text, mut skip) = (false, false);
    let mut held = 0;
    for event in Events::new(text) {
        match event {
            Event::Start("si", _) => reading.shared.push(String::new()),
            Event::Start("rPh", rest) => skip = !xml::is_empty(rest),
            Event::End("rPh") => skip = false,
            Event::Start("t", rest) => in_text = !xml::is_empty(rest),
            Event::End("t") => in_text = false,
            Event::Text(text) if in_text && !skip && held < TEXT => {
                held += text.len();
                if let Some(last) = reading.shared.last_mut() {
                    last.push_str(&xml::unescape(text));
                }
            }
            _ => {}
        }
    }
}

/// Cells become a table with tabs; numbers stand as they are stored.
fn sheet(text: &str, reading: &mut Reading<'_, '_>) {
    let (mut in_value, mut in_formula, mut shared) = (false, false, false);
    let mut formula = String::new();
    for event in Events::new(text) {
        match event {
            Event::Start("c", rest) => shared = xml::attribute(rest, "t").as_deref() == Some("s"),
            Event::Start("v" | "t", rest) => in_value = !xml::is_empty(rest),
            Event::Start("f", rest) => {
                in_formula = !xml::is_empty(rest);
                formula.clear();
            }
            Event::End("v" | "t") => in_value = false,
            Event::End("f") => {
                in_formula = false;
                if address::is_command(&formula) {
                    reading.contents.mark(Technique::CommandFormula, &formula);
                }
            }
            Event::End("c") => reading.push("\t"),
            Event::End("row") => reading.push("\n"),
            Event::Text(text) if in_formula && formula.len() < 8_192 => {
                formula.push_str(&xml::unescape(text));
            }
            Event::Text(text) if in_value && shared && reading.text.len() < TEXT => {
                let cell = text.trim().parse::<usize>().ok().and_then(|n| reading.shared.get(n));
                let cell = cell.cloned().unwrap_or_default();
                reading.push(&cell);
            }
            Event::Text(_) if in_value && shared => reading.push(""),
            Event::Text(text) if in_value => reading.push(&xml::unescape(text)),
            _ => {}
        }
    }
}

fn macro_sheet(text: &str, reading: &mut Reading<'_, '_>) {
    reading.has_macro_sheet = true;
    sheet(text, reading);
}

fn workbook(text: &str, reading: &mut Reading<'_, '_>) {
    for event in Events::new(text) {
        if let Event::Start("workbookProtection" | "fileSharing", _) = event {
            reading.contents.mark(Technique::Restricted, "changes are restricted");
        }
        let Event::Start("definedName", rest) = event else { continue };
        let name = xml::attribute(rest, "name").unwrap_or_default().to_ascii_lowercase();
        if ["auto_open", "auto_close", "auto_activate", "auto_deactivate"]
            .iter()
            .any(|auto| name.contains(auto))
        {
            reading.auto_names.push(name);
        }
    }
}

/// What a workbook takes from elsewhere: another workbook, or a program (DDE).
fn external_link(text: &str, reading: &mut Reading<'_, '_>) {
    for event in Events::new(text) {
        match event {
            Event::Start("ddeLink", rest) => {
                let service = xml::attribute(rest, "ddeService").unwrap_or_default();
                let topic = xml::attribute(rest, "ddeTopic").unwrap_or_default();
                reading.contents.mark(Technique::Dde, format!("{service} {topic}"));
            }
            Event::Start("oleLink", rest) => {
                let program = xml::attribute(rest, "progId").unwrap_or_default();
                reading
                    .contents
                    .mark(Technique::ExternalLink, format!("linked to an object of {program}"));
            }
            _ => {}
        }
    }
}

fn connections(text: &str, reading: &mut Reading<'_, '_>) {
    for event in Events::new(text) {
        match event {
            Event::Start("webPr", rest) => {
                if let Some(url) = xml::attribute(rest, "url") {
                    reading.contents.link(&url, "");
                    reading
                        .contents
                        .mark(Technique::ExternalLink, format!("takes data from {url}"));
                }
            }
            Event::Start("dbPr", rest) => {
                let connection = xml::attribute(rest, "connection").unwrap_or_default();
                reading
                    .contents
                    .mark(Technique::ExternalLink, format!("takes data from {connection}"));
            }
            _ => {}
        }
    }
}

/// Runs of DrawingML: slides, notes, comments, shapes.
fn text_runs(text: &str, reading: &mut Reading<'_, '_>) {
    let mut in_text = false;
    for event in Events::new(text) {
        match event {
            Event::Start("t" | "text", rest) => in_text = !xml::is_empty(rest),
            Event::Start("hlinkClick" | "hlinkHover" | "hlinkMouseOver", rest) => {
                let action =
                    xml::attribute(rest, "action").unwrap_or_default().to_ascii_lowercase();
                if action.starts_with("ppaction://program") {
                    reading.contents.mark(Technique::RemoteObject, "a click starts a program");
                }
            }
            Event::End("t" | "text") => in_text = false,
            Event::End("p" | "comment") => reading.push("\n"),
            Event::End("tc") => reading.push("\t"),
            Event::Text(text) if in_text => reading.push(&xml::unescape(text)),
            _ => {}
        }
    }
}

/// Title, subject, keywords: told by many senders where the text is not.
fn properties(text: &str, reading: &mut Reading<'_, '_>) {
    let mut wanted = false;
    for event in Events::new(text) {
        match event {
            Event::Start("title" | "subject" | "description" | "keywords", rest) => {
                wanted = !xml::is_empty(rest);
            }
            Event::End(_) if std::mem::take(&mut wanted) => reading.push("\n"),
            Event::Text(text) if wanted => reading.push(&xml::unescape(text)),
            _ => {}
        }
    }
}

/// Records of a binary part (MS-XLSB 2.1.4): number and content.
fn records(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut kind = u32::from(*bytes.get(at)?);
        at += 1;
        if kind & 0x80 != 0 {
            kind = kind & 0x7F | u32::from(*bytes.get(at)? & 0x7F) << 7;
            at += 1;
        }
        let mut len = 0;
        for shift in [0, 7, 14, 21] {
            let byte = *bytes.get(at)?;
            at += 1;
            len |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let content = slice(bytes, at, len)?;
        at += len;
        Some((kind, content))
    })
}

/// A text with its length in characters in front of it.
fn wide_string(bytes: &[u8], at: usize) -> Option<String> {
    let len = place_le(bytes, at)?.checked_mul(2)?;
    Some(utf16_le(slice(bytes, at + 4, len)?))
}

/// BrtSSTItem: flags, and the text.
fn binary_strings(bytes: &[u8], reading: &mut Reading<'_, '_>) {
    for (_, content) in records(bytes).filter(|(kind, _)| *kind == 19) {
        if let Some(text) = wide_string(content, 1) {
            reading.push(&text);
            reading.push("\n");
        }
    }
}

/// BrtBeginSupBook: of kind 1 a DDE link, with program and topic.
fn binary_external_link(bytes: &[u8], reading: &mut Reading<'_, '_>) {
    for (_, content) in records(bytes).filter(|(kind, _)| *kind == 360) {
        let is_dde = u32_le(content, 0).is_some_and(|word| word & 0xFFFF == 1);
        let program = wide_string(content, 2).unwrap_or_default();
        if is_dde {
            let topic =
                wide_string(content, 6 + program.encode_utf16().count() * 2).unwrap_or_default();
            reading.contents.mark(Technique::Dde, format!("{program} {topic}"));
        }
    }
}
