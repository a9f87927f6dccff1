//! XML as documents hold it: tags, attributes and text, nothing checked. A strict parser would
//! refuse what the program that opens the document repairs.

use std::borrow::Cow;

/// What follows in the text.
pub(super) enum Event<'x> {
    /// A start tag or an empty one: name without its prefix, and what stands behind the name.
    Start(&'x str, &'x str),
    End(&'x str),
    /// Text with its references as they stand.
    Text(&'x str),
}

pub(super) struct Events<'x> {
    text: &'x str,
    at: usize,
}

impl<'x> Events<'x> {
    pub(super) fn new(text: &'x str) -> Self {
        Self { text, at: 0 }
    }
}

impl<'x> Iterator for Events<'x> {
    type Item = Event<'x>;

    fn next(&mut self) -> Option<Event<'x>> {
        loop {
            let rest = self.text.get(self.at..)?;
            if rest.is_empty() {
                return None;
            }
            let Some(inside) = rest.strip_prefix('<') else {
                let end = memchr::memchr(b'<', rest.as_bytes()).unwrap_or(rest.len());
                self.at += end;
                return Some(Event::Text(&rest[..end]));
            };
            let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>"), ("!", ">")];
            if let Some((open, close)) = skipped.iter().find(|(open, _)| inside.starts_with(open)) {
                let body = &inside[open.len()..];
                let end = memchr::memmem::find(body.as_bytes(), close.as_bytes());
                self.at += 1 + open.len() + end.map_or(body.len(), |end| end + close.len());
                if *open == "![CDATA[" {
                    return Some(Event::Text(&body[..end.unwrap_or(body.len())]));
                }
                continue;
            }
            let end = tag_end(inside.as_bytes());
            self.at += 1 + end + 1;
            let tag = &inside[..end];
            if let Some(name) = tag.strip_prefix('/') {
                return Some(Event::End(local(name.trim_end())));
            }
            let name_end = tag.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(tag.len());
            return Some(Event::Start(local(&tag[..name_end]), &tag[name_end..]));
        }
    }
}

/// Where the tag ends: at a `>` outside of quotes.
fn tag_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) =
        bytes.get(at..).and_then(|rest| memchr::memchr3(b'>', b'"', b'\'', rest))
    {
        at += found;
        let byte = bytes[at];
        if byte == b'>' {
            return at;
        }
        match memchr::memchr(byte, &bytes[at + 1..]) {
            Some(close) => at += close + 2,
            None => break,
        }
    }
    bytes.len()
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// Whether the tag closes itself.
pub(super) fn is_empty(attributes: &str) -> bool {
    attributes.ends_with('/')
}

/// The value of an attribute, whatever its prefix.
pub(super) fn attribute<'x>(attributes: &'x str, wanted: &str) -> Option<Cow<'x, str>> {
    let mut rest = attributes;
    loop {
        let equals = rest.find('=')?;
        let name = rest[..equals].trim();
        let value = rest[equals + 1..].trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let value = &value[1..];
        let end = value.find(quote).unwrap_or(value.len());
        if local(name) == wanted {
            return Some(unescape(&value[..end]));
        }
        rest = value.get(end + 1..)?;
    }
}

/// The text with its references replaced.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let replaced = rest.as_bytes().iter().take(12).position(|b| *b == b';').and_then(|end| {
            let c = match &rest[1..end] {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                name => {
                    let number = name.strip_prefix('#')?;
                    let number = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => number.parse(),
                    };
                    char::from_u32(number.ok()?)?
                }
            };
            Some((c, end + 1))
        });
        let (c, len) = replaced.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The bytes of a part as text.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(super::bytes::utf16_le(rest)),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest),
        all => String::from_utf8_lossy(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_strict_parser_refuses_is_read_all_the_same() {
        let text = "<?xml?><!-- <a> --><w:p x:val='a>b' y=\"&amp;&#x41;\">t&lt;<![CDATA[<c>]]></w:p><broken";
        let events: Vec<String> = Events::new(text)
            .map(|event| match event {
                Event::Start(name, rest) => format!(
                    "{name} {:?} {:?}",
                    attribute(rest, "val").as_deref(),
                    attribute(rest, "y").as_deref()
                ),
                Event::End(name) => format!("/{name}"),
                Event::Text(text) => unescape(text).into_owned(),
            })
            .collect();
        assert_eq!(events, ["p Some(\"a>b\") Some(\"&A\")", "t<", "<c>", "/p", "broken None None"]);
    }
}
