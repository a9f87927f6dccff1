use std::ops::Range;

use data_encoding::BASE64URL_NOPAD;
use mailkeep_model::Severity;

use super::{CERTAIN, Secret};

/// A longer header is none; tokens with whole certificates in it stay below.
const HEADER: usize = 8_192;
const LONGEST: usize = 32_768;

/// A JSON Web Token (RFC 7519): a header that decodes to an object with an algorithm, a payload,
/// and mostly a signature.
pub(super) fn read(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let start = trigger.start;
    let mut before = text[..start].chars().rev();
    let joined = match (before.next(), before.next()) {
        (Some('.'), Some(c)) => c.is_ascii_alphanumeric(),
        (Some(c), _) => c.is_ascii_alphanumeric() || c == '_' || c == '-',
        (None, _) => false,
    };
    if joined {
        return None;
    }
    let token = &text[start..part_end(text, start)?];
    let mut parts = token.split('.');
    let (header, payload) = (parts.next()?, parts.next()?);
    if header.len() > HEADER || payload.len() < 8 || !is_header(header) {
        return None;
    }
    // A third part is a signature; what follows a full stop behind the payload may be a sentence.
    let length = match parts.next() {
        Some(signature) if signature.len() >= 16 => {
            header.len() + payload.len() + signature.len() + 2
        }
        _ => header.len() + payload.len() + 1,
    };
    Some(Secret {
        place: start..start + length,
        entity: "SECRET_JWT",
        title: "JSON Web Token",
        severity: Severity::High,
        certainty: CERTAIN,
    })
}

/// The end of base64url and full stops.
fn part_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text.as_bytes()[start..];
    let length = rest
        .iter()
        .take(LONGEST)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        .count();
    (length > 20).then_some(start + length)
}

fn is_header(header: &str) -> bool {
    BASE64URL_NOPAD.decode(header.as_bytes()).is_ok_and(|json| {
        json.starts_with(b"{\"")
            && json.ends_with(b"}")
            && memchr::memmem::find(&json, b"\"alg\"").is_some()
    })
}
