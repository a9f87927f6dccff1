use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytesize::ByteSize;
use mailkeep_model::Secret;
use rustic_core::{
    ConfigOptions, Credentials, FileType, Id, IndexedFullStatus, KeyOptions, OpenStatus,
    Repository, RepositoryBackends, RepositoryOptions, RusticError, RusticResult, TreeId,
    WriteBackend,
    repofile::{BlobType, Chunker, Node, SnapshotFile, SnapshotId as FileId, Tree},
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{
    Outcome, Snapshot, SnapshotId, VaultError,
    error::{Full, reason},
    storage::{Guard, KeepConfig, LocalDirectory, Watch},
};

/// Tag of every snapshot that we write.
pub(crate) const TAG: &str = "mailkeep";
/// Tag of a snapshot that does not hold all of its round.
pub(crate) const TAG_PARTIAL: &str = "partial";

/// Content of fewer bytes is one piece.
pub(crate) const ONE_PIECE: u64 = 64 << 10;
/// Smallest piece that content is cut into. With restic's own sizes (512 KiB, 1 MiB) attachments
/// in the middle range are one piece together with the headers above them, and are not recognised
/// when forwarded; with these a repository of mail was 7 % smaller.
const CHUNK_MIN: ByteSize = ByteSize(ONE_PIECE);
/// Size of a piece on average.
const CHUNK_AVERAGE: ByteSize = ByteSize::kib(128);
/// Largest piece: what a reader must hold in memory.
const CHUNK_MAX: ByteSize = ByteSize::mib(1);

pub(crate) type Repo = Repository<IndexedFullStatus>;

/// A tenant's repository, open.
///
/// Everything in here blocks and belongs on a thread of its own (`spawn_blocking`). There is no
/// lock in the repository: whoever calls [`Vault::write_round`] must hold the tenant's writer
/// lease, or else two writers store the same bytes twice.
pub struct Vault {
    pub(crate) dir: PathBuf,
    pub(crate) storage: Storage,
    pub(crate) repo: Arc<Repo>,
    /// Snapshot files never change, so each is read once.
    snapshots: Mutex<BTreeMap<FileId, Snapshot>>,
}

/// The library's types print the master key.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Where the files lie, and what watches over writing them.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    backends: RepositoryBackends,
    pub(crate) watch: Arc<Watch>,
}

