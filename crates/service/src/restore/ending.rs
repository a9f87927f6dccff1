//! The end of a restore, however it comes about: the key is destroyed, the end is recorded, and only
//! then may another one begin.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use mailkeep_control::Control;
use mailkeep_identity::{JobId, SignerClient};
use mailkeep_model::TenantName;
use serde_json::{Value, json};

use super::{RestoreOutcome, RestoreReport, RestoreStop, key::retire};
use crate::{ServiceError, data::Lease, service::audit};

const OUTCOMES: [&str; 6] = ["created", "replaced", "updated", "present", "failed", "not_tried"];

/// What was done so far, by outcome.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Tally {
    pub(super) fn count(&self, outcome: &RestoreOutcome) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(outcome.as_str()).or_default() += 1;
    }

    fn described(&self) -> Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = OUTCOMES.map(|word| (word, counts.get(word).copied().unwrap_or_default()));
        json!(BTreeMap::from(all))
    }
}

/// What has to be done at the end. When a restore is dropped on its way, that is done beside.
pub(super) struct Ending(Option<Parts>);

struct Parts {
    control: Control,
    signer: SignerClient,
    job: JobId,
    /// Into which tenant, and out of which.
    into: TenantName,
    from: TenantName,
    tally: Tally,
    lease: Lease,
}

impl Ending {
    /// Records that a restore begins, at each tenant that it concerns.
    pub(super) async fn begin(
        control: Control,
        signer: SignerClient,
        job: JobId,
        (into, from): (TenantName, TenantName),
        lease: Lease,
        details: Value,
    ) -> Result<Self, ServiceError> {
        let tally = Tally::default();
        let parts = Parts { control, signer, job, into, from, tally, lease };
        parts.record("restore.begin", &details).await?;
        Ok(Self(Some(parts)))
    }

    pub(super) fn tally(&self) -> Tally {
        self.0.as_ref().map(|parts| parts.tally.clone()).unwrap_or_default()
    }

    /// Tells what of it failed: what was restored is restored, whatever becomes of this.
    pub(super) async fn come(
        mut self,
        outcome: &Result<RestoreReport, ServiceError>,
    ) -> Vec<String> {
        let Some(parts) = self.0.take() else { return Vec::new() };
        let end = match outcome {
            Ok(report) => {
                let mut end = parts.tally.described();
                end["snapshot"] = json!(report.snapshot);
                match &report.stopped {
                    Some(RestoreStop::Interrupted) => end["interrupted"] = json!(true),
                    Some(RestoreStop::Failed(why)) => end["error"] = json!(why),
                    None => {}
                }
                end
            }
            Err(error) => json!({"error": error.to_string()}),
        };
        parts.end(&end).await
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let (Some(parts), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let mut end = parts.tally.described();
        end["interrupted"] = json!(true);
        runtime.spawn(async move { parts.end(&end).await });
    }
}

impl Parts {
    async fn end(self, end: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        match retire(&self.control, &self.signer, &self.into, &self.job).await {
            Ok(()) => {}
            Err(error @ ServiceError::Control(_)) => problems.push(format!(
                "that the key was destroyed could not be written into the audit: {error}"
            )),
            Err(error) => {
                problems.push(format!("the key that writes could not be destroyed: {error}"));
            }
        }
        if let Err(error) = self.record("restore.end", end).await {
            problems.push(format!("the end could not be written into the audit: {error}"));
        }
        for problem in &problems {
            tracing::error!(tenant = %self.into, problem, "a restore did not end cleanly");
        }
        drop(self.lease);
        problems
    }

    async fn record(&self, action: &str, details: &Value) -> Result<(), ServiceError> {
        audit(&self.control, &self.into, action, details.clone()).await?;
        if self.from != self.into {
            audit(&self.control, &self.from, action, details.clone()).await?;
        }
        Ok(())
    }
}
