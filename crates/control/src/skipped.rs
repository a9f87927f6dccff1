use mailkeep_model::{FolderId, ItemId, ItemKind, MailboxId, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{instant, micros, short_text, unsigned, variant, variant_name},
    entity::skipped,
    keys::{digest, pieces},
    mailboxes::{find_mailbox, mailbox_names},
    tenants::tenant_key,
};

/// An error's text is kept up to here; the whole of it is in the log.
const ERROR_BYTES: usize = 1_000;

/// An item that failed in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The item.
    pub item: ItemId,
    /// What it is.
    pub kind: ItemKind,
    /// The folder that it lies in, where known.
    pub folder: Option<FolderId>,
    /// Why, for a person. Cut after 1,000 bytes. It must not hold content or secrets.
    pub error: String,
}

/// An item that the vault lacks because it failed; the next pass tries it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedItem {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The item.
    pub item: ItemId,
    /// What it is.
    pub kind: ItemKind,
    /// The folder that it lies in, where known.
    pub folder: Option<FolderId>,
    /// Why it failed the last time.
    pub error: String,
    /// How often it failed.
    pub attempts: u64,
    /// When it failed first.
    pub first_seen: OffsetDateTime,
    /// When it failed last.
    pub last_tried: OffsetDateTime,
}

impl Control {
    /// A tenant's skipped items, or those of one mailbox, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn skipped(
        &self,
        tenant: &TenantName,
        mailbox: Option<&MailboxId>,
    ) -> Result<Vec<SkippedItem>, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let mut names = mailbox_names(&transaction, tenant_id).await?;
        if let Some(mailbox) = mailbox {
            let id = find_mailbox(&transaction, tenant_id, mailbox).await?.id;
            names.retain(|key, _| *key == id);
        }
        let mut find = skipped::Entity::find();
        find = find.filter(skipped::Column::MailboxId.is_in(names.keys().copied()));
        let rows = find
            .order_by_asc(skipped::Column::FirstSeen)
            .order_by_asc(skipped::Column::Id)
            .all(&transaction)
            .await?;
        rows.into_iter()
            .filter_map(|row| {
                let mailbox = names.get(&row.mailbox_id)?.clone();
                Some(from_row(row, mailbox))
            })
            .collect()
    }
}

/// Records items that failed, or that they failed once more.
pub(crate) async fn put_skipped(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    skips: &[Skip],
    now: OffsetDateTime,
) -> Result<(), ControlError> {
    let mut seen = std::collections::HashSet::new();
    let rows: Vec<_> = skips
        .iter()
        .map(|skip| (digest(&[&skip.item.0]), skip))
        .filter(|(digest, _)| seen.insert(digest.clone()))
        .map(|(digest, skip)| skipped::ActiveModel {
            id: NotSet,
            mailbox_id: Set(mailbox_id),
            digest: Set(digest),
            item: Set(skip.item.0.clone()),
            kind: Set(variant_name(&skip.kind)),
            folder: Set(skip.folder.as_ref().map(|folder| folder.0.clone())),
            error: Set(short_text(&skip.error, ERROR_BYTES)),
            attempts: Set(1),
            first_seen: Set(micros(now)),
            last_tried: Set(micros(now)),
        })
        .collect();
    for piece in pieces(&rows) {
        let once_more = OnConflict::columns([skipped::Column::MailboxId, skipped::Column::Digest])
            .update_columns([
                skipped::Column::Folder,
                skipped::Column::Error,
                skipped::Column::LastTried,
            ])
            .value(
                skipped::Column::Attempts,
                Expr::col((skipped::Entity, skipped::Column::Attempts)).add(1),
            )
            .to_owned();
        skipped::Entity::insert_many(piece.to_vec())
            .on_conflict(once_more)
            .exec_without_returning(connection)
            .await?;
    }
    Ok(())
}

/// Forgets skipped items.
pub(crate) async fn clear_skipped(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    items: &[ItemId],
) -> Result<(), ControlError> {
    let digests: Vec<_> = items.iter().map(|item| digest(&[&item.0])).collect();
    for piece in pieces(&digests) {
        skipped::Entity::delete_many()
            .filter(skipped::Column::MailboxId.eq(mailbox_id))
            .filter(skipped::Column::Digest.is_in(piece.iter().cloned()))
            .exec(connection)
            .await?;
    }
    Ok(())
}

fn from_row(row: skipped::Model, mailbox: MailboxId) -> Result<SkippedItem, ControlError> {
    Ok(SkippedItem {
        mailbox,
        item: ItemId(row.item),
        kind: variant(row.kind)?,
        folder: row.folder.map(FolderId),
        error: row.error,
        attempts: unsigned(row.attempts),
        first_seen: instant(row.first_seen)?,
        last_tried: instant(row.last_tried)?,
    })
}
