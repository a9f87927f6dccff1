//! Incidents: what somebody did as us, found again at every reconciliation and kept once.

use mailkeep_model::TenantName;
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder,
};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    alerts::forget_acknowledgement,
    convert::{instant, micros, text},
    entity::{incident, tenant},
    keys::digest,
    tenants::tenant_key,
};

/// An incident as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundIncident {
    /// The same whenever it is found, and for no other of the tenant.
    pub key: String,
    /// What it is.
    pub kind: String,
    /// How bad it is.
    pub severity: String,
    /// All of it. `service` knows what stands in there.
    pub incident: Value,
}

/// An incident as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredIncident {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub tenant: TenantName,
    /// What it is.
    pub kind: String,
    /// How bad it is.
    pub severity: String,
    /// When it was first found.
    pub opened: OffsetDateTime,
    /// When more of it was found last.
    pub changed: OffsetDateTime,
    /// When somebody closed it; `None`: open.
    pub closed: Option<OffsetDateTime>,
    /// What was said when it was closed.
    pub note: Option<String>,
    /// All of it.
    pub incident: Value,
}

/// What became of an incident that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Nobody knew of it.
    New(i64),
    /// It was known, and there is more of it now. One that was closed is open again.
    Grown(i64),
    /// It was known as it is.
    Known(i64),
}

impl Recorded {
    /// Its number.
    pub fn id(self) -> i64 {
        match self {
            Self::New(id) | Self::Grown(id) | Self::Known(id) => id,
        }
    }
}

/// What alerts about an incident are about.
pub fn incident_subject(id: i64) -> String {
    format!("incident/{id}")
}

impl Control {
    /// Keeps an incident that was found.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn record_incident(
        &self,
        tenant: &TenantName,
        found: FoundIncident,
        now: OffsetDateTime,
    ) -> Result<Recorded, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let digest = digest(&[&found.key]);
        let transaction = self.write().await?;
        let known = incident::Entity::find()
            .filter(incident::Column::TenantId.eq(tenant_id))
            .filter(incident::Column::Digest.eq(digest.clone()))
            .one(&transaction)
            .await?;
        let recorded = match known {
            Some(known) if known.incident == found.incident => {
                return Ok(Recorded::Known(known.id));
            }
            Some(known) => {
                let row = incident::ActiveModel {
                    id: Unchanged(known.id),
                    severity: Set(found.severity),
                    changed: Set(micros(now)),
                    closed: Set(None),
                    incident: Set(found.incident),
                    ..Default::default()
                };
                incident::Entity::update(row).exec(&transaction).await?;
                Recorded::Grown(known.id)
            }
            None => {
                let row = incident::ActiveModel {
                    id: NotSet,
                    tenant_id: Set(tenant_id),
                    digest: Set(digest),
                    kind: Set(found.kind),
                    severity: Set(found.severity),
                    opened: Set(micros(now)),
                    changed: Set(micros(now)),
                    closed: Set(None),
                    note: Set(None),
                    incident: Set(found.incident),
                };
                let inserted = incident::Entity::insert(row).exec(&transaction).await?;
                Recorded::New(inserted.last_insert_id)
            }
        };
        transaction.commit().await?;
        Ok(recorded)
    }

    /// Incidents of one tenant or of all, the newest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn incidents(
        &self,
        tenant: Option<&TenantName>,
    ) -> Result<Vec<StoredIncident>, ControlError> {
        let mut find = incident::Entity::find().order_by_desc(incident::Column::Id);
        if let Some(tenant) = tenant {
            let id = tenant_key(self.reader(), tenant).await?;
            find = find.filter(incident::Column::TenantId.eq(id));
        }
        let rows = find.all(self.reader()).await?;
        let mut incidents = Vec::with_capacity(rows.len());
        for row in rows {
            incidents.push(self.stored_incident(row).await?);
        }
        Ok(incidents)
    }

    /// Incidents that are open, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn open_incidents(&self) -> Result<Vec<StoredIncident>, ControlError> {
        let rows = incident::Entity::find()
            .filter(incident::Column::Closed.is_null())
            .order_by_asc(incident::Column::Id)
            .all(self.reader())
            .await?;
        let mut incidents = Vec::with_capacity(rows.len());
        for row in rows {
            incidents.push(self.stored_incident(row).await?);
        }
        Ok(incidents)
    }

    /// The incident of that key, if it was ever found.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn incident_of(
        &self,
        tenant: &TenantName,
        key: &str,
    ) -> Result<Option<StoredIncident>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let row = incident::Entity::find()
            .filter(incident::Column::TenantId.eq(tenant_id))
            .filter(incident::Column::Digest.eq(digest(&[key])))
            .one(self.reader())
            .await?;
        match row {
            Some(row) => self.stored_incident(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// One incident.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn incident(&self, id: i64) -> Result<Option<StoredIncident>, ControlError> {
        match incident::Entity::find_by_id(id).one(self.reader()).await? {
            Some(row) => self.stored_incident(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Closes an incident. It is opened again when more of it is found. Tells whether there is one
    /// of that number.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn close_incident(
        &self,
        id: i64,
        note: &str,
        now: OffsetDateTime,
    ) -> Result<bool, ControlError> {
        let transaction = self.write().await?;
        if incident::Entity::find_by_id(id).one(&transaction).await?.is_none() {
            return Ok(false);
        }
        let row = incident::ActiveModel {
            id: Unchanged(id),
            closed: Set(Some(micros(now))),
            note: Set(Some(text(note))),
            ..Default::default()
        };
        incident::Entity::update(row).exec(&transaction).await?;
        forget_acknowledgement(&transaction, &incident_subject(id)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn stored_incident(&self, row: incident::Model) -> Result<StoredIncident, ControlError> {
        let tenant = tenant::Entity::find_by_id(row.tenant_id).one(self.reader()).await?;
        let orphan = || ControlError::Corrupt(format!("incident {} has no tenant", row.id));
        let name = tenant.ok_or_else(orphan)?.name;
        Ok(StoredIncident {
            tenant: name.parse().map_err(|_| orphan())?,
            id: row.id,
            kind: row.kind,
            severity: row.severity,
            opened: instant(row.opened)?,
            changed: instant(row.changed)?,
            closed: row.closed.map(instant).transpose()?,
            note: row.note,
            incident: row.incident,
        })
    }
}
