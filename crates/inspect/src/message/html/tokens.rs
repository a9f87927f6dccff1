//! The tokenizer (WHATWG HTML section 13.2.5), as far as it matters where text and tags begin
//! and end. Every step moves forward; the whole is linear in the size of the source.

use std::ops::Range;

use memchr::{memchr, memmem};

/// A piece of HTML source. Comments, declarations and invisible raw text give no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Text with character references.
    Text(Range<usize>),
    /// A start tag.
    Start { name: Range<usize>, attributes: Attributes },
    /// The content of a `<style>`.
    Style(Range<usize>),
    /// An end tag.
    End { name: Range<usize> },
}

/// The values of the attributes that decide what a person sees and where it leads; of repeated
/// ones the first, as in a browser.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) href: Option<Range<usize>>,
    pub(super) src: Option<Range<usize>>,
    pub(super) action: Option<Range<usize>>,
    /// `type`
    pub(super) kind: Option<Range<usize>>,
    pub(super) style: Option<Range<usize>>,
    pub(super) class: Option<Range<usize>>,
    pub(super) hidden: Option<Range<usize>>,
}

impl Attributes {
    fn slot(&mut self, name: &str) -> Option<&mut Option<Range<usize>>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // Most attributes of mail are none of these: their length tells.
        match name.len() {
            3 if is("src") => Some(&mut self.src),
            4 if is("href") => Some(&mut self.href),
            4 if is("type") => Some(&mut self.kind),
            5 if is("style") => Some(&mut self.style),
            5 if is("class") => Some(&mut self.class),
            6 if is("action") => Some(&mut self.action),
            6 if is("hidden") => Some(&mut self.hidden),
            _ => None,
        }
    }
}

/// Elements whose content is no markup and is not shown.
const INVISIBLE_RAW: &[&str] =
    &["script", "style", "title", "xmp", "iframe", "noembed", "noframes"];

pub(super) struct Tokens<'h> {
    html: &'h str,
    at: usize,
    /// The content of the `<style>` whose start tag was the last token.
    style: Option<Range<usize>>,
}

impl<'h> Tokens<'h> {
    pub(super) fn new(html: &'h str) -> Self {
        Self { html, at: 0, style: None }
    }

    fn bytes(&self) -> &'h [u8] {
        self.html.as_bytes()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    /// The end of the text that begins here: the next `<` that begins markup.
    fn text_end(&self) -> usize {
        let mut at = self.at;
        while let Some(offset) = memchr(b'<', &self.bytes()[at..]) {
            at += offset;
            match self.byte(at + 1) {
                Some(b'!' | b'/' | b'?') => return at,
                Some(b) if b.is_ascii_alphabetic() => return at,
                _ => at += 1, // the character itself
            }
        }
        self.html.len()
    }

    /// Behind the end of a bogus comment.
    fn behind(&self, from: usize, byte: u8) -> usize {
        memchr(byte, &self.bytes()[from..]).map_or(self.html.len(), |offset| from + offset + 1)
    }

    /// Behind the end of a comment; `from` is behind its `<!--`.
    fn comment_end(&self, from: usize) -> usize {
        let rest = &self.bytes()[from..];
        if rest.starts_with(b">") {
            return from + 1;
        }
        if rest.starts_with(b"->") {
            return from + 2;
        }
        let mut at = from;
        while let Some(offset) = memmem::find(&self.bytes()[at..], b"--") {
            at += offset + 2;
            match (self.byte(at), self.byte(at + 1)) {
                (Some(b'>'), _) => return at + 1,
                (Some(b'!'), Some(b'>')) => return at + 2,
                _ => at -= 1, // "--->" ends too
            }
        }
        self.html.len()
    }

    /// Reads a tag from behind its `<` or `</`. `None` when the source ends within it.
    fn tag(&mut self, start: usize) -> Option<(Range<usize>, Attributes)> {
        let is_end = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>');
        let name_end = start + self.bytes()[start..].iter().position(is_end)?;
        let mut attributes = Attributes::default();
        let mut at = name_end;
        loop {
            at += self.bytes()[at..].iter().position(|b| !b.is_ascii_whitespace() && *b != b'/')?;
            if self.byte(at)? == b'>' {
                self.at = at + 1;
                return Some((start..name_end, attributes));
            }
            let (name, value, end) = self.attribute(at)?;
            if let Some(slot) = attributes.slot(&self.html[name]) {
                slot.get_or_insert(value);
            }
            at = end;
        }
    }

