//! What the rest of Mailkeep relies on when it reads a mailbox through Graph, seen against the lab
//! with a real signer in between.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

#[path = "graph/circles.rs"]
mod circles;
mod common;
#[path = "graph/discovery.rs"]
mod discovery;
#[path = "graph/kinds.rs"]
mod kinds;
#[path = "graph/outlook.rs"]
mod outlook;
#[path = "graph/steady.rs"]
mod steady;
#[path = "graph/subscriptions.rs"]
mod subscriptions;

use std::sync::Arc;

use common::Site;
use mailkeep_exchange::{ExchangeError, Extras, GraphProvider, Provider};
use mailkeep_model::{
    Change, Cursor, Folder, Function, Item, ItemId, ItemKind, Mailbox, Next, WellKnownFolder,
};
use serde_json::{Value, json};

const ROLES: &[&str] = &["Mail.Read", "Calendars.Read", "Contacts.Read", "User.Read.All"];

/// A tenant whose reader is registered.
struct World(Site);

impl World {
    async fn new() -> Self {
        Self::with_roles(ROLES).await
    }

    async fn with_roles(roles: &[&str]) -> Self {
        let site = Site::start().await;
        site.register(Function::Reader, roles).await;
        Self(site)
    }

    fn provider(&self) -> GraphProvider {
        self.provider_with(Extras::default())
    }

    fn provider_with(&self, extras: Extras) -> GraphProvider {
        self.0.connect(Function::Reader, extras)
    }

    /// Asks the lab's administration for something.
    async fn order(&self, what: &str, body: Value) -> Value {
        self.0.order(what, body).await
    }

    /// Looks something up in the lab's administration.
    async fn look(&self, what: &str) -> Value {
        self.0.look(what).await
    }
}

async fn mailbox(provider: &GraphProvider) -> Mailbox {
    provider.mailboxes().await.unwrap().remove(0)
}

async fn folders(provider: &GraphProvider, mailbox: &Mailbox) -> (Vec<Folder>, Cursor) {
    let mut cursor = None;
    let mut folders = Vec::new();
    loop {
        let page = provider.folder_changes(mailbox, cursor.as_ref()).await.unwrap();
        folders.extend(page.changes.into_iter().map(|change| match change {
            Change::Upsert(folder) => folder,
            Change::Removed(id) => panic!("{id:?} is removed in a first enumeration"),
        }));
        match page.next {
            Next::More(next) => cursor = Some(next),
            Next::Done(next) => return (folders, next),
            Next::Complete => panic!("a folder tree has a cursor"),
        }
    }
}

async fn items(
    provider: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    mut cursor: Option<Cursor>,
) -> (Vec<Change<Item, ItemId>>, Cursor) {
    let mut changes = Vec::new();
    loop {
        let page = provider.item_changes(mailbox, folder, cursor.as_ref()).await.unwrap();
        changes.extend(page.changes);
        match page.next {
            Next::More(next) => cursor = Some(next),
            Next::Done(next) => return (changes, next),
            Next::Complete => panic!("a folder of mail or contacts has a cursor"),
        }
    }
}

async fn inbox(provider: &GraphProvider, mailbox: &Mailbox) -> Folder {
    let (folders, _) = folders(provider, mailbox).await;
    let is_inbox = |folder: &&Folder| folder.well_known == Some(WellKnownFolder::Inbox);
    folders.iter().find(is_inbox).unwrap().clone()
}

