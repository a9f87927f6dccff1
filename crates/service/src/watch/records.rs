//! Our own records: the signer's ledger, the workers' receipts, the journal of requests. Each is read
//! to its end and held against what was seen of it the last time; what was read before is hashed, see
//! `shared`.

mod granted;
mod journal;
mod last_tokens;
mod progress;
mod receipts;
mod shared;
mod shelf;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
};

use mailkeep_identity::{
    Checkpoint, CheckpointKey, Fault, FaultKind, Head, IdentityError, LedgerEnd, Origin,
    ReceiptEvent, Record, SignerClient, Summary,
    ledger::{self, LedgerEvent, LedgerRecord, LedgerSummary, WitnessError},
    verify_receipts,
};
use mailkeep_model::TenantName;
use mailkeep_sentry::{Damage, Journal, OwnRecord, Span, Spans};
use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime};
use tokio::sync::mpsc;

use self::{
    journal::read_journal,
    receipts::{Receipts, without_beginning},
    shared::Signatures,
};
use super::forget::SHORTEST;
use crate::{Service, ServiceError, service::blocking};

pub(crate) use self::last_tokens::LastTokens;
pub(crate) use self::shared::{LATELY, Look, SharedRecords};

/// A copy that is put in the place of damaged records may be as old as that.
const OLDER_COPY: Duration = Duration::days(30);

/// What was seen of our own records, so that it can be missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct OwnRecordsSeen {
    /// What the signer signs its checkpoints with.
    pub(super) checkpoint_key: Option<CheckpointKey>,
    /// The newest checkpoint that the ledger agreed with.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Whether the ledger may be older than that checkpoint: it was damaged, and somebody has explained
    /// that. It is the same signer's all the same: another one is taken only by order.
    pub(super) ledger_explained: bool,
    /// Where the receipts ended.
    pub(super) receipts: Option<SeenHead>,
    /// How many bytes of the journal there were of each day.
    pub(super) journal: BTreeMap<Date, u64>,
    /// Times of which the journal lost something.
    pub(super) journal_holes: Vec<Lost>,
    /// Times of which ledger or receipts may lack something: it was damaged, and somebody has explained that.
    pub(super) lost: Vec<Lost>,
}

/// A time of which something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
}

impl Lost {
    fn span(&self) -> Option<Span> {
        Span::new(self.from, self.to)
    }
}

/// Where a chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenHead {
    /// Its last record.
    #[serde(flatten)]
    pub(super) head: Head,
    /// When that was written.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) at: OffsetDateTime,
}

impl OwnRecordsSeen {
    /// Takes one of them as it is from now on: somebody has explained what is wrong with it. Of the time
    /// before, it may lack what we did: that must not look like somebody else's.
    pub(super) fn explained(&mut self, of: OwnRecord, now: OffsetDateTime) {
        let whole_until = match of {
            OwnRecord::Ledger => {
                self.ledger_explained = true;
                self.checkpoint.as_ref().map(|checkpoint| checkpoint.time)
            }
            OwnRecord::Receipts => self.receipts.take().map(|seen| seen.at),
            // What is missing there was noted when it was found.
            OwnRecord::Journal => return,
        };
        // Restored from an older copy, it may lack what came long before it was found.
        let from = whole_until.unwrap_or(OffsetDateTime::UNIX_EPOCH) - OLDER_COPY;
        self.lost.push(Lost { from, to: now });
    }

    /// Where the ledger stood when it was seen last.
    pub(super) fn ledger_end(&self) -> Option<LedgerEnd> {
        let (checkpoint, checkpoint_key) = (self.checkpoint.clone()?, self.checkpoint_key.clone()?);
        Some(LedgerEnd { checkpoint, checkpoint_key })
    }

    /// Takes the ledger that begins anew in the place of a lost one: of all the time before, nobody can
    /// tell any more what we did.
    pub(super) fn begun_anew(&mut self, present: LedgerEnd, now: OffsetDateTime) {
        self.checkpoint_key = Some(present.checkpoint_key);
        self.checkpoint = Some(present.checkpoint);
        self.ledger_explained = false;
        self.lost.push(Lost { from: OffsetDateTime::UNIX_EPOCH, to: now });
    }

    /// The checkpoint that the ledger has to agree with.
    fn held_against(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref().filter(|_| !self.ledger_explained)
    }

    fn drop_what_is_older(&mut self, than: OffsetDateTime) {
        self.lost.retain(|lost| lost.to >= than);
        self.journal_holes.retain(|lost| lost.to >= than);
    }
}

/// How far back records were read. Both chains are read equally far: a receipt whose signature was not read
/// would look made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// As far as it matters.
    Lately,
    /// From their beginning.
    Ever,
}

/// Our own records of a tenant.
pub(super) struct OwnRecords {
    /// The signatures for it.
    pub(super) signatures: Vec<LedgerRecord>,
    /// Its receipts, and those of nobody.
    pub(super) receipts: Vec<Record<ReceiptEvent>>,
    pub(super) journal: Journal,
    /// Where they are not as they were written.
    pub(super) damage: Vec<Damage>,
    /// Times of which ledger or receipts may lack something.
    pub(super) lost: Spans,
    /// What to miss from now on. Of what is damaged, it stays as it was.
    pub(super) seen: OwnRecordsSeen,
}

