use std::sync::Arc;

use rustic_core::{
    BackupOptions, ParentOptions, TreeId,
    jiff::{Timestamp, tz::TimeZone},
    repofile::SnapshotFile,
};
use time::{Duration, OffsetDateTime};

use crate::{
    FailedItem, Round, RoundReport, Snapshot, Vault, VaultError,
    error::reason,
    plan::{Directory, Excluded, Input, Plan},
    repository::{Repo, TAG, TAG_PARTIAL, snapshot_of},
    source::{PlanSource, Trouble},
};

/// How often a round is tried without the items that failed. One time is enough unless items begin
/// to fail while others are being left out.
const ATTEMPTS: usize = 5;
/// From so many files on it pays to open a handle for those that are one piece, see
/// [`Vault::uncut`].
const MANY_FILES: usize = 1000;
/// How far two snapshots are apart at least.
const TICK: Duration = Duration::milliseconds(1);
const HOST: &str = "mailkeep";
const DOING: &str = "writing a round";

impl Vault {
    /// Writes one snapshot: the mailboxes of the round rebuilt along the touched paths, all others
    /// as the newest snapshot has them. When this returns, the snapshot is durable.
    ///
    /// `now` becomes the snapshot's time, unless the newest snapshot is later than that: then the
    /// time is just behind it, so that snapshots are always in order.
    ///
    /// Writing a round twice gives the same tree, so a round may be repeated when nobody knows
    /// whether it was written.
    ///
    /// # Errors
    /// [`VaultError::DiskFull`] and [`VaultError::Storage`]: no snapshot was made, earlier ones
    /// are untouched. [`VaultError::InvalidRound`], [`VaultError::Damaged`]. An item that cannot
    /// be read is no error: it is in [`RoundReport::failed`].
    pub fn write_round(
        &mut self,
        round: Round,
        now: OffsetDateTime,
    ) -> Result<RoundReport, VaultError> {
        let input = Input::new(round)?;
        let parent = self.latest()?;
        // Which snapshot is the newest is told by its time alone, also to restic: a clock that was
        // set back must not make the next round continue an old state.
        let now = match &parent {
            Some(parent) => now.max(parent.time + TICK),
            None => now,
        };
        self.storage.watch.begin();
        let result = self.attempts(&input, parent.as_ref(), now);
        self.storage.watch.discard();
        result
    }

    fn attempts(
        &mut self,
        input: &Input,
        parent: Option<&Snapshot>,
        now: OffsetDateTime,
    ) -> Result<RoundReport, VaultError> {
        let root = parent.map(|parent| self.root(parent)).transpose()?;
        let mut excluded = Excluded::new();
        let mut failed: Vec<FailedItem> = Vec::new();
        let mut added = Added::default();
        for _ in 0..ATTEMPTS {
            let mut plan = Plan::new(self, root, input, &excluded)?;
            let unplaced = std::mem::take(&mut plan.failed);
            let placed = std::mem::take(&mut plan.placed);
            let archived = self.archive_plan(plan, parent, now)?;
            added.add(&archived);
            if archived.unread.is_empty() {
                failed.extend(unplaced);
                let snapshot = self.publish(archived.file, parent, &failed)?;
                let bytes_added = self.storage.watch.written();
                self.reindex()?;
                tracing::info!(
                    snapshot = %snapshot.id, placed = placed.len(), failed = failed.len(),
                    bytes_added, trees = added.trees, data = added.data, "round written"
                );
                return Ok(RoundReport {
                    snapshot,
                    placed,
                    failed,
                    bytes_added,
                    tree_blobs_added: added.trees,
                    data_blobs_added: added.data,
                });
            }
            // The index of a leaf names items that are not in it. Nobody has seen this snapshot;
            // what was read is in the repository and is not written again.
            tracing::warn!(
                failed = archived.unread.len(),
                "items cannot be read, leaving them out"
            );
            self.storage.watch.discard();
            self.reindex()?;
            for item in archived.unread {
                if excluded.insert((item.mailbox.clone(), item.item.clone())) {
                    failed.push(item);
                }
            }
        }
        Err(VaultError::Storage {
            dir: self.dir.clone(),
            doing: DOING,
            reason: "more and more items cannot be read".to_owned(),
        })
    }

