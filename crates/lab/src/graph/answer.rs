//! An answer and how it goes out.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use futures::stream;
use uuid::Uuid;

use crate::throttle::Permit;

/// A larger answer goes out in pieces of this size, so that its request counts as open until the
/// last one.
const PIECE: usize = 64 * 1024;

pub(crate) enum Content {
    Empty,
    Json(Vec<u8>),
    Mime(Bytes),
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Json(json) => json.len(),
            Self::Mime(mime) => mime.len(),
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) retry_after: Option<u32>,
    pub(crate) location: Option<String>,
    pub(crate) preference_applied: Option<&'static str>,
}

impl Answer {
    pub(crate) fn status(status: u16, content: Content) -> Self {
        Self { status, content, retry_after: None, location: None, preference_applied: None }
    }

    pub(crate) fn json(json: Vec<u8>) -> Self {
        Self::status(200, Content::Json(json))
    }

    pub(crate) fn no_content() -> Self {
        Self::status(204, Content::Empty)
    }

    pub(super) fn respond(
        self,
        request_id: Uuid,
        client_request_id: Option<&str>,
        reset: bool,
        permit: Option<Permit>,
    ) -> Response<Body> {
        let (kind, bytes) = match self.content {
            Content::Empty => (None, Bytes::new()),
            Content::Json(json) => (Some(JSON), Bytes::from(json)),
            Content::Mime(mime) => (Some("text/plain"), mime),
        };
        let length = bytes.len();
        let body = match (reset, length > PIECE) {
            (true, _) => cut(&bytes, permit),
            (false, true) => in_pieces(bytes, permit),
            (false, false) => {
                // Before the first byte goes out: a client that has them all may ask again.
                drop(permit);
                Body::from(bytes)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(kind) = kind {
            set(header::CONTENT_TYPE, kind);
            set(header::CONTENT_LENGTH, &length.to_string());
        }
        set(header::CACHE_CONTROL, "private");
        set(HeaderName::from_static("request-id"), &request_id.to_string());
        set(HeaderName::from_static("odata-version"), "4.0");
        if let Some(id) = client_request_id {
            set(HeaderName::from_static("client-request-id"), id);
        }
        if let Some(applied) = self.preference_applied {
            set(HeaderName::from_static("preference-applied"), applied);
        }
        if let Some(location) = &self.location {
            set(header::LOCATION, location);
        }
        if let Some(seconds) = self.retry_after {
            set(header::RETRY_AFTER, &seconds.to_string());
        }
        if self.status == 401 {
            set(
                header::WWW_AUTHENTICATE,
                "Bearer realm=\"\", client_id=\"00000003-0000-0000-c000-000000000000\"",
            );
        }
        response
    }
}

const JSON: &str = "application/json; odata.metadata=minimal; odata.streaming=true; \
                    IEEE754Compatible=false; charset=utf-8";

/// The pieces share the memory of the whole; the permit goes before the last one.
fn in_pieces(bytes: Bytes, permit: Option<Permit>) -> Body {
    Body::from_stream(stream::unfold((bytes, permit), |(mut left, mut permit)| async move {
        if left.is_empty() {
            return None;
        }
        let piece = left.split_to(left.len().min(PIECE));
        if left.is_empty() {
            permit = None;
        }
        Some((Ok::<_, Infallible>(piece), (left, permit)))
    }))
}

/// Half of an answer, then an error that makes the server drop the connection or the stream.
fn cut(bytes: &Bytes, permit: Option<Permit>) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let broken =
        std::io::Error::new(std::io::ErrorKind::ConnectionReset, "ordered by a fault rule");
    let pieces = [Ok(half), Err(broken)];
    Body::from_stream(stream::unfold(
        (pieces.into_iter(), permit),
        |(mut left, permit)| async move { Some((left.next()?, (left, permit))) },
    ))
}
