//! What the lab holds: tenants, their applications and mailboxes, and in these folders and messages.
//!
//! Every mailbox counts its changes with one number; the folders keep an index by that number,
//! so that a delta query costs what has changed and not what is there.

mod application;
mod changes;
mod content;
mod folder;
mod mailbox;
mod message;
mod tenant;

pub(crate) use application::{Application, Credential};
pub(crate) use changes::{FolderChange, IdKind, MessageChange};
pub(crate) use content::{Content, Core, Importance, Party, SeedMessage};
pub(crate) use folder::{Entry, Folder, ROOT, WellKnown};
pub(crate) use mailbox::{Mailbox, MailboxState, Refusal, Source};
pub(crate) use message::{Flag, Message, Place};
pub(crate) use tenant::{Tenant, Tenants};
