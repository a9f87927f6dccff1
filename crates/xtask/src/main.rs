//! Development tasks: `cargo xtask test | interop | bench | soak | fuzz`.

// A task talks to the person who started it.
#![allow(clippy::print_stdout)]

mod bench;
mod counts;
mod fuzz;
mod interop;
mod postgres;
mod soak;
#[path = "../../../tests/story/mod.rs"]
mod story;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Development tasks of Mailkeep
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Check everything that a change must not break; ends with the counts
    Test(test::Options),
    /// Let other people's clients work with the lab, and check what we ask of Graph ourselves
    Interop(interop::Options),
    /// Measure, and on request write the figures down in docs/benchmarks.md
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Long runs of what the tests do briefly: kills by the dozen, fuzzing of every parser
    Soak(soak::Options),
    /// Feed a parser, or all of them, with garbage until it breaks; alone, list the parsers
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test(options) => test::run(&options),
        Task::Interop(options) => interop::run(&options),
        Task::Bench(bench) => bench::run(&bench).map(succeeded),
        Task::Soak(options) => soak::run(&options).map(succeeded),
        Task::Fuzz(options) => fuzz::run(&options).map(succeeded),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn succeeded((): ()) -> ExitCode {
    ExitCode::SUCCESS
}
