//! What the detectors of sensitive content reach on the labelled texts
//! (`../shared/data/mail/dlp`, unpacked into `target/testdata`), and how fast. The thresholds are
//! those of the issue. Skipped where the corpora are absent; nothing of them is in this repository.

#![allow(clippy::unwrap_used)] // the corpora are as their README says

mod corpora;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use mailkeep_inspect::{Context, MaskKey, inspect_text};
use mailkeep_model::{Category, Finding, Severity};
use time::OffsetDateTime;

use self::corpora::corpus;

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    let own = ["example.org".to_owned()];
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key))
}

/// In code points.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: usize,
    end: usize,
    entity: String,
}

struct Row {
    id: String,
    /// What the row is about, when all of it is about one thing.
    entity: String,
    spans: Vec<Span>,
    text: String,
}

/// The columns by their names; the text is a JSON string in a CSV field.
fn rows(path: &Path) -> Vec<Row> {
    let file = fs::read_to_string(path).unwrap();
    let mut lines = file.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let columns: BTreeMap<&str, &str> =
                names.iter().copied().zip(line.split('\t')).collect();
            let quoted = columns["text"];
            let json = match quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')) {
                Some(field) => field.replace("\"\"", "\""),
                None => quoted.to_owned(),
            };
            let entity = columns.get("entity").copied().unwrap_or_default();
            let span = |span: &str| {
                let (place, of) = span.split_once(':').unwrap_or((span, entity));
                let (start, end) = place.split_once('-').unwrap();
                Span {
                    start: start.parse().unwrap(),
                    end: end.parse().unwrap(),
                    entity: ours(of).to_owned(),
                }
            };
            let text: String = serde_json::from_str(&json).unwrap();
            let spans = columns["spans"].split(';').filter(|s| !s.is_empty()).map(span);
            Row {
                id: columns["id"].to_owned(),
                entity: entity.to_owned(),
                spans: spans.map(|span| trimmed(&text, span)).collect(),
                text,
            }
        })
        .collect()
}

/// Some labels have the space in front of a number in them.
fn trimmed(text: &str, mut span: Span) -> Span {
    while span.start < span.end && text.chars().nth(span.start).is_some_and(char::is_whitespace) {
        span.start += 1;
    }
    span
}

/// Our name for a label. All secrets are one: which vendor's it is matters less than that it is.
fn ours(label: &str) -> &str {
    match label {
        "CREDIT_CARD" => "PAYMENT_CARD",
        "MEDICAL_LICENSE" => "US_DEA",
        "CRYPTO" => "CRYPTO_WALLET",
        "SECRET/password" => "SECRET_PASSWORD",
        label if label.starts_with("SECRET/") => "SECRET",
        label => label,
    }
}

fn as_label(finding: &Finding) -> &str {
    match finding.entity.as_str() {
        "SECRET_PASSWORD" => "SECRET_PASSWORD",
        entity if entity.starts_with("SECRET_") => "SECRET",
        entity => entity,
    }
}

#[derive(Debug, Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }

    fn add(&mut self, other: &Score) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

fn cut(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end - start).collect()
}

fn print(title: &str, scores: &BTreeMap<String, Score>) -> Score {
    let mut total = Score::default();
    eprintln!(
        "{title}\n{:32} {:>5} {:>5} {:>6} {:>9} {:>6}",
        "", "right", "wrong", "missed", "precision", "recall"
    );
    for (entity, score) in scores {
        let Score { right, wrong, missed } = score;
        eprintln!(
            "{entity:32} {right:5} {wrong:5} {missed:6} {:9.3} {:6.3}",
            score.precision(),
            score.recall()
        );
        total.add(score);
    }
    eprintln!(
        "{:32} {:5} {:5} {:6} {:9.3} {:6.3}\n",
        "all",
        total.right,
        total.wrong,
        total.missed,
        total.precision(),
        total.recall()
    );
    total
}

/// Labels that we do not claim, and why.
fn unclaimed(label: &str) -> Option<&'static str> {
    Some(match label {
        "DATE_TIME" | "EMAIL_ADDRESS" | "URL" | "IP_ADDRESS" | "MAC_ADDRESS" | "PHONE_NUMBER"
        | "PH_MOBILE_NUMBER" | "TR_PHONE_NUMBER" | "DE_PLZ" | "UK_POSTCODE" | "TITLE"
        | "SECRET/ip_public" => "every mail has them: their presence says nothing",
        label
            if label.ends_with("VEHICLE_REGISTRATION")
                || label.ends_with("LICENSE_PLATE")
                || label == "DE_KFZ" =>
        {
            "public by purpose"
        }
        "DE_BSNR" | "DE_HANDELSREGISTER" | "DE_VAT_ID" | "IN_GSTIN" | "SG_UEN" => {
            "of companies, published by them"
        }
        "TEST_ENTITY" => "no entity",
        _ => return None,
    })
}

