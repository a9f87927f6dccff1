//! Mail and files that do harm, and such as look like it.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};

use super::{
    Bench, DOMAIN,
    corpora::{Row, column, files, internal, table},
    found::{Run, Seen},
    frequent, share,
};

/// The reports of an abuse desk quote the links that they are about.
const QUOTES: &str = "modern-abusedesk";

impl Bench<'_> {
    /// Phishing and legitimate mail: the curve, the working point, the misses by reason.
    pub(super) fn mail(&mut self) -> Result<Run> {
        let run = self.inspector.paths(&[self.corpora.join("phish"), self.corpora.join("ham")])?;
        let phish_rows = by_file(&self.corpora.join("phish.tsv"))?;
        let ham_rows = by_file(&self.corpora.join("ham.tsv"))?;
        let (phish, ham): (Vec<&Seen>, Vec<&Seen>) =
            run.seen.iter().partition(|seen| phish_rows.contains_key(seen.file_name()));
        let category = |seen: &Seen| -> Result<&str> {
            let row = ham_rows.get(seen.file_name()).with_context(|| seen.path.clone())?;
            column(row, "category")
        };
        let mut legitimate = Vec::new();
        let mut categories: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for &seen in &ham {
            let category = category(seen)?;
            let counts = categories.entry(category).or_default();
            counts.0 += usize::from(seen.is_flagged());
            counts.1 += 1;
            if category != QUOTES {
                legitimate.push(seen);
            }
        }

        println!("\nscore    phish found    ham flagged (without abuse-desk reports)");
        for step in 1..20 {
            let threshold = f64::from(step) / 20.0;
            let (found, flagged) = (above(&phish, threshold), above(&legitimate, threshold));
            println!(
                "≥ {threshold:.2}    {:>6.2} %       {:>6.3} %",
                found * 100.0,
                flagged * 100.0
            );
        }
        let flagged = |seen: &[&Seen]| seen.iter().filter(|seen| seen.is_flagged()).count();
        let (found, wrong) = (flagged(&phish), flagged(&legitimate));
        self.at_least("phish found", share(found, phish.len()), 0.6, &of(found, phish.len()));
        self.at_most(
            "ham flagged",
            share(wrong, legitimate.len()),
            0.005,
            &of(wrong, legitimate.len()),
        );
        println!("   flagged by category of ham:");
        for (category, (flagged, all)) in &categories {
            println!("   {category:<22} {flagged:>4} of {all}");
        }
        for seen in legitimate.iter().filter(|seen| seen.is_flagged()) {
            println!("   false alarm: {}: {}", seen.file_name(), detectors(seen));
        }
        println!(
            "   phish found by: {}",
            counted(phish.iter().filter(|seen| seen.is_flagged()).flat_map(|seen| harmful(seen)))
        );
        println!("   phish missed, by what is in it:");
        let missed: Vec<&Row> = phish
            .iter()
            .filter(|seen| !seen.is_flagged())
            .filter_map(|seen| phish_rows.get(seen.file_name()))
            .collect();
        for (reason, count) in frequent(missed.iter().map(|row| reason(row))) {
            println!("   {count:>5} {reason}");
        }
        println!(
            "   by language: {}",
            counted(missed.iter().filter_map(|row| row.get("lang")).map(String::as_str))
        );

        self.internal(&ham, &ham_rows)?;
        Ok(run)
    }

    /// Mail that stayed inside one company.
    fn internal(&mut self, ham: &[&Seen], rows: &BTreeMap<String, Row>) -> Result<()> {
        let (mut flagged, mut all) = (0, 0);
        let mut add = |seen: &Seen| {
            all += 1;
            flagged += usize::from(seen.is_flagged());
            if seen.is_flagged() {
                println!("   false alarm, internal: {}: {}", seen.file_name(), detectors(seen));
            }
        };
        for &seen in ham {
            let row = rows.get(seen.file_name()).context("a file without a row")?;
            if column(row, "category")? == "enron-internal" {
                add(seen);
            }
        }
        for mbox in files(&self.corpora.join("mailboxes"), ".mbox")? {
            let inside = internal(&mbox, DOMAIN)?;
            let run = self.inspector.paths(&[&mbox])?;
            anyhow::ensure!(
                run.seen.len() == inside.len(),
                "{}: {} messages inspected, {} counted",
                mbox.display(),
                run.seen.len(),
                inside.len()
            );
            for (seen, inside) in run.seen.iter().zip(inside) {
                if inside {
                    add(seen);
                }
            }
        }
        self.at_most("internal mail flagged", share(flagged, all), 0.001, &of(flagged, all));
        Ok(())
    }

    pub(super) fn impersonation(&mut self) -> Result<()> {
        let rows = by_file(&self.corpora.join("impersonation/index.tsv"))?;
        let run = self.inspector.paths(&[self.corpora.join("impersonation/dev")])?;
        let mut kinds: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
        for seen in &run.seen {
            let row = rows.get(seen.file_name()).with_context(|| seen.path.clone())?;
            let counts = kinds.entry((column(row, "verdict")?, column(row, "kind")?)).or_default();
            counts.0 += usize::from(seen.is_flagged());
            counts.1 += 1;
            if self.verbose && seen.is_flagged() != (column(row, "verdict")? == "impersonation") {
                println!("   {} {}: {}", column(row, "kind")?, seen.file_name(), detectors(seen));
            }
        }
        let sum = |verdict: &str| {
            let of_it = kinds.iter().filter(|((is, _), _)| *is == verdict);
            of_it.fold((0, 0), |sum, (_, counts)| (sum.0 + counts.0, sum.1 + counts.1))
        };
        let (found, all) = sum("impersonation");
        self.at_least("impersonation found", share(found, all), 0.95, &of(found, all));
        let (flagged, all) = sum("benign");
        self.at_most("look-alikes flagged", share(flagged, all), 0.01, &of(flagged, all));
        for ((verdict, kind), (flagged, all)) in &kinds {
            println!("   {verdict:<14} {kind:<28} {flagged:>4} of {all}");
        }
        Ok(())
    }

    /// QR codes in pictures.
    pub(super) fn codes(&mut self) -> Result<()> {
        let rows = by_file(&self.corpora.join("qr.tsv"))?;
        let run = self.inspector.paths(&[self.corpora.join("qr")])?;
        let mut forms: BTreeMap<(&str, &str, &str), (usize, usize)> = BTreeMap::new();
        for seen in &run.seen {
            let Some(row) = rows.get(seen.file_name()) else { continue };
            let key = (column(row, "verdict")?, column(row, "form")?, column(row, "zbar_decodes")?);
            let counts = forms.entry(key).or_default();
            counts.0 += usize::from(seen.is_flagged());
            counts.1 += 1;
            if self.verbose && seen.is_flagged() != (key.0 == "malicious") {
                println!("   {} {}: {}", key.1, seen.file_name(), detectors(seen));
            }
        }
        let sum = |verdict: &str| {
            let of_it = forms.iter().filter(|((is, _, _), _)| *is == verdict);
            of_it.fold((0, 0), |sum, (_, counts)| (sum.0 + counts.0, sum.1 + counts.1))
        };
        let (found, all) = sum("malicious");
        self.at_least("bad QR codes found", share(found, all), 1.0, &of(found, all));
        for ((verdict, form, decodes), (flagged, all)) in &forms {
            println!("   {verdict:<10} {form:<16} zbar {decodes} {flagged:>4} flagged of {all}");
        }
        Ok(())
    }

    pub(super) fn attachments(&mut self) -> Result<()> {
        let rows = by_file(&self.corpora.join("attachments.tsv"))?;
        let paths: Vec<PathBuf> =
            rows.keys().map(|file| self.corpora.join("attachments").join(file)).collect();
        let run = self.inspector.paths(&paths)?;
        let mut counts: BTreeMap<&str, BTreeMap<&str, (usize, usize, usize)>> = BTreeMap::new();
        for (file, row) in &rows {
            let (verdict, technique) = (column(row, "verdict")?, column(row, "technique")?);
            let ending = format!("attachments/{file}");
            let seen: Vec<&Seen> = run
                .seen
                .iter()
                .filter(|seen| {
                    seen.path.split('#').next().is_some_and(|path| path.ends_with(&ending))
                })
                .collect();
            anyhow::ensure!(!seen.is_empty(), "{file}: there is no answer");
            let flagged = seen.iter().any(|seen| seen.is_flagged());
            let told = seen
                .iter()
                .any(|seen| harmful(seen).next().is_some() || !seen.not_inspected.is_empty());
            let of_it = counts.entry(verdict).or_default().entry(technique).or_default();
            of_it.0 += usize::from(flagged);
            of_it.1 += usize::from(told);
            of_it.2 += 1;
            if self.verbose
                && flagged != (verdict == "malicious-technique")
                && (verdict != "grey" || !told)
            {
                println!(
                    "   {technique}: {file}: {}",
                    seen.iter().map(|seen| detectors(seen)).collect::<Vec<_>>().join(" ")
                );
            }
        }
        let sum = |verdict: &str| {
            let of_it = counts.get(verdict).into_iter().flat_map(BTreeMap::values);
            of_it.fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2))
        };
        let (found, _, all) = sum("malicious-technique");
        self.at_least("bad attachments found", share(found, all), 0.95, &of(found, all));
        let (flagged, _, all) = sum("benign");
        self.at_most("good attachments flagged", share(flagged, all), 0.02, &of(flagged, all));
        let (flagged, told, all) = sum("grey");
        println!("   grey: {told} of {all} are told of, {flagged} flagged");
        for (verdict, techniques) in &counts {
            for (technique, (flagged, told, all)) in techniques {
                if *verdict != "malicious-technique" || flagged < all {
                    println!(
                        "   {verdict:<20} {technique:<40} {flagged:>4} flagged, {told} told of {all}"
                    );
                }
            }
        }
        println!(
            "   {:.0} files a CPU-second, slowest {:.0} ms",
            share(run.seen.len() * 1000, (run.cpu_seconds * 1000.0) as usize),
            run.milliseconds(1000)
        );
        Ok(())
    }
}

