use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use mailkeep_identity::CredentialSeal;
use mailkeep_model::Secret;
use time::OffsetDateTime;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// How the master key is protected.
#[derive(Clone, Debug)]
pub enum Sealing {
    /// It lies in the signer's directory, encrypted with this passphrase (scrypt). The passphrase
    /// comes from outside at every start.
    Passphrase(Secret),
    /// It lies in this file, in age's format, as `age-keygen` writes it. The file is made at the
    /// first start when there is none. It protects only as far as it is kept away from the
    /// signer's directory and from its backups.
    IdentityFile(PathBuf),
}

/// Where private keys are made and kept.
#[derive(Clone, Debug)]
pub enum Keys {
    /// In the signer's directory, sealed with the master key.
    Sealed,
    /// Inside a hardware security module that is reached by PKCS#11; they cannot leave it. Keys that
    /// were sealed before go on signing until they are replaced. Secrets and the key of the ledger's
    /// checkpoints stay in sealed files.
    Pkcs11 {
        /// The module: the maker's library.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// The user's PIN at the token.
        pin: Secret,
    },
}

/// Whose processes may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Those of the user that the signer runs as. The socket's mode is 0600.
    OwnUser,
    /// Those of these users (numeric ids), and no others. The socket's mode is 0660: its directory
    /// and group decide who gets so far as to be asked.
    Users(Vec<u32>),
}

/// How often a key may sign, for each tenant and function.
///
/// One signature buys a token of an hour, so that 120 an hour is far more than a sound service
/// needs, and a thief who holds the service cannot store up assertions unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// In the long run.
    pub per_hour: u32,
    /// At once.
    pub burst: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_hour: 120, burst: 30 }
    }
}

/// How much of its ledger the signer looks through for one caller, in bytes, when it is asked for a tenant's
/// records or whether its beginning is still the same.
///
/// A processor hashes a gigabyte in a second or two: what is allowed in the long run takes a fifth of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// In the long run, each second.
    pub per_second: u64,
    /// At once. Who has some of it left may have a longer ledger looked through, and then waits.
    pub at_once: u64,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self { per_second: 256 << 20, at_once: 16 << 30 }
    }
}

/// Where workers of other machines are answered, over TLS 1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The names and addresses under which workers reach that, for the signer's own certificate; the
    /// address of `listen` when there is none.
    pub names: Vec<String>,
    /// How long a handshake may take.
    pub handshake: Duration,
}

impl RemoteOptions {
    /// Ten seconds for a handshake.
    pub fn new(listen: SocketAddr, names: Vec<String>) -> Self {
        Self { listen, names, handshake: Duration::from_secs(10) }
    }
}

/// How to run a signer.
#[derive(Clone)]
pub struct SignerOptions {
    /// Where it keeps its files; made when it is not there. One signer at a time.
    pub directory: PathBuf,
    /// Where it listens (at most 107 bytes; Unix sockets have no longer names).
    pub socket: PathBuf,
    /// How the master key is protected.
    pub sealing: Sealing,
    /// What the passphrase is sealed with where it comes from, as far as that is known: for `status`.
    pub passphrase_seal: Option<CredentialSeal>,
    /// Where private keys are made and kept.
    pub keys: Keys,
    /// Whose processes may connect.
    pub peers: Peers,
    /// Where workers of other machines are answered; nowhere when `None`.
    pub remote: Option<RemoteOptions>,
    /// How often a key may sign.
    pub rate_limit: RateLimit,
    /// How much of the ledger is looked through for one caller.
    pub read_limit: ReadLimit,
    /// Tells the time.
    pub clock: Clock,
}

impl SignerOptions {
    /// The defaults: sealed keys, the own user, 120 signatures an hour with 30 at once, the system's clock.
    pub fn new(directory: PathBuf, socket: PathBuf, sealing: Sealing) -> Self {
        Self {
            directory,
            socket,
            sealing,
            passphrase_seal: None,
            keys: Keys::Sealed,
            peers: Peers::OwnUser,
            remote: None,
            rate_limit: RateLimit::default(),
            read_limit: ReadLimit::default(),
            clock: Arc::new(OffsetDateTime::now_utc),
        }
    }
}

impl fmt::Debug for SignerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerOptions")
            .field("directory", &self.directory)
            .field("socket", &self.socket)
            .field("sealing", &self.sealing)
            .field("passphrase_seal", &self.passphrase_seal)
            .field("keys", &self.keys)
            .field("peers", &self.peers)
            .field("remote", &self.remote)
            .field("rate_limit", &self.rate_limit)
            .finish_non_exhaustive()
    }
}
