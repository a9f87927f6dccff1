//! Refusals of the token endpoint, with the codes of Entra ID
//! (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

/// A refusal: AADSTS number, OAuth error, HTTP status and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntraError {
    pub(crate) code: u32,
    error: &'static str,
    status: u16,
    /// Without the `AADSTSnnn: ` before it.
    pub(crate) text: String,
}

/// Codes with the OAuth error and status that go with them.
const KINDS: &[(u32, &str, u16)] = &[
    (700_027, "invalid_client", 401),
    (700_024, "invalid_client", 401),
    (700_021, "invalid_client", 401),
    (700_023, "invalid_client", 401),
    (7_000_214, "invalid_client", 401),
    (7_000_215, "invalid_client", 401),
    (7_000_216, "invalid_client", 401),
    (7_000_222, "invalid_client", 401),
    (7_000_274, "invalid_client", 401),
    (1_000_502, "invalid_client", 401),
    (700_211, "invalid_client", 401),
    (700_212, "invalid_client", 401),
    (700_213, "invalid_client", 401),
    (50_013, "invalid_grant", 400),
    (50_027, "invalid_request", 400),
    (9_002_313, "invalid_request", 400),
    (7_000_218, "invalid_request", 400),
    (700_016, "unauthorized_client", 400),
    (700_011, "unauthorized_client", 400),
    (70_000, "invalid_grant", 400),
    (7_000_229, "unauthorized_client", 400),
    (70_001, "unauthorized_client", 400),
    (70_003, "unsupported_grant_type", 400),
    (70_011, "invalid_scope", 400),
    (1_002_012, "invalid_scope", 400),
    (28_003, "invalid_scope", 400),
    (90_002, "invalid_request", 400),
    (900_144, "invalid_request", 400),
    (53_003, "access_denied", 400),
    (90_033, "temporarily_unavailable", 503),
    (90_055, "temporarily_unavailable", 429),
];

impl EntraError {
    pub(crate) fn new(code: u32, text: impl Into<String>) -> Self {
        let (error, status) = KINDS
            .iter()
            .find(|kind| kind.0 == code)
            .map_or(("invalid_request", 400), |kind| (kind.1, kind.2));
        Self { code, error, status, text: text.into() }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            900_144,
            format!("The request body must contain the following parameter: '{parameter}'."),
        )
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The whole answer.
    pub(crate) fn response(
        &self,
        authority: &str,
        request: Uuid,
        correlation: Uuid,
        now: time::OffsetDateTime,
        retry_after: Option<u32>,
    ) -> Response<Body> {
        let iso = crate::clock::iso(now.unix_timestamp());
        let timestamp = iso.replace('T', " ");
        let body = json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{}: {}\r\nTrace ID: {request}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
                self.code, self.text
            ),
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": request,
            "correlation_id": correlation,
            "error_uri": format!("{authority}/error?code={}", self.code),
        });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
