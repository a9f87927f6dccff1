//! Gathers what the readers deliver and writes it to the vault in rounds. Only after a round is
//! durable does `control` learn of it, and with it the cursors.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{self, Read},
    sync::Arc,
};

use mailkeep_control::{
    CatalogItem, Completeness, Control, CursorMove, MailboxCommit, NewSnapshot, RoundCommit, Skip,
    SnapshotOutcome,
};
use mailkeep_model::{
    Folder, FolderId, ItemId, ItemKind, Mailbox, MailboxId, TenantName, WellKnownFolder,
};
use mailkeep_vault::{
    Content, ItemChange, ItemPath, MailboxRound, NewStream, OpenContent, Round, RoundReport, Vault,
};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{
    habits::{Says, known, stored},
    staged::{Because, Contents, Counts, Delivery, End, Missed, Staged, meta_key},
    traffic::{Traffic, direction},
};
use crate::{
    Event, Observer, PassLimits, ServiceError,
    data::Lease,
    spool::{Spool, Spooled},
};

/// The one writer of a tenant's vault.
pub(crate) struct RoundWriter {
    pub(crate) control: Control,
    pub(crate) tenant: TenantName,
    pub(crate) vault: Vault,
    /// The snapshot that the vault and the catalog stand at.
    pub(crate) head: Option<String>,
    pub(crate) spool: Spool,
    pub(crate) domains: Vec<String>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) limits: PassLimits,
    /// Held for as long as anything may be written, also when nobody waits for the outcome any
    /// more.
    pub(crate) _lease: Lease,
}

/// What was written in a pass.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) snapshots: Vec<String>,
    pub(crate) new: u64,
    pub(crate) changed: u64,
    pub(crate) removed: u64,
    pub(crate) bytes_added: u64,
    pub(crate) tree_blobs_added: u64,
    pub(crate) data_blobs_added: u64,
    pub(crate) missed: Vec<(Mailbox, Missed)>,
}

/// What waits for the next round.
#[derive(Default)]
struct Waiting {
    mailboxes: BTreeMap<MailboxId, WaitingMailbox>,
    bytes: u64,
    items: usize,
}

struct WaitingMailbox {
    mailbox: Mailbox,
    folders: Arc<Vec<Folder>>,
    staged: HashMap<ItemId, Staged>,
    removed: HashSet<ItemId>,
    missed: Vec<Missed>,
    settled: HashSet<ItemId>,
    /// A folder of which more is stored than its cursor knows has to be compared anew, unless this
    /// pass moves the cursor on: what is deleted before then, nobody would tell us of.
    cursors: HashMap<FolderId, CursorMove>,
    compared: HashSet<FolderId>,
    end: Option<End>,
}

impl RoundWriter {
    /// Takes deliveries until the readers are done, writing a round whenever enough waits.
    pub(crate) async fn run(
        mut self,
        mut deliveries: mpsc::Receiver<Delivery>,
    ) -> Result<Written, ServiceError> {
        let mut waiting = Waiting::default();
        let mut written = Written::default();
        while let Some(delivery) = deliveries.recv().await {
            waiting.add(delivery);
            let enough = waiting.bytes >= self.limits.round_bytes
                || waiting.items >= self.limits.round_items;
            if enough || (self.spool.is_full() && deliveries.is_empty()) {
                self = self.write(std::mem::take(&mut waiting), &mut written).await?;
            }
        }
        self.write(waiting, &mut written).await?;
        Ok(written)
    }

