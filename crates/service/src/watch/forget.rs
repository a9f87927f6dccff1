//! Letting go of evidence that nobody needs any more: what the provider's logs said, the journal, receipts,
//! what the policy decided.

use mailkeep_control::Tenant;
use mailkeep_exchange::ExchangeError;
use mailkeep_identity::{ReceiptLog, journal};
use mailkeep_model::Function;
use mailkeep_sentry::Incident;
use time::{Duration, OffsetDateTime};

use super::{LogName, Watch, reconcile::REACH};
use crate::{Service, ServiceError, service::blocking};

/// How often it is looked what is old enough.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// Nothing younger is let go of, whatever is set: the logs are held against it.
pub(super) const SHORTEST: Duration = Duration::days(60);

/// What was let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Records of the provider's logs.
    pub log_records: u64,
    /// Receipts of token requests.
    pub receipts: u64,
    /// Days of journals, each tenant's counted by itself.
    pub journal_days: u64,
    /// Decisions of the policy.
    pub decisions: u64,
}

impl Service {
    /// Lets go of evidence that is older than `keep`, but of none that an open incident is about or that was
    /// not held against the logs yet. Receipts are all tenants': they stay as long as one needs them.
    ///
    /// The signer's ledger is never shortened.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub async fn forget_evidence(
        &self,
        keep: Duration,
        now: OffsetDateTime,
    ) -> Result<Forgotten, ServiceError> {
        let oldest = now - keep.max(SHORTEST);
        let (mut forgotten, mut of_all) = (Forgotten::default(), oldest);
        for tenant in self.control.tenants().await? {
            let before = match self.needed_since(&tenant).await? {
                Some(needed) => oldest.min(needed),
                None => oldest,
            };
            of_all = of_all.min(before);
            forgotten.log_records += self.control.forget_log_records(&tenant.name, before).await?;
            // Nothing is held against these: what was ordered is known by itself.
            forgotten.decisions += self.control.forget_decisions(&tenant.name, oldest).await?;
            let (directory, name) = (self.data.journal(), tenant.name.clone());
            let days = blocking(move || {
                let path = directory.clone();
                let failed = |source| ServiceError::Data { path, source };
                journal::forget(directory, &name, before).map_err(failed)
            });
            forgotten.journal_days += days.await?;
        }
        let path = self.data.receipts();
        forgotten.receipts = blocking(move || {
            let receipts = ReceiptLog::open(path).map_err(ExchangeError::from)?;
            Ok(receipts.forget(of_all).map_err(ExchangeError::from)?)
        })
        .await?;
        Ok(forgotten)
    }

    /// Lets go of what is older than `keep`, once a day; never ends.
    pub async fn tend_evidence(&self, keep: Duration) {
        loop {
            match self.forget_evidence(keep, OffsetDateTime::now_utc()).await {
                Ok(nothing) if nothing == Forgotten::default() => {}
                Ok(Forgotten { log_records, receipts, journal_days, decisions }) => {
                    tracing::info!(
                        log_records,
                        receipts,
                        journal_days,
                        decisions,
                        "old evidence was let go of"
                    );
                }
                Err(error) => tracing::warn!(%error, "old evidence is kept"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Since when a tenant's evidence is needed, however old that is.
    async fn needed_since(&self, tenant: &Tenant) -> Result<Option<OffsetDateTime>, ServiceError> {
        let watch = self.watch(&tenant.name).await?;
        let watched = tenant.functions.iter().any(|one| one.function == Function::Auditor);
        // Without an auditor there are no logs to hold it against, and none will come that reach so far back.
        let unjudged = watched.then(|| held_against_logs_until(&watch).unwrap_or(tenant.created));
        let incidents = self.control.incidents(Some(&tenant.name)).await?;
        let open = incidents.into_iter().filter(|one| one.closed.is_none()).map(|one| {
            let found: Option<Incident> = serde_json::from_value(one.incident).ok();
            let evidence = found.iter().flat_map(|found| &found.evidence).map(|one| one.at);
            evidence.min().map_or(one.opened, |first| first.min(one.opened))
        });
        // What was reached is told of the time before, too.
        Ok(open.chain(unjudged).min().map(|since| since - REACH))
    }
}

/// Until when everything was held against the logs, of those that were ever read; `None` when it never was.
fn held_against_logs_until(watch: &Watch) -> Option<OffsetDateTime> {
    // An export comes when somebody brings one: perhaps never again.
    let asked_for = watch.read.iter().filter(|(log, _)| **log != LogName::Calls);
    let read = asked_for.map(|(_, read)| read.until).min()?;
    // That judging was tried says nothing of a log that could not be read; that it was read says nothing
    // while nobody could judge.
    watch.judged.map(|judged| judged.min(read))
}