impl Service {
    /// Reads them, the journal from `since` on. The receipts come before the ledger, so that a token
    /// which is just being asked for is not one that nobody signed for: see
    /// [`join_uses`](mailkeep_sentry::join_uses).
    pub(super) async fn own_records(
        &self,
        tenant: &TenantName,
        seen: &OwnRecordsSeen,
        since: Option<OffsetDateTime>,
        look: Look,
    ) -> Result<OwnRecords, ServiceError> {
        let mut now_seen = seen.clone();
        let mut damage = Vec::new();
        let (receipts, reach) = match self.shared_receipts(tenant, seen.receipts, look).await? {
            Some(receipts) => (Ok(receipts), Reach::Lately),
            None => (self.all_receipts(seen.receipts).await?, Reach::Ever),
        };
        let receipts = match receipts {
            Ok((receipts, head)) => {
                now_seen.receipts = head;
                receipts
            }
            Err((fault, whole_until)) => {
                let text = format!("{}: {fault}", self.data.receipts().display());
                damage.push(Damage { of: OwnRecord::Receipts, whole_until, text });
                Vec::new()
            }
        };
        let signatures = match self.signatures(tenant, seen, look, reach).await? {
            Ok((signatures, key, checkpoint)) => {
                now_seen.checkpoint_key = Some(key);
                now_seen.checkpoint = Some(checkpoint);
                now_seen.ledger_explained = false;
                signatures
            }
            Err(text) => {
                let whole_until = seen.checkpoint.as_ref().map(|one| one.time);
                let whole_until = whole_until.unwrap_or(OffsetDateTime::UNIX_EPOCH);
                damage.push(Damage { of: OwnRecord::Ledger, whole_until, text });
                Vec::new()
            }
        };
        let journal = match since {
            None => Journal::default(),
            Some(since) => {
                let (data, name, known) = (self.data.clone(), tenant.clone(), seen.journal.clone());
                now_seen.drop_what_is_older(since);
                let holes = now_seen.journal_holes.clone();
                let (journal, extent, missing) =
                    blocking(move || read_journal(&data.journal(), &name, since, &known, &holes))
                        .await?;
                if let Some((lost, missing)) = missing {
                    now_seen.journal_holes.push(lost);
                    damage.push(missing);
                }
                now_seen.journal = extent;
                journal
            }
        };
        let lost = now_seen.lost.iter().filter_map(Lost::span).collect();
        Ok(OwnRecords { signatures, receipts, journal, damage, lost, seen: now_seen })
    }

    /// The signatures for a tenant, as far back as its receipts were read.
    async fn signatures(
        &self,
        tenant: &TenantName,
        seen: &OwnRecordsSeen,
        look: Look,
        reach: Reach,
    ) -> Result<Result<Signatures, String>, ServiceError> {
        let shared = match reach {
            Reach::Lately => self.shared_signatures(tenant, seen, look).await,
            Reach::Ever => Ok(None),
        };
        let signatures = match shared {
            Ok(Some(signatures)) => Ok(Ok(signatures)),
            Ok(None) => self.all_signatures(tenant, seen).await,
            Err(error) => Err(error),
        };
        match signatures {
            // A worker of another machine that may not read what is others'.
            Err(ServiceError::Identity(IdentityError::Refused { .. })) => {
                self.granted_signatures(tenant, seen, look, reach).await
            }
            other => other,
        }
    }

    /// All signatures for a tenant, with the checkpoint that they were held against; or what is wrong
    /// with the ledger. Without a signer nothing can be told from theft.
    async fn all_signatures(
        &self,
        tenant: &TenantName,
        seen: &OwnRecordsSeen,
    ) -> Result<Result<Signatures, String>, ServiceError> {
        let of = tenant.clone();
        let each = move |(signatures, origin): &mut (Vec<_>, Origin), record: &LedgerRecord| {
            origin.note(record);
            if matches!(&record.event, LedgerEvent::AssertionSigned { tenant, .. } if *tenant == of)
            {
                signatures.push(record.clone());
            }
        };
        let known = seen.held_against().into_iter().cloned().collect();
        let start = (Vec::new(), Origin::default());
        let (read, (signatures, origin)) = self.read_ledger(known, start, each).await?;
        let outcome = read.outcome.map_err(|error| error.to_string());
        let outcome = outcome.and_then(|_| origin.read().map_err(|error| error.to_string()));
        Ok(match (outcome, &seen.checkpoint_key) {
            (_, Some(known)) if *known != read.key => Err(replaced(&read.key, known)),
            (Ok(_), _) => Ok((signatures, read.key, read.checkpoint)),
            (Err(error), _) => Err(error),
        })
    }

