//! Somebody who has no key: he saw a token, or an assertion on its way.

use std::net::IpAddr;

use data_encoding::BASE64URL_NOPAD;
use reqwest::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use super::{client, good, json_of, let_in, unreachable};
use crate::{Description, LabError};

/// Somebody who has no key, but a token, or an assertion that he saw on its way.
pub struct Eavesdropper {
    graph: String,
    http: reqwest::Client,
    token: String,
}

/// An assertion on its way to the token endpoint.
pub struct Overheard<'a> {
    /// Where it goes.
    pub token_endpoint: &'a str,
    /// Whose it is.
    pub client_id: &'a str,
    /// The assertion.
    pub assertion: &'a str,
}

/// What the token endpoint gave out.
pub struct Granted {
    /// The token.
    pub token: String,
    /// Its identifier.
    pub uti: Option<String>,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// What the directory calls the request.
    pub request_id: Option<String>,
}

impl Overheard<'_> {
    /// What its sender does: asks for a token with it, from `address`, and calls the request so.
    ///
    /// # Errors
    /// What the directory says.
    pub async fn sent_on(
        &self,
        lab: &Description,
        address: IpAddr,
        client_request_id: Uuid,
    ) -> Result<Granted, LabError> {
        token(&client(lab, address)?, &lab.graph, self, Some(client_request_id), None).await
    }

    /// Whether a token is given out for it, once more, to somebody at `address`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn is_taken(&self, lab: &Description, address: IpAddr) -> Result<bool, LabError> {
        let_in(self.sent_on(lab, address, Uuid::new_v4()).await)
    }
}

impl Eavesdropper {
    /// Somebody at `address` with a token that was somebody else's.
    ///
    /// # Errors
    /// When he cannot speak with anybody.
    pub fn with_token(lab: &Description, address: IpAddr, token: String) -> Result<Self, LabError> {
        Ok(Self { graph: lab.graph.clone(), http: client(lab, address)?, token })
    }

    /// Reads the newest messages of a mailbox; their `Message-ID`s.
    ///
    /// # Errors
    /// What Graph says.
    pub async fn read(&self, mailbox: &str, count: usize) -> Result<Vec<String>, LabError> {
        read(&self.http, &self.graph, &self.token, mailbox, count).await
    }

    /// Whether his token still opens a mailbox.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn can_read(&self, mailbox: &str) -> Result<bool, LabError> {
        opens(&self.http, &self.graph, &self.token, mailbox).await
    }
}

pub(super) async fn token(
    http: &reqwest::Client,
    graph: &str,
    with: &Overheard<'_>,
    client_request_id: Option<Uuid>,
    claims: Option<&Value>,
) -> Result<Granted, LabError> {
    let scope = format!("{}/.default", graph.trim_end_matches("/v1.0"));
    let mut form = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", with.client_id.to_owned()),
        ("scope", scope),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
        ),
        ("client_assertion", with.assertion.to_owned()),
    ];
    form.extend(claims.map(|claims| ("claims", claims.to_string())));
    let mut request = http.post(with.token_endpoint).form(&form);
    if let Some(id) = client_request_id {
        request = request.header("client-request-id", id.to_string());
    }
    let answer = good(request.send().await.map_err(unreachable)?).await?;
    let request_id = answer.headers().get("x-ms-request-id");
    let request_id = request_id.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let granted: Value = json_of(answer).await?;
    let token = granted["access_token"].as_str();
    let token = token.ok_or_else(|| LabError::Thief("no token".to_owned()))?.to_owned();
    let expires_in = granted["expires_in"].as_i64().unwrap_or_default();
    Ok(Granted { uti: uti(&token), token, expires_in, request_id })
}

/// The identifier inside a token.
fn uti(token: &str) -> Option<String> {
    let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims["uti"].as_str().map(str::to_owned)
}

pub(super) async fn read(
    http: &reqwest::Client,
    graph: &str,
    token: &str,
    mailbox: &str,
    count: usize,
) -> Result<Vec<String>, LabError> {
    let ask = async |url: String| {
        let answer = http.get(url).bearer_auth(token).send().await.map_err(unreachable)?;
        json_of(good(answer).await?).await
    };
    let list = format!("{graph}/users/{mailbox}/messages?$top={count}&$select=id");
    let page: Value = ask(list).await?;
    let mut read = Vec::new();
    for message in page["value"].as_array().into_iter().flatten() {
        let id = message["id"].as_str().unwrap_or_default();
        let one: Value =
            ask(format!("{graph}/users/{mailbox}/messages/{id}?$select=internetMessageId,body"))
                .await?;
        read.extend(one["internetMessageId"].as_str().map(str::to_owned));
    }
    Ok(read)
}

pub(super) async fn opens(
    http: &reqwest::Client,
    graph: &str,
    token: &str,
    mailbox: &str,
) -> Result<bool, LabError> {
    let url = format!("{graph}/users/{mailbox}/messages?$top=1&$select=id");
    let answer = http.get(url).bearer_auth(token).send().await.map_err(unreachable)?;
    match answer.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
        _ => good(answer).await.map(|_| true),
    }
}
