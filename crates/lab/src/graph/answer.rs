//! An answer and how it goes out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use futures::stream;
use uuid::Uuid;

use super::bad;
use crate::faults::{Effect, When};
use crate::state::{self, Core};
use crate::throttle::Permit;

/// A larger answer goes out in pieces of this size, so that its request counts as open until the
/// last one.
const PIECE: usize = 64 * 1024;

pub(crate) enum Content {
    Empty,
    Json(Vec<u8>),
    Mime(Arc<Core>),
    /// A file of this content type.
    File(String, Bytes),
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Json(json) => json.len(),
            Self::Mime(core) => core.content.len(),
            Self::File(_, bytes) => bytes.len(),
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) retry_after: Option<u32>,
    pub(crate) location: Option<String>,
    /// Other headers.
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) preference_applied: Option<&'static str>,
    /// The same for the time zone of events.
    pub(crate) zone_applied: Option<String>,
}

impl Answer {
    pub(crate) fn status(status: u16, content: Content) -> Self {
        Self {
            status,
            content,
            retry_after: None,
            location: None,
            headers: Vec::new(),
            preference_applied: None,
            zone_applied: None,
        }
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
        effect: &Effect,
        permit: Option<Permit>,
    ) -> Response<Body> {
        let empty = self.content.len() == 0;
        let Sent { kind, length: told, mut pieces } = match effect.body {
            Some(bad) if (200..300).contains(&self.status) && !empty => {
                bad::body(bad, self.content)
            }
            _ => Sent::of(self.content),
        };
        let length = told.unwrap_or(bad::ENDLESS);
        let mut status = self.status;
        let body = match effect.reset {
            // There is no middle: nothing goes out, not even a status that could pass for success.
            Some(_) if length == 0 || effect.reset == Some(When::Before) => {
                status = 502;
                broken(Box::new(std::iter::empty()), 0, effect, permit)
            }
            Some(_) => broken(pieces, length / 2, effect, permit),
            None if length > PIECE || effect.bytes_per_second.is_some() => {
                in_pieces(pieces, length, effect, permit)
            }
            None => {
                // Before the first byte goes out: a client that has them all may ask again.
                drop(permit);
                Body::from(pieces.next().unwrap_or_default())
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(kind) = kind.filter(|_| status == self.status) {
            set(header::CONTENT_TYPE, &kind);
            // One that says how long it is has an end.
            if let Some(length) = told {
                set(header::CONTENT_LENGTH, &length.to_string());
            }
        }
        set(header::CACHE_CONTROL, "private");
        set(HeaderName::from_static("request-id"), &request_id.to_string());
        set(HeaderName::from_static("odata-version"), "4.0");
        if let Some(id) = client_request_id {
            set(HeaderName::from_static("client-request-id"), id);
        }
        let applied: Vec<&str> =
            [self.preference_applied, self.zone_applied.as_deref()].into_iter().flatten().collect();
        if !applied.is_empty() {
            set(HeaderName::from_static("preference-applied"), &applied.join(", "));
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
        for (name, value) in &self.headers {
            set(name.clone(), value);
        }
        response
    }
}

pub(super) const JSON: &str = "application/json; odata.metadata=minimal; odata.streaming=true; \
                    IEEE754Compatible=false; charset=utf-8";

/// The bytes of an answer; together they are as long as it says.
type Pieces = Box<dyn Iterator<Item = Bytes> + Send>;

/// What goes out: content type, length if it is told, and bytes.
pub(super) struct Sent {
    pub(super) kind: Option<String>,
    pub(super) length: Option<usize>,
    pub(super) pieces: Pieces,
}

impl Sent {
    pub(super) fn of(content: Content) -> Self {
        let length = Some(content.len());
        let (kind, pieces): (Option<String>, Pieces) = match content {
            Content::Empty => (None, Box::new(std::iter::empty())),
            Content::Json(json) => (Some(JSON.to_owned()), whole(Bytes::from(json))),
            Content::Mime(core) => (Some("text/plain".to_owned()), state::Content::pieces(core)),
            Content::File(kind, bytes) => (Some(kind), whole(bytes)),
        };
        Self { kind, length, pieces }
    }
}

pub(super) fn whole(bytes: Bytes) -> Pieces {
    Box::new(std::iter::once(bytes))
}

/// An answer on its way out.
struct Outgoing {
    pieces: Pieces,
    /// What is left of the current piece.
    current: Bytes,
    /// Bytes that are still to come.
    left: usize,
    largest: usize,
    bytes_per_second: Option<u64>,
    permit: Option<Permit>,
    breaks: bool,
}

impl Outgoing {
    fn new(pieces: Pieces, length: usize, effect: &Effect, permit: Option<Permit>) -> Self {
        // Ten pieces a second are a trickle, not a series of bursts.
        let trickle =
            effect.bytes_per_second.map(|rate| usize::try_from(rate / 10).unwrap_or(PIECE));
        Self {
            pieces,
            current: Bytes::new(),
            left: length,
            largest: trickle.unwrap_or(PIECE).clamp(1, PIECE),
            bytes_per_second: effect.bytes_per_second,
            permit,
            breaks: false,
        }
    }

    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        if self.left == 0 {
            // The end of the stream, or an error that makes the server drop it.
            let error =
                std::io::Error::new(std::io::ErrorKind::ConnectionReset, "ordered by a fault rule");
            return std::mem::take(&mut self.breaks).then(|| (Err(error), self));
        }
        while self.current.is_empty() {
            self.current = self.pieces.next()?;
        }
        let size = self.current.len().min(self.largest).min(self.left);
        let piece = self.current.split_to(size);
        if let Some(rate) = self.bytes_per_second {
            tokio::time::sleep(Duration::from_secs_f64(size as f64 / rate as f64)).await;
        }
        self.left -= size;
        if self.left == 0 && !self.breaks {
            // Before the last byte goes out: a client that has them all may ask again.
            self.permit = None;
        }
        Some((Ok(piece), self))
    }
}

fn in_pieces(pieces: Pieces, length: usize, effect: &Effect, permit: Option<Permit>) -> Body {
    Body::from_stream(stream::unfold(Outgoing::new(pieces, length, effect, permit), Outgoing::next))
}

/// The beginning of an answer, then an error.
fn broken(pieces: Pieces, length: usize, effect: &Effect, permit: Option<Permit>) -> Body {
    let outgoing = Outgoing { breaks: true, ..Outgoing::new(pieces, length, effect, permit) };
    Body::from_stream(stream::unfold(outgoing, Outgoing::next))
}
