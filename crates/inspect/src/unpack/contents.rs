use super::{object::Mark, technique::Technique};

/// How much may still be unpacked, of all files of a message together. Counted in bytes and
/// files, not in time: there is no clock here, and the same message has to give the same report
/// on every machine.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: usize,
    objects: usize,
    /// Passwords that may still be tried.
    tries: usize,
    /// Hashes that may still be made of them.
    rounds: u32,
}

/// Passwords that are tried, each for about a millisecond, of all files together.
const TRIES: usize = 64;
/// Hashes that are made of passwords, of all files together: four passwords of a document of today
/// (each 100,000), in some tens of milliseconds.
const ROUNDS: u32 = 400_000;

impl Budget {
    pub(crate) fn new(bytes: usize, objects: usize) -> Self {
        Self { bytes, objects, tries: TRIES, rounds: ROUNDS }
    }

    /// One more file; `false` when there have been too many.
    pub(crate) fn object(&mut self) -> bool {
        let room = self.objects > 0;
        self.objects = self.objects.saturating_sub(1);
        room
    }
}

/// A text that was found in a file.
#[derive(Debug)]
pub(crate) enum Text {
    Plain(String),
    Html(String),
}

/// What a reader of a format found in a file.
pub(super) struct Contents<'b> {
    budget: &'b mut Budget,
    /// Words of the message that may be passwords.
    passwords: &'b dyn Fn() -> Vec<String>,
    pub(super) children: Vec<(String, Vec<u8>)>,
    pub(super) texts: Vec<Text>,
    /// Addresses that the file leads to, and what is shown in their place.
    pub(super) links: Vec<(String, String)>,
    pub(super) marks: Vec<Mark>,
    pub(super) notes: Vec<String>,
}

/// Marks of one file, notes of one file: more say nothing new.
const MARKS: usize = 64;
const LINKS: usize = 5_000;
/// Code points of evidence.
const EVIDENCE: usize = 300;

impl<'b> Contents<'b> {
    pub(super) fn new(budget: &'b mut Budget, passwords: &'b dyn Fn() -> Vec<String>) -> Self {
        Self {
            budget,
            passwords,
            children: Vec::new(),
            texts: Vec::new(),
            links: Vec::new(),
            marks: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Bytes that may still be unpacked.
    pub(super) fn room(&self) -> usize {
        self.budget.bytes
    }

    /// Counts unpacked bytes; to be called for everything that was decompressed or copied.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.budget.bytes = self.budget.bytes.saturating_sub(bytes);
    }

    /// Words of the message to be tried as passwords, each of which costs so many tries, and
    /// others that are tried always. None when there have been enough: a key is made slowly on
    /// purpose.
    pub(super) fn words(&mut self, cost: usize, always: &[&str]) -> Vec<String> {
        if self.budget.tries < cost {
            return Vec::new();
        }
        let mut words = (self.passwords)();
        words.extend(always.iter().map(|word| (*word).to_owned()));
        words.truncate(self.budget.tries / cost);
        self.budget.tries -= words.len() * cost;
        words
    }

    /// Whether a password may be hashed so often; if so, that is spent.
    pub(super) fn rounds(&mut self, rounds: u32) -> bool {
        let left = self.budget.rounds.checked_sub(rounds);
        self.budget.rounds = left.unwrap_or(self.budget.rounds);
        left.is_some()
    }

    /// A file inside, whose bytes were counted when they were unpacked.
    pub(super) fn child(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        // Each object says by itself when there are too many; beyond that many none is kept.
        if self.children.len() <= self.budget.objects {
            self.children.push((name.into(), bytes));
        }
    }

    /// A file inside that is a piece of this one: counted and copied.
    pub(super) fn piece(&mut self, name: impl Into<String>, bytes: &[u8]) {
        let room = self.room();
        if bytes.len() > room {
            self.note("more than can be unpacked: the rest was not inspected");
        }
        let bytes = &bytes[..bytes.len().min(room)];
        self.spend(bytes.len());
        self.child(name, bytes.to_vec());
    }

    pub(super) fn text(&mut self, text: String) {
        if !text.trim().is_empty() {
            self.texts.push(Text::Plain(text));
        }
    }

    pub(super) fn html(&mut self, text: String) {
        if !text.is_empty() {
            self.texts.push(Text::Html(text));
        }
    }

    /// An address that the file leads to.
    pub(super) fn link(&mut self, href: &str, shown: &str) {
        let href = href.trim();
        if !href.is_empty() && self.links.len() < LINKS {
            self.links.push((href.to_owned(), shown.to_owned()));
        }
    }

    pub(super) fn mark(&mut self, technique: Technique, evidence: impl AsRef<str>) {
        let evidence: String = evidence
            .as_ref()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(EVIDENCE)
            .collect();
        let mark = Mark { technique, evidence };
        if self.marks.len() < MARKS && !self.marks.contains(&mark) {
            self.marks.push(mark);
        }
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < MARKS && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
