//! Hosts that stand in front of others: link protection, open redirectors, click counters,
//! shorteners. All of it is data.

use std::borrow::Cow;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::hosts::Host;

/// What a link turns out to be when its wrapping is taken off.
#[derive(Debug)]
pub(crate) enum Wrapped {
    /// It is no wrapping.
    Not,
    /// The address inside.
    Url(Url),
    /// Only the host inside is told.
    Host(Host),
    /// It is one, and does not tell where it leads.
    Hidden,
}

/// How a redirector carries its target.
#[derive(Clone, Copy)]
enum How {
    /// In a query parameter, one of these.
    Query(&'static [&'static str]),
    /// In a query parameter, base64, perhaps behind a few characters of something else.
    QueryBase64(&'static str),
    /// In a query parameter as a bare host name.
    QueryHost(&'static str),
    /// As a URL somewhere in the path.
    Path,
    /// As a host name in this segment of the path.
    PathHost(usize),
    /// Proofpoint URL Defense, versions 1 to 3.
    UrlDefense,
    /// Google's cache of pages: `/amp/s/host/path`.
    Amp,
}

/// Domain, beginning of the path, how.
const REDIRECTORS: &[(&str, &str, How)] = &[
    // Link protection.
    ("safelinks.protection.outlook.com", "/", How::Query(&["url"])),
    ("safelinks.protection.office365.us", "/", How::Query(&["url"])),
    ("statics.teams.cdn.office.net", "/", How::Query(&["url"])),
    ("urldefense.com", "/", How::UrlDefense),
    ("urldefense.us", "/", How::UrlDefense),
    ("urldefense.proofpoint.com", "/", How::UrlDefense),
    ("linkprotect.cudasvc.com", "/url", How::Query(&["a"])),
    ("secure-web.cisco.com", "/", How::Path),
    ("clicktime.symantec.com", "/", How::Query(&["u"])),
    ("clicktime.cloud.postoffice.net", "/", How::Query(&["u"])),
    ("fireeye.com", "/", How::Query(&["u"])),
    ("trellix.com", "/", How::Query(&["u"])),
    ("url.avanan.click", "/", How::Path),
    ("url-protection.com", "/", How::Query(&["o", "url"])),
    ("ctp.trendmicro.com", "/", How::Query(&["url"])),
    ("protection.sophos.com", "/", How::QueryBase64("u")),
    ("mimecast.com", "/s/", How::QueryHost("domain")),
    ("mimecastprotect.com", "/s/", How::QueryHost("domain")),
    // Open redirectors of large services.
    ("google.com", "/url", How::Query(&["q", "url"])),
    ("google.com", "/amp/", How::Amp),
    ("googleadservices.com", "/", How::Query(&["adurl"])),
    ("doubleclick.net", "/", How::Query(&["adurl"])),
    ("bing.com", "/ck/a", How::QueryBase64("u")),
    ("facebook.com", "/l.php", How::Query(&["u"])),
    ("facebook.com", "/flx/warn", How::Query(&["u"])),
    ("instagram.com", "/", How::Query(&["u"])),
    ("deref-web.de", "/", How::Query(&["redirectUrl"])),
    ("deref-gmx.net", "/", How::Query(&["redirectUrl"])),
    ("acemlnc.com", "/Prod/link-tracker", How::QueryBase64("redirectUrl")),
    ("linkedin.com", "/redir", How::Query(&["url"])),
    ("linkedin.com", "/safety/go", How::Query(&["url"])),
    ("youtube.com", "/redirect", How::Query(&["q"])),
    ("slack-redir.net", "/", How::Query(&["url"])),
    ("t.umblr.com", "/redirect", How::Query(&["z"])),
    ("out.reddit.com", "/", How::Query(&["url"])),
    ("vk.com", "/away.php", How::Query(&["to"])),
    ("steamcommunity.com", "/linkfilter", How::Query(&["url", "u"])),
    ("duckduckgo.com", "/l/", How::Query(&["uddg"])),
    // Click counters that tell where they lead.
    ("awstrack.me", "/L", How::Path),
    ("mandrillapp.com", "/track/click/", How::PathHost(3)),
    ("pstmrk.it", "/", How::PathHost(1)),
];

/// Domains of mailing services and opaque link protection, whose links do not tell where they
/// lead.
const SERVICES: &[&str] = &[
    "acemlna.com",
    "activehosted.com",
    "amxe.net",
    "aweber.com",
    "beehiiv.com",
    "campaign-archive.com",
    "ckarchive.com",
    "clickdimensions.com",
    "cmail19.com",
    "cmail20.com",
    "convertkit-mail.com",
    "convertkit-mail2.com",
    "createsend.com",
    "createsend1.com",
    "ct.sendgrid.net",
    "customeriomail.com",
    "emailsys1a.net",
    "emailsys2a.net",
    "emlnk.com",
    "embluemail.com",
    "exct.net",
    "hs-sites.com",
    "hubspotlinks.com",
    "icontact.com",
    "infusionsoft.com",
    "intercom-clicks.com",
    "keap-link.com",
    "klclick.com",
    "klclick1.com",
    "klclick2.com",
    "klclick3.com",
    "list-manage.com",
    "mailchi.mp",
    "mailgun.org",
    "mandrillapp.com",
    "mimecast.com",
    "mimecastprotect.com",
    "mjt.lu",
    "mlsend.com",
    "mlsnd.com",
    "pstmrk.it",
    "rs6.net",
    "rsgsv.net",
    "sendgrid.net",
    "sendibm1.com",
    "sendibm2.com",
    "sendibm3.com",
    "sendibt1.com",
    "sendibt2.com",
    "sendibt3.com",
    "sendpul.se",
    "sparkpostmail.com",
    "spgo.io",
    "substack.com",
    "urldefense.com",
    "urldefense.proofpoint.com",
];

/// Paths by which a mailing service is known under a customer's own domain: the path holds the
/// first text, and the query the second.
const SERVICE_PATHS: &[(&str, &str)] = &[
    ("/ls/click", "upn="),
    ("/wf/click", "upn="),
    ("/tr/cl/", ""),
    ("/mk/cl/", ""),
    ("/track/click", "u="),
    ("/e3t/Ctc/", ""),
    ("/c/eJ", ""),
    ("/L0/http", ""),
    ("/f/a/", ""),
    ("/e/er", "s="),
    ("/lt.php", "tid="),
];

/// The address that a link of any host carries in its query, in clear or in base64. Whether the
/// host follows it cannot be told; what stands in there is where the sender wants the reader to be.
pub(crate) fn carried(url: &Url) -> Option<Url> {
    url.query_pairs().take(MOST_PARAMETERS).find_map(|(_, value)| {
        let is_address = |text: &str| {
            let text = text.as_bytes();
            let scheme = |scheme: &str| {
                text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme.as_bytes()))
            };
            scheme("http://") || scheme("https://") || scheme("//")
        };
        if is_address(&value) {
            let value = value.trim_start_matches('/');
            return address(&percent_decode_str(value).decode_utf8_lossy());
        }
        value.starts_with("aHR0c").then(|| from_base64(&value)).flatten()
    })
}

