//! The mailbox providers: one trait, one implementation a provider.
//!
//! # Vocabulary
//!
//! - A [`Provider`] opens the mailboxes of one tenant, with the key of one function. All parts of
//!   Mailkeep reach mail through this trait and through nothing else.
//! - Its *changes* come in pages from a cursor; [`Content`] is the MIME of one message, streamed.
//! - A [`Mark`] in what a restore made says of which item in which state, so that a restore can
//!   be repeated.
//! - The *quarantine* is a hidden folder of a mailbox, for messages that their owner is not to see.
//! - Mailboxes are *discovered*: a provider's directory, followed from a cursor, and what a
//!   selection leaves of it.
//! - A *mailbox gate* bounds what is in flight for one application and mailbox, as the provider
//!   counts it, and holds that mailbox's requests back when the provider asks for it.
//! - A [`Subscription`] makes the provider send a [`Notification`] when something changes in a
//!   mailbox. It is a hint to look, and nothing else of it is believed.
//! - The [`GraphAuditor`] and the [`ActivityFeed`] read what the provider's logs and registrations say
//!   of the use of our keys ([`Logged`]); the [`Registrar`] changes registrations.
//! - [`Usage`] counts what was asked of the provider.
//!
//! Clocks, randomness (jitter) and network I/O are used here; nothing is kept on disk but the
//! receipts of token requests, which `identity` writes.

mod error;
mod gate;
mod graph;
mod provider;
mod room;
mod usage;

pub use error::ExchangeError;
pub use graph::{
    About, Access, ActivityFeed, Canary, CanarySending, ConfigurationSnapshot, Connections,
    Endpoint, Entry, Extras, FeedContent, GraphAuditor, GraphConfig, GraphProvider,
    LARGEST_NOTIFICATIONS, LONGEST_SUBSCRIPTION, LogPage, Logged, NewKey, Notification, ObjectId,
    Registrar, Subscription, SubscriptionId, ToldUser, Topic, message_request,
    parse_access_policies_page, parse_activity_export, parse_audit_query_page, parse_audit_records,
    parse_batch_answer, parse_configuration, parse_contacts_page, parse_directory_changes_page,
    parse_event, parse_events_page, parse_exchange_changes_page, parse_exported,
    parse_feed_content, parse_folder_page, parse_item_page, parse_mailbox_items_page,
    parse_named_locations_page, parse_notifications, parse_refusal, parse_registered_object,
    parse_retry_after, parse_settings, parse_sign_ins_page, parse_subscription, parse_task,
    parse_tasks_page, parse_token_answer, parse_token_refusal, parse_users_page,
};
pub use provider::{
    Content, Created, Details, Existing, Likeness, Looked, Mark, NewItem, Origin, Provider,
    QUARANTINE, Quarantine, Selected, Wanted, heading, likeness,
};
pub use room::Held;
pub use usage::Usage;
