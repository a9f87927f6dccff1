//! The workers' receipts, read once for all tenants.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Instant,
};

use mailkeep_identity::{
    Head, ReceiptEvent, Record, parse_receipt, verify_receipts, verify_receipts_on,
};
use mailkeep_model::TenantName;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    SeenHead, begins_too_late,
    progress::{Place, Progress, Seen},
    shared::{Look, MATTERS, believed_is_ahead, whole},
    shelf::Shelf,
};
use crate::{Service, ServiceError, service::blocking};

/// Receipts of a tenant, and where all of them end.
pub(super) type Receipts = (Vec<Record<ReceiptEvent>>, Option<SeenHead>);

type Receipt = Record<ReceiptEvent>;

/// A request that has not ended after so long will not end.
const LONGEST_REQUEST: Duration = Duration::days(1);

/// Receipts as far as they were read.
pub(super) struct KnownReceipts {
    path: PathBuf,
    /// Which file it was, by device and number: a shorter one is put in its place when old receipts are let go of.
    file: Option<(u64, u64)>,
    progress: Progress,
    /// By tenant; those of nobody, which contradict the ledger whatever tenant is looked at.
    shelf: Shelf<Option<TenantName>>,
    /// Requests that have not ended. Put on the shelf together, beginning and end are forgotten together.
    begun: HashMap<Uuid, Begun>,
    checked: Instant,
}

/// The beginning of a request.
struct Begun {
    place: (OffsetDateTime, u64),
    /// Whose it is; of several, when somebody wrote receipts that are none.
    lines: Vec<(TenantName, Vec<u8>)>,
}

/// The end of a request of which nobody knows the beginning.
struct Loose {
    id: Uuid,
    place: (OffsetDateTime, u64),
    line: Vec<u8>,
}

impl Service {
    /// The receipts of a tenant that still matter. `None` when they have to be read from their beginning,
    /// to be able to say what is wrong.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn shared_receipts(
        &self,
        tenant: &TenantName,
        seen: Option<SeenHead>,
        look: Look,
    ) -> Result<Option<Receipts>, ServiceError> {
        let mut shared = self.shared.receipts.lock().await;
        let known = shared.take();
        let (path, directory) = (self.data.receipts(), self.data.root().to_owned());
        let (at, tenant) = (path.clone(), tenant.clone());
        let read = blocking(move || {
            let now = OffsetDateTime::now_utc();
            KnownReceipts::at(now, known, path, &directory)
                .read(&tenant, seen.map(|seen| seen.head), look, now)
                .map_err(|source| ServiceError::Data { path: at, source })
        });
        let Some((known, own, end)) = read.await? else { return Ok(None) };
        *shared = Some(known);
        drop(shared);
        let Some((own, others)) = own else { return Ok(None) };
        let parsed = blocking(move || {
            let lines = own.split(|byte| *byte == b'\n').chain(others.split(|byte| *byte == b'\n'));
            let lines = lines.filter(|line| !line.is_empty());
            Ok(lines.map(parse_receipt).collect::<Result<Vec<_>, _>>())
        });
        // They were put there by this process, as they were verified.
        let Ok(mut receipts) = parsed.await? else { return Ok(None) };
        receipts.sort_unstable_by_key(|receipt| receipt.seq);
        Ok(Some((receipts, end)))
    }
}

/// Lines of a tenant, and those of nobody.
type Lines = (Vec<u8>, Vec<u8>);

/// What is known then, what there is of a tenant if it agrees with what was seen, and where all of it ends.
type Told = (KnownReceipts, Option<Lines>, Option<SeenHead>);

impl KnownReceipts {
    fn none(path: PathBuf, directory: &Path) -> Self {
        let (progress, shelf) = (Progress::none(), Shelf::new(directory));
        Self { path, file: None, progress, shelf, begun: HashMap::new(), checked: Instant::now() }
    }

    /// What can be gone on with of what is known.
    fn at(now: OffsetDateTime, known: Option<Self>, path: PathBuf, directory: &Path) -> Self {
        let known = known.filter(|known| !believed_is_ahead(known.progress.believed(), now));
        known.unwrap_or_else(|| Self::none(path, directory))
    }

