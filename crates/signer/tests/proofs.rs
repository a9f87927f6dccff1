//! A proof of possession is for the application that the keys are bound to, and no other.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{CLIENT_ID, ENDPOINT, Home, job, tenant};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use mailkeep_identity::{
    Binding, CertificateInfo, IdentityError, JobId, SignerClient, jwt::Thumbprint,
    ledger::LedgerEvent,
};
use mailkeep_model::{Function, TenantName};
use mailkeep_signer::RateLimit;
use serde_json::{Value, json};

const READER: Function = Function::Reader;
const OBJECT_ID: &str = "aaaaaaaa-2222-3333-4444-555555555555";

fn binding(object_id: Option<&str>) -> Binding {
    Binding {
        client_id: CLIENT_ID.to_owned(),
        token_endpoint: ENDPOINT.to_owned(),
        object_id: object_id.map(str::to_owned),
    }
}

async fn bound(client: &SignerClient, tenant: &TenantName) -> CertificateInfo {
    let made = client.create_key(&job(), tenant, READER).await.unwrap();
    client.bind_to(&job(), tenant, READER, binding(Some(OBJECT_ID))).await.unwrap();
    made
}

/// Checks the signature with code that shares nothing with ours.
fn claims(proof: &str, certificate: &CertificateInfo) -> jsonwebtoken::errors::Result<Value> {
    let der = certificate.certificate_der().unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let public = parsed.public_key().subject_public_key.data.as_ref();
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_audience(&["00000002-0000-0000-c000-000000000000"]);
    // The test's clock stands still in 2026; the claims are compared below.
    validation.validate_exp = false;
    decode(proof, &DecodingKey::from_rsa_der(public), &validation).map(|data| data.claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn graph_can_check_a_proof_with_the_certificate() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let active = bound(&client, &acme).await;
    let prepared = client.prepare_key(&job(), &acme, READER).await.unwrap();
    let now = home.now.lock().unwrap().unix_timestamp();
    for (wanted, certificate) in [(None, &active), (Some(prepared.key_id.as_str()), &prepared)] {
        let signed = client.sign_proof(&job(), &acme, READER, wanted).await.unwrap();
        let proof = signed.proof.expose();
        assert!(!proof.contains('='), "Graph refuses padding");
        assert_eq!(
            claims(proof, certificate).unwrap(),
            json!({
                "aud": "00000002-0000-0000-c000-000000000000", "iss": OBJECT_ID,
                "nbf": now, "exp": now + 300,
            })
        );
        let header = decode_header(proof).unwrap();
        let thumbprint = Thumbprint::of_der(&certificate.certificate_der().unwrap());
        assert_eq!((header.alg, header.x5t_s256), (Algorithm::PS256, Some(thumbprint.base64url())));
        assert_eq!(signed.key_id, certificate.key_id);
        assert_eq!(signed.expires.unix_timestamp(), now + 300);
    }
    let signed = client.sign_proof(&job(), &acme, READER, None).await.unwrap();
    assert!(claims(signed.proof.expose(), &prepared).is_err(), "signed with the other key");
    assert!(!format!("{signed:?}").contains(signed.proof.expose()), "a proof never prints");
    running.stop().await;
    let recorded = home.events().into_iter().filter_map(|event| match event {
        LedgerEvent::ProofSigned { key_id, object_id, by, .. } => Some((key_id, object_id, by.job)),
        _ => None,
    });
    let record = |key: &CertificateInfo| (key.key_id.clone(), OBJECT_ID.into(), Some(job()));
    assert_eq!(recorded.collect::<Vec<_>>(), [record(&active), record(&prepared), record(&active)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_cannot_choose_whose_keys_a_proof_changes() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    client.create_key(&job(), &acme, READER).await.unwrap();
    client.bind(&job(), &acme, READER, CLIENT_ID, ENDPOINT).await.unwrap();
    let refused = client.sign_proof(&job(), &acme, READER, None).await.unwrap_err();
    assert!(
        matches!(&refused, IdentityError::Refused { reason, .. } if reason.contains("object id")),
        "{refused}"
    );

    let other = "bbbbbbbb-2222-3333-4444-555555555555";
    let bind = |tenant: TenantName, binding: Binding| {
        let (client, job): (_, JobId) = (client.clone(), job());
        async move { client.bind_to(&job, &tenant, READER, binding).await }
    };
    let refused = bind(acme.clone(), binding(Some("not-a-guid"))).await;
    assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");
    // Set later, once; repeated in any writing, or left out, it stays what it is.
    bind(acme.clone(), binding(Some(OBJECT_ID))).await.unwrap();
    bind(acme.clone(), binding(Some(&OBJECT_ID.to_uppercase()))).await.unwrap();
    bind(acme.clone(), binding(None)).await.unwrap();
    for wrong in [
        binding(Some(other)),
        Binding { client_id: other.to_owned(), ..binding(Some(OBJECT_ID)) },
        Binding { token_endpoint: "https://evil.example/".to_owned(), ..binding(None) },
    ] {
        let refused = bind(acme.clone(), wrong.clone()).await;
        assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{wrong:?}: {refused:?}");
    }
    client.create_key(&job(), &globex, READER).await.unwrap();
    let taken = Binding { client_id: other.to_owned(), ..binding(Some(OBJECT_ID)) };
    let refused = bind(globex, taken).await;
    assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");

    let listed = &client.credentials(Some(&acme)).await.unwrap()[0];
    assert_eq!(listed.binding, Some(binding(Some(OBJECT_ID))));
    client.sign_proof(&job(), &acme, READER, None).await.unwrap();
    running.stop().await;
    let proofs: Vec<_> = home
        .events()
        .into_iter()
        .filter(|event| matches!(event, LedgerEvent::ProofSigned { .. }))
        .collect();
    assert!(
        matches!(&proofs[..], [LedgerEvent::ProofSigned { object_id, .. }] if object_id == OBJECT_ID),
        "{proofs:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_gets_no_more_proofs_than_assertions_and_a_restart_gives_none_back() {
    let home = Home::new();
    let mut options = home.options();
    options.rate_limit = RateLimit { per_hour: 60, burst: 3 };
    let running = home.start_with(options.clone()).await.unwrap();
    let client = running.client().await;
    let acme = tenant("acme");
    bound(&client, &acme).await;
    client.sign_proof(&job(), &acme, READER, None).await.unwrap();
    client.sign_assertion(&job(), &acme, READER).await.unwrap();
    client.sign_proof(&job(), &acme, READER, None).await.unwrap();
    for refused in [
        client.sign_proof(&job(), &acme, READER, None).await.map(drop),
        client.sign_assertion(&job(), &acme, READER).await.map(drop),
    ] {
        assert!(matches!(refused, Err(IdentityError::RateLimited { .. })), "{refused:?}");
    }
    running.stop().await;
    let running = home.start_with(options).await.unwrap();
    let refused = client.sign_proof(&job(), &acme, READER, None).await;
    assert!(matches!(refused, Err(IdentityError::RateLimited { .. })), "{refused:?}");
    running.stop().await;
}
