use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use mailkeep_model::{Function, Secret, TenantName};
use tokio::sync::Semaphore;

use crate::{
    Binding, CallerLabel, CertificateInfo, Checkpoint, CredentialInfo, IdentityError, JobId,
    LedgerLines, SecretName, SignedAssertion, SignedProof, SignerStatus,
    protocol::{FrameError, Request, RequestFrame, Response, VERSION, encode},
};

mod connection;
mod own_secrets;
mod recovery;
mod subject;
mod transport;
mod workers;

use connection::{CallError, Shared};
use subject::Subject;
use transport::UnixSocket;
pub use transport::{Opening, SignerStream, SignerTransport};

/// How long a request may take. Making a key takes a second on a slow machine, and requests wait
/// for each other there.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Connections that one client opens at once; more requests wait for a free one.
const CONNECTIONS: usize = 8;

/// Speaks with the signer. Cheap to clone; clones share their connections.
///
/// A lost connection is opened again at the next request, so that a client outlives a restart of
/// the signer. Every request can be repeated without harm.
#[derive(Clone, Debug)]
pub struct SignerClient {
    shared: Arc<Shared>,
}

impl SignerClient {
    /// Reaches the signer that listens on `socket`, and finds out that it answers. `caller` is
    /// what this process calls itself in the ledger, e.g. `service`.
    ///
    /// # Errors
    /// [`IdentityError::NotRunning`], [`IdentityError::NotPermitted`] or
    /// [`IdentityError::Protocol`] (another version).
    pub async fn connect(
        socket: impl AsRef<Path>,
        caller: CallerLabel,
    ) -> Result<Self, IdentityError> {
        Self::connect_over(Self::at_socket(socket), caller).await
    }

    /// [`connect`](Self::connect) over another way than a socket of this machine.
    ///
    /// # Errors
    /// As there, and [`IdentityError::Untrusted`].
    pub async fn connect_over(
        transport: Arc<dyn SignerTransport>,
        caller: CallerLabel,
    ) -> Result<Self, IdentityError> {
        let client = Self::over(transport, caller);
        client.status().await?;
        Ok(client)
    }

    /// The way to the signer that listens on `socket`.
    pub fn at_socket(socket: impl AsRef<Path>) -> Arc<dyn SignerTransport> {
        Arc::new(UnixSocket(socket.as_ref().to_owned()))
    }

    /// A client that connects at its first request.
    pub fn over(transport: Arc<dyn SignerTransport>, caller: CallerLabel) -> Self {
        Self {
            shared: Arc::new(Shared {
                transport,
                caller,
                idle: Mutex::new(Vec::new()),
                permits: Semaphore::new(CONNECTIONS),
            }),
        }
    }

    /// A client assertion for this tenant and function, good for five minutes, with the active key.
    ///
    /// # Errors
    /// [`IdentityError::NoKey`], [`IdentityError::NotBound`], [`IdentityError::RateLimited`],
    /// [`IdentityError::Refused`] (the certificate has expired, or the binding is in conflict),
    /// and what every request may meet.
    pub async fn sign_assertion(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
    ) -> Result<SignedAssertion, IdentityError> {
        self.assertion(job, tenant, function, None).await
    }

    /// [`sign_assertion`](Self::sign_assertion) with one key of any slot: how a prepared key is
    /// tried before it is active, and one that was removed at the provider is found to be refused.
    ///
    /// # Errors
    /// As there; [`IdentityError::Refused`] when there is no such key as well.
    pub async fn sign_assertion_with(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        key_id: &str,
    ) -> Result<SignedAssertion, IdentityError> {
        self.assertion(job, tenant, function, Some(key_id.to_owned())).await
    }

