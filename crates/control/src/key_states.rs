//! What is known of our keys at a provider, and which changes of keys were ordered. What stands in
//! there is `identity`'s and `service`'s; here it is JSON.

use std::sync::{Mutex, PoisonError};

use mailkeep_model::{Function, TenantName};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::OnConflict,
};
use serde_json::Value;

use crate::{
    AuditEntry, Control, ControlError,
    audit::add_entry,
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

/// Notes that are about to be written.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// With the number of the call that they are from.
    waiting: Mutex<(u64, Vec<(u64, key_state::ActiveModel)>)>,
    /// The last call whose notes are written. Held by the one that writes.
    written: tokio::sync::Mutex<u64>,
}

impl Notes {
    fn take(&self, rows: impl Iterator<Item = key_state::ActiveModel>) -> u64 {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.0 += 1;
        let number = waiting.0;
        waiting.1.extend(rows.map(|row| (number, row)));
        number
    }

    fn waiting(&self) -> Vec<(u64, key_state::ActiveModel)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn remove(&self, which: impl Fn(u64) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.1.retain(|(of, _)| !which(*of));
    }
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
        self.note_key_states(tenant, vec![key]).await
    }

    /// The same for several keys of a tenant at once. Callers that come at the same time share one
    /// transaction, and with it one wait for the disk: of many tenants' keys thousands of notes are taken.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn note_key_states(
        &self,
        tenant: &TenantName,
        keys: Vec<StoredKeyState>,
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let rows = keys.into_iter().map(|key| key_state::ActiveModel {
            tenant_id: Set(id),
            key_id: Set(key.key_id),
            function: Set(variant_name(&key.function)),
            state: Set(key.state),
        });
        let number = self.notes.take(rows);
        // Whoever has the turn writes for all who came before.
        let mut written = self.notes.written.lock().await;
        if *written >= number {
            return Ok(());
        }
        // They stay there until they are written: this may be dropped at any moment.
        let waiting = self.notes.waiting();
        match self.write_notes(&waiting).await {
            Ok(()) => {
                *written = waiting.last().map_or(number, |(last, _)| *last);
                self.notes.remove(|of| of <= *written);
                Ok(())
            }
            // The others find theirs not written, and write them without these.
            Err(error) => {
                self.notes.remove(|of| of == number);
                Err(error)
            }
        }
    }

    async fn write_notes(
        &self,
        notes: &[(u64, key_state::ActiveModel)],
    ) -> Result<(), ControlError> {
        let replace = OnConflict::columns([key_state::Column::TenantId, key_state::Column::KeyId])
            .update_columns([key_state::Column::Function, key_state::Column::State])
            .to_owned();
        let transaction = self.write().await?;
        for (_, note) in notes {
            key_state::Entity::insert(note.clone())
                .on_conflict(replace.clone())
                .exec_without_returning(&transaction)
                .await?;
        }
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

    /// Orders a change of keys, in the place of what was ordered before, with its entry in the audit log.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn order_rotation(
        &self,
        tenant: &TenantName,
        function: Function,
        order: Value,
        entry: AuditEntry,
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
        add_entry(&transaction, entry).await?;
        Ok(transaction.commit().await?)
    }
}
