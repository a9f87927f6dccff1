use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::KeyUse;

/// The public half of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInfo {
    /// Our name for the key (a UUID), to be registered as the credential's `keyId`.
    pub key_id: String,
    /// SHA-256 over the certificate's DER, 64 hexadecimal digits, upper case.
    pub thumbprint_sha256: String,
    /// The certificate (RFC 7468).
    pub certificate_pem: String,
    /// Valid from.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Valid until.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
}

/// What a key may sign for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The application's client id, a GUID.
    pub client_id: String,
    /// The token endpoint (the assertion's audience), an `https` URL.
    pub token_endpoint: String,
}

/// One credential of the signer's registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialInfo {
    /// What it is for.
    #[serde(flatten)]
    pub key_use: KeyUse,
    /// Whether it can be used.
    pub state: CredentialState,
    /// Its certificate, unless the sealed file is damaged.
    pub certificate: Option<CertificateInfo>,
    /// What it is bound to.
    pub binding: Option<Binding>,
}

/// Whether a credential can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum CredentialState {
    /// It signs.
    Active,
    /// Its key is there; it is not bound to an application yet.
    Unbound,
    /// Its certificate is not valid any more.
    Expired,
    /// It is bound to an application, or holds a key, that another one has too; neither signs.
    Conflict {
        /// With which.
        with: KeyUse,
    },
    /// Its sealed file cannot be used.
    Damaged {
        /// What is wrong with it.
        what: String,
    },
}
