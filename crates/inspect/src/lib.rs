//! Internal Email Protect: what is in a message, and what it comes to.
//!
//! # Vocabulary
//!
//! - [`inspect()`] reads one message (RFC 5322, MIME) and gives a [`Report`]: the message's id and
//!   a [`Verdict`](mailkeep_model::Verdict). [`inspect_prefix`] does so for a message of which
//!   only the beginning is at hand, [`inspect_text`] for plain text, [`inspect_attachment`] for a
//!   file that is not a message.
//! - A *message view* is the one parsed form of a message: its *fields* in the order in which
//!   they occur. All detectors read it; none parses anything of MIME or HTML by itself.
//! - A *field* is one decoded text with a name that a person can follow: `subject`, `body.text`,
//!   `body.html`, `attachment[0].text` (the first attachment is number 0), and for a message in a
//!   message `attachment[1].message.body.html`. `start` and `end` of a finding count code points
//!   of that text as it stands in the message after transfer encoding and character set are
//!   undone: line ends are kept as they are, and HTML is the HTML source.
//! - An *object* is a file: an attachment, or what was unpacked from one
//!   (`attachment[0]/inner.zip/report.docm`). It has its true type, its bytes and its hash; text in
//!   it is a field (`attachment[0]/inner.zip/report.docm.text`), addresses that it leads to are the
//!   links of another (`attachment[0].links`, HTML of ours). A finding on a file as a whole has
//!   the object's path as its field and `start` and `end` 0; one on a message as a whole is in the
//!   empty field `message`.
//! - The *readable* text of a field is what a person sees of it: of plain text all, of HTML the
//!   text between the tags. Every place in it leads back to a place in the field.
//! - *Hidden* text is in the readable text and nobody sees it. *Folded* text is what is left
//!   without it, without case, diacritics and disguise; wording is looked for in that.
//! - A *theme* is what mail of a kind is about (`account`, `prize`, `parcel`, …), a *lure* its
//!   wording beside a link that does not lead to the sender.
//! - A *detector* is a row of the table in `detectors/mod.rs`: a pure function from the view to
//!   findings.
//! - A *canary* is a message of our own that has to come through ([`CanaryRead`]): what it claims is
//!   read here, whether it is one is known to who sent it. It is inspected as any other.
//! - An [`OpenMessage`] was read and is not judged yet: scanners that look at bytes are given its
//!   files and texts; what they answer comes back as [`Scanned`] of the context.
//! - A [`Context`] is all that comes from outside: time, own domains, people whose names are used
//!   ([`Executive`]), lists of what is bad ([`Feeds`]), the mailbox that sent the message
//!   ([`Sender`]) with what it is used to ([`Habits`]), the key that masks evidence, limits.
//! - *Sensitive content* is found by form (a number's shape, its check digit, the words around it),
//!   by what makers of keys and tokens put into them, by a [`Dictionary`] of phrases, or because it
//!   is in an [`ExactList`] of the organisation's own values.
//! - A [`policy`] says what follows from a verdict.
//!
//! # From findings to a verdict
//!
//! One table (`verdict.rs`) says what a finding weighs, by detector and severity, and which
//! verdict it leads to when it stands alone:
//!
//! | detector | severity | weight | verdict |
//! |---|---|---|---|
//! | `attachment-container` | medium | 0.50 | suspicious |
//! | `attachment-container` | high | 0.80 | suspicious |
//! | `attachment-encrypted` | low | 0.10 | clean |
//! | `attachment-encrypted` | medium | 0.50 | suspicious |
//! | `attachment-html` | low | 0.05 | clean |
//! | `attachment-html` | medium | 0.50 | suspicious |
//! | `attachment-html` | high | 0.90 | malicious |
//! | `attachment-known` | high | 0.99 | malicious |
//! | `attachment-link` | low | 0.05 | clean |
//! | `attachment-link` | medium | 0.50 | suspicious |
//! | `attachment-link` | high | 0.90 | malicious |
//! | `attachment-macro` | low | 0.10 | clean |
//! | `attachment-macro` | medium | 0.50 | suspicious |
//! | `attachment-macro` | high | 0.90 | malicious |
//! | `attachment-name` | low | 0.05 | clean |
//! | `attachment-name` | high | 0.95 | malicious |
//! | `attachment-object` | low | 0.05 | clean |
//! | `attachment-object` | medium | 0.50 | suspicious |
//! | `attachment-object` | high | 0.90 | malicious |
//! | `attachment-pdf` | low | 0.05 | clean |
//! | `attachment-pdf` | medium | 0.50 | suspicious |
//! | `attachment-pdf` | high | 0.90 | malicious |
//! | `attachment-program` | low | 0.05 | clean |
//! | `attachment-program` | medium | 0.50 | suspicious |
//! | `attachment-program` | high | 0.80 | suspicious |
//! | `brand-claim` | low | 0.10 | clean |
//! | `brand-claim` | medium | 0.30 | clean |
//! | `brand-claim` | high | 0.60 | suspicious |
//! | `feed-match` | medium | 0.80 | suspicious |
//! | `feed-match` | high | 0.95 | malicious |
//! | `form-password` | high | 0.70 | suspicious |
//! | `impersonation` | low | 0.10 | clean |
//! | `impersonation` | medium | 0.50 | suspicious |
//! | `impersonation` | high | 0.80 | suspicious |
//! | `inbox-rule` | low | 0.05 | clean |
//! | `inbox-rule` | medium | 0.50 | suspicious |
//! | `inbox-rule` | high | 0.80 | suspicious |
//! | `link-address` | medium | 0.30 | clean |
//! | `link-address` | high | 0.45 | clean |
//! | `link-code` | medium | 0.30 | clean |
//! | `link-code` | high | 0.60 | suspicious |
//! | `link-place` | low | 0.05 | clean |
//! | `link-place` | medium | 0.30 | clean |
//! | `link-place` | high | 0.45 | clean |
//! | `link-recipient` | medium | 0.40 | clean |
//! | `link-redirects` | medium | 0.50 | suspicious |
//! | `look-alike-host` | low | 0.10 | clean |
//! | `look-alike-host` | medium | 0.30 | clean |
//! | `look-alike-host` | high | 0.60 | suspicious |
//! | `lure` | low | 0.10 | clean |
//! | `lure` | medium | 0.35 | clean |
//! | `lure` | high | 0.50 | suspicious |
//! | `message-limit` | medium | 0.50 | suspicious |
//! | `payment-wording` | low | 0.05 | clean |
//! | `payment-wording` | medium | 0.20 | clean |
//! | `picture-link` | medium | 0.40 | clean |
//! | `reply-elsewhere` | medium | 0.25 | clean |
//! | `rule-match` | low | 0.05 | clean |
//! | `rule-match` | medium | 0.50 | suspicious |
//! | `rule-match` | high | 0.95 | malicious |
//! | `scam` | low | 0.10 | clean |
//! | `scam` | medium | 0.35 | clean |
//! | `scam` | high | 0.60 | suspicious |
//! | `sender-host` | medium | 0.30 | clean |
//! | `takeover` | low | 0.10 | clean |
//! | `takeover` | medium | 0.40 | clean |
//! | `text-hidden` | medium | 0.30 | clean |
//! | `text-hidden` | high | 0.60 | suspicious |
//! | `text-look-alike` | medium | 0.30 | clean |
//! | `text-look-alike` | high | 0.60 | suspicious |
//! | `text-spaced` | high | 0.60 | suspicious |
//! | `link-stranger` | medium | 0.25 | clean |
//! | `exact-match` | high | 0.50 | sensitive |
//! | `identifier` | low | 0.05 | clean |
//! | `identifier` | medium | 0.30 | sensitive |
//! | `identifier` | high | 0.50 | sensitive |
//! | `key-phrase` | low | 0.05 | clean |
//! | `key-phrase` | medium | 0.30 | sensitive |
//! | `link-text-mismatch` | low | 0.05 | clean |
//! | `link-text-mismatch` | medium | 0.50 | suspicious |
//! | `link-text-mismatch` | high | 0.80 | suspicious |
//! | `link-user-info` | medium | 0.60 | suspicious |
//! | `link-user-info` | high | 0.95 | malicious |
//! | `payment-card` | low | 0.05 | clean |
//! | `payment-card` | medium | 0.30 | sensitive |
//! | `payment-card` | high | 0.50 | sensitive |
//! | `secret` | low | 0.05 | clean |
//! | `secret` | medium | 0.30 | sensitive |
//! | `secret` | high | 0.50 | sensitive |
//!
//! The score of harm is `1 - (1 - w1)(1 - w2)…` over the findings that differ in detector, entity
//! or masked value, so that a number written twice or one link repeated fifty times counts once;
//! findings of low severity together add no more than 0.2. Sensitive content is summed apart, and
//! its score ends at 0.49. The verdict is the worst that any finding leads to by itself, and no less
//! than suspicious where harm is 0.5 or more, malicious where it is 0.95 or more: a finding of 0.3
//! is one of two that make a message suspicious.
//!
//! # Bounds
//!
//! Input is hostile. [`Limits`] bounds size, depth, parts, text, links and findings; what a limit
//! cut off is named in [`Verdict::not_inspected`](mailkeep_model::Verdict::not_inspected), never
//! passed over. Nothing in here reads a clock, a file, the network or a database.

mod brands;
mod codes;
mod context;
mod detectors;
mod facts;
mod feeds;
mod files;
mod findings;
mod history;
mod hosts;
mod inspect;
mod links;
pub mod mbox;
mod message;
mod named;
pub mod policy;
mod starts;
mod unpack;
mod verdict;
mod wording;

pub use context::{Context, Executive, Limits, MaskKey};
pub use feeds::{FeedError, FeedList, Feeds};
pub use files::{AttachedFile, KnownFile, OpenMessage, RuleMatch, Scanned, clamav_answer};
pub use history::{Habits, RuleRead, Sender, Sent};
pub use inspect::{
    CanaryRead, Report, inspect, inspect_attachment, inspect_prefix, inspect_rule, inspect_text,
};
pub use named::{Dictionary, DictionaryError, ExactList, HashedValue, ListError, MatchKey};
