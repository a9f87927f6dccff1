//! The way of one canary: from the order to send it to what became of it.

use std::time::Duration as Wait;

use mailkeep_control::{BegunCanary, CanaryEnd, NewCanary, StoredCanary, Tenant};
use mailkeep_exchange::{Canary, CanarySending, Extras};
use mailkeep_model::{Address, CanaryMark, Function, Mailbox, MailboxId, TenantName};
use mailkeep_sentry::{
    Arrival, Leg, MissedCanary, Passage, Sent, Standing, canary_incident_key, standing,
};
use time::{Duration, OffsetDateTime};

use super::{CanaryOutcome, CanaryPlan, CanaryReport, mark_digest, reference};
use crate::{Service, ServiceError, alerts::at as instant};

/// Before a canary is tried again that could not be handed to the provider.
const TRY_AGAIN: Wait = Wait::from_secs(30);
/// A look into a mailbox takes no longer. The provider's outage must not hold up what is said of it.
const LOOK: Wait = Wait::from_secs(60);

impl Service {
    /// Sends a canary as a tenant's plan says, and does not wait for what becomes of it. While one is under
    /// way none is sent; that one is told.
    ///
    /// `deadline` is in place of the plan's.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] without a plan, [`ServiceError::NotRegistered`] without a prober. That the
    /// provider does not take it is told in the report.
    pub async fn send_canary(
        &self,
        tenant: &TenantName,
        deadline: Option<Duration>,
    ) -> Result<CanaryReport, ServiceError> {
        let known = self.tenant(tenant).await?;
        let Some(plan) = self.canary_plan(tenant).await? else {
            return Err(ServiceError::Refused {
                tenant: tenant.clone(),
                reason: format!(
                    "nobody said from which mailbox to which a canary goes: 'mailkeep tenant canary {tenant} --from ADDRESS --to ADDRESS'"
                ),
            });
        };
        let function = Function::Prober;
        if !known.functions.iter().any(|one| one.function == function) {
            return Err(ServiceError::NotRegistered { tenant: tenant.clone(), function });
        }
        let begun = OffsetDateTime::now_utc();
        let deadline = begun + deadline.unwrap_or(plan.deadline());
        let mark = new_mark()?;
        let digest = mark_digest(&mark);
        let (sender, recipient) = (plan.from.clone(), plan.to.clone());
        let new = NewCanary { digest, sender, recipient, begun, deadline };
        let id = match self.control.begin_canary(tenant, new).await? {
            BegunCanary::UnderWay(id) => return self.canary(id).await,
            BegunCanary::New(id) => id,
        };
        let canary = Canary { recipient: plan.to.clone(), reference: reference(&digest), mark };
        self.hand_over(&known, &plan, id, &canary, deadline).await?;
        self.look_after_canary(tenant, id, OffsetDateTime::now_utc()).await
    }

    /// Gives the order, until it is taken, or nobody knows whether it was, or it is too late.
    async fn hand_over(
        &self,
        tenant: &Tenant,
        plan: &CanaryPlan,
        id: i64,
        canary: &Canary,
        deadline: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let refusal = loop {
            let error = match self.order(tenant, &plan.from, canary).await {
                Ok(CanarySending::Taken) => {
                    return Ok(self.control.canary_sent(id, OffsetDateTime::now_utc()).await?);
                }
                Ok(CanarySending::Unknown(error)) => {
                    let tenant = &tenant.name;
                    tracing::warn!(%tenant, %error, "a canary may have been sent or not");
                    return Ok(());
                }
                // Nothing was sent.
                Err(error) => error,
            };
            let is_transient =
                matches!(&error, ServiceError::Exchange(error) if error.is_transient());
            let left = deadline - OffsetDateTime::now_utc();
            if !is_transient || !left.is_positive() {
                break error;
            }
            tracing::info!(tenant = %tenant.name, %error, "a canary could not be sent yet");
            tokio::time::sleep(TRY_AGAIN.min(left.unsigned_abs())).await;
        };
        let stored = self.stored_canary(id).await?;
        let after = format!("the order of {} was refused: {refusal}", instant(stored.begun));
        self.missed(&tenant.name, &stored, Leg::NotSent, after, OffsetDateTime::now_utc()).await
    }

