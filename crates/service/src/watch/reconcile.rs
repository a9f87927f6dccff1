use mailkeep_control::{FoundIncident, Recorded, StoredIncident, Tenant};
use mailkeep_exchange::{Extras, GraphAuditor};
use mailkeep_model::{Function, Registration, TenantName};
use mailkeep_sentry::{
    Incident, LogSource, Logs, Reconciliation, Records, Settings, exchange_incidents, reconcile,
    under_our_names,
};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::{LogName, LogRead, Look, OwnRecordsSeen, Watch, logs::LogResult};
use crate::{Service, ServiceError};

/// How far back the logs are held against what we know. Entra forgets sign-ins after thirty days.
pub(super) const REACH: Duration = Duration::days(30);

/// How one log took part in a reconciliation.
#[derive(Clone, Debug, Serialize)]
pub struct LogOutcome {
    /// Which.
    pub log: LogName,
    /// Whether it was read.
    pub source: LogSource,
    /// Records that were read now, with those that were there already.
    pub records: usize,
    /// Records that could not be understood, or were not given out.
    pub damaged: usize,
}

/// What a reconciliation found.
#[derive(Debug)]
pub struct Reconciled {
    /// The logs.
    pub logs: Vec<LogOutcome>,
    /// All incidents that the logs show, with what became of each.
    pub incidents: Vec<(Recorded, Incident)>,
    /// All of it.
    pub found: Reconciliation,
    /// How many sign-ins were ours, and how many reads of mail.
    pub ours: (usize, usize),
    /// Why the registrations could not be read, if so.
    pub unread: Option<String>,
}

impl Service {
    /// Reads what the provider's logs have of a tenant, holds it against what we know of ourselves,
    /// and keeps the incidents.
    ///
    /// # Errors
    /// [`ServiceError::NotRegistered`] without an auditor; what the provider refuses.
    pub async fn reconcile(
        &self,
        name: &TenantName,
        now: OffsetDateTime,
    ) -> Result<Reconciled, ServiceError> {
        self.reconcile_with(name, now, Look::Now).await
    }

    pub(super) async fn reconcile_with(
        &self,
        name: &TenantName,
        now: OffsetDateTime,
        look: Look,
    ) -> Result<Reconciled, ServiceError> {
        let tenant = self.tenant(name).await?;
        let mut watch = self.watch(name).await?;
        let auditor = self.auditor(&tenant).await?;
        let applications = client_ids(&tenant);
        // Without it, keys are told by their thumbprints alone.
        let registrations = self.learn_of_registrations(&tenant).await.err();
        let sign_ins = self.read_sign_ins(&auditor, name, &applications, &mut watch, now).await?;
        let mail = self.read_mail_accesses(&auditor, name, &applications, &mut watch, now).await?;
        let changes = self.read_exchange_changes(&auditor, name, &mut watch, now).await?;
        let (read, own) = (watch.read.clone(), watch.own.clone());
        self.change_watch(name, |kept| kept.read.extend(read)).await?;
        let (records, found, ours, seen) = self.judge(&tenant, &watch, now, look).await?;
        let since = now - REACH;
        let log = LogName::ExchangeChanges.as_str();
        let changed = exchange_incidents(&self.control.log_records(name, log, since).await?);
        let mut incidents = Vec::new();
        for incident in found.incidents.iter().chain(&changed) {
            incidents.push(self.keep_incident(name, incident, now).await?);
        }
        // Only now: an incident that is not kept is found again as long as this is not.
        self.change_watch(name, |kept| {
            kept.judged = Some(now);
            // Somebody may have explained meanwhile what was wrong with them.
            if kept.own == own {
                kept.own = seen;
            }
        })
        .await?;
        let calls = LogResult::Read { new: records.calls.len(), damaged: 0 };
        let outcome = |log, result: LogResult| {
            let (records, damaged) = match &result {
                LogResult::Read { new, damaged } => (*new, *damaged),
                LogResult::Absent(_) => (0, 0),
            };
            LogOutcome { log, source: source(&watch, log, Some(result)), records, damaged }
        };
        let logs = vec![
            outcome(LogName::SignIns, sign_ins),
            outcome(LogName::MailAccesses, mail),
            outcome(LogName::Calls, calls),
            outcome(LogName::ExchangeChanges, changes),
        ];
        let unread = registrations.map(|error| error.to_string());
        Ok(Reconciled { logs, incidents, found, ours, unread })
    }

