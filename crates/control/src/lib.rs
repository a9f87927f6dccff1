//! State: what Mailkeep knows about tenants, mailboxes, the catalog of the vault, findings,
//! traffic and who did what. Embedded SQLite; the same code is meant for PostgreSQL.
//!
//! # Vocabulary
//!
//! - [`Control`] is the open database. It is cheap to clone; all clones share one writer.
//! - The *catalog* says, for every item of the vault's newest committed snapshot (the *head*),
//!   where it lies there and what it looked like. It can be rebuilt from the vault.
//! - A *round* is one snapshot of a tenant. [`Control::commit_round`] moves the head, the catalog
//!   and the cursors together, in one transaction, after the snapshot is durable: the cursor
//!   moves last.
//! - *Catching up* ([`Control::catch_up`]) applies what a snapshot changed when a crash fell
//!   between "snapshot written" and "round committed". Cursors stay, so the changes are read
//!   again and found to be known. *Rebuilding* ([`Control::start_rebuild`]) does it from nothing
//!   and forgets the cursors.
//! - A tenant's *directory* is kept as the provider last told of it, with the cursor of its
//!   changes; its *selection* says which of the mailboxes in it are backed up.
//! - A *skipped item* is one that could not be read or stored; the next pass tries it again.
//! - A *key state* is what is known of a key of ours at the provider; *log records* are what its logs
//!   said of us; an *incident* is what somebody did as us.
//! - A *destination* is somebody whom alerts are told to; a *delivery* waits until it arrived there. Alerts
//!   name what they are about by a *subject*; somebody who looks after it *acknowledges* it.
//! - A *canary* is a message of ours that has to come through the backup; a tenant's *plan* says how often
//!   one is sent. Of its mark only a hash is kept: whoever reads this database cannot make one.
//! - A *remedy* is an order to take messages out of mailboxes or to put them back; a *copy* is such a message
//!   in one mailbox, with where it lay and where it is.
//! - A *decision* is what the policy said of a message; those that people are told of as one are an
//!   *episode*.
//! - A *pass* is one run over a tenant's mailboxes; it may write several snapshots, or none.
//!
//! # Time
//!
//! Every instant is stored as a 64-bit count of microseconds since 1970-01-01T00:00Z (UTC): the
//! same bytes, order and arithmetic on SQLite, which has no time type, and on PostgreSQL. What is
//! finer than a microsecond is cut off. Traffic is counted in whole minutes since that moment.
//!
//! # Durability
//!
//! SQLite runs in WAL mode with `synchronous=FULL`. `NORMAL` would not corrupt anything, but may
//! lose the last commits in a power failure; a lost round is repaired by catching up, a lost
//! audit entry or verdict is not. The price is one fsync per transaction, and transactions are few.
//!
//! No secret is stored here, and evidence arrives already masked.

mod alerts;
mod audit;
mod canaries;
mod catalog;
mod catch_up;
mod changes;
mod comparisons;
mod convert;
mod decisions;
mod directory;
mod entity;
mod error;
mod findings;
mod fleet;
mod habits;
mod incidents;
mod key_states;
mod keys;
mod load_problems;
mod log_records;
mod mailboxes;
mod migration;
mod passes;
mod remedies;
mod rounds;
mod setups;
mod skipped;
mod snapshots;
mod store;
mod tenants;
mod traffic;
mod verdicts;
mod witnesses;

pub use alerts::{
    Acknowledgement, AlertDestination, Attempt, NewAlertDestination, QueuedDelivery, Telling,
};
pub use audit::{AuditEntry, AuditFilter};
pub use canaries::{BegunCanary, CanaryEnd, CanarySeen, NewCanary, StoredCanary};
pub use catalog::{CatalogItem, InspectionCount};
pub use catch_up::{CatchUp, Rebuild, RebuiltSnapshot, SnapshotChanges};
pub use changes::MailboxChanges;
pub use decisions::{DecisionFilter, NewDecision, StoredDecision};
pub use error::ControlError;
pub use findings::{FindingCounts, FindingFilter, RecordedVerdict};
pub use fleet::StoredFleetOrder;
pub use incidents::{FoundIncident, Recorded, StoredIncident, incident_subject};
pub use key_states::StoredKeyState;
pub use load_problems::StoredLoadProblem;
pub use log_records::LogRecord;
pub use mailboxes::{
    Comparison, Completeness, Departure, KnownMailbox, MailboxMerge, MailboxRename, SyncState,
};
pub use passes::{Pass, PassCounts, PassId, PassOutcome};
pub use remedies::{
    CopyState, CopyStep, FoundCopy, NewRemedy, Ordered, OrderedBy, RemedyAction, RemedyId,
    RemedySubject, StoredCopy, StoredRemedy, Unsearched,
};
pub use rounds::{CursorMove, MailboxCommit, RoundCommit};
pub use skipped::{Skip, SkippedItem};
pub use snapshots::{NewSnapshot, SnapshotMailbox, SnapshotOutcome, SnapshotRecord};
pub use store::Control;
pub use tenants::{NewTenant, Tenant, TenantFunction};
pub use verdicts::InspectedItem;
