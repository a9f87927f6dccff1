//! Where a document leads: what an address in it means.

use super::{contents::Contents, technique::Technique};

/// Schemes that hand what follows to a program (Follina and its likes).
const HANDLERS: &[&str] = &[
    "ms-msdt:",
    "search-ms:",
    "mhtml:",
    "vbscript:",
    "script:",
    "ms-officecmd:",
    "ms-search:",
    "ms-appinstaller:",
    "ms-excel:ofe",
    "ms-word:ofe",
    "jar:",
    "res:",
    "its:",
    "mk:@msitstore",
];

/// Whether it is on another machine.
pub(super) fn is_remote(target: &str) -> bool {
    let lower = target.trim().to_ascii_lowercase();
    let unc = lower.strip_prefix("file:").unwrap_or(&lower).replace('\\', "/");
    // `file:///C:/` is this machine; `file://host/`, `\\host\` are others.
    let host = unc.strip_prefix("//").unwrap_or_default();
    lower.starts_with("http:")
        || lower.starts_with("https:")
        || lower.starts_with("ftp:")
        || host.starts_with(|c: char| c.is_ascii_alphanumeric())
        || (host.starts_with("//")
            && host.trim_start_matches('/').contains('/')
            && !host.contains(':'))
}

fn is_handler(target: &str) -> bool {
    let lower = target.trim().to_ascii_lowercase();
    HANDLERS.iter().any(|scheme| lower.starts_with(scheme)) || lower.contains("!x-usc:")
}

/// A template or a frame, which is loaded when the document is opened.
pub(super) fn template(target: &str, contents: &mut Contents<'_>) {
    contents.link(target, "");
    if is_remote(target) || is_handler(target) {
        contents.mark(Technique::RemoteTemplate, format!("loads {target}"));
    } else {
        contents.mark(Technique::ExternalLink, format!("template {target}"));
    }
}

/// An object that is linked instead of embedded.
pub(super) fn object(target: &str, contents: &mut Contents<'_>) {
    contents.link(target, "");
    if is_remote(target) || is_handler(target) {
        contents.mark(Technique::RemoteObject, format!("loads {target}"));
    } else {
        contents.mark(Technique::LinkedObject, format!("linked to {target}"));
    }
}

/// A picture or the like: tells the sender that it was opened.
pub(super) fn resource(target: &str, contents: &mut Contents<'_>) {
    if is_handler(target) {
        return object(target, contents);
    }
    contents.mark(Technique::ExternalLink, format!("refers to {target}"));
}

/// A link that is followed with a click.
pub(super) fn hyperlink(target: &str, shown: &str, contents: &mut Contents<'_>) {
    contents.link(target, shown);
    if is_handler(target) {
        contents.mark(Technique::RemoteObject, format!("a click starts {target}"));
    }
}

/// The instruction of a field of Word; `true` when it was something to report.
pub(super) fn field(instruction: &str, contents: &mut Contents<'_>) -> bool {
    let text = instruction.trim();
    let upper = text.to_ascii_uppercase();
    let first = upper.split_whitespace().next().unwrap_or_default();
    match first.trim_matches(['"', '\\']) {
        "DDE" | "DDEAUTO" => contents.mark(Technique::Dde, text),
        "INCLUDEPICTURE" | "INCLUDETEXT" | "INCLUDE" | "IMPORT" | "LINK" => {
            let target = text
                .split('"')
                .nth(1)
                .or_else(|| text.split_whitespace().nth(1))
                .unwrap_or_default();
            match first {
                "LINK" => object(text.split('"').nth(1).unwrap_or_default(), contents),
                "INCLUDETEXT" | "INCLUDE" if is_remote(target) => object(target, contents),
                _ => resource(target, contents),
            }
        }
        "HYPERLINK" => {
            if let Some(target) = text.split('"').nth(1) {
                hyperlink(target, "", contents);
            }
        }
        // Characters by number: how DDE is hidden.
        "QUOTE"
            if upper
                .split_whitespace()
                .skip(1)
                .filter(|word| word.parse::<u8>().is_ok())
                .count()
                > 8 =>
        {
            contents.mark(Technique::Obfuscated, format!("a field spells out characters: {text}"));
        }
        _ => return false,
    }
    true
}

/// A formula of a spreadsheet (without the sign in front of it) that asks another program (DDE).
pub(super) fn is_command(formula: &str) -> bool {
    let lower =
        formula.trim_start_matches(['=', '+', '-', '@', ' ', '"', '\t', '(']).to_ascii_lowercase();
    let Some((program, rest)) = lower.split_once('|') else {
        return lower.starts_with("dde(")
            || lower.starts_with("webservice(")
            || lower.starts_with("importxml(");
    };
    let program = program
        .rsplit(['(', '+', '*', '-', '=', ' '])
        .next()
        .unwrap_or_default()
        .trim_matches('\'');
    let known = [
        "cmd",
        "powershell",
        "mshta",
        "msexcel",
        "rundll32",
        "regsvr32",
        "certutil",
        "wscript",
        "cscript",
        "wmic",
        "dde",
        "explorer",
    ];
    // `program|arguments!item`
    known.iter().any(|name| {
        program.rsplit(['\\', '/']).next().unwrap_or_default().trim_end_matches(".exe") == *name
    }) && rest.contains('!')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_told_from_this_one() {
        for remote in [
            "https://example.com/a.dotm",
            "\\\\host\\share\\a",
            "file://host/a",
            "file:\\\\host\\a",
            "FTP://x/",
        ] {
            assert!(is_remote(remote), "{remote}");
        }
        for local in [
            "file:///C:\\Users\\a\\Normal.dotm",
            "C:\\a.dotm",
            "a.xlsx",
            "/tmp/a",
            "mailto:a@example.com",
        ] {
            assert!(!is_remote(local), "{local}");
        }
    }

    #[test]
    fn a_cell_that_starts_a_program_is_told_from_one_that_counts() {
        assert!(is_command("=cmd|'/c calc'!A0"));
        assert!(is_command("+SUM(1)*cmd|' /C calc'!A0"));
        assert!(is_command("@cmd.exe|'/c calc'!A0"));
        for innocent in ["=A1+B2", "a|b!c", "=IF(A1=\"x|y\",1,2)", "-5", "+49 30 1234", "cmd"] {
            assert!(!is_command(innocent), "{innocent}");
        }
    }
}
