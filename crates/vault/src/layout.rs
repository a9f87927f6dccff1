//! Names in the repository: the only place that decides what a directory or file is called.
//!
//! ```text
//! ann@example.com/mailbox.json
//! ann@example.com/folders.json
//! ann@example.com/mail/Projects/2026/2026-11/2026-11-23T0914 Plan for spring 7f3a9c2kd0qm.eml
//! ann@example.com/mail/Projects/2026/2026-11/2026-11-23T0914 Plan for spring 7f3a9c2kd0qm.eml.fts
//! ann@example.com/mail/Projects/2026/2026-11/items.jsonl
//! ann@example.com/mail/Calendar/2026-12/2026-12-01T0900 Weekly 4h6w0d2e8rzt.ics
//! ann@example.com/mail/Contacts/2025-03/Ben Moor 9qk2m5c1x7aa.vcf
//! ann@example.com/mail/Tasks/2026-11/2026-11-20T1100 Order paint 0b8r3kq6z2vd.ics
//! ann@example.com/mail/Inbox rules/2026-01/Newsletters away 5t1c9w7e3ghn.json
//! ann@example.com/mail/Notes/2026-10/2026-10-02T0830 Door code 8xk4p0s6m1fr.fts
//! ```
//!
//! Names are such that a restore to any common file system gives the same tree: no component is
//! longer than 255 bytes, none is reserved on Windows, siblings differ by more than case.

use std::collections::{BTreeMap, HashMap, HashSet};

use mailkeep_model::{Address, Folder, FolderId, Item, ItemKind, MailboxId};
use time::{OffsetDateTime, UtcOffset, macros::datetime};

use crate::{ShortId, stored::short_hash};

/// Items in a leaf directory at most. A touched leaf is rewritten as a whole, so this bounds what
/// one change costs; see docs/decisions/0001-vault-layout.md for the measurement.
pub(crate) const LEAF_CAPACITY: usize = 16;
/// Below a mailbox's directory: its folders and items.
pub(crate) const MAIL: &str = "mail";
/// Below a mailbox's directory: who it is.
pub(crate) const MAILBOX_FILE: &str = "mailbox.json";
/// Below a mailbox's directory: true names of its folders.
pub(crate) const FOLDERS_FILE: &str = "folders.json";
/// In every leaf directory: what the provider told of each item.
pub(crate) const INDEX_FILE: &str = "items.jsonl";
/// Longest component that common file systems take.
const MAX_COMPONENT: usize = 255;
/// Longest subject in a file name, in bytes: enough to recognise a message, and Windows' limit for
/// whole paths is near.
const MAX_SUBJECT: usize = 80;
/// The provider's full-fidelity stream of an item: Exchange's FastTransfer stream ([MS-OXCFXICS]).
const STREAM: &str = ".fts";
/// Ends of items' file names.
const EXTENSIONS: [&str; 5] = [".eml", ".ics", ".vcf", ".json", STREAM];
/// The first time that a name can hold.
const EARLIEST: OffsetDateTime = datetime!(0001-01-01 00:00 UTC);
/// The last one.
const LATEST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);
/// Names of devices on Windows, whatever extension follows.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// The directory of a mailbox below the root.
pub(crate) fn mailbox_directory(address: &Address) -> String {
    fit(&escape(address.as_str()), address.as_str())
}

/// The directory of a mailbox whose address has gone to another one. No address has a space.
pub(crate) fn former_mailbox_directory(directory: &str, mailbox: &MailboxId) -> String {
    with_mark(directory, &mailbox.0)
}

/// The month directory that an item belongs in.
pub(crate) fn month(received: OffsetDateTime) -> String {
    let received = nameable(received);
    format!("{:04}-{:02}", received.year(), u8::from(received.month()))
}

/// The nearest time, in UTC, whose year has four digits and no sign: other names are no leaves'
/// (see [`parse_leaf`]), and what lies in them would not be found again.
fn nameable(received: OffsetDateTime) -> OffsetDateTime {
    let received = received.clamp(EARLIEST, LATEST);
    received.checked_to_offset(UtcOffset::UTC).unwrap_or(EARLIEST)
}

/// The name of a month's `number`th leaf, counted from 1.
pub(crate) fn leaf(month: &str, number: usize) -> String {
    if number == 1 { month.to_owned() } else { format!("{month} ({number})") }
}

/// Month and number of a leaf directory; `None` when the name is that of a folder.
pub(crate) fn parse_leaf(name: &str) -> Option<(&str, usize)> {
    let (month, rest) = name.split_at_checked(7)?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (year, of_year) = month.split_once('-')?;
    if year.len() != 4 || !digits(year) || !digits(of_year) {
        return None;
    }
    if rest.is_empty() {
        return Some((month, 1));
    }
    let number = rest.strip_prefix(" (")?.strip_suffix(')')?;
    let canonical = !number.starts_with('0') && digits(number);
    number.parse().ok().filter(|n| canonical && *n > 1).map(|number| (month, number))
}

