use std::ops::Range;

use super::{
    entities::{self, Place},
    tokens::{Token, Tokens},
};

/// What a person sees of HTML, and the way back.
///
/// White space is collapsed as in a browser; a line break or the border of a block is a newline,
/// the border of a table cell a tab. What CSS hides is not known yet and is in the text.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    pub(crate) links: Vec<Link>,
    /// `<base href>`.
    pub(crate) base: Option<String>,
    /// There were more links than the limit.
    pub(crate) links_dropped: bool,
    spans: Vec<Span>,
}

/// A link that a person can follow: `<a href>` or `<area href>`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The address with character references decoded, otherwise as written.
    pub(crate) href: String,
    /// Where the address stands in the source.
    pub(crate) href_place: Range<usize>,
    /// What is shown, in the readable text.
    pub(crate) text: Range<usize>,
}

/// A stretch of text, from `text` to the next span, and where it came from.
#[derive(Debug)]
struct Span {
    text: u32,
    source: u32,
    /// Bytes of source that the whole stretch stands for; [`VERBATIM`] when it is a copy.
    source_len: u32,
}

const VERBATIM: u32 = u32::MAX;

/// Elements whose borders break a line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "blockquote",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
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
    "tbody",
    "tfoot",
    "thead",
    "tr",
    "ul",
];

/// Renders the text of HTML and collects at most `max_links` links.
pub(crate) fn render(html: &str, max_links: usize) -> Rendered {
    let mut renderer = Renderer {
        html,
        out: Rendered { text: String::with_capacity(html.len() / 4), ..Rendered::default() },
        open: None,
        preformatted: 0,
        max_links,
    };
    for token in Tokens::new(html) {
        match token {
            Token::Text(text) => renderer.text(text),
            Token::Start { name, href } => renderer.start(name, href),
            Token::End { name } => renderer.end(name),
        }
    }
    renderer.close_link();
    renderer.out
}

impl Rendered {
    /// Where in the source a piece of the text stands.
    pub(crate) fn place(&self, text: Range<usize>) -> Range<usize> {
        let start = self.source_of(text.start).start;
        if text.is_empty() {
            return start..start;
        }
        start..self.source_of(text.end - 1).end.max(start)
    }

    /// The source of the byte of text at `at`.
    fn source_of(&self, at: usize) -> Range<usize> {
        let index = self.spans.partition_point(|span| span.text as usize <= at);
        let Some(span) = index.checked_sub(1).and_then(|index| self.spans.get(index)) else {
            return 0..0;
        };
        let source = span.source as usize;
        if span.source_len == VERBATIM {
            let source = source + (at - span.text as usize);
            source..source + 1
        } else {
            source..source + span.source_len as usize
        }
    }
}

struct Renderer<'h> {
    html: &'h str,
    out: Rendered,
    /// The link that is open.
    open: Option<Link>,
    preformatted: usize,
    max_links: usize,
}

