use std::{io, net::SocketAddr, path::PathBuf};

use mailkeep_control::{ControlError, RemedyId};
use mailkeep_exchange::ExchangeError;
use mailkeep_identity::IdentityError;
use mailkeep_model::{Address, Function, TenantName};
use mailkeep_tls::TlsError;
use mailkeep_vault::VaultError;

/// Why something that was asked for did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The state could not be read or written.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The provider could not be read.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The signer did not help.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The vault could not be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The data directory cannot be used.
    #[error("the data directory {}: {source}", path.display())]
    Data {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the signer calls the key of its checkpoints is none.
    #[error("the signer's checkpoint key is not one: {what}")]
    CheckpointKey {
        /// What it is.
        what: String,
    },
    /// Notifications cannot be taken.
    #[error(
        "notifications cannot be taken at {address}: {source}. Change [serve.notifications] in the settings; without notifications mailboxes are read at their interval"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A listener of ours has no certificate to prove itself with.
    #[error("a listener's certificate: {0}")]
    Tls(#[from] TlsError),
    /// The spool cannot hold content; what is in the vault is safe.
    #[error("the spool: {0}. Free some space and run the backup again: it goes on where it stood")]
    Spool(#[source] io::Error),
    /// Another pass of this tenant runs.
    #[error("tenant {tenant}: another backup runs and holds the vault; wait for it, or stop it")]
    Busy {
        /// The tenant.
        tenant: TenantName,
    },
    /// There is no such tenant.
    #[error("there is no tenant '{tenant}'; 'mailkeep tenant list' shows which there are")]
    NoTenant {
        /// The name that was asked for.
        tenant: TenantName,
    },
    /// The tenant has no such mailbox.
    #[error(
        "tenant {tenant} has no mailbox '{mailbox}'; 'mailkeep tenant show {tenant}' lists them"
    )]
    NoMailbox {
        /// The tenant.
        tenant: TenantName,
        /// The address that was asked for.
        mailbox: Address,
    },
    /// Nothing was backed up yet, or not at that time.
    #[error("tenant {tenant} has no snapshot{when}; 'mailkeep snapshots {tenant}' lists them")]
    NoSnapshot {
        /// The tenant.
        tenant: TenantName,
        /// At what time, in words, or nothing.
        when: String,
    },
    /// No item has this short id.
    #[error("tenant {tenant} has no item '{item}' in that snapshot; 'mailkeep ls' prints the ids")]
    NoItem {
        /// The tenant.
        tenant: TenantName,
        /// The id that was asked for.
        item: String,
    },
    /// There is no such finding.
    #[error("tenant {tenant} has no finding {finding}; 'mailkeep findings {tenant}' lists them")]
    NoFinding {
        /// The tenant.
        tenant: TenantName,
        /// The number that was asked for.
        finding: i64,
    },
    /// There is no such remedy.
    #[error("there is no remedy {remedy}; 'mailkeep remedy list' shows which there are")]
    NoRemedy {
        /// The number that was asked for.
        remedy: RemedyId,
    },
    /// The function's application is not known yet.
    #[error(
        "tenant {tenant}: the {function} application is not registered; 'mailkeep tenant show {tenant}' prints what to register"
    )]
    NotRegistered {
        /// The tenant.
        tenant: TenantName,
        /// Which function.
        function: Function,
    },
    /// Only the customer's own certificate authority can replace a key's certificate.
    #[error(
        "tenant {tenant}: the {function} certificate is from '{issuer}' and ends on {}; the next one has to come from there, too. 1. 'mailkeep identity csr {tenant} --function {function} --out FILE', 2. have it issued, 3. 'mailkeep identity install {tenant} --function {function} CHAIN', 4. 'mailkeep identity rotate {tenant} --function {function}'",
        ends.date()
    )]
    OwnAuthority {
        /// The tenant.
        tenant: TenantName,
        /// Which function.
        function: Function,
        /// The authority, as it calls itself.
        issuer: String,
        /// When the present certificate ends.
        ends: time::OffsetDateTime,
    },
    /// `control` knows of snapshots, but the repository is not there.
    #[error(
        "tenant {tenant}: the repository {} is gone, but snapshots were written to it. Put it back; a new one would begin without history",
        path.display()
    )]
    VaultLost {
        /// The tenant.
        tenant: TenantName,
        /// Where it should be.
        path: PathBuf,
    },
    /// What was asked for contradicts what is set up.
    #[error("tenant {tenant}: {reason}")]
    Refused {
        /// The tenant.
        tenant: TenantName,
        /// Why.
        reason: String,
    },
    /// Alerts do not get to a destination.
    #[error("alerts to '{destination}': {reason}")]
    Alert {
        /// Its name.
        destination: String,
        /// Why, without any secret.
        reason: String,
    },
    /// A witness of the ledger cannot be given a key.
    #[error("witness '{witness}': {reason}")]
    Witness {
        /// Its name.
        witness: String,
        /// Why.
        reason: String,
    },
    /// What is to be the name of a key stands in too much.
    #[error("a key's name has at least {shortest} characters; its thumbprint has 40")]
    KeyName {
        /// So many characters are needed.
        shortest: usize,
    },
    /// The signer is the one that it was.
    #[error(
        "tenant {tenant}: the signer has not been replaced: it has the keys, and its ledger goes on. To change keys: 'mailkeep identity rotate {tenant}'; to shut somebody out: 'mailkeep identity revoke {tenant} --reason TEXT'"
    )]
    SignerNotLost {
        /// The tenant.
        tenant: TenantName,
    },
    /// Another signer than before is there, and its ledger does not say rightly whose place it takes.
    #[error(
        "tenant {tenant}: the signer is another one than before, and is not taken in its place: {what}. If nobody replaced it on purpose, keep its disk: somebody threw the ledger away"
    )]
    NoSuccession {
        /// The tenant.
        tenant: TenantName,
        /// What it says, and what was seen.
        what: String,
    },
    /// The repository's password was lost with the signer.
    #[error(
        "tenant {tenant}: the password of its repository {} was lost with the signer: name its recovery kit with --kit DIR",
        path.display()
    )]
    KitNeeded {
        /// The tenant.
        tenant: TenantName,
        /// The repository.
        path: PathBuf,
    },
    /// A recovery kit does not open the tenant's repository.
    #[error(
        "tenant {tenant}: the recovery kit {} is not for this tenant's repository: its password does not open {}; it was written for {}",
        kit.display(), path.display(), written_for.display()
    )]
    WrongKit {
        /// The tenant.
        tenant: TenantName,
        /// The kit.
        kit: PathBuf,
        /// The repository that it names.
        written_for: PathBuf,
        /// The tenant's repository.
        path: PathBuf,
    },
    /// The signer's ledger is not as the signer wrote it.
    #[error("the signer's ledger: {what}")]
    Ledger {
        /// What is wrong with it, and where.
        what: String,
    },
    /// Another part stopped first; its error is the one to look at.
    #[error("stopped, because another part failed")]
    Stopped,
}

