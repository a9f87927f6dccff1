//! Carrying orders out: looking for copies, and acting on them.

use std::sync::Arc;

use futures::{StreamExt, stream};
use mailkeep_control::{
    CopyState, FoundCopy, RemedyAction, RemedyId, StoredCopy, StoredRemedy, Unsearched,
};
use mailkeep_exchange::{ExchangeError, Extras, GraphProvider, Provider};
use mailkeep_model::{Function, Mailbox, TenantName};
use time::{Duration, OffsetDateTime};
use tokio::sync::mpsc;

use super::{
    Order,
    marks::Marks,
    order::OPEN_FOR,
    step::{Hands, stops_all},
};
use crate::{Service, ServiceError};

/// How long what was removed can be put back. Then it is deleted for good.
pub const UNDO_FOR: Duration = Duration::days(30);

/// What was purged can be got back by its owner, and is looked at, too.
const REACH: Extras =
    Extras { recoverable_items: true, tasks: false, streams: false, archive: false };
/// Mailboxes that are looked through, or acted on, at the same time. Each has at most four requests in
/// flight, and most of them one.
const MAILBOXES_AT_ONCE: usize = 48;
/// Answers that are written down together: each time, the disk is waited for.
const TOGETHER: usize = 64;
/// Copies that are read from the state at once.
const DUE_AT_ONCE: u64 = 500;
/// Between two looks through all mailboxes, by the age of the order: what comes late comes soon, as a
/// rule, and the change stream tells of it.
const LOOK_AGAIN: [(Duration, Duration); 4] = [
    (Duration::minutes(1), Duration::seconds(15)),
    (Duration::minutes(10), Duration::minutes(3)),
    (Duration::hours(2), Duration::minutes(30)),
    (Duration::days(30), Duration::hours(4)),
];
/// The same where some mailboxes could not be looked through.
const LOOK_AGAIN_SOON: Duration = Duration::minutes(1);

/// How an order stands.
#[derive(Clone, Debug)]
pub struct RemedyReport {
    /// Whose it is.
    pub tenant: TenantName,
    /// The order.
    pub remedy: StoredRemedy,
    /// The copies that it is about.
    pub copies: Vec<StoredCopy>,
    /// Messages that carry what it is about and are too many at once: the same order given again reaches
    /// them.
    pub left_out: u64,
}

impl RemedyReport {
    /// Whether all mailboxes were looked through at least once and nothing is left to be done with any copy
    /// now.
    pub fn is_settled(&self) -> bool {
        self.remedy.searched.is_some() && self.copies.iter().all(is_settled)
    }

    /// Whether everything that was ordered came about.
    pub fn is_whole(&self) -> bool {
        let failed = |copy: &StoredCopy| copy.found.state == CopyState::Failed;
        let reached_all = self.left_out == 0 && self.remedy.unsearched.is_empty();
        self.is_settled() && reached_all && !self.copies.iter().any(failed)
    }
}

/// Whether a copy is where it is to be, or will never be.
fn is_settled(copy: &StoredCopy) -> bool {
    let state = copy.found.state;
    state == copy.wanted
        || matches!(state, CopyState::Gone | CopyState::Failed | CopyState::Purged)
        || (state == CopyState::Released && copy.due.is_none())
}

impl Service {
    /// Carries out what is due of a tenant's orders now, and ends when nothing is.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] when another process is at it, [`ServiceError::NotRegistered`] without a
    /// responder, and whatever stops all mailboxes. What stops one is written down with it.
    pub async fn carry_out_remedies(&self, tenant: &TenantName) -> Result<(), ServiceError> {
        let _lease = self.data.remedy_lease(tenant)?;
        let (known, job) = (self.tenant(tenant).await?, self.new_job());
        let provider = self.provider_for(&known, Function::Responder, REACH, &job).await?;
        let work = Work { service: self, tenant, provider: &provider };
        loop {
            let now = OffsetDateTime::now_utc();
            let acted = work.act().await?;
            let orders = self.control.remedies_due(tenant, now).await?;
            if orders.is_empty() && acted == 0 {
                return Ok(());
            }
            // One at a time: what was ordered meanwhile comes before what is only looked for again.
            if let Some(order) = orders.first() {
                work.search(order).await?;
            }
        }
    }

