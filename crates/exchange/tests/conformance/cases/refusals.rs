//! What stands in the way, and how far it reaches.

use std::time::Instant;

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{Folder, FolderId, ItemKind, MailboxId};

use crate::{
    backend::{Act, Backend, Failure},
    suite::{Verdict, content, inbox, item_changes, sha256, try_item_changes},
};

pub(crate) async fn not_found<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("not-found").await, backend.reader());
    let mut nobody = mailbox.clone();
    nobody.id = MailboxId("6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613".into());
    let error = provider.folder_changes(&nobody, None).await.unwrap_err();
    assert!(matches!(error, ExchangeError::NotFound { .. }), "{error}");
    let inbox = inbox(provider, &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 1, 500).await;
    backend.does(&mailbox, Act::DeleteMessage { item: &received[0] }).await;
    let error = content(provider, &mailbox, &received[0]).await.unwrap_err();
    assert!(matches!(error, ExchangeError::NotFound { .. }), "{error}");
    assert!(error.concerns_one_item() && !error.is_transient());
    // A folder that was there, in another mailbox.
    let other = backend.mailbox("not-found-either").await;
    let gone = Folder { id: FolderId(inbox.id.0.clone()), ..inbox };
    assert!(provider.item_changes(&other, &gone, None).await.is_err());
    assert!(!error.is_refusal());
    Verdict::Kept
}

pub(crate) async fn forbidden<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("forbidden").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    backend.fails(&mailbox, Failure::Forbidden).await;
    let error = provider.item_changes(&mailbox, &inbox, None).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Forbidden { .. }), "{error}");
    assert!(error.is_refusal() && !error.is_transient());
    let other = backend.mailbox("allowed").await;
    provider.folder_changes(&other, None).await.unwrap();
    backend.heals().await;
    provider.item_changes(&mailbox, &inbox, None).await.unwrap();
    Verdict::Kept
}

pub(crate) async fn throttled<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("throttled").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 25, 500).await;
    let calm = item_changes(provider, &mailbox, &inbox, None).await.upserts;
    let before = provider.usage();
    backend.fails(&mailbox, Failure::Throttled(2)).await;
    let begin = Instant::now();
    assert_eq!(item_changes(provider, &mailbox, &inbox, None).await.upserts, calm);
    assert!(begin.elapsed().as_secs_f64() > 0.9, "it came back at once");
    backend.fails(&mailbox, Failure::Throttled(3)).await;
    let found = provider.items(&mailbox, ItemKind::Message, &received).await.unwrap();
    assert!(found.iter().all(|one| matches!(one, Ok(Some(_)))), "{found:?}");
    assert_eq!(provider.usage().throttled - before.throttled, 5);
    Verdict::Kept
}

pub(crate) async fn broken_off<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("broken-off").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 25, 500).await;
    let calm = item_changes(provider, &mailbox, &inbox, None).await.upserts;
    backend.fails(&mailbox, Failure::BreaksOff(2)).await;
    assert_eq!(item_changes(provider, &mailbox, &inbox, None).await.upserts, calm);
    backend.fails(&mailbox, Failure::BreaksOff(1)).await;
    let found = provider.items(&mailbox, ItemKind::Message, &received).await.unwrap();
    assert!(found.iter().all(|one| matches!(one, Ok(Some(_)))), "{found:?}");
    // Of a large content, its reader has the beginning already: it is told that this is not all.
    let large = backend.receives(&mailbox, &inbox.id, 1, 3_000_000).await.remove(0);
    backend.fails(&mailbox, Failure::BreaksOff(1)).await;
    let error = content(provider, &mailbox, &large).await.unwrap_err();
    assert!(error.is_transient() && error.concerns_one_item(), "{error}");
    let whole = content(provider, &mailbox, &large).await.unwrap();
    let truth = backend.truth(&mailbox).await.messages;
    assert_eq!(sha256(&whole), truth[&large.0].sha256);
    Verdict::Kept
}

pub(crate) async fn unreadable<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("unreadable").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 2, 500).await;
    backend.fails(&mailbox, Failure::Unreadable(received[0].clone())).await;
    let listed = try_item_changes(provider, &mailbox, &inbox, None).await.unwrap();
    assert_eq!(listed.upserts.len(), 2);
    let error = content(provider, &mailbox, &received[0]).await.unwrap_err();
    assert!(error.concerns_one_item() && !error.is_refusal(), "{error}");
    assert!(error.to_string().contains(mailbox.address.as_str()), "{error}");
    content(provider, &mailbox, &received[1]).await.unwrap();
    backend.heals().await;
    content(provider, &mailbox, &received[0]).await.unwrap();
    Verdict::Kept
}
