//! What happens to mail between two mailboxes of a tenant.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

/// How mail of a tenant flows, as its administrator, or whoever acts as one, has set it.
#[derive(Debug, Default)]
pub(crate) struct MailFlow(RwLock<FlowSettings>);

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct FlowSettings {
    /// Senders whose mail is taken and goes nowhere, as that of restricted ones does; lower case.
    pub(crate) blocked_senders: BTreeSet<String>,
    /// Mail is sealed on its way: nobody reads it without a licence (Office Message Encryption).
    pub(crate) sealed: bool,
}

impl MailFlow {
    pub(crate) fn settings(&self) -> FlowSettings {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, mut settings: FlowSettings) {
        let lower = settings.blocked_senders.iter().map(|sender| sender.to_lowercase());
        settings.blocked_senders = lower.collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}
