//! The lab, a real signer and the service in one process.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::{path::Path, sync::Arc, time::Duration};

use mailkeep_exchange::Extras;
use mailkeep_lab::{Lab, LabOptions, Registration};
use mailkeep_model::{Function, ProviderKind, TenantName};
use mailkeep_service::{
    Connection, DataDirectory, Observer, PassLimits, PassReport, Registration as Ours, Service,
    ServiceError, Unobserved, auditor_rights, reader_rights, restorer_rights, steward_rights,
};
use mailkeep_signer::{RateLimit, Sealing, Signer, SignerOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

/// So small that a few hundred messages reach them.
pub(crate) const TINY: PassLimits = PassLimits {
    spool_bytes: 1 << 20,
    round_bytes: 256 << 10,
    round_items: 200,
    part_bytes: 4096,
    compare_every: Duration::from_secs(7 * 86_400),
    compare_doubted: Duration::ZERO,
};

/// Everything switched on.
pub(crate) const ALL: Extras =
    Extras { tasks: true, streams: true, archive: true, recoverable_items: true };

/// Settings of a mailbox in which nobody set anything: its own, and six categories.
pub(crate) const SETTINGS: u64 = 7;

pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) admin: Admin,
    pub(crate) service: Service,
    pub(crate) tenant: TenantName,
    pub(crate) directory: TempDir,
}

/// The lab's administrative interface.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) http: reqwest::Client,
    base: String,
    token: String,
}

impl Admin {
    pub(crate) async fn order(&self, what: &str, body: Value) -> Value {
        self.ask(Method::POST, what, Some(body)).await
    }

    pub(crate) async fn show(&self, what: &str) -> Value {
        self.ask(Method::GET, what, None).await
    }

    pub(crate) async fn clear_faults(&self) {
        self.ask(Method::DELETE, "faults", None).await;
    }

    pub(crate) async fn counters(&self) -> Value {
        self.show("counters").await
    }

