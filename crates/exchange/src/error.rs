use std::fmt;

use mailkeep_identity::{IdentityError, ReceiptError};
use mailkeep_model::{Function, TenantName};

/// Why a provider could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The signer gave no assertion.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The use of an assertion could not be recorded, so it was not used.
    #[error(transparent)]
    Receipts(#[from] ReceiptError),
    /// A request could not be written down, so it was not made.
    #[error(
        "tenant {tenant}: the journal of requests cannot be written: {source}. Without it nothing is asked of the provider; look for a full or read-only disk"
    )]
    Journal {
        /// The tenant.
        tenant: TenantName,
        /// Why.
        source: std::io::Error,
    },
    /// The token endpoint refused the assertion.
    #[error(
        "tenant {tenant}: Entra ID refused the {function} key: AADSTS{code}: {meaning}. {remedy}"
    )]
    TokenRefused {
        /// The tenant.
        tenant: TenantName,
        /// Whose key was refused.
        function: Function,
        /// Entra's number of the error.
        code: u32,
        /// What the number means.
        meaning: String,
        /// What the administrator can do.
        remedy: &'static str,
    },
    /// The provider knows us but does not let us do this.
    #[error(
        "tenant {tenant}: the {function} application was refused: {action}: {message}. Grant it {right}, with admin consent, and {}", next_step(tenant, *function)
    )]
    Forbidden {
        /// The tenant.
        tenant: TenantName,
        /// Which function's application.
        function: Function,
        /// What was tried.
        action: String,
        /// The right that this needs.
        right: &'static str,
        /// The provider's words.
        message: String,
    },
    /// The provider keeps this for tenants with a licence only.
    #[error(
        "tenant {tenant}: {action}: the tenant has no licence for it ({message}): it needs {licence}. Until then nothing is known of what it would tell"
    )]
    Unlicensed {
        /// The tenant.
        tenant: TenantName,
        /// What was tried.
        action: String,
        /// What has to be bought.
        licence: &'static str,
        /// The provider's words.
        message: String,
    },
    /// What would tell this is switched off in the tenant.
    #[error("tenant {tenant}: {action}: it is switched off in this tenant ({message}). {remedy}")]
    SwitchedOff {
        /// The tenant.
        tenant: TenantName,
        /// What was tried.
        action: String,
        /// The provider's words.
        message: String,
        /// What the administrator can do.
        remedy: &'static str,
    },
    /// The directory does not take a change of an application's keys.
    #[error("tenant {tenant}: {action}: {meaning} ({code}: {message}). {remedy}")]
    KeyRefused {
        /// The tenant.
        tenant: TenantName,
        /// What was tried.
        action: String,
        /// The provider's error code.
        code: &'static str,
        /// What the code means.
        meaning: &'static str,
        /// The provider's words.
        message: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// The answer to a change got lost, and whether it was carried out cannot be looked up.
    #[error(
        "tenant {tenant}: {action}: it may have been carried out or not ({reason}), and this application may not look: {look}"
    )]
    InDoubt {
        /// The tenant.
        tenant: TenantName,
        /// What was tried.
        action: String,
        /// What became of the answer.
        reason: String,
        /// Why it could not be looked up.
        look: String,
    },
    /// No answer from the host.
    #[error(
        "tenant {tenant}: no answer from {host}: {reason}. Check the address, the network and 'tenant show {tenant}'; nothing was lost, the next pass goes on from here"
    )]
    Unreachable {
        /// The tenant.
        tenant: TenantName,
        /// Host and port.
        host: String,
        /// What the connection said.
        reason: String,
    },
    /// Somebody answers who cannot show that he is the host.
    #[error(
        "tenant {tenant}: {host} shows a certificate that is not trusted: {reason}. Nothing was sent to it. If the certificate is yours (a proxy, a server of your own), name its issuer with 'mailkeep tenant add {tenant} --ca FILE'; if it is out of its time, set the clock of this machine (NTP); else somebody stands in between"
    )]
    Untrusted {
        /// The tenant.
        tenant: TenantName,
        /// Host and port.
        host: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The provider asked for patience for longer than we wait.
    #[error(
        "tenant {tenant}: the provider keeps throttling {action}; the next pass goes on from here"
    )]
    Throttled {
        /// The tenant.
        tenant: TenantName,
        /// What was tried.
        action: String,
    },
    /// What was asked for is not there.
    #[error("{action}: not found")]
    NotFound {
        /// What was tried.
        action: String,
        /// The provider's words; empty when there are none.
        message: String,
    },
    /// The cursor is no longer valid; synchronise anew by comparison.
    #[error("{action}: the provider no longer knows the cursor")]
    CursorExpired {
        /// What was tried.
        action: String,
    },
    /// The provider answered with an error that fits none of the above.
    #[error("{action}: the provider answered {status} {code}: {message}")]
    Answer {
        /// What was tried.
        action: String,
        /// HTTP status.
        status: u16,
        /// The provider's error code.
        code: String,
        /// The provider's words.
        message: String,
    },
    /// The answer broke off or does not follow the protocol.
    #[error("{action}: {reason}")]
    Protocol {
        /// What was tried.
        action: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The provider has no way to do this, or none that would not do harm.
    #[error("{action}: {reason}")]
    Unsupported {
        /// What was tried.
        action: String,
        /// Why it cannot be done, and what can.
        reason: String,
    },
    /// What was to be made was made, or may have been, and could not be finished. Made in another
    /// way, it would be there twice.
    #[error("{action}: it may be there, without our mark: {reason}")]
    Unsettled {
        /// What was tried.
        action: String,
        /// What went wrong.
        reason: String,
    },
    /// A setting cannot be used.
    #[error("tenant {tenant}: {reason}")]
    Configuration {
        /// The tenant.
        tenant: TenantName,
        /// What is wrong.
        reason: String,
    },
}

