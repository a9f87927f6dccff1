//! `look-alike-host`: a link's or sender's host that plays on the name of a known firm or of the
//! organisation itself: letters that look alike, a letter more, less or swapped, the name among
//! others (`bank-login.example`) or in front of another domain (`bank.com.evil.example`).

use std::{ops::Range, sync::LazyLock};

use mailkeep_model::{Category, Severity};

use super::{Detector, link_text::is_own};
use crate::{
    Context,
    brands::{BRANDS, ROLES, is_owned},
    facts::DIGEST,
    findings::Findings,
    hosts::{Host, Name},
    links::places,
    message::MessageView,
    wording,
};

pub(super) const HOST: Detector =
    Detector { name: "look-alike-host", category: Category::Link, run: find };

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let mut seen: Vec<String> = Vec::new();
    let mut look = |field: usize, place: Range<usize>, host: &Host, sender: bool| {
        let Some(name) = host.as_name() else { return };
        if is_own(host, context) || places::is_commonplace(host) || places::is_free_mail(host) {
            return;
        }
        if seen.iter().any(|seen| seen == name.as_str()) || seen.len() > MOST_HOSTS {
            return;
        }
        seen.push(name.as_str().to_owned());
        let owned = is_owned(host);
        let found =
            own(name, context, sender).or_else(|| if owned { None } else { of_brand(name) });
        if let Some((mut severity, model, how)) = found {
            if view.facts().owners >= DIGEST && severity == Severity::Medium {
                severity = Severity::Low;
            }
            let evidence = format!("{} {how} {model}", name.as_str().replace('.', "[.]"));
            findings.add(field, place, severity, name.as_str().to_owned(), evidence);
        }
    };
    for address in [&view.from, &view.reply_to].into_iter().flatten() {
        if let Some(host) = &address.host {
            look(address.field, address.address.clone(), host, true);
        }
    }
    for link in &view.facts().links {
        look(link.field, link.place.clone(), &link.end().host, false);
    }
}

/// Hosts of one message that are compared.
const MOST_HOSTS: usize = 200;

type Found = (Severity, String, &'static str);

/// Whether a name plays on one of the organisation's own, or of those it works with.
fn own(name: &Name, context: &Context<'_>, sender: bool) -> Option<Found> {
    context.own_domains.iter().chain(context.partner_domains).find_map(|own| {
        let own = own.trim_matches('.').to_ascii_lowercase();
        let label = own.split('.').next()?.to_owned();
        if label.len() < SHORTEST_OWN {
            return None;
        }
        let skeleton = skeleton(name.main_label());
        let how = if name.as_str().contains(&format!("{own}.")) {
            "has in front the whole of"
        } else if name.main_label() != label && skeleton == self::skeleton(&label) {
            "is drawn like"
        } else if near(&skeleton, &label) {
            "is a letter away from"
        } else if name.main_label() == label && sender {
            // The same firm under another suffix, as often as not.
            return Some((Severity::Medium, own, "has under another suffix the name of"));
        } else if sender && tokens(name).any(|token| token == label) {
            "has among others the name of"
        } else {
            return None;
        };
        let severity = if sender { Severity::High } else { Severity::Medium };
        Some((severity, own, how))
    })
}

/// Whether a name plays on a known firm's.
fn of_brand(name: &Name) -> Option<Found> {
    let main = name.main_label();
    let drawn = skeleton(main);
    let role = |token: &str| {
        ROLES.contains(&token) || token.bytes().all(|b| b.is_ascii_digit()) || token.len() < 3
    };
    // Taken apart once, and held against a thousand labels.
    let tokens: Vec<&str> = tokens(name).collect();
    let front: Vec<&str> = in_front(name).collect();
    for &Model { plain, label, drawn: ref model } in &*MODELS {
        let named = || plain && !WORDS.contains(&label);
        let found = if main != label && drawn == *model {
            (Severity::High, "is drawn like")
        } else if label.len() >= LONG && near(&drawn, model) && named() {
            (Severity::High, "is a letter away from")
        } else if main != label && tokens.contains(&label) {
            if !named() && !tokens.iter().all(|&token| token == label || role(token)) {
                continue;
            }
            (Severity::High, "has among others the name of")
        } else if front.contains(&label) && named() {
            // "bank.com.evil.example" poses; "bank.mailer.example" may be the firm's mailer.
            let posing = format!("{label}.com.");
            let severity =
                if name.as_str().contains(&posing) { Severity::High } else { Severity::Medium };
            (severity, "has in front the name of")
        } else if label.len() >= LONG && main.len() > label.len() && main.contains(label) && named()
        {
            (Severity::Medium, "contains the name of")
        } else {
            continue;
        };
        return Some((found.0, label.to_owned(), found.1));
    }
    None
}

/// Labels that are words of every day: others have them in their names, too.
const WORDS: &[&str] = &[
    "apple",
    "ledger",
    "proton",
    "outlook",
    "windows",
    "booking",
    "office",
    "skype",
    "chrome",
    "orange",
    "delta",
    "douglas",
    "action",
    "discord",
    "telegram",
    "ripple",
    "stellar",
    "exodus",
    "phantom",
    "gemini",
    "solana",
    "amazon",
    "steam",
    "android",
    "norton",
    "mastercard",
    "shopee",
    "saturn",
    "makita",
    "hermes",
];

/// A label that others play on.
struct Model {
    plain: bool,
    label: &'static str,
    drawn: String,
}

static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let labels = BRANDS.iter().flat_map(|brand| brand.labels().map(move |label| (brand, label)));
    let mut models: Vec<Model> = labels
        .filter(|(_, label)| label.len() >= SHORTEST)
        .map(|(brand, label)| Model { plain: brand.plain, label, drawn: skeleton(label) })
        .collect();
    models.sort_by(|a, b| (a.label, !a.plain).cmp(&(b.label, !b.plain)));
    models.dedup_by(|b, a| a.label == b.label);
    models
});

