//! The text of an HTML body, for readers that show no HTML. Made for what Exchange hands out,
//! which it has cleaned; anything else gives some text, in time that grows with its length.

use mail_parser::decoders::html::add_html_token;

/// Elements whose content nobody sees.
const HIDDEN: &[&str] = &["head", "style", "script", "title", "template"];
/// Elements that begin and end with a line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "blockquote",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
/// A tag with longer attributes ends at its first `>`, wherever that is.
const TAG: usize = 4096;
/// The longest entity, with `&` and `;`.
const ENTITY: usize = 34;

/// The visible text, with line ends where blocks end; where a link shows something other than its
/// address, the address follows in angle brackets.
pub(super) fn to_text(html: &str) -> String {
    let mut reader = Reader::default();
    let mut rest = html;
    let mut no_comment_end = false;
    // Behind the last `>` no tag ends, and nobody has to look for one again and again.
    let last = html.rfind('>').unwrap_or(0);
    while let Some(open) = rest.find('<') {
        reader.text(&rest[..open]);
        rest = &rest[open..];
        if rest.starts_with("<!--") && !no_comment_end {
            match rest.find("-->") {
                Some(end) => {
                    rest = &rest[end + 3..];
                    continue;
                }
                None => no_comment_end = true,
            }
        }
        let is_tag = rest[1..]
            .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        let can_end = html.len() - rest.len() < last;
        let Some(end) = (is_tag && can_end).then(|| tag_end(rest)).flatten() else {
            reader.text("<");
            rest = &rest[1..];
            continue;
        };
        reader.tag(&rest[1..end]);
        rest = &rest[end + 1..];
    }
    reader.text(rest);
    reader.finish()
}

/// Where the `>` of the tag is that a text begins with.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut first = None;
    let mut named = false;
    for (at, byte) in text.bytes().enumerate().take(TAG) {
        match (byte, quote) {
            (b'>', None) => return Some(at),
            (b'>', Some(_)) => first = first.or(Some(at)),
            // A quote opens a value only behind `=`: an apostrophe elsewhere is a slip.
            (b'"' | b'\'', None) if named => quote = Some(byte),
            (byte, Some(open)) if byte == open => quote = None,
            _ => {}
        }
        named = byte == b'=' || (named && byte.is_ascii_whitespace());
    }
    first.or_else(|| text.bytes().skip(TAG).position(|byte| byte == b'>').map(|at| at + TAG))
}

#[derive(Default)]
struct Reader {
    out: String,
    /// How deep in elements that nobody sees, and in which of them.
    hidden: Option<(&'static str, usize)>,
    /// White space was seen that is not yet written.
    space: bool,
    verbatim: usize,
    /// The address of the link that is open, and where its text begins.
    link: Option<(String, usize)>,
}

impl Reader {
    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let entity = if c == '&' { entity(rest) } else { None };
            if let Some((decoded, length)) = entity {
                decoded.chars().for_each(|c| self.character(c));
                rest = &rest[length..];
            } else {
                self.character(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }

    fn character(&mut self, c: char) {
        if c.is_whitespace() && (self.verbatim == 0 || c == '\r') {
            self.space = true;
            return;
        }
        if self.space && !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push(' ');
        }
        self.space = false;
        self.out.push(c);
    }

    fn tag(&mut self, tag: &str) {
        let closes = tag.starts_with('/');
        let tag = tag.trim_start_matches('/');
        let end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
        let name = tag[..end].to_ascii_lowercase();
        if let Some((hidden, depth)) = self.hidden {
            self.hidden = match (name == hidden, closes) {
                (true, true) if depth <= 1 => None,
                (true, true) => Some((hidden, depth - 1)),
                (true, false) if hidden == "template" => Some((hidden, depth + 1)),
                // A head whose end is missing ends where the body begins.
                (false, false) if hidden == "head" && name == "body" => None,
                _ => self.hidden,
            };
            return;
        }
        if let Some(hidden) = HIDDEN.iter().find(|hidden| **hidden == name) {
            if !closes && !tag.ends_with('/') {
                self.hidden = Some((hidden, 1));
            }
            return;
        }
        match name.as_str() {
            "br" => self.out.push('\n'),
            "td" | "th" if !closes => self.space = true,
            "a" if closes => self.end_link(),
            "a" => {
                self.end_link();
                self.link = attribute(tag, "href").map(|href| (href, self.out.len()));
            }
            name if BLOCKS.contains(&name) => {
                self.line();
                match (name, closes) {
                    ("p", true) => self.out.push('\n'),
                    ("li", false) => self.out.push_str("- "),
                    ("pre", false) => self.verbatim += 1,
                    ("pre", true) => self.verbatim = self.verbatim.saturating_sub(1),
                    _ => {}
                }
            }
            _ => {}
        }
        if name == "br" {
            self.space = false;
        }
    }

