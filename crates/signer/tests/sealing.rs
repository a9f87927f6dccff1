//! The files are of use to the holder of the master key only.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::fs;

use common::{Home, files, job, tenant};
use mailkeep_identity::SealingKind;
use mailkeep_model::{Function, Secret};
use mailkeep_signer::{Sealing, SignerError, SignerOptions};

fn passphrase(home: &Home, text: &str) -> SignerOptions {
    let mut options = home.options();
    options.sealing = Sealing::Passphrase(Secret::new(text.to_owned()));
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_opens_nothing_and_the_right_one_still_does() {
    let home = Home::new();
    let running = home.start_with(passphrase(&home, "correct horse")).await.unwrap();
    let client = running.client().await;
    let made = client.create_key(&job(), &tenant("acme"), Function::Reader).await.unwrap();
    let sealing = client.status().await.unwrap().sealing;
    assert_eq!((sealing.kind, sealing.warning), (SealingKind::Passphrase, None));
    running.stop().await;

    let before: Vec<_> = files(&home.signer()).iter().map(|p| fs::read(p).unwrap()).collect();
    let error = home.start_with(passphrase(&home, "battery staple")).await.err().unwrap();
    assert!(matches!(error, SignerError::WrongPassphrase { .. }), "{error}");
    let error = home.start_with(passphrase(&home, "")).await.err().unwrap();
    assert!(matches!(error, SignerError::EmptyPassphrase), "{error}");
    let error = home.start_with(home.options()).await.err().unwrap();
    assert!(matches!(error, SignerError::MasterMissing { .. }), "{error}");
    let after: Vec<_> = files(&home.signer()).iter().map(|p| fs::read(p).unwrap()).collect();
    // The lock file names the process that tried last; nothing else may differ.
    assert_eq!(before, after);

    let running = home.start_with(passphrase(&home, "correct horse")).await.unwrap();
    let client = running.client().await;
    let again = client.create_key(&job(), &tenant("acme"), Function::Reader).await.unwrap();
    assert_eq!(again, made);
    running.stop().await;
    for path in files(home.root.path()) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for secret in ["correct horse", "AGE-SECRET-KEY", "PRIVATE KEY", "pkcs8"] {
            assert!(!text.contains(secret), "{} holds {secret:?}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_or_none_is_told_apart_from_damage() {
    let home = Home::new();
    home.start().await.stop().await;

    let other = Home::new();
    other.start().await.stop().await;
    let mut options = home.options();
    options.sealing = Sealing::IdentityFile(other.path("master.txt"));
    let error = home.start_with(options).await.err().unwrap();
    assert!(matches!(error, SignerError::WrongIdentity { .. }), "{error}");

    let mut options = home.options();
    options.sealing = Sealing::IdentityFile(home.path("not-mounted.txt"));
    let error = home.start_with(options).await.err().unwrap();
    assert!(matches!(error, SignerError::MasterMissing { .. }), "{error}");
    assert!(!home.path("not-mounted.txt").exists(), "a new key would open nothing");

    fs::write(home.path("garbage.txt"), "AGE-SECRET-KEY-1GARBAGE").unwrap();
    let mut options = home.options();
    options.sealing = Sealing::IdentityFile(home.path("garbage.txt"));
    let error = home.start_with(options).await.err().unwrap();
    assert!(matches!(error, SignerError::Damaged { .. }), "{error}");
    assert!(!error.to_string().contains("GARBAGE"), "{error}");

    fs::write(home.signer().join("check.age"), b"garbage").unwrap();
    let error = home.start_with(home.options()).await.err().unwrap();
    assert!(matches!(error, SignerError::Damaged { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_on_the_same_disk_is_called_what_it_is() {
    let home = Home::new();
    let running = home.start().await;
    let sealing = running.client().await.status().await.unwrap().sealing;
    assert_eq!(sealing.kind, SealingKind::IdentityFile);
    let warning = sealing.warning.unwrap();
    assert!(warning.contains("same disk protects nothing"), "{warning}");
    running.stop().await;
}

#[test]
fn options_do_not_print_the_passphrase() {
    let home = Home::new();
    let text = format!("{:?}", passphrase(&home, "correct horse"));
    assert!(text.contains("[redacted]") && !text.contains("correct horse"), "{text}");
}
