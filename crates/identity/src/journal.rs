//! The journal: every request that a job makes to the provider, written down before it goes out.
//!
//! A token that was lifted from a worker carries the same identifier as when the worker uses it. What
//! tells the two apart is that the worker wrote down what it was about to ask. One file a tenant and
//! day, so that old ones can be dropped; one line a request. The lines are no chain: whoever can change
//! them can use the tokens, too, and a use that the journal hides is a use without an entry.
//!
//! A line is with the system before the request goes out, so that it outlives the process. It may not
//! outlive the machine: what may be missing then is known, because a journal that was not closed says
//! so when it is read ([`Read::holes`]).

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mailkeep_model::TenantName;
use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime, macros::format_description};
use uuid::Uuid;

use crate::JobId;

/// No line is longer; what is, is not read.
const MAX_LINE: u64 = 8 * 1024;
/// How much of a journal may be lost with the machine: systems write what is older to the disk.
const UNWRITTEN: Duration = Duration::minutes(1);

/// A request to the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When it was about to go out.
    #[serde(with = "micros", rename = "t")]
    pub at: OffsetDateTime,
    /// What we call it (`client-request-id`).
    #[serde(rename = "id")]
    pub client_request_id: Uuid,
    /// The job that makes it.
    pub job: JobId,
    /// The address of the mailbox that it is about.
    #[serde(rename = "mb", default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// What of it.
    #[serde(flatten)]
    pub about: About,
}

/// What of a mailbox a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub enum About {
    /// One item.
    Item {
        /// The provider's id.
        #[serde(rename = "i")]
        item: String,
    },
    /// A page of a list, or several items: which come back is not known when it is written down.
    Page,
    /// It reads no items.
    Other,
}

/// A line of a journal.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Entry(JournalEntry),
    Mark(Mark),
}

/// Where a process began or ended to write.
#[derive(Serialize, Deserialize)]
struct Mark {
    #[serde(with = "micros", rename = "t")]
    at: OffsetDateTime,
    #[serde(rename = "m")]
    what: What,
    /// Tells writers apart.
    w: Uuid,
    /// Which start of the machine it was.
    #[serde(default)]
    boot: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Opened,
    Closed,
}

/// Writes the journal of one tenant. Cheap to clone; clones share the file.
#[derive(Clone, Debug)]
pub struct JournalLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    writer: Uuid,
    open: Mutex<Option<(Date, File)>>,
}

impl JournalLog {
    /// The journal of a tenant in `directory`, which is made when it is not there. Nothing is written
    /// yet.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: impl AsRef<Path>, tenant: &TenantName) -> io::Result<Self> {
        let directory = directory.as_ref().join(tenant.as_str());
        fs::create_dir_all(&directory)?;
        let shared = Shared { directory, writer: Uuid::new_v4(), open: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether there are clones of this.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Writes a request down.
    ///
    /// # Errors
    /// When it cannot be written; the request must not go out then.
    pub fn write(&self, entry: JournalEntry) -> io::Result<()> {
        self.shared.write(entry.at, &Line::Entry(entry))
    }
}

impl Shared {
    fn write(&self, at: OffsetDateTime, line: &Line) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let date = at.to_offset(time::UtcOffset::UTC).date();
        let file = match &mut *open {
            Some((day, file)) if *day == date => file,
            other => {
                if let Some((_, file)) = other.take() {
                    self.close(&file, at)?;
                }
                &mut other.insert((date, self.begin(date, at)?)).1
            }
        };
        append(file, line)
    }

    fn begin(&self, date: Date, at: OffsetDateTime) -> io::Result<File> {
        let path = self.directory.join(file_name(date));
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if ends_in_a_line_cut_short(&mut file)? {
            file.write_all(b"\n")?;
        }
        append(&file, &self.mark(What::Opened, at))?;
        Ok(file)
    }

    fn close(&self, file: &File, at: OffsetDateTime) -> io::Result<()> {
        append(file, &self.mark(What::Closed, at))?;
        file.sync_data()
    }

    fn mark(&self, what: What, at: OffsetDateTime) -> Line {
        Line::Mark(Mark { at, what, w: self.writer, boot: boot_id() })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, file)) = open {
            // A journal that could not be closed is read as one with a hole.
            let _ = self.close(&file, OffsetDateTime::now_utc());
        }
    }
}

