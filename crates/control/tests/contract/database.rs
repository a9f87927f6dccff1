//! The database's file: opening it, sharing it, losing the process that writes it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use mailkeep_control::{AuditEntry, AuditFilter, Control, ControlError};
use mailkeep_model::Cursor;
use sea_orm::ConnectionTrait;

use crate::common::{
    at, folder_id, mailbox_id, new_tenant, round, tenant_name, with_two_mailboxes,
};

/// Set for a process that a test starts from this same binary: where its database is.
const CHILD: &str = "MAILKEEP_CONTROL_TEST_CHILD";

/// This same test in another process, with `CHILD` set.
fn same_test(name: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn raw(directory: &Path) -> sea_orm::DatabaseConnection {
    let file = directory.join("control.sqlite");
    sea_orm::Database::connect(format!("sqlite://{}", file.display())).await.unwrap()
}

fn entry(seconds: i64) -> AuditEntry {
    AuditEntry {
        time: at(seconds),
        actor: format!("process {}", std::process::id()),
        action: "test".into(),
        tenant: None,
        details: serde_json::Value::Null,
    }
}

#[tokio::test]
async fn a_new_data_directory_is_made_and_found_again() {
    let parent = tempfile::tempdir().unwrap();
    // Characters that a database URL would have to escape.
    let directory = parent.path().join("Mail keep?mode=ro&100%#ä");
    let control = Control::open(&directory).await.unwrap();
    let tenant = control.add_tenant(new_tenant("acme")).await.unwrap();
    control.close().await.unwrap();
    let control = Control::open(&directory).await.unwrap();
    assert_eq!(control.tenants().await.unwrap(), [tenant]);
    #[cfg(unix)]
    for file in ["control.sqlite", "control.sqlite-wal"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(directory.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    control.close().await.unwrap();
    assert!(!directory.join("control.sqlite-wal").exists(), "closing leaves one file to move");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    Control::open(directory.path()).await.unwrap().close().await.unwrap();
    let later = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('0099_later', 0)";
    let connection = raw(directory.path()).await;
    connection.execute_unprepared(later).await.unwrap();
    connection.close().await.unwrap();
    let refused = Control::open(directory.path()).await.unwrap_err();
    assert!(
        matches!(&refused, ControlError::NewerSchema { migration } if migration == "0099_later"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged_and_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("control.sqlite");
    let garbage = "This is a text, not a database. ".repeat(200);
    std::fs::write(&file, &garbage).unwrap();
    let refused = Control::open(directory.path()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Corrupt(_)), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), garbage);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let refused = Control::open(&blocked.join("data")).await.unwrap_err();
    assert!(matches!(refused, ControlError::Open { .. }), "{refused}");
    assert!(refused.to_string().contains("file"), "{refused}");
}

#[tokio::test]
async fn a_commit_that_is_given_up_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let control = Control::open(directory.path()).await.unwrap();
    let tenant = with_two_mailboxes(&control).await;
    {
        // The future is dropped after the transaction has begun, as when a service shuts down.
        let mut commit = Box::pin(control.commit_round(&tenant, round("s1", None, "ann", 20_000)));
        let other = async {
            while commit_has_not_begun(directory.path()).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = other => {}
            result = &mut commit => panic!("committed before it could be given up: {result:?}"),
        }
    }
    assert_eq!(control.catalog_head(&tenant).await.unwrap(), None);
    control.commit_round(&tenant, round("s1", None, "ann", 3)).await.unwrap();
    assert_eq!(control.mailboxes(&tenant).await.unwrap()[0].items, 3);
}

/// Whether nobody holds the write lock.
async fn commit_has_not_begun(directory: &Path) -> bool {
    let connection = raw(directory).await;
    connection.execute_unprepared("PRAGMA busy_timeout = 0").await.unwrap();
    let free = connection.execute_unprepared("BEGIN IMMEDIATE").await.is_ok();
    connection.close().await.unwrap();
    free
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_several_processes_wait_for_each_other() {
    const ENTRIES: i64 = 40;
    async fn write(directory: &Path) {
        let control = Control::open(directory).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for seconds in 0..ENTRIES {
            let control = control.clone();
            tasks.spawn(async move { control.audit(entry(seconds)).await });
        }
        while let Some(result) = tasks.join_next().await {
            result.unwrap().unwrap();
        }
    }
    if let Some(directory) = std::env::var_os(CHILD) {
        return write(Path::new(&directory)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    // Nobody made the database before: the processes race for that, too.
    let name = "database::writers_of_several_processes_wait_for_each_other";
    let children: Vec<_> = (0..3).map(|_| same_test(name, directory.path())).collect();
    write(directory.path()).await;
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let control = Control::open(directory.path()).await.unwrap();
    let entries = control.audit_entries(&AuditFilter::default()).await.unwrap();
    assert_eq!(entries.len(), 4 * usize::try_from(ENTRIES).unwrap());
    let writers: std::collections::HashSet<_> =
        entries.into_iter().map(|entry| entry.actor).collect();
    assert_eq!(writers.len(), 4);
    control.close().await.unwrap();
    let connection = raw(directory.path()).await;
    let rows = connection
        .query_all_raw(sea_orm::Statement::from_string(
            sea_orm::DbBackend::Sqlite,
            "PRAGMA integrity_check",
        ))
        .await
        .unwrap();
    assert_eq!(rows[0].try_get_by_index::<String>(0).unwrap(), "ok");
}

#[tokio::test]
async fn a_killed_process_leaves_whole_rounds_and_the_cursors_that_belong_to_them() {
    const ITEMS: usize = 1_500;
    if let Some(directory) = std::env::var_os(CHILD) {
        let control = Control::open(Path::new(&directory)).await.unwrap();
        let tenant = tenant_name();
        let mut parent: Option<String> = None;
        for number in 1.. {
            let id = format!("s{number}");
            let mut round = round(&id, parent.as_deref(), "ann", number * ITEMS);
            round.mailboxes[0].put.drain(..(number - 1) * ITEMS);
            println!("\ncommitting {number}");
            control.commit_round(&tenant, round).await.unwrap();
            println!("\ncommitted {number}");
            parent = Some(id);
        }
    }
    let name = "database::a_killed_process_leaves_whole_rounds_and_the_cursors_that_belong_to_them";
    let directory = tempfile::tempdir().unwrap();
    let control = Control::open(directory.path()).await.unwrap();
    let tenant = with_two_mailboxes(&control).await;
    control.close().await.unwrap();

    let mut child = same_test(name, directory.path());
    let output = BufReader::new(child.stdout.take().unwrap());
    // In the middle of the third round, at the latest at its end.
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "committing 3"));
    child.kill().unwrap();
    child.wait().unwrap();
    let told =
        lines.filter_map(|line| line.strip_prefix("committed ")?.parse().ok()).last().unwrap_or(2);

    let control = Control::open(directory.path()).await.unwrap();
    let head = control.catalog_head(&tenant).await.unwrap().unwrap();
    let rounds: usize = head.strip_prefix('s').unwrap().parse().unwrap();
    assert!(rounds == told || rounds == told + 1, "{rounds} rounds, {told} were told of");
    let state = control.sync_state(&tenant, &mailbox_id("ann")).await.unwrap();
    assert_eq!(state.folder_cursor, Some(Cursor(format!("folders after {head}"))));
    assert_eq!(state.item_cursors[&folder_id("Inbox")], Cursor(format!("inbox after {head}")));
    let items =
        control.items_in_folder(&tenant, &mailbox_id("ann"), &folder_id("Inbox")).await.unwrap();
    assert_eq!(items.len(), rounds * ITEMS);
    assert_eq!(control.snapshots(&tenant, None).await.unwrap().len(), rounds);
}
