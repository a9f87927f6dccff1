//! Mail made by rule: plausible to look at, the same for a seed, and cheap. Only the header is
//! kept; the body is written again each time somebody reads the message.

use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::Rng;
use crate::clock;
use crate::state::{Content, Core, Importance, Party, SeedMessage};

/// A body larger than this is an attachment, in lines of base64.
const ATTACHED_FROM: usize = 256 * 1024;
/// Bytes of a piece: whole lines of base64.
const PIECE: usize = 78 * 840;
const BOUNDARY: &str = "----=_Part_of_the_lab";

/// How to write a message.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// Everything up to and including the empty line.
    head: Box<[u8]>,
    seed: u64,
    size: usize,
}

impl Recipe {
    /// Bytes of the whole message.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The message without its attachment, if it has one.
    pub(crate) fn render_text(&self) -> Vec<u8> {
        if self.size < ATTACHED_FROM {
            return self.render();
        }
        let end = format!("\r\n--{BOUNDARY}--\r\n");
        [&self.head[..], end.as_bytes()].concat()
    }

    /// The message in pieces, so that a large one is never in memory as a whole.
    pub(crate) fn pieces(core: Arc<Core>) -> impl Iterator<Item = Vec<u8>> + Send + 'static {
        let mut rng = None;
        let mut done = 0;
        std::iter::from_fn(move || {
            let Content::Generated(recipe) = &core.content else { return None };
            let end = format!("\r\n--{BOUNDARY}--\r\n");
            let size = recipe.size;
            let piece = match &mut rng {
                _ if done >= size => return None,
                None if size < ATTACHED_FROM => recipe.render(),
                None => {
                    rng = Some(Rng::new(recipe.seed));
                    recipe.head.to_vec()
                }
                Some(_) if done + end.len() >= size => end.into_bytes(),
                Some(rng) => {
                    let left = size - end.len() - done;
                    let mut piece = Vec::with_capacity(left.min(PIECE));
                    push_base64(&mut piece, rng, left.min(PIECE));
                    piece
                }
            };
            done += piece.len();
            Some(piece)
        })
    }

    pub(crate) fn render(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size);
        out.extend_from_slice(&self.head);
        let mut rng = Rng::new(self.seed);
        if self.size >= ATTACHED_FROM {
            let end = format!("\r\n--{BOUNDARY}--\r\n");
            push_base64(&mut out, &mut rng, self.size - end.len());
            out.extend_from_slice(end.as_bytes());
        } else {
            push_prose(&mut out, &mut rng, self.size);
        }
        out
    }
}

/// Whose mailbox mail is made for.
pub(crate) struct Setting<'a> {
    pub(crate) owner: &'a str,
    pub(crate) owner_name: &'a str,
    /// Addresses and names of others in the organisation.
    pub(crate) colleagues: &'a [(Arc<str>, String)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Internal,
    Outbound,
}

impl Direction {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        [Self::Inbound, Self::Internal, Self::Outbound][rng.below(3)]
    }
}

/// One message of about `size` bytes (never less than its header needs).
pub(crate) fn message(
    rng: &mut Rng,
    setting: &Setting<'_>,
    direction: Direction,
    received: i64,
    size: usize,
) -> SeedMessage {
    let owner = party(setting.owner_name, setting.owner);
    let outsider = {
        let (name, address) = OUTSIDERS[rng.below(OUTSIDERS.len())];
        party(name, address)
    };
    let colleague = match setting.colleagues.len() {
        0 => owner.clone(),
        count => {
            let (address, name) = &setting.colleagues[rng.below(count)];
            party(name, address)
        }
    };
    let (from, to) = match direction {
        Direction::Inbound => (outsider, owner),
        Direction::Internal => (colleague, owner),
        Direction::Outbound => (owner, outsider),
    };
    let subject = format!("{} {}", rng.pick(OPENINGS), rng.pick(TOPICS));
    let domain = from.address.rsplit('@').next().unwrap_or("lab.example").to_owned();
    let unique = [rng.next().to_be_bytes(), rng.next().to_be_bytes()].concat();
    let id = format!("<{}@{domain}>", HEXLOWER.encode(&unique));
    let mut head = format!(
        "Received: from mail.{domain} by edge.lab.example with ESMTPS; {date}\r\n\
         Message-ID: {id}\r\nDate: {date}\r\nFrom: {from}\r\nTo: {to}\r\nSubject: {subject}\r\n\
         MIME-Version: 1.0\r\n",
        date = rfc5322(received),
        from = mailbox(&from),
        to = mailbox(&to),
    );
    let attached = size >= ATTACHED_FROM;
    if attached {
        head.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\r\n\r\n--{BOUNDARY}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nThe file is attached.\r\n\
             --{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\
             Content-Disposition: attachment; filename=\"data.bin\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n"
        ));
    } else {
        head.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
    }
    let size = size.max(head.len() + 64);
    let recipe = Recipe { head: head.into_bytes().into(), seed: rng.next(), size };
    let core = Core {
        content: Content::Generated(recipe),
        subject: subject.into(),
        sender: Some(from.clone()),
        from: Some(from),
        to: Box::from([to]),
        cc: Box::default(),
        bcc: Box::default(),
        reply_to: Box::default(),
        message_id: Some(id.into()),
        sent: received,
        received,
        has_attachments: attached,
        importance: Importance::Normal,
        read_receipt: false,
        delivery_receipt: false,
    };
    SeedMessage { read: direction == Direction::Outbound, ..SeedMessage::from(core) }
}

