//! Refusals in Graph's form.

use std::borrow::Cow;

use serde_json::json;

use crate::clock;
use crate::state::Refusal;

/// A refusal: status, code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphError {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    pub(crate) retry_after: Option<u32>,
    /// `WWW-Authenticate`, when it is not the usual one.
    pub(crate) challenge: Option<String>,
}

impl GraphError {
    pub(crate) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            retry_after: None,
            challenge: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthenticated(message: &'static str) -> Self {
        Self::new(401, "InvalidAuthenticationToken", message)
    }

    pub(crate) fn item_not_found() -> Self {
        Self::new(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    }

    pub(crate) fn user_not_found(user: &str) -> Self {
        Self::new(
            404,
            "Request_ResourceNotFound",
            format!(
                "Resource '{user}' does not exist or one of its queried reference-property objects \
                 are not present."
            ),
        )
    }

    pub(crate) fn body(&self, request: uuid::Uuid, client_request: &str, now: i64) -> Vec<u8> {
        let date = clock::iso(now);
        json!({
            "error": {
                "code": self.code,
                "message": self.message,
                "innerError": {
                    // Graph leaves the zone out here.
                    "date": date.trim_end_matches('Z'),
                    "request-id": request,
                    "client-request-id": client_request,
                },
            },
        })
        .to_string()
        .into_bytes()
    }
}

impl From<Refusal> for GraphError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchFolder | Refusal::NoSuchItem => Self::item_not_found(),
            Refusal::FolderExists => Self::new(
                409,
                "ErrorFolderExists",
                "A folder with the specified name already exists.",
            ),
            Refusal::Distinguished => Self::new(
                400,
                "ErrorDeleteDistinguishedFolder",
                "Distinguished folders cannot be renamed, moved or deleted.",
            ),
            Refusal::Cycle => Self::new(
                400,
                "ErrorMoveCopyFailed",
                "A folder cannot be moved into itself or a folder below it.",
            ),
        }
    }
}
