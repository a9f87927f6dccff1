//! Lines of iCalendar and vCard: escaped, and folded at 75 octets.

use std::io::{self, Write};

use data_encoding::BASE64;

/// Octets in a line at most, its end not counted (RFC 5545, section 3.1).
const LINE: usize = 75;
/// Octets that are encoded at a time: a multiple of three, so that no padding is needed between.
const CHUNK: usize = 48 * 1024;

/// A text on its way out: what is attached may be long, and is not held in this form whole.
pub(super) struct Lines<'w> {
    out: &'w mut dyn Write,
    column: usize,
    /// After a failure nothing more is written.
    written: io::Result<()>,
}

/// A line of which the name stands, and maybe parameters. It ends with its value.
#[must_use = "a line ends with its value"]
pub(super) struct Property<'l, 'w>(&'l mut Lines<'w>);

impl<'w> Lines<'w> {
    /// Lines that go there. Each piece of a line is written by itself.
    pub(super) fn to(out: &'w mut dyn Write) -> Self {
        Self { out, column: 0, written: Ok(()) }
    }

    /// Ends the text; the error when not all of it could be written.
    pub(super) fn finish(self) -> io::Result<()> {
        self.written
    }

    /// Lines that are ready.
    pub(super) fn whole(&mut self, lines: &str) {
        self.put(lines.as_bytes());
    }

    /// Begins a line.
    pub(super) fn property(&mut self, name: &str) -> Property<'_, 'w> {
        self.push(name);
        Property(self)
    }

    /// A line whose value is a text, unless it is empty.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.property(name).text(value);
        }
    }

    pub(super) fn begin(&mut self, component: &str) {
        self.property("BEGIN").raw(component);
    }

    pub(super) fn end(&mut self, component: &str) {
        self.property("END").raw(component);
    }

    fn push(&mut self, mut text: &str) {
        loop {
            let room = LINE - self.column;
            if text.len() <= room {
                self.put(text.as_bytes());
                self.column += text.len();
                return;
            }
            let (fits, rest) = text.split_at(text.floor_char_boundary(room));
            self.put(fits.as_bytes());
            self.put(b"\r\n ");
            self.column = 1;
            text = rest;
        }
    }

    fn end_line(&mut self) {
        self.put(b"\r\n");
        self.column = 0;
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.written.is_ok() {
            self.written = self.out.write_all(bytes);
        }
    }
}

impl Property<'_, '_> {
    /// Adds a parameter, unless its value is empty. What a quoted value cannot hold is written as
    /// RFC 6868 says.
    pub(super) fn parameter(self, name: &str, value: &str) -> Self {
        let mut safe = String::with_capacity(value.len() + 2);
        for c in value.chars() {
            match c {
                '^' => safe.push_str("^^"),
                '"' => safe.push_str("^'"),
                '\n' => safe.push_str("^n"),
                c if c.is_control() => {}
                c => safe.push(c),
            }
        }
        if safe.is_empty() {
            return self;
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
        let quote = if safe.chars().all(plain) { "" } else { "\"" };
        for piece in [";", name, "=", quote, &safe, quote] {
            self.0.push(piece);
        }
        self
    }

    /// Ends the line with a value that needs no escaping; control characters are left out.
    pub(super) fn raw(self, value: &str) {
        self.0.push(":");
        if value.contains(char::is_control) {
            self.0.push(&value.replace(char::is_control, ""));
        } else {
            self.0.push(value);
        }
        self.0.end_line();
    }

    /// Ends the line with a text.
    pub(super) fn text(self, value: &str) {
        self.0.push(":");
        self.0.push(&escaped(value));
        self.0.end_line();
    }

    /// Ends the line with texts that are separated by `separator`.
    pub(super) fn texts<'t>(self, separator: &str, values: impl IntoIterator<Item = &'t str>) {
        self.0.push(":");
        for (number, value) in values.into_iter().enumerate() {
            if number > 0 {
                self.0.push(separator);
            }
            self.0.push(&escaped(value));
        }
        self.0.end_line();
    }

