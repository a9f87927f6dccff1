//! What one snapshot changed in one mailbox, applied to the catalog.

use std::collections::{BTreeMap, HashMap};

use mailkeep_model::{Folder, FolderId, ItemId, Mailbox, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Alias, Expr, ExprTrait, OnConflict, Query},
};

use crate::{
    CatalogItem, Completeness, ControlError, catalog,
    convert::{signed, text, variant_name},
    entity::{folder, item, mailbox, skipped},
    keys::{digest, pieces},
};

/// What a snapshot changed in one mailbox, as the vault tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxChanges {
    /// The mailbox; added to the tenant's when it is not known.
    pub mailbox: Mailbox,
    /// Whether its first backup had reached its end.
    pub completeness: Completeness,
    /// All its folders, also empty ones.
    pub folders: Vec<Folder>,
    /// Items that are new or different. An item that is in `removed`, too, was moved: it stays.
    pub put: Vec<CatalogItem>,
    /// Items that are no longer there. One that the catalog does not hold is no error.
    pub removed: Vec<ItemId>,
}

/// The part of a change that commits, catch-ups and rebuilds have in common.
pub(crate) struct Applied<'a> {
    pub(crate) tenant: &'a TenantName,
    pub(crate) mailbox_id: i64,
    pub(crate) completeness: Completeness,
    pub(crate) folders: &'a [Folder],
    pub(crate) put: &'a [CatalogItem],
    pub(crate) removed: &'a [ItemId],
    pub(crate) inspection: Inspection,
}

/// What is known about the inspection of contents that a change brings.
#[derive(Clone, Copy)]
pub(crate) enum Inspection {
    /// Their verdicts are recorded.
    Done,
    /// Perhaps not.
    Unknown,
}

