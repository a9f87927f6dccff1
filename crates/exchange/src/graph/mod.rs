//! Microsoft 365 through Microsoft Graph v1.0, application permissions.
//!
//! Sources: the Graph reference pages `message: delta`, `mailFolder: delta`, `Get message`
//! (`$value`), `List calendars`, `List events`, `Get event`, `List contactFolders`, `contact:
//! delta`, `Throttling limits`, `Immutable identifiers for Outlook resources`.

mod admin;
mod answer;
mod attachments;
mod audit;
mod batch;
mod calendar;
mod canary;
mod client;
mod connections;
mod contacts;
mod counts;
mod directory;
mod events;
mod extras;
mod folders;
mod journal;
mod mail;
mod notifications;
mod pages;
mod patience;
mod recoverable;
mod refusal;
mod remedy;
mod selection;
mod send;
mod settings;
mod streams;
mod subscriptions;
mod task_files;
mod tasks;
mod token;
mod token_refusal;
mod trial;
mod wire;
mod wire_outlook;
mod wire_todo;
mod write;
mod zones;

use std::collections::HashMap;

use bytes::Bytes;
use mailkeep_model::{
    Cursor, Directory, Folder, FolderId, FolderKind, Item, ItemId, ItemKind, Mailbox,
    MailboxSelection, Page,
};

pub use admin::{NewKey, ObjectId, Registrar};
pub(crate) use answer::is_stuck;
pub use answer::parse_retry_after;
pub use audit::{
    ActivityFeed, ConfigurationSnapshot, Entry, FeedContent, GraphAuditor, LogPage, Logged,
    parse_access_policies_page, parse_activity_export, parse_audit_query_page, parse_audit_records,
    parse_configuration, parse_directory_changes_page, parse_exchange_changes_page,
    parse_feed_content, parse_named_locations_page, parse_registered_object, parse_sign_ins_page,
};
pub use batch::parse_batch_answer;
pub use canary::{Canary, CanarySending};
pub use client::{Access, GraphConfig, GraphProvider};
pub(crate) use client::{UNFIT, root_cause};
pub use connections::Connections;
pub use contacts::parse_contacts_page;
pub use directory::{ToldUser, parse_users_page};
pub use events::{parse_event, parse_events_page};
pub use extras::Extras;
pub use folders::parse_folder_page;
pub use mail::parse_item_page;
pub use notifications::{About, LARGEST_NOTIFICATIONS, Notification, parse_notifications};
pub use refusal::parse_refusal;
pub use settings::parse_settings;
pub use streams::{parse_exported, parse_mailbox_items_page};
pub use subscriptions::{
    Endpoint, LONGEST_SUBSCRIPTION, Subscription, SubscriptionId, Topic, parse_subscription,
};
pub use tasks::{parse_task, parse_tasks_page};
pub use token::parse_token_answer;
pub use token_refusal::parse_token_refusal;
pub use write::message_request;

use crate::{
    Content, Created, Details, ExchangeError, Existing, Held, Mark, NewItem, Provider, Quarantine,
    Selected, Usage, Wanted, provider::one_by_one,
};

impl Provider for GraphProvider {
    async fn domains(&self) -> Result<Vec<String>, ExchangeError> {
        directory::domains(self).await
    }

    async fn mailboxes(&self) -> Result<Vec<Mailbox>, ExchangeError> {
        directory::mailboxes(self).await
    }

    fn kinds(&self) -> Vec<FolderKind> {
        self.extras().kinds()
    }

    fn is_read(&self, folder: &Folder) -> bool {
        self.extras().read(folder)
    }

