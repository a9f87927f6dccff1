//! Texts in which people marked what is sensitive, and how findings are judged by the marks. The
//! tests of sensitive content and `cargo xtask bench inspect` both read this file, so that they
//! cannot come to different figures.

use std::collections::BTreeMap;

/// A text with the places that people marked in it.
pub(crate) struct Marked {
    pub(crate) id: String,
    /// What the row is about, when all of it is about one thing.
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) spans: Vec<Span>,
}

/// A place in code points and the name of what is there: a label of the corpus, or an entity of
/// ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) entity: String,
}

/// Reads `snippets.tsv` (one entity a row) or `mailbodies.tsv` (an entity with each span).
pub(crate) fn read(table: &str) -> Result<Vec<Marked>, String> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    lines
        .map(|line| {
            let columns: BTreeMap<&str, &str> =
                names.iter().copied().zip(line.split('\t')).collect();
            let column = |name: &str| columns.get(name).copied();
            let label = column("entity").unwrap_or_default().to_owned();
            let text = read_text(column("text").ok_or_else(|| format!("no text: {line}"))?)?;
            let spans = column("spans").unwrap_or_default().split(';').filter(|s| !s.is_empty());
            let spans = spans.map(|span| Ok(trimmed(&text, read_span(span, &label)?)));
            let spans = spans.collect::<Result<_, String>>()?;
            Ok(Marked { id: column("id").unwrap_or_default().to_owned(), label, text, spans })
        })
        .collect()
}

/// `start-end` or `start-end:ENTITY`.
pub(crate) fn read_span(span: &str, label: &str) -> Result<Span, String> {
    let (place, entity) = span.split_once(':').unwrap_or((span, label));
    let number = |text: &str| text.parse().map_err(|error| format!("{span}: {error}"));
    let (start, end) = place.split_once('-').ok_or_else(|| format!("no place: {span}"))?;
    Ok(Span { start: number(start)?, end: number(end)?, entity: entity.to_owned() })
}

/// A JSON string in a CSV field.
pub(crate) fn read_text(field: &str) -> Result<String, String> {
    let json = match field.strip_prefix('"').and_then(|field| field.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => field.to_owned(),
    };
    serde_json::from_str(&json).map_err(|error| format!("{error}: {field}"))
}

/// Some labels have the space in front of a number in them.
fn trimmed(text: &str, mut span: Span) -> Span {
    while span.start < span.end && text.chars().nth(span.start).is_some_and(char::is_whitespace) {
        span.start += 1;
    }
    span
}

/// Passwords are judged apart from what makers of keys and tokens put together.
pub(crate) const PASSWORD: &str = "SECRET_PASSWORD";
/// All other secrets are one: which vendor's it is matters less than that it is.
pub(crate) const SECRET: &str = "SECRET";

/// Under which name a label of the corpus (Presidio's, detect-secrets', gitleaks') is judged.
pub(crate) fn of_label(label: &str) -> &str {
    match label {
        "CREDIT_CARD" => "PAYMENT_CARD",
        "MEDICAL_LICENSE" => "US_DEA",
        "CRYPTO" => "CRYPTO_WALLET",
        "SECRET/password" => PASSWORD,
        label if label.starts_with("SECRET/") => SECRET,
        label => label,
    }
}

/// Under which name an entity of ours is judged.
pub(crate) fn of_entity(entity: &str) -> &str {
    match entity {
        PASSWORD => PASSWORD,
        entity if entity.starts_with("SECRET_") => SECRET,
        entity => entity,
    }
}

/// Labels that we do not claim, and why.
pub(crate) fn unclaimed(label: &str) -> Option<&'static str> {
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

/// What a finding or a mark turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Right,
    Wrong,
    Missed,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) kind: Kind,
    pub(crate) place: Span,
}

