//! The client assertion: a JSON Web Token that we sign, and the provider takes in place of a
//! password (RFC 7523 section 2.2; Microsoft: "Microsoft identity platform application
//! authentication certificate credentials").
//!
//! The text is made here and signed in the signer: [`signing_input`], then a PS256 signature
//! (RFC 7518 section 3.5), then [`assemble`].

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// How long an assertion is good for. The provider advises 5 to 10 minutes at most; it is used at
/// once, so the shorter one.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// The SHA-256 over a certificate's DER: how the provider finds the key (`x5t#S256`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a certificate in DER.
    pub fn of_der(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// As it stands in an assertion's header: base64url, without padding (43 characters).
    pub fn base64url(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// As people and the provider's portal write it: 64 hexadecimal digits, upper case.
    pub fn hex(&self) -> String {
        data_encoding::HEXUPPER.encode(&self.0)
    }
}

/// What an assertion says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The token endpoint that the assertion is for, and no other.
    pub token_endpoint: &'a str,
    /// The application's client id: issuer and subject in one.
    pub client_id: &'a str,
    /// Unique per assertion.
    pub jti: Uuid,
    /// When it was made; good from here on for [`LIFETIME`]. Whole seconds are kept.
    pub now: OffsetDateTime,
}

impl Claims<'_> {
    /// When the assertion stops being good, in whole seconds.
    pub fn expires(&self) -> OffsetDateTime {
        let now = self.now.replace_nanosecond(0).unwrap_or(self.now);
        now + LIFETIME
    }
}

/// The text that is signed: header and claims in base64url, joined with a dot.
pub fn signing_input(thumbprint: &Thumbprint, claims: &Claims<'_>) -> String {
    let header = Header { alg: "PS256", typ: "JWT", x5t_s256: thumbprint.base64url() };
    let now = claims.now.unix_timestamp();
    let payload = Payload {
        aud: claims.token_endpoint,
        iss: claims.client_id,
        sub: claims.client_id,
        jti: claims.jti.to_string(),
        nbf: now,
        iat: now,
        exp: claims.expires().unix_timestamp(),
    };
    format!("{}.{}", encode(&header), encode(&payload))
}

/// The whole assertion: the signed text and its signature.
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", BASE64URL_NOPAD.encode(signature))
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    #[serde(rename = "x5t#S256")]
    x5t_s256: String,
}

#[derive(Serialize)]
struct Payload<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    iat: i64,
    exp: i64,
}

fn encode(part: &impl Serialize) -> String {
    let json = serde_json::to_vec(part).expect("texts and integers always serialise");
    BASE64URL_NOPAD.encode(&json)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_assertion_says_what_the_provider_expects() {
        let thumbprint = Thumbprint::of_der(b"certificate");
        let claims = Claims {
            token_endpoint: "https://login.example/t/oauth2/v2.0/token",
            client_id: "11111111-2222-3333-4444-555555555555",
            jti: Uuid::from_u128(7),
            now: datetime!(2026-03-01 12:00:00.9 UTC),
        };
        let text = signing_input(&thumbprint, &claims);
        let (header, payload) = text.split_once('.').unwrap();
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
        };
        assert_eq!(
            json(header),
            serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint.base64url()})
        );
        assert_eq!(thumbprint.base64url().len(), 43);
        assert_eq!(
            json(payload),
            serde_json::json!({
                "aud": "https://login.example/t/oauth2/v2.0/token",
                "iss": "11111111-2222-3333-4444-555555555555",
                "sub": "11111111-2222-3333-4444-555555555555",
                "jti": "00000000-0000-0000-0000-000000000007",
                "nbf": 1_772_366_400, "iat": 1_772_366_400, "exp": 1_772_366_700,
            })
        );
        assert_eq!(claims.expires(), datetime!(2026-03-01 12:05:00 UTC));
    }
}
