use std::collections::HashMap;

use mailkeep_model::{FolderId, ItemId, ItemKind, MailboxId, TenantName};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};

use crate::{
    Control, ControlError,
    convert::{signed, unsigned, variant, variant_name},
    entity::{folder, item, mailbox, tenant},
    keys::{digest, pieces},
    mailboxes::{mailbox_key, mailbox_names},
    tenants::tenant_key,
};

/// An item of the vault's newest committed snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogItem {
    /// The provider's identifier.
    pub item: ItemId,
    /// What it is.
    pub kind: ItemKind,
    /// The folder that it lies in.
    pub folder: FolderId,
    /// The leaf directory in that folder (`2026-11`).
    pub leaf: String,
    /// The file's name in that directory.
    pub name: String,
    /// See `mailkeep_model::Item::content_key`.
    pub content_key: String,
    /// A hash of everything that the provider tells beside the content, as last stored.
    pub meta_key: String,
    /// Size of the content.
    pub bytes: u64,
}

/// How much of a mailbox's catalog was inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectionCount {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its items in the catalog whose present content was inspected.
    pub inspected: u64,
    /// Those that were not: see [`Control::uninspected`].
    pub uninspected: u64,
}

impl Control {
    /// The snapshot that the catalog equals; `None` before the first round and while the catalog
    /// is being rebuilt.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn catalog_head(&self, tenant: &TenantName) -> Result<Option<String>, ControlError> {
        let head: Option<Option<String>> = tenant::Entity::find()
            .select_only()
            .column(tenant::Column::CatalogHead)
            .filter(tenant::Column::Name.eq(tenant.as_str()))
            .into_tuple()
            .one(self.reader())
            .await?;
        head.ok_or_else(|| ControlError::NotFound { what: format!("tenant '{tenant}'") })
    }

    /// What the catalog says about some items; those that it does not hold are left out.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn items(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
        items: &[ItemId],
    ) -> Result<HashMap<ItemId, CatalogItem>, ControlError> {
        let transaction = self.read().await?;
        let mailbox_id = mailbox_key(&transaction, tenant, mailbox).await?;
        let folders = folder_names(&transaction, mailbox_id).await?;
        let digests: Vec<_> = items.iter().map(|item| digest(&[&item.0])).collect();
        let mut found = HashMap::with_capacity(items.len());
        for piece in pieces(&digests) {
            let rows = item::Entity::find()
                .filter(item::Column::MailboxId.eq(mailbox_id))
                .filter(item::Column::Digest.is_in(piece.iter().cloned()))
                .all(&transaction)
                .await?;
            for row in rows {
                let item = from_row(row, &folders)?;
                found.insert(item.item.clone(), item);
            }
        }
        Ok(found)
    }

    /// All items that lie in a folder, in the order in which they became known; also in one that
    /// the provider lists no more.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown; an unknown folder is
    /// empty.
    pub async fn items_in_folder(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
        folder: &FolderId,
    ) -> Result<Vec<CatalogItem>, ControlError> {
        let transaction = self.read().await?;
        let mailbox_id = mailbox_key(&transaction, tenant, mailbox).await?;
        let row = folder::Entity::find()
            .filter(folder::Column::MailboxId.eq(mailbox_id))
            .filter(folder::Column::ProviderId.eq(folder.0.as_str()))
            .one(&transaction)
            .await?;
        let Some(row) = row else { return Ok(Vec::new()) };
        let folders = HashMap::from([(row.id, folder.clone())]);
        let rows = item::Entity::find()
            .filter(item::Column::FolderId.eq(row.id))
            .order_by_asc(item::Column::Id)
            .all(&transaction)
            .await?;
        rows.into_iter().map(|row| from_row(row, &folders)).collect()
    }

    /// How many items of each kind a tenant's catalog holds.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn item_counts(
        &self,
        tenant: &TenantName,
    ) -> Result<HashMap<ItemKind, u64>, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let names = mailbox_names(&transaction, tenant_id).await?;
        let counts: Vec<(String, i64)> = item::Entity::find()
            .select_only()
            .column(item::Column::Kind)
            .column_as(item::Column::Id.count(), "items")
            .filter(item::Column::MailboxId.is_in(names.keys().copied()))
            .group_by(item::Column::Kind)
            .into_tuple()
            .all(&transaction)
            .await?;
        counts.into_iter().map(|(kind, count)| Ok((variant(kind)?, unsigned(count)))).collect()
    }

    /// Items whose present content nobody inspected: a crash came between the snapshot that holds
    /// them and the record of their inspection. At most `limit`; recording their verdicts takes
    /// them off this list.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn uninspected(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
        limit: u64,
    ) -> Result<Vec<CatalogItem>, ControlError> {
        let transaction = self.read().await?;
        let mailbox_id = mailbox_key(&transaction, tenant, mailbox).await?;
        let folders = folder_names(&transaction, mailbox_id).await?;
        let rows = item::Entity::find()
            .filter(item::Column::MailboxId.eq(mailbox_id))
            .filter(is_uninspected())
            .order_by_asc(item::Column::Id)
            .limit(limit)
            .all(&transaction)
            .await?;
        rows.into_iter().map(|row| from_row(row, &folders)).collect()
    }

    /// How many items were inspected, per mailbox. Derived from the catalog, so that repeated
    /// work counts once.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn inspection_counts(
        &self,
        tenant: &TenantName,
    ) -> Result<Vec<InspectionCount>, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let names = mailbox_names(&transaction, tenant_id).await?;
        let pending: Vec<(i64, i64)> = item::Entity::find()
            .select_only()
            .column(item::Column::MailboxId)
            .column_as(item::Column::Id.count(), "pending")
            .filter(item::Column::MailboxId.is_in(names.keys().copied()))
            .filter(is_uninspected())
            .group_by(item::Column::MailboxId)
            .into_tuple()
            .all(&transaction)
            .await?;
        let pending: HashMap<i64, i64> = pending.into_iter().collect();
        let totals: Vec<(i64, i64)> = mailbox::Entity::find()
            .select_only()
            .column(mailbox::Column::Id)
            .column(mailbox::Column::Items)
            .filter(mailbox::Column::TenantId.eq(tenant_id))
            .order_by_asc(mailbox::Column::Address)
            .order_by_asc(mailbox::Column::Id)
            .into_tuple()
            .all(&transaction)
            .await?;
        Ok(totals
            .into_iter()
            .filter_map(|(id, items)| {
                let uninspected = pending.get(&id).copied().unwrap_or(0);
                Some(InspectionCount {
                    mailbox: names.get(&id)?.clone(),
                    inspected: unsigned(items - uninspected),
                    uninspected: unsigned(uninspected),
                })
            })
            .collect())
    }
}

