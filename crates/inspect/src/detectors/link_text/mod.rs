//! Links that show one address and lead to another.
//!
//! - `link-text-mismatch`: the visible text reads as an address, and the registrable domain
//!   differs from that of the target. Link protection (Safe Links, URL Defense and others) and
//!   redirectors that carry their target openly are seen through first.
//! - `link-user-info`: the address itself reads as another host, because that host stands in
//!   front of an `@` (`https://bank.example@evil.example/`; RFC 3986 section 7.6).

mod grade;
mod shown;
mod user_info;

use std::ops::Range;

use mailkeep_model::{Category, Severity};

use self::{
    grade::Signals,
    shown::{Form, Shown},
};
use super::Detector;
use crate::{
    Context,
    findings::Findings,
    hosts::Host,
    links::Target,
    message::{Field, Link, MessageView},
};

pub(super) const MISMATCH: Detector =
    Detector { name: "link-text-mismatch", category: Category::Link, run: mismatches };

pub(super) const USER_INFO: Detector =
    Detector { name: "link-user-info", category: Category::Link, run: user_info::find };

fn mismatches(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    for (index, field) in view.fields.iter().enumerate() {
        for link in field.links() {
            if findings.overflow() {
                return;
            }
            if let Some(found) = mismatch(field, link, context) {
                let place = field.place(found.place);
                findings.add(index, place, found.severity, found.entity, found.evidence);
            }
        }
    }
}

struct Found {
    place: Range<usize>,
    severity: Severity,
    entity: String,
    evidence: String,
}

fn mismatch(field: &Field, link: &Link, context: &Context<'_>) -> Option<Found> {
    let readable = field.readable();
    let text = cut(&readable[link.text.clone()], context.limits.link_text_bytes);
    let shown = shown::addresses(text, &|host| is_own(host, context));
    if shown.is_empty() {
        return None;
    }
    let target = Target::resolve(&link.href, field.base())?;
    let differs = |shown: &&Shown| !target.answers_to(&shown.host);
    let worst = shown.iter().filter(differs).max_by_key(|shown| {
        (shown.form != Form::Bare, shown.alone, std::cmp::Reverse(shown.place.start))
    })?;
    let signals = Signals {
        address_like: worst.form != Form::Bare,
        alone: worst.alone,
        also_shows_target: !shown.iter().all(|shown| differs(&shown)),
        own_domain: is_own(&worst.host, context),
        sign_in: grade::reads_as_sign_in(&around(readable, &link.text)),
        disguised: target.imitates(&worst.host) || target.is_cheap(),
        service: target.service,
    };
    Some(Found {
        place: link.text.start + worst.place.start..link.text.start + worst.place.end,
        severity: signals.severity(),
        entity: target.host.text(),
        evidence: format!(
            "text shows {}, link leads to {}",
            printable(&text[worst.place.clone()]),
            target.defanged()
        ),
    })
}

/// Whether a host is the organisation's own.
pub(crate) fn is_own(host: &Host, context: &Context<'_>) -> bool {
    host.as_name().is_some_and(|name| {
        context
            .own_domains
            .iter()
            .any(|domain| name.is_within(&domain.trim_matches('.').to_ascii_lowercase()))
    })
}

/// The text of a link with what stands next to it.
fn around(readable: &str, text: &Range<usize>) -> String {
    const NEAR: usize = 160;
    let start = readable.floor_char_boundary(text.start.saturating_sub(NEAR));
    let end = readable.floor_char_boundary(text.end.min(text.start + 2 * NEAR) + NEAR);
    readable[start..end].to_lowercase()
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// For evidence: one line, no control characters, at most 100 characters.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 100;
    let line: String = text
        .chars()
        .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
        .take(LONGEST + 1)
        .collect();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
