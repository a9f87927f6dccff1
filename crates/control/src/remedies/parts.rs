//! Which messages carry which attachments and links: what an order about one of these begins with.

use mailkeep_model::TenantName;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};
use time::OffsetDateTime;

use super::RemedySubject;
use crate::{
    Control, ControlError,
    convert::{micros, text},
    entity::message_part,
    keys::{digest, pieces},
    tenants::tenant_key,
};

/// Messages that one attachment or link leads to. More than that have a link that is in everybody's
/// signature.
const MOST_MESSAGES: u64 = 500;

impl Control {
    /// Notes which attachments and links messages carry. Of them digests are kept alone.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn note_message_parts(
        &self,
        tenant: &TenantName,
        parts: &[(String, RemedySubject)],
        now: OffsetDateTime,
    ) -> Result<(), ControlError> {
        if parts.is_empty() {
            return Ok(());
        }
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let row = |(message_id, part): &(String, RemedySubject)| message_part::ActiveModel {
            id: NotSet,
            tenant_id: Set(tenant_id),
            part: Set(part_key(part)),
            message_digest: Set(digest(&[message_id])),
            message_id: Set(text(message_id)),
            seen: Set(micros(now)),
        };
        let rows: Vec<_> = parts.iter().map(row).collect();
        let columns = [
            message_part::Column::TenantId,
            message_part::Column::Part,
            message_part::Column::MessageDigest,
        ];
        let transaction = self.write().await?;
        for piece in pieces(&rows) {
            message_part::Entity::insert_many(piece.to_vec())
                .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
                .exec_without_returning(&transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The `Message-ID`s of the newest messages that carry this.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn messages_with(
        &self,
        tenant: &TenantName,
        part: &RemedySubject,
    ) -> Result<Vec<String>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        messages_with(self.reader(), tenant_id, part).await
    }

    /// Forgets what was noted before a moment.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn forget_message_parts(&self, before: OffsetDateTime) -> Result<u64, ControlError> {
        let transaction = self.write().await?;
        let done = message_part::Entity::delete_many()
            .filter(message_part::Column::Seen.lt(micros(before)))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected)
    }
}

/// The newest messages that carry this.
pub(super) async fn messages_with(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    part: &RemedySubject,
) -> Result<Vec<String>, ControlError> {
    Ok(message_part::Entity::find()
        .select_only()
        .column(message_part::Column::MessageId)
        .filter(message_part::Column::TenantId.eq(tenant_id))
        .filter(message_part::Column::Part.eq(part_key(part)))
        .order_by_desc(message_part::Column::Id)
        .limit(MOST_MESSAGES)
        .into_tuple()
        .all(connection)
        .await?)
}

fn part_key(part: &RemedySubject) -> Vec<u8> {
    digest(&[part.kind(), part.text()])
}
