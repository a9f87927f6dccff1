use data_encoding::BASE64;
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
    /// SHA-1 over the certificate's DER, 40 hexadecimal digits, upper case: what the provider names
    /// it by in an application's list of keys (`customKeyIdentifier`) and in its sign-in logs.
    pub thumbprint_sha1: String,
    /// The certificate (RFC 7468).
    pub certificate_pem: String,
    /// The certificates that vouch for it, each for the one before; empty when it is self-signed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub chain_pem: String,
    /// The authority that issued it, as it says itself; empty when it is self-signed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// Valid from.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Valid until.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
}

impl CertificateInfo {
    /// The certificate in DER, as the provider takes it (`keyCredential.key`); `None` when
    /// [`certificate_pem`](Self::certificate_pem) is not one certificate.
    pub fn certificate_der(&self) -> Option<Vec<u8>> {
        let text = self.certificate_pem.trim().strip_prefix("-----BEGIN CERTIFICATE-----")?;
        let base64: String = text.strip_suffix("-----END CERTIFICATE-----")?.lines().collect();
        BASE64.decode(base64.as_bytes()).ok()
    }
}

/// Which of the keys of a tenant and function a key is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The one that signs when none is named.
    #[default]
    Active,
    /// Made ahead of time, to become the active one.
    Prepared,
    /// Was the active one, and is there until the provider has forgotten it.
    Retiring,
}

/// One of the keys of a tenant and function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// Its name, which is in the certificate's description as well.
    pub key_id: String,
    /// Which it is.
    pub slot: Slot,
    /// Its certificate.
    pub certificate: CertificateInfo,
}

/// What the keys of a tenant and function may sign for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The application's client id, a GUID.
    pub client_id: String,
    /// The token endpoint (the assertion's audience), an `https` URL.
    pub token_endpoint: String,
    /// The application's object id, a GUID: who changes its keys with a proof. May be set later than
    /// the others, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
}

/// What the signer's registry has of one tenant and function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialInfo {
    /// What it is for.
    #[serde(flatten)]
    pub key_use: KeyUse,
    /// Whether the active key can be used.
    pub state: CredentialState,
    /// The active key's certificate; `None` where there is no such key, or the sealed file is damaged.
    pub certificate: Option<CertificateInfo>,
    /// All keys, the active one included.
    pub keys: Vec<KeyInfo>,
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
    /// No key is active: there are others only, or a binding without keys.
    Inactive,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_can_be_handed_to_the_provider_as_der() {
        let info = |pem: &str| CertificateInfo {
            key_id: String::new(),
            thumbprint_sha256: String::new(),
            thumbprint_sha1: String::new(),
            certificate_pem: pem.to_owned(),
            chain_pem: String::new(),
            issuer: String::new(),
            not_before: OffsetDateTime::UNIX_EPOCH,
            not_after: OffsetDateTime::UNIX_EPOCH,
        };
        let one = "-----BEGIN CERTIFICATE-----\nAAEC\nAwQF\n-----END CERTIFICATE-----\n";
        assert_eq!(info(one).certificate_der(), Some(vec![0, 1, 2, 3, 4, 5]));
        for bad in ["", "AAEC", &one.repeat(2), &one.replace("AAEC", "A")] {
            assert_eq!(info(bad).certificate_der(), None, "{bad}");
        }
    }
}
