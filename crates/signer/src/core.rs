//! What the signer does for a request, once it is known who asks.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use mailkeep_identity::{
    Binding, CertificateInfo, KeyUse, SealingInfo, SecretName, SignedAssertion, SignerStatus,
    assertion::{self, Claims},
    ledger::{LedgerEvent, LedgerRecord, Requester},
    protocol::{Failure, Request, RequestFrame, Response, WireSecret},
};
use mailkeep_model::{Function, Secret, TenantName};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Clock, SignerError, SignerOptions,
    bucket::Buckets,
    credential::Credential,
    key::{Certificate, PrivateKey},
    ledger::{Ledger, Unwritten},
    master::{Master, sealing_info},
    refusals::{Kind, Refusals},
    registry::{Entry, Registry},
    request::{Parts, normalised, parts, reason, refusal},
    secrets::Secrets,
};

/// Credentials in one answer: with their certificates they take some 3 KB each, of 64.
const PAGE: usize = 16;

/// Who is at the other end of a connection, from the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) pid: Option<i32>,
}

/// Everything but the socket. Its methods block: they wait for the disk and calculate.
pub(crate) struct Core {
    registry: RwLock<Registry>,
    secrets: Secrets,
    /// Held while a secret is made, so that two callers get the same one.
    making_secret: Mutex<()>,
    ledger: Ledger,
    buckets: Mutex<Buckets>,
    refusals: Mutex<Refusals>,
    sealing: SealingInfo,
    clock: Clock,
}

impl Core {
    pub(crate) fn open(options: &SignerOptions) -> Result<Self, SignerError> {
        let directory: &Path = &options.directory;
        let master = Arc::new(Master::open(directory, &options.sealing)?);
        let mut buckets = Buckets::new(options.rate_limit);
        let clock = options.clock.clone();
        let ledger =
            Ledger::open(directory, &master, clock, |record| replay(&mut buckets, record))?;
        Ok(Self {
            registry: RwLock::new(Registry::open(directory, Arc::clone(&master))?),
            secrets: Secrets::new(directory, master),
            making_secret: Mutex::new(()),
            ledger,
            buckets: Mutex::new(buckets),
            refusals: Mutex::new(Refusals::default()),
            sealing: sealing_info(directory, &options.sealing),
            clock: options.clock.clone(),
        })
    }

    /// Answers a request. What is refused is in the ledger as well.
    pub(crate) fn answer(&self, peer: Peer, frame: RequestFrame) -> Response {
        let Parts { operation, job, tenant, function } = parts(&frame.request);
        let by = Requester { caller: frame.caller, job, uid: peer.uid, pid: peer.pid };
        match self.perform(frame.request, &by) {
            Ok(response) => response,
            Err(failure) => {
                self.refused(operation, tenant, function, &failure, Some(by), peer.uid);
                Response::Failed(failure)
            }
        }
    }

    /// Records that somebody was sent away before a request was read.
    pub(crate) fn turned_away(&self, uid: u32, failure: &Failure) {
        self.refused("connect", None, None, failure, None, uid);
    }

    #[cfg(test)]
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Ends the ledger in good order.
    pub(crate) fn stop(&self) -> Result<(), SignerError> {
        let stopped = self.ledger.append(&LedgerEvent::Stopped);
        stopped.map_err(|error| SignerError::LedgerUnavailable(error.0))?;
        self.ledger.keep_checkpoint()
    }

    fn perform(&self, request: Request, by: &Requester) -> Result<Response, Failure> {
        match request {
            Request::SignAssertion { tenant, function, .. } => {
                self.sign(KeyUse { tenant, function }, by).map(Response::Assertion)
            }
            Request::CreateKey { tenant, function, .. } => {
                self.create_key(&KeyUse { tenant, function }, by).map(Response::Certificate)
            }
            Request::Bind { tenant, function, binding, .. } => {
                self.bind(&KeyUse { tenant, function }, &binding, by).map(|()| Response::Done)
            }
            Request::Credentials { tenant, after } => {
                let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
                let (items, more) =
                    registry.page(tenant.as_ref(), after.as_ref(), PAGE, (self.clock)());
                Ok(Response::Credentials { items, more })
            }
            Request::CreateSecret { tenant, name, .. } => {
                self.create_secret(tenant, name, by).map(|()| Response::Done)
            }
            Request::ReleaseSecret { tenant, name, .. } => self
                .release_secret(tenant, name, by)
                .map(|secret| Response::Secret { secret: WireSecret(secret) }),
            Request::Retire { tenant, function, .. } => {
                self.retire(&tenant, function, by).map(|keys| Response::Retired { keys })
            }
            Request::Status => Ok(Response::Status(self.status())),
            Request::Checkpoint => self.checkpoint(),
        }
    }

