//! Links to places that say nothing about who is behind them.
//!
//! - `link-place`: shorteners, pages in object stores, free hosting, forms that anybody makes.
//! - `link-address`: a number instead of a name; a number written so that it does not look like one.
//! - `link-recipient`: the recipient's address behind a `#`, which a sign-in page fills in.
//! - `link-redirects`: a link through more redirectors than anybody needs.
//! - `form-password`: a form that asks for a password.

use mailkeep_model::{Category, Severity};

use super::{
    Detector,
    link_text::{is_own, printable},
};
use crate::{
    Context,
    facts::{DIGEST, Followed, Whither, whither},
    findings::Findings,
    hosts::Host,
    links::{Target, places::Place},
    message::MessageView,
};

pub(super) const PLACE: Detector =
    Detector { name: "link-place", category: Category::Link, run: places };
pub(super) const ADDRESS: Detector =
    Detector { name: "link-address", category: Category::Link, run: numbers };
pub(super) const RECIPIENT: Detector =
    Detector { name: "link-recipient", category: Category::Link, run: recipients };
pub(super) const REDIRECTS: Detector =
    Detector { name: "link-redirects", category: Category::Link, run: redirects };
pub(super) const PASSWORD: Detector =
    Detector { name: "form-password", category: Category::Link, run: passwords };

fn redirects(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    for link in view.facts().links.iter().filter(|link| link.target.endless) {
        let evidence = format!("a link through many redirectors, {} and on", link.end().defanged());
        let host = link.end().host.text();
        findings.add(link.field, link.place.clone(), Severity::Medium, host, evidence);
        if findings.overflow() {
            return;
        }
    }
}

fn places(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let facts = view.facts();
    // Beside links home and to others a shortener is one link of many; alone it is the message.
    let asks = |link: &&Followed| {
        let own = is_own(&link.end().host, context);
        !matches!(whither(link, own), Whither::Common)
    };
    let alone = facts.links.iter().filter(asks).all(|link| link.kind.is_some());
    for link in &facts.links {
        if findings.overflow() {
            return;
        }
        let end = link.end();
        let Some(place) = link.kind else { continue };
        let own = is_own(&end.host, context);
        let home = view.from.as_ref().and_then(|from| from.host.as_ref());
        if own || home.is_some_and(|home| home.same_owner(&end.host)) {
            continue;
        }
        let severity = match place {
            Place::StoredPage if !looks_like_a_file(end) => Severity::High,
            Place::StoredPage | Place::Shortener | Place::Form | Place::Hosting if alone => {
                Severity::Medium
            }
            _ => Severity::Low,
        };
        let evidence = format!("link leads to {}: {}", end.defanged(), place.as_str());
        // Which of a sender's many links it is makes no difference.
        findings.add(link.field, link.place.clone(), severity, place.as_str().to_owned(), evidence);
    }
}

/// Pictures and documents are what stores are for; pages are not.
fn looks_like_a_file(target: &Target) -> bool {
    const FILES: &[&str] = &["gif", "jpeg", "jpg", "mp3", "mp4", "pdf", "png", "zip", "csv", "svg"];
    let (_, ending) = target.url.path().rsplit_once('.').unwrap_or_default();
    FILES.iter().any(|file| ending.eq_ignore_ascii_case(file))
}

fn numbers(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let digest = view.facts().owners >= DIGEST;
    for link in &view.facts().links {
        if is_disguised(&link.href) && !findings.overflow() {
            let evidence = format!("capitals disguise the address {}", printable(&link.href));
            let place = link.place.clone();
            findings.add(link.field, place, Severity::Medium, "capitals".into(), evidence);
        }
        let Host::Ip(ip) = link.end().host else { continue };
        if digest {
            continue;
        }
        if findings.overflow() {
            return;
        }
        let inside = match ip {
            std::net::IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
            std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
        };
        if inside || is_own(&link.target.host, context) {
            continue;
        }
        let written = link.href.contains(&ip.to_string()) || link.carried.is_some();
        let severity = if written { Severity::Medium } else { Severity::High };
        let how = if written { "" } else { ", written so that it does not look like one" };
        let evidence = format!(
            "link leads to the number {}{how}: {}",
            link.end().defanged(),
            printable(&link.href)
        );
        // One or many: a host without a name.
        findings.add(link.field, link.place.clone(), severity, "number".into(), evidence);
    }
}

/// Whether the scheme or the host changes between capitals and small letters as no person writes.
fn is_disguised(href: &str) -> bool {
    let Some((scheme, rest)) = href.trim().split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let changes = |text: &str| {
        let cases: Vec<bool> =
            text.bytes().filter(u8::is_ascii_alphabetic).map(|b| b.is_ascii_uppercase()).collect();
        cases.windows(2).filter(|pair| pair[0] != pair[1]).count()
    };
    // "Http" is what telephones write; "WWW.BigFirm.com" is what marketing does.
    scheme.len() <= 5
        && (changes(scheme) > usize::from(scheme.starts_with('H')) || changes(host) >= 6)
}

fn recipients(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    for link in &view.facts().links {
        if findings.overflow() {
            return;
        }
        let end = link.end();
        let own = is_own(&end.host, context);
        if whither(link, own) != Whither::Elsewhere {
            continue;
        }
        let Some(fragment) = end.url.fragment() else { continue };
        let reads = fragment.replace("%40", "@");
        let Some((local, domain)) = reads.trim_start_matches(['?', '/', '&']).split_once('@')
        else {
            continue;
        };
        let end_of_domain = domain
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-'))
            .unwrap_or(domain.len());
        let name = Host::of_text(&domain[..end_of_domain]);
        if local.is_empty() || name.is_none_or(|name| name.as_name().is_none()) {
            continue;
        }
        let evidence = format!("link carries a person's address to {}", end.defanged());
        findings.add(link.field, link.place.clone(), Severity::Medium, end.host.text(), evidence);
    }
}

fn passwords(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    for (index, field) in view.fields.iter().enumerate() {
        for form in field.forms().iter().filter(|form| form.password) {
            if findings.overflow() {
                return;
            }
            let target = Target::resolve(&form.action, field.base());
            let (entity, whither) = match &target {
                Some(target) => (target.host.text(), format!("sends it to {}", target.defanged())),
                None => (String::new(), "hands it to a script".to_owned()),
            };
            let evidence = format!("a form asks for a password and {whither}");
            findings.add(index, form.place.clone(), Severity::High, entity, evidence);
        }
    }
}
