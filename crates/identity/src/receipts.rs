use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mailkeep_model::{Function, TenantName};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    CheckpointKey, JobId,
    chain::{
        self, Begins, Event, Fault, Head, LineError, MAX_LINE, Summary, encode_line, parse_line,
    },
};

/// What a worker did with an assertion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptEvent {
    /// A token is about to be requested.
    Intended {
        /// Our name for the request, sent as `client-request-id`.
        client_request_id: Uuid,
        /// The job that needs the token.
        job: JobId,
        /// Whose mailboxes.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The assertion that is sent.
        jti: String,
    },
    /// The token came.
    Received {
        /// Our name for the request.
        client_request_id: Uuid,
        /// The provider's name for it (`x-ms-request-id`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// The provider's name for the token, where it could be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uti: Option<String>,
        /// When the token stops being good.
        #[serde(with = "time::serde::rfc3339")]
        expires: OffsetDateTime,
    },
    /// The provider refused.
    Refused {
        /// Our name for the request.
        client_request_id: Uuid,
        /// The provider's error code, e.g. `700027`.
        code: String,
    },
    /// The signer was lost and another one took its place: assertions in front of this, for that tenant,
    /// are in a ledger that is lost.
    SignerReplaced {
        /// Whose keys were lost.
        tenant: TenantName,
        /// What the new signer signs the checkpoints of its ledger with.
        checkpoint_key: CheckpointKey,
    },
    /// A piece of a record was found at the end, which a crash had left, and was removed.
    Torn {
        /// How long it was.
        bytes: u64,
    },
    /// An event of a later version.
    #[serde(other)]
    Other,
}

impl Event for ReceiptEvent {
    const DOMAIN: &'static str = "mailkeep-receipts-1";
    const MAY_BEGIN_LATER: bool = true;
}

/// A receipt could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The file cannot be read or written.
    #[error("receipts in {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file does not end in a receipt.
    #[error("receipts in {}: the last line is damaged ({what}); move the file aside", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// The workers' own chain: what became of each assertion. Trusted no further than the workers are;
/// it is what tells "ours, but the answer got lost" from theft.
///
/// Cheap to clone. Any number of processes may write to one file: each record is written under a
/// lock of the file. Every record is on disk when its method returns. The methods block for as long
/// as that takes: in async code, call them in `spawn_blocking`, or where a millisecond does not
/// matter (there is one token an hour and tenant).
#[derive(Clone, Debug)]
pub struct ReceiptLog {
    shared: Arc<Shared>,
}

impl ReceiptLog {
    /// Opens the log, and makes it when there is none.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReceiptError> {
        let path = path.as_ref().to_owned();
        match open(&path) {
            Ok(file) => Ok(Self { shared: Arc::new(Shared { path, file: Mutex::new(file) }) }),
            Err(source) => Err(ReceiptError::Io { path, source }),
        }
    }

    /// Lets go of the receipts from before a time, all but the last of them; how many there were. What is left
    /// is a chain that says after which record it begins, in the place of the one that there was: whoever has
    /// that open writes on in this one. It begins before that time, so that one that begins later was
    /// shortened by somebody else, however long there were no receipts.
    ///
    /// # Errors
    /// [`ReceiptError::Damaged`] when they are not as they were written: nothing is let go of then.
    pub fn forget(&self, before: OffsetDateTime) -> Result<u64, ReceiptError> {
        self.shared.forget(before)
    }

    /// The signer was lost, and another one took its place.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn signer_replaced(
        &self,
        now: OffsetDateTime,
        tenant: &TenantName,
        checkpoint_key: &CheckpointKey,
    ) -> Result<(), ReceiptError> {
        let (tenant, checkpoint_key) = (tenant.clone(), checkpoint_key.clone());
        self.shared.append(now, &ReceiptEvent::SignerReplaced { tenant, checkpoint_key })
    }

    /// A token is about to be requested. To be called before the request goes out.
    ///
    /// # Errors
    /// [`ReceiptError`]; then the token must not be requested.
    pub fn intend(
        &self,
        now: OffsetDateTime,
        client_request_id: Uuid,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        jti: &str,
    ) -> Result<(), ReceiptError> {
        self.shared.append(
            now,
            &ReceiptEvent::Intended {
                client_request_id,
                job: job.clone(),
                tenant: tenant.clone(),
                function,
                jti: bounded(jti),
            },
        )
    }

    /// The token came. `request_id` is the response's `x-ms-request-id`, `uti` what
    /// [`uti::peek`](crate::uti::peek) found in it.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn received(
        &self,
        now: OffsetDateTime,
        client_request_id: Uuid,
        request_id: Option<&str>,
        uti: Option<&str>,
        expires: OffsetDateTime,
    ) -> Result<(), ReceiptError> {
        self.shared.append(
            now,
            &ReceiptEvent::Received {
                client_request_id,
                request_id: request_id.map(bounded),
                uti: uti.map(bounded),
                expires,
            },
        )
    }

    /// The provider refused, with this code.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn refused(
        &self,
        now: OffsetDateTime,
        client_request_id: Uuid,
        code: &str,
    ) -> Result<(), ReceiptError> {
        self.shared.append(now, &ReceiptEvent::Refused { client_request_id, code: bounded(code) })
    }
}

/// Checks a whole chain of receipts, that it goes on from where it was `seen` before, and hands out
/// every good receipt on the way.
///
/// # Errors
/// The first place that is not as it was written.
pub fn verify(
    reader: impl BufRead,
    seen: Option<Head>,
    each: impl FnMut(&chain::Record<ReceiptEvent>),
) -> Result<Summary, Fault> {
    chain::verify_seen(reader, seen, each)
}

