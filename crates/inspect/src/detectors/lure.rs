//! What the text wants, together with where it leads.
//!
//! - `lure`: wording of a theme ("verify your account", "you have been selected") beside a link to
//!   somebody who is not the sender.
//! - `scam`: wording that needs no link: money of the dead, extortion, bills with a number to call.
//! - `payment-wording`: somebody should pay or change a bank account. A weak signal.
//! - `brand-claim`: a firm's name as the sender's, or in what is said, and neither the sender's
//!   domain nor the links are that firm's.
//! - `link-code`: a QR code that leads elsewhere, beside wording about accounts or documents.
//! - `link-stranger`: every link of a message leads to somebody who is not its sender.
//! - `picture-link`: next to no text, and a picture that leads elsewhere.

use std::collections::BTreeMap;

use mailkeep_model::{Category, Severity};

use super::{
    Detector,
    link_text::{is_own, printable},
};
use crate::{
    Context,
    facts::{By, Claim, DIGEST, Facts, Followed, Whither, whither},
    findings::Findings,
    hosts::Host,
    links::places,
    message::{Field, MessageView},
    wording::{Phrase, Theme},
};

pub(super) const LURE: Detector = Detector { name: "lure", category: Category::Link, run: lures };
pub(super) const SCAM: Detector = Detector { name: "scam", category: Category::People, run: scams };
pub(super) const PAYMENT: Detector =
    Detector { name: "payment-wording", category: Category::People, run: payments };
pub(super) const BRAND: Detector =
    Detector { name: "brand-claim", category: Category::Link, run: brands };
pub(super) const PICTURE: Detector =
    Detector { name: "picture-link", category: Category::Link, run: pictures };

pub(super) const STRANGER: Detector =
    Detector { name: "link-stranger", category: Category::Link, run: strangers };
pub(super) const CODE: Detector =
    Detector { name: "link-code", category: Category::Link, run: codes };

/// Themes that want a link to be followed.
const LURES: &[Theme] = &[
    Theme::Account,
    Theme::Prize,
    Theme::Parcel,
    Theme::Wallet,
    Theme::Dating,
    Theme::Health,
    Theme::Offer,
    Theme::Document,
];

/// Themes that want an answer, a payment or a call.
const SCAMS: &[Theme] =
    &[Theme::Fortune, Theme::Extortion, Theme::Invoice, Theme::Job, Theme::Wallet];

/// A theme's wording in a message.
struct Said<'f> {
    /// A strong phrase is two, a weak one is one (three at most), those in the subject or the
    /// sender's name one more; haste adds one.
    points: usize,
    strong: usize,
    phrases: Vec<&'f Phrase>,
}

impl Said<'_> {
    fn words(&self) -> String {
        let shown: Vec<String> =
            self.phrases.iter().take(5).map(|phrase| format!("\"{}\"", phrase.text)).collect();
        let more = if self.phrases.len() > 5 { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    }
}

/// Words from which on a text says everything somewhere: the press, contracts, minutes. What wants
/// something is shorter, letters of advance-fee fraud included.
const LONG_TEXT: usize = 600;
/// Words beyond that which take a point away.
const LONG_TEXT_POINT: usize = 150;

fn said<'f>(facts: &'f Facts, view: &MessageView) -> BTreeMap<Theme, Said<'f>> {
    let mut themes: BTreeMap<Theme, Said<'f>> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for phrase in &facts.phrases {
        if !seen.insert(phrase.number) {
            continue;
        }
        let said = themes.entry(phrase.theme).or_insert_with(|| Said {
            points: 0,
            strong: 0,
            phrases: Vec::new(),
        });
        said.strong += usize::from(phrase.strong);
        said.points += usize::from(matches!(&*view.fields[phrase.field].name, "subject" | "from"));
        // Strong ones first: they are what is shown.
        let at = if phrase.strong { said.strong - 1 } else { said.phrases.len() };
        said.phrases.insert(at, phrase);
    }
    let haste = themes.contains_key(&Theme::Haste);
    let words: usize = facts.folded.iter().map(|folded| folded.words).max().unwrap_or(0);
    let long = words.saturating_sub(LONG_TEXT) / LONG_TEXT_POINT;
    for said in themes.values_mut() {
        let weak = said.phrases.len() - said.strong;
        said.points += 2 * said.strong + weak.min(3) + usize::from(haste);
        said.points = said.points.saturating_sub(long);
    }
    themes
}

/// The furthest that a message's links lead, and the link that does.
fn furthest<'f>(facts: &'f Facts, context: &Context<'_>) -> Option<(Whither, &'f Followed)> {
    let rank = |whither: Whither| match whither {
        Whither::Common => 0,
        Whither::Home => 1,
        Whither::Untold => 2,
        Whither::Elsewhere => 3,
    };
    facts
        .links
        .iter()
        .map(|link| (whither(link, is_own(&link.end().host, context)), link))
        .rev()
        .max_by_key(|(whither, _)| rank(*whither))
}

