use mailkeep_model::{Function, ProviderKind, TenantName};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
    sea_query::OnConflict,
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{from_json, instant, json, micros},
    entity::{tenant, tenant_function},
    keys::pieces,
};

/// An organisation whose mailboxes Mailkeep opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The operator's name for it. It never changes.
    pub name: TenantName,
    /// Where its mailboxes live.
    pub provider: ProviderKind,
    /// The provider's name for it (Entra: the tenant's GUID or one of its domains).
    pub directory_id: String,
    /// Base address of the provider's token endpoint.
    pub authority: String,
    /// Base address of the provider's mail interface.
    pub graph: String,
    /// Certificates, in PEM, that this tenant's connections trust; `None`: the system's.
    pub ca_pem: Option<String>,
    /// Its verified mail domains, in lower case.
    pub domains: Vec<String>,
    /// What stands behind each of its functions.
    pub functions: Vec<TenantFunction>,
    /// When it was added.
    pub created: OffsetDateTime,
}

/// The public side of a function's credential: what to name when asking the signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantFunction {
    /// The function.
    pub function: Function,
    /// The application's identifier at the provider.
    pub client_id: String,
    /// The signer's public name of the key.
    pub key_id: String,
    /// The certificate's thumbprint.
    pub thumbprint: String,
}

/// A tenant to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTenant {
    /// The operator's name for it.
    pub name: TenantName,
    /// Where its mailboxes live.
    pub provider: ProviderKind,
    /// See [`Tenant::directory_id`].
    pub directory_id: String,
    /// See [`Tenant::authority`].
    pub authority: String,
    /// See [`Tenant::graph`].
    pub graph: String,
    /// See [`Tenant::ca_pem`].
    pub ca_pem: Option<String>,
    /// See [`Tenant::domains`].
    pub domains: Vec<String>,
    /// See [`Tenant::functions`].
    pub functions: Vec<TenantFunction>,
    /// Now.
    pub created: OffsetDateTime,
}

impl Tenant {
    /// What an application of ours is for, by its client id.
    pub fn function_of(&self, client_id: &str) -> Option<Function> {
        let same = |one: &&TenantFunction| one.client_id.eq_ignore_ascii_case(client_id);
        self.functions.iter().find(same).map(|one| one.function)
    }
}

impl Control {
    /// Adds a tenant.
    ///
    /// # Errors
    ///
    /// [`ControlError::AlreadyExists`] when there is one of that name.
    pub async fn add_tenant(&self, new: NewTenant) -> Result<Tenant, ControlError> {
        let tenant = tenant_of(new)?;
        let transaction = self.write().await?;
        if find(&transaction, &tenant.name).await?.is_some() {
            return Err(ControlError::AlreadyExists { what: describe(&tenant.name) });
        }
        let row = tenant::ActiveModel {
            created: Set(micros(tenant.created)),
            catalog_head: Set(None),
            ..settings(&tenant)?
        };
        let inserted = tenant::Entity::insert(row).exec_with_returning(&transaction).await;
        let row = inserted.map_err(|error| match error.sql_err() {
            // On PostgreSQL another writer may have come in between.
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                ControlError::AlreadyExists { what: describe(&tenant.name) }
            }
            _ => error.into(),
        })?;
        insert_functions(&transaction, row.id, &tenant.functions).await?;
        transaction.commit().await?;
        Ok(tenant)
    }

    /// Adds those of many tenants that are not there yet, all or none of them. None has functions yet.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn add_tenants(&self, new: Vec<NewTenant>) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        let mut rows = Vec::with_capacity(new.len());
        for new in new {
            let tenant = Tenant { functions: Vec::new(), ..tenant_of(new)? };
            rows.push(tenant::ActiveModel {
                created: Set(micros(tenant.created)),
                catalog_head: Set(None),
                ..settings(&tenant)?
            });
        }
        for piece in pieces(&rows) {
            tenant::Entity::insert_many(piece.to_vec())
                .on_conflict(OnConflict::column(tenant::Column::Name).do_nothing().to_owned())
                .exec_without_returning(&transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Replaces everything about a tenant but its name and the time at which it was added.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when there is none of that name.
    pub async fn update_tenant(&self, tenant: &Tenant) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        let id = tenant_key(&transaction, &tenant.name).await?;
        let row = tenant::ActiveModel { id: Unchanged(id), ..settings(tenant)? };
        tenant::Entity::update(row).exec(&transaction).await?;
        tenant_function::Entity::delete_many()
            .filter(tenant_function::Column::TenantId.eq(id))
            .exec(&transaction)
            .await?;
        insert_functions(&transaction, id, &tenant.functions).await?;
        Ok(transaction.commit().await?)
    }

    /// One tenant, or `None`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn tenant(&self, name: &TenantName) -> Result<Option<Tenant>, ControlError> {
        let transaction = self.read().await?;
        let Some(row) = find(&transaction, name).await? else { return Ok(None) };
        let functions = tenant_function::Entity::find()
            .filter(tenant_function::Column::TenantId.eq(row.id))
            .order_by_asc(tenant_function::Column::Function)
            .all(&transaction)
            .await?;
        from_rows(row, functions).map(Some)
    }

    /// All tenants, by name.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, ControlError> {
        let transaction = self.read().await?;
        let rows =
            tenant::Entity::find().order_by_asc(tenant::Column::Name).all(&transaction).await?;
        let mut functions = std::collections::HashMap::<i64, Vec<tenant_function::Model>>::new();
        for function in tenant_function::Entity::find().all(&transaction).await? {
            functions.entry(function.tenant_id).or_default().push(function);
        }
        rows.into_iter()
            .map(|row| {
                let functions = functions.remove(&row.id).unwrap_or_default();
                from_rows(row, functions)
            })
            .collect()
    }
}

