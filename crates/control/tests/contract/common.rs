//! What the tests of this crate share.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU32, Ordering},
};

use mailkeep_control::{
    CatalogItem, Completeness, Control, CursorMove, MailboxCommit, NewSnapshot, NewTenant,
    RoundCommit, SnapshotOutcome, TenantFunction,
};
use mailkeep_model::{
    Cursor, Folder, FolderId, Function, ItemId, Mailbox, MailboxId, ProviderKind, TenantName,
    WellKnownFolder,
};
use sea_orm::ConnectionTrait;
use time::{Duration, OffsetDateTime};

/// Runs a test on a new SQLite database and, where there is one, on a new PostgreSQL schema.
pub(crate) async fn on_each_database(test: impl AsyncFn(Control)) {
    let directory = tempfile::tempdir().unwrap();
    let control = Control::open(directory.path()).await.unwrap();
    test(control.clone()).await;
    control.close().await.unwrap();

    let Ok(url) = std::env::var("MAILKEEP_TEST_POSTGRES") else {
        eprintln!("PostgreSQL skipped, because MAILKEEP_TEST_POSTGRES is not set");
        return;
    };
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
    let schema = format!("mailkeep_test_{}_{number}", std::process::id());
    let server = sea_orm::Database::connect(&url).await.unwrap();
    server.execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let separator = if url.contains('?') { '&' } else { '?' };
    let control =
        Control::open_url(&format!("{url}{separator}options=-c%20search_path%3D{schema}"))
            .await
            .unwrap();
    test(control.clone()).await;
    control.close().await.unwrap();
    server.execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

/// 2026-11-23T09:14:00Z and this many seconds.
pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_425_240).unwrap() + Duration::seconds(seconds)
}

pub(crate) fn tenant_name() -> TenantName {
    "acme".parse().unwrap()
}

pub(crate) fn new_tenant(name: &str) -> NewTenant {
    NewTenant {
        name: name.parse().unwrap(),
        provider: ProviderKind::M365,
        directory_id: "5f0c6f3e-0000-4000-8000-000000000001".into(),
        authority: "https://localhost:1/".into(),
        graph: "https://localhost:2/".into(),
        ca_pem: None,
        domains: vec!["acme.example".into()],
        functions: vec![TenantFunction {
            function: Function::Reader,
            client_id: "client-1".into(),
            key_id: "key-1".into(),
            thumbprint: "thumb-1".into(),
        }],
        created: at(0),
    }
}

pub(crate) fn mailbox(name: &str) -> Mailbox {
    Mailbox {
        id: MailboxId(format!("id-of-{name}")),
        address: format!("{name}@acme.example").parse().unwrap(),
        display_name: name.to_owned(),
    }
}

pub(crate) fn mailbox_id(name: &str) -> MailboxId {
    mailbox(name).id
}

/// A tenant with the mailboxes `ann` and `bob`.
pub(crate) async fn with_two_mailboxes(control: &Control) -> TenantName {
    control.add_tenant(new_tenant("acme")).await.unwrap();
    let tenant = tenant_name();
    control.merge_mailboxes(&tenant, &[mailbox("ann"), mailbox("bob")], at(0)).await.unwrap();
    tenant
}

pub(crate) fn folder_id(name: &str) -> FolderId {
    FolderId(format!("folder-{name}"))
}

pub(crate) fn folder(name: &str) -> Folder {
    Folder {
        id: folder_id(name),
        parent: None,
        name: name.to_owned(),
        kind: mailkeep_model::FolderKind::Mail,
        well_known: (name == "Inbox").then_some(WellKnownFolder::Inbox),
    }
}

pub(crate) fn item_id(number: usize) -> ItemId {
    // As long as Graph's immutable identifiers.
    ItemId(format!("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AYZNgYIGO7kGSTEdX4nz0JA{number:014}"))
}

pub(crate) fn item(number: usize, folder: &str) -> CatalogItem {
    CatalogItem {
        kind: mailkeep_model::ItemKind::Message,
        item: item_id(number),
        folder: folder_id(folder),
        leaf: "2026-11".into(),
        name: format!("2026-11-23T0914 Minutes of the meeting {number:012}.eml"),
        content_key: format!("content-{number:024}"),
        meta_key: format!("meta-{number:027}"),
        bytes: 1_000 + number as u64,
    }
}

pub(crate) fn snapshot(id: &str, seconds: i64) -> NewSnapshot {
    NewSnapshot {
        id: id.to_owned(),
        time: at(seconds),
        outcome: SnapshotOutcome::Complete,
        bytes_added: 10,
    }
}

/// A commit of one mailbox with the folders `Inbox` and `Sent`, without changes.
pub(crate) fn mailbox_commit(name: &str) -> MailboxCommit {
    MailboxCommit {
        mailbox: mailbox_id(name),
        completeness: Completeness::Complete,
        folders: vec![folder("Inbox"), folder("Sent")],
        folder_cursor: CursorMove::Keep,
        item_cursors: HashMap::new(),
        tree_compared: None,
        compared: HashSet::new(),
        counts: HashMap::new(),
        put: Vec::new(),
        removed: Vec::new(),
        skipped: Vec::new(),
        no_longer_skipped: Vec::new(),
        habits: None,
    }
}

/// A round of one mailbox that puts items 0 up to `items` into its inbox, with cursors.
pub(crate) fn round(id: &str, parent: Option<&str>, name: &str, items: usize) -> RoundCommit {
    RoundCommit {
        snapshot: Some(snapshot(id, 60)),
        parent: parent.map(str::to_owned),
        mailboxes: vec![MailboxCommit {
            put: (0..items).map(|number| item(number, "Inbox")).collect(),
            folder_cursor: CursorMove::To(Cursor(format!("folders after {id}"))),
            item_cursors: HashMap::from([(
                folder_id("Inbox"),
                CursorMove::To(Cursor(format!("inbox after {id}"))),
            )]),
            ..mailbox_commit(name)
        }],
        traffic: Vec::new(),
        now: at(60),
    }
}
