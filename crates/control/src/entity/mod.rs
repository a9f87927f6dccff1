//! The tables, one module each. What the columns mean is said in `migration`.

// sea-orm's derives ask for `pub` items; nothing of this leaves the crate.
#![allow(unreachable_pub)]

pub mod alert_acknowledgement;
pub mod alert_delivery;
pub mod alert_destination;
pub mod alert_told;
pub mod audit;
pub mod canary;
pub mod canary_plan;
pub mod decision;
pub mod directory_user;
pub mod finding;
pub mod fleet_order;
pub mod folder;
pub mod habits;
pub mod incident;
pub mod item;
pub mod key_state;
pub mod load_problem;
pub mod log_record;
pub mod mailbox;
pub mod message_part;
pub mod pass;
pub mod remedy;
pub mod remedy_copy;
pub mod remedy_message;
pub mod remedy_reach;
pub mod rotation_failure;
pub mod rotation_order;
pub mod setup;
pub mod skipped;
pub mod snapshot;
pub mod snapshot_mailbox;
pub mod tenant;
pub mod tenant_function;
pub mod traffic;
pub mod verdict;
pub mod watch;
pub mod witness;
