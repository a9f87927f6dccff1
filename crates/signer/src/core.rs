//! What the signer does for a request, once it is known who asks.

mod certificates;
mod keys;
mod reading;
mod recovery;
mod secrets;
mod signatures;
pub(crate) mod workers;

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    },
};

use mailkeep_identity::{
    CallerLabel, KeyUse, SealingInfo, SignerStatus, Slot,
    ledger::{LedgerEvent, LedgerRecord, Requester},
    protocol::{Failure, Request, RequestFrame, Response, WireSecret},
};
use time::OffsetDateTime;

use crate::{
    Clock, SignerError, SignerOptions,
    at_hand::AtHand,
    authority::Authority,
    bucket::Buckets,
    ledger::{Ledger, Unwritten},
    master::{Master, sealing_info},
    reads::Reads,
    refusals::{Kind, Origin, Refusals},
    registry::Registry,
    request::{Parts, parts, reason, refusal},
    secrets::Secrets,
    store::KeyStore,
    workers::Workers,
};

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// A process of this machine, as the kernel tells.
    Local {
        uid: u32,
        pid: Option<i32>,
        /// Whether its user is one of those who may ask.
        listed: bool,
        /// Whether its user may manage workers.
        administers: bool,
    },
    /// A worker of another machine, as its certificate proves.
    Worker { name: CallerLabel, fingerprint: String },
}

impl Peer {
    fn origin(&self) -> Origin {
        match self {
            Self::Local { uid, .. } => Origin::User(*uid),
            Self::Worker { fingerprint, .. } => Origin::Worker(fingerprint.clone()),
        }
    }
}

/// Everything but the socket. Its methods block: they wait for the disk and calculate.
pub(crate) struct Core {
    registry: RwLock<Registry>,
    keys: KeyStore,
    at_hand: AtHand,
    secrets: Secrets,
    /// Held while a secret is made, so that two callers get the same one.
    making_secret: Mutex<()>,
    ledger: Ledger,
    buckets: Mutex<Buckets>,
    reads: Mutex<Reads>,
    refusals: Mutex<Refusals>,
    workers: Workers,
    authority: OnceLock<Authority>,
    directory: PathBuf,
    master: Arc<Master>,
    sealing: SealingInfo,
    clock: Clock,
}

impl Core {
    pub(crate) fn open(options: &SignerOptions) -> Result<Self, SignerError> {
        let directory: &Path = &options.directory;
        let master = Arc::new(Master::open(directory, &options.sealing)?);
        let keys = KeyStore::open(&options.keys)?;
        let mut buckets = Buckets::new(options.rate_limit);
        let clock = options.clock.clone();
        let mut revoked = HashSet::new();
        let ledger = Ledger::open(directory, &master, clock, |record| {
            replay(&mut buckets, record);
            if let LedgerEvent::WorkerRevoked { fingerprint, .. } = &record.event {
                revoked.insert(fingerprint.clone());
            }
        })?;
        Ok(Self {
            registry: RwLock::new(Registry::open(directory, Arc::clone(&master))?),
            keys,
            at_hand: AtHand::default(),
            secrets: Secrets::new(directory, Arc::clone(&master)),
            making_secret: Mutex::new(()),
            ledger,
            buckets: Mutex::new(buckets),
            reads: Mutex::new(Reads::new(options.read_limit)),
            refusals: Mutex::new(Refusals::default()),
            workers: Workers::open(directory, Arc::clone(&master), &revoked)?,
            authority: OnceLock::new(),
            directory: directory.to_owned(),
            master,
            sealing: sealing_info(directory, &options.sealing, options.passphrase_seal),
            clock: options.clock.clone(),
        })
    }

    /// Answers a request. What is refused is in the ledger as well.
    pub(crate) fn answer(&self, peer: &Peer, frame: RequestFrame) -> Response {
        let parts = parts(&frame.request);
        let job = parts.job.clone();
        let by = match peer {
            Peer::Local { uid, pid, .. } => Requester {
                caller: frame.caller,
                job,
                uid: Some(*uid),
                pid: *pid,
                certificate: None,
            },
            Peer::Worker { name, fingerprint } => Requester {
                caller: name.clone(),
                job,
                uid: None,
                pid: None,
                certificate: Some(fingerprint.clone()),
            },
        };
        let permitted = self.permitted(peer, &frame.request, &parts);
        match permitted.and_then(|()| self.perform(peer, frame.request, &by)) {
            Ok(response) => response,
            Err(failure) => {
                self.refused(parts, &failure, Some(by), peer.origin());
                Response::Failed(failure)
            }
        }
    }

