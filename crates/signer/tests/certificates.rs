//! A tenant's keys may be certified by its own authority.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{CLIENT_ID, ENDPOINT, Home, job, tenant};
use jsonwebtoken::decode_header;
use mailkeep_identity::{IdentityError, SignerClient, jwt::Thumbprint, ledger::LedgerEvent};
use mailkeep_model::{Function, TenantName};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    IsCa, KeyPair,
};
use time::{Duration, OffsetDateTime, macros::datetime};

const READER: Function = Function::Reader;
const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str, above: Option<&Authority>) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    match above {
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
        Some(above) => CertifiedIssuer::signed_by(params, key, above).unwrap(),
    }
}

/// What an authority answers to a request: the certificate (PEM).
fn issue(authority: &Authority, request: &str, from: OffsetDateTime, days: i64) -> String {
    let mut request = CertificateSigningRequestParams::from_pem(request).unwrap();
    request.params.not_before = from;
    request.params.not_after = from + Duration::days(days);
    request.signed_by(authority).unwrap().pem()
}

async fn bound(client: &SignerClient, tenant: &TenantName) -> String {
    let active = client.create_key(&job(), tenant, READER).await.unwrap();
    client.bind(&job(), tenant, READER, CLIENT_ID, ENDPOINT).await.unwrap();
    active.key_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_in_the_name_of_the_certificate_that_the_customer_s_authority_gave_it() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    bound(&client, &acme).await;
    let prepared = client.prepare_key(&job(), &acme, READER).await.unwrap();
    let wanted = Some(prepared.key_id.as_str());
    let request = client.certificate_request(&job(), &acme, READER, wanted).await.unwrap();
    let of_active = client.certificate_request(&job(), &acme, READER, None).await.unwrap();
    assert_ne!(request, of_active);

    let root = authority("Acme root", None);
    let issuing = authority("Acme issuing", Some(&root));
    let leaf = issue(&issuing, &request, NOW, 90);
    let chain = format!("{leaf}{}{}", issuing.pem(), root.pem());
    let installed =
        client.install_certificate(&job(), &acme, READER, &prepared.key_id, &chain).await.unwrap();
    assert_eq!(installed.certificate_pem.replace('\r', ""), leaf.replace('\r', ""));
    assert_eq!(installed.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(installed.not_after, NOW + Duration::days(90));
    assert_ne!(installed.thumbprint_sha256, prepared.thumbprint_sha256);

    client.activate_key(&job(), &acme, READER, &prepared.key_id).await.unwrap();
    running.stop().await;
    let running = home.start().await;
    let listed = client.credentials(None).await.unwrap().remove(0);
    assert_eq!(listed.certificate, Some(installed.clone()));
    // Its own certificate would have expired.
    home.advance(std::time::Duration::from_secs(60 * 86_400));
    let signed = client.sign_assertion(&job(), &acme, READER).await.unwrap();
    let header = decode_header(signed.assertion.expose()).unwrap();
    let thumbprint = Thumbprint::of_der(&installed.certificate_der().unwrap());
    assert_eq!(header.x5t_s256, Some(thumbprint.base64url()));
    running.stop().await;

    let events = home.events().into_iter().filter_map(|event| match event {
        LedgerEvent::CertificateRequested { key_id, .. } => Some((key_id, String::new())),
        LedgerEvent::CertificateInstalled { key_id, issuer, thumbprint, .. } => {
            assert_eq!(thumbprint, installed.thumbprint_sha256);
            Some((key_id, issuer))
        }
        _ => None,
    });
    let events: Vec<_> = events.collect();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[0], (prepared.key_id.clone(), String::new()));
    assert_eq!(events[2].0, prepared.key_id);
    assert!(events[2].1.contains("Acme issuing"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_does_not_fit_the_key_changes_nothing() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let key_id = bound(&client, &acme).await;
    let other = client.prepare_key(&job(), &acme, READER).await.unwrap().key_id;
    let request = client.certificate_request(&job(), &acme, READER, None).await.unwrap();
    let of_other = client.certificate_request(&job(), &acme, READER, Some(&other)).await.unwrap();
    let root = authority("Acme root", None);
    let namesake = authority("Acme root", None);
    let good = issue(&root, &request, NOW, 90);
    let key = KeyPair::generate().unwrap().serialize_pem();
    let cut = &good[..good.len() / 2];
    for (chain, why) in [
        (issue(&root, &of_other, NOW, 90), "another key"),
        (issue(&root, &request, NOW - Duration::days(91), 90), "expired"),
        (issue(&root, &request, NOW + Duration::days(1), 90), "not valid before"),
        (issue(&root, &request, NOW, 399), "valid for 399 days"),
        (format!("{}{good}", root.pem()), "not in order"),
        (format!("{good}{}", namesake.pem()), "not in order"),
        (format!("{good}{key}"), "something else"),
        (format!("{good}{cut}"), "not PEM"),
        (format!("{good}{}", root.pem().repeat(5)), "more than 5"),
        (String::new(), "no certificate"),
        ("garbage".to_owned(), "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), "damaged"),
    ] {
        let refused = client.install_certificate(&job(), &acme, READER, &key_id, &chain).await;
        let Err(IdentityError::Refused { reason, .. }) = &refused else {
            panic!("{why}: {refused:?}")
        };
        assert!(reason.contains(why), "{why}: {reason}");
        assert!(!reason.contains("BEGIN"), "{reason}");
    }
    let long = "x".repeat(65_000);
    let refused = client.install_certificate(&job(), &acme, READER, &key_id, &long).await;
    assert!(refused.is_err());
    let listed = client.credentials(None).await.unwrap().remove(0);
    assert!(listed.keys.iter().all(|key| key.certificate.chain_pem.is_empty()));

    // Just long enough is taken; a retiring or unknown key gets none.
    let longest = issue(&root, &request, NOW, 398);
    client.install_certificate(&job(), &acme, READER, &key_id, &longest).await.unwrap();
    client.activate_key(&job(), &acme, READER, &other).await.unwrap();
    for key in [key_id.as_str(), "unknown"] {
        let refused = client.install_certificate(&job(), &acme, READER, key, &good).await;
        assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");
        let refused = client.certificate_request(&job(), &acme, READER, Some(key)).await;
        assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");
    }
    running.stop().await;
    let installed = home
        .events()
        .into_iter()
        .filter(|event| matches!(event, LedgerEvent::CertificateInstalled { .. }));
    assert_eq!(installed.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_the_longest_chains_are_still_listed() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let root = authority(&"R".repeat(2200), None);
    let issuing = authority(&"I".repeat(2200), Some(&root));
    for _ in 0..4 {
        let key = client.prepare_key(&job(), &acme, READER).await.unwrap().key_id;
        let request = client.certificate_request(&job(), &acme, READER, Some(&key)).await.unwrap();
        let leaf = issue(&issuing, &request, NOW, 90);
        let chain = format!("{leaf}{}", issuing.pem());
        client.install_certificate(&job(), &acme, READER, &key, &chain).await.unwrap();
        let larger = format!("{chain}{}", root.pem());
        let refused = client.install_certificate(&job(), &acme, READER, &key, &larger).await;
        assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");
        client.activate_key(&job(), &acme, READER, &key).await.unwrap();
    }
    let listed = client.credentials(None).await.unwrap().remove(0);
    let certificates: Vec<_> = listed.keys.iter().map(|key| &key.certificate).collect();
    assert_eq!(certificates.len(), 4);
    let bytes: usize =
        certificates.iter().map(|c| c.certificate_pem.len() + c.chain_pem.len()).sum();
    assert!(bytes > 38_000, "{bytes} bytes are not the most that there can be");
    running.stop().await;
    home.start().await.stop().await;
}
