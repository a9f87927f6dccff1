//! Plain data that all parts of Mailkeep speak.
//!
//! # Vocabulary
//!
//! - A [`TenantName`] names an organisation; everything that belongs to it carries that name.
//! - A [`Mailbox`] is one mailbox of a tenant at a provider; a [`Folder`] is a folder in it.
//! - An [`Item`] is what a folder holds: a message, an [`Event`], a [`Contact`], a [`Task`], a
//!   [`Setting`], or something opaque that the provider gives out as a stream. A message's *content*
//!   (MIME) is not in here, only what the provider tells beside it: flags, categories, times.
//! - A [`Change`] is what a provider reports since a [`Cursor`], the place where a
//!   synchronisation stands (Graph's `deltaLink`, EWS's `SyncState`).
//! - A [`Finding`] is one detector's evidence on one message, a [`Verdict`] what all findings of
//!   a message come to.
//! - A [`MailboxSelection`] says which mailboxes of a provider's [`Directory`] are meant.
//! - A [`Function`] is a purpose that a tenant's mailboxes are opened for. Every pair of tenant
//!   and function has a key of its own.
//! - A [`SignIn`], a [`MailAccess`], a [`ProviderCall`] and a [`DirectoryChange`] are records of a
//!   provider's logs; a [`Registration`] is an application as the provider has it, and [`AccessRules`]
//!   say from where applications get tokens.
//!
//! Nothing in here reads a clock, a file or the network.

mod canary;
mod change;
mod contact;
mod directory;
mod event;
mod evidence;
mod exchange_admin;
mod finding;
mod item;
mod list;
mod mailbox;
mod registration;
mod secret;
mod setting;
mod task;
mod tenant;
mod text;
mod traffic;

pub use canary::{CANARY_HEADER, CanaryMark, NoCanaryMark};
pub use change::{Change, Cursor, Next, Page};
pub use contact::{Contact, PostalAddress};
pub use directory::{
    Directory, DirectoryUser, Home, InvalidMailboxKind, MailboxKind, MailboxSelection, Named,
};
pub use event::{
    Attachment, AttachmentInfo, Attendee, Body, Event, Exception, Pattern, Person, Recurrence,
    Response, Role, Sensitivity, ShowAs, Until, WeekIndex, Weekday, ZonedTime,
};
pub use evidence::{
    AccessedMessage, Actor, Breadth, ChangedObject, CredentialKind, DirectoryChange, MailAccess,
    ProviderCall, SignIn,
};
pub use exchange_admin::{ExchangeChange, ExchangeObject, ExchangePart, ModifiedProperty};
pub use finding::{Category, Finding, Severity, Verdict, VerdictKind};
pub use item::{Detail, FollowUp, Importance, Item, ItemId, ItemKind};
pub use list::{ListedApplication, ListedTenant, parse_listed_tenant};
pub use mailbox::{
    Address, Folder, FolderId, FolderKind, InvalidAddress, Mailbox, MailboxId, WellKnownFolder,
};
pub use registration::{
    AccessPolicy, AccessRules, FederatedCredential, NamedLocation, PolicyState, RegisteredKey,
    RegisteredObject, RegisteredPassword, Registration,
};
pub use secret::Secret;
pub use setting::{Setting, SettingKind};
pub use task::{Task, TaskLink, TaskStatus, TaskStep};
pub use tenant::{
    Function, InvalidFunction, InvalidTenantName, ProviderKind, TenantName, UnknownProvider,
};
pub use text::one_line;
pub use traffic::{Direction, TrafficCount};
