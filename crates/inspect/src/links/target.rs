use url::Url;

use super::{
    places::{self, Place},
    redirect::{self, Wrapped},
};
use crate::hosts::Host;

/// Wrappings that are taken off one link.
const DEEPEST: usize = 5;

/// Where a link leads.
#[derive(Debug)]
pub(crate) struct Target {
    /// The host that answers in the end, as far as the link tells.
    pub(crate) host: Host,
    /// Every host on the way: link protection that is shown as itself is no lie.
    through: Vec<Host>,
    /// The last address that is known.
    pub(crate) url: Url,
    /// A mailing service counts the click, or link protection hides the address: where the link
    /// leads cannot be told.
    pub(crate) service: bool,
    /// It leads through more redirectors than anybody needs, and on.
    pub(crate) endless: bool,
}

impl Target {
    /// Resolves an `href` as a mail client does. `None` for links that open no web page (`mailto:`,
    /// `tel:`, `#top`, …) and for addresses that lead nowhere.
    pub(crate) fn resolve(href: &str, base: Option<&str>) -> Option<Self> {
        let mut url = absolute(href.trim(), base)?;
        let mut host = Host::of_url(&url)?;
        let mut through = Vec::new();
        let mut service = false;
        for _ in 0..DEEPEST {
            match redirect::unwrap(&url, &host) {
                Wrapped::Not => break,
                Wrapped::Hidden => {
                    service = true;
                    break;
                }
                Wrapped::Host(inner) => {
                    through.push(std::mem::replace(&mut host, inner));
                    break;
                }
                Wrapped::Url(inner) => {
                    let Some(inner_host) = Host::of_url(&inner) else { break };
                    through.push(std::mem::replace(&mut host, inner_host));
                    url = inner;
                }
            }
        }
        let endless = through.len() == DEEPEST
            && matches!(redirect::unwrap(&url, &host), Wrapped::Url(_) | Wrapped::Host(_));
        Some(Self { host, through, url, service, endless })
    }

    /// Whether a text that shows this host tells the truth.
    pub(crate) fn answers_to(&self, shown: &Host) -> bool {
        self.host.same_owner(shown) || self.through.iter().any(|host| host.same_owner(shown))
    }

    /// Whether the target's name plays on the one that is shown (`bank.com.evil.ru`,
    /// `bank-login.ru`; `thebank.ru` and `evil.ru/bank.com` do not).
    pub(crate) fn imitates(&self, shown: &Host) -> bool {
        const SHORTEST: usize = 4;
        let (Some(shown), Some(target)) = (shown.as_name(), self.host.as_name()) else {
            return false;
        };
        let label = shown.main_label();
        // The same name under another suffix is more often the same firm elsewhere.
        label.len() >= SHORTEST
            && target.main_label() != label
            && target.as_str().match_indices(label).any(|(at, _)| {
                let before = target.as_str()[..at].chars().next_back();
                let after = target.as_str()[at + label.len()..].chars().next();
                [before, after].iter().flatten().all(|c| matches!(c, '-' | '.'))
            })
    }

    /// Whether anybody can have this host within a minute: a bare IP address, a URL shortener,
    /// free hosting.
    pub(crate) fn is_cheap(&self) -> bool {
        self.host.as_name().is_none() || self.place().is_some()
    }

    /// The kind of place it leads to, when it is one that anybody can have.
    pub(crate) fn place(&self) -> Option<Place> {
        places::place(&self.url, &self.host)
    }

    /// The target and, when the link carries another address along, that one.
    pub(crate) fn with_carried(self) -> (Self, Option<Self>) {
        let carried =
            redirect::carried(&self.url).and_then(|url| Self::resolve(url.as_str(), None));
        let other = carried.filter(|carried| !carried.host.same_owner(&self.host));
        (self, other)
    }

    /// For people to read, not to click: `hxxps://evil[.]example/path`. Without the query, which
    /// may carry the recipient's name.
    pub(crate) fn defanged(&self) -> String {
        const LONGEST: usize = 60;
        let host = self.host.text().replace('.', "[.]").replace("::", "[::]");
        let same = Host::of_url(&self.url).as_ref() == Some(&self.host);
        let path = if same { self.url.path() } else { "" };
        let end = path.floor_char_boundary(LONGEST);
        let more = if end < path.len() { "…" } else { "" };
        let scheme = self.url.scheme().replace("tt", "xx");
        let through = match self.through.first() {
            Some(first) => format!(" (through {})", first.text()),
            None if self.service => " (a redirector; where to is not told)".to_owned(),
            None => String::new(),
        };
        format!("{scheme}://{host}{}{more}{through}", &path[..end])
    }
}

fn absolute(href: &str, base: Option<&str>) -> Option<Url> {
    let url = match Url::parse(href) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) if href.starts_with('#') => return None,
        Err(url::ParseError::RelativeUrlWithoutBase) => match base.map(Url::parse) {
            Some(Ok(base)) => base.join(href).ok()?,
            // Mail clients have no page that a link could be relative to: "//bank.com" and
            // "www.bank.com" are opened as addresses.
            _ => {
                let name = href.trim_start_matches(['/', '\\']);
                let end = name.find(['/', '?', '#', ':']).unwrap_or(name.len());
                let host = Host::of_text(&name[..end])?;
                let opens = href.starts_with("//") || host.as_name()?.is_public();
                if !opens {
                    return None;
                }
                Url::parse(&format!("https://{name}")).ok()?
            }
        },
        Err(_) => return None,
    };
    matches!(url.scheme(), "http" | "https" | "ftp").then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(href: &str) -> Option<String> {
        Target::resolve(href, None).map(|target| target.host.text())
    }

    #[test]
    fn a_link_leads_where_a_browser_would_go() {
        for href in [
            "https://evil.ru/",
            " \thttps://ev\nil.ru/\r\n",
            "https://bank.com@evil.ru/",
            "https://bank.com%2Flogin%3F@evil.ru",
            "https:\\\\evil.ru\\bank.com",
            "https:/evil.ru",
            "HTTPS://EVIL.RU.",
            "https://%65vil.ru/",
            "https://ｅvil。ru/",
            "//evil.ru/x",
            "evil.ru/login",
        ] {
            assert_eq!(host(href).unwrap().trim_end_matches('.'), "evil.ru", "{href}");
        }
        assert_eq!(host("http://0x7f.1/"), Some("127.0.0.1".into()));
        assert_eq!(host("http://user@0177.0.0.1/"), Some("127.0.0.1".into()));
    }

    #[test]
    fn links_that_open_no_page_have_no_target() {
        for href in
            ["mailto:a@bank.com", "tel:+1", "#top", "cid:1", "javascript:a()", "", "page.htm", "/x"]
        {
            assert_eq!(host(href), None, "{href}");
        }
        let target = Target::resolve("x/y", Some("https://bank.com/a/")).unwrap();
        assert_eq!(target.url.as_str(), "https://bank.com/a/x/y");
    }
}
