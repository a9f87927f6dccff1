use std::{path::PathBuf, sync::Arc};

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Why the state could not be read or written. Nothing was changed: every call is one transaction.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Another writer held the database for longer than the waiting time.
    #[error("the control database is busy: another writer holds it; try again ({0})")]
    Busy(String),
    /// No space left for the database.
    #[error(
        "no space left for the control database: free some and try again; nothing was lost ({0})"
    )]
    Full(String),
    /// The file is damaged or is no Mailkeep database, or a row cannot be understood.
    #[error(
        "the control database is damaged ({0}): stop all Mailkeep processes, move control.sqlite \
         and its -wal and -shm files away and restore them from a copy; the catalog is rebuilt \
         from the vault"
    )]
    Corrupt(String),
    /// The database was written by a later version.
    #[error(
        "the control database was written by a later version of Mailkeep (it holds '{migration}'): \
         use that version or a later one"
    )]
    NewerSchema {
        /// The first schema change that this version does not know.
        migration: String,
    },
    /// Something that the call named is not in the database.
    #[error("{what} is not known")]
    NotFound {
        /// What was asked for, e.g. `tenant 'acme'`.
        what: String,
    },
    /// Something with that name is there already.
    #[error("{what} exists already")]
    AlreadyExists {
        /// What was to be added.
        what: String,
    },
    /// The catalog stands at another snapshot than the caller took for granted.
    #[error(
        "the catalog of tenant '{tenant}' stands at {found:?}, not at {expected:?}: catch up with \
         the vault first"
    )]
    HeadMoved {
        /// The tenant.
        tenant: String,
        /// The head that the caller built on.
        expected: Option<String>,
        /// The head in the database.
        found: Option<String>,
    },
    /// The caller's request contradicts itself; a defect in the caller.
    #[error("refused for tenant '{tenant}': {what}")]
    Refused {
        /// The tenant.
        tenant: String,
        /// What is contradictory.
        what: String,
    },
    /// The database's directory or file cannot be created or opened.
    #[error("cannot open the control database {}: {error}", path.display())]
    Open {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        error: Arc<std::io::Error>,
    },
    /// Another failure of the database.
    #[error("the control database failed: {0}")]
    Database(DbErr),
}

impl ControlError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl From<DbErr> for ControlError {
    fn from(error: DbErr) -> Self {
        if let DbErr::ConnectionAcquire(_) = &error {
            return Self::Busy("all connections are in use".to_owned());
        }
        let text = error.to_string();
        match error_code(&error).as_deref().map(Kind::of) {
            Some(Kind::Busy) => Self::Busy(text),
            Some(Kind::Full) => Self::Full(text),
            Some(Kind::Corrupt) => Self::Corrupt(text),
            Some(Kind::Other) | None => Self::Database(error),
        }
    }
}

enum Kind {
    Busy,
    Full,
    Corrupt,
    Other,
}

impl Kind {
    /// SQLite's result codes are numbers whose low byte is the primary code
    /// (<https://www.sqlite.org/rescode.html>); PostgreSQL's SQLSTATE has five characters
    /// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    fn of(code: &str) -> Self {
        const SQLITE_BUSY: u32 = 5;
        const SQLITE_LOCKED: u32 = 6;
        const SQLITE_CORRUPT: u32 = 11;
        const SQLITE_FULL: u32 = 13;
        const SQLITE_NOTADB: u32 = 26;
        if code.len() == 5 {
            return match code {
                // Serialisation failure, deadlock, lock not available.
                "40001" | "40P01" | "55P03" => Self::Busy,
                "53100" => Self::Full,
                "XX001" | "XX002" => Self::Corrupt,
                _ => Self::Other,
            };
        }
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(SQLITE_BUSY | SQLITE_LOCKED) => Self::Busy,
            Ok(SQLITE_FULL) => Self::Full,
            Ok(SQLITE_CORRUPT | SQLITE_NOTADB) => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

fn error_code(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    match error.as_ref() {
        sqlx::Error::Database(error) => error.code().map(std::borrow::Cow::into_owned),
        _ => None,
    }
}
