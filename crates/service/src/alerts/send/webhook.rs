use std::time::Duration;

use mailkeep_exchange::parse_retry_after;
use mailkeep_model::Secret;
use reqwest::{
    StatusCode,
    header::{self, HeaderMap, HeaderValue},
    redirect,
};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use super::Unsent;

/// Names a delivery to receivers that know what comes twice
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Posts JSON. Of the answer, only status and `Retry-After` are looked at.
pub(super) async fn post(
    url: Url,
    body: &Value,
    id: &str,
    token: Option<&Secret>,
    ca_pem: Option<&str>,
    within: Duration,
) -> Result<(), Unsent> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("mailkeep/", env!("CARGO_PKG_VERSION")))
        // What stands in the address opens it; it is taken nowhere else.
        .redirect(redirect::Policy::none())
        .referer(false)
        .timeout(within);
    if let Some(pem) = ca_pem {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|_| Unsent::destination("its certificates are not PEM"))?;
        builder = builder.tls_certs_only(certificates);
    }
    let client = builder.build().map_err(|error| Unsent::destination(reason(error)))?;
    let mut request = client.post(url).header(IDEMPOTENCY_KEY, id).json(body);
    if let Some(token) = token {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| Unsent::destination("its token cannot stand in a header"))?;
        bearer.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, bearer);
    }
    let answer = request.send().await.map_err(|error| Unsent::destination(reason(error)))?;
    judge(answer.status(), answer.headers())
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Unsent> {
    if status.is_success() {
        return Ok(());
    }
    let what = format!("it answered {status}");
    let unsent = match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Unsent::message(what),
        _ => Unsent::destination(what),
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = text(header::RETRY_AFTER)
        .and_then(|wait| parse_retry_after(wait, text(header::DATE), OffsetDateTime::now_utc()));
    Err(Unsent { retry_after, ..unsent })
}

/// The innermost cause, without the address.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("it cannot be reached: {cause}")
}
