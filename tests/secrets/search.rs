//! What somebody finds who has a process's memory and environment, and files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

use super::sealed::{Hidden, Sealed};

/// Bytes of a secret that are looked for at once. Who has so many in a row has no need to guess.
const PIECE: usize = 16;
/// Pieces of raw bytes follow each other, so that any 31 bytes in a row are found, at any place. Of text one
/// is left out between two: a line of PEM, 64 letters, has a whole one wherever it begins.
const TEXT_STEP: usize = 2 * PIECE;

/// `ESRCH`.
const NO_SUCH_PROCESS: i32 = 3;

/// Writes bytes down, in each of the ways that depend on what is around them.
type Write = fn(&[u8]) -> Vec<Vec<u8>>;

/// How the bytes of a secret may be written.
const FORMS: &[(&str, Write)] = &[
    ("highest byte first", |bytes| vec![bytes.to_vec()]),
    ("lowest byte first", |bytes| vec![bytes.iter().rev().copied().collect()]),
    ("base64", |bytes| aligned(bytes, |part| BASE64.encode(part))),
    ("base64 for addresses", |bytes| aligned(bytes, |part| BASE64URL.encode(part))),
    ("hex", |bytes| vec![HEXLOWER.encode(bytes).into_bytes()]),
    ("HEX", |bytes| vec![HEXUPPER.encode(bytes).into_bytes()]),
    ("a list of numbers", |bytes| vec![listed(bytes, ",")]),
    ("a list of numbers, spaced", |bytes| vec![listed(bytes, ", ")]),
];

/// The same text, three times: base64 looks different wherever in a group of three a secret begins.
fn aligned(bytes: &[u8], encode: fn(&[u8]) -> String) -> Vec<Vec<u8>> {
    (0..3)
        .map(|skipped| {
            let whole = (bytes.len() - skipped) / 3 * 3;
            encode(&bytes[skipped..skipped + whole]).into_bytes()
        })
        .collect()
}

fn listed(bytes: &[u8], between: &str) -> Vec<u8> {
    bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(between).into_bytes()
}

