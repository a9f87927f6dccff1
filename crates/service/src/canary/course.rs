//! What becomes of a canary.

use std::time::Duration as Wait;

use mailkeep_control::{CanaryEnd, StoredCanary};
use mailkeep_exchange::Provider;
use mailkeep_model::{Address, ItemKind, Mailbox, MailboxId, TenantName};
use mailkeep_sentry::{
    Arrival, Leg, MissedCanary, Passage, Removal, Sent, Standing, canary_incident_key, standing,
};
use time::OffsetDateTime;

use super::{CanaryOutcome, CanaryReport, reference, sending::Handing};
use crate::{
    Service, ServiceError,
    alerts::at as instant,
    remedy::{CopyState, Order, OrderedBy, Reach, RemedyAction, Which},
};

/// A look into a mailbox takes no longer. The provider's outage must not hold up what is said of it.
const LOOK: Wait = Wait::from_secs(60);
/// In whose name canaries are taken away.
const CANARY_RULE: &str = "canary";

impl Service {
    /// Tries again to send a canary that could not be sent yet, finds out how it stands, and when it is
    /// decided what became of it, keeps that: a missed deadline as an incident, and the end of that when one
    /// comes through again. `now` is the present.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn look_after_canary(
        &self,
        tenant: &TenantName,
        id: i64,
        now: OffsetDateTime,
    ) -> Result<CanaryReport, ServiceError> {
        let mut stored = self.stored_canary(id).await?;
        if stored.end.is_some() {
            return Ok(stored.into());
        }
        match self.hand_over(tenant, &stored, now).await? {
            Handing::NotInHand => {}
            Handing::Done => stored = self.stored_canary(id).await?,
            Handing::Waits => return Ok(stored.into()),
            Handing::Refused(refusal) => {
                let after =
                    format!("the order of {} was refused: {refusal}", instant(stored.begun));
                self.missed(tenant, &stored, Leg::NotSent, after, now).await?;
                return self.canary(id).await;
            }
        }
        let mut passage = self.passage(tenant, &stored).await?;
        let mut found = String::new();
        if passage.backed_up && passage.inspected && passage.removal == Removal::Wanted {
            match Box::pin(self.take_away(tenant, &stored)).await {
                Ok(Some(at)) => passage.removal = Removal::Done(at),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%tenant, %error, "a canary could not be taken away");
                    found = format!("it could not be taken away: {error}");
                }
            }
        }
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
        let seen = stored.seen.as_ref().map(|seen| seen.at);
        let removal = match stored.removed {
            Some(at) => Removal::Done(at),
            None if stored.to_be_removed => Removal::Wanted,
            None => Removal::NotWanted,
        };
        Ok(Passage { deadline: stored.deadline, sent, seen, backed_up, inspected, removal })
    }

    /// Has a canary taken out of its recipient's sight, as bad mail would be; when it was.
    async fn take_away(
        &self,
        tenant: &TenantName,
        stored: &StoredCanary,
    ) -> Result<Option<OffsetDateTime>, ServiceError> {
        let Some(seen) = &stored.seen else { return Ok(None) };
        let mailbox = self.mailbox_of(tenant, &stored.recipient).await?;
        let removed = async {
            let known = self.tenant(tenant).await?;
            let reader = self.provider(&known, &self.new_job()).await?;
            let item = reader.item(&mailbox, ItemKind::Message, &seen.item).await?;
            let Some(message_id) = item.and_then(|item| item.internet_message_id) else {
                return Ok(None);
            };
            let order = Order {
                tenant: tenant.clone(),
                action: RemedyAction::Remove,
                which: Which::MessageId(message_id),
                reach: Reach::Mailbox(mailbox.address.clone()),
                by: OrderedBy::Rule(CANARY_RULE.to_owned()),
                why: format!("canary {}", reference(&stored.digest)),
                at: OffsetDateTime::now_utc(),
            };
            let remedy = self.order_remedy(order).await?;
            match self.carry_out_remedies(tenant).await {
                // Another process is at it.
                Ok(()) | Err(ServiceError::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
            let report = self.remedy_report(remedy).await?;
            let copy = report.copies.iter().find(|copy| copy.found.item == seen.item);
            Ok(copy.filter(|copy| copy.found.state == CopyState::Removed).map(|copy| copy.changed))
        };
        // Cut off in the middle it is as one that was killed: what it moved and did not come to write down is
        // looked for by whoever goes on.
        let removed = match tokio::time::timeout(LOOK, removed).await {
            Ok(removed) => removed?,
            Err(_) => None,
        };
        if let Some(at) = removed {
            self.control.canary_removed(stored.id, at).await?;
        }
        Ok(removed)
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

    pub(super) async fn canary(&self, id: i64) -> Result<CanaryReport, ServiceError> {
        Ok(self.stored_canary(id).await?.into())
    }

    async fn stored_canary(&self, id: i64) -> Result<StoredCanary, ServiceError> {
        let gone = || mailkeep_control::ControlError::NotFound { what: format!("canary {id}") };
        Ok(self.control.canary(id).await?.ok_or_else(gone)?)
    }

    /// A mailbox by its address: as the directory last told of it, or as it is named. The prober may not
    /// ask the directory.
    pub(super) async fn mailbox_of(
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
    let done = match stored.to_be_removed {
        true => "backed up, inspected and removed",
        false => "backed up and inspected",
    };
    format!("sent {}{took}, {done}", instant(sent))
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
        Some(seen) if seen.at > stored.deadline => {
            let place = if passage.backed_up { "in the vault" } else { "not in the vault" };
            format!("read too late, {}, and {place}", instant(seen.at))
        }
        Some(seen) if passage.backed_up && passage.inspected => {
            let removed = match passage.removal {
                Removal::Done(at) => format!("removed too late, {}", instant(at)),
                _ => "not removed".to_owned(),
            };
            format!("read {}, in the vault and inspected; {removed}", instant(seen.at))
        }
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
