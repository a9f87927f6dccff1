use std::{collections::HashMap, future::Future, time::Instant};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures::future::join_all;
use mailkeep_model::{
    Attachment, Cursor, Directory, Folder, FolderId, FolderKind, Item, ItemId, ItemKind, Mailbox,
    MailboxSelection, Page,
};
use sha2::{Digest, Sha256};

use crate::{ExchangeError, Held, Usage, gate::PER_MAILBOX};

/// What the folder is called that messages are kept in out of their owner's sight.
pub const QUARANTINE: &str = "Mailkeep Quarantine";

/// Where messages of a mailbox are kept out of their owner's sight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The folder that they are moved to.
    pub folder: FolderId,
    /// Others that they were moved to when that one could not be had.
    pub others: Vec<FolderId>,
}

impl Quarantine {
    /// Whether what lies in this folder is out of its owner's sight.
    pub fn holds(&self, folder: &FolderId) -> bool {
        self.folder == *folder || self.others.contains(folder)
    }
}

/// What a selection leaves of a directory.
#[derive(Debug, Default)]
pub struct Selected {
    /// Whose mailboxes.
    pub mailboxes: Vec<Mailbox>,
    /// Those of which nobody could tell whether they are of a kind that is selected, and why. Such a
    /// one is among `mailboxes` if it was backed up until now; it is asked again in the next call.
    pub unclear: Vec<(Mailbox, ExchangeError)>,
}

