//! Carries out what was decided, for the items of one mailbox.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use mailkeep_exchange::{
    Created, ExchangeError, Existing, Looked, Mark, NewItem, Origin, Provider,
};
use mailkeep_model::{Address, Attachment, Detail, Folder, ItemId, ItemKind, Mailbox};
use mailkeep_vault::{ShortId, StoredItem, attachments_in_icalendar, photo_in_vcard};
use tokio::sync::Semaphore;

use super::{
    RestoreOutcome, RestoredItem, course::Course, decide::Action, plan::Work, target::Mode,
};
use crate::{Event, Observer, ServiceError, View, pipeline::is_local, service::blocking};

/// Items that are worked on at the same time; the mailbox's gate decides how many requests go out.
const ITEMS_AT_ONCE: usize = 8;
/// What is in memory of contents at the same time, in MiB; an item that takes more goes alone.
const HELD_MIB: u32 = 256;
/// So many times the size of what is stored is held while an item is written: the content, its
/// attachments taken out of it, and those once more on their way out.
const HELD_PER_STORED: u64 = 3;

/// Writes the items of one mailbox.
pub(super) struct Writer<'a, P> {
    provider: &'a P,
    course: &'a Course,
    observer: &'a dyn Observer,
    view: Arc<View>,
    /// Out of which mailbox, and into which.
    from: Address,
    into: Mailbox,
    mode: Mode,
    room: Semaphore,
    bytes: AtomicU64,
    doubts: Mutex<Vec<Doubt>>,
    /// Why the provider takes no streams here.
    no_streams: OnceLock<String>,
}

/// What may have been made twice.
struct Doubt {
    item: ShortId,
    folder: Folder,
    path: String,
    kind: ItemKind,
    mark: Mark,
    keep: Vec<ItemId>,
}

/// What was done with an item.
struct Done {
    outcome: RestoreOutcome,
    made: Option<ItemId>,
    lost: Vec<String>,
}

impl Done {
    fn without(outcome: RestoreOutcome) -> Self {
        Self { outcome, made: None, lost: Vec::new() }
    }

    fn with(outcome: RestoreOutcome, created: Created) -> Self {
        Self { outcome, made: Some(created.id), lost: created.lost }
    }
}

impl<'a, P: Provider> Writer<'a, P> {
    pub(super) fn new(
        provider: &'a P,
        course: &'a Course,
        observer: &'a dyn Observer,
        view: Arc<View>,
        (from, into): (Address, Mailbox),
        mode: Mode,
    ) -> Self {
        let room = Semaphore::new(HELD_MIB as usize);
        let (bytes, doubts) = (AtomicU64::new(0), Mutex::default());
        let no_streams = OnceLock::new();
        Self { provider, course, observer, view, from, into, mode, room, bytes, doubts, no_streams }
    }

    /// Does what there is to do, and tells of each item when it is done.
    pub(super) async fn perform(&self, work: Vec<Work>, mut tell: impl FnMut(RestoredItem)) {
        let running = stream::iter(work).map(|one| self.one(one)).buffer_unordered(ITEMS_AT_ONCE);
        let mut running = std::pin::pin!(running);
        while let Some(done) = running.next().await {
            self.observer.on_event(&Event::Restored { item: done.clone() });
            tell(done);
        }
    }

    /// Looks once more at what may have been made twice: by now a request whose answer was lost has
    /// been carried out or never will be. What could not be looked at is told.
    pub(super) async fn settle(&self) -> Vec<String> {
        let doubts = std::mem::take(&mut *lock(&self.doubts));
        let mut problems = Vec::new();
        for doubt in doubts {
            let Doubt { item, folder, path, kind, mark, keep } = &doubt;
            let look = |_| self.provider.remove_doubles(&self.into, folder, *kind, mark, keep);
            let looked = tokio::select! {
                looked = self.course.outlast(look) => looked.map_err(|error| error.to_string()),
                () = self.course.cut_off() => Err("the restore was interrupted".into()),
            };
            if let Err(why) = looked {
                problems.push(format!(
                    "an answer of the provider was lost, and {item} may be twice in {}:{path}: {why}",
                    self.into.address,
                ));
            }
        }
        problems
    }

