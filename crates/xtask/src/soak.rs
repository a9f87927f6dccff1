//! `cargo xtask soak`: the long forms of what the tests do briefly.

use anyhow::Result;

use crate::{
    fuzz, tools,
    workspace::{cargo, step},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Backups that are killed, in every run of the story
    #[arg(long, default_value_t = 60, value_name = "N")]
    kills: u64,
    /// Runs of the story, each with other moments
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: u64,
    /// The moments of the first run follow from this number, those of the next from the next
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How long every parser is fed with garbage; 0 leaves that out
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    fuzz_seconds: u32,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    tools::for_tests()?;
    for seed in options.seed..options.seed + options.runs {
        println!("\nkilling {} backups, moments from seed {seed}", options.kills);
        // Not through nextest: it ends what takes long.
        let mut kill =
            cargo(&["test", "--package", "mailkeep", "--test", "kill", "--", "--nocapture"]);
        kill.env("MAILKEEP_KILLS", options.kills.to_string());
        kill.env("MAILKEEP_KILL_SEED", seed.to_string());
        step(&mut kill)?;
    }
    match options.fuzz_seconds {
        0 => Ok(()),
        seconds => fuzz::run_all(seconds),
    }
}
