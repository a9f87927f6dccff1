//! The lab from outside: over TLS, with assertions made by other libraries than its own.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used)]

mod admin;
mod attachments;
mod calendars;
mod contacts;
mod credentials;
mod delta;
mod directory;
mod event_uploads;
mod faults;
mod mailbox;
mod reading;
mod restoring;
mod schema;
mod seeds;
mod throttling;
mod token;
mod world;
mod writing;
