//! Keys inside a token sign and never leave it. Needs SoftHSM 2; without it these tests say so and
//! count as skipped.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{CLIENT_ID, ENDPOINT, job, tenant};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass},
    session::UserType,
    types::AuthPin,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use mailkeep_identity::{
    CertificateInfo, IdentityError, KeyStoreInfo, SignerClient, ledger::LedgerEvent,
};
use mailkeep_model::{Function, Secret};
use mailkeep_signer::{Keys, RateLimit, Sealing, Signer, SignerOptions};
use rcgen::CertificateSigningRequestParams;

const ROOT: &str = "MAILKEEP_TEST_TOKEN_ROOT";
const KEYS: &str = "MAILKEEP_TEST_TOKEN_KEYS";
const LABEL: &str = "mailkeep test";
const PIN: &str = "4711-0815";
const READER: Function = Function::Reader;

/// Where Debian, Fedora and Arch put the module.
const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
];

fn module() -> Option<PathBuf> {
    MODULES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// A token of the test's own, in a directory that goes with it.
struct Token {
    root: tempfile::TempDir,
}

impl Token {
    fn new() -> Option<Self> {
        let made = module().and_then(|_| {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("tokens")).unwrap();
            let configuration = format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                root.path().join("tokens").display()
            );
            fs::write(root.path().join("softhsm2.conf"), configuration).unwrap();
            initialise(root.path(), PIN).then_some(Self { root })
        });
        if made.is_none() {
            eprintln!("skipped, because SoftHSM 2 (Debian package softhsm2) is not installed");
        }
        made
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    /// One of the tests below that are processes, with this token as its only one.
    fn process(&self, test: &str, keys: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture"]);
        command.env("SOFTHSM2_CONF", self.path().join("softhsm2.conf"));
        command.env(ROOT, self.path()).env(KEYS, keys);
        command
    }

    fn signer(&self, keys: &str) -> Process {
        let mut command = self.process("signer_process", keys);
        Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    async fn client(&self) -> SignerClient {
        for _ in 0..3000 {
            let caller = "test".parse().unwrap();
            if let Ok(client) = SignerClient::connect(self.path().join("socket"), caller).await {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the signer did not start within 30 seconds");
    }

    /// Looks into the token with its PIN, and tells how many private keys there are.
    fn thief(&self) -> usize {
        let done = self.process("thief_process", "").output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        let line = said.lines().find_map(|line| line.split_once("private keys: ")).unwrap();
        line.1.parse().unwrap()
    }

    fn events(&self) -> Vec<LedgerEvent> {
        common::events(&self.path().join("signer/ledger.jsonl"))
    }
}

/// Makes the token; `false` when the program for that is not there.
fn initialise(root: &Path, pin: &str) -> bool {
    let mut command = Command::new("softhsm2-util");
    command.args(["--init-token", "--free", "--label", LABEL, "--so-pin", "so-pin-1"]);
    command.args(["--pin", pin]).env("SOFTHSM2_CONF", root.join("softhsm2.conf"));
    let Ok(made) = command.stdout(Stdio::null()).status() else { return false };
    assert!(made.success(), "softhsm2-util failed");
    true
}

/// Killed when it goes out of scope, whatever became of the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn options(root: &Path, keys: &str) -> SignerOptions {
    let sealing = Sealing::IdentityFile(root.join("master.txt"));
    let mut options = SignerOptions::new(root.join("signer"), root.join("socket"), sealing);
    options.rate_limit = RateLimit { per_hour: 1_000_000, burst: 1_000_000 };
    if keys != "sealed" {
        let pin = Secret::new(keys.to_owned());
        options.keys = Keys::Pkcs11 { module: module().unwrap(), token: LABEL.to_owned(), pin };
    }
    options
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn signer_process() {
    let root = PathBuf::from(env::var_os(ROOT).expect("started by another test"));
    let keys = env::var(KEYS).unwrap();
    let signer = Signer::open(options(&root, &keys)).unwrap_or_else(|error| panic!("{error}"));
    signer.serve(std::future::pending()).await.unwrap();
}

#[test]
#[ignore = "a process that other tests start"]
fn thief_process() {
    let context = Pkcs11::new(module().unwrap()).unwrap();
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned()))).unwrap();
    let wrapping = [Attribute::Wrap(true), Attribute::ValueLen(32.into())];
    let wrapping = session.generate_key(&Mechanism::AesKeyGen, &wrapping).unwrap();
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();

    // All that is tried below succeeds with a key that may leave the token.
    let public = [Attribute::ModulusBits(2048.into()), Attribute::PublicExponent(vec![1, 0, 1])];
    let private = [Attribute::Sensitive(false), Attribute::Extractable(true)];
    let mechanism = Mechanism::RsaPkcsKeyPairGen;
    let (_, loose) = session.generate_key_pair(&mechanism, &public, &private).unwrap();
    let exponent = session.get_attributes(loose, &[AttributeType::PrivateExponent]).unwrap();
    assert!(matches!(&exponent[..], [Attribute::PrivateExponent(d)] if d.len() > 200));
    session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, loose).unwrap();
    session.copy_object(loose, &[Attribute::Extractable(true)]).unwrap();

    for key in &keys {
        for secret in [
            AttributeType::PrivateExponent,
            AttributeType::Prime1,
            AttributeType::Prime2,
            AttributeType::Coefficient,
            AttributeType::Value,
        ] {
            let got = session.get_attributes(*key, &[secret]);
            assert!(!got.is_ok_and(|got| !got.is_empty()), "{secret:?} can be read");
        }
        let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, *key);
        assert!(wrapped.is_err(), "the key can be wrapped");
        for change in [Attribute::Extractable(true), Attribute::Sensitive(false)] {
            let change = [change];
            assert!(session.update_attributes(*key, &change).is_err(), "{change:?}");
            assert!(session.copy_object(*key, &change).is_err(), "copied with {change:?}");
        }
        let told = session.get_attributes(*key, &[AttributeType::KeyType, AttributeType::Modulus]);
        // What is public can be read, so that the questions above were understood.
        let told = told.unwrap();
        assert!(told.contains(&Attribute::KeyType(KeyType::RSA)), "{told:?}");
        assert!(told.iter().any(|one| matches!(one, Attribute::Modulus(n) if n.len() == 384)));
    }
    println!("private keys: {}", keys.len());
}

