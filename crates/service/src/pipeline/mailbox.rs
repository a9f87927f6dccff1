//! Reads one mailbox: what changed since the cursors, and the content of what is new.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};
use mailkeep_control::{Control, InspectedItem};
use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{
    Change, Cursor, Folder, FolderId, Item, ItemId, Mailbox, Next, Page, TenantName,
};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{
    fetch::Fetcher,
    folders::FolderTree,
    staged::{Delivery, End, Missed, Staged, meta_key},
};
use crate::{Event, Observer, ServiceError};

/// Folders of a mailbox that are read at the same time. The provider's limit is on requests; a few
/// folders at once keep it used while one of them waits for its next page.
const FOLDERS_AT_ONCE: usize = 3;
/// Contents of one page that are asked for at the same time; the mailbox's gate decides how many
/// go out.
const CONTENTS_AT_ONCE: usize = 4;

/// What every mailbox's reader needs.
pub(crate) struct Reading<P> {
    pub(crate) provider: P,
    pub(crate) control: Control,
    pub(crate) tenant: TenantName,
    pub(crate) fetcher: Fetcher<P>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) deliveries: mpsc::Sender<Delivery>,
}

/// One mailbox in one pass.
struct MailboxReader<'a, P> {
    reading: &'a Reading<P>,
    mailbox: &'a Mailbox,
    folders: Arc<Vec<Folder>>,
    /// Content keys of what this pass has already handed on: the catalog does not know it before
    /// its round is durable.
    seen: Mutex<HashMap<ItemId, String>>,
    /// Reported gone from a folder; a move looks the same.
    missing: Mutex<Vec<(ItemId, FolderId)>>,
    /// Cursors that must not move before the missing items of their folder are settled.
    held: Mutex<Vec<(FolderId, Cursor)>>,
}

/// Reads a mailbox to its end and hands everything to the writer of rounds.
pub(crate) async fn read<P: Provider>(
    reading: &Reading<P>,
    mailbox: &Mailbox,
) -> Result<(), ServiceError> {
    let state = reading.control.sync_state(&reading.tenant, &mailbox.id).await?;
    let tree =
        FolderTree::read(&reading.provider, mailbox, state.folders, state.folder_cursor).await?;
    let reader = MailboxReader {
        reading,
        mailbox,
        folders: tree.known(),
        seen: Mutex::default(),
        missing: Mutex::default(),
        held: Mutex::default(),
    };
    reader.retry_missed().await?;
    let cursors = &state.item_cursors;
    stream::iter(tree.present())
        .map(Ok)
        .try_for_each_concurrent(FOLDERS_AT_ONCE, |folder| {
            reader.read_folder(folder, cursors.get(folder).cloned())
        })
        .await?;
    for folder in tree.gone() {
        reader.expect_items_elsewhere(folder).await?;
    }
    reader.finish(tree).await
}

