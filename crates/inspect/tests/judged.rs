//! What is found of phishing, impersonation and QR codes, and what is flagged of honest mail, on
//! the labelled corpora (`../shared/data/mail`, unpacked into `target/testdata`). The thresholds
//! stand a little below what was measured. Skipped where the corpora are absent; nothing of them is
//! in this repository.

#![allow(clippy::unwrap_used)] // the corpora are as their README says

mod corpora;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::BufReader,
    path::Path,
};

use mailkeep_inspect::{Context, Executive, MaskKey, Report, inspect, mbox::Messages};
use mailkeep_model::{Category, Finding, VerdictKind};
use time::OffsetDateTime;

use self::corpora::{corpus, messages};

fn with_context<T>(own: &str, people: &[Executive], use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    let own = [own.to_owned()];
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key).with_executives(people))
}

/// What was found, each kind once; wording by its theme, too.
fn named(report: &Report) -> BTreeSet<String> {
    let findings = report.verdict.findings.iter();
    let name = |f: &Finding| {
        let theme = if f.detector == "lure" || f.detector == "scam" { &f.entity } else { "" };
        format!("{}/{:?}/{theme}", f.detector, f.severity)
    };
    findings.map(name).collect()
}

/// A message as it is among colleagues: without what servers and receivers wrote on it.
fn as_if_internal(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut keep = true;
    let mut lines = bytes.split_inclusive(|&b| b == b'\n');
    for line in lines.by_ref() {
        if line.trim_ascii().is_empty() {
            out.extend_from_slice(line);
            break;
        }
        if !matches!(line[0], b' ' | b'\t') {
            let name = line.split(|&b| b == b':').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            keep = ["from", "reply-to", "to", "cc", "subject", "date", "message-id"]
                .contains(&name.as_str())
                || name.starts_with("content-")
                || name == "mime-version";
        }
        if keep {
            out.extend_from_slice(line);
        }
    }
    lines.for_each(|line| out.extend_from_slice(line));
    out
}

/// The columns of a table by its first column.
fn table(path: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let row: BTreeMap<String, String> =
                names.iter().zip(line.split('\t')).map(|(k, v)| ((*k).into(), v.into())).collect();
            (line.split('\t').next().unwrap_or_default().to_owned(), row)
        })
        .collect()
}

fn is_flagged(report: &Report) -> bool {
    report.verdict.verdict >= VerdictKind::Suspicious
}

fn show(name: &str, report: &Report) {
    let findings: Vec<String> = report
        .verdict
        .findings
        .iter()
        .filter(|finding| finding.category != Category::Sensitive)
        .map(|f| format!("{}/{:?}/{}: {}", f.detector, f.severity, f.entity, f.evidence))
        .collect();
    eprintln!("{name} {:.2} {findings:#?}", report.verdict.score);
}

/// The greatest score over which no more than this share of honest mail lies, and what is found
/// of the bad over it.
fn curve(good: &[f64], bad: &[f64]) {
    for (share, name) in [(0.001, "0.1 %"), (0.0025, "0.25 %"), (0.005, "0.5 %"), (0.01, "1 %")] {
        let mut scores = good.to_vec();
        scores.sort_by(|a, b| b.total_cmp(a));
        let allowed = (share * good.len() as f64) as usize;
        let threshold = scores.get(allowed).copied().unwrap_or(0.0);
        let found = bad.iter().filter(|score| **score > threshold).count();
        eprintln!(
            "  at {name} flagged (score over {threshold:.2}): {:.1} % found",
            100.0 * found as f64 / bad.len().max(1) as f64
        );
    }
}

#[test]
fn phishing_is_found_and_honest_mail_is_left_alone() {
    let (Some(phish), Some(ham)) = (corpus("phish"), corpus("ham")) else { return };
    let verbose = std::env::var("SHOW").unwrap_or_default();
    let mut good = Vec::new();
    let mut flagged: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut detectors: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    with_context("enron.com", &[], |context| {
        for (name, bytes) in messages(&ham) {
            let report = inspect(&as_if_internal(&bytes), context);
            let category = name.rsplit_once('-').unwrap().0.to_owned();
            let count = flagged.entry(category.clone()).or_default();
            count.1 += 1;
            count.0 += usize::from(is_flagged(&report));
            if category != "modern-abusedesk" {
                good.push(report.verdict.score);
                if is_flagged(&report) {
                    show(&name, &report);
                }
                for seen in named(&report) {
                    detectors.entry(seen).or_default().0 += 1;
                }
            }
        }
    });
    let rows = table(&phish.with_extension("tsv"));
    let mut bad = Vec::new();
    let mut missed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut found = 0;
    with_context("corp.test", &[], |context| {
        for (name, bytes) in messages(&phish) {
            let report = inspect(&as_if_internal(&bytes), context);
            bad.push(report.verdict.score);
            found += usize::from(is_flagged(&report));
            let row = &rows[&name];
            let number = |column: &str| row[column].parse().unwrap_or(0);
            let reasons = [
                (number("n_urls") == 0, "no link"),
                (number("n_att") > 0, "attachment"),
                (number("body_chars") < 150, "little text"),
                (true, row["lang"].as_str()),
            ];
            for (_, reason) in reasons.iter().filter(|(holds, _)| *holds) {
                let count = missed.entry((*reason).to_owned()).or_default();
                count.1 += 1;
                count.0 += usize::from(!is_flagged(&report));
            }
            if verbose == "missed" && !is_flagged(&report) {
                show(&name, &report);
            }
            for seen in named(&report) {
                detectors.entry(seen).or_default().1 += 1;
            }
        }
    });
    eprintln!("honest mail flagged, of all, by category: {flagged:?}");
    eprintln!("phish found: {found} of {}", bad.len());
    curve(&good, &bad);
    eprintln!("missed, of all, by reason: {missed:?}");
    let wrong: usize = flagged
        .iter()
        .filter(|(category, _)| *category != "modern-abusedesk")
        .map(|(_, count)| count.0)
        .sum();
    assert!(good.len() > 2_000 && wrong * 200 <= good.len(), "{wrong} of {}", good.len());
    assert!(bad.len() > 900 && found * 100 >= bad.len() * 68, "{found} of {}", bad.len());
    for (detector, (good, bad)) in detectors {
        eprintln!("  {detector}: {good} honest, {bad} phish");
    }
}