/// Parameters of one link that are looked at.
const MOST_PARAMETERS: usize = 20;

/// Takes one wrapping off.
pub(crate) fn unwrap(url: &Url, host: &Host) -> Wrapped {
    let Some(name) = host.as_name() else { return Wrapped::Not };
    let path = url.path();
    for &(domain, beginning, how) in REDIRECTORS {
        // Google's search answers under every country's suffix.
        let google = domain == "google.com" && name.main_label() == "google";
        if (name.is_within(domain) || google)
            && path.starts_with(beginning)
            && let Some(wrapped) = open(url, how)
        {
            return wrapped;
        }
    }
    let query = url.query().unwrap_or_default();
    let counts = SERVICES.iter().any(|domain| name.is_within(domain))
        || SERVICE_PATHS
            .iter()
            .any(|(in_path, in_query)| path.contains(in_path) && query.contains(in_query));
    if counts { Wrapped::Hidden } else { Wrapped::Not }
}

fn open(url: &Url, how: How) -> Option<Wrapped> {
    let parameter = |name: &str| {
        url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    match how {
        How::Query(names) => names
            .iter()
            .filter_map(|name| parameter(name))
            .find_map(|value| address(&value))
            .map(Wrapped::Url),
        How::QueryBase64(name) => from_base64(&parameter(name)?).map(Wrapped::Url),
        How::QueryHost(name) => Host::of_text(&parameter(name)?).map(Wrapped::Host),
        How::Path => {
            let path = percent_decode_str(url.as_str()).decode_utf8_lossy();
            // Behind the redirector's own scheme.
            let inner = path.get(8..)?.find("http").map(|at| &path[8 + at..])?;
            address(inner.trim_end_matches('_')).map(Wrapped::Url)
        }
        How::PathHost(segment) => {
            let inner = percent_decode_str(url.path_segments()?.nth(segment)?).decode_utf8_lossy();
            let name = inner.split(['/', '?', ':']).next()?;
            let host = Host::of_text(name).filter(|_| name.contains('.'))?;
            Some(Wrapped::Host(host))
        }
        How::UrlDefense => url_defense(url).map(Wrapped::Url),
        How::Amp => {
            let inner = url.path().strip_prefix("/amp/")?;
            address(inner.strip_prefix("s/").unwrap_or(inner)).map(Wrapped::Url)
        }
    }
}

/// Version 3 has the address between `__` and `__;`, with `*` for what the last segment lists;
/// version 2 in `u` with `-` for `%` and `_` for `/`; version 1 in `u`.
fn url_defense(url: &Url) -> Option<Url> {
    let path = url.path();
    if let Some((_, inner)) = path.split_once("/v3/__") {
        let inner = inner.rsplit_once("__;").map_or(inner, |(inner, _)| inner);
        // A slash is lost when the address passes through some mail servers ("https:/bank.com").
        return address(inner);
    }
    let value = url.query_pairs().find(|(key, _)| key == "u").map(|(_, value)| value)?;
    if path.starts_with("/v2/") {
        let value = value.replace('-', "%").replace('_', "/");
        return address(&percent_decode_str(&value).decode_utf8_lossy());
    }
    address(&value)
}

/// An address inside another; the scheme may be missing.
fn address(text: &str) -> Option<Url> {
    let text = text.trim();
    if let Ok(url) = Url::parse(text)
        && matches!(url.scheme(), "http" | "https" | "ftp")
    {
        return Some(url);
    }
    let name = text.trim_start_matches('/');
    let end = name.find(['/', '?', '#', ':']).unwrap_or(name.len());
    Host::of_text(&name[..end])?.as_name().filter(|name| name.is_public())?;
    Url::parse(&format!("https://{name}")).ok()
}

fn from_base64(text: &str) -> Option<Url> {
    let text = text.trim_end_matches('=');
    // "aHR0c" is how "http" begins in base64; Bing puts "a1" in front of it.
    let text = text.find("aHR0c").map_or(text, |at| &text[at..]);
    let text: Cow<'_, str> = text.replace('+', "-").replace('/', "_").into();
    let bytes =
        BASE64URL_NOPAD.decode(text.as_bytes()).or_else(|_| BASE64.decode(text.as_bytes())).ok()?;
    address(&String::from_utf8(bytes).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(link: &str) -> String {
        let url = Url::parse(link).unwrap();
        match unwrap(&url, &Host::of_url(&url).unwrap()) {
            Wrapped::Url(url) => url.to_string(),
            Wrapped::Host(host) => host.text(),
            Wrapped::Hidden => "hidden".into(),
            Wrapped::Not => "not".into(),
        }
    }

    #[test]
    fn link_protection_is_seen_through() {
        for link in [
            "https://eur02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fbank.example.com%2Fa&data=05",
            "https://urldefense.com/v3/__https://bank.example.com/a__;!!AbC!x$",
            "https://urldefense.proofpoint.com/v2/url?u=https-3A__bank.example.com_a&d=x",
            "https://urldefense.proofpoint.com/v1/url?u=https%3A//bank.example.com/a&k=x",
            "https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fbank.example.com%2fa&c=E",
            "https://secure-web.cisco.com/1abc/https%3A%2F%2Fbank.example.com%2Fa",
            "https://url.avanan.click/v2/___https://bank.example.com/a___.abc",
            "https://eu-west-1.protection.sophos.com/?d=example.com&u=aHR0cHM6Ly9iYW5rLmV4YW1wbGUuY29tL2E=",
            "https://www.google.com/url?sa=t&q=https://bank.example.com/a",
            "https://www.bing.com/ck/a?!&p=1&u=a1aHR0cHM6Ly9iYW5rLmV4YW1wbGUuY29tL2E&ntb=1",
            "https://abc.r.eu-west-1.awstrack.me/L0/https:%2F%2Fbank.example.com%2Fa",
        ] {
            assert!(
                inner(link).starts_with("https://bank.example.com/a"),
                "{link}: {}",
                inner(link)
            );
        }
        assert_eq!(
            inner("https://mandrillapp.com/track/click/1/bank.example.com?p=x"),
            "bank.example.com"
        );
        assert_eq!(
            inner("https://protect-eu.mimecast.com/s/AbC?domain=bank.example.com"),
            "bank.example.com"
        );
    }

    #[test]
    fn click_counters_are_known_and_others_are_not_excused() {
        assert_eq!(inner("https://u1.ct.sendgrid.net/ls/click?upn=x"), "hidden");
        assert_eq!(inner("https://click.shop.example.com/ls/click?upn=x"), "hidden");
        assert_eq!(inner("https://protect-eu.mimecast.com/s/AbC"), "hidden");
        assert_eq!(inner("https://evil.example.com/?u=https://bank.example.com"), "not");
        assert_eq!(
            inner(
                "https://safelinks.protection.outlook.com.evil.example/?url=https://bank.example.com"
            ),
            "not"
        );
    }
}