    /// Ends the line with bytes in base 64.
    pub(super) fn base64(self, bytes: &[u8]) {
        self.0.push(":");
        for chunk in bytes.chunks(CHUNK) {
            self.0.push(&BASE64.encode(chunk));
        }
        self.0.end_line();
    }
}

/// What is written where nothing fails.
pub(super) fn in_memory(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).expect("a Vec takes everything");
    bytes
}

/// A text as a value. Every kind of line end becomes `\n`; a control character has no place in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut last = ' ';
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' if last == '\r' => {}
            // Readers that take these two for line ends would break the line.
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => escaped.push_str("\\n"),
            '\t' => escaped.push(c),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
        last = c;
    }
    escaped
}

/// Calls `each` with every line, unfolded, without its end.
pub(super) fn unfold(bytes: &[u8], mut each: impl FnMut(&[u8])) {
    let mut line: Vec<u8> = Vec::new();
    let mut any = false;
    for physical in bytes.split(|byte| *byte == b'\n') {
        let physical = physical.strip_suffix(b"\r").unwrap_or(physical);
        if let Some(rest) = physical.strip_prefix(b" ").or(physical.strip_prefix(b"\t")) {
            line.extend_from_slice(rest);
            continue;
        }
        if any && !line.is_empty() {
            each(&line);
        }
        line.clear();
        line.extend_from_slice(physical);
        any = true;
    }
    if !line.is_empty() {
        each(&line);
    }
}

/// A line taken apart: name, parameters, value. The name may have a group before it (vCard).
pub(super) struct Line<'l> {
    pub(super) name: &'l [u8],
    parameters: &'l [u8],
    pub(super) value: &'l [u8],
}

impl<'l> Line<'l> {
    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        let mut quoted = false;
        let colon = line.iter().position(|byte| {
            quoted ^= *byte == b'"';
            *byte == b':' && !quoted
        })?;
        let (head, value) = (&line[..colon], &line[colon + 1..]);
        let name = head.split(|byte| *byte == b';').next().unwrap_or_default();
        Some(Self { name, parameters: &head[name.len()..], value })
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// A parameter's value, as it stands there; none that has a `;` in it.
    pub(super) fn parameter(&self, name: &str) -> Option<&'l str> {
        let found = self.parameters.split(|byte| *byte == b';').find_map(|parameter| {
            let equals = parameter.iter().position(|byte| *byte == b'=')?;
            let (found, value) = parameter.split_at(equals);
            found.eq_ignore_ascii_case(name.as_bytes()).then_some(&value[1..])
        })?;
        std::str::from_utf8(found).ok().map(|value| value.trim_matches('"'))
    }

    /// The value, which is base 64.
    pub(super) fn base64(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.value).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unfolded(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        unfold(bytes, |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
        lines
    }

    #[test]
    fn a_text_with_separators_and_line_ends_stays_one_value() {
        let mut bytes = Vec::new();
        let mut lines = Lines::to(&mut bytes);
        lines.text("SUMMARY", "a,b;c\\d\r\ne\rf\n\u{0}\u{2028}g");
        lines.text("EMPTY", "");
        lines.property("X").parameter("CN", "Lee, \"Ann\"^\n").parameter("E", "").raw("v\r\nEND:x");
        assert_eq!(
            unfolded(&bytes),
            [r"SUMMARY:a\,b\;c\\d\ne\nf\n\ng", "X;CN=\"Lee, ^'Ann^'^^^n\":vEND:x"]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_character_is_cut(text in "\\PC{0,300}", name in "[A-Z-]{1,30}") {
            let mut bytes = Vec::new();
            Lines::to(&mut bytes).property(&name).raw(&text);
            for line in bytes.split(|byte| *byte == b'\n') {
                prop_assert!(line.len() <= LINE + 1);
                prop_assert!(std::str::from_utf8(line).is_ok());
            }
            prop_assert_eq!(unfolded(&bytes), [format!("{name}:{text}")]);
        }

        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut lines = Vec::new();
            Lines::to(&mut lines).property("A").parameter("B", "c;d:e").base64(&bytes);
            let mut found = None;
            unfold(&lines, |line| found = Line::parse(line).and_then(|l| l.base64()));
            prop_assert_eq!(found, Some(bytes));
        }
    }
}
