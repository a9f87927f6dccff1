//! The watch over ourselves: finds every use of our keys that is not ours, and says what it reached.
//!
//! # Vocabulary
//!
//! - A *use* of a key is an assertion that the signer signed ([`Use`]): the ledger has it before
//!   anybody can use it. What a worker did with it stands in its receipts; [`join_uses`] joins both.
//! - The *journal* has every request that a job makes, before it goes out ([`Journal`]).
//! - *Records* are what the provider's logs say ([`Records`]): sign-ins, requests, reads of mail.
//! - [`reconcile`] holds the one against the other. What is not ours becomes an [`Incident`]; what
//!   nobody can be named for is *unattributed*, and never ours.
//! - A time is *seen* when its log was complete, and else *blind* ([`LogSource`], [`SeenTimes`]).
//! - The [`blast_radius`] of a theft says which messages were read, and for every moment whether
//!   that is known.
//! - The [`posture`] of a tenant is what it has of ours against what we expect; where they differ is a
//!   [`Deviation`].
//! - A *canary* is a message of ours that has to come through the backup in time; its way has *legs*
//!   ([`Leg`]), and [`standing`] says on which it failed.
//!
//! Everything in here is a pure function of what it is given; what time it is, is given, too.

mod accesses;
mod blast;
mod canary;
mod contradiction;
mod coverage;
mod damage;
mod exchange_changes;
mod exchange_configuration;
mod incident;
mod kind;
mod names;
mod ours;
mod posture;
mod reconcile;
pub mod report;
mod signins;
mod span;
mod suspicion;
mod tokens;
mod uses;

pub use accesses::Accessor;
pub use blast::{BlastRadius, MailboxReach, State, Stretch, blast_radius};
pub use canary::{
    Arrival, Leg, MissedCanary, Passage, Removal, Sent, Standing, canary_incident_key, standing,
};
pub use contradiction::Contradiction;
pub use coverage::{LogSource, Settle};
pub use damage::{Damage, OwnRecord};
pub use exchange_changes::exchange_incidents;
pub use exchange_configuration::{ExchangeDifference, Sight, exchange_differences};
pub use incident::{Evidence, Incident, MOST_EVIDENCE, Source};
pub use kind::{IncidentKind, Severity};
pub use names::under_our_names;
pub use ours::{Call, CallAbout, Journal, OurApplication, OurKey, Ours};
pub use posture::{
    Accepted, Deviation, DeviationKind, Expected, ExpectedApplication, ExpectedKey, Found,
    KeyPlace, Lock, Posture, posture,
};
pub use reconcile::{Logs, Reconciliation, Records, SeenTimes, Settings, reconcile};
pub use signins::{Join, RogueToken, Whose};
pub use span::{Span, Spans};
pub use tokens::{TokenReach, TokenRead};
pub use uses::{Outcome, TokenRequest, Use, join_uses};