    /// Stores a plan. When it has many files, first those that are cut into pieces, then all.
    fn archive_plan(
        &self,
        plan: Plan,
        parent: Option<&Snapshot>,
        now: OffsetDateTime,
    ) -> Result<Archived, VaultError> {
        let mut parents: Vec<String> = parent.iter().map(|parent| parent.id.0.clone()).collect();
        if plan.files() < MANY_FILES {
            return self.archive(&self.repo, plan.root, &parents, now);
        }
        let large = plan.large();
        let mut added = Added::default();
        if !large.is_empty() {
            let cut = self.archive(&self.repo, large, &parents, now)?;
            if !cut.unread.is_empty() {
                return Ok(cut);
            }
            parents.push(cut.file.id.to_hex().as_str().to_owned());
            added.add(&cut);
        }
        let mut archived = self.archive(&self.uncut()?, plan.root, &parents, now)?;
        archived.added.trees += added.trees;
        archived.added.data += added.data;
        Ok(archived)
    }

    /// Lets the library store directories, as a snapshot that is held back.
    fn archive(
        &self,
        repo: &Arc<Repo>,
        root: Directory,
        parents: &[String],
        now: OffsetDateTime,
    ) -> Result<Archived, VaultError> {
        let trouble = Arc::<Trouble>::default();
        let watch = &self.storage.watch;
        let source = PlanSource::new(root, repo.clone(), watch.clone(), trouble.clone());
        let compare = ParentOptions::default().force(parents.is_empty()).parents(parents.to_vec());
        let options = BackupOptions::default().parent_opts(compare).no_scan(true);
        let archived = repo.archive(&options, &source, snapshot_file(now), &["/".into()]);
        if let Some(failure) = watch.failure() {
            return Err(self.write_error(DOING, failure));
        }
        if let Some(disorder) = trouble.disorder() {
            return Err(self.damaged(format!("entries out of order: {disorder}")));
        }
        let file = archived.map_err(|error| self.write_error(DOING, reason(&error)))?;
        if file.parents.len() != parents.len() {
            // The library goes on without, and then reads and cuts everything.
            return Err(self.damaged("the newest snapshot cannot be read"));
        }
        let unread = trouble.failed();
        let summary = file.summary.as_ref();
        let processed = summary.map_or(0, |summary| summary.total_files_processed);
        let missing = trouble.emitted().saturating_sub(processed);
        if unread.is_empty() && missing > 0 {
            return Err(self.damaged(format!("the library left {missing} entries out")));
        }
        let added = summary.map_or_else(Added::default, |summary| Added {
            trees: summary.tree_blobs,
            data: summary.data_blobs,
        });
        Ok(Archived { file, unread, added })
    }

    /// Writes the snapshot's file: from now on it is there.
    fn publish(
        &self,
        mut file: SnapshotFile,
        parent: Option<&Snapshot>,
        failed: &[FailedItem],
    ) -> Result<Snapshot, VaultError> {
        let parent = parent.map(|parent| parent.id.0.parse()).transpose();
        file.parent = parent.map_err(|_| self.damaged("a snapshot has no identifier"))?;
        file.parents = file.parent.into_iter().collect();
        if !failed.is_empty() {
            file.tags.add(TAG_PARTIAL.to_owned());
        }
        self.storage.watch.release();
        self.repo
            .save_snapshots(vec![file.clone()])
            .map_err(|error| self.write_error(DOING, reason(&error)))?;
        let id = self.storage.watch.published();
        let id = id.ok_or_else(|| self.damaged("the library wrote no snapshot"))?;
        Ok(snapshot_of(id.into(), &file))
    }
}

/// What the library made of some directories.
struct Archived {
    file: SnapshotFile,
    unread: Vec<FailedItem>,
    added: Added,
}

/// Blobs that the repository did not have.
#[derive(Clone, Copy, Default)]
struct Added {
    trees: u64,
    data: u64,
}

impl Added {
    fn add(&mut self, archived: &Archived) {
        self.trees += archived.added.trees;
        self.data += archived.added.data;
    }
}

fn snapshot_file(now: OffsetDateTime) -> SnapshotFile {
    let time = Timestamp::from_nanosecond(now.unix_timestamp_nanos());
    let mut file = SnapshotFile {
        time: time.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC),
        program_version: concat!("mailkeep ", env!("CARGO_PKG_VERSION")).to_owned(),
        tree: TreeId::default(),
        hostname: HOST.to_owned(),
        username: HOST.to_owned(),
        ..SnapshotFile::default()
    };
    file.tags.add(TAG.to_owned());
    file
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
