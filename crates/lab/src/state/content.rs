//! The unchangeable part of a message: its MIME content and what its headers say, read once.

use std::sync::Arc;

use bytes::Bytes;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Address, Encoding, HeaderValue, MessageParser, MessagePart, MimeHeaders, PartType,
};

use super::Flag;
use crate::compose::{Attachment, MESSAGE, Nature};
use crate::seed::generate::Recipe;

/// The body of a larger message is not parsed for attachments when it is taken in.
const PARSE_BODY_UP_TO: usize = 4 * 1024 * 1024;
/// 2001-01-01T00:00:00Z, for a message that says nothing about its time.
const NO_TIME: i64 = 978_307_200;

/// MIME content, stored or rebuilt when asked for.
#[derive(Debug)]
pub(crate) enum Content {
    Stored(Bytes),
    Generated(Recipe),
}

impl Content {
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Stored(bytes) => bytes.clone(),
            Self::Generated(recipe) => Bytes::from(recipe.render()),
        }
    }

    /// The whole, piece by piece.
    pub(crate) fn pieces(core: Arc<Core>) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match &core.content {
            Self::Stored(bytes) => Box::new(std::iter::once(bytes.clone())),
            Self::Generated(_) => Box::new(Recipe::pieces(core).map(Bytes::from)),
        }
    }

    /// Enough to read header and text from: nobody needs the generated attachment for that.
    fn text_part(&self) -> Bytes {
        match self {
            Self::Stored(bytes) => bytes.clone(),
            Self::Generated(recipe) => Bytes::from(recipe.render_text()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Stored(bytes) => bytes.len(),
            Self::Generated(recipe) => recipe.size(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Importance {
    Low,
    #[default]
    Normal,
    High,
}

impl Importance {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Low, Self::Normal, Self::High]
            .into_iter()
            .find(|i| i.as_str().eq_ignore_ascii_case(text))
    }
}

/// A name and an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) name: Option<Box<str>>,
    pub(crate) address: Box<str>,
}

/// Content and what is read from its headers. Shared by all mailboxes that hold the message.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) content: Content,
    pub(crate) subject: Box<str>,
    pub(crate) from: Option<Party>,
    pub(crate) sender: Option<Party>,
    pub(crate) to: Box<[Party]>,
    pub(crate) cc: Box<[Party]>,
    pub(crate) bcc: Box<[Party]>,
    pub(crate) reply_to: Box<[Party]>,
    /// With angle brackets.
    pub(crate) message_id: Option<Box<str>>,
    pub(crate) sent: i64,
    pub(crate) received: i64,
    pub(crate) has_attachments: bool,
    pub(crate) importance: Importance,
    pub(crate) read_receipt: bool,
    pub(crate) delivery_receipt: bool,
}

/// A message on its way into a mailbox, with the state that a seed gives it.
#[derive(Debug)]
pub(crate) struct SeedMessage {
    pub(crate) core: Arc<Core>,
    pub(crate) read: bool,
    pub(crate) draft: bool,
    pub(crate) flag: Flag,
    pub(crate) categories: Vec<Box<str>>,
}

impl SeedMessage {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, read: true, draft: false, flag: Flag::NotFlagged, categories: Vec::new() }
    }

    /// The same message for another mailbox.
    pub(crate) fn share(&self) -> Self {
        Self { core: Arc::clone(&self.core), categories: self.categories.clone(), ..*self }
    }
}

impl From<Core> for SeedMessage {
    fn from(core: Core) -> Self {
        Self::new(Arc::new(core))
    }
}

impl Core {
    /// Reads a message. Nothing in it is needed: a message without any header is one with an
    /// empty subject. `envelope` is the time of an mbox `From ` line.
    pub(crate) fn parse(content: Bytes, envelope: Option<i64>) -> Self {
        let parser = MessageParser::default();
        let whole = content.len() <= PARSE_BODY_UP_TO;
        let parsed =
            if whole { parser.parse(&content[..]) } else { parser.parse_headers(&content[..]) };
        let Some(message) = parsed else {
            return Self::empty(content, envelope.unwrap_or(NO_TIME));
        };
        let date = message.date().filter(|d| d.is_valid()).map(mail_parser::DateTime::to_timestamp);
        let transported = || {
            let received = message.received()?.date()?;
            received.is_valid().then(|| received.to_timestamp())
        };
        let received = date.or_else(transported).or(envelope).unwrap_or(NO_TIME);
        let has_attachments = if whole {
            message.attachments().any(|part| !is_inline(part))
        } else {
            message.content_type().is_some_and(|t| {
                t.ctype().eq_ignore_ascii_case("multipart")
                    && t.subtype().is_some_and(|s| s.eq_ignore_ascii_case("mixed"))
            })
        };
        let from = parties(message.from()).into_iter().next();
        let text = |name: &str| match message.header(name) {
            Some(HeaderValue::Text(text)) => Some(text.as_ref().trim().to_owned()),
            _ => None,
        };
        let importance = text("Importance").and_then(|t| Importance::parse(&t)).unwrap_or_default();
        Self {
            subject: message.subject().unwrap_or_default().into(),
            sender: parties(message.sender()).into_iter().next().or_else(|| from.clone()),
            from,
            to: parties(message.to()).into(),
            cc: parties(message.cc()).into(),
            bcc: parties(message.bcc()).into(),
            reply_to: parties(message.reply_to()).into(),
            message_id: message.message_id().map(|id| format!("<{id}>").into()),
            sent: date.unwrap_or(received),
            received,
            has_attachments,
            importance,
            read_receipt: message.header("Disposition-Notification-To").is_some(),
            delivery_receipt: message.header("Return-Receipt-To").is_some(),
            content: Content::Stored(content.clone()),
        }
    }