    /// Records that somebody was sent away before a request was read.
    pub(crate) fn turned_away(&self, from: Origin, failure: &Failure) {
        let connect = Parts { operation: "connect", job: None, tenant: None, function: None };
        self.refused(connect, failure, None, from);
    }

    /// The time, as the signer has it.
    pub(crate) fn now(&self) -> OffsetDateTime {
        (self.clock)()
    }

    #[cfg(test)]
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Puts private keys away that were opened a while ago.
    pub(crate) fn put_old_keys_away(&self) {
        self.at_hand.put_old_ones_away();
    }

    /// Ends the ledger in good order.
    pub(crate) fn stop(&self) -> Result<(), SignerError> {
        let stopped = self.ledger.append(&LedgerEvent::Stopped);
        stopped.map_err(|error| SignerError::LedgerUnavailable(error.0))?;
        self.ledger.keep_checkpoint()
    }

    fn perform(&self, peer: &Peer, request: Request, by: &Requester) -> Result<Response, Failure> {
        match request {
            Request::SignAssertion { tenant, function, key_id, .. } => self
                .sign_assertion(KeyUse { tenant, function }, key_id.as_deref(), by)
                .map(Response::Assertion),
            Request::SignProof { tenant, function, key_id, .. } => self
                .sign_proof(KeyUse { tenant, function }, key_id.as_deref(), by)
                .map(Response::Proof),
            Request::CreateKey { tenant, function, .. } => self
                .make_key(&KeyUse { tenant, function }, Slot::Active, by)
                .map(Response::Certificate),
            Request::PrepareKey { tenant, function, .. } => self
                .make_key(&KeyUse { tenant, function }, Slot::Prepared, by)
                .map(Response::Certificate),
            Request::ActivateKey { tenant, function, key_id, .. } => self
                .activate_key(&KeyUse { tenant, function }, &key_id, by)
                .map(|()| Response::Done),
            Request::CertificateRequest { tenant, function, key_id, .. } => self
                .certificate_request(&KeyUse { tenant, function }, key_id.as_deref(), by)
                .map(|request_pem| Response::CertificateRequest { request_pem }),
            Request::InstallCertificate { tenant, function, key_id, chain_pem, .. } => self
                .install_certificate(&KeyUse { tenant, function }, &key_id, &chain_pem, by)
                .map(Response::Certificate),
            Request::Bind { tenant, function, binding, .. } => {
                self.bind(&KeyUse { tenant, function }, &binding, by).map(|()| Response::Done)
            }
            Request::Credentials { tenant, after } => {
                let (items, more) =
                    self.registry().page(tenant.as_ref(), after.as_ref(), (self.clock)());
                Ok(Response::Credentials { items, more })
            }
            Request::CreateSecret { tenant, name, .. } => {
                self.create_secret(tenant, name, by).map(|()| Response::Done)
            }
            Request::StoreSecret { tenant, name, secret, .. } => {
                self.store_secret(tenant, name, &secret.0, by).map(|()| Response::Done)
            }
            Request::ReleaseSecret { tenant, name, .. } => self
                .release_secret(tenant, name, by)
                .map(|secret| Response::Secret { secret: WireSecret(secret) }),
            Request::StoreOwnSecret { name, secret, .. } => {
                self.store_own_secret(&name, &secret.0, by).map(|()| Response::Done)
            }
            Request::ReleaseOwnSecret { name, .. } => self
                .release_own_secret(name, by)
                .map(|secret| Response::Secret { secret: WireSecret(secret) }),
            Request::ForgetOwnSecret { name, .. } => {
                self.forget_own_secret(&name, by).map(|()| Response::Done)
            }
            Request::Retire { tenant, function: Some(function), key_id: Some(key_id), .. } => self
                .retire_key(&KeyUse { tenant, function }, &key_id, by)
                .map(|keys| Response::Retired { keys }),
            Request::Retire { function: None, key_id: Some(_), .. } => {
                Err(refusal("a single key is named with its function".to_owned()))
            }
            Request::Retire { tenant, function, key_id: None, .. } => {
                self.retire(&tenant, function, by).map(|keys| Response::Retired { keys })
            }
            Request::Follow { lost, earlier, reason } => {
                self.follow(lost, earlier, reason, by).map(|()| Response::Done)
            }
            Request::EnrollWorker { name, limits, request_pem } => {
                self.enroll_worker(name, limits, &request_pem, by).map(Response::Worker)
            }
            Request::Workers { after } => {
                let (items, more) = self.workers.page(after.as_deref());
                Ok(Response::Workers { items, more })
            }
            Request::RevokeWorker { name } => self
                .revoke_worker(&name, by)
                .map(|certificates| Response::WorkersRevoked { certificates }),
            Request::Status => Ok(Response::Status(self.status())),
            Request::Checkpoint => self.checkpoint(),
            Request::Ledger { from } => self
                .ledger
                .piece(from)
                .map(|piece| Response::Ledger { piece })
                .map_err(|error| internal(&error)),
            Request::LedgerOf { tenant, from } => self.ledger_of(peer, &tenant, from),
            Request::LedgerDigest { bytes } => self.ledger_digest(peer, bytes),
        }
    }

