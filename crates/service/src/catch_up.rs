//! Brings `control` to where the vault stands, when a crash came between the two or `control` was
//! lost.

use std::collections::HashMap;

use mailkeep_control::{
    CatalogItem, CatchUp, Completeness, ControlError, MailboxChanges, NewSnapshot, RebuiltSnapshot,
    SnapshotChanges, SnapshotOutcome,
};
use mailkeep_model::{Item, MailboxId, TenantName, WellKnownFolder};
use mailkeep_vault::{
    CatalogChange, Outcome, Snapshot, SnapshotId, StoredItem, StoredMailbox, Vault,
};
use time::OffsetDateTime;

use crate::{
    Service, ServiceError,
    pipeline::{Traffic, direction, meta_key},
    service::blocking,
};

/// Items that go into `control` in one transaction while a catalog is rebuilt.
const CHUNK: usize = 20_000;

impl Service {
    /// Compares the catalog's head with the vault's newest snapshot and makes them one.
    pub(crate) async fn catch_up(
        &self,
        tenant: &TenantName,
        vault: Vault,
    ) -> Result<Vault, ServiceError> {
        let head = self.control.catalog_head(tenant).await?;
        let (vault, snapshots) = blocking(move || {
            let snapshots = vault.snapshots()?;
            Ok((vault, snapshots))
        })
        .await?;
        let newest = snapshots.last().map(|snapshot| snapshot.id.to_string());
        if newest == head {
            return Ok(vault);
        }
        if snapshots.is_empty() {
            let path = self.data.vault(tenant);
            return Err(ServiceError::VaultLost { tenant: tenant.clone(), path });
        }
        let at_head = snapshots.iter().position(|one| Some(one.id.to_string()) == head);
        match at_head {
            Some(position) => self.follow(tenant, vault, snapshots, position).await,
            None => {
                // Counts that are there are of rounds that were committed.
                let counts = self.control.traffic(tenant, i64::MIN / 2, i64::MAX / 2).await?;
                let counted = if counts.is_empty() { Counted::Never } else { Counted::Before };
                self.rebuild(tenant, vault, snapshots, counted).await
            }
        }
    }

    /// Applies the snapshots behind `position`, which the catalog stands at.
    async fn follow(
        &self,
        tenant: &TenantName,
        vault: Vault,
        snapshots: Vec<Snapshot>,
        position: usize,
    ) -> Result<Vault, ServiceError> {
        tracing::info!(%tenant, behind = snapshots.len() - position - 1, "the catalog catches up");
        let from = snapshots[position].id.to_string();
        let (vault, steps) = blocking(move || {
            let mut steps = Vec::new();
            for pair in snapshots[position..].windows(2) {
                let mut all = Vec::new();
                collect(&vault, Some(&pair[0].id), &pair[1].id, usize::MAX, &mut |part| {
                    all.extend(part);
                    Ok(())
                })?;
                steps.push((pair[1].clone(), all));
            }
            Ok((vault, steps))
        })
        .await?;
        let domains = self.tenant(tenant).await?.domains;
        let mut traffic = Traffic::default();
        let mut changes = Vec::with_capacity(steps.len());
        for (snapshot, mailboxes) in steps {
            for one in &mailboxes {
                self.count_new(tenant, one, &domains, &mut traffic).await?;
            }
            let mailboxes = mailboxes.into_iter().map(Gathered::into_changes).collect();
            changes.push(SnapshotChanges { snapshot: new_snapshot(&snapshot), mailboxes });
        }
        let traffic = traffic.into_counts();
        let catch_up = CatchUp { from: Some(from), snapshots: changes, traffic };
        self.control.catch_up(tenant, catch_up).await?;
        Ok(vault)
    }

    async fn count_new(
        &self,
        tenant: &TenantName,
        gathered: &Gathered,
        domains: &[String],
        traffic: &mut Traffic,
    ) -> Result<(), ServiceError> {
        let mailbox = &gathered.mailbox.mailbox;
        let ids: Vec<_> = gathered.items.iter().map(|stored| stored.item.id.clone()).collect();
        let known = match self.control.items(tenant, &mailbox.id, &ids).await {
            // In a rebuild nothing is known of the mailbox yet.
            Err(ControlError::NotFound { .. }) => HashMap::new(),
            known => known?,
        };
        let roles: HashMap<_, WellKnownFolder> = gathered
            .folders
            .iter()
            .filter_map(|folder| Some((&folder.id, folder.well_known?)))
            .collect();
        let is_new = |item: &&Item| !known.contains_key(&item.id);
        for item in gathered.items.iter().map(|stored| &stored.item).filter(is_new) {
            let role = roles.get(&item.folder).copied();
            if let Some(way) = direction(item, role, &mailbox.address, domains) {
                traffic.count(item, way);
            }
        }
        Ok(())
    }