    async fn discover(
        &self,
        selection: &MailboxSelection,
        directory: &mut Directory,
    ) -> Result<Selected, ExchangeError> {
        selection::discover(self, selection, directory).await
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
        folder: &Folder,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Item, ItemId>, ExchangeError> {
        match folder.kind {
            FolderKind::Calendar => calendar::changes(self, mailbox, &folder.id, cursor).await,
            FolderKind::Contacts => contacts::changes(self, mailbox, &folder.id, cursor).await,
            FolderKind::Tasks => tasks::changes(self, mailbox, &folder.id, cursor).await,
            FolderKind::Settings => settings::changes(self, mailbox, &folder.id).await,
            FolderKind::Opaque => streams::changes(self, mailbox, &folder.id, cursor).await,
            _ => mail::changes(self, mailbox, &folder.id, cursor).await,
        }
    }

    async fn content(&self, mailbox: &Mailbox, item: &ItemId) -> Result<Content, ExchangeError> {
        match mail::content(self, mailbox, item).await {
            Err(ExchangeError::NotFound { .. }) if self.extras().recoverable_items => {
                recoverable::content(self, mailbox, item).await
            }
            content => content,
        }
    }

    async fn stream(&self, mailbox: &Mailbox, item: &ItemId) -> Result<Bytes, ExchangeError> {
        streams::export(self, mailbox, item).await
    }

    async fn item(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        item: &ItemId,
    ) -> Result<Option<Item>, ExchangeError> {
        match kind {
            ItemKind::Event => calendar::find(self, mailbox, item).await,
            ItemKind::Contact => contacts::find(self, mailbox, item).await,
            ItemKind::Task => tasks::find(self, mailbox, item).await,
            ItemKind::Setting => settings::find(self, mailbox, item).await,
            ItemKind::Opaque => streams::find(self, mailbox, item).await,
            _ => match mail::find(self, mailbox, item).await {
                Ok(None) if self.extras().recoverable_items => {
                    recoverable::find(self, mailbox, item).await
                }
                found => found,
            },
        }
    }

    async fn items(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        items: &[ItemId],
    ) -> Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError> {
        match kind {
            ItemKind::Message => {
                let mut all = mail::find_all(self, mailbox, items).await?;
                if self.extras().recoverable_items {
                    recoverable::find_rest(self, mailbox, items, &mut all).await?;
                }
                Ok(all)
            }
            ItemKind::Contact => contacts::find_all(self, mailbox, items).await,
            ItemKind::Opaque => {
                let items: Vec<_> = items.iter().map(|id| (id.clone(), None)).collect();
                streams::find_all(self, mailbox, &items).await
            }
            _ => one_by_one(self, mailbox, kind, items).await,
        }
    }

    async fn look_for(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        items: &[(ItemId, Option<FolderId>)],
    ) -> Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError> {
        if kind == ItemKind::Opaque {
            return streams::find_all(self, mailbox, items).await;
        }
        let ids: Vec<_> = items.iter().map(|(id, _)| id.clone()).collect();
        self.items(mailbox, kind, &ids).await
    }

    async fn item_counts(
        &self,
        mailbox: &Mailbox,
    ) -> Result<HashMap<FolderId, u64>, ExchangeError> {
        counts::of_folders(self, mailbox).await
    }

    async fn other_folders(
        &self,
        mailbox: &Mailbox,
        kind: FolderKind,
    ) -> Result<Vec<Folder>, ExchangeError> {
        match kind {
            FolderKind::Calendar => calendar::folders(self, mailbox).await,
            FolderKind::Contacts => contacts::folders(self, mailbox).await,
            FolderKind::Tasks => tasks::folders(self, mailbox).await,
            FolderKind::Settings => Ok(settings::folders()),
            FolderKind::Opaque => streams::folders(self, mailbox).await,
            _ => Ok(Vec::new()),
        }
    }

    async fn details(&self, mailbox: &Mailbox, item: &Item) -> Result<Details, ExchangeError> {
        match item.kind {
            ItemKind::Event => calendar::details(self, mailbox, item).await,
            ItemKind::Contact => contacts::details(self, mailbox, item).await,
            ItemKind::Task => tasks::details(self, mailbox, item).await,
            ItemKind::Setting => settings::details(self, mailbox, item).await,
            ItemKind::Opaque => streams::details(self, mailbox, item).await,
            _ => Ok(Details { item: item.clone(), attachments: Vec::new(), room: Held::default() }),
        }
    }

    async fn existing(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        wanted: &[Wanted],
    ) -> Result<Vec<Existing>, ExchangeError> {
        write::existing(self, mailbox, kind, wanted).await
    }

    async fn create_folder(
        &self,
        mailbox: &Mailbox,
        kind: FolderKind,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<Folder, ExchangeError> {
        write::create_folder(self, mailbox, kind, parent, name).await
    }

    async fn create(
        &self,
        mailbox: &Mailbox,
        folder: &Folder,
        item: &NewItem<'_>,
    ) -> Result<Created, ExchangeError> {
        Box::pin(write::create(self, mailbox, folder, item)).await
    }

    async fn remove_doubles(
        &self,
        mailbox: &Mailbox,
        folder: &Folder,
        kind: ItemKind,
        mark: &Mark,
        keep: &[ItemId],
    ) -> Result<usize, ExchangeError> {
        write::remove_doubles(self, mailbox, folder, kind, mark, keep).await
    }

    async fn update(
        &self,
        mailbox: &Mailbox,
        item: &ItemId,
        to: &Item,
    ) -> Result<(), ExchangeError> {
        write::update(self, mailbox, item, to).await
    }

    async fn relocate(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        item: &ItemId,
        to: &FolderId,
    ) -> Result<(), ExchangeError> {
        write::relocate(self, mailbox, kind, item, to).await
    }

    async fn delete(
        &self,
        mailbox: &Mailbox,
        kind: ItemKind,
        item: &ItemId,
    ) -> Result<(), ExchangeError> {
        write::delete(self, mailbox, kind, item).await
    }

    async fn copies(
        &self,
        mailbox: &Mailbox,
        message_ids: &[String],
    ) -> Result<Vec<Item>, ExchangeError> {
        remedy::copies(self, mailbox, message_ids).await
    }

    async fn quarantine(&self, mailbox: &Mailbox) -> Result<Quarantine, ExchangeError> {
        remedy::quarantine(self, mailbox).await
    }

    async fn quarantine_called(
        &self,
        mailbox: &Mailbox,
        folder: &FolderId,
    ) -> Result<Option<Folder>, ExchangeError> {
        remedy::quarantine_called(self, mailbox, folder).await
    }

    async fn relocated(
        &self,
        mailbox: &Mailbox,
        item: &ItemId,
        to: &FolderId,
    ) -> Result<Item, ExchangeError> {
        remedy::relocated(self, mailbox, item, to).await
    }

    async fn purge(&self, mailbox: &Mailbox, item: &ItemId) -> Result<(), ExchangeError> {
        remedy::purge(self, mailbox, item).await
    }

    fn usage(&self) -> Usage {
        self.usage_now()
    }
}
