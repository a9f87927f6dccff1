use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use mailkeep_control::{PassCounts, PassOutcome, Tenant};
use mailkeep_exchange::Provider;
use mailkeep_model::{Address, Mailbox, MailboxId, TenantName};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    Discovered, Event, Observer, Service, ServiceError,
    discovery::Scope,
    pipeline::{Beside, Fetcher, Inspecting, Read, Reading, RoundWriter, read},
    spool::Spool,
};

/// Mailboxes that are read at the same time. Each has at most four requests in flight.
const MAILBOXES_AT_ONCE: usize = 16;
/// Deliveries that wait for the writer while it writes; their content waits in the spool.
const DELIVERIES: usize = 256;

/// How much of a pass may wait where, and how often it looks closer. The spool must hold more than a round and what all readers
/// together hold back (16 mailboxes × 3 folders × a part), or reading would wait for a round that
/// waits for reading.
#[derive(Clone, Copy, Debug)]
pub struct PassLimits {
    /// Bytes that the spool holds before reading waits for the vault.
    pub spool_bytes: u64,
    /// A round is written once this much content waits, in bytes.
    pub round_bytes: u64,
    /// A round is written once this many items wait: what is known of them is held in memory,
    /// here and once more while the vault works out where they go.
    pub round_items: usize,
    /// A page is handed on in parts of at most this much content, in bytes.
    pub part_bytes: u64,
    /// Each folder is read from its beginning and compared once in this time, each at a moment of
    /// its own, because a provider may lose a change for good. Zero: in every pass.
    pub compare_every: Duration,
    /// A folder of which the provider counts another number of items than the vault holds is
    /// compared out of turn, but not before this time has passed since it was last compared.
    pub compare_doubted: Duration,
}

impl Default for PassLimits {
    fn default() -> Self {
        Self {
            spool_bytes: 1 << 30,
            round_bytes: 256 << 20,
            round_items: 8_000,
            part_bytes: 8 << 20,
            compare_every: Duration::from_secs(7 * 86_400),
            compare_doubted: Duration::from_secs(86_400),
        }
    }
}

/// What a pass came to.
#[derive(Debug)]
pub struct PassReport {
    /// The tenant.
    pub tenant: TenantName,
    /// Mailboxes that were read to their end.
    pub mailboxes: usize,
    /// Items that the vault did not have.
    pub new: u64,
    /// Items whose flags, categories, folder or content changed.
    pub changed: u64,
    /// Items that are gone.
    pub removed: u64,
    /// Bytes of content that came from the provider.
    pub content_bytes: u64,
    /// Streams of the provider that are kept beside contents of this pass.
    pub streams: u64,
    /// Contents of this pass beside which none is kept, although it should be; they are safe
    /// themselves.
    pub without_stream: u64,
    /// Bytes that were added to the repository.
    pub bytes_added: u64,
    /// Directories that were written anew.
    pub tree_blobs_added: u64,
    /// Pieces of content that the repository did not have.
    pub data_blobs_added: u64,
    /// Snapshots that were written, oldest first; none when nothing changed.
    pub snapshots: Vec<String>,
    /// Items that could not be read or stored; the next pass tries them again.
    pub missed: Vec<MissedItem>,
    /// Mailboxes that could not be read to their end.
    pub failures: Vec<MailboxFailure>,
    /// Which mailboxes came and went.
    pub directory: Discovered,
    /// Requests that the provider was sent.
    pub requests: u64,
    /// Of these, answered with "too many requests".
    pub throttled: u64,
    /// How long it took.
    pub seconds: f64,
}

/// An item that is not in the vault as it is at the provider.
#[derive(Debug)]
pub struct MissedItem {
    /// In whose mailbox.
    pub mailbox: Address,
    /// The provider's identifier.
    pub item: String,
    /// Why.
    pub error: String,
}

/// A mailbox that could not be read to its end.
#[derive(Debug)]
pub struct MailboxFailure {
    /// Whose.
    pub mailbox: Address,
    /// Why.
    pub error: ServiceError,
}

impl PassReport {
    /// Whether everything that the provider has is in the vault.
    pub fn is_whole(&self) -> bool {
        self.missed.is_empty() && self.failures.is_empty() && self.directory.is_whole()
    }
}

impl Service {
    /// Runs one pass over a tenant's mailboxes, or over those in `only` when it names any.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] when another pass runs, and whatever stops all of the tenant's
    /// mailboxes. What stops one mailbox or one item is in the report.
    pub async fn backup(
        &self,
        tenant: &TenantName,
        only: &[Address],
        observer: Arc<dyn Observer>,
    ) -> Result<PassReport, ServiceError> {
        let scope = if only.is_empty() { Scope::All } else { Scope::Named(only) };
        self.run_pass(tenant, scope, observer).await
    }

