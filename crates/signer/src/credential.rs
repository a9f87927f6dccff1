//! What the sealed file of a tenant and function holds.

use data_encoding::BASE64;
use mailkeep_identity::{Binding, KeyInfo, Slot};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{certificate::Certificate, store::Private};

/// Version of the sealed file's content. Version 1 held one key.
const VERSION: u16 = 2;

/// Keys of one tenant and function: an active, a prepared and a retiring one, and another that an
/// interrupted rotation left.
pub(crate) const MAX_KEYS: usize = 4;

/// The keys of a tenant and function, without what is private, and what they may sign for.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) keys: Vec<Key>,
    pub(crate) binding: Option<Binding>,
}

impl Credential {
    pub(crate) fn key(&self, key_id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.key_id == key_id)
    }

    /// The key in a slot; among those that are retiring, any.
    pub(crate) fn in_slot(&self, slot: Slot) -> Option<&Key> {
        self.keys.iter().find(|key| key.slot == slot)
    }
}

/// One key without its private half.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) key_id: String,
    pub(crate) slot: Slot,
    pub(crate) certificate: Certificate,
}

impl Key {
    pub(crate) fn info(&self) -> KeyInfo {
        let certificate = self.certificate.info(&self.key_id);
        KeyInfo { key_id: self.key_id.clone(), slot: self.slot, certificate }
    }

    pub(crate) fn is_expired(&self, now: OffsetDateTime) -> bool {
        now >= self.certificate.not_after
    }
}

/// A credential with what is kept of its private keys.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) keys: Vec<OpenedKey>,
    pub(crate) binding: Option<Binding>,
}

#[derive(Clone)]
pub(crate) struct OpenedKey {
    pub(crate) key: Key,
    pub(crate) private: Private,
}

impl Opened {
    /// Makes a key the active one; the one that was is retiring.
    pub(crate) fn activate(&mut self, key_id: &str) {
        for OpenedKey { key, .. } in &mut self.keys {
            if key.key_id == key_id {
                key.slot = Slot::Active;
            } else if key.slot == Slot::Active {
                key.slot = Slot::Retiring;
            }
        }
    }

    /// Gives a key another certificate.
    pub(crate) fn certify(&mut self, key_id: &str, certificate: Certificate) {
        let mut keys = self.keys.iter_mut();
        if let Some(opened) = keys.find(|opened| opened.key.key_id == key_id) {
            opened.key.certificate = certificate;
        }
    }

    /// What is not private.
    pub(crate) fn credential(&self) -> Credential {
        let keys = self.keys.iter().map(|opened| opened.key.clone()).collect();
        Credential { keys, binding: self.binding.clone() }
    }

    /// Reads the content of a sealed file.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        // serde_json's message would quote what it does not understand.
        let none = |_| "it holds no credential".to_owned();
        let Versioned { v } = serde_json::from_slice(json).map_err(none)?;
        let stored = match v {
            1 => serde_json::from_slice::<StoredOne>(json).map_err(none)?.into(),
            VERSION => serde_json::from_slice::<Stored>(json).map_err(none)?,
            _ => return Err(format!("it is of version {v}, which this signer cannot read")),
        };
        let keys = stored.keys.into_iter().map(StoredKey::open).collect::<Result<_, _>>()?;
        Ok(Self { keys, binding: stored.binding })
    }

    /// The content of its sealed file.
    pub(crate) fn to_json(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let keys = self.keys.iter().map(StoredKey::of).collect();
        let stored = Stored { v: VERSION, keys, binding: self.binding.clone() };
        // Room enough that the buffer does not move and leave copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(128 * 1024));
        serde_json::to_writer(&mut *json, &stored)?;
        Ok(json)
    }
}

#[derive(Deserialize)]
struct Versioned {
    v: u16,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u16,
    keys: Vec<StoredKey>,
    binding: Option<Binding>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    key_id: String,
    #[serde(default)]
    slot: Slot,
    #[serde(flatten)]
    private: StoredPrivate,
    certificate: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chain: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPrivate {
    Pkcs8(Zeroizing<String>),
    InToken(String),
}

/// Version 1: one key, which was the active one.
#[derive(Deserialize)]
struct StoredOne {
    #[serde(flatten)]
    key: StoredKey,
    binding: Option<Binding>,
}

impl From<StoredOne> for Stored {
    fn from(StoredOne { key, binding }: StoredOne) -> Self {
        Self { v: VERSION, keys: vec![key], binding }
    }
}

impl StoredKey {
    fn of(opened: &OpenedKey) -> Self {
        Self {
            key_id: opened.key.key_id.clone(),
            slot: opened.key.slot,
            private: match &opened.private {
                Private::Sealed(pkcs8) => {
                    StoredPrivate::Pkcs8(Zeroizing::new(BASE64.encode(pkcs8)))
                }
                Private::InToken(id) => StoredPrivate::InToken(BASE64.encode(id)),
            },
            certificate: BASE64.encode(&opened.key.certificate.der),
            chain: opened.key.certificate.chain.iter().map(|der| BASE64.encode(der)).collect(),
        }
    }

    fn open(self) -> Result<OpenedKey, String> {
        let decode = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| "it is not base64");
        let certificate = Certificate::from_der(decode(&self.certificate)?);
        let mut certificate = certificate.ok_or("it holds no certificate")?;
        certificate.chain = self.chain.iter().map(|text| decode(text)).collect::<Result<_, _>>()?;
        let private = match &self.private {
            StoredPrivate::Pkcs8(pkcs8) => Private::Sealed(Zeroizing::new(decode(pkcs8)?)),
            StoredPrivate::InToken(id) => Private::InToken(decode(id)?),
        };
        let key = Key { key_id: self.key_id, slot: self.slot, certificate };
        Ok(OpenedKey { key, private })
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_identity::KeyUse;
    use mailkeep_model::Function;
    use time::macros::datetime;

    use super::*;
    use crate::{key::PrivateKey, store::KeyStore};

    #[test]
    fn a_file_of_the_first_version_still_signs_and_is_written_as_the_second() {
        let private = PrivateKey::generate().unwrap();
        let key_use = KeyUse { tenant: "acme".parse().unwrap(), function: Function::Reader };
        let now = datetime!(2026-03-01 12:00 UTC);
        let certificate = Certificate::self_signed(&private, &key_use, now).unwrap();
        // As version 0.1.0 wrote it.
        let first = serde_json::json!({
            "v": 1, "key_id": "one", "pkcs8": BASE64.encode(&private.to_pkcs8().unwrap()),
            "certificate": BASE64.encode(&certificate.der),
            "binding": {"client_id": "id", "token_endpoint": "https://login.example/token"},
        });
        let opened = Opened::from_json(first.to_string().as_bytes()).unwrap();
        let credential = opened.credential();
        assert_eq!(credential.in_slot(Slot::Active).unwrap().key_id, "one");
        assert_eq!(credential.binding.as_ref().unwrap().object_id, None);
        let public = |opened: &Opened| {
            let kept = KeyStore::SealedFiles
                .private_key(&opened.keys[0].private, &certificate.public)
                .unwrap();
            kept.public().to_vec()
        };
        assert_eq!(public(&opened), private.public());

        let second = opened.to_json().unwrap();
        let again = Opened::from_json(&second).unwrap();
        assert!(again.credential() == credential);
        assert_eq!(public(&again), private.public());
        assert!(String::from_utf8_lossy(&second).starts_with("{\"v\":2,"));
        for bad in ["{}", r#"{"v":1}"#, r#"{"v":2,"keys":[{}]}"#, r#"{"v":3,"keys":[]}"#] {
            assert!(Opened::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
