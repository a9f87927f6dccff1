//! Sensitive content in texts: precision and recall by entity.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Error, Result, ensure};

use super::{
    Bench,
    found::Seen,
    marked::{
        self, Judged, Kind, Marked, PASSWORD, SECRET, Score, Span, cut, judge, of_entity, unclaimed,
    },
};

/// Whether hints count, too: what has the form of a number and no word that says what it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Least {
    Low,
    Medium,
}

type Scores = BTreeMap<String, Score>;

impl Bench<'_> {
    /// One entity a text, and texts without it.
    pub(super) fn snippets(&mut self) -> Result<()> {
        let answered = self.answered("snippets.tsv")?;
        let (mut numbers, mut secrets, mut sure) = (Scores::new(), Scores::new(), Scores::new());
        for (marked, seen) in &answered {
            if unclaimed(&marked.label).is_some() {
                continue;
            }
            if marked.label.starts_with("SECRET/") {
                // By the label: which maker's tokens are known.
                for judged in judge(marked, &found(seen, Least::Low)) {
                    secrets.entry(marked.label.clone()).or_default().count(judged.kind);
                    self.tell(marked, &judged);
                }
            } else {
                self.score(marked, &found(seen, Least::Low), &mut numbers);
                for judged in judge(marked, &found(seen, Least::Medium)) {
                    sure.entry(judged.place.entity).or_default().count(judged.kind);
                }
            }
        }
        let all = total(&numbers);
        self.at_least("snippets, precision", all.precision(), 0.95, &all.text());
        self.at_least("snippets, recall", all.recall(), 0.97, &all.text());
        show(&numbers);
        let all = total(&sure);
        println!("   without hints, which are numbers without a word beside them: {}", all.text());
        let all = total(&secrets);
        println!(
            "   snippets of secrets: P {:.3} R {:.3} {}",
            all.precision(),
            all.recall(),
            all.text()
        );
        show(&secrets);
        Ok(())
    }

    /// Mail with such things put in, and with such as only look like them.
    pub(super) fn bodies(&mut self) -> Result<()> {
        let names = [
            ("cards", "PAYMENT_CARD", 0.99, 0.99),
            ("IBANs", "IBAN_CODE", 0.99, 0.99),
            ("SSNs", "US_SSN", 0.99, 0.99),
            ("secrets", SECRET, 0.99, 0.99),
            ("passwords in prose", PASSWORD, 0.9, 0.6),
        ];
        let mut scores = Scores::new();
        for (marked, seen) in &self.answered("mailbodies.tsv")? {
            let mut found = found(seen, Least::Medium);
            found.retain(|span| names.iter().any(|(_, entity, ..)| *entity == span.entity));
            self.score(marked, &found, &mut scores);
        }
        for (name, entity, precision, recall) in names {
            let score = scores.get(entity).copied().unwrap_or_default();
            ensure!(score.right + score.missed > 0, "no {name} are marked in the bodies");
            let (what, detail) = (format!("bodies, {name}"), score.text());
            self.at_least(&format!("{what}: precision"), score.precision(), precision, &detail);
            self.at_least(&format!("{what}: recall"), score.recall(), recall, &detail);
        }
        Ok(())
    }

    /// The texts of a table, and what was said of each.
    fn answered(&self, file: &str) -> Result<Vec<(Marked, Seen)>> {
        let table = fs::read_to_string(self.corpora.join("dlp").join(file))?;
        let texts = marked::read(&table).map_err(Error::msg)?;
        let folder = self.place.join(file);
        fs::create_dir_all(&folder)?;
        let paths: Vec<PathBuf> = texts
            .iter()
            .enumerate()
            .map(|(number, marked)| {
                let path = folder.join(format!("{number:05}.txt"));
                fs::write(&path, &marked.text).map(|()| path)
            })
            .collect::<std::io::Result<_>>()?;
        let run = self.inspector.texts(&paths)?;
        ensure!(run.seen.len() == texts.len(), "{file}: not every text was answered");
        Ok(texts.into_iter().zip(run.seen).collect())
    }

    fn score(&self, marked: &Marked, found: &[Span], scores: &mut Scores) {
        for judged in judge(marked, found) {
            self.tell(marked, &judged);
            scores.entry(judged.place.entity).or_default().count(judged.kind);
        }
    }

    fn tell(&self, marked: &Marked, judged: &Judged) {
        if self.verbose && judged.kind != Kind::Right {
            let Span { start, end, entity } = &judged.place;
            let text = cut(&marked.text, *start, *end);
            println!("   {} {} {entity}: {:?} {text:?}", marked.id, marked.label, judged.kind);
        }
    }
}

fn found(seen: &Seen, least: Least) -> Vec<Span> {
    seen.findings
        .iter()
        .filter(|f| f.category == "sensitive" && (least == Least::Low || f.severity != "low"))
        .map(|f| Span { start: f.start, end: f.end, entity: of_entity(&f.entity).to_owned() })
        .collect()
}

fn total(scores: &Scores) -> Score {
    let mut total = Score::default();
    scores.values().for_each(|score| total.add(*score));
    total
}

fn show(scores: &Scores) {
    marked::lines(scores).iter().for_each(|line| println!("   {line}"));
}