    fn sign(&self, key_use: KeyUse, by: &Requester) -> Result<SignedAssertion, Failure> {
        // Held until the signature is made, so that a key is not retired between its record and
        // its use.
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        let (credential, binding) = signing_credential(&registry, &key_use, now)?;
        lock(&self.buckets).take(&key_use, now).map_err(|retry_after| Failure::RateLimited {
            retry_after_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
        })?;
        let key =
            registry.private_key(&key_use, credential).map_err(|what| Failure::Damaged { what })?;

        let Binding { client_id, token_endpoint } = binding;
        let claims = Claims { token_endpoint, client_id, jti: Uuid::new_v4(), now };
        let KeyUse { tenant, function } = key_use;
        self.record(&LedgerEvent::AssertionSigned {
            tenant,
            function,
            jti: claims.jti.to_string(),
            key_id: credential.key_id.clone(),
            client_id: client_id.clone(),
            audience: token_endpoint.clone(),
            expires: claims.expires(),
            by: by.clone(),
        })?;
        let text = assertion::signing_input(&credential.certificate.thumbprint, &claims);
        let signature = key.sign_ps256(text.as_bytes()).map_err(|error| internal(&error))?;
        Ok(SignedAssertion {
            assertion: Secret::new(assertion::assemble(&text, &signature)),
            client_id: client_id.clone(),
            token_endpoint: token_endpoint.clone(),
            jti: claims.jti.to_string(),
            key_id: credential.key_id.clone(),
            expires: claims.expires(),
        })
    }

    fn create_key(&self, key_use: &KeyUse, by: &Requester) -> Result<CertificateInfo, Failure> {
        let now = (self.clock)();
        let valid = |registry: &Registry| match registry.get(key_use) {
            Some(Entry::Damaged { what }) => Err(Failure::Damaged { what: what.clone() }),
            Some(Entry::Usable(found)) if !found.is_expired(now) => Ok(Ok(found.info())),
            Some(Entry::Usable(found)) => Ok(Err(found.binding.clone())),
            None => Ok(Err(None)),
        };
        if let Ok(found) = valid(&self.registry.read().unwrap_or_else(PoisonError::into_inner))? {
            return Ok(found);
        }
        // Takes up to seconds; others are served meanwhile.
        let key = PrivateKey::generate().map_err(|error| internal(&error))?;
        let certificate =
            Certificate::self_signed(&key, key_use, now).map_err(|error| internal(&error))?;

        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been faster. An expired key is replaced; it keeps its binding.
        let binding = match valid(&registry)? {
            Ok(found) => return Ok(found),
            Err(binding) => binding,
        };
        let credential = Credential { key_id: Uuid::new_v4().to_string(), certificate, binding };
        let info = credential.info();
        self.record(&LedgerEvent::KeyCreated {
            tenant: key_use.tenant.clone(),
            function: key_use.function,
            key_id: info.key_id.clone(),
            thumbprint: info.thumbprint_sha256.clone(),
            not_before: info.not_before,
            not_after: info.not_after,
            by: by.clone(),
        })?;
        registry.store(key_use, &key, credential).map_err(|error| unwritable("key", &error))?;
        Ok(info)
    }

    fn bind(&self, key_use: &KeyUse, wanted: &Binding, by: &Requester) -> Result<(), Failure> {
        let wanted = normalised(wanted)?;
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        let credential = usable(&registry, key_use)?;
        match &credential.binding {
            Some(bound) if *bound == wanted => return Ok(()),
            Some(bound) => {
                return Err(refusal(format!(
                    "the key is bound to application {} at {}, and stays so until it is retired",
                    bound.client_id, bound.token_endpoint
                )));
            }
            None => {}
        }
        let candidate = Credential { binding: Some(wanted.clone()), ..credential.clone() };
        if let Some(other) = registry.conflict(key_use, &candidate) {
            return Err(refusal(format!(
                "application {} belongs to {other}; no application serves two",
                wanted.client_id
            )));
        }
        self.record(&LedgerEvent::Bound {
            tenant: key_use.tenant.clone(),
            function: key_use.function,
            key_id: credential.key_id.clone(),
            client_id: wanted.client_id.clone(),
            token_endpoint: wanted.token_endpoint.clone(),
            by: by.clone(),
        })?;
        registry.bind(key_use, wanted).map_err(|what| Failure::Internal { what })
    }

    fn create_secret(
        &self,
        tenant: TenantName,
        name: SecretName,
        by: &Requester,
    ) -> Result<(), Failure> {
        let _making = lock(&self.making_secret);
        let present = self.secrets.read(&tenant, &name);
        if present.map_err(|error| Failure::Damaged { what: error.to_string() })?.is_some() {
            return Ok(());
        }
        let (of, called) = (tenant.clone(), name.clone());
        self.record(&LedgerEvent::SecretCreated { tenant, name, by: by.clone() })?;
        self.secrets.create(&of, &called).map_err(|error| unwritable("secret", &error))
    }

