//! What stands between `rustic_core` and the place where a repository's files lie.
//!
//! [`Guard`] does four things that the library does not: it holds a new snapshot back until we
//! know that the round in it is what was meant; it remembers the first failure to write, so that
//! the source stops (the library goes on opening every remaining item); it counts bytes; it counts
//! a file as written only once its name is durable, too.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use rustic_backend::LocalBackend;
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};

use crate::error::{Full, reason};

/// What becomes of a snapshot file that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Snapshots {
    #[default]
    WriteThrough,
    HoldBack,
}

/// State of a [`Guard`] that its user watches.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    failed: AtomicBool,
    failure: Mutex<Option<(Full, String)>>,
    written: AtomicU64,
    mode: Mutex<Snapshots>,
    /// Snapshots that were held back: only this handle can read them.
    held: Mutex<HashMap<Id, Bytes>>,
    published: Mutex<Option<Id>>,
}

impl Watch {
    /// Whether a write failed since [`Watch::begin`].
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The first failure to write since [`Watch::begin`].
    pub(crate) fn failure(&self) -> Option<(Full, String)> {
        lock(&self.failure).clone()
    }

    /// Bytes written since [`Watch::begin`].
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Starts counting afresh, and holds snapshots back from now on.
    pub(crate) fn begin(&self) {
        self.failed.store(false, Ordering::Relaxed);
        self.written.store(0, Ordering::Relaxed);
        *lock(&self.failure) = None;
        *lock(&self.published) = None;
        *lock(&self.mode) = Snapshots::HoldBack;
        self.discard();
    }

    /// Forgets the snapshots that were held back, and lets those that follow through.
    pub(crate) fn release(&self) {
        self.discard();
        *lock(&self.mode) = Snapshots::WriteThrough;
    }

    /// Forgets the snapshots that were held back.
    pub(crate) fn discard(&self) {
        lock(&self.held).clear();
    }

    /// The snapshot that was written last since [`Watch::begin`].
    pub(crate) fn published(&self) -> Option<Id> {
        *lock(&self.published)
    }

    fn fail(&self, error: &RusticError) {
        lock(&self.failure).get_or_insert_with(|| reason(error));
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// A poisoned lock means that another thread panicked; the values in here are whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A storage, watched.
#[derive(Debug)]
pub(crate) struct Guard<B> {
    inner: B,
    watch: Arc<Watch>,
}

impl<B: WriteBackend> Guard<B> {
    pub(crate) fn new(inner: B) -> (Arc<Self>, Arc<Watch>) {
        let watch = Arc::<Watch>::default();
        (Arc::new(Self { inner, watch: watch.clone() }), watch)
    }

    fn write(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let size = content.size() as u64;
        self.inner
            .write_bytes(tpe, id, cacheable, content)
            .inspect_err(|error| self.watch.fail(error))?;
        self.watch.written.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }
}

impl<B: WriteBackend> ReadBackend for Guard<B> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        self.inner.list_with_size(tpe)
    }

    fn list(&self, tpe: FileType) -> RusticResult<Vec<Id>> {
        self.inner.list(tpe)
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        if tpe == FileType::Snapshot
            && let Some(bytes) = lock(&self.watch.held).get(id)
        {
            return Ok(bytes.clone());
        }
        self.inner.read_full(tpe, id)
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.inner.read_partial(tpe, id, cacheable, offset, length)
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        self.inner.warmup_path(tpe, id)
    }
}

impl<B: WriteBackend> WriteBackend for Guard<B> {
    fn create(&self) -> RusticResult<()> {
        self.inner.create().inspect_err(|error| self.watch.fail(error))
    }

    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        if tpe == FileType::Snapshot && *lock(&self.watch.mode) == Snapshots::HoldBack {
            lock(&self.watch.held).insert(*id, content.slice().concat().into());
            return Ok(());
        }
        if self.watch.has_failed() {
            // What follows a failure will not be referred to by any snapshot.
            return Err(RusticError::new(ErrorKind::Backend, "an earlier write failed"));
        }
        self.write(tpe, id, cacheable, content)?;
        if tpe == FileType::Snapshot {
            *lock(&self.watch.published) = Some(*id);
        }
        Ok(())
    }

    fn remove(&self, tpe: FileType, id: &Id, cacheable: bool) -> RusticResult<()> {
        self.inner.remove(tpe, id, cacheable)
    }
}

/// A storage whose configuration is not changed by writing it: for a handle that works with
/// another one than the repository's.
#[derive(Debug)]
pub(crate) struct KeepConfig(pub(crate) Arc<dyn WriteBackend>);

impl ReadBackend for KeepConfig {
    fn location(&self) -> String {
        self.0.location()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        self.0.list_with_size(tpe)
    }

    fn list(&self, tpe: FileType) -> RusticResult<Vec<Id>> {
        self.0.list(tpe)
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        self.0.read_full(tpe, id)
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.0.read_partial(tpe, id, cacheable, offset, length)
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        self.0.warmup_path(tpe, id)
    }
}

impl WriteBackend for KeepConfig {
    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        if tpe == FileType::Config {
            Ok(())
        } else {
            self.0.write_bytes(tpe, id, cacheable, content)
        }
    }

    fn remove(&self, tpe: FileType, id: &Id, cacheable: bool) -> RusticResult<()> {
        self.0.remove(tpe, id, cacheable)
    }
}

/// A directory of this machine. The library's own writes a file, flushes it and renames it; that
/// the new name survives a power cut takes flushing the directory, too.
#[derive(Debug)]
pub(crate) struct LocalDirectory {
    backend: LocalBackend,
    dir: PathBuf,
}

impl LocalDirectory {
    pub(crate) fn new(dir: &Path) -> RusticResult<Self> {
        let backend = LocalBackend::new(dir.to_string_lossy(), [])?;
        Ok(Self { backend, dir: dir.to_owned() })
    }

    fn parent(&self, tpe: FileType, id: &Id) -> PathBuf {
        match tpe {
            FileType::Config => self.dir.clone(),
            FileType::Pack => self.dir.join("data").join(&id.to_hex()[..2]),
            _ => self.dir.join(tpe.dirname()),
        }
    }
}

impl ReadBackend for LocalDirectory {
    fn location(&self) -> String {
        self.backend.location()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        self.backend.list_with_size(tpe)
    }

    fn list(&self, tpe: FileType) -> RusticResult<Vec<Id>> {
        self.backend.list(tpe)
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        self.backend.read_full(tpe, id)
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.backend.read_partial(tpe, id, cacheable, offset, length)
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        self.backend.warmup_path(tpe, id)
    }
}

impl WriteBackend for LocalDirectory {
    fn create(&self) -> RusticResult<()> {
        self.backend.create()
    }

    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        self.backend.write_bytes(tpe, id, cacheable, content)?;
        File::open(self.parent(tpe, id)).and_then(|dir| dir.sync_all()).map_err(|error| {
            RusticError::with_source(ErrorKind::InputOutput, "cannot flush a directory", error)
        })
    }

    fn remove(&self, tpe: FileType, id: &Id, cacheable: bool) -> RusticResult<()> {
        self.backend.remove(tpe, id, cacheable)
    }
}
