//! Which mailboxes a pass reads: who came, who left, who is selected.

use std::collections::HashSet;

use mailkeep_control::{Departure, KnownMailbox, MailboxMerge};
use mailkeep_exchange::{ExchangeError, Provider, Selected};
use mailkeep_model::{Address, Mailbox, MailboxId, MailboxSelection, TenantName};
use serde_json::json;
use time::OffsetDateTime;

use crate::{Service, ServiceError};

/// Which of a tenant's mailboxes a pass is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    /// All that are selected.
    All,
    /// These, which somebody named, and which must be among those that are selected.
    Named(&'a [Address]),
    /// These, of which something is said to have changed. The directory is not asked for that: who
    /// came or left is found by the passes over all.
    Woken(&'a [MailboxId]),
}

/// What a pass found out about which mailboxes there are.
#[derive(Debug, Default)]
pub struct Discovered {
    /// Who came, left and has another address than in the pass before.
    pub changes: MailboxMerge,
    /// Why the directory could not be asked. The mailboxes that were known from before were read
    /// all the same.
    pub failure: Option<ServiceError>,
    /// Mailboxes that could not be asked whether they are of a kind that is selected, and why. They
    /// stay in the backup, or out of it, as they were.
    pub unclear: Vec<(Address, ServiceError)>,
}

impl Discovered {
    /// Whether it is known of everybody whether his mailbox is to be backed up.
    pub fn is_whole(&self) -> bool {
        self.failure.is_none() && self.unclear.is_empty()
    }
}

impl Service {
    /// Sets which of a tenant's mailboxes are backed up, from the next pass on. What was backed up
    /// of others stays.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn select_mailboxes(
        &self,
        name: &TenantName,
        selection: &MailboxSelection,
    ) -> Result<(), ServiceError> {
        self.tenant(name).await?;
        self.control.select_mailboxes(name, selection).await?;
        self.audit(name, "tenant.mailboxes", json!(selection)).await
    }

    /// The mailboxes to read, who waited longest first, and what is new about them.
    pub(crate) async fn wanted_mailboxes<P: Provider>(
        &self,
        tenant: &TenantName,
        provider: &P,
        scope: Scope<'_>,
    ) -> Result<(Vec<Mailbox>, Discovered), ServiceError> {
        let discovered = match scope {
            Scope::Woken(_) => Discovered::default(),
            Scope::All | Scope::Named(_) => self.discover(tenant, provider).await?,
        };
        let known = self.control.mailboxes(tenant).await?;
        let mut wanted: Vec<&KnownMailbox> =
            known.iter().filter(|known| known.gone_since.is_none()).collect();
        match scope {
            Scope::All => {}
            Scope::Named(only) => {
                let is_there = |address: &&Address| {
                    wanted.iter().any(|known| known.mailbox.address == **address)
                };
                if let Some(missing) = only.iter().find(|address| !is_there(address)) {
                    return Err(not_wanted(tenant, missing, &known));
                }
                wanted.retain(|known| only.is_empty() || only.contains(&known.mailbox.address));
            }
            Scope::Woken(ids) => {
                let ids: HashSet<_> = ids.iter().collect();
                wanted.retain(|known| ids.contains(&known.mailbox.id));
            }
        }
        // Who never had a pass comes before all.
        wanted.sort_by_key(|known| known.last_pass);
        Ok((wanted.into_iter().map(|known| known.mailbox.clone()).collect(), discovered))
    }

    /// Brings what is known of the directory up to date, and with it who is to be backed up.
    async fn discover<P: Provider>(
        &self,
        tenant: &TenantName,
        provider: &P,
    ) -> Result<Discovered, ServiceError> {
        let now = OffsetDateTime::now_utc();
        let selection = self.control.selection(tenant).await?;
        let mut directory = self.control.directory(tenant).await?;
        // A change that was never told comes out then, as in folders.
        if directory.began().is_none_or(|began| now - began >= self.limits.compare_every) {
            directory.restart();
        }
        let selected = provider.discover(&selection, &mut directory).await;
        // Also when a group could not be asked: what was learnt until then need not be asked again.
        self.control.save_directory(tenant, &directory).await?;
        match selected {
            Ok(Selected { mailboxes, unclear }) => {
                let changes = self.control.merge_mailboxes(tenant, &mailboxes, now).await?;
                tell(tenant, &changes);
                let unclear = unclear.into_iter().map(|(who, why)| (who.address, why.into()));
                Ok(Discovered { changes, unclear: unclear.collect(), ..Discovered::default() })
            }
            Err(error) if self.can_do_without(tenant, &error).await? => {
                tracing::warn!(%tenant, %error, "the directory could not be asked");
                Ok(Discovered { failure: Some(error.into()), ..Discovered::default() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the mailboxes that are known can be read although the directory cannot. Somebody who
    /// deletes a group must not put an end to all backups with it.
    async fn can_do_without(
        &self,
        tenant: &TenantName,
        error: &ExchangeError,
    ) -> Result<bool, ServiceError> {
        let concerns_the_directory = matches!(
            error,
            ExchangeError::Configuration { .. }
                | ExchangeError::Forbidden { .. }
                | ExchangeError::NotFound { .. }
                | ExchangeError::Answer { .. }
                | ExchangeError::Protocol { .. }
        );
        if !concerns_the_directory {
            return Ok(false);
        }
        let known = self.control.mailboxes(tenant).await?;
        Ok(known.iter().any(|known| known.gone_since.is_none()))
    }
}

/// Why a mailbox that somebody named is not read.
fn not_wanted(tenant: &TenantName, address: &Address, known: &[KnownMailbox]) -> ServiceError {
    let same = known.iter().find(|known| known.mailbox.address == *address);
    match same.and_then(|known| known.departure) {
        Some(Departure::Deselected) => ServiceError::Refused {
            tenant: tenant.clone(),
            reason: format!(
                "{address} is not among the mailboxes that are backed up; 'mailkeep tenant mailboxes {tenant}' shows and changes which are"
            ),
        },
        _ => ServiceError::NoMailbox { tenant: tenant.clone(), mailbox: address.clone() },
    }
}

fn tell(tenant: &TenantName, changes: &MailboxMerge) {
    for mailbox in &changes.added {
        tracing::info!(%tenant, mailbox = %mailbox.address, "a mailbox is new");
    }
    for mailbox in &changes.returned {
        tracing::info!(%tenant, mailbox = %mailbox.address, "a mailbox came back");
    }
    for rename in &changes.renamed {
        let (from, to) = (&rename.from, &rename.mailbox.address);
        tracing::info!(%tenant, %from, %to, "a mailbox has another address");
    }
    for mailbox in &changes.gone {
        tracing::warn!(%tenant, mailbox = %mailbox.address, "a mailbox is gone; its backups stay");
    }
}
