//! Who says that they are somebody else.
//!
//! - `impersonation`: an executive's name at a foreign address; an address in a sender's name that
//!   is not the sender's; answers to an own sender that go elsewhere; an own sender whom the
//!   receiving server found forged.
//! - `reply-elsewhere`: answers go to somebody's free mailbox.
//! - `sender-host`: a sender whose host no server has.
//! - `takeover`: how this message departs from what its mailbox is used to ([`crate::Habits`]).
//! - `inbox-rule`: a rule of the mailbox that gives its mail away or hides it.

pub(crate) mod rules;
mod takeover;

use mailkeep_model::{Category, Severity};

pub(super) use self::takeover::TAKEOVER;
use super::{
    Detector,
    link_text::{is_own, printable},
};
use crate::{
    Context,
    facts::name_place,
    findings::Findings,
    hosts::Host,
    links::places::is_free_mail,
    message::{Address, MessageView},
    wording::fold,
};

pub(super) const IMPERSONATION: Detector =
    Detector { name: "impersonation", category: Category::People, run: impersonation };
pub(super) const REPLY: Detector =
    Detector { name: "reply-elsewhere", category: Category::People, run: replies };
pub(super) const SENDER: Detector =
    Detector { name: "sender-host", category: Category::People, run: hosts };

fn impersonation(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let Some(from) = &view.from else { return };
    let source = &view.fields[from.field].source;
    let name = &source[from.name.clone()];
    let address = &source[from.address.clone()];
    let own = from.host.as_ref().is_some_and(|host| is_own(host, context));
    let mut report = |at: &Address, severity, entity: &str, evidence: String| {
        findings.add(at.field, name_place(at), severity, entity.to_owned(), printable(&evidence));
    };
    if let Some(executive) = executive(name, context)
        && !executive.addresses.iter().any(|known| known.eq_ignore_ascii_case(address))
    {
        // Inside it is a namesake, an assistant, a second address.
        let severity = if own { Severity::Low } else { Severity::High };
        let evidence = format!("the name of {} at {address}", executive.name);
        report(from, severity, "display-name", evidence);
    } else if let Some((shown, host)) = shown_address(name)
        && from.host.as_ref().is_none_or(|sender| !sender.same_owner(&host))
    {
        let severity = if is_own(&host, context) { Severity::High } else { Severity::Medium };
        report(from, severity, "address-in-name", format!("shows {shown}, is from {address}"));
    }
    if !own {
        return;
    }
    if let Some(reply) = &view.reply_to
        && let Some(host) = reply.host.as_ref().filter(|host| !is_own(host, context))
    {
        let reply_source = &view.fields[reply.field].source;
        let to = &reply_source[reply.address.clone()];
        let severity = if is_free_mail(host) || is_look_alike_person(to, name) {
            Severity::High
        } else {
            Severity::Medium
        };
        report(reply, severity, "reply-to", format!("answers to {address} go to {to}"));
    }
    if let Some(found) = view.authentication.as_deref().and_then(forged) {
        report(from, Severity::High, "forged", format!("{address} is forged: {found}"));
    }
}

/// The executive whose name it is: the same words, in whatever order, initials left out.
fn executive<'c>(name: &str, context: &Context<'c>) -> Option<&'c crate::Executive> {
    let words = words(name);
    if words.len() < 2 {
        return None;
    }
    context.executives.iter().find(|executive| {
        let theirs = self::words(&executive.name);
        theirs.len() >= 2 && theirs == words
    })
}

fn words(name: &str) -> Vec<String> {
    let folded = fold(name, &[]).text;
    let mut words: Vec<String> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 1)
        .map(str::to_owned)
        .collect();
    words.sort();
    words
}

/// Whether a local part is made of a person's names.
fn is_look_alike_person(address: &str, name: &str) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_lowercase();
    let words = words(name);
    words.len() >= 2 && words.iter().all(|word| local.contains(word.as_str()))
}

/// The address that a name shows.
fn shown_address(name: &str) -> Option<(&str, Host)> {
    name.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '(' | ')' | ',' | ';'))
        .find_map(|word| {
            let word = word.trim_matches('\'');
            let (local, domain) = word.split_once('@')?;
            let host = Host::of_text(domain)?;
            let public = host.as_name()?.is_public() && domain.contains('.');
            (!local.is_empty() && public).then_some((word, host))
        })
}

/// What the receiving server found that says the sender's address is not theirs (RFC 8601; DMARC
/// fails when neither SPF nor DKIM speak for the domain that is shown).
fn forged(results: &str) -> Option<&'static str> {
    let results = results.to_ascii_lowercase();
    let has = |result: &str| {
        results.match_indices(result).any(|(at, _)| {
            let next = results.as_bytes().get(at + result.len());
            next.is_none_or(|b| !b.is_ascii_alphanumeric())
        })
    };
    if has("dmarc=fail") {
        return Some("dmarc=fail");
    }
    let spf = has("spf=fail") || has("spf=softfail");
    (spf && !has("dkim=pass") && !has("dmarc=pass")).then_some("spf=fail and no dkim=pass")
}

fn replies(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let (Some(from), Some(reply)) = (&view.from, &view.reply_to) else { return };
    let (Some(sender), Some(host)) = (&from.host, &reply.host) else { return };
    if sender.same_owner(host) || is_own(sender, context) || is_own(host, context) {
        return;
    }
    if is_free_mail(host) && !is_free_mail(sender) {
        let evidence = format!("from {}, answers go to {}", sender.text(), host.text());
        let place = reply.address.clone();
        findings.add(reply.field, place, Severity::Medium, "free-mail".into(), evidence);
    }
}

fn hosts(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    let Some(from) = &view.from else { return };
    let source = &view.fields[from.field].source;
    let address = &source[from.address.clone()];
    let Some((_, domain)) = address.rsplit_once('@') else { return };
    let fits = from.host.as_ref().is_some_and(|host| {
        // Names of networks without the DNS end in anything; in a suffix of none they have a dot.
        host.as_name().is_some_and(|name| name.as_str().contains('.'))
    });
    if !fits && !domain.is_empty() {
        let evidence = format!("no server has the address {}", printable(address));
        let place = from.address.clone();
        findings.add(from.field, place, Severity::Medium, "sender-host".into(), evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_is_told_from_a_passed_one() {
        assert!(forged("mx.example; spf=pass; dkim=none; dmarc=fail action=none").is_some());
        assert!(forged("mx.example; spf=softfail smtp.mailfrom=x; dkim=none").is_some());
        assert!(forged("mx.example; spf=fail; dkim=pass; dmarc=pass").is_none());
        assert!(forged("mx.example; dmarc=failure-is-no-result").is_none());
        assert!(forged("").is_none());
    }

    #[test]
    fn a_name_is_the_same_in_whatever_order_it_is_written() {
        assert_eq!(words("Lee, Ann M."), words("ann lee"));
        assert_ne!(words("Ann Lee"), words("Anna Lee"));
    }
}
