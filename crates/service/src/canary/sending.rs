//! Handing a canary to the provider: the order is written down first, and never given twice.

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
    time::Duration as Wait,
};

use mailkeep_control::{BegunCanary, NewCanary, StoredCanary};
use mailkeep_exchange::{Canary, CanarySending, Extras};
use mailkeep_model::{CanaryMark, Function, TenantName};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{CanaryReport, LONGEST_DEADLINE, SHORTEST_ASKED, mark_digest, reference};
use crate::{Service, ServiceError, service::audit_entry};

/// Before a canary is tried again that could not be handed to the provider.
const TRY_AGAIN: Duration = Duration::seconds(30);
/// One try takes no longer: the provider's client is more patient than that when it is throttled, and
/// others wait for their turn.
const ONE_TRY: Wait = Wait::from_secs(120);

/// A canary of which nothing was sent yet. Only this process can send it: the state has a hash of its mark.
/// When the process ends, it is looked for as any other, and proves nothing.
pub(crate) struct InHand {
    canary: Canary,
    /// Not tried before that.
    next: OffsetDateTime,
    /// Why it was not taken the last time.
    refusal: Option<String>,
}

/// What came of handing a canary over.
pub(super) enum Handing {
    /// It was handed over before, or is another process's.
    NotInHand,
    /// It is with the provider, or nobody knows whether it is.
    Done,
    /// It is tried again later.
    Waits,
    /// It was not taken, and will not be.
    Refused(String),
}

/// Who has a canary sent.
#[derive(Clone, Copy)]
enum Occasion {
    /// Somebody asked for it; the time it has, when that is not the plan's.
    Asked(Option<Duration>),
    /// It was due.
    Planned,
}

impl Service {
    /// Sends a canary as a tenant's plan says because somebody asks for it, and does not wait for what
    /// becomes of it: [`Service::look_after_canary`], which also tries again what the provider is out of
    /// reach for. While one is under way none is sent; that one is told.
    ///
    /// `deadline` is in place of the plan's: a second at least, seven days at most.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] without a plan and with another deadline,
    /// [`ServiceError::NotRegistered`] without a prober. That the provider does not take it is told in the
    /// report.
    pub async fn send_canary(
        &self,
        tenant: &TenantName,
        deadline: Option<Duration>,
    ) -> Result<CanaryReport, ServiceError> {
        self.begin_canary(tenant, Occasion::Asked(deadline)).await
    }

    /// The same because one is due.
    pub(super) async fn send_planned_canary(
        &self,
        tenant: &TenantName,
    ) -> Result<CanaryReport, ServiceError> {
        self.begin_canary(tenant, Occasion::Planned).await
    }

    async fn begin_canary(
        &self,
        tenant: &TenantName,
        occasion: Occasion,
    ) -> Result<CanaryReport, ServiceError> {
        let known = self.tenant(tenant).await?;
        let refused = |reason| ServiceError::Refused { tenant: tenant.clone(), reason };
        let Some(plan) = self.canary_plan(tenant).await? else {
            return Err(refused(format!(
                "nobody said from which mailbox to which a canary goes: 'mailkeep tenant canary {tenant} --from ADDRESS --to ADDRESS'"
            )));
        };
        let function = Function::Prober;
        if !known.functions.iter().any(|one| one.function == function) {
            return Err(ServiceError::NotRegistered { tenant: tenant.clone(), function });
        }
        let time = match occasion {
            Occasion::Asked(Some(time)) => time,
            Occasion::Asked(None) | Occasion::Planned => plan.deadline(),
        };
        if !(SHORTEST_ASKED..=LONGEST_DEADLINE).contains(&time) {
            return Err(refused(
                "a canary is given a second at least, and seven days at most".to_owned(),
            ));
        }
        let begun = OffsetDateTime::now_utc();
        let mark = new_mark()?;
        let digest = mark_digest(&mark);
        let entry = matches!(occasion, Occasion::Asked(_)).then(|| {
            let details = json!({
                "reference": reference(&digest),
                "from": plan.from,
                "to": plan.to,
                "deadline_seconds": time.whole_seconds(),
            });
            audit_entry(tenant, "identity.canary", details)
        });
        let (sender, recipient) = (plan.from.clone(), plan.to.clone());
        let to_be_removed = known.functions.iter().any(|one| one.function == Function::Responder);
        let deadline = begun + time;
        let new = NewCanary { digest, sender, recipient, begun, deadline, to_be_removed };
        let id = match self.control.begin_canary(tenant, new, entry).await? {
            BegunCanary::UnderWay(id) => return self.canary(id).await,
            BegunCanary::New(id) => id,
        };
        let canary = Canary { recipient: plan.to, reference: reference(&digest), mark };
        self.in_hand().insert(id, InHand { canary, next: begun, refusal: None });
        self.look_after_canary(tenant, id, OffsetDateTime::now_utc()).await
    }

