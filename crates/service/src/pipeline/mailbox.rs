//! Reads one mailbox: what changed since the cursors, and the content of what is new.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};
use mailkeep_control::Control;
use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_inspect::Habits;
use mailkeep_model::{Cursor, Folder, FolderId, Item, ItemId, ItemKind, Mailbox, TenantName};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{
    compare::Comparing,
    fetch::Fetcher,
    folders::FolderTree,
    habits::known,
    staged::{Because, Delivery, Missed},
};
use crate::{Event, Observer, PassLimits, ServiceError, protect::Acting};

/// Folders of a mailbox that are read at the same time. The provider's limit is on requests; a few
/// folders at once keep it used while one of them waits for its next page.
const FOLDERS_AT_ONCE: usize = 3;
/// Contents of one page that are asked for at the same time; the mailbox's gate decides how many
/// go out.
pub(super) const CONTENTS_AT_ONCE: usize = 4;

/// What every mailbox's reader needs.
pub(crate) struct Reading<P> {
    pub(crate) provider: P,
    pub(crate) control: Control,
    pub(crate) tenant: TenantName,
    pub(crate) fetcher: Fetcher<P>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) deliveries: mpsc::Sender<Delivery>,
    pub(crate) limits: PassLimits,
    pub(crate) acting: Acting,
}

/// What reading a mailbox came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// It was read to its end.
    Whole,
    /// Its mail was read to its end; something else of it was not, for these reasons.
    Part(Vec<ExchangeError>),
    /// The directory lists it, but there is no mailbox: a guest, or one on another server.
    NoMailbox,
}

/// One mailbox in one pass.
pub(super) struct MailboxReader<'a, P> {
    pub(super) reading: &'a Reading<P>,
    pub(super) mailbox: &'a Mailbox,
    pub(super) folders: Arc<Vec<Folder>>,
    /// Folders that are there.
    pub(super) present: HashSet<FolderId>,
    /// Folders of which nothing is told: what lies in them stays as it is.
    pub(super) resting: HashSet<FolderId>,
    /// What this pass has already handed on: the catalog does not know it before its round is
    /// durable.
    pub(super) seen: Mutex<HashMap<ItemId, Seen>>,
    /// Reported gone from a folder; a move looks the same.
    pub(super) missing: Mutex<Vec<Missing>>,
    /// Why something beside the mail could not be read.
    pub(super) unread: Mutex<Vec<ExchangeError>>,
    /// Cursors that must not move before the missing items of their folder are settled.
    pub(super) held: Mutex<Vec<(FolderId, Cursor)>>,
    /// Folders that were read from their beginning to their end.
    pub(super) compared: Mutex<HashSet<FolderId>>,
    /// When the list of folders was read from its beginning, if it was.
    pub(super) tree_compared: Option<OffsetDateTime>,
    /// What it is used to, as far as it was read.
    pub(super) habits: Arc<Mutex<Habits>>,
}

/// An item that is no longer in the folder where it was.
pub(super) struct Missing {
    pub(super) item: ItemId,
    pub(super) kind: ItemKind,
    pub(super) folder: FolderId,
}

/// How an item was last named in this pass.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) content_key: String,
    pub(super) folder: FolderId,
}

