//! Sync & Recover: repository, rounds, export.
//!
//! # Vocabulary
//!
//! - A [`Vault`] is a tenant's *repository*, in restic's format (version 2): encrypted,
//!   deduplicated, compressed. Stock `restic` opens, checks and restores it.
//! - A [`Round`] is a set of changes of some mailboxes; writing it makes one [`Snapshot`], which
//!   holds the state of *all* mailboxes. Directories that did not change are *grafted*: referred
//!   to, neither read nor written.
//! - In a snapshot, a mailbox is a directory named by its address; folders are directories; the
//!   items of a month lie in a *leaf* directory, `2026-11`, and when a month has many, `2026-11
//!   (2)` and so on. An [`ItemPath`] says where an item lies.
//! - Content is a message's MIME, an event's [`icalendar`], a task's [`todo`], a contact's [`vcard`],
//!   a setting's [`setting_json`], and of everything else the provider's stream as it came.
//! - The provider's *stream* of an item may lie beside its content: all that the provider keeps of it,
//!   opaque to us.
//! - Beside the content a leaf has an *index*, `items.jsonl`: what the provider told of each item.
//! - A [`ShortId`] is how a person names an item. It survives moves.
//! - A round whose items could not all be read is [`Outcome::Partial`]; the others are safe.
//!
//! Nothing in here talks to a provider, reads a clock or knows a schedule.

mod browse;
mod catalog;
mod combined;
mod error;
mod export;
mod folder_path;
mod formats;
mod layout;
mod mbox;
mod plan;
mod records;
mod recovery_kit;
mod repository;
mod round;
mod source;
mod storage;
mod stored;
mod verify;
mod view;
mod write;

pub use catalog::CatalogChange;
pub use error::{InvalidShortId, Retry, VaultError};
pub use export::{ExportForm, ExportProgress, ExportReport, Selection};
pub use folder_path::FolderPath;
pub use formats::{
    attachments_in_icalendar, icalendar, photo_in_vcard, setting_json, todo, vcard,
    write_icalendar, write_todo,
};
pub use recovery_kit::{ReadKit, RecoveryKit, read_recovery_kit, write_recovery_kit};
pub use repository::Vault;
pub use round::{
    Content, FailedItem, ItemChange, MailboxRound, NewStream, OpenContent, Placed, Round,
    RoundReport,
};
pub use stored::{
    Completeness, ItemPath, Outcome, ShortId, Snapshot, SnapshotId, StoredFolder, StoredItem,
    StoredMailbox,
};
pub use verify::{Problem, ReadData, VerifyReport};
