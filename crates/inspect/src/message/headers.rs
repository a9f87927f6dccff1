use std::borrow::Cow;

use mail_parser::{ContentType, HeaderValue, parsers::MessageStream};
use mailkeep_model::{CANARY_HEADER, CanaryMark};

/// Bytes of one header's value that are parsed. Real ones with thousands of recipients are longer,
/// but those are bounded by themselves.
const VALUE_BYTES: usize = 16 << 10;

/// Bytes of a list of recipients that are parsed.
const RECIPIENTS_BYTES: usize = 256 << 10;
/// Recipients that are told; a message has no more than this at Exchange Online.
const RECIPIENTS: usize = 5_000;

/// Bytes of a message id; a line has no more (RFC 5322 section 2.1.1).
const ID_BYTES: usize = 998;

/// The headers of a message or part that inspection reads; of repeated ones the first, as mail
/// clients do.
#[derive(Default)]
pub(super) struct Headers<'x> {
    content_type: Option<&'x [u8]>,
    disposition: Option<&'x [u8]>,
    encoding: Option<&'x [u8]>,
    subject: Option<&'x [u8]>,
    message_id: Option<&'x [u8]>,
    canary: Option<&'x [u8]>,
    from: Option<&'x [u8]>,
    reply_to: Option<&'x [u8]>,
    authentication: Option<&'x [u8]>,
    client: Option<&'x [u8]>,
    language: Option<&'x [u8]>,
    to: Option<&'x [u8]>,
    cc: Option<&'x [u8]>,
    bcc: Option<&'x [u8]>,
}

impl<'x> Headers<'x> {
    /// Splits a message or part into its headers and its body (RFC 5322 section 2.1).
    ///
    /// Lenient as mail clients are: a leading mbox `From ` line or line of blanks is passed over,
    /// as are broken lines among headers; the empty line may be missing in front of a delimiter
    /// line; what does not begin with a header is all body.
    pub(super) fn split(raw: &'x [u8]) -> (Self, &'x [u8]) {
        let mut headers = Self::default();
        let mut rest = raw;
        let mut first = true;
        while !rest.is_empty() {
            let (field, after) = take_field(rest);
            let is_blank = field.trim_ascii().is_empty();
            if matches!(field, b"\n" | b"\r\n") {
                return (headers, after);
            }
            if is_blank && !first {
                // Blanks in front of the empty line were meant as a folded line.
                let body = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n"));
                return (headers, body.unwrap_or(after));
            }
            match memchr::memchr(b':', field) {
                Some(colon) if is_name(field[..colon].trim_ascii_end()) => {
                    headers.keep(field[..colon].trim_ascii_end(), &field[colon + 1..]);
                }
                _ if field.starts_with(b"--") => return (headers, rest),
                _ if first && !is_blank && !field.starts_with(b"From ") => return (headers, raw),
                _ => {}
            }
            first = false;
            rest = after;
        }
        (headers, rest)
    }

    fn keep(&mut self, name: &[u8], value: &'x [u8]) {
        const NAMES: [&[u8]; 15] = [
            b"content-type",
            b"content-disposition",
            b"content-transfer-encoding",
            b"subject",
            b"message-id",
            CANARY_HEADER.as_bytes(),
            b"from",
            b"reply-to",
            b"authentication-results",
            b"x-mailer",
            b"user-agent",
            b"content-language",
            b"to",
            b"cc",
            b"bcc",
        ];
        let slot = match NAMES.iter().position(|known| name.eq_ignore_ascii_case(known)) {
            Some(0) => &mut self.content_type,
            Some(1) => &mut self.disposition,
            Some(2) => &mut self.encoding,
            Some(3) => &mut self.subject,
            Some(4) => &mut self.message_id,
            Some(5) => &mut self.canary,
            Some(6) => &mut self.from,
            Some(7) => &mut self.reply_to,
            Some(8) => &mut self.authentication,
            Some(9 | 10) => &mut self.client,
            Some(11) => &mut self.language,
            Some(12) => &mut self.to,
            Some(13) => &mut self.cc,
            Some(14) => &mut self.bcc,
            _ => return,
        };
        slot.get_or_insert(value);
    }

