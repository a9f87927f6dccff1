//! A worker's way to the signer of another machine: its key and certificate, and the connection.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{PrivateKeyDer, ServerName, pem::PemObject},
    version,
};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use zeroize::Zeroizing;

use crate::{
    ServingCertificate, TlsError,
    keys::{about, certificates, provider},
    private,
};

/// Most bytes of a file with certificates or a key.
pub const MAX_FILE: u64 = 1 << 20;

/// How long it may take until the connection stands.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a worker proves itself with, and how it knows the signer (PEM files).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerFiles {
    /// The worker's certificate, which the signer gave it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The signer's own authority: nobody else is believed to be the signer.
    pub authority: PathBuf,
}

/// A signer that is reached over TLS.
#[derive(Clone)]
pub struct SignerPort {
    host: String,
    port: u16,
    name: ServerName<'static>,
    files: WorkerFiles,
}

impl SignerPort {
    /// The signer at `host` (a name or an address, which its certificate has to be for).
    ///
    /// # Errors
    /// [`TlsError::Settings`] when that is neither.
    pub fn new(host: &str, port: u16, files: WorkerFiles) -> Result<Self, TlsError> {
        let name = ServerName::try_from(host.to_owned());
        let name =
            name.map_err(|_| TlsError::Settings(format!("'{host}' is not the name of a host")))?;
        Ok(Self { host: host.to_owned(), port, name, files })
    }

    /// What is known of the worker's certificate: until when it is valid.
    ///
    /// # Errors
    /// [`TlsError::File`] and [`TlsError::Content`].
    pub fn certificate(&self) -> Result<ServingCertificate, TlsError> {
        let path = &self.files.certificate;
        let chain = certificates(&private::read_existing(path)?, path)?;
        let about = chain.first().and_then(about);
        about.ok_or_else(|| TlsError::Content {
            path: path.clone(),
            what: "its certificate cannot be read".into(),
        })
    }

    /// A connection, once both sides have proven themselves. The files are read each time, so that a
    /// new certificate is used without a restart.
    ///
    /// # Errors
    /// What the system says; `InvalidData` when the two sides do not believe each other;
    /// `InvalidInput` when a file cannot be used.
    pub async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let unusable = |error: TlsError| io::Error::new(io::ErrorKind::InvalidInput, error);
        let config = self.config().map_err(unusable)?;
        let connect = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(config).connect(self.name.clone(), stream).await
        };
        let connected = tokio::time::timeout(PATIENCE, connect).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let WorkerFiles { certificate, key, authority } = &self.files;
        let bad = |path: &Path, what: String| TlsError::Content { path: path.to_owned(), what };
        let mut trusted = RootCertStore::empty();
        for root in certificates(&private::read_existing(authority)?, authority)? {
            trusted.add(root).map_err(|error| bad(authority, error.to_string()))?;
        }
        let chain = certificates(&private::read_existing(certificate)?, certificate)?;
        let secret = PrivateKeyDer::from_pem_slice(&private::read_existing(key)?)
            .map_err(|_| bad(key, "there is no private key in it (PEM)".into()))?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| TlsError::Settings(error.to_string()))?
            .with_root_certificates(trusted)
            .with_client_auth_cert(chain, secret);
        let mut config = config.map_err(|error| bad(certificate, error.to_string()))?;
        // Each connection proves both sides anew.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for SignerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tls://{self}")
    }
}

impl fmt::Display for SignerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A worker's fresh key, and what asks the signer for its certificate (PEM, RFC 2986).
pub struct WorkerRequest {
    key_pem: Zeroizing<String>,
    request_pem: String,
}

impl WorkerRequest {
    /// Makes a key (P-256) for the worker of this name.
    ///
    /// # Errors
    /// [`TlsError::Crypto`].
    pub fn make(name: &str) -> Result<Self, TlsError> {
        let failed = |_| TlsError::Crypto("make a worker's key");
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let request = params.serialize_request(&key).and_then(|request| request.pem());
        let key_pem = Zeroizing::new(key.serialize_pem());
        Ok(Self { key_pem, request_pem: request.map_err(failed)? })
    }

    /// What the signer is asked with.
    pub fn request_pem(&self) -> &str {
        &self.request_pem
    }

    /// Writes the key (mode 0600) into a directory, which is made when it is not there (mode 0700).
    ///
    /// # Errors
    /// [`TlsError::File`].
    pub fn keep_key(&self, directory: &Path) -> Result<PathBuf, TlsError> {
        private::make_directory(directory)?;
        let path = directory.join("worker.key");
        private::write(&path, self.key_pem.as_bytes())?;
        Ok(path)
    }
}

impl fmt::Debug for WorkerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerRequest").finish_non_exhaustive()
    }
}

impl ServingCertificate {
    /// Whole days until it expires; negative when it has.
    pub fn days_left(&self, now: OffsetDateTime) -> i64 {
        (self.not_after - now).whole_days()
    }
}
