//! Where content waits between the provider and the vault: on disk, encrypted, bounded.
//!
//! The key lives in this process's memory alone and the files have no name, so that a crash leaves
//! nothing readable and nothing to clean up. Contents that arrive at the same time share a
//! *segment*, a file that is freed with the last content in it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// Clear bytes in one encrypted piece. A content's last piece is shorter, or empty.
const PIECE: usize = 64 << 10;
/// What encryption adds to a piece.
const TAG: usize = 16;
/// A segment that has grown to this size is followed by another, so that space is given back
/// while others are still being written.
const SEGMENT: u64 = 32 << 20;

/// Items that arrive at the same time, each a content and what belongs to it: what they still bring
/// is what the spool may grow beyond its bound by. Without streams a pass begins no more (16
/// mailboxes × 3 folders × 4 contents).
const ARRIVING: usize = 192;

/// The spool of one pass.
#[derive(Clone)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    key: LessSafeKey,
    /// Pieces encrypted so far: the nonce, never used twice under one key.
    pieces: AtomicU64,
    segment: Mutex<Option<Arc<Segment>>>,
    bound: u64,
    used: AtomicU64,
    freed: Notify,
    places: Semaphore,
}

/// A file without a name. Ends are reserved under no lock but the atomic.
struct Segment {
    file: File,
    end: AtomicU64,
}

/// A content that is being written.
pub(crate) struct SpoolWriter {
    shared: Arc<Shared>,
    pending: Vec<u8>,
    pieces: Vec<Piece>,
    bytes: u64,
    /// A piece was lost: nothing more is taken.
    failed: bool,
}

/// A content that waits; dropping it gives its space back.
pub(crate) struct Spooled {
    shared: Arc<Shared>,
    pieces: Vec<Piece>,
    bytes: u64,
}

struct Piece {
    segment: Arc<Segment>,
    offset: u64,
    clear_len: u32,
    number: u64,
}

impl Spool {
    /// A spool in `directory`, which is made when it is not there, of about `bound` bytes: items that
    /// are arriving when the bound is reached still find room, with all that belongs to them.
    pub(crate) fn new(directory: &Path, bound: u64) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut key = [0; 32];
        let unusable = |_| io::Error::other("the system gives no randomness");
        aws_lc_rs::rand::fill(&mut key).map_err(unusable)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(unusable)?;
        Ok(Self {
            shared: Arc::new(Shared {
                directory: directory.to_owned(),
                key: LessSafeKey::new(key),
                pieces: AtomicU64::new(0),
                segment: Mutex::default(),
                bound,
                used: AtomicU64::new(0),
                freed: Notify::new(),
                places: Semaphore::new(ARRIVING),
            }),
        })
    }

    /// A place for an item to arrive at, kept until all of it is there. Who waits for one must not
    /// have anything in the spool that nobody else could take out.
    pub(crate) async fn place(&self) -> SemaphorePermit<'_> {
        self.shared.places.acquire().await.expect("the semaphore is never closed")
    }

    /// Begins a content, once the spool has room.
    pub(crate) async fn begin(&self) -> SpoolWriter {
        loop {
            let freed = self.shared.freed.notified();
            if !self.is_full() {
                break;
            }
            freed.await;
        }
        self.begin_beside()
    }

    /// Begins what belongs to a content that is there already: waiting for room while holding some
    /// could wait for ever.
    pub(crate) fn begin_beside(&self) -> SpoolWriter {
        SpoolWriter {
            shared: Arc::clone(&self.shared),
            pending: Vec::new(),
            pieces: Vec::new(),
            bytes: 0,
            failed: false,
        }
    }

    /// Whether those who want to begin a content have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.used.load(Ordering::Relaxed) >= self.shared.bound
    }
}

impl SpoolWriter {
    /// Ends the content.
    pub(crate) fn finish(mut self) -> io::Result<Spooled> {
        if !self.pending.is_empty() {
            self.seal()?;
        }
        let spooled = Spooled {
            shared: Arc::clone(&self.shared),
            pieces: std::mem::take(&mut self.pieces),
            bytes: self.bytes,
        };
        // From here on the space is `spooled`'s to give back.
        self.bytes = 0;
        Ok(spooled)
    }

    /// Encrypts what is pending and writes it to the disk.
    fn seal(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(io::Error::other("the spool could not be written to before"));
        }
        let clear_len = u32::try_from(self.pending.len()).map_err(io::Error::other)?;
        let number = self.shared.pieces.fetch_add(1, Ordering::Relaxed);
        self.shared
            .key
            .seal_in_place_append_tag(nonce(number), Aad::empty(), &mut self.pending)
            .map_err(|_| io::Error::other("a piece of the spool cannot be encrypted"))?;
        let segment = self.shared.segment()?;
        let offset = segment.end.fetch_add(self.pending.len() as u64, Ordering::Relaxed);
        segment.file.write_all_at(&self.pending, offset)?;
        self.pending.clear();
        self.pieces.push(Piece { segment, offset, clear_len, number });
        self.failed = false;
        Ok(())
    }
}