impl<P: Provider> MailboxReader<'_, P> {
    /// What failed in earlier passes comes first: its folder's cursor has long moved on.
    async fn retry_missed(&self) -> Result<(), ServiceError> {
        let Reading { control, provider, tenant, .. } = self.reading;
        let before = control.skipped(tenant, Some(&self.mailbox.id)).await?;
        if before.is_empty() {
            return Ok(());
        }
        let mut delivery = self.delivery();
        let mut found = Vec::new();
        for missed in before {
            match provider.item(self.mailbox, &missed.item).await {
                Ok(Some(item)) if self.folders.iter().any(|one| one.id == item.folder) => {
                    delivery.settled.push(missed.item);
                    found.push(item);
                }
                // Gone, or in a folder that is read from its beginning once it is listed.
                Ok(_) => delivery.settled.push(missed.item),
                Err(error) if error.concerns_one_item() => {
                    let folder = missed.folder;
                    delivery.missed.push(self.missed(missed.item, folder, &error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.stage(&mut delivery, found, Known::Ignore).await?;
        self.deliver(delivery).await
    }

    async fn read_folder(
        &self,
        folder: &FolderId,
        mut cursor: Option<Cursor>,
    ) -> Result<(), ServiceError> {
        let Reading { provider, control, tenant, .. } = self.reading;
        let mut holds_cursor = false;
        // Set while the folder is read from its beginning: what the catalog has and the provider
        // does not name is missing.
        let mut unnamed: Option<HashSet<ItemId>> = None;
        loop {
            let Page { changes, next } = match provider
                .item_changes(self.mailbox, folder, cursor.as_ref())
                .await
            {
                Ok(page) => page,
                Err(ExchangeError::CursorExpired { .. }) if cursor.is_some() => {
                    tracing::info!(mailbox = %self.mailbox.address, "a folder is compared anew");
                    cursor = None;
                    let items = control.items_in_folder(tenant, &self.mailbox.id, folder);
                    unnamed = Some(items.await?.into_iter().map(|known| known.item).collect());
                    continue;
                }
                Err(ExchangeError::NotFound { .. }) => {
                    return self.expect_items_elsewhere(folder).await;
                }
                Err(error) => return Err(error.into()),
            };
            let mut delivery = self.delivery();
            let mut upserts = Vec::with_capacity(changes.len());
            let mut missing = Vec::new();
            for change in changes {
                match change {
                    Change::Upsert(item) => {
                        if let Some(unnamed) = &mut unnamed {
                            unnamed.remove(&item.id);
                        }
                        upserts.push(item);
                    }
                    Change::Removed(id) => missing.push((id, folder.clone())),
                }
            }
            let (next, at_end) = match next {
                Next::More(cursor) => (cursor, false),
                Next::Done(cursor) => (cursor, true),
            };
            if at_end && let Some(unnamed) = unnamed.take() {
                missing.extend(unnamed.into_iter().map(|id| (id, folder.clone())));
            }
            holds_cursor |= !missing.is_empty();
            lock(&self.missing).extend(missing);
            self.stage(&mut delivery, upserts, Known::Skip).await?;
            if holds_cursor {
                if at_end {
                    lock(&self.held).push((folder.clone(), next.clone()));
                }
            } else if unnamed.is_none() {
                delivery.cursors.push((folder.clone(), next.clone()));
            }
            self.deliver(delivery).await?;
            if at_end {
                return Ok(());
            }
            cursor = Some(next);
        }
    }

    /// The folder is gone. Its items are deleted, or moved to a folder that names them.
    async fn expect_items_elsewhere(&self, folder: &FolderId) -> Result<(), ServiceError> {
        let Reading { control, tenant, .. } = self.reading;
        let items = control.items_in_folder(tenant, &self.mailbox.id, folder).await?;
        lock(&self.missing).extend(items.into_iter().map(|known| (known.item, folder.clone())));
        Ok(())
    }

    /// Fetches what is new among `items`, inspects it, and puts what has to be stored into the
    /// delivery.
    async fn stage(
        &self,
        delivery: &mut Delivery,
        items: Vec<Item>,
        known: Known,
    ) -> Result<(), ServiceError> {
        let Reading { control, tenant, .. } = self.reading;
        let ids: Vec<_> = items.iter().map(|item| item.id.clone()).collect();
        let catalog = control.items(tenant, &self.mailbox.id, &ids).await?;
        let mut to_fetch = Vec::new();
        for item in items {
            let stored = catalog.get(&item.id);
            let seen = lock(&self.seen).get(&item.id).cloned();
            let content_key = seen.as_ref().or(stored.map(|stored| &stored.content_key));
            if content_key != Some(&item.content_key) {
                to_fetch.push(item);
                continue;
            }
            let unchanged = seen.is_none()
                && stored.is_some_and(|stored| {
                    stored.folder == item.folder && stored.meta_key == meta_key(&item)
                });
            lock(&self.seen).insert(item.id.clone(), item.content_key.clone());
            if !(unchanged && known == Known::Skip) {
                delivery.staged.push(Staged { item, content: None });
            }
        }

        let mut fetched = stream::iter(to_fetch)
            .map(|item| async {
                let outcome = self.reading.fetcher.fetch(self.mailbox, &item).await;
                (item, outcome)
            })
            .buffer_unordered(CONTENTS_AT_ONCE);
        let mut inspected = Vec::new();
        while let Some((item, outcome)) = fetched.next().await {
            match outcome {
                Ok(fetched) => {
                    let (mailbox, bytes) = (self.mailbox.address.clone(), fetched.content.bytes());
                    self.reading.observer.on_event(&Event::Fetched { mailbox, bytes });
                    inspected.push(InspectedItem {
                        item: item.id.clone(),
                        content_key: item.content_key.clone(),
                        message_id: fetched.message_id.or(item.internet_message_id.clone()),
                        verdict: fetched.verdict,
                    });
                    lock(&self.seen).insert(item.id.clone(), item.content_key.clone());
                    delivery.staged.push(Staged { item, content: Some(fetched.content) });
                }
                Err(ServiceError::Exchange(ExchangeError::NotFound { .. })) => {
                    // Deleted or moved while it was on its way; another change tells which.
                }
                Err(ServiceError::Exchange(error)) if error.concerns_one_item() => {
                    delivery.missed.push(self.missed(item.id, Some(item.folder), &error));
                }
                Err(error) => return Err(error),
            }
        }
        if !inspected.is_empty() {
            let now = OffsetDateTime::now_utc();
            control.record_verdicts(tenant, &self.mailbox.id, inspected, now).await?;
        }
        Ok(())
    }

    /// Every folder has been read: what is still missing is looked for, once more by its id.
    async fn finish(self, tree: FolderTree) -> Result<(), ServiceError> {
        let Reading { provider, control, tenant, observer, .. } = self.reading;
        let missing = std::mem::take(&mut *lock(&self.missing));
        let ids: Vec<_> = missing.iter().map(|(id, _)| id.clone()).collect();
        let catalog = control.items(tenant, &self.mailbox.id, &ids).await?;
        let suspects: Vec<_> = missing
            .into_iter()
            .filter(|(id, folder)| {
                // Named in another folder in this pass or before: it moved.
                !lock(&self.seen).contains_key(id)
                    && catalog.get(id).is_some_and(|stored| stored.folder == *folder)
            })
            .map(|(id, _)| id)
            .collect();
        let located: Vec<(ItemId, Option<Item>)> = stream::iter(suspects)
            .map(|id| async move {
                let found = provider.item(self.mailbox, &id).await?;
                Ok::<_, ExchangeError>((id, found))
            })
            .buffer_unordered(CONTENTS_AT_ONCE)
            .try_collect()
            .await?;

        let present: HashSet<_> = tree.present().cloned().collect();
        let mut delivery = self.delivery();
        let mut moved = Vec::new();
        for (id, found) in located {
            match found {
                // Moved behind our back into a folder that was read already.
                Some(item) if present.contains(&item.folder) => moved.push(item),
                // Gone, or in a folder that the tree does not list: Recoverable Items, or one made
                // during this pass, which the next pass reads from its beginning.
                _ => delivery.removed.push(id),
            }
        }
        self.stage(&mut delivery, moved, Known::Skip).await?;
        delivery.cursors = std::mem::take(&mut *lock(&self.held));
        let (folders, folder_cursor) = tree.finish();
        delivery.folders = folders;
        delivery.end = Some(End { folder_cursor });
        self.deliver(delivery).await?;
        observer.on_event(&Event::MailboxRead { mailbox: self.mailbox.address.clone() });
        Ok(())
    }

    fn missed(&self, item: ItemId, folder: Option<FolderId>, error: &ExchangeError) -> Missed {
        let (mailbox, error) = (self.mailbox.address.clone(), error.to_string());
        tracing::warn!(%mailbox, item = item.0, error, "an item could not be read");
        self.reading.observer.on_event(&Event::Missed { mailbox, error: error.clone() });
        Missed { item, folder, error }
    }

    fn delivery(&self) -> Delivery {
        Delivery::new(self.mailbox, &self.folders)
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), ServiceError> {
        // The receiver goes away only when the writer failed, and the writer's error is the one
        // that is reported.
        self.reading.deliveries.send(delivery).await.map_err(|_| ServiceError::Stopped)
    }
}

/// What to do with an item of which the catalog knows the very same state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nothing.
    Skip,
    /// Store it again: its last attempt did not come to an end.
    Ignore,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
