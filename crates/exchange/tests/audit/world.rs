//! A tenant with an auditor, somebody who reads mail, and a thief.

use std::time::Duration;

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair as RsaKeyPair, signature::RSA_PSS_SHA256};
use data_encoding::BASE64URL_NOPAD;
use mailkeep_exchange::{ActivityFeed, ExchangeError, GraphAuditor, Provider, Registrar};
use mailkeep_lab::{Registered, Registration};
use mailkeep_model::{Function, Mailbox, Secret};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::common::{Site, answered};

pub(crate) const AUDITOR: &[&str] = &[
    "ActivityFeed.Read",
    "Application.Read.All",
    "AuditLog.Read.All",
    "AuditLogsQuery-Exchange.Read.All",
    "Directory.Read.All",
    "Policy.Read.All",
];

pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) auditor: Registered,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_rights(AUDITOR).await
    }

    /// A tenant whose auditor has these rights.
    pub(crate) async fn with_rights(rights: &[&str]) -> Self {
        let site = Site::start().await;
        let auditor = site.register(Function::Auditor, rights).await;
        Self { site, auditor }
    }

    /// The same without one of the rights that it should have.
    pub(crate) async fn without(right: &str) -> Self {
        let rights: Vec<&str> = AUDITOR.iter().copied().filter(|one| *one != right).collect();
        Self::with_rights(&rights).await
    }

    pub(crate) fn auditor(&self) -> GraphAuditor {
        let config = self.site.config(Function::Auditor);
        GraphAuditor::new(config, self.site.access.clone()).unwrap()
    }

    pub(crate) fn feed(&self) -> ActivityFeed {
        let config = self.site.config(Function::Auditor);
        let directory = self.site.lab.description().tenants[0].id;
        ActivityFeed::new(config, self.site.access.clone(), directory).unwrap()
    }

    pub(crate) fn registrar(&self, function: Function) -> Registrar {
        Registrar::new(self.site.config(function), self.site.access.clone()).unwrap()
    }

    /// An application of somebody else's, with a key that is not in the signer.
    pub(crate) fn application(&self, rights: &[&str], key: &Key) -> Registered {
        let registration = Registration {
            name: "other".into(),
            certificate: key.certificate_pem.clone(),
            roles: rights.iter().map(|right| (*right).to_owned()).collect(),
        };
        let directory = self.site.lab.description().tenants[0].id.to_string();
        self.site.lab.register(&directory, registration).unwrap()
    }

    /// A token that somebody gets with a key of his own.
    pub(crate) async fn token(&self, application: &Registered, key: &Key) -> String {
        let client_id = application.client_id.to_string();
        let assertion = key.sign(&json!({
            "aud": self.endpoint(),
            "iss": client_id,
            "sub": client_id,
            "jti": uuid::Uuid::new_v4().to_string(),
            "nbf": unix(0),
            "exp": unix(300),
        }));
        let answer = answered(self.ask_token(&client_id, assertion.expose())).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn ask_token(&self, client_id: &str, assertion: &str) -> reqwest::RequestBuilder {
        let description = self.site.lab.description();
        self.site.http.post(self.endpoint()).form(&[
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("scope", &format!("{}/.default", description.authority)),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ])
    }

    fn endpoint(&self) -> String {
        let description = self.site.lab.description();
        format!("{}/{}/oauth2/v2.0/token", description.authority, description.tenants[0].id)
    }

    /// Shifts the lab's clock, from now on by so much.
    pub(crate) async fn later(&self, by: Duration) {
        self.site.order("clock", json!({ "offset_seconds": by.as_secs() })).await;
    }

    /// Requests for an operation, so far.
    pub(crate) async fn requests(&self, operation: &str) -> u64 {
        let counters = self.site.look("counters").await;
        counters["operations"][operation]["requests"].as_u64().unwrap_or(0)
    }

    /// Without the limit that Graph sets to looking into logs.
    pub(crate) async fn without_limits(&self) {
        let limits = json!({
            "concurrency": 4,
            "requests_per_ten_minutes": null,
            "upload_bytes_per_five_minutes": null,
        });
        self.site.order("limits", limits).await;
    }

    /// Reads the mail of somebody with the reader's key, which is registered here; whose mail it was.
    pub(crate) async fn read_mail(&self, reader: &mailkeep_exchange::GraphProvider) -> Mailbox {
        let mailbox = reader.mailboxes().await.unwrap().remove(0);
        let folders = reader.folder_changes(&mailbox, None).await.unwrap().changes;
        for folder in folders {
            let mailkeep_model::Change::Upsert(folder) = folder else { continue };
            reader.item_changes(&mailbox, &folder, None).await.unwrap();
        }
        mailbox
    }
}

/// An RSA key outside of the signer, and its certificate.
pub(crate) struct Key {
    pub(crate) certificate_pem: String,
    pub(crate) certificate: Vec<u8>,
    pkcs8: Vec<u8>,
}

impl Key {
    pub(crate) fn new() -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let mut params = CertificateParams::new(vec!["test".to_owned()]).unwrap();
        params.not_before = OffsetDateTime::now_utc() - time::Duration::days(1);
        params.not_after = OffsetDateTime::now_utc() + time::Duration::days(30);
        let certificate = params.self_signed(&pair).unwrap();
        Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().to_vec(),
            pkcs8: pair.serialize_der(),
        }
    }

    /// A JSON Web Token with these claims, signed with PS256.
    pub(crate) fn sign(&self, claims: &Value) -> Secret {
        let thumbprint = mailkeep_identity::jwt::Thumbprint::of_der(&self.certificate);
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint.base64url() });
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let text = format!("{}.{}", part(&header), part(claims));
        let pair = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&RSA_PSS_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
        Secret::new(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature)))
    }

    /// A proof that this key is held, for an object.
    pub(crate) fn proof(&self, object: &impl ToString) -> Secret {
        self.sign(&json!({
            "aud": "00000002-0000-0000-c000-000000000000",
            "iss": object.to_string(),
            "nbf": unix(0),
            "exp": unix(600),
        }))
    }
}

fn unix(ahead: i64) -> i64 {
    OffsetDateTime::now_utc().unix_timestamp() + ahead
}

/// The hour around now.
pub(crate) fn around_now() -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - time::Duration::minutes(30), now + time::Duration::minutes(30))
}

/// That a right is missing is said with its name.
pub(crate) fn is_missing(error: &ExchangeError, right: &str) {
    assert!(matches!(error, ExchangeError::Forbidden { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("Grant it {right}")), "no {right:?} in: {text}");
    assert!(error.is_refusal() && !error.is_transient());
}

/// That a licence is missing is said, with which.
pub(crate) fn is_unlicensed(error: &ExchangeError, licence: &str) {
    assert!(matches!(error, ExchangeError::Unlicensed { .. }), "{error}");
    assert!(error.to_string().contains(licence), "{error}");
    assert!(!error.is_refusal() && !error.is_transient());
}
