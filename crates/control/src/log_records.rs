//! What a provider's logs said of a tenant: kept, because the provider keeps it for days.

use mailkeep_model::TenantName;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::OnConflict,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{from_json, json, micros},
    entity::{log_record, watch},
    keys::{digest, pieces},
    tenants::tenant_key,
};

/// One record of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord<T> {
    /// The log's own id of it.
    pub id: String,
    /// When it was, by the log.
    pub at: OffsetDateTime,
    /// The record.
    pub record: T,
}

impl Control {
    /// Keeps records of the log that `source` names; those that are there already stay as they are.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn keep_log_records<T: Serialize>(
        &self,
        tenant: &TenantName,
        source: &str,
        records: &[LogRecord<T>],
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let transaction = self.write().await?;
        for piece in pieces(records) {
            let rows = piece.iter().map(|one| {
                Ok(log_record::ActiveModel {
                    tenant_id: Set(id),
                    source: Set(source.to_owned()),
                    digest: Set(digest(&[&one.id])),
                    at: Set(micros(one.at)),
                    record: Set(json(&one.record)?),
                })
            });
            let rows = rows.collect::<Result<Vec<_>, ControlError>>()?;
            let columns = [
                log_record::Column::TenantId,
                log_record::Column::Source,
                log_record::Column::Digest,
            ];
            // Rather the same again than nothing: not all databases take "do nothing" for an answer.
            let keep =
                OnConflict::columns(columns).update_column(log_record::Column::Record).to_owned();
            log_record::Entity::insert_many(rows)
                .on_conflict(keep)
                .exec_without_returning(&transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The records of the log that `source` names, from `since` on, oldest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn log_records<T: DeserializeOwned>(
        &self,
        tenant: &TenantName,
        source: &str,
        since: OffsetDateTime,
    ) -> Result<Vec<T>, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let rows = log_record::Entity::find()
            .filter(log_record::Column::TenantId.eq(id))
            .filter(log_record::Column::Source.eq(source))
            .filter(log_record::Column::At.gte(micros(since)))
            .order_by_asc(log_record::Column::At)
            .all(self.reader())
            .await?;
        rows.into_iter().map(|row| from_json(row.record)).collect()
    }

    /// Lets go of what the logs said of the time before; how many records there were.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn forget_log_records(
        &self,
        tenant: &TenantName,
        before: OffsetDateTime,
    ) -> Result<u64, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let transaction = self.write().await?;
        let gone = log_record::Entity::delete_many()
            .filter(log_record::Column::TenantId.eq(id))
            .filter(log_record::Column::At.lt(micros(before)))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(gone.rows_affected)
    }

    /// How a tenant is watched: its addresses, and how far its logs have been read. `service` knows
    /// what stands in there.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn watch(&self, tenant: &TenantName) -> Result<Option<Value>, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let row = watch::Entity::find_by_id(id).one(self.reader()).await?;
        Ok(row.map(|row| row.watch))
    }

    /// Changes how a tenant is watched: `change` is given what there is, and nobody else writes between.
    /// Its error ends it, and nothing is changed then.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown; what `change` says.
    pub async fn change_watch(
        &self,
        tenant: &TenantName,
        change: impl FnOnce(Option<Value>) -> Result<Value, ControlError>,
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let transaction = self.write().await?;
        let known = watch::Entity::find_by_id(id).one(&transaction).await?;
        let value = change(known.map(|row| row.watch))?;
        let row = watch::ActiveModel { tenant_id: Set(id), watch: Set(value) };
        let replace = OnConflict::column(watch::Column::TenantId)
            .update_column(watch::Column::Watch)
            .to_owned();
        watch::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
