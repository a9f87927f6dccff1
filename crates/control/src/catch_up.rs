use std::collections::HashSet;

use mailkeep_model::{MailboxId, TenantName, TrafficCount};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, Query},
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError, MailboxChanges, NewSnapshot, SnapshotMailbox,
    changes::{Applied, Inspection},
    entity::{folder, item, mailbox, snapshot},
    keys::pieces,
    mailboxes::{find_mailbox, insert_mailbox},
    rounds::set_head,
    snapshots::{catalog_size, insert_snapshot},
    tenants::lock_tenant,
    traffic::add_traffic,
};

/// Snapshots that the vault holds and the catalog does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// The snapshot that the first of them follows: where the catalog must stand.
    pub from: Option<String>,
    /// The snapshots, oldest first.
    pub snapshots: Vec<SnapshotChanges>,
    /// Messages among their new items, to be added to the tenant's counts: the pass that reads
    /// them again finds them known and does not count them.
    pub traffic: Vec<TrafficCount>,
}

/// A snapshot, and how it differs from the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotChanges {
    /// The snapshot.
    pub snapshot: NewSnapshot,
    /// What it changed.
    pub mailboxes: Vec<MailboxChanges>,
}

/// A snapshot that was found in the vault during a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuiltSnapshot {
    /// The snapshot.
    pub snapshot: NewSnapshot,
    /// The mailboxes that it changed, where that was found out.
    pub mailboxes: Vec<SnapshotMailbox>,
    /// Items that it holds, of all mailboxes.
    pub items: u64,
}

/// A catalog that is being rebuilt from the vault. Until [`Rebuild::finish`] the tenant has no
/// catalog head; when it is dropped before, the rebuild has to start again.
#[derive(Debug)]
pub struct Rebuild {
    control: Control,
    tenant: TenantName,
    now: OffsetDateTime,
}

impl Control {
    /// Applies what snapshots changed when a crash fell between writing and committing them, in
    /// one transaction. The cursors of folders in which items are new or different are forgotten,
    /// and where the folders of these mailboxes stand: they lie before what the catalog holds now,
    /// and an item that came after one of them and is gone by now would never be mentioned again.
    /// Reading from the beginning tells. Contents that were not known become *uninspected*
    /// ([`Control::uninspected`]).
    ///
    /// # Errors
    ///
    /// [`ControlError::HeadMoved`] when the catalog does not stand at `from`.
    pub async fn catch_up(
        &self,
        tenant: &TenantName,
        catch_up: CatchUp,
    ) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        let row = lock_tenant(&transaction, tenant).await?;
        let Some(last) = catch_up.snapshots.last() else { return Ok(()) };
        if row.catalog_head.as_ref() == Some(&last.snapshot.id) {
            return Ok(());
        }
        if row.catalog_head != catch_up.from {
            return Err(ControlError::HeadMoved {
                tenant: tenant.to_string(),
                expected: catch_up.from,
                found: row.catalog_head,
            });
        }
        for step in &catch_up.snapshots {
            let mut changed = Vec::with_capacity(step.mailboxes.len());
            for changes in &step.mailboxes {
                let id = apply(&transaction, tenant, row.id, changes, step.snapshot.time).await?;
                changed.push((id, changes.put.len() as u64, changes.removed.len() as u64));
            }
            let items = catalog_size(&transaction, row.id).await?;
            insert_snapshot(&transaction, row.id, &step.snapshot, &changed, items).await?;
        }
        add_traffic(&transaction, row.id, &catch_up.traffic).await?;
        set_head(&transaction, row.id, Some(&last.snapshot.id)).await?;
        Ok(transaction.commit().await?)
    }

    /// Empties a tenant's catalog, to be filled again from the vault: when the control database
    /// was lost, or stands at a snapshot that the vault does not hold. All cursors are forgotten,
    /// because nobody knows whether they lead past what the vault holds; the next pass compares
    /// everything and stores what is missing. Mailboxes, findings and skipped items stay.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn start_rebuild(
        &self,
        tenant: &TenantName,
        now: OffsetDateTime,
    ) -> Result<Rebuild, ControlError> {
        let transaction = self.write().await?;
        let tenant_id = lock_tenant(&transaction, tenant).await?.id;
        set_head(&transaction, tenant_id, None).await?;
        snapshot::Entity::delete_many()
            .filter(snapshot::Column::TenantId.eq(tenant_id))
            .exec(&transaction)
            .await?;
        let mailboxes = || {
            Query::select()
                .column(mailbox::Column::Id)
                .from(mailbox::Entity)
                .and_where(mailbox::Column::TenantId.eq(tenant_id))
                .take()
        };
        item::Entity::delete_many()
            .filter(item::Column::MailboxId.in_subquery(mailboxes()))
            .exec(&transaction)
            .await?;
        folder::Entity::delete_many()
            .filter(folder::Column::MailboxId.in_subquery(mailboxes()))
            .exec(&transaction)
            .await?;
        mailbox::Entity::update_many()
            .col_expr(mailbox::Column::FolderCursor, Expr::value(None::<String>))
            .col_expr(mailbox::Column::Items, Expr::value(0_i64))
            .col_expr(mailbox::Column::Complete, Expr::value(false))
            .filter(mailbox::Column::TenantId.eq(tenant_id))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(Rebuild { control: self.clone(), tenant: tenant.clone(), now })
    }
}

