//! A provider whose answers are the documentation's examples: the lab is told to give them.

use mailkeep_exchange::{Access, Extras, GraphConfig, GraphProvider, Provider};
use mailkeep_identity::{JobId, ReceiptLog, SignerClient};
use mailkeep_lab::{Lab, LabOptions, Registration};
use mailkeep_model::{Function, Mailbox, TenantName};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

const RIGHTS: &[&str] = &[
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "Mail.ReadWrite",
    "MailboxFolder.Read.All",
    "MailboxItem.ImportExport.All",
    "MailboxItem.Read.All",
    "MailboxSettings.ReadWrite",
    "Tasks.ReadWrite.All",
    "User.Read.All",
];

pub(crate) struct World {
    lab: Lab,
    admin: reqwest::Client,
    pub(crate) provider: GraphProvider,
    pub(crate) mailbox: Mailbox,
    _directory: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = LabOptions::new(directory.path().join("lab"));
        // What is sent here is about examples' items: no measure of what we send.
        options.journal = None;
        let lab = Lab::start(options).await.unwrap();
        let signer_directory = directory.path().join("signer");
        let socket = signer_directory.join("signer.sock");
        let sealing = Sealing::IdentityFile(directory.path().join("key.txt"));
        let options = SignerOptions::new(signer_directory, socket.clone(), sealing);
        let signer = tokio::task::spawn_blocking(|| Signer::open(options)).await.unwrap().unwrap();
        tokio::spawn(signer.serve(std::future::pending()));
        let signer = SignerClient::connect(&socket, "test".parse().unwrap()).await.unwrap();

        let tenant: TenantName = "acme".parse().unwrap();
        let job: JobId = "job".parse().unwrap();
        let function = Function::Restorer;
        let certificate = signer.create_key(&job, &tenant, function).await.unwrap();
        let description = lab.description();
        let registration = Registration {
            name: "restorer".into(),
            certificate: certificate.certificate_pem,
            roles: RIGHTS.iter().map(|right| (*right).to_owned()).collect(),
        };
        let directory_id = description.tenants[0].id.to_string();
        let registered = lab.register(&directory_id, registration).unwrap();
        let endpoint = format!("{}/{directory_id}/oauth2/v2.0/token", description.authority);
        let client_id = registered.client_id.to_string();
        signer.bind(&job, &tenant, function, &client_id, &endpoint).await.unwrap();
        let receipts = ReceiptLog::open(directory.path().join("receipts.jsonl")).unwrap();
        let ca = std::fs::read_to_string(&description.ca).unwrap();
        let trusted = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
        let admin = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
        let graph = description.graph.parse().unwrap();
        let extras = Extras { tasks: true, streams: true, ..Extras::default() };
        let config = GraphConfig { tenant, function, graph, ca_pem: Some(ca), extras };
        let provider = GraphProvider::new(config, Access { signer, receipts, job }).unwrap();
        let mailbox = provider.mailboxes().await.unwrap().remove(0);
        Self { lab, admin, provider, mailbox, _directory: directory }
    }

    /// From now on the answer to each of these operations is this JSON.
    pub(crate) async fn tells(&self, answers: &[(&str, Value)]) {
        let rules: Vec<Value> = answers
            .iter()
            .map(|(operation, answer)| match *operation {
                "" => json!({ "answer": answer }),
                _ => json!({ "operation": operation, "answer": answer }),
            })
            .collect();
        let url = format!("{}/faults", self.lab.description().admin);
        self.asked(self.admin.post(url).json(&rules)).await;
    }

    /// Requests for an operation, so far.
    pub(crate) async fn requests(&self, operation: &str) -> u64 {
        let url = format!("{}/counters", self.lab.description().admin);
        let counters = self.asked(self.admin.get(url)).await;
        counters["operations"][operation]["requests"].as_u64().unwrap_or(0)
    }

    /// An address of another server, at the lab: nothing leaves this machine.
    pub(crate) fn at_home(&self, address: &str) -> String {
        let path = address.split_once("://").unwrap().1.split_once('/').unwrap().1;
        format!("{}/{path}", self.lab.description().authority)
    }

    async fn asked(&self, request: reqwest::RequestBuilder) -> Value {
        let token = std::fs::read_to_string(&self.lab.description().admin_token_file).unwrap();
        let answer = request.bearer_auth(token.trim()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// The elements of an answer as a list that ends with it.
pub(crate) fn list(elements: &Value) -> Value {
    json!({ "value": elements })
}
