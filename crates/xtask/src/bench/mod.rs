//! `cargo xtask bench`: measurements, each with the figures that the design promises.

mod backup;
mod build;
mod incremental;
mod inspect;
mod measure;
mod memory;
mod provider;
mod reconcile;
mod rekey;
mod remedy;
mod report;
mod restore;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{
    story::{Mailkeep, testdata},
    workspace::{cargo, step, target},
};

#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// The first backup of real mailboxes through the provider, beside restic on the same
    /// messages as local files
    Backup(backup::Options),
    /// The second backup, after the same changes of a small and of a large mailbox
    Incremental(Record),
    /// What inspection finds in labelled mail, what it flags without reason, and how fast it is
    Inspect(inspect::Options),
    /// The release build from nothing
    Build(Record),
    /// A restore at a provider 30 ms away, and one item out of the vault
    Restore(restore::Options),
    /// A large mailbox at a provider 30 ms away, and beside Microsoft's client library for Python
    Provider(provider::Options),
    /// Fresh keys for a tenth of 36,000 tenants, while their mailboxes are read
    Rekey(rekey::Options),
    /// From a colleague's send of bad mail to quarantined in all mailboxes
    Remedy(remedy::Options),
    /// Many tenants held against one ledger of a million records
    Reconcile(reconcile::Options),
    /// The service's memory with real mailboxes and one message of 150 MB
    Memory(memory::Options),
}

#[derive(clap::Args)]
pub(crate) struct Record {
    /// Append the figures to docs/benchmarks.md
    #[arg(long)]
    record: bool,
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Backup(options) => backup::run(options),
        Bench::Incremental(record) => incremental::run(record),
        Bench::Inspect(options) => inspect::run(options),
        Bench::Build(record) => build::run(record),
        Bench::Restore(options) => restore::run(options),
        Bench::Provider(options) => provider::run(options),
        Bench::Rekey(options) => rekey::run(options),
        Bench::Remedy(options) => remedy::run(options),
        Bench::Reconcile(options) => reconcile::run(options),
        Bench::Memory(options) => memory::run(options),
    }
}

/// The program as people get it.
fn release_build() -> Result<PathBuf> {
    step(&mut cargo(&["build", "--release", "--package", "mailkeep"]))?;
    Ok(target().join("release/mailkeep"))
}

/// A new directory on the disk that builds are on, gone at the end.
fn workplace() -> Result<tempfile::TempDir> {
    let above = target().join("bench");
    std::fs::create_dir_all(&above).with_context(|| above.display().to_string())?;
    tempfile::tempdir_in(&above).with_context(|| above.display().to_string())
}

/// The mail that was named, or the real mailboxes.
fn mail(named: Option<&PathBuf>) -> Result<PathBuf> {
    let found = match named {
        Some(named) => Some(std::path::absolute(named)?).filter(|path| path.exists()),
        None => testdata("mailboxes"),
    };
    found.context("there is no mail: name a directory PERSON/FOLDER.mbox with --mail")
}

/// One whole demo, which is one first backup.
fn demo(mailkeep: &Mailkeep, mail: &Path) -> crate::story::Run {
    mailkeep.json(&["demo", "--once", "--mail", &mail.to_string_lossy()]).ok()
}
