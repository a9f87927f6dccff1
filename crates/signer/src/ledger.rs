//! The one writer of the ledger.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use mailkeep_identity::{
    Checkpoint, CheckpointKey, Hash, Head, MAX_LINE,
    ledger::{self, LedgerEvent, LedgerRecord, WitnessError},
    protocol::LEDGER_PIECE,
    settles,
};
use mailkeep_model::{Function, TenantName};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{
    Clock, SignerError,
    files::{read_bounded, sync_directory, write_atomically},
    master::Master,
};

/// A checkpoint is put beside the ledger after so many records: at most so many can be cut off
/// without the next start seeing it. Whoever keeps checkpoints elsewhere sees more.
const CHECKPOINT_EVERY: u64 = 64;

/// Bytes that are looked through for one tenant's records before it is answered: some hundredths of a second.
pub(crate) const LOOKED_THROUGH: u64 = 64 << 20;

/// The record could not be written; what it was for must not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unwritten(pub(crate) String);

/// The file under the ledger.
pub(crate) trait Storage: Send + Sync {
    /// Writes at the end.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all that was written before is on disk. More may be written meanwhile.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file off.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_data()
    }
}

/// Records of callers that come at the same time are put on disk together: one of them waits for the
/// disk, for all that is written by then, and the others wait for it.
pub(crate) struct Ledger {
    state: Mutex<State>,
    /// Told whenever the disk has answered.
    synced: Condvar,
    key: LedgerKey,
    path: PathBuf,
    checkpoint: PathBuf,
    clock: Clock,
}

struct State {
    storage: Arc<dyn Storage>,
    /// The last record that was written.
    written: Head,
    /// The last record that is on disk: what checkpoints and answers may speak of.
    head: Head,
    /// Whether somebody waits for the disk.
    syncing: bool,
    bytes: u64,
    /// The last record that a checkpoint beside the ledger knows.
    witnessed: u64,
    /// Why it can follow no other ledger any more.
    settled: Option<&'static str>,
    /// Set when nobody knows what is on disk any more; only a new start finds out.
    broken: Option<String>,
}

