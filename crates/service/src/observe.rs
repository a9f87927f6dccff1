use mailkeep_model::Address;

use crate::RestoredItem;

/// What happens while something runs, for whoever shows it to a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// So many mailboxes will be read.
    Mailboxes {
        /// How many.
        count: usize,
    },
    /// A mailbox's pass has begun.
    MailboxStarted {
        /// Whose.
        mailbox: Address,
    },
    /// The content of a message has arrived.
    Fetched {
        /// Whose.
        mailbox: Address,
        /// Its length.
        bytes: u64,
    },
    /// An item could not be read; it is tried again in the next pass.
    Missed {
        /// Whose.
        mailbox: Address,
        /// Why.
        error: String,
    },
    /// A mailbox was read to its end.
    MailboxRead {
        /// Whose.
        mailbox: Address,
    },
    /// A mailbox could not be read to its end.
    MailboxFailed {
        /// Whose.
        mailbox: Address,
        /// Why.
        error: String,
    },
    /// A round is being written to the vault.
    RoundStarted {
        /// Items in it.
        items: usize,
    },
    /// A round is durable.
    RoundWritten {
        /// The snapshot that holds it.
        snapshot: String,
    },
    /// A restore waits until somebody registers its key's certificate at the provider.
    KeyToRegister {
        /// With which application.
        client_id: String,
        /// The certificate.
        certificate_pem: String,
        /// Its SHA-256 thumbprint, in hex.
        thumbprint: String,
    },
    /// The provider accepts the restore's key.
    KeyAccepted,
    /// So many items will be restored.
    Restoring {
        /// How many.
        items: usize,
    },
    /// An item was worked on by a restore.
    Restored {
        /// What became of it.
        item: RestoredItem,
    },
}

/// Is told what happens; must not block.
pub trait Observer: Send + Sync + 'static {
    /// Called for each event, from any thread.
    fn on_event(&self, event: &Event);
}

/// Nobody watches.
pub struct Unobserved;

impl Observer for Unobserved {
    fn on_event(&self, _: &Event) {}
}