    /// A proof of possession for this tenant and function, good for five minutes, with the active
    /// key, or another one that the provider knows. It is made out for the application that the
    /// keys are bound to.
    ///
    /// # Errors
    /// As [`sign_assertion_with`](Self::sign_assertion_with), whose rate limit it shares;
    /// [`IdentityError::Refused`] when the binding has no object id as well.
    pub async fn sign_proof(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        key_id: Option<&str>,
    ) -> Result<SignedProof, IdentityError> {
        let subject = Subject::key(tenant, function);
        let (job, tenant, key_id) = (job.clone(), tenant.clone(), key_id.map(str::to_owned));
        let request = Request::SignProof { job, tenant, function, key_id };
        match self.call(&subject, request).await? {
            Response::Proof(proof) => Ok(proof),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// Makes an active key (RSA, 3072 bits) with a self-signed certificate of 30 days; the present
    /// one is returned while it is valid.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] when there are as many keys as there may be (4), and what every
    /// request may meet.
    pub async fn create_key(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
    ) -> Result<CertificateInfo, IdentityError> {
        let subject = Subject::key(tenant, function);
        let request = Request::CreateKey { job: job.clone(), tenant: tenant.clone(), function };
        self.certificate(&subject, request).await
    }

    /// Makes a prepared key as [`create_key`](Self::create_key) makes an active one; the present one
    /// is returned while it is valid.
    ///
    /// # Errors
    /// As there.
    pub async fn prepare_key(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
    ) -> Result<CertificateInfo, IdentityError> {
        let subject = Subject::key(tenant, function);
        let request = Request::PrepareKey { job: job.clone(), tenant: tenant.clone(), function };
        self.certificate(&subject, request).await
    }

    /// Makes a prepared key the active one, or a retiring one again; the active one is retiring
    /// then. No error when it is active already.
    ///
    /// # Errors
    /// [`IdentityError::NoKey`]; [`IdentityError::Refused`] when there is no such key, or its
    /// certificate has expired.
    pub async fn activate_key(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        key_id: &str,
    ) -> Result<(), IdentityError> {
        let subject = Subject::key(tenant, function);
        let (job, tenant, key_id) = (job.clone(), tenant.clone(), key_id.to_owned());
        self.done(&subject, Request::ActivateKey { job, tenant, function, key_id }).await
    }

    /// A request for a certificate of the active key, or of a prepared one, for the customer's own
    /// certificate authority (PEM, RFC 2986).
    ///
    /// # Errors
    /// [`IdentityError::NoKey`], [`IdentityError::RateLimited`]; [`IdentityError::Refused`] when there
    /// is no such key, or it is retiring.
    pub async fn certificate_request(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        key_id: Option<&str>,
    ) -> Result<String, IdentityError> {
        let subject = Subject::key(tenant, function);
        let (job, tenant, key_id) = (job.clone(), tenant.clone(), key_id.map(str::to_owned));
        let request = Request::CertificateRequest { job, tenant, function, key_id };
        match self.call(&subject, request).await? {
            Response::CertificateRequest { request_pem } => Ok(request_pem),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// Puts a certificate in the place of the one that a prepared or active key has: `chain_pem` is
    /// that certificate, then those that vouch for it, each for the one before. From then on the key
    /// signs in its name: of an active key, it has to be registered at the provider before.
    ///
    /// # Errors
    /// [`IdentityError::NoKey`]; [`IdentityError::Refused`] when it is another key's, has expired, is
    /// valid for more than 398 days, or is not vouched for by the next; nothing is changed then.
    pub async fn install_certificate(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        key_id: &str,
        chain_pem: &str,
    ) -> Result<CertificateInfo, IdentityError> {
        let subject = Subject::key(tenant, function);
        let request = Request::InstallCertificate {
            job: job.clone(),
            tenant: tenant.clone(),
            function,
            key_id: key_id.to_owned(),
            chain_pem: chain_pem.to_owned(),
        };
        self.certificate(&subject, request).await
    }

    /// Binds the keys to an application (`client_id`, a GUID) and the token endpoint (an `https`
    /// URL) that their assertions will be for. Once bound, a tenant and function stay bound to it
    /// until all is retired: a caller that could choose could have anything signed. Repeating the
    /// same binding is no error.
    ///
    /// # Errors
    /// [`IdentityError::NoKey`]; [`IdentityError::Refused`] when the key is bound otherwise, or
    /// the application belongs to another tenant or function.
    pub async fn bind(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        client_id: &str,
        token_endpoint: &str,
    ) -> Result<(), IdentityError> {
        let binding = Binding {
            client_id: client_id.to_owned(),
            token_endpoint: token_endpoint.to_owned(),
            object_id: None,
        };
        self.bind_to(job, tenant, function, binding).await
    }

    /// [`bind`](Self::bind) that may tell the application's object id as well, at once or later; it
    /// stays, too.
    ///
    /// # Errors
    /// As there.
    pub async fn bind_to(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        binding: Binding,
    ) -> Result<(), IdentityError> {
        let subject = Subject::key(tenant, function);
        let request = Request::Bind { job: job.clone(), tenant: tenant.clone(), function, binding };
        self.done(&subject, request).await
    }

    /// All credentials, or one tenant's, in order of tenant and function.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn credentials(
        &self,
        tenant: Option<&TenantName>,
    ) -> Result<Vec<CredentialInfo>, IdentityError> {
        let subject = Subject::general("list of credentials");
        let mut all: Vec<CredentialInfo> = Vec::new();
        loop {
            let after = all.last().map(|last| last.key_use.clone());
            let request = Request::Credentials { tenant: tenant.cloned(), after };
            match self.call(&subject, request).await? {
                Response::Credentials { items, more } => {
                    let progress = !items.is_empty();
                    all.extend(items);
                    if !(more && progress) {
                        return Ok(all);
                    }
                }
                other => return Err(subject.unexpected(&other)),
            }
        }
    }

    /// Makes a random secret of 256 bits (43 characters of base64url) in the signer's sealed
    /// store; one that is there stays as it is.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn create_secret(
        &self,
        job: &JobId,
        tenant: &TenantName,
        name: &SecretName,
    ) -> Result<(), IdentityError> {
        let subject = Subject::secret(tenant, name);
        let request =
            Request::CreateSecret { job: job.clone(), tenant: tenant.clone(), name: name.clone() };
        self.done(&subject, request).await
    }

    /// Hands a secret out; the ledger says to whom.
    ///
    /// # Errors
    /// [`IdentityError::NoSecret`], and what every request may meet.
    pub async fn release_secret(
        &self,
        job: &JobId,
        tenant: &TenantName,
        name: &SecretName,
    ) -> Result<Secret, IdentityError> {
        let subject = Subject::secret(tenant, name);
        let request =
            Request::ReleaseSecret { job: job.clone(), tenant: tenant.clone(), name: name.clone() };
        match self.call(&subject, request).await? {
            Response::Secret { secret } => Ok(secret.0),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// Destroys the keys of one function, or all keys of a tenant, with their bindings, and tells how
    /// many there were. Secrets stay. At the provider the certificates must be removed as well.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn retire(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Option<Function>,
    ) -> Result<u64, IdentityError> {
        let subject = Subject::general("retirement of keys");
        let (job, tenant) = (job.clone(), tenant.clone());
        self.retired(&subject, Request::Retire { job, tenant, function, key_id: None }).await
    }

    /// Destroys one key, whichever slot it is in, and tells whether it was there. The other keys and
    /// the binding stay.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn retire_key(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        key_id: &str,
    ) -> Result<bool, IdentityError> {
        let subject = Subject::key(tenant, function);
        let (job, tenant, key_id) = (job.clone(), tenant.clone(), Some(key_id.to_owned()));
        let request = Request::Retire { job, tenant, function: Some(function), key_id };
        Ok(self.retired(&subject, request).await? > 0)
    }

    /// How the signer is.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn status(&self) -> Result<SignerStatus, IdentityError> {
        let subject = Subject::general("status");
        match self.call(&subject, Request::Status).await? {
            Response::Status(status) => Ok(status),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// A signed statement of where the ledger stands.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn checkpoint(&self) -> Result<Checkpoint, IdentityError> {
        let subject = Subject::general("checkpoint");
        match self.call(&subject, Request::Checkpoint).await? {
            Response::Checkpoint(checkpoint) => Ok(checkpoint),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// A piece of the ledger as it is on the signer's disk, from that byte on; empty at its end. It
    /// proves nothing by itself: see [`ledger::verify_witnessed`](crate::ledger::verify_witnessed).
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn ledger(&self, from: u64) -> Result<Vec<u8>, IdentityError> {
        let subject = Subject::general("ledger");
        match self.call(&subject, Request::Ledger { from }).await? {
            Response::Ledger { piece } => Ok(piece),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// Records of one tenant in the ledger as it is on the signer's disk, from that byte of it on. For workers
    /// who may not read all of it; others' records, and with them the chain, are left out, so that nothing
    /// shows that one is missing.
    ///
    /// # Errors
    /// [`IdentityError::ReadTooMuch`]; what every request may meet.
    pub async fn ledger_of(
        &self,
        tenant: &TenantName,
        from: u64,
    ) -> Result<LedgerLines, IdentityError> {
        let subject = Subject::general("ledger");
        let request = Request::LedgerOf { tenant: tenant.clone(), from };
        match self.call(&subject, request).await? {
            Response::LedgerOf(lines) => Ok(lines),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// SHA-256 over the first bytes of the ledger as they are on the signer's disk now, `None` when there
    /// are fewer: tells whether what was read before is still what it was.
    ///
    /// # Errors
    /// [`IdentityError::ReadTooMuch`]; what every request may meet.
    pub async fn ledger_digest(&self, bytes: u64) -> Result<Option<[u8; 32]>, IdentityError> {
        let subject = Subject::general("ledger");
        match self.call(&subject, Request::LedgerDigest { bytes }).await? {
            Response::LedgerDigest { sha256 } => Ok(sha256.map(|hash| hash.0)),
            other => Err(subject.unexpected(&other)),
        }
    }

    async fn assertion(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
        key_id: Option<String>,
    ) -> Result<SignedAssertion, IdentityError> {
        let subject = Subject::key(tenant, function);
        let (job, tenant) = (job.clone(), tenant.clone());
        let request = Request::SignAssertion { job, tenant, function, key_id };
        match self.call(&subject, request).await? {
            Response::Assertion(assertion) => Ok(assertion),
            other => Err(subject.unexpected(&other)),
        }
    }

    async fn certificate(
        &self,
        subject: &Subject,
        request: Request,
    ) -> Result<CertificateInfo, IdentityError> {
        match self.call(subject, request).await? {
            Response::Certificate(certificate) => Ok(certificate),
            other => Err(subject.unexpected(&other)),
        }
    }

    async fn retired(&self, subject: &Subject, request: Request) -> Result<u64, IdentityError> {
        match self.call(subject, request).await? {
            Response::Retired { keys } => Ok(keys),
            other => Err(subject.unexpected(&other)),
        }
    }

    async fn done(&self, subject: &Subject, request: Request) -> Result<(), IdentityError> {
        match self.call(subject, request).await? {
            Response::Done => Ok(()),
            other => Err(subject.unexpected(&other)),
        }
    }

    async fn call(&self, subject: &Subject, request: Request) -> Result<Response, IdentityError> {
        let shared = &self.shared;
        let frame = RequestFrame { v: VERSION, caller: shared.caller.clone(), request };
        let frame = encode(&frame).map_err(|error| subject.frame_error(error))?;
        let _permit = shared.permits.acquire().await.map_err(|_| subject.closed())?;

        let answer = tokio::time::timeout(TIMEOUT, shared.exchange(&frame)).await;
        match answer {
            Err(_) => Err(subject.connection(io::ErrorKind::TimedOut.into())),
            Ok(Err(CallError::Connect(source))) => Err(shared.unreachable(source)),
            Ok(Err(CallError::Frame(FrameError::Io(source))))
                if source.kind() == io::ErrorKind::InvalidData =>
            {
                Err(shared.unreachable(source))
            }
            Ok(Err(CallError::Frame(error))) => Err(subject.frame_error(error)),
            Ok(Ok(Response::Failed(failure))) => Err(subject.failure(failure)),
            Ok(Ok(response)) => Ok(response),
        }
    }
}
