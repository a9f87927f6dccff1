//! The public half of a key: its certificate, self-signed or from the customer's authority.

use aws_lc_rs::digest;
use data_encoding::HEXUPPER;
use mailkeep_identity::{CertificateInfo, KeyUse, jwt::Thumbprint};
use mailkeep_model::Function;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyUsagePurpose, SerialNumber};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use x509_parser::parse_x509_certificate;

use crate::{
    SignerError,
    key::{PrivateKey, lend},
};

/// How long a certificate is good for.
fn validity(function: Function) -> Duration {
    match function {
        // It exists while a restore runs; should it be forgotten, it ends by itself.
        Function::Restorer => Duration::days(2),
        _ => Duration::days(30),
    }
}

/// The provider's clock may be behind ours.
pub(crate) const BACKDATING: Duration = Duration::minutes(5);

/// Characters of an issuer's name in the ledger, whose lines are bounded.
const MAX_ISSUER: usize = 256;

/// RFC 5280's bound on a common name.
const MAX_COMMON_NAME: usize = 64;

/// The public half: the certificate, and what is read from it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) thumbprint: Thumbprint,
    /// The public key (PKCS#1).
    pub(crate) public: Vec<u8>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    /// Those that vouch for it, each for the one before (DER); none for a self-signed one.
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Certificate {
    /// A self-signed certificate that names tenant and function.
    pub(crate) fn self_signed(
        key: &PrivateKey,
        key_use: &KeyUse,
        now: OffsetDateTime,
    ) -> Result<Self, SignerError> {
        // X.509 knows whole seconds.
        let now = now.replace_nanosecond(0).unwrap_or(now);
        let mut params = params(key_use);
        params.not_before = now - BACKDATING;
        params.not_after = now + validity(key_use.function);
        params.serial_number = Some(SerialNumber::from_slice(Uuid::new_v4().as_bytes()));
        let certificate = lend(key, |key| params.self_signed(key))?;
        Self::from_der(certificate.der().to_vec())
            .ok_or(SignerError::Crypto("read the certificate that it made"))
    }

    /// Reads a certificate; `None` when it is none.
    pub(crate) fn from_der(der: Vec<u8>) -> Option<Self> {
        let (rest, parsed) = parse_x509_certificate(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let validity = parsed.validity();
        let public = parsed.public_key().subject_public_key.data.to_vec();
        let (not_before, not_after) =
            (validity.not_before.to_datetime(), validity.not_after.to_datetime());
        let thumbprint = Thumbprint::of_der(&der);
        Some(Self { der, thumbprint, public, not_before, not_after, chain: Vec::new() })
    }

    /// Who issued it, as it says itself; of a name that is too long, the beginning.
    pub(crate) fn issuer(&self) -> String {
        let parsed = parse_x509_certificate(&self.der);
        let name = parsed.map(|(_, parsed)| parsed.issuer().to_string()).unwrap_or_default();
        name.chars().take(MAX_ISSUER).collect()
    }

    /// The authority that issued it; empty when it is self-signed.
    fn authority(&self) -> String {
        let is_own = parse_x509_certificate(&self.der)
            .is_ok_and(|(_, parsed)| parsed.issuer() == parsed.subject());
        if is_own { String::new() } else { self.issuer() }
    }

    pub(crate) fn info(&self, key_id: &str) -> CertificateInfo {
        // The provider's name for it, not a proof of anything.
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        CertificateInfo {
            key_id: key_id.to_owned(),
            thumbprint_sha256: self.thumbprint.hex(),
            thumbprint_sha1: HEXUPPER.encode(sha1.as_ref()),
            certificate_pem: pem(&self.der),
            chain_pem: self.chain.iter().map(|der| pem(der)).collect(),
            issuer: self.authority(),
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

/// A request for a certificate that names tenant and function (PEM, RFC 2986).
pub(crate) fn request(key: &PrivateKey, key_use: &KeyUse) -> Result<String, SignerError> {
    lend(key, |key| params(key_use).serialize_request(key)?.pem())
}

/// What a self-signed certificate and a request for another one have in common.
fn params(key_use: &KeyUse) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(key_use);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// `CN=acme reader, OU=acme, O=Mailkeep`. The unit holds the whole name where the common name has
/// no room for it.
fn subject(key_use: &KeyUse) -> DistinguishedName {
    let function = key_use.function.as_str();
    let room = MAX_COMMON_NAME - 1 - function.len();
    let tenant = key_use.tenant.as_str();
    let shown = tenant.get(..room).unwrap_or(tenant);
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Mailkeep");
    name.push(DnType::OrganizationalUnitName, tenant);
    name.push(DnType::CommonName, format!("{shown} {function}"));
    name
}

/// RFC 7468.
pub(crate) fn pem(der: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use x509_parser::pem::Pem;

    use super::*;

    #[test]
    fn a_certificate_is_its_own_proof_and_is_valid_for_thirty_days() {
        let key = PrivateKey::generate().unwrap();
        let key_use = KeyUse {
            tenant: "a".repeat(63).parse().unwrap(),
            function: mailkeep_model::Function::Responder,
        };
        let now = datetime!(2026-03-01 12:00:00.5 UTC);
        let certificate = Certificate::self_signed(&key, &key_use, now).unwrap();
        assert_eq!(certificate.not_before, datetime!(2026-03-01 11:55:00 UTC));
        assert_eq!(certificate.not_after, datetime!(2026-03-31 12:00:00 UTC));
        assert_eq!(certificate.public, key.public());

        let (_, parsed) = parse_x509_certificate(&certificate.der).unwrap();
        parsed.verify_signature(None).unwrap();
        let name = parsed.subject().to_string();
        assert!(name.contains(&format!("OU={}", "a".repeat(63))), "{name}");
        let common = parsed.subject().iter_common_name().next().unwrap().as_str().unwrap();
        assert!(common.len() <= 64 && common.ends_with(" responder"), "{common}");

        let info = certificate.info("id");
        let read = Pem::iter_from_buffer(info.certificate_pem.as_bytes()).next();
        assert_eq!(read.unwrap().unwrap().contents, certificate.der);
    }
}
