//! Verification of a certificate client assertion, as strict as Entra's and in one place stricter: a
//! `jti` is needed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXUPPER;
use serde::Deserialize;
use uuid::Uuid;

use super::errors::EntraError;
use super::jwt::Jwt;
use crate::clock;
use crate::state::KeyCredential;

/// How far the clocks of client and endpoint may be apart, in seconds.
pub(super) const SKEW: f64 = 300.0;

/// What the endpoint expects.
pub(super) struct Expected<'a> {
    pub(super) client: Uuid,
    /// Of the application and its service principal, as far as the endpoint knows them yet.
    pub(super) keys: &'a [KeyCredential],
    /// Every form of this tenant's token endpoint.
    pub(super) audiences: &'a [String],
    pub(super) ps256_only: bool,
    /// Unix time.
    pub(super) now: i64,
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
    assertion: &Jwt<'_>,
    expected: &Expected<'_>,
    used: &mut Option<KeyCredential>,
) -> Result<Verified, EntraError> {
    let supported = assertion.algorithm().is_some()
        && (assertion.header.alg == "PS256" || !expected.ps256_only);
    if !supported {
        return Err(malformed("The signature algorithm is not supported."));
    }
    let credential = find_credential(assertion, expected)?;
    *used = Some(credential.clone());
    check_validity(credential, expected.now)?;
    if !assertion.is_signed_by(&credential.public_key) {
        return Err(invalid_signature(
            expected,
            "Key was found, but use of the key to verify the signature failed.",
            &credential.thumbprint(),
        ));
    }
    let claims: Claims =
        assertion.claims().ok_or_else(|| malformed("The claims cannot be read."))?;
    check_claims(&claims, expected)?;
    match claims.jti {
        Some(jti) if !jti.is_empty() => {
            Ok(Verified { jti, expires: (claims.exp + SKEW) as i64 + 1 })
        }
        _ => Err(malformed("It has no 'jti'.")),
    }
}

pub(super) fn malformed(what: &str) -> EntraError {
    EntraError::new(50_027, format!("JWT token is invalid or malformed. {what}"))
}

fn find_credential<'a>(
    assertion: &Jwt<'_>,
    expected: &Expected<'a>,
) -> Result<&'a KeyCredential, EntraError> {
    let [sha256, sha1] = assertion.thumbprints();
    let named = |given: &Option<Option<Vec<u8>>>, own: &[u8]| match given {
        None => true,
        Some(given) => given.as_deref() == Some(own),
    };
    let found = (sha256.is_some() || sha1.is_some())
        .then(|| {
            expected.keys.iter().find(|key| named(&sha256, &key.sha256) && named(&sha1, &key.sha1))
        })
        .flatten();
    found.ok_or_else(|| {
        let shown = sha256.or(sha1).flatten().unwrap_or_default();
        invalid_signature(expected, "The key was not found.", &HEXUPPER.encode(&shown))
    })
}

fn check_validity(credential: &KeyCredential, now: i64) -> Result<(), EntraError> {
    if credential.revoked {
        return Err(EntraError::new(
            7_000_214,
            format!(
                "Certificate has been revoked. Thumbprint of key used by client: '{}'.",
                credential.thumbprint()
            ),
        ));
    }
    if !(credential.start..=credential.end).contains(&now) {
        let state = if now > credential.end { "expired" } else { "not yet valid" };
        return Err(EntraError::new(
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is {state} on \
                 application. [Reason - The key used is {state}., Thumbprint of key used by client: \
                 '{}', Found key 'Start={}, End={}']",
                credential.thumbprint(),
                clock::iso(credential.start),
                clock::iso(credential.end)
            ),
        ));
    }
    // The credential was registered for longer than its certificate is good.
    if !(credential.not_before..=credential.not_after).contains(&now) {
        return Err(EntraError::new(
            1_000_502,
            "The provided certificate is not within its specified validity window.",
        ));
    }
    Ok(())
}

fn invalid_signature(expected: &Expected<'_>, reason: &str, thumbprint: &str) -> EntraError {
    EntraError::new(
        700_027,
        format!(
            "The certificate with identifier used to sign the client assertion is not registered on \
             application. [Reason - {reason}, Thumbprint of key used by client: '{thumbprint}', Please \
             visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for \
             app Id '{}'.]",
            expected.client
        ),
    )
}

fn check_claims(claims: &Claims, expected: &Expected<'_>) -> Result<(), EntraError> {
    let names_client = |text: &str| Uuid::try_parse(text).is_ok_and(|id| id == expected.client);
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
    check_time(claims.nbf.or(claims.iat), claims.exp, expected.now)
}

/// Whether an assertion is of now.
pub(super) fn check_time(from: Option<f64>, expires: f64, now: i64) -> Result<(), EntraError> {
    let at = now as f64;
    let from = from.unwrap_or(f64::NEG_INFINITY);
    if !expires.is_finite() || at > expires + SKEW || at < from - SKEW {
        return Err(EntraError::new(
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {}, assertion \
                 valid from {}, expiry time of assertion {}.",
                clock::iso(now),
                clock::iso(from.max(0.0) as i64),
                clock::iso(expires as i64)
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