#[test]
fn mail_among_colleagues_is_left_alone() {
    let Some(mailboxes) = corpus("mailboxes") else { return };
    let (mut total, mut flagged) = (0, 0);
    with_context("enron.com", &[], |context| {
        for person in fs::read_dir(mailboxes).unwrap() {
            for folder in fs::read_dir(person.unwrap().path()).unwrap() {
                let path = folder.unwrap().path();
                let file = fs::File::open(&path).unwrap();
                for message in Messages::new(BufReader::new(file), 32 << 20) {
                    let bytes = as_if_internal(&message.unwrap().bytes);
                    // Mail of the organisation's own people.
                    let head =
                        String::from_utf8_lossy(&bytes[..bytes.len().min(4_000)]).to_lowercase();
                    let from = head.lines().find(|line| line.starts_with("from:"));
                    if !from.is_some_and(|from| from.contains("enron.com")) {
                        continue;
                    }
                    let report = inspect(&bytes, context);
                    total += 1;
                    if is_flagged(&report) {
                        flagged += 1;
                        show(&path.display().to_string(), &report);
                    }
                }
            }
        }
    });
    eprintln!("colleagues' mail: {flagged} of {total} flagged");
    assert!(total > 5_000 && flagged * 1_000 <= total);
}

fn executives(path: &Path) -> Vec<Executive> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, address)| Executive { name: name.into(), addresses: vec![address.into()] })
        .collect()
}

#[test]
fn people_who_say_they_are_somebody_else_are_found() {
    let Some(folder) = corpus("impersonation") else { return };
    let people = executives(&folder.join("vip_list.tsv"));
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    with_context("enron.com", &people, |context| {
        for (name, row) in table(&folder.join("index.tsv")) {
            let report = inspect(&fs::read(folder.join(&name)).unwrap(), context);
            let people = report
                .verdict
                .findings
                .iter()
                .filter(|f| f.category == Category::People || f.detector == "look-alike-host");
            let is_flagged = is_flagged(&report) && people.count() > 0;
            let count = kinds.entry(format!("{} {}", row["verdict"], row["kind"])).or_default();
            count.1 += 1;
            count.0 += usize::from(is_flagged);
            if is_flagged != (row["verdict"] == "impersonation") {
                show(&name, &report);
            }
        }
    });
    eprintln!("impersonation flagged, of all: {kinds:?}");
    let sum = |verdict: &str| {
        let of = kinds.iter().filter(|(kind, _)| kind.starts_with(verdict));
        of.fold((0, 0), |sum, (_, count)| (sum.0 + count.0, sum.1 + count.1))
    };
    let (found, all) = sum("impersonation");
    let (wrong, honest) = sum("benign");
    assert!(all > 100 && found * 100 >= all * 95, "{found} of {all}");
    assert!(honest > 100 && wrong * 100 <= honest, "{wrong} of {honest}");
}

#[test]
fn bad_links_in_qr_codes_are_found_and_good_ones_are_left_alone() {
    let Some(folder) = corpus("qr") else { return };
    let mut kinds: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    with_context("corp.test", &[], |context| {
        for (name, row) in table(&folder.with_extension("tsv")) {
            let file = folder.join(name.rsplit('/').next().unwrap());
            let report = inspect(&fs::read(file).unwrap(), context);
            let decoded = report.verdict.findings.iter().any(|f| f.detector == "link-code");
            let count = kinds.entry(format!("{} {}", row["verdict"], row["form"])).or_default();
            count.2 += 1;
            count.1 += usize::from(decoded);
            count.0 += usize::from(is_flagged(&report));
            if is_flagged(&report) != (row["verdict"] == "malicious") {
                show(&name, &report);
            }
        }
    });
    eprintln!("QR codes flagged, with a link that leads elsewhere, of all: {kinds:?}");
    for (kind, (flagged, _, all)) in &kinds {
        match kind.starts_with("malicious") {
            true => assert_eq!(flagged, all, "{kind}"),
            false => assert_eq!(*flagged, 0, "{kind}"),
        }
    }
}
