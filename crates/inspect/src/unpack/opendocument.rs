//! OpenDocument (ISO/IEC 26300), packed and flat.

use super::{
    Source, address,
    contents::Contents,
    names,
    technique::Technique,
    xml::{self, Event, Events},
    zip::{self, Entry},
};

/// Bytes of text of a document.
const TEXT: usize = 8 << 20;

pub(super) fn read(entries: &[Entry<'_>], contents: &mut Contents<'_>) {
    for entry in entries.iter().filter(|entry| !entry.is_folder()) {
        let path = entry.name.to_ascii_lowercase();
        if path.starts_with("basic/") || path.starts_with("scripts/") {
            contents.mark(Technique::OdfMacro, format!("macros in '{}'", names::tidy(&entry.name)));
        }
        let is_document = matches!(path.as_str(), "content.xml" | "styles.xml");
        let is_manifest = path == "meta-inf/manifest.xml";
        if path.ends_with(".xml") && !is_document && !is_manifest && !path.contains("basic/") {
            continue;
        }
        if path.starts_with("thumbnails/") || path == "mimetype" || path.ends_with(".rdf") {
            continue;
        }
        let Some(bytes) = zip::unpack(entry, contents) else { continue };
        if is_document {
            text(&xml::decode(&bytes), contents);
        } else if is_manifest {
            manifest(&xml::decode(&bytes), contents);
        } else if path.contains("basic/") {
            super::vba::judge(&module(&xml::decode(&bytes)), false, contents);
        } else {
            contents.child(entry.name.clone(), bytes);
        }
    }
}

/// A document in one file of XML.
pub(super) fn read_flat(source: &Source<'_>, contents: &mut Contents<'_>) {
    let page = xml::decode(source.bytes);
    if page.contains("<office:scripts>") || page.contains("<script:module") {
        contents.mark(Technique::OdfMacro, "macros");
    }
    text(&page, contents);
}

fn manifest(page: &str, contents: &mut Contents<'_>) {
    let is_encrypted =
        Events::new(page).any(|event| matches!(event, Event::Start("encryption-data", _)));
    if is_encrypted {
        contents.mark(Technique::Encrypted, "the document is encrypted");
        contents.note("an encrypted document was not inspected");
    }
}

/// The source in a module's file.
fn module(page: &str) -> String {
    let texts = Events::new(page).filter_map(|event| match event {
        Event::Text(text) => Some(xml::unescape(text)),
        _ => None,
    });
    texts.collect()
}

fn text(page: &str, contents: &mut Contents<'_>) {
    let mut out = String::new();
    let mut in_body = 0_usize;
    for event in Events::new(page) {
        match event {
            Event::Start("body" | "master-styles", rest) if !xml::is_empty(rest) => in_body += 1,
            Event::End("body" | "master-styles") => in_body = in_body.saturating_sub(1),
            Event::Start("dde-source" | "dde-connection-decl", rest) => {
                let application = xml::attribute(rest, "dde-application").unwrap_or_default();
                let topic = xml::attribute(rest, "dde-topic").unwrap_or_default();
                contents.mark(Technique::Dde, format!("{application} {topic}"));
            }
            Event::Start("table-cell", rest) => {
                let formula = xml::attribute(rest, "formula").unwrap_or_default();
                let formula = formula.split_once(":=").map_or(&*formula, |(_, formula)| formula);
                if address::is_command(formula) {
                    contents.mark(Technique::CommandFormula, formula);
                }
            }
            Event::Start("event-listener", rest) => {
                let target = xml::attribute(rest, "href").unwrap_or_default();
                if target.starts_with("vnd.sun.star.script:") {
                    contents.mark(Technique::OdfMacro, format!("an event runs {target}"));
                }
            }
            Event::Start("a", rest) => {
                let href = xml::attribute(rest, "href").unwrap_or_default();
                address::hyperlink(&href, "", contents);
            }
            Event::Start(
                "object" | "object-ole" | "plugin" | "floating-frame" | "section-source",
                rest,
            ) => {
                let href = xml::attribute(rest, "href").unwrap_or_default();
                if address::is_remote(&href) {
                    address::object(&href, contents);
                } else if !href.is_empty() {
                    contents.mark(Technique::EmbeddedFile, format!("embedded '{href}'"));
                }
            }
            Event::Start("tab", _) | Event::End("table-cell") => out.push('\t'),
            Event::Start("s", _) => out.push(' '),
            Event::Start("line-break", _) | Event::End("p" | "h" | "table-row") => out.push('\n'),
            Event::Text(text) if in_body > 0 && out.len() < TEXT => {
                out.push_str(&xml::unescape(text));
            }
            _ => {}
        }
    }
    contents.text(out);
}
