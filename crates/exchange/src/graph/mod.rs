//! Microsoft 365 through Microsoft Graph v1.0, application permissions.
//!
//! Sources: the Graph reference pages `message: delta`, `mailFolder: delta`, `Get message`
//! (`$value`), `Throttling limits`, `Immutable identifiers for Outlook resources`.

mod client;
mod directory;
mod folders;
mod mail;
mod refusal;
mod token;
mod wire;

use mailkeep_model::{Cursor, Folder, FolderId, Item, ItemId, Mailbox, Page};

pub(crate) use client::root_cause;
pub use client::{Access, GraphConfig, GraphProvider};
pub use folders::parse_folder_page;
pub use mail::parse_item_page;

use crate::{Content, ExchangeError, Provider, Usage};

impl Provider for GraphProvider {
    async fn domains(&self) -> Result<Vec<String>, ExchangeError> {
        directory::domains(self).await
    }

    async fn mailboxes(&self) -> Result<Vec<Mailbox>, ExchangeError> {
        directory::mailboxes(self).await
    }

    async fn folder_changes(
        &self,
        mailbox: &Mailbox,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Folder, FolderId>, ExchangeError> {
        folders::changes(self, mailbox, cursor).await
    }

    async fn item_changes(
        &self,
        mailbox: &Mailbox,
        folder: &FolderId,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Item, ItemId>, ExchangeError> {
        mail::changes(self, mailbox, folder, cursor).await
    }

    async fn content(&self, mailbox: &Mailbox, item: &ItemId) -> Result<Content, ExchangeError> {
        mail::content(self, mailbox, item).await
    }

    async fn item(&self, mailbox: &Mailbox, item: &ItemId) -> Result<Option<Item>, ExchangeError> {
        mail::find(self, mailbox, item).await
    }

    fn usage(&self) -> Usage {
        self.usage_now()
    }
}