/// The file name of an item that is new in its folder: `2026-11-23T0914 Subject ‹short›.eml`, `.ics`
/// with the time of an event's start, or, where the time says nothing, `Name ‹short›.vcf`.
pub(crate) fn item_name(item: &Item, short: &ShortId) -> String {
    let subject = subject_in_name(&item.subject);
    let space = if subject.is_empty() { "" } else { " " };
    let name = format!("{subject}{space}{short}");
    let extension = match item.kind {
        ItemKind::Event | ItemKind::Task => ".ics",
        ItemKind::Opaque => STREAM,
        ItemKind::Contact => return undated(&name, ".vcf"),
        ItemKind::Setting => return undated(&name, ".json"),
        _ => ".eml",
    };
    let received = nameable(item.received);
    format!(
        "{:04}-{:02}-{:02}T{:02}{:02} {name}{extension}",
        received.year(),
        u8::from(received.month()),
        received.day(),
        received.hour(),
        received.minute(),
    )
}

/// A file name without a time: nothing stands before it that would keep it from being a device or
/// hidden.
fn undated(name: &str, extension: &str) -> String {
    let name = name.trim_start_matches(['.', ' ']);
    let mark = if is_reserved(name) { "_" } else { "" };
    format!("{mark}{name}{extension}")
}

/// A subject as it stands in a file name: what is unfit there is a space.
fn subject_in_name(text: &str) -> String {
    let mut subject = String::new();
    for word in text.split(|c: char| c.is_whitespace() || unfit(c)) {
        if word.is_empty() {
            continue;
        }
        if !subject.is_empty() {
            subject.push(' ');
        }
        subject.push_str(word);
        if subject.len() > MAX_SUBJECT {
            break;
        }
    }
    cut(&subject, MAX_SUBJECT).trim_end().to_owned()
}

/// The short id in an item's file name.
pub(crate) fn short_id_of(name: &str) -> Option<&str> {
    let stem = EXTENSIONS.iter().find_map(|extension| name.strip_suffix(extension))?;
    let short = stem.rsplit_once(' ').map_or(stem, |(_, short)| short);
    (short.len() == ShortId::LENGTH).then_some(short)
}

/// The file name of an item's stream, beside its content of this name.
pub(crate) fn stream_name(item: &str) -> String {
    format!("{item}{STREAM}")
}

/// The file name of the item whose stream has this name; `None` for what is no such stream.
pub(crate) fn item_of_stream(name: &str) -> Option<&str> {
    name.strip_suffix(STREAM).filter(|item| short_id_of(item).is_some())
}

/// Where each folder of a mailbox lies below `mail`: the directory of its parent and its own name
/// in it. A pure function of the set of folders, so that the order in which a provider lists them,
/// or what they were called before, makes no difference.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    names: HashMap<FolderId, (Option<FolderId>, String)>,
    children: HashMap<Option<FolderId>, BTreeMap<String, FolderId>>,
}

impl Directories {
    pub(crate) fn new(folders: &[Folder]) -> Self {
        let parents = safe_parents(folders);
        let mut siblings: HashMap<Option<FolderId>, Vec<(&Folder, String)>> = HashMap::new();
        for folder in folders {
            let parent = parents.get(&folder.id).cloned().flatten();
            siblings.entry(parent).or_default().push((folder, folder_component(folder)));
        }
        let mut directories = Self::default();
        for (parent, group) in siblings {
            let mut seen: HashMap<String, usize> = HashMap::new();
            for (_, name) in &group {
                *seen.entry(name.to_lowercase()).or_default() += 1;
            }
            for (folder, mut name) in group {
                if seen.get(&name.to_lowercase()).is_some_and(|count| *count > 1) {
                    name = with_mark(&name, &folder.id.0);
                }
                directories.insert(parent.clone(), name, folder.id.clone());
            }
        }
        directories
    }

