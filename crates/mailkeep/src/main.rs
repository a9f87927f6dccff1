//! Mailkeep, the command line: arguments, configuration, wiring. No logic.

mod cli;
mod commands;
mod config;
mod exit;
mod output;
mod progress;
mod rules;
mod transport;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let output = output::Output::new(cli.global.json, cli.global.quiet);
    commands::run(cli, &output)
}
