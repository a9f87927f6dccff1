//! Files that are read again when they change.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use mailkeep_model::TenantName;
use time::OffsetDateTime;

/// A file that was written to less than this ago may be in the middle of being written: what was
/// read of it before stays until it is at rest. (Whoever renames a finished file into place waits as
/// long, and nothing is lost by it.)
const AT_REST: Duration = Duration::from_millis(700);
/// Files of one directory that are read.
const FILES: usize = 2_000;

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadProblem {
    /// The file.
    pub path: PathBuf,
    /// Whose it is; `None` when it is used for whoever has no own.
    pub tenant: Option<TenantName>,
    /// Where in it, counted from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// Whether what was read of it before is still used.
    pub kept: bool,
}

impl std::fmt::Display for LoadProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.problem)?;
        if self.kept { write!(f, " (what was read before is still used)") } else { Ok(()) }
    }
}

/// What is wrong with a file's content, and where.
pub(super) type Wrong = (Option<usize>, String);

/// What tells a file from the same file later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Whether it was written to just now.
    fn is_fresh(&self) -> bool {
        let seconds = u64::try_from(self.changed.0).unwrap_or(0);
        let nanos = u32::try_from(self.changed.1).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        SystemTime::now().duration_since(changed).is_ok_and(|age| age < AT_REST)
    }
}

/// A file as it was last read.
#[derive(Debug)]
pub(super) struct Kept<T> {
    path: PathBuf,
    seen: Option<Stamp>,
    /// What was read last that can be used.
    pub(super) value: Option<Arc<T>>,
    /// When that was.
    pub(super) read: Option<OffsetDateTime>,
    /// Why the file as it is now is not used.
    pub(super) problem: Option<LoadProblem>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { path: PathBuf::new(), seen: None, value: None, read: None, problem: None }
    }
}

impl<T> Kept<T> {
    /// Reads the file when it changed; what cannot be used leaves the last that could be in place.
    /// True when there is something new to tell.
    pub(super) fn look(
        &mut self,
        path: &Path,
        most_bytes: u64,
        parse: impl FnOnce(&[u8]) -> Result<T, Wrong>,
    ) -> bool {
        let before = self.problem.clone();
        path.clone_into(&mut self.path);
        match self.read(path, most_bytes) {
            Ok(None) => return false,
            Ok(Some((stamp, bytes))) => {
                self.seen = Some(stamp);
                match parse(&bytes) {
                    Ok(value) => {
                        self.value = Some(Arc::new(value));
                        self.read = Some(OffsetDateTime::now_utc());
                        self.problem = None;
                        return true;
                    }
                    Err(wrong) => self.refuse(path, wrong),
                }
            }
            Err(error) => {
                self.seen = None;
                self.refuse(path, (None, format!("cannot be read: {error}")));
            }
        }
        self.problem != before
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Has the file read again the next time, whether it changed or not.
    pub(super) fn forget_seen(&mut self) {
        self.seen = None;
    }

    fn refuse(&mut self, path: &Path, (line, problem): Wrong) {
        let kept = self.value.is_some();
        self.problem =
            Some(LoadProblem { path: path.to_owned(), tenant: None, line, problem, kept });
    }

    /// The file's content with what tells it from a later one; `None` when it is as it was, or not at
    /// rest.
    fn read(&self, path: &Path, most_bytes: u64) -> io::Result<Option<(Stamp, Vec<u8>)>> {
        if Some(Stamp::of(&fs::metadata(path)?)) == self.seen {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let stamp = Stamp::of(&metadata);
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        if stamp.size > most_bytes {
            let mib = most_bytes >> 20;
            return Err(io::Error::other(format!("it is larger than {mib} MiB")));
        }
        if self.value.is_some() && stamp.is_fresh() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        (&mut file).take(most_bytes).read_to_end(&mut bytes)?;
        // Somebody writes to it while we read: another time.
        let whole = Stamp::of(&file.metadata()?) == stamp;
        Ok(whole.then_some((stamp, bytes)))
    }
}

/// Files that are named one by one or by their directory, each as it was last read.
#[derive(Debug)]
pub(super) struct KeptFiles<T> {
    files: BTreeMap<PathBuf, Kept<T>>,
    /// Directories and names that could not be listed.
    problems: Vec<LoadProblem>,
}

impl<T> Default for KeptFiles<T> {
    fn default() -> Self {
        Self { files: BTreeMap::new(), problems: Vec::new() }
    }
}

/// Which files of a directory are meant.
pub(super) type Wanted = fn(&Path) -> bool;

/// All but hidden ones and what editors and downloads leave behind.
pub(super) fn any_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let left_behind = ["~", ".tmp", ".part", ".swp", ".bak"];
    !name.starts_with('.') && !left_behind.iter().any(|ending| name.ends_with(ending))
}

/// Rule files.
pub(super) fn rule_file(path: &Path) -> bool {
    let is_rule = |ending: &std::ffi::OsStr| ending == "yar" || ending == "yara";
    any_file(path) && path.extension().is_some_and(is_rule)
}

impl<T> KeptFiles<T> {
    /// Reads what changed. A file that is gone from its directory is gone from here; one that was
    /// named by itself stays, and is a problem. True when there is something new to tell.
    pub(super) fn look(
        &mut self,
        named: &[PathBuf],
        wanted: Wanted,
        most_bytes: u64,
        parse: impl Fn(&Path, &[u8]) -> Result<T, Wrong>,
    ) -> bool {
        let (mut present, mut problems) = (Vec::new(), Vec::new());
        for path in named {
            match listed(path, wanted) {
                Ok(files) => present.extend(files),
                Err(error) => {
                    // What was read of it stays until somebody says that it is to go.
                    present
                        .extend(self.files.keys().filter(|file| file.starts_with(path)).cloned());
                    let problem = format!("cannot be read: {error}");
                    let kept = self.files.keys().any(|file| file.starts_with(path));
                    problems.push(LoadProblem {
                        path: path.clone(),
                        tenant: None,
                        line: None,
                        problem,
                        kept,
                    });
                }
            }
        }
        let gone: Vec<PathBuf> =
            self.files.keys().filter(|path| !present.contains(path)).cloned().collect();
        let mut changed = !gone.is_empty() || problems != self.problems;
        self.problems = problems;
        for path in gone {
            self.files.remove(&path);
        }
        for path in present {
            let kept = self.files.entry(path.clone()).or_default();
            changed |= kept.look(&path, most_bytes, |bytes| parse(&path, bytes));
        }
        changed
    }

