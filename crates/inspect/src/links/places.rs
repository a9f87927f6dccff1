//! Hosts that say nothing about who is behind them: short lists of our own making.

use url::Url;

use crate::hosts::{Host, Name};

/// What kind of place a link leads to that anybody can have for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A URL shortener.
    Shortener,
    /// A page in a store of objects, or a function: nobody's web site looks like this.
    StoredPage,
    /// Free hosting under somebody else's domain.
    Hosting,
    /// Somebody's form, document or design that is shown under a large firm's name.
    Form,
}

impl Place {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Shortener => "a URL shortener",
            Self::StoredPage => "a page in an object store",
            Self::Hosting => "free hosting",
            Self::Form => "a page that anybody can make there",
        }
    }
}

/// URL shorteners.
pub(crate) const SHORTENERS: &[&str] = &[
    "adf.ly",
    "bit.do",
    "bit.ly",
    "bitly.com",
    "bl.ink",
    "buff.ly",
    "clck.ru",
    "cutt.ly",
    "cutt.us",
    "dub.sh",
    "did.li",
    "encurtador.com.br",
    "fli.so",
    "geni.us",
    "goo.su",
    "gg.gg",
    "han.gl",
    "inx.lv",
    "is.gd",
    "kutt.it",
    "l.ead.me",
    "lihi.cc",
    "lnk.bio",
    "lnkiy.in",
    "me2.kr",
    "me2.do",
    "n9.cl",
    "o.ly",
    "ouo.io",
    "ow.ly",
    "page.link",
    "pxlme.me",
    "qr.ae",
    "qrco.de",
    "rb.gy",
    "rebrand.ly",
    "reurl.cc",
    "s.id",
    "short.gy",
    "shorturl.at",
    "shorturl.gg",
    "shrtco.de",
    "snip.ly",
    "soo.gd",
    "surl.li",
    "t.co",
    "t.ly",
    "tiny.cc",
    "tiny.one",
    "tinyurl.com",
    "tr.ee",
    "u.to",
    "urlz.fr",
    "urlr.me",
    "v.gd",
    "vk.cc",
    "vo.la",
    "w.wiki",
    "wp.me",
    "x.gd",
    "xurl.es",
    "zpr.io",
    "zws.im",
    "littylink.com",
    "linktr.ee",
];

/// Free hosting that the public suffix list does not know as such.
pub(crate) const HOSTING: &[&str] = &[
    "sites.google.com",
    "storage.googleapis.com",
    "firebasestorage.googleapis.com",
    "storage.cloud.google.com",
    "codesandbox.io",
    "replit.app",
    "wixsite.com",
    "weebly.com",
    "webflow.io",
    "godaddysites.com",
    "square.site",
    "yolasite.com",
    "webnode.page",
    "jimdosite.com",
    "mystrikingly.com",
    "carrd.co",
    "000webhostapp.com",
    "serv00.net",
    "nip.io",
    "sslip.io",
    "ngrok.io",
    "trycloudflare.com",
    "dweb.link",
    "ipfs.io",
    "cloudflare-ipfs.com",
    "w3s.link",
    "4everland.io",
];

/// Stores of objects and functions.
const STORES: &[&str] = &[
    "storage.googleapis.com",
    "storage.cloud.google.com",
    "firebasestorage.googleapis.com",
    "amazonaws.com",
    "blob.core.windows.net",
    "web.core.windows.net",
    "digitaloceanspaces.com",
    "linodeobjects.com",
    "r2.dev",
    "backblazeb2.com",
    "wasabisys.com",
    "cloudfunctions.net",
    "a.run.app",
    "azurefd.net",
    "azureedge.net",
    "cloudapp.azure.com",
    "oraclecloud.com",
    "myqcloud.com",
    "aliyuncs.com",
    "ipfs.io",
    "w3s.link",
    "dweb.link",
    "cdn.eztalks.com",
    "workers.dev",
    "on.aws",
];

