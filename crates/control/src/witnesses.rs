use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};
use serde_json::Value;

use crate::{Control, ControlError, entity::witness};

impl Control {
    /// How far an outside witness of the ledger knows it; `service` knows what stands in there.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn witness(&self, name: &str) -> Result<Option<Value>, ControlError> {
        let row = witness::Entity::find_by_id(name.to_owned()).one(self.reader()).await?;
        Ok(row.map(|row| row.state))
    }

    /// Notes it.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn note_witness(&self, name: &str, state: Value) -> Result<(), ControlError> {
        let row = witness::ActiveModel { name: Set(name.to_owned()), state: Set(state) };
        let replace = OnConflict::column(witness::Column::Name)
            .update_column(witness::Column::State)
            .to_owned();
        let transaction = self.write().await?;
        witness::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
