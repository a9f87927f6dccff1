//! The tables, one module each. What the columns mean is said in `migration`.

// sea-orm's derives ask for `pub` items; nothing of this leaves the crate.
#![allow(unreachable_pub)]

pub mod audit;
pub mod directory_user;
pub mod finding;
pub mod folder;
pub mod item;
pub mod mailbox;
pub mod pass;
pub mod skipped;
pub mod snapshot;
pub mod snapshot_mailbox;
pub mod tenant;
pub mod tenant_function;
pub mod traffic;
pub mod verdict;
