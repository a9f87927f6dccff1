use std::{io, path::PathBuf};

/// Why there is no certificate, or no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What a file holds is not what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The certificate authority gave no certificate.
    #[error("the certificate authority {directory} gave no certificate for {names}: {what}")]
    Acme {
        /// Its directory.
        directory: String,
        /// The names that it was asked for.
        names: String,
        /// Why, as far as it tells.
        what: String,
    },
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(String),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
}