impl Ledger {
    /// Opens the ledger of a signer's directory, checks it from beginning to end, and hands every
    /// record to `each`. A piece of a record at the end, which a crash left, is put aside.
    pub(crate) fn open(
        directory: &Path,
        master: &Master,
        clock: Clock,
        mut each: impl FnMut(&LedgerRecord),
    ) -> Result<Self, SignerError> {
        let path = directory.join("ledger.jsonl");
        let checkpoint = directory.join("checkpoint.json");
        let key = LedgerKey::open(directory, master)?;
        let known = read_checkpoint(&checkpoint)?;
        if !path.exists() && (known.is_some() || directory.join("keys").exists()) {
            return Err(SignerError::LedgerMissing { path });
        }
        let at = path.clone();
        let io = |source| SignerError::Io { path: at.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(&path).map_err(io)?;
        sync_directory(directory).map_err(io)?;

        let mut settled = None;
        let each = |record: &LedgerRecord| {
            settled = settled.or_else(|| settles(&record.event));
            each(record);
        };
        let witnesses = known.as_slice();
        let reader = BufReader::with_capacity(256 * 1024, &file);
        let summary = ledger::verify_witnessed(reader, &key.public, witnesses, each);
        let summary = summary.map_err(|error| match error {
            WitnessError::Ledger(fault) => SignerError::Ledger { path: path.clone(), fault },
            error => SignerError::Witness { path: path.clone(), error },
        })?;
        // The first start writes one record, then the first checkpoint, then goes on.
        if known.is_none() && summary.head.seq > 1 {
            return Err(SignerError::LedgerMissing { path: checkpoint });
        }
        let torn = match summary.torn {
            Some(torn) => Some(put_aside(directory, &mut file, torn.offset).map_err(io)?),
            None => None,
        };
        let witnessed = known.map_or(0, |checkpoint| checkpoint.head.seq);
        let (head, bytes) = (summary.head, summary.bytes);
        let storage = Arc::new(file);
        let (written, syncing, broken) = (head, false, None);
        let state = State { storage, written, head, syncing, bytes, witnessed, settled, broken };
        let (state, synced) = (Mutex::new(state), Condvar::new());
        let ledger = Self { state, synced, key, path, checkpoint, clock };
        if head.seq == 0 {
            let checkpoint_key = ledger.key.public.to_string();
            ledger.start_with(&LedgerEvent::Begun { checkpoint_key })?;
        }
        ledger.keep_checkpoint()?;
        if let Some(torn) = torn {
            tracing::warn!(?torn, "a crash left a piece of a ledger record");
            ledger.start_with(&torn)?;
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        ledger.start_with(&LedgerEvent::Started { pid: std::process::id(), version })?;
        Ok(ledger)
    }

    /// Writes a record. When this returns without an error the record is on disk, and what it is
    /// about may happen.
    pub(crate) fn append(&self, event: &LedgerEvent) -> Result<Head, Unwritten> {
        let (head, witnessed) = self.write(event)?;
        if head.seq >= witnessed + CHECKPOINT_EVERY
            && let Err(error) = self.keep_checkpoint()
        {
            // The record itself is safe; the next one tries again.
            tracing::error!(%error, "cannot keep a checkpoint of the ledger");
        }
        Ok(head)
    }

    /// Writes that it follows a lost ledger, and a checkpoint; or says why it can follow none.
    pub(crate) fn follow(
        &self,
        event: &LedgerEvent,
    ) -> Result<Result<(), &'static str>, Unwritten> {
        let state = self.state();
        if let Some(why) = state.settled {
            return Ok(Err(why));
        }
        self.write_with(state, event)?;
        if let Err(error) = self.keep_checkpoint() {
            tracing::error!(%error, "cannot keep a checkpoint of the ledger");
        }
        Ok(Ok(()))
    }

    fn write(&self, event: &LedgerEvent) -> Result<(Head, u64), Unwritten> {
        self.write_with(self.state(), event)
    }

    fn write_with(
        &self,
        mut state: MutexGuard<'_, State>,
        event: &LedgerEvent,
    ) -> Result<(Head, u64), Unwritten> {
        if let Some(broken) = &state.broken {
            return Err(Unwritten(broken.clone()));
        }
        let (line, head) = ledger::encode(&state.written, (self.clock)(), event)
            .map_err(|error| Unwritten(error.to_string()))?;
        if let Err(error) = state.storage.append(&line) {
            // A full disk: take off what was written of the record, and go on when there is room.
            let bytes = state.bytes;
            if let Err(worse) = state.storage.truncate(bytes) {
                state.broken = Some(format!("{error}; then {worse}; start the signer again"));
            }
            return Err(Unwritten(error.to_string()));
        }
        state.written = head;
        state.bytes += line.len() as u64;
        state.settled = state.settled.or_else(|| settles(event));
        let state = self.on_disk(state, head)?;
        Ok((head, state.witnessed))
    }

    /// Returns when a record is on disk.
    fn on_disk<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        record: Head,
    ) -> Result<MutexGuard<'a, State>, Unwritten> {
        loop {
            if state.head.seq >= record.seq {
                return Ok(state);
            }
            if let Some(broken) = &state.broken {
                return Err(Unwritten(broken.clone()));
            }
            if state.syncing {
                state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            let (storage, written) = (Arc::clone(&state.storage), state.written);
            drop(state);
            let synced = storage.sync();
            state = self.state();
            state.syncing = false;
            match synced {
                Ok(()) => state.head = written,
                // After a failed fsync the system may have forgotten what it did not write, and says
                // so once only (see PostgreSQL's "fsyncgate", 2018).
                Err(error) => {
                    let broken =
                        format!("{error} while putting a record on disk; start the signer again");
                    state.broken = Some(broken);
                }
            }
            self.synced.notify_all();
        }
    }

