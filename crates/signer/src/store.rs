//! Where private keys are made and kept.

use std::sync::Arc;

use mailkeep_identity::{KeyStoreInfo, KeyUse, protocol::Failure};
use zeroize::Zeroizing;

use crate::{Keys, SignerError, key::PrivateKey, token::Token};

/// Makes keys, opens and destroys them: in sealed files, or inside a token.
///
/// Keys that were made elsewhere before stay usable as long as they can be reached, so that a
/// signer moves to a token by rotation.
pub(crate) enum KeyStore {
    SealedFiles,
    Token(Arc<Token>),
}

/// What a sealed file holds of the private half of a key.
#[derive(Clone)]
pub(crate) enum Private {
    /// The key itself (PKCS#8).
    Sealed(Zeroizing<Vec<u8>>),
    /// Its id inside the token.
    InToken(Vec<u8>),
}

impl KeyStore {
    pub(crate) fn open(keys: &Keys) -> Result<Self, SignerError> {
        match keys {
            Keys::Sealed => Ok(Self::SealedFiles),
            Keys::Pkcs11 { module, token, pin } => {
                let token = Token::open(module.clone(), token.clone(), pin.clone())?;
                Ok(Self::Token(Arc::new(token)))
            }
        }
    }

    /// A fresh key, and what is to be kept of it.
    pub(crate) fn generate(&self, key_use: &KeyUse) -> Result<(PrivateKey, Private), SignerError> {
        match self {
            Self::SealedFiles => {
                let key = PrivateKey::generate()?;
                let private = Private::Sealed(key.to_pkcs8()?);
                Ok((key, private))
            }
            Self::Token(token) => {
                let (id, public) = token.generate(key_use)?;
                let key = PrivateKey::in_token(Arc::clone(token), id.clone(), public);
                Ok((key, Private::InToken(id)))
            }
        }
    }

    /// A key that is kept, whose public half is `public` (PKCS#1).
    pub(crate) fn private_key(
        &self,
        private: &Private,
        public: &[u8],
    ) -> Result<PrivateKey, Failure> {
        match private {
            Private::Sealed(pkcs8) => {
                let what = match PrivateKey::from_pkcs8(pkcs8) {
                    Some(key) if key.public() == public => return Ok(key),
                    Some(_) => "its key is not that of its certificate",
                    None => "it does not hold a key",
                };
                Err(Failure::Damaged { what: what.to_owned() })
            }
            Private::InToken(id) => {
                let token = Arc::clone(self.token()?);
                Ok(PrivateKey::in_token(token, id.clone(), public.to_vec()))
            }
        }
    }

    /// Destroys what is not in the sealed file itself.
    pub(crate) fn destroy(&self, private: &Private) -> Result<(), Failure> {
        match private {
            Private::Sealed(_) => Ok(()),
            Private::InToken(id) => self.token()?.destroy(id).map_err(|error| unreachable(&error)),
        }
    }

    pub(crate) fn info(&self) -> KeyStoreInfo {
        match self {
            Self::SealedFiles => KeyStoreInfo::SealedFiles,
            Self::Token(token) => KeyStoreInfo::Token {
                label: token.label().to_owned(),
                module: token.module().display().to_string(),
            },
        }
    }

    fn token(&self) -> Result<&Arc<Token>, Failure> {
        match self {
            Self::Token(token) => Ok(token),
            Self::SealedFiles => Err(Failure::KeyStoreUnavailable {
                what: "the key is inside a token, and this signer was started without one"
                    .to_owned(),
            }),
        }
    }
}

fn unreachable(error: &SignerError) -> Failure {
    Failure::KeyStoreUnavailable { what: error.to_string() }
}
