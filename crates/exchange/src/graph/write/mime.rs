//! Taking a message's MIME apart, into what Graph's JSON can say. Nothing is left out without
//! saying so: what fits nowhere becomes an attachment.

use std::collections::HashSet;

use mail_parser::{Address, HeaderValue, Message};
use mailkeep_model::{Body, Importance, Person};
use time::OffsetDateTime;

use super::{
    parts::{Leaf, Parts, Use},
    uploads::NewFile,
};

/// More attachments than this are not taken apart: Exchange refuses more than 250 a message.
const MOST_FILES: usize = 240;
/// The header kept as a property: Exchange refuses longer values in this interface.
const LONGEST_HEADER: usize = 32_000;
/// Longest subject, name and identifier (characters); Exchange cuts or refuses longer ones.
const LONGEST_SUBJECT: usize = 255;
const LONGEST_NAME: usize = 255;

/// A message in pieces.
#[derive(Debug, Default)]
pub(super) struct Letter {
    pub(super) subject: String,
    pub(super) from: Option<Person>,
    pub(super) sender: Option<Person>,
    pub(super) to: Vec<Person>,
    pub(super) cc: Vec<Person>,
    pub(super) bcc: Vec<Person>,
    pub(super) reply_to: Vec<Person>,
    /// With its angle brackets.
    pub(super) message_id: Option<String>,
    pub(super) importance: Option<Importance>,
    pub(super) sent: Option<OffsetDateTime>,
    pub(super) read_receipt: bool,
    pub(super) delivery_receipt: bool,
    /// The header as it came, as much of it as can be kept.
    pub(super) header: String,
    pub(super) body: Body,
    pub(super) files: Vec<Piece>,
    pub(super) lost: Vec<String>,
}

/// An attachment.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) file: NewFile,
    /// When it is a message itself.
    pub(super) letter: Option<Box<Letter>>,
}

/// Reads a message.
pub(super) fn read(mime: &[u8]) -> Letter {
    let parts = Parts::of(mime);
    let mut letter = take_apart(&parts, Nested::TakenApart);
    let whole = if mime.is_empty() {
        letter.lost.push("its content is empty".into());
        false
    } else if is_sealed(&parts) {
        letter.lost.push(
            "the MIME structure is made anew: its signature (S/MIME, PGP) no longer verifies; the \
             original is attached as original.eml"
                .into(),
        );
        true
    } else if letter.files.len() > MOST_FILES {
        letter.lost.push(format!(
            "it has {} attachments, too many for one message: it is attached whole, as original.eml",
            letter.files.len()
        ));
        letter.files.clear();
        true
    } else if parts.damaged {
        letter.lost.push(
            "its MIME is damaged: what could be read is shown, and the original is attached as \
             original.eml"
                .into(),
        );
        true
    } else {
        false
    };
    if whole {
        letter.keep_whole(mime);
    }
    letter
}

impl Letter {
    fn keep_whole(&mut self, mime: &[u8]) {
        let file = NewFile {
            name: "original.eml".into(),
            content_type: "message/rfc822".into(),
            bytes: mime.to_vec(),
            ..NewFile::default()
        };
        self.files.push(Piece { file, letter: None });
    }
}

/// Whether messages within a message are read, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nested {
    TakenApart,
    Kept,
}

fn take_apart(parts: &Parts<'_>, nested: Nested) -> Letter {
    let mut letter = parts.fields.as_ref().map(described).unwrap_or_default();
    letter.header = whole_lines(parts.header, LONGEST_HEADER);
    (letter.body, letter.files) = divided(parts, nested);
    letter
}

/// What the header says.
fn described(message: &Message<'_>) -> Letter {
    let text_of = |name: &str| match message.header(name.to_owned()) {
        Some(HeaderValue::Text(text)) => Some(text.trim().to_lowercase()),
        _ => None,
    };
    let importance = text_of("Importance").and_then(|text| match text.as_str() {
        "low" => Some(Importance::Low),
        "normal" => Some(Importance::Normal),
        "high" => Some(Importance::High),
        _ => None,
    });
    let message_id = message.message_id().map(|id| plain(id, LONGEST_NAME));
    let date = message.date().filter(|date| date.is_valid());
    let sent = date.and_then(|date| OffsetDateTime::from_unix_timestamp(date.to_timestamp()).ok());
    Letter {
        subject: plain(message.subject().unwrap_or_default(), LONGEST_SUBJECT),
        from: people(message.from()).into_iter().next(),
        sender: people(message.sender()).into_iter().next(),
        to: message.all_to().flat_map(|list| people(Some(list))).collect(),
        cc: message.all_cc().flat_map(|list| people(Some(list))).collect(),
        bcc: message.all_bcc().flat_map(|list| people(Some(list))).collect(),
        reply_to: people(message.reply_to()),
        message_id: message_id.filter(|id| !id.is_empty()).map(|id| format!("<{id}>")),
        importance,
        sent,
        read_receipt: message.header("Disposition-Notification-To".to_owned()).is_some(),
        delivery_receipt: message.header("Return-Receipt-To".to_owned()).is_some(),
        ..Letter::default()
    }
}