    /// The last record that is on disk.
    pub(crate) fn head(&self) -> Head {
        self.state().head
    }

    /// What is on the disk from that byte on, as far as records were written whole; at most
    /// [`LEDGER_PIECE`] bytes, and none at the end. It is read anew, not remembered: what somebody
    /// changed there is to be seen.
    pub(crate) fn piece(&self, from: u64) -> Result<Vec<u8>, SignerError> {
        let io = |source| SignerError::Io { path: self.path.clone(), source };
        let length = self.state().bytes.saturating_sub(from).min(LEDGER_PIECE as u64);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            // Whoever reads it finds that all of it is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        let mut piece = Vec::new();
        file.take(length).read_to_end(&mut piece).map_err(io)?;
        Ok(piece)
    }

    /// How many bytes of records it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// The records of one tenant from that byte on, line by line; of these `functions` and of none, if there are
    /// such. Then where it is to be gone on from, and whether there is more already: there are as many as fit
    /// into a piece, or as are found in a while. What cannot be read as a record is nobody's.
    pub(crate) fn lines_of(
        &self,
        tenant: &TenantName,
        functions: Option<&[Function]>,
        from: u64,
    ) -> Result<(Vec<u8>, u64, bool), SignerError> {
        let io = |source| SignerError::Io { path: self.path.clone(), source };
        let end = self.state().bytes;
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Vec::new(), from, false));
            }
            Err(error) => return Err(io(error)),
        };
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        // Looking for a text is quicker than reading JSON; other texts that it stands in are looked at.
        let name = format!("\"{tenant}\"");
        let is_theirs = |event: &LedgerEvent| {
            let function = event.function();
            let may = |function| functions.is_none_or(|functions| functions.contains(&function));
            event.tenant() == Some(tenant) && function.is_none_or(may)
        };
        let (mut found, mut line, mut at) = (Vec::new(), Vec::new(), from);
        while at < end {
            line.clear();
            (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).map_err(io)?;
            if line.is_empty() {
                return Ok((found, at, false));
            }
            let is_named = std::str::from_utf8(&line).is_ok_and(|text| text.contains(&name));
            let record = line.strip_suffix(b"\n").filter(|_| is_named).map(ledger::parse);
            if matches!(&record, Some(Ok(record)) if is_theirs(&record.event)) {
                if found.len() + line.len() > LEDGER_PIECE {
                    return Ok((found, at, true));
                }
                found.extend_from_slice(&line);
            }
            at += line.len() as u64;
            if at - from > LOOKED_THROUGH {
                return Ok((found, at, at < end));
            }
        }
        Ok((found, at, false))
    }

    /// SHA-256 over the first bytes on the disk, `None` when there are fewer. They are read anew, too.
    pub(crate) fn digest(&self, bytes: u64) -> Result<Option<Hash>, SignerError> {
        let io = |source| SignerError::Io { path: self.path.clone(), source };
        let mut file = match File::open(&self.path) {
            Ok(file) => file.take(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let (mut digest, mut piece) = (Sha256::new(), vec![0; 256 * 1024]);
        loop {
            let read = file.read(&mut piece).map_err(io)?;
            if read == 0 {
                break;
            }
            digest.update(&piece[..read]);
        }
        let is_all = file.limit() == 0;
        Ok(is_all.then(|| Hash::from_bytes(digest.finalize().into())))
    }

    pub(crate) fn public_key(&self) -> &CheckpointKey {
        &self.key.public
    }

    /// A signed statement of where the ledger stands.
    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, SignerError> {
        let head = self.head();
        self.key.sign(head, (self.clock)())
    }

    /// Puts a checkpoint beside the ledger.
    pub(crate) fn keep_checkpoint(&self) -> Result<(), SignerError> {
        let checkpoint = self.checkpoint()?;
        let json = serde_json::to_vec(&checkpoint)
            .map_err(|_| SignerError::Crypto("write a checkpoint"))?;
        let io = |source| SignerError::Io { path: self.checkpoint.clone(), source };
        // Under the lock, so that an older one never replaces a newer one.
        let mut state = self.state();
        if checkpoint.head.seq > state.witnessed {
            write_atomically(&self.checkpoint, &json).map_err(io)?;
            state.witnessed = checkpoint.head.seq;
        }
        Ok(())
    }

    /// Another file under the ledger, one that fails.
    #[cfg(test)]
    pub(crate) fn replace_storage(&self, storage: Arc<dyn Storage>) {
        self.state().storage = storage;
    }

    fn start_with(&self, event: &LedgerEvent) -> Result<(), SignerError> {
        self.write(event).map(drop).map_err(|error| SignerError::LedgerUnavailable(error.0))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state.is_poisoned() && state.broken.is_none() {
            state.broken = Some("a record was not finished; start the signer again".to_owned());
        }
        state
    }
}

/// Moves what is behind `offset` into a file of its own, and tells of it.
fn put_aside(directory: &Path, file: &mut File, offset: u64) -> io::Result<LedgerEvent> {
    let mut piece = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.read_to_end(&mut piece)?;
    let sha256 = HEXLOWER.encode(&Sha256::digest(&piece));
    // The hash keeps apart what two crashes left at the same place.
    let kept_as = format!("torn-{offset}-{}.bin", sha256.get(..8).unwrap_or_default());
    write_atomically(&directory.join(&kept_as), &piece)?;
    file.set_len(offset)?;
    file.sync_all()?;
    Ok(LedgerEvent::Torn { bytes: piece.len() as u64, sha256, kept_as })
}

fn read_checkpoint(path: &Path) -> Result<Option<Checkpoint>, SignerError> {
    let io = |source| SignerError::Io { path: path.to_owned(), source };
    let Some(json) = read_bounded(path, 4096).map_err(io)? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).map_err(|_| SignerError::Damaged {
        path: path.to_owned(),
        what: "it is not a checkpoint".to_owned(),
    })
}

