//! Writes a message as MIME: for messages that clients create from JSON, and for the lab's own mail.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::Value;

use crate::seed::generate::rfc5322;
use crate::state::{Importance, Party};

/// Characters of an encoded line, and bytes that make them.
const LINE: usize = 57;
const LONGEST_PIECE: usize = 900;
/// Header fields that a [`Letter`] writes from what it knows, and that its `transport` cannot.
const OWN_FIELDS: &[&str] = &[
    "message-id",
    "date",
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "importance",
    "disposition-notification-to",
    "return-receipt-to",
    "mime-version",
];
/// Content type of an attached message, which must not be encoded (RFC 2046, 5.2.1).
pub(crate) const MESSAGE: &str = "message/rfc822";

/// A message as somebody writes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letter {
    pub(crate) from: Option<Party>,
    pub(crate) sender: Option<Party>,
    pub(crate) to: Vec<Party>,
    pub(crate) cc: Vec<Party>,
    pub(crate) bcc: Vec<Party>,
    pub(crate) reply_to: Vec<Party>,
    pub(crate) subject: String,
    /// With angle brackets.
    pub(crate) message_id: String,
    /// Unix time.
    pub(crate) date: i64,
    pub(crate) importance: Importance,
    pub(crate) read_receipt: bool,
    pub(crate) delivery_receipt: bool,
    /// What the way of a message has left in its header (`Received` …); it stands above the rest.
    pub(crate) transport: Vec<(String, String)>,
    /// Further header fields.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) html: bool,
    pub(crate) body: String,
    pub(crate) attachments: Vec<Attachment>,
}

/// A file or, with the content type [`MESSAGE`], a message.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) content_type: String,
    /// Set for a picture that the HTML shows (`cid:`).
    pub(crate) content_id: Option<String>,
    pub(crate) inline: bool,
    pub(crate) bytes: Bytes,
    pub(crate) nature: Nature,
}

/// What an attachment is that MIME has as a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Nature {
    /// That file, or a message.
    #[default]
    File,
    /// An event or a contact, as Graph shows it.
    Item(Arc<Value>),
    /// A file that lies elsewhere, with what Graph's beta tells of it.
    Reference(Arc<Value>),
}

impl Letter {
    /// The message, with CRLF line ends.
    pub(crate) fn mime(&self) -> Vec<u8> {
        let size: usize = self.attachments.iter().map(|a| a.bytes.len()).sum();
        let mut out = Vec::with_capacity(size / LINE * 78 + self.body.len() * 2 + 2048);
        self.push_header(&mut out);
        let (inline, attached): (Vec<_>, Vec<_>) = self.attachments.iter().partition(|a| a.inline);
        if attached.is_empty() {
            self.push_body(&mut out, &inline);
        } else {
            self.push_multipart(&mut out, "mixed", &attached, |out| self.push_body(out, &inline));
        }
        out
    }

    fn push_header(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.transport {
            let lower = name.to_lowercase();
            if !OWN_FIELDS.contains(&lower.as_str()) && !lower.starts_with("content-") {
                // As it was, encoded words included.
                let pieces = if value.is_ascii() { folded(value) } else { encode_words(value) };
                push_field(out, name, &pieces);
            }
        }
        if !self.message_id.is_empty() {
            push_field(out, "Message-ID", &[plain(&self.message_id)]);
        }
        push_field(out, "Date", &[rfc5322(self.date)]);
        for (name, party) in [("From", &self.from), ("Sender", &self.sender)] {
            if let Some(party) = party {
                push_field(out, name, &[address(party)]);
            }
        }
        for (name, parties) in
            [("To", &self.to), ("Cc", &self.cc), ("Bcc", &self.bcc), ("Reply-To", &self.reply_to)]
        {
            if let Some((last, before)) = parties.split_last() {
                // A comma and a fold keep long lists below the limit of a line (RFC 5322, 2.1.1).
                let mut list: Vec<String> =
                    before.iter().map(|party| format!("{},", address(party))).collect();
                list.push(address(last));
                push_field(out, name, &list);
            }
        }
        push_field(out, "Subject", &encode_words(&self.subject));
        if self.importance != Importance::Normal {
            push_field(out, "Importance", &[self.importance.as_str().to_owned()]);
        }
        for (name, wanted) in [
            ("Disposition-Notification-To", self.read_receipt),
            ("Return-Receipt-To", self.delivery_receipt),
        ] {
            if let Some(party) = self.from.as_ref().filter(|_| wanted) {
                push_field(out, name, &[address(party)]);
            }
        }
        for (name, value) in &self.headers {
            push_field(out, name, &encode_words(value));
        }
        push_field(out, "MIME-Version", &["1.0".to_owned()]);
    }