/// Domain and beginning of the path where pages of others are shown.
const FORMS: &[(&str, &str)] = &[
    ("docs.google.com", "/forms"),
    ("docs.google.com", "/presentation"),
    ("docs.google.com", "/drawings"),
    ("forms.gle", "/"),
    ("drive.google.com", "/"),
    ("forms.office.com", "/"),
    ("forms.microsoft.com", "/"),
    ("sway.office.com", "/"),
    ("sway.cloud.microsoft", "/"),
    ("1drv.ms", "/"),
    ("canva.com", "/design"),
    ("jotform.com", "/"),
    ("typeform.com", "/"),
    ("notion.site", "/"),
    ("telegra.ph", "/"),
    ("express.adobe.com", "/"),
    ("translate.goog", "/"),
    ("wetransfer.com", "/downloads"),
    ("mediafire.com", "/file"),
    ("mega.nz", "/"),
];

/// Domains of people's own addresses. Whoever writes from there speaks for nobody else.
pub(crate) const FREE_MAIL: &[&str] = &[
    "163.com",
    "126.com",
    "aol.com",
    "bk.ru",
    "bol.com.br",
    "btinternet.com",
    "comcast.net",
    "duck.com",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.fr",
    "gmx.net",
    "googlemail.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.es",
    "hotmail.fr",
    "hotmail.it",
    "hushmail.com",
    "icloud.com",
    "ig.com.br",
    "inbox.lv",
    "inbox.ru",
    "laposte.net",
    "libero.it",
    "list.ru",
    "live.com",
    "live.fr",
    "live.nl",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "outlook.com",
    "outlook.de",
    "outlook.fr",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "rocketmail.com",
    "seznam.cz",
    "sina.com",
    "t-online.de",
    "terra.com.br",
    "tuta.io",
    "tutanota.com",
    "ukr.net",
    "uol.com.br",
    "virgilio.it",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "yahoo.co.in",
    "yahoo.co.jp",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.com.br",
    "yahoo.de",
    "yahoo.es",
    "yahoo.fr",
    "yahoo.it",
    "yandex.com",
    "yandex.ru",
    "ymail.com",
    "zoho.com",
    "zohomail.com",
];

/// Where nearly every mail links to: the sender's pages in social networks, shops of programs,
/// policies of large services. Such a link asks nothing of its reader.
const COMMONPLACE: &[&str] = &[
    "facebook.com",
    "instagram.com",
    "twitter.com",
    "x.com",
    "linkedin.com",
    "youtube.com",
    "youtu.be",
    "pinterest.com",
    "tiktok.com",
    "vimeo.com",
    "flickr.com",
    "whatsapp.com",
    "wa.me",
    "telegram.org",
    "xing.com",
    "threads.net",
    "apps.apple.com",
    "itunes.apple.com",
    "play.google.com",
    "maps.google.com",
    "support.google.com",
    "policies.google.com",
    "privacy.microsoft.com",
    "go.microsoft.com",
    "microsoft.com",
    "aka.ms",
    "w3.org",
    "fonts.googleapis.com",
    "schemas.microsoft.com",
    "wikipedia.org",
    "apache.org",
    "spamassassin.org",
    "mozilla.org",
    "github.com",
    "medium.com",
    "reddit.com",
    "discord.gg",
    "discord.com",
    "spotify.com",
    "google.com",
    "bing.com",
    "adobe.com",
    "amazon.com",
    "bbc.co.uk",
    "nytimes.com",
    "sourceforge.net",
    "yahoo.com",
    "yahoogroups.com",
    "msn.com",
    "hotmail.com",
];

/// The kind of place a link leads to, when it is one of these.
pub(crate) fn place(url: &Url, host: &Host) -> Option<Place> {
    let name = host.as_name()?;
    let path = url.path();
    if FORMS.iter().any(|(domain, front)| name.is_within(domain) && path.starts_with(front)) {
        return Some(Place::Form);
    }
    if SHORTENERS.contains(&name.registrable()) || SHORTENERS.contains(&name.as_str()) {
        return Some(Place::Shortener);
    }
    if within(STORES, name) {
        return Some(Place::StoredPage);
    }
    (name.is_hosted() || within(HOSTING, name)).then_some(Place::Hosting)
}

/// Whether a host is one of a list's domains or lies below one.
pub(crate) fn within(list: &[&str], name: &Name) -> bool {
    list.iter().any(|domain| name.is_within(domain))
}

pub(crate) fn is_free_mail(host: &Host) -> bool {
    host.as_name().is_some_and(|name| FREE_MAIL.contains(&name.as_str()))
}

pub(crate) fn is_commonplace(host: &Host) -> bool {
    host.as_name().is_some_and(|name| within(COMMONPLACE, name))
}
