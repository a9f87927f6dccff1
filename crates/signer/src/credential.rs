//! What a key's sealed file holds.

use data_encoding::BASE64;
use mailkeep_identity::{Binding, CertificateInfo};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::key::Certificate;

/// Version of the sealed file's content.
const VERSION: u16 = 1;

/// One credential without its private key.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) key_id: String,
    pub(crate) certificate: Certificate,
    pub(crate) binding: Option<Binding>,
}

impl Credential {
    pub(crate) fn info(&self) -> CertificateInfo {
        self.certificate.info(&self.key_id)
    }

    pub(crate) fn is_expired(&self, now: OffsetDateTime) -> bool {
        now >= self.certificate.not_after
    }
}

/// One credential with its private key (PKCS#8).
pub(crate) struct Opened {
    pub(crate) credential: Credential,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
}

impl Opened {
    /// Reads the content of a sealed file.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        // serde_json's message would quote what it does not understand.
        let stored: Stored = serde_json::from_slice(json).map_err(|_| "it holds no credential")?;
        if stored.v != VERSION {
            return Err(format!("it is of version {}, which this signer cannot read", stored.v));
        }
        let decode = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| "it is not base64");
        let certificate =
            Certificate::from_der(decode(&stored.certificate)?).ok_or("it holds no certificate")?;
        let pkcs8 = Zeroizing::new(decode(&stored.pkcs8)?);
        let credential = Credential { key_id: stored.key_id, certificate, binding: stored.binding };
        Ok(Self { credential, pkcs8 })
    }

    /// The content of its sealed file.
    pub(crate) fn to_json(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let stored = Stored {
            v: VERSION,
            key_id: self.credential.key_id.clone(),
            pkcs8: Zeroizing::new(BASE64.encode(&self.pkcs8)),
            certificate: BASE64.encode(&self.credential.certificate.der),
            binding: self.credential.binding.clone(),
        };
        // Room enough that the buffer does not move and leave copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(16 * 1024));
        serde_json::to_writer(&mut *json, &stored)?;
        Ok(json)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u16,
    key_id: String,
    pkcs8: Zeroizing<String>,
    certificate: String,
    binding: Option<Binding>,
}
