//! One RSA key.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use rcgen::{PublicKeyData, SigningKey};
use zeroize::Zeroizing;

use crate::SignerError;

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

/// Lends a key to rcgen without giving it a copy.
pub(crate) struct CertificateKey<'a>(pub(crate) &'a PrivateKey);

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
