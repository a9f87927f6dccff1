use std::{io, net::SocketAddr, path::PathBuf};

use mailkeep_identity::ledger::{LedgerFault, WitnessError};

/// Why the signer does not start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// Another signer works in the directory.
    #[error(
        "another signer{} works in {}: there can be one only", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), directory.display()
    )]
    AlreadyRunning {
        /// The directory.
        directory: PathBuf,
        /// Its process, where it is known.
        pid: Option<u32>,
    },
    /// A file or directory cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The passphrase is not the one that the master key was sealed with.
    #[error("wrong passphrase for the signer's keys in {}", directory.display())]
    WrongPassphrase {
        /// The directory.
        directory: PathBuf,
    },
    /// The master key is not the one that the files were sealed with.
    #[error("{} is not the key that the signer's files in {} were sealed with", identity.display(), directory.display())]
    WrongIdentity {
        /// The file with the master key.
        identity: PathBuf,
        /// The directory.
        directory: PathBuf,
    },
    /// There is no master key, but files that were sealed with one.
    #[error("no master key in {}, but files that were sealed with one: bring back the file, or name the way it was sealed with", path.display())]
    MasterMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file is not what the signer wrote.
    #[error("{} is damaged ({what}): restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The ledger is not what the signer wrote. Nothing is signed until somebody has looked at it.
    #[error("the ledger {} was damaged or tampered with: {fault}", path.display())]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// Where and what.
        #[source]
        fault: LedgerFault,
    },
    /// The ledger does not stand before the signer's own checkpoint.
    #[error("the ledger {} does not stand before its checkpoint: {error}", path.display())]
    Witness {
        /// The ledger.
        path: PathBuf,
        /// Where and what.
        #[source]
        error: WitnessError,
    },
    /// The ledger, or its checkpoint, is gone.
    #[error("{} is missing, but the signer has been at work here: it was removed", path.display())]
    LedgerMissing {
        /// What is missing.
        path: PathBuf,
    },
    /// The ledger cannot be written.
    #[error("the ledger cannot be written: {0}")]
    LedgerUnavailable(String),
    /// What is at the socket's path is not a socket, and is not replaced.
    #[error("{} is there and is not a socket: move it away, or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Workers of other machines cannot be answered there.
    #[error("cannot listen for workers at {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The signer's own certificate cannot be for this name.
    #[error("'{name}' is neither the name of a host nor an address")]
    NotAName {
        /// The name.
        name: String,
    },
    /// The path is too long for a socket.
    #[error("{} is too long for a Unix socket (more than 100 bytes): choose a shorter path", path.display())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The token that holds the keys cannot be used.
    #[error("the token '{label}' cannot be used: {what}")]
    Token {
        /// Its label.
        label: String,
        /// What stands in the way.
        what: String,
    },
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
}

impl SignerError {
    /// Whether starting again later may succeed without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::AlreadyRunning { .. }
                | Self::LedgerUnavailable(_)
                | Self::Io { .. }
                | Self::Listen { .. }
                | Self::Token { .. }
        )
    }
}
