use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the lab did not start, or did not do what its owner asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The lab gives out tokens to whoever holds its files; it never listens beyond loopback.
    #[error("the lab listens on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address is in use or may not be bound.
    #[error("the lab cannot listen on {address}: {source}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// What the thief of a drill tried did not work.
    #[error("the thief: {0}")]
    Thief(String),
    /// A file of the lab's own could not be written.
    #[error("the lab cannot write {path}: {source}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A seed could not be read.
    #[error("cannot read mail from {path}: {source}")]
    Seed {
        /// The seed, or the file in it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A seed holds no mail.
    #[error("no mail found in {0} (looked for .mbox and .eml)")]
    EmptySeed(PathBuf),
    /// The certificates of the lab could not be made.
    #[error("cannot make the lab's certificates: {0}")]
    Certificates(String),
    /// No tenant has this id or domain.
    #[error("the lab has no tenant '{0}'")]
    UnknownTenant(String),
    /// No application has this client id.
    #[error("the lab's tenant {tenant} has no application '{client_id}'")]
    UnknownApplication {
        /// The tenant's domain.
        tenant: String,
        /// What was asked for.
        client_id: String,
    },
    /// The certificate is not one that an application can be registered with.
    #[error("the certificate cannot be registered: {0}")]
    Certificate(String),
    /// A number in the options or in an administrative request is out of bounds.
    #[error("{0}")]
    Invalid(String),
}

impl LabError {
    /// Whether doing the same again may succeed without anything being changed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Listen { .. })
    }
}

impl From<rcgen::Error> for LabError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificates(error.to_string())
    }
}

impl From<rustls::Error> for LabError {
    fn from(error: rustls::Error) -> Self {
        Self::Certificates(error.to_string())
    }
}
