use std::{path::Path, sync::Arc, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use sea_orm_migration::MigratorTrait;

use crate::{ControlError, key_states::Notes, migration::Migrator};

/// The database's file in the data directory.
const FILE: &str = "control.sqlite";
/// How long a writer waits for another process's transaction. The longest one, a rebuild's chunk
/// or a first round of a large tenant, takes a few seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a task waits for the one writer of this process.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);
/// Reads of one process that run beside each other.
const READERS: u32 = 4;
/// Connections to a PostgreSQL server; writers do not exclude each other there.
const POSTGRES_CONNECTIONS: u32 = 8;

/// The open database.
///
/// Every method that changes something is one transaction: it happens as a whole or not at all,
/// and is durable when the call returns. Dropping a call's future before that undoes it.
#[derive(Clone, Debug)]
pub struct Control {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    pub(crate) notes: Arc<Notes>,
}

impl Control {
    /// Opens `control.sqlite` in a data directory; creates both, readable by their owner alone,
    /// and brings an older schema up to date.
    ///
    /// # Errors
    ///
    /// [`ControlError::NewerSchema`] when a later version wrote it, [`ControlError::Corrupt`] when
    /// the file is no database, [`ControlError::Open`] when it cannot be created.
    pub async fn open(directory: &Path) -> Result<Self, ControlError> {
        let file = directory.join(FILE);
        create_private(directory, &file)?;
        let writer = retry_while_busy(|| connect_sqlite(&file, Access::Write)).await?;
        migrate(&writer).await?;
        let reader = retry_while_busy(|| connect_sqlite(&file, Access::Read)).await?;
        Ok(Self { writer, reader, notes: Arc::default() })
    }

    /// Opens a database on a PostgreSQL server (`postgres://…`) and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// As [`Control::open`].
    pub async fn open_url(url: &str) -> Result<Self, ControlError> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(POSTGRES_CONNECTIONS);
        quiet(&mut options);
        let connection = Database::connect(options).await?;
        migrate(&connection).await?;
        Ok(Self { writer: connection.clone(), reader: connection, notes: Arc::default() })
    }

    /// Closes the database once running calls are done. Every clone is closed with it.
    ///
    /// # Errors
    ///
    /// When the database reports one.
    pub async fn close(self) -> Result<(), ControlError> {
        self.reader.close().await?;
        Ok(self.writer.close().await?)
    }

    /// For single statements that only read.
    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For several reads that must see the same state.
    pub(crate) async fn read(&self) -> Result<DatabaseTransaction, ControlError> {
        use sea_orm::IsolationLevel;
        let isolation_level = match self.reader.get_database_backend() {
            // SQLite's transactions are snapshots anyway, and it has no such setting.
            DbBackend::Sqlite => None,
            _ => Some(IsolationLevel::RepeatableRead),
        };
        Ok(self.reader.begin_with_config(isolation_level, None).await?)
    }

    /// For everything that writes. Taking SQLite's write lock at once (`BEGIN IMMEDIATE`) lets a
    /// second writer wait; one that first reads and then wants to write is refused instead.
    pub(crate) async fn write(&self) -> Result<DatabaseTransaction, ControlError> {
        Ok(begin_write(&self.writer).await?)
    }
}

enum Access {
    Read,
    Write,
}

async fn begin_write(
    connection: &DatabaseConnection,
) -> Result<DatabaseTransaction, sea_orm::DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    connection.begin_with_options(options).await
}

async fn connect_sqlite(file: &Path, access: Access) -> Result<DatabaseConnection, ControlError> {
    let file = file.to_owned();
    // The path is given below: in a URL it would have to be escaped.
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(match access {
        Access::Write => 1,
        Access::Read => READERS,
    });
    quiet(&mut options);
    options.map_sqlx_sqlite_opts(move |options| {
        let options = options
            .in_memory(false)
            .shared_cache(false)
            .filename(&file)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            // A large round must not leave a large file behind for ever.
            .pragma("journal_size_limit", "67108864");
        match access {
            // 16 MiB: the index over a million items stays in memory.
            Access::Write => options.pragma("cache_size", "-16384"),
            Access::Read => options.pragma("query_only", "ON"),
        }
    });
    Ok(Database::connect(options).await?)
}

fn quiet(options: &mut ConnectOptions) {
    // Statements of thousands of variables are no use in a log.
    options.sqlx_logging(false).record_stmt_in_spans(false).acquire_timeout(ACQUIRE_TIMEOUT);
}

