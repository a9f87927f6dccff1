use std::collections::HashMap;

use mailkeep_model::{MailboxId, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Query,
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{instant, micros, signed, unsigned},
    entity::{mailbox, snapshot, snapshot_mailbox},
    mailboxes::{find_mailbox, mailbox_names},
    tenants::tenant_key,
};

/// Whether a snapshot holds everything that its round was to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotOutcome {
    /// Everything.
    Complete,
    /// Some items failed and are skipped items now.
    Partial,
}

/// A snapshot that was written to the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// The vault's identifier.
    pub id: String,
    /// The time that it bears.
    pub time: OffsetDateTime,
    /// Whether it holds everything that its round was to store.
    pub outcome: SnapshotOutcome,
    /// What it added to the repository, in bytes, compressed.
    pub bytes_added: u64,
}

/// What a snapshot changed in one mailbox, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMailbox {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Items new or different.
    pub put: u64,
    /// Items gone.
    pub removed: u64,
}

/// A snapshot, as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// The vault's identifier.
    pub id: String,
    /// The time that it bears.
    pub time: OffsetDateTime,
    /// Whether it holds everything that its round was to store.
    pub outcome: SnapshotOutcome,
    /// What it added to the repository, in bytes, compressed.
    pub bytes_added: u64,
    /// The mailboxes that it changed.
    pub mailboxes: Vec<SnapshotMailbox>,
    /// Items that it holds, of all mailboxes.
    pub items: u64,
}

impl Control {
    /// A tenant's snapshots, oldest first; with a mailbox, those that changed it.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn snapshots(
        &self,
        tenant: &TenantName,
        mailbox: Option<&MailboxId>,
    ) -> Result<Vec<SnapshotRecord>, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let names = mailbox_names(&transaction, tenant_id).await?;
        let mut find = snapshot::Entity::find().filter(snapshot::Column::TenantId.eq(tenant_id));
        let ours = Query::select()
            .column(snapshot::Column::Id)
            .from(snapshot::Entity)
            .and_where(snapshot::Column::TenantId.eq(tenant_id))
            .take();
        let mut changed = snapshot_mailbox::Entity::find()
            .filter(snapshot_mailbox::Column::SnapshotId.in_subquery(ours));
        if let Some(mailbox) = mailbox {
            let id = find_mailbox(&transaction, tenant_id, mailbox).await?.id;
            let with_it = Query::select()
                .column(snapshot_mailbox::Column::SnapshotId)
                .from(snapshot_mailbox::Entity)
                .and_where(snapshot_mailbox::Column::MailboxId.eq(id))
                .take();
            find = find.filter(snapshot::Column::Id.in_subquery(with_it.clone()));
            changed = changed.filter(snapshot_mailbox::Column::SnapshotId.in_subquery(with_it));
        }
        let mut mailboxes = HashMap::<i64, Vec<SnapshotMailbox>>::new();
        let changed =
            changed.order_by_asc(snapshot_mailbox::Column::MailboxId).all(&transaction).await?;
        for row in changed {
            let Some(name) = names.get(&row.mailbox_id) else { continue };
            mailboxes.entry(row.snapshot_id).or_default().push(SnapshotMailbox {
                mailbox: name.clone(),
                put: unsigned(row.put),
                removed: unsigned(row.removed),
            });
        }
        let rows = find
            .order_by_asc(snapshot::Column::Time)
            .order_by_asc(snapshot::Column::Id)
            .all(&transaction)
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(SnapshotRecord {
                    id: row.snapshot,
                    time: instant(row.time)?,
                    outcome: if row.partial {
                        SnapshotOutcome::Partial
                    } else {
                        SnapshotOutcome::Complete
                    },
                    bytes_added: unsigned(row.bytes_added),
                    mailboxes: mailboxes.remove(&row.id).unwrap_or_default(),
                    items: unsigned(row.items),
                })
            })
            .collect()
    }
}

/// What a snapshot changed, by the mailboxes' row numbers: `(mailbox, put, removed)`.
pub(crate) type ChangedRows = [(i64, u64, u64)];

/// Records a snapshot.
pub(crate) async fn insert_snapshot(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    new: &NewSnapshot,
    changed: &ChangedRows,
    items: u64,
) -> Result<(), ControlError> {
    let row = snapshot::ActiveModel {
        id: NotSet,
        tenant_id: Set(tenant_id),
        snapshot: Set(new.id.clone()),
        time: Set(micros(new.time)),
        partial: Set(new.outcome == SnapshotOutcome::Partial),
        bytes_added: Set(signed(new.bytes_added)),
        items: Set(signed(items)),
    };
    let snapshot_id = snapshot::Entity::insert(row).exec_with_returning(connection).await?.id;
    for (mailbox_id, put, removed) in changed {
        let row = snapshot_mailbox::ActiveModel {
            snapshot_id: Set(snapshot_id),
            mailbox_id: Set(*mailbox_id),
            put: Set(signed(*put)),
            removed: Set(signed(*removed)),
        };
        snapshot_mailbox::Entity::insert(row).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// Items in the catalog, of all mailboxes of a tenant.
pub(crate) async fn catalog_size(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
) -> Result<u64, ControlError> {
    let items: Vec<i64> = mailbox::Entity::find()
        .select_only()
        .column(mailbox::Column::Items)
        .filter(mailbox::Column::TenantId.eq(tenant_id))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(unsigned(items.into_iter().sum()))
}