impl Rebuild {
    /// Adds a part of the newest snapshot's items. Chunks of some ten thousand items are a good
    /// size; a mailbox may come in several, each with all its folders.
    ///
    /// # Errors
    ///
    /// As [`Control::catch_up`]; the rebuild can go on with the same chunk.
    pub async fn add(&mut self, changes: &[MailboxChanges]) -> Result<(), ControlError> {
        let transaction = self.control.write().await?;
        let tenant_id = self.lock(&transaction).await?;
        for changes in changes {
            apply(&transaction, &self.tenant, tenant_id, changes, self.now).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Ends the rebuild: the catalog equals the last of these snapshots, and `traffic` is added to
    /// the tenant's counts.
    ///
    /// # Errors
    ///
    /// When the database cannot be written; it can be called again with the same list.
    pub async fn finish(
        &mut self,
        snapshots: &[RebuiltSnapshot],
        traffic: &[TrafficCount],
    ) -> Result<(), ControlError> {
        let transaction = self.control.write().await?;
        let tenant_id = self.lock(&transaction).await?;
        for rebuilt in snapshots {
            let mut changed = Vec::with_capacity(rebuilt.mailboxes.len());
            for SnapshotMailbox { mailbox, put, removed } in &rebuilt.mailboxes {
                let id = known_mailbox(&transaction, tenant_id, mailbox).await?;
                changed.extend(id.map(|id| (id, *put, *removed)));
            }
            let (snapshot, items) = (&rebuilt.snapshot, rebuilt.items);
            insert_snapshot(&transaction, tenant_id, snapshot, &changed, items).await?;
        }
        add_traffic(&transaction, tenant_id, traffic).await?;
        let head = snapshots.last().map(|rebuilt| rebuilt.snapshot.id.as_str());
        set_head(&transaction, tenant_id, head).await?;
        Ok(transaction.commit().await?)
    }

    async fn lock(&self, connection: &impl ConnectionTrait) -> Result<i64, ControlError> {
        let row = lock_tenant(connection, &self.tenant).await?;
        if row.catalog_head.is_some() {
            return Err(ControlError::HeadMoved {
                tenant: self.tenant.to_string(),
                expected: None,
                found: row.catalog_head,
            });
        }
        Ok(row.id)
    }
}

async fn apply(
    connection: &impl ConnectionTrait,
    tenant: &TenantName,
    tenant_id: i64,
    changes: &MailboxChanges,
    now: OffsetDateTime,
) -> Result<i64, ControlError> {
    let id = &changes.mailbox.id;
    let mailbox_id = match known_mailbox(connection, tenant_id, id).await? {
        Some(mailbox_id) => mailbox_id,
        None => insert_mailbox(connection, tenant_id, &changes.mailbox, now).await?.id,
    };
    let applied = Applied {
        tenant,
        mailbox_id,
        completeness: changes.completeness,
        folders: &changes.folders,
        put: &changes.put,
        removed: &changes.removed,
        inspection: Inspection::Unknown,
    };
    let folders = applied.apply(connection).await?;
    let touched: HashSet<_> =
        changes.put.iter().filter_map(|item| folders.get(&item.folder).copied()).collect();
    forget_cursors(connection, mailbox_id, touched).await?;
    Ok(mailbox_id)
}

/// Has the next pass read a mailbox's list of folders, and some of the folders, from the beginning.
async fn forget_cursors(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    folders: HashSet<i64>,
) -> Result<(), ControlError> {
    mailbox::Entity::update_many()
        .col_expr(mailbox::Column::FolderCursor, Expr::value(None::<String>))
        .filter(mailbox::Column::Id.eq(mailbox_id))
        .exec(connection)
        .await?;
    let folders: Vec<_> = folders.into_iter().collect();
    for piece in pieces(&folders) {
        folder::Entity::update_many()
            .col_expr(folder::Column::Cursor, Expr::value(None::<String>))
            .filter(folder::Column::Id.is_in(piece.iter().copied()))
            .exec(connection)
            .await?;
    }
    Ok(())
}

async fn known_mailbox(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    id: &MailboxId,
) -> Result<Option<i64>, ControlError> {
    match find_mailbox(connection, tenant_id, id).await {
        Ok(row) => Ok(Some(row.id)),
        Err(ControlError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
