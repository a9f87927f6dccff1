//! What is to be done with which messages.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use mailkeep_control::{
    AuditEntry, FindingFilter, NewRemedy, Ordered, OrderedBy, RecordedVerdict, RemedyAction,
    RemedyId, RemedySubject,
};
use mailkeep_model::{Address, Function, Home, Mailbox, MailboxId, TenantName};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{
    Service, ServiceError,
    service::{actor, audit_entry},
};

/// How long an order to take a message applies to copies that come later: delivery goes on, and what was
/// delayed on its way arrives within a day, or its sender is told that it does not.
pub(super) const OPEN_FOR: Duration = Duration::days(1);

/// An order to take messages out of mailboxes, or to put them back.
#[derive(Clone, Debug)]
pub struct Order {
    /// Of which tenant.
    pub tenant: TenantName,
    /// What is to be done.
    pub action: RemedyAction,
    /// With which messages.
    pub which: Which,
    /// In which mailboxes.
    pub reach: Reach,
    /// By whose order.
    pub by: OrderedBy,
    /// For what reason, in words; empty when nobody said.
    pub why: String,
    /// When it was given.
    pub at: OffsetDateTime,
}

/// Which messages an order is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// That of a finding: the number that 'mailkeep findings' shows
    /// ([`RecordedVerdict::id`](mailkeep_control::RecordedVerdict::id)).
    Finding(i64),
    /// Those with this `Message-ID`, with its angle brackets.
    MessageId(String),
    /// Those with exactly this `Message-ID`, as their mailbox keeps it: with brackets, or without.
    Message(String),
    /// Those that carry a file with this SHA-256, also within an archive that was unpacked.
    Attachment([u8; 32]),
    /// Those with this link, as it stands there.
    Link(String),
    /// Those that another order was about.
    Remedy(RemedyId),
}

/// In which mailboxes an order is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In all of the tenant's.
    Everywhere,
    /// In this one.
    Mailbox(Address),
    /// In the one that the finding is from, or where the other order was.
    WhereFound,
}

impl Service {
    /// Keeps an order and has it carried out: by this process when it tends remedies, else by the one that
    /// does. The same order given again while the first is open is that one; a rule does not take what a
    /// person has put back.
    ///
    /// # Errors
    /// [`ServiceError::NotRegistered`] without a responder, [`ServiceError::NoFinding`],
    /// [`ServiceError::NoRemedy`], [`ServiceError::NoMailbox`]; [`ServiceError::Refused`] when the order
    /// contradicts itself, or the message has no `Message-ID`.
    pub async fn order_remedy(&self, order: Order) -> Result<RemedyId, ServiceError> {
        let known = self.tenant(&order.tenant).await?;
        let function = Function::Responder;
        if !known.functions.iter().any(|one| one.function == function) {
            return Err(ServiceError::NotRegistered { tenant: order.tenant, function });
        }
        let (subject, mailbox) = self.subject_of(&order).await?;
        let entry = entry(&order, &subject, mailbox.as_ref());
        let open_until = match order.action {
            RemedyAction::Release => order.at,
            RemedyAction::Quarantine | RemedyAction::Remove => order.at + OPEN_FOR,
        };
        let Order { tenant, action, by, why, at: ordered, .. } = order;
        let new = NewRemedy { action, subject, mailbox, by, why, ordered, open_until };
        let outcome = self.control.order_remedy(&tenant, new, entry).await?;
        let id = outcome.id();
        match outcome {
            Ordered::New(_) => tracing::info!(%tenant, remedy = %id, "a remedy was ordered"),
            Ordered::Again(_) => tracing::debug!(%tenant, remedy = %id, "ordered once more"),
            Ordered::Overruled(_) => {
                tracing::info!(%tenant, remedy = %id, "a rule does not take what a person put back");
            }
        }
        self.remedy_ordered.notify_waiters();
        Ok(id)
    }

    /// Who runs this process, as the audit log names people.
    pub fn whoami() -> String {
        actor()
    }

    /// The finding with that number.
    ///
    /// # Errors
    /// [`ServiceError::NoFinding`].
    pub async fn finding(
        &self,
        tenant: &TenantName,
        finding: i64,
    ) -> Result<RecordedVerdict, ServiceError> {
        let filter = FindingFilter { id: Some(finding), ..FindingFilter::default() };
        let found = self.control.findings(tenant, &filter).await?.pop();
        found.ok_or_else(|| ServiceError::NoFinding { tenant: tenant.clone(), finding })
    }

    /// Whether an order is for all mailboxes, also one about another order, which says where that was.
    ///
    /// # Errors
    /// As [`Service::order_remedy`].
    pub async fn is_for_all_mailboxes(&self, order: &Order) -> Result<bool, ServiceError> {
        Ok(self.subject_of(order).await?.1.is_none())
    }

