//! Lists of what is known to be bad, from the bytes of their files.
//!
//! [`FeedList::read`] tells by the content which of these a file is:
//!
//! - the CSV of URLhaus (`id,dateadded,url,url_status,…`; <https://urlhaus.abuse.ch/api/>), lines
//!   with `#` are comments;
//! - a MISP event or a list of attributes, as JSON
//!   (<https://www.misp-standard.org/rfc/misp-standard-core.txt>) or as CSV (a first line with the
//!   columns `type` and `value`; <https://www.circl.lu/doc/misp/automation/>): `url`, `domain`,
//!   `hostname`, `sha256` and `md5` attributes, also within objects, unless `to_ids` says no;
//! - an address, a host name or a hash a line, as OpenPhish and many others give them; what stands
//!   behind a blank, a comma or a `#` is passed over.

use std::{collections::HashSet, sync::Arc};

use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::hosts::Host;

/// All lists that there are. Each stays as it was read, so that one of them can be read anew.
#[derive(Clone, Debug, Default)]
pub struct Feeds(Vec<Arc<FeedList>>);

/// One list of known bad addresses, hosts and files. A line that is none of these is counted, not
/// believed.
#[derive(Clone, Debug, Default)]
pub struct FeedList {
    name: String,
    addresses: HashSet<Box<str>>,
    hosts: HashSet<Box<str>>,
    hashes: HashSet<Box<str>>,
    /// Lines and attributes that could not be read.
    unread: usize,
    /// The first of them, counted from 1; of JSON, 1.
    first_unread: usize,
}

/// Why a list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct FeedError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
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

impl FromIterator<Arc<FeedList>> for Feeds {
    fn from_iter<T: IntoIterator<Item = Arc<FeedList>>>(lists: T) -> Self {
        Self(lists.into_iter().collect())
    }
}

impl FeedList {
    /// Entries that a list has at most: about 300 MB.
    pub const MOST: usize = 2_000_000;

