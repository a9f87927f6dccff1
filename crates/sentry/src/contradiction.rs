//! Evidence against ourselves: a worker that claims what the signer never did.

use std::fmt;

use mailkeep_model::Function;
use time::OffsetDateTime;
use uuid::Uuid;

/// Where receipts and ledger contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// A receipt names an assertion that was never signed.
    UnknownAssertion {
        /// The assertion's id.
        jti: String,
        /// The request that it claims.
        client_request_id: Uuid,
        /// When the receipt was written.
        at: OffsetDateTime,
    },
    /// An assertion was used for two requests.
    ReusedAssertion {
        /// The assertion's id.
        jti: String,
        /// The second request.
        client_request_id: Uuid,
        /// When the receipt was written.
        at: OffsetDateTime,
    },
    /// A receipt claims another function than the assertion was signed for.
    OtherFunction {
        /// The assertion's id.
        jti: String,
        /// What the receipt says.
        claimed: Function,
        /// What the ledger says.
        signed: Function,
        /// When the receipt was written.
        at: OffsetDateTime,
    },
    /// A request ended that nobody intended.
    WithoutIntent {
        /// The request.
        client_request_id: Uuid,
        /// When the receipt was written.
        at: OffsetDateTime,
    },
    /// A request ended a second time.
    EndedTwice {
        /// The request.
        client_request_id: Uuid,
        /// When the receipt was written.
        at: OffsetDateTime,
    },
}

impl Contradiction {
    /// When the receipt was written.
    pub fn at(&self) -> OffsetDateTime {
        match self {
            Self::UnknownAssertion { at, .. }
            | Self::ReusedAssertion { at, .. }
            | Self::OtherFunction { at, .. }
            | Self::WithoutIntent { at, .. }
            | Self::EndedTwice { at, .. } => *at,
        }
    }

    /// The assertion or request that it is about.
    pub fn subject(&self) -> String {
        match self {
            Self::UnknownAssertion { jti, .. }
            | Self::ReusedAssertion { jti, .. }
            | Self::OtherFunction { jti, .. } => jti.clone(),
            Self::WithoutIntent { client_request_id, .. }
            | Self::EndedTwice { client_request_id, .. } => client_request_id.to_string(),
        }
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAssertion { jti, client_request_id, .. } => write!(
                f,
                "a receipt of request {client_request_id} names assertion {jti}, which the signer never signed"
            ),
            Self::ReusedAssertion { jti, client_request_id, .. } => {
                write!(f, "assertion {jti} was used again, for request {client_request_id}")
            }
            Self::OtherFunction { jti, claimed, signed, .. } => write!(
                f,
                "a receipt says that assertion {jti} is the {claimed}'s; it was signed for the {signed}"
            ),
            Self::WithoutIntent { client_request_id, .. } => {
                write!(f, "request {client_request_id} ended, but was never about to be made")
            }
            Self::EndedTwice { client_request_id, .. } => {
                write!(f, "request {client_request_id} ended twice")
            }
        }
    }
}
