//! What a mailbox is used to, and in which ways a message departs from it.
//!
//! - [`Habits`] is what is known of a mailbox: bounded, plain data that its keeper stores. Learning the
//!   same messages in another order comes to the same, as far as what is bounded has room.
//! - A [`Sent`] is what one message says of its sender's mailbox; inspection reads it
//!   ([`crate::Report::sent`]), whoever keeps the habits learns it.
//! - A [`Sender`] is what inspection is handed with a message that the mailbox sent.

mod habits;
mod known;

use mailkeep_model::Severity;
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

pub use self::habits::Habits;
use crate::{
    Context,
    detectors::{Act, is_own},
    facts::{Followed, Whither, whither},
    message::MessageView,
};

/// The mailbox that sent a message, as far as its provider knows better than the message.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// What it is used to; this message is not in it yet.
    pub habits: &'a Habits,
    /// When it sent the message, UTC.
    pub at: OffsetDateTime,
    /// Addresses of all recipients, blind copies included.
    pub recipients: &'a [String],
}

/// What a message says of the mailbox that sent it. Addresses and links are in it as hashes: they
/// are compared and never shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    at: OffsetDateTime,
    recipients: Vec<u32>,
    domains: Vec<u32>,
    links: Vec<u32>,
    client: Option<u32>,
    language: Option<u32>,
}

/// Recipients of one message that are looked at; a larger list is no letter.
const MOST_RECIPIENTS: usize = 500;
/// Links of one message.
const MOST_LINKS: usize = 16;

impl Sent {
    /// What nearly every mail links to says nothing, nor what is the organisation's own.
    pub(crate) fn of(view: &MessageView, sender: &Sender<'_>, context: &Context<'_>) -> Self {
        let address = |address: &String| address.trim().to_lowercase();
        let recipients: Vec<String> =
            sender.recipients.iter().take(MOST_RECIPIENTS).map(address).collect();
        let domain = |address: &String| address.rsplit_once('@').map(|(_, domain)| hash(domain));
        let links = view.facts().links.iter().filter(|link| {
            let own = is_own(&link.end().host, context);
            !own && matches!(whither(link, own), Whither::Elsewhere | Whither::Untold)
        });
        let link = |link: &Followed| {
            let end = link.end();
            // What stands behind the question mark often differs from recipient to recipient.
            hash(&format!("{}{}", end.host.text(), end.url.path()))
        };
        Self {
            at: sender.at,
            recipients: distinct(recipients.iter().map(|address| hash(address))),
            domains: distinct(recipients.iter().filter_map(domain)),
            links: distinct(links.map(link).take(MOST_LINKS)),
            client: view.client.as_deref().map(|client| hash(&without_version(client))),
            language: view.language.as_deref().map(|language| hash(&language.to_lowercase())),
        }
    }

    /// The hour, counted from 1970.
    fn hour(&self) -> i64 {
        self.at.unix_timestamp().div_euclid(3_600)
    }
}

/// A program with a new version is no new program.
fn without_version(client: &str) -> String {
    let name = client.split(|c: char| c.is_ascii_digit() || matches!(c, '/' | '('));
    name.into_iter().next().unwrap_or_default().trim().to_lowercase()
}

fn distinct(hashes: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut hashes: Vec<u32> = hashes.collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Four bytes of SHA-256: two of a thousand things are alike once in ten thousand mailboxes.
fn hash(text: &str) -> u32 {
    let digest = Sha256::digest(text.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// In which ways a message departs from what its mailbox is used to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Departure {
    /// Messages that the mailbox sent in the hour before this one, this one included.
    pub(crate) sent_last_hour: u32,
    /// Messages of its busiest hour in the weeks before.
    pub(crate) busiest_hour: u32,
    /// People to whom the mailbox sent one of this message's links within an hour, where the link
    /// was new to it that day.
    pub(crate) same_link_recipients: u32,
    /// The most to whom it sent one in the weeks before.
    pub(crate) largest_campaign: u32,
    /// How long ago an inbox rule was made that hides or forwards mail, if one was lately.
    pub(crate) hiding_rule: Option<Duration>,
    /// It was sent with a program that the mailbox never used.
    pub(crate) first_client: bool,
    /// It is in a language that the mailbox never wrote in.
    pub(crate) first_language: bool,
    /// It was sent at an hour of the day, UTC, at which the mailbox never wrote.
    pub(crate) first_hour: bool,
    /// Most recipients were never written to by the mailbox, nor anybody of their domains.
    pub(crate) strangers: bool,
}

/// What an inbox rule says of its mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleRead {
    hides: bool,
    digest: u32,
}

impl RuleRead {
    /// Whether it hides mail from the mailbox's owner, or gives it away.
    pub fn hides(&self) -> bool {
        self.hides
    }

    pub(crate) fn of(rule: &Value, acts: &[Act]) -> Self {
        let hides = acts.iter().any(|(severity, ..)| *severity > Severity::Low);
        Self { hides, digest: hash(&rule.to_string()) }
    }
}
