//! Random histories of mailboxes: whatever people do, whatever goes wrong, after a quiet pass the
//! vault holds what the mailboxes hold, and every earlier state can be had back.
//!
//! `MAILKEEP_HISTORY_SEED=N` plays one history alone and tells what happens in it.
//! `MAILKEEP_HISTORIES=N` plays so many instead of 30, from `MAILKEEP_FIRST_HISTORY` on; the seeds
//! of those that fail are added to the file `MAILKEEP_FAILED_HISTORIES`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // The helpers are tests, too.

mod common;
#[path = "histories/events.rs"]
mod events;
#[path = "histories/faults.rs"]
mod faults;
#[path = "histories/history.rs"]
mod history;
#[path = "histories/mailbox.rs"]
mod mailbox;
#[path = "histories/operations.rs"]
mod operations;
#[path = "histories/people.rs"]
mod people;
#[path = "histories/random.rs"]
mod random;
#[path = "histories/restored.rs"]
mod restored;
#[path = "histories/restoring.rs"]
mod restoring;
#[path = "histories/stored.rs"]
mod stored;
#[path = "histories/user.rs"]
mod user;

use std::{env, io::Write};

use futures::{StreamExt, stream};
use history::Log;

/// Histories that are played unless the environment says otherwise.
const HISTORIES: u64 = 30;
/// Tests that they are shared out to.
const SHARES: u64 = 6;
/// Histories of one test at the same time: they wait for each other's answers more than they
/// compute. Each holds 134 MB for a moment when it opens its vault.
const AT_ONCE: usize = 3;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

async fn play(share: u64) {
    let seeds: Vec<u64> = match number("MAILKEEP_HISTORY_SEED") {
        Some(_) if share > 0 => {
            return eprintln!("skipped, because one history alone was asked for");
        }
        Some(seed) => vec![seed],
        None => {
            let first = number("MAILKEEP_FIRST_HISTORY").unwrap_or(1);
            let count = number("MAILKEEP_HISTORIES").unwrap_or(HISTORIES);
            (first..first + count).filter(|seed| seed % SHARES == share).collect()
        }
    };
    let (alone, all) = (seeds.len() == 1, seeds.len());
    let mut played = stream::iter(seeds).map(|seed| one(seed, alone)).buffer_unordered(AT_ONCE);
    let (mut failed, mut done) = (Vec::new(), 0);
    while let Some((seed, wrong)) = played.next().await {
        done += 1;
        if !wrong.is_empty() {
            failed.push(seed);
            if let Some(file) = env::var_os("MAILKEEP_FAILED_HISTORIES") {
                let file = std::fs::File::options().create(true).append(true).open(file);
                writeln!(file.unwrap(), "{seed}").unwrap();
            }
        }
        // Whoever stops hours of this wants to know how far it came.
        if done % 25 == 0 {
            println!("share {}: {done} of {all} histories, {} failed", share + 1, failed.len());
        }
    }
    assert!(failed.is_empty(), "MAILKEEP_HISTORY_SEED = one of {failed:?} fails; see above");
}

/// Plays a history; a panic in it is one more thing that is wrong.
async fn one(seed: u64, alone: bool) -> (u64, Vec<String>) {
    let log = Log::default();
    let mut wrong = match tokio::spawn(history::play(seed, log.clone())).await {
        Ok(wrong) => wrong,
        Err(error) => vec![format!("it ended early: {error}")],
    };
    if alone || !wrong.is_empty() {
        println!("\nMAILKEEP_HISTORY_SEED={seed}\n{}", log.text());
    }
    if wrong.len() > 40 {
        let more = wrong.len() - 40;
        wrong.truncate(40);
        wrong.push(format!("and {more} more"));
    }
    for line in &wrong {
        println!("wrong with MAILKEEP_HISTORY_SEED={seed}: {line}");
    }
    (seed, wrong)
}

macro_rules! shares {
    ($($name:ident = $share:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            play($share).await;
        }
    )*};
}

shares! {
    the_vault_equals_the_mailboxes_after_any_history_and_gives_every_state_back_1 = 0,
    the_vault_equals_the_mailboxes_after_any_history_and_gives_every_state_back_2 = 1,
    the_vault_equals_the_mailboxes_after_any_history_and_gives_every_state_back_3 = 2,
    the_vault_equals_the_mailboxes_after_any_history_and_gives_every_state_back_4 = 3,
    the_vault_equals_the_mailboxes_after_any_history_and_gives_every_state_back_5 = 4,
    the_vault_equals_the_mailboxes_after_any_history_and_gives_every_state_back_6 = 5,
}
