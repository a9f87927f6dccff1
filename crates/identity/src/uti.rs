//! `uti`, the provider's identifier of a token.
//!
//! It is the same text in the token's claim `uti`, in the sign-in log's
//! `uniqueTokenIdentifier` and in the activity logs, and is the base64url form of a request id's
//! bytes in the order in which .NET writes a GUID.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use uuid::Uuid;

/// Longest access token that is looked into; real ones have a few kilobytes.
const MAX_TOKEN: usize = 64 * 1024;

/// The `uti` that belongs to a request id (22 characters).
pub fn from_request_id(id: Uuid) -> String {
    BASE64URL_NOPAD.encode(&id.to_bytes_le())
}

/// The request id that a `uti` stands for; `None` when the text is not one.
pub fn to_request_id(uti: &str) -> Option<Uuid> {
    let bytes = BASE64URL_NOPAD.decode(uti.as_bytes()).ok()?;
    Some(Uuid::from_bytes_le(bytes.try_into().ok()?))
}

/// Reads the claim `uti` out of an access token, without checking the token: whoever made it
/// chose what it says.
///
/// Tokens for Microsoft Graph are officially opaque, so that `None` is a normal answer.
pub fn peek(access_token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        uti: String,
    }

    if access_token.len() > MAX_TOKEN {
        return None;
    }
    let payload = access_token.split('.').nth(1)?;
    let payload = BASE64URL_NOPAD.decode(payload.trim_end_matches('=').as_bytes()).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let plausible = (1..=64).contains(&claims.uti.len())
        && claims.uti.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    plausible.then_some(claims.uti)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_joins_with_its_token() {
        let id: Uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
        // .NET writes the first three fields with the lowest byte first.
        let bytes = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        assert_eq!(from_request_id(id), BASE64URL_NOPAD.encode(&bytes));
        assert_eq!(to_request_id(&from_request_id(id)), Some(id));
        assert_eq!(to_request_id("short"), None);
    }

    #[test]
    fn an_opaque_token_is_no_error() {
        let token = |claims: &str| format!("e30.{}.sig", BASE64URL_NOPAD.encode(claims.as_bytes()));
        assert_eq!(peek(&token(r#"{"uti":"abc_-9"}"#)).as_deref(), Some("abc_-9"));
        for opaque in ["", "x", "a.b", "a.!.c", &token("{}"), &token(r#"{"uti":"a b"}"#)] {
            assert_eq!(peek(opaque), None, "{opaque:?}");
        }
        assert_eq!(peek(&token(r#"{"uti":7}"#)), None);
    }
}
