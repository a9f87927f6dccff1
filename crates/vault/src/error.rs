use std::{io, path::PathBuf};

use mailkeep_model::{Address, FolderId, MailboxId};
use rustic_core::RusticError;

use crate::{ShortId, SnapshotId};

/// Why the vault could not do what it was asked to do.
///
/// A repository belongs to one tenant, so its directory names the tenant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// [`crate::Vault::create`] found something in the directory.
    #[error("'{}' already holds a repository or other files", dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no repository in the directory.
    #[error("'{}' holds no repository", dir.display())]
    NotARepository {
        /// The directory.
        dir: PathBuf,
    },
    /// No key of the repository opens with the password.
    #[error("the password does not open the repository in '{}'", dir.display())]
    WrongPassword {
        /// The directory.
        dir: PathBuf,
    },
    /// The disk or object store failed. What earlier snapshots hold is untouched.
    #[error("the storage of '{}' failed while {doing}: {reason}", dir.display())]
    Storage {
        /// The repository's directory.
        dir: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The disk is full. What earlier snapshots hold is untouched.
    #[error(
        "no space left on the disk of '{}' while {doing}: free some and run it again; what earlier snapshots hold is safe",
        dir.display()
    )]
    DiskFull {
        /// The repository's directory.
        dir: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// The repository does not hold what it should; `verify` tells more.
    #[error("the repository in '{}' is damaged: {what}", dir.display())]
    Damaged {
        /// The repository's directory.
        dir: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// No such snapshot.
    #[error("there is no snapshot {snapshot}")]
    NoSuchSnapshot {
        /// The identifier that was asked for.
        snapshot: SnapshotId,
    },
    /// The snapshot does not hold the mailbox.
    #[error("snapshot {snapshot} holds no mailbox {mailbox}")]
    NoSuchMailbox {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The mailbox that was asked for.
        mailbox: Address,
    },
    /// The mailbox does not hold the folder in that snapshot.
    #[error("mailbox {mailbox} has no folder '{folder}' in snapshot {snapshot}")]
    NoSuchFolder {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The mailbox.
        mailbox: Address,
        /// Path or identifier of the folder that was asked for.
        folder: String,
    },
    /// The folder does not hold the item in that snapshot.
    #[error("mailbox {mailbox} has no item {item} in snapshot {snapshot}")]
    NoSuchItem {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The mailbox.
        mailbox: Address,
        /// The item that was asked for.
        item: String,
    },
    /// A round contradicts itself; nothing was written.
    #[error("the round for mailbox {} cannot be written: {reason}", mailbox.0)]
    InvalidRound {
        /// The mailbox.
        mailbox: MailboxId,
        /// What is wrong.
        reason: String,
    },
    /// What is stored of an event or contact is not what was written.
    #[error("the stored content is damaged: {what}")]
    Content {
        /// What is wrong.
        what: String,
    },
    /// The directory holds no recovery kit.
    #[error("'{}' holds no recovery kit: {what}", dir.display())]
    NotAKit {
        /// The directory.
        dir: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// The place where an export or a recovery kit goes failed.
    #[error("cannot write '{}': {source}", path.display())]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that an export or a recovery kit would write exists already.
    #[error("'{}' exists already and is not overwritten", path.display())]
    OutputExists {
        /// The file or directory.
        path: PathBuf,
    },
}

/// Whether doing the same again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may pass by itself, or after somebody made room.
    Later,
    /// It will fail again until something else is changed.
    Useless,
}

impl VaultError {
    /// Whether doing the same again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Storage { .. } | Self::DiskFull { .. } => Retry::Later,
            Self::Output { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Retry::Later
            }
            _ => Retry::Useless,
        }
    }

    pub(crate) fn no_such_item(
        snapshot: &SnapshotId,
        mailbox: &Address,
        item: impl Into<String>,
    ) -> Self {
        Self::NoSuchItem { snapshot: snapshot.clone(), mailbox: mailbox.clone(), item: item.into() }
    }

    pub(crate) fn no_such_folder(
        snapshot: &SnapshotId,
        mailbox: &Address,
        folder: &FolderId,
    ) -> Self {
        Self::NoSuchFolder {
            snapshot: snapshot.clone(),
            mailbox: mailbox.clone(),
            folder: folder.0.clone(),
        }
    }
}

/// The text is not a [`ShortId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an item's short id: {len} of 0-9 and a-z without i, l, o, u", len = ShortId::LENGTH)]
pub struct InvalidShortId(pub(crate) String);

/// Whether the disk is full, and one line that says what happened, without the library's advice.
pub(crate) fn reason(error: &RusticError) -> (Full, String) {
    let mut text = error.display_log();
    let mut full = Full::No;
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            if matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                full = Full::Yes;
            }
            text = io.to_string();
        }
        next = cause.source();
    }
    (full, one_line(&text))
}

/// The library prints a cause together with where in the program it arose, whenever
/// `RUST_BACKTRACE` is set: nothing for a person, and not for a report.
pub(crate) fn one_line(text: &str) -> String {
    let text = text.split_once("Backtrace:").map_or(text, |(before, _)| before);
    let words: Vec<&str> = text.trim_start_matches("Error: ").split_whitespace().collect();
    words.join(" ")
}

/// Whether the storage has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;

    use rustic_core::ErrorKind;

    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_the_environment_asks_of_the_library() {
        let cause = RusticError::new(ErrorKind::Cryptography, "the MAC\nis wrong")
            .overwrite_backtrace(Backtrace::force_capture());
        assert!(cause.to_string().contains("Backtrace:"));
        let error = RusticError::with_source(ErrorKind::Internal, "cannot read it", cause)
            .overwrite_backtrace(Backtrace::force_capture());
        let (full, text) = reason(&error);
        assert_eq!(full, Full::No);
        assert!(text.starts_with("cannot read it") && text.contains("the MAC is wrong"), "{text}");
        assert!(!text.contains(['\n', '\r']) && !text.contains("acktrace"), "{text}");
        assert!(!text.contains(concat!(file!(), ":")) && !text.contains("one_line"), "{text}");
    }
}
