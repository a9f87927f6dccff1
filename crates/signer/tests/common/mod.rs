//! A signer in this process, and clients of it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use mailkeep_identity::{JobId, SignerClient, ledger};
use mailkeep_model::TenantName;
use mailkeep_signer::{Sealing, Signer, SignerError, SignerOptions};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};
use tokio::{sync::oneshot, task::JoinHandle};

pub const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";
pub const ENDPOINT: &str = "https://login.example/acme/oauth2/v2.0/token";

pub fn tenant(name: &str) -> TenantName {
    name.parse().unwrap()
}

pub fn job() -> JobId {
    "job-1".parse().unwrap()
}

/// A directory for a signer, its master key beside it, and a clock that only moves when told.
pub struct Home {
    pub root: TempDir,
    pub now: Arc<Mutex<OffsetDateTime>>,
}

impl Home {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root, now: Arc::new(Mutex::new(datetime!(2026-03-01 12:00 UTC))) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn signer(&self) -> PathBuf {
        self.path("signer")
    }

    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    pub fn ledger(&self) -> PathBuf {
        self.signer().join("ledger.jsonl")
    }

    pub fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
    }

    pub fn options(&self) -> SignerOptions {
        let sealing = Sealing::IdentityFile(self.path("master.txt"));
        let mut options = SignerOptions::new(self.signer(), self.socket(), sealing);
        let now = Arc::clone(&self.now);
        options.clock = Arc::new(move || *now.lock().unwrap());
        options
    }

    pub async fn start(&self) -> Running {
        self.start_with(self.options()).await.unwrap()
    }

    pub async fn start_with(&self, options: SignerOptions) -> Result<Running, SignerError> {
        let socket = options.socket.clone();
        let signer = tokio::task::spawn_blocking(move || Signer::open(options)).await.unwrap()?;
        let remote = signer.remote_address();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(signer.serve(async move {
            let _ = stopped.await;
        }));
        Ok(Running { stop, task, socket, remote })
    }

    pub fn events(&self) -> Vec<ledger::LedgerEvent> {
        events(&self.ledger())
    }
}

pub struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), SignerError>>,
    socket: PathBuf,
    pub remote: Option<std::net::SocketAddr>,
}

impl Running {
    pub async fn client(&self) -> SignerClient {
        SignerClient::connect(&self.socket, "test".parse().unwrap()).await.unwrap()
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }
}

pub fn events(path: &Path) -> Vec<ledger::LedgerEvent> {
    let bytes = fs::read(path).unwrap();
    let mut events = Vec::new();
    ledger::verify_each(&bytes[..], |record| events.push(record.event.clone())).unwrap();
    events
}

/// All files below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