/// What kind of failure it is, as other programs tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such tenant, mailbox, snapshot or item.
    NotFound,
    /// Another run holds it.
    Busy,
    /// Authentication or rights.
    Refused,
    /// Anything else.
    Failed,
}

impl ServiceError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTenant { .. }
            | Self::NoMailbox { .. }
            | Self::NoSnapshot { .. }
            | Self::NoItem { .. }
            | Self::NoFinding { .. }
            | Self::NoRemedy { .. }
            | Self::Vault(
                VaultError::NoSuchSnapshot { .. }
                | VaultError::NoSuchMailbox { .. }
                | VaultError::NoSuchFolder { .. }
                | VaultError::NoSuchItem { .. },
            ) => ErrorKind::NotFound,
            Self::Busy { .. } | Self::Control(ControlError::Busy(_)) => ErrorKind::Busy,
            Self::NotRegistered { .. } | Self::KeyName { .. } => ErrorKind::Refused,
            Self::Exchange(error) if error.is_refusal() => ErrorKind::Refused,
            Self::Identity(
                IdentityError::NoKey { .. }
                | IdentityError::NotBound { .. }
                | IdentityError::NotPermitted { .. }
                | IdentityError::Untrusted { .. }
                | IdentityError::Refused { .. },
            ) => ErrorKind::Refused,
            _ => ErrorKind::Failed,
        }
    }

    /// Whether it stops a whole pass, or one mailbox of it.
    pub(crate) fn stops_the_pass(&self) -> bool {
        match self {
            Self::Exchange(error) => match error {
                // One mailbox may be out of the application's scope.
                ExchangeError::Forbidden { .. } => false,
                ExchangeError::TokenRefused { .. }
                | ExchangeError::Unreachable { .. }
                | ExchangeError::Untrusted { .. }
                | ExchangeError::Configuration { .. }
                | ExchangeError::Receipts(_)
                | ExchangeError::Journal { .. }
                | ExchangeError::Identity(_) => true,
                _ => false,
            },
            _ => true,
        }
    }
}
