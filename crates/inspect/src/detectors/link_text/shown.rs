use std::{borrow::Cow, ops::Range, sync::LazyLock};

use linkify::{LinkFinder, LinkKind};
use url::Url;

use crate::hosts::Host;

/// Addresses that are looked at in one link's text.
const MOST: usize = 8;

/// An address that a text shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Where, in bytes of the text.
    pub(super) place: Range<usize>,
    pub(super) host: Host,
    pub(super) form: Form,
    /// Next to nothing else is in the text.
    pub(super) alone: bool,
}

/// How clearly an address is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `https://bank.com/login`, `bank.com/login`, `www.bank.com`.
    Address,
    /// `bank.com`: may as well be the name of a firm.
    Bare,
}

/// Top-level domains that are better known as endings of file names.
const FILE_ENDINGS: &[&str] = &[
    "ai", "app", "bz", "cc", "cfg", "doc", "gz", "java", "md", "mk", "mov", "mp", "pl", "pm", "ps",
    "pub", "py", "rs", "sh", "so", "st", "tf", "vi", "zip",
];

static FINDER: LazyLock<LinkFinder> = LazyLock::new(|| {
    let mut finder = LinkFinder::new();
    // E-mail addresses are found too, so that their domains are not taken for addresses.
    finder.url_must_have_scheme(false).kinds(&[LinkKind::Url, LinkKind::Email]);
    finder
});

/// The addresses that a text shows. `is_own` tells the organisation's own hosts, which count
/// under whatever suffix they are (`intranet.corp`).
pub(super) fn addresses(text: &str, is_own: &dyn Fn(&Host) -> bool) -> Vec<Shown> {
    if !text.contains(['.', '。', '．', '｡', '․']) {
        return Vec::new();
    }
    let plain = plain(text);
    let mut found = Vec::new();
    for link in FINDER.links(&plain).filter(|link| *link.kind() == LinkKind::Url).take(MOST) {
        let Some((host, form, within)) = read(link.as_str(), is_own) else { continue };
        let mut place = link.start() + within.start..link.start() + within.end;
        let others = count(&plain[..place.start]) + count(&plain[place.end..]);
        if let Cow::Owned(_) = plain {
            place = 0..text.len();
        }
        // "Visit: https://…" is an address with a word to it, "Amazon.com deals" is not.
        let alone = others <= if form == Form::Address { 24 } else { 0 };
        found.push(Shown { place, host, form, alone });
    }
    found
}

/// The text without characters that nobody sees, with one kind of dot (UTS #46).
fn plain(text: &str) -> Cow<'_, str> {
    let special = |c| matches!(c, '。' | '．' | '｡' | '․') || is_invisible(c);
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let visible = text.chars().filter(|c| !is_invisible(*c));
    Cow::Owned(visible.map(|c| if special(c) { '.' } else { c }).collect())
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

fn count(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Host and form of an address, and which part of it that is.
fn read(address: &str, is_own: &dyn Fn(&Host) -> bool) -> Option<(Host, Form, Range<usize>)> {
    let all = 0..address.len();
    if let Some((scheme, _)) = address.split_once("://") {
        if !["http", "https", "ftp"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return None;
        }
        let host = Url::parse(address).ok().and_then(|url| Host::of_url(&url));
        // Whoever writes the scheme means an address; a name without a dot has no owner to compare.
        let has_owner = |host: &Host| host.as_name().is_none_or(|name| name.as_str().contains('.'));
        let host = host.filter(has_owner).or_else(|| Some(read_ascii(address)?.0))?;
        return Some((host, Form::Address, all));
    }
    let end = address.find(['/', '?', '#', ':']).unwrap_or(address.len());
    let name = &address[..end];
    let stands = |host: &Host| is_reachable(host) || is_own(host);
    let Some(host) = Host::of_text(name).filter(stands) else {
        let (host, within) = read_ascii(name)?;
        return Some((host, Form::Bare, within));
    };
    // Without a scheme four numbers are a version.
    let public = host.as_name()?;
    let has_path = address[end..].len() > 1;
    if has_path || name.get(..4).is_some_and(|www| www.eq_ignore_ascii_case("www.")) {
        return Some((host, Form::Address, all));
    }
    let is_file = FILE_ENDINGS.contains(&public.top());
    let is_word = public.main_label().contains(|c: char| c.is_ascii_alphabetic());
    // A full stop without its space: "done.It is", "See you.Me too".
    let top = name.rsplit('.').next().unwrap_or_default();
    let is_sentence = top.starts_with(|c: char| c.is_uppercase())
        && top.contains(|c: char| c.is_lowercase())
        && top.len() < 4;
    (!is_file && is_word && !is_sentence).then_some((host, Form::Bare, all))
}

/// Names under a suffix that exists, and addresses; not `intranet` or `server.corp`, about whose
/// owners names tell nothing.
fn is_reachable(host: &Host) -> bool {
    host.as_name().is_none_or(|name| name.is_public())
}

/// A name between letters of a script that is written without spaces ("请访问bank.com查看").
fn read_ascii(text: &str) -> Option<(Host, Range<usize>)> {
    if text.is_ascii() {
        return None;
    }
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-')
        .map(|name| name.trim_matches(['.', '-']))
        .filter(|name| name.contains('.'))
        .find_map(|name| {
            let host = Host::of_text(name).filter(|host| host.as_name().is_some())?;
            let start = name.as_ptr() as usize - text.as_ptr() as usize;
            is_reachable(&host).then_some((host, start..start + name.len()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Vec<(String, Form, bool)> {
        addresses(text, &|_| false).into_iter().map(|s| (s.host.text(), s.form, s.alone)).collect()
    }

    #[test]
    fn what_reads_as_an_address_is_one() {
        for (text, host, form, alone) in [
            ("https://www.Bank.com/login", "www.bank.com", Form::Address, true),
            ("Go to: bank.co.uk/login.", "bank.co.uk", Form::Address, true),
            ("www.bank.com", "www.bank.com", Form::Address, true),
            (" bank.com ", "bank.com", Form::Bare, true),
            ("Amazon.com deals", "amazon.com", Form::Bare, false),
            ("b\u{200b}ank。com", "bank.com", Form::Bare, true),
            ("https://bücher.de/", "xn--bcher-kva.de", Form::Address, true),
            ("请访问bank.com查看", "bank.com", Form::Bare, false),
            ("http://10.0.0.1/x", "10.0.0.1", Form::Address, true),
            ("https://wiki.corp.local/x", "wiki.corp.local", Form::Address, true),
        ] {
            assert_eq!(show(text), [(host.into(), form, alone)], "{text}");
        }
    }

    #[test]
    fn the_own_intranet_is_an_address_under_whatever_suffix() {
        let text = "wiki.corp.local/start";
        assert_eq!(show(text), []);
        assert_eq!(addresses(text, &|_| true)[0].host.text(), "wiki.corp.local");
    }

    #[test]
    fn what_only_looks_a_little_like_an_address_is_none() {
        for text in [
            "report.pdf",
            "README.md",
            "Node.js",
            "v1.2.3",
            "10.0.0.1",
            "ann@bank.com",
            "mailto:ann@bank.com",
            "e.g. this",
            "That is done.It is good",
            "http://intranet/wiki",
            "server.corp",
            "3.14",
            "Click here...",
            "",
        ] {
            assert_eq!(show(text), [], "{text}");
        }
    }
}
