//! What attackers have done, done again: it is noticed, shut and accounted for.

mod story;

use story::{Mailkeep, temporary};

/// Runs a drill: every expectation holds and says what was seen, and the timeline runs forward.
fn holds(drill: &str, expectations: usize, moments: usize) {
    let directory = temporary();
    let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), directory.path().join("unused"));
    let report = mailkeep.json(&["drill", "run", drill]).ok().json();
    assert_eq!(report["drill"], drill);
    let held = report["expectations"].as_array().expect("expectations");
    assert!(held.len() >= expectations, "{report}");
    for one in held {
        assert_eq!(one["held"], true, "{one}");
        assert!(!one["seen"].as_str().unwrap_or_default().is_empty(), "{one}");
    }
    let seconds: Vec<f64> = report["timeline"]
        .as_array()
        .expect("a timeline")
        .iter()
        .filter_map(|moment| moment["seconds"].as_f64())
        .collect();
    assert!(seconds.len() >= moments && seconds.is_sorted(), "{report}");
}

#[test]
fn the_drills_are_offered() {
    let directory = temporary();
    let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), directory.path().join("unused"));
    let offered = mailkeep.run(&["drill", "list"]).ok().text();
    for drill in [
        "stolen-certificate",
        "stolen-token",
        "replayed-assertion",
        "protection-off",
        "lost-signer",
    ] {
        assert!(offered.contains(drill), "{offered}");
    }
}

#[test]
fn a_stolen_certificate_is_noticed_shut_and_accounted_for() {
    holds("stolen-certificate", 12, 8);
}

#[test]
fn a_stolen_token_is_noticed_and_accounted_for() {
    holds("stolen-token", 7, 4);
}

#[test]
fn an_assertion_that_is_used_twice_is_noticed_and_accounted_for() {
    holds("replayed-assertion", 6, 4);
}

#[test]
fn protection_that_is_switched_off_is_noticed() {
    holds("protection-off", 17, 8);
}

#[test]
fn a_lost_signer_costs_no_mail_and_its_ledger_is_not_shed_silently() {
    holds("lost-signer", 15, 7);
}