    /// What can be used, by file.
    pub(super) fn values(&self) -> impl Iterator<Item = (&Path, &Arc<T>)> {
        self.files.iter().filter_map(|(path, kept)| Some((path.as_path(), kept.value.as_ref()?)))
    }

    /// Each file with when it was last read and could be used.
    pub(super) fn read(&self) -> impl Iterator<Item = (&Path, &Arc<T>, OffsetDateTime)> {
        self.files
            .iter()
            .filter_map(|(path, kept)| Some((path.as_path(), kept.value.as_ref()?, kept.read?)))
    }

    /// What is not used.
    pub(super) fn problems(&self) -> impl Iterator<Item = &LoadProblem> {
        self.files.values().filter_map(|kept| kept.problem.as_ref()).chain(&self.problems)
    }
}

/// The file itself, or all that are wanted of a directory.
fn listed(path: &Path, wanted: Wanted) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if wanted(&path) && path.is_file() {
            files.push(path);
        }
        if files.len() > FILES {
            return Err(io::Error::other(format!("there are more than {FILES} files in it")));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> Result<u32, Wrong> {
        let text = String::from_utf8_lossy(bytes);
        text.trim().parse().map_err(|_| (Some(1), "no number".to_owned()))
    }

    /// Puts a finished file in the place of another, from long ago enough to be at rest.
    fn put(path: &Path, text: &str) {
        let aside = path.with_extension("tmp");
        fs::write(&aside, text).unwrap();
        std::thread::sleep(AT_REST);
        fs::rename(&aside, path).unwrap();
    }

    fn at_rest() {
        std::thread::sleep(AT_REST + Duration::from_millis(50));
    }

    #[test]
    fn a_broken_file_leaves_what_was_read_before_in_its_place_and_says_where() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut kept = Kept::default();
        assert!(kept.look(&path, 100, number));
        assert!(!kept.problem.as_ref().unwrap().kept && kept.value.is_none());
        // The same again is nothing new.
        assert!(!kept.look(&path, 100, number));
        fs::write(&path, "7").unwrap();
        assert!(kept.look(&path, 100, number));
        assert_eq!((kept.value.as_deref(), &kept.problem), (Some(&7), &None));
        assert!(!kept.look(&path, 100, number));
        put(&path, "seven");
        at_rest();
        assert!(kept.look(&path, 100, number));
        let problem = kept.problem.clone().unwrap();
        assert_eq!((kept.value.as_deref(), problem.line, problem.kept), (Some(&7), Some(1), true));
        assert!(
            problem.to_string().ends_with("file:1: no number (what was read before is still used)")
        );
        fs::remove_file(&path).unwrap();
        assert!(kept.look(&path, 100, number));
        assert_eq!(kept.value.as_deref(), Some(&7));
        put(&path, "8");
        at_rest();
        assert!(kept.look(&path, 100, number));
        assert_eq!((kept.value.as_deref(), &kept.problem), (Some(&8), &None));
        fs::write(&path, "1".repeat(101)).unwrap();
        assert!(kept.look(&path, 100, number));
        assert!(kept.problem.is_some() && kept.value.as_deref() == Some(&8));
    }

    #[test]
    fn a_file_that_somebody_is_writing_is_left_until_it_is_at_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "7").unwrap();
        let mut kept = Kept::default();
        assert!(kept.look(&path, 100, number));
        // Half of "12".
        fs::write(&path, "1").unwrap();
        assert!(!kept.look(&path, 100, number));
        fs::write(&path, "12").unwrap();
        at_rest();
        assert!(kept.look(&path, 100, number));
        assert_eq!(kept.value.as_deref(), Some(&12));
    }

    #[test]
    fn a_file_that_is_taken_out_of_a_directory_is_not_used_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        fs::write(directory.path().join("three.tmp"), "3").unwrap();
        let named = [directory.path().to_owned()];
        let mut files = KeptFiles::default();
        let look = |files: &mut KeptFiles<u32>| {
            files.look(&named, any_file, 100, |_, bytes| number(bytes))
        };
        let values =
            |files: &KeptFiles<u32>| files.values().map(|(_, value)| **value).collect::<Vec<_>>();
        assert!(look(&mut files));
        assert_eq!(values(&files), [1, 2]);
        assert!(!look(&mut files));
        fs::remove_file(&one).unwrap();
        assert!(look(&mut files));
        assert_eq!(values(&files), [2]);
        // The directory itself is gone: that is no order.
        fs::rename(directory.path(), directory.path().with_extension("aside")).unwrap();
        assert!(look(&mut files));
        assert_eq!((values(&files), files.problems().count()), (vec![2], 2));
        fs::rename(directory.path().with_extension("aside"), directory.path()).unwrap();
        at_rest();
        assert!(look(&mut files));
        assert_eq!((values(&files), files.problems().count()), (vec![2], 0));
    }
}
