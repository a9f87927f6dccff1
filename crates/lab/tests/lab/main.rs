//! The lab from outside: over TLS, with assertions made by other libraries than its own.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used)]

mod admin;
mod delta;
mod reading;
mod schema;
mod seeds;
mod throttling;
mod token;
mod world;
mod writing;
