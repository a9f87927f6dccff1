//! A tenant's signatures, for a worker of another machine that may not read the whole ledger.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mailkeep_identity::{
    CheckpointKey, FaultKind, IdentityError, LedgerLines, LineError, SignerClient,
    ledger::{self, LedgerEvent, LedgerRecord},
};
use mailkeep_model::{Function, TenantName};
use time::OffsetDateTime;

use super::{
    Look, OwnRecordsSeen, Reach, replaced,
    shared::{SIGNATURES_MATTER, Signatures, believed_is_ahead},
    shelf::Shelf,
};
use crate::{Service, ServiceError};

/// How long what was read of a tenant is gone on with. Then all of it is read again, to see what was changed
/// in front: no hash of it can be compared, because the worker has not read what is others'.
const READ_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// What this process was given.
pub(super) struct Granted {
    /// What the signer signed its checkpoints with.
    key: CheckpointKey,
    signatures: Shelf<TenantName>,
    read: HashMap<TenantName, Read>,
}

/// How far a tenant's records were read.
struct Read {
    next: u64,
    begun: Instant,
    /// When the last record was written, as far as that is believed: see [`Progress`](super::progress).
    believed: OffsetDateTime,
}

impl Service {
    /// The signatures for a tenant as the signer gives them to whoever may not read the whole ledger. That
    /// none is left out cannot be seen from here, but where all of it is read.
    pub(super) async fn granted_signatures(
        &self,
        tenant: &TenantName,
        seen: &OwnRecordsSeen,
        look: Look,
        reach: Reach,
    ) -> Result<Result<Signatures, String>, ServiceError> {
        let signer = self.signer().await?;
        let key = self.checkpoint_key().await?;
        if let Some(known) = seen.checkpoint_key.as_ref().filter(|known| **known != key) {
            return Ok(Err(replaced(&key, known)));
        }
        let checkpoint = signer.checkpoint().await?;
        if let Err(error) = key.verify(&checkpoint) {
            return Ok(Err(error.to_string()));
        }
        if let Some(known) = seen.held_against().map(|known| known.head.seq)
            && checkpoint.head.seq < known
        {
            let cut = FaultKind::Truncated { witnessed: known };
            return Ok(Err(format!("record {}: {cut}", checkpoint.head.seq)));
        }
        let functions: Vec<Function> =
            self.tenant(tenant).await?.functions.iter().map(|one| one.function).collect();
        let asked = Asked { signer, tenant, functions: &functions };
        let records = match reach {
            Reach::Ever => asked.all().await?,
            Reach::Lately => {
                let mut shared = self.shared.granted.lock().await;
                let known = shared.take().filter(|known| known.key == key);
                let known = known.unwrap_or_else(|| Granted::none(key.clone(), self.data.root()));
                // What was read before the signer refuses to go on is not read again.
                let known = shared.insert(known);
                asked.news(known, look).await?
            }
        };
        Ok(records.map(|records| (records, key, checkpoint)).map_err(|error| error.to_string()))
    }
}

/// What is asked for.
struct Asked<'a> {
    signer: &'a SignerClient,
    tenant: &'a TenantName,
    /// What the tenant has keys for.
    functions: &'a [Function],
}

type Parsed = Result<Vec<LedgerRecord>, LineError>;

impl Asked<'_> {
    async fn all(&self) -> Result<Parsed, ServiceError> {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let piece = self.piece(from).await?;
            match signatures(&piece) {
                Ok(found) => all.extend(found.into_iter().map(|(record, _)| record)),
                Err(error) => return Ok(Err(error)),
            }
            // Whatever it answers, this ends.
            if !piece.more || piece.next <= from {
                return Ok(Ok(all));
            }
            from = piece.next;
        }
    }

    async fn news(&self, known: &mut Granted, look: Look) -> Result<Parsed, ServiceError> {
        let now = OffsetDateTime::now_utc();
        let mut from = known.place(self.tenant, look, now);
        loop {
            let piece = self.piece(from).await?;
            let io = |source| ServiceError::Data { path: PathBuf::from("shelf"), source };
            if let Err(error) = known.take(self.tenant, &piece, now).map_err(io)? {
                return Ok(Err(error));
            }
            if !piece.more || piece.next <= from {
                return known.of(self.tenant, now).map_err(io);
            }
            from = piece.next;
        }
    }

    /// A piece of the tenant's records.
    ///
    /// # Errors
    /// When it leaves out what others of the tenant's functions did: uses of their keys could not be told
    /// from theft.
    async fn piece(&self, from: u64) -> Result<LedgerLines, ServiceError> {
        let piece = self.signer.ledger_of(self.tenant, from).await?;
        let lacks = |function: &&Function| {
            piece.functions.as_ref().is_some_and(|given| !given.contains(function))
        };
        match self.functions.iter().find(lacks) {
            None => Ok(piece),
            Some(lacking) => Err(ServiceError::Identity(IdentityError::Refused {
                subject: format!("tenant '{}'", self.tenant),
                reason: format!(
                    "this worker is not given the records of function '{lacking}', without which its sign-ins cannot be told from theft; reconcile where they are given"
                ),
            })),
        }
    }
}

/// The signatures in a piece, each with its line.
fn signatures(piece: &LedgerLines) -> Result<Vec<(LedgerRecord, &[u8])>, LineError> {
    let lines = piece.lines.split_inclusive(|byte| *byte == b'\n');
    let parsed = lines.map(|line| {
        let record = ledger::parse(line.strip_suffix(b"\n").unwrap_or(line))?;
        Ok((record, line))
    });
    let is_signature = |(record, _): &(LedgerRecord, &[u8])| {
        matches!(record.event, LedgerEvent::AssertionSigned { .. })
    };
    parsed.filter(|one| one.as_ref().map_or(true, is_signature)).collect()
}

