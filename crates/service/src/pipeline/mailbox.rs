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

/// A page is handed on in parts of at most this much content: what is not handed on yet holds room
/// in the spool that only the writer can free.
const PART_ITEMS: usize = 100;
/// How often a folder may have to be read from its beginning within one pass.
const MOST_RESTARTS: u32 = 3;

/// What every mailbox's reader needs.
pub(crate) struct Reading<P> {
    pub(crate) provider: P,
    pub(crate) control: Control,
    pub(crate) tenant: TenantName,
    pub(crate) fetcher: Fetcher<P>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) deliveries: mpsc::Sender<Delivery>,
    /// Bytes of content that one delivery may hold.
    pub(crate) part_bytes: u64,
}

/// What reading a mailbox came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It was read to its end.
    Whole,
    /// The directory lists it, but there is no mailbox: a guest, or one on another server.
    NoMailbox,
}

/// One mailbox in one pass.
struct MailboxReader<'a, P> {
    reading: &'a Reading<P>,
    mailbox: &'a Mailbox,
    folders: Arc<Vec<Folder>>,
    /// Folders that are there.
    present: HashSet<FolderId>,
    /// What this pass has already handed on: the catalog does not know it before its round is
    /// durable.
    seen: Mutex<HashMap<ItemId, Seen>>,
    /// Reported gone from a folder; a move looks the same.
    missing: Mutex<Vec<(ItemId, FolderId)>>,
    /// Cursors that must not move before the missing items of their folder are settled.
    held: Mutex<Vec<(FolderId, Cursor)>>,
}

/// How an item was last named in this pass.
#[derive(Clone)]
struct Seen {
    content_key: String,
    folder: FolderId,
}

