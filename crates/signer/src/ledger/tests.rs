use std::{
    io,
    sync::{Arc, Mutex},
};

use mailkeep_identity::{
    Binding, KeyUse,
    ledger::{self, LedgerEvent},
    protocol::{Failure, Request, RequestFrame, Response, VERSION},
};
use mailkeep_model::Function;
use tempfile::TempDir;

use super::Storage;
use crate::{
    Sealing, SignerOptions,
    core::{Core, Peer},
};

/// What the disk does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Works,
    /// A full disk: half of what is to be written, then an error.
    Full,
    /// What was written may or may not be there.
    FailsToSync,
    /// A full disk that cannot be cut back either.
    Broken,
}

#[derive(Clone)]
struct Fake {
    content: Arc<Mutex<Vec<u8>>>,
    disk: Arc<Mutex<Disk>>,
}

impl Storage for Fake {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content.lock().unwrap();
        if matches!(*self.disk.lock().unwrap(), Disk::Full | Disk::Broken) {
            content.extend(&bytes[..bytes.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.extend(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match *self.disk.lock().unwrap() {
            Disk::FailsToSync => Err(io::Error::other("I/O error")),
            _ => Ok(()),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        if *self.disk.lock().unwrap() == Disk::Broken {
            return Err(io::Error::other("I/O error"));
        }
        self.content.lock().unwrap().truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

/// A signer without a socket that has a bound key, and whose disk does as it is told.
fn signer() -> (TempDir, Core, Fake) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("signer");
    crate::files::make_private_directory(&directory).unwrap();
    let sealing = Sealing::IdentityFile(root.path().join("master.txt"));
    let options = SignerOptions::new(directory.clone(), root.path().join("socket"), sealing);
    let core = Core::open(&options).unwrap();
    let KeyUse { tenant, function } = key_use();
    let job: mailkeep_identity::JobId = "job".parse().unwrap();
    let binding = Binding {
        client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
        token_endpoint: "https://login.example/token".to_owned(),
        object_id: Some("99999999-2222-3333-4444-555555555555".to_owned()),
    };
    let create = Request::CreateKey { job: job.clone(), tenant: tenant.clone(), function };
    assert!(matches!(ask(&core, create), Response::Certificate(_)));
    let bind = Request::Bind { job, tenant, function, binding };
    assert!(matches!(ask(&core, bind), Response::Done));

    let content = std::fs::read(directory.join("ledger.jsonl")).unwrap();
    let fake =
        Fake { content: Arc::new(Mutex::new(content)), disk: Arc::new(Mutex::new(Disk::Works)) };
    core.ledger().replace_storage(Arc::new(fake.clone()));
    (root, core, fake)
}

fn key_use() -> KeyUse {
    KeyUse { tenant: "acme".parse().unwrap(), function: Function::Reader }
}

fn ask(core: &Core, request: Request) -> Response {
    let peer = Peer::Local { uid: 1000, pid: None, listed: true, administers: false };
    core.answer(&peer, RequestFrame { v: VERSION, caller: "test".parse().unwrap(), request })
}

fn sign(core: &Core) -> Response {
    let KeyUse { tenant, function } = key_use();
    let job = "job".parse().unwrap();
    ask(core, Request::SignAssertion { job, tenant, function, key_id: None })
}

fn is_refused(response: &Response) -> bool {
    matches!(response, Response::Failed(Failure::LedgerUnavailable { .. }))
}

fn recorded(fake: &Fake) -> Vec<String> {
    let content = fake.content.lock().unwrap();
    let mut jtis = Vec::new();
    let summary = ledger::verify_each(content.as_slice(), |record| {
        if let LedgerEvent::AssertionSigned { jti, .. } = &record.event {
            jtis.push(jti.clone());
        }
    });
    summary.unwrap();
    jtis
}

#[test]
fn nothing_is_signed_that_cannot_be_recorded_and_a_full_disk_heals() {
    let (_root, core, fake) = signer();
    let Response::Assertion(first) = sign(&core) else { panic!() };

    *fake.disk.lock().unwrap() = Disk::Full;
    assert!(is_refused(&sign(&core)));
    let secret = Request::CreateSecret {
        job: "job".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        name: "repository".parse().unwrap(),
    };
    assert!(is_refused(&ask(&core, secret)));
    let KeyUse { tenant, function } = key_use();
    let job: mailkeep_identity::JobId = "job".parse().unwrap();
    let (of, by) = (tenant.clone(), job.clone());
    let proof = Request::SignProof { job: by, tenant: of, function, key_id: None };
    assert!(is_refused(&ask(&core, proof)));
    assert!(is_refused(&ask(&core, Request::PrepareKey { job, tenant, function })));
    assert_eq!(
        recorded(&fake),
        std::slice::from_ref(&first.jti),
        "half a record was taken off again"
    );

    *fake.disk.lock().unwrap() = Disk::Works;
    let Response::Assertion(second) = sign(&core) else { panic!() };
    assert_eq!(recorded(&fake), [first.jti, second.jti]);
}

#[test]
fn after_a_failed_fsync_nothing_is_signed_until_a_new_start() {
    let (_root, core, fake) = signer();
    *fake.disk.lock().unwrap() = Disk::FailsToSync;
    assert!(is_refused(&sign(&core)));
    *fake.disk.lock().unwrap() = Disk::Works;
    assert!(is_refused(&sign(&core)), "nobody knows what is on disk");
}

#[test]
fn a_record_that_cannot_be_taken_off_stops_the_signer() {
    let (_root, core, fake) = signer();
    *fake.disk.lock().unwrap() = Disk::Broken;
    assert!(is_refused(&sign(&core)));
    *fake.disk.lock().unwrap() = Disk::Works;
    assert!(is_refused(&sign(&core)), "the next record would follow half a one");
}

/// A disk that takes its time, and says how much of what was written is on it.
struct Slow {
    written: Mutex<Vec<u8>>,
    on_disk: Mutex<usize>,
    syncs: Mutex<u32>,
}

impl Storage for Slow {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.written.lock().unwrap().extend(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let written = self.written.lock().unwrap().len();
        // Others write meanwhile; what they write may or may not be on it.
        for _ in 0..2000 {
            std::thread::yield_now();
        }
        *self.on_disk.lock().unwrap() = written;
        *self.syncs.lock().unwrap() += 1;
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn many_callers_share_a_wait_for_the_disk_and_none_is_answered_before_it_is_over() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    let (_root, core, fake) = signer();
    let before = fake.content.lock().unwrap().clone();
    let slow = Arc::new(Slow {
        on_disk: Mutex::new(before.len()),
        written: Mutex::new(before),
        syncs: Mutex::new(0),
    });
    let storage: Arc<dyn Storage> = slow.clone();
    core.ledger().replace_storage(storage);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (core, slow) = (&core, &slow);
            scope.spawn(move || {
                for number in 0..EACH {
                    let name = format!("s{thread}-{number}");
                    let event = LedgerEvent::Refused {
                        operation: name.clone(),
                        tenant: None,
                        function: None,
                        reason: String::new(),
                        unrecorded: 0,
                        by: None,
                        uid: Some(0),
                    };
                    core.ledger().append(&event).unwrap();
                    let head = core.ledger().head();
                    let on_disk = *slow.on_disk.lock().unwrap();
                    let content = slow.written.lock().unwrap()[..on_disk].to_vec();
                    let text = String::from_utf8(content).unwrap();
                    assert!(text.contains(&format!("\"{name}\"")), "{name} is not on disk");
                    let summary = ledger::verify_each(text.as_bytes(), |_| ()).unwrap();
                    assert!(head.seq <= summary.head.seq, "a checkpoint would speak of more");
                }
            });
        }
    });
    let syncs = *slow.syncs.lock().unwrap();
    assert!(syncs < (THREADS * EACH) as u32, "each waited for itself: {syncs}");
    let written = slow.written.lock().unwrap().clone();
    let summary = ledger::verify_each(written.as_slice(), |_| ()).unwrap();
    assert_eq!(summary.head, core.ledger().head());
}