    pub(super) fn content_type(&self) -> Option<ContentType<'static>> {
        parameters(self.content_type?)
    }

    pub(super) fn disposition(&self) -> Option<ContentType<'static>> {
        parameters(self.disposition?)
    }

    /// `Content-Transfer-Encoding` in lower case, empty when there is none.
    pub(super) fn encoding(&self) -> String {
        let value = String::from_utf8_lossy(self.encoding.unwrap_or_default());
        let token = value.trim().split([';', ' ', '\t', '\r', '\n', '(']).next();
        token.unwrap_or_default().to_ascii_lowercase()
    }

    /// The subject, its encoded words decoded (RFC 2047).
    pub(super) fn subject(&self) -> Option<String> {
        unstructured(self.subject?)
    }

    /// Who the message says it is from, its encoded words decoded.
    pub(super) fn from(&self) -> Option<String> {
        unstructured(self.from?)
    }

    /// Where answers go, its encoded words decoded.
    pub(super) fn reply_to(&self) -> Option<String> {
        unstructured(self.reply_to?)
    }

    /// The addresses of `To`, `Cc` and `Bcc`, as written, up to [`RECIPIENTS`].
    pub(super) fn recipients(&self) -> Vec<String> {
        let mut all = Vec::new();
        for value in [self.to, self.cc, self.bcc].into_iter().flatten() {
            let value = &value[..value.len().min(RECIPIENTS_BYTES)];
            let value = [value, b"\n"].concat();
            if let HeaderValue::Address(addresses) = MessageStream::new(&value).parse_address() {
                let addresses = addresses.iter().filter_map(|address| address.address());
                all.extend(addresses.map(str::to_owned));
            }
        }
        all.truncate(RECIPIENTS);
        all
    }

    /// What the receiving server found about the sender (RFC 8601): the topmost, since whoever
    /// wrote the message could write those below.
    pub(super) fn authentication(&self) -> Option<String> {
        unstructured(self.authentication?)
    }

    /// The program that made the message, as it says.
    pub(super) fn client(&self) -> Option<String> {
        unstructured(self.client?)
    }

    /// The language that the message says it is in (RFC 3282).
    pub(super) fn language(&self) -> Option<String> {
        unstructured(self.language?)
    }

    /// The message id with its angle brackets where it has them.
    pub(super) fn message_id(&self) -> Option<String> {
        let value = self.message_id?;
        let value = String::from_utf8_lossy(&value[..value.len().min(ID_BYTES)]);
        let value = value.trim();
        let id = match (value.find('<'), value.find('>')) {
            (Some(open), Some(close)) if open < close => &value[open..=close],
            _ => value,
        };
        let id: String = id.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        (!id.is_empty()).then_some(id)
    }

    /// The mark of a canary.
    pub(super) fn canary(&self) -> Option<CanaryMark> {
        str::from_utf8(self.canary?).ok()?.trim_ascii().parse().ok()
    }
}

/// One header field with its folded lines, and what follows.
fn take_field(raw: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    for newline in memchr::memchr_iter(b'\n', raw) {
        let line = &raw[end..newline];
        end = newline + 1;
        // A folded line of blanks is the empty line that somebody's editor got at.
        let next = &raw[end..memchr::memchr(b'\n', &raw[end..]).map_or(raw.len(), |n| end + n)];
        let folded = matches!(next.first(), Some(b' ' | b'\t')) && !next.trim_ascii().is_empty();
        if line.trim_ascii().is_empty() || !folded {
            return raw.split_at(end);
        }
    }
    raw.split_at(raw.len())
}

/// Field names are printable ASCII without a colon (RFC 5322 section 2.2).
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

fn unstructured(value: &[u8]) -> Option<String> {
    match MessageStream::new(&terminated(value)).parse_unstructured() {
        HeaderValue::Text(text) => Some(text.into_owned()),
        _ => None,
    }
}

fn parameters(value: &[u8]) -> Option<ContentType<'static>> {
    match MessageStream::new(&terminated(value)).parse_content_type().into_owned() {
        HeaderValue::ContentType(content_type) => Some(content_type),
        _ => None,
    }
}

/// The value as mail-parser wants it: with a line end, and of bounded length.
fn terminated(value: &[u8]) -> Cow<'_, [u8]> {
    match value.get(..VALUE_BYTES) {
        None if value.ends_with(b"\n") => Cow::Borrowed(value),
        None => Cow::Owned([value, b"\n"].concat()),
        Some(beginning) => Cow::Owned([beginning, b"\n"].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_whatever_the_file_begins_with() {
        for raw in [
            "Subject: a =?utf-8?q?b=C3=A9?=\r\n\r\nbody",
            "From ann Mon Jan  1 10:00:00 2024\nX: y\nsubject :a\n =?utf-8?q?b=C3=A9?=\n\nbody",
            "Subject: a =?utf-8?q?b=C3=A9?=\nbroken line\nSubject: second\n\nbody",
            "  \r\nSubject: a =?utf-8?q?b=C3=A9?=\r\n  \r\nbody",
            "Subject: a =?utf-8?q?b=C3=A9?=\r\n  \r\n\r\nbody",
        ] {
            let (headers, body) = Headers::split(raw.as_bytes());
            assert_eq!(headers.subject().as_deref(), Some("a bé"), "{raw:?}");
            assert_eq!(body, b"body", "{raw:?}");
        }
    }

    #[test]
    fn text_without_headers_is_all_body() {
        for raw in ["hello\nworld: x\n\nend", "no newline"] {
            assert_eq!(Headers::split(raw.as_bytes()).1, raw.as_bytes());
        }
        assert_eq!(Headers::split(b"\nbody\n").1, b"body\n");
        assert_eq!(Headers::split(b"Subject: x\n--b\n").1, b"--b\n");
    }

    #[test]
    fn the_message_id_keeps_its_brackets() {
        let id = |raw: &str| Headers::split(raw.as_bytes()).0.message_id();
        assert_eq!(id("Message-Id:\r\n <a@b>\r\n\r\n").as_deref(), Some("<a@b>"));
        assert_eq!(id("Message-ID: bare@b\n\n").as_deref(), Some("bare@b"));
        assert_eq!(id("Message-ID: \n\n"), None);
    }
}