    /// Goes to the beginning of a line.
    fn line(&mut self) {
        self.space = false;
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn end_link(&mut self) {
        let Some((href, from)) = self.link.take() else { return };
        let shown = self.out.get(from..).unwrap_or_default().trim();
        let bare = href.strip_prefix("mailto:").unwrap_or(&href).trim_end_matches('/');
        let followed = ["http:", "https:", "mailto:", "tel:"].iter().any(|s| href.starts_with(s));
        if followed && !shown.is_empty() && shown.trim_end_matches('/') != bare {
            self.out.push_str(&format!(" <{href}>"));
        }
    }

    /// No line ends with a space, no more than one empty line in a row, none around.
    fn finish(mut self) -> String {
        self.end_link();
        let mut text = String::with_capacity(self.out.len());
        let mut empty = 0;
        for line in self.out.trim().lines().map(str::trim_end) {
            if line.is_empty() {
                empty += 1;
                continue;
            }
            if !text.is_empty() {
                text.push_str(if empty > 0 { "\n\n" } else { "\n" });
            }
            text.push_str(line);
            empty = 0;
        }
        text
    }
}

/// The characters that an entity at the beginning of a text stands for, and its length.
fn entity(text: &str) -> Option<(String, usize)> {
    let length = text.bytes().take(ENTITY).position(|byte| byte == b';')? + 1;
    let token = &text[..length];
    if !token[1..length - 1].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#') {
        return None;
    }
    let mut decoded = String::new();
    add_html_token(&mut decoded, token.as_bytes(), false);
    (decoded != token).then_some((decoded, length))
}

/// The value of an attribute, decoded.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let equals = rest.find('=')?;
        let found = rest[..equals].trim_end();
        let is_it = found.to_ascii_lowercase().ends_with(name)
            && found.len() > name.len()
            && found.as_bytes()[found.len() - name.len() - 1].is_ascii_whitespace();
        let value = rest[equals + 1..].trim_start();
        let (value, behind) = match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        if is_it {
            let mut decoded = String::new();
            let mut rest = value;
            while let Some(c) = rest.chars().next() {
                match (c == '&').then(|| entity(rest)).flatten() {
                    Some((text, length)) => {
                        decoded.push_str(&text);
                        rest = &rest[length..];
                    }
                    None => {
                        decoded.push(c);
                        rest = &rest[c.len_utf8()..];
                    }
                }
            }
            return Some(decoded.trim().to_owned());
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_invitation_reads_as_it_is_shown() {
        let html = "<html><head><style>p { a > b }</style><title>x</title></head><body>\r\n\
            <!-- <p>not this</p> --><p>Dear all,&nbsp;</p>\n<div>Plan &amp; budget<br>f&uuml;r 2027 \
            &lt;draft&gt; &#x20AC;5</div><ul><li>one</li><li>two</li></ul><table><tr><td>a</td><td>b\
            </td></tr></table><a title='1 > 2' href=\"https://meet.example/j?a=1&amp;b=2\">Join\n now\
            </a> <a href='https://b.example/'>https://b.example</a><pre>x\n  y</pre>";
        assert_eq!(
            to_text(html),
            "Dear all,\n\nPlan & budget\nfür 2027 <draft> €5\n- one\n- two\na b\n\
             Join now <https://meet.example/j?a=1&b=2> https://b.example\nx\n  y"
        );
    }

    #[test]
    fn broken_html_still_gives_its_text() {
        assert_eq!(
            to_text("a < b <> c & d &nope; &#xFFFFFFFF;<p"),
            "a < b <> c & d &nope; \u{FFFD}<p"
        );
        assert_eq!(to_text("<head><meta x>\n<body>text"), "text");
        assert_eq!(to_text("<!-- never closed <b>seen</b>"), "seen");
        assert_eq!(to_text("<a href=\"https://x.example>y</a> z"), "y <https://x.example> z");
        assert_eq!(to_text(""), "");
    }

    proptest! {
        #[test]
        fn no_html_breaks_it(html in "(<|>|/|!--|-->|a|p|br|head|href=|\"|'|&|amp;|#|;| |é|\n|\u{2028}){0,60}") {
            let _ = to_text(&html);
        }
    }
}