    /// Tries once to hand over a canary that this process has in hand, when that is due.
    pub(super) async fn hand_over(
        &self,
        tenant: &TenantName,
        stored: &StoredCanary,
        now: OffsetDateTime,
    ) -> Result<Handing, ServiceError> {
        // Out of hand while it is tried: whoever ends in the middle leaves one that may have been sent.
        let taken = self.in_hand().remove(&stored.id);
        let Some(InHand { canary, next, refusal }) = taken else { return Ok(Handing::NotInHand) };
        if now >= stored.deadline
            && let Some(refusal) = refusal
        {
            return Ok(Handing::Refused(refusal));
        }
        if now < next {
            self.in_hand().insert(stored.id, InHand { canary, next, refusal });
            return Ok(Handing::Waits);
        }
        let order = self.order(tenant, stored, &canary);
        let Ok(sending) = tokio::time::timeout(ONE_TRY, order).await else {
            // Where it was cut off is not known.
            tracing::warn!(%tenant, "a canary was not taken in time: it may have been sent or not");
            return Ok(Handing::Done);
        };
        let error = match sending {
            Ok(CanarySending::Taken) => {
                self.control.canary_sent(stored.id, OffsetDateTime::now_utc()).await?;
                return Ok(Handing::Done);
            }
            Ok(CanarySending::Unknown(error)) => {
                tracing::warn!(%tenant, %error, "a canary may have been sent or not");
                return Ok(Handing::Done);
            }
            // Nothing was sent.
            Err(error) => error,
        };
        let is_transient = matches!(&error, ServiceError::Exchange(error) if error.is_transient());
        if !is_transient {
            return Ok(Handing::Refused(error.to_string()));
        }
        tracing::info!(%tenant, %error, "a canary could not be sent yet");
        let (next, refusal) = (now + TRY_AGAIN, Some(error.to_string()));
        self.in_hand().insert(stored.id, InHand { canary, next, refusal });
        Ok(Handing::Waits)
    }

    async fn order(
        &self,
        tenant: &TenantName,
        stored: &StoredCanary,
        canary: &Canary,
    ) -> Result<CanarySending, ServiceError> {
        let (known, job) = (self.tenant(tenant).await?, self.new_job());
        let provider = self.provider_for(&known, Function::Prober, Extras::default(), &job).await?;
        let sender = self.mailbox_of(tenant, &stored.sender).await?;
        Ok(provider.send_canary(&sender, canary).await?)
    }

    fn in_hand(&self) -> MutexGuard<'_, HashMap<i64, InHand>> {
        self.canaries_in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_mark() -> Result<CanaryMark, ServiceError> {
    let mut bytes = [0; 32];
    let unusable = |_| ServiceError::Spool(std::io::Error::other("the system gives no randomness"));
    aws_lc_rs::rand::fill(&mut bytes).map_err(unusable)?;
    Ok(CanaryMark::from_bytes(&bytes))
}
