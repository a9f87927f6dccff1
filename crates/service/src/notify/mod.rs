//! Change notifications: the provider says that something changed, and a pass over just those
//! mailboxes does not wait for its turn.
//!
//! # Vocabulary
//!
//! - A *subscription* makes the provider notify us of one topic (mail, events, contacts) of one
//!   mailbox. It ends by itself unless it is *tended*: renewed in time, authorised anew when the
//!   provider asks for it, made again when it was removed.
//! - The *desk* knows our subscriptions and their secrets, and takes notifications in.
//! - A *hint* is what is left of a notification that was believed: look at this mailbox.
//! - The *queue* gathers hints until it has been quiet for a moment, each mailbox once.
//!
//! A hint is never more than that. What changed is read as in every other pass; passes over all
//! mailboxes go on at their interval, and losing every notification loses nothing.

mod desk;
mod listener;
mod queue;
mod tend;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mailkeep_control::TenantFunction;
use mailkeep_model::{Function, MailboxId, TenantName};
use mailkeep_tls::{CertificateStatus, ListenerOptions};
use time::OffsetDateTime;
use tokio::time::Instant;
use url::Url;

use self::{desk::Desk, listener::Listener};
use crate::{Service, ServiceError};

pub use queue::HintTiming;
pub use tend::Tended;

/// How often subscriptions are looked after when nothing asks for it.
const TEND_EVERY: Duration = Duration::from_secs(60);

/// Where notifications are taken.
#[derive(Clone, Debug)]
pub struct NotifyOptions {
    /// Where to listen on this machine.
    pub listen: SocketAddr,
    /// Under which address the provider reaches that.
    pub url: Url,
    /// What TLS proves itself with; without, something in front does it.
    pub tls: Option<ListenerOptions>,
    /// How long hints wait.
    pub timing: HintTiming,
}

/// What came in since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationCounts {
    /// Notifications that were believed.
    pub believed: u64,
    /// Notifications with a wrong secret, or of no subscription of ours.
    pub refused: u64,
    /// Requests that were no notifications.
    pub garbage: u64,
}

/// The running listener, and what it knows. Dropping it ends the listener; subscriptions stay, and
/// are taken over at the next start.
pub struct Notifications {
    desk: Arc<Desk>,
    listener: Listener,
    tending: tend::Tending,
}

impl Notifications {
    /// Begins to listen. Nothing is subscribed to yet.
    ///
    /// # Errors
    /// [`ServiceError::Listen`] and [`ServiceError::Tls`].
    pub async fn start(options: NotifyOptions) -> Result<Self, ServiceError> {
        let desk = Arc::new(Desk::new(options.timing));
        let listener = Listener::start(&options, Arc::clone(&desk)).await?;
        let tending = tend::Tending::new(options.url);
        Ok(Self { desk, listener, tending })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The certificate that the listener shows; `None` where something in front does.
    pub fn certificate(&self) -> Option<CertificateStatus> {
        self.listener.certificate()
    }

    /// What came in.
    pub fn counts(&self) -> NotificationCounts {
        let counts = self.desk.counts();
        NotificationCounts {
            believed: counts.believed.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            garbage: counts.garbage.load(Ordering::Relaxed),
        }
    }

    /// Tenants with hints that have waited for long enough.
    pub fn ready(&self) -> Vec<TenantName> {
        self.desk.ready(Instant::now())
    }

    /// Takes a tenant's hints, whether they have waited for long enough or not: a pass begins that
    /// looks at these mailboxes.
    pub fn take(&self, tenant: &TenantName) -> Vec<MailboxId> {
        self.desk.take(tenant, Instant::now())
    }

    /// Gives hints back: the pass could not run.
    pub fn give_back(&self, tenant: &TenantName, mailboxes: &[MailboxId]) {
        let now = Instant::now();
        mailboxes.iter().for_each(|mailbox| self.desk.hint(tenant, mailbox, now));
    }

    /// Lets [`tend_all`](Self::tend_all) look at once: mailboxes came or went.
    pub fn tend_soon(&self) {
        self.desk.ask();
    }

    /// Looks after the subscriptions of all tenants, for ever.
    pub async fn tend_all(&self, service: &Service) {
        loop {
            match service.control().tenants().await {
                Err(error) => tracing::error!(%error, "the list of tenants cannot be read"),
                Ok(tenants) => {
                    let reads = |one: &TenantFunction| one.function == Function::Reader;
                    for tenant in tenants.iter().filter(|one| one.functions.iter().any(reads)) {
                        self.tend_one(service, &tenant.name).await;
                    }
                }
            }
            // Something happened to a subscription, or it is time.
            let _ = tokio::time::timeout(TEND_EVERY, self.desk.asked()).await;
        }
    }

    async fn tend_one(&self, service: &Service, tenant: &TenantName) {
        match self.tend(service, tenant, OffsetDateTime::now_utc()).await {
            Ok(tended) => {
                if tended != Tended::default() {
                    tracing::info!(%tenant, ?tended, "subscriptions were looked after");
                }
            }
            Err(error) => tracing::warn!(
                %tenant, %error,
                "subscriptions cannot be looked after; mailboxes are read at their interval"
            ),
        }
    }

    /// Looks after a tenant's subscriptions: each mailbox that is backed up gets its own, they are
    /// renewed in time, and those of others are ended. Does a bounded part of it, and the rest in
    /// the next call.
    ///
    /// # Errors
    /// What stops all of it; it is left alone for a while then. What concerns one mailbox is in the
    /// log.
    pub async fn tend(
        &self,
        service: &Service,
        tenant: &TenantName,
        now: OffsetDateTime,
    ) -> Result<Tended, ServiceError> {
        self.tending.tend(service, &self.desk, tenant, now).await
    }
}
