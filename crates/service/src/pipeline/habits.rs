//! What mailboxes are used to: read once a pass, departed from and learned message by message, and
//! written with the round that makes the messages durable. So a crash learns nothing twice: what was
//! not committed is read, and learned, again.

use std::sync::{Arc, Mutex};

use mailkeep_control::Control;
use mailkeep_inspect::{Habits, RuleRead, Sent};
use mailkeep_model::{Folder, Item, ItemKind, MailboxId, TenantName, WellKnownFolder};
use serde_json::Value;
use time::OffsetDateTime;

use crate::ServiceError;

/// What an item says of its mailbox's habits.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Nothing,
    /// The mailbox sent it.
    Sent(Box<Sent>),
    /// A rule of the mailbox.
    Rule(RuleRead),
}

impl Says {
    pub(super) fn teach(&self, habits: &mut Habits, now: OffsetDateTime) {
        match self {
            Self::Nothing => {}
            Self::Sent(sent) => habits.learn(sent),
            Self::Rule(rule) => habits.see_rule(rule, now),
        }
    }
}

/// A message on its way out of its mailbox, as the provider tells of it.
pub(crate) struct Sending {
    /// Those of the mailbox, this pass included.
    pub(super) habits: Arc<Mutex<Habits>>,
    pub(super) at: OffsetDateTime,
    pub(super) recipients: Vec<String>,
}

impl Sending {
    /// `None` of what the mailbox did not send.
    pub(super) fn of(item: &Item, folders: &[Folder], habits: &Arc<Mutex<Habits>>) -> Option<Self> {
        let folder = folders.iter().find(|folder| folder.id == item.folder)?;
        let is_sent = folder.well_known == Some(WellKnownFolder::SentItems);
        (is_sent && item.kind == ItemKind::Message && !item.draft).then(|| Self {
            habits: Arc::clone(habits),
            at: item.sent.unwrap_or(item.received),
            recipients: item.recipients.clone(),
        })
    }
}

/// What `control` knows of a mailbox's habits; of one that it knows nothing of, they begin now.
pub(super) async fn known(
    control: &Control,
    tenant: &TenantName,
    mailbox: &MailboxId,
    now: OffsetDateTime,
) -> Result<Habits, ServiceError> {
    let Some(stored) = control.habits(tenant, mailbox).await? else { return Ok(Habits::new(now)) };
    Ok(serde_json::from_value(stored).unwrap_or_else(|error| {
        tracing::warn!(mailbox = mailbox.0, %error, "a mailbox's habits are learned anew");
        Habits::new(now)
    }))
}

/// As it is stored.
pub(super) fn stored(habits: &Habits) -> Value {
    serde_json::to_value(habits).expect("habits are plain data with keys that are numbers")
}
