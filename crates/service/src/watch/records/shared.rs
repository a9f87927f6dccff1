//! The ledger and the receipts, read once for all tenants.
//!
//! Both only grow. What was read and found to be whole is not read again, but hashed: as long as the hash
//! of all of it is the same, nobody changed it. Behind it, the chain is verified on. Whatever is not as it
//! should be ends this short way: then the record is read from its beginning against what was seen of it,
//! which says what is wrong and where.

use std::{
    io::BufRead,
    path::Path,
    time::{Duration, Instant},
};

use mailkeep_identity::{
    Checkpoint, CheckpointKey, Head, Origin, SignerClient, Summary,
    ledger::{self, LedgerEvent, LedgerRecord},
};
use mailkeep_model::TenantName;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::{
    OwnRecordsSeen, fetch,
    granted::Granted,
    pieces,
    progress::{Place, Progress, Seen},
    receipts::KnownReceipts,
    shelf::Shelf,
};
use crate::{Service, ServiceError, service::blocking};

/// Uses of keys that the provider still tells of are younger than that: reconciliation looks back thirty
/// days, and a token lives for two at most.
pub(super) const MATTERS: time::Duration = time::Duration::days(33);
/// Signatures stay longer than receipts, whose clock may be another: a receipt without a signature is one
/// that was made up.
pub(super) const SIGNATURES_MATTER: time::Duration = time::Duration::days(35);
/// How old a comparison may be that thousands of tenants share, who are looked at one after another.
pub(crate) const LATELY: Duration = Duration::from_secs(60);
/// A clock that is set back by less forgets nothing that matters: see [`MATTERS`].
const SET_BACK: time::Duration = time::Duration::hours(1);

/// When what was read before has to have been found unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Now.
    Now,
    /// No longer ago than that.
    Lately(Duration),
}

impl Look {
    pub(super) fn is_due(self, last: Instant) -> bool {
        match self {
            Self::Now => true,
            Self::Lately(most) => last.elapsed() > most,
        }
    }
}

/// What this process has read of them.
#[derive(Default)]
pub(crate) struct SharedRecords {
    ledger: Mutex<Option<KnownLedger>>,
    pub(super) receipts: Mutex<Option<KnownReceipts>>,
    pub(super) granted: Mutex<Option<Granted>>,
}

/// Whether a time that is believed has not come yet. Then the clock had gone ahead when it was read, and what is
/// remembered lacks what seemed too old: it has to be read anew.
pub(super) fn believed_is_ahead(believed: OffsetDateTime, now: OffsetDateTime) -> bool {
    now < believed - SET_BACK
}

struct KnownLedger {
    /// What the signer signed its checkpoints with.
    key: CheckpointKey,
    progress: Progress,
    /// What it says of those before it.
    origin: Origin,
    /// The signatures, by whose key it was.
    signatures: Shelf<TenantName>,
    checked: Instant,
}

/// Signatures for a tenant, and the checkpoint that they were held against.
pub(super) type Signatures = (Vec<LedgerRecord>, CheckpointKey, Checkpoint);

impl Service {
    /// The signatures for a tenant that still matter. `None` when the ledger has to be read from its
    /// beginning, to be able to say what is wrong.
    ///
    /// # Errors
    /// When the signer does not answer.
    pub(super) async fn shared_signatures(
        &self,
        tenant: &TenantName,
        seen: &OwnRecordsSeen,
        look: Look,
    ) -> Result<Option<Signatures>, ServiceError> {
        let signer = self.signer().await?;
        let key = self.checkpoint_key().await?;
        let checkpoint = signer.checkpoint().await?;
        let mut heads = vec![checkpoint.head];
        heads.extend(seen.held_against().map(|seen| seen.head));
        let is_signed = |checkpoint: &Checkpoint| key.verify(checkpoint).is_ok();
        let is_the_same = seen.checkpoint_key.as_ref().is_none_or(|known| *known == key);
        let is_whole = is_signed(&checkpoint) && seen.checkpoint.as_ref().is_none_or(is_signed);
        if !is_the_same || !is_whole {
            return Ok(None);
        }

        let mut shared = self.shared.ledger.lock().await;
        if let Some(known) = &mut *shared {
            let now = Instant::now();
            if !known.is_good_for(&key, OffsetDateTime::now_utc()) {
                *shared = None;
            } else if look.is_due(known.checked) {
                let digest = signer.ledger_digest(known.progress.so_far.bytes).await?;
                if digest != Some(known.progress.digest()) {
                    *shared = None;
                    return Ok(None);
                }
                known.checked = now;
            }
        }
        let known =
            shared.take().unwrap_or_else(|| KnownLedger::none(key.clone(), self.data.root()));
        let Some((known, lines)) = known.go_on(signer, tenant).await? else { return Ok(None) };
        let known = shared.insert(known);
        for head in heads {
            let is_there = match known.progress.has(&head) {
                Seen::There => true,
                Seen::Missing => false,
                Seen::Look(place) => looked_up(signer, place).await? == Some(head),
            };
            if !is_there {
                return Ok(None);
            }
        }
        drop(shared);
        let signatures = blocking(move || {
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            Ok(lines.map(ledger::parse).collect::<Result<Vec<_>, _>>())
        });
        // They were put there by this process, as they were verified.
        Ok(signatures.await?.ok().map(|signatures| (signatures, key, checkpoint)))
    }
}

impl KnownLedger {
    fn none(key: CheckpointKey, directory: &Path) -> Self {
        let (progress, signatures) = (Progress::none(), Shelf::new(directory));
        let origin = Origin::default();
        Self { key, progress, origin, signatures, checked: Instant::now() }
    }

