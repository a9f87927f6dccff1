//! Verification of a certificate client assertion, as strict as Entra's and in one place stricter: a
//! `jti` is needed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use data_encoding::{BASE64URL_NOPAD, HEXUPPER};
use serde::Deserialize;
use uuid::Uuid;

use super::errors::EntraError;
use crate::clock;
use crate::options::AssertionAlgorithms;
use crate::state::{Application, Credential};

/// How far the clocks of client and endpoint may be apart, in seconds.
const SKEW: f64 = 300.0;
const LONGEST: usize = 16 * 1024;

/// What the endpoint expects.
pub(super) struct Expected<'a> {
    pub(super) application: &'a Application,
    /// Every form of this tenant's token endpoint.
    pub(super) audiences: &'a [String],
    pub(super) algorithms: AssertionAlgorithms,
    /// Unix time.
    pub(super) now: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    x5t: Option<String>,
    #[serde(default, rename = "x5t#S256")]
    x5t_s256: Option<String>,
}

/// Times are NumericDate and may have fractions (RFC 7519, section 2).
#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    sub: String,
    jti: Option<String>,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
}

/// An assertion that is in order; it still has to be new.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) jti: String,
    pub(super) expires: i64,
}

/// Verifies; tells in `used` which credential it was signed with as soon as that is known, for
/// the sign-in log has it in a refusal, too.
pub(super) fn verify(
    assertion: &str,
    expected: &Expected<'_>,
    used: &mut Option<Credential>,
) -> Result<Verified, EntraError> {
    let malformed =
        |what: &str| EntraError::new(50_027, format!("JWT token is invalid or malformed. {what}"));
    if assertion.len() > LONGEST {
        return Err(malformed("It is too long."));
    }
    let mut parts = assertion.split('.');
    let (Some(head), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("It does not have three parts."));
    };
    let decode = |part: &str| {
        // azure-identity for Python pads the parts when it is asynchronous; Entra does not mind.
        let part = part.trim_end_matches('=');
        BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| malformed("A part is not base64url."))
    };
    let header: Header = serde_json::from_slice(&decode(head)?)
        .map_err(|_| malformed("The header cannot be read."))?;
    let algorithm = algorithm(&header.alg, expected.algorithms)
        .ok_or_else(|| malformed("The signature algorithm is not supported."))?;

    let credential = find_credential(&header, expected)?;
    *used = Some(credential.clone());
    check_validity(credential, expected.now)?;
    let signed = &assertion[..head.len() + 1 + body.len()];
    UnparsedPublicKey::new(algorithm, &credential.public_key)
        .verify(signed.as_bytes(), &decode(signature)?)
        .map_err(|_| {
            invalid_signature(
                expected,
                "Key was found, but use of the key to verify the signature failed.",
                &credential.thumbprint(),
            )
        })?;

    let claims: Claims = serde_json::from_slice(&decode(body)?)
        .map_err(|_| malformed("The claims cannot be read."))?;
    check_claims(&claims, expected)?;
    match claims.jti {
        Some(jti) if !jti.is_empty() => {
            Ok(Verified { jti, expires: (claims.exp + SKEW) as i64 + 1 })
        }
        _ => Err(malformed("It has no 'jti'.")),
    }
}

fn algorithm(
    name: &str,
    allowed: AssertionAlgorithms,
) -> Option<&'static dyn VerificationAlgorithm> {
    match (name, allowed) {
        ("PS256", _) => Some(&RSA_PSS_2048_8192_SHA256),
        ("RS256", AssertionAlgorithms::Ps256AndRs256) => Some(&RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}

fn find_credential<'a>(
    header: &Header,
    expected: &Expected<'a>,
) -> Result<&'a Credential, EntraError> {
    // Python's msal pads the thumbprint; everybody else does not.
    let thumbprint =
        |text: &str| BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok();
    let sha256 = header.x5t_s256.as_deref().map(thumbprint);
    let sha1 = header.x5t.as_deref().map(thumbprint);
    let named = |given: &Option<Option<Vec<u8>>>, own: &[u8]| match given {
        None => true,
        Some(given) => given.as_deref() == Some(own),
    };
    let found = (sha256.is_some() || sha1.is_some())
        .then(|| {
            expected.application.credentials.iter().find(|credential| {
                named(&sha256, &credential.sha256) && named(&sha1, &credential.sha1)
            })
        })
        .flatten();
    found.ok_or_else(|| {
        let shown = sha256.or(sha1).flatten().unwrap_or_default();
        invalid_signature(expected, "The key was not found.", &HEXUPPER.encode(&shown))
    })
}

fn check_validity(credential: &Credential, now: i64) -> Result<(), EntraError> {
    if (credential.not_before..=credential.not_after).contains(&now) {
        return Ok(());
    }
    let state = if now > credential.not_after { "expired" } else { "not yet valid" };
    Err(EntraError::new(
        700_027,
        format!(
            "The certificate with identifier used to sign the client assertion is {state} on application. \
             [Reason - The key used is {state}., Thumbprint of key used by client: '{}', \
             Found key 'Start={}, End={}']",
            credential.thumbprint(),
            clock::iso(credential.not_before),
            clock::iso(credential.not_after)
        ),
    ))
}

fn invalid_signature(expected: &Expected<'_>, reason: &str, thumbprint: &str) -> EntraError {
    EntraError::new(
        700_027,
        format!(
            "The certificate with identifier used to sign the client assertion is not registered on \
             application. [Reason - {reason}, Thumbprint of key used by client: '{thumbprint}', Please \
             visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for \
             app Id '{}'.]",
            expected.application.client_id
        ),
    )
}

fn check_claims(claims: &Claims, expected: &Expected<'_>) -> Result<(), EntraError> {
    let client = expected.application.client_id;
    let names_client = |text: &str| Uuid::try_parse(text).is_ok_and(|id| id == client);
    if !names_client(&claims.iss) || !names_client(&claims.sub) {
        return Err(EntraError::new(
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ));
    }
    if !expected.audiences.iter().any(|audience| audience.eq_ignore_ascii_case(&claims.aud)) {
        return Err(EntraError::new(
            700_023,
            "Client assertion audience claim does not match Realm issuer.",
        ));
    }
    let now = expected.now as f64;
    let from = claims.nbf.or(claims.iat).unwrap_or(f64::NEG_INFINITY);
    if !claims.exp.is_finite() || now > claims.exp + SKEW || now < from - SKEW {
        return Err(EntraError::new(
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {}, assertion \
                 valid from {}, expiry time of assertion {}.",
                clock::iso(expected.now),
                clock::iso(from.max(0.0) as i64),
                clock::iso(claims.exp as i64)
            ),
        ));
    }
    Ok(())
}

/// Assertions that have been taken, until they could not be used any more. Entra takes one again:
/// clients keep an assertion for minutes and ask for several tokens with it.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    seen: Mutex<HashMap<(Uuid, String), i64>>,
}

impl Replays {
    /// Whether it is an assertion's first use.
    pub(super) fn is_new(&self, client: Uuid, verified: Verified, now: i64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() % 1024 == 1023 {
            seen.retain(|_, expires| *expires >= now);
        }
        seen.insert((client, verified.jti), verified.expires).is_none()
    }
}
