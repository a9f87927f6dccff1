//! What the stories, and the measurements of `cargo xtask`, have in common: programs to run, a
//! lab to talk to, mail to begin with, and readers that share no code with Mailkeep.
//!
//! Everything in here ends the story with a full account when it does not work.

// Every story is a program of its own and uses a part of this.
#![allow(dead_code, unused_imports)]

mod administrator;
mod disk;
mod fault;
mod lab;
mod mail;
mod outside;
mod process;
mod state;
mod world;

pub(crate) use administrator::Administrator;
pub(crate) use disk::{ReadOnly, SmallDisk};
pub(crate) use fault::{Costs, Fault, Ours, Scene, faults_of_backup, faults_of_restore};
pub(crate) use lab::Lab;
pub(crate) use mail::MailTree;
pub(crate) use outside::{Comparison, Form, Repository, compare, python, shared_data, testdata};
pub(crate) use process::{Background, Mailkeep, Run, Watched, run, wait_until};
pub(crate) use state::{State, copies};
pub(crate) use world::{READER_ROLES, RESTORER_ROLES, World, size_of};

/// Settings of a mailbox in which nobody set anything: its own, and six categories.
pub(crate) const SETTINGS: usize = 7;

/// A directory that is gone at the end.
pub(crate) fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for temporary files")
}

/// A number that the caller gave in the environment, for longer or other runs.
pub(crate) fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{variable}={text}: {e}")))
}
