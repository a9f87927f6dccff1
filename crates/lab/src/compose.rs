//! Writes a message as MIME: for drafts that clients create from JSON, and for the lab's own mail.

use data_encoding::BASE64;

use crate::seed::generate::rfc5322;
use crate::state::{Importance, Party};

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
    /// Further header fields.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) html: bool,
    pub(crate) body: String,
    pub(crate) attachments: Vec<Attachment>,
}

#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) content_type: String,
    /// Set for a picture that the HTML shows (`cid:`).
    pub(crate) content_id: Option<String>,
    pub(crate) inline: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Letter {
    /// The message, with CRLF line ends.
    pub(crate) fn mime(&self) -> Vec<u8> {
        let mut out = String::new();
        let mut field = |name: &str, value: &str| {
            let value: String =
                value.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
            out.push_str(&format!("{name}: {value}\r\n"));
        };
        field("Message-ID", &self.message_id);
        field("Date", &rfc5322(self.date));
        for (name, party) in [("From", &self.from), ("Sender", &self.sender)] {
            if let Some(party) = party {
                field(name, &address(party));
            }
        }
        for (name, parties) in
            [("To", &self.to), ("Cc", &self.cc), ("Bcc", &self.bcc), ("Reply-To", &self.reply_to)]
        {
            if !parties.is_empty() {
                // A comma and a fold keep long lists below the limit of a line (RFC 5322, 2.1.1).
                let list: Vec<String> = parties.iter().map(address).collect();
                field(name, &list.join(", "));
            }
        }
        field("Subject", &encode_words(&self.subject));
        if self.importance != Importance::Normal {
            field("Importance", self.importance.as_str());
        }
        for (name, value) in &self.headers {
            if name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
                field(name, &encode_words(value));
            }
        }
        field("MIME-Version", "1.0");
        let kind = if self.html { "text/html" } else { "text/plain" };
        if self.attachments.is_empty() {
            push_text(&mut out, kind, &self.body);
            return out.into_bytes();
        }
        let boundary = format!("=_lab_{:x}_{}", self.date, self.body.len());
        let multipart = if self.attachments.iter().all(|a| a.inline) { "related" } else { "mixed" };
        out.push_str(&format!(
            "Content-Type: multipart/{multipart}; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
        ));
        push_text(&mut out, kind, &self.body);
        for attachment in &self.attachments {
            out.push_str(&format!("\r\n--{boundary}\r\n"));
            attachment.push(&mut out);
        }
        out.push_str(&format!("\r\n--{boundary}--\r\n"));
        out.into_bytes()
    }
}

impl Attachment {
    fn push(&self, out: &mut String) {
        let name: String =
            self.name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
        let kind: String =
            self.content_type.chars().filter(|c| c.is_ascii_graphic() && *c != ';').collect();
        let kind = if kind.is_empty() { "application/octet-stream" } else { &kind };
        let disposition = if self.inline { "inline" } else { "attachment" };
        out.push_str(&format!(
            "Content-Type: {kind}\r\nContent-Disposition: {disposition}; filename=\"{}\"\r\n",
            encode_words(&name)
        ));
        if let Some(id) = &self.content_id {
            let id: String = id.chars().filter(|c| c.is_ascii_graphic()).collect();
            out.push_str(&format!("Content-ID: <{id}>\r\n"));
        }
        push_base64(out, &self.bytes);
    }
}

fn push_text(out: &mut String, kind: &str, text: &str) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    let plain = text.is_ascii() && text.lines().all(|line| line.len() <= 998);
    out.push_str(&format!("Content-Type: {kind}; charset=utf-8\r\n"));
    if plain {
        out.push_str("Content-Transfer-Encoding: 7bit\r\n\r\n");
        out.push_str(&text);
        if !text.is_empty() && !text.ends_with("\r\n") {
            out.push_str("\r\n");
        }
    } else {
        push_base64(out, text.as_bytes());
    }
}

fn push_base64(out: &mut String, bytes: &[u8]) {
    out.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
    for chunk in bytes.chunks(57) {
        BASE64.encode_append(chunk, out);
        out.push_str("\r\n");
    }
}

fn address(party: &Party) -> String {
    match party.name.as_deref().filter(|name| !name.is_empty()) {
        None => party.address.to_string(),
        Some(name) if name.is_ascii() => {
            format!("\"{}\" <{}>", name.replace('\\', "\\\\").replace('"', "\\\""), party.address)
        }
        Some(name) => format!("{} <{}>", encode_words(name), party.address),
    }
}

/// Encoded words (RFC 2047) for what is not ASCII, each at most 75 characters long.
fn encode_words(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
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
    let encoded: Vec<String> =
        words.iter().map(|w| format!("=?utf-8?B?{}?=", BASE64.encode(w.as_bytes()))).collect();
    encoded.join(" ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
                bytes: vec![0, 1, 2, 255],
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
}