    /// All receipts, or what is wrong with them, and until when they were whole.
    async fn all_receipts(
        &self,
        seen: Option<SeenHead>,
    ) -> Result<Result<Receipts, (Fault, OffsetDateTime)>, ServiceError> {
        let path = self.data.receipts();
        blocking(move || {
            let mut all = Vec::new();
            let read = read_receipts(path, seen, |receipt| all.push(receipt.clone()))?;
            // The first that there is has another one in front of it, if it is not the first that there was.
            let cut = all.first().filter(|first| first.seq > 1).map(|first| first.time);
            if let Some(cut) = cut {
                without_beginning(&mut all, cut);
            }
            Ok(read.map(|end| (all, end)))
        })
        .await
    }

    /// Reads the whole ledger through the signer, holds it against `checkpoints` and one that the
    /// signer makes now, and folds every good record into `state`.
    ///
    /// # Errors
    /// [`ServiceError::Identity`] when the signer does not answer. What is wrong with the ledger is
    /// in the outcome.
    pub async fn read_ledger<T: Send + 'static>(
        &self,
        checkpoints: Vec<Checkpoint>,
        mut state: T,
        mut each: impl FnMut(&mut T, &LedgerRecord) + Send + 'static,
    ) -> Result<(LedgerRead, T), ServiceError> {
        let signer = self.signer().await?;
        let key = self.checkpoint_key().await?;
        let checkpoint = signer.checkpoint().await?;
        let (pieces, reader) = pieces();
        let mut all = checkpoints;
        all.push(checkpoint.clone());
        let held_against = key.clone();
        let verified = blocking(move || {
            let each = |record: &LedgerRecord| each(&mut state, record);
            let reader = BufReader::new(reader);
            let outcome = ledger::verify_witnessed(reader, &held_against, &all, each);
            Ok((outcome, state))
        });
        let (fetched, verified) = tokio::join!(fetch(signer, 0, pieces), verified);
        // A ledger that ends because the signer went away is not one that was cut off.
        fetched?;
        let (outcome, state) = verified?;
        Ok((LedgerRead { key, checkpoint, outcome }, state))
    }
}

fn replaced(key: &CheckpointKey, known: &CheckpointKey) -> String {
    format!(
        "the signer signs its checkpoints with another key than before ({key}; it was {known}): it was replaced. Closing this does not make it ours: if the one before is lost, 'mailkeep doctor' says how this one takes its place"
    )
}

/// A ledger that was read.
#[derive(Debug)]
pub struct LedgerRead {
    /// What the signer signs its checkpoints with.
    pub key: CheckpointKey,
    /// Where the ledger stood when it began to be read.
    pub checkpoint: Checkpoint,
    /// What it comes to, or what is wrong with it.
    pub outcome: Result<LedgerSummary, WitnessError>,
}

/// The ledger on its way from the signer to whoever verifies it, a few pieces at a time.
fn pieces() -> (mpsc::Sender<Vec<u8>>, Pieces) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Pieces { receiver, piece: io::Cursor::default() })
}

struct Pieces {
    receiver: mpsc::Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

async fn fetch(
    signer: &SignerClient,
    mut from: u64,
    pieces: mpsc::Sender<Vec<u8>>,
) -> Result<(), ServiceError> {
    loop {
        let piece = signer.ledger(from).await?;
        from += piece.len() as u64;
        // Whoever verifies stops at the first fault.
        if piece.is_empty() || pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
}

/// Whether more of the receipts is gone than we let go of: what the logs are held against always stays. Then
/// somebody took it away.
fn begins_too_late(receipts: &Summary, now: OffsetDateTime) -> bool {
    receipts.begins_after > 0 && receipts.first.is_none_or(|first| first > now - SHORTEST)
}

/// Reads all receipts; where they end, or what is wrong with them, and until when they were whole.
fn read_receipts(
    path: PathBuf,
    seen: Option<SeenHead>,
    mut each: impl FnMut(&Record<ReceiptEvent>),
) -> Result<Result<Option<SeenHead>, (Fault, OffsetDateTime)>, ServiceError> {
    let file: Box<dyn BufRead> = match File::open(&path) {
        Ok(file) => Box::new(BufReader::new(file)),
        // None before the first token. Where there were some, it is a chain that was cut off.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Box::new(io::empty()),
        Err(source) => return Err(ServiceError::Data { path, source }),
    };
    let mut last = None;
    let outcome = verify_receipts(file, seen.map(|seen| seen.head), |record| {
        last = Some(record.time);
        each(record);
    });
    match outcome {
        Ok(summary) if begins_too_late(&summary, OffsetDateTime::now_utc()) => {
            let kind = FaultKind::Gap { found: summary.begins_after + 1 };
            let fault = Fault { line: 1, offset: 0, expected: 1, kind };
            Ok(Err((fault, OffsetDateTime::UNIX_EPOCH)))
        }
        Ok(summary) => Ok(Ok(summary.last.map(|at| SeenHead { head: summary.head, at }))),
        Err(Fault { kind: FaultKind::Io(source), .. }) => Err(ServiceError::Data { path, source }),
        Err(fault) => {
            let whole_until = seen.map(|seen| seen.at).or(last);
            Ok(Err((fault, whole_until.unwrap_or(OffsetDateTime::UNIX_EPOCH))))
        }
    }
}
