//! Payment card numbers (ISO/IEC 7812): issuer range, length, check digit, the way the digits are
//! grouped, and the words around them.

mod candidates;
mod issuer;
mod wording;

use std::ops::Range;

use mailkeep_model::{Category, Severity};

use self::{
    candidates::{Candidate, candidates},
    issuer::{Issuer, Prevalence},
    wording::Wording,
};
use super::super::Detector;
use crate::{Context, findings::Findings, message::MessageView};

pub(crate) const PAYMENT_CARD: Detector =
    Detector { name: "payment-card", category: Category::Sensitive, run: find };

pub(super) const ENTITY: &str = "PAYMENT_CARD";

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    for (index, field) in view.fields.iter().enumerate() {
        let text = field.readable();
        for candidate in candidates(text, |digits| issuer::of(digits).is_some()) {
            if findings.overflow() {
                return;
            }
            let Some((issuer, severity)) = judge(text, &candidate) else { continue };
            let place = field.place(candidate.place);
            let evidence = mask(&candidate.digits, issuer, context);
            findings.add(index, place, severity, ENTITY.to_owned(), evidence);
        }
    }
}

/// Decides by table whether a candidate is a card number, and how surely.
fn judge(text: &str, candidate: &Candidate) -> Option<(&'static Issuer, Severity)> {
    let issuer = issuer::of(&candidate.digits)?;
    let wording = wording::around(text, &candidate.place);
    // Written like a card number, by an issuer that makes it likely to be one.
    let common = issuer.prevalence == Prevalence::Common;
    let grouped = candidate.grouped;
    let alone = stands_alone(text, &candidate.place);
    let severity = match (wording, common) {
        (Wording::Card, _) => Severity::High,
        // Further digits follow: half of a longer number unless words say otherwise.
        _ if candidate.continues => return None,
        (Wording::None, true) => Severity::Medium,
        (Wording::None, false) if alone => Severity::Medium,
        (Wording::None, false) => return None,
        (Wording::Other, true) if grouped => Severity::Low,
        (Wording::Other, _) => return None,
    };
    Some((issuer, severity))
}

/// Whether nothing else is on the line or in the cell, as in a column of numbers.
fn stands_alone(text: &str, place: &Range<usize>) -> bool {
    // Further away a border is none; and looking for it must not cost a walk through the text.
    const NEAR: usize = 100;
    let is_border = |c: char| matches!(c, '\n' | '\t' | ',' | ';' | '|');
    let from = text.floor_char_boundary(place.start.saturating_sub(NEAR));
    let to = text.floor_char_boundary(place.end + NEAR);
    let before = text[from..place.start].rsplit(is_border).next().unwrap_or_default();
    let after = text[place.end..to].split(is_border).next().unwrap_or_default();
    !before.contains(char::is_alphanumeric) && !after.contains(char::is_alphanumeric)
}

/// Only the last four digits, as on a receipt (PCI DSS 3.4 allows no more than the first six
/// besides), and the mark by which equal numbers are recognised.
fn mask(digits: &str, issuer: &Issuer, context: &Context<'_>) -> String {
    let last = &digits[digits.len() - 4..];
    let hidden = "*".repeat(digits.len() - 4);
    format!("{} {hidden}{last} #{}", issuer.name, context.mask_key.mark(ENTITY, digits))
}
