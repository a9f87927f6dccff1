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
mod tests {
    use mailkeep_identity::{JobId, ReceiptLog};
    use mailkeep_model::Function;
    use tempfile::TempDir;

    use super::*;

    struct World {
        directory: TempDir,
        log: ReceiptLog,
    }

    impl World {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let log = ReceiptLog::open(directory.path().join("receipts")).unwrap();
            Self { directory, log }
        }

        fn none(&self) -> KnownReceipts {
            let path = self.directory.path().join("receipts");
            KnownReceipts::none(path, self.directory.path())
        }

        fn begins(&self, at: OffsetDateTime, of: &str) -> Uuid {
            let (id, job) = (Uuid::new_v4(), JobId::from(Uuid::new_v4()));
            let tenant = of.parse().unwrap();
            self.log.intend(at, id, &job, &tenant, Function::Reader, "jti").unwrap();
            id
        }

        fn ends(&self, at: OffsetDateTime, id: Uuid) {
            self.log.received(at, id, None, None, at).unwrap();
        }
    }

    /// What a tenant is told: the numbers of its receipts, and of those of nobody.
    fn told(lines: Option<Lines>) -> Option<(Vec<u64>, Vec<u64>)> {
        let numbers = |lines: Vec<u8>| {
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let mut all: Vec<u64> = lines.map(|line| parse_receipt(line).unwrap().seq).collect();
            all.sort_unstable();
            all
        };
        lines.map(|(own, others)| (numbers(own), numbers(others)))
    }

    #[test]
    fn a_receipt_that_was_not_looked_at_yet_is_however_old_it_says_it_is() {
        let (world, acme) = (World::new(), "acme".parse().unwrap());
        let (now, long_ago) = (OffsetDateTime::now_utc(), Duration::days(60));
        world.ends(now - long_ago, world.begins(now - long_ago, "acme"));
        world.ends(now, world.begins(now, "acme"));
        let (known, lines, end) =
            world.none().read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert_eq!(told(lines), Some((vec![3, 4], vec![])));

        // Who has not seen those of long ago must not miss them.
        let all = std::fs::read(&known.path).unwrap();
        let second = all.split(|byte| *byte == b'\n').nth(1).map(parse_receipt).unwrap().unwrap();
        let first = Head { seq: 1, hash: second.prev };
        let (known, lines, _) =
            known.read(&acme, Some(first), Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert_eq!(told(lines), None);

        world.ends(now - long_ago, world.begins(now - long_ago, "acme"));
        let seen = end.map(|end| end.head);
        let (_, lines, _) =
            known.read(&acme, seen, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert_eq!(told(lines), Some((vec![3, 4, 5, 6], vec![])));
    }

    #[test]
    fn each_tenant_sees_its_own_receipts_and_those_of_nobody() {
        let (world, now) = (World::new(), OffsetDateTime::now_utc());
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let id = world.begins(now, "acme");
        world.begins(now, "globex");
        let (known, lines, _) =
            world.none().read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert_eq!(told(lines), Some((vec![1], vec![])));
        world.ends(now, id);
        world.ends(now, id);
        world.ends(now, Uuid::new_v4());
        let (known, lines, _) =
            known.read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert_eq!(told(lines), Some((vec![1, 3, 4], vec![5])));
        let (_, lines, _) =
            known.read(&globex, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert_eq!(told(lines), Some((vec![2], vec![5])));
    }

    #[test]
    fn what_was_changed_in_front_of_what_was_read_is_found_and_so_is_another_past() {
        let (world, now, acme) = (World::new(), OffsetDateTime::now_utc(), "acme".parse().unwrap());
        for _ in 0..100 {
            world.ends(now, world.begins(now, "acme"));
        }
        let (mut known, lines, end) =
            world.none().read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert_eq!(told(lines).unwrap().0.len(), 200);
        let all = std::fs::read(&known.path).unwrap();
        let receipts: Vec<Receipt> =
            all.split(|byte| *byte == b'\n').filter_map(|line| parse_receipt(line).ok()).collect();
        for receipt in &receipts {
            let seen = Head { seq: receipt.seq, hash: receipt.hash };
            assert!(known.has(&seen).unwrap(), "{}", receipt.seq);
            let other = Head { seq: receipt.seq, hash: receipt.prev };
            let lines;
            (known, lines, _) = known
                .read(&acme, Some(other), Look::Now, OffsetDateTime::now_utc())
                .unwrap()
                .unwrap();
            assert!(lines.is_none(), "another past is taken for this one at {}", receipt.seq);
        }
        let later = Head { seq: 201, hash: receipts[0].hash };
        assert!(!known.has(&later).unwrap());

        let (mut changed, seen) = (all.clone(), end.map(|end| end.head));
        changed[100] ^= 1;
        std::fs::write(&known.path, &changed).unwrap();
        assert!(known.read(&acme, seen, Look::Now, OffsetDateTime::now_utc()).unwrap().is_none());
        std::fs::write(world.directory.path().join("receipts"), &all[..1000]).unwrap();
        let (_, lines, _) =
            world.none().read(&acme, seen, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert!(lines.is_none(), "nobody noticed that receipts were cut off");
    }

    #[test]
    fn receipts_that_begin_later_are_compared_and_looked_up_as_others_are() {
        let (world, acme) = (World::new(), "acme".parse().unwrap());
        let now = OffsetDateTime::now_utc();
        let days = |days| now - Duration::days(days);
        for _ in 0..70 {
            world.ends(days(90), world.begins(days(90), "acme"));
        }
        world.ends(days(80), world.begins(days(80), "acme"));
        for _ in 0..100 {
            world.ends(now, world.begins(now, "acme"));
        }
        let (known, ..) = world.none().read(&acme, None, Look::Now, now).unwrap().unwrap();
        assert!(world.log.forget(days(85)).unwrap() == 139);
        // Another file is compared, however lately the one before was; then it is read anew.
        let hour = Look::Lately(std::time::Duration::from_secs(3600));
        assert!(known.read(&acme, None, hour, now).unwrap().is_none());
        let (known, lines, end) = world.none().read(&acme, None, Look::Now, now).unwrap().unwrap();
        assert_eq!(told(lines).unwrap(), ((143..=342).collect(), vec![]));
        world.ends(now, world.begins(now, "acme"));
        let seen = end.map(|end| end.head);
        let (known, lines, _) = known.read(&acme, seen, Look::Now, now).unwrap().unwrap();
        assert_eq!(told(lines).unwrap().0.len(), 202);

        let all = std::fs::read(&known.path).unwrap();
        let receipts = all.split(|byte| *byte == b'\n').filter_map(|line| parse_receipt(line).ok());
        let receipts: Vec<Receipt> = receipts.collect();
        assert_eq!(receipts.len(), 205);
        for receipt in &receipts {
            let seen = Head { seq: receipt.seq, hash: receipt.hash };
            assert!(known.has(&seen).unwrap(), "{}", receipt.seq);
            assert!(!known.has(&Head { hash: receipt.prev, ..seen }).unwrap());
        }
        let gone = Head { seq: 139, hash: receipts[0].prev };
        assert!(!known.has(&gone).unwrap());
        // A byte of the line in front counts as any other.
        let mut changed = all;
        changed[40] ^= 1;
        std::fs::write(&known.path, &changed).unwrap();
        assert!(known.read(&acme, seen, Look::Now, now).unwrap().is_none());
    }

    #[test]
    fn a_look_that_shares_a_comparison_makes_one_when_that_is_too_old() {
        let (world, now, acme) = (World::new(), OffsetDateTime::now_utc(), "acme".parse().unwrap());
        world.ends(now, world.begins(now, "acme"));
        let minute = std::time::Duration::from_secs(60);
        let read = || world.none().read(&acme, None, Look::Now, now).unwrap().unwrap().0;
        let (fresh, mut old) = (read(), read());
        old.checked = old.checked.checked_sub(minute * 2).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&old.path).unwrap();
        io::Write::write_all(&mut file, b"x").unwrap();
        assert!(fresh.read(&acme, None, Look::Lately(minute), now).unwrap().is_some());
        assert!(old.read(&acme, None, Look::Lately(minute), now).unwrap().is_none());
    }

    #[test]
    fn a_clock_that_went_astray_takes_no_receipts_away_for_good() {
        let (world, now, acme) = (World::new(), OffsetDateTime::now_utc(), "acme".parse().unwrap());
        world.ends(now, world.begins(now, "acme"));
        let astray = now + Duration::days(40);
        let (known, lines, _) = world.none().read(&acme, None, Look::Now, astray).unwrap().unwrap();
        assert_eq!(told(lines), Some((vec![], vec![])));
        let directory = world.directory.path();
        let at = |now, known: KnownReceipts| {
            let path = known.path.clone();
            let known = KnownReceipts::at(now, Some(known), path, directory);
            let read = known.progress.so_far.head.seq;
            let (known, lines, _) = known.read(&acme, None, Look::Now, now).unwrap().unwrap();
            (known, read, told(lines))
        };
        let all = Some((vec![1, 2], vec![]));
        let (known, read, lines) = at(now, known);
        assert_eq!((read, &lines), (0, &all), "it is not read anew");
        // A clock that is set right by a little is none that went astray.
        let (_, read, lines) = at(now - Duration::minutes(50), known);
        assert_eq!((read, lines), (2, all));
    }
}