/// Reads a mailbox to its end and hands everything to the writer of rounds.
pub(crate) async fn read<P: Provider>(
    reading: &Reading<P>,
    mailbox: &Mailbox,
) -> Result<Read, ServiceError> {
    let state = reading.control.sync_state(&reading.tenant, &mailbox.id).await?;
    let is_new = state.folder_cursor.is_none() && state.folders.is_empty();
    let tree =
        FolderTree::read(&reading.provider, mailbox, state.folders, state.folder_cursor).await;
    let tree = match tree {
        Err(ExchangeError::NotFound { .. }) if is_new => return Ok(Read::NoMailbox),
        tree => tree?,
    };
    let reader = MailboxReader {
        reading,
        mailbox,
        folders: tree.known(),
        present: tree.present().cloned().collect(),
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
    reader.finish(tree).await?;
    Ok(Read::Whole)
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
        let mut settled = Vec::new();
        let mut found = Vec::new();
        for missed in before {
            match provider.item(self.mailbox, &missed.item).await {
                Ok(Some(item)) if self.present.contains(&item.folder) => {
                    settled.push(missed.item);
                    found.push(item);
                }
                // Gone, or in a folder that is read from its beginning once it is listed.
                Ok(_) => {
                    delivery.removed.push(missed.item.clone());
                    settled.push(missed.item);
                }
                Err(error) if error.concerns_one_item() => {
                    let folder = missed.folder;
                    let error = error.to_string();
                    delivery.missed.push(self.missed(missed.item, folder, &error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.stage(&mut delivery, found, Known::Refetch).await?;
        // Not before what was found is handed on: a crash in between would forget it.
        delivery.settled = settled;
        self.deliver(delivery).await
    }

    async fn read_folder(
        &self,
        folder: &FolderId,
        mut cursor: Option<Cursor>,
    ) -> Result<(), ServiceError> {
        let provider = &self.reading.provider;
        let mut holds_cursor = false;
        // Set while the folder is read from its beginning: what the catalog has and the provider
        // does not name is missing.
        let mut unnamed: Option<HashSet<ItemId>> = None;
        if cursor.is_none() {
            unnamed = self.cataloged(folder).await?;
        }
        let mut restarts = 0;
        loop {
            let Page { changes, unread, next } = match provider
                .item_changes(self.mailbox, folder, cursor.as_ref())
                .await
            {
                Ok(page) => page,
                Err(ExchangeError::CursorExpired { .. })
                    if cursor.is_some() && restarts < MOST_RESTARTS =>
                {
                    restarts += 1;
                    tracing::info!(mailbox = %self.mailbox.address, "a folder is compared anew");
                    cursor = None;
                    unnamed = self.cataloged(folder).await?;
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
            for (item, error) in unread {
                delivery.missed.push(self.missed(item, Some(folder.clone()), &error));
            }
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

    /// What the catalog has in a folder, `None` when that is nothing.
    async fn cataloged(&self, folder: &FolderId) -> Result<Option<HashSet<ItemId>>, ServiceError> {
        let Reading { control, tenant, .. } = self.reading;
        let items = control.items_in_folder(tenant, &self.mailbox.id, folder).await?;
        let items: HashSet<_> = items.into_iter().map(|known| known.item).collect();
        Ok((!items.is_empty()).then_some(items))
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
        let Reading { provider, control, tenant, .. } = self.reading;
        let ids: Vec<_> = items.iter().map(|item| item.id.clone()).collect();
        let catalog = control.items(tenant, &self.mailbox.id, &ids).await?;
        let mut to_fetch = Vec::new();
        for item in items {
            let stored = catalog.get(&item.id);
            let seen = lock(&self.seen).get(&item.id).cloned();
            let content_key = match &seen {
                Some(seen) => Some(&seen.content_key),
                None => stored.map(|stored| &stored.content_key),
            };
            if content_key != Some(&item.content_key) || known == Known::Refetch {
                to_fetch.push(item);
                continue;
            }
            let unchanged = seen.is_none()
                && stored.is_some_and(|stored| {
                    stored.folder == item.folder && stored.meta_key == meta_key(&item)
                });
            self.saw(&item);
            if !unchanged {
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
        let mut bytes_held = 0;
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
                    self.saw(&item);
                    delivery.staged.push(Staged { item, content: Some(fetched.content) });
                    bytes_held += bytes;
                    if bytes_held >= self.reading.part_bytes || delivery.staged.len() >= PART_ITEMS
                    {
                        bytes_held = 0;
                        self.record(std::mem::take(&mut inspected)).await?;
                        let part = std::mem::replace(delivery, self.delivery());
                        self.deliver(part).await?;
                    }
                }
                Err(ServiceError::Exchange(error @ ExchangeError::NotFound { .. })) => {
                    // Deleted on its way: another change says so. Or it is there all the same.
                    if provider.item(self.mailbox, &item.id).await?.is_some() {
                        let error = error.to_string();
                        delivery.missed.push(self.missed(item.id, Some(item.folder), &error));
                    }
                }
                // Where its folder could be read, a refusal is about this one item, too.
                Err(ServiceError::Exchange(error))
                    if error.concerns_one_item()
                        || matches!(error, ExchangeError::Forbidden { .. }) =>
                {
                    let error = error.to_string();
                    delivery.missed.push(self.missed(item.id, Some(item.folder), &error));
                }
                Err(error) => return Err(error),
            }
        }
        self.record(inspected).await
    }

    fn saw(&self, item: &Item) {
        let seen = Seen { content_key: item.content_key.clone(), folder: item.folder.clone() };
        lock(&self.seen).insert(item.id.clone(), seen);
    }

    async fn record(&self, inspected: Vec<InspectedItem>) -> Result<(), ServiceError> {
        if inspected.is_empty() {
            return Ok(());
        }
        let Reading { control, tenant, .. } = self.reading;
        let now = OffsetDateTime::now_utc();
        Ok(control.record_verdicts(tenant, &self.mailbox.id, inspected, now).await?)
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
                // Last named in another folder, in this pass or before: it moved.
                let seen = lock(&self.seen).get(id).map(|seen| seen.folder.clone());
                let last = seen.or_else(|| catalog.get(id).map(|stored| stored.folder.clone()));
                last.as_ref() == Some(folder)
            })
            .collect();
        let mut located = stream::iter(suspects)
            .map(|(id, folder)| async move {
                let found = provider.item(self.mailbox, &id).await;
                (id, folder, found)
            })
            .buffer_unordered(CONTENTS_AT_ONCE);

        let mut delivery = self.delivery();
        let mut moved = Vec::new();
        while let Some((id, folder, found)) = located.next().await {
            match found {
                // Moved behind our back into a folder that was read already.
                Ok(Some(item)) if self.present.contains(&item.folder) => moved.push(item),
                // Gone, or in a folder that the tree does not list: Recoverable Items, or one made
                // during this pass, which the next pass reads from its beginning.
                Ok(_) => delivery.removed.push(id),
                // Nobody knows: it stays, and is looked for in the next pass.
                Err(error) if error.concerns_one_item() => {
                    let error = error.to_string();
                    delivery.missed.push(self.missed(id, Some(folder), &error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        drop(located);
        self.stage(&mut delivery, moved, Known::Skip).await?;
        delivery.cursors = std::mem::take(&mut *lock(&self.held));
        let (folders, folder_cursor) = tree.finish();
        delivery.folders = folders;
        delivery.end = Some(End { folder_cursor });
        self.deliver(delivery).await?;
        observer.on_event(&Event::MailboxRead { mailbox: self.mailbox.address.clone() });
        Ok(())
    }

    fn missed(&self, item: ItemId, folder: Option<FolderId>, error: &str) -> Missed {
        let (mailbox, error) = (self.mailbox.address.clone(), error.to_owned());
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
    /// Fetch and store it again: its last attempt failed, perhaps because the vault's copy is
    /// damaged.
    Refetch,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
