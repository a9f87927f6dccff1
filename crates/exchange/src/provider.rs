use std::future::Future;

use bytes::Bytes;
use mailkeep_model::{Cursor, Folder, FolderId, Item, ItemId, Mailbox, Page};

use crate::{ExchangeError, Usage};

/// The mailboxes of one tenant, read with the key of one function.
///
/// Every method retries what is worth retrying (throttling, a lost connection) within bounded
/// time; an error that comes out of here is final for this pass. Cloning is cheap and shares
/// connections, tokens and limits.
pub trait Provider: Clone + Send + Sync + 'static {
    /// The domains that belong to the tenant, in lower case: what is *inside*.
    fn domains(&self) -> impl Future<Output = Result<Vec<String>, ExchangeError>> + Send;

    /// All mailboxes that the provider's directory lists.
    fn mailboxes(&self) -> impl Future<Output = Result<Vec<Mailbox>, ExchangeError>> + Send;

    /// One page of changes to a mailbox's folder tree; `None` begins with all folders.
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

    /// One page of changes to what a folder holds; `None` begins with all items.
    ///
    /// # Errors
    /// [`ExchangeError::CursorExpired`] when the enumeration has to begin anew,
    /// [`ExchangeError::NotFound`] when the folder is gone.
    fn item_changes(
        &self,
        mailbox: &Mailbox,
        folder: &FolderId,
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
        item: &ItemId,
    ) -> impl Future<Output = Result<Option<Item>, ExchangeError>> + Send;

    /// What was asked of the provider since this value was made.
    fn usage(&self) -> Usage;
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
