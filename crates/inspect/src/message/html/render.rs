use std::ops::Range;

use super::{
    entities::{self, Place},
    style::{Look, Sheet},
    tokens::{Attributes, Token, Tokens},
};

/// What a person sees of HTML, and the way back.
///
/// White space is collapsed as in a browser; a line break or the border of a block is a newline,
/// the border of a table cell a tab. What CSS hides is in the text, too, because sensitive content
/// can leave in it; [`Rendered::hidden`] tells where it is.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    /// Pieces of the text that nobody sees, in order.
    pub(crate) hidden: Vec<Range<usize>>,
    pub(crate) links: Vec<Link>,
    pub(crate) images: Vec<Image>,
    pub(crate) forms: Vec<Form>,
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
    /// A picture is part of what is shown.
    pub(crate) image: bool,
}

/// A picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its address in the source, character references not decoded.
    pub(crate) src: Range<usize>,
}

/// A form, whether or not the mail client at hand would show it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Where what is typed goes, decoded; empty when the page itself takes it.
    pub(crate) action: String,
    /// Where the form's tag stands in the source.
    pub(crate) place: Range<usize>,
    /// It asks for a password.
    pub(crate) password: bool,
}

/// Pictures and forms that are looked at.
const MOST_IMAGES: usize = 200;
const MOST_FORMS: usize = 20;

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
        sheet: Sheet::default(),
        looks: Vec::new(),
    };
    for token in Tokens::new(html) {
        match token {
            Token::Text(text) => renderer.visible_or_not(text),
            Token::Style(style) => renderer.sheet.read(&html[style]),
            Token::Start { name, attributes } => renderer.start(name, &attributes),
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
    sheet: Sheet,
    /// The open elements that change how text looks, and how often elements of their names are
    /// open since.
    looks: Vec<Looks>,
}

/// An open element with a look of its own.
struct Looks {
    name: Range<usize>,
    look: Look,
    open: usize,
}

/// Looks in one another that are told apart; a browser has no bound, mail of people no more.
const DEEPEST_LOOK: usize = 32;

/// Elements without an end tag.
const VOID: &[&str] =
    &["area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"];

impl Renderer<'_> {
    fn start(&mut self, name: Range<usize>, attributes: &Attributes) {
        let at = name.start;
        let mut lower = [0; 10];
        let name_text = lower_case(&self.html[name.clone()], &mut lower);
        self.open_look(name_text, &name, attributes);
        let href = attributes.href.clone();
        match name_text {
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
            "img" | "input" if attributes.src.is_some() => self.image(attributes),
            "input" => self.input(attributes),
            "form" => {
                self.form(at, attributes);
                self.separate('\n', at);
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

    /// Notes how text looks from here on, where the element says something of it.
    fn open_look(&mut self, name: &str, place: &Range<usize>, attributes: &Attributes) {
        if VOID.binary_search(&name).is_ok() {
            return;
        }
        let outer = self.looks.last().map_or(Look::default(), |looks| looks.look);
        let value = |range: &Option<Range<usize>>| range.clone().map(|range| &self.html[range]);
        let look = self.sheet.look(
            outer,
            value(&attributes.class),
            value(&attributes.style),
            attributes.hidden.is_some(),
        );
        let html = self.html;
        let same = |looks: &&mut Looks| html[looks.name.clone()].eq_ignore_ascii_case(name);
        if look != outer && self.looks.len() < DEEPEST_LOOK {
            self.looks.push(Looks { name: place.clone(), look, open: 1 });
        } else if !name.is_empty()
            && let Some(looks) = self.looks.iter_mut().rev().find(same)
        {
            looks.open += 1;
        }
    }

    fn close_look(&mut self, name: &Range<usize>) {
        let name = &self.html[name.clone()];
        let same = |looks: &Looks| self.html[looks.name.clone()].eq_ignore_ascii_case(name);
        let Some(index) = self.looks.iter().rposition(same) else { return };
        self.looks[index].open -= 1;
        if self.looks[index].open == 0 {
            self.looks.truncate(index);
        }
    }

    fn image(&mut self, attributes: &Attributes) {
        if let Some(link) = &mut self.open {
            link.image = true;
        }
        if let Some(src) = attributes.src.clone()
            && self.out.images.len() < MOST_IMAGES
        {
            self.out.images.push(Image { src });
        }
    }

    fn form(&mut self, at: usize, attributes: &Attributes) {
        if self.out.forms.len() < MOST_FORMS {
            let action = attributes.action.clone().map(|action| &self.html[action]);
            let action = action.map(|action| entities::decode(action).trim().to_owned());
            self.out.forms.push(Form {
                action: action.unwrap_or_default(),
                place: at..at + "form".len(),
                password: false,
            });
        }
    }

    fn input(&mut self, attributes: &Attributes) {
        let kind = attributes.kind.clone().map(|kind| &self.html[kind]);
        if kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("password")) {
            match self.out.forms.last_mut() {
                Some(form) => form.password = true,
                // A script takes what is typed.
                None => {
                    let place = attributes.kind.clone().unwrap_or_default();
                    self.out.forms.push(Form { action: String::new(), place, password: true });
                }
            }
        }
    }

    /// Text, and the note that nobody sees it.
    fn visible_or_not(&mut self, range: Range<usize>) {
        let start = self.out.text.len();
        self.text(range);
        let end = self.out.text.len();
        let hidden = self.looks.last().is_some_and(|looks| looks.look.is_hidden());
        if hidden && start < end {
            match self.out.hidden.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => self.out.hidden.push(start..end),
            }
        }
    }

    fn end(&mut self, name: Range<usize>) {
        let at = name.start;
        let mut lower = [0; 10];
        self.close_look(&name);
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
            image: false,
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