    async fn order(
        &self,
        tenant: &Tenant,
        from: &Address,
        canary: &Canary,
    ) -> Result<CanarySending, ServiceError> {
        let (function, job) = (Function::Prober, self.new_job());
        let provider = self.provider_for(tenant, function, Extras::default(), &job).await?;
        let sender = self.mailbox_of(&tenant.name, from).await?;
        Ok(provider.send_canary(&sender, canary).await?)
    }

    /// Finds out how a canary stands, and when it is decided what became of it, keeps that: a missed
    /// deadline as an incident, and the end of that when one comes through again.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn look_after_canary(
        &self,
        tenant: &TenantName,
        id: i64,
        now: OffsetDateTime,
    ) -> Result<CanaryReport, ServiceError> {
        let stored = self.stored_canary(id).await?;
        if stored.end.is_some() {
            return Ok(stored.into());
        }
        let passage = self.passage(tenant, &stored).await?;
        let mut found = String::new();
        let stands = match standing(&passage, None, now) {
            Standing::LookForIt => {
                let (arrival, words) = self.look_for(tenant, &stored).await?;
                found = words;
                standing(&passage, Some(arrival), now)
            }
            stands => stands,
        };
        match stands {
            Standing::UnderWay | Standing::LookForIt => {}
            Standing::CameThrough => self.came_through(tenant, &stored, now).await?,
            Standing::Missed(leg) => {
                let after = after(&stored, &passage, &found);
                self.missed(tenant, &stored, leg, after, now).await?;
            }
            // One may be a crash of ours. Two in a row are a way that nothing takes.
            Standing::Void if self.is_void_again(tenant, id).await? => {
                let after = after(&stored, &passage, &found);
                self.missed(tenant, &stored, Leg::NotSent, after, now).await?;
            }
            Standing::Void => {
                self.end(id, CanaryOutcome::Void, after(&stored, &passage, &found), now).await?;
            }
        }
        self.canary(id).await
    }

    async fn passage(
        &self,
        tenant: &TenantName,
        stored: &StoredCanary,
    ) -> Result<Passage, ServiceError> {
        let (mut backed_up, mut inspected) = (false, false);
        if let Some(seen) = &stored.seen {
            let item = std::slice::from_ref(&seen.item);
            backed_up = !self.control.items(tenant, &seen.mailbox, item).await?.is_empty();
            inspected = seen.inspected;
        }
        let sent = if stored.sent.is_some() { Sent::Yes } else { Sent::Unknown };
        Ok(Passage { deadline: stored.deadline, sent, backed_up, inspected })
    }

    /// Looks whether it is in its recipient's mailbox: with the reader's key, for the prober cannot read.
    async fn look_for(
        &self,
        tenant: &TenantName,
        stored: &StoredCanary,
    ) -> Result<(Arrival, String), ServiceError> {
        let known = self.tenant(tenant).await?;
        let mailbox = self.mailbox_of(tenant, &stored.recipient).await?;
        let look = async {
            let provider = self.provider(&known, &self.new_job()).await?;
            Ok::<_, ServiceError>(
                provider.canary_arrived(&mailbox, &reference(&stored.digest)).await?,
            )
        };
        Ok(match tokio::time::timeout(LOOK, look).await {
            Ok(Ok(Some(at))) => (Arrival::Yes, format!("arrived {}", instant(at))),
            Ok(Ok(None)) => (Arrival::No, format!("not in {}", stored.recipient)),
            Ok(Err(error)) => {
                (Arrival::Unknown, format!("whether it arrived could not be seen: {error}"))
            }
            Err(_) => {
                let text = "whether it arrived could not be seen: the provider did not answer";
                (Arrival::Unknown, text.to_owned())
            }
        })
    }

    async fn came_through(
        &self,
        tenant: &TenantName,
        stored: &StoredCanary,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let note = through(stored);
        if let Some(open) = self.control.incident_of(tenant, &canary_incident_key()).await?
            && open.closed.is_none()
        {
            let reference = reference(&stored.digest);
            let note = format!("canaries come through again: {reference}, {note}");
            self.close_incident(open.id, &note, now).await?;
        }
        // Last: a process that ends before this finds out the same again.
        self.end(stored.id, CanaryOutcome::CameThrough, note, now).await
    }

    async fn missed(
        &self,
        tenant: &TenantName,
        stored: &StoredCanary,
        leg: Leg,
        after: String,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let through = CanaryOutcome::CameThrough.as_str();
        let last = self.control.last_canary(tenant, through).await?;
        let before = last.map(|last| {
            let how = last.end.map(|end| end.note).unwrap_or_default();
            format!("the last one came through: {how}")
        });
        let reference = reference(&stored.digest);
        let missed = MissedCanary { reference, leg, at: now, before, after: after.clone() };
        self.keep_incident(tenant, &missed.incident(), now).await?;
        self.end(stored.id, CanaryOutcome::Missed(leg), after, now).await
    }

    async fn end(
        &self,
        id: i64,
        outcome: CanaryOutcome,
        note: String,
        at: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let end = CanaryEnd { outcome: outcome.as_str().to_owned(), note, at };
        self.control.end_canary(id, end).await?;
        Ok(())
    }

    /// Whether the canary before this one was void, too.
    async fn is_void_again(&self, tenant: &TenantName, id: i64) -> Result<bool, ServiceError> {
        let before = self.control.canaries(tenant, 2).await?.into_iter().find(|one| one.id < id);
        let end = before.and_then(|before| before.end);
        Ok(end.is_some_and(|end| end.outcome == CanaryOutcome::Void.as_str()))
    }

    async fn canary(&self, id: i64) -> Result<CanaryReport, ServiceError> {
        Ok(self.stored_canary(id).await?.into())
    }

    async fn stored_canary(&self, id: i64) -> Result<StoredCanary, ServiceError> {
        let gone = || mailkeep_control::ControlError::NotFound { what: format!("canary {id}") };
        Ok(self.control.canary(id).await?.ok_or_else(gone)?)
    }

    /// A mailbox by its address: as the directory last told of it, or as it is named. The prober may not
    /// ask the directory.
    async fn mailbox_of(
        &self,
        tenant: &TenantName,
        address: &Address,
    ) -> Result<Mailbox, ServiceError> {
        let known = self.control.mailboxes(tenant).await?.into_iter();
        let mut found = known.filter(|one| one.gone_since.is_none()).map(|one| one.mailbox);
        Ok(found.find(|mailbox| mailbox.address == *address).unwrap_or_else(|| Mailbox {
            id: MailboxId(address.to_string()),
            address: address.clone(),
            display_name: String::new(),
        }))
    }
}