async fn content(provider: &GraphProvider, mailbox: &Mailbox, item: &ItemId) -> Vec<u8> {
    let mut content = provider.content(mailbox, item).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = content.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

fn first_item(changes: &[Change<Item, ItemId>]) -> &Item {
    changes
        .iter()
        .find_map(|change| match change {
            Change::Upsert(item) => Some(item),
            Change::Removed(_) => None,
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_come_with_their_roles_and_parents_and_messages_with_their_content() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    assert_eq!(provider.domains().await.unwrap(), [mailbox.address.domain()]);
    let (folders, cursor) = folders(&provider, &mailbox).await;
    let roles = folders.iter().filter(|folder| folder.well_known.is_some()).count();
    assert_eq!(roles, 5);
    assert!(folders.iter().any(|folder| folder.parent.is_none()));
    let nested = folders.iter().find(|folder| folder.parent.is_some()).unwrap();
    assert!(folders.iter().any(|folder| Some(&folder.id) == nested.parent.as_ref()));
    let quiet = provider.folder_changes(&mailbox, Some(&cursor)).await.unwrap();
    assert_eq!(quiet.changes, []);

    let inbox = inbox(&provider, &mailbox).await;
    let (changes, _) = items(&provider, &mailbox, &inbox, None).await;
    let item = first_item(&changes);
    let mime = content(&provider, &mailbox, &item.id).await;
    let text = String::from_utf8_lossy(&mime).to_lowercase();
    assert!(text.contains("\r\n\r\n") && text.contains("message-id:"), "{text}");
    assert_eq!(
        provider.item(&mailbox, ItemKind::Message, &item.id).await.unwrap().as_ref(),
        Some(item)
    );
    let order =
        json!({"mailbox": mailbox.address.as_str(), "folder": inbox.id.0, "seed": 1, "delete": 1});
    let deleted = world.order("mutate", order).await["deleted"][0]["id"].clone();
    let deleted = ItemId(deleted.as_str().unwrap().to_owned());
    assert_eq!(provider.item(&mailbox, ItemKind::Message, &deleted).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_flag_and_a_move_keep_the_identity_and_the_content_key() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let (before, cursor) = items(&provider, &mailbox, &inbox, None).await;
    let keys: std::collections::HashMap<ItemId, Item> = before
        .into_iter()
        .map(|change| match change {
            Change::Upsert(item) => (item.id.clone(), item),
            Change::Removed(id) => panic!("{id:?}"),
        })
        .collect();
    let address = mailbox.address.as_str();
    let order =
        json!({"mailbox": address, "folder": inbox.id.0, "seed": 1, "change": 4, "move": 2});
    world.order("mutate", order).await;
    let (after, _) = items(&provider, &mailbox, &inbox, Some(cursor)).await;
    let mut moved = 0;
    let mut changed = 0;
    for change in after {
        match change {
            Change::Upsert(item) => {
                let old = &keys[&item.id];
                assert_eq!(old.content_key, item.content_key);
                assert_ne!(*old, item);
                changed += 1;
            }
            Change::Removed(id) => {
                let item = provider.item(&mailbox, ItemKind::Message, &id).await.unwrap().unwrap();
                assert_ne!(item.folder, inbox.id);
                assert_eq!(keys[&id].content_key, item.content_key);
                moved += 1;
            }
        }
    }
    assert_eq!(moved, 2);
    assert!(changed >= 2, "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_broken_connections_and_failing_servers_lose_nothing() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let (calm, _) = items(&provider, &mailbox, &inbox, None).await;
    let item = first_item(&calm).id.clone();
    let mime = content(&provider, &mailbox, &item).await;
    let faults = json!([
        {"operation": "messages.delta", "status": 429, "retry_after": 1, "times": 1},
        {"operation": "messages.delta", "reset": true, "times": 2},
        {"operation": "message.value", "status": 503, "times": 2},
        {"operation": "message.value", "status": 429, "times": 1},
    ]);
    world.order("faults", faults).await;
    let (stormy, _) = items(&provider, &mailbox, &inbox, None).await;
    assert_eq!(stormy, calm);
    assert_eq!(content(&provider, &mailbox, &item).await, mime);
    let usage = provider.usage();
    assert!(usage.throttled >= 1, "{usage:?}");
    assert!(usage.retried >= 4, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_provider_no_longer_takes_is_replaced_within_the_request() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    // Two hours later by the provider's clock; by ours the token still looks good.
    world.order("clock", json!({"offset_seconds": 7200})).await;
    let refused = provider.folder_changes(&mailbox, None).await;
    // The assertion is made by our clock, which the provider now finds two hours slow: what comes
    // back says so, instead of trying for ever.
    let error = refused.unwrap_err();
    assert!(matches!(error, ExchangeError::TokenRefused { code: 700_024, .. }), "{error}");
    assert!(error.to_string().contains("clock"), "{error}");
    world.order("clock", json!({"offset_seconds": 0})).await;
    provider.folder_changes(&mailbox, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_cursor_is_told_apart_from_a_failure() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let (_, cursor) = items(&provider, &mailbox, &inbox, None).await;
    let fault = json!([{"operation": "messages.delta", "status": 410, "times": 1}]);
    world.order("faults", fault).await;
    let error = provider.item_changes(&mailbox, &inbox, Some(&cursor)).await.unwrap_err();
    assert!(matches!(error, ExchangeError::CursorExpired { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_leads_to_another_host_does_not_get_our_token() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let requests = provider.usage().requests;
    for elsewhere in ["https://127.0.0.1:1/v1.0/users", "http://127.0.0.1/v1.0/", "not a link"] {
        let cursor = Cursor(elsewhere.into());
        let error = provider.item_changes(&mailbox, &inbox, Some(&cursor)).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Protocol { .. }), "{error}");
    }
    assert_eq!(provider.usage().requests, requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_requests_of_a_mailbox_are_in_flight_and_never_more() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = Arc::new(mailbox(&provider).await);
    let inbox = inbox(&provider, &mailbox).await;
    let (changes, _) = items(&provider, &mailbox, &inbox, None).await;
    let item = first_item(&changes).id.clone();
    let slow = json!([{"operation": "message.value", "delay_ms": 100}]);
    world.order("faults", slow).await;
    let reads = (0..12).map(|_| {
        let (provider, mailbox, item) = (provider.clone(), Arc::clone(&mailbox), item.clone());
        tokio::spawn(async move { content(&provider, &mailbox, &item).await.len() })
    });
    for read in reads.collect::<Vec<_>>() {
        assert!(read.await.unwrap() > 0);
    }
    // The lab refuses a fifth with 429.
    assert_eq!(provider.usage().throttled, 0);
}