/// `Mon, 23 Nov 2026 21:30:05 +0000`
pub(crate) fn rfc5322(unix: i64) -> String {
    let at = clock::from_unix(unix);
    at.format(&time::format_description::well_known::Rfc2822).unwrap_or_default()
}

pub(crate) fn party(name: &str, address: &str) -> Party {
    Party { name: Some(name.into()), address: address.into() }
}

fn mailbox(party: &Party) -> String {
    format!("{} <{}>", party.name.as_deref().unwrap_or_default(), party.address)
}

/// Lines of words, ending exactly at `size`.
fn push_prose(out: &mut Vec<u8>, rng: &mut Rng, size: usize) {
    let mut line = 0;
    while out.len() + 90 < size {
        let word = rng.pick(WORDS).as_bytes();
        if line + word.len() > 72 {
            out.extend_from_slice(b"\r\n");
            line = 0;
        }
        out.extend_from_slice(word);
        out.push(b' ');
        line += word.len() + 1;
    }
    if size > out.len() + 4 {
        out.extend_from_slice(b"\r\n");
    }
    while out.len() + 2 < size {
        out.push(b'a' + u8::try_from(out.len() % 26).unwrap_or(0));
    }
    out.extend_from_slice(&b"\r\n"[..size.saturating_sub(out.len()).min(2)]);
}

/// Lines of base64, ending exactly at `size`.
fn push_base64(out: &mut Vec<u8>, rng: &mut Rng, size: usize) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut line = [0u8; 78];
    line[76..].copy_from_slice(b"\r\n");
    while out.len() < size {
        for eight in line[..76].chunks_mut(8) {
            let mut bits = rng.next();
            for digit in eight {
                *digit = DIGITS[(bits & 63) as usize];
                bits >>= 6;
            }
        }
        let left = size - out.len();
        // The last line keeps to whole groups of four digits; spaces make up what is left over.
        if left >= line.len() {
            out.extend_from_slice(&line);
        } else {
            out.extend_from_slice(&line[..left / 4 * 4]);
            out.extend_from_slice(&b"   "[..left % 4]);
        }
    }
}

const OUTSIDERS: &[(&str, &str)] = &[
    ("Orla Byrne", "orla.byrne@harbourfreight.example"),
    ("Tomasz Zielinski", "t.zielinski@papierwerk.example"),
    ("Mei Tanaka", "mei@kumo-design.example"),
    ("Accounts", "accounts@brightwater.example"),
    ("Lucas Moreau", "lucas.moreau@atelier-sud.example"),
    ("Weekly Digest", "digest@newsroom.example"),
    ("Sara Lindqvist", "sara.lindqvist@nordlager.example"),
    ("Support", "support@ticketdesk.example"),
];

const OPENINGS: &[&str] = &[
    "Re:",
    "Question about",
    "Update on",
    "Notes:",
    "Reminder:",
    "Draft of",
    "Fwd:",
    "Numbers for",
];

const TOPICS: &[&str] = &[
    "the delivery next week",
    "the contract with the harbour",
    "third quarter",
    "the office move",
    "the trade fair in May",
    "the new price list",
    "travel expenses",
    "the workshop on Thursday",
    "the maintenance window",
    "the hiring plan",
    "your order",
    "the translated brochure",
];

const WORDS: &[&str] = &[
    "the",
    "a",
    "we",
    "you",
    "they",
    "order",
    "invoice",
    "meeting",
    "please",
    "could",
    "send",
    "before",
    "after",
    "Friday",
    "tomorrow",
    "draft",
    "numbers",
    "as",
    "agreed",
    "attached",
    "and",
    "or",
    "but",
    "with",
    "from",
    "customer",
    "supplier",
    "warehouse",
    "shipment",
    "delayed",
    "on",
    "time",
    "thanks",
    "regards",
    "call",
    "me",
    "if",
    "anything",
    "is",
    "missing",
    "list",
    "price",
    "contract",
    "signed",
    "version",
    "latest",
    "office",
    "team",
    "plan",
    "for",
    "next",
    "quarter",
    "budget",
    "approved",
    "open",
    "question",
    "remains",
    "who",
    "will",
    "bring",
    "samples",
    "to",
    "harbour",
    "train",
    "hotel",
    "booked",
    "until",
    "then",
    "have",
    "good",
    "weekend",
    "small",
    "change",
    "in",
    "schedule",
    "between",
    "north",
    "and",
    "south",
    "site",
    "inspection",
    "report",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_message_is_as_long_as_its_size_says_and_reads_back_as_described() {
        let setting = Setting { owner: "a@b.example", owner_name: "Ann", colleagues: &[] };
        for size in [0, 700, 4096, 5001, 300_000, 300_001, 300_003] {
            let mut rng = Rng::new(size as u64);
            let made = message(&mut rng, &setting, Direction::Inbound, 1_700_000_000, size);
            let bytes = made.core.content.bytes();
            assert_eq!(bytes.len(), made.core.content.len());
            assert!(size < 700 || bytes.len() == size, "{size}");
            let read = Core::parse(bytes.clone(), None);
            assert_eq!(read.subject, made.core.subject);
            assert_eq!(read.from, made.core.from);
            assert_eq!(read.to, made.core.to);
            assert_eq!(read.message_id, made.core.message_id);
            assert_eq!(read.received, 1_700_000_000);
            assert_eq!(read.has_attachments, made.core.has_attachments);
            assert_eq!(bytes, made.core.content.bytes(), "the same each time");
            let pieces: Vec<u8> = Recipe::pieces(Arc::clone(&made.core)).flatten().collect();
            assert_eq!(bytes, pieces, "and in pieces");
        }
    }
}
