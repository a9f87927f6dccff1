//! What applications and service principals prove their identity with: certificates and secrets.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use data_encoding::{BASE64URL_NOPAD, HEXUPPER};
use uuid::Uuid;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::parse_x509_certificate;

use crate::LabError;

/// One certificate that assertions may be signed with (`keyCredential`).
#[derive(Clone, Debug)]
pub(crate) struct KeyCredential {
    pub(crate) key_id: Uuid,
    pub(crate) display_name: Option<String>,
    /// The certificate, DER.
    pub(crate) der: Vec<u8>,
    /// SHA-1 and SHA-256 over the DER.
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
    /// RSAPublicKey (PKCS#1), DER.
    pub(crate) public_key: Vec<u8>,
    /// When the credential is valid; within the certificate's time unless somebody said otherwise.
    /// Unix times, as all here.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// When the certificate itself is valid.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    /// Since when it is in the directory; the token endpoint learns of it later.
    pub(crate) added: i64,
    /// The administrator declared it revoked.
    pub(crate) revoked: bool,
}

impl KeyCredential {
    /// Reads a PEM certificate.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, LabError> {
        let refuse = |what: &str| LabError::Certificate(what.to_owned());
        let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|_| refuse("not a PEM file"))?;
        if block.label != "CERTIFICATE" {
            return Err(refuse("the PEM block is not a certificate"));
        }
        Self::from_der(&block.contents)
    }

    /// Reads a DER certificate. Entra takes RSA keys of at least 2048 bits.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, LabError> {
        let refuse = |what: &str| LabError::Certificate(what.to_owned());
        let (rest, certificate) =
            parse_x509_certificate(der).map_err(|_| refuse("not an X.509 certificate"))?;
        if !rest.is_empty() {
            return Err(refuse("there is something behind the certificate"));
        }
        let key = certificate.public_key();
        let bits = match key.parsed() {
            Ok(x509_parser::public_key::PublicKey::RSA(rsa)) => rsa.key_size(),
            _ => return Err(refuse("the key is not an RSA key")),
        };
        if bits < 2048 {
            return Err(refuse("the RSA key is shorter than 2048 bits"));
        }
        let hash = |algorithm| digest::digest(algorithm, der);
        let (mut sha1, mut sha256) = ([0; 20], [0; 32]);
        sha1.copy_from_slice(hash(&digest::SHA1_FOR_LEGACY_USE_ONLY).as_ref());
        sha256.copy_from_slice(hash(&digest::SHA256).as_ref());
        let (not_before, not_after) = (
            certificate.validity().not_before.timestamp(),
            certificate.validity().not_after.timestamp(),
        );
        Ok(Self {
            key_id: Uuid::new_v4(),
            display_name: Some(certificate.subject().to_string()).filter(|name| !name.is_empty()),
            der: der.to_vec(),
            sha1,
            sha256,
            public_key: key.subject_public_key.data.to_vec(),
            start: not_before,
            end: not_after,
            not_before,
            not_after,
            added: 0,
            revoked: false,
        })
    }

    /// The thumbprint as Entra shows it: SHA-1, upper-case hexadecimal.
    pub(crate) fn thumbprint(&self) -> String {
        HEXUPPER.encode(&self.sha1)
    }

    pub(crate) fn is_valid(&self, now: i64) -> bool {
        (self.start..=self.end).contains(&now)
            && (self.not_before..=self.not_after).contains(&now)
            && !self.revoked
    }
}

/// A client secret (`passwordCredential`). The secret itself is told once and not kept.
#[derive(Clone, Debug)]
pub(crate) struct PasswordCredential {
    pub(crate) key_id: Uuid,
    pub(crate) display_name: Option<String>,
    /// The first three characters.
    pub(crate) hint: String,
    sha256: [u8; 32],
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl PasswordCredential {
    /// Makes a secret of 40 characters and gives it with what is kept of it.
    pub(crate) fn generate(display_name: Option<String>, start: i64, end: i64) -> (Self, String) {
        let mut random = [0; 30];
        aws_lc_rs::rand::fill(&mut random).expect("the system has random numbers");
        let secret = BASE64URL_NOPAD.encode(&random);
        let kept = Self {
            key_id: Uuid::new_v4(),
            display_name,
            hint: secret.chars().take(3).collect(),
            sha256: hashed(&secret),
            start,
            end,
        };
        (kept, secret)
    }

    pub(crate) fn is(&self, secret: &str) -> bool {
        verify_slices_are_equal(&self.sha256, &hashed(secret)).is_ok()
    }
}

fn hashed(secret: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
    hash
}

/// All credentials of one object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) keys: Vec<KeyCredential>,
    pub(crate) passwords: Vec<PasswordCredential>,
}

impl Credentials {
    /// Takes a certificate away.
    pub(crate) fn remove_key(&mut self, key: Uuid) -> bool {
        let before = self.keys.len();
        self.keys.retain(|credential| credential.key_id != key);
        self.keys.len() < before
    }

    /// Takes a secret away.
    pub(crate) fn remove_password(&mut self, key: Uuid) -> bool {
        let before = self.passwords.len();
        self.passwords.retain(|credential| credential.key_id != key);
        self.passwords.len() < before
    }

    /// Each credential as the directory's audit log writes it (`KeyDescription`).
    pub(crate) fn described(&self) -> Vec<String> {
        let line = |id: Uuid, kind: &str, name: Option<&str>| {
            format!(
                "[KeyIdentifier={id},KeyType={kind},KeyUsage=Verify,DisplayName={}]",
                name.unwrap_or_default()
            )
        };
        let keys = self
            .keys
            .iter()
            .map(|key| line(key.key_id, "AsymmetricX509Cert", key.display_name.as_deref()));
        let passwords = self
            .passwords
            .iter()
            .map(|one| line(one.key_id, "Password", one.display_name.as_deref()));
        keys.chain(passwords).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_alone() {
        let (kept, secret) = PasswordCredential::generate(None, 0, 1);
        assert!(kept.is(&secret) && !kept.is("") && !kept.is(&secret[1..]));
        assert_eq!((secret.len(), kept.hint.as_str()), (40, &secret[..3]));
        assert!(!format!("{kept:?}").contains(&secret));
    }
}
