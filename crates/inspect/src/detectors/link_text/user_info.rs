use std::ops::Range;

use mailkeep_model::Severity;
use memchr::memmem;
use percent_encoding::percent_decode_str;

use super::{around, grade, is_own, printable};
use crate::{
    Context,
    findings::Findings,
    hosts::Host,
    links::Target,
    message::{Field, MessageView},
};

/// Bytes of an address in plain text that are looked at.
const LONGEST: usize = 2_048;

pub(super) fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    for (index, field) in view.fields.iter().enumerate() {
        if findings.overflow() {
            return;
        }
        if field.is_html() {
            for link in field.links().iter().filter(|link| link.href.contains('@')) {
                let text = &field.readable()[link.text.clone()];
                if let Some(found) = look(&link.href, text, &link.text, field, context) {
                    findings.add(index, link.href_place.clone(), found.0, found.1, found.2);
                }
            }
        } else {
            for place in addresses(&field.source) {
                if let Some(found) = look(&field.source[place.clone()], "", &place, field, context)
                {
                    findings.add(index, place, found.0, found.1, found.2);
                }
            }
        }
    }
}

/// Severity, target and evidence, when the user info of an address reads as another host.
fn look(
    href: &str,
    text: &str,
    place: &Range<usize>,
    field: &Field,
    context: &Context<'_>,
) -> Option<(Severity, String, String)> {
    let target = Target::resolve(href, field.base())?;
    let user = percent_decode_str(target.url.username()).decode_utf8_lossy().into_owned();
    let end = user.find(['/', '\\', '?', '#', ':', '@', ' ']).unwrap_or(user.len());
    let posed = Host::of_text(&user[..end])?;
    let name = posed.as_name()?;
    // "consulting@example.com": a suffix alone is a word.
    if !name.as_str().contains('.') || !name.is_public() || target.answers_to(&posed) {
        return None;
    }
    // "http://ann.lee@bank.com": somebody's e-mail address, linked by mistake.
    let is_address_by_mistake = end == user.len()
        && matches!(target.url.path(), "" | "/")
        && text.trim().eq_ignore_ascii_case(&format!("{user}@{}", target.host.text()));
    if is_address_by_mistake {
        return None;
    }
    let wording = around(field.readable(), place);
    let harmful = grade::reads_as_sign_in(&wording)
        || grade::reads_as_sign_in(&target.url.as_str().to_lowercase())
        || is_own(&posed, context);
    let severity = if harmful { Severity::High } else { Severity::Medium };
    let evidence =
        format!("address reads as {}, link leads to {}", printable(&user), target.defanged());
    Some((severity, target.host.text(), evidence))
}

/// The addresses with an `@` in front of their path, in plain text. They do not overlap: a hostile
/// text costs no more than its length.
fn addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from + memmem::find(text.as_bytes().get(from..)?, b"://")?;
            let start = at + 3;
            from = start;
            let rest = &text[start..text.floor_char_boundary(start + LONGEST)];
            let is_border = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"');
            let authority = rest.find(|c| is_border(c) || matches!(c, '/' | '?' | '#' | '\\'));
            if !rest[..authority.unwrap_or(rest.len())].contains('@') {
                continue;
            }
            from = start + rest.find(is_border).unwrap_or(rest.len());
            let letters = text.as_bytes()[..at].iter().rev().take(5);
            let scheme = letters.take_while(|b| b.is_ascii_alphabetic()).count();
            return Some(at - scheme..from);
        }
    })
}