    fn status(&self) -> SignerStatus {
        SignerStatus {
            sealing: self.sealing.clone(),
            keys: self.keys.info(),
            ledger: self.ledger.head(),
            checkpoint_key: self.ledger.public_key().to_string(),
            pid: std::process::id(),
            credentials: self.registry().len(),
        }
    }

    fn checkpoint(&self) -> Result<Response, Failure> {
        self.ledger.keep_checkpoint().map_err(|error| internal(&error))?;
        self.ledger.checkpoint().map(Response::Checkpoint).map_err(|error| internal(&error))
    }

    fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry_to_write(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, event: &LedgerEvent) -> Result<(), Failure> {
        self.ledger.append(event).map(drop).map_err(unwritten)
    }

    fn refused(&self, parts: Parts, failure: &Failure, by: Option<Requester>, from: Origin) {
        let Parts { operation, tenant, function, job: _ } = parts;
        let reason = reason(failure);
        tracing::warn!(
            operation,
            tenant = tenant.as_ref().map(display),
            function = function.map(display),
            caller = by.as_ref().map(|by| display(&by.caller)),
            job = by.as_ref().and_then(|by| by.job.as_ref()).map(display),
            uid = by.as_ref().and_then(|by| by.uid),
            pid = by.as_ref().and_then(|by| by.pid),
            certificate = by.as_ref().and_then(|by| by.certificate.as_deref()),
            reason,
            "refused"
        );
        if matches!(failure, Failure::LedgerUnavailable { .. }) {
            return;
        }
        let known =
            tenant.clone().zip(function).map(|(tenant, function)| KeyUse { tenant, function });
        let known = known.filter(|key_use| self.registry().get(key_use).is_some());
        let uid = match from {
            Origin::User(uid) => Some(uid),
            Origin::Worker(_) | Origin::Unlisted => None,
        };
        let kind = Kind { operation, key_use: known, from };
        let Some(unrecorded) = lock(&self.refusals).admit(kind, (self.clock)()) else { return };
        let operation = operation.to_owned();
        let event =
            LedgerEvent::Refused { operation, tenant, function, reason, unrecorded, by, uid };
        // Nothing was given away, so that a failure to record it takes nothing back.
        if let Err(error) = self.ledger.append(&event) {
            tracing::error!(%error, "a refusal could not be recorded");
        }
    }
}

/// Signatures of an earlier run count against the rate limit.
fn replay(buckets: &mut Buckets, record: &LedgerRecord) {
    if let LedgerEvent::AssertionSigned { tenant, function, .. }
    | LedgerEvent::ProofSigned { tenant, function, .. }
    | LedgerEvent::CertificateRequested { tenant, function, .. } = &record.event
    {
        let key_use = KeyUse { tenant: tenant.clone(), function: *function };
        buckets.replay(&key_use, record.time);
    }
}

fn damaged(what: String) -> Failure {
    Failure::Damaged { what }
}

fn internal(error: &SignerError) -> Failure {
    if let SignerError::Token { .. } = error {
        return Failure::KeyStoreUnavailable { what: error.to_string() };
    }
    tracing::error!(%error, "the signer failed");
    Failure::Internal { what: error.to_string() }
}

fn unwritten(Unwritten(what): Unwritten) -> Failure {
    tracing::error!(what, "the ledger cannot be written; nothing is signed");
    Failure::LedgerUnavailable { what }
}

fn unwritable(what: &str, error: &io::Error) -> Failure {
    tracing::error!(what, %error, "a sealed file cannot be written");
    Failure::Internal { what: format!("write the {what}: {error}") }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