    fn empty(content: Bytes, received: i64) -> Self {
        Self {
            content: Content::Stored(content),
            subject: "".into(),
            from: None,
            sender: None,
            to: Box::default(),
            cc: Box::default(),
            bcc: Box::default(),
            reply_to: Box::default(),
            message_id: None,
            sent: received,
            received,
            has_attachments: false,
            importance: Importance::Normal,
            read_receipt: false,
            delivery_receipt: false,
        }
    }

    /// The body as Exchange gives it: HTML where there is HTML, else text.
    pub(crate) fn body(&self) -> (&'static str, String) {
        let content = self.content.text_part();
        let Some(message) = MessageParser::default().parse(&content[..]) else {
            return ("text", String::new());
        };
        let html = message.html_part(0).is_some_and(|part| matches!(part.body, PartType::Html(_)));
        if html {
            ("html", message.body_html(0).unwrap_or_default().into_owned())
        } else {
            ("text", message.body_text(0).unwrap_or_default().into_owned())
        }
    }

    /// The body as plain text.
    pub(crate) fn body_text(&self) -> String {
        let content = self.content.text_part();
        MessageParser::default()
            .parse(&content[..])
            .and_then(|message| Some(message.body_text(0)?.into_owned()))
            .unwrap_or_default()
    }

    /// The attached files.
    pub(crate) fn attachments(&self) -> Vec<Attachment> {
        let content = self.content.bytes();
        let Some(message) = MessageParser::default().parse(&content[..]) else { return Vec::new() };
        message.attachments().map(|part| attachment(part, &content)).collect()
    }

    /// The header as it stands in the content, with its line ends.
    pub(crate) fn header_text(&self) -> String {
        let content = self.content.text_part();
        let end = (0..content.len())
            .find(|at| content[*at..].starts_with(b"\n\n") || content[*at..].starts_with(b"\n\r\n"))
            .map_or(content.len(), |at| at + 1);
        String::from_utf8_lossy(&content[..end]).into_owned()
    }

    /// Header names and values in their order, unfolded.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let content = self.content.text_part();
        let Some(message) = MessageParser::default().parse_headers(&content[..]) else {
            return Vec::new();
        };
        message
            .headers_raw()
            .map(|(name, value)| {
                (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))
            })
            .collect()
    }
}

fn attachment(part: &MessagePart<'_>, content: &Bytes) -> Attachment {
    let nested = match &part.body {
        PartType::Message(message) => Some(message),
        _ => None,
    };
    let kind = match part.content_type() {
        _ if nested.is_some() => MESSAGE.to_owned(),
        Some(kind) => match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        },
        None => "application/octet-stream".to_owned(),
    };
    let name = part
        .attachment_name()
        .or_else(|| nested?.subject())
        .filter(|name| !name.is_empty())
        .unwrap_or("attachment");
    let bytes = match &part.body {
        // As they were attached, in whatever character set that is.
        PartType::Text(_) | PartType::Html(_) => undecoded(part, content),
        _ => None,
    };
    Attachment {
        name: name.to_owned(),
        content_type: kind,
        content_id: part.content_id().map(str::to_owned),
        inline: is_inline(part),
        bytes: bytes.unwrap_or_else(|| Bytes::copy_from_slice(part.contents())),
        nature: Nature::File,
    }
}

/// The bytes of a part with the transfer encoding undone and nothing else.
fn undecoded(part: &MessagePart<'_>, content: &Bytes) -> Option<Bytes> {
    let raw = content.get(part.offset_body as usize..part.offset_end as usize)?;
    match part.encoding {
        Encoding::None => Some(Bytes::copy_from_slice(raw)),
        Encoding::Base64 => base64_decode(raw).map(Bytes::from),
        Encoding::QuotedPrintable => quoted_printable_decode(raw).map(Bytes::from),
    }
}

fn is_inline(part: &mail_parser::MessagePart<'_>) -> bool {
    part.content_disposition().is_some_and(mail_parser::ContentType::is_inline)
        && part.content_id().is_some()
}

fn parties(address: Option<&Address<'_>>) -> Vec<Party> {
    let Some(address) = address else { return Vec::new() };
    address
        .iter()
        .filter(|a| a.name.is_some() || a.address.is_some())
        .map(|a| Party {
            name: a.name.as_deref().map(Into::into),
            address: a.address.as_deref().unwrap_or_default().into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_nothing_in_it_is_still_a_message() {
        for bytes in [&b""[..], b"\r\n", b"no header at all", b"\xff\xfe\x00", b"Subject:\r\n\r\n"]
        {
            let core = Core::parse(Bytes::from_static(bytes), None);
            assert_eq!(core.content.bytes(), bytes);
            assert_eq!(core.received, NO_TIME);
        }
    }

    #[test]
    fn the_time_is_taken_from_date_then_received_then_envelope() {
        let parse = |text: &'static str, envelope| {
            Core::parse(Bytes::from_static(text.as_bytes()), envelope).received
        };
        let date = "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n";
        assert_eq!(parse(date, Some(1)), 1_704_067_200);
        let received =
            "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject: x\r\n\r\n";
        assert_eq!(parse(received, Some(1)), 1_704_067_200);
        assert_eq!(parse("Subject: x\r\n\r\n", Some(1)), 1);
        assert_eq!(parse("Date: Mon, 99 Foo 0000 99:99:99\r\n\r\n", None), NO_TIME);
    }
}
