use std::{io, time::Duration};

use mailkeep_model::TenantName;

use crate::{KeyUse, SecretName};

/// Why the signer's client did not get what it asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nobody listens there.
    #[error("no signer answers at {place}: start it with `mailkeep signer` ({source})")]
    NotRunning {
        /// Where it should listen.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not let this process reach the socket.
    #[error(
        "this user may not talk to the signer at {place}: run as the signer's user, or list this user in its configuration"
    )]
    NotPermitted {
        /// The signer's socket.
        place: String,
    },
    /// The signer does not believe this worker, or this worker does not believe the signer.
    #[error(
        "the signer at {place} and this machine do not believe each other: {source}; has the worker's certificate expired, and is [signer] authority that of this signer?"
    )]
    Untrusted {
        /// Where the signer listens.
        place: String,
        /// What is wrong, in TLS's words.
        source: io::Error,
    },
    /// There is no key for this tenant and function.
    #[error(
        "{key_use}: no key; create one with `mailkeep tenant add`, or see `mailkeep doctor` when there was one"
    )]
    NoKey {
        /// Which.
        key_use: KeyUse,
    },
    /// The key is not bound to an application.
    #[error("{key_use}: the key is not bound to an application; finish `mailkeep tenant add`")]
    NotBound {
        /// Which.
        key_use: KeyUse,
    },
    /// There is no secret of this name.
    #[error(
        "tenant '{tenant}': the signer has no secret '{name}'; when it had one, `mailkeep doctor` says whether it is another signer than before"
    )]
    NoSecret {
        /// Whose.
        tenant: TenantName,
        /// Which.
        name: SecretName,
    },
    /// Mailkeep itself has no secret of this name.
    #[error("the signer has no secret '{name}'")]
    NoOwnSecret {
        /// Which.
        name: SecretName,
    },
    /// The signer signs no more for this tenant and function just now.
    #[error("{key_use}: the signer's rate limit is reached; next in {} s", retry_after.as_secs_f64().ceil())]
    RateLimited {
        /// Which.
        key_use: KeyUse,
        /// When the next signature may be had.
        retry_after: Duration,
    },
    /// The signer has looked through enough of its ledger for this process just now.
    #[error("{subject}: the signer has looked through enough of it for now; again in {} s", retry_after.as_secs_f64().ceil())]
    ReadTooMuch {
        /// What was asked for.
        subject: String,
        /// When it may be asked again.
        retry_after: Duration,
    },
    /// A rule of the signer's forbids it.
    #[error("{subject}: the signer refused: {reason}")]
    Refused {
        /// Tenant and function, or secret.
        subject: String,
        /// The rule, in words.
        reason: String,
    },
    /// The signer cannot use its sealed file of this tenant and function, or secret.
    #[error(
        "{subject}: the signer's sealed file cannot be used: {what}; restore it from a backup of the signer's directory"
    )]
    Damaged {
        /// Tenant and function, or secret.
        subject: String,
        /// What is wrong with it.
        what: String,
    },
    /// The signer cannot write its ledger, and signs nothing without it.
    #[error("{subject}: the signer cannot write its ledger, and signs nothing without: {what}")]
    LedgerUnavailable {
        /// What was asked for.
        subject: String,
        /// What stands in the way.
        what: String,
    },
    /// The signer's keys are inside a token that cannot be used.
    #[error("{subject}: the signer cannot use its keys: {what}")]
    KeyStoreUnavailable {
        /// What was asked for.
        subject: String,
        /// What stands in the way.
        what: String,
    },
    /// The two sides do not understand each other.
    #[error(
        "{subject}: the signer and this process do not understand each other: {what}; are they of one version?"
    )]
    Protocol {
        /// What was asked for.
        subject: String,
        /// In what.
        what: String,
    },
    /// The connection broke, or the signer did not answer in time.
    #[error("{subject}: the connection to the signer failed: {source}")]
    Connection {
        /// What was asked for.
        subject: String,
        /// What the system says.
        source: io::Error,
    },
    /// The signer failed.
    #[error("{subject}: the signer failed: {what}")]
    Signer {
        /// What was asked for.
        subject: String,
        /// At what.
        what: String,
    },
}

impl IdentityError {
    /// Whether the same request may succeed later without anybody changing the set-up.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotRunning { .. }
            | Self::RateLimited { .. }
            | Self::ReadTooMuch { .. }
            | Self::LedgerUnavailable { .. }
            | Self::KeyStoreUnavailable { .. }
            | Self::Connection { .. }
            | Self::Signer { .. } => true,
            Self::NotPermitted { .. }
            | Self::Untrusted { .. }
            | Self::NoKey { .. }
            | Self::NotBound { .. }
            | Self::NoSecret { .. }
            | Self::NoOwnSecret { .. }
            | Self::Refused { .. }
            | Self::Damaged { .. }
            | Self::Protocol { .. } => false,
        }
    }
}
