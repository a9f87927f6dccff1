//! What a pass promises, seen against the lab with a real signer, and with limits so small that a
//! few hundred messages reach them.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mailkeep_lab::{Lab, LabOptions, Registration};
use mailkeep_model::{Function, ProviderKind, TenantName};
use mailkeep_service::{
    Connection, DataDirectory, Event, Observer, PassLimits, PassReport, Registration as Ours,
    Service, Unobserved,
};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use mailkeep_vault::ReadData;
use serde_json::{Value, json};
use tempfile::TempDir;

const TINY: PassLimits =
    PassLimits { spool_bytes: 1 << 20, round_bytes: 256 << 10, round_items: 200, part_bytes: 4096 };

struct World {
    lab: Lab,
    admin: Admin,
    service: Service,
    tenant: TenantName,
    directory: TempDir,
}

#[derive(Clone)]
struct Admin {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Admin {
    async fn order(&self, what: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/{what}", self.base));
        let answer = request.bearer_auth(&self.token).json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{what}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn counters(&self) -> Value {
        let request = self.http.get(format!("{}/counters", self.base));
        let answer = request.bearer_auth(&self.token).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lab = Lab::start(LabOptions::new(directory.path().join("lab"))).await.unwrap();
        let data = DataDirectory::new(directory.path().join("data"));
        data.create().unwrap();
        let sealing = Sealing::IdentityFile(directory.path().join("key.txt"));
        let options = SignerOptions::new(data.signer(), data.signer_socket(), sealing);
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
        let service = open(data.root()).await;
        let tenant: TenantName = "acme".parse().unwrap();
        let world = Self { lab, admin, service, tenant, directory };
        world.set_up().await;
        world
    }

    /// Adds the tenant, as its administrator does; again after the state was lost.
    async fn set_up(&self) {
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
                    roles: vec!["Mail.Read".into(), "User.Read.All".into()],
                };
                let registered = self.lab.register(&directory_id, registration).unwrap();
                std::fs::write(&client_id, registered.client_id.to_string()).unwrap();
                registered.client_id.to_string()
            }
        };
        let function = Function::Reader;
        self.service.register(&self.tenant, Ours { function, client_id }).await.unwrap();
    }

    async fn pass(&self) -> PassReport {
        self.watched_pass(Arc::new(Unobserved)).await
    }

    /// Runs a pass that must come to an end.
    async fn watched_pass(&self, observer: Arc<dyn Observer>) -> PassReport {
        let pass = self.service.backup(&self.tenant, &[], observer);
        let pass = tokio::time::timeout(Duration::from_secs(120), pass).await;
        pass.expect("a pass ends").unwrap()
    }

    /// Fills a mailbox.
    async fn generate(&self, mailbox: &str, messages: u32, bytes: u32) {
        let tenant = self.lab.description().tenants[0].id.to_string();
        let order = json!({"tenant": tenant, "mailbox": mailbox, "messages": messages,
            "folders": 1, "seed": 1, "bytes": bytes});
        self.admin.order("generate", order).await;
    }

    /// Messages in the vault's newest snapshot, by short id, of all mailboxes.
    async fn stored(&self) -> BTreeSet<String> {
        let view = self.service.view(&self.tenant, None).await.unwrap();
        let mut stored = BTreeSet::new();
        for mailbox in view.mailboxes().unwrap() {
            let address = mailbox.mailbox.address;
            for folder in view.folders(&address).unwrap() {
                for item in view.items(&address, &folder).unwrap() {
                    assert!(stored.insert(item.short.to_string()), "{} is there twice", item.short);
                }
            }
        }
        stored
    }

    /// Messages in the catalog, of all mailboxes.
    async fn cataloged(&self) -> u64 {
        let known = self.service.control().mailboxes(&self.tenant).await.unwrap();
        known.iter().map(|mailbox| mailbox.items).sum()
    }
}