    /// Runs a pass over some of the mailboxes that earlier passes found, because something is said
    /// to have changed in them. Those that are not there any more are left out.
    ///
    /// # Errors
    /// As [`Service::backup`].
    pub async fn backup_woken(
        &self,
        tenant: &TenantName,
        woken: &[MailboxId],
        observer: Arc<dyn Observer>,
    ) -> Result<PassReport, ServiceError> {
        self.run_pass(tenant, Scope::Woken(woken), observer).await
    }

    async fn run_pass(
        &self,
        tenant: &TenantName,
        scope: Scope<'_>,
        observer: Arc<dyn Observer>,
    ) -> Result<PassReport, ServiceError> {
        let begin = Instant::now();
        let lease = self.data.lease(tenant)?;
        let known = self.tenant(tenant).await?;
        let job = self.new_job();
        let provider = self.provider(&known, &job).await?;
        self.read_protection().await?;
        let vault = self.writable_vault(tenant, &job).await?;
        let pass = self.control.start_pass(tenant, OffsetDateTime::now_utc()).await?;

        let run = async {
            let domains = match scope {
                Scope::Woken(_) if !known.domains.is_empty() => known.domains.clone(),
                _ => self.own_domains(&known, &provider).await?,
            };
            let (mailboxes, discovered) = self.wanted_mailboxes(tenant, &provider, scope).await?;
            observer.on_event(&Event::Mailboxes { count: mailboxes.len() });
            let spool = Spool::new(&self.data.spool(), self.limits.spool_bytes)
                .map_err(ServiceError::Spool)?;
            let mask_key = self.mask_key(tenant, &job).await?;
            let beside = if self.extras.streams { Beside::Stream } else { Beside::Nothing };
            let inspecting = Inspecting {
                tenant: tenant.clone(),
                own_domains: domains.clone(),
                mask_key,
                protection: Arc::clone(&self.protection),
            };
            let fetcher = Fetcher::new(provider.clone(), spool.clone(), inspecting, beside);
            let streams = fetcher.streams();
            let (deliveries, inbox) = mpsc::channel(DELIVERIES);
            let writer = RoundWriter {
                control: self.control.clone(),
                tenant: tenant.clone(),
                vault,
                head: self.control.catalog_head(tenant).await?,
                spool,
                domains,
                observer: Arc::clone(&observer),
                limits: self.limits,
                _lease: lease,
            };
            let writer = tokio::spawn(writer.run(inbox));
            let reading = Arc::new(Reading {
                provider: provider.clone(),
                control: self.control.clone(),
                tenant: tenant.clone(),
                fetcher,
                observer: Arc::clone(&observer),
                deliveries,
                limits: self.limits,
                acting: self.acting(tenant),
            });
            let read = read_all(reading, mailboxes).await;
            // The readers' end of the channel is closed: the writer writes what it has and ends.
            let written = writer.await.map_err(|_| ServiceError::Stopped)?;
            match (read, written) {
                // When the writer fails the readers stop for want of a listener: its error tells.
                (_, Err(error)) | (Err(error), Ok(_)) => Err(error),
                (Ok(read), Ok(written)) => Ok((read, written, discovered, streams)),
            }
        };
        let outcome = run.await;
        // Where nobody tends decisions, somebody who ran this by hand does.
        self.order_decided(&mut BTreeSet::new()).await;
        let usage = provider.usage();
        let report = outcome.map(|(read, written, discovered, streams)| PassReport {
            tenant: tenant.clone(),
            mailboxes: read.done,
            new: written.new,
            changed: written.changed,
            removed: written.removed,
            content_bytes: usage.content_bytes,
            streams: streams.as_ref().map_or(0, |streams| streams.kept()),
            without_stream: streams.as_ref().map_or(0, |streams| streams.missing()),
            bytes_added: written.bytes_added,
            tree_blobs_added: written.tree_blobs_added,
            data_blobs_added: written.data_blobs_added,
            snapshots: written.snapshots,
            missed: written.missed.into_iter().map(MissedItem::from).collect(),
            failures: read.failures,
            directory: discovered,
            requests: usage.requests,
            throttled: usage.throttled,
            seconds: begin.elapsed().as_secs_f64(),
        });
        // A database that just refused us for a long time would do so again; that the pass has no
        // end is what a crash leaves behind, too.
        if !matches!(report, Err(ServiceError::Control(_))) {
            self.finish_pass(pass, &report).await?;
        }
        report
    }

