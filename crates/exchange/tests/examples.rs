//! The documentation's examples of answers are understood: each is read by the code that reads the
//! service's answers, and what comes of it is compared, property by property, with the example itself.
//!
//! The examples lie with the reference data and are never copied: nothing here knows what is in them.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod common;
#[path = "examples/directory.rs"]
mod directory;
#[path = "examples/example.rs"]
mod example;
#[path = "examples/mail.rs"]
mod mail;
#[path = "examples/outlook.rs"]
mod outlook;
#[path = "examples/settings.rs"]
mod settings;
#[path = "examples/streams.rs"]
mod streams;
#[path = "examples/world.rs"]
mod world;
#[path = "examples/writing.rs"]
mod writing;
