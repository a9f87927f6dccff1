//! What the rest of Mailkeep relies on, by subject; on SQLite, and on PostgreSQL when
//! `MAILKEEP_TEST_POSTGRES` holds the URL of a database in which schemas may be created.

// Clippy lets only functions marked as tests unwrap, not their helpers.
#![allow(clippy::unwrap_used)]

mod alerts;
mod canaries;
mod catch_up;
mod common;
mod comparisons;
mod database;
mod decisions;
mod records;
mod remedies;
mod rounds;
mod tenants;
mod watch;
