use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Where results go: text for people, or JSON for programs, on standard output. Progress and
/// errors go to standard error.
#[derive(Clone)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

/// One line of JSON with the version of its form.
#[derive(Serialize)]
struct Line<'a, T> {
    schema: u32,
    #[serde(flatten)]
    value: &'a T,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person watches and wants to see what goes on.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// A result: `value` for programs, `text` for people.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) {
        if self.json {
            let line = serde_json::to_string(&Line { schema: 1, value })
                .expect("results are plain data with string keys");
            print(&line);
        } else {
            print(&text());
        }
    }

    /// Something for people alone, which they may not want to see.
    pub(crate) fn note(&self, text: &str) {
        if !self.json && !self.quiet {
            print(text);
        }
    }

    /// An error or a warning, for people, beside the results.
    pub(crate) fn complain(&self, text: &str) {
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(io::stderr(), "{}", plain_lines(text));
    }
}

/// Prints a line. When the reader went away (`| head`), there is nobody to print for.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Columns that line up, for lists.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// Text from outside on one line, without what could steer a terminal or reorder the line.
pub(crate) fn plain(text: &str) -> String {
    mailkeep_model::one_line(text)
}

/// As [`plain`], but lines stay lines.
fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\r\nc"), "a [2Jb  c");
    }

    #[test]
    fn a_subject_cannot_reorder_its_line() {
        for c in "\u{61C}\u{200E}\u{200F}\u{202A}\u{202E}\u{2066}\u{2069}".chars() {
            assert_eq!(plain(&format!("a{c}gpj.exe")), "a gpj.exe", "U+{:04X}", u32::from(c));
        }
        assert_eq!(plain("שלום, Größe"), "שלום, Größe");
    }

    #[test]
    fn an_error_of_two_lines_keeps_both_and_steers_nothing() {
        assert_eq!(plain_lines("error: a\x1b[2J\r\n  b\u{202E}"), "error: a [2J\n  b ");
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "bb".into()], vec!["ccc".into(), "d".into()]];
        assert_eq!(table(&rows), "a    bb\nccc  d");
    }
}
