//! MIME structure (RFC 2045, 2046), walked with bounds.
//!
//! The walk is ours and not mail-parser's: its tree has no bound on depth or number of parts, and
//! its bodies lose bytes where quoted-printable ends in a soft line break. Header values, encoded
//! words and character sets are mail-parser's.

use std::string::FromUtf8Error;

use mail_parser::{
    ContentType, Message, MessageParser, MimeHeaders, decoders::charsets::map::charset_decoder,
};

/// Multiparts within each other; more are kept as a file, as they came.
const DEEPEST: usize = 24;
/// Parts of a message; what comes behind is not taken apart.
const MOST_PARTS: usize = 1_000;

/// What a part without parts of its own is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It may be the text that is shown.
    Shown,
    /// It is another form of such a text.
    Alternative,
    /// It is attached.
    File,
}

/// A part without parts of its own.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    pub(super) used: Use,
    /// In lower case: `text/plain`.
    pub(super) media_type: String,
    charset: Option<String>,
    pub(super) name: Option<String>,
    /// Without angle brackets.
    pub(super) content_id: Option<String>,
    /// Whether `Content-Disposition` says so.
    pub(super) inline: bool,
    encoding: Transfer,
    body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Plain,
    Base64,
    QuotedPrintable,
}

/// A message, its leaves in order.
pub(super) struct Parts<'a> {
    /// Its header fields, when it has any.
    pub(super) fields: Option<Message<'a>>,
    /// Its header as it came.
    pub(super) header: &'a [u8],
    pub(super) leaves: Vec<Leaf<'a>>,
    /// Whether something was not understood or left out.
    pub(super) damaged: bool,
    count: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        let (header, body) = split(message);
        let fields = fields(message, header);
        let damaged = fields.is_none();
        let mut parts = Self { fields, header, leaves: Vec::new(), damaged, count: 0 };
        let head = parts.fields.as_ref().map(Head::of).unwrap_or_default();
        parts.walk(head, body, "text/plain", 0);
        parts
    }

    fn walk(&mut self, head: Head, body: &'a [u8], default: &str, depth: usize) {
        self.count += 1;
        if self.count > MOST_PARTS {
            self.damaged = true;
            return;
        }
        let media_type = head.media_type.clone().unwrap_or_else(|| default.to_owned());
        if let Some(subtype) = media_type.strip_prefix("multipart/") {
            let children = head.boundary.as_deref().map(|boundary| children(body, boundary));
            match children.filter(|children| !children.is_empty()) {
                Some(children) if depth < DEEPEST => {
                    return self.walk_children(&children, subtype, depth);
                }
                _ => self.damaged = true,
            }
        }
        let is_text = matches!(media_type.as_str(), "text/plain" | "text/html");
        // A multipart without parts is shown as it is.
        let is_broken = media_type.starts_with("multipart/") && depth == 0;
        let named = head.name.is_some() && !self.leaves.is_empty();
        let shown = (is_text || is_broken) && !head.attached && !named;
        self.leaves.push(Leaf {
            used: if shown { Use::Shown } else { Use::File },
            media_type: if is_broken { "text/plain".into() } else { media_type },
            charset: head.charset,
            name: head.name,
            content_id: head.content_id,
            inline: head.inline,
            encoding: head.encoding,
            body,
        });
    }

    fn walk_children(&mut self, children: &[&'a [u8]], subtype: &str, depth: usize) {
        let default = if subtype == "digest" { "message/rfc822" } else { "text/plain" };
        let mut ranges = Vec::new();
        for child in children {
            let (header, body) = split(child);
            let head = fields(child, header).as_ref().map(Head::of).unwrap_or_default();
            let begin = self.leaves.len();
            self.walk(head, body, default, depth + 1);
            ranges.push(begin..self.leaves.len());
        }
        if subtype != "alternative" {
            return;
        }
        // The last form is the best (RFC 2046, 5.1.4), of those with HTML if there are any.
        let has = |range: &std::ops::Range<usize>, html: bool| {
            self.leaves[range.clone()]
                .iter()
                .any(|leaf| leaf.used == Use::Shown && (!html || leaf.media_type == "text/html"))
        };
        let best = ranges.iter().rposition(|range| has(range, true));
        let best = best.or_else(|| ranges.iter().rposition(|range| has(range, false)));
        for (number, range) in ranges.into_iter().enumerate() {
            if Some(number) != best {
                let others = self.leaves[range].iter_mut().filter(|leaf| leaf.used == Use::Shown);
                others.for_each(|leaf| leaf.used = Use::Alternative);
            }
        }
    }
}