fn codes(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    /// Themes whose links an honest sender lets people click where they read.
    const NO_CODES: &[Theme] =
        &[Theme::Account, Theme::Document, Theme::Payment, Theme::Haste, Theme::Parcel];
    let facts = view.facts();
    let wants = said(facts, view).keys().any(|theme| NO_CODES.contains(theme));
    for link in facts.links.iter().filter(|link| link.code) {
        let own = is_own(&link.end().host, context);
        if whither(link, own) != Whither::Elsewhere {
            continue;
        }
        let severity = if wants { Severity::High } else { Severity::Medium };
        let evidence = format!("a QR code leads to {}", link.end().defanged());
        findings.add(link.field, link.place.clone(), severity, link.end().host.text(), evidence);
    }
}

fn lures(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let facts = view.facts();
    let Some((whither, link)) = furthest(facts, context) else { return };
    for (theme, said) in said(facts, view) {
        if !LURES.contains(&theme) || said.strong == 0 {
            continue;
        }
        let severity = match (whither, said.points) {
            (Whither::Elsewhere, 4..) if facts.owners >= DIGEST => Severity::Low,
            (Whither::Elsewhere, 7..) | (Whither::Untold, 10..) => Severity::High,
            (Whither::Elsewhere, 4..) | (Whither::Untold, 5..) => Severity::Medium,
            (Whither::Elsewhere | Whither::Untold, 3..) | (Whither::Home, 6..) => Severity::Low,
            _ => continue,
        };
        let evidence = format!("{}, and a link to {}", said.words(), link.end().defanged());
        report(view, findings, said.phrases[0], severity, theme.as_str().into(), evidence);
    }
}

fn scams(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    let facts = view.facts();
    let sender = view.from.as_ref().and_then(|from| from.host.as_ref());
    let reply = view.reply_to.as_ref().and_then(|reply| reply.host.as_ref());
    let strays = match (sender, reply) {
        (Some(sender), Some(reply)) => !sender.same_owner(reply) && places::is_free_mail(reply),
        _ => false,
    };
    for (theme, said) in said(facts, view) {
        if !SCAMS.contains(&theme) || said.strong == 0 {
            continue;
        }
        // An answer that goes to somebody's free mailbox is how such mail earns.
        let free = sender.is_some_and(places::is_free_mail);
        let points = said.points + if strays { 4 } else { 0 } + if free { 1 } else { 0 };
        let severity = match (theme, points) {
            (Theme::Wallet, _) if !free => continue,
            (_, 14..) if said.strong >= 4 => Severity::High,
            (_, 9..) if said.strong >= 3 => Severity::Medium,
            // Whoever writes so from a free mailbox, or wants the answer there, needs fewer words.
            (_, 9..) if strays && said.strong >= 1 => Severity::High,
            (_, 6..) if strays && said.strong >= 1 => Severity::Medium,
            (_, 8..) if free && said.strong >= 2 => Severity::Medium,
            (_, 6..) if said.strong >= 2 => Severity::Low,
            _ => continue,
        };
        let stray = if strays { "; answers go to a free mailbox elsewhere" } else { "" };
        let evidence = format!("{}{stray}", said.words());
        report(view, findings, said.phrases[0], severity, theme.as_str().into(), evidence);
    }
}

fn payments(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    let themes = said(view.facts(), view);
    let Some(said) = themes.get(&Theme::Payment).filter(|said| said.strong > 0) else { return };
    let severity =
        if said.strong >= 2 && said.points >= 6 { Severity::Medium } else { Severity::Low };
    report(view, findings, said.phrases[0], severity, "payment".into(), said.words());
}

fn report(
    view: &MessageView,
    findings: &mut Findings,
    phrase: &Phrase,
    severity: Severity,
    entity: String,
    evidence: String,
) {
    let field = &view.fields[phrase.field];
    let readable = field.readable();
    let end = readable.ceil_char_boundary(phrase.place.end);
    findings.add(phrase.field, field.place(phrase.place.start..end), severity, entity, evidence);
}

