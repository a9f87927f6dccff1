use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use data_encoding::BASE64URL_NOPAD;
use mailkeep_identity::{IdentityError, ReceiptError, uti};
use mailkeep_model::Secret;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use url::Url;
use uuid::Uuid;

use super::{
    client::{Access, GraphConfig, Patience, read_all, unreachable},
    token_refusal,
};
use crate::{ExchangeError, usage::Counters};

/// A token is renewed this long before it ends, so that a request sent with it arrives in time
/// whatever the clocks say.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// No provider issues longer ones; more would only overflow a clock.
const LONGEST_LIFETIME: Duration = Duration::from_secs(48 * 3600);
/// Tries of one token request when the network or the server fails.
const MAX_FAULTS: u32 = 4;
/// A token that was accepted for longer than this was in order when it was issued.
const NEW: Duration = Duration::from_secs(60);

/// The access token of one tenant and function: one at a time, asked for by one task while the
/// others wait for it.
pub(super) struct Tokens {
    config: GraphConfig,
    /// Everything that was granted at the resource.
    scope: String,
    http: reqwest::Client,
    access: Access,
    usage: Counters,
    current: Mutex<Option<Token>>,
}

#[derive(Clone)]
pub(super) struct Token {
    header: HeaderValue,
    /// Tells tokens apart without looking at the secret.
    serial: Uuid,
    issued: Instant,
    renew_at: Instant,
    rights: Option<Arc<[String]>>,
}

impl Token {
    /// The value of the `Authorization` header, marked sensitive.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Whether it was only just issued.
    pub(super) fn is_new(&self) -> bool {
        self.issued.elapsed() < NEW
    }

    /// The application permissions in it, where they can be read.
    pub(super) fn rights(&self) -> Option<&[String]> {
        self.rights.as_deref()
    }
}

impl Tokens {
    pub(super) fn new(
        config: &GraphConfig,
        resource: &str,
        http: reqwest::Client,
        access: Access,
        usage: Counters,
    ) -> Self {
        let scope = format!("{resource}/.default");
        Self { config: config.clone(), scope, http, access, usage, current: Mutex::default() }
    }

    /// Where assertions come from.
    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// A token that is valid for a while.
    pub(super) async fn token(&self) -> Result<Token, ExchangeError> {
        let mut current = self.current.lock().await;
        if let Some(token) = &*current
            && token.renew_at > Instant::now()
        {
            return Ok(token.clone());
        }
        let token = self.ask(None).await?;
        *current = Some(token.clone());
        Ok(token)
    }

