//! `cargo xtask interop`: other people's clients against the lab, and the table of what we ask of
//! Graph: whether the documentation's examples of answers are understood, whether the tests send it,
//! and whether what they send is what Graph's schema and addresses allow.

mod body;
mod examples;
mod journal;
mod operations;
mod query;
mod resource;
mod schema;
mod table;
mod templates;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{
    story, tools,
    workspace::{cargo, step, target},
};

/// The tests that need the clients, those that send most of what we send, and those that read the
/// examples.
const TESTS: &str = "binary(interop) | package(mailkeep-exchange)";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install nothing and run nothing: print the table of the last run again
    #[arg(long)]
    report: bool,
}

/// Where a run of the tests writes down what was sent and what was read.
pub(crate) struct Recording {
    directory: PathBuf,
}

impl Recording {
    /// A new one: nothing of an earlier run is in it.
    pub(crate) fn begin() -> Result<Self> {
        let Self { directory } = Self::last();
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
        }
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// That of the run before.
    fn last() -> Self {
        Self { directory: target().join("interop/recorded") }
    }

    /// Makes the tests that a command runs write into it.
    pub(crate) fn of(&self, command: &mut Command) {
        command.env("MAILKEEP_LAB_JOURNAL", self.directory.join("sent"));
        command.env("MAILKEEP_EXAMPLES_READ", self.directory.join("read"));
    }

    /// Prints the table; an error when something in it is missing.
    pub(crate) fn report(&self) -> Result<()> {
        let Some(data) = story::shared_data() else {
            println!("\nno table of operations, because the reference data is not here");
            return Ok(());
        };
        let graph = data.join("graph");
        let schema = schema::Schema::read(&graph.join("v1.0-subset.json"))?;
        let templates = templates::Templates::read(&graph.join("url-templates.json"))?;
        let sent = journal::read(&self.directory.join("sent"), &schema, &templates)?;
        let examples = examples::Examples::read(&graph, &self.directory.join("read"))?;
        table::print(&sent, &examples)
    }
}

/// Runs the clients and the tests of what we send ourselves.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.report {
        return Recording::last().report().map(|()| ExitCode::SUCCESS);
    }
    tools::for_interop()?;
    let recording = Recording::begin()?;
    // The whole workspace, as `cargo xtask test` has it: with other features everything would be
    // compiled again.
    let mut nextest = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
    nextest.args(["--filterset", TESTS]);
    recording.of(&mut nextest);
    let outcome = step(&mut nextest).map(drop).and(recording.report());
    if let Err(error) = &outcome {
        println!("\nerror: {error:#}");
    }
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
