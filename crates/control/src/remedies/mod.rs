//! Remedies: what was ordered, which copies there are, and what became of each.

mod copies;
mod orders;
mod parts;

use mailkeep_model::{Address, FolderId, ItemId, Mailbox, MailboxId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

/// Names an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemedyId(pub i64);

impl std::fmt::Display for RemedyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemedyAction {
    /// Out of its owner's sight, until somebody decides.
    Quarantine,
    /// Out of its owner's sight, and deleted for good after some time.
    Remove,
    /// Back to where it was.
    Release,
}

impl RemedyAction {
    /// The name used in the command line, the database and the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Remove => "remove",
            Self::Release => "release",
        }
    }
}

/// Which messages an order is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemedySubject {
    /// Those with this `Message-ID`, with its angle brackets.
    Message(String),
    /// Those that carry this file; SHA-256, in 64 hexadecimal digits in lower case.
    Attachment(String),
    /// Those that carry this link, exactly.
    Link(String),
}

impl RemedySubject {
    /// What kind of subject it is, as the database and the command line call it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message-id",
            Self::Attachment(_) => "sha256",
            Self::Link(_) => "link",
        }
    }

    /// The subject itself.
    pub fn text(&self) -> &str {
        match self {
            Self::Message(text) | Self::Attachment(text) | Self::Link(text) => text,
        }
    }
}

/// Who gave an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OrderedBy {
    /// A person, by name.
    Person(String),
    /// A rule of the policy, by its name.
    Rule(String),
}

impl OrderedBy {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(name) | Self::Rule(name) => name,
        }
    }
}

impl std::fmt::Display for OrderedBy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(name) => write!(formatter, "{name}"),
            Self::Rule(name) => write!(formatter, "the rule '{name}'"),
        }
    }
}

/// An order that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRemedy {
    /// What is to be done.
    pub action: RemedyAction,
    /// With which messages.
    pub subject: RemedySubject,
    /// In this mailbox alone; `None`: in all of them.
    pub mailbox: Option<MailboxId>,
    /// By whose order.
    pub by: OrderedBy,
    /// For what reason, in words.
    pub why: String,
    /// When it was given.
    pub ordered: OffsetDateTime,
    /// Until when copies that come later are dealt with, too. That begins with the first search: when it
    /// comes late, this is put off by as much.
    pub open_until: OffsetDateTime,
}

/// What came of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// It is a new one.
    New(RemedyId),
    /// The same was ordered before and is still open; that one is gone through once more.
    Again(RemedyId),
    /// A rule wants to take what a person has put back: nothing is done. This is the person's order.
    Overruled(RemedyId),
}

impl Ordered {
    /// The order that counts.
    pub const fn id(self) -> RemedyId {
        match self {
            Self::New(id) | Self::Again(id) | Self::Overruled(id) => id,
        }
    }
}

/// An order, as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRemedy {
    /// Its name.
    pub id: RemedyId,
    /// What was ordered.
    pub order: NewRemedy,
    /// The messages that it is about, as far as they are known: their `Message-ID`s.
    pub messages: Vec<String>,
    /// When all mailboxes were last looked through.
    pub searched: Option<OffsetDateTime>,
    /// When they are next; `None`: not any more.
    pub next_search: Option<OffsetDateTime>,
    /// Those that could not be looked through the last time, and why.
    pub unsearched: Vec<Unsearched>,
}

/// A mailbox that could not be looked through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsearched {
    /// Whose.
    pub mailbox: Address,
    /// Why not.
    pub reason: String,
}

/// Where a copy is, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyState {
    /// Where its owner has it.
    Found,
    /// Out of its owner's sight.
    Quarantined,
    /// Out of its owner's sight, and to be deleted for good.
    Removed,
    /// Deleted for good.
    Purged,
    /// Back where it was.
    Released,
    /// It was not there any more.
    Gone,
    /// What was to be done could not be done, and is not tried any more.
    Failed,
}

impl CopyState {
    /// Whether the message lies where its owner does not see it.
    pub const fn is_taken(self) -> bool {
        matches!(self, Self::Quarantined | Self::Removed)
    }
}

/// A copy of a message as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCopy {
    /// In whose mailbox.
    pub mailbox: Mailbox,
    /// Its item.
    pub item: ItemId,
    /// Its `Message-ID`.
    pub message_id: String,
    /// In which folder.
    pub folder: FolderId,
    /// Whether it is read, its categories and its flag; `service` knows the form.
    pub marks: Value,
    /// Where it is: [`CopyState::Found`], or what is already out of sight without our knowing why.
    pub state: CopyState,
    /// When it lay there: when the provider was asked. The epoch: nobody knows when.
    pub seen: OffsetDateTime,
}

/// A copy of a message, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCopy {
    /// Its number.
    pub id: i64,
    /// As it was found. Its mailbox has no display name.
    pub found: FoundCopy,
    /// Where it is to be.
    pub wanted: CopyState,
    /// What else there is to say: why it failed, what is different from before.
    pub note: Option<String>,
    /// When it was found.
    pub found_at: OffsetDateTime,
    /// When it last came into another state.
    pub changed: OffsetDateTime,
    /// How often in vain something was tried.
    pub tries: u32,
    /// When something is to be done about it; `None`: nothing is.
    pub due: Option<OffsetDateTime>,
    /// When it is deleted for good; `None` unless it is [`CopyState::Removed`].
    pub purge_at: Option<OffsetDateTime>,
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// It is in another state now.
    Settled {
        /// In which.
        state: CopyState,
        /// What there is to say about that.
        note: Option<String>,
    },
    /// It lies elsewhere than was known, or looks otherwise, and was not touched yet.
    Found {
        /// In which folder.
        folder: FolderId,
        /// As [`FoundCopy::marks`].
        marks: Value,
        /// When the provider was asked.
        seen: OffsetDateTime,
    },
    /// It did not work, and is tried again.
    Postponed {
        /// Why it did not work.
        note: String,
        /// When.
        until: OffsetDateTime,
    },
}
