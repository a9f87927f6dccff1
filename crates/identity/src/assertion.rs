//! The client assertion: a JSON Web Token that we sign, and the provider takes in place of a
//! password (RFC 7523 section 2.2; Microsoft: "Microsoft identity platform application
//! authentication certificate credentials").
//!
//! The text is made here and signed in the signer: [`signing_input`], then a PS256 signature,
//! then [`assemble`](crate::jwt::assemble).

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::jwt::{self, Thumbprint};

/// How long an assertion is good for. The provider advises 5 to 10 minutes at most; it is used at
/// once, so the shorter one.
pub const LIFETIME: Duration = Duration::from_secs(300);

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
        jwt::expires(self.now, LIFETIME)
    }
}

/// The text that is signed: header and claims in base64url, joined with a dot.
pub fn signing_input(thumbprint: &Thumbprint, claims: &Claims<'_>) -> String {
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
    jwt::signing_input(thumbprint, &payload)
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::jwt::tests::decoded;

    #[test]
    fn an_assertion_says_what_the_provider_expects() {
        let claims = Claims {
            token_endpoint: "https://login.example/t/oauth2/v2.0/token",
            client_id: "11111111-2222-3333-4444-555555555555",
            jti: Uuid::from_u128(7),
            now: datetime!(2026-03-01 12:00:00.9 UTC),
        };
        let (_, payload) = decoded(&signing_input(&Thumbprint::of_der(b"certificate"), &claims));
        assert_eq!(
            payload,
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