    /// Reads a list of whatever form. `name` is told with what it finds.
    ///
    /// # Errors
    ///
    /// With the line: nothing is in it, JSON that is none, more than half of the lines are nothing
    /// that a list holds (a page that says why there is no list today), or more than
    /// [`Self::MOST`] entries.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, FeedError> {
        let mut list = Self { name: name.to_owned(), ..Self::default() };
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches('\u{feff}');
        match text.trim_start().bytes().next() {
            None => return Err(FeedError { line: 1, problem: "the list is empty".to_owned() }),
            Some(b'{' | b'[') => list.misp(text)?,
            Some(_) => match Columns::of(text) {
                Some(columns) => list.misp_csv(text, columns),
                None => list.lines(text),
            },
        }
        if list.len() > Self::MOST {
            let problem = format!("more than {} entries", Self::MOST);
            return Err(FeedError { line: 1, problem });
        }
        if list.unread > list.len() {
            let problem = format!(
                "neither address, host nor hash, as {} of {} entries: this is no list",
                list.unread,
                list.unread + list.len()
            );
            return Err(FeedError { line: list.first_unread, problem });
        }
        Ok(list)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Addresses, hosts and hashes that are listed.
    pub fn len(&self) -> usize {
        self.addresses.len() + self.hosts.len() + self.hashes.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lines and attributes that could not be read.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// One entry a line, or in the third column as URLhaus has it.
    fn lines(&mut self, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") {
                continue;
            }
            // Fields are quoted, and addresses have no quotation marks in them (RFC 3986).
            let third = line.split("\",\"").nth(2).or_else(|| line.split(',').nth(2));
            let entry = match third.map(|field| field.trim_matches('"')) {
                Some(address) if address.contains("://") => address,
                _ => line.split([' ', '\t', ',']).next().unwrap_or_default().trim_matches('"'),
            };
            self.add(entry, index + 1);
        }
    }

    fn misp(&mut self, text: &str) -> Result<(), FeedError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| FeedError { line: error.line().max(1), problem: error.to_string() })?;
        self.attributes(&value, 0);
        Ok(())
    }

    fn attributes(&mut self, value: &Value, depth: usize) {
        if depth > DEEPEST {
            self.passed_over(1);
            return;
        }
        match value {
            Value::Array(values) => {
                for value in values {
                    self.attributes(value, depth + 1);
                }
            }
            Value::Object(object) => {
                if let (Some(kind), Some(entry)) = (
                    object.get("type").and_then(Value::as_str),
                    object.get("value").and_then(Value::as_str),
                ) {
                    let meant = object.get("to_ids").and_then(Value::as_bool) != Some(false);
                    if meant && is_read(kind) {
                        self.add(entry, 1);
                    }
                }
                for name in ["response", "Event", "Attribute", "Object"] {
                    if let Some(inner) = object.get(name) {
                        self.attributes(inner, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn misp_csv(&mut self, text: &str, columns: Columns) {
        for (index, line) in text.lines().enumerate().skip(1) {
            if line.trim().is_empty() {
                continue;
            }
            let fields = fields(line);
            let (kind, value) = (fields.get(columns.kind), fields.get(columns.value));
            let meant = columns.to_ids.and_then(|at| fields.get(at));
            let meant =
                !meant.is_some_and(|meant| matches!(meant.as_str(), "0" | "false" | "False"));
            match (kind, value) {
                (Some(kind), Some(value)) if meant && is_read(kind) => self.add(value, index + 1),
                (Some(_), Some(_)) => {}
                _ => self.passed_over(index + 1),
            }
        }
    }

    fn add(&mut self, entry: &str, line: usize) {
        let entry = entry.trim().replace("hxxp", "http").replace("[.]", ".");
        let is_hash =
            matches!(entry.len(), 32 | 64) && entry.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hash {
            self.hashes.insert(entry.to_ascii_lowercase().into());
        } else if let Some(url) = entry.contains("://").then(|| Url::parse(&entry).ok()).flatten() {
            self.addresses.insert(normal(&url).into());
        } else if let Some(host) = Host::of_text(&entry).filter(|_| entry.contains('.')) {
            self.hosts.insert(host.text().into());
        } else {
            self.passed_over(line);
        }
    }

    fn passed_over(&mut self, line: usize) {
        if self.unread == 0 {
            self.first_unread = line;
        }
        self.unread += 1;
    }
}

/// Kinds of MISP's attributes that say something here.
fn is_read(kind: &str) -> bool {
    matches!(kind, "url" | "domain" | "hostname" | "sha256" | "md5")
}

/// Where in a CSV of MISP what stands.
#[derive(Clone, Copy)]
struct Columns {
    kind: usize,
    value: usize,
    to_ids: Option<usize>,
}

impl Columns {
    fn of(text: &str) -> Option<Self> {
        let names = fields(text.lines().next()?);
        let at = |name: &str| names.iter().position(|one| one.trim() == name);
        Some(Self { kind: at("type")?, value: at("value")?, to_ids: at("to_ids") })
    }
}

/// The fields of a line of CSV (RFC 4180); one that goes on in the next line ends with this one.
fn fields(line: &str) -> Vec<String> {
    let (mut all, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    all.push(field);
    all
}

impl Feeds {
    /// Addresses, hosts and hashes that are listed, of all lists together.
    pub fn len(&self) -> usize {
        self.0.iter().map(|list| list.len()).sum()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The list that names a file by its MD5 or SHA-256 (hexadecimal, lower case).
    pub(crate) fn hash(&self, hash: &str) -> Option<&str> {
        self.0.iter().find(|list| list.hashes.contains(hash)).map(|list| list.name())
    }

    /// What the lists say of an address, its host or a domain that this lies under.
    pub(crate) fn link(&self, url: &Url, host: &Host) -> Option<Listed<'_>> {
        if self.0.is_empty() {
            return None;
        }
        let address = normal(url);
        let whole = self.0.iter().find(|list| list.addresses.contains(address.as_str()));
        if let Some(list) = whole {
            return Some(Listed { list: list.name(), whole: true });
        }
        let text = host.text();
        let mut name = text.as_str();
        loop {
            if let Some(list) = self.0.iter().find(|list| list.hosts.contains(name)) {
                return Some(Listed { list: list.name(), whole: false });
            }
            // Whole labels, and numbers as a whole.
            name = host.as_name().and_then(|_| name.split_once('.'))?.1;
        }
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

    fn feeds(lists: &[(&str, &str)]) -> Feeds {
        let read =
            |&(name, text): &(&str, &str)| Arc::new(FeedList::read(name, text.as_bytes()).unwrap());
        lists.iter().map(read).collect()
    }

    #[test]
    fn every_form_of_list_names_what_is_bad() {
        let plain = "# comment\nhttps://a.example/x/\nhxxp://b[.]example/y # seen\nc.example\n\nnot an entry\n";
        let urlhaus = "# id,dateadded,url\r\n\"1\",\"2026-01-01 00:00:00\",\"http://d.example/z\",\"online\"\r\n";
        let misp = r#"{"response":[{"Event":{"Attribute":[{"type":"domain","value":"e.example","to_ids":true},
            {"type":"domain","value":"f.example","to_ids":false},{"type":"comment","value":"g.example"}],
            "Object":[{"Attribute":[{"type":"sha256","value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}]}}]}"#;
        let csv = "uuid,event_id,category,type,value,comment,to_ids,date\n\
            \"x\",1,\"Network activity\",\"url\",\"http://h.example/a,b\",\"says \"\"hi\"\"\",1,20260101\n\
            \"y\",1,\"Network activity\",\"domain\",\"i.example\",\"\",0,20260101\n";
        let feeds = feeds(&[("plain", plain), ("urlhaus", urlhaus), ("misp", misp), ("csv", csv)]);
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
            ("http://h.example/a,b", Some(("csv", true))),
            ("http://i.example/", None),
        ] {
            let found = found.map(|(list, whole)| (list.to_owned(), whole));
            assert_eq!(listed(&feeds, address), found, "{address}");
        }
        assert_eq!(feeds.hash(&"a".repeat(64)), Some("misp"));
        assert_eq!((feeds.len(), feeds.0[0].unread()), (7, 1));
    }

    #[test]
    fn what_came_instead_of_a_list_is_not_taken_for_one() {
        let read = |text: &str| FeedList::read("x", text.as_bytes());
        assert_eq!(read(" \n").unwrap_err().problem, "the list is empty");
        assert_eq!(read("{\n\"response\": [").unwrap_err().line, 2);
        let page = "<!DOCTYPE html>\n<html><body>\nOur service is down\n</body></html>\n";
        let error = read(page).unwrap_err();
        assert!(error.line == 1 && error.problem.ends_with("this is no list"), "{error}");
        // Comments alone are a list in which there is nothing today.
        assert!(read("# nothing\n").unwrap().is_empty());
    }
}