/// Written as in the definition of the index `items_uninspected`, which serves it.
pub(crate) fn is_uninspected() -> Expr {
    item::Column::Inspected.into_expr().not()
}

/// The identifiers behind the row numbers of a mailbox's folders.
pub(crate) async fn folder_names(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
) -> Result<HashMap<i64, FolderId>, ControlError> {
    let rows: Vec<(i64, String)> = folder::Entity::find()
        .select_only()
        .column(folder::Column::Id)
        .column(folder::Column::ProviderId)
        .filter(folder::Column::MailboxId.eq(mailbox_id))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|(id, provider_id)| (id, FolderId(provider_id))).collect())
}

/// The row of a catalog item, without its number.
pub(crate) fn to_row(
    mailbox_id: i64,
    folder_id: i64,
    digest: Vec<u8>,
    item: &CatalogItem,
    inspected: bool,
) -> item::ActiveModel {
    use sea_orm::ActiveValue::{NotSet, Set};
    item::ActiveModel {
        id: NotSet,
        mailbox_id: Set(mailbox_id),
        digest: Set(digest),
        folder_id: Set(folder_id),
        item: Set(item.item.0.clone()),
        kind: Set(variant_name(&item.kind)),
        leaf: Set(item.leaf.clone()),
        name: Set(item.name.clone()),
        content_key: Set(item.content_key.clone()),
        meta_key: Set(item.meta_key.clone()),
        bytes: Set(signed(item.bytes)),
        // Only messages are inspected.
        inspected: Set(inspected || item.kind != ItemKind::Message),
    }
}

fn from_row(
    row: item::Model,
    folders: &HashMap<i64, FolderId>,
) -> Result<CatalogItem, ControlError> {
    let folder = folders.get(&row.folder_id).cloned().ok_or_else(|| {
        ControlError::Corrupt(format!("item {} lies in no folder of its mailbox", row.id))
    })?;
    Ok(CatalogItem {
        item: ItemId(row.item),
        kind: variant(row.kind)?,
        folder,
        leaf: row.leaf,
        name: row.name,
        content_key: row.content_key,
        meta_key: row.meta_key,
        bytes: unsigned(row.bytes),
    })
}