/// What to do once a right was granted. The restorer's key lives as long as a restore, so there is
/// none to try its rights with.
fn next_step(tenant: &TenantName, function: Function) -> String {
    match function {
        Function::Restorer => format!(
            "run the same restore again (Entra ID, App registrations, 'Mailkeep restorer', API permissions; 'mailkeep tenant show {tenant}' tells its client id)"
        ),
        _ => format!("run 'mailkeep tenant check {tenant}'"),
    }
}

/// How far an error reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This one item; others may work.
    Item,
    /// Everything of this tenant.
    Tenant,
}

impl ExchangeError {
    /// What was asked for is not there, as follows from an answer that does not say so itself.
    pub fn not_found(action: impl Into<String>) -> Self {
        Self::NotFound { action: action.into(), message: String::new() }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Throttled { .. } | Self::Protocol { .. } => true,
            Self::Answer { status, .. } => *status >= 500 || *status == 408,
            Self::Identity(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether only the item that was asked for is affected, so that the rest of the mailbox can
    /// go on without it.
    pub fn concerns_one_item(&self) -> bool {
        self.reach() == Reach::Item
    }

    /// Whether the tenant's administrator has to change a key or a right.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::TokenRefused { .. } | Self::Forbidden { .. } | Self::KeyRefused { .. } => true,
            Self::Identity(error) => matches!(
                error,
                IdentityError::NoKey { .. }
                    | IdentityError::NotBound { .. }
                    | IdentityError::NotPermitted { .. }
                    | IdentityError::Untrusted { .. }
                    | IdentityError::Refused { .. }
            ),
            _ => false,
        }
    }

    /// Whether a token was refused because the provider does not know, or no longer takes, the key
    /// that the assertion was signed with. One that was just added may be known after minutes.
    pub fn is_unknown_key(&self) -> bool {
        const UNKNOWN_KEY: [u32; 2] = [700_027, 7_000_214];
        matches!(self, Self::TokenRefused { code, .. } if UNKNOWN_KEY.contains(code))
    }

    fn reach(&self) -> Reach {
        match self {
            Self::NotFound { .. }
            | Self::Answer { .. }
            | Self::Protocol { .. }
            | Self::Unsupported { .. }
            | Self::Unsettled { .. } => Reach::Item,
            _ => Reach::Tenant,
        }
    }

    pub(crate) fn unsupported(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported { action: action.into(), reason: reason.into() }
    }

    pub(crate) fn protocol(action: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Protocol { action: action.into(), reason: reason.to_string() }
    }
}
