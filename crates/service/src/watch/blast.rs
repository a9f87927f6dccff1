//! What somebody who acted as us reached, and what was done about it.

use mailkeep_control::{AuditFilter, StoredIncident, Tenant, incident_subject};
use mailkeep_model::TenantName;
use mailkeep_sentry::{
    BlastRadius, Settings, Span, blast_radius,
    report::{BlastReport, IncidentState, KeysRevoked, ReportedIncident},
};
use time::OffsetDateTime;

use super::{LATELY, Look, Watch, reconcile::logs};
use crate::{Service, ServiceError};

impl Service {
    /// What somebody who acted as us reached, by the logs as they were read last.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn blast_radius(
        &self,
        name: &TenantName,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<BlastRadius, ServiceError> {
        let tenant = self.tenant(name).await?;
        let watch = self.watch(name).await?;
        self.radius(&tenant, &watch, since, now).await
    }

    /// The same, with the logs that it is known from and what was done about it.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn blast_report(
        &self,
        name: &TenantName,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<BlastReport, ServiceError> {
        let tenant = self.tenant(name).await?;
        let watch = self.watch(name).await?;
        let radius = self.radius(&tenant, &watch, since, now).await?;
        let incidents = self.reported_incidents(name, radius.span).await?;
        let filter = AuditFilter {
            tenant: Some(name.clone()),
            action: Some("identity.revoke".to_owned()),
            since: Some(radius.span.from),
            limit: None,
        };
        let revoked = self.control.audit_entries(&filter).await?.into_iter();
        let revoked = revoked.map(|entry| KeysRevoked {
            at: entry.time,
            reason: entry.details["reason"].as_str().unwrap_or_default().to_owned(),
        });
        let revoked = revoked.collect();
        Ok(BlastReport { tenant: name.clone(), radius, logs: logs(&watch), incidents, revoked })
    }

    async fn radius(
        &self,
        tenant: &Tenant,
        watch: &Watch,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<BlastRadius, ServiceError> {
        let (records, found, ..) = self.judge(tenant, watch, now, Look::Lately(LATELY)).await?;
        let known = self.control.mailboxes(&tenant.name).await?;
        let mailboxes: Vec<String> =
            known.iter().map(|one| one.mailbox.address.to_string()).collect();
        let begin = since.unwrap_or(tenant.created).min(now);
        let span = Span { from: begin, to: now };
        Ok(blast_radius(&records, &found, &mailboxes, &Settings::default(), span))
    }

    /// Incidents that are open, or that something happened to in that time.
    async fn reported_incidents(
        &self,
        tenant: &TenantName,
        span: Span,
    ) -> Result<Vec<ReportedIncident>, ServiceError> {
        let looked_after = self.control.acknowledgements().await?;
        let acknowledged = |stored: &StoredIncident| {
            let one = looked_after.get(&incident_subject(stored.id));
            one.is_some_and(|one| one.until.is_none_or(|until| until > span.to))
        };
        let reported = |stored: StoredIncident| ReportedIncident {
            id: stored.id,
            state: match stored.closed {
                Some(_) => IncidentState::Closed,
                None if acknowledged(&stored) => IncidentState::Acknowledged,
                None => IncidentState::Open,
            },
            kind: stored.kind,
            opened: stored.opened,
            closed: stored.closed,
            note: stored.note,
        };
        let all = self.control.incidents(Some(tenant)).await?.into_iter();
        let concerned = all.filter(|one| {
            one.closed.is_none_or(|closed| closed >= span.from) || one.changed >= span.from
        });
        Ok(concerned.map(reported).collect())
    }
}
