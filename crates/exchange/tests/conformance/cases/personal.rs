//! Everything that is no mail, one kind like the other.

use std::collections::BTreeMap;

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{FolderKind, Item, ItemId, ItemKind, Mailbox};

use crate::{
    backend::Backend,
    suite::{Verdict, item_changes},
};

/// Items that are made, and that are changed and deleted afterwards.
const ITEMS: usize = 40;
const EDITED: usize = 8;

pub(crate) async fn calendars<B: Backend>(backend: &B) -> Verdict {
    of(backend, FolderKind::Calendar).await
}

pub(crate) async fn contacts<B: Backend>(backend: &B) -> Verdict {
    of(backend, FolderKind::Contacts).await
}

pub(crate) async fn tasks<B: Backend>(backend: &B) -> Verdict {
    of(backend, FolderKind::Tasks).await
}

pub(crate) async fn settings<B: Backend>(backend: &B) -> Verdict {
    of(backend, FolderKind::Settings).await
}

pub(crate) async fn opaque<B: Backend>(backend: &B) -> Verdict {
    of(backend, FolderKind::Opaque).await
}

async fn of<B: Backend>(backend: &B, kind: FolderKind) -> Verdict {
    let provider = backend.reader();
    let mailbox = backend.mailbox(&format!("{kind:?}").to_lowercase()).await;
    if !backend.makes(&mailbox, kind, ITEMS).await {
        return Verdict::Unsupported("this backend makes none".into());
    }
    let first = match listed(provider, &mailbox, kind).await {
        Err(ExchangeError::Unsupported { reason, .. }) => return Verdict::Unsupported(reason),
        listed => listed.unwrap(),
    };
    agree(backend, &mailbox, kind, &first).await;
    for item in first.values() {
        whole(provider, &mailbox, item).await;
    }

    let (changed, deleted) = backend.edits(&mailbox, kind, EDITED).await;
    assert!(!changed.is_empty());
    let after = listed(provider, &mailbox, kind).await.unwrap();
    agree(backend, &mailbox, kind, &after).await;
    for (id, item) in &after {
        let Some(before) = first.get(id) else { continue };
        let same = before.content_key == item.content_key;
        assert_eq!(same, !changed.contains(&item.id), "{}", item.subject);
        whole(provider, &mailbox, item).await;
    }
    for id in &deleted {
        assert_eq!(provider.item(&mailbox, kind.items(), id).await.unwrap(), None);
        match provider.details(&mailbox, &first[&id.0]).await {
            Err(ExchangeError::NotFound { .. }) => {}
            // All of it was told with the list: it need not be asked for again.
            details => assert_eq!(details.unwrap().item, first[&id.0]),
        }
    }
    let all: Vec<ItemId> = first.values().map(|item| item.id.clone()).collect();
    let found = provider.items(&mailbox, kind.items(), &all).await.unwrap();
    for (id, found) in all.iter().zip(found) {
        assert_eq!(found.unwrap().is_some(), !deleted.contains(id), "{id:?}");
    }
    Verdict::Kept
}

/// All items of a kind, folder by folder.
async fn listed<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
    kind: FolderKind,
) -> Result<BTreeMap<String, Item>, ExchangeError> {
    let folders = provider.other_folders(mailbox, kind).await?;
    if folders.is_empty() {
        return Err(ExchangeError::Unsupported {
            action: "listing".into(),
            reason: "the provider tells of no folders of this kind".into(),
        });
    }
    let mut all = BTreeMap::new();
    for folder in &folders {
        assert_eq!(folder.kind, kind);
        for item in item_changes(provider, mailbox, folder, None).await.upserts {
            assert_eq!((item.kind, &item.folder), (kind.items(), &folder.id));
            assert!(all.insert(item.id.0.clone(), item).is_none(), "it is told twice");
        }
    }
    Ok(all)
}

async fn agree<B: Backend>(
    backend: &B,
    mailbox: &Mailbox,
    kind: FolderKind,
    items: &BTreeMap<String, Item>,
) {
    let mut truth = backend.truth(mailbox).await.others;
    truth.retain(|_, item| item.kind == kind);
    for (id, item) in &truth {
        let told = items.get(id).unwrap_or_else(|| panic!("{item:?} is not told"));
        let name = match kind {
            // A list of streams need not tell their names.
            FolderKind::Opaque => {
                backend.reader().details(mailbox, told).await.unwrap().item.subject
            }
            _ => told.subject.clone(),
        };
        assert_eq!((&name, &told.folder.0), (&item.name, &item.folder));
    }
    assert_eq!(items.len(), truth.len(), "what is not there is told");
}

/// Read in full, an item is the one that was listed, and has all that belongs to it.
async fn whole<P: Provider>(provider: &P, mailbox: &Mailbox, item: &Item) {
    if item.kind == ItemKind::Opaque {
        assert!(!provider.stream(mailbox, &item.id).await.unwrap().is_empty());
        return;
    }
    let details = provider.details(mailbox, item).await.unwrap();
    assert!(details.item.detail.is_some(), "{}", item.subject);
    assert_eq!(
        (&details.item.id, &details.item.folder, &details.item.content_key),
        (&item.id, &item.folder, &item.content_key)
    );
}
