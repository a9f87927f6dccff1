//! The other side of a provider: people who use their mailboxes, and somebody who knows what is in
//! them.

use std::collections::BTreeMap;

use mailkeep_exchange::Provider;
use mailkeep_model::{FolderId, FolderKind, ItemId, Mailbox, WellKnownFolder};

/// A server with mailboxes, from the outside. One for all cases; each has mailboxes of its own.
pub(crate) trait Backend {
    type Provider: Provider;

    /// With the key that reads.
    fn reader(&self) -> &Self::Provider;

    /// With the key that writes.
    fn restorer(&self) -> &Self::Provider;

    /// A mailbox with nothing in it but the folders that every mailbox has.
    async fn mailbox(&self, name: &str) -> Mailbox;

    /// Somebody uses the mailbox.
    async fn does(&self, mailbox: &Mailbox, act: Act<'_>) -> Vec<String>;

    /// So many messages arrive in a folder, each about so large; what they are called.
    async fn receives(
        &self,
        mailbox: &Mailbox,
        folder: &FolderId,
        messages: usize,
        bytes: usize,
    ) -> Vec<ItemId>;

    /// Somebody makes items of a kind that is no mail; `false` where the backend cannot.
    async fn makes(&self, mailbox: &Mailbox, kind: FolderKind, items: usize) -> bool;

    /// Somebody changes some of them and deletes others, so many of each, in that order.
    async fn edits(
        &self,
        mailbox: &Mailbox,
        kind: FolderKind,
        items: usize,
    ) -> (Vec<ItemId>, Vec<ItemId>);

    /// All that is in the mailbox.
    async fn truth(&self, mailbox: &Mailbox) -> Truth;

    /// From now on requests into this mailbox fail so, until [`heals`](Self::heals).
    async fn fails(&self, mailbox: &Mailbox, how: Failure);

    /// Nothing fails any more.
    async fn heals(&self);
}

/// What a person does. What is made is named in the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act<'a> {
    MakeFolder {
        parent: Option<&'a FolderId>,
        name: &'a str,
    },
    RenameFolder {
        folder: &'a FolderId,
        name: &'a str,
    },
    MoveFolder {
        folder: &'a FolderId,
        to: Option<&'a FolderId>,
    },
    /// With all that is in it.
    DeleteFolder {
        folder: &'a FolderId,
    },
    MarkMessage {
        item: &'a ItemId,
        read: bool,
        flagged: bool,
        category: Option<&'a str>,
    },
    MoveMessage {
        item: &'a ItemId,
        to: &'a FolderId,
    },
    /// For good.
    DeleteMessage {
        item: &'a ItemId,
    },
}

/// How requests fail.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// So many times, with a wait of a second.
    Throttled(u32),
    /// The mailbox is out of bounds.
    Forbidden,
    /// Every cursor given out so far is worth nothing.
    CursorsExpired,
    /// So many times the answer breaks off in the middle.
    BreaksOff(u32),
    /// This message alone cannot be read.
    Unreadable(ItemId),
}

/// A mailbox as its server has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Truth {
    /// Mail folders that people see.
    pub(crate) folders: BTreeMap<String, TrueFolder>,
    /// Messages in them.
    pub(crate) messages: BTreeMap<String, TrueMessage>,
    /// What is in the mailbox beside mail.
    pub(crate) others: BTreeMap<String, TrueItem>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrueFolder {
    /// Names from the top.
    pub(crate) path: Vec<String>,
    pub(crate) role: Option<WellKnownFolder>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrueMessage {
    pub(crate) folder: String,
    pub(crate) subject: String,
    pub(crate) from: Option<String>,
    pub(crate) internet_message_id: Option<String>,
    pub(crate) read: bool,
    pub(crate) flagged: bool,
    pub(crate) categories: Vec<String>,
    /// Of the MIME, in lower-case hexadecimal digits.
    pub(crate) sha256: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrueItem {
    pub(crate) kind: FolderKind,
    pub(crate) folder: String,
    /// Subject, title or name.
    pub(crate) name: String,
}
