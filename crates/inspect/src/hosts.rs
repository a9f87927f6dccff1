use std::net::IpAddr;

use psl::{List, Psl, Type};
use url::Url;

/// Where a link leads, or seems to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(Name),
    Ip(IpAddr),
}

/// A host name in lower case and punycode, without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    ascii: String,
    /// Where the registrable domain begins (public suffix list, both of its sections); 0 when the
    /// name is a public suffix itself.
    registrable: usize,
    suffix: Option<Type>,
}

impl Host {
    /// The host of a URL, as the WHATWG URL standard parses it.
    pub(crate) fn of_url(url: &Url) -> Option<Self> {
        match url.host()? {
            url::Host::Domain(name) => Name::new(name).map(Self::Name),
            url::Host::Ipv4(ip) => Some(Self::Ip(ip.into())),
            url::Host::Ipv6(ip) => Some(Self::Ip(ip.into())),
        }
    }

    /// A host name as a person writes it: Unicode, any case, trailing dot.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        match url::Host::parse(text).ok()? {
            url::Host::Domain(name) => Name::new(&name).map(Self::Name),
            url::Host::Ipv4(ip) => Some(Self::Ip(ip.into())),
            url::Host::Ipv6(ip) => Some(Self::Ip(ip.into())),
        }
    }

    pub(crate) fn as_name(&self) -> Option<&Name> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ip(_) => None,
        }
    }

    /// As text: punycode, or the address.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Name(name) => name.ascii.clone(),
            Self::Ip(ip) => ip.to_string(),
        }
    }

    /// Whether both belong to one owner, as far as names tell.
    pub(crate) fn same_owner(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(two)) => one == two,
            (Self::Name(one), Self::Name(two)) => one.same_owner(two),
            _ => false,
        }
    }
}

impl Name {
    fn new(name: &str) -> Option<Self> {
        let ascii = name.trim_end_matches('.').to_ascii_lowercase();
        if ascii.is_empty() {
            return None;
        }
        let registrable =
            List.domain(ascii.as_bytes()).map_or(0, |domain| ascii.len() - domain.as_bytes().len());
        let suffix = List.suffix(ascii.as_bytes()).and_then(|suffix| suffix.typ());
        Some(Self { ascii, registrable, suffix })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.ascii
    }

    /// The domain that somebody registered, e.g. `bank.co.uk` of `www.bank.co.uk`.
    pub(crate) fn registrable(&self) -> &str {
        &self.ascii[self.registrable..]
    }

    /// The first label of the registrable domain, e.g. `bank`.
    pub(crate) fn main_label(&self) -> &str {
        self.registrable().split('.').next().unwrap_or_default()
    }

    /// The last label.
    pub(crate) fn top(&self) -> &str {
        self.ascii.rsplit('.').next().unwrap_or_default()
    }

    /// Whether its end is a suffix that exists in the DNS.
    pub(crate) fn is_public(&self) -> bool {
        self.suffix.is_some()
    }

    /// Whether anybody can have a name under this suffix for nothing (`vercel.app`, `github.io`:
    /// the private section of the list).
    pub(crate) fn is_hosted(&self) -> bool {
        self.suffix == Some(Type::Private)
    }

    /// Whether a firm's name under this suffix is likely to be the firm's: a country, or one of the
    /// oldest of all suffixes. Where a name costs a euro, anybody can have it.
    pub(crate) fn is_official(&self) -> bool {
        let top = self.top();
        self.suffix == Some(Type::Icann)
            && (top.len() == 2 && !CHEAP_COUNTRIES.contains(&top)
                || matches!(top, "com" | "net" | "org" | "gov" | "edu" | "int"))
    }

    /// Whether it is the domain or lies below it. The domain is in lower case.
    pub(crate) fn is_within(&self, domain: &str) -> bool {
        let (name, domain) = (self.ascii.as_bytes(), domain.as_bytes());
        // Hundreds of domains are asked for with each link, and one look tells nearly all apart.
        let Some(front) = name.len().checked_sub(domain.len()) else { return false };
        (front == 0 || name[front - 1] == b'.') && &name[front..] == domain
    }

    fn same_owner(&self, other: &Self) -> bool {
        self.registrable() == other.registrable()
            // One is a public suffix that the other lies under ("blogspot.com").
            || self.registrable == 0 && other.is_within(&self.ascii)
            || other.registrable == 0 && self.is_within(&other.ascii)
            || ALIASES.iter().any(|group| {
                group.contains(&self.registrable()) && group.contains(&other.registrable())
            })
    }
}

/// Suffixes of countries that were given away, or are sold as words.
const CHEAP_COUNTRIES: &[&str] =
    &["cc", "cf", "ga", "gq", "ml", "pw", "su", "tk", "to", "ws", "icu", "co", "me", "io"];

/// Domains of one owner that mail uses side by side.
const ALIASES: &[&[&str]] = &[
    &["amazon.com", "amzn.to", "a.co"],
    &["facebook.com", "fb.com", "fb.me", "messenger.com"],
    &["google.com", "goo.gl", "g.co", "withgoogle.com"],
    &["instagram.com", "instagr.am", "ig.me"],
    &["linkedin.com", "lnkd.in"],
    &["microsoft.com", "office.com", "aka.ms", "microsoftonline.com", "live.com", "outlook.com"],
    &["paypal.com", "paypal.me"],
    &["telegram.org", "t.me", "telegram.me"],
    &["twitter.com", "x.com"],
    &["whatsapp.com", "wa.me"],
    &["wikipedia.org", "wikimedia.org", "w.wiki"],
    &["youtube.com", "youtu.be"],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, two: &str) -> bool {
        Host::of_text(one).unwrap().same_owner(&Host::of_text(two).unwrap())
    }

    #[test]
    fn one_owner_is_told_by_the_registrable_domain() {
        for (one, two) in [
            ("bank.com", "WWW.Bank.com."),
            ("a.bank.co.uk", "b.bank.co.uk"),
            ("bücher.de", "xn--bcher-kva.de"),
            ("blogspot.com", "me.blogspot.com"),
            ("youtube.com", "youtu.be"),
            ("10.0.0.1", "0x0a000001"),
        ] {
            assert!(same(one, two), "{one} {two}");
        }
        for (one, two) in [
            ("bank.com", "bank.com.evil.ru"),
            ("a.co.uk", "b.co.uk"),
            ("a.github.io", "b.github.io"),
            ("bank.com", "10.0.0.1"),
            ("bank.com", "xn--bnk-tla.com"),
        ] {
            assert!(!same(one, two), "{one} {two}");
        }
    }
}