impl Granted {
    fn none(key: CheckpointKey, directory: &Path) -> Self {
        Self { key, signatures: Shelf::new(directory), read: HashMap::new() }
    }

    /// From where on a tenant's records are to be read.
    fn place(&mut self, tenant: &TenantName, look: Look, now: OffsetDateTime) -> u64 {
        let good = self.read.get(tenant).filter(|read| {
            let is_young = read.begun.elapsed() < READ_AGAIN;
            is_young && look != Look::Now && !believed_is_ahead(read.believed, now)
        });
        if let Some(read) = good {
            return read.next;
        }
        self.signatures.clear(tenant);
        let believed = OffsetDateTime::UNIX_EPOCH;
        self.read.insert(tenant.clone(), Read { next: 0, begun: Instant::now(), believed });
        0
    }

    fn take(
        &mut self,
        tenant: &TenantName,
        piece: &LedgerLines,
        now: OffsetDateTime,
    ) -> io::Result<Result<(), LineError>> {
        let Some(read) = self.read.get_mut(tenant) else { return Ok(Ok(())) };
        let found = match signatures(piece) {
            Ok(found) => found,
            Err(error) => {
                // What is wrong is to be found again.
                self.read.remove(tenant);
                return Ok(Err(error));
            }
        };
        for (record, line) in found {
            read.believed = read.believed.max(record.time.min(now));
            if read.believed >= now - SIGNATURES_MATTER {
                self.signatures.put(tenant, (read.believed, record.seq), line)?;
            }
        }
        read.next = piece.next;
        if !piece.more {
            // What comes from now on was not there yet.
            read.believed = read.believed.max(now);
        }
        Ok(Ok(()))
    }

    /// A tenant's signatures that still matter.
    fn of(&mut self, tenant: &TenantName, now: OffsetDateTime) -> io::Result<Parsed> {
        self.signatures.forget_older(now - SIGNATURES_MATTER)?;
        let lines = self.signatures.lines(tenant)?;
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.map(ledger::parse).collect())
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_identity::{Head, ledger::Requester};

    use super::*;

    struct World {
        granted: Granted,
        _directory: tempfile::TempDir,
        ledger: Vec<u8>,
        head: Head,
    }

    impl World {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let granted =
                Granted::none(CheckpointKey::from_point(&[4; 65]).unwrap(), directory.path());
            Self { granted, _directory: directory, ledger: Vec::new(), head: Head::EMPTY }
        }

        fn signs(&mut self, at: OffsetDateTime, jti: &str) {
            let event = LedgerEvent::AssertionSigned {
                tenant: acme(),
                function: Function::Reader,
                jti: jti.to_owned(),
                key_id: "key".to_owned(),
                client_id: "client".to_owned(),
                audience: "https://login.example".to_owned(),
                expires: at,
                by: Requester {
                    caller: "worker".parse().unwrap(),
                    job: None,
                    uid: None,
                    pid: None,
                    certificate: None,
                },
            };
            let (line, head) = ledger::encode(&self.head, at, &event).unwrap();
            self.ledger.extend_from_slice(&line);
            self.head = head;
        }

        /// Reads on, as the signer answers; from where on, and what there is then.
        fn look(&mut self, look: Look, now: OffsetDateTime) -> (u64, Vec<String>) {
            let from = self.granted.place(&acme(), look, now);
            let lines = self.ledger[usize::try_from(from).unwrap()..].to_vec();
            let next = self.ledger.len() as u64;
            let piece = LedgerLines { lines, next, more: false, functions: None };
            self.granted.take(&acme(), &piece, now).unwrap().unwrap();
            let all = self.granted.of(&acme(), now).unwrap().unwrap();
            let jti = |record: LedgerRecord| match record.event {
                LedgerEvent::AssertionSigned { jti, .. } => jti,
                other => panic!("{other:?}"),
            };
            (from, all.into_iter().map(jti).collect())
        }
    }

    fn acme() -> TenantName {
        "acme".parse().unwrap()
    }

    const LATELY: Look = Look::Lately(Duration::from_secs(60));

    #[test]
    fn what_was_read_is_gone_on_from_for_a_day_and_then_read_again() {
        let (mut world, now) = (World::new(), OffsetDateTime::now_utc());
        world.signs(now - time::Duration::days(50), "old");
        world.signs(now, "a");
        assert_eq!(world.look(LATELY, now), (0, vec!["a".to_owned()]));
        let read = world.ledger.len() as u64;
        world.signs(now, "b");
        let both = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(world.look(LATELY, now), (read, both.clone()));
        // Whoever asks for it gets a look at all of it.
        assert_eq!(world.look(Look::Now, now), (0, both.clone()));
        let read = world.granted.read.get_mut(&acme()).unwrap();
        read.begun = read.begun.checked_sub(READ_AGAIN).unwrap();
        assert_eq!(world.look(LATELY, now), (0, both));
    }

    #[test]
    fn a_clock_that_went_astray_takes_no_signatures_away_for_good() {
        let (mut world, now) = (World::new(), OffsetDateTime::now_utc());
        world.signs(now, "a");
        let astray = now + time::Duration::days(40);
        assert_eq!(world.look(LATELY, astray), (0, vec![]));
        assert_eq!(world.look(LATELY, now), (0, vec!["a".to_owned()]));
    }
}