impl Renderer<'_> {
    fn start(&mut self, name: Range<usize>, href: Option<Range<usize>>) {
        let at = name.start;
        let mut lower = [0; 10];
        match lower_case(&self.html[name], &mut lower) {
            "a" => {
                self.close_link();
                self.open = href.map(|href| self.link(href));
            }
            "area" => {
                if let Some(href) = href {
                    let link = self.link(href);
                    self.keep(link);
                }
            }
            "base" if self.out.base.is_none() => {
                self.out.base =
                    href.map(|href| entities::decode(&self.html[href]).trim().to_owned());
            }
            "pre" => {
                self.preformatted += 1;
                self.separate('\n', at);
            }
            "td" | "th" => self.separate('\t', at),
            name if BLOCKS.binary_search(&name).is_ok() => self.separate('\n', at),
            _ => {}
        }
    }

    fn end(&mut self, name: Range<usize>) {
        let at = name.start;
        let mut lower = [0; 10];
        match lower_case(&self.html[name], &mut lower) {
            "a" => self.close_link(),
            "pre" => {
                self.preformatted = self.preformatted.saturating_sub(1);
                self.separate('\n', at);
            }
            "td" | "th" => self.separate('\t', at),
            name if BLOCKS.binary_search(&name).is_ok() => self.separate('\n', at),
            _ => {}
        }
    }

    fn link(&self, href: Range<usize>) -> Link {
        let start = self.out.text.len();
        Link {
            href: entities::decode(&self.html[href.clone()]).into_owned(),
            href_place: href,
            text: start..start,
        }
    }

    fn close_link(&mut self) {
        if let Some(mut link) = self.open.take() {
            link.text.end = self.out.text.len();
            self.keep(link);
        }
    }

    fn keep(&mut self, link: Link) {
        if self.out.links.len() < self.max_links {
            self.out.links.push(link);
        } else {
            self.out.links_dropped = true;
        }
    }

    fn text(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let rest = &self.html[at..range.end];
            let plain = rest
                .bytes()
                .position(|b| b == b'&' || b.is_ascii_whitespace())
                .unwrap_or(rest.len());
            if plain > 0 {
                self.verbatim(at, &rest[..plain]);
                at += plain;
            } else if rest.starts_with('&') {
                at += self.reference(at, rest);
            } else {
                let space = rest.bytes().take_while(u8::is_ascii_whitespace).count();
                self.white_space(at, &rest[..space]);
                at += space;
            }
        }
    }

    fn verbatim(&mut self, source: usize, text: &str) {
        let at = self.out.text.len();
        let continues = self.out.spans.last().is_some_and(|span| {
            span.source_len == VERBATIM
                && span.source as usize + (at - span.text as usize) == source
        });
        if !continues {
            self.span(source, VERBATIM);
        }
        self.out.text.push_str(text);
    }

    fn reference(&mut self, source: usize, rest: &str) -> usize {
        let before = self.out.text.len();
        let read = entities::read(rest, Place::Text, &mut self.out.text);
        if read == 0 {
            self.verbatim(source, "&");
            return 1;
        }
        let span = Span { text: to_u32(before), source: to_u32(source), source_len: to_u32(read) };
        self.out.spans.push(span);
        read
    }

    fn white_space(&mut self, source: usize, space: &str) {
        if self.preformatted > 0 {
            return self.verbatim(source, space);
        }
        if !self.out.text.ends_with(|c: char| c.is_ascii_whitespace()) {
            // One byte for one byte, so that the stretch around it stays in one piece.
            self.verbatim(source, " ");
        }
    }

    /// A border; `at` is where its tag stands.
    fn separate(&mut self, border: char, at: usize) {
        match self.out.text.as_bytes().last() {
            None | Some(b'\n') => {}
            Some(b'\t') if border == '\t' => {}
            _ => {
                self.span(at, 0);
                self.out.text.push(border);
            }
        }
    }

    fn span(&mut self, source: usize, source_len: u32) {
        let text = to_u32(self.out.text.len());
        self.out.spans.push(Span { text, source: to_u32(source), source_len });
    }
}

/// Fields are far smaller than 4 GiB ([`crate::Limits::text_bytes`]).
fn to_u32(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(VERBATIM - 1)
}

/// The name in lower case; names that are longer than any that matters here become empty.
fn lower_case<'b>(name: &str, buffer: &'b mut [u8; 10]) -> &'b str {
    let Some(lower) = buffer.get_mut(..name.len()) else { return "" };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link_texts(html: &str) -> Vec<(String, String)> {
        let rendered = render(html, 100);
        rendered
            .links
            .iter()
            .map(|link| (link.href.clone(), rendered.text[link.text.clone()].trim().to_owned()))
            .collect()
    }

    #[test]
    fn the_text_of_a_link_is_what_a_browser_shows() {
        for html in [
            "<a href=u>https://<b>bank</b>.com</a> more",
            "<A HREF='u'>https:&#47;/bank&period;com</A>",
            "<a href=u><div></a>no</div><a href=u>https://bank.com<a href=v>",
            "<div><a href=u></div>https://bank.com</a>",
            "<a href=u>https://bank.com<!-- x --></a><script>'<a href=v>'</script>",
        ] {
            assert!(
                link_texts(html).contains(&("u".into(), "https://bank.com".into())),
                "{html}: {:?}",
                link_texts(html)
            );
        }
        assert_eq!(link_texts("<a name=top>x</a>"), []);
        assert_eq!(link_texts("<area href=u>x"), [("u".into(), String::new())]);
    }

    #[test]
    fn borders_keep_numbers_apart_and_inline_tags_do_not() {
        let text = |html: &str| render(html, 0).text;
        assert_eq!(text("<p>41<b>11</b>\n \n11</p><p>11<br>22"), "4111 11\n11\n22");
        assert_eq!(text("<tr><td>1</td><td>2</td></tr><tr><td>3"), "1\t2\t\n3");
        assert_eq!(text("<pre>1\n2</pre>3 &nbsp; 4"), "1\n2\n3 \u{a0} 4");
    }

    #[test]
    fn every_piece_of_text_leads_back_to_its_source() {
        let html = "<p>é 4111&nbsp;<b>1111</b>&#32;  1&#x31;11 1111 </p>";
        let rendered = render(html, 0);
        let place = |piece: &str| {
            let at = rendered.text.find(piece).unwrap();
            &html[rendered.place(at..at + piece.len())]
        };
        assert_eq!(place("é"), "é");
        assert_eq!(place("4111\u{a0}1111"), "4111&nbsp;<b>1111");
        assert_eq!(place("1111 1111 1111"), "1111</b>&#32;  1&#x31;11 1111");
        assert_eq!(rendered.place(0..0), 3..3);
    }
}
