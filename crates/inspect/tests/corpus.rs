//! What the detectors reach on the labelled corpora (`../shared/data/mail`, unpacked into
//! `target/testdata`). The thresholds stand a little below what was measured, so that a change
//! that costs something is seen. Skipped where the corpora are absent; nothing of them is in this
//! repository.

#![allow(clippy::unwrap_used)] // the corpora are as their README says

mod corpora;

use std::{collections::BTreeMap, path::Path};

use mailkeep_inspect::{Context, MaskKey, Report, inspect};
use mailkeep_model::{Severity, VerdictKind};
use time::OffsetDateTime;

use self::corpora::{corpus, messages};

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    let own = ["enron.com".to_owned()];
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key))
}

/// How many messages of a folder have a link finding of each severity, and which are suspicious.
fn links(folder: &Path) -> (usize, BTreeMap<Severity, usize>, Vec<(String, Report)>) {
    with_context(|context| {
        let (mut total, mut severities, mut suspicious) = (0, BTreeMap::new(), Vec::new());
        for (name, bytes) in messages(folder) {
            total += 1;
            let report = inspect(&bytes, context);
            let worst = report
                .verdict
                .findings
                .iter()
                .filter(|f| matches!(&*f.detector, "link-text-mismatch" | "link-user-info"))
                .map(|f| f.severity)
                .max();
            if let Some(worst) = worst {
                *severities.entry(worst).or_insert(0) += 1;
            }
            // What all detectors come to is measured in `judged.rs`.
            if worst >= Some(Severity::Medium) {
                suspicious.push((name, report));
            }
        }
        (total, severities, suspicious)
    })
}

#[test]
fn legitimate_mail_is_left_alone() {
    let Some(path) = corpus("ham") else { return };
    let (total, severities, suspicious) = links(&path);
    eprintln!("ham: {total} messages, worst link finding {severities:?}");
    for (name, report) in &suspicious {
        eprintln!("{name}: {:?}", report.verdict.findings);
    }
    // Abuse-desk reports quote bad links; the others must be as good as free of false alarms.
    let other = suspicious.iter().filter(|(name, _)| !name.contains("abusedesk")).count();
    assert!(total > 2_000);
    assert!(suspicious.len() * 500 < total, "{} of {total} suspicious", suspicious.len());
    assert!(other <= 1, "{other} besides abuse-desk reports");
    assert!(suspicious.iter().all(|(_, report)| report.verdict.verdict < VerdictKind::Malicious));
}

#[test]
fn phishing_that_shows_one_address_and_leads_to_another_is_found() {
    let Some(path) = corpus("phish") else { return };
    let (total, severities, suspicious) = links(&path);
    eprintln!(
        "phish: {total} messages, {} suspicious, worst link finding {severities:?}",
        suspicious.len()
    );
    assert!(total > 900);
    assert!(suspicious.len() >= 20, "only {} of {total}", suspicious.len());
}