    async fn write(
        mut self,
        waiting: Waiting,
        written: &mut Written,
    ) -> Result<Self, ServiceError> {
        let mut prepared = Vec::with_capacity(waiting.mailboxes.len());
        let mut traffic = Traffic::default();
        for (_, mailbox) in waiting.mailboxes {
            prepared.push(self.prepare(mailbox, &mut traffic).await?);
        }
        // No finer than what a person can name with --at, here and in the vault.
        let now = OffsetDateTime::now_utc().truncate_to_millisecond();
        let (rounds, entries): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
        let rounds: Vec<MailboxRound> = rounds.into_iter().flatten().collect();
        let mut report = None;
        if !rounds.is_empty() {
            let items = rounds.iter().map(|round| round.changes.len()).sum();
            self.observer.on_event(&Event::RoundStarted { items });
            // The library works on threads of its own and blocks.
            let (vault, outcome) = tokio::task::spawn_blocking(move || {
                let mut vault = self.vault;
                let outcome = vault.write_round(Round { mailboxes: rounds }, now);
                (vault, outcome)
            })
            .await
            .map_err(|_| ServiceError::Stopped)?;
            self.vault = vault;
            report = Some(outcome?);
        }
        let mailboxes = commits(entries, report.as_ref(), written);
        let snapshot = report.as_ref().map(new_snapshot);
        let parent = self.head.clone();
        let traffic = traffic.into_counts();
        let commit = RoundCommit { snapshot, parent, mailboxes, traffic, now };
        self.control.commit_round(&self.tenant, commit).await?;
        if let Some(report) = report {
            let snapshot = report.snapshot.id.to_string();
            self.head = Some(snapshot.clone());
            self.observer.on_event(&Event::RoundWritten { snapshot: snapshot.clone() });
            written.bytes_added += report.bytes_added;
            written.tree_blobs_added += report.tree_blobs_added;
            written.data_blobs_added += report.data_blobs_added;
            written.snapshots.push(snapshot);
        }
        Ok(self)
    }

    /// Finds out where the vault has what is to be changed. The round is `None` when the vault
    /// has nothing to do for this mailbox.
    async fn prepare(
        &self,
        waiting: WaitingMailbox,
        traffic: &mut Traffic,
    ) -> Result<(Option<MailboxRound>, Entry), ServiceError> {
        let WaitingMailbox { mailbox, folders, staged, removed, .. } = waiting;
        let ids: Vec<_> = staged.keys().chain(&removed).cloned().collect();
        let catalog = self.control.items(&self.tenant, &mailbox.id, &ids).await?;
        let before = self.control.sync_state(&self.tenant, &mailbox.id).await?;
        let mut entry = Entry {
            mailbox: mailbox.clone(),
            folders: Arc::clone(&folders),
            missed: waiting.missed,
            settled: waiting.settled,
            cursors: waiting.cursors,
            end: waiting.end,
            metas: HashMap::new(),
            removed: Vec::new(),
            known: HashSet::new(),
            compared: waiting.compared,
            is_first: before.completeness == Completeness::Incomplete,
            habits: None,
        };
        let roles: HashMap<&FolderId, WellKnownFolder> =
            folders.iter().filter_map(|folder| Some((&folder.id, folder.well_known?))).collect();
        let mut changes = Vec::with_capacity(staged.len() + removed.len());
        let now = OffsetDateTime::now_utc();
        let mut habits = None;
        let settles = entry.is_first && entry.end.is_some();
        if settles || staged.values().any(|staged| !matches!(staged.says, Says::Nothing)) {
            habits = Some(known(&self.control, &self.tenant, &mailbox.id, now).await?);
        }
        for (id, Staged { item, content, traffic: counts, says }) in staged {
            let stored = catalog.get(&id);
            let content = match (content, stored) {
                (Some(Contents { content, stream }), _) => Content::New {
                    bytes: content.bytes(),
                    open: Arc::new(Opened(content)),
                    stream: stream.map(|stream| NewStream {
                        bytes: stream.bytes(),
                        open: Arc::new(Opened(stream)),
                    }),
                },
                (None, Some(_)) => Content::Kept,
                (None, None) => {
                    // An earlier round of this pass could not store the content.
                    let error = "its content was not stored; it will be read again".to_owned();
                    let (kind, folder) = (item.kind, Some(item.folder));
                    let because = Because::Failed;
                    entry.missed.push(Missed { item: id, kind, folder, error, because });
                    continue;
                }
            };
            if let Some(habits) = &mut habits
                && (stored.is_none() || matches!(says, Says::Rule(_)))
            {
                says.teach(habits, now);
            }
            if stored.is_some() {
                entry.known.insert(id.clone());
            } else if counts == Counts::Yes {
                let role = roles.get(&item.folder).copied();
                if let Some(way) = direction(&item, role, &mailbox.address, &self.domains) {
                    traffic.count(&item, way);
                }
            }
            let (content_key, meta) = (item.content_key.clone(), meta_key(&item));
            let keys = Keys { kind: item.kind, content: content_key, meta };
            entry.metas.insert(id, keys);
            changes.push(ItemChange::Put { item, previous: stored.map(path_of), content });
        }
        for id in removed {
            if let Some(stored) = catalog.get(&id) {
                changes.push(ItemChange::Remove { path: path_of(stored) });
                entry.removed.push(id);
            }
        }
        if let Some(mut habits) = habits {
            if settles {
                habits.settle();
            }
            entry.habits = Some(stored(&habits));
        }
        // A mailbox that has another address is to be found by it, whatever else happened.
        let is_same = !before.moved && same_folders(&before.folders, &folders);
        let idle = changes.is_empty() && !entry.is_first && is_same;
        let completeness = if entry.end.is_some() || !entry.is_first {
            mailkeep_vault::Completeness::Complete
        } else {
            mailkeep_vault::Completeness::Incomplete
        };
        let round = (!idle).then(|| MailboxRound {
            mailbox,
            complete: completeness,
            folders: folders.to_vec(),
            changes,
        });
        Ok((round, entry))
    }
}