impl Applied<'_> {
    /// Applies it; gives the row numbers of the mailbox's folders.
    pub(crate) async fn apply(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Result<HashMap<&FolderId, i64>, ControlError> {
        let folders = self.put_folders(connection).await?;
        remove_items(connection, self.mailbox_id, self.removed).await?;
        self.put_items(connection, &folders).await?;
        self.clear_skipped(connection).await?;
        remove_empty_folders(connection, self.mailbox_id).await?;
        let items = item::Entity::find()
            .filter(item::Column::MailboxId.eq(self.mailbox_id))
            .count(connection)
            .await?;
        let change = mailbox::ActiveModel {
            id: Unchanged(self.mailbox_id),
            complete: Set(self.completeness == Completeness::Complete),
            items: Set(signed(items)),
            ..Default::default()
        };
        mailbox::Entity::update(change).exec(connection).await?;
        Ok(folders)
    }

    async fn put_folders(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Result<HashMap<&FolderId, i64>, ControlError> {
        let mut known: HashMap<String, folder::Model> = folder::Entity::find()
            .filter(folder::Column::MailboxId.eq(self.mailbox_id))
            .all(connection)
            .await?
            .into_iter()
            .map(|row| (row.provider_id.clone(), row))
            .collect();
        let mut keys = HashMap::with_capacity(self.folders.len());
        for folder in self.folders {
            if keys.contains_key(&folder.id) {
                return Err(self.refuse(format!("folder '{}' is listed twice", folder.id.0)));
            }
            let row = folder::ActiveModel {
                id: NotSet,
                mailbox_id: Set(self.mailbox_id),
                provider_id: Set(folder.id.0.clone()),
                parent: Set(folder.parent.as_ref().map(|parent| parent.0.clone())),
                name: Set(text(&folder.name)),
                kind: Set(variant_name(&folder.kind)),
                well_known: Set(folder.well_known.as_ref().map(variant_name)),
                present: Set(true),
                cursor: NotSet,
                compared: NotSet,
                surplus: NotSet,
                explained_surplus: NotSet,
                doubts: NotSet,
            };
            let id = match known.remove(&folder.id.0) {
                Some(before) if same_folder(&before, &row) => before.id,
                Some(before) => {
                    let row = folder::ActiveModel { id: Unchanged(before.id), ..row };
                    folder::Entity::update(row).exec(connection).await?;
                    before.id
                }
                None => {
                    let row = folder::ActiveModel {
                        cursor: Set(None),
                        compared: Set(None),
                        surplus: Set(None),
                        explained_surplus: Set(0),
                        doubts: Set(0),
                        ..row
                    };
                    folder::Entity::insert(row).exec_with_returning(connection).await?.id
                }
            };
            keys.insert(&folder.id, id);
        }
        for row in known.into_values().filter(|row| row.present) {
            // Its items may still have to be asked for; without them the row goes below.
            let gone = folder::ActiveModel {
                id: Unchanged(row.id),
                present: Set(false),
                cursor: Set(None),
                doubts: Set(0),
                ..Default::default()
            };
            folder::Entity::update(gone).exec(connection).await?;
        }
        Ok(keys)
    }

    async fn put_items(
        &self,
        connection: &impl ConnectionTrait,
        folders: &HashMap<&FolderId, i64>,
    ) -> Result<(), ControlError> {
        // One row per item, the last one given: PostgreSQL refuses to touch a row twice in one
        // statement. In the order given, so that the table grows in the order of the folders.
        let mut last = BTreeMap::new();
        for (index, item) in self.put.iter().enumerate() {
            last.insert(digest(&[&item.item.0]), index);
        }
        let mut rows: Vec<_> = last.into_iter().map(|(digest, index)| (index, digest)).collect();
        rows.sort_unstable();
        let inspected = matches!(self.inspection, Inspection::Done);
        for piece in pieces(&rows) {
            let mut models = Vec::with_capacity(piece.len());
            for (index, digest) in piece {
                let item = &self.put[*index];
                let folder_id = *folders.get(&item.folder).ok_or_else(|| {
                    self.refuse(format!(
                        "item '{}' lies in folder '{}', which is not listed",
                        item.item.0, item.folder.0
                    ))
                })?;
                let digest = digest.clone();
                models.push(catalog::to_row(self.mailbox_id, folder_id, digest, item, inspected));
            }
            item::Entity::insert_many(models)
                .on_conflict(replace_item())
                .exec_without_returning(connection)
                .await?;
        }
        Ok(())
    }

    /// What was stored or is gone needs no other try.
    async fn clear_skipped(&self, connection: &impl ConnectionTrait) -> Result<(), ControlError> {
        let skipped: Vec<(i64, Vec<u8>)> = skipped::Entity::find()
            .select_only()
            .column(skipped::Column::Id)
            .column(skipped::Column::Digest)
            .filter(skipped::Column::MailboxId.eq(self.mailbox_id))
            .into_tuple()
            .all(connection)
            .await?;
        if skipped.is_empty() {
            return Ok(());
        }
        let put = self.put.iter().map(|item| &item.item);
        let done: std::collections::HashSet<_> =
            put.chain(self.removed).map(|item| digest(&[&item.0])).collect();
        for (id, digest) in skipped {
            if done.contains(&digest) {
                skipped::Entity::delete_by_id(id).exec(connection).await?;
            }
        }
        Ok(())
    }

    fn refuse(&self, what: String) -> ControlError {
        ControlError::Refused { tenant: self.tenant.to_string(), what }
    }
}

fn same_folder(before: &folder::Model, now: &folder::ActiveModel) -> bool {
    before.present
        && now.parent.try_as_ref() == Some(&before.parent)
        && now.name.try_as_ref() == Some(&before.name)
        && now.kind.try_as_ref() == Some(&before.kind)
        && now.well_known.try_as_ref() == Some(&before.well_known)
}

/// A known item is overwritten. Whether it was inspected stays true or false as long as the
/// content does.
fn replace_item() -> OnConflict {
    let new = |column| Expr::col((Alias::new("excluded"), column));
    let old = |column| Expr::col((item::Entity, column));
    OnConflict::columns([item::Column::MailboxId, item::Column::Digest])
        .update_columns([
            item::Column::Kind,
            item::Column::FolderId,
            item::Column::Leaf,
            item::Column::Name,
            item::Column::ContentKey,
            item::Column::MetaKey,
            item::Column::Bytes,
        ])
        .value(
            item::Column::Inspected,
            Expr::case(
                old(item::Column::ContentKey).eq(new(item::Column::ContentKey)),
                old(item::Column::Inspected),
            )
            .finally(new(item::Column::Inspected)),
        )
        .to_owned()
}

async fn remove_items(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    items: &[ItemId],
) -> Result<(), ControlError> {
    let digests: Vec<_> = items.iter().map(|item| digest(&[&item.0])).collect();
    for piece in pieces(&digests) {
        item::Entity::delete_many()
            .filter(item::Column::MailboxId.eq(mailbox_id))
            .filter(item::Column::Digest.is_in(piece.iter().cloned()))
            .exec(connection)
            .await?;
    }
    Ok(())
}

async fn remove_empty_folders(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
) -> Result<(), ControlError> {
    let item_in_it = Query::select()
        .expr(Expr::val(1))
        .from(item::Entity)
        .and_where(
            Expr::col((item::Entity, item::Column::FolderId))
                .equals((folder::Entity, folder::Column::Id)),
        )
        .take();
    folder::Entity::delete_many()
        .filter(folder::Column::MailboxId.eq(mailbox_id))
        .filter(folder::Column::Present.eq(false))
        .filter(Expr::exists(item_in_it).not())
        .exec(connection)
        .await?;
    Ok(())
}
