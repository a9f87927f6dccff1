//! Messages: what changes, and what they contain.

use std::collections::{BTreeMap, HashSet};

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{FollowUp, Item, ItemId, ItemKind, WellKnownFolder};

use crate::{
    backend::{Act, Backend, Failure, TrueMessage},
    suite::{Verdict, content, folder_changes, inbox, item_changes, role, sha256},
};

/// What the provider tells of a message must be what is true of it.
fn agree(item: &Item, truth: &TrueMessage) {
    assert_eq!(item.kind, ItemKind::Message);
    let told = TrueMessage {
        folder: item.folder.0.clone(),
        subject: item.subject.clone(),
        from: item.from.clone(),
        internet_message_id: item.internet_message_id.clone(),
        read: item.read,
        flagged: item.follow_up == FollowUp::Flagged,
        categories: item.categories.clone(),
        sha256: truth.sha256.clone(),
    };
    assert_eq!(told, *truth);
}

fn by_id(items: Vec<Item>) -> BTreeMap<String, Item> {
    let count = items.len();
    let all: BTreeMap<_, _> = items.into_iter().map(|item| (item.id.0.clone(), item)).collect();
    assert_eq!(all.len(), count, "a message is told twice");
    all
}

pub(crate) async fn described<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("described").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 25, 2_000).await;
    let (item, category) = (&received[3], Some("Blue category"));
    backend.does(&mailbox, Act::MarkMessage { item, read: true, flagged: true, category }).await;
    let truth = backend.truth(&mailbox).await.messages;
    let told = by_id(item_changes(provider, &mailbox, &inbox, None).await.upserts);
    assert_eq!(told.len(), 25);
    for (id, item) in &told {
        agree(item, &truth[id]);
        let asked = provider.item(&mailbox, ItemKind::Message, &item.id).await.unwrap();
        assert_eq!(asked.as_ref(), Some(item), "asked for alone, it is another");
    }
    Verdict::Kept
}

pub(crate) async fn contents<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("contents").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    for bytes in [300, 5_000, 100_000, 3_000_000] {
        for item in backend.receives(&mailbox, &inbox.id, 3, bytes).await {
            let truth = backend.truth(&mailbox).await.messages;
            let read = content(provider, &mailbox, &item).await.unwrap();
            assert_eq!(sha256(&read), truth[&item.0].sha256, "a message of {bytes} bytes");
        }
    }
    Verdict::Kept
}

pub(crate) async fn changes<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("changes").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    let sent = role(provider, &mailbox, WellKnownFolder::SentItems).await;
    let received = backend.receives(&mailbox, &inbox.id, 30, 800).await;
    let first = item_changes(provider, &mailbox, &inbox, None).await;
    let elsewhere = item_changes(provider, &mailbox, &sent, None).await;
    let before = by_id(first.upserts);
    let quiet = item_changes(provider, &mailbox, &inbox, first.cursor).await;
    assert!(quiet.upserts.is_empty() && quiet.removed.is_empty(), "nothing was done");

    let [marked, moved, deleted, back, ..] = &received[..] else { panic!("few messages") };
    let category = Some("Red category");
    let act = Act::MarkMessage { item: marked, read: true, flagged: true, category };
    backend.does(&mailbox, act).await;
    backend.does(&mailbox, Act::MoveMessage { item: moved, to: &sent.id }).await;
    backend.does(&mailbox, Act::DeleteMessage { item: deleted }).await;
    // There and back again.
    backend.does(&mailbox, Act::MoveMessage { item: back, to: &sent.id }).await;
    backend.does(&mailbox, Act::MoveMessage { item: back, to: &inbox.id }).await;
    let new = backend.receives(&mailbox, &inbox.id, 2, 800).await;
    let truth = backend.truth(&mailbox).await.messages;

    let after = item_changes(provider, &mailbox, &inbox, quiet.cursor).await;
    let told = by_id(after.upserts);
    let removed: HashSet<&ItemId> = after.removed.iter().collect();
    for item in told.values() {
        agree(item, &truth[&item.id.0]);
    }
    for item in new.iter().chain([marked]) {
        assert!(told.contains_key(&item.0), "{item:?} changed and was not told");
    }
    assert!(removed.contains(moved) && removed.contains(deleted));
    assert!(!removed.contains(back) || told.contains_key(&back.0), "it is here");
    let touched = [marked, moved, deleted, back];
    let untouched = |id: &str| touched.iter().all(|item| item.0 != id);
    assert!(!told.keys().any(|id| before.contains_key(id) && untouched(id)), "all is told again");
    let key = |items: &BTreeMap<String, Item>, id: &ItemId| items[&id.0].content_key.clone();
    assert_eq!(key(&told, marked), key(&before, marked), "marks are no content");

    let elsewhere = item_changes(provider, &mailbox, &sent, elsewhere.cursor).await;
    let told = by_id(elsewhere.upserts);
    assert_eq!(key(&told, moved), key(&before, moved), "it is the same message");
    agree(&told[&moved.0], &truth[&moved.0]);

    // A deletion and a move look alike; asking tells.
    let found = provider.item(&mailbox, ItemKind::Message, moved).await.unwrap();
    assert_eq!(found.map(|item| item.folder), Some(sent.id.clone()));
    assert_eq!(provider.item(&mailbox, ItemKind::Message, deleted).await.unwrap(), None);
    Verdict::Kept
}

pub(crate) async fn pages<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("pages").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 1_201, 300).await;
    let told = item_changes(provider, &mailbox, &inbox, None).await;
    assert!(told.pages > 1, "{} pages", told.pages);
    let told = by_id(told.upserts);
    assert_eq!(told.len(), received.len());
    assert!(received.iter().all(|item| told.contains_key(&item.0)));
    Verdict::Kept
}

pub(crate) async fn expired<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("expired").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    backend.receives(&mailbox, &inbox.id, 5, 500).await;
    let items = item_changes(provider, &mailbox, &inbox, None).await;
    let folders = folder_changes(provider, &mailbox, None).await;
    backend.fails(&mailbox, Failure::CursorsExpired).await;
    let error = provider.item_changes(&mailbox, &inbox, items.cursor.as_ref()).await.unwrap_err();
    assert!(matches!(error, ExchangeError::CursorExpired { .. }), "{error}");
    assert!(!error.is_transient() && !error.is_refusal());
    let error = provider.folder_changes(&mailbox, folders.cursor.as_ref()).await.unwrap_err();
    assert!(matches!(error, ExchangeError::CursorExpired { .. }), "{error}");
    backend.heals().await;
    let again = item_changes(provider, &mailbox, &inbox, None).await;
    assert_eq!(by_id(again.upserts), by_id(items.upserts));
    Verdict::Kept
}

pub(crate) async fn looked_for<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("looked-for").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 33, 500).await;
    for item in received.iter().step_by(3) {
        backend.does(&mailbox, Act::DeleteMessage { item }).await;
    }
    for few in [&received[..3], &received[..20], &received] {
        let found = provider.items(&mailbox, ItemKind::Message, few).await.unwrap();
        assert_eq!(found.len(), few.len());
        for (item, found) in few.iter().zip(found) {
            let alone = provider.item(&mailbox, ItemKind::Message, item).await.unwrap();
            assert_eq!(found.unwrap(), alone);
        }
    }
    assert!(provider.items(&mailbox, ItemKind::Message, &[]).await.unwrap().is_empty());
    Verdict::Kept
}