    /// How an order stands.
    ///
    /// # Errors
    /// [`ServiceError::NoRemedy`].
    pub async fn remedy_report(&self, remedy: RemedyId) -> Result<RemedyReport, ServiceError> {
        let found = self.control.remedy(remedy).await?;
        let (tenant, stored) = found.ok_or(ServiceError::NoRemedy { remedy })?;
        let copies = self.control.remedy_copies(remedy).await?;
        let left_out = match stored.order.action {
            // What was not taken is where it was.
            RemedyAction::Release => 0,
            _ => self.control.messages_left_out(&tenant, &stored).await?,
        };
        Ok(RemedyReport { tenant, remedy: stored, copies, left_out })
    }

    /// The copies that an order to put back would put back.
    ///
    /// # Errors
    /// As [`Service::order_remedy`].
    pub async fn releasable(&self, order: &Order) -> Result<Vec<FoundCopy>, ServiceError> {
        let (messages, mailbox) = self.messages_of(order).await?;
        let taken = self.control.copies_taken(&order.tenant, &messages).await?.into_iter();
        let found = taken.map(|copy| copy.found);
        Ok(found
            .filter(|copy| mailbox.as_ref().is_none_or(|only| copy.mailbox.id == *only))
            .collect())
    }

    /// What an order would find now, without keeping it: copies of messages whose `Message-ID`s are known.
    ///
    /// # Errors
    /// As [`Service::order_remedy`], and whatever keeps one mailbox from being looked through.
    pub async fn preview_remedy(&self, order: &Order) -> Result<Vec<FoundCopy>, ServiceError> {
        let tenant = &order.tenant;
        let (messages, mailbox) = self.messages_of(order).await?;
        let (known, job) = (self.tenant(tenant).await?, self.new_job());
        let provider = self.provider_for(&known, Function::Responder, REACH, &job).await?;
        let mut mailboxes = self.remedied_mailboxes(tenant).await?;
        mailboxes.retain(|one| mailbox.as_ref().is_none_or(|only| one.id == *only));
        let look = |mailbox: Mailbox| {
            let (provider, messages) = (&provider, &messages);
            async move {
                let seen = OffsetDateTime::now_utc();
                match provider.copies(&mailbox, messages).await {
                    Err(ExchangeError::NotFound { .. }) => Ok(Vec::new()),
                    Err(error) => Err(error),
                    Ok(items) => Ok(items
                        .into_iter()
                        .map(|item| found_copy(&mailbox, &item, seen, CopyState::Found))
                        .collect()),
                }
            }
        };
        let mut found = Vec::new();
        let mut looks = stream::iter(mailboxes).map(look).buffer_unordered(MAILBOXES_AT_ONCE);
        while let Some(copies) = looks.next().await {
            found.extend(copies?);
        }
        found.sort_by(|a: &FoundCopy, b| a.mailbox.address.cmp(&b.mailbox.address));
        Ok(found)
    }
}

struct Work<'a> {
    service: &'a Service,
    tenant: &'a TenantName,
    provider: &'a GraphProvider,
}

