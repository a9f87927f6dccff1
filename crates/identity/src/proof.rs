//! The proof of possession: a JSON Web Token by which an application shows Graph that it holds one
//! of its keys, when it adds or removes another (`addKey`, `removeKey`; Microsoft Graph: "Generate
//! proof-of-possession tokens for rolling keys").
//!
//! Made here and signed in the signer, as an [assertion](crate::assertion).

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::jwt::{self, Thumbprint};

/// How long a proof is good for; Graph takes at most 10 minutes.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// Whom a proof is for: the old directory API, not Graph, whatever the request goes to.
pub const AUDIENCE: &str = "00000002-0000-0000-c000-000000000000";

/// What a proof says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The object whose keys are changed: the *object* id of the application, not its client id.
    pub object_id: &'a str,
    /// When it was made; good from here on for [`LIFETIME`]. Whole seconds are kept.
    pub now: OffsetDateTime,
}

impl Claims<'_> {
    /// When the proof stops being good, in whole seconds.
    pub fn expires(&self) -> OffsetDateTime {
        jwt::expires(self.now, LIFETIME)
    }
}

/// The text that is signed: header and claims in base64url, joined with a dot.
pub fn signing_input(thumbprint: &Thumbprint, claims: &Claims<'_>) -> String {
    let payload = Payload {
        aud: AUDIENCE,
        iss: claims.object_id,
        nbf: claims.now.unix_timestamp(),
        exp: claims.expires().unix_timestamp(),
    };
    jwt::signing_input(thumbprint, &payload)
}

#[derive(Serialize)]
struct Payload<'a> {
    aud: &'a str,
    iss: &'a str,
    nbf: i64,
    exp: i64,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::jwt::tests::decoded;

    #[test]
    fn a_proof_says_what_graph_expects() {
        let claims = Claims {
            object_id: "99999999-2222-3333-4444-555555555555",
            now: datetime!(2026-03-01 12:00:00.9 UTC),
        };
        let text = signing_input(&Thumbprint::of_der(b"certificate"), &claims);
        assert!(!text.contains('='), "Graph refuses padding");
        assert_eq!(
            decoded(&text).1,
            serde_json::json!({
                "aud": "00000002-0000-0000-c000-000000000000",
                "iss": "99999999-2222-3333-4444-555555555555",
                "nbf": 1_772_366_400, "exp": 1_772_366_700,
            })
        );
        assert_eq!(claims.expires(), datetime!(2026-03-01 12:05:00 UTC));
    }
}