impl Vault {
    /// Makes a repository (restic's format, version 2) in a directory that is missing or empty.
    ///
    /// # Errors
    /// [`VaultError::Exists`]; [`VaultError::Storage`], [`VaultError::DiskFull`].
    pub fn create(dir: &Path, password: &Secret) -> Result<Self, VaultError> {
        match fs::read_dir(dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(VaultError::Exists { dir: dir.to_owned() });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(VaultError::Storage {
                    dir: dir.to_owned(),
                    doing: "looking into it",
                    reason: error.to_string(),
                });
            }
        }
        Self::create_in(dir, local(dir)?, password)
    }

    /// Opens a repository.
    ///
    /// # Errors
    /// [`VaultError::NotARepository`], [`VaultError::WrongPassword`], [`VaultError::Storage`],
    /// [`VaultError::Damaged`].
    pub fn open(dir: &Path, password: &Secret) -> Result<Self, VaultError> {
        if !Self::exists(dir) {
            return Err(VaultError::NotARepository { dir: dir.to_owned() });
        }
        Self::open_in(dir, local(dir)?, &Credentials::password(password.expose()))
    }

    /// Whether a directory holds a repository.
    pub fn exists(dir: &Path) -> bool {
        dir.join("config").is_file()
    }

    /// A second handle on the same repository as it is now, for reading beside a writer. Costs no
    /// password derivation.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Damaged`].
    pub fn reopen(&self) -> Result<Self, VaultError> {
        Self::open_in(&self.dir, self.storage.clone(), &Credentials::Masterkey(self.repo.key()))
    }

    /// The repository's identifier, in hex; it never changes.
    pub fn repository_id(&self) -> String {
        self.repo.config().id.to_hex().as_str().to_owned()
    }

    /// All snapshots, the oldest first.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Damaged`].
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, VaultError> {
        let doing = "reading the list of snapshots";
        let mut known = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = BTreeMap::new();
        for id in self.repo.list::<FileId>().map_err(|e| self.read_error(doing, &e))? {
            let snapshot = match known.remove(&id) {
                Some(snapshot) => snapshot,
                None => self
                    .repo
                    .get_file::<SnapshotFile>(&id)
                    .map(|file| snapshot_of(id, &file))
                    .map_err(|e| self.read_error(doing, &e))?,
            };
            current.insert(id, snapshot);
        }
        *known = current;
        let mut snapshots: Vec<_> = known.values().cloned().collect();
        snapshots.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        Ok(snapshots)
    }

    /// The newest snapshot.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Damaged`].
    pub fn latest(&self) -> Result<Option<Snapshot>, VaultError> {
        Ok(self.snapshots()?.pop())
    }

    pub(crate) fn create_in(
        dir: &Path,
        storage: Storage,
        password: &Secret,
    ) -> Result<Self, VaultError> {
        let config = ConfigOptions::default()
            .set_version(2)
            .set_chunk_size(CHUNK_AVERAGE)
            .set_chunk_min_size(CHUNK_MIN)
            .set_chunk_max_size(CHUNK_MAX);
        let credentials = Credentials::password(password.expose());
        let repo = repository(&storage)
            .and_then(|repo| repo.init(&credentials, &KeyOptions::default(), &config))
            .and_then(Repository::<OpenStatus>::to_indexed)
            .map_err(|error| storage_error(dir, "creating the repository", &error))?;
        Ok(Self::with(dir, storage, repo))
    }

    pub(crate) fn open_in(
        dir: &Path,
        storage: Storage,
        credentials: &Credentials,
    ) -> Result<Self, VaultError> {
        let doing = "opening the repository";
        let keys = match credentials {
            Credentials::Masterkey(_) => Keys::Whole,
            _ => Keys::of(&storage).map_err(|error| read_error(dir, doing, &error))?,
        };
        let damaged_key = || damaged(dir, format!("{doing}: a key file is damaged or missing"));
        if keys == Keys::NoneWhole {
            return Err(damaged_key());
        }
        let open = |repo: Repository<()>| repo.open(credentials)?.to_indexed();
        match repository(&storage).and_then(open) {
            Ok(repo) => Ok(Self::with(dir, storage, repo)),
            Err(error) if error.is_incorrect_password() => Err(match keys {
                Keys::Whole => VaultError::WrongPassword { dir: dir.to_owned() },
                _ => damaged_key(),
            }),
            Err(error) => Err(read_error(dir, doing, &error)),
        }
    }

    fn with(dir: &Path, storage: Storage, repo: Repo) -> Self {
        Self { dir: dir.to_owned(), storage, repo: Arc::new(repo), snapshots: Mutex::default() }
    }

    /// Reads the index again: a handle does not see what it wrote itself.
    pub(crate) fn reindex(&mut self) -> Result<(), VaultError> {
        self.repo = self.reopen()?.repo;
        Ok(())
    }

    /// A handle, with the index as it is now, that does not look for places to cut: it may be given
    /// only files of less than [`ONE_PIECE`] bytes, or ones that need not be read.
    ///
    /// For each file the library computes the tables of its chunker anew. That takes 0.1 to 0.2 ms,
    /// more than everything else that is done with a small message.
    pub(crate) fn uncut(&self) -> Result<Arc<Repo>, VaultError> {
        let masked = Arc::new(KeepConfig(self.storage.backends.repository()));
        let storage = Storage {
            backends: RepositoryBackends::new(masked, None),
            watch: self.storage.watch.clone(),
        };
        let config =
            ConfigOptions::default().set_chunker(Chunker::FixedSize).set_chunk_size(CHUNK_MIN);
        let open = |repo: Repository<()>| {
            let mut repo = repo.open(&Credentials::Masterkey(self.repo.key()))?;
            repo.apply_config(&config)?;
            repo.to_indexed()
        };
        let repo = repository(&storage).and_then(open);
        repo.map(Arc::new).map_err(|e| self.read_error("opening the repository", &e))
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, VaultError> {
        self.snapshots()?
            .into_iter()
            .find(|snapshot| snapshot.id == *id)
            .ok_or_else(|| VaultError::NoSuchSnapshot { snapshot: id.clone() })
    }

    pub(crate) fn root(&self, snapshot: &Snapshot) -> Result<TreeId, VaultError> {
        snapshot.tree.parse().map_err(|_| self.damaged("a snapshot names no tree"))
    }

    pub(crate) fn tree(&self, id: TreeId) -> Result<Tree, VaultError> {
        self.repo.get_tree(&id).map_err(|error| self.read_error("reading a directory", &error))
    }

    /// A small file of ours as a whole.
    pub(crate) fn file(&self, node: &Node) -> Result<Vec<u8>, VaultError> {
        let mut bytes = Vec::new();
        for id in node.content.iter().flatten() {
            let blob = self.repo.get_blob_cached(&(*id).into(), BlobType::Data);
            bytes.extend_from_slice(&blob.map_err(|e| self.read_error("reading a file", &e))?);
        }
        Ok(bytes)
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, node: &Node) -> Result<T, VaultError> {
        serde_json::from_slice(&self.file(node)?)
            .map_err(|error| self.damaged(format!("{}: {error}", node.name)))
    }

    /// Writes a file's content out, one piece at a time.
    pub(crate) fn stream(&self, node: &Node, out: &mut dyn Write) -> Result<u64, VaultError> {
        let mut written = 0;
        for id in node.content.iter().flatten() {
            let blob = self
                .repo
                .get_blob_cached(&(*id).into(), BlobType::Data)
                .map_err(|error| self.read_error("reading an item", &error))?;
            out.write_all(&blob).map_err(|source| VaultError::Output {
                path: PathBuf::from(&*node.name()),
                source,
            })?;
            written += blob.len() as u64;
        }
        Ok(written)
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> VaultError {
        damaged(&self.dir, what)
    }

    pub(crate) fn read_error(&self, doing: &'static str, error: &RusticError) -> VaultError {
        read_error(&self.dir, doing, error)
    }

    pub(crate) fn write_error(
        &self,
        doing: &'static str,
        (full, reason): (Full, String),
    ) -> VaultError {
        failed(&self.dir, doing, full, reason)
    }
}

pub(crate) fn snapshot_of(id: FileId, file: &SnapshotFile) -> Snapshot {
    let nanoseconds = file.time.timestamp().as_nanosecond();
    Snapshot {
        id: SnapshotId(id.to_hex().as_str().to_owned()),
        time: OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        tree: file.tree.to_hex().as_str().to_owned(),
        outcome: if file.tags.contains(TAG_PARTIAL) { Outcome::Partial } else { Outcome::Whole },
    }
}

/// A storage on this machine.
fn local(dir: &Path) -> Result<Storage, VaultError> {
    LocalDirectory::new(dir)
        .map(Storage::new)
        .map_err(|error| storage_error(dir, "opening the directory", &error))
}

impl Storage {
    pub(crate) fn new(backend: impl WriteBackend + std::fmt::Debug) -> Self {
        let (guard, watch) = Guard::new(backend);
        Self { backends: RepositoryBackends::new(guard, None), watch }
    }
}

fn repository(storage: &Storage) -> RusticResult<Repository<()>> {
    // A cache in the user's home would keep names and subjects outside of the repository.
    Repository::new(&RepositoryOptions::default().no_cache(true), &storage.backends)
}

/// What the key files are like, as far as that shows without a password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Whole,
    SomeWhole,
    NoneWhole,
}