/// Numbers by their exact place; secrets by any common character, because their labels are the
/// whole line.
#[test]
fn numbers_in_snippets_are_found_and_look_alikes_are_not() {
    let Some(path) = corpus("dlp/snippets.tsv") else { return };
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut left_out: BTreeSet<String> = BTreeSet::new();
    with_context(|context| {
        for row in rows(&path) {
            if row.entity.starts_with("SECRET/") {
                continue;
            }
            if unclaimed(&row.entity).is_some() {
                left_out.insert(row.entity);
                continue;
            }
            let verdict = inspect_text(&row.text, context);
            let found: Vec<&Finding> =
                verdict.findings.iter().filter(|f| as_label(f) == ours(&row.entity)).collect();
            let score = scores.entry(row.entity.clone()).or_default();
            for finding in &found {
                if row.spans.iter().any(|s| (s.start, s.end) == (finding.start, finding.end)) {
                    score.right += 1;
                } else {
                    score.wrong += 1;
                    eprintln!(
                        "{} {}: wrong {:?} in {:?}",
                        row.id,
                        row.entity,
                        cut(&row.text, finding.start, finding.end),
                        row.text
                    );
                }
            }
            for span in &row.spans {
                if !found.iter().any(|f| (f.start, f.end) == (span.start, span.end)) {
                    score.missed += 1;
                    eprintln!(
                        "{} {}: missed {:?} in {:?}",
                        row.id,
                        row.entity,
                        cut(&row.text, span.start, span.end),
                        row.text
                    );
                }
            }
        }
    });
    eprintln!("not claimed: {left_out:?}");
    let total = print("snippets, numbers", &scores);
    assert!(total.precision() >= 0.95 && total.recall() >= 0.97, "{total:?}");
}

#[test]
fn mail_with_cards_accounts_and_secrets_is_told_from_mail_with_look_alikes() {
    let Some(path) = corpus("dlp/mailbodies.tsv") else { return };
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    let claimed = ["PAYMENT_CARD", "IBAN_CODE", "US_SSN", "SECRET", "SECRET_PASSWORD"];
    with_context(|context| {
        for row in rows(&path) {
            let verdict = inspect_text(&row.text, context);
            let found: Vec<&Finding> = verdict
                .findings
                .iter()
                .filter(|f| f.category == Category::Sensitive && f.severity > Severity::Low)
                .collect();
            for finding in &found {
                let label = as_label(finding);
                let right = row
                    .spans
                    .iter()
                    .any(|s| (s.start, s.end) == (finding.start, finding.end) && s.entity == label);
                if !claimed.contains(&label) {
                    *others.entry(finding.entity.clone()).or_default() += 1;
                    eprintln!(
                        "{} {}: {:?}",
                        row.id,
                        finding.entity,
                        cut(&row.text, finding.start.saturating_sub(40), finding.end + 10)
                    );
                    continue;
                }
                let score = scores.entry(label.to_owned()).or_default();
                if right {
                    score.right += 1;
                } else {
                    score.wrong += 1;
                    eprintln!(
                        "{} {}: wrong {:?}",
                        row.id,
                        finding.entity,
                        cut(&row.text, finding.start, finding.end)
                    );
                }
            }
            for span in &row.spans {
                let hit = |f: &&&Finding| {
                    (f.start, f.end) == (span.start, span.end) && as_label(f) == span.entity
                };
                if found.iter().find(hit).is_none() {
                    scores.entry(span.entity.clone()).or_default().missed += 1;
                    eprintln!(
                        "{} {}: missed {:?}",
                        row.id,
                        span.entity,
                        cut(&row.text, span.start, span.end)
                    );
                }
            }
        }
    });
    print("mail bodies", &scores);
    eprintln!("besides what is labelled: {others:?}");
    for entity in ["PAYMENT_CARD", "IBAN_CODE", "US_SSN", "SECRET"] {
        let score = &scores[entity];
        assert!(score.right >= 40, "{entity} {score:?}");
        assert!(score.precision() >= 0.99 && score.recall() >= 0.99, "{entity} {score:?}");
    }
    let passwords = &scores["SECRET_PASSWORD"];
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
