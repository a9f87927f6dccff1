//! What attackers have done, done again: it is noticed, shut and accounted for.

mod story;

use story::{Mailkeep, temporary};

#[test]
fn a_stolen_certificate_is_noticed_shut_and_accounted_for() {
    let directory = temporary();
    let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), directory.path().join("unused"));

    // 1. It is among those that are offered.
    let offered = mailkeep.run(&["drill", "list"]).ok().text();
    assert!(offered.contains("stolen-certificate"), "{offered}");

    // 2. Every expectation holds; each says what was seen.
    let report = mailkeep.json(&["drill", "run", "stolen-certificate"]).ok().json();
    let expectations = report["expectations"].as_array().expect("expectations");
    assert!(expectations.len() >= 7, "{report}");
    for one in expectations {
        assert_eq!(one["held"], true, "{one}");
        assert!(!one["seen"].as_str().unwrap_or_default().is_empty(), "{one}");
    }

    // 3. The timeline runs forward, from the first theft to the report.
    let seconds: Vec<f64> = report["timeline"]
        .as_array()
        .expect("a timeline")
        .iter()
        .filter_map(|moment| moment["seconds"].as_f64())
        .collect();
    assert!(seconds.len() >= 6 && seconds.is_sorted(), "{report}");
}