/// Why a phishing mail may have been missed, as its row tells.
fn reason(row: &Row) -> &'static str {
    let number = |name: &str| row.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if number("n_urls") == 0 && number("n_att") > 0 {
        "no link, an attachment"
    } else if number("n_urls") == 0 {
        "no link: wording alone"
    } else if number("n_anchor") == 0 {
        "links as text only"
    } else if number("body_chars") < 80 {
        "hardly any text: pictures"
    } else if row.get("brands").is_some_and(|brands| !brands.is_empty()) {
        "links and text with a brand in it"
    } else {
        "links and text without a known brand"
    }
}

fn by_file(path: &std::path::Path) -> Result<BTreeMap<String, Row>> {
    let rows = table(path)?;
    let name = |row: Row| {
        let file = column(&row, "file")?;
        // Folders stand in front of names where names are not told apart without; "dev/" is none.
        let file = file.strip_prefix("dev/").unwrap_or(file).to_owned();
        Ok((file, row))
    };
    rows.into_iter().map(name).collect()
}

fn above(seen: &[&Seen], threshold: f64) -> f64 {
    share(seen.iter().filter(|seen| seen.harm() >= threshold).count(), seen.len())
}

/// The detectors of what does harm, each once.
fn harmful(seen: &Seen) -> impl Iterator<Item = &str> {
    let harmful = seen.findings.iter().filter(|finding| finding.category != "sensitive");
    harmful.map(|f| f.detector.as_str()).collect::<std::collections::BTreeSet<_>>().into_iter()
}

fn detectors(seen: &Seen) -> String {
    let findings = seen.findings.iter().filter(|finding| finding.category != "sensitive");
    let named: std::collections::BTreeSet<String> =
        findings.map(|f| format!("{} {} {}", f.detector, f.severity, f.entity)).collect();
    format!("{} {}", seen.verdict, named.into_iter().collect::<Vec<_>>().join(", "))
}

fn counted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let counts = frequent(names);
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn of(part: usize, whole: usize) -> String {
    format!("{part} of {whole}")
}