    /// The provider no longer takes this token; the next caller asks for another, unless one was
    /// fetched meanwhile.
    pub(super) async fn forget(&self, token: &Token) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|now| now.serial == token.serial) {
            *current = None;
        }
    }

    /// Whether a token is given out for a key of the function that need not be the one that signs.
    pub(super) async fn try_key(&self, key_id: &str) -> Result<(), ExchangeError> {
        self.ask(Some(key_id)).await.map(drop)
    }

    async fn ask(&self, key_id: Option<&str>) -> Result<Token, ExchangeError> {
        let mut patience = Patience::default();
        loop {
            match self.ask_once(key_id).await {
                Err(error) if error.is_transient() => {
                    let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
                    self.usage.add_retried();
                    let held_off = match &error {
                        // Nothing is gained by asking the signer before it said it would sign.
                        ExchangeError::Identity(IdentityError::RateLimited {
                            retry_after, ..
                        }) => *retry_after,
                        _ => Duration::ZERO,
                    };
                    tokio::time::sleep(wait.max(held_off)).await;
                }
                done => return done,
            }
        }
    }

    async fn ask_once(&self, key_id: Option<&str>) -> Result<Token, ExchangeError> {
        let Access { signer, receipts, job, .. } = &self.access;
        let (tenant, function) = (&self.config.tenant, self.config.function);
        let signed = match key_id {
            None => signer.sign_assertion(job, tenant, function).await?,
            Some(key_id) => signer.sign_assertion_with(job, tenant, function, key_id).await?,
        };
        let endpoint =
            Url::parse(&signed.token_endpoint).map_err(|error| ExchangeError::Configuration {
                tenant: tenant.clone(),
                reason: format!("the token endpoint in the signer's registry: {error}"),
            })?;
        let request_id = Uuid::new_v4();
        // The receipt stands before the request goes out: a token that we lost in a crash can then
        // be told from one that a thief asked for.
        record(|now| receipts.intend(now, request_id, job, tenant, function, &signed.jti))?;

        self.usage.add_request();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", signed.client_id.as_str()),
            ("scope", &self.scope),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", signed.assertion.expose()),
        ];
        let response = self
            .http
            .post(endpoint.clone())
            .header("client-request-id", request_id.to_string())
            .header("return-client-request-id", "true")
            .form(&form)
            .send()
            .await
            .map_err(|error| unreachable(&self.config, &endpoint, &error))?;
        let status = response.status();
        let server_id = response
            .headers()
            .get("x-ms-request-id")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let unfit = |reason: String| self.unfit(&endpoint, &reason);
        let body = read_all(response).await.map_err(unfit)?;
        if !status.is_success() {
            let (code, error) = token_refusal::of_token(&self.config, status.as_u16(), &body);
            // What somebody on the way answered says nothing of whether Entra gave a token out.
            if code != 0 && status.is_client_error() {
                record(|now| receipts.refused(now, request_id, &format!("AADSTS{code}")))?;
            }
            return Err(error);
        }
        let (access_token, lifetime) = parse_token_answer(&body).map_err(unfit)?;
        let uti = uti::peek(access_token.expose());
        record(|now| {
            let expires = now + lifetime;
            receipts.received(now, request_id, server_id.as_deref(), uti.as_deref(), expires)
        })?;

        let rights = rights_of(access_token.expose());
        let mut header = HeaderValue::try_from(format!("Bearer {}", access_token.expose()))
            .map_err(|_| unfit("the token is not text".into()))?;
        header.set_sensitive(true);
        let usable = lifetime.saturating_sub(RENEW_BEFORE).max(lifetime / 2);
        let issued = Instant::now();
        Ok(Token { header, serial: Uuid::new_v4(), issued, renew_at: issued + usable, rights })
    }

    fn unfit(&self, endpoint: &Url, reason: &str) -> ExchangeError {
        let tenant = &self.config.tenant;
        let host = endpoint.host_str().unwrap_or("?");
        ExchangeError::protocol(
            format!("tenant {tenant}: asking {host} for a token"),
            format!(
                "{reason}. Look for what changes answers on the way (a proxy, a firewall), and check \
                 the address: 'mailkeep tenant show {tenant}'"
            ),
        )
    }
}

/// Reads the answer to a token request (RFC 6749, 5.1): the token and how long it is good for.
///
/// # Errors
/// Why it is none, without a word of what is in it: it may be the token, in the wrong place.
pub fn parse_token_answer(body: &[u8]) -> Result<(Secret, Duration), String> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: u64,
    }
    let granted: Granted = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!(
            "the answer is not a token ({:?} error, line {line}, column {column})",
            error.classify()
        )
    })?;
    let lifetime = Duration::from_secs(granted.expires_in).min(LONGEST_LIFETIME);
    Ok((Secret::new(granted.access_token), lifetime))
}

/// Writes a receipt. It waits for the disk; there is one token an hour and tenant.
fn record(
    write: impl FnOnce(OffsetDateTime) -> Result<(), ReceiptError>,
) -> Result<(), ReceiptError> {
    write(OffsetDateTime::now_utc())
}

/// The `roles` of a token that is a JWT. Graph's tokens are opaque by contract, so `None` is no
/// error, and nothing but advice may depend on what this says.
fn rights_of(token: &str) -> Option<Arc<[String]>> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        roles: Vec<String>,
    }
    let payload = token.split('.').nth(1)?;
    let claims = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.roles.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_token_is_said_without_the_token() {
        for body in [r#""eyJsecret""#, r#"{"access_token":["eyJsecret"],"expires_in":5}"#] {
            let error = parse_token_answer(body.as_bytes()).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        let body = br#"{"access_token":"t","expires_in":18446744073709551615}"#;
        assert_eq!(parse_token_answer(body).unwrap().1, LONGEST_LIFETIME);
    }

    #[test]
    fn an_opaque_token_has_no_readable_rights() {
        assert_eq!(rights_of("EwB4A8l6BAAU"), None);
        let payload = BASE64URL_NOPAD.encode(br#"{"roles":["Mail.Read"]}"#);
        let rights = rights_of(&format!("x.{payload}.y"));
        assert_eq!(rights.as_deref(), Some(["Mail.Read".to_owned()].as_slice()));
    }
}