    /// Reads to the end. `None` when the receipts are not what was read before, or damaged behind it; no
    /// lines when they do not agree with what was `seen`.
    fn read(
        mut self,
        tenant: &TenantName,
        seen: Option<Head>,
        look: Look,
        now: OffsetDateTime,
    ) -> io::Result<Option<Told>> {
        let mut file = match File::open(&self.path) {
            // None before the first token. Where there were some, it is a chain that was cut off.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other?),
        };
        let bytes = self.progress.so_far.bytes;
        let there = file.as_ref().map(File::metadata).transpose()?;
        if there.as_ref().map_or(0, std::fs::Metadata::len) < bytes {
            return Ok(None);
        }
        let which = there.map(|there| (there.dev(), there.ino()));
        match &mut file {
            // What stands behind so many bytes of another file need not be what came behind these.
            Some(file) if bytes > 0 && (which != self.file || look.is_due(self.checked)) => {
                let begun = Instant::now();
                if digest(file, bytes)? != Some(self.progress.digest()) {
                    return Ok(None);
                }
                self.checked = begun;
            }
            Some(file) => drop(file.seek(SeekFrom::Start(bytes))?),
            None => {}
        }
        let rest: Box<dyn BufRead> = match file {
            Some(file) => Box::new(BufReader::with_capacity(64 << 10, file)),
            None => Box::new(io::empty()),
        };
        self.file = which;
        if !self.read_on(rest, now)? {
            return Ok(None);
        }
        let so_far = self.progress.so_far;
        if begins_too_late(&so_far, now) {
            return Ok(None);
        }
        let end = so_far.last.map(|at| SeenHead { head: so_far.head, at });
        let agrees = match seen {
            // What was not seen yet must be there, however old it says it is.
            Some(seen) => seen.seq >= self.shelf.forgotten() && self.has(&seen)?,
            None => true,
        };
        let lines = match agrees {
            true => Some((self.lines(tenant)?, self.shelf.lines(&None)?)),
            false => None,
        };
        Ok(Some((self, lines, end)))
    }

    /// Tells whether what is behind is whole.
    fn read_on(&mut self, reader: impl BufRead, now: OffsetDateTime) -> io::Result<bool> {
        let (begin, oldest) = (self.progress.so_far, now - MATTERS);
        let (mut loose, mut put) = (Vec::new(), Ok(()));
        let each = |receipt: Option<&Receipt>, line: &[u8]| {
            let Some(receipt) = receipt else { return self.progress.take_line(line) };
            let at = self.progress.take(receipt, line, now);
            if put.is_ok() {
                put = self.sort_in(receipt, (at, receipt.seq), line, oldest, &mut loose);
            }
        };
        let verified = verify_receipts_on(reader, &begin, each);
        put?;
        let Ok(summary) = verified else { return Ok(false) };
        self.progress.read_to_the_end(whole(summary), now);
        self.sort_in_loose(loose)?;
        for (_, lost) in self.begun.extract_if(|_, begun| begun.place.0 < now - LONGEST_REQUEST) {
            for (tenant, line) in lost.lines {
                self.shelf.put(&Some(tenant), lost.place, &line)?;
            }
        }
        self.shelf.forget_older(oldest)?;
        Ok(true)
    }

    /// All of a tenant, in no order.
    fn lines(&self, tenant: &TenantName) -> io::Result<Vec<u8>> {
        let mut lines = self.shelf.lines(&Some(tenant.clone()))?;
        let begun = self.begun.values().flat_map(|begun| &begun.lines);
        begun.filter(|(of, _)| of == tenant).for_each(|(_, line)| lines.extend_from_slice(line));
        Ok(lines)
    }

