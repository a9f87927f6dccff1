//! Workers of other machines reach the signer over TLS, as far as they may, and nobody else does.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;
#[path = "common/worker.rs"]
mod worker;

use std::{
    fs,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{CLIENT_ID, ENDPOINT, Home, Running, job, tenant};
use mailkeep_identity::{
    IdentityError, LedgerLines, WorkerLimits,
    ledger::{self, LedgerEvent, Requester},
    protocol::{RequestFrame, VERSION, encode, read_frame, write_frame},
};
use mailkeep_model::Function;
use mailkeep_signer::{ReadLimit, RemoteOptions, SignerError};
use rustls::version::TLS12;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use worker::Worker;

async fn start(home: &Home) -> (Running, SocketAddr) {
    start_with(home, Duration::from_secs(10)).await
}

async fn start_with(home: &Home, handshake: Duration) -> (Running, SocketAddr) {
    let mut options = home.options();
    let mut remote = RemoteOptions::new("127.0.0.1:0".parse().unwrap(), Vec::new());
    remote.handshake = handshake;
    options.remote = Some(remote);
    let running = home.start_with(options).await.unwrap();
    let address = running.remote.unwrap();
    (running, address)
}

fn all() -> WorkerLimits {
    WorkerLimits::default()
}

fn is_refused(error: &IdentityError, why: &str) -> bool {
    matches!(error, IdentityError::Refused { reason, .. } if reason.contains(why))
}

/// What each TLS connection without a known certificate ends with: an alert, or, when the other side
/// was faster, the end of the connection.
fn is_shut_out(error: &IdentityError) -> bool {
    matches!(
        error,
        IdentityError::Untrusted { .. }
            | IdentityError::Connection { .. }
            | IdentityError::NotRunning { .. }
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_signatures_and_the_ledger_says_which_one() {
    let home = Home::new();
    let (running, address) = start(&home).await;
    let worker = Worker::enroll(&home, &running, "berlin-1", all()).await;
    let client = worker.client(address);
    let acme = tenant("acme");
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    running.stop().await;

    // Neither the signer's stop nor its start takes anything from the worker.
    let (running, address) = start(&home).await;
    worker.client(address).sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    running.stop().await;
    let signed: Vec<Requester> = home
        .events()
        .into_iter()
        .filter_map(|event| match event {
            LedgerEvent::AssertionSigned { by, .. } => Some(by),
            _ => None,
        })
        .collect();
    assert_eq!(signed.len(), 2);
    for by in signed {
        // The name is the certificate's, whatever the worker calls itself.
        assert_eq!((by.caller.as_str(), by.uid, by.pid), ("berlin-1", None, None));
        assert_eq!(by.certificate.as_deref(), Some(worker.fingerprint()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_worker_gets_no_answer() {
    let home = Home::new();
    let (running, address) = start(&home).await;
    let worker = Worker::enroll(&home, &running, "berlin-1", all()).await;
    worker.client(address).status().await.unwrap();

    let stranger = Worker::stranger(&home, worker.authority.clone());
    let error = stranger.client(address).status().await.unwrap_err();
    assert!(is_shut_out(&error), "a certificate of somebody else: {error}");

    let mut nobody = Worker::stranger(&home, worker.authority.clone());
    nobody.chain.clear();
    let error = nobody.client(address).status().await.unwrap_err();
    assert!(is_shut_out(&error), "no certificate: {error}");

    let mut old = Worker::enroll(&home, &running, "old", all()).await;
    old.versions = vec![&TLS12];
    let error = old.client(address).status().await.unwrap_err();
    assert!(is_shut_out(&error), "TLS 1.2: {error}");

    // Plain text, as it is said on the socket.
    let mut plain = TcpStream::connect(address).await.unwrap();
    let status = mailkeep_identity::protocol::Request::Status;
    let frame = RequestFrame { v: VERSION, caller: "test".parse().unwrap(), request: status };
    write_frame(&mut plain, &encode(&frame).unwrap()).await.unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard).await;
    assert!(!heard.windows(6).any(|part| part == b"answer"), "{heard:?}");

    // A certificate that has expired: of somebody new, and on a connection from before.
    let client = worker.client(address);
    client.status().await.unwrap();
    home.advance(Duration::from_secs(366 * 86_400));
    let error = client.status().await.unwrap_err();
    assert!(is_refused(&error, "expired"), "{error}");
    let error = worker.client(address).status().await.unwrap_err();
    assert!(is_shut_out(&error), "expired: {error}");
    // The signer's own was renewed meanwhile.
    let fresh = Worker::enroll(&home, &running, "fresh", all()).await;
    fresh.client(address).status().await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_pass_for_the_signer() {
    let home = Home::new();
    let (running, address) = start(&home).await;
    let worker = Worker::enroll(&home, &running, "berlin-1", all()).await;
    // A worker that holds a certificate of the same authority listens in the signer's place.
    let other = Worker::enroll(&home, &running, "berlin-2", all()).await;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let false_signer = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(other.chain.clone(), other.secret().into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(false_signer));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let error = worker.client(elsewhere).status().await.unwrap_err();
    assert!(matches!(error, IdentityError::Untrusted { .. }), "{error}");
    assert!(!error.is_transient());

    // A signer with another authority.
    let another = Home::new();
    let (theirs, their_address) = start(&another).await;
    let error = worker.client(their_address).status().await.unwrap_err();
    assert!(matches!(error, IdentityError::Untrusted { .. }), "{error}");
    worker.client(address).status().await.unwrap();
    theirs.stop().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_asks_for_its_tenants_and_functions_and_for_no_others() {
    let home = Home::new();
    let (running, address) = start(&home).await;
    let local = running.client().await;
    let (acme, other) = (tenant("acme"), tenant("other"));
    for name in [&acme, &other] {
        local.create_key(&job(), name, Function::Reader).await.unwrap();
        local.bind(&job(), name, Function::Reader, &uuid(name.as_str()), ENDPOINT).await.unwrap();
    }
    local.create_key(&job(), &acme, Function::Auditor).await.unwrap();
    let limits =
        WorkerLimits { tenants: Some(vec![acme.clone()]), functions: Some(vec![Function::Reader]) };
    let worker = Worker::enroll(&home, &running, "berlin-1", limits).await;
    let client = worker.client(address);
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    assert_eq!(client.credentials(Some(&acme)).await.unwrap().len(), 2);
    let secret = "repository".parse().unwrap();
    client.create_secret(&job(), &acme, &secret).await.unwrap();
    client.release_secret(&job(), &acme, &secret).await.unwrap();
    client.checkpoint().await.unwrap();
    let told = client.ledger_of(&acme, 0).await.unwrap();
    let own = events(&told);
    assert!(!told.more && own.iter().all(|event| event.tenant() == Some(&acme)), "{own:?}");
    assert_eq!(told.functions, Some(vec![Function::Reader]));
    let is_signed = |event: &LedgerEvent| matches!(event, LedgerEvent::AssertionSigned { .. });
    assert_eq!(own.iter().filter(|event| is_signed(event)).count(), 1);
    let whole = home.events();
    let is_another_s =
        |event: &LedgerEvent| event.function().is_some_and(|one| one != Function::Reader);
    let of_it = |event: &&LedgerEvent| event.tenant() == Some(&acme) && !is_another_s(event);
    assert_eq!(own.len(), whole.iter().filter(of_it).count(), "one of its records was left out");
    assert!(whole.iter().any(is_another_s), "there are some that it must not see");
    assert!(!own.iter().any(is_another_s), "it sees what other functions' keys did: {own:?}");
    // It goes on where it stood.
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    let news = client.ledger_of(&acme, told.next).await.unwrap();
    assert!(matches!(events(&news)[..], [LedgerEvent::AssertionSigned { .. }]), "{news:?}");

    let for_tenant = "may not ask for this tenant";
    let error = client.ledger_of(&other, 0).await.unwrap_err();
    assert!(is_refused(&error, for_tenant), "{error}");
    assert!(is_refused(&client.ledger(0).await.unwrap_err(), for_tenant));
    assert!(is_refused(&client.ledger_digest(1).await.unwrap_err(), for_tenant));
    let for_function = "may not ask for this function";
    let error = client.sign_assertion(&job(), &other, Function::Reader).await.unwrap_err();
    assert!(is_refused(&error, for_tenant), "{error}");
    let error = client.release_secret(&job(), &other, &secret).await.unwrap_err();
    assert!(is_refused(&error, for_tenant), "{error}");
    let error = client.credentials(None).await.unwrap_err();
    assert!(is_refused(&error, for_tenant), "{error}");
    let error = client.retire(&job(), &other, Some(Function::Reader)).await.unwrap_err();
    assert!(is_refused(&error, for_tenant), "{error}");
    let error = client.create_key(&job(), &acme, Function::Steward).await.unwrap_err();
    assert!(is_refused(&error, for_function), "{error}");
    let error = client.retire(&job(), &acme, None).await.unwrap_err();
    assert!(is_refused(&error, for_function), "{error}");

    // Nor does it let others in, or out.
    let name = "friend".parse().unwrap();
    let error = client.enroll_worker(&name, &all(), "").await.unwrap_err();
    assert!(is_refused(&error, "on the signer's machine"), "{error}");
    assert!(is_refused(&client.workers().await.unwrap_err(), "on the signer's machine"));
    let error = client.revoke_worker(&"berlin-1".parse().unwrap()).await.unwrap_err();
    assert!(is_refused(&error, "on the signer's machine"), "{error}");
    assert_eq!(local.credentials(None).await.unwrap().len(), 3);
    running.stop().await;
    let refused = home.events().into_iter().any(|event| {
        matches!(&event, LedgerEvent::Refused { by: Some(by), tenant: Some(of), uid: None, .. }
            if by.caller.as_str() == "berlin-1" && *of == other)
    });
    assert!(refused, "the ledger has what a worker was refused");
}

fn events(told: &LedgerLines) -> Vec<LedgerEvent> {
    let lines = told.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| ledger::parse(line).unwrap().event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_the_ledger_read_without_end_is_held_up_and_no_other_is() {
    let home = Home::new();
    let mut options = home.options();
    options.remote = Some(RemoteOptions::new("127.0.0.1:0".parse().unwrap(), Vec::new()));
    options.read_limit = ReadLimit { per_second: 1_000, at_once: 1 };
    let running = home.start_with(options).await.unwrap();
    let address = running.remote.unwrap();
    let acme = tenant("acme");
    running.client().await.create_key(&job(), &acme, Function::Reader).await.unwrap();
    let limits = WorkerLimits { tenants: Some(vec![acme.clone()]), functions: None };
    let greedy = Worker::enroll(&home, &running, "greedy", limits.clone()).await;
    let other = Worker::enroll(&home, &running, "other", limits).await;
    let (greedy, other) = (greedy.client(address), other.client(address));

    let is_held_up = |error: &IdentityError| {
        matches!(error, IdentityError::ReadTooMuch { .. }) && error.is_transient()
    };
    let all = greedy.ledger_of(&acme, 0).await.unwrap();
    let error = greedy.ledger_of(&acme, 0).await.unwrap_err();
    assert!(is_held_up(&error), "{error}");
    // Neither others, nor what it needs for its work.
    let others = other.ledger_of(&acme, 0).await.unwrap();
    assert!(others.lines.starts_with(&all.lines));
    greedy.checkpoint().await.unwrap();
    let local = running.client().await;
    assert!(local.ledger_digest(all.next).await.unwrap().is_some());
    let error = local.ledger_digest(all.next).await.unwrap_err();
    assert!(is_held_up(&error), "{error}");

    home.advance(Duration::from_secs(3600));
    assert!(greedy.ledger_of(&acme, 0).await.unwrap().lines.starts_with(&all.lines));
    assert!(local.ledger_digest(all.next).await.unwrap().is_some());
    running.stop().await;
}

fn uuid(seed: &str) -> String {
    format!("11111111-2222-3333-4444-{:0>12}", seed.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_revoked_is_cut_off_at_once_and_for_good() {
    let home = Home::new();
    let (running, address) = start(&home).await;
    let worker = Worker::enroll(&home, &running, "berlin-1", all()).await;
    let kept = Worker::enroll(&home, &running, "berlin-2", all()).await;
    let mut open = worker.stream(address).await.unwrap();
    let kept_client = kept.client(address);
    kept_client.status().await.unwrap();
    let status = mailkeep_identity::protocol::Request::Status;
    let frame = RequestFrame { v: VERSION, caller: "test".parse().unwrap(), request: status };
    write_frame(&mut open, &encode(&frame).unwrap()).await.unwrap();
    assert!(read_frame(&mut open).await.unwrap().is_some());

    let list = home.signer().join("workers.age");
    let before = fs::read(&list).unwrap();
    let local = running.client().await;
    assert_eq!(local.revoke_worker(&"berlin-1".parse().unwrap()).await.unwrap(), 1);
    assert_eq!(local.revoke_worker(&"berlin-1".parse().unwrap()).await.unwrap(), 0);
    // Nothing is sent on the open connection; it ends all the same.
    let ended = tokio::time::timeout(Duration::from_secs(10), read_frame(&mut open)).await;
    assert!(!matches!(ended.unwrap(), Ok(Some(_))), "an open connection of a revoked worker");
    let error = worker.client(address).status().await.unwrap_err();
    assert!(is_refused(&error, "was revoked"), "{error}");
    kept_client.status().await.unwrap();
    let listed = local.workers().await.unwrap();
    assert_eq!(listed.iter().filter(|one| one.revoked.is_some()).count(), 1);
    assert_eq!(listed.len(), 2);
    running.stop().await;

    // Whoever puts the list of before in its place brings nobody back: the ledger knows better.
    fs::write(&list, before).unwrap();
    let (running, address) = start(&home).await;
    let error = worker.client(address).status().await.unwrap_err();
    assert!(is_refused(&error, "was revoked"), "{error}");
    kept.client(address).status().await.unwrap();
    running.stop().await;
    let connects = home.events().into_iter().filter(|event| {
        matches!(event, LedgerEvent::Refused { operation, reason, .. }
            if operation == "connect" && reason.contains("berlin-1"))
    });
    assert!(connects.count() >= 1, "the ledger has that a revoked worker came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_that_say_nothing_keep_no_worker_out() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();

    let home = Home::new();
    let (running, address) = start_with(&home, Duration::from_secs(3)).await;
    let worker = Worker::enroll(&home, &running, "berlin-1", all()).await;
    let mut silent = Vec::new();
    for number in 0..1_000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            // The beginning of a handshake that does not go on.
            stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    let begin = Instant::now();
    worker.client(address).status().await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    // And none of them stays.
    for mut stream in silent {
        let mut heard = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut heard));
        let _ = end.await.expect("a handshake that does not end is ended");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_opens_connections_without_end_takes_no_place_of_others() {
    let home = Home::new();
    let (running, address) = start(&home).await;
    let greedy = Worker::enroll(&home, &running, "greedy", all()).await;
    let other = Worker::enroll(&home, &running, "other", all()).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(greedy.stream(address).await.unwrap());
    }
    other.client(address).status().await.unwrap();
    let mut closed = 0;
    for stream in held.iter_mut().rev() {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut byte)).await;
        closed += usize::from(read.is_ok());
        if closed == 8 {
            break;
        }
    }
    assert_eq!(closed, 8, "32 connections of a worker stay");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_none_gets_no_certificate() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let name = "worker".parse().unwrap();
    let rsa = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    let other_curve = {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let params = rcgen::CertificateParams::default();
        params.serialize_request(&key).unwrap().pem().unwrap()
    };
    for bad in ["", "garbage", rsa, &other_curve] {
        let error = client.enroll_worker(&name, &all(), bad).await.unwrap_err();
        assert!(matches!(error, IdentityError::Refused { .. }), "{error}");
    }
    assert!(client.workers().await.unwrap().is_empty());
    running.stop().await;

    let mut options = home.options();
    let listen = "127.0.0.1:0".parse().unwrap();
    options.remote = Some(RemoteOptions::new(listen, vec!["not a name".into()]));
    let error = home.start_with(options).await.err().unwrap();
    assert!(matches!(error, SignerError::NotAName { .. }), "{error}");
}
