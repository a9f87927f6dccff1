//! A running lab, an HTTP client that trusts it, and applications with keys.

use std::path::PathBuf;
use std::sync::OnceLock;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mailkeep_lab::{Lab, LabOptions, Registered, Registration};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) const READ: &[&str] = &["Mail.Read", "User.Read.All"];
/// Calendars and contacts.
pub(crate) const PERSONAL: &[&str] =
    &["Calendars.ReadWrite", "Contacts.ReadWrite", "User.Read.All", "Mail.Read"];
pub(crate) const WRITE: &[&str] = &["Mail.ReadWrite", "User.Read.All"];

/// The test data beside the repository, when it is there.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let given = std::env::var_os("MAILKEEP_SHARED_DATA").map(PathBuf::from);
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = given.unwrap_or_else(default);
    path.is_dir().then_some(path)
}

pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) http: Client,
    admin_token: String,
    _directory: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut LabOptions)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut options = LabOptions::new(directory.path());
        change(&mut options);
        let lab = Lab::start(options).await.unwrap();
        let http = client(&lab, |builder| builder);
        let admin_token = std::fs::read_to_string(&lab.description().admin_token_file).unwrap();
        Self { lab, http, admin_token, _directory: directory }
    }

    pub(crate) fn tenant(&self) -> Uuid {
        self.lab.description().tenants[0].id
    }

    pub(crate) fn mailbox(&self, number: usize) -> &str {
        &self.lab.description().tenants[0].mailboxes[number]
    }

    /// An application with these rights and a key of its own.
    pub(crate) fn application(&self, roles: &[&str]) -> Application {
        self.application_of(&self.tenant().to_string(), roles, |_| {})
    }

    pub(crate) fn application_of(
        &self,
        tenant: &str,
        roles: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Application {
        let key = Key::new(change);
        let registered = self
            .lab
            .register(
                tenant,
                Registration {
                    name: "test".into(),
                    certificate: key.certificate.clone(),
                    roles: roles.iter().map(|role| (*role).to_owned()).collect(),
                },
            )
            .unwrap();
        let endpoint = format!("{}/{tenant}/oauth2/v2.0/token", self.lab.description().authority);
        Application { registered, key, endpoint, graph: self.lab.description().graph.clone() }
    }

    pub(crate) async fn token(&self, application: &Application) -> String {
        let answer = self.ask_token(application, &application.form()).await;
        assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
        answer.1["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn ask_token(
        &self,
        application: &Application,
        form: &[(&str, String)],
    ) -> (StatusCode, Value) {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .http
            .post(&application.endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        read(request.send().await.unwrap()).await
    }

    /// A client of Graph with these rights.
    pub(crate) async fn graph(&self, roles: &[&str]) -> Graph {
        let application = self.application(roles);
        let token = self.token(&application).await;
        Graph {
            http: self.http.clone(),
            base: self.lab.description().graph.clone(),
            token,
            client_id: application.registered.client_id,
        }
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, value) = self.try_admin(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        value
    }

    pub(crate) async fn try_admin(
        &self,
        method: &str,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let url = format!("{}/{path}", self.lab.description().admin);
        let request = self
            .http
            .request(method.parse().unwrap(), url)
            .bearer_auth(&self.admin_token)
            .json(&body);
        read(request.send().await.unwrap()).await
    }

    /// Requests of one operation since the counters were reset.
    pub(crate) async fn count(&self, operation: &str) -> u64 {
        let counters = self.admin("GET", "counters", Value::Null).await;
        counters["operations"][operation]["requests"].as_u64().unwrap_or(0)
    }
}

/// A client that trusts the lab's authority and nothing else.
pub(crate) fn client(
    lab: &Lab,
    change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Client {
    // Several tests of one process do this; the first one wins.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = std::fs::read(&lab.description().ca).unwrap();
    let ca = reqwest::Certificate::from_pem(&pem).unwrap();
    change(Client::builder().tls_certs_only([ca])).build().unwrap()
}

pub(crate) async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    let value =
        if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    (status, value)
}

/// An RSA key and a certificate for it.
pub(crate) struct Key {
    pub(crate) pem: String,
    /// PEM.
    pub(crate) certificate: String,
    pub(crate) der: Vec<u8>,
}

impl Key {
    pub(crate) fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        Self::with(&pair, change)
    }

    fn with(pair: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec!["test".to_owned()]).unwrap();
        params.not_before = OffsetDateTime::now_utc() - time::Duration::days(1);
        params.not_after = OffsetDateTime::now_utc() + time::Duration::days(30);
        change(&mut params);
        let certificate = params.self_signed(pair).unwrap();
        Self {
            pem: pair.serialize_pem(),
            certificate: certificate.pem(),
            der: certificate.der().to_vec(),
        }
    }

    /// A key that some test does not mind sharing: making one takes a while.
    pub(crate) fn shared() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(|| Self::new(|_| {}))
    }

    pub(crate) fn sha1(&self) -> Vec<u8> {
        let algorithm = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
        aws_lc_rs::digest::digest(algorithm, &self.der).as_ref().to_vec()
    }

    pub(crate) fn sha256(&self) -> Vec<u8> {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der).as_ref().to_vec()
    }

    pub(crate) fn thumbprint(&self) -> String {
        HEXLOWER.encode(&self.sha1()).to_uppercase()
    }
}