/// Checks the signature with code that shares nothing with ours.
fn verifies(assertion: &str, certificate: &CertificateInfo) -> bool {
    let der = certificate.certificate_der().unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let public = parsed.public_key().subject_public_key.data.as_ref();
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_audience(&[ENDPOINT]);
    let key = DecodingKey::from_rsa_der(public);
    decode::<serde_json::Value>(assertion, &key, &validation).is_ok()
}

async fn bound(client: &SignerClient, name: &str, number: usize) -> CertificateInfo {
    let made = client.create_key(&job(), &tenant(name), READER).await.unwrap();
    let client_id = CLIENT_ID.replace("5555", &format!("{number:04}"));
    client.bind(&job(), &tenant(name), READER, &client_id, ENDPOINT).await.unwrap();
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_inside_the_token_signs_survives_a_restart_and_cannot_be_taken_out() {
    let Some(token) = Token::new() else { return };
    let signer = token.signer(PIN);
    let client = token.client().await;
    let status = client.status().await.unwrap();
    assert!(matches!(&status.keys, KeyStoreInfo::Token { label, .. } if label == LABEL));
    let acme = tenant("acme");
    let active = bound(&client, "acme", 1).await;
    let der = active.certificate_der().unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    parsed.verify_signature(None).unwrap();
    let signed = client.sign_assertion(&job(), &acme, READER).await.unwrap();
    assert!(verifies(signed.assertion.expose(), &active));
    let prepared = client.prepare_key(&job(), &acme, READER).await.unwrap();
    let wanted = Some(prepared.key_id.as_str());
    let request = client.certificate_request(&job(), &acme, READER, wanted).await.unwrap();
    CertificateSigningRequestParams::from_pem(&request).unwrap();
    // Who was not the first to make a key leaves none behind.
    let makers: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.create_key(&job(), &tenant("globex"), READER).await })
        })
        .collect();
    for maker in makers {
        maker.await.unwrap().unwrap();
    }
    assert_eq!(token.thief(), 3);
    assert_eq!(client.retire(&job(), &tenant("globex"), None).await.unwrap(), 1);

    drop(signer);
    let _signer = token.signer(PIN);
    let client = token.client().await;
    client.activate_key(&job(), &acme, READER, &prepared.key_id).await.unwrap();
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (client, acme) = (client.clone(), acme.clone());
            tokio::spawn(async move { client.sign_assertion(&job(), &acme, READER).await })
        })
        .collect();
    for worker in workers {
        let signed = worker.await.unwrap().unwrap();
        assert!(verifies(signed.assertion.expose(), &prepared));
        assert!(!verifies(signed.assertion.expose(), &active));
    }

    // What is retired is gone from the token as well.
    assert!(client.retire_key(&job(), &acme, READER, &active.key_id).await.unwrap());
    assert_eq!(token.thief(), 1);
    assert_eq!(client.retire(&job(), &acme, None).await.unwrap(), 1);
    assert_eq!(token.thief(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_away_is_named_and_used_again_when_it_is_back() {
    let Some(token) = Token::new() else { return };
    // A tenant from before there was a token, whose key is sealed.
    let signer = token.signer("sealed");
    let client = token.client().await;
    let sealed = bound(&client, "sealed", 1).await;
    drop(signer);
    let _signer = token.signer(PIN);
    let client = token.client().await;
    let inside = bound(&client, "inside", 2).await;

    let (there, away) = (token.path().join("tokens"), token.path().join("away"));
    fs::rename(&there, &away).unwrap();
    for refused in [
        client.sign_assertion(&job(), &tenant("inside"), READER).await.map(drop),
        client.prepare_key(&job(), &tenant("sealed"), READER).await.map(drop),
        client.retire_key(&job(), &tenant("inside"), READER, &inside.key_id).await.map(drop),
    ] {
        let Err(error) = &refused else { panic!("{refused:?}") };
        assert!(matches!(error, IdentityError::KeyStoreUnavailable { .. }), "{error}");
        assert!(error.to_string().contains(LABEL) && error.is_transient(), "{error}");
        assert!(!error.to_string().contains(PIN), "{error}");
    }
    let signed = client.sign_assertion(&job(), &tenant("sealed"), READER).await.unwrap();
    assert!(verifies(signed.assertion.expose(), &sealed));
    client.status().await.unwrap();

    fs::rename(&away, &there).unwrap();
    let signed = client.sign_assertion(&job(), &tenant("inside"), READER).await.unwrap();
    assert!(verifies(signed.assertion.expose(), &inside));
    client.prepare_key(&job(), &tenant("sealed"), READER).await.unwrap();
    assert_eq!(token.thief(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_without_its_token_serves_the_sealed_keys_and_says_what_is_missing() {
    let Some(token) = Token::new() else { return };
    let signer = token.signer(PIN);
    let client = token.client().await;
    bound(&client, "inside", 1).await;
    drop(signer);
    let _signer = token.signer("sealed");
    let client = token.client().await;
    bound(&client, "sealed", 2).await;
    client.sign_assertion(&job(), &tenant("sealed"), READER).await.unwrap();
    let error = client.sign_assertion(&job(), &tenant("inside"), READER).await.unwrap_err();
    assert!(matches!(error, IdentityError::KeyStoreUnavailable { .. }), "{error}");
    assert_eq!(client.status().await.unwrap().keys, KeyStoreInfo::SealedFiles);
    let signed = token.events().into_iter().filter_map(|event| match event {
        LedgerEvent::AssertionSigned { tenant, .. } => Some(tenant.to_string()),
        _ => None,
    });
    assert_eq!(signed.collect::<Vec<_>>(), ["sealed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_is_named_and_not_tried_until_the_token_locks_itself() {
    let Some(token) = Token::new() else { return };
    let failed = token.process("signer_process", "0000").output().unwrap();
    assert!(!failed.status.success());
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains(LABEL) && said.contains("PIN"), "{said}");
    assert!(!said.contains("0000"), "{said}");

    let signer = token.signer(PIN);
    let client = token.client().await;
    bound(&client, "acme", 1).await;
    // Another token takes its place, whose PIN is another.
    let (there, away) = (token.path().join("tokens"), token.path().join("away"));
    fs::rename(&there, &away).unwrap();
    fs::create_dir(&there).unwrap();
    assert!(initialise(token.path(), "1234-5678"));
    let sign = async || client.sign_assertion(&job(), &tenant("acme"), READER).await;
    let error = sign().await.unwrap_err();
    assert!(matches!(error, IdentityError::KeyStoreUnavailable { .. }), "{error}");
    assert!(error.to_string().contains("PIN"), "{error}");
    // Had it been tried again, it would have been the right one.
    fs::remove_dir_all(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    let error = sign().await.unwrap_err();
    assert!(error.to_string().contains("not tried again"), "{error}");
    drop(signer);
    let _signer = token.signer(PIN);
    token.client().await.sign_assertion(&job(), &tenant("acme"), READER).await.unwrap();
}