async fn open(data: &Path) -> Service {
    let data = DataDirectory::new(data);
    Service::open(data, "test".parse().unwrap()).await.unwrap().with_limits(TINY)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_backup_far_larger_than_the_spool_comes_to_its_end() {
    let world = World::new().await;
    let before = world.pass().await.new;
    world.generate("large@lab.example", 400, 40_000).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.new, 400);
    assert!(report.snapshots.len() > 10, "{} rounds", report.snapshots.len());
    assert_eq!(world.stored().await.len() as u64, before + 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_rebuilt_from_the_vault_and_notices_what_was_deleted_meanwhile() {
    let mut world = World::new().await;
    let first = world.pass().await;
    let findings = world.service.control().finding_counts(&world.tenant).await.unwrap();
    let data = world.service.data().clone();
    for ending in ["", "-wal", "-shm"] {
        let file = format!("{}{ending}", data.control().display());
        let _ = std::fs::remove_file(file);
    }
    world.service = open(data.root()).await;
    world.set_up().await;
    let deleted = json!({"seed": 5, "delete": 7});
    world.admin.order("mutate", deleted).await;
    let values = |counters: &Value| counters["operations"]["message.value"]["requests"].as_u64();
    let before = values(&world.admin.counters().await);
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(values(&world.admin.counters().await), before, "content was downloaded again");
    assert_eq!(report.removed, 7);
    assert_eq!(world.stored().await.len() as u64, first.new - 7);
    assert_eq!(world.cataloged().await, first.new - 7);
    let again = world.service.control().finding_counts(&world.tenant).await.unwrap();
    assert_eq!(again.by_detector.keys().count(), findings.by_detector.keys().count());
}

/// Deletes messages while a pass reads them.
struct Deleter {
    admin: Admin,
    fetched: AtomicU64,
    runtime: tokio::runtime::Handle,
}

impl Observer for Deleter {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Fetched { .. })
            && self.fetched.fetch_add(1, Ordering::Relaxed) == 250
        {
            let admin = self.admin.clone();
            self.runtime.spawn(async move {
                let order = json!({"mailbox": "busy@lab.example", "seed": 3, "delete": 150});
                admin.order("mutate", order).await;
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_while_a_pass_runs_is_gone_after_the_next_one() {
    let world = World::new().await;
    let builtin = world.pass().await.new;
    world.generate("busy@lab.example", 1_200, 300).await;
    let deleter = Deleter {
        admin: world.admin.clone(),
        fetched: AtomicU64::new(0),
        runtime: tokio::runtime::Handle::current(),
    };
    world.watched_pass(Arc::new(deleter)).await;
    let settled = world.pass().await;
    assert!(settled.is_whole(), "{settled:?}");
    assert_eq!(world.stored().await.len() as u64, builtin + 1_200 - 150);
    assert_eq!(world.cataloged().await, builtin + 1_200 - 150);
    let quiet = world.pass().await;
    assert_eq!((quiet.new, quiet.changed, quiet.removed), (0, 0, 0));
    assert!(quiet.snapshots.is_empty(), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_is_fetched_anew_and_one_that_was_deleted_meanwhile_is_forgotten() {
    let world = World::new().await;
    let fault = json!([{"operation": "message.value", "mailbox": "ann.lee@lab.example",
        "status": 500, "probability": 0.3, "seed": 9}]);
    world.admin.order("faults", fault).await;
    let fault = json!([{"operation": "message.value", "mailbox": "ann.lee@lab.example",
        "status": 404, "times": 1}]);
    world.admin.order("faults", fault).await;
    let first = world.pass().await;
    assert!(first.failures.is_empty(), "{first:?}");
    assert!(!first.missed.is_empty(), "a message that is there and cannot be read is told");
    let clear = world.admin.http.delete(format!("{}/faults", world.admin.base));
    clear.bearer_auth(&world.admin.token).send().await.unwrap();
    let second = world.pass().await;
    assert!(second.is_whole(), "{second:?}");
    assert_eq!(second.new, first.missed.len() as u64);
    let skipped = world.service.control().skipped(&world.tenant, None).await.unwrap();
    assert_eq!(skipped, []);
    let report = world.service.verify(&world.tenant, ReadData::Yes).await.unwrap();
    assert!(!report.is_damaged(), "{report:?}");
}
