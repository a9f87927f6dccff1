//! Reads one mailbox: what changed since the cursors, and the content of what is new.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};
use mailkeep_control::{Control, InspectedItem};
use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{
    Change, Cursor, Folder, FolderId, FolderKind, Item, ItemId, ItemKind, Mailbox, Next, Page,
    TenantName,
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
#[derive(Debug)]
pub(crate) enum Read {
    /// It was read to its end.
    Whole,
    /// Its mail was read to its end; calendars or contacts were not, for these reasons.
    Part(Vec<ExchangeError>),
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
    missing: Mutex<Vec<Missing>>,
    /// Why calendars or contact folders could not be read.
    unread: Mutex<Vec<ExchangeError>>,
    /// Cursors that must not move before the missing items of their folder are settled.
    held: Mutex<Vec<(FolderId, Cursor)>>,
}

/// An item that is no longer in the folder where it was.
struct Missing {
    item: ItemId,
    kind: ItemKind,
    folder: FolderId,
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
        present: tree.present().map(|folder| folder.id.clone()).collect(),
        seen: Mutex::default(),
        missing: Mutex::default(),
        unread: Mutex::default(),
        held: Mutex::default(),
    };
    reader.retry_missed().await?;
    let cursors = &state.item_cursors;
    stream::iter(tree.present())
        .map(Ok)
        .try_for_each_concurrent(FOLDERS_AT_ONCE, |folder| {
            reader.read_folder(folder, cursors.get(&folder.id).cloned())
        })
        .await?;
    for folder in tree.gone() {
        reader.expect_items_elsewhere(folder).await?;
    }
    let unlisted = reader.finish(tree).await?;
    Ok(if unlisted.is_empty() { Read::Whole } else { Read::Part(unlisted) })
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
            match provider.item(self.mailbox, missed.kind, &missed.item).await {
                Ok(Some(item)) if self.present.contains(&item.folder) => {
                    settled.push(missed.item);
                    found.push(item);
                }
                // It is there, and its folder is said not to be, or could not be listed.
                Ok(Some(item)) if self.is_known(&item.folder) => {
                    let error = "its folder was not listed";
                    delivery.missed.push(self.failed_because(item, error));
                }
                // Gone, or in a folder that is read from its beginning once it is listed.
                Ok(_) => {
                    delivery.removed.push(missed.item.clone());
                    settled.push(missed.item);
                }
                Err(error) if is_local(&error) => {
                    let (folder, error) = (missed.folder, error.to_string());
                    delivery.missed.push(self.missed(missed.item, missed.kind, folder, &error));
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
        folder: &Folder,
        mut cursor: Option<Cursor>,
    ) -> Result<(), ServiceError> {
        let provider = &self.reading.provider;
        let kind = folder.kind.items();
        let missing_here = |item| Missing { item, kind, folder: folder.id.clone() };
        let mut holds_cursor = false;
        // Set while the folder is read from its beginning: what the catalog has and the provider
        // does not name is missing.
        let mut unnamed: Option<HashSet<ItemId>> = None;
        if cursor.is_none() {
            unnamed = self.cataloged(&folder.id).await?;
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
                    unnamed = self.cataloged(&folder.id).await?;
                    continue;
                }
                Err(ExchangeError::NotFound { .. }) => {
                    return self.expect_items_elsewhere(folder).await;
                }
                // One calendar that cannot be read does not stop the mail.
                Err(error) if folder.kind != FolderKind::Mail && is_local(&error) => {
                    lock(&self.unread).push(error);
                    return Ok(());
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
                    Change::Removed(id) => missing.push(missing_here(id)),
                }
            }
            let (next, at_end) = match next {
                Next::More(cursor) => (Some(cursor), false),
                Next::Done(cursor) => (Some(cursor), true),
                Next::Complete => (None, true),
            };
            if at_end && let Some(unnamed) = unnamed.take() {
                missing.extend(unnamed.into_iter().map(missing_here));
            }
            holds_cursor |= !missing.is_empty();
            lock(&self.missing).extend(missing);
            for (item, error) in unread {
                delivery.missed.push(self.missed(item, kind, Some(folder.id.clone()), &error));
            }
            self.stage(&mut delivery, upserts, Known::Skip).await?;
            if let Some(next) = &next {
                let moved = (folder.id.clone(), next.clone());
                if holds_cursor {
                    if at_end {
                        lock(&self.held).push(moved);
                    }
                } else if unnamed.is_none() && (at_end || folder.kind == FolderKind::Mail) {
                    // A place within the list of a calendar is none to go on from: what changes
                    // before it would never be seen.
                    delivery.cursors.push(moved);
                }
            }
            self.deliver(delivery).await?;
            if at_end {
                return Ok(());
            }
            cursor = next;
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
    async fn expect_items_elsewhere(&self, folder: &Folder) -> Result<(), ServiceError> {
        let Reading { control, tenant, .. } = self.reading;
        let items = control.items_in_folder(tenant, &self.mailbox.id, &folder.id).await?;
        let kind = folder.kind.items();
        let missing = |item| Missing { item, kind, folder: folder.id.clone() };
        lock(&self.missing).extend(items.into_iter().map(|known| missing(known.item)));
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
            let in_place = match &seen {
                Some(seen) => seen.folder == item.folder,
                None => stored.is_some_and(|stored| stored.folder == item.folder),
            };
            // What is told of an event in passing is less than the vault has of it: where
            // anything changed, all of it is read.
            let is_message = item.kind == ItemKind::Message;
            if content_key != Some(&item.content_key)
                || known == Known::Refetch
                || !(is_message || in_place)
            {
                to_fetch.push(item);
                continue;
            }
            let unchanged = !is_message
                || (seen.is_none()
                    && in_place
                    && stored.is_some_and(|stored| stored.meta_key == meta_key(&item)));
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
                    let item = fetched.item.unwrap_or(item);
                    if let Some(report) = fetched.report {
                        inspected.push(InspectedItem {
                            item: item.id.clone(),
                            content_key: item.content_key.clone(),
                            message_id: report.message_id.or(item.internet_message_id.clone()),
                            verdict: report.verdict,
                        });
                    }
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
                    match provider.item(self.mailbox, item.kind, &item.id).await {
                        Ok(None) => {}
                        Ok(Some(_)) => delivery.missed.push(self.failed(item, &error)),
                        Err(error) if is_local(&error) => {
                            delivery.missed.push(self.failed(item, &error));
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                // Where its folder could be read, a refusal is about this one item, too.
                Err(ServiceError::Exchange(error)) if is_local(&error) => {
                    delivery.missed.push(self.failed(item, &error));
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

    /// Every folder has been read: what is still missing is looked for, once more by its id. What
    /// could not be listed comes back.
    async fn finish(mut self, mut tree: FolderTree) -> Result<Vec<ExchangeError>, ServiceError> {
        let Reading { provider, control, tenant, observer, .. } = self.reading;
        let missing = std::mem::take(&mut *lock(&self.missing));
        let ids: Vec<_> = missing.iter().map(|missing| missing.item.clone()).collect();
        let catalog = control.items(tenant, &self.mailbox.id, &ids).await?;
        let suspects: Vec<_> = missing
            .into_iter()
            .filter(|Missing { item, folder, .. }| {
                // Last named in another folder, in this pass or before: it moved.
                let seen = lock(&self.seen).get(item).map(|seen| seen.folder.clone());
                let last = seen.or_else(|| catalog.get(item).map(|stored| stored.folder.clone()));
                last.as_ref() == Some(folder)
            })
            .collect();
        let mut located = stream::iter(suspects)
            .map(|missing| async move {
                let found = provider.item(self.mailbox, missing.kind, &missing.item).await;
                (missing, found)
            })
            .buffer_unordered(CONTENTS_AT_ONCE);

        let mut delivery = self.delivery();
        let mut moved = Vec::new();
        let mut strayed = Vec::new();
        while let Some((Missing { item: id, kind, folder }, found)) = located.next().await {
            match found {
                // Moved behind our back into a folder that was read already.
                Ok(Some(item)) if self.present.contains(&item.folder) => moved.push(item),
                // A list of folders left out the one that it lies in. Both stay as they are.
                Ok(Some(item)) if self.is_known(&item.folder) => tree.keep(&item.folder),
                Ok(Some(item)) => strayed.push(item),
                Ok(None) => delivery.removed.push(id),
                // Nobody knows: it stays, and is looked for in the next pass.
                Err(error) if is_local(&error) => {
                    let error = error.to_string();
                    delivery.missed.push(self.missed(id, kind, Some(folder), &error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        drop(located);
        if !strayed.is_empty() {
            // In a folder that was made during this pass, or in one that is never listed:
            // Recoverable Items.
            let folders: Vec<_> =
                strayed.iter().map(|item| (item.kind, item.folder.clone())).collect();
            tree.look_again(provider, self.mailbox, &folders).await?;
            self.folders = tree.known();
            delivery.folders = Arc::clone(&self.folders);
            for item in strayed {
                if self.is_known(&item.folder) {
                    moved.push(item);
                } else {
                    delivery.removed.push(item.id);
                }
            }
        }
        self.stage(&mut delivery, moved, Known::Skip).await?;
        delivery.cursors = std::mem::take(&mut *lock(&self.held));
        let (folders, unlisted, folder_cursor) = tree.finish();
        delivery.folders = folders;
        delivery.end = Some(End { folder_cursor });
        self.deliver(delivery).await?;
        observer.on_event(&Event::MailboxRead { mailbox: self.mailbox.address.clone() });
        let unread = std::mem::take(&mut *lock(&self.unread));
        Ok(unlisted.into_iter().chain(unread).collect())
    }

    /// Whether a folder was there when it was last listed, or is there now.
    fn is_known(&self, folder: &FolderId) -> bool {
        self.folders.iter().any(|known| known.id == *folder)
    }

    fn failed(&self, item: Item, error: &ExchangeError) -> Missed {
        self.failed_because(item, &error.to_string())
    }

    fn failed_because(&self, item: Item, error: &str) -> Missed {
        self.missed(item.id, item.kind, Some(item.folder), error)
    }

    fn missed(
        &self,
        item: ItemId,
        kind: ItemKind,
        folder: Option<FolderId>,
        error: &str,
    ) -> Missed {
        let (mailbox, error) = (self.mailbox.address.clone(), error.to_owned());
        tracing::warn!(%mailbox, item = item.0, error, "an item could not be read");
        self.reading.observer.on_event(&Event::Missed { mailbox, error: error.clone() });
        Missed { item, kind, folder, error }
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

/// Whether the rest of the mailbox may be read all the same.
fn is_local(error: &ExchangeError) -> bool {
    error.concerns_one_item() || matches!(error, ExchangeError::Forbidden { .. })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
