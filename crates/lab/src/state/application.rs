//! Application registrations and their key credentials.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use data_encoding::HEXUPPER;
use uuid::Uuid;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::parse_x509_certificate;

use crate::LabError;

/// One certificate that an application may sign assertions with.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) key_id: Uuid,
    /// SHA-1 and SHA-256 over the DER.
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
    /// RSAPublicKey (PKCS#1), DER.
    pub(crate) public_key: Vec<u8>,
    /// Unix times.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

impl Credential {
    /// Reads a PEM certificate. Entra takes RSA keys of at least 2048 bits.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, LabError> {
        let refuse = |what: &str| LabError::Certificate(what.to_owned());
        let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|_| refuse("not a PEM file"))?;
        if block.label != "CERTIFICATE" {
            return Err(refuse("the PEM block is not a certificate"));
        }
        let (_, certificate) = parse_x509_certificate(&block.contents)
            .map_err(|_| refuse("not an X.509 certificate"))?;
        let key = certificate.public_key();
        let bits = match key.parsed() {
            Ok(x509_parser::public_key::PublicKey::RSA(rsa)) => rsa.key_size(),
            _ => return Err(refuse("the key is not an RSA key")),
        };
        if bits < 2048 {
            return Err(refuse("the RSA key is shorter than 2048 bits"));
        }
        let hash = |algorithm| digest::digest(algorithm, &block.contents);
        let (mut sha1, mut sha256) = ([0; 20], [0; 32]);
        sha1.copy_from_slice(hash(&digest::SHA1_FOR_LEGACY_USE_ONLY).as_ref());
        sha256.copy_from_slice(hash(&digest::SHA256).as_ref());
        Ok(Self {
            key_id: Uuid::new_v4(),
            sha1,
            sha256,
            public_key: key.subject_public_key.data.to_vec(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// The thumbprint as Entra shows it: SHA-1, upper-case hexadecimal.
    pub(crate) fn thumbprint(&self) -> String {
        HEXUPPER.encode(&self.sha1)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) client_id: Uuid,
    pub(crate) object_id: Uuid,
    pub(crate) service_principal_id: Uuid,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// Application permissions that have been consented to.
    pub(crate) roles: BTreeSet<String>,
    pub(crate) credentials: Vec<Credential>,
}
