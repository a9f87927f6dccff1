//! Sensitive content in texts: precision and recall by entity.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;

use super::{
    Bench,
    corpora::{Marked, Span, marked},
    found::Seen,
    share,
};

/// What the corpus calls an entity, as it begins, and what we call it; what is not in here is not
/// claimed.
const CLAIMED: &[(&str, &str)] = &[("CREDIT_CARD", "PAYMENT_CARD")];

#[derive(Clone, Copy, Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        if self.right + self.wrong == 0 { 1.0 } else { share(self.right, self.right + self.wrong) }
    }

    fn recall(&self) -> f64 {
        if self.right + self.missed == 0 {
            1.0
        } else {
            share(self.right, self.right + self.missed)
        }
    }

    fn text(&self) -> String {
        format!("{} right, {} wrong, {} missed", self.right, self.wrong, self.missed)
    }

    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

impl Bench<'_> {
    /// One entity a text, and texts without it.
    pub(super) fn snippets(&mut self) -> Result<()> {
        let scores = self.scored("snippets.tsv", Judged::OneLabel)?;
        let mut all = Score::default();
        let mut lines = Vec::new();
        for (label, score) in &scores {
            all.add(*score);
            lines.push(format!(
                "   {label:<32} P {:.3} R {:.3}  {}",
                score.precision(),
                score.recall(),
                score.text()
            ));
        }
        self.at_least("snippets, precision", all.precision(), 0.95, &all.text());
        self.at_least("snippets, recall", all.recall(), 0.97, &all.text());
        lines.iter().for_each(|line| println!("{line}"));
        Ok(())
    }

    /// Mail with such things put in, and with such as only look like them.
    pub(super) fn bodies(&mut self) -> Result<()> {
        let scores = self.scored("mailbodies.tsv", Judged::EachSpan)?;
        let sum = |wanted: &dyn Fn(&str) -> bool| {
            let mut sum = Score::default();
            scores.iter().filter(|(label, _)| wanted(label)).for_each(|(_, score)| sum.add(*score));
            sum
        };
        let password = "SECRET/password";
        for (name, precision, recall, score) in [
            ("cards", 0.99, 0.99, sum(&|label| label == "CREDIT_CARD")),
            ("IBANs", 0.99, 0.99, sum(&|label| label == "IBAN_CODE")),
            ("SSNs", 0.99, 0.99, sum(&|label| label == "US_SSN")),
            (
                "secrets",
                0.99,
                0.99,
                sum(&|label| label.starts_with("SECRET/") && label != password),
            ),
            ("passwords in prose", 0.9, 0.6, sum(&|label| label == password)),
        ] {
            self.at_least(
                &format!("bodies, {name}: precision"),
                score.precision(),
                precision,
                &score.text(),
            );
            self.at_least(
                &format!("bodies, {name}: recall"),
                score.recall(),
                recall,
                &score.text(),
            );
        }
        Ok(())
    }

    fn scored(&self, file: &str, judged: Judged) -> Result<BTreeMap<String, Score>> {
        let texts = marked(&self.corpora.join("dlp").join(file))?;
        let folder = self.place.join(file);
        std::fs::create_dir_all(&folder)?;
        let paths: Vec<PathBuf> = texts
            .iter()
            .enumerate()
            .map(|(number, marked)| {
                let path = folder.join(format!("{number:05}.txt"));
                std::fs::write(&path, &marked.text).map(|()| path)
            })
            .collect::<std::io::Result<_>>()?;
        let run = self.inspector.texts(&paths)?;
        anyhow::ensure!(run.seen.len() == texts.len(), "{file}: not every text was answered");
        let mut scores = BTreeMap::new();
        for (marked, seen) in texts.iter().zip(&run.seen) {
            self.judge(marked, seen, judged, &mut scores);
        }
        Ok(scores)
    }

    fn judge(
        &self,
        marked: &Marked,
        seen: &Seen,
        judged: Judged,
        scores: &mut BTreeMap<String, Score>,
    ) {
        let mut found: Vec<Span> = seen
            .findings
            .iter()
            .filter(|f| f.category == "sensitive" && f.severity != "low")
            .map(|f| Span { start: f.start, end: f.end, entity: f.entity.clone() })
            .collect();
        for span in &marked.spans {
            let Some(ours) = claimed(&span.entity) else { continue };
            let score = scores.entry(span.entity.clone()).or_default();
            let at =
                found.iter().position(|found| overlaps(found, span) && is(&found.entity, ours));
            match at {
                Some(at) => {
                    found.remove(at);
                    score.right += 1;
                }
                None => {
                    score.missed += 1;
                    self.tell("missed", &span.entity, marked, span);
                }
            }
        }
        // What lies in a marked place was found, if under another name.
        found.retain(|found| !marked.spans.iter().any(|span| overlaps(found, span)));
        for found in found {
            let label = match judged {
                // A text with one label says nothing of other entities.
                Judged::OneLabel => match claimed(&marked.label) {
                    Some(ours) if is(&found.entity, ours) => marked.label.clone(),
                    _ => continue,
                },
                Judged::EachSpan => match label_of(&found.entity) {
                    Some(label) => label.to_owned(),
                    None => continue,
                },
            };
            scores.entry(label.clone()).or_default().wrong += 1;
            self.tell("wrong", &label, marked, &found);
        }
    }

    fn tell(&self, what: &str, label: &str, marked: &Marked, span: &Span) {
        if self.verbose {
            let text: String =
                marked.text.chars().skip(span.start).take(span.end - span.start).collect();
            println!("   {what} {label}: {text:?} ({})", span.entity);
        }
    }
}

#[derive(Clone, Copy)]
enum Judged {
    OneLabel,
    EachSpan,
}

fn claimed(label: &str) -> Option<&'static str> {
    CLAIMED.iter().find(|(prefix, _)| label.starts_with(prefix)).map(|(_, ours)| *ours)
}

fn label_of(entity: &str) -> Option<&'static str> {
    CLAIMED.iter().find(|(_, ours)| is(entity, ours)).map(|(label, _)| *label)
}

/// Ours is a name, or with `*` at its end how names begin.
fn is(entity: &str, ours: &str) -> bool {
    match ours.strip_suffix('*') {
        Some(prefix) => entity.starts_with(prefix),
        None => entity == ours,
    }
}

fn overlaps(one: &Span, two: &Span) -> bool {
    one.start < two.end && two.start < one.end
}