    /// Reads an attribute: the ranges of its name and value, and where it ends.
    fn attribute(&self, start: usize) -> Option<(Range<usize>, Range<usize>, usize)> {
        let bytes = self.bytes();
        // A name may begin with "=".
        let name_end = start
            + 1
            + bytes[start + 1..]
                .iter()
                .position(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'='))?;
        let skip = |from: usize| {
            bytes[from..].iter().position(|b| !b.is_ascii_whitespace()).map(|n| from + n)
        };
        let equals = skip(name_end)?;
        if bytes[equals] != b'=' {
            return Some((start..name_end, name_end..name_end, name_end));
        }
        let value = skip(equals + 1)?;
        match bytes[value] {
            quote @ (b'"' | b'\'') => {
                let end = value + 1 + memchr(quote, &bytes[value + 1..])?;
                Some((start..name_end, value + 1..end, end + 1))
            }
            b'>' => Some((start..name_end, value..value, value)),
            _ => {
                let end = value
                    + bytes[value..].iter().position(|b| b.is_ascii_whitespace() || *b == b'>')?;
                Some((start..name_end, value..end, end))
            }
        }
    }

    /// Passes over the content of a raw text element, up to its end tag.
    fn skip_raw(&mut self, name: &str) {
        while let Some(offset) = memchr(b'<', &self.bytes()[self.at..]) {
            let at = self.at + offset;
            let behind = at + 2 + name.len();
            let ends = self.byte(at + 1) == Some(b'/')
                && self
                    .bytes()
                    .get(at + 2..behind)
                    .is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
                && self
                    .byte(behind)
                    .is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>'));
            if ends {
                self.at = at;
                return;
            }
            self.at = at + 1;
        }
        self.at = self.html.len();
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if let Some(style) = self.style.take() {
            return Some(Token::Style(style));
        }
        while self.at < self.html.len() {
            let start = self.at;
            let end = self.text_end();
            if end > start {
                self.at = end;
                return Some(Token::Text(start..end));
            }
            match (self.byte(start + 1), self.byte(start + 2)) {
                (Some(b'!'), _) if self.bytes()[start..].starts_with(b"<!--") => {
                    self.at = self.comment_end(start + 4);
                }
                (Some(b'/'), Some(b)) if b.is_ascii_alphabetic() => match self.tag(start + 2) {
                    Some((name, _)) => return Some(Token::End { name }),
                    None => self.at = self.html.len(),
                },
                (Some(b), _) if b.is_ascii_alphabetic() => match self.tag(start + 1) {
                    Some((name, attributes)) => {
                        let raw = &self.html[name.clone()];
                        if INVISIBLE_RAW.iter().any(|known| raw.eq_ignore_ascii_case(known)) {
                            let content = self.at;
                            self.skip_raw(raw);
                            if raw.eq_ignore_ascii_case("style") {
                                self.style = Some(content..self.at);
                            }
                        }
                        return Some(Token::Start { name, attributes });
                    }
                    None => self.at = self.html.len(),
                },
                _ => self.at = self.behind(start + 1, b'>'),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text as it is, tags in brackets.
    fn tokens(html: &str) -> Vec<String> {
        Tokens::new(html)
            .filter(|token| !matches!(token, Token::Style(_)))
            .map(|token| match token {
                Token::Text(text) | Token::Style(text) => html[text].to_owned(),
                Token::Start { name, attributes } => match attributes.href {
                    Some(href) => format!("[{} {}]", &html[name], &html[href]),
                    None => format!("[{}]", &html[name]),
                },
                Token::End { name } => format!("[/{}]", &html[name]),
            })
            .collect()
    }

    #[test]
    fn attributes_are_read_as_a_browser_reads_them() {
        for tag in [
            "<a href=x>",
            "<a\nHREF = 'x' >",
            "<a href=\"x\"title=\"a>b\">",
            "<a/href=x>",
            "<a title='<b>' href=x href=y>",
            "<a =href=z href=x>",
        ] {
            assert_eq!(tokens(tag), ["[a x]"], "{tag}");
        }
        assert_eq!(tokens("<a href>t</a >"), ["[a ]", "t", "[/a]"]);
        assert_eq!(tokens("<a href=x/>"), ["[a x/]"]);
    }

    #[test]
    fn comments_and_scripts_hide_what_is_in_them() {
        for hidden in [
            "<!-- <a href=x> -->",
            "<!-->",
            "<!--->",
            "<!-- a --!>",
            "<!-- a --->",
            "<!doctype html>",
            "<?xml <b?>",
            "</ a>",
            "<![CDATA[ a ]>",
        ] {
            assert_eq!(tokens(&format!("1{hidden}2")), ["1", "2"], "{hidden}");
        }
        assert_eq!(tokens("<style>a<b></styles></STYLE >2"), ["[style]", "[/STYLE]", "2"]);
        assert_eq!(tokens("<script>never ends <a href=x>"), ["[script]"]);
    }

    #[test]
    fn what_is_no_tag_is_text() {
        assert_eq!(tokens("1 < 2 <3 <<b>x<"), ["1 < 2 <3 <", "[b]", "x<"]);
        assert_eq!(tokens("x<a href='cut off"), ["x"]);
    }
}