/// Changing to WAL mode does not wait for other processes that do the same
/// (<https://www.sqlite.org/wal.html>); it happens once in a database's life.
async fn retry_while_busy<F, R>(mut connect: F) -> Result<DatabaseConnection, ControlError>
where
    F: FnMut() -> R,
    R: Future<Output = Result<DatabaseConnection, ControlError>>,
{
    for delay in [10, 50, 200, 1_000] {
        match connect().await {
            Err(ControlError::Busy(_)) => tokio::time::sleep(Duration::from_millis(delay)).await,
            other => return other,
        }
    }
    connect().await
}

async fn migrate(writer: &DatabaseConnection) -> Result<(), ControlError> {
    // In one transaction, so that two processes that open a new database at the same time do not
    // both create it, and so that a crash leaves no half of a schema.
    let transaction = begin_write(writer).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // Any number will do, as long as every version uses the same.
        let lock = "SELECT pg_advisory_xact_lock(7305809124)".to_owned();
        transaction.execute_raw(Statement::from_string(DbBackend::Postgres, lock)).await?;
    }
    let known: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let applied = Migrator::get_migration_models(&transaction).await?;
    if let Some(newer) = applied.into_iter().find(|applied| !known.contains(&applied.version)) {
        return Err(ControlError::NewerSchema { migration: newer.version });
    }
    Migrator::up(&transaction, None).await?;
    Ok(transaction.commit().await?)
}

/// SQLite gives its `-wal` and `-shm` files the rights of the database's file.
fn create_private(directory: &Path, file: &Path) -> Result<(), ControlError> {
    let open =
        |path: &Path, error| ControlError::Open { path: path.to_owned(), error: Arc::new(error) };
    let mut create_directory = std::fs::DirBuilder::new();
    create_directory.recursive(true);
    let mut create_file = std::fs::OpenOptions::new();
    create_file.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        create_directory.mode(0o700);
        create_file.mode(0o600);
    }
    create_directory.create(directory).map_err(|error| open(directory, error))?;
    create_file.open(file).map_err(|error| open(file, error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_called_full_and_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let control = Control::open(directory.path()).await.unwrap();
        let entry = |details: &str| crate::AuditEntry {
            time: time::OffsetDateTime::UNIX_EPOCH,
            actor: "root".into(),
            action: "test".into(),
            tenant: None,
            details: details.into(),
        };
        control.audit(entry("before")).await.unwrap();
        // SQLite answers as on a full disk when the file may not grow.
        control.writer.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
        let refused = control.audit(entry(&"x".repeat(1_000_000))).await.unwrap_err();
        assert!(matches!(refused, ControlError::Full(_)), "{refused}");
        assert!(!refused.is_retryable());
        control.writer.execute_unprepared("PRAGMA max_page_count = 4294967294").await.unwrap();
        control.audit(entry("after")).await.unwrap();
        let entries = control.audit_entries(&crate::AuditFilter::default()).await.unwrap();
        assert_eq!(entries.len(), 2);
    }

    #[tokio::test]
    async fn a_writer_that_waits_too_long_is_told_to_try_again() {
        let directory = tempfile::tempdir().unwrap();
        let control = Control::open(directory.path()).await.unwrap();
        control.writer.execute_unprepared("PRAGMA busy_timeout = 1").await.unwrap();
        let other = Control::open(directory.path()).await.unwrap();
        let held = other.write().await.unwrap();
        let refused = control.write().await.unwrap_err();
        assert!(matches!(refused, ControlError::Busy(_)) && refused.is_retryable(), "{refused}");
        // Readers do not wait for writers.
        assert!(control.tenants().await.unwrap().is_empty());
        held.rollback().await.unwrap();
        control.write().await.unwrap();
    }

    #[tokio::test]
    async fn commits_survive_a_power_failure_and_references_hold() {
        let directory = tempfile::tempdir().unwrap();
        let control = Control::open(directory.path()).await.unwrap();
        let pragma = async |connection: &DatabaseConnection, name: &str| {
            let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
            connection.query_one_raw(statement).await.unwrap().unwrap()
        };
        const FULL: i32 = 2;
        let value = pragma(&control.writer, "synchronous").await;
        assert_eq!(value.try_get_by_index::<i32>(0).unwrap(), FULL);
        let value = pragma(&control.writer, "foreign_keys").await;
        assert_eq!(value.try_get_by_index::<i32>(0).unwrap(), 1);
        let value = pragma(&control.writer, "journal_mode").await;
        assert_eq!(value.try_get_by_index::<String>(0).unwrap(), "wal");
        // Nothing is written past the one writer.
        assert!(control.reader.execute_unprepared("DELETE FROM tenants").await.is_err());
    }
}