    /// The tenant's domains; remembered for when the provider cannot be asked.
    async fn own_domains<P: Provider>(
        &self,
        tenant: &Tenant,
        provider: &P,
    ) -> Result<Vec<String>, ServiceError> {
        let domains = provider.domains().await?;
        if domains != tenant.domains {
            let updated = Tenant { domains: domains.clone(), ..tenant.clone() };
            self.control.update_tenant(&updated).await?;
        }
        Ok(domains)
    }

    async fn finish_pass(
        &self,
        pass: mailkeep_control::PassId,
        report: &Result<PassReport, ServiceError>,
    ) -> Result<(), ServiceError> {
        let now = OffsetDateTime::now_utc();
        let (outcome, counts, errors) = match report {
            Ok(report) => {
                let counts = PassCounts {
                    mailboxes: report.mailboxes as u64,
                    put: report.new + report.changed,
                    removed: report.removed,
                    skipped: report.missed.len() as u64,
                    bytes: report.content_bytes,
                    snapshots: report.snapshots.len() as u64,
                    requests: report.requests,
                };
                let errors = report.failures.iter();
                let errors = errors.map(|one| format!("{}: {}", one.mailbox, one.error));
                let directory = report.directory.failure.iter().map(ToString::to_string);
                let unclear = report.directory.unclear.iter();
                let unclear = unclear.map(|(mailbox, error)| format!("{mailbox}: {error}"));
                let errors = errors.chain(directory).chain(unclear).collect();
                let whole = report.is_whole();
                let outcome = if whole { PassOutcome::Done } else { PassOutcome::Partial };
                (outcome, counts, errors)
            }
            Err(error) => (PassOutcome::Failed, PassCounts::default(), vec![error.to_string()]),
        };
        Ok(self.control.finish_pass(pass, outcome, counts, &errors, now).await?)
    }
}

/// What the readers came to.
struct ReadAll {
    done: usize,
    failures: Vec<MailboxFailure>,
}

async fn read_all<P: Provider>(
    reading: Arc<Reading<P>>,
    mailboxes: Vec<Mailbox>,
) -> Result<ReadAll, ServiceError> {
    let places = Arc::new(Semaphore::new(MAILBOXES_AT_ONCE));
    let mut tasks = tokio::task::JoinSet::new();
    for mailbox in mailboxes {
        let (reading, places) = (Arc::clone(&reading), Arc::clone(&places));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            let started = Event::MailboxStarted { mailbox: mailbox.address.clone() };
            reading.observer.on_event(&started);
            let outcome = read(&reading, &mailbox).await;
            if let Err(error) = &outcome {
                let (mailbox, error) = (mailbox.address.clone(), error.to_string());
                tracing::warn!(%mailbox, error, "a mailbox could not be read to its end");
                reading.observer.on_event(&Event::MailboxFailed { mailbox, error });
            }
            (mailbox.address, outcome)
        });
    }
    drop(reading);
    let mut read = ReadAll { done: 0, failures: Vec::new() };
    while let Some(joined) = tasks.join_next().await {
        let (mailbox, outcome) = joined.map_err(|_| ServiceError::Stopped)?;
        match outcome {
            Ok(Read::Whole) => read.done += 1,
            Ok(Read::Part(unread)) => {
                read.done += 1;
                let failure = |error| MailboxFailure {
                    mailbox: mailbox.clone(),
                    error: ServiceError::from(error),
                };
                read.failures.extend(unread.into_iter().map(failure));
            }
            Ok(Read::NoMailbox) => {
                tracing::info!(%mailbox, "the directory lists it, but it has no mailbox");
            }
            // Dropping the set stops the other readers.
            Err(error) if error.stops_the_pass() => return Err(error),
            Err(error) => read.failures.push(MailboxFailure { mailbox, error }),
        }
    }
    // Where no mailbox at all could be read, the reason is not one mailbox's.
    if read.done == 0
        && let Some(position) = read
            .failures
            .iter()
            .position(|failure| failure.error.kind() == crate::ErrorKind::Refused)
    {
        return Err(read.failures.swap_remove(position).error);
    }
    Ok(read)
}

impl From<(Mailbox, crate::pipeline::Missed)> for MissedItem {
    fn from((mailbox, missed): (Mailbox, crate::pipeline::Missed)) -> Self {
        Self { mailbox: mailbox.address, item: missed.item.0, error: missed.error }
    }
}
