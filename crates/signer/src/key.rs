//! One RSA key.

use std::{cell::RefCell, sync::Arc};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RsaEncoding,
        RsaKeyPair, UnparsedPublicKey,
    },
};
use rcgen::{PublicKeyData, SigningKey};
use zeroize::Zeroizing;

use crate::{
    SignerError,
    token::{Padding, Token},
};

/// A private key, within reach for some seconds ([`AtHand`](crate::at_hand::AtHand)).
pub(crate) enum PrivateKey {
    InMemory(RsaKeyPair),
    InToken {
        token: Arc<Token>,
        /// The key's, there.
        id: Vec<u8>,
        /// The public key (PKCS#1).
        public: Vec<u8>,
    },
}

impl PrivateKey {
    /// A fresh key of 3072 bits.
    pub(crate) fn generate() -> Result<Self, SignerError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa3072);
        pair.map(Self::InMemory).map_err(|_| SignerError::Crypto("make a key"))
    }

    /// A key from PKCS#8; `None` when it is none.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        RsaKeyPair::from_pkcs8(der).ok().map(Self::InMemory)
    }

    /// A key that stays where it is.
    pub(crate) fn in_token(token: Arc<Token>, id: Vec<u8>, public: Vec<u8>) -> Self {
        Self::InToken { token, id, public }
    }

    /// The key as PKCS#8.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SignerError> {
        let Self::InMemory(pair) = self else {
            return Err(SignerError::Crypto("write a key that stays in its token"));
        };
        let der = pair.as_der().map_err(|_| SignerError::Crypto("write a key"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public key (PKCS#1).
    pub(crate) fn public(&self) -> &[u8] {
        match self {
            Self::InMemory(pair) => pair.public_key().as_ref(),
            Self::InToken { public, .. } => public,
        }
    }

    /// PS256: RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes (RFC 7518
    /// section 3.5).
    pub(crate) fn sign_ps256(&self, text: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self {
            Self::InMemory(pair) => in_memory(pair, &RSA_PSS_SHA256, text),
            Self::InToken { token, id, public } => {
                let signature = token.sign(id, Padding::Pss, text)?;
                // Of a key that was exchanged in the token, nothing must leave in this one's name.
                UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public)
                    .verify(text, &signature)
                    .map_err(|_| SignerError::Token {
                        label: token.label().to_owned(),
                        what: "it signs with another key than that of the certificate".to_owned(),
                    })?;
                Ok(signature)
            }
        }
    }

    /// What certificates are signed with: RSASSA-PKCS1-v1_5 with SHA-256.
    fn sign_pkcs1(&self, text: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self {
            Self::InMemory(pair) => in_memory(pair, &RSA_PKCS1_SHA256, text),
            Self::InToken { token, id, .. } => token.sign(id, Padding::Pkcs1, text),
        }
    }
}

fn in_memory(
    pair: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    text: &[u8],
) -> Result<Vec<u8>, SignerError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), text, &mut signature)
        .map_err(|_| SignerError::Crypto("sign"))?;
    Ok(signature)
}

/// Lends a key to rcgen without giving it a copy.
pub(crate) fn lend<T>(
    key: &PrivateKey,
    make: impl FnOnce(&CertificateKey<'_>) -> Result<T, rcgen::Error>,
) -> Result<T, SignerError> {
    let lent = CertificateKey { key, failed: RefCell::new(None) };
    make(&lent).map_err(|_| {
        lent.failed.take().unwrap_or(SignerError::Crypto("make a certificate, or ask for one"))
    })
}

/// A key that is lent. What rcgen makes of an error does not say what went wrong.
pub(crate) struct CertificateKey<'a> {
    key: &'a PrivateKey,
    failed: RefCell<Option<SignerError>>,
}

impl PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.public()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for CertificateKey<'_> {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign_pkcs1(text).map_err(|error| {
            self.failed.replace(Some(error));
            rcgen::Error::RemoteKeyError
        })
    }
}
