use std::future::Future;

use bytes::Bytes;
use mailkeep_model::{
    Attachment, Cursor, Folder, FolderId, FolderKind, Item, ItemId, ItemKind, Mailbox, Page,
};

use crate::{ExchangeError, Usage};

/// The mailboxes of one tenant, opened with the key of one function.
///
/// Every method retries what is worth retrying (throttling, a lost connection) within bounded
/// time; an error that comes out of here is final for this pass. Cloning is cheap and shares
/// connections, tokens and limits.
pub trait Provider: Clone + Send + Sync + 'static {
    /// The domains that belong to the tenant, in lower case: what is *inside*.
    fn domains(&self) -> impl Future<Output = Result<Vec<String>, ExchangeError>> + Send;

    /// All mailboxes that the provider's directory lists.
    fn mailboxes(&self) -> impl Future<Output = Result<Vec<Mailbox>, ExchangeError>> + Send;

    /// One page of changes to a mailbox's tree of mail folders; `None` begins with all folders.
    ///
    /// A folder's [`well_known`](Folder::well_known) role is told when the enumeration begins and
    /// may be absent from later changes.
    ///
    /// # Errors
    /// [`ExchangeError::CursorExpired`] when the enumeration has to begin anew.
    fn folder_changes(
        &self,
        mailbox: &Mailbox,
        cursor: Option<&Cursor>,
    ) -> impl Future<Output = Result<Page<Folder, FolderId>, ExchangeError>> + Send;

    /// Calendars and contact folders, all of them.
    ///
    /// Beside the one that every mailbox has lie others, as its children. What was shared by others
    /// or made by the provider (birthdays, holidays) is left out where the provider tells it apart.
    fn other_folders(
        &self,
        mailbox: &Mailbox,
        kind: FolderKind,
    ) -> impl Future<Output = Result<Vec<Folder>, ExchangeError>> + Send;

    /// One page of changes to what a folder holds; `None` begins with all items.
    ///
    /// Events and contacts come without their [`detail`](Item::detail) when that takes a request
    /// each: see [`details`](Self::details). The end is [`Next::Complete`](mailkeep_model::Next)
    /// where the provider has no cursor for this folder.
    ///
    /// # Errors
    /// [`ExchangeError::CursorExpired`] when the enumeration has to begin anew,
    /// [`ExchangeError::NotFound`] when the folder is gone.
    fn item_changes(
        &self,
        mailbox: &Mailbox,
        folder: &Folder,
        cursor: Option<&Cursor>,
    ) -> impl Future<Output = Result<Page<Item, ItemId>, ExchangeError>> + Send;

    /// The content (MIME) of one message, exactly as the provider gives it.
    fn content(
        &self,
        mailbox: &Mailbox,
        item: &ItemId,
    ) -> impl Future<Output = Result<Content, ExchangeError>> + Send;

    /// An item as it is now, `None` when it is gone: tells a deletion from a move, and reads an
    /// item again that failed before.
    fn item(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        item: &ItemId,
    ) -> impl Future<Output = Result<Option<Item>, ExchangeError>> + Send;

    /// All of an event or a contact that a change named.
    ///
    /// # Errors
    /// [`ExchangeError::NotFound`] when it is gone.
    fn details(
        &self,
        mailbox: &Mailbox,
        item: &Item,
    ) -> impl Future<Output = Result<Details, ExchangeError>> + Send;

    /// Which of some items are in the mailbox, its deleted items included: they themselves, or what
    /// a restore made of them.
    fn existing(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        wanted: &[Wanted],
    ) -> impl Future<Output = Result<Vec<Existing>, ExchangeError>> + Send;

    /// Makes a folder, or finds the one that has this name there.
    fn create_folder(
        &self,
        mailbox: &Mailbox,
        kind: FolderKind,
        parent: Option<&FolderId>,
        name: &str,
    ) -> impl Future<Output = Result<Folder, ExchangeError>> + Send;

    /// Writes an item back. Nobody is sent anything: no invitations, no receipts.
    ///
    /// Safe to repeat after any failure: an item whose answer was lost is found by its origin, and
    /// one that was left half-made is made anew.
    fn create(
        &self,
        mailbox: &Mailbox,
        folder: &Folder,
        item: &NewItem<'_>,
    ) -> impl Future<Output = Result<Created, ExchangeError>> + Send;

    /// Gives a message the read mark, follow-up flag and categories of `to`.
    fn update(
        &self,
        mailbox: &Mailbox,
        item: &ItemId,
        to: &Item,
    ) -> impl Future<Output = Result<(), ExchangeError>> + Send;

    /// Moves a message to another folder of its mailbox.
    ///
    /// # Errors
    /// [`ExchangeError::Unsupported`] for other kinds, where the provider has no move for them.
    fn relocate(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        item: &ItemId,
        to: &FolderId,
    ) -> impl Future<Output = Result<(), ExchangeError>> + Send;

    /// Deletes an item as a user would: it can be recovered for as long as the provider keeps it.
    /// That it is gone already is no error.
    fn delete(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        item: &ItemId,
    ) -> impl Future<Output = Result<(), ExchangeError>> + Send;

    /// What was asked of the provider since this value was made.
    fn usage(&self) -> Usage;
}

