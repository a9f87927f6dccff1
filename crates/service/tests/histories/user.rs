//! People at work: a client of Graph that is none of the product's.

use std::sync::{Mutex, OnceLock};

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mailkeep_lab::Registration;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use crate::common::World;

/// Tries of a request that a fault meets: rules hit a bounded number of times.
const TRIES: usize = 40;

pub(crate) struct User {
    http: reqwest::Client,
    graph: String,
    endpoint: String,
    client_id: String,
    token: Mutex<String>,
}

struct Key {
    pem: String,
    certificate: String,
    thumbprint: String,
}

/// Making a key takes a while; one is enough for all histories.
fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let mut params = CertificateParams::new(vec!["user".to_owned()]).unwrap();
        params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(30);
        let certificate = params.self_signed(&pair).unwrap();
        Key {
            pem: pair.serialize_pem(),
            certificate: certificate.pem(),
            thumbprint: BASE64URL_NOPAD.encode(&Sha256::digest(certificate.der())),
        }
    })
}

impl User {
    pub(crate) async fn new(world: &World) -> Self {
        let roles = [
            "Mail.ReadWrite",
            "Mail.Send",
            "Calendars.ReadWrite",
            "Contacts.ReadWrite",
            "MailboxSettings.ReadWrite",
            "Tasks.ReadWrite.All",
            "User.Read.All",
        ];
        let registration = Registration {
            name: "people".into(),
            certificate: key().certificate.clone(),
            roles: roles.map(Into::into).into(),
        };
        let tenant = world.directory_id();
        let registered = world.lab.register(&tenant, registration).unwrap();
        let description = world.lab.description();
        let user = Self {
            http: world.admin.http.clone(),
            graph: description.graph.clone(),
            endpoint: format!("{}/{tenant}/oauth2/v2.0/token", description.authority),
            client_id: registered.client_id.to_string(),
            token: Mutex::new(String::new()),
        };
        user.renew().await;
        user
    }

    /// Sends a request below `/users`; a refusal comes back as its status and text.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, String> {
        let request = |request: reqwest::RequestBuilder| match &body {
            Some(body) => request.json(body),
            None => request,
        };
        self.carry_out(method, path, request).await
    }

    /// Gives a contact a photograph.
    pub(crate) async fn put_photo(&self, path: &str, bytes: Vec<u8>) -> Result<Value, String> {
        let request = |request: reqwest::RequestBuilder| {
            request.header("content-type", "image/jpeg").body(bytes.clone())
        };
        self.carry_out(Method::PUT, path, request).await
    }

    async fn carry_out(
        &self,
        method: Method,
        path: &str,
        complete: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Value, String> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let token = self.token.lock().unwrap().clone();
            let url = format!("{}/users/{path}", self.graph);
            let request = self.http.request(method.clone(), url).bearer_auth(token);
            let request = request.header("prefer", "IdType=\"ImmutableId\"");
            let (status, text) = match complete(request).send().await {
                Ok(answer) => (answer.status().as_u16(), answer.text().await),
                Err(error) => {
                    last = error.to_string();
                    continue;
                }
            };
            match (status, text) {
                (200..300, Ok(text)) => return Ok(serde_json::from_str(&text).unwrap_or_default()),
                (401, _) => self.renew().await,
                (429 | 500.., text) => last = format!("{status} {}", text.unwrap_or_default()),
                (status, Ok(text)) => return Err(format!("{status} {text}")),
                (_, Err(error)) => last = error.to_string(),
            }
        }
        Err(last)
    }

    async fn renew(&self) {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let header =
            Header { x5t_s256: Some(key().thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        let host = self.graph.trim_end_matches("/v1.0");
        for _ in 0..TRIES {
            let claims = json!({
                "aud": self.endpoint,
                "iss": self.client_id,
                "sub": self.client_id,
                "jti": uuid::Uuid::new_v4(),
                "nbf": now,
                "iat": now,
                "exp": now + 300,
            });
            let signing = EncodingKey::from_rsa_pem(key().pem.as_bytes()).unwrap();
            let assertion = jsonwebtoken::encode(&header, &claims, &signing).unwrap();
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", &self.client_id),
                ("scope", &format!("{host}/.default")),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &assertion),
            ];
            let Ok(answer) = self.http.post(&self.endpoint).form(&form).send().await else {
                continue;
            };
            let answer: Value = answer.json().await.unwrap_or_default();
            if let Some(token) = answer["access_token"].as_str() {
                token.clone_into(&mut self.token.lock().unwrap());
                return;
            }
        }
        panic!("the lab gives no token");
    }
}