impl Leaf<'_> {
    /// The content, byte by byte as it was sent.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self.encoding {
            Transfer::Plain => self.body.to_vec(),
            Transfer::Base64 => base64(self.body),
            Transfer::QuotedPrintable => quoted_printable(self.body),
        }
    }

    /// The content as text.
    pub(super) fn text(&self) -> String {
        let bytes = self.bytes();
        let name = self.charset.as_deref().unwrap_or_default().trim();
        // Many who say ASCII, or nothing, mean UTF-8.
        let plain = ["", "us-ascii", "ascii", "utf-8", "utf8"];
        let text = match String::from_utf8(bytes) {
            Ok(text) if plain.iter().any(|known| name.eq_ignore_ascii_case(known)) => text,
            other => {
                let bytes = other.map_or_else(FromUtf8Error::into_bytes, String::into_bytes);
                let decode =
                    charset_decoder(name.as_bytes()).or_else(|| charset_decoder(b"windows-1252"));
                match decode {
                    Some(decode) => decode(&bytes),
                    None => String::from_utf8_lossy(&bytes).into_owned(),
                }
            }
        };
        text.replace('\0', "")
    }
}

/// What the header of a part says of it.
#[derive(Debug)]
struct Head {
    media_type: Option<String>,
    boundary: Option<String>,
    charset: Option<String>,
    name: Option<String>,
    content_id: Option<String>,
    attached: bool,
    inline: bool,
    encoding: Transfer,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            media_type: None,
            boundary: None,
            charset: None,
            name: None,
            content_id: None,
            attached: false,
            inline: false,
            encoding: Transfer::Plain,
        }
    }
}

impl Head {
    fn of(fields: &Message<'_>) -> Self {
        let part = fields.root_part();
        let kind = part.content_type();
        let attribute = |name: &str| kind.and_then(|kind| kind.attribute(name)).map(str::to_owned);
        let media_type = kind.map(|kind| {
            let subtype = kind.subtype().unwrap_or("plain");
            format!("{}/{subtype}", kind.ctype()).trim().to_lowercase()
        });
        let disposition = part.content_disposition();
        let encoding = part.content_transfer_encoding().unwrap_or_default().trim().to_lowercase();
        Self {
            media_type,
            boundary: attribute("boundary").filter(|boundary| !boundary.is_empty()),
            charset: attribute("charset"),
            name: part.attachment_name().map(str::to_owned),
            content_id: part.content_id().map(str::to_owned),
            attached: disposition.is_some_and(ContentType::is_attachment),
            inline: disposition.is_some_and(ContentType::is_inline),
            encoding: match encoding.as_str() {
                "base64" => Transfer::Base64,
                "quoted-printable" => Transfer::QuotedPrintable,
                _ => Transfer::Plain,
            },
        }
    }
}

/// The header fields of a part; `None` when it has none.
fn fields<'a>(part: &'a [u8], header: &[u8]) -> Option<Message<'a>> {
    let header = part.get(..header.len()).filter(|header| !header.is_empty())?;
    MessageParser::default().parse_headers(header).filter(|fields| !fields.parts.is_empty())
}

/// Header and body, at the first empty line. What does not begin with a header field has none.
fn split(part: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = part.strip_prefix(b"\r\n").or_else(|| part.strip_prefix(b"\n")) {
        return (b"", body);
    }
    let name = part.iter().take_while(|c| c.is_ascii_graphic() && **c != b':').count();
    let named = name > 0 && matches!(part.get(name), Some(b':' | b' ' | b'\t'));
    if !named || !part[..part.len().min(1_000)].contains(&b':') {
        return (b"", part);
    }
    let mut begin = 0;
    for line in part.split_inclusive(|c| *c == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            return (&part[..begin], &part[begin + line.len()..]);
        }
        begin += line.len();
    }
    (part, b"")
}