    /// The `Message-ID`s that an order would be about now, and in which mailbox alone.
    pub(super) async fn messages_of(
        &self,
        order: &Order,
    ) -> Result<(Vec<String>, Option<MailboxId>), ServiceError> {
        let (subject, mailbox) = self.subject_of(order).await?;
        let messages = match &subject {
            RemedySubject::Message(message_id) => vec![message_id.clone()],
            part => self.control.messages_with(&order.tenant, part).await?,
        };
        Ok((messages, mailbox))
    }

    /// Which messages an order is about, and in which mailbox alone.
    async fn subject_of(
        &self,
        order: &Order,
    ) -> Result<(RemedySubject, Option<MailboxId>), ServiceError> {
        let tenant = &order.tenant;
        let refused =
            |reason: &str| ServiceError::Refused { tenant: tenant.clone(), reason: reason.into() };
        let (subject, found_in) = match &order.which {
            Which::Finding(finding) => {
                let found = self.finding(tenant, *finding).await?;
                let message_id = found.message_id.ok_or_else(|| {
                    refused("the message of that finding has no Message-ID to find it by")
                })?;
                (RemedySubject::Message(message_id), Some(Some(found.mailbox)))
            }
            Which::MessageId(message_id) => {
                let bare = message_id.trim().trim_start_matches('<').trim_end_matches('>');
                if bare.is_empty() {
                    return Err(refused("a Message-ID is not empty"));
                }
                (RemedySubject::Message(format!("<{bare}>")), None)
            }
            Which::Message(message_id) => (RemedySubject::Message(message_id.clone()), None),
            Which::Attachment(hash) => (RemedySubject::Attachment(HEXLOWER.encode(hash)), None),
            Which::Link(link) => (RemedySubject::Link(link.clone()), None),
            Which::Remedy(remedy) => {
                let (_, known) = self.remedy_of(tenant, *remedy).await?;
                (known.order.subject, Some(known.order.mailbox))
            }
        };
        let mailbox = match (&order.reach, found_in) {
            (Reach::Everywhere, _) => None,
            (Reach::Mailbox(address), _) => Some(self.mailbox_named(tenant, address).await?),
            (Reach::WhereFound, Some(found_in)) => found_in,
            (Reach::WhereFound, None) => {
                return Err(refused("only a finding and another order say where"));
            }
        };
        Ok((subject, mailbox))
    }

    async fn mailbox_named(
        &self,
        tenant: &TenantName,
        address: &Address,
    ) -> Result<MailboxId, ServiceError> {
        let mut all = self.remedied_mailboxes(tenant).await?.into_iter();
        let found = all.find(|mailbox| mailbox.address == *address);
        let missing =
            || ServiceError::NoMailbox { tenant: tenant.clone(), mailbox: address.clone() };
        found.map(|mailbox| mailbox.id).ok_or_else(missing)
    }

    /// All mailboxes of a tenant, backed up or not, as the directory was last read: the responder cannot
    /// list any.
    pub(super) async fn remedied_mailboxes(
        &self,
        tenant: &TenantName,
    ) -> Result<Vec<Mailbox>, ServiceError> {
        let directory = self.control.directory(tenant).await?;
        let here = directory.users().filter(|user| user.home == Home::Here);
        let mut all: BTreeMap<MailboxId, Mailbox> =
            here.map(|user| (user.mailbox.id.clone(), user.mailbox.clone())).collect();
        for known in self.control.mailboxes(tenant).await? {
            if known.gone_since.is_none() {
                all.insert(known.mailbox.id.clone(), known.mailbox);
            }
        }
        Ok(all.into_values().collect())
    }

    pub(super) async fn remedy_of(
        &self,
        tenant: &TenantName,
        remedy: RemedyId,
    ) -> Result<(TenantName, mailkeep_control::StoredRemedy), ServiceError> {
        let found = self.control.remedy(remedy).await?;
        found.filter(|(of, _)| of == tenant).ok_or(ServiceError::NoRemedy { remedy })
    }
}

/// The entry in the audit log. A rule acts in its own name.
fn entry(order: &Order, subject: &RemedySubject, mailbox: Option<&MailboxId>) -> AuditEntry {
    let details = json!({
        subject.kind(): subject.text(),
        "mailbox": mailbox,
        "why": order.why,
        "rule": matches!(order.by, OrderedBy::Rule(_)),
    });
    let action = format!("remedy.{}", order.action.as_str());
    let entry = audit_entry(&order.tenant, &action, details);
    AuditEntry { actor: order.by.to_string(), time: order.at, ..entry }
}