/// All of an event or a contact.
#[derive(Clone, Debug)]
pub struct Details {
    /// With its [`detail`](Item::detail), and the content key of just this state.
    pub item: Item,
    /// An event's attachments, in the order of its [`attachments`](mailkeep_model::Event), or a
    /// contact's photograph.
    pub attachments: Vec<Attachment>,
}

/// Marks what a restore made: what it was made of. Kept at the provider as a property of the item,
/// so that restoring again finds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The same for the same item in the same state; at most 64 characters of `0-9a-f`.
    pub key: String,
    /// From which snapshot; for people.
    pub snapshot: String,
}

/// What to look for with [`Provider::existing`].
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The item as it was called when it was backed up.
    pub item: ItemId,
    /// The key of what a restore would have made of it.
    pub key: String,
}

/// An item that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its identifier.
    pub id: ItemId,
    /// The folder that it lies in.
    pub folder: FolderId,
    /// The [`Origin::key`] that it carries, when a restore made it to the end.
    pub key: Option<String>,
    /// Whether it lies among the deleted items.
    pub deleted: bool,
    /// Changes with its content; see [`Item::content_key`].
    pub content_key: String,
}

/// An item to be written back.
#[derive(Clone, Copy, Debug)]
pub struct NewItem<'a> {
    /// What the provider told of it.
    pub item: &'a Item,
    /// A message's MIME; not used for others.
    pub content: &'a [u8],
    /// An event's attachments, a contact's photograph.
    pub attachments: &'a [Attachment],
    /// What it is made of.
    pub origin: &'a Origin,
    /// Whether the mailbox was searched for that already.
    pub looked: Looked,
}

/// Whether it is known that nothing in the mailbox carries an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// [`Provider::existing`] was just asked and found nothing: one request less for each item.
    NothingThere,
    /// Not yet.
    NotYet,
}

/// An item that was written back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// What it is called now.
    pub id: ItemId,
    /// What the provider does not take, for people; empty when nothing was lost.
    pub lost: Vec<String>,
}

/// The content of one message, on its way in. Dropping it gives its place in the mailbox's gate
/// back.
pub struct Content {
    pub(crate) action: String,
    pub(crate) response: reqwest::Response,
    pub(crate) received: u64,
    pub(crate) usage: crate::usage::Counters,
    pub(crate) _place: crate::gate::Place,
}

impl Content {
    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// [`ExchangeError::Protocol`] when the answer broke off: what came so far is incomplete.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        let chunk = self.response.chunk().await.map_err(|error| {
            ExchangeError::protocol(
                &self.action,
                format!(
                    "the connection broke off after {} bytes ({})",
                    self.received,
                    crate::graph::root_cause(&error)
                ),
            )
        })?;
        if let Some(chunk) = &chunk {
            self.received += chunk.len() as u64;
            self.usage.add_bytes(chunk.len());
        }
        Ok(chunk)
    }

    /// The announced length in bytes, when the provider announced one.
    pub fn announced_bytes(&self) -> Option<u64> {
        self.response.content_length()
    }
}