fn brands(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let facts = view.facts();
    let sender = view.from.as_ref().and_then(|from| from.host.as_ref());
    let from_own = sender.is_some_and(|sender| is_own(sender, context));
    let themes = said(facts, view);
    let wants = themes
        .iter()
        .any(|(theme, said)| LURES.contains(theme) && said.strong > 0 && said.points >= 4);
    let links: Vec<(Whither, &Followed)> = facts
        .links
        .iter()
        .map(|link| (whither(link, is_own(&link.end().host, context)), link))
        .collect();
    // Whoever speaks as a firm names one; a newspaper names many.
    let named = facts.claims.iter().filter(|claim| claim.by == By::Body).count();
    let mut said_once = false;
    for claim in &facts.claims {
        let brand = claim.brand;
        let many = said_once || named > 3 || facts.owners >= DIGEST || is_long(facts);
        if claim.by <= By::Subject && many {
            continue;
        }
        let true_sender = sender.is_some_and(|sender| brand.owns(sender));
        let from_field = view.from.as_ref().is_some_and(|from| from.field == claim.field);
        let to_brand = links.iter().any(|(_, link)| brand.owns(&link.end().host));
        let elsewhere = links.iter().find(|(whither, link)| {
            *whither == Whither::Elsewhere && !brand.owns(&link.end().host)
        });
        let untold = links.iter().any(|(whither, _)| *whither == Whither::Untold);
        let severity = match claim.by {
            // The sender's name is checked by nobody; its address is, unless it is our own.
            By::Sender if !true_sender && !from_own => match elsewhere {
                Some(_) => Severity::High,
                None => Severity::Medium,
            },
            By::SenderPart if !true_sender && !from_own => match elsewhere {
                Some(_) if wants => Severity::High,
                Some(_) => Severity::Medium,
                None if untold => Severity::Medium,
                None => Severity::Low,
            },
            _ if true_sender && elsewhere.is_some() && !to_brand && !untold => Severity::Medium,
            By::Subject | By::Body
                if !true_sender && !from_field && elsewhere.is_some() && !to_brand && wants =>
            {
                Severity::Medium
            }
            _ => continue,
        };
        said_once |= claim.by <= By::Subject;
        say(view, findings, claim, severity, sender, elsewhere.map(|(_, link)| *link));
    }
}

/// Whether a text is too long for a name in it to be its sender's.
fn is_long(facts: &Facts) -> bool {
    facts.folded.iter().any(|folded| folded.words > LONG_TEXT)
}

fn say(
    view: &MessageView,
    findings: &mut Findings,
    claim: &Claim,
    severity: Severity,
    sender: Option<&Host>,
    link: Option<&Followed>,
) {
    let field = &view.fields[claim.field];
    let from = sender.map_or_else(|| "no host".to_owned(), Host::text);
    let link =
        link.map(|link| format!(", with a link to {}", link.end().defanged())).unwrap_or_default();
    let evidence = format!("speaks as {} from {from}{link}", claim.name);
    let place = claim.place.clone();
    let end = field.readable().ceil_char_boundary(place.end.max(place.start + 1));
    findings.add(
        claim.field,
        field.place(place.start..end),
        severity,
        claim.name.to_owned(),
        printable(&evidence),
    );
}

fn strangers(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    /// Hosts that a message leads to which wants one thing.
    const FEW: usize = 3;
    let facts = view.facts();
    let Some(sender) = view.from.as_ref().and_then(|from| from.host.as_ref()) else { return };
    if is_own(sender, context) || facts.owners > FEW || !view.fields.iter().any(Field::is_html) {
        return;
    }
    let asks =
        |link: &&Followed| whither(link, is_own(&link.end().host, context)) != Whither::Common;
    let marked = |link: &&Followed| view.fields[link.field].is_html();
    let mut links = facts.links.iter().filter(asks).filter(marked).peekable();
    let Some(&first) = links.peek() else { return };
    let all = links.all(|link| {
        whither(link, is_own(&link.end().host, context)) == Whither::Elsewhere
            && !sender.same_owner(&link.target.host)
    });
    if all {
        let evidence =
            format!("from {}, and every link leads to {}", sender.text(), first.end().defanged());
        findings.add(
            first.field,
            first.place.clone(),
            Severity::Medium,
            "stranger".into(),
            evidence,
        );
    }
}

fn pictures(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    /// Words that a message has which says what it is about.
    const FEW_WORDS: usize = 40;
    let facts = view.facts();
    let words: usize = facts
        .folded
        .iter()
        .zip(&view.fields)
        .filter(|(_, field)| field.name.starts_with("body."))
        .map(|(folded, _)| folded.words)
        .max()
        .unwrap_or(0);
    if words >= FEW_WORDS {
        return;
    }
    let link = facts.links.iter().find(|link| {
        link.image && whither(link, is_own(&link.end().host, context)) == Whither::Elsewhere
    });
    if let Some(link) = link {
        let severity = Severity::Medium;
        let evidence = format!(
            "a picture instead of text ({words} words) that leads to {}",
            link.end().defanged()
        );
        findings.add(link.field, link.place.clone(), severity, link.end().host.text(), evidence);
    }
}