/// The row number of a tenant.
pub(crate) async fn tenant_key(
    connection: &impl ConnectionTrait,
    name: &TenantName,
) -> Result<i64, ControlError> {
    tenant::Entity::find()
        .filter(tenant::Column::Name.eq(name.as_str()))
        .select_only()
        .column(tenant::Column::Id)
        .into_tuple()
        .one(connection)
        .await?
        .ok_or_else(|| ControlError::NotFound { what: describe(name) })
}

/// A tenant's row. On PostgreSQL it stays locked until the transaction ends, so that two rounds
/// of a tenant cannot both believe in the same head; on SQLite the whole database is.
pub(crate) async fn lock_tenant(
    connection: &impl ConnectionTrait,
    name: &TenantName,
) -> Result<tenant::Model, ControlError> {
    tenant::Entity::find()
        .filter(tenant::Column::Name.eq(name.as_str()))
        .lock_exclusive()
        .one(connection)
        .await?
        .ok_or_else(|| ControlError::NotFound { what: describe(name) })
}

fn describe(name: &TenantName) -> String {
    format!("tenant '{name}'")
}

async fn find(
    connection: &impl ConnectionTrait,
    name: &TenantName,
) -> Result<Option<tenant::Model>, ControlError> {
    Ok(tenant::Entity::find()
        .filter(tenant::Column::Name.eq(name.as_str()))
        .one(connection)
        .await?)
}

fn settings(tenant: &Tenant) -> Result<tenant::ActiveModel, ControlError> {
    Ok(tenant::ActiveModel {
        name: Set(tenant.name.as_str().to_owned()),
        provider: Set(tenant.provider.as_str().to_owned()),
        directory_id: Set(tenant.directory_id.clone()),
        authority: Set(tenant.authority.clone()),
        graph: Set(tenant.graph.clone()),
        ca_pem: Set(tenant.ca_pem.clone()),
        domains: Set(json(&tenant.domains)?),
        ..Default::default()
    })
}

async fn insert_functions(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    functions: &[TenantFunction],
) -> Result<(), ControlError> {
    for function in functions {
        let row = tenant_function::ActiveModel {
            tenant_id: Set(tenant_id),
            function: Set(function.function.as_str().to_owned()),
            client_id: Set(function.client_id.clone()),
            key_id: Set(function.key_id.clone()),
            thumbprint: Set(function.thumbprint.clone()),
        };
        tenant_function::Entity::insert(row).exec_without_returning(connection).await?;
    }
    Ok(())
}

fn from_rows(
    row: tenant::Model,
    functions: Vec<tenant_function::Model>,
) -> Result<Tenant, ControlError> {
    let corrupt = |error: &dyn std::fmt::Display| ControlError::Corrupt(error.to_string());
    let functions = functions
        .into_iter()
        .map(|row| {
            Ok(TenantFunction {
                function: row.function.parse().map_err(|error| corrupt(&error))?,
                client_id: row.client_id,
                key_id: row.key_id,
                thumbprint: row.thumbprint,
            })
        })
        .collect::<Result<_, ControlError>>()?;
    Ok(Tenant {
        name: row.name.parse().map_err(|error| corrupt(&error))?,
        provider: row.provider.parse().map_err(|error| corrupt(&error))?,
        directory_id: row.directory_id,
        authority: row.authority,
        graph: row.graph,
        ca_pem: row.ca_pem,
        domains: from_json(row.domains)?,
        functions: sorted(functions),
        created: instant(row.created)?,
    })
}

/// A tenant as it will be read: times have the database's precision, functions their order.
fn tenant_of(new: NewTenant) -> Result<Tenant, ControlError> {
    Ok(Tenant {
        name: new.name,
        provider: new.provider,
        directory_id: new.directory_id,
        authority: new.authority,
        graph: new.graph,
        ca_pem: new.ca_pem,
        domains: new.domains,
        functions: sorted(new.functions),
        created: instant(micros(new.created))?,
    })
}

fn sorted(mut functions: Vec<TenantFunction>) -> Vec<TenantFunction> {
    functions.sort_by_key(|function| function.function);
    functions
}
