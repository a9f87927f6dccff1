//! A lab, a signer, and a tenant of the one whose keys are in the other.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;

use mailkeep_exchange::{Access, Connections, Extras, GraphConfig, GraphProvider};
use mailkeep_identity::{
    JobId, ReceiptEvent, ReceiptLog, SignerClient, journal::JournalLog, verify_receipts,
};
use mailkeep_lab::{Lab, LabOptions, Registered, Registration};
use mailkeep_model::{Function, TenantName};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) access: Access,
    pub(crate) tenant: TenantName,
    /// Trusts the lab.
    pub(crate) http: reqwest::Client,
    admin_token: String,
    directory: TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut LabOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = LabOptions::new(directory.path().join("lab"));
        change(&mut options);
        let lab = Lab::start(options).await.unwrap();
        let access = access(directory.path()).await;
        let ca = std::fs::read(&lab.description().ca).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
        let admin_token = std::fs::read_to_string(&lab.description().admin_token_file).unwrap();
        let admin_token = admin_token.trim().to_owned();
        let tenant = "acme".parse().unwrap();
        Self { lab, access, tenant, http, admin_token, directory }
    }

    /// Makes the key of a function, and registers it at the lab with these rights.
    pub(crate) async fn register(&self, function: Function, rights: &[&str]) -> Registered {
        let Self { access: Access { signer, job, .. }, tenant, .. } = self;
        let key = signer.create_key(job, tenant, function).await.unwrap();
        let registration = Registration {
            name: function.to_string(),
            certificate: key.certificate_pem,
            roles: rights.iter().map(|right| (*right).to_owned()).collect(),
        };
        let description = self.lab.description();
        let directory = description.tenants[0].id.to_string();
        let registered = self.lab.register(&directory, registration).unwrap();
        let client_id = registered.client_id.to_string();
        let endpoint = format!("{}/{directory}/oauth2/v2.0/token", description.authority);
        signer.bind(job, tenant, function, &client_id, &endpoint).await.unwrap();
        registered
    }

    /// Connects as a function that is registered.
    pub(crate) fn connect(&self, function: Function, extras: Extras) -> GraphProvider {
        let config = GraphConfig { extras, ..self.config(function) };
        GraphProvider::new(config, self.access.clone()).unwrap()
    }

    /// How to connect as a function.
    pub(crate) fn config(&self, function: Function) -> GraphConfig {
        let description = self.lab.description();
        GraphConfig {
            tenant: self.tenant.clone(),
            function,
            graph: description.graph.parse().unwrap(),
            ca_pem: Some(std::fs::read_to_string(&description.ca).unwrap()),
            extras: Extras::default(),
        }
    }

    /// What was written down of token requests.
    pub(crate) fn receipts(&self) -> Vec<ReceiptEvent> {
        let file = std::fs::File::open(self.directory.path().join("receipts.jsonl")).unwrap();
        let mut events = Vec::new();
        let each = |record: &mailkeep_identity::Record<ReceiptEvent>| {
            events.push(record.event.clone());
        };
        verify_receipts(std::io::BufReader::new(file), None, each).unwrap();
        events
    }

    /// Asks the lab's administration for something.
    pub(crate) async fn order(&self, what: &str, body: Value) -> Value {
        self.ask(self.http.post(self.admin(what)).json(&body)).await
    }

    /// Looks something up in the lab's administration.
    pub(crate) async fn look(&self, what: &str) -> Value {
        self.ask(self.http.get(self.admin(what))).await
    }

    /// Ends something in the lab.
    pub(crate) async fn end(&self, what: &str) {
        self.ask(self.http.delete(self.admin(what))).await;
    }

    fn admin(&self, what: &str) -> String {
        format!("{}/{what}", self.lab.description().admin)
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Value {
        answered(request.bearer_auth(&self.admin_token)).await
    }
}

/// A signer that runs in `directory`, and somebody who may use it.
pub(crate) async fn access(directory: &Path) -> Access {
    let signer_directory = directory.join("signer");
    let socket = signer_directory.join("signer.sock");
    let sealing = Sealing::IdentityFile(directory.join("key.txt"));
    let options = SignerOptions::new(signer_directory, socket.clone(), sealing);
    let signer = tokio::task::spawn_blocking(|| Signer::open(options)).await.unwrap().unwrap();
    tokio::spawn(signer.serve(std::future::pending()));
    let signer = SignerClient::connect(&socket, "test".parse().unwrap()).await.unwrap();
    let receipts = ReceiptLog::open(directory.join("receipts.jsonl")).unwrap();
    let job: JobId = "job".parse().unwrap();
    let journal = JournalLog::open(directory.join("journal"), &"site".parse().unwrap()).unwrap();
    Access { signer, receipts, journal, job, connections: Connections::default() }
}

/// What a request is answered, where it succeeds; some answers are empty.
pub(crate) async fn answered(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, path) = (answer.status(), answer.url().path().to_owned());
    let body = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {body}");
    if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() }
}
