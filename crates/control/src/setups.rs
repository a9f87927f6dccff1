use mailkeep_model::TenantName;
use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};
use serde_json::Value;

use crate::{Control, ControlError, entity::setup, tenants::tenant_key};

impl Control {
    /// What a tenant was asked to be set up for. `service` knows what stands in there.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn setup(&self, tenant: &TenantName) -> Result<Option<Value>, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let row = setup::Entity::find_by_id(id).one(self.reader()).await?;
        Ok(row.map(|row| row.setup))
    }

    /// Sets it.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn set_setup(&self, tenant: &TenantName, value: Value) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let row = setup::ActiveModel { tenant_id: Set(id), setup: Set(value) };
        let replace = OnConflict::column(setup::Column::TenantId)
            .update_column(setup::Column::Setup)
            .to_owned();
        let transaction = self.write().await?;
        setup::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