/// What `control` has to learn of each mailbox, now that the round is durable.
fn commits(
    entries: Vec<Entry>,
    report: Option<&RoundReport>,
    written: &mut Written,
) -> Vec<MailboxCommit> {
    let mut by_mailbox: HashMap<MailboxId, (Vec<CatalogItem>, Vec<Missed>)> = HashMap::new();
    let metas: HashMap<_, _> =
        entries.iter().map(|entry| (&entry.mailbox.id, &entry.metas)).collect();
    for place in report.into_iter().flat_map(|report| &report.placed) {
        let keys = metas.get(&place.mailbox).and_then(|metas| metas.get(&place.item));
        let keys = keys.expect("the vault places what it was given");
        by_mailbox.entry(place.mailbox.clone()).or_default().0.push(CatalogItem {
            item: place.item.clone(),
            kind: keys.kind,
            folder: place.path.folder.clone(),
            leaf: place.path.leaf.clone(),
            name: place.path.name.clone(),
            content_key: keys.content.clone(),
            meta_key: keys.meta.clone(),
            bytes: place.bytes,
        });
    }
    for failed in report.into_iter().flat_map(|report| &report.failed) {
        let keys = metas.get(&failed.mailbox).and_then(|metas| metas.get(&failed.item));
        let kind = keys.map_or_else(Default::default, |keys| keys.kind);
        let (item, error) = (failed.item.clone(), failed.reason.clone());
        let missed = Missed { item, kind, folder: None, error, because: Because::Failed };
        by_mailbox.entry(failed.mailbox.clone()).or_default().1.push(missed);
    }
    let commit = |entry: Entry| {
        let id = entry.mailbox.id.clone();
        let (put, failed) = by_mailbox.remove(&id).unwrap_or_default();
        let changed = put.iter().filter(|item| entry.known.contains(&item.item)).count() as u64;
        written.changed += changed;
        written.new += put.len() as u64 - changed;
        written.removed += entry.removed.len() as u64;
        let mut missed: Vec<_> = entry.missed.into_iter().chain(failed).collect();
        // Told again since, or told to be gone: nothing is left to be looked for.
        missed.retain(|one| {
            one.because == Because::Failed
                || !(put.iter().any(|item| item.item == one.item)
                    || entry.removed.contains(&one.item))
        });
        let skip = |missed: &Missed| Skip {
            item: missed.item.clone(),
            kind: missed.kind,
            folder: missed.folder.clone(),
            error: missed.error.clone(),
        };
        let skipped: Vec<_> = missed.iter().map(skip).collect();
        let settled = entry.settled.into_iter();
        let settled = settled.filter(|id| !missed.iter().any(|missed| missed.item == *id));
        let done = entry.end.is_some() || !entry.is_first;
        let (folder_cursor, tree_compared, counts) = match entry.end {
            None => (CursorMove::Keep, None, HashMap::new()),
            Some(End { folder_cursor, tree_compared, counts }) => {
                let to = folder_cursor.map_or(CursorMove::Forget, CursorMove::To);
                (to, tree_compared, counts)
            }
        };
        let commit = MailboxCommit {
            mailbox: id,
            completeness: if done { Completeness::Complete } else { Completeness::Incomplete },
            folders: Arc::unwrap_or_clone(entry.folders),
            folder_cursor,
            item_cursors: entry.cursors,
            tree_compared,
            compared: entry.compared,
            counts,
            put,
            removed: entry.removed,
            skipped,
            no_longer_skipped: settled.collect(),
            habits: entry.habits,
        };
        missed.retain(|one| one.because == Because::Failed);
        written.missed.extend(missed.into_iter().map(|one| (entry.mailbox.clone(), one)));
        commit
    };
    entries.into_iter().map(commit).collect()
}

