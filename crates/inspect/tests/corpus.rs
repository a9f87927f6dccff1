//! What the detectors reach on the labelled corpora (`../shared/data/mail`, unpacked into
//! `target/testdata`). The thresholds stand a little below what was measured, so that a change
//! that costs something is seen. Skipped where the corpora are absent; nothing of them is in this
//! repository.

#![allow(clippy::unwrap_used)] // the corpora are as their README says

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use mailkeep_inspect::{Context, MaskKey, Report, inspect, inspect_text};
use mailkeep_model::{Severity, Verdict, VerdictKind};
use time::OffsetDateTime;

fn corpus(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testdata").join(name);
    if !path.exists() {
        eprintln!("skipped, because {} is absent (../shared/tools/unpack-data)", path.display());
        return None;
    }
    Some(path)
}

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    let own = ["enron.com".to_owned()];
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key))
}

/// Spans in code points.
type Spans = Vec<(usize, usize)>;

/// Columns by name, and the text, which is a JSON string in a CSV field.
struct Row {
    columns: BTreeMap<String, String>,
    text: String,
}

fn rows(path: &Path) -> Vec<Row> {
    let file = fs::read_to_string(path).unwrap();
    let mut lines = file.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let columns: BTreeMap<String, String> =
                names.iter().zip(line.split('\t')).map(|(k, v)| ((*k).into(), v.into())).collect();
            let quoted = &columns["text"];
            let json = match quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')) {
                Some(field) => field.replace("\"\"", "\""),
                None => quoted.clone(),
            };
            let text = serde_json::from_str(&json).unwrap();
            Row { columns, text }
        })
        .collect()
}

/// `start-end` or `start-end:ENTITY`, separated by semicolons.
fn spans(column: &str, wanted: Option<&str>) -> Spans {
    column
        .split(';')
        .filter(|span| !span.is_empty())
        .filter_map(|span| {
            let (place, entity) = span.split_once(':').unwrap_or((span, ""));
            let (start, end) = place.split_once('-').unwrap();
            let matches = wanted.is_none_or(|wanted| wanted == entity);
            matches.then(|| (start.parse().unwrap(), end.parse().unwrap()))
        })
        .collect()
}

fn found(verdict: &Verdict) -> Spans {
    verdict
        .findings
        .iter()
        .filter(|f| f.entity == "PAYMENT_CARD" && f.severity > Severity::Low)
        .map(|f| (f.start, f.end))
        .collect()
}

/// Precision and recall over exact spans.
#[derive(Debug, Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn add(&mut self, id: &str, text: &str, expected: &Spans, found: &Spans) {
        let cut = |&(start, end): &(usize, usize)| -> String {
            text.chars().skip(start).take(end - start).collect()
        };
        for span in found {
            if expected.contains(span) {
                self.right += 1;
            } else {
                self.wrong += 1;
                eprintln!("{id}: wrong {span:?} {:?}", cut(span));
            }
        }
        for span in expected.iter().filter(|span| !found.contains(span)) {
            self.missed += 1;
            eprintln!("{id}: missed {span:?} {:?}", cut(span));
        }
    }

    fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }
}

#[test]
fn card_numbers_in_mail_are_found_and_look_alikes_are_not() {
    let Some(path) = corpus("dlp/mailbodies.tsv") else { return };
    let mut score = Score::default();
    with_context(|context| {
        for row in rows(&path) {
            let expected = spans(&row.columns["spans"], Some("CREDIT_CARD"));
            let found = found(&inspect_text(&row.text, context));
            score.add(&row.columns["id"], &row.text, &expected, &found);
        }
    });
    eprintln!(
        "mail bodies: precision {:.3}, recall {:.3}, {score:?}",
        score.precision(),
        score.recall()
    );
    assert!(score.right + score.missed >= 50, "the corpus has labels: {score:?}");
    assert!(score.precision() >= 0.98 && score.recall() >= 0.98, "{score:?}");
}

#[test]
fn card_numbers_in_snippets_are_found_and_other_secrets_are_not_taken_for_cards() {
    let Some(path) = corpus("dlp/snippets.tsv") else { return };
    let (mut cards, mut all) = (Score::default(), Score::default());
    with_context(|context| {
        for row in rows(&path) {
            let is_card = row.columns["entity"] == "CREDIT_CARD";
            let expected = if is_card { spans(&row.columns["spans"], None) } else { vec![] };
            let found = found(&inspect_text(&row.text, context));
            all.add(&row.columns["id"], &row.text, &expected, &found);
            if is_card {
                cards.add(&row.columns["id"], &row.text, &expected, &found);
            }
        }
    });
    for (name, score) in [("labelled", &cards), ("all", &all)] {
        let (precision, recall) = (score.precision(), score.recall());
        eprintln!("snippets, {name}: precision {precision:.3}, recall {recall:.3}, {score:?}");
    }
    assert!(cards.right + cards.missed >= 10, "the corpus has labels: {cards:?}");
    assert!(cards.precision() >= 0.95 && cards.recall() >= 0.95, "{cards:?}");
    assert!(all.precision() >= 0.95, "{all:?}");
}

fn messages(folder: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().filter(|path| path.is_file()).map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(path).unwrap();
        (name, bytes)
    })
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