/// A secret and the form that it was found in.
pub(crate) type Found = (String, &'static str);

/// Looks for secrets in every form.
pub(crate) struct Search {
    machine: AhoCorasick,
    /// What each of the machine's patterns is a piece of.
    of: Vec<(usize, usize)>,
    names: Vec<String>,
}

impl Search {
    pub(crate) fn new(hidden: &Hidden) -> Self {
        let (mut pieces, mut of) = (Vec::new(), Vec::new());
        for (secret, bytes) in hidden.values().enumerate() {
            for (form, (name, write)) in FORMS.iter().enumerate() {
                let step = if name.ends_with("first") { PIECE } else { TEXT_STEP };
                for written in write(bytes) {
                    for at in (0..=written.len().saturating_sub(PIECE)).step_by(step) {
                        pieces.push(written[at..at + PIECE].to_vec());
                        of.push((secret, form));
                    }
                }
            }
        }
        let mut builder = AhoCorasick::builder();
        builder.kind(Some(AhoCorasickKind::ContiguousNFA));
        let machine = builder.build(&pieces).expect("so many patterns fit");
        Self { machine, of, names: hidden.keys().cloned().collect() }
    }

    /// Every secret in every form: what a search can find.
    pub(crate) fn all(&self) -> BTreeSet<Found> {
        let forms = |name: &String| FORMS.iter().map(|(form, _)| (name.clone(), *form)).collect();
        self.names.iter().flat_map(|name| -> Vec<Found> { forms(name) }).collect()
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> BTreeSet<Found> {
        let found = self.machine.find_overlapping_iter(bytes).map(|found| {
            let (secret, form) = self.of[found.pattern().as_usize()];
            (self.names[secret].clone(), FORMS[form].0)
        });
        found.collect()
    }
}

/// What was looked through, and what was found where.
#[derive(Debug, Default)]
pub(crate) struct Loot {
    pub(crate) found: BTreeMap<String, BTreeSet<Found>>,
    /// Whole processes, each time that one was looked through.
    pub(crate) dumps: usize,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

impl Loot {
    fn look(&mut self, search: &Search, place: impl FnOnce() -> String, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let found = search.bytes(bytes);
        if !found.is_empty() {
            self.found.entry(place()).or_default().extend(found);
        }
    }

    /// All that was found, wherever it was.
    pub(crate) fn all(&self) -> BTreeSet<Found> {
        self.found.values().flatten().cloned().collect()
    }

    /// What a program said, or wrote.
    pub(crate) fn printed(&mut self, search: &Search, what: &str, texts: &[&[u8]]) {
        for text in texts {
            self.look(search, || what.to_owned(), text);
        }
    }

    /// The files below a place. `left_out` are not looked at.
    #[track_caller]
    pub(crate) fn files_below(&mut self, search: &Search, place: &Path, left_out: &[&Path]) {
        if left_out.contains(&place) {
            return;
        }
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let path = entry.path();
            // What is gone meanwhile was not there to be taken.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                self.files_below(search, &path, left_out);
            } else if kind.is_file() && !left_out.contains(&path.as_path()) {
                let Ok(content) = fs::read(&path) else { continue };
                self.look(search, || path.display().to_string(), &content);
                let name = path.as_os_str().as_encoded_bytes();
                self.look(search, || format!("name of {}", path.display()), name);
                self.files += 1;
            }
        }
    }

    /// A process as it is now: memory, environment, arguments, and the files that it holds open and that
    /// have no name. One that is about to end has none of them left, and counts for nothing.
    ///
    /// # Errors
    /// What the system says that does not let us look.
    pub(crate) fn process(&mut self, search: &Search, what: &str, id: u32) -> io::Result<()> {
        match self.look_into(search, what, id) {
            Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => Ok(()),
            other => other,
        }
    }

    fn look_into(&mut self, search: &Search, what: &str, id: u32) -> io::Result<()> {
        let proc = Path::new("/proc").join(id.to_string());
        for file in ["environ", "cmdline"] {
            let content = fs::read(proc.join(file))?;
            self.look(search, || format!("{file} of {what}"), &content);
        }
        let memory = File::open(proc.join("mem"))?;
        let maps = fs::read_to_string(proc.join("maps"))?;
        let mut whole = 0;
        for (line, region) in maps.lines().filter_map(|line| Some((line, region(line)?))) {
            let mut content = vec![0; region.1 - region.0];
            // It may have given the memory back meanwhile.
            let Ok(length) = memory.read_at(&mut content, region.0 as u64) else { continue };
            self.look(search, || format!("memory of {what}: {line}"), &content[..length]);
            whole += length;
        }
        for descriptor in fs::read_dir(proc.join("fd")).into_iter().flatten().flatten() {
            let nameless = fs::read_link(descriptor.path())
                .is_ok_and(|link| link.to_string_lossy().ends_with(" (deleted)"));
            if nameless && let Ok(content) = fs::read(descriptor.path()) {
                self.look(search, || format!("a nameless file of {what}"), &content);
                self.files += 1;
            }
        }
        // One that has ended has no memory either.
        self.dumps += usize::from(whole > 0);
        Ok(())
    }
}

/// Where a line of `maps` begins and ends, when what is there may differ from a file on the disk.
fn region(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let (rights, name) = (words.next()?, words.nth(3).unwrap_or_default());
    let of_a_file = name.starts_with('/') && !rights.contains('w');
    let of_the_system = ["[vvar", "[vsyscall", "[vdso"].iter().any(|own| name.starts_with(own));
    if !rights.starts_with('r') || of_a_file || of_the_system {
        return None;
    }
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some((number(from)?, number(to)?))
}

/// The search for what the sealed store holds, which is looked at anew before each look.
pub(crate) struct Searched {
    sealed: Sealed,
    pub(crate) hidden: Hidden,
    pub(crate) search: Search,
}

impl Searched {
    #[track_caller]
    pub(crate) fn for_all_in(sealed: Sealed) -> Self {
        let hidden = sealed.hidden();
        let search = Search::new(&hidden);
        Self { sealed, hidden, search }
    }

    /// With the keys that were made meanwhile. Those that are gone are looked for further on.
    #[track_caller]
    pub(crate) fn renew(&mut self) -> &Search {
        let before = self.hidden.len();
        self.hidden.extend(self.sealed.hidden());
        if self.hidden.len() > before {
            self.search = Search::new(&self.hidden);
        }
        &self.search
    }
}