    fn push_body(&self, out: &mut Vec<u8>, inline: &[&Attachment]) {
        let kind = if self.html { "text/html" } else { "text/plain" };
        if inline.is_empty() {
            push_text(out, kind, &self.body);
        } else {
            self.push_multipart(out, "related", inline, |out| push_text(out, kind, &self.body));
        }
    }

    fn push_multipart(
        &self,
        out: &mut Vec<u8>,
        kind: &str,
        attachments: &[&Attachment],
        first: impl FnOnce(&mut Vec<u8>),
    ) {
        let boundary = self.boundary(kind);
        let head = format!(
            "Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        first(out);
        for attachment in attachments {
            out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            attachment.push(out);
        }
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    }

    /// A boundary that nothing in the message has: what is base64 cannot, text and messages may.
    fn boundary(&self, kind: &str) -> String {
        let within = |text: &[u8], boundary: &str| {
            text.windows(boundary.len()).any(|window| window == boundary.as_bytes())
        };
        let mut number = 0u32;
        loop {
            let boundary = format!("=_lab_{kind}_{:x}_{}_{number}", self.date, self.body.len());
            let taken = within(self.body.as_bytes(), &boundary)
                || self.attachments.iter().any(|a| a.is_message() && within(&a.bytes, &boundary));
            if !taken {
                return boundary;
            }
            number += 1;
        }
    }
}

impl Attachment {
    pub(crate) fn is_message(&self) -> bool {
        self.content_type.eq_ignore_ascii_case(MESSAGE)
    }

    fn push(&self, out: &mut Vec<u8>) {
        let name: String =
            self.name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
        let kind: String =
            self.content_type.chars().filter(|c| c.is_ascii_graphic() && *c != ';').collect();
        let kind = if kind.is_empty() { "application/octet-stream" } else { &kind };
        let disposition = if self.inline { "inline" } else { "attachment" };
        let mut head = format!(
            "Content-Type: {kind}\r\nContent-Disposition: {disposition}; filename=\"{}\"\r\n",
            encode_words(&name).join(" ")
        );
        if let Some(id) = &self.content_id {
            let id: String =
                id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).collect();
            head.push_str(&format!("Content-ID: <{id}>\r\n"));
        }
        out.extend_from_slice(head.as_bytes());
        if self.is_message() {
            out.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n\r\n");
            out.extend_from_slice(&self.bytes);
        } else {
            push_base64(out, &self.bytes);
        }
    }
}

/// A field in pieces between which it may be folded. A name that is none is left out.
fn push_field(out: &mut Vec<u8>, name: &str, pieces: &[String]) {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        out.extend_from_slice(format!("{name}: {}\r\n", pieces.join("\r\n ")).as_bytes());
    }
}

/// Pieces of a value that are no longer than a line may be (RFC 5322, 2.1.1).
fn folded(value: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in value.split_whitespace() {
        match pieces.last_mut() {
            Some(piece) if piece.len() + word.len() < LONGEST_PIECE => {
                piece.push(' ');
                piece.push_str(word);
            }
            _ => pieces.push(word.to_owned()),
        }
    }
    pieces
}

/// Without line breaks, which would end a field.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect()
}

fn push_text(out: &mut Vec<u8>, kind: &str, text: &str) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    let plain = text.is_ascii() && text.lines().all(|line| line.len() <= 998);
    out.extend_from_slice(format!("Content-Type: {kind}; charset=utf-8\r\n").as_bytes());
    if plain {
        out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
        out.extend_from_slice(text.as_bytes());
        if !text.is_empty() && !text.ends_with("\r\n") {
            out.extend_from_slice(b"\r\n");
        }
    } else {
        push_base64(out, text.as_bytes());
    }
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    for chunk in bytes.chunks(LINE) {
        let start = out.len();
        out.resize(start + BASE64.encode_len(chunk.len()), 0);
        BASE64.encode_mut(chunk, &mut out[start..]);
        out.extend_from_slice(b"\r\n");
    }
}