impl Keys {
    /// A key file's name is the hash of what is in it. The library does not compare the two: it
    /// takes a damaged key for a wrong password, and asks for as much memory as the file says.
    fn of(storage: &Storage) -> RusticResult<Self> {
        let backend = storage.backends.repository();
        let (mut all, mut whole) = (0, 0);
        for id in backend.list(FileType::Key)? {
            let hash: [u8; 32] = Sha256::digest(backend.read_full(FileType::Key, &id)?).into();
            all += 1;
            whole += usize::from(Id::new(hash) == id);
        }
        Ok(match whole {
            0 => Self::NoneWhole,
            _ if whole == all => Self::Whole,
            _ => Self::SomeWhole,
        })
    }
}

fn damaged(dir: &Path, what: impl Into<String>) -> VaultError {
    VaultError::Damaged { dir: dir.to_owned(), what: what.into() }
}

/// What a failure to read means: the storage's when the system said so, else damage. That a file
/// ends too early is no failure of the system.
fn read_error(dir: &Path, doing: &'static str, error: &RusticError) -> VaultError {
    let from_system = std::iter::successors(std::error::Error::source(error), |e| e.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() != io::ErrorKind::UnexpectedEof);
    if from_system {
        storage_error(dir, doing, error)
    } else {
        damaged(dir, format!("{doing}: {}", reason(error).1))
    }
}

fn storage_error(dir: &Path, doing: &'static str, error: &RusticError) -> VaultError {
    let (full, reason) = reason(error);
    failed(dir, doing, full, reason)
}

fn failed(dir: &Path, doing: &'static str, full: Full, reason: String) -> VaultError {
    let dir = dir.to_owned();
    match full {
        Full::Yes => VaultError::DiskFull { dir, doing },
        Full::No => VaultError::Storage { dir, doing, reason },
    }
}

#[cfg(test)]
mod tests {
    use rustic_core::ErrorKind;

    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_not_called_damage_and_a_file_cut_short_is() {
        let meaning = |cause: io::Error| {
            let error = RusticError::with_source(ErrorKind::InputOutput, "cannot read", cause);
            read_error(Path::new("v"), "reading", &error)
        };
        let disk = meaning(io::Error::from_raw_os_error(5));
        assert!(matches!(disk, VaultError::Storage { .. }), "{disk:?}");
        let full = meaning(io::ErrorKind::StorageFull.into());
        assert!(matches!(full, VaultError::DiskFull { .. }), "{full:?}");
        let short = meaning(io::ErrorKind::UnexpectedEof.into());
        assert!(matches!(short, VaultError::Damaged { .. }), "{short:?}");
    }
}