/// The parts between the delimiters of a multipart; what comes before and behind them is not one.
fn children<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mut children = Vec::new();
    let mut open: Option<usize> = None;
    let mut begin = 0;
    for line in body.split_inclusive(|c| *c == b'\n') {
        let end = begin + line.len();
        if let Some(last) = delimiter(line, boundary.as_bytes()) {
            if let Some(open) = open.take() {
                // The line break before a delimiter belongs to the delimiter.
                let content = &body[open..begin.max(open)];
                let content = content.strip_suffix(b"\n").unwrap_or(content);
                children.push(content.strip_suffix(b"\r").unwrap_or(content));
            }
            if last || children.len() > MOST_PARTS {
                return children;
            }
            open = Some(end);
        }
        begin = end;
    }
    children.extend(open.map(|open| &body[open..]));
    children
}

/// Whether a line is a delimiter, and the last one.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (last, rest) = match rest.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    rest.iter().all(u8::is_ascii_whitespace).then_some(last)
}

/// RFC 2045, 6.8: what is not of the alphabet is ignored.
fn base64(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for c in text {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                // Something may follow that was encoded by itself.
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xFF).unwrap_or_default());
            bits &= (1 << count) - 1;
        }
    }
    bytes
}

/// RFC 2045, 6.7: what is not encoded as it should be stays as it is.
fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|c| *c == b'\n') {
        let ending = match line {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => 1,
            _ => 0,
        };
        let (content, ending) = line.split_at(line.len() - ending);
        // White space at the end of a line was added on the way.
        let end = content.iter().rposition(|c| !matches!(c, b' ' | b'\t')).map_or(0, |at| at + 1);
        let content = &content[..end];
        let (content, ending) = match content.strip_suffix(b"=") {
            Some(content) => (content, &b""[..]),
            None => (content, ending),
        };
        let mut at = 0;
        while let Some(c) = content.get(at) {
            let digit = |at: usize| content.get(at).and_then(|c| char::from(*c).to_digit(16));
            let value = digit(at + 1).zip(digit(at + 2)).filter(|_| *c == b'=');
            if let Some((high, low)) = value {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            } else {
                bytes.push(*c);
                at += 1;
            }
        }
        bytes.extend(ending);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_line_break_at_the_end_of_a_part_costs_no_letter() {
        let mime = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nHello=\r\n--b--\r\n";
        assert_eq!(Parts::of(mime).leaves[0].bytes(), b"Hello");
    }

    #[test]
    fn damaged_encodings_give_what_is_there() {
        assert_eq!(quoted_printable(b"a=3Db=\r\nc =20 \r\n=ZZ=4"), b"a=bc  \r\n=ZZ=4");
        assert_eq!(base64(b"SGVs\r\nbG8=U0dW!bA"), b"HelloSGVl");
        assert_eq!(base64(b"===="), b"");
    }

    #[test]
    fn nesting_without_end_is_bounded_and_kept() {
        let mut deep = Vec::new();
        for level in 0..10_000 {
            deep.extend(
                format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n")
                    .bytes(),
            );
        }
        let parts = Parts::of(&deep);
        assert!(parts.damaged && parts.leaves.len() == 1);
        let mut wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
        wide.extend(b"--b\r\n\r\nx\r\n".repeat(100_000));
        let parts = Parts::of(&wide);
        assert!(parts.damaged && parts.leaves.len() <= MOST_PARTS);
    }

    #[test]
    fn a_boundary_that_begins_another_one_does_not_end_it() {
        let mime =
            b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; \
            boundary=bb\n\n--bb\n\none\n--bb\n\ntwo\n--bb--\n--b\n\nthree\n--b--\n";
        let parts = Parts::of(mime);
        let texts: Vec<String> = parts.leaves.iter().map(Leaf::text).collect();
        assert_eq!(texts, ["one", "two", "three"]);
        assert!(!parts.damaged);
    }
}