    /// Fills the catalog anew from the vault.
    async fn rebuild(
        &self,
        tenant: &TenantName,
        vault: Vault,
        snapshots: Vec<Snapshot>,
        counted: Counted,
    ) -> Result<Vault, ServiceError> {
        tracing::warn!(%tenant, "the catalog does not fit the vault and is rebuilt from it");
        let mut rebuild = self.control.start_rebuild(tenant, OffsetDateTime::now_utc()).await?;
        let (parts, inbox) = tokio::sync::mpsc::channel::<Vec<Gathered>>(2);
        let newest = snapshots.last().map(|snapshot| snapshot.id.clone());
        let reader = blocking(move || {
            if let Some(newest) = newest {
                collect(&vault, None, &newest, CHUNK, &mut |part| {
                    parts.blocking_send(part).map_err(|_| ServiceError::Stopped)
                })?;
            }
            Ok(vault)
        });
        let domains = self.tenant(tenant).await?.domains;
        let mut traffic = Traffic::default();
        let mut items = 0;
        // Takes the inbox along: when it ends early, the reader is told by the closed channel.
        let writer = async {
            let mut inbox = inbox;
            while let Some(part) = inbox.recv().await {
                if counted == Counted::Never {
                    for one in &part {
                        self.count_new(tenant, one, &domains, &mut traffic).await?;
                    }
                }
                items += part.iter().map(|one| one.items.len() as u64).sum::<u64>();
                let part: Vec<_> = part.into_iter().map(Gathered::into_changes).collect();
                rebuild.add(&part).await?;
            }
            Ok::<_, ServiceError>(())
        };
        let (vault, written) = tokio::join!(reader, writer);
        written?;
        let vault = vault?;
        let newest = snapshots.len() - 1;
        let rebuilt = snapshots.iter().enumerate().map(|(position, snapshot)| RebuiltSnapshot {
            snapshot: new_snapshot(snapshot),
            mailboxes: Vec::new(),
            // How many items older snapshots hold is not found out: it would read all of them.
            items: if position == newest { items } else { 0 },
        });
        rebuild.finish(&rebuilt.collect::<Vec<_>>(), &traffic.into_counts()).await?;
        Ok(vault)
    }
}

/// Whether messages that a rebuild finds are in the traffic counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Rounds were committed: their counts are there.
    Before,
    /// No round ever was: it is the first one after a crash, or `control` was lost.
    Never,
}

/// What a snapshot changed in one mailbox.
struct Gathered {
    mailbox: StoredMailbox,
    folders: Vec<mailkeep_model::Folder>,
    items: Vec<StoredItem>,
    removed: Vec<mailkeep_model::ItemId>,
}

impl Gathered {
    fn completeness(&self) -> Completeness {
        match self.mailbox.complete {
            mailkeep_vault::Completeness::Complete => Completeness::Complete,
            mailkeep_vault::Completeness::Incomplete => Completeness::Incomplete,
        }
    }

    fn into_changes(self) -> MailboxChanges {
        let completeness = self.completeness();
        let put = self.items.into_iter().map(|stored| CatalogItem {
            content_key: stored.item.content_key.clone(),
            meta_key: meta_key(&stored.item),
            kind: stored.item.kind,
            item: stored.item.id,
            folder: stored.path.folder,
            leaf: stored.path.leaf,
            name: stored.path.name,
            bytes: stored.bytes,
        });
        MailboxChanges {
            mailbox: self.mailbox.mailbox,
            completeness,
            folders: self.folders,
            put: put.collect(),
            removed: self.removed,
        }
    }
}

/// Hands out the differences between two snapshots, some mailboxes at a time, at most about
/// `chunk` items at once.
fn collect(
    vault: &Vault,
    from: Option<&SnapshotId>,
    to: &SnapshotId,
    chunk: usize,
    each: &mut dyn FnMut(Vec<Gathered>) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let mailboxes: HashMap<MailboxId, StoredMailbox> = vault
        .mailboxes(to)?
        .into_iter()
        .map(|stored| (stored.mailbox.id.clone(), stored))
        .collect();
    let mut gathered: HashMap<MailboxId, Gathered> = HashMap::new();
    let mut held = 0;
    let mut outcome = Ok(());
    vault.diff(from, to, &mut |change| {
        if outcome.is_ok() {
            outcome = gather(vault, to, &mailboxes, &mut gathered, &mut held, change);
        }
        if outcome.is_ok() && held >= chunk {
            held = 0;
            outcome = each(gathered.drain().map(|(_, one)| one).collect());
        }
    })?;
    outcome?;
    each(gathered.into_values().collect())
}

fn gather(
    vault: &Vault,
    to: &SnapshotId,
    mailboxes: &HashMap<MailboxId, StoredMailbox>,
    gathered: &mut HashMap<MailboxId, Gathered>,
    held: &mut usize,
    change: CatalogChange,
) -> Result<(), ServiceError> {
    let id = match &change {
        CatalogChange::Mailbox(stored) => &stored.mailbox.id,
        CatalogChange::Folders { mailbox, .. }
        | CatalogChange::ItemGone { mailbox, .. }
        | CatalogChange::Item { mailbox, .. } => mailbox,
        _ => return Ok(()),
    };
    let Some(stored) = mailboxes.get(id) else { return Ok(()) };
    if !gathered.contains_key(id) {
        let folders = vault.folders(to, &stored.mailbox.address)?;
        gathered.insert(
            id.clone(),
            Gathered {
                mailbox: stored.clone(),
                folders: folders.into_iter().map(|folder| folder.folder).collect(),
                items: Vec::new(),
                removed: Vec::new(),
            },
        );
    }
    let Some(one) = gathered.get_mut(id) else { return Ok(()) };
    match change {
        CatalogChange::ItemGone { item, .. } => one.removed.push(item),
        CatalogChange::Item { item, .. } => {
            *held += 1;
            one.items.push(*item);
        }
        _ => {}
    }
    Ok(())
}

fn new_snapshot(snapshot: &Snapshot) -> NewSnapshot {
    NewSnapshot {
        id: snapshot.id.to_string(),
        time: snapshot.time,
        outcome: match snapshot.outcome {
            Outcome::Whole => SnapshotOutcome::Complete,
            Outcome::Partial => SnapshotOutcome::Partial,
        },
        // Not kept in the repository.
        bytes_added: 0,
    }
}
