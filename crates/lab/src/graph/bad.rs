//! Answers as a bad provider gives them: what a fault rule's `body` orders.

use axum::body::Bytes;

use super::answer::{Content, JSON, Sent, whole};
use crate::faults::BadBody;

/// Arrays in arrays of an answer that is too deep.
const DEPTH: usize = 100_000;
/// Bytes of an answer without end: it does end, since a test that nobody stops must.
pub(super) const ENDLESS: usize = 3 << 29;
const PIECE: usize = 64 * 1024;
const PAGE: &str = "<!DOCTYPE html>\r\n<html><head><title>Sign in to your account</title></head>\
    <body><h1>Sign in</h1><p>This is not what you have asked for.</p></body></html>\r\n";
const ERROR: &str = "{\"error\":{\"code\":\"InternalServerError\",\"message\":\"The lab was told to \
    answer with an error and 200.\",\"innerError\":{}}}";

/// What is sent in place of an answer that succeeded. Only JSON can be cut or be too deep.
pub(super) fn body(bad: BadBody, content: Content) -> Sent {
    let is_json = matches!(content, Content::Json(_));
    match (bad, content) {
        (BadBody::Truncated, Content::Json(json)) => {
            let half = json.len() / 2;
            json_of(Bytes::from(json).slice(..half))
        }
        (BadBody::Deep, Content::Json(_)) => {
            let mut deep = b"{\"value\":".to_vec();
            deep.resize(deep.len() + DEPTH, b'[');
            deep.resize(deep.len() + DEPTH, b']');
            deep.push(b'}');
            json_of(deep.into())
        }
        (BadBody::Truncated | BadBody::Deep, content) => Sent::of(content),
        (BadBody::Html, _) => Sent {
            kind: Some("text/html; charset=utf-8".to_owned()),
            length: Some(PAGE.len()),
            pieces: whole(Bytes::from_static(PAGE.as_bytes())),
        },
        (BadBody::Error, _) => json_of(Bytes::from_static(ERROR.as_bytes())),
        (BadBody::Endless, content) => {
            let begin: &[u8] = if is_json { b"{\"value\":[0" } else { b"" };
            let again =
                if is_json { b",0".repeat(PIECE / 2) } else { b"0123456\n".repeat(PIECE / 8) };
            let again = Bytes::from(again);
            let first = std::iter::once(Bytes::copy_from_slice(begin));
            Sent {
                kind: Sent::of(content).kind,
                length: None,
                pieces: Box::new(first.chain(std::iter::repeat(again))),
            }
        }
    }
}

fn json_of(bytes: Bytes) -> Sent {
    Sent { kind: Some(JSON.to_owned()), length: Some(bytes.len()), pieces: whole(bytes) }
}