/// The mailboxes of one tenant, opened with the key of one function.
///
/// Every method retries what is worth retrying (throttling, a lost connection) within bounded
/// time; an error that comes out of here is final for this pass. Cloning is cheap and shares
/// connections, tokens and limits.
pub trait Provider: Clone + Send + Sync + 'static {
    /// The domains that belong to the tenant, in lower case: what is *inside*.
    fn domains(&self) -> impl Future<Output = Result<Vec<String>, ExchangeError>> + Send;

    /// All mailboxes that the provider's directory lists, read anew: for who looks for one.
    fn mailboxes(&self) -> impl Future<Output = Result<Vec<Mailbox>, ExchangeError>> + Send;

    /// The kinds of folders that are read beside mail, each with
    /// [`other_folders`](Self::other_folders): what the tenant's administrator has switched on. What
    /// a snapshot holds of others stays as it is; that they are not listed says nothing of them.
    fn kinds(&self) -> Vec<FolderKind>;

    /// Whether a folder that was told of before is read by what is switched on now. Of one that is
    /// not nothing is told, and its items cannot be looked for: a snapshot keeps it as it last was.
    fn is_read(&self, folder: &Folder) -> bool;

    /// The mailboxes that a selection leaves, as the provider's directory has them now.
    ///
    /// `directory` is what earlier calls found, or nothing, and is brought up to date: where nobody
    /// came, left or changed since, that takes one request, and one or more for each group and for
    /// the filter. What each mailbox is for is asked once, and only where the selection wants to
    /// know. A cursor that has expired is no error: the directory is read anew and compared.
    ///
    /// A guest's mailbox is elsewhere and not selected, unless it is named or was backed up until
    /// now: then there is one here.
    ///
    /// # Errors
    /// [`ExchangeError::Configuration`] when there is no such group, or the filter is none;
    /// [`ExchangeError::Forbidden`] when no mailbox at all tells what it is for.
    fn discover(
        &self,
        selection: &MailboxSelection,
        directory: &mut Directory,
    ) -> impl Future<Output = Result<Selected, ExchangeError>> + Send;

    /// One page of changes to a mailbox's tree of mail folders; `None` begins with all folders.
    ///
    /// A folder's [`well_known`](Folder::well_known) role is told when the enumeration begins and
    /// may be absent from later changes.
    ///
    /// Where it is switched on, what was purged is told as one more mail folder at the top, with the
    /// role [`RecoverableItems`](mailkeep_model::WellKnownFolder::RecoverableItems), in the first
    /// page after that; it is counted by [`item_counts`](Self::item_counts), too. Nothing can be
    /// restored into it, and people do not see it: what lies in it is gone for them.
    ///
    /// # Errors
    /// [`ExchangeError::CursorExpired`] when the enumeration has to begin anew.
    fn folder_changes(
        &self,
        mailbox: &Mailbox,
        cursor: Option<&Cursor>,
    ) -> impl Future<Output = Result<Page<Folder, FolderId>, ExchangeError>> + Send;

    /// How many items lie in each mail folder, as the provider counts them: also what is no mail.
    /// Folders that it does not tell of are left out.
    fn item_counts(
        &self,
        mailbox: &Mailbox,
    ) -> impl Future<Output = Result<HashMap<FolderId, u64>, ExchangeError>> + Send;

    /// What folders of another kind than mail there are, all of them: calendars, contact folders,
    /// task lists, groups of settings, folders of what comes as streams.
    ///
    /// Beside the one that every mailbox has lie others, as its children. What was shared by others
    /// or made by the provider (birthdays, holidays, the list of flagged messages) is left out where
    /// the provider tells it apart. Contact groups lie in a folder of their own below the contact
    /// folder that they are in, and the archive's folders below one with the role
    /// [`Archive`](mailkeep_model::WellKnownFolder::Archive).
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] and those that concern one item
    /// ([`concerns_one_item`](ExchangeError::concerns_one_item)) say that this kind cannot be read,
    /// and nothing of others.
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

    /// One item as the provider's full-fidelity stream: everything that it keeps of the item, opaque
    /// to us, to be given back in [`NewItem::stream`]. The content of [`ItemKind::Opaque`].
    ///
    /// Calls that are made at the same time may share a request.
    ///
    /// # Errors
    /// [`ExchangeError::Unsupported`] where the provider has no streams (Graph: national clouds).
    fn stream(
        &self,
        mailbox: &Mailbox,
        item: &ItemId,
    ) -> impl Future<Output = Result<Bytes, ExchangeError>> + Send;

    /// An item as it is now, `None` when it is gone: tells a deletion from a move, and reads an
    /// item again that failed before.
    fn item(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        item: &ItemId,
    ) -> impl Future<Output = Result<Option<Item>, ExchangeError>> + Send;

    /// The same for many items, in their order, with as little waiting as the provider allows.
    ///
    /// # Errors
    /// What concerns all of them; an item that could not be looked for has its error in its place.
    fn items(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        items: &[ItemId],
    ) -> impl Future<Output = Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError>> + Send
    {
        one_by_one(self, mailbox, kind, items)
    }

    /// The same where it is known in which folder each was last: there it is looked for first, by a
    /// provider that finds an item by its folder only. `None` in place of an item says that all
    /// folders in which it can be were asked.
    fn look_for(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        items: &[(ItemId, Option<FolderId>)],
    ) -> impl Future<Output = Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError>> + Send
    {
        async move {
            let ids: Vec<_> = items.iter().map(|(id, _)| id.clone()).collect();
            self.items(mailbox, kind, &ids).await
        }
    }

    /// All of an event, a contact, a task or a setting that a change named. Of what comes as a
    /// stream, everything but that: its subject, and what a [`likeness`] is made of.
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
    ///
    /// Where the provider has no way to delete what is replaced, the first of [`NewItem::replaces`] is
    /// overwritten instead: then [`Created::id`] is that one.
    fn create(
        &self,
        mailbox: &Mailbox,
        folder: &Folder,
        item: &NewItem<'_>,
    ) -> impl Future<Output = Result<Created, ExchangeError>> + Send;

    /// Deletes what carries the mark of an item that was made in this folder, finished or not, and
    /// is none of those to `keep`: a request whose answer was lost may be carried out late, when
    /// it was already repeated. Tells how many there were.
    fn remove_doubles(
        &self,
        mailbox: &Mailbox,
        folder: &Folder,
        kind: ItemKind,
        mark: &Mark,
        keep: &[ItemId],
    ) -> impl Future<Output = Result<usize, ExchangeError>> + Send;

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

    /// All copies of messages with these `Message-ID`s (with their angle brackets), wherever in the mailbox
    /// they lie: what was sent, what was deleted, what was purged and can be recovered, what is hidden.
    fn copies(
        &self,
        mailbox: &Mailbox,
        message_ids: &[String],
    ) -> impl Future<Output = Result<Vec<Item>, ExchangeError>> + Send;

    /// The quarantine of a mailbox; made when there is none.
    fn quarantine(
        &self,
        mailbox: &Mailbox,
    ) -> impl Future<Output = Result<Quarantine, ExchangeError>> + Send;

    /// A folder, when it is the quarantine, which a list of folders need not name.
    fn quarantine_called(
        &self,
        mailbox: &Mailbox,
        folder: &FolderId,
    ) -> impl Future<Output = Result<Option<Folder>, ExchangeError>> + Send;

    /// Moves a message to another folder of its mailbox, also one that was purged and can be recovered.
    /// Gives the message as it is then; its id stays.
    ///
    /// # Errors
    /// [`ExchangeError::NotFound`] when the message is gone, or the folder is.
    fn relocated(
        &self,
        mailbox: &Mailbox,
        item: &ItemId,
        to: &FolderId,
    ) -> impl Future<Output = Result<Item, ExchangeError>> + Send;

    /// Deletes a message so that its owner cannot get it back. That it is gone already is no error.
    fn purge(
        &self,
        mailbox: &Mailbox,
        item: &ItemId,
    ) -> impl Future<Output = Result<(), ExchangeError>> + Send;

    /// What was asked of the provider since this value was made.
    fn usage(&self) -> Usage;
}