/// [`verify`] of what is behind the whole receipts that were read before (`so_far`), whose bytes `reader`
/// leaves out. Hands out every good receipt with its line, line feed included; no receipt for the line in
/// front of a chain that begins later.
///
/// # Errors
/// As there. That what was read before has not been changed since is for the caller to see to.
pub fn verify_on(
    reader: impl BufRead,
    so_far: &Summary,
    mut each: impl FnMut(Option<&chain::Record<ReceiptEvent>>, &[u8]),
) -> Result<Summary, Fault> {
    chain::verify_on(reader, so_far, |record, line| {
        each(record, line);
        Ok(())
    })
}

/// Reads one line, without its line feed, and checks its own hash.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &[u8]) -> Result<chain::Record<ReceiptEvent>, LineError> {
    parse_line(line)
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    file: Mutex<File>,
}

impl Shared {
    fn append(&self, now: OffsetDateTime, event: &ReceiptEvent) -> Result<(), ReceiptError> {
        let io = |source| ReceiptError::Io { path: self.path.clone(), source };
        // The mutex keeps this process's threads apart, the lock other processes.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock(&mut file).map_err(io)?;
        let written = self.append_locked(&file, now, event);
        let unlocked = file.unlock().map_err(io);
        written.and(unlocked)
    }

    fn append_locked(
        &self,
        mut file: &File,
        now: OffsetDateTime,
        event: &ReceiptEvent,
    ) -> Result<(), ReceiptError> {
        let io = |source| ReceiptError::Io { path: self.path.clone(), source };
        let (head, whole, torn) = self.tail(file)?;
        let line = |head: &Head, event: &ReceiptEvent| {
            encode_line(head, now, event).map_err(|error| self.damaged(&error))
        };
        let (mut lines, mut end) = (Vec::new(), head);
        if torn > 0 {
            file.set_len(whole).map_err(io)?;
            (lines, end) = line(&head, &ReceiptEvent::Torn { bytes: torn })?;
        }
        lines.extend(line(&end, event)?.0);
        if let Err(error) = file.write_all(&lines).and_then(|()| file.sync_data()) {
            // Half a record is taken off by whoever writes next, too; this is for the verifier.
            let _ = file.set_len(whole);
            return Err(io(error));
        }
        Ok(())
    }

    /// Locks the file; the one that is there, where another process has put a shorter one in its place.
    fn lock(&self, file: &mut File) -> io::Result<()> {
        loop {
            file.lock()?;
            let ours = file.metadata()?;
            let same = |there: fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
            if fs::metadata(&self.path).is_ok_and(same) {
                return Ok(());
            }
            // Its lock goes with it.
            *file = open(&self.path)?;
        }
    }

    fn forget(&self, before: OffsetDateTime) -> Result<u64, ReceiptError> {
        let io = |source| ReceiptError::Io { path: self.path.clone(), source };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock(&mut file).map_err(io)?;
        let forgotten = self.forget_locked(&file, before);
        // What was renamed away has its lock for nobody; the next to write opens the one that is there.
        let unlocked = file.unlock().map_err(io);
        forgotten.and_then(|count| unlocked.map(|()| count))
    }

    fn forget_locked(&self, mut file: &File, before: OffsetDateTime) -> Result<u64, ReceiptError> {
        let io = |source| ReceiptError::Io { path: self.path.clone(), source };
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let mut old = Vec::new();
        let verified = chain::verify::<ReceiptEvent>(BufReader::new(file), |record| {
            old.push((record.seq, record.hash, record.time));
            Ok(())
        });
        let whole = verified.map_err(|fault| self.damaged(&fault))?;
        let older = old.iter().take_while(|(_, _, time)| *time < before).count();
        let gone = older.saturating_sub(1);
        let Some((seq, hash, _)) = gone.checked_sub(1).map(|at| old[at]) else { return Ok(0) };
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let mut lines = BufReader::new(file);
        let skipped = gone + usize::from(whole.begins_after > 0);
        let mut line = Vec::new();
        for _ in 0..skipped {
            line.clear();
            lines.read_until(b'\n', &mut line).map_err(io)?;
        }
        let begins = Begins { begins_after: Head { seq, hash } };
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".shorter");
        let written = (|| {
            let mut options = OpenOptions::new();
            let mut shorter =
                options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            let first = serde_json::to_string(&begins).map_err(io::Error::other)?;
            shorter.write_all(format!("{first}\n").as_bytes())?;
            io::copy(&mut lines, &mut shorter)?;
            shorter.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        })();
        written.map_err(io)?;
        Ok(gone as u64)
    }

    /// The last whole record, where it ends, and how many bytes are behind it.
    fn tail(&self, mut file: &File) -> Result<(Head, u64, u64), ReceiptError> {
        let io = |source| ReceiptError::Io { path: self.path.clone(), source };
        let length = file.metadata().map_err(io)?.len();
        // The last whole line and a torn one behind it fit into twice the longest line.
        let start = length.saturating_sub(2 * MAX_LINE as u64);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        file.take(length - start).read_to_end(&mut bytes).map_err(io)?;
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return match start {
                0 => Ok((Head::EMPTY, 0, length)),
                _ => Err(self.damaged(&"it is too long")),
            };
        };
        let begin = bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let record = parse_line::<ReceiptEvent>(&bytes[begin..end]);
        let record = record.map_err(|error| self.damaged(&error))?;
        let whole = start + end as u64 + 1;
        Ok((Head { seq: record.seq, hash: record.hash }, whole, length - whole))
    }

    fn damaged(&self, what: &dyn ToString) -> ReceiptError {
        ReceiptError::Damaged { path: self.path.clone(), what: what.to_string() }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).open(path)
}

/// Texts from the provider are kept short, so that a record always fits a line.
fn bounded(text: &str) -> String {
    text.chars().take(256).collect()
}