    /// Whether what is remembered can be gone on with.
    fn is_good_for(&self, key: &CheckpointKey, now: OffsetDateTime) -> bool {
        self.key == *key && !believed_is_ahead(self.progress.believed(), now)
    }

    /// Reads to the end, and gives the lines of one tenant. `None` when the ledger is damaged there.
    async fn go_on(
        self,
        signer: &SignerClient,
        tenant: &TenantName,
    ) -> Result<Option<(Self, Vec<u8>)>, ServiceError> {
        let (pieces, reader) = pieces();
        let (from, tenant) = (self.progress.so_far.bytes, tenant.clone());
        let now = OffsetDateTime::now_utc();
        let read = blocking(move || self.read_on(std::io::BufReader::new(reader), &tenant, now));
        let (fetched, read) = tokio::join!(fetch(signer, from, pieces), read);
        // A ledger that ends because the signer went away is not one that was cut off.
        fetched?;
        read
    }

    fn read_on(
        mut self,
        reader: impl BufRead,
        tenant: &TenantName,
        now: OffsetDateTime,
    ) -> Result<Option<(Self, Vec<u8>)>, ServiceError> {
        let (begin, oldest) = (self.progress.so_far, now - SIGNATURES_MATTER);
        let (progress, shelf) = (&mut self.progress, &mut self.signatures);
        let origin = &mut self.origin;
        let mut put = Ok(());
        let each = |record: &LedgerRecord, line: &[u8]| {
            let at = progress.take(record, line, now);
            origin.note(record);
            let LedgerEvent::AssertionSigned { tenant, .. } = &record.event else { return };
            if put.is_ok() && at >= oldest {
                put = shelf.put(tenant, (at, record.seq), line);
            }
        };
        let Ok(summary) = ledger::verify_on(reader, &begin, each) else { return Ok(None) };
        if origin.clone().read().is_err() {
            return Ok(None);
        }
        progress.read_to_the_end(whole(summary), now);
        let lines =
            put.and_then(|()| shelf.forget_older(oldest)).and_then(|()| shelf.lines(tenant));
        let lines = lines.map_err(|source| ServiceError::Data { path: "shelf".into(), source })?;
        Ok(Some((self, lines)))
    }
}

/// What is whole of a chain: a piece of a record at its end may be one that is being written.
pub(super) fn whole(summary: Summary) -> Summary {
    Summary { torn: None, ..summary }
}

/// The head that a record is, which stands in that place of the ledger; `None` when there is none.
async fn looked_up(signer: &SignerClient, place: Place) -> Result<Option<Head>, ServiceError> {
    let Place { mut from, behind } = place;
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(behind);
        if let Some(line) = lines.next().and_then(|line| line.strip_suffix(b"\n")) {
            let record = ledger::parse(line).ok();
            return Ok(record.map(|record| Head { seq: record.seq, hash: record.hash }));
        }
        let piece = signer.ledger(from).await?;
        if piece.is_empty() {
            return Ok(None);
        }
        from += piece.len() as u64;
        bytes.extend_from_slice(&piece);
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_identity::ledger::Requester;
    use mailkeep_model::Function;

    use super::*;

    const LOGIN: &str = "https://login.example";

    fn acme() -> TenantName {
        "acme".parse().unwrap()
    }

    fn by() -> Requester {
        let caller = "worker".parse().unwrap();
        Requester { caller, job: None, uid: None, pid: None, certificate: None }
    }

    fn signed(at: OffsetDateTime) -> LedgerEvent {
        LedgerEvent::AssertionSigned {
            tenant: acme(),
            function: Function::Reader,
            jti: "jti".to_owned(),
            key_id: "key".to_owned(),
            client_id: "client".to_owned(),
            audience: LOGIN.to_owned(),
            expires: at,
            by: by(),
        }
    }

    fn lines(events: &[LedgerEvent], at: OffsetDateTime) -> Vec<u8> {
        let (mut lines, mut head) = (Vec::new(), Head::EMPTY);
        for event in events {
            let (line, next) = ledger::encode(&head, at, event).unwrap();
            lines.extend(line);
            head = next;
        }
        lines
    }

    fn key() -> CheckpointKey {
        CheckpointKey::from_point(&[4; 65]).unwrap()
    }

    #[test]
    fn a_ledger_that_was_read_while_the_clock_was_ahead_is_not_gone_on_with() {
        let (now, directory) = (OffsetDateTime::now_utc(), tempfile::tempdir().unwrap());
        let all = lines(&[signed(now)], now);
        let read = |at| {
            let none = KnownLedger::none(key(), directory.path());
            none.read_on(&all[..], &acme(), at).unwrap().unwrap()
        };
        let (known, told) = read(now + time::Duration::days(40));
        assert!(told.is_empty() && !known.is_good_for(&key(), now));
        let (known, told) = read(now);
        assert!(told == all && known.is_good_for(&key(), now));
    }

    #[test]
    fn a_ledger_that_was_made_to_follow_another_one_later_is_not_taken_for_whole() {
        let (now, directory) = (OffsetDateTime::now_utc(), tempfile::tempdir().unwrap());
        let reason = "the disk".to_owned();
        let follows = LedgerEvent::Follows { lost: None, earlier: Vec::new(), reason, by: by() };
        let all = lines(&[signed(now), follows], now);
        let first = all.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let known = KnownLedger::none(key(), directory.path());
        let (known, _) = known.read_on(&all[..first], &acme(), now).unwrap().unwrap();
        assert!(known.read_on(&all[first..], &acme(), now).unwrap().is_none());
    }
}