/// [`Provider::items`] where there is no better way.
pub(crate) async fn one_by_one<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
    kind: ItemKind,
    items: &[ItemId],
) -> Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError> {
    let mut found = Vec::with_capacity(items.len());
    for items in items.chunks(PER_MAILBOX) {
        let looked = items.iter().map(|item| provider.item(mailbox, kind, item));
        for looked in join_all(looked).await {
            match looked {
                Err(error) if !error.concerns_one_item() && !error.is_refusal() => {
                    return Err(error);
                }
                looked => found.push(looked),
            }
        }
    }
    Ok(found)
}

/// All of an event, a contact, a task or a setting.
#[derive(Clone, Debug)]
pub struct Details {
    /// With its [`detail`](Item::detail), and the content key of just this state.
    pub item: Item,
    /// An event's or a task's attachments, in the order of its
    /// [`attachments`](mailkeep_model::Event), or a contact's photograph. Of a stream there are none.
    pub attachments: Vec<Attachment>,
    /// Room in memory for the attachments, to be dropped when they are: others wait for it.
    pub room: Held,
}

/// Which item in which state something was made of. Kept at the provider as a property of what a
/// restore made, so that restoring again finds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The same for one item and one place that it is restored to, whatever its state; 32
    /// characters of `0-9a-f`.
    pub item: String,
    /// The same for one state of it; 16 such characters. `None` in marks of earlier versions, whose
    /// `item` stands for the state, too.
    pub state: Option<String>,
}

impl Mark {
    pub(crate) fn text(&self) -> String {
        match &self.state {
            Some(state) => format!("{}.{state}", self.item),
            None => self.item.clone(),
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once('.') {
            Some((item, state)) => Self { item: item.into(), state: Some(state.into()) },
            None => Self { item: text.into(), state: None },
        }
    }
}

/// What something is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Which item, in which state.
    pub mark: Mark,
    /// From which snapshot; for people.
    pub snapshot: String,
}

/// What to look for with [`Provider::existing`].
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The item as it was called when it was backed up.
    pub item: ItemId,
    /// The [`Mark::item`] of whatever a restore made of it.
    pub mark: String,
    /// The same in marks of earlier versions.
    pub former: String,
    /// What tells a copy of it, for what can carry no mark: [`likeness`] of the item.
    pub likeness: Option<Likeness>,
}

/// What a copy has in common with its original, where the provider lets nothing be written into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Likeness {
    /// The same in every copy, whatever became of it since (MAPI: `PidTagSearchKey`).
    pub key: Option<String>,
    /// The same in every copy that nobody changed.
    pub state: String,
}

/// What a copy of an item has in common with it; `None` for what carries marks instead.
pub fn likeness(item: &Item) -> Option<Likeness> {
    let told = |name: &str| item.provider.get(name).and_then(serde_json::Value::as_str);
    let key = told(SEARCH_KEY).map(str::to_owned);
    let state = told(STATE).map(str::to_owned)?;
    (item.kind == ItemKind::Opaque).then_some(Likeness { key, state })
}

/// Where an item's [`provider`](Item::provider) has what its likeness is made of.
pub(crate) const SEARCH_KEY: &str = "searchKey";
pub(crate) const STATE: &str = "state";

/// An item that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its identifier.
    pub id: ItemId,
    /// The folder that it lies in.
    pub folder: FolderId,
    /// The mark that it carries, when a restore made it to the end.
    pub mark: Option<Mark>,
    /// Whether somebody changed it after it was made; only told of what carries a mark.
    pub edited: bool,
    /// What it was made to replace; told of what carries a mark. Some of that may still be there.
    pub replaces: Vec<ItemId>,
    /// Whether it lies among the deleted items.
    pub deleted: bool,
    /// Whether deleting it would send notices to people: a meeting with attendees.
    pub notifies: bool,
    /// Changes with its content; see [`Item::content_key`].
    pub content_key: String,
    /// See [`heading`].
    pub heading: Option<String>,
}

impl Existing {
    /// One that no restore made, that is not among the deleted items, whose deletion sends nothing, and
    /// that has no heading.
    pub fn new(id: ItemId, folder: FolderId, content_key: String) -> Self {
        Self {
            id,
            folder,
            mark: None,
            edited: false,
            replaces: Vec::new(),
            deleted: false,
            notifies: false,
            content_key,
            heading: None,
        }
    }
}

