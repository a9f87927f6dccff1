//! Signed tokens (RFC 7515, compact) as others make them: assertions and proofs.

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

const LONGEST: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    #[serde(default)]
    pub(crate) kid: Option<String>,
    #[serde(default)]
    pub(crate) x5t: Option<String>,
    #[serde(default, rename = "x5t#S256")]
    pub(crate) x5t_s256: Option<String>,
}

/// Which of the two forms of base64url are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// azure-identity for Python pads the parts when it is asynchronous; Entra does not mind.
    Taken,
    /// The directory minds, in a proof.
    Refused,
}

/// A token whose signature has still to be looked at.
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    pub(crate) header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Reads a token, or tells what is wrong with it.
    pub(crate) fn parse(text: &'a str, padding: Padding) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("It is too long.");
        }
        let mut parts = text.split('.');
        let (Some(head), Some(body), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("It does not have three parts.");
        };
        let decode = |part: &str| {
            let part = match padding {
                Padding::Taken => part.trim_end_matches('='),
                Padding::Refused => part,
            };
            BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| "A part is not base64url.")
        };
        let header =
            serde_json::from_slice(&decode(head)?).map_err(|_| "The header cannot be read.")?;
        Ok(Self {
            header,
            signed: &text[..head.len() + 1 + body.len()],
            payload: decode(body)?,
            signature: decode(signature)?,
        })
    }

    /// What it says, if that can be read.
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.payload).ok()
    }

    /// Whether a key (RSAPublicKey, DER) signed it, with PS256 or RS256 as the header says.
    pub(crate) fn is_signed_by(&self, key: &[u8]) -> bool {
        self.algorithm().is_some_and(|algorithm| {
            UnparsedPublicKey::new(algorithm, key)
                .verify(self.signed.as_bytes(), &self.signature)
                .is_ok()
        })
    }

    pub(crate) fn algorithm(&self) -> Option<&'static dyn VerificationAlgorithm> {
        match self.header.alg.as_str() {
            "PS256" => Some(&RSA_PSS_2048_8192_SHA256),
            "RS256" => Some(&RSA_PKCS1_2048_8192_SHA256),
            _ => None,
        }
    }

    /// The thumbprints in the header, decoded; the SHA-256 one first. `Some(None)` is one that
    /// cannot be read.
    pub(crate) fn thumbprints(&self) -> [Option<Option<Vec<u8>>>; 2] {
        // Python's msal pads the thumbprint; everybody else does not.
        [&self.header.x5t_s256, &self.header.x5t].map(|text| {
            text.as_deref()
                .map(|text| BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_told_so() {
        for bad in ["", "a.b", "a.b.c", "....", "e30.e30.e30", "eyJhbGciOiJSUzI1NiJ9.e30=.AA"] {
            assert!(Jwt::parse(bad, Padding::Refused).is_err(), "{bad}");
        }
        assert!(Jwt::parse(&"A".repeat(LONGEST + 1), Padding::Taken).is_err());
        let padded = Jwt::parse("eyJhbGciOiJSUzI1NiJ9.e30=.AA", Padding::Taken).unwrap();
        assert!(padded.claims::<serde_json::Value>().is_some());
        assert!(!padded.is_signed_by(&[1, 2, 3]));
    }
}