    /// Incidents of one tenant or of all, the newest first.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn incidents(
        &self,
        tenant: Option<&TenantName>,
    ) -> Result<Vec<StoredIncident>, ServiceError> {
        if let Some(tenant) = tenant {
            self.tenant(tenant).await?;
        }
        Ok(self.control.incidents(tenant).await?)
    }

    /// Closes an incident; it is opened again when more of it is found. One about our own records is
    /// explained by that: they count as they are from now on. Tells whether there is such an incident.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn close_incident(
        &self,
        id: i64,
        note: &str,
        now: OffsetDateTime,
    ) -> Result<bool, ServiceError> {
        let Some(found) = self.control.incident(id).await? else { return Ok(false) };
        let incident = serde_json::from_value::<Incident>(found.incident);
        if let Some(of) = incident.ok().and_then(|incident| incident.own_record()) {
            self.change_watch(&found.tenant, |watch| watch.own.explained(of, now)).await?;
        }
        let details = serde_json::json!({ "incident": id, "note": note });
        self.audit(&found.tenant, "incident.close", details).await?;
        Ok(self.control.close_incident(id, note, now).await?)
    }

    /// The tenant's logs, read with the auditor's key.
    pub(crate) async fn auditor(&self, tenant: &Tenant) -> Result<GraphAuditor, ServiceError> {
        let (config, access) =
            self.connection(tenant, Function::Auditor, Extras::default(), &self.new_job()).await?;
        Ok(GraphAuditor::new(config, access)?)
    }

    /// How our applications are registered now; what the provider calls our keys is learned from it.
    pub(crate) async fn learn_of_registrations(
        &self,
        tenant: &Tenant,
    ) -> Result<Vec<Registration>, ServiceError> {
        let auditor = self.auditor(tenant).await?;
        let found = auditor.registrations(&client_ids(tenant)).await?;
        let found: Vec<Registration> = found.into_iter().filter_map(|(_, one)| one).collect();
        self.learn_key_ids(&tenant.name, &found).await?;
        Ok(found)
    }

    /// Keeps an incident, with the evidence of it that the logs no longer tell.
    pub(crate) async fn keep_incident(
        &self,
        tenant: &TenantName,
        incident: &Incident,
        now: OffsetDateTime,
    ) -> Result<(Recorded, Incident), ServiceError> {
        let known = self.control.incident_of(tenant, &incident.key()).await?;
        let known = known.and_then(|known| serde_json::from_value(known.incident).ok());
        let incident = match known {
            Some(known) => incident.clone().with(&known),
            None => incident.clone(),
        };
        let recorded = self.control.record_incident(tenant, stored(&incident), now).await?;
        Ok((recorded, incident))
    }

    /// Holds what was read of the logs against what we know of ourselves.
    pub(super) async fn judge(
        &self,
        tenant: &Tenant,
        watch: &Watch,
        now: OffsetDateTime,
        look: Look,
    ) -> Result<(Records, Reconciliation, (usize, usize), OwnRecordsSeen), ServiceError> {
        let since = (now - REACH).max(tenant.created - Duration::hours(1));
        let name = &tenant.name;
        let mut records = Records {
            sign_ins: self.control.log_records(name, LogName::SignIns.as_str(), since).await?,
            accesses: self.control.log_records(name, LogName::MailAccesses.as_str(), since).await?,
            calls: self.control.log_records(name, LogName::Calls.as_str(), since).await?,
        };
        let (ours, seen) = self.ours(tenant, watch, since, look).await?;
        under_our_names(&mut records.accesses, &ours.journal);
        let found = reconcile(&ours, &records, &logs(watch), &Settings::default(), now);
        let ours = (found.own_sign_ins(), found.own_accesses());
        Ok((records, found, ours, seen))
    }
}

/// The client ids of our applications, lower case.
pub(super) fn client_ids(tenant: &Tenant) -> Vec<String> {
    tenant.functions.iter().map(|one| one.client_id.to_ascii_lowercase()).collect()
}

/// Which logs were read.
pub(super) fn logs(watch: &Watch) -> Logs {
    Logs {
        sign_ins: source(watch, LogName::SignIns, None),
        calls: source(watch, LogName::Calls, None),
        mail: source(watch, LogName::MailAccesses, None),
    }
}

fn source(watch: &Watch, log: LogName, result: Option<LogResult>) -> LogSource {
    if let Some(LogResult::Absent(why)) = result {
        return LogSource::Absent { why };
    }
    match watch.read.get(&log) {
        Some(read) => {
            let LogRead { since, until, holes } = read.clone();
            LogSource::Read { since, until, settle: watch.settle(log), holes }
        }
        None => LogSource::Absent { why: never_read(log).to_owned() },
    }
}

fn never_read(log: LogName) -> &'static str {
    match log {
        LogName::Calls => {
            "nobody exports it to us: Entra ID, Diagnostic settings, MicrosoftGraphActivityLogs; then 'mailkeep identity reconcile TENANT --calls FILE'"
        }
        _ => "it was never read",
    }
}

fn stored(incident: &Incident) -> FoundIncident {
    FoundIncident {
        key: incident.key(),
        kind: incident.kind.as_str().to_owned(),
        severity: incident.severity.as_str().to_owned(),
        incident: serde_json::to_value(incident).expect("texts, times and numbers serialise"),
    }
}