impl Work<'_> {
    fn hands(&self) -> Hands<'_, GraphProvider> {
        let quarantines = self.service.quarantines_of(self.tenant);
        Hands { provider: self.provider, quarantines }
    }

    /// Looks through all mailboxes for an order, and acts on what it finds as it finds it.
    async fn search(&self, order: &StoredRemedy) -> Result<(), ServiceError> {
        let control = &self.service.control;
        let began = OffsetDateTime::now_utc();
        let mut unsearched = Vec::new();
        // What is to be put back is known.
        if order.order.action != RemedyAction::Release && !order.messages.is_empty() {
            let mut mailboxes = self.service.remedied_mailboxes(self.tenant).await?;
            mailboxes.retain(|one| order.order.mailbox.as_ref().is_none_or(|only| one.id == *only));
            let (sender, mut inbox) = mpsc::unbounded_channel();
            // Both have to go on at all times: a look that waits in its middle may hold what acting waits
            // for, the renewal of a token.
            let looking = async {
                let mut looks = stream::iter(mailboxes)
                    .map(|mailbox| self.look(mailbox, &order.messages))
                    .buffer_unordered(MAILBOXES_AT_ONCE);
                while let Some(looked) = looks.next().await {
                    // Nobody listens any more when acting failed: its error tells.
                    if sender.send(looked).is_err() {
                        break;
                    }
                }
                drop(sender);
            };
            let acting = async {
                let mut looked = Vec::new();
                while inbox.recv_many(&mut looked, TOGETHER).await > 0 {
                    let mut found = Vec::new();
                    for (mailbox, copies) in looked.drain(..) {
                        match copies {
                            Ok(copies) => found.extend(copies),
                            Err(error) if stops_all(&error) => return Err(error.into()),
                            Err(error) => {
                                let (mailbox, reason) = (mailbox.address, error.to_string());
                                tracing::warn!(%mailbox, reason, "a mailbox was not looked through");
                                unsearched.push(Unsearched { mailbox, reason });
                            }
                        }
                    }
                    if !found.is_empty() {
                        let now = OffsetDateTime::now_utc();
                        control.remedy_found(self.tenant, order.id, &found, now).await?;
                        self.act().await?;
                    }
                }
                Ok::<(), ServiceError>(())
            };
            tokio::pin!(looking);
            tokio::pin!(acting);
            tokio::select! {
                acted = &mut acting => acted?,
                () = &mut looking => acting.await?,
            }
        }
        let next = next_search(order, began, !unsearched.is_empty());
        unsearched.sort_by(|a, b| a.mailbox.cmp(&b.mailbox));
        Ok(control.remedy_searched(order.id, began, &unsearched, next).await?)
    }

    /// Looks through one mailbox, without those that lie in its quarantine already.
    async fn look(
        &self,
        mailbox: Mailbox,
        messages: &[String],
    ) -> (Mailbox, Result<Vec<FoundCopy>, ExchangeError>) {
        let found = async {
            let seen = OffsetDateTime::now_utc();
            let items = match self.provider.copies(&mailbox, messages).await {
                // The directory lists it, but there is no mailbox.
                Err(ExchangeError::NotFound { .. }) => return Ok(Vec::new()),
                items => items?,
            };
            if items.is_empty() {
                return Ok(Vec::new());
            }
            let quarantine = self.hands().quarantine(&mailbox).await?;
            let state = |item: &mailkeep_model::Item| match quarantine.holds(&item.folder) {
                true => CopyState::Quarantined,
                false => CopyState::Found,
            };
            Ok(items.iter().map(|item| found_copy(&mailbox, item, seen, state(item))).collect())
        };
        let found = found.await;
        (mailbox, found)
    }

    /// Acts on the copies that are due, until none is. Gives how many there were.
    async fn act(&self) -> Result<usize, ServiceError> {
        let control = &self.service.control;
        let mut acted = 0;
        loop {
            let now = OffsetDateTime::now_utc();
            let due = control.copies_due(self.tenant, now, DUE_AT_ONCE).await?;
            if due.is_empty() {
                return Ok(acted);
            }
            acted += due.len();
            let hands = self.hands();
            let mut steps = stream::iter(due)
                .map(async |copy| {
                    let step = hands.step(&copy, now).await;
                    (copy, step)
                })
                .buffer_unordered(MAILBOXES_AT_ONCE)
                .ready_chunks(TOGETHER);
            let mut stopped = None;
            while let Some(stepped) = steps.next().await {
                let mut done = Vec::new();
                for (copy, step) in stepped {
                    match step {
                        Ok(step) => done.push((copy, step)),
                        Err(error) => stopped = Some(error),
                    }
                }
                // What was done is written down, whatever stopped the others.
                control.copies_stepped(done, OffsetDateTime::now_utc(), UNDO_FOR).await?;
            }
            if let Some(error) = stopped {
                return Err(error);
            }
        }
    }
}

/// A copy as it is noted.
pub(crate) fn found_copy(
    mailbox: &Mailbox,
    item: &mailkeep_model::Item,
    seen: OffsetDateTime,
    state: CopyState,
) -> FoundCopy {
    FoundCopy {
        mailbox: mailbox.clone(),
        item: item.id.clone(),
        message_id: item.internet_message_id.clone().unwrap_or_default(),
        folder: item.folder.clone(),
        marks: Marks::of(item).to_json(),
        state,
        seen,
    }
}

/// When all mailboxes are looked through once more.
fn next_search(
    order: &StoredRemedy,
    began: OffsetDateTime,
    is_partial: bool,
) -> Option<OffsetDateTime> {
    if order.order.action == RemedyAction::Release {
        return None;
    }
    // The first time may be long after the order: it counts from then.
    let opened = order.searched.map_or(began, |_| order.order.open_until - OPEN_FOR);
    let age = began - opened;
    let pause = LOOK_AGAIN.iter().find(|(until, _)| age < *until).map(|(_, pause)| *pause)?;
    let next = began + if is_partial { pause.min(LOOK_AGAIN_SOON) } else { pause };
    (next < opened + OPEN_FOR).then_some(next)
}

impl Service {
    /// Carries out all tenants' orders as they come; never ends. What is due is read from the state, so that
    /// a process that was killed is followed by one that goes on.
    pub async fn tend_remedies(self: &Arc<Self>) {
        super::tend::run(self).await;
    }
}