/// A label of so many letters is a word of its own wherever it stands.
const LONG: usize = 7;

/// Shorter names are too many words' neighbours.
const SHORTEST: usize = 5;
const SHORTEST_OWN: usize = 4;

/// The pieces of the registered name between its hyphens.
fn tokens(name: &Name) -> impl Iterator<Item = &str> {
    let main = name.main_label();
    main.split('-').filter(|token| !token.is_empty() && token.len() < main.len())
}

/// The labels in front of the registered name, and their pieces between hyphens.
fn in_front(name: &Name) -> impl Iterator<Item = &str> {
    let front = name.as_str().strip_suffix(name.registrable()).unwrap_or_default();
    front.split(['.', '-']).filter(|piece| !piece.is_empty())
}

/// How a label is drawn: punycode undone, look-alikes as Latin letters, `rn` as `m`, digits as the
/// letters they pass for.
fn skeleton(label: &str) -> String {
    let (unicode, _) = idna::domain_to_unicode(label);
    let mut drawn = String::with_capacity(unicode.len());
    for c in unicode.chars() {
        match wording::look_alike(c).unwrap_or(c) {
            '0' => drawn.push('o'),
            '1' | '|' => drawn.push('l'),
            '3' => drawn.push('e'),
            '5' => drawn.push('s'),
            c if c.is_ascii() => drawn.push(c),
            c => drawn.extend(wording::plain_letters(c)),
        }
    }
    drawn.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

/// Whether one letter more, less, changed, or two swapped make one of the other.
fn near(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one == other || one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (a, b) = (&one[same..], &other[same..]);
    match a.len().cmp(&b.len()) {
        std::cmp::Ordering::Less => a == &b[1..],
        std::cmp::Ordering::Greater => &a[1..] == b,
        std::cmp::Ordering::Equal => {
            a[1..] == b[1..] || a.len() > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_letter_apart_are_near() {
        for (one, other) in [
            ("corp", "cor"),
            ("corp", "corpp"),
            ("corp", "crop"),
            ("corp", "carp"),
            ("corp", "ccorp"),
        ] {
            assert!(near(one, other) && near(other, one), "{one} {other}");
        }
        for (one, other) in [("corp", "corp"), ("corp", "crap"), ("corp", "co"), ("corp", "proc")] {
            assert!(!near(one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_drawn_alike_is_one() {
        for (one, other) in [
            ("paypa1", "paypal"),
            ("xn--pypal-4ve", "paypal"),
            ("rnicrosoft", "microsoft"),
            ("g00gle", "google"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one}");
        }
    }
}
