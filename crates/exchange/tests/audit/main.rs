//! What the rest of Mailkeep relies on when it reads the provider's logs and registrations and changes
//! the latter, seen against the lab with a real signer in between.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod exports;
mod keys;
mod mail;
mod policies;
mod registrations;
mod sign_ins;
mod steward;
mod world;
