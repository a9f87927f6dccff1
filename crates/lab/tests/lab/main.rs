//! The lab from outside: over TLS, with assertions made by other libraries than its own.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used)]

mod access;
mod admin;
mod attachments;
mod bad;
mod batches;
mod calendars;
mod contacts;
mod credentials;
mod delta;
mod directory;
mod event_uploads;
mod exchange;
mod exchange_admin;
mod faults;
mod kinds;
mod listener;
mod logs;
mod mailbox;
mod many;
mod outlook;
mod people;
mod reading;
mod restoring;
mod schema;
mod seeds;
mod sending;
mod subscriptions;
mod throttling;
mod todo;
mod token;
mod views;
mod world;
mod writing;