/// Reads a mailbox to its end and hands everything to the writer of rounds.
pub(crate) async fn read<P: Provider>(
    reading: &Reading<P>,
    mailbox: &Mailbox,
) -> Result<Read, ServiceError> {
    let mut state = reading.control.sync_state(&reading.tenant, &mailbox.id).await?;
    let is_new = state.folder_cursor.is_none() && state.folders.is_empty();
    let now = OffsetDateTime::now_utc();
    let comparing = Comparing::new(&mailbox.id, &reading.limits, now);
    let cursor = comparing.tree_cursor(&mut state);
    let tree_compared = cursor.is_none().then_some(now);
    let listed = std::mem::take(&mut state.folders);
    let kinds = reading.provider.kinds();
    let tree = FolderTree::read(&reading.provider, mailbox, listed, cursor, &kinds).await;
    let tree = match tree {
        Err(ExchangeError::NotFound { .. }) if is_new => return Ok(Read::NoMailbox),
        tree => tree?,
    };
    let habits = known(&reading.control, &reading.tenant, &mailbox.id, now).await?;
    let reader = MailboxReader {
        reading,
        mailbox,
        folders: tree.known(),
        present: tree.present().map(|folder| folder.id.clone()).collect(),
        resting: tree.resting().clone(),
        seen: Mutex::default(),
        missing: Mutex::default(),
        unread: Mutex::default(),
        held: Mutex::default(),
        compared: Mutex::default(),
        tree_compared,
        habits: Arc::new(Mutex::new(habits)),
    };
    reader.retry_missed().await?;
    stream::iter(tree.present())
        .map(Ok)
        .try_for_each_concurrent(FOLDERS_AT_ONCE, |folder| {
            reader.read_folder(folder, comparing.start(&state, &folder.id))
        })
        .await?;
    for folder in tree.gone() {
        reader.expect_items_elsewhere(folder).await?;
    }
    let unlisted = reader.finish(tree).await?;
    Ok(if unlisted.is_empty() { Read::Whole } else { Read::Part(unlisted) })
}

impl<P: Provider> MailboxReader<'_, P> {
    /// Whether a folder was there when it was last listed, or is there now.
    pub(super) fn is_known(&self, folder: &FolderId) -> bool {
        self.folders.iter().any(|known| known.id == *folder)
    }

    /// Whether nothing is told of a folder now.
    pub(super) fn rests(&self, folder: &FolderId) -> bool {
        self.resting.contains(folder)
    }

    /// Notes why something beside the mail cannot be read; of what one missing right costs, once.
    pub(super) fn cannot_read(&self, error: ExchangeError) {
        let right = |error: &ExchangeError| match error {
            ExchangeError::Forbidden { right, .. } => Some(*right),
            _ => None,
        };
        let mut unread = lock(&self.unread);
        if right(&error).is_none() || unread.iter().all(|one| right(one) != right(&error)) {
            unread.push(error);
        }
    }

    pub(super) fn failed(&self, item: Item, error: &ExchangeError) -> Missed {
        self.failed_because(item, &error.to_string())
    }

    pub(super) fn failed_because(&self, item: Item, error: &str) -> Missed {
        self.missed(item.id, item.kind, Some(item.folder), error)
    }

    pub(super) fn missed(
        &self,
        item: ItemId,
        kind: ItemKind,
        folder: Option<FolderId>,
        error: &str,
    ) -> Missed {
        let (mailbox, error) = (self.mailbox.address.clone(), error.to_owned());
        tracing::warn!(%mailbox, item = item.0, error, "an item could not be read");
        self.reading.observer.on_event(&Event::Missed { mailbox, error: error.clone() });
        Missed { item, kind, folder, error, because: Because::Failed }
    }

    pub(super) fn delivery(&self) -> Delivery {
        Delivery::new(self.mailbox, &self.folders)
    }

    /// Hands on to the writer, for whom the last word on an item counts.
    ///
    /// A folder hands on late what it was told early: an item that moved meanwhile was named, and
    /// perhaps handed on, by the folder where it is now. What is out of date is left out.
    pub(super) async fn deliver(&self, mut delivery: Delivery) -> Result<(), ServiceError> {
        {
            let seen = lock(&self.seen);
            delivery.staged.retain(|staged| {
                let last = seen.get(&staged.item.id);
                last.is_none_or(|last| {
                    last.folder == staged.item.folder && last.content_key == staged.item.content_key
                })
            });
        }
        // No other folder gets a turn between that look and this queue.
        // The receiver goes away only when the writer failed, and the writer's error is the one
        // that is reported.
        self.reading.deliveries.send(delivery).await.map_err(|_| ServiceError::Stopped)
    }
}

/// Whether the rest of the mailbox may be read all the same.
pub(crate) fn is_local(error: &ExchangeError) -> bool {
    error.concerns_one_item() || matches!(error, ExchangeError::Forbidden { .. })
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