fn new_snapshot(report: &RoundReport) -> NewSnapshot {
    NewSnapshot {
        id: report.snapshot.id.to_string(),
        time: report.snapshot.time,
        outcome: match report.snapshot.outcome {
            mailkeep_vault::Outcome::Whole => SnapshotOutcome::Complete,
            mailkeep_vault::Outcome::Partial => SnapshotOutcome::Partial,
        },
        bytes_added: report.bytes_added,
    }
}

fn same_folders(before: &[Folder], now: &[Folder]) -> bool {
    let by_id = |folders: &[Folder]| {
        let map: BTreeMap<_, _> = folders.iter().map(|one| (one.id.clone(), one.clone())).collect();
        map
    };
    by_id(before) == by_id(now)
}

/// What `control` has to learn of one mailbox once the round is durable.
struct Entry {
    mailbox: Mailbox,
    folders: Arc<Vec<Folder>>,
    missed: Vec<Missed>,
    settled: HashSet<ItemId>,
    cursors: HashMap<FolderId, CursorMove>,
    compared: HashSet<FolderId>,
    end: Option<End>,
    /// Content key and metadata key of what is put.
    metas: HashMap<ItemId, Keys>,
    removed: Vec<ItemId>,
    /// Items that the vault had before.
    known: HashSet<ItemId>,
    /// Whether its first backup has not come to its end before.
    is_first: bool,
    /// What the mailbox is used to, where this round taught anything.
    habits: Option<Value>,
}

/// What the catalog compares the next change of an item with.
struct Keys {
    kind: ItemKind,
    content: String,
    meta: String,
}

impl Waiting {
    fn add(&mut self, delivery: Delivery) {
        let mailbox = self
            .mailboxes
            .entry(delivery.mailbox.id.clone())
            .or_insert_with(|| WaitingMailbox::new(delivery.mailbox, &delivery.folders));
        mailbox.folders = delivery.folders;
        for mut staged in delivery.staged {
            self.bytes += staged.content.as_ref().map_or(0, |content| content.bytes());
            self.items += 1;
            let id = staged.item.id.clone();
            mailbox.removed.remove(&id);
            mailbox.cursors.insert(staged.item.folder.clone(), CursorMove::Forget);
            if staged.content.is_none()
                && let Some(earlier) = mailbox.staged.remove(&id)
            {
                // Same content, told again with other flags or from another folder.
                staged.content = earlier.content;
                staged.traffic = earlier.traffic;
                staged.says = earlier.says;
            }
            mailbox.staged.insert(id, staged);
        }
        for id in delivery.removed {
            self.items += 1;
            mailbox.staged.remove(&id);
            mailbox.removed.insert(id);
        }
        mailbox.missed.extend(delivery.missed);
        mailbox.settled.extend(delivery.settled);
        let cursors = delivery.cursors.into_iter();
        mailbox.cursors.extend(cursors.map(|(folder, to)| (folder, CursorMove::To(to))));
        mailbox.compared.extend(delivery.compared);
        mailbox.end = delivery.end.or(mailbox.end.take());
    }
}

impl WaitingMailbox {
    fn new(mailbox: Mailbox, folders: &Arc<Vec<Folder>>) -> Self {
        Self {
            mailbox,
            folders: Arc::clone(folders),
            staged: HashMap::new(),
            removed: HashSet::new(),
            missed: Vec::new(),
            settled: HashSet::new(),
            cursors: HashMap::new(),
            compared: HashSet::new(),
            end: None,
        }
    }
}

struct Opened(Arc<Spooled>);

impl OpenContent for Opened {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.0.reader()))
    }
}

fn path_of(stored: &CatalogItem) -> ItemPath {
    ItemPath { folder: stored.folder.clone(), leaf: stored.leaf.clone(), name: stored.name.clone() }
}
