//! Which messages carry which attachments and links: what an order about one of these begins with.

use mailkeep_model::TenantName;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::OnConflict,
};
use time::OffsetDateTime;

use super::{RemedySubject, StoredRemedy};
use crate::{
    Control, ControlError,
    convert::{micros, text},
    entity::{message_part, remedy_message},
    keys::{digest, pieces},
    tenants::tenant_key,
};

/// Messages that one attachment or link leads to at a time: more than that have a link that is in
/// everybody's signature. What is left out is told, and is reached by the same order given again.
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
        messages_with(self.reader(), tenant_id, part, Vec::new()).await
    }

    /// How many messages carry what an order is about, and are not among those that it reaches.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn messages_left_out(
        &self,
        tenant: &TenantName,
        remedy: &StoredRemedy,
    ) -> Result<u64, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let part = part_key(&remedy.order.subject);
        let known = vec![remedy.id.0];
        Ok(carriers(tenant_id, part, known).count(self.reader()).await?)
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

/// The newest messages that carry this, without those that some orders reach already.
pub(super) async fn messages_with(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    part: &RemedySubject,
    orders: Vec<i64>,
) -> Result<Vec<String>, ControlError> {
    Ok(carriers(tenant_id, part_key(part), orders)
        .select_only()
        .column(message_part::Column::MessageId)
        .order_by_desc(message_part::Column::Id)
        .limit(MOST_MESSAGES)
        .into_tuple()
        .all(connection)
        .await?)
}

/// The messages that carry a part, and that none of these orders reaches.
fn carriers(tenant_id: i64, part: Vec<u8>, orders: Vec<i64>) -> Select<message_part::Entity> {
    let reached = sea_orm::sea_query::Query::select()
        .column(remedy_message::Column::Digest)
        .from(remedy_message::Entity)
        .and_where(remedy_message::Column::RemedyId.is_in(orders))
        .take();
    message_part::Entity::find()
        .filter(message_part::Column::TenantId.eq(tenant_id))
        .filter(message_part::Column::Part.eq(part))
        .filter(message_part::Column::MessageDigest.not_in_subquery(reached))
}

fn part_key(part: &RemedySubject) -> Vec<u8> {
    digest(&[part.kind(), part.text()])
}