    fn sort_in(
        &mut self,
        receipt: &Receipt,
        place: (OffsetDateTime, u64),
        line: &[u8],
        oldest: OffsetDateTime,
        loose: &mut Vec<Loose>,
    ) -> io::Result<()> {
        let (at, seq) = place;
        match &receipt.event {
            ReceiptEvent::Intended { client_request_id, tenant, .. } => {
                let begun = self.begun.entry(*client_request_id);
                let begun = begun.or_insert(Begun { place, lines: Vec::new() });
                begun.lines.push((tenant.clone(), line.to_owned()));
            }
            ReceiptEvent::Received { client_request_id: id, .. }
            | ReceiptEvent::Refused { client_request_id: id, .. } => match self.begun.remove(id) {
                _ if at < oldest => self.shelf.forget(seq),
                Some(begun) => {
                    for (tenant, mut both) in begun.lines {
                        both.extend_from_slice(line);
                        self.shelf.put(&Some(tenant), place, &both)?;
                    }
                }
                None => loose.push(Loose { id: *id, place, line: line.to_owned() }),
            },
            ReceiptEvent::SignerReplaced { .. } if at < oldest => self.shelf.forget(seq),
            ReceiptEvent::SignerReplaced { tenant, .. } => {
                self.shelf.put(&Some(tenant.clone()), place, line)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A request that ended a second time, or never began: it is looked for from the beginning.
    fn sort_in_loose(&mut self, loose: Vec<Loose>) -> io::Result<()> {
        if loose.is_empty() {
            return Ok(());
        }
        let mut whose: HashMap<Uuid, Vec<TenantName>> =
            loose.iter().map(|one| (one.id, Vec::new())).collect();
        let each = |receipt: &Receipt| {
            if let ReceiptEvent::Intended { client_request_id, tenant, .. } = &receipt.event
                && let Some(of) = whose.get_mut(client_request_id)
            {
                of.push(tenant.clone());
            }
        };
        // It was verified a moment ago.
        let _ = verify_receipts(BufReader::new(File::open(&self.path)?), None, each);
        for Loose { id, place, line } in loose {
            let of = whose.get(&id).map(Vec::as_slice).unwrap_or_default();
            if of.is_empty() {
                self.shelf.put(&None, place, &line)?;
            }
            for tenant in of {
                self.shelf.put(&Some(tenant.clone()), place, &line)?;
            }
        }
        Ok(())
    }

    fn has(&self, seen: &Head) -> io::Result<bool> {
        match self.progress.has(seen) {
            Seen::There => Ok(true),
            Seen::Missing => Ok(false),
            Seen::Look(Place { from, behind }) => {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(from))?;
                let line = BufReader::new(file).split(b'\n').nth(behind).transpose()?;
                let receipt = line.and_then(|line| parse_receipt(&line).ok());
                Ok(receipt.is_some_and(|one| (one.seq, one.hash) == (seen.seq, seen.hash)))
            }
        }
    }
}

/// Leaves out the ends of requests whose beginning was let go of with what is older than the first receipt
/// (`cut`): nobody made them up.
pub(super) fn without_beginning(receipts: &mut Vec<Receipt>, cut: OffsetDateTime) {
    let mut begun = HashSet::new();
    receipts.retain(|receipt| match &receipt.event {
        ReceiptEvent::Intended { client_request_id, .. } => {
            begun.insert(*client_request_id);
            true
        }
        ReceiptEvent::Received { client_request_id: id, .. }
        | ReceiptEvent::Refused { client_request_id: id, .. } => {
            begun.contains(id) || receipt.time > cut + LONGEST_REQUEST
        }
        _ => true,
    });
}

/// SHA-256 over the first so many bytes, behind which the file is read on; `None` when it has less.
fn digest(file: &mut File, bytes: u64) -> io::Result<Option<[u8; 32]>> {
    let (mut digest, mut left) = (Sha256::new(), bytes);
    let mut piece = vec![0; 256 << 10];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(piece.len()).min(piece.len());
        let read = file.read(&mut piece[..most])?;
        if read == 0 {
            return Ok(None);
        }
        digest.update(&piece[..read]);
        left -= read as u64;
    }
    Ok(Some(digest.finalize().into()))
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