pub(crate) struct Application {
    pub(crate) registered: Registered,
    pub(crate) key: Key,
    pub(crate) endpoint: String,
    pub(crate) graph: String,
}

impl Application {
    pub(crate) fn header(&self) -> Header {
        Header {
            x5t_s256: Some(BASE64URL_NOPAD.encode(&self.key.sha256())),
            ..Header::new(Algorithm::PS256)
        }
    }

    pub(crate) fn claims(&self) -> Value {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        json!({
            "aud": self.endpoint,
            "iss": self.registered.client_id,
            "sub": self.registered.client_id,
            "jti": Uuid::new_v4(),
            "nbf": now,
            "iat": now,
            "exp": now + 300,
        })
    }

    pub(crate) fn sign(&self, header: &Header, claims: &Value) -> String {
        let key = EncodingKey::from_rsa_pem(self.key.pem.as_bytes()).unwrap();
        jsonwebtoken::encode(header, claims, &key).unwrap()
    }

    /// A token request that is in order.
    pub(crate) fn form(&self) -> Vec<(&'static str, String)> {
        self.form_with(self.sign(&self.header(), &self.claims()))
    }

    pub(crate) fn form_with(&self, assertion: String) -> Vec<(&'static str, String)> {
        let host = self.graph.trim_end_matches("/v1.0");
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", self.registered.client_id.to_string()),
            ("scope", format!("{host}/.default")),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
            ),
            ("client_assertion", assertion),
        ]
    }
}

/// A client of Graph.
#[derive(Clone)]
pub(crate) struct Graph {
    pub(crate) http: Client,
    pub(crate) base: String,
    pub(crate) token: String,
    pub(crate) client_id: Uuid,
}

impl Graph {
    /// `path` is below the base, or a whole link.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}/{path}", self.base)
        };
        self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.try_get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    pub(crate) async fn try_get(&self, path: &str) -> (StatusCode, Value) {
        read(self.immutable("GET", path).send().await.unwrap()).await
    }

    /// With immutable ids.
    pub(crate) fn immutable(&self, method: &str, path: &str) -> RequestBuilder {
        self.request(method, path).header("prefer", "IdType=\"ImmutableId\"")
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        read(self.immutable(method, path).json(&body).send().await.unwrap()).await
    }

    /// One round of a delta query: everything in it, and the deltaLink.
    pub(crate) async fn round(&self, path: &str, page: usize) -> (Vec<Value>, String) {
        let mut found = Vec::new();
        let mut link = path.to_owned();
        loop {
            let prefer = format!("IdType=\"ImmutableId\", odata.maxpagesize={page}");
            let response = self.request("GET", &link).header("prefer", prefer).send().await;
            let (status, answer) = read(response.unwrap()).await;
            assert_eq!(status, StatusCode::OK, "{link}: {answer}");
            let lines = answer["value"].as_array().unwrap();
            assert!(lines.len() <= page);
            found.extend(lines.iter().cloned());
            match answer.get("@odata.nextLink") {
                Some(next) => link = next.as_str().unwrap().to_owned(),
                None => {
                    return (found, answer["@odata.deltaLink"].as_str().unwrap().to_owned());
                }
            }
        }
    }
}
