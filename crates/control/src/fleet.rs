//! The keys of many tenants: what was ordered for all of them, and whose could not be changed. What
//! stands in there is `service`'s; here it is JSON.

use std::collections::HashMap;

use mailkeep_model::{Function, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    Control, ControlError, StoredKeyState,
    convert::{instant, micros, variant, variant_name},
    entity::{fleet_order, key_state, rotation_failure, tenant},
    tenants::tenant_key,
};

/// A change of the keys of many tenants that was ordered and is not done everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFleetOrder {
    /// Its number.
    pub id: i64,
    /// When it was ordered.
    pub opened: OffsetDateTime,
    /// What was ordered.
    pub wanted: Value,
}

impl Control {
    /// Keeps an order, and gives its number.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn open_fleet_order(
        &self,
        opened: OffsetDateTime,
        wanted: Value,
    ) -> Result<i64, ControlError> {
        let transaction = self.write().await?;
        let row = fleet_order::ActiveModel {
            id: NotSet,
            opened: Set(micros(opened)),
            closed: Set(None),
            wanted: Set(wanted),
        };
        let inserted = fleet_order::Entity::insert(row).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(inserted.last_insert_id)
    }

    /// The orders that are not done everywhere, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn fleet_orders(&self) -> Result<Vec<StoredFleetOrder>, ControlError> {
        let rows = fleet_order::Entity::find()
            .filter(fleet_order::Column::Closed.is_null())
            .order_by_asc(fleet_order::Column::Id)
            .all(self.reader())
            .await?;
        let stored = |row: fleet_order::Model| {
            Ok(StoredFleetOrder { id: row.id, opened: instant(row.opened)?, wanted: row.wanted })
        };
        rows.into_iter().map(stored).collect()
    }

    /// Notes that an order is done, or not wanted any more.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn close_fleet_order(
        &self,
        id: i64,
        closed: OffsetDateTime,
    ) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        fleet_order::Entity::update_many()
            .col_expr(fleet_order::Column::Closed, Expr::value(micros(closed)))
            .filter(fleet_order::Column::Id.eq(id))
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Notes that a function's key could not be changed, in the place of what was noted before; `None`:
    /// it was.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn note_rotation_failure(
        &self,
        tenant: &TenantName,
        function: Function,
        failure: Option<Value>,
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let function = variant_name(&function);
        let transaction = self.write().await?;
        match failure {
            Some(failure) => {
                let row = rotation_failure::ActiveModel {
                    tenant_id: Set(id),
                    function: Set(function),
                    failure: Set(failure),
                };
                let columns =
                    [rotation_failure::Column::TenantId, rotation_failure::Column::Function];
                let replace = OnConflict::columns(columns)
                    .update_column(rotation_failure::Column::Failure)
                    .to_owned();
                rotation_failure::Entity::insert(row)
                    .on_conflict(replace)
                    .exec_without_returning(&transaction)
                    .await?;
            }
            None => {
                rotation_failure::Entity::delete_by_id((id, function)).exec(&transaction).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// The functions whose keys could not be changed, of one tenant or of all, with why.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn rotation_failures(
        &self,
        of: Option<&TenantName>,
    ) -> Result<Vec<(TenantName, Function, Value)>, ControlError> {
        let mut find = rotation_failure::Entity::find();
        if let Some(name) = of {
            let id = tenant_key(self.reader(), name).await?;
            find = find.filter(rotation_failure::Column::TenantId.eq(id));
        }
        let rows = find.all(self.reader()).await?;
        let names = self.tenant_names().await?;
        let with_name = rows.into_iter().filter_map(|row| Some((names.get(&row.tenant_id)?, row)));
        with_name
            .map(|(name, row)| Ok((name.clone(), variant(row.function)?, row.failure)))
            .collect()
    }

    /// The keys that are called so, whichever tenant they were made for: by the signer's name for them,
    /// or by any name that is noted in their state (`known_as`).
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn keys_called(
        &self,
        name: &str,
    ) -> Result<Vec<(TenantName, StoredKeyState)>, ControlError> {
        // The names are in a JSON array. It is asked once a command, not once a tenant.
        let rows = key_state::Entity::find()
            .order_by_asc(key_state::Column::TenantId)
            .all(self.reader())
            .await?;
        let is_called = |row: &key_state::Model| {
            let known_as = row.state["known_as"].as_array().into_iter().flatten();
            let mut names = known_as.filter_map(Value::as_str).chain([row.key_id.as_str()]);
            names.any(|one| one.eq_ignore_ascii_case(name))
        };
        let found: Vec<key_state::Model> = rows.into_iter().filter(is_called).collect();
        let names = self.tenant_names().await?;
        let with_name = found.into_iter().filter_map(|row| Some((names.get(&row.tenant_id)?, row)));
        with_name
            .map(|(name, row)| {
                let function = variant(row.function)?;
                let key = StoredKeyState { key_id: row.key_id, function, state: row.state };
                Ok((name.clone(), key))
            })
            .collect()
    }

    /// The names of all tenants by their row's number.
    async fn tenant_names(&self) -> Result<HashMap<i64, TenantName>, ControlError> {
        let rows: Vec<(i64, String)> = tenant::Entity::find()
            .select_only()
            .column(tenant::Column::Id)
            .column(tenant::Column::Name)
            .into_tuple()
            .all(self.reader())
            .await?;
        let named = |(id, name): (i64, String)| {
            let unreadable = |error: &dyn std::fmt::Display| {
                ControlError::Corrupt(format!("the tenant '{name}': {error}"))
            };
            Ok((id, name.parse().map_err(|error| unreadable(&error))?))
        };
        rows.into_iter().map(named).collect()
    }
}
