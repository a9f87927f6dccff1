//! Legitimate and rogue uses, mixed at random, with all that can go wrong with a log: it is late, it
//! loses what happens for a while, it falls silent, it leaves fields out, its clock is wrong; and
//! with what can go wrong on our side: a crash at any step.
//!
//! After each reconciliation: every rogue use whose record has been delivered is an incident; each
//! other one lies in a time that is reported blind; nothing ours is in an incident, and nothing
//! rogue is called ours.
//!
//! `MAILKEEP_MIXES` says how many (100), `MAILKEEP_MIX` which one alone.

mod check;
mod world;

use check::Counts;
use world::World;

#[test]
fn every_rogue_use_is_seen_or_lies_in_the_blind_and_none_of_ours_is_taken_for_one() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match number("MAILKEEP_MIX") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MAILKEEP_MIXES").unwrap_or(100),
    };
    let mut counts = Counts::default();
    for seed in seeds {
        check::run(&World::new(seed), &mut counts);
    }
    println!("{counts}");
    // Of every kind there has been something to find.
    assert!(counts.is_complete(), "{counts}");
}