/// How one came through, for people.
fn through(stored: &StoredCanary) -> String {
    let sent = stored.sent.unwrap_or(stored.begun);
    let took = stored.seen.as_ref().map(|seen| (seen.at - sent).whole_seconds().max(0));
    let took = took.map_or_else(String::new, |took| format!(", read {took} s later"));
    format!("sent {}{took}, backed up and inspected", instant(sent))
}

/// How one stands that did not, for people.
fn after(stored: &StoredCanary, passage: &Passage, found: &str) -> String {
    let sent = match stored.sent {
        Some(sent) => format!("sent {}", instant(sent)),
        None => {
            format!("about to be sent {}, and nobody knows whether it was", instant(stored.begun))
        }
    };
    let read = match &stored.seen {
        Some(seen) if passage.backed_up => {
            format!(
                "read {} and in the vault; the inspector did not see its text",
                instant(seen.at)
            )
        }
        Some(seen) => format!("read {}, and not in the vault", instant(seen.at)),
        None => "no pass has read it".to_owned(),
    };
    let found = if found.is_empty() { String::new() } else { format!("; {found}") };
    format!("{sent}{found}; {read}; it had time until {}", instant(stored.deadline))
}

fn new_mark() -> Result<CanaryMark, ServiceError> {
    let mut bytes = [0; 32];
    let unusable = |_| ServiceError::Spool(std::io::Error::other("the system gives no randomness"));
    aws_lc_rs::rand::fill(&mut bytes).map_err(unusable)?;
    Ok(CanaryMark::from_bytes(&bytes))
}
