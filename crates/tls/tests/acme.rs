//! A listener that gets its certificates by itself, from Pebble.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;
#[path = "common/pebble.rs"]
#[allow(unreachable_pub)]
mod pebble;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Caller, echo, mode, peer, serve_at, until};
use mailkeep_tls::{Acme, CertificateSource, ClockOption, ListenerOptions, ListenerTls, Pace};
use pebble::Pebble;
use time::OffsetDateTime;

const NAMES: [&str; 2] = ["mail.example", "told.mail.example"];

/// A clock that can be put forward, and counts who looks at it.
#[derive(Clone, Default)]
struct Moved(Arc<Mutex<(Duration, u64)>>);

impl Moved {
    fn by(&self, time: Duration) {
        self.0.lock().unwrap().0 += time;
    }

    fn looks(&self) -> u64 {
        self.0.lock().unwrap().1
    }

    fn now(&self) -> OffsetDateTime {
        let mut moved = self.0.lock().unwrap();
        moved.1 += 1;
        OffsetDateTime::now_utc() + moved.0
    }
}

fn options(pebble: &Pebble, storage: &Path, clock: &Moved) -> ListenerOptions {
    let acme = Acme {
        directory: pebble.directory.parse().unwrap(),
        names: NAMES.map(str::to_owned).to_vec(),
        contact: "postmaster@mail.example".into(),
        authority: Some(pebble.ca.clone()),
        storage: storage.to_owned(),
    };
    let mut options = ListenerOptions::new(CertificateSource::Acme(acme));
    options.pace = Pace { look: Duration::from_millis(20), retry: Duration::from_millis(100) };
    let clock = clock.clone();
    options.clock = ClockOption(Arc::new(move || clock.now()));
    options
}

fn fingerprint(tls: &ListenerTls) -> Option<String> {
    tls.status().serving.map(|serving| serving.fingerprint)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_got_and_kept_over_a_restart() {
    let pebble = Pebble::start().await;
    let directory = tempfile::tempdir().unwrap();
    let (storage, clock) = (directory.path().join("acme"), Moved::default());
    let tls = ListenerTls::start(options(&pebble, &storage, &clock)).await.unwrap();
    serve_at(pebble.challenged, &tls).await;
    // Nothing serves before.
    assert!(Caller::new(&pebble.root().await, NAMES[0]).call(pebble.challenged).await.is_err());
    until("a certificate serves", async || fingerprint(&tls).is_some()).await;
    assert_eq!(tls.status().serving.unwrap().names, NAMES);

    // Whoever believes Pebble believes the listener, under both names.
    let root = pebble.root().await;
    for name in NAMES {
        let mut stream = Caller::new(&root, name).call(pebble.challenged).await.unwrap();
        echo(&mut stream).await.unwrap();
    }
    assert_eq!(mode(&storage), 0o700);
    for file in ["account.json", "certificate.pem"] {
        assert_eq!(mode(&storage.join(file)), 0o600, "{file}");
    }

    // A restart takes what is there, without asking anybody.
    let first = fingerprint(&tls);
    drop((tls, pebble.stop()));
    let tls = ListenerTls::start(options(&pebble, &storage, &clock)).await.unwrap();
    assert_eq!(fingerprint(&tls), first);
    // For other names another one is needed.
    let mut other = options(&pebble, &storage, &clock);
    let CertificateSource::Acme(acme) = &mut other.source else { panic!() };
    acme.names.push("more.mail.example".into());
    let tls = ListenerTls::start(other).await.unwrap();
    assert_eq!(fingerprint(&tls), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_at_two_thirds_of_its_life_while_it_serves() {
    let pebble = Pebble::start().await;
    let directory = tempfile::tempdir().unwrap();
    let (storage, clock) = (directory.path().join("acme"), Moved::default());
    let tls = ListenerTls::start(options(&pebble, &storage, &clock)).await.unwrap();
    serve_at(pebble.challenged, &tls).await;
    until("a certificate serves", async || fingerprint(&tls).is_some()).await;
    let first = tls.status().serving.unwrap();
    let account = std::fs::read(storage.join("account.json")).unwrap();
    let caller = Caller::new(&pebble.root().await, NAMES[0]);
    let mut open = caller.call(pebble.challenged).await.unwrap();

    let hour = Duration::from_secs(3600);
    let life = Duration::try_from(first.not_after - first.not_before).unwrap();
    clock.by(life * 2 / 3 - hour);
    let looked = clock.looks();
    until("the clock was looked at", async || clock.looks() > looked + 3).await;
    assert_eq!(fingerprint(&tls).as_ref(), Some(&first.fingerprint));

    clock.by(hour * 2);
    until("another one serves", async || {
        fingerprint(&tls).is_some_and(|now| now != first.fingerprint)
    })
    .await;
    assert_ne!(caller.shown(pebble.challenged).await.unwrap(), peer(&open));
    echo(&mut open).await.unwrap();
    // The same account, and another key.
    assert_eq!(account, std::fs::read(storage.join("account.json")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_fails_says_why_and_what_served_goes_on() {
    let pebble = Pebble::start().await;
    let directory = tempfile::tempdir().unwrap();
    let (storage, clock) = (directory.path().join("acme"), Moved::default());
    let tls = ListenerTls::start(options(&pebble, &storage, &clock)).await.unwrap();
    // Nobody listens where the authority looks.
    until("it is told that the name was not proven", async || {
        tls.status().trouble.is_some_and(|it| it.what.contains("tls-alpn-01"))
    })
    .await;
    assert_eq!(fingerprint(&tls), None);
    // Then somebody does.
    serve_at(pebble.challenged, &tls).await;
    until("a certificate serves", async || fingerprint(&tls).is_some()).await;
    assert!(tls.status().trouble.is_none());
    let first = fingerprint(&tls);

    // The authority is away when it is time to renew.
    pebble.stop();
    clock.by(Duration::from_secs(4 * 365 * 86_400));
    until("it is told that the authority is away", async || {
        tls.status().trouble.is_some_and(|it| it.what.contains(&pebble.directory))
    })
    .await;
    assert_eq!(fingerprint(&tls), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_nobody_vouches_for_is_not_asked() {
    let pebble = Pebble::start().await;
    let directory = tempfile::tempdir().unwrap();
    let (storage, clock) = (directory.path().join("acme"), Moved::default());
    let stranger = directory.path().join("stranger.pem");
    std::fs::write(&stranger, common::Authority::new().pem).unwrap();
    let mut options = options(&pebble, &storage, &clock);
    let CertificateSource::Acme(acme) = &mut options.source else { panic!() };
    acme.authority = Some(stranger);
    let tls = ListenerTls::start(options).await.unwrap();
    until("it is told", async || {
        tls.status().trouble.is_some_and(|it| it.what.to_lowercase().contains("certificate"))
    })
    .await;
    assert!(!storage.join("account.json").exists());
}
