//! What is known of our keys at a provider, and which changes of keys were ordered. What stands in
//! there is `identity`'s and `service`'s; here it is JSON.

use mailkeep_model::{Function, TenantName};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::OnConflict,
};
use serde_json::Value;

use crate::{
    Control, ControlError,
    convert::{variant, variant_name},
    entity::{key_state, rotation_order},
    tenants::tenant_key,
};

/// A key that was made for a tenant, whether the signer still has it or not.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredKeyState {
    /// The signer's name for it.
    pub key_id: String,
    /// What it is, or was, for.
    pub function: Function,
    /// What is known of it.
    pub state: Value,
}

impl Control {
    /// All keys that were ever noted for a tenant.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn key_states(
        &self,
        tenant: &TenantName,
    ) -> Result<Vec<StoredKeyState>, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let rows = key_state::Entity::find()
            .filter(key_state::Column::TenantId.eq(id))
            .order_by_asc(key_state::Column::KeyId)
            .all(self.reader())
            .await?;
        rows.into_iter()
            .map(|row| {
                let function = variant(row.function)?;
                Ok(StoredKeyState { key_id: row.key_id, function, state: row.state })
            })
            .collect()
    }

    /// Notes what is known of a key, in the place of what was known before.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn note_key_state(
        &self,
        tenant: &TenantName,
        key: StoredKeyState,
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let row = key_state::ActiveModel {
            tenant_id: Set(id),
            key_id: Set(key.key_id),
            function: Set(variant_name(&key.function)),
            state: Set(key.state),
        };
        let replace = OnConflict::columns([key_state::Column::TenantId, key_state::Column::KeyId])
            .update_columns([key_state::Column::Function, key_state::Column::State])
            .to_owned();
        let transaction = self.write().await?;
        key_state::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The change of keys that was ordered for a function, if any.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn rotation_order(
        &self,
        tenant: &TenantName,
        function: Function,
    ) -> Result<Option<Value>, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let key = (id, variant_name(&function));
        let row = rotation_order::Entity::find_by_id(key).one(self.reader()).await?;
        Ok(row.map(|row| row.rotation))
    }

    /// Orders a change of keys, in the place of what was ordered before.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn order_rotation(
        &self,
        tenant: &TenantName,
        function: Function,
        order: Value,
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let row = rotation_order::ActiveModel {
            tenant_id: Set(id),
            function: Set(variant_name(&function)),
            rotation: Set(order),
        };
        let columns = [rotation_order::Column::TenantId, rotation_order::Column::Function];
        let replace =
            OnConflict::columns(columns).update_column(rotation_order::Column::Rotation).to_owned();
        let transaction = self.write().await?;
        rotation_order::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