    /// As a snapshot has them.
    pub(crate) fn stored<'a>(folders: impl Iterator<Item = (&'a FolderId, &'a str)>) -> Self {
        let by_path: HashMap<&str, &FolderId> = folders.map(|(id, path)| (path, id)).collect();
        let mut directories = Self::default();
        for (path, id) in &by_path {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = by_path.get(above).copied().cloned();
            directories.insert(parent, name.to_owned(), (*id).clone());
        }
        directories
    }

    fn insert(&mut self, parent: Option<FolderId>, name: String, id: FolderId) {
        self.children.entry(parent.clone()).or_default().insert(name.clone(), id.clone());
        self.names.insert(id, (parent, name));
    }

    pub(crate) fn contains(&self, folder: &FolderId) -> bool {
        self.names.contains_key(folder)
    }

    /// Sub-folders of a folder (of the mailbox's root for `None`) by directory name.
    pub(crate) fn children(
        &self,
        parent: Option<&FolderId>,
    ) -> impl Iterator<Item = (&String, &FolderId)> {
        self.children.get(&parent.cloned()).into_iter().flatten()
    }

    /// A folder's parent (`None`: the mailbox's root) and its own directory name.
    pub(crate) fn place(&self, folder: &FolderId) -> Option<(Option<&FolderId>, &str)> {
        self.names.get(folder).map(|(parent, name)| (parent.as_ref(), name.as_str()))
    }

    /// Components from `mail` (not included) down to the folder.
    pub(crate) fn path(&self, folder: &FolderId) -> Option<Vec<&str>> {
        let mut path = Vec::new();
        let mut next = Some(folder);
        while let Some(id) = next {
            let (parent, name) = self.names.get(id)?;
            path.push(name.as_str());
            next = parent.as_ref();
        }
        path.reverse();
        Some(path)
    }
}

/// Each folder's parent, where a parent that is not there, or that would close a circle, counts as
/// the mailbox's root: nothing that a provider says may lose a folder.
fn safe_parents(folders: &[Folder]) -> HashMap<FolderId, Option<FolderId>> {
    let by_id: HashMap<&FolderId, &Folder> = folders.iter().map(|f| (&f.id, f)).collect();
    let rooted = |folder: &Folder| {
        let mut seen = HashSet::from([&folder.id]);
        let mut next = folder.parent.as_ref();
        while let Some(id) = next {
            if !seen.insert(id) {
                return false;
            }
            next = by_id.get(id).and_then(|parent| parent.parent.as_ref());
        }
        true
    };
    folders
        .iter()
        .map(|folder| {
            let parent = folder.parent.as_ref().filter(|id| by_id.contains_key(id));
            (folder.id.clone(), parent.filter(|_| rooted(folder)).cloned())
        })
        .collect()
}

/// A folder's name as a directory name, without regard to its siblings.
fn folder_component(folder: &Folder) -> String {
    let mut name = escape(&folder.name);
    if parse_leaf(&name).is_some() || name.eq_ignore_ascii_case(INDEX_FILE) || is_marked(&name) {
        name = escape_first(&name);
    }
    fit(&name, &folder.id.0)
}

/// Percent-escapes what cannot stand in a file name somewhere. Two texts never escape to the same.
fn escape(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '%' || unfit(c) { push_escaped(&mut name, c) } else { name.push(c) }
    }
    if let Some(last) = name.pop() {
        if last == '.' || last.is_whitespace() {
            push_escaped(&mut name, last);
        } else {
            name.push(last);
        }
    }
    if is_reserved(&name) {
        name = escape_first(&name);
    }
    name
}

/// Whether Windows takes a name for that of a device.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    RESERVED.iter().any(|reserved| stem.eq_ignore_ascii_case(reserved))
}

fn push_escaped(name: &mut String, c: char) {
    let mut buffer = [0; 4];
    for byte in c.encode_utf8(&mut buffer).bytes() {
        name.push_str(&format!("%{byte:02X}"));
    }
}

/// Escapes the first character, which must not be an escape already.
fn escape_first(name: &str) -> String {
    let mut chars = name.chars();
    let mut escaped = String::new();
    if let Some(first) = chars.next() {
        push_escaped(&mut escaped, first);
    }
    escaped.push_str(chars.as_str());
    escaped
}

/// Whether a character is forbidden in a file name on Windows, or changes how a terminal shows
/// what is around it.
fn unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*')
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
        || matches!(c, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

/// Cuts a name that is too long and marks it, since two long names may begin alike.
fn fit(name: &str, id: &str) -> String {
    if name.len() <= MAX_COMPONENT { name.to_owned() } else { with_mark(name, id) }
}

/// A name, cut where it is too long, with a mark made from what it stands for: ` ~7f3a9c2kd0qm`.
fn with_mark(name: &str, id: &str) -> String {
    let mark = format!(" ~{}", short_hash(&[id]));
    format!("{}{mark}", cut(name, MAX_COMPONENT - mark.len()))
}

fn is_marked(name: &str) -> bool {
    name.rsplit_once(" ~").is_some_and(|(_, mark)| mark.parse::<ShortId>().is_ok())
}

/// The longest beginning of at most `bytes` bytes that cuts no character and no escape.
fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut end = text.floor_char_boundary(bytes);
    if let Some(percent) = text[..end].rfind('%')
        && end - percent < 3
    {
        end = percent;
    }
    &text[..end]
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
