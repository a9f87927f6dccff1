//! Lists of what is known to be bad, from the bytes of their files.
//!
//! - [`Feeds::urlhaus`]: the CSV of URLhaus (`id,dateadded,url,url_status,…`;
//!   <https://urlhaus.abuse.ch/api/>), lines with `#` are comments.
//! - [`Feeds::plain`]: an address, a host name or a hash a line, as OpenPhish and many others give
//!   them; what stands behind a blank, a comma or a `#` is passed over.
//! - [`Feeds::misp`]: a MISP event or a list of attributes (JSON;
//!   <https://www.misp-standard.org/rfc/misp-standard-core.txt>): `url`, `domain`, `hostname`,
//!   `sha256` and `md5` attributes, also within objects, unless `to_ids` is false.

use std::collections::HashMap;

use serde_json::Value;
use url::Url;

use crate::hosts::Host;

/// Known bad addresses, hosts and files. A line that is none of these is counted, not believed.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    lists: Vec<String>,
    addresses: HashMap<String, u16>,
    hosts: HashMap<String, u16>,
    hashes: HashMap<String, u16>,
    /// Lines and attributes that could not be read.
    pub unread: usize,
}

/// What a list says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed<'f> {
    /// The list's name.
    pub(crate) list: &'f str,
    /// The whole address is listed, not only its host.
    pub(crate) whole: bool,
}

/// Levels of objects in a MISP file.
const DEEPEST: usize = 8;

impl Feeds {
    /// Adds a list of one entry a line.
    pub fn plain(&mut self, list: &str, bytes: &[u8]) {
        let number = self.list(list);
        for line in String::from_utf8_lossy(bytes).lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") {
                continue;
            }
            let entry = line.split([' ', '\t', ',']).next().unwrap_or_default();
            self.add(entry.trim_matches('"'), number);
        }
    }

    /// Adds a CSV of URLhaus.
    pub fn urlhaus(&mut self, list: &str, bytes: &[u8]) {
        let number = self.list(list);
        for line in String::from_utf8_lossy(bytes).lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // Fields are quoted, and addresses have no quotation marks in them (RFC 3986).
            let address = line.split("\",\"").nth(2).or_else(|| line.split(',').nth(2));
            match address {
                Some(address) => self.add(address.trim_matches('"'), number),
                None => self.unread += 1,
            }
        }
    }

    /// Adds a MISP event, a list of events or of attributes.
    ///
    /// # Errors
    ///
    /// The bytes are no JSON.
    pub fn misp(&mut self, list: &str, bytes: &[u8]) -> Result<(), serde_json::Error> {
        let value: Value = serde_json::from_slice(bytes)?;
        let number = self.list(list);
        self.attributes(&value, number, 0);
        Ok(())
    }

    fn attributes(&mut self, value: &Value, list: u16, depth: usize) {
        if depth > DEEPEST {
            self.unread += 1;
            return;
        }
        match value {
            Value::Array(values) => {
                for value in values {
                    self.attributes(value, list, depth + 1);
                }
            }
            Value::Object(object) => {
                if let (Some(kind), Some(entry)) = (
                    object.get("type").and_then(Value::as_str),
                    object.get("value").and_then(Value::as_str),
                ) {
                    let meant = object.get("to_ids").and_then(Value::as_bool) != Some(false);
                    if meant && matches!(kind, "url" | "domain" | "hostname" | "sha256" | "md5") {
                        self.add(entry, list);
                    }
                }
                for name in ["response", "Event", "Attribute", "Object"] {
                    if let Some(inner) = object.get(name) {
                        self.attributes(inner, list, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn list(&mut self, name: &str) -> u16 {
        self.lists.push(name.to_owned());
        u16::try_from(self.lists.len() - 1).unwrap_or(u16::MAX)
    }

    fn add(&mut self, entry: &str, list: u16) {
        let entry = entry.trim().replace("hxxp", "http").replace("[.]", ".");
        let is_hash =
            matches!(entry.len(), 32 | 64) && entry.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hash {
            self.hashes.insert(entry.to_ascii_lowercase(), list);
        } else if let Some(url) = entry.contains("://").then(|| Url::parse(&entry).ok()).flatten() {
            self.addresses.insert(normal(&url), list);
        } else if let Some(host) = Host::of_text(&entry).filter(|_| entry.contains('.')) {
            self.hosts.insert(host.text(), list);
        } else {
            self.unread += 1;
        }
    }

    /// Addresses, hosts and hashes that are listed.
    pub fn len(&self) -> usize {
        self.addresses.len() + self.hosts.len() + self.hashes.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The list that names a file by its MD5 or SHA-256 (hexadecimal, lower case).
    pub fn hash(&self, hash: &str) -> Option<&str> {
        self.hashes.get(hash).and_then(|&list| self.name(list))
    }

    /// What the lists say of an address, its host or a domain that this lies under.
    pub(crate) fn link(&self, url: &Url, host: &Host) -> Option<Listed<'_>> {
        if let Some(&list) = self.addresses.get(&normal(url)) {
            return Some(Listed { list: self.name(list)?, whole: true });
        }
        let text = host.text();
        let mut name = text.as_str();
        loop {
            if let Some(&list) = self.hosts.get(name) {
                return Some(Listed { list: self.name(list)?, whole: false });
            }
            // Whole labels, and numbers as a whole.
            name = host.as_name().and_then(|_| name.split_once('.'))?.1;
        }
    }

    fn name(&self, list: u16) -> Option<&str> {
        self.lists.get(usize::from(list)).map(String::as_str)
    }
}

/// An address without what does not reach the server, and without a last slash.
fn normal(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    let text = url.as_str();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    text.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(feeds: &Feeds, address: &str) -> Option<(String, bool)> {
        let url = Url::parse(address).unwrap();
        let host = Host::of_url(&url).unwrap();
        feeds.link(&url, &host).map(|found| (found.list.to_owned(), found.whole))
    }

    #[test]
    fn every_form_of_list_names_what_is_bad() {
        let mut feeds = Feeds::default();
        feeds.plain("plain", b"# comment\nhttps://a.example/x/\nhxxp://b[.]example/y # seen\nc.example\n\nnot an entry\n");
        feeds.urlhaus(
            "urlhaus",
            b"# id,dateadded,url\r\n\"1\",\"2026-01-01 00:00:00\",\"http://d.example/z\",\"online\"\r\n",
        );
        feeds
            .misp(
                "misp",
                br#"{"response":[{"Event":{"Attribute":[{"type":"domain","value":"e.example","to_ids":true},
                {"type":"domain","value":"f.example","to_ids":false},{"type":"comment","value":"g.example"}],
                "Object":[{"Attribute":[{"type":"sha256","value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}]}}]}"#,
            )
            .unwrap();
        for (address, found) in [
            ("http://a.example/x#y", Some(("plain", true))),
            ("https://a.example/other", None),
            ("https://b.example/y", Some(("plain", true))),
            ("https://www.c.example/", Some(("plain", false))),
            ("https://xc.example/", None),
            ("https://d.example/z", Some(("urlhaus", true))),
            ("https://e.example/", Some(("misp", false))),
            ("https://f.example/", None),
            ("https://g.example/", None),
        ] {
            let found = found.map(|(list, whole)| (list.to_owned(), whole));
            assert_eq!(listed(&feeds, address), found, "{address}");
        }
        assert_eq!(feeds.hash(&"a".repeat(64)), Some("misp"));
        assert_eq!((feeds.len(), feeds.unread), (6, 1));
        assert!(feeds.misp("broken", b"{").is_err());
    }
}