    fn release_secret(
        &self,
        tenant: TenantName,
        name: SecretName,
        by: &Requester,
    ) -> Result<Secret, Failure> {
        let secret = self.secrets.read(&tenant, &name);
        let secret = secret.map_err(|error| Failure::Damaged { what: error.to_string() })?;
        let secret = secret.ok_or(Failure::NoSecret)?;
        self.record(&LedgerEvent::SecretReleased { tenant, name, by: by.clone() })?;
        Ok(secret)
    }

    fn retire(
        &self,
        tenant: &TenantName,
        only: Option<Function>,
        by: &Requester,
    ) -> Result<u64, Failure> {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        let mut retired = 0;
        let wanted = |key_use: &KeyUse| only.is_none_or(|only| only == key_use.function);
        for key_use in registry.of_tenant(tenant).into_iter().filter(wanted) {
            let key_id = match registry.get(&key_use) {
                Some(Entry::Usable(credential)) => Some(credential.key_id.clone()),
                _ => None,
            };
            let KeyUse { tenant, function } = key_use.clone();
            self.record(&LedgerEvent::KeyRetired { tenant, function, key_id, by: by.clone() })?;
            registry.remove(&key_use).map_err(|error| unwritable("key", &error))?;
            retired += 1;
        }
        Ok(retired)
    }

    fn status(&self) -> SignerStatus {
        SignerStatus {
            sealing: self.sealing.clone(),
            ledger: self.ledger.head(),
            checkpoint_key: self.ledger.public_key().to_string(),
            pid: std::process::id(),
            credentials: self.registry.read().unwrap_or_else(PoisonError::into_inner).len(),
        }
    }

    fn checkpoint(&self) -> Result<Response, Failure> {
        self.ledger.keep_checkpoint().map_err(|error| internal(&error))?;
        self.ledger.checkpoint().map(Response::Checkpoint).map_err(|error| internal(&error))
    }

    fn record(&self, event: &LedgerEvent) -> Result<(), Failure> {
        self.ledger.append(event).map(drop).map_err(|Unwritten(what)| {
            tracing::error!(what, "the ledger cannot be written; nothing is signed");
            Failure::LedgerUnavailable { what }
        })
    }

    fn refused(
        &self,
        operation: &'static str,
        tenant: Option<TenantName>,
        function: Option<Function>,
        failure: &Failure,
        by: Option<Requester>,
        uid: u32,
    ) {
        let reason = reason(failure);
        tracing::warn!(operation, ?tenant, ?function, uid, reason, "refused");
        if matches!(failure, Failure::LedgerUnavailable { .. }) {
            return;
        }
        let known =
            tenant.clone().zip(function).map(|(tenant, function)| KeyUse { tenant, function });
        let known = known.filter(|key_use| {
            self.registry.read().unwrap_or_else(PoisonError::into_inner).get(key_use).is_some()
        });
        let kind = Kind { operation, key_use: known, uid };
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
    if let LedgerEvent::AssertionSigned { tenant, function, .. } = &record.event {
        let key_use = KeyUse { tenant: tenant.clone(), function: *function };
        buckets.replay(&key_use, record.time);
    }
}

fn usable<'a>(registry: &'a Registry, key_use: &KeyUse) -> Result<&'a Credential, Failure> {
    match registry.get(key_use) {
        None => Err(Failure::NoKey),
        Some(Entry::Damaged { what }) => Err(Failure::Damaged { what: what.clone() }),
        Some(Entry::Usable(credential)) => Ok(credential),
    }
}

fn signing_credential<'a>(
    registry: &'a Registry,
    key_use: &KeyUse,
    now: OffsetDateTime,
) -> Result<(&'a Credential, &'a Binding), Failure> {
    let credential = usable(registry, key_use)?;
    let binding = credential.binding.as_ref().ok_or(Failure::NotBound)?;
    if let Some(other) = registry.conflict(key_use, credential) {
        return Err(refusal(format!("its application or key is also that of {other}")));
    }
    if credential.is_expired(now) {
        let ended = credential.certificate.not_after;
        return Err(refusal(format!("its certificate expired on {ended}; create a new key")));
    }
    Ok((credential, binding))
}

fn internal(error: &SignerError) -> Failure {
    tracing::error!(%error, "the signer failed");
    Failure::Internal { what: error.to_string() }
}

fn unwritable(what: &str, error: &io::Error) -> Failure {
    tracing::error!(what, %error, "a sealed file cannot be written");
    Failure::Internal { what: format!("write the {what}: {error}") }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
