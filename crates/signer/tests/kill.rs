//! A signer that is killed at any moment has recorded all that it gave away.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{CLIENT_ID, ENDPOINT, job, tenant};
use mailkeep_identity::{
    SignerClient, Slot,
    ledger::{self, LedgerEvent},
};
use mailkeep_model::Function;
use mailkeep_signer::{RateLimit, Sealing, Signer, SignerOptions};

const DIRECTORY: &str = "MAILKEEP_TEST_SIGNER";

fn options(root: &Path) -> SignerOptions {
    let sealing = Sealing::IdentityFile(root.join("master.txt"));
    let mut options = SignerOptions::new(root.join("signer"), root.join("socket"), sealing);
    options.rate_limit = RateLimit { per_hour: 1_000_000, burst: 1_000_000 };
    options
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the other test starts and kills"]
async fn signer_process() {
    let root = PathBuf::from(env::var_os(DIRECTORY).expect("started by the other test"));
    Signer::open(options(&root)).unwrap().serve(std::future::pending()).await.unwrap();
}

/// Killed when it goes out of scope, whatever became of the test.
struct Process(Child);

impl Process {
    fn start(root: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "signer_process", "--ignored"]).env(DIRECTORY, root);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn connect(root: &Path) -> SignerClient {
    for _ in 0..3000 {
        let caller = "test".parse().unwrap();
        if let Ok(client) = SignerClient::connect(root.join("socket"), caller).await {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the signer did not start within 30 seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_before_a_kill_is_in_a_ledger_without_a_fault() {
    let root = tempfile::tempdir().unwrap();
    let acme = tenant("acme");
    let released = Arc::new(Mutex::new(HashSet::new()));
    for round in 0..8 {
        let process = Process::start(root.path());
        let client = connect(root.path()).await;
        client.create_key(&job(), &acme, Function::Reader).await.unwrap();
        client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
        let enough = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (client, acme) = (client.clone(), acme.clone());
                let (released, enough) = (Arc::clone(&released), Arc::clone(&enough));
                tokio::spawn(async move {
                    while let Ok(signed) =
                        client.sign_assertion(&job(), &acme, Function::Reader).await
                    {
                        released.lock().unwrap().insert(signed.jti);
                        enough.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        while enough.load(Ordering::Relaxed) < 3 + 7 * round {
            tokio::task::yield_now().await;
        }
        drop(process);
        for worker in workers {
            worker.await.unwrap();
        }

        let bytes = fs::read(root.path().join("signer/ledger.jsonl")).unwrap();
        let mut recorded = HashSet::new();
        ledger::verify_each(&bytes[..], |record| {
            if let LedgerEvent::AssertionSigned { jti, .. } = &record.event {
                recorded.insert(jti.clone());
            }
        })
        .unwrap_or_else(|fault| panic!("after kill {round}: {fault}"));
        let released = released.lock().unwrap();
        let lost: Vec<_> = released.difference(&recorded).collect();
        assert!(lost.is_empty(), "after kill {round}: signed and not recorded: {lost:?}");
        assert!(released.len() >= 3);
    }
}

/// Rotates keys until the signer is gone, and tells which key was made the active one last.
async fn rotate(client: SignerClient, activated: Arc<Mutex<Vec<String>>>) {
    let (acme, job) = (tenant("acme"), job());
    while let Ok(listed) = client.credentials(Some(&acme)).await {
        for old in listed[0].keys.iter().filter(|key| key.slot == Slot::Retiring) {
            let _ = client.retire_key(&job, &acme, Function::Reader, &old.key_id).await;
        }
        let Ok(next) = client.prepare_key(&job, &acme, Function::Reader).await else { return };
        if client.activate_key(&job, &acme, Function::Reader, &next.key_id).await.is_ok() {
            activated.lock().unwrap().push(next.key_id);
        }
    }
}

fn records(root: &Path, kind: &str) -> usize {
    let ledger = fs::read_to_string(root.join("signer/ledger.jsonl")).unwrap();
    ledger.matches(&format!("\"kind\":\"{kind}\"")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_rotation_leaves_one_active_key_that_is_in_the_ledger() {
    let root = tempfile::tempdir().unwrap();
    let acme = tenant("acme");
    let activated = Arc::new(Mutex::new(Vec::new()));
    for round in 0..9 {
        let process = Process::start(root.path());
        let client = connect(root.path()).await;
        let first = client.create_key(&job(), &acme, Function::Reader).await.unwrap();
        client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
        let signed = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
        assert_eq!(signed.key_id, first.key_id, "after kill {round}");
        let before = activated.lock().unwrap().len();
        let rotation = tokio::spawn(rotate(client.clone(), Arc::clone(&activated)));
        while activated.lock().unwrap().len() < before + 1 {
            tokio::task::yield_now().await;
        }
        // Between the next record of that kind and what it is about, as far as that can be hit.
        let kind = ["key_created", "key_activated", "key_retired"][round % 3];
        let so_far = records(root.path(), kind);
        while records(root.path(), kind) == so_far {
            tokio::task::yield_now().await;
        }
        drop(process);
        rotation.await.unwrap();

        let (mut created, mut activations) = (HashSet::new(), Vec::new());
        for event in common::events(&root.path().join("signer/ledger.jsonl")) {
            match event {
                LedgerEvent::KeyCreated { key_id, .. } => drop(created.insert(key_id)),
                LedgerEvent::KeyActivated { key_id, .. } => activations.push(key_id),
                _ => {}
            }
        }
        let told = activated.lock().unwrap().clone();
        let mut recorded = activations.iter();
        assert!(told.iter().all(|key| recorded.any(|one| one == key)), "after kill {round}");

        let process = Process::start(root.path());
        let client = connect(root.path()).await;
        let keys = client.credentials(Some(&acme)).await.unwrap().remove(0).keys;
        assert!(keys.iter().all(|key| created.contains(&key.key_id)), "after kill {round}");
        let active: Vec<_> = keys.iter().filter(|key| key.slot == Slot::Active).collect();
        assert_eq!(active.len(), 1, "after kill {round}: {keys:?}");
        // The last one that was told, or one whose answer the kill cut off.
        let last = activations.iter().rposition(|key| Some(key) == told.last()).unwrap();
        assert!(activations[last..].contains(&active[0].key_id), "after kill {round}");
        drop(process);
    }
}