    async fn ask(&self, method: Method, what: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, format!("{}/{what}", self.base));
        request = request.bearer_auth(&self.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{what}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}, TINY).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut LabOptions), limits: PassLimits) -> Self {
        Self::with_clock(change, limits, Arc::new(OffsetDateTime::now_utc)).await
    }

    /// The same, with a signer that goes by another clock.
    pub(crate) async fn with_clock(
        change: impl FnOnce(&mut LabOptions),
        limits: PassLimits,
        clock: mailkeep_signer::Clock,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut lab = LabOptions::new(directory.path().join("lab"));
        change(&mut lab);
        let lab = Lab::start(lab).await.unwrap();
        let data = DataDirectory::new(directory.path().join("data"));
        data.create().unwrap();
        let sealing = Sealing::IdentityFile(directory.path().join("key.txt"));
        let mut options = SignerOptions::new(data.signer(), data.signer_socket(), sealing);
        // A test runs more passes in a minute than a service does in an hour.
        options.rate_limit = RateLimit { per_hour: 100_000, burst: 10_000 };
        options.clock = clock;
        let signer = tokio::task::spawn_blocking(|| Signer::open(options)).await.unwrap().unwrap();
        tokio::spawn(signer.serve(std::future::pending()));
        let description = lab.description();
        let ca = std::fs::read(&description.ca).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        let token = std::fs::read_to_string(&description.admin_token_file).unwrap();
        let admin = Admin {
            http: reqwest::Client::builder().tls_certs_only([ca]).build().unwrap(),
            base: description.admin.clone(),
            token: token.trim().to_owned(),
        };
        let service = open(data.root(), limits).await;
        let tenant: TenantName = "acme".parse().unwrap();
        let world = Self { lab, admin, service, tenant, directory };
        world.set_up().await;
        world
    }

    /// Adds the tenant, as its administrator does; again after the state was lost.
    pub(crate) async fn set_up(&self) {
        let description = self.lab.description();
        let directory_id = description.tenants[0].id.to_string();
        let connection = Connection {
            provider: ProviderKind::M365,
            directory: directory_id.clone(),
            authority: description.authority.clone(),
            graph: description.graph.clone(),
            ca_pem: Some(std::fs::read_to_string(&description.ca).unwrap()),
        };
        let certificate = self.service.add_tenant(&self.tenant, connection).await.unwrap();
        let client_id = self.directory.path().join("client-id");
        let client_id = match std::fs::read_to_string(&client_id) {
            Ok(known) => known,
            Err(_) => {
                let registration = Registration {
                    name: "reader".into(),
                    certificate: certificate.certificate_pem,
                    roles: reader_rights(ALL).into_iter().map(Into::into).collect(),
                };
                let registered = self.lab.register(&directory_id, registration).unwrap();
                std::fs::write(&client_id, registered.client_id.to_string()).unwrap();
                registered.client_id.to_string()
            }
        };
        let function = Function::Reader;
        self.service.register(&self.tenant, Ours { function, client_id }).await.unwrap();
    }

    /// Registers the application that restores are done with. It has no certificate: each restore
    /// brings its own.
    pub(crate) async fn set_up_restorer(&self) {
        let roles = restorer_rights(ALL);
        let order = json!({"tenant": self.directory_id(), "name": "restorer", "roles": roles});
        let registered = self.admin.order("register", order).await;
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        let function = Function::Restorer;
        self.service.register(&self.tenant, Ours { function, client_id }).await.unwrap();
    }

    /// Registers the application that reads logs and configuration.
    pub(crate) async fn set_up_auditor(&self) {
        let function = Function::Auditor;
        let certificate = self.service.certificate(&self.tenant, function).await.unwrap();
        let order = json!({
            "tenant": self.directory_id(),
            "name": "auditor",
            "certificate": certificate.certificate_pem,
            "roles": auditor_rights(),
        });
        let registered = self.admin.order("register", order).await;
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        self.service.register(&self.tenant, Ours { function, client_id }).await.unwrap();
    }

    /// Registers the application that sends canaries; what it may do and where, the caller says.
    pub(crate) async fn set_up_prober(&self, roles: &[&str]) -> String {
        self.set_up_function(Function::Prober, roles).await
    }

    /// The same for the one that takes mail back.
    pub(crate) async fn set_up_responder(&self, roles: &[&str]) -> String {
        self.set_up_function(Function::Responder, roles).await
    }

    async fn set_up_function(&self, function: Function, roles: &[&str]) -> String {
        let certificate = self.service.certificate(&self.tenant, function).await.unwrap();
        let order = json!({
            "tenant": self.directory_id(),
            "name": function.as_str(),
            "certificate": certificate.certificate_pem,
            "roles": roles,
        });
        let registered = self.admin.order("register", order).await;
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        let ours = Ours { function, client_id: client_id.clone() };
        self.service.register(&self.tenant, ours).await.unwrap();
        client_id
    }

    /// Registers the application that changes the others, as the owner of those that there are.
    pub(crate) async fn set_up_steward(&self) {
        let function = Function::Steward;
        let certificate = self.service.certificate(&self.tenant, function).await.unwrap();
        let order = json!({
            "tenant": self.directory_id(),
            "name": "steward",
            "certificate": certificate.certificate_pem,
            "roles": steward_rights(),
        });
        let registered = self.admin.order("register", order).await;
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        let owner = json!({ "add_owner": registered["service_principal_id"] });
        for other in self.service.tenant(&self.tenant).await.unwrap().functions {
            self.admin.order(&format!("applications/{}", other.client_id), owner.clone()).await;
        }
        self.service.register(&self.tenant, Ours { function, client_id }).await.unwrap();
    }

    /// An application as the lab has it, by the name that it was registered under.
    pub(crate) async fn registered(&self, name: &str) -> Value {
        let all = self.admin.show("applications").await;
        all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    }

    /// The lab's first tenant.
    pub(crate) fn directory_id(&self) -> String {
        self.lab.description().tenants[0].id.to_string()
    }

    /// Goes on with other limits, as after a restart with another configuration.
    pub(crate) async fn reopen(&mut self, limits: PassLimits) {
        let root = self.service.data().root().to_owned();
        self.service = open(&root, limits).await;
    }

    /// Goes on with other things switched on, as after a restart.
    pub(crate) async fn switch(&mut self, extras: Extras) {
        self.switch_with(extras, TINY).await;
    }

    /// The same, with other limits, too.
    pub(crate) async fn switch_with(&mut self, extras: Extras, limits: PassLimits) {
        let root = self.service.data().root().to_owned();
        self.service = open(&root, limits).await.with_extras(extras);
    }

    pub(crate) async fn pass(&self) -> PassReport {
        self.watched_pass(Arc::new(Unobserved)).await
    }

    /// Runs a pass that must come to an end.
    pub(crate) async fn watched_pass(&self, observer: Arc<dyn Observer>) -> PassReport {
        self.try_pass(observer).await.unwrap()
    }

    /// Runs a pass that must come to an end, good or bad.
    pub(crate) async fn try_pass(
        &self,
        observer: Arc<dyn Observer>,
    ) -> Result<PassReport, ServiceError> {
        let pass = self.service.backup(&self.tenant, &[], observer);
        let pass = tokio::time::timeout(Duration::from_secs(120), pass).await;
        pass.expect("a pass ends")
    }
}

pub(crate) async fn open(data: &Path, limits: PassLimits) -> Service {
    let data = DataDirectory::new(data);
    Service::open(data, "test".parse().unwrap()).await.unwrap().with_limits(limits)
}