/// Whoever wrote last was cut off by a loss of power or a full disk.
fn ends_in_a_line_cut_short(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// One write, so that the lines of two processes do not mix.
fn append(mut file: &File, line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)
}

/// Which start of the machine this is; empty where the system does not tell.
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

const FILE: &[time::format_description::BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day].jsonl");

fn file_name(date: Date) -> String {
    date.format(FILE).expect("a date always has its parts")
}

/// A time as microseconds since 1970: short, and small enough for what serde has to hold back while
/// it finds out which kind of line it reads.
mod micros {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use time::OffsetDateTime;

    pub(super) fn serialize<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<OffsetDateTime, D::Error> {
        let micros = i64::deserialize(from)?;
        let nanoseconds = i128::from(micros) * 1000;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(D::Error::custom)
    }
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Read {
    /// The requests, in the order in which they were written.
    pub entries: Vec<JournalEntry>,
    /// Times of which requests may be missing: before there was a journal, where lines are damaged, and
    /// when the machine went down with a journal open.
    pub holes: Vec<(OffsetDateTime, OffsetDateTime)>,
    /// Lines that are none.
    pub damaged: u64,
}

/// How much there is of each day of a tenant's journal, in bytes, from the day of `since` on. A
/// journal only ever grows.
///
/// # Errors
/// When the directory cannot be read.
pub fn extent(
    directory: impl AsRef<Path>,
    tenant: &TenantName,
    since: OffsetDateTime,
) -> io::Result<BTreeMap<Date, u64>> {
    let directory = directory.as_ref().join(tenant.as_str());
    let mut extent = BTreeMap::new();
    let names = days(&directory, since)?;
    for name in &names {
        if let Ok(day) = Date::parse(name, FILE) {
            let file = File::open(directory.join(name))?;
            // What is said to be there must outlive the machine; older days do already.
            if Some(name) == names.last() {
                file.sync_data()?;
            }
            extent.insert(day, file.metadata()?.len());
        }
    }
    Ok(extent)
}

/// Lets go of the days of a tenant's journal that ended before a time; how many there were.
///
/// # Errors
/// When one cannot be removed.
pub fn forget(
    directory: impl AsRef<Path>,
    tenant: &TenantName,
    before: OffsetDateTime,
) -> io::Result<u64> {
    let directory = directory.as_ref().join(tenant.as_str());
    let first_kept = file_name(before.to_offset(time::UtcOffset::UTC).date());
    let mut forgotten = 0;
    for name in days(&directory, OffsetDateTime::UNIX_EPOCH)? {
        if name < first_kept && Date::parse(&name, FILE).is_ok() {
            fs::remove_file(directory.join(name))?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// The names of a journal's files from the day of `since` on, in their order.
fn days(directory: &Path, since: OffsetDateTime) -> io::Result<Vec<String>> {
    let first = file_name(since.to_offset(time::UtcOffset::UTC).date());
    let mut files = Vec::new();
    match fs::read_dir(directory) {
        Ok(entries) => {
            for entry in entries {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name.ends_with(".jsonl") && name >= first {
                    files.push(name);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    files.sort();
    Ok(files)
}

/// Reads a tenant's journal, from the day of `since` on.
///
/// # Errors
/// When a file cannot be read.
pub fn read(
    directory: impl AsRef<Path>,
    tenant: &TenantName,
    since: OffsetDateTime,
) -> io::Result<Read> {
    let directory = directory.as_ref().join(tenant.as_str());
    let mut read = Read::default();
    let mut writers = Writers::default();
    for name in days(&directory, since)? {
        let file = BufReader::new(File::open(directory.join(name))?);
        read_lines(file, &mut read, &mut writers)?;
    }
    let begins = writers.first.unwrap_or_else(OffsetDateTime::now_utc);
    if since < begins {
        writers.holes.push((since, begins));
    }
    read.holes = writers.holes(&boot_id());
    Ok(read)
}

/// Who has the journal open, and when its last line was written.
#[derive(Default)]
struct Writers {
    open: BTreeMap<Uuid, Mark>,
    first: Option<OffsetDateTime>,
    last: Option<OffsetDateTime>,
    /// Whether the line before was damaged.
    damaged: bool,
    holes: Vec<(OffsetDateTime, OffsetDateTime)>,
}

impl Writers {
    fn mark(&mut self, mark: Mark) {
        match mark.what {
            What::Opened => {
                // The machine was started anew since others opened it and did not close it.
                let gone = self.open.values().any(|open| open.boot != mark.boot);
                if gone {
                    self.fell(mark.at);
                    self.open.clear();
                }
                self.open.insert(mark.w, mark);
            }
            What::Closed => {
                self.open.remove(&mark.w);
            }
        }
    }

    /// A line that is one.
    fn line(&mut self, at: OffsetDateTime) {
        self.first.get_or_insert(at);
        if std::mem::take(&mut self.damaged) {
            self.fell(at);
        }
        self.last = Some(at);
    }

    fn fell(&mut self, until: OffsetDateTime) {
        let from = self.last.unwrap_or(until) - UNWRITTEN;
        self.holes.push((from, until));
    }

    /// With those that the last writer left, when that was before this start of the machine.
    fn holes(mut self, boot: &str) -> Vec<(OffsetDateTime, OffsetDateTime)> {
        if (self.damaged || self.open.values().any(|open| open.boot != boot))
            && let Some(last) = self.last
        {
            self.fell(last + UNWRITTEN);
        }
        self.holes
    }
}

fn read_lines(mut from: impl BufRead, read: &mut Read, writers: &mut Writers) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = io::Read::take(&mut from, MAX_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Entry(entry)) => {
                writers.line(entry.at);
                read.entries.push(entry);
            }
            Ok(Line::Mark(mark)) => {
                let at = mark.at;
                writers.mark(mark);
                writers.line(at);
            }
            Err(_) => {
                read.damaged += 1;
                writers.damaged = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn entry(at: OffsetDateTime, item: &str) -> JournalEntry {
        JournalEntry {
            at,
            client_request_id: Uuid::new_v4(),
            job: Uuid::nil().into(),
            mailbox: Some("ada@acme.example".to_owned()),
            about: About::Item { item: item.to_owned() },
        }
    }

    fn tenant() -> TenantName {
        "acme".parse().unwrap()
    }

    const NOON: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    #[test]
    fn what_was_written_is_read_from_the_day_on_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let log = JournalLog::open(directory.path(), &tenant()).unwrap();
        let (old, new) = (entry(NOON, "old"), entry(NOON + Duration::days(1), "new"));
        log.write(old.clone()).unwrap();
        log.write(new.clone()).unwrap();
        drop(log);
        let all = read(directory.path(), &tenant(), NOON).unwrap();
        assert_eq!(all.entries, [old, new.clone()]);
        assert_eq!((all.holes.len(), all.damaged), (0, 0));
        let later = read(directory.path(), &tenant(), NOON + Duration::days(1)).unwrap();
        assert_eq!(later.entries, [new]);
    }

    #[test]
    fn a_journal_that_went_down_with_the_machine_has_a_hole() {
        let directory = tempfile::tempdir().unwrap();
        let log = JournalLog::open(directory.path(), &tenant()).unwrap();
        log.write(entry(NOON, "one")).unwrap();
        let path = directory.path().join("acme/2026-03-01.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        // As if another start of the machine had written it, and half a line.
        let other = text.replace(&boot_id(), "another") + "{\"t\":17";
        fs::write(&path, other).unwrap();
        let found = read(directory.path(), &tenant(), NOON).unwrap();
        assert_eq!(found.holes, [(NOON - UNWRITTEN, NOON + UNWRITTEN)]);
        assert_eq!((found.entries.len(), found.damaged), (1, 1));
    }

    #[test]
    fn a_process_that_was_killed_leaves_no_hole() {
        let directory = tempfile::tempdir().unwrap();
        let killed = JournalLog::open(directory.path(), &tenant()).unwrap();
        killed.write(entry(NOON, "one")).unwrap();
        let found = read(directory.path(), &tenant(), NOON).unwrap();
        assert_eq!((found.holes.len(), found.entries.len()), (0, 1));
    }
}
