//! Alerts: what happened reaches people where they look.
//!
//! # Vocabulary
//!
//! - An [`Alert`] is what people are told about, as it stands now. Incidents are made into alerts;
//!   what else is to be told is made into one in `Service::alerts_now`, and nothing else changes.
//! - A *destination* is somebody whom alerts are told to: a webhook, a relay for mail, a command. Its
//!   [`Target`], where exactly it is, is a secret and lies with the signer; its [`Rule`] says what of
//!   all alerts it is told, and how often.
//! - [`due`] says what a destination is to be told now. It is a pure function: who asks it twice
//!   before something changed is told nothing the second time.
//! - A *delivery* waits in `control` until it arrived. Deliveries of one destination go in order, one
//!   at a time; those of others do not wait for it. One that may have arrived is sent again, with the
//!   same id.
//!
//! What is to be told and that it was told is written down together, before anything is sent: a crash
//! anywhere says something twice, and forgets nothing.

mod alert;
mod deliver;
mod destination;
mod manage;
mod policy;
mod schedule;
mod send;
mod shapes;

pub(crate) use alert::at;
pub use alert::{Alert, AlertEvent, AlertMessage};
pub use deliver::Delivered;
pub use destination::{DestinationName, RelayTls, Shape, Target};
pub use manage::Destination;
pub use schedule::{Due, Repeat, Rule, Told, due};
