//! `cargo xtask soak`: the long forms of what the tests do briefly.

use std::fs;

use anyhow::{Context, Result};

use crate::{
    fuzz, tools,
    workspace::{cargo, step, target},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Backups that are killed, in every run of the story
    #[arg(long, default_value_t = 20, value_name = "N")]
    kills: u64,
    /// Restores that are killed, in every run of the story
    #[arg(long, default_value_t = 8, value_name = "N")]
    restore_kills: u64,
    /// Changes of the keys of 40 tenants that are killed, in every run of the story
    #[arg(long, default_value_t = 50, value_name = "N")]
    rekey_kills: u64,
    /// Combinations of three faults, in every run of the story
    #[arg(long, default_value_t = 60, value_name = "N")]
    faults: u64,
    /// Runs of the story, each with other moments
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: u64,
    /// The moments of the first run follow from this number, those of the next from the next
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Random histories of mailboxes; 0 leaves them out
    #[arg(long, default_value_t = 1000, value_name = "N")]
    histories: u64,
    /// The number that the first of them follows from. The tests play those before 1000
    #[arg(long, default_value_t = 1000, value_name = "N")]
    first_history: u64,
    /// Mixes of legitimate and rogue uses of keys; 0 leaves them out
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    mixes: u64,
    /// How long every parser is fed with garbage; 0 leaves that out
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    fuzz_seconds: u32,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    tools::for_tests()?;
    for seed in options.seed..options.seed + options.runs {
        println!(
            "\nkilling {} backups and {} restores, moments from seed {seed}",
            options.kills, options.restore_kills
        );
        // Not through nextest: it ends what takes long.
        let mut kill =
            cargo(&["test", "--package", "mailkeep", "--test", "kill", "--", "--nocapture"]);
        kill.env("MAILKEEP_KILLS", options.kills.to_string());
        kill.env("MAILKEEP_RESTORE_KILLS", options.restore_kills.to_string());
        kill.env("MAILKEEP_KILL_SEED", seed.to_string());
        step(&mut kill)?;
        println!("\nkilling {} changes of the keys of many tenants", options.rekey_kills);
        let mut rekey =
            cargo(&["test", "--package", "mailkeep", "--test", "rekey", "--", "--nocapture"]);
        rekey.env("MAILKEEP_REKEY_KILLS", options.rekey_kills.to_string());
        rekey.env("MAILKEEP_KILL_SEED", seed.to_string());
        step(&mut rekey)?;
        println!("\n{} times three faults, chosen from seed {seed}", options.faults);
        let mut faults =
            cargo(&["test", "--package", "mailkeep", "--test", "faults", "--", "--nocapture"]);
        faults.env("MAILKEEP_FAULTS", options.faults.to_string());
        faults.env("MAILKEEP_FAULT_SEED", seed.to_string());
        step(&mut faults)?;
    }
    let outcome = mixes(options).and(histories(options));
    match options.fuzz_seconds {
        0 => outcome,
        seconds => outcome.and(fuzz::run_all(seconds)),
    }
}

/// Mixes uses of keys, and says what came of them.
fn mixes(options: &Options) -> Result<()> {
    if options.mixes == 0 {
        return Ok(());
    }
    println!("\n{} mixes of legitimate and rogue uses of keys", options.mixes);
    // Nothing but arithmetic: optimised, it takes a tenth of the time.
    let test = ["test", "--release", "--package", "mailkeep-sentry", "--test", "mixes"];
    let mut mix = cargo(&test);
    mix.args(["--", "--nocapture"]);
    mix.env("MAILKEEP_MIXES", options.mixes.to_string());
    step(&mut mix).map(drop)
}

/// Plays histories until all have been played, and says which of them failed.
fn histories(options: &Options) -> Result<()> {
    if options.histories == 0 {
        return Ok(());
    }
    let first = options.first_history;
    println!("\nplaying {} histories, from number {first} on", options.histories);
    let file = target().join("failed-histories");
    fs::write(&file, "").with_context(|| file.display().to_string())?;
    // Two shares at a time: each keeps a core busy, and holds memory for its vaults.
    let test = ["test", "--package", "mailkeep-service", "--test", "histories"];
    let mut play = cargo(&test);
    play.args(["--", "--nocapture", "--test-threads", "2"]);
    play.env("MAILKEEP_HISTORIES", options.histories.to_string());
    play.env("MAILKEEP_FIRST_HISTORY", first.to_string());
    play.env("MAILKEEP_FAILED_HISTORIES", &file);
    let outcome = step(&mut play);
    let failed = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    for seed in failed.lines() {
        println!("failed: MAILKEEP_HISTORY_SEED={seed}");
    }
    outcome.map(drop)
}
