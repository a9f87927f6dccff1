//! What all JSON Web Tokens that we sign have in common: PS256 (RFC 7518 section 3.5), and a key
//! that is named by its certificate's thumbprint.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// The SHA-256 over a certificate's DER: how the provider finds the key (`x5t#S256`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a certificate in DER.
    pub fn of_der(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// As it stands in a token's header: base64url, without padding (43 characters).
    pub fn base64url(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// As people and the provider's portal write it: 64 hexadecimal digits, upper case.
    pub fn hex(&self) -> String {
        data_encoding::HEXUPPER.encode(&self.0)
    }
}

/// When something that was made at `now` stops being good, in the whole seconds that tokens know.
pub(crate) fn expires(now: OffsetDateTime, lifetime: Duration) -> OffsetDateTime {
    now.replace_nanosecond(0).unwrap_or(now) + lifetime
}

/// The whole token: the signed text and its signature.
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", BASE64URL_NOPAD.encode(signature))
}

/// The text that is signed: header and claims in base64url without padding, joined with a dot.
pub(crate) fn signing_input(thumbprint: &Thumbprint, claims: &impl Serialize) -> String {
    let header = Header { alg: "PS256", typ: "JWT", x5t_s256: thumbprint.base64url() };
    format!("{}.{}", encode(&header), encode(claims))
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    #[serde(rename = "x5t#S256")]
    x5t_s256: String,
}

fn encode(part: &impl Serialize) -> String {
    let json = serde_json::to_vec(part).expect("texts and integers always serialise");
    BASE64URL_NOPAD.encode(&json)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Header and claims of a text to sign.
    pub(crate) fn decoded(signing_input: &str) -> (serde_json::Value, serde_json::Value) {
        let json = |part: &str| {
            serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
        };
        let (header, claims) = signing_input.split_once('.').unwrap();
        (json(header), json(claims))
    }

    #[test]
    fn the_provider_finds_the_key_by_the_header() {
        let thumbprint = Thumbprint::of_der(b"certificate");
        let (header, claims) = decoded(&signing_input(&thumbprint, &"claims"));
        assert_eq!(
            header,
            serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint.base64url()})
        );
        assert_eq!(claims, "claims");
        assert_eq!(thumbprint.base64url().len(), 43);
        assert_eq!(assemble("a.b", &[0xff, 0xff]), "a.b.__8");
    }
}
