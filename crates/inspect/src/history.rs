use time::Duration;

/// What is known of the sender's mailbox beside the message, for signs that somebody else uses it.
/// Counted by whoever keeps the history; inspection asks nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Messages that the mailbox sent in the hour before this one, this one included.
    pub sent_last_hour: u32,
    /// Messages of its busiest hour in the weeks before.
    pub busiest_hour: u32,
    /// People to whom the mailbox sent one of this message's links within an hour.
    pub same_link_recipients: u32,
    /// How long ago an inbox rule was made that forwards or deletes mail; `None` when there is no
    /// such new rule.
    pub hiding_rule: Option<Duration>,
    /// The session is from a country that the mailbox was never used from.
    pub first_country: bool,
    /// The message was sent with a program that the mailbox never used.
    pub first_client: bool,
    /// The message is in a language that the mailbox never wrote in.
    pub first_language: bool,
    /// Most recipients were never written to by the mailbox.
    pub strangers: bool,
}

/// A person whose name is used to deceive others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executive {
    /// First and last name; order, case and initials do not matter.
    pub name: String,
    /// The addresses that are theirs.
    pub addresses: Vec<String>,
}
