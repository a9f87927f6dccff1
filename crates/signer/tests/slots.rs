//! A key can be replaced while the one before it still works, and never both be lost.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{fs, time::Duration};

use common::{CLIENT_ID, ENDPOINT, Home, job, tenant};
use mailkeep_identity::{
    CertificateInfo, CredentialState, IdentityError, SignerClient, Slot, ledger::LedgerEvent,
};
use mailkeep_model::{Function, TenantName};

const READER: Function = Function::Reader;

/// A signer whose tenant has an active key that is bound.
async fn bound(client: &SignerClient, tenant: &TenantName) -> CertificateInfo {
    let active = client.create_key(&job(), tenant, READER).await.unwrap();
    client.bind(&job(), tenant, READER, CLIENT_ID, ENDPOINT).await.unwrap();
    active
}

async fn slots(client: &SignerClient, tenant: &TenantName) -> Vec<(String, Slot)> {
    let mut listed = client.credentials(Some(tenant)).await.unwrap();
    listed.remove(0).keys.into_iter().map(|key| (key.key_id, key.slot)).collect()
}

async fn signer_of(client: &SignerClient, tenant: &TenantName) -> String {
    client.sign_assertion(&job(), tenant, READER).await.unwrap().key_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_key_takes_over_and_there_is_a_way_back_also_after_a_restart() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let old = bound(&client, &acme).await;
    let new = client.prepare_key(&job(), &acme, READER).await.unwrap();
    assert_eq!(client.prepare_key(&job(), &acme, READER).await.unwrap(), new, "made once");
    assert_ne!(new.thumbprint_sha256, old.thumbprint_sha256);

    // The prepared key is tried before it is used.
    let tried = client.sign_assertion_with(&job(), &acme, READER, &new.key_id).await.unwrap();
    assert_eq!((&tried.key_id, tried.client_id.as_str()), (&new.key_id, CLIENT_ID));
    assert_eq!(signer_of(&client, &acme).await, old.key_id);

    client.activate_key(&job(), &acme, READER, &new.key_id).await.unwrap();
    client.activate_key(&job(), &acme, READER, &new.key_id).await.unwrap();
    running.stop().await;
    let running = home.start().await;
    let both = [(old.key_id.clone(), Slot::Retiring), (new.key_id.clone(), Slot::Active)];
    assert_eq!(slots(&client, &acme).await, both);
    assert_eq!(signer_of(&client, &acme).await, new.key_id);
    let listed = &client.credentials(None).await.unwrap()[0];
    assert_eq!(listed.state, CredentialState::Active);
    assert_eq!(listed.certificate.as_ref(), Some(&new));
    client.sign_assertion_with(&job(), &acme, READER, &old.key_id).await.unwrap();

    client.activate_key(&job(), &acme, READER, &old.key_id).await.unwrap();
    assert_eq!(signer_of(&client, &acme).await, old.key_id);
    running.stop().await;
    let activated = home.events().into_iter().filter_map(|event| match event {
        LedgerEvent::KeyActivated { key_id, .. } => Some(key_id),
        _ => None,
    });
    assert_eq!(activated.collect::<Vec<_>>(), [new.key_id.clone(), old.key_id.clone()]);
    let created = home.events().into_iter().filter_map(|event| match event {
        LedgerEvent::KeyCreated { key_id, slot, .. } => Some((key_id, slot)),
        _ => None,
    });
    let expected = [(old.key_id, Slot::Active), (new.key_id, Slot::Prepared)];
    assert_eq!(created.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_signs_nothing_and_takes_neither_the_others_nor_the_binding_along() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let old = bound(&client, &acme).await;
    let new = client.prepare_key(&job(), &acme, READER).await.unwrap();
    client.activate_key(&job(), &acme, READER, &new.key_id).await.unwrap();
    assert!(client.retire_key(&job(), &acme, READER, &old.key_id).await.unwrap());
    assert!(!client.retire_key(&job(), &acme, READER, &old.key_id).await.unwrap());
    for refused in [
        client.sign_assertion_with(&job(), &acme, READER, &old.key_id).await.map(drop),
        client.sign_proof(&job(), &acme, READER, Some(&old.key_id)).await.map(drop),
        client.activate_key(&job(), &acme, READER, &old.key_id).await,
        client.activate_key(&job(), &acme, READER, &"x".repeat(20_000)).await,
    ] {
        let Err(IdentityError::Refused { reason, .. }) = &refused else { panic!("{refused:?}") };
        assert!(reason.contains("no key of that id"), "{reason}");
    }
    assert_eq!(signer_of(&client, &acme).await, new.key_id);

    // The last one, by name: what is left is the binding, which a new key gets.
    assert!(client.retire_key(&job(), &acme, READER, &new.key_id).await.unwrap());
    let error = client.sign_assertion(&job(), &acme, READER).await.unwrap_err();
    assert!(matches!(error, IdentityError::NoKey { .. }), "{error}");
    let listed = &client.credentials(None).await.unwrap()[0];
    assert_eq!((&listed.state, &listed.certificate), (&CredentialState::Inactive, &None));
    let third = client.create_key(&job(), &acme, READER).await.unwrap();
    assert_eq!(signer_of(&client, &acme).await, third.key_id);

    client.prepare_key(&job(), &acme, READER).await.unwrap();
    assert_eq!(client.retire(&job(), &acme, None).await.unwrap(), 2);
    assert!(client.credentials(None).await.unwrap().is_empty());
    running.stop().await;
    let retired = home.events().into_iter().filter(|e| matches!(e, LedgerEvent::KeyRetired { .. }));
    assert_eq!(retired.count(), 4, "each key has its record");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_does_not_become_active_and_a_prepared_one_is_made_anew() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    bound(&client, &acme).await;
    let stale = client.prepare_key(&job(), &acme, READER).await.unwrap();
    home.advance(Duration::from_secs(31 * 86_400));
    let refused = client.activate_key(&job(), &acme, READER, &stale.key_id).await.unwrap_err();
    assert!(
        matches!(&refused, IdentityError::Refused { reason, .. } if reason.contains("expired"))
    );
    let refused = client.sign_assertion_with(&job(), &acme, READER, &stale.key_id).await;
    assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");

    let fresh = client.prepare_key(&job(), &acme, READER).await.unwrap();
    assert_ne!(fresh.key_id, stale.key_id);
    client.activate_key(&job(), &acme, READER, &fresh.key_id).await.unwrap();
    assert_eq!(signer_of(&client, &acme).await, fresh.key_id);
    assert_eq!(slots(&client, &acme).await.len(), 2, "the stale one is gone");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_not_pile_up() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let first = bound(&client, &acme).await;
    for _ in 0..3 {
        let next = client.prepare_key(&job(), &acme, READER).await.unwrap();
        client.activate_key(&job(), &acme, READER, &next.key_id).await.unwrap();
    }
    let refused = client.prepare_key(&job(), &acme, READER).await.unwrap_err();
    assert!(
        matches!(&refused, IdentityError::Refused { reason, .. } if reason.contains("4 keys")),
        "{refused}"
    );
    client.retire_key(&job(), &acme, READER, &first.key_id).await.unwrap();
    client.prepare_key(&job(), &acme, READER).await.unwrap();

    // The most that there can be of one tenant and function, twice, is listed.
    let globex = tenant("globex");
    for _ in 0..4 {
        let next = client.prepare_key(&job(), &globex, READER).await.unwrap();
        client.activate_key(&job(), &globex, READER, &next.key_id).await.unwrap();
    }
    let listed = client.credentials(None).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.keys.len()).collect::<Vec<_>>(), [4, 4]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_tenant_is_found_in_whichever_slot_it_is() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    bound(&client, &acme).await;
    client.prepare_key(&job(), &acme, READER).await.unwrap();
    // Bound by keys that are prepared only.
    client.prepare_key(&job(), &globex, READER).await.unwrap();
    let refused = client.bind(&job(), &globex, READER, CLIENT_ID, ENDPOINT).await.unwrap_err();
    assert!(refused.to_string().contains("'acme'"), "{refused}");
    let id = "77777777-2222-3333-4444-555555555555";
    client.bind(&job(), &globex, READER, id, ENDPOINT).await.unwrap();
    // A name counts within its tenant and function only.
    let keys = slots(&client, &acme).await;
    for (key_id, _) in &keys {
        let refused = client.sign_assertion_with(&job(), &globex, READER, key_id).await;
        assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");
        let other = Function::Responder;
        let refused = client.sign_assertion_with(&job(), &acme, other, key_id).await;
        assert!(matches!(refused, Err(IdentityError::NoKey { .. })), "{refused:?}");
        assert!(!client.retire_key(&job(), &acme, other, key_id).await.unwrap());
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_fails_all_slots_of_its_tenant_and_is_not_overwritten() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let active = bound(&client, &acme).await;
    let prepared = client.prepare_key(&job(), &acme, READER).await.unwrap();
    client.create_key(&job(), &globex, READER).await.unwrap();
    let file = home.signer().join("keys/acme/reader.age");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    for refused in [
        client.activate_key(&job(), &acme, READER, &prepared.key_id).await,
        client.retire_key(&job(), &acme, READER, &prepared.key_id).await.map(drop),
        client.sign_assertion_with(&job(), &acme, READER, &prepared.key_id).await.map(drop),
    ] {
        assert!(matches!(refused, Err(IdentityError::Damaged { .. })), "{refused:?}");
    }
    client.prepare_key(&job(), &globex, READER).await.unwrap();
    assert_eq!(fs::read(&file).unwrap().len(), whole.len() - 1, "it is left as it was");
    fs::write(&file, &whole).unwrap();
    assert_eq!(signer_of(&client, &acme).await, active.key_id);

    // An older state of the same file is no way to bring a retired key back.
    client.retire_key(&job(), &acme, READER, &prepared.key_id).await.unwrap();
    fs::write(&file, &whole).unwrap();
    for refused in [
        client.sign_assertion(&job(), &acme, READER).await.map(drop),
        client.prepare_key(&job(), &acme, READER).await.map(drop),
    ] {
        assert!(matches!(refused, Err(IdentityError::Damaged { .. })), "{refused:?}");
    }
    assert_eq!(fs::read(&file).unwrap(), whole);
    running.stop().await;
    let recorded = home.events().into_iter().any(|e| matches!(e, LedgerEvent::KeyActivated { .. }));
    assert!(!recorded, "nothing is recorded that cannot be done");
}
