use mailkeep_model::TenantName;
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{from_json, instant, json, micros, short_text, variant, variant_name},
    entity::pass,
    tenants::tenant_key,
};

/// Errors kept per pass; skipped items have records of their own.
const ERRORS: usize = 100;
/// An error's text is kept up to here; the whole of it is in the log.
const ERROR_BYTES: usize = 1_000;

/// Names a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassId(i64);

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PassOutcome {
    /// Everything was done.
    Done,
    /// Something was skipped.
    Partial,
    /// It was given up.
    Failed,
}

/// What a pass did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PassCounts {
    /// Mailboxes looked at.
    pub mailboxes: u64,
    /// Items new or different.
    pub put: u64,
    /// Items gone.
    pub removed: u64,
    /// Items that failed.
    pub skipped: u64,
    /// Content read from the provider, in bytes.
    pub bytes: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Requests to the provider.
    pub requests: u64,
}

/// One run over a tenant's mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its name.
    pub id: PassId,
    /// When it began.
    pub started: OffsetDateTime,
    /// When it ended; `None`: it is running, or the process ended before it did.
    pub finished: Option<OffsetDateTime>,
    /// How it ended.
    pub outcome: Option<PassOutcome>,
    /// What it did, in numbers.
    pub counts: PassCounts,
    /// What went wrong, for a person; at most 100, each cut after 1,000 bytes.
    pub errors: Vec<String>,
}

impl Control {
    /// Records that a pass begins.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn start_pass(
        &self,
        tenant: &TenantName,
        now: OffsetDateTime,
    ) -> Result<PassId, ControlError> {
        let transaction = self.write().await?;
        let row = pass::ActiveModel {
            id: NotSet,
            tenant_id: Set(tenant_key(&transaction, tenant).await?),
            started: Set(micros(now)),
            finished: Set(None),
            outcome: Set(None),
            counts: Set(json(&PassCounts::default())?),
            errors: Set(json::<[String; 0]>(&[])?),
        };
        let id = pass::Entity::insert(row).exec_with_returning(&transaction).await?.id;
        transaction.commit().await?;
        Ok(PassId(id))
    }

    /// Records that a pass ended. The errors must not hold content or secrets.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the pass is unknown.
    pub async fn finish_pass(
        &self,
        id: PassId,
        outcome: PassOutcome,
        counts: PassCounts,
        errors: &[String],
        now: OffsetDateTime,
    ) -> Result<(), ControlError> {
        let errors: Vec<_> =
            errors.iter().take(ERRORS).map(|error| short_text(error, ERROR_BYTES)).collect();
        let transaction = self.write().await?;
        let row = pass::Entity::find_by_id(id.0).one(&transaction).await?;
        if row.is_none() {
            return Err(ControlError::NotFound { what: format!("pass {}", id.0) });
        }
        let change = pass::ActiveModel {
            id: Unchanged(id.0),
            finished: Set(Some(micros(now))),
            outcome: Set(Some(variant_name(&outcome))),
            counts: Set(json(&counts)?),
            errors: Set(json(&errors)?),
            ..Default::default()
        };
        pass::Entity::update(change).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// A tenant's latest passes, at most `limit`, the newest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn passes(&self, tenant: &TenantName, limit: u64) -> Result<Vec<Pass>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = pass::Entity::find()
            .filter(pass::Column::TenantId.eq(tenant_id))
            .order_by_desc(pass::Column::Id)
            .limit(limit)
            .all(self.reader())
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Pass {
                    id: PassId(row.id),
                    started: instant(row.started)?,
                    finished: row.finished.map(instant).transpose()?,
                    outcome: row.outcome.map(variant).transpose()?,
                    counts: from_json(row.counts)?,
                    errors: from_json(row.errors)?,
                })
            })
            .collect()
    }
}
