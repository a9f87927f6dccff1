//! A listener whose certificate somebody else renews.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{fs, time::Duration};

use common::{Authority, Caller, der, echo, files, put, serve, until};
use mailkeep_tls::{
    CertificateSource, CertificateStatus, ListenerOptions, ListenerTls, OldestTls, Pace, TlsError,
    TlsFiles,
};
use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;

const NAME: &str = "mail.example";

fn options(files: &TlsFiles) -> ListenerOptions {
    let mut options = ListenerOptions::new(CertificateSource::Files(files.clone()));
    options.pace = Pace { look: Duration::from_millis(20), ..Pace::default() };
    options
}

#[tokio::test]
async fn a_renewed_file_serves_without_a_restart_and_open_connections_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, files) = (Authority::new(), files(directory.path()));
    put(&files, &authority.issue_now(&[NAME]));
    let tls = ListenerTls::start(options(&files)).await.unwrap();
    let address = serve(&tls).await;
    let caller = Caller::new(&authority.pem, NAME);
    let mut open = caller.call(address).await.unwrap();
    echo(&mut open).await.unwrap();

    let renewed = authority.issue_now(&[NAME]);
    put(&files, &renewed);
    let expected = der(&renewed.0);
    until("the renewed certificate is shown", async || {
        caller.shown(address).await.unwrap() == expected
    })
    .await;
    echo(&mut open).await.unwrap();
    until("nothing is wrong", async || tls.status().trouble.is_none()).await;
}

#[tokio::test]
async fn a_bad_new_file_keeps_the_old_one_in_use_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, files) = (Authority::new(), files(directory.path()));
    let good = authority.issue_now(&[NAME]);
    put(&files, &good);
    let mut options = options(&files);
    let status_file = directory.path().join("tls/status.json");
    options.status_file = Some(status_file.clone());
    let tls = ListenerTls::start(options).await.unwrap();
    let address = serve(&tls).await;
    let caller = Caller::new(&authority.pem, NAME);

    let expired = authority.issue(&[NAME], OffsetDateTime::now_utc() - Duration::from_secs(60));
    let other = authority.issue_now(&[NAME]);
    for (bad, said) in [
        (("garbage".to_owned(), good.1.clone()), "no certificate"),
        ((good.0.clone(), "garbage".to_owned()), "no private key"),
        ((other.0.clone(), good.1.clone()), "not that of the certificate"),
        (expired, "expired"),
    ] {
        put(&files, &bad);
        until(said, async || tls.status().trouble.is_some_and(|it| it.what.contains(said))).await;
        assert_eq!(caller.shown(address).await.unwrap(), der(&good.0), "{said}");
        let told = CertificateStatus::read(&status_file).unwrap().unwrap();
        assert_eq!(told, tls.status());
        assert_eq!(told.serving.unwrap().names, [NAME]);
    }
    fs::remove_file(&files.certificate).unwrap();
    until("a missing file is told of", async || {
        tls.status().trouble.is_some_and(|it| it.what.contains("fullchain.pem"))
    })
    .await;
    assert_eq!(caller.shown(address).await.unwrap(), der(&good.0));

    // What it was before is as good as something new.
    put(&files, &good);
    until("nothing is wrong any more", async || tls.status().trouble.is_none()).await;
    put(&files, &other);
    until("the next good one serves", async || {
        caller.shown(address).await.unwrap() == der(&other.0)
    })
    .await;
}

#[tokio::test]
async fn tls_1_2_is_refused_unless_it_is_switched_on() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, files) = (Authority::new(), files(directory.path()));
    put(&files, &authority.issue_now(&[NAME]));
    let old = Caller::new(&authority.pem, NAME).speaking(&[&TLS12]);
    let new = Caller::new(&authority.pem, NAME).speaking(&[&TLS13]);

    let tls = ListenerTls::start(options(&files)).await.unwrap();
    let address = serve(&tls).await;
    let error = old.call(address).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    echo(&mut new.call(address).await.unwrap()).await.unwrap();

    let mut lenient = options(&files);
    lenient.oldest = OldestTls::V1_2;
    let tls = ListenerTls::start(lenient).await.unwrap();
    let address = serve(&tls).await;
    echo(&mut old.call(address).await.unwrap()).await.unwrap();
    echo(&mut new.call(address).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_listener_does_not_start_with_files_that_do_not_belong_together() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, files) = (Authority::new(), files(directory.path()));
    let error = ListenerTls::start(options(&files)).await.unwrap_err();
    assert!(matches!(error, TlsError::File { .. }), "{error}");
    let (one, other) = (authority.issue_now(&[NAME]), authority.issue_now(&[NAME]));
    put(&files, &(one.0, other.1));
    let error = ListenerTls::start(options(&files)).await.unwrap_err();
    assert!(error.to_string().contains("not that of the certificate"), "{error}");
    // The key itself is in no message.
    put(&files, &("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), one.1));
    let error = ListenerTls::start(options(&files)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("PRIVATE"), "{error}");
}