/// Appends to the content. What was appended is on disk when [`SpoolWriter::finish`] has come back.
impl Write for SpoolWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // Before anything of `data` is taken: what fails has taken nothing.
        if self.pending.len() >= PIECE {
            self.seal()?;
        }
        let now = &data[..data.len().min(PIECE - self.pending.len())];
        self.bytes += now.len() as u64;
        self.shared.used.fetch_add(now.len() as u64, Ordering::Relaxed);
        self.pending.extend_from_slice(now);
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        self.shared.free(self.bytes);
    }
}

impl Shared {
    fn segment(&self) -> io::Result<Arc<Segment>> {
        let mut current = self.segment.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = &*current
            && segment.end.load(Ordering::Relaxed) < SEGMENT
        {
            return Ok(Arc::clone(segment));
        }
        let file = tempfile::tempfile_in(&self.directory)?;
        let segment = Arc::new(Segment { file, end: AtomicU64::new(0) });
        *current = Some(Arc::clone(&segment));
        Ok(segment)
    }

    fn free(&self, bytes: u64) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            self.freed.notify_waiters();
        }
    }
}

impl Spooled {
    /// Length of the content in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The content from its beginning; may be read several times.
    pub(crate) fn reader(self: &Arc<Self>) -> SpoolReader {
        SpoolReader { content: Arc::clone(self), next: 0, clear: Vec::new(), position: 0 }
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.shared.free(self.bytes);
    }
}

/// Reads a content back.
pub(crate) struct SpoolReader {
    content: Arc<Spooled>,
    next: usize,
    clear: Vec<u8>,
    position: usize,
}

impl Read for SpoolReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position == self.clear.len() {
            let Some(piece) = self.content.pieces.get(self.next) else { return Ok(0) };
            self.next += 1;
            // Until it is decrypted there is nothing to give out.
            self.position = piece.clear_len as usize + TAG;
            self.clear.resize(self.position, 0);
            piece.segment.file.read_exact_at(&mut self.clear, piece.offset)?;
            self.content
                .shared
                .key
                .open_in_place(nonce(piece.number), Aad::empty(), &mut self.clear)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the spool was altered"))?;
            self.clear.truncate(piece.clear_len as usize);
            self.position = 0;
        }
        let count = out.len().min(self.clear.len() - self.position);
        out[..count].copy_from_slice(&self.clear[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
    }

    async fn spooled(spool: &Spool, data: &[u8], chunk: usize) -> Arc<Spooled> {
        let mut writer = spool.begin().await;
        for part in data.chunks(chunk.max(1)) {
            writer.write_all(part).unwrap();
        }
        Arc::new(writer.finish().unwrap())
    }

    #[tokio::test]
    async fn what_comes_out_is_what_went_in_and_nothing_readable_lies_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::new(directory.path(), 1 << 30).unwrap();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            for chunk in [1 << 20, 4096, PIECE] {
                let data = pattern(length);
                let content = spooled(&spool, &data, chunk).await;
                assert_eq!(content.bytes(), length as u64);
                for _ in 0..2 {
                    let mut back = Vec::new();
                    content.reader().read_to_end(&mut back).unwrap();
                    assert!(back == data, "{length} bytes in chunks of {chunk}");
                }
            }
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_full_spool_makes_the_next_content_wait_until_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::new(directory.path(), 1000).unwrap();
        let first = spooled(&spool, &pattern(1000), 100).await;
        assert!(spool.is_full());
        let mut waiting = Box::pin(spool.begin());
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(first);
        drop(waiting.await);
        assert!(!spool.is_full());
    }

    #[tokio::test]
    async fn no_more_items_arrive_at_the_same_time_than_the_disk_was_promised() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::new(directory.path(), 1000).unwrap();
        let mut places = Vec::new();
        for _ in 0..ARRIVING {
            places.push(spool.place().await);
        }
        let mut waiting = Box::pin(spool.place());
        assert!(futures::poll!(&mut waiting).is_pending());
        places.pop();
        assert!(futures::poll!(&mut waiting).is_ready());
    }

    #[tokio::test]
    async fn an_abandoned_content_gives_its_space_back() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::new(directory.path(), 1000).unwrap();
        let mut writer = spool.begin().await;
        writer.write_all(&pattern(5000)).unwrap();
        assert!(spool.is_full());
        drop(writer);
        assert!(!spool.is_full());
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_told_once_and_again_and_leaves_nothing_counted() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("spool");
        let spool = Spool::new(&place, 1000).unwrap();
        std::fs::remove_dir(&place).unwrap();
        let mut out = std::io::BufWriter::new(spool.begin().await);
        let all = pattern(3 * PIECE);
        let failed = all.chunks(1000).find_map(|part| out.write_all(part).err()).unwrap();
        assert_eq!(failed.kind(), io::ErrorKind::NotFound);
        assert!(out.write_all(&all).is_err());
        // Flushes once more.
        drop(out);
        assert!(!spool.is_full());
    }
}
