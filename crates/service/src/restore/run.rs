//! Runs a restore: what is there is looked up, the rest is written.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures::{StreamExt, stream};
use mailkeep_exchange::{
    Created, ExchangeError, Existing, Looked, NewItem, Origin, Provider, Wanted,
};
use mailkeep_model::{
    Address, Attachment, Detail, Folder, Item, ItemId, ItemKind, Mailbox, MailboxId,
};
use mailkeep_vault::{FolderPath, StoredItem, attachments_in_icalendar, photo_in_vcard};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{
    RestoreOutcome, RestoreReport, RestoreRequest, RestoreWhat, RestoredItem,
    decide::{Action, Found, decide, restored},
    select::{Source, select},
    target::{Mode, Target},
};
use crate::{Event, Observer, Service, ServiceError, View, service::blocking};

/// Items that are worked on at the same time; the mailbox's gate decides how many requests go out.
const ITEMS_AT_ONCE: usize = 8;
/// Content in memory at the same time, in MiB; an item that is larger goes alone.
const CONTENT_MIB: u32 = 128;

impl Service {
    /// What a restore would do. Reads with the reader's key, writes nothing.
    ///
    /// # Errors
    /// As [`Service::restore`].
    pub async fn preview_restore(
        &self,
        request: &RestoreRequest,
    ) -> Result<RestoreReport, ServiceError> {
        let tenant = self.tenant(request.to_tenant.as_ref().unwrap_or(&request.tenant)).await?;
        let provider = self.provider(&tenant, &self.new_job()).await?;
        self.run_restore(request, provider, Mode::Preview, Arc::new(crate::Unobserved)).await
    }

    /// Brings items back. The key that writes is made for this and destroyed afterwards; until the
    /// provider accepts it, [`Event::KeyToRegister`] says what to register.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] when another restore runs; what stops all of it. What stops one item
    /// is in the report.
    pub async fn restore(
        &self,
        request: &RestoreRequest,
        observer: Arc<dyn Observer>,
    ) -> Result<RestoreReport, ServiceError> {
        let into = request.to_tenant.as_ref().unwrap_or(&request.tenant);
        let _lease = self.data.restore_lease(into)?;
        let job = self.new_job();
        self.audit(into, "restore.begin", described(request)).await?;
        let outcome = async {
            let provider = self.restorer(into, &job, &*observer).await?;
            self.run_restore(request, provider, Mode::Write, observer).await
        }
        .await;
        let retired = self.retire_restorer(into).await;
        let end = match &outcome {
            Ok(report) => json!({
                "created": report.count("created"),
                "replaced": report.count("replaced"),
                "updated": report.count("updated"),
                "present": report.count("present"),
                "failed": report.count("failed"),
                "snapshot": report.snapshot,
            }),
            Err(error) => json!({"error": error.to_string()}),
        };
        self.audit(into, "restore.end", end).await?;
        let report = outcome?;
        retired?;
        Ok(report)
    }

