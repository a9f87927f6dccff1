//! What runs: the pipeline that reads mailboxes, and what people ask for around it.
//!
//! # Vocabulary
//!
//! - A *pass* reads what changed in a tenant's mailboxes once; [`Service::backup`] runs one.
//!   `serve` runs them one after another.
//! - Which mailboxes a pass reads is *discovered* in the provider's directory, as far as the tenant's
//!   selection goes; one that is *gone* keeps its backups.
//! - A *round* is what the vault stores at once, as one snapshot. A pass writes one or several.
//! - The *spool* holds content between the provider and the vault, encrypted and bounded.
//! - A *missed* item could not be read or stored in this pass. It is reported, and tried again in
//!   the next; it never fails its mailbox.
//! - A *restore* brings back what the vault holds; [`Service::restore`] runs one, with a key that
//!   exists only while it runs.
//! - An *alert* tells people what happened, wherever they look; deliveries wait until they arrived.
//! - A *canary* is a message of ours through the tenant that has to be backed up and inspected in time.
//! - A *remedy* takes a message out of all mailboxes that it got into, or puts it back: [`remedy`].
//! - A *policy* says what follows from a verdict; it and what else inspection is given from files is
//!   [`Protection`], read again when it changes.
//! - The *lease* lets one pass at a time write to a tenant's vault.
//!
//! # The order of things
//!
//! A change is read from the provider once; the same bytes go to the inspector, the traffic counts
//! and the vault. Verdicts are recorded at once; the cursor moves last, when the content is
//! durable in the vault: a crash anywhere repeats work and loses none.

mod alerts;
mod bucket;
mod canary;
mod catch_up;
mod certificates;
mod check;
mod data;
mod discovery;
mod error;
mod import;
mod lost_signer;
mod notify;
mod observe;
mod pass;
mod pipeline;
mod program;
mod protect;
mod recover;
mod reinspect;
pub mod remedy;
mod restore;
mod rights;
mod rotate;
mod service;
mod setup;
mod spool;
mod tenants;
mod watch;
mod witness;

pub use alerts::{
    Alert, AlertEvent, AlertMessage, Delivered, Destination, DestinationName, Due, RelayTls,
    Repeat, Rule, Shape, Target, Told, due,
};
pub use bucket::Bucket;
pub use canary::{CanaryOutcome, CanaryPlan, CanaryReport};
pub use certificates::{CertificateRequest, Expiry, Installed, expiry};
pub use check::{Check, Outcome};
pub use data::DataDirectory;
pub use discovery::Discovered;
pub use error::{ErrorKind, ServiceError};
pub use import::Imported;
pub use lost_signer::{RecoveredFunction, Recovery, SignerOf, Succession};
pub use notify::{HintTiming, NotificationCounts, Notifications, NotifyOptions, Tended};
pub use observe::{Event, Observer, Unobserved};
pub use pass::{MailboxFailure, MissedItem, PassLimits, PassReport};
pub use protect::{
    ClamAddress, ClamAv, ClamError, For, Held, LoadProblem, Loaded, Look, Piece, ProtectOptions,
    Protection, RuleEngine, RuleScanner, ScannedMessage, TenantFiles,
};
pub use recover::{Located, View};
pub use restore::{
    OnConflict, RestoreLimits, RestoreOutcome, RestoreReport, RestoreRequest, RestoreStop,
    RestoreTarget, RestoreWhat, RestoredItem,
};
pub use rights::{
    Needs, Right, auditor_rights, reader_rights, restorer_rights, rights, steward_rights,
};
pub use rotate::{
    FleetChange, FleetOrder, FleetWhose, KeyFailure, KeyTending, Left, OrderedFleet, Purged,
    Revocation, Rotation, Step, StepKind,
};
pub use service::Service;
pub use setup::{Asked, Bundle, BundleFile};
pub use tenants::{Connection, Registration};
pub use watch::{
    Acceptance, ExchangeLook, Forgotten, LedgerRead, LogName, LogOutcome, LogRead, Looked,
    Reconciled, Watch, WatchPace, Watched,
};
pub use witness::{Witness, WitnessWay, Witnessed};
