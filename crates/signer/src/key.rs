//! One RSA key and its certificate.

use aws_lc_rs::{
    digest,
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use data_encoding::HEXUPPER;
use mailkeep_identity::{CertificateInfo, KeyUse, jwt::Thumbprint};
use mailkeep_model::Function;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyUsagePurpose, PublicKeyData, SerialNumber,
    SigningKey,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::SignerError;

/// How long a certificate is good for.
fn validity(function: Function) -> Duration {
    match function {
        // It exists while a restore runs; should it be forgotten, it ends by itself.
        Function::Restorer => Duration::days(2),
        _ => Duration::days(30),
    }
}

/// The provider's clock may be behind ours.
const BACKDATING: Duration = Duration::minutes(5);

/// RFC 5280's bound on a common name.
const MAX_COMMON_NAME: usize = 64;

/// A private key, in memory for as long as one signature takes.
pub(crate) struct PrivateKey(RsaKeyPair);

impl PrivateKey {
    /// A fresh key of 3072 bits.
    pub(crate) fn generate() -> Result<Self, SignerError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa3072);
        pair.map(Self).map_err(|_| SignerError::Crypto("make a key"))
    }

    /// A key from PKCS#8; `None` when it is none.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        RsaKeyPair::from_pkcs8(der).ok().map(Self)
    }

    /// The key as PKCS#8.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SignerError> {
        let der = self.0.as_der().map_err(|_| SignerError::Crypto("write a key"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public key (PKCS#1).
    pub(crate) fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// PS256: RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes (RFC 7518
    /// section 3.5).
    pub(crate) fn sign_ps256(&self, text: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.sign_with(&RSA_PSS_SHA256, text).ok_or(SignerError::Crypto("sign"))
    }

    fn sign_with(&self, encoding: &'static dyn RsaEncoding, text: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding, &SystemRandom::new(), text, &mut signature).ok()?;
        Some(signature)
    }
}

/// The public half: the certificate, and what is read from it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) thumbprint: Thumbprint,
    /// The public key (PKCS#1).
    pub(crate) public: Vec<u8>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
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
        let mut params = CertificateParams::default();
        params.not_before = now - BACKDATING;
        params.not_after = now + validity(key_use.function);
        params.serial_number = Some(SerialNumber::from_slice(Uuid::new_v4().as_bytes()));
        params.distinguished_name = subject(key_use);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params
            .self_signed(&CertificateKey(key))
            .map_err(|_| SignerError::Crypto("make a certificate"))?;
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
        Some(Self { der, thumbprint, public, not_before, not_after })
    }

    pub(crate) fn info(&self, key_id: &str) -> CertificateInfo {
        // The provider's name for it, not a proof of anything.
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        CertificateInfo {
            key_id: key_id.to_owned(),
            thumbprint_sha256: self.thumbprint.hex(),
            thumbprint_sha1: HEXUPPER.encode(sha1.as_ref()),
            certificate_pem: pem(&self.der),
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
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
fn pem(der: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Lends a key to rcgen without giving it a copy.
struct CertificateKey<'a>(&'a PrivateKey);

impl PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for CertificateKey<'_> {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign_with(&RSA_PKCS1_SHA256, text).ok_or(rcgen::Error::RingUnspecified)
    }
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