fn address(party: &Party) -> String {
    let at = plain(&party.address);
    match party.name.as_deref().map(plain).filter(|name| !name.is_empty()) {
        None => at,
        Some(name) if name.is_ascii() => {
            format!("\"{}\" <{at}>", name.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Some(name) => format!("{} <{at}>", encode_words(&name).join(" ")),
    }
}

/// Encoded words (RFC 2047) for what is not ASCII, each at most 75 characters long.
fn encode_words(text: &str) -> Vec<String> {
    let text = plain(text);
    // What looks like an encoded word and is none would not come back as it is.
    if text.is_ascii() && !text.contains("=?") {
        return vec![text];
    }
    let mut words: Vec<String> = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len() + c.len_utf8() > 42 {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    words.push(chunk);
    words.iter().map(|w| format!("=?utf-8?B?{}?=", BASE64.encode(w.as_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::generate::party;
    use crate::state::Core;

    #[test]
    fn what_was_written_is_what_is_read() {
        let letter = Letter {
            from: Some(party(
                "Zoë \"Z\" Müller, Kauffrau für Groß- und Außenhandel GmbH",
                "z@a.example",
            )),
            to: vec![party("Bo \"B\" Ek", "bo@a.example"), party("", "c@a.example")],
            subject: "Grüße\r\nBcc: injected@a.example".into(),
            message_id: "<1@a.example>".into(),
            date: 1_700_000_000,
            html: true,
            body: "<p>één\nline</p>".into(),
            attachments: vec![Attachment {
                name: "ä.bin".into(),
                content_type: "application/x-test".into(),
                content_id: None,
                inline: false,
                bytes: Bytes::from_static(&[0, 1, 2, 255]),
                nature: Nature::File,
            }],
            ..Letter::default()
        };
        let core = Core::parse(Bytes::from(letter.mime()), None);
        assert_eq!(core.from.as_ref().map(|p| &*p.address), Some("z@a.example"));
        assert_eq!(core.from, letter.from);
        assert_eq!(core.to[0], letter.to[0]);
        assert_eq!(&*core.to[1].address, "c@a.example");
        assert!(core.bcc.is_empty(), "a line break in a subject must not make a header");
        assert_eq!(core.received, 1_700_000_000);
        assert!(core.has_attachments);
        assert_eq!(core.body(), ("html", "<p>één\r\nline</p>".to_owned()));
    }

    #[test]
    fn attachments_come_back_byte_for_byte_with_their_names() {
        let inner = Letter {
            subject: "Drinnen: größer".into(),
            message_id: "<inner@a.example>".into(),
            body: "--=_lab_mixed_0_21_0\n".into(),
            attachments: vec![attachment("deep.txt", "text/plain", b"deep\n", false)],
            ..Letter::default()
        };
        let inner = inner.mime();
        let letter = Letter {
            message_id: "<outer@a.example>".into(),
            html: true,
            body: "<img src=cid:p@a>".into(),
            attachments: vec![
                attachment("größe.txt", "text/plain", b"caf\xe9\nbare\n", false),
                attachment("p.png", "image/png", &[0x89, 0, 13, 10], true),
                attachment("Drinnen", MESSAGE, &inner, false),
                attachment("empty", "application/x-nothing", b"", false),
            ],
            ..Letter::default()
        };
        let core = Core::parse(Bytes::from(letter.mime()), None);
        let read = core.attachments();
        let names: Vec<&str> = read.iter().map(|a| &*a.name).collect();
        assert_eq!(names, ["p.png", "größe.txt", "Drinnen", "empty"]);
        assert_eq!(read[0].bytes, [0x89, 0, 13, 10][..]);
        assert!(read[0].inline && !read[1].inline);
        assert_eq!(read[1].bytes, b"caf\xe9\nbare\n"[..]);
        assert!(read[2].is_message());
        let nested = Core::parse(read[2].bytes.clone(), None);
        assert_eq!(&*nested.subject, "Drinnen: größer");
        assert_eq!(nested.attachments()[0].bytes, b"deep\n"[..]);
        assert!(read[3].bytes.is_empty());
        assert!(core.has_attachments);
    }

    fn attachment(name: &str, content_type: &str, bytes: &[u8], inline: bool) -> Attachment {
        Attachment {
            name: name.into(),
            content_type: content_type.into(),
            content_id: inline.then(|| "p@a".to_owned()),
            inline,
            bytes: Bytes::copy_from_slice(bytes),
            nature: Nature::File,
        }
    }
}
