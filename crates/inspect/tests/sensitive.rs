//! What the detectors of sensitive content reach on the labelled texts
//! (`../shared/data/mail/dlp`, unpacked into `target/testdata`), and how fast. The thresholds are
//! those of the issue. Skipped where the corpora are absent; nothing of them is in this repository.

#![allow(clippy::unwrap_used)] // the corpora are as their README says

mod corpora;
#[path = "corpora/marked.rs"]
mod marked;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use mailkeep_inspect::{Context, MaskKey, inspect_text};
use mailkeep_model::{Category, Severity, Verdict};
use time::OffsetDateTime;

use self::{
    corpora::corpus,
    marked::{
        Judged, Kind, Marked, PASSWORD, SECRET, Score, Span, cut, judge, of_entity, unclaimed,
    },
};

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    let own = ["example.org".to_owned()];
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key))
}

fn rows(path: &Path) -> Vec<Marked> {
    marked::read(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Findings of sensitive content from a severity on, under the names that they are judged by.
fn spans(verdict: &Verdict, at_least: Severity) -> Vec<Span> {
    verdict
        .findings
        .iter()
        .filter(|f| f.category == Category::Sensitive && f.severity >= at_least)
        .map(|f| Span { start: f.start, end: f.end, entity: of_entity(&f.entity).to_owned() })
        .collect()
}

/// Judges a row, and shows what is wrong with it.
fn tell(row: &Marked, found: &[Span], scores: &mut BTreeMap<String, Score>) {
    for Judged { kind, place } in judge(row, found) {
        let Span { start, end, entity } = place;
        if kind != Kind::Right {
            let value = cut(&row.text, start, end);
            let around = cut(&row.text, start.saturating_sub(40), end + 20);
            eprintln!("{} {} {entity}: {kind:?} {value:?} in {around:?}", row.id, row.label);
        }
        scores.entry(entity).or_default().count(kind);
    }
}

fn print(title: &str, scores: &BTreeMap<String, Score>) -> Score {
    eprintln!("{title}");
    marked::lines(scores).iter().for_each(|line| eprintln!("{line}"));
    let mut total = Score::default();
    scores.values().for_each(|score| total.add(*score));
    total
}

#[test]
fn numbers_and_secrets_in_snippets_are_found_and_look_alikes_are_not() {
    let Some(path) = corpus("dlp/snippets.tsv") else { return };
    let (mut numbers, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    let mut left_out: BTreeSet<String> = BTreeSet::new();
    with_context(|context| {
        for row in rows(&path) {
            if unclaimed(&row.label).is_some() {
                left_out.insert(row.label);
                continue;
            }
            let found = spans(&inspect_text(&row.text, context), Severity::Low);
            let is_secret = row.label.starts_with("SECRET/");
            tell(&row, &found, if is_secret { &mut secrets } else { &mut numbers });
        }
    });
    eprintln!("not claimed: {left_out:?}");
    let total = print("snippets, numbers", &numbers);
    assert!(total.precision() >= 0.95 && total.recall() >= 0.97, "{total:?}");
    let total = print("snippets, secrets", &secrets);
    // The labels are of other programs' rules: half of what is missed is a placeholder (`AP6xxxxxxxxxx`)
    // or a beginning without its value, and half of what is wrong a key that its maker shows.
    assert!(total.precision() >= 0.78 && total.recall() >= 0.65, "{total:?}");
}

#[test]
fn mail_with_cards_accounts_and_secrets_is_told_from_mail_with_look_alikes() {
    let Some(path) = corpus("dlp/mailbodies.tsv") else { return };
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    let claimed = ["PAYMENT_CARD", "IBAN_CODE", "US_SSN", SECRET, PASSWORD];
    with_context(|context| {
        for row in rows(&path) {
            let found = spans(&inspect_text(&row.text, context), Severity::Medium);
            let (found, beside): (Vec<Span>, Vec<Span>) =
                found.into_iter().partition(|span| claimed.contains(&&*span.entity));
            for span in beside {
                let around = cut(&row.text, span.start.saturating_sub(40), span.end + 10);
                eprintln!("{} {}: {around:?}", row.id, span.entity);
                *others.entry(span.entity).or_default() += 1;
            }
            tell(&row, &found, &mut scores);
        }
    });
    print("mail bodies", &scores);
    eprintln!("besides what is labelled: {others:?}");
    for entity in ["PAYMENT_CARD", "IBAN_CODE", "US_SSN", SECRET] {
        let score = &scores[entity];
        assert!(score.right >= 40, "{entity} {score:?}");
        assert!(score.precision() >= 0.99 && score.recall() >= 0.99, "{entity} {score:?}");
    }
    let passwords = &scores[PASSWORD];
    assert!(passwords.precision() >= 0.9 && passwords.recall() >= 0.6, "{passwords:?}");
}

/// CPU time of this thread, where the system tells it: others share the machine.
fn cpu_time() -> Duration {
    let Ok(stat) = fs::read_to_string("/proc/thread-self/schedstat") else {
        return Duration::from_nanos(0);
    };
    let nanoseconds = stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default();
    Duration::from_nanos(nanoseconds)
}

/// The bodies of real mail, as text.
fn real_bodies(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let mut bodies = Vec::new();
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        for message in text.split("\nFrom ") {
            if let Some((_, body)) = message.split_once("\n\n") {
                bodies.push(body.to_owned());
            }
        }
    }
    bodies
}

#[test]
fn real_mail_is_scanned_fast_and_has_little_in_it() {
    let Some(path) = corpus("mailboxes") else { return };
    let bodies = real_bodies(&path);
    let bytes: usize = bodies.iter().map(String::len).sum();
    let mut found: BTreeMap<(String, Severity), usize> = BTreeMap::new();
    let mut times = Vec::new();
    let mut samples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (took, p99) = with_context(|context| {
        inspect_text("the tables are compiled once", context);
        let begin = cpu_time();
        for body in &bodies {
            let start = cpu_time();
            let verdict = inspect_text(body, context);
            times.push(cpu_time().saturating_sub(start));
            for f in verdict.findings.iter().filter(|f| f.category == Category::Sensitive) {
                *found.entry((f.entity.clone(), f.severity)).or_default() += 1;
                let shown = samples.entry(f.entity.clone()).or_default();
                if f.severity > Severity::Low
                    && shown.len() < 12
                    && std::env::var_os("SHOW_SAMPLES").is_some()
                {
                    shown.push(cut(body, f.start.saturating_sub(50), f.end + 15));
                }
            }
        }
        let took = cpu_time() - begin;
        times.sort();
        eprintln!(
            "{} bodies, {:.1} MB: {:.1} MB and {:.0} messages a CPU-second, p99 {:?}, longest {:?}",
            bodies.len(),
            bytes as f64 / 1e6,
            bytes as f64 / 1e6 / took.as_secs_f64(),
            bodies.len() as f64 / took.as_secs_f64(),
            times[times.len() * 99 / 100],
            times[times.len() - 1],
        );
        (took, times[times.len() * 99 / 100])
    });
    for ((entity, severity), count) in &found {
        eprintln!("{entity:28} {severity:?} {count}");
    }
    for (entity, samples) in &samples {
        for sample in samples {
            eprintln!("{entity}: {sample:?}");
        }
    }
    let flagged: usize =
        found.iter().filter(|((_, severity), _)| *severity > Severity::Low).map(|(_, n)| n).sum();
    eprintln!("{flagged} findings of medium or high severity");
    if took > Duration::ZERO {
        assert!(p99 < Duration::from_millis(50), "{p99:?}");
        let speed = bytes as f64 / 1e6 / took.as_secs_f64();
        assert!(cfg!(debug_assertions) || speed >= 20.0, "{speed}");
    }
}
