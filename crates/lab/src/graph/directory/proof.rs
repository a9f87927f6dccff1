//! Proofs of possession, with which keys are rolled
//! (<https://learn.microsoft.com/graph/application-rollkey-prooftoken>).

use serde::Deserialize;
use uuid::Uuid;

use crate::entra::{Jwt, Padding};
use crate::graph::errors::GraphError;
use crate::state::DirectoryObject;

/// Whom a proof is for: the directory's older interface, not Graph.
const AUDIENCE: &str = "00000002-0000-0000-c000-000000000000";
/// Seconds that a proof may be valid for.
const LONGEST: f64 = 600.0;
/// How far the clocks may be apart, in seconds.
const SKEW: f64 = 300.0;

#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    exp: f64,
    nbf: Option<f64>,
}

/// Whether `proof` was signed, now and for this object, with a key that is valid on it.
///
/// The documentation calls `aud` and `iss` the only required claims and demands a validity of ten
/// minutes at most, which cannot be told without `exp`: the lab wants that, too.
pub(super) fn check(proof: &str, object: &DirectoryObject, now: i64) -> Result<(), GraphError> {
    is_proof(proof, object, now).ok_or_else(|| {
        GraphError::new(
            401,
            "Authentication_MissingOrMalformed",
            "Access Token missing or malformed.",
        )
    })
}

fn is_proof(proof: &str, object: &DirectoryObject, now: i64) -> Option<()> {
    let jwt = Jwt::parse(proof, Padding::Refused).ok()?;
    let claims: Claims = jwt.claims()?;
    let (at, from) = (now as f64, claims.nbf.unwrap_or(now as f64));
    let names_object = Uuid::try_parse(&claims.iss) == Ok(object.object_id);
    let in_time = claims.exp.is_finite()
        && from <= at + SKEW
        && at < claims.exp + SKEW
        && claims.exp - from <= LONGEST;
    if claims.aud != AUDIENCE || !names_object || !in_time {
        return None;
    }
    let [sha256, sha1] = jwt.thumbprints();
    let named = |given: &Option<Option<Vec<u8>>>, own: &[u8]| match given {
        None => true,
        Some(given) => given.as_deref() == Some(own),
    };
    object
        .credentials
        .keys
        .iter()
        .filter(|key| key.is_valid(now))
        .filter(|key| named(&sha256, &key.sha256) && named(&sha1, &key.sha1))
        .any(|key| jwt.is_signed_by(&key.public_key))
        .then_some(())
}
