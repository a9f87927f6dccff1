use mailkeep_model::TenantName;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{instant, micros, text},
    entity::audit,
};

/// Who did what.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub time: OffsetDateTime,
    /// Who: the operating system's user of a command, the signed-in person of a request.
    pub actor: String,
    /// What, a stable name: `tenant-add`, `export`, `recovery-kit`.
    pub action: String,
    /// To which tenant.
    pub tenant: Option<TenantName>,
    /// Further facts, a JSON object. It must not hold content or secrets.
    pub details: serde_json::Value,
}

/// Which entries to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those about this tenant.
    pub tenant: Option<TenantName>,
    /// Those with this action.
    pub action: Option<String>,
    /// Those at or after this moment.
    pub since: Option<OffsetDateTime>,
    /// The newest ones, up to this number.
    pub limit: Option<u64>,
}

/// Adds an entry to what else is written.
pub(crate) async fn add_entry(
    connection: &impl ConnectionTrait,
    entry: AuditEntry,
) -> Result<(), ControlError> {
    let row = audit::ActiveModel {
        id: NotSet,
        time: Set(micros(entry.time)),
        actor: Set(text(&entry.actor)),
        action: Set(text(&entry.action)),
        tenant: Set(entry.tenant.map(String::from)),
        details: Set(entry.details),
    };
    audit::Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}

impl Control {
    /// Adds an entry. Entries are never changed or removed.
    ///
    /// # Errors
    ///
    /// When the database cannot be written; what was to be audited must not happen then.
    pub async fn audit(&self, entry: AuditEntry) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        add_entry(&transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    /// The entries that a filter lets through, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditEntry>, ControlError> {
        let mut find = audit::Entity::find().order_by_desc(audit::Column::Id).limit(filter.limit);
        if let Some(tenant) = &filter.tenant {
            find = find.filter(audit::Column::Tenant.eq(tenant.as_str()));
        }
        if let Some(action) = &filter.action {
            find = find.filter(audit::Column::Action.eq(action.as_str()));
        }
        if let Some(since) = filter.since {
            find = find.filter(audit::Column::Time.gte(micros(since)));
        }
        let rows = find.all(self.reader()).await?;
        rows.into_iter()
            .map(|row| {
                let tenant = row.tenant.map(|name| name.parse()).transpose();
                Ok(AuditEntry {
                    time: instant(row.time)?,
                    actor: row.actor,
                    action: row.action,
                    tenant: tenant.map_err(|error| {
                        ControlError::Corrupt(format!("audit entry {}: {error}", row.id))
                    })?,
                    details: row.details,
                })
            })
            .collect()
    }
}