/// Signs checkpoints.
struct LedgerKey {
    pair: EcdsaKeyPair,
    public: CheckpointKey,
}

impl LedgerKey {
    fn open(directory: &Path, master: &Master) -> Result<Self, SignerError> {
        const NAME: &str = "checkpoint-key";
        let path = directory.join("checkpoint-key.age");
        let damaged = |what: String| SignerError::Damaged { path: path.clone(), what };
        let pkcs8 = master.read(&path, NAME).map_err(|error| damaged(error.to_string()))?;
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = match pkcs8 {
            Some(pkcs8) => EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8)
                .map_err(|_| damaged("it does not hold a key".to_owned()))?,
            None if fs::exists(directory.join("ledger.jsonl")).unwrap_or(true) => {
                return Err(damaged("it is missing".to_owned()));
            }
            None => {
                let failed = |_| SignerError::Crypto("make the checkpoint key");
                let pair = EcdsaKeyPair::generate(algorithm).map_err(failed)?;
                let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
                master
                    .write(&path, NAME, pkcs8.as_ref())
                    .map_err(|source| SignerError::Io { path: path.clone(), source })?;
                pair
            }
        };
        let public = CheckpointKey::from_point(pair.public_key().as_ref())
            .map_err(|_| SignerError::Crypto("read the checkpoint key"))?;
        Ok(Self { pair, public })
    }

    fn sign(&self, head: Head, time: OffsetDateTime) -> Result<Checkpoint, SignerError> {
        let text = Checkpoint::signed_text(&head, time);
        let signature = self
            .pair
            .sign(&SystemRandom::new(), text.as_bytes())
            .map_err(|_| SignerError::Crypto("sign a checkpoint"))?;
        Ok(Checkpoint { head, time, signature: BASE64URL_NOPAD.encode(signature.as_ref()) })
    }
}

#[cfg(test)]
mod tests;