    async fn run_restore<P: Provider>(
        &self,
        request: &RestoreRequest,
        provider: P,
        mode: Mode,
        observer: Arc<dyn Observer>,
    ) -> Result<RestoreReport, ServiceError> {
        let view = Arc::new(self.view(&request.tenant, request.at).await?);
        let what = request.what.clone();
        let reading = Arc::clone(&view);
        let sources = blocking(move || select(&reading, &what)).await?;
        let count = sources.iter().flat_map(|source| &source.folders);
        let count = count.map(|folder| folder.items.len()).sum();
        observer.on_event(&Event::Restoring { items: count });

        let begin = Instant::now();
        let mailboxes = provider.mailboxes().await?;
        let below = request.to.as_ref().map_or_else(FolderPath::default, |to| to.path.clone());
        let mut report = RestoreReport {
            tenant: request.tenant.clone(),
            snapshot: view.snapshot().id.to_string(),
            taken: view.snapshot().time,
            items: Vec::with_capacity(count),
            folders_created: Vec::new(),
            bytes: 0,
            requests: 0,
            throttled: 0,
            seconds: 0.0,
        };
        for mut source in sources {
            let into = request.to.as_ref().map_or(&source.mailbox, |to| &to.mailbox);
            // Back to where it was means the same mailbox, whatever its address is now, and not
            // whoever has the address now.
            let found = mailboxes.iter().find(|mailbox| match &request.to {
                Some(to) => mailbox.address == to.mailbox,
                None => mailbox.id == source.id,
            });
            if found.is_none() && request.to.is_none() {
                let (tenant, address) = (request.tenant.clone(), &source.mailbox);
                let reason = format!(
                    "the mailbox that was {address} in that snapshot is no longer there; to restore into another one, also one that has this address now, name it with --to"
                );
                return Err(ServiceError::Refused { tenant, reason });
            }
            let Some(mailbox) = found.cloned() else {
                let tenant = request.to_tenant.as_ref().unwrap_or(&request.tenant).clone();
                return Err(ServiceError::NoMailbox { tenant, mailbox: into.clone() });
            };
            let mut target = Target::open(provider.clone(), mailbox, below.clone(), mode).await?;
            let work = plan(&provider, &mut source, &mut target, request).await?;
            let writer = Writer {
                provider: &provider,
                view: Arc::clone(&view),
                source: &source,
                mailbox: target.mailbox.clone(),
                mode,
                room: Semaphore::new(CONTENT_MIB as usize),
                bytes: AtomicU64::new(0),
                observer: &*observer,
            };
            let mut running =
                stream::iter(work).map(|one| writer.perform(one)).buffer_unordered(ITEMS_AT_ONCE);
            while let Some(done) = running.next().await {
                report.items.push(done?);
            }
            drop(running);
            report.bytes += writer.bytes.load(Ordering::Relaxed);
            report.folders_created.append(&mut target.created);
        }
        let usage = provider.usage();
        (report.requests, report.throttled) = (usage.requests, usage.throttled);
        report.seconds = begin.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// One item and what is to be done with it.
struct Work {
    stored: StoredItem,
    folder: Option<Folder>,
    path: String,
    key: String,
    action: Action,
}

/// Looks up what is there and decides what to do with each item. Makes folders. The items are taken
/// out of `source`: a large mailbox's take hundreds of megabytes, which must not be there twice.
async fn plan<P: Provider>(
    provider: &P,
    source: &mut Source,
    target: &mut Target<P>,
    request: &RestoreRequest,
) -> Result<Vec<Work>, ServiceError> {
    let below = request.to.as_ref().map(|to| to.path.to_string()).unwrap_or_default();
    let id = source.id.clone();
    let key = |item: &Item| origin_key(&id, item, &below);
    let mut existing: HashMap<ItemKind, Vec<Existing>> = HashMap::new();
    for kind in [ItemKind::Message, ItemKind::Event, ItemKind::Contact] {
        let items = source.folders.iter().flat_map(|folder| &folder.items);
        let wanted: Vec<_> = items
            .filter(|stored| stored.item.kind == kind)
            .map(|stored| Wanted { item: stored.item.id.clone(), key: key(&stored.item) })
            .collect();
        if !wanted.is_empty() {
            existing.insert(kind, provider.existing(&target.mailbox, kind, &wanted).await?);
        }
    }
    let all = || existing.values().flatten();
    let by_id: HashMap<&ItemId, &Existing> = all().map(|one| (&one.id, one)).collect();
    let mut by_key: HashMap<&str, Vec<&Existing>> = HashMap::new();
    for one in all() {
        by_key.entry(one.key.as_deref().unwrap_or_default()).or_default().push(one);
    }
    let in_place = target.is_in_place(&source.id);

    let mut work = Vec::new();
    for index in 0..source.folders.len() {
        let items = std::mem::take(&mut source.folders[index].items);
        let folder = &source.folders[index];
        if items.is_empty() && !folder.whole {
            continue;
        }
        let place = target.place(source, folder).await?;
        for stored in items {
            let key = key(&stored.item);
            let id = place.folder.as_ref().map(|folder| &folder.id);
            let made = by_key.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
            let found = Found {
                // What lies in a folder that nobody sees (Recoverable Items) is gone.
                original: by_id
                    .get(&stored.item.id)
                    .copied()
                    .filter(|one| in_place && target.shows(&one.folder)),
                restored: restored(made, id),
                trash: target.trash(),
            };
            let action = decide(&stored.item, id, &found, request.on_conflict);
            let (folder, path) = (place.folder.clone(), place.path.clone());
            work.push(Work { stored, folder, path, key, action });
        }
    }
    Ok(work)
}

/// The same for the same item in the same state going to the same place.
fn origin_key(mailbox: &MailboxId, item: &Item, below: &str) -> String {
    let mut hash = Sha256::new();
    for part in [&mailbox.0, &item.id.0, &item.content_key, below] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Carries out what was decided, for the items of one mailbox.
struct Writer<'a, P> {
    provider: &'a P,
    view: Arc<View>,
    source: &'a Source,
    mailbox: Mailbox,
    mode: Mode,
    room: Semaphore,
    bytes: AtomicU64,
    observer: &'a dyn Observer,
}

impl<P: Provider> Writer<'_, P> {
    async fn perform(&self, work: Work) -> Result<RestoredItem, ServiceError> {
        let done = match self.mode {
            Mode::Preview => Ok(Done::without(expected(&work.action))),
            Mode::Write => self.write(&work).await,
        };
        let done = match done {
            Ok(done) => done,
            // What concerns one item, its folder or its copy in the vault stops nothing else.
            Err(ServiceError::Exchange(error))
                if error.concerns_one_item()
                    || matches!(error, ExchangeError::Forbidden { .. }) =>
            {
                Done::without(RestoreOutcome::Failed(error.to_string()))
            }
            Err(ServiceError::Vault(error)) => {
                Done::without(RestoreOutcome::Failed(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        let item = RestoredItem {
            item: work.stored.short,
            kind: work.stored.item.kind,
            subject: work.stored.item.subject,
            mailbox: self.mailbox.address.clone(),
            folder: work.path,
            outcome: done.outcome,
            made: done.made,
            lost: done.lost,
        };
        self.observer.on_event(&Event::Restored { item: item.clone() });
        Ok(item)
    }

    async fn write(&self, work: &Work) -> Result<Done, ServiceError> {
        let item = &work.stored.item;
        match &work.action {
            Action::Nothing => Ok(Done::without(RestoreOutcome::Present)),
            Action::Create => Ok(Done::with(RestoreOutcome::Created, self.create(work).await?)),
            Action::Replace(old) => {
                let made = self.create(work).await?;
                // Where this fails both are there, the report says so, and so does the next try.
                self.provider.delete(&self.mailbox, item.kind, &old.id).await?;
                Ok(Done::with(RestoreOutcome::Replaced, made))
            }
            Action::Remove(old) => {
                self.provider.delete(&self.mailbox, item.kind, &old.id).await?;
                Ok(Done::without(RestoreOutcome::Replaced))
            }
            Action::Update(old) => {
                if let Some(folder) = &work.folder
                    && folder.id != old.folder
                {
                    self.provider.relocate(&self.mailbox, item.kind, &old.id, &folder.id).await?;
                }
                self.provider.update(&self.mailbox, &old.id, item).await?;
                Ok(Done::without(RestoreOutcome::Updated))
            }
        }
    }

    async fn create(&self, work: &Work) -> Result<Created, ServiceError> {
        let Some(folder) = &work.folder else { return Err(ServiceError::Stopped) };
        let mib = u32::try_from(work.stored.bytes >> 20).unwrap_or(CONTENT_MIB);
        let room = self.room.acquire_many(mib.clamp(1, CONTENT_MIB)).await;
        let _room = room.expect("the semaphore is never closed");
        let (view, mailbox) = (Arc::clone(&self.view), self.source.mailbox.clone());
        let stored = work.stored.clone();
        let (content, attachments) = blocking(move || read(&view, &mailbox, &stored)).await?;
        self.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        let snapshot = self.view.snapshot().id.to_string();
        let origin = Origin { key: work.key.clone(), snapshot };
        let new = NewItem {
            item: &work.stored.item,
            content: &content,
            attachments: &attachments,
            origin: &origin,
            // The plan looked for all of them at once.
            looked: Looked::NothingThere,
        };
        Ok(self.provider.create(&self.mailbox, folder, &new).await?)
    }
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

/// An item's content out of the vault, and what is attached to it.
fn read(
    view: &View,
    mailbox: &Address,
    stored: &StoredItem,
) -> Result<(Vec<u8>, Vec<Attachment>), ServiceError> {
    let mut content = Vec::new();
    view.content(mailbox, stored, &mut content)?;
    let attachments = match &stored.item.detail {
        Some(Detail::Event(event)) => attachments_in_icalendar(&content, event)?,
        Some(Detail::Contact(_)) => photo_in_vcard(&content).into_iter().collect(),
        None => Vec::new(),
    };
    Ok((content, attachments))
}

fn expected(action: &Action) -> RestoreOutcome {
    match action {
        Action::Create => RestoreOutcome::Created,
        Action::Replace(_) | Action::Remove(_) => RestoreOutcome::Replaced,
        Action::Update(_) => RestoreOutcome::Updated,
        Action::Nothing => RestoreOutcome::Present,
    }
}

/// For the record of who did what.
fn described(request: &RestoreRequest) -> serde_json::Value {
    let what = match &request.what {
        RestoreWhat::Folder { mailbox, path } => json!(format!("{mailbox}:{path}")),
        RestoreWhat::Items(items) => json!(items),
    };
    let to = request.to.as_ref().map(|to| format!("{}:{}", to.mailbox, to.path));
    json!({
        "from": request.tenant,
        "what": what,
        "to": to,
        "at": request.at.map(|at| at.to_string()),
        "on_conflict": format!("{:?}", request.on_conflict).to_lowercase(),
    })
}
