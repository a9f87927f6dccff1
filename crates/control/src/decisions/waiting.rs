//! Decisions from which something is still to follow, and those from which nothing is any more.

use mailkeep_model::TenantName;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use time::OffsetDateTime;

use super::{StoredDecision, message_key, named, tenant_name};
use crate::{
    Control, ControlError,
    convert::{micros, text},
    entity::{decision, tenant},
    tenants::tenant_key,
};

impl Control {
    /// The tenants that have decisions from which something is to follow and for which nothing was
    /// ordered, by name. `actions` are those that need an order.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn tenants_with_waiting_decisions(
        &self,
        actions: &[&str],
    ) -> Result<Vec<TenantName>, ControlError> {
        let ids: Vec<i64> = decision::Entity::find()
            .select_only()
            .column(decision::Column::TenantId)
            .filter(decision::Column::Remedy.is_null())
            .filter(decision::Column::Acted.eq(true))
            .filter(decision::Column::Action.is_in(actions.iter().copied()))
            .distinct()
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut names = Vec::new();
        for id in ids {
            // One that was removed meanwhile is left out.
            if let Some(row) = tenant::Entity::find_by_id(id).one(self.reader()).await? {
                names.push(tenant_name(&row)?);
            }
        }
        names.sort();
        Ok(names)
    }

    /// A tenant's decisions from which something is to follow and for which nothing was ordered, the
    /// oldest first, up to that many. `actions` are those that need an order.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn waiting_decisions(
        &self,
        tenant: &TenantName,
        actions: &[&str],
        limit: u64,
    ) -> Result<Vec<StoredDecision>, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let rows = decision::Entity::find()
            .filter(decision::Column::Remedy.is_null())
            .filter(decision::Column::Acted.eq(true))
            .filter(decision::Column::Action.is_in(actions.iter().copied()))
            .filter(decision::Column::TenantId.eq(tenant_id))
            .order_by_asc(decision::Column::Id)
            .limit(limit)
            .all(&transaction)
            .await?;
        named(&transaction, tenant_id, tenant, rows).await
    }

    /// The remedy that was ordered for a message in any of the tenant's mailboxes, by one of these
    /// actions.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn decision_remedy(
        &self,
        decision: &StoredDecision,
        actions: &[&str],
    ) -> Result<Option<String>, ControlError> {
        let tenant_id = tenant_key(self.reader(), &decision.tenant).await?;
        let message =
            message_key(decision.message_id.as_deref(), &decision.mailbox, &decision.item);
        let row = decision::Entity::find()
            .filter(decision::Column::TenantId.eq(tenant_id))
            .filter(decision::Column::Message.eq(message))
            .filter(decision::Column::Action.is_in(actions.iter().copied()))
            .filter(decision::Column::Remedy.is_not_null())
            .one(self.reader())
            .await?;
        Ok(row.and_then(|row| row.remedy))
    }

    /// Notes which remedy was ordered.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn set_decision_remedy(&self, id: i64, remedy: &str) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        decision::Entity::update_many()
            .col_expr(decision::Column::Remedy, Expr::value(remedy))
            .filter(decision::Column::Id.eq(id))
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Notes that nothing follows from a decision after all, and why; not when it was ordered.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn spare_decision(&self, id: i64, why: &str) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        decision::Entity::update_many()
            .col_expr(decision::Column::Acted, Expr::value(false))
            .col_expr(decision::Column::Spared, Expr::value(text(why)))
            .filter(decision::Column::Id.eq(id))
            .filter(decision::Column::Remedy.is_null())
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets a tenant's decisions that were made before that moment. How many there were.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn forget_decisions(
        &self,
        tenant: &TenantName,
        before: OffsetDateTime,
    ) -> Result<u64, ControlError> {
        let transaction = self.write().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let gone = decision::Entity::delete_many()
            .filter(decision::Column::TenantId.eq(tenant_id))
            .filter(decision::Column::Decided.lt(micros(before)))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(gone.rows_affected)
    }
}
