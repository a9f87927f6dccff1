//! Text that is made so that programs read something else than people do.
//!
//! - `text-look-alike`: Latin words with letters of other scripts in them, or in alphabets made
//!   for formulas.
//! - `text-spaced`: words written with a space behind every letter.
//! - `text-hidden`: hidden letters within words, or far more hidden text than visible.

use mailkeep_model::{Category, Severity};

use super::Detector;
use crate::{
    Context,
    findings::Findings,
    message::{Field, MessageView},
};

pub(super) const LOOK_ALIKE: Detector =
    Detector { name: "text-look-alike", category: Category::Link, run: look_alikes };
pub(super) const SPACED: Detector =
    Detector { name: "text-spaced", category: Category::Link, run: spaced };
pub(super) const HIDDEN: Detector =
    Detector { name: "text-hidden", category: Category::Link, run: hidden };

fn look_alikes(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    for (index, (field, folded)) in view.fields.iter().zip(&view.facts().folded).enumerate() {
        let short = matches!(&*field.name, "subject" | "from");
        let severity = match (folded.mixed, folded.fancy) {
            (1.., _) if short => Severity::High,
            (3.., _) => Severity::High,
            (1.., _) => Severity::Medium,
            (_, 5..) if short => Severity::Medium,
            (_, 12..) => Severity::Medium,
            _ => continue,
        };
        let (place, evidence) = if folded.mixed > 0 {
            let place = field.place(folded.first_mixed.clone());
            (place, format!("{} words mix letters of two scripts", folded.mixed))
        } else {
            (all(field), format!("{} letters are signs of formulas", folded.fancy))
        };
        // Sender names are folded apart from their field.
        let place = if crate::facts::is_address(view, index) { all(field) } else { place };
        findings.add(index, place, severity, "look-alike".into(), evidence);
    }
}

fn spaced(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    /// A heading in spaced letters is shorter.
    const LONG: usize = 40;
    for (index, (field, folded)) in view.fields.iter().zip(&view.facts().folded).enumerate() {
        if folded.spaced >= LONG && field.name.contains("body") {
            let evidence = format!("{} letters in a row stand alone", folded.spaced);
            findings.add(index, all(field), Severity::High, "spaced".into(), evidence);
        }
    }
}

fn hidden(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    for (index, field) in view.fields.iter().enumerate() {
        if field.hidden().is_empty() {
            continue;
        }
        let text = field.readable();
        let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
        let mut within = 0;
        let mut letters = 0;
        for piece in field.hidden() {
            let inside = &text[piece.clone()];
            letters += inside.chars().filter(|c| c.is_alphabetic()).count();
            let splits = letter(text[..piece.start].chars().next_back())
                && letter(text[piece.end..].chars().next())
                && letter(inside.chars().next());
            within += usize::from(splits);
        }
        let visible = text.chars().filter(|c| c.is_alphabetic()).count().saturating_sub(letters);
        let (severity, evidence) = if within >= 3 {
            (Severity::High, format!("{within} words are cut by hidden letters"))
        } else if letters > 1_000 && letters > 3 * visible {
            (Severity::Medium, format!("{letters} letters are hidden beside {visible} visible"))
        } else {
            continue;
        };
        if let Some(first) = field.hidden().first() {
            let place = field.place(first.clone());
            findings.add(index, place, severity, "hidden".into(), evidence);
        }
    }
}

fn all(field: &Field) -> std::ops::Range<usize> {
    0..field.source.len()
}
