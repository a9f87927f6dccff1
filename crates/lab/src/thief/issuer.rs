//! A thief's own identity provider, which an application was made to trust: he needs no key of anybody's.

use aws_lc_rs::signature::RsaKeyPair;
use data_encoding::BASE64;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{OwnKey, Thief, let_in, signed_as};
use crate::LabError;

/// What Microsoft's tools have a federated credential ask for
/// (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust>).
const AUDIENCE: &str = "api://AzureADTokenExchange";
const KEY_NAME: &str = "1";

/// An identity provider of his.
pub struct OwnIssuer {
    issuer: &'static str,
    subject: &'static str,
    key: OwnKey,
}

impl OwnIssuer {
    /// One that says `subject` of whom it vouches for.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn make(issuer: &'static str, subject: &'static str) -> Result<Self, LabError> {
        Ok(Self { issuer, subject, key: OwnKey::make()? })
    }

    /// What he has put on an application, by somebody who may: `POST /_lab/applications/ID`.
    pub fn trust(&self) -> Value {
        json!({ "add_federated": {
            "name": "nightly", "issuer": self.issuer, "subject": self.subject,
        } })
    }

    /// What he publishes at his address, where the directory finds his key: `POST /_lab/issuers`.
    pub fn published(&self) -> Value {
        let base64 = BASE64.encode(&self.key.certificate);
        let certificate =
            format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        json!({ "issuer": self.issuer, "kid": KEY_NAME, "certificate": certificate })
    }

    fn assertion(&self) -> Result<String, LabError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = json!({
            "iss": self.issuer,
            "sub": self.subject,
            "aud": AUDIENCE,
            "jti": Uuid::new_v4(),
            "nbf": now,
            "iat": now,
            "exp": now + 300,
        });
        let header = json!({ "alg": "PS256", "typ": "JWT", "kid": KEY_NAME });
        let key: &RsaKeyPair = &self.key.key;
        signed_as(&header, key, &claims)
    }
}

impl Thief {
    /// Whether a token is given out for what his own identity provider says.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn is_let_in_by(&self, issuer: &OwnIssuer) -> Result<bool, LabError> {
        let_in(self.token_with(&issuer.assertion()?).await)
    }
}
