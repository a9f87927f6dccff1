//! What the detectors of attachments reach on the labelled files (`../shared/data/mail`, unpacked
//! into `target/testdata`). Skipped where they are absent; nothing of them is in this repository.

#![allow(clippy::unwrap_used)] // the corpus is as its README says

mod corpora;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use mailkeep_inspect::{Context, MaskKey, inspect_attachment};
use mailkeep_model::{Category, Verdict, VerdictKind};
use time::OffsetDateTime;

use self::corpora::corpus;

/// A labelled file.
struct Sample {
    path: PathBuf,
    name: String,
    technique: String,
    label: String,
}

fn samples() -> Option<Vec<Sample>> {
    let folder = corpus("attachments")?;
    let table = fs::read_to_string(folder.with_extension("tsv")).unwrap();
    let rows = table.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        Sample {
            path: folder.join(columns[0]),
            name: columns[1].to_owned(),
            technique: columns[3].to_owned(),
            label: columns[4].to_owned(),
        }
    });
    Some(rows.collect())
}

/// What attachments of a kind came to.
#[derive(Default)]
struct Outcome {
    total: usize,
    suspicious: usize,
    malicious: usize,
    told: usize,
    bytes: usize,
    took: Vec<Duration>,
}

#[test]
fn dangerous_attachments_are_found_and_documents_are_left_alone() {
    let Some(samples) = samples() else { return };
    let key = MaskKey::from_bytes([7; 32]);
    let context = Context::new(OffsetDateTime::UNIX_EPOCH, &[], &key);
    let mut outcomes: BTreeMap<&str, Outcome> = BTreeMap::new();
    for sample in &samples {
        let bytes = fs::read(&sample.path).unwrap();
        let start = Instant::now();
        let verdict = inspect_attachment(&sample.name, &bytes, &context);
        let took = start.elapsed();
        let outcome = outcomes.entry(&sample.label).or_default();
        let flagged = attachment_verdict(&verdict) >= VerdictKind::Suspicious;
        outcome.total += 1;
        outcome.bytes += bytes.len();
        outcome.took.push(took);
        outcome.suspicious += usize::from(flagged);
        outcome.malicious += usize::from(attachment_verdict(&verdict) == VerdictKind::Malicious);
        outcome.told += usize::from(has_finding(&verdict));
        let is_wrong = match sample.label.as_str() {
            "malicious-technique" => !flagged,
            "benign" => flagged,
            _ => !has_finding(&verdict) || attachment_verdict(&verdict) == VerdictKind::Malicious,
        };
        if is_wrong || took > Duration::from_secs(2) {
            eprintln!("{}: {} ({}), {took:?}", sample.label, sample.name, sample.technique);
            for finding in verdict.findings.iter().filter(|f| f.category == Category::Attachment) {
                eprintln!(
                    "    {} {:?} {} {}",
                    finding.field, finding.severity, finding.entity, finding.evidence
                );
            }
            eprintln!("    {:?}", verdict.not_inspected);
        }
    }
    for (label, outcome) in &mut outcomes {
        outcome.took.sort();
        let total: Duration = outcome.took.iter().sum();
        eprintln!(
            "{label}: {} files, {} flagged ({} malicious), {} with a finding; {:.1} MB in {total:.2?}, p99 {:.1?}",
            outcome.total,
            outcome.suspicious,
            outcome.malicious,
            outcome.told,
            outcome.bytes as f64 / 1e6,
            outcome.took[outcome.took.len() * 99 / 100],
        );
    }
    let share = |label: &str, count: fn(&Outcome) -> usize| {
        count(&outcomes[label]) as f64 / outcomes[label].total as f64
    };
    assert!(share("malicious-technique", |o| o.suspicious) >= 0.95);
    assert!(share("benign", |o| o.suspicious) <= 0.02);
    // Some are labelled for pictures or for links that stand in the text: nothing to report.
    assert!(share("grey", |o| o.told) >= 0.92);
    assert!(share("grey", |o| o.malicious) <= 0.02);
}

fn has_finding(verdict: &Verdict) -> bool {
    verdict.findings.iter().any(|finding| finding.category == Category::Attachment)
}

/// What a file comes to where nothing but files is looked at: sensitive content is no danger.
fn attachment_verdict(verdict: &Verdict) -> VerdictKind {
    if has_finding(verdict) { verdict.verdict } else { VerdictKind::Clean }
}