    /// Bytes of content that were read from the vault.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    async fn one(&self, work: Work) -> RestoredItem {
        let done = match &work.action {
            _ if self.course.is_halted() => Done::without(RestoreOutcome::NotTried),
            Err(why) => Done::without(RestoreOutcome::Failed(why.clone())),
            Ok(Action::Refuse(why)) => Done::without(RestoreOutcome::Failed((*why).into())),
            Ok(action) if self.mode == Mode::Preview => Done::without(expected(action)),
            Ok(action) => tokio::select! {
                done = self.write(&work, action) => done.unwrap_or_else(|error| {
                    Done::without(RestoreOutcome::Failed(self.course.failed(error)))
                }),
                () = self.course.cut_off() => Done::without(RestoreOutcome::Failed(
                    "the restore was interrupted while this was being written".into(),
                )),
            },
        };
        RestoredItem {
            item: work.stored.short,
            kind: work.stored.item.kind,
            subject: work.stored.item.subject,
            mailbox: self.into.address.clone(),
            folder: work.path,
            outcome: done.outcome,
            made: done.made,
            lost: done.lost,
        }
    }

    async fn write(&self, work: &Work, action: &Action) -> Result<Done, ServiceError> {
        let item = &work.stored.item;
        match action {
            Action::Nothing | Action::Refuse(_) => Ok(Done::without(RestoreOutcome::Present)),
            Action::Create => Ok(match self.create(work, &[]).await? {
                Some(made) => Done::with(RestoreOutcome::Created, made),
                None => Done::without(RestoreOutcome::NotTried),
            }),
            Action::Replace(old) => {
                let replaces: Vec<ItemId> = old.iter().map(|one| one.id.clone()).collect();
                let Some(made) = self.create(work, &replaces).await? else {
                    return Ok(Done::without(RestoreOutcome::NotTried));
                };
                // Where this fails both are there, the report says so, and the next try goes on
                // with it. What was written over is what is there.
                for old in old.iter().filter(|old| old.id != made.id) {
                    self.delete(item.kind, old).await?;
                }
                Ok(Done::with(RestoreOutcome::Replaced, made))
            }
            Action::Remove(older) => {
                for old in older {
                    self.delete(item.kind, old).await?;
                }
                Ok(Done::without(RestoreOutcome::Replaced))
            }
            Action::Update(old, older) => {
                if let Some(folder) = &work.folder
                    && folder.id != old.folder
                {
                    let relocate =
                        |_| self.provider.relocate(&self.into, item.kind, &old.id, &folder.id);
                    self.course.outlast(relocate).await?;
                }
                let update = |_| self.provider.update(&self.into, &old.id, item);
                self.course.outlast(update).await?;
                for old in older {
                    self.delete(item.kind, old).await?;
                }
                Ok(Done::without(expected(action)))
            }
        }
    }

    async fn delete(&self, kind: ItemKind, old: &Existing) -> Result<(), ServiceError> {
        Ok(self.course.outlast(|_| self.provider.delete(&self.into, kind, &old.id)).await?)
    }

    /// `None` when the restore ended while this waited for others to leave room.
    async fn create(
        &self,
        work: &Work,
        replaces: &[ItemId],
    ) -> Result<Option<Created>, ServiceError> {
        let Some(folder) = &work.folder else { return Err(ServiceError::Stopped) };
        let stored_bytes = work.stored.bytes + work.stored.stream_bytes.unwrap_or_default();
        let held = self.room.acquire_many(held_mib(stored_bytes)).await;
        let _held = held.expect("the semaphore is never closed");
        if self.course.is_halted() {
            return Ok(None);
        }
        let (view, from) = (Arc::clone(&self.view), self.from.clone());
        let stored = work.stored.clone();
        let read = blocking(move || read(&view, &from, &stored)).await?;
        self.bytes.fetch_add(stored_bytes, Ordering::Relaxed);
        let snapshot = self.view.snapshot().id.to_string();
        let origin = Origin { mark: work.mark.clone(), snapshot };
        let made = Making { work, folder, read: &read, origin: &origin, replaces };
        let created = self.make(&made).await?;
        if created.doubtful {
            lock(&self.doubts).push(Doubt {
                item: work.stored.short.clone(),
                folder: folder.clone(),
                path: work.path.clone(),
                kind: work.stored.item.kind,
                mark: work.mark.clone(),
                keep: replaces.iter().chain([&created.id]).cloned().collect(),
            });
        }
        Ok(Some(created))
    }
}

/// One item that is made.
struct Making<'a> {
    work: &'a Work,
    folder: &'a Folder,
    read: &'a ReadItem,
    origin: &'a Origin,
    replaces: &'a [ItemId],
}

/// What the vault has of an item beside its description.
struct ReadItem {
    content: Bytes,
    stream: Option<Bytes>,
    attachments: Vec<Attachment>,
}