/// Holds the findings in a text against its marks; `found` has entities as they are judged
/// ([`of_entity`]), and so has the outcome.
///
/// A number is right at its exact place. The label of a secret in a snippet is the whole line:
/// there, a common character is enough, and a line counts once. A text with one label says nothing of other entities: what
/// else is found in it is not counted.
pub(crate) fn judge(marked: &Marked, found: &[Span]) -> Vec<Judged> {
    let whole_lines = marked.label.starts_with("SECRET/");
    let fits = |mark: &Span, found: &Span| {
        let same = of_label(&mark.entity) == found.entity
            // Which of the two a line of code holds is not told by its label.
            || whole_lines && found.entity.starts_with(SECRET);
        let place = if whole_lines {
            found.start < mark.end && mark.start < found.end
        } else {
            (found.start, found.end) == (mark.start, mark.end)
        };
        same && place
    };
    let mut judged = Vec::new();
    let mut add = |kind, place: &Span, entity: &str| {
        judged.push(Judged { kind, place: Span { entity: entity.to_owned(), ..place.clone() } });
    };
    for mark in &marked.spans {
        let hit = found.iter().any(|found| fits(mark, found));
        let kind = if hit { Kind::Right } else { Kind::Missed };
        add(kind, mark, of_label(&mark.entity));
    }
    for found in found {
        let counts = marked.label.is_empty()
            || found.entity == of_label(&marked.label)
            || whole_lines && found.entity.starts_with(SECRET);
        if counts && !marked.spans.iter().any(|mark| fits(mark, found)) {
            let entity = if whole_lines { of_label(&marked.label) } else { &found.entity };
            add(Kind::Wrong, found, entity);
        }
    }
    judged
}

/// How often each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) right: usize,
    pub(crate) wrong: usize,
    pub(crate) missed: usize,
}

impl Score {
    pub(crate) fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Right => &mut self.right,
            Kind::Wrong => &mut self.wrong,
            Kind::Missed => &mut self.missed,
        } += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }

    /// 1 where nothing was found.
    pub(crate) fn precision(&self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    /// 1 where nothing was to be found.
    pub(crate) fn recall(&self) -> f64 {
        share(self.right, self.right + self.missed)
    }

    pub(crate) fn text(&self) -> String {
        format!("{} right, {} wrong, {} missed", self.right, self.wrong, self.missed)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// The text of a place.
pub(crate) fn cut(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end.saturating_sub(start)).collect()
}

/// A line for each name, and one for all.
pub(crate) fn lines(scores: &BTreeMap<String, Score>) -> Vec<String> {
    let mut total = Score::default();
    scores.values().for_each(|score| total.add(*score));
    let line = |name: &str, score: &Score| {
        let (precision, recall) = (score.precision(), score.recall());
        format!("{name:32} P {precision:.3} R {recall:.3}  {}", score.text())
    };
    let named = scores.iter().map(|(name, score)| line(name, score));
    named.chain([line("all", &total)]).collect()
}

#[test]
fn spans_and_texts_are_read_as_they_are_written() {
    let span = |start, end, entity: &str| Span { start, end, entity: entity.into() };
    assert_eq!(read_span("3-9", "IBAN").unwrap(), span(3, 9, "IBAN"));
    assert_eq!(read_span("3-9:SECRET/x", "A+B").unwrap(), span(3, 9, "SECRET/x"));
    assert!(read_span("3", "A").is_err());
    assert_eq!(read_text("\"\"\"a\\nb \\\"\"c\\\"\"\"\"\"").unwrap(), "a\nb \"c\"");
    let rows = read("id\tentity\tspans\ttext\n1\tIBAN\t0-3\t\"\"\" ab\"\"\"\n").unwrap();
    assert_eq!(rows[0].spans, [span(1, 3, "IBAN")]);
}

#[test]
fn a_finding_beside_its_mark_is_wrong_and_the_mark_is_missed() {
    let span = |start, end, entity: &str| Span { start, end, entity: entity.into() };
    let marked = |label: &str, spans: &[Span]| Marked {
        id: String::new(),
        label: label.into(),
        text: "x".repeat(20),
        spans: spans.to_vec(),
    };
    let kinds = |marked: &Marked, found: &[Span]| -> Vec<Kind> {
        judge(marked, found).iter().map(|judged| judged.kind).collect()
    };
    let card = marked("CREDIT_CARD", &[span(2, 9, "CREDIT_CARD")]);
    assert_eq!(kinds(&card, &[span(2, 9, "PAYMENT_CARD")]), [Kind::Right]);
    assert_eq!(kinds(&card, &[span(2, 8, "PAYMENT_CARD")]), [Kind::Missed, Kind::Wrong]);
    assert_eq!(kinds(&card, &[span(12, 14, "IBAN_CODE")]), [Kind::Missed]);
    let line = marked("SECRET/x", &[span(0, 20, "SECRET/x")]);
    assert_eq!(kinds(&line, &[span(2, 8, SECRET), span(9, 12, PASSWORD)]), [Kind::Right]);
    let body = marked("", &[span(2, 9, "US_SSN")]);
    assert_eq!(
        kinds(&body, &[span(2, 9, "US_SSN"), span(12, 14, "IBAN_CODE")]),
        [Kind::Right, Kind::Wrong]
    );
    assert_eq!(kinds(&marked("SECRET/x", &[]), &[span(2, 8, PASSWORD)]), [Kind::Wrong]);
}
