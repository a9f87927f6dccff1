//! Assertions of other issuers, for applications that trust them (workload identity federation,
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>).
//!
//! Entra fetches the keys of an issuer from where it publishes them; here the administrator brings
//! them.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde::Deserialize;
use uuid::Uuid;

use super::assertion::{check_time, malformed};
use super::errors::EntraError;
use super::jwt::Jwt;
use crate::state::{FederatedCredential, KeyCredential};

/// The issuers that are known, with their keys by `kid`.
#[derive(Debug, Default)]
pub(crate) struct Issuers {
    keys: RwLock<HashMap<(String, String), KeyCredential>>,
}

impl Issuers {
    pub(crate) fn add(&self, issuer: String, kid: String, key: KeyCredential) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert((issuer, kid), key);
    }

    fn find(&self, issuer: &str, kid: Option<&str>) -> Option<KeyCredential> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&(issuer.to_owned(), kid?.to_owned())).cloned()
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Whether an assertion claims to be another issuer's: it names no certificate, and its issuer is an
/// address.
pub(super) fn is_foreign(assertion: &Jwt<'_>) -> bool {
    assertion.header.x5t.is_none()
        && assertion.header.x5t_s256.is_none()
        && assertion.claims::<Claims>().is_some_and(|claims| claims.iss.starts_with("https://"))
}

/// Verifies; gives the id of the credential that the assertion stands for.
pub(super) fn verify(
    assertion: &Jwt<'_>,
    credentials: &[FederatedCredential],
    issuers: &Issuers,
    now: i64,
) -> Result<Uuid, EntraError> {
    let claims: Claims =
        assertion.claims().ok_or_else(|| malformed("The claims cannot be read."))?;
    let audiences = match &claims.aud {
        Audience::One(one) => std::slice::from_ref(one),
        Audience::Many(many) => many,
    };
    let unmatched = |code: u32, what: &str, value: &str| {
        EntraError::new(
            code,
            format!(
                "No matching federated identity record found for presented assertion {what} \
                 '{value}'. Check your federated identity credential Subject, Audience and Issuer \
                 against the presented assertion."
            ),
        )
    };
    let of_issuer: Vec<&FederatedCredential> =
        credentials.iter().filter(|credential| credential.issuer == claims.iss).collect();
    if of_issuer.is_empty() {
        return Err(unmatched(700_211, "issuer", &claims.iss));
    }
    let of_subject: Vec<&FederatedCredential> =
        of_issuer.into_iter().filter(|credential| credential.subject == claims.sub).collect();
    if of_subject.is_empty() {
        return Err(unmatched(700_213, "subject", &claims.sub));
    }
    let found = of_subject
        .into_iter()
        .find(|credential| audiences.iter().any(|one| credential.audiences.contains(one)))
        .ok_or_else(|| unmatched(700_212, "audience", &audiences.join(", ")))?;
    let refused = |reason: &str| {
        EntraError::new(
            50_013,
            format!("Assertion failed signature validation. [Reason - {reason}]"),
        )
    };
    let key = issuers
        .find(&claims.iss, assertion.header.kid.as_deref())
        .ok_or_else(|| refused("The key was not found."))?;
    if !assertion.is_signed_by(&key.public_key) {
        return Err(refused("Key was found, but use of the key to verify the signature failed."));
    }
    check_time(claims.nbf.or(claims.iat), claims.exp, now)?;
    Ok(found.id)
}