/// What makes a message that was received or sent the same message: identifier, subject, time,
/// sender and recipients. Unlike [`Item::content_key`] without the size, which providers and
/// clients change without touching the content.
///
/// `None` for drafts, which are still being written, for what is no message, and for messages that
/// have no identifier of their own.
pub fn heading(item: &Item) -> Option<String> {
    let id = item.internet_message_id.as_deref().filter(|id| !id.is_empty())?;
    if item.kind != ItemKind::Message || item.draft {
        return None;
    }
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(id);
    add(&item.subject);
    add(&item.sent.map(|sent| sent.unix_timestamp().to_string()).unwrap_or_default());
    add(item.from.as_deref().unwrap_or_default());
    item.recipients.iter().for_each(|recipient| add(recipient));
    Some(BASE64URL_NOPAD.encode(&hash.finalize()[..15]))
}

/// An item to be written back.
#[derive(Clone, Copy, Debug)]
pub struct NewItem<'a> {
    /// What the provider told of it.
    pub item: &'a Item,
    /// A message's MIME; not used for others.
    pub content: &'a Bytes,
    /// The provider's full-fidelity stream where the backup holds one: it is written back instead
    /// of everything else, and nothing is lost. The only form that an [`ItemKind::Opaque`] has.
    pub stream: Option<&'a Bytes>,
    /// An event's or a task's attachments, a contact's photograph.
    pub attachments: &'a [Attachment],
    /// What it is made of.
    pub origin: &'a Origin,
    /// Whether the mailbox was searched for that already.
    pub looked: Looked,
    /// What will be deleted once this is there, or is overwritten. It is not taken for it, whatever
    /// mark it carries, and is named in a property, so that a replacement that was cut off can be
    /// finished.
    pub replaces: &'a [ItemId],
}

/// Whether it is known that nothing in the mailbox carries a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// [`Provider::existing`] was just asked and found nothing but what is replaced: one request
    /// less for each item.
    NothingThere,
    /// Not yet, or something was tried since.
    NotYet,
}

/// An item that was written back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// What it is called now. One of [`NewItem::replaces`] when that was overwritten.
    pub id: ItemId,
    /// What the provider does not take, for people; empty when nothing was lost.
    pub lost: Vec<String>,
    /// Whether an answer was lost on the way and the request was repeated: the first one may still
    /// be carried out. See [`Provider::remove_doubles`].
    pub doubtful: bool,
}

/// A message's content above this size is none: the provider keeps no message of more than 150 MB.
const LARGEST_CONTENT: u64 = 512 << 20;

/// The content of one message, on its way in. Dropping it gives its place in the mailbox's gate
/// back.
pub struct Content {
    action: String,
    response: reqwest::Response,
    began: Instant,
    received: u64,
    usage: crate::usage::Counters,
    _place: crate::gate::Place,
}

impl Content {
    pub(crate) fn new(
        action: String,
        response: reqwest::Response,
        usage: crate::usage::Counters,
        place: crate::gate::Place,
    ) -> Self {
        Self { action, response, began: Instant::now(), received: 0, usage, _place: place }
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// [`ExchangeError::Protocol`] when the answer broke off: what came so far is incomplete;
    /// [`ExchangeError::Unsupported`] when it is larger than any message.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        let chunk = self.response.chunk().await.map_err(|error| {
            let reason = crate::graph::root_cause(&error);
            self.broken(&format!(
                "the connection broke off after {} bytes ({reason})",
                self.received
            ))
        })?;
        if let Some(chunk) = &chunk {
            self.received += chunk.len() as u64;
            self.usage.add_bytes(chunk.len());
        }
        if self.received.max(self.announced_bytes().unwrap_or_default()) > LARGEST_CONTENT {
            return Err(ExchangeError::unsupported(
                &self.action,
                format!(
                    "its content is larger than {} MiB, which no message is. Everything else is read; \
                     look at this one in Outlook, and for what answers in the provider's place",
                    LARGEST_CONTENT >> 20
                ),
            ));
        }
        if crate::graph::is_stuck(self.began.elapsed(), self.received) {
            return Err(self.broken(&format!("{} bytes came in minutes", self.received)));
        }
        Ok(chunk)
    }

    /// The announced length in bytes, when the provider announced one.
    pub fn announced_bytes(&self) -> Option<u64> {
        self.response.content_length()
    }

    fn broken(&self, reason: &str) -> ExchangeError {
        ExchangeError::protocol(&self.action, format!("{reason}. {}", crate::graph::UNFIT))
    }
}