/// The body, and everything that is neither it nor another form of it.
fn divided(parts: &Parts<'_>, nested: Nested) -> (Body, Vec<Piece>) {
    let shown = |leaf: &&Leaf<'_>| leaf.used == Use::Shown;
    let html = parts.leaves.iter().filter(shown).find(|leaf| leaf.media_type == "text/html");
    let text = || {
        let mut texts = parts.leaves.iter().filter(shown);
        texts.clone().find(|leaf| !is_blank(leaf)).or_else(|| texts.next())
    };
    let chosen = html.or_else(text);
    let body = match chosen {
        Some(leaf) if leaf.media_type == "text/html" => Body::Html(leaf.text()),
        Some(leaf) => Body::Text(leaf.text()),
        None => Body::default(),
    };
    let references = match &body {
        Body::Html(html) => content_ids(html),
        Body::Text(_) => HashSet::new(),
    };
    let is_chosen = |leaf: &Leaf<'_>| chosen.is_some_and(|chosen| std::ptr::eq(chosen, leaf));
    let files = parts.leaves.iter().enumerate().filter(|(_, leaf)| match leaf.used {
        // Further texts are not shown by Outlook: as attachments they are, as with other clients.
        Use::Shown => !is_chosen(leaf) && !is_blank(leaf),
        Use::Alternative => false,
        Use::File => true,
    });
    let files = files.map(|(number, leaf)| piece(number, leaf, &references, nested)).collect();
    (body, files)
}

fn piece(number: usize, leaf: &Leaf<'_>, references: &HashSet<String>, nested: Nested) -> Piece {
    let content_type = plain(&leaf.media_type, 100);
    let content_id = leaf
        .content_id
        .as_deref()
        .map(|id| plain(id.trim_matches(['<', '>', ' ']), LONGEST_NAME))
        .filter(|id| !id.is_empty());
    let inline = content_id.as_ref().is_some_and(|id| leaf.inline || references.contains(id));
    let bytes = leaf.bytes();
    let is_message = matches!(content_type.as_str(), "message/rfc822" | "message/global");
    let letter = (is_message && nested == Nested::TakenApart).then(|| {
        let inner = Parts::of(&bytes);
        let mut letter = take_apart(&inner, Nested::Kept);
        if is_sealed(&inner) || inner.damaged {
            letter.lost.push("its structure".into());
        }
        Box::new(letter)
    });
    let name = leaf.name.as_deref().map(|name| plain(name, LONGEST_NAME)).unwrap_or_default();
    let name = if !name.is_empty() {
        name
    } else if let Some(letter) = &letter {
        let subject = letter.subject.chars().take(100).collect::<String>();
        format!("{}.eml", if subject.is_empty() { "message" } else { &subject })
    } else {
        match content_type.as_str() {
            "text/calendar" => "invite.ics".into(),
            "text/html" => format!("part-{number}.html"),
            "text/plain" => format!("part-{number}.txt"),
            "message/rfc822" | "message/global" => format!("message-{number}.eml"),
            _ => format!("attachment-{number}"),
        }
    };
    Piece { file: NewFile { name, content_type, inline, content_id, bytes, item: None }, letter }
}

/// Whether a message is signed or encrypted as a whole (S/MIME, PGP/MIME).
fn is_sealed(parts: &Parts<'_>) -> bool {
    use mail_parser::MimeHeaders;
    let kind = parts.fields.as_ref().and_then(|fields| fields.root_part().content_type());
    let Some(kind) = kind else { return false };
    let subtype = kind.subtype().unwrap_or_default().to_lowercase();
    matches!(
        (kind.ctype().to_lowercase().as_str(), subtype.as_str()),
        ("multipart", "signed" | "encrypted") | ("application", "pkcs7-mime" | "x-pkcs7-mime")
    )
}

fn is_blank(leaf: &Leaf<'_>) -> bool {
    leaf.text().trim().is_empty()
}

fn people(list: Option<&Address<'_>>) -> Vec<Person> {
    let all = list.into_iter().flat_map(Address::iter);
    all.map(|one| Person {
        name: plain(one.name.as_deref().unwrap_or_default(), LONGEST_NAME),
        address: plain(one.address.as_deref().unwrap_or_default(), 320),
    })
    .filter(|person| !person.name.is_empty() || !person.address.is_empty())
    .collect()
}

/// What `cid:` addresses in HTML name. Each character is read once: what stands in an address is
/// no address itself.
fn content_ids(html: &str) -> HashSet<String> {
    const ENDS: [char; 10] = ['"', '\'', ' ', '\t', '<', '>', ')', '&', '\r', '\n'];
    let mut ids = HashSet::new();
    let mut rest = html;
    while let Some(at) = rest.find("cid:") {
        rest = &rest[at + 4..];
        let (id, behind) = rest.split_at(rest.find(ENDS).unwrap_or(rest.len()));
        if !id.is_empty() && id.len() <= LONGEST_NAME {
            ids.insert(id.to_owned());
        }
        rest = behind;
    }
    ids
}

/// On one line, without control characters, of bounded length.
fn plain(text: &str, longest: usize) -> String {
    let spaced = text.trim().chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    spaced.filter(|c| !c.is_control()).take(longest).collect()
}

fn whole_lines(bytes: &[u8], longest: usize) -> String {
    let kept = |c: &char| !c.is_control() || matches!(c, '\r' | '\n' | '\t');
    let text: String = String::from_utf8_lossy(bytes).chars().filter(kept).collect();
    let text = text.trim_end();
    if text.len() <= longest {
        return text.to_owned();
    }
    let cut = &text[..text.floor_char_boundary(longest)];
    cut.rfind('\n').map_or(cut, |end| &cut[..end]).trim_end().to_owned()
}

#[cfg(test)]
#[path = "mime_tests.rs"]
mod tests;
