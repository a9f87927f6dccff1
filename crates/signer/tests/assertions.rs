//! What the provider gets to see: an assertion that it can check with the certificate alone.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::collections::HashSet;

use common::{CLIENT_ID, ENDPOINT, Home, job, tenant};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use mailkeep_identity::{CertificateInfo, IdentityError, jwt::Thumbprint, ledger::LedgerEvent};
use mailkeep_model::Function;
use serde_json::{Value, json};
use x509_parser::pem::Pem;

fn der(certificate: &CertificateInfo) -> Vec<u8> {
    Pem::iter_from_buffer(certificate.certificate_pem.as_bytes()).next().unwrap().unwrap().contents
}

/// Checks signature and audience with code that shares nothing with ours.
fn claims(assertion: &str, certificate: &CertificateInfo) -> jsonwebtoken::errors::Result<Value> {
    let der = der(certificate);
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let public = parsed.public_key().subject_public_key.data.as_ref();
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_audience(&[ENDPOINT]);
    validation.set_issuer(&[CLIENT_ID]);
    // The test's clock stands still in 2026; the claims are compared below.
    validation.validate_exp = false;
    decode(assertion, &DecodingKey::from_rsa_der(public), &validation).map(|data| data.claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_can_check_an_assertion_with_the_certificate() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let certificate = client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    let signed = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();

    let header = decode_header(signed.assertion.expose()).unwrap();
    assert_eq!(header.alg, Algorithm::PS256);
    assert_eq!(header.typ.as_deref(), Some("JWT"));
    let thumbprint = Thumbprint::of_der(&der(&certificate));
    assert_eq!(header.x5t_s256, Some(thumbprint.base64url()));
    assert_eq!(certificate.thumbprint_sha256, thumbprint.hex());
    let now = home.now.lock().unwrap().unix_timestamp();
    assert_eq!(
        claims(signed.assertion.expose(), &certificate).unwrap(),
        json!({
            "aud": ENDPOINT, "iss": CLIENT_ID, "sub": CLIENT_ID, "jti": signed.jti,
            "nbf": now, "iat": now, "exp": now + 300,
        })
    );
    assert_eq!(signed.expires.unix_timestamp(), now + 300);
    assert_eq!((signed.client_id.as_str(), signed.token_endpoint.as_str()), (CLIENT_ID, ENDPOINT));
    assert_eq!(signed.key_id, certificate.key_id);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_signs_for_another_tenant_or_function() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let mut certificates = Vec::new();
    for (number, (name, function)) in
        [("acme", Function::Reader), ("acme", Function::Responder), ("globex", Function::Reader)]
            .into_iter()
            .enumerate()
    {
        let certificate = client.create_key(&job(), &tenant(name), function).await.unwrap();
        let client_id = format!("11111111-2222-3333-4444-{number:012}");
        client.bind(&job(), &tenant(name), function, &client_id, ENDPOINT).await.unwrap();
        certificates.push(certificate);
    }
    let thumbprints: HashSet<_> = certificates.iter().map(|c| &c.thumbprint_sha256).collect();
    assert_eq!(thumbprints.len(), 3);
    let signed = client.sign_assertion(&job(), &tenant("acme"), Function::Reader).await.unwrap();
    for other in &certificates[1..] {
        let error = claims(signed.assertion.expose(), other).unwrap_err();
        assert_eq!(error.kind(), &jsonwebtoken::errors::ErrorKind::InvalidSignature);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_get_assertions_of_their_own_and_each_is_in_the_ledger() {
    let home = Home::new();
    let mut options = home.options();
    options.rate_limit.burst = 100;
    let running = home.start_with(options).await.unwrap();
    let client = running.client().await;
    let acme = tenant("acme");
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    let workers: Vec<_> = (0..40)
        .map(|number| {
            let (client, acme) = (client.clone(), acme.clone());
            tokio::spawn(async move {
                let job = format!("job-{number}").parse().unwrap();
                client.sign_assertion(&job, &acme, Function::Reader).await.unwrap().jti
            })
        })
        .collect();
    let mut got = HashSet::new();
    for worker in workers {
        assert!(got.insert(worker.await.unwrap()), "two workers got the same assertion");
    }
    running.stop().await;

    let (mut recorded, mut jobs) = (HashSet::new(), HashSet::new());
    for event in home.events() {
        if let LedgerEvent::AssertionSigned { jti, audience, client_id, by, .. } = event {
            assert_eq!((audience.as_str(), client_id.as_str()), (ENDPOINT, CLIENT_ID));
            assert_eq!(by.caller.as_str(), "test");
            assert_eq!(by.pid, Some(i32::try_from(std::process::id()).unwrap()));
            jobs.insert(by.job);
            recorded.insert(jti);
        }
    }
    assert_eq!(recorded, got);
    assert_eq!(jobs.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_signatures_is_stopped_recorded_and_not_forgotten_by_a_restart() {
    let home = Home::new();
    let mut options = home.options();
    options.rate_limit = mailkeep_signer::RateLimit { per_hour: 60, burst: 3 };
    let running = home.start_with(options.clone()).await.unwrap();
    let client = running.client().await;
    let acme = tenant("acme");
    for (function, id) in [(Function::Reader, "a"), (Function::Responder, "b")] {
        client.create_key(&job(), &acme, function).await.unwrap();
        let client_id = CLIENT_ID.replace('5', id);
        client.bind(&job(), &acme, function, &client_id, ENDPOINT).await.unwrap();
    }
    for _ in 0..3 {
        client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    }
    for _ in 0..5 {
        let error = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap_err();
        let IdentityError::RateLimited { retry_after, key_use } = &error else { panic!("{error}") };
        assert_eq!(retry_after.as_secs(), 60);
        assert_eq!(key_use.tenant, acme);
        assert!(error.is_transient());
    }
    client.sign_assertion(&job(), &acme, Function::Responder).await.unwrap();
    running.stop().await;
    let refusals = home.events().into_iter().filter(|e| matches!(e, LedgerEvent::Refused { .. }));
    assert_eq!(refusals.count(), 1, "a flood must not fill the ledger");

    let running = home.start_with(options).await.unwrap();
    let client = running.client().await;
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap_err();
    home.advance(std::time::Duration::from_secs(61));
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    running.stop().await;
}
