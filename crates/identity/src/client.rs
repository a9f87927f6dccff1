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
    SecretName, SignedAssertion, SignerStatus,
    protocol::{Request, RequestFrame, Response, VERSION, encode},
};

mod connection;
mod subject;

use connection::{CallError, Shared};
use subject::Subject;

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
        let client = Self {
            shared: Arc::new(Shared {
                socket: socket.as_ref().to_owned(),
                caller,
                idle: Mutex::new(Vec::new()),
                permits: Semaphore::new(CONNECTIONS),
            }),
        };
        client.status().await?;
        Ok(client)
    }

    /// A client assertion for this tenant and function, good for five minutes.
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
        let subject = Subject::key(tenant, function);
        let request = Request::SignAssertion { job: job.clone(), tenant: tenant.clone(), function };
        match self.call(&subject, request).await? {
            Response::Assertion(assertion) => Ok(assertion),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// Makes a key (RSA, 3072 bits) with a self-signed certificate of 30 days; the present one is
    /// returned while it is valid.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn create_key(
        &self,
        job: &JobId,
        tenant: &TenantName,
        function: Function,
    ) -> Result<CertificateInfo, IdentityError> {
        let subject = Subject::key(tenant, function);
        let request = Request::CreateKey { job: job.clone(), tenant: tenant.clone(), function };
        match self.call(&subject, request).await? {
            Response::Certificate(certificate) => Ok(certificate),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// Binds the key to an application (`client_id`, a GUID) and the token endpoint (an `https`
    /// URL) that its assertions will be for. Once bound, a key stays bound to it until it is
    /// retired: a caller that could choose could have anything signed. Repeating the same binding
    /// is no error.
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
        let subject = Subject::key(tenant, function);
        let binding =
            Binding { client_id: client_id.to_owned(), token_endpoint: token_endpoint.to_owned() };
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

    /// Destroys the key of one function, or all keys of a tenant, with their bindings, and tells how
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
        let request = Request::Retire { job: job.clone(), tenant: tenant.clone(), function };
        match self.call(&subject, request).await? {
            Response::Retired { keys } => Ok(keys),
            other => Err(subject.unexpected(&other)),
        }
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
            Ok(Err(CallError::Frame(error))) => Err(subject.frame_error(error)),
            Ok(Ok(Response::Failed(failure))) => Err(subject.failure(failure)),
            Ok(Ok(response)) => Ok(response),
        }
    }
}