impl<P: Provider> Writer<'_, P> {
    /// Makes an item of its stream where the vault has one and the provider takes it, else of
    /// everything else that is known of it.
    async fn make(&self, making: &Making<'_>) -> Result<Created, ServiceError> {
        let kind = making.work.stored.item.kind;
        let Some(stream) = &making.read.stream else {
            return Ok(self.ask(making, None, 0).await?);
        };
        let refused = match self.no_streams.get() {
            Some(why) if kind != ItemKind::Opaque => why.clone(),
            _ => match self.ask(making, Some(stream), 0).await {
                Ok(created) => return Ok(created),
                // Made in another way as well, it could be there twice.
                Err(error @ ExchangeError::Unsettled { .. }) => return Err(error.into()),
                Err(error) if kind == ItemKind::Opaque || !is_local(&error) => {
                    return Err(error.into());
                }
                Err(error) => {
                    let why = error.to_string();
                    if matches!(error, ExchangeError::Forbidden { .. }) {
                        self.no_streams.get_or_init(|| why.clone());
                    }
                    why
                }
            },
        };
        let mut created = self.ask(making, None, 1).await?;
        created.lost.push(format!("made without its full-fidelity stream: {refused}"));
        Ok(created)
    }

    async fn ask(
        &self,
        making: &Making<'_>,
        stream: Option<&Bytes>,
        before: u32,
    ) -> Result<Created, ExchangeError> {
        let Making { work, folder, read, origin, replaces } = making;
        let new = |asked| NewItem {
            item: &work.stored.item,
            content: &read.content,
            stream,
            attachments: &read.attachments,
            origin,
            // The plan looked for all of them at once. A try that an outage ended may have come far.
            looked: if asked == 0 { Looked::NothingThere } else { Looked::NotYet },
            replaces,
        };
        let create = async |asked| {
            let created = self.provider.create(&self.into, folder, &new(asked + before)).await?;
            Ok(Created { doubtful: created.doubtful || asked > 0, ..created })
        };
        self.course.outlast(create).await
    }
}

fn held_mib(stored: u64) -> u32 {
    let mib = u32::try_from((stored * HELD_PER_STORED) >> 20).unwrap_or(HELD_MIB);
    mib.clamp(1, HELD_MIB)
}

/// An item's content out of the vault, its stream, and what is attached to it. Of the content of an
/// event, a contact or a task only the latter is kept.
fn read(view: &View, mailbox: &Address, stored: &StoredItem) -> Result<ReadItem, ServiceError> {
    let mut content = Vec::new();
    view.content(mailbox, stored, &mut content)?;
    let stream = match stored.stream_bytes {
        None => None,
        Some(_) => {
            let mut stream = Vec::new();
            view.stream(mailbox, stored, &mut stream)?;
            Some(stream.into())
        }
    };
    let attached = |attachments| ReadItem { content: Bytes::new(), stream: None, attachments };
    let read = match &stored.item.detail {
        Some(Detail::Event(event)) => {
            attached(attachments_in_icalendar(&content, &event.attachments)?)
        }
        Some(Detail::Task(task)) => {
            attached(attachments_in_icalendar(&content, &task.attachments)?)
        }
        Some(Detail::Contact(_)) => attached(photo_in_vcard(&content).into_iter().collect()),
        Some(Detail::Setting(_)) => attached(Vec::new()),
        None if stored.item.kind == ItemKind::Opaque => {
            let stream = Some(content.into());
            return Ok(ReadItem { stream, ..attached(Vec::new()) });
        }
        None => ReadItem { content: content.into(), ..attached(Vec::new()) },
    };
    Ok(ReadItem { stream, ..read })
}

fn expected(action: &Action) -> RestoreOutcome {
    match action {
        Action::Create => RestoreOutcome::Created,
        Action::Replace(_) | Action::Remove(_) => RestoreOutcome::Replaced,
        Action::Update(_, older) if !older.is_empty() => RestoreOutcome::Replaced,
        Action::Update(..) => RestoreOutcome::Updated,
        Action::Nothing => RestoreOutcome::Present,
        Action::Refuse(why) => RestoreOutcome::Failed((*why).into()),
    }
}

/// What is in there is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_items_wait_for_each_other_and_the_largest_goes_alone() {
        assert_eq!(held_mib(0), 1);
        assert_eq!(held_mib(40 << 20), 120);
        assert_eq!(held_mib(150 << 20), HELD_MIB);
        assert_eq!(held_mib(u64::MAX / HELD_PER_STORED), HELD_MIB);
    }
}
