//! Which key serves whom is the signer's business alone.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{fs, time::Duration};

use common::{CLIENT_ID, ENDPOINT, Home, files, job, tenant};
use mailkeep_identity::{
    CredentialState, IdentityError, SecretName, ledger::LedgerEvent, protocol::LONGEST_SECRET,
};
use mailkeep_model::{Function, Secret};

const OTHER_CLIENT: &str = "99999999-2222-3333-4444-555555555555";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_is_there_after_a_restart() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let makers: Vec<_> = (0..4)
        .map(|_| {
            let (client, acme) = (client.clone(), acme.clone());
            tokio::spawn(async move { client.create_key(&job(), &acme, Function::Reader).await })
        })
        .collect();
    let mut made = Vec::new();
    for maker in makers {
        made.push(maker.await.unwrap().unwrap());
    }
    assert!(made.iter().all(|certificate| *certificate == made[0]), "{made:?}");
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    running.stop().await;

    // The same client finds the signer again.
    let running = home.start().await;
    assert_eq!(client.create_key(&job(), &acme, Function::Reader).await.unwrap(), made[0]);
    let listed = client.credentials(None).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].state, CredentialState::Active);
    assert_eq!(listed[0].certificate.as_ref(), Some(&made[0]));
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    running.stop().await;
    let created = home.events().into_iter().filter(|e| matches!(e, LedgerEvent::KeyCreated { .. }));
    assert_eq!(created.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let error = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap_err();
    assert!(matches!(error, IdentityError::NoKey { .. }), "{error}");
    assert!(error.to_string().contains("'acme'") && error.to_string().contains("'reader'"));
    let bound = client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await;
    assert!(matches!(bound, Err(IdentityError::NoKey { .. })), "{bound:?}");
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    let error = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap_err();
    assert!(matches!(error, IdentityError::NotBound { .. }), "{error}");
    let listed = client.credentials(Some(&acme)).await.unwrap();
    assert_eq!(listed[0].state, CredentialState::Unbound);
    assert!(client.credentials(Some(&tenant("globex"))).await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_serves_one_tenant_and_function_and_the_others_go_on() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.create_key(&job(), &acme, Function::Responder).await.unwrap();
    client.create_key(&job(), &globex, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();

    let upper = CLIENT_ID.to_uppercase();
    for (tenant, function) in [(&acme, Function::Responder), (&globex, Function::Reader)] {
        let elsewhere = "https://login.example/other/token";
        let refused = client.bind(&job(), tenant, function, &upper, elsewhere).await.unwrap_err();
        assert!(matches!(refused, IdentityError::Refused { .. }), "{refused}");
        assert!(refused.to_string().contains("tenant 'acme', function 'reader'"), "{refused}");
    }
    // Nor does a caller get an audience or an application of its choice out of a bound key.
    for (client_id, endpoint) in [(CLIENT_ID, "https://evil.example/"), (OTHER_CLIENT, ENDPOINT)] {
        let refused = client.bind(&job(), &acme, Function::Reader, client_id, endpoint).await;
        assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{refused:?}");
    }
    for (client_id, endpoint) in [
        ("not-a-guid", ENDPOINT),
        (OTHER_CLIENT, "http://login.example/"),
        (OTHER_CLIENT, "https://a@b/"),
        (OTHER_CLIENT, "https://login.example/to ken"),
        (OTHER_CLIENT, "https://login.example/\ntoken"),
    ] {
        let refused = client.bind(&job(), &globex, Function::Reader, client_id, endpoint).await;
        assert!(matches!(refused, Err(IdentityError::Refused { .. })), "{client_id} {endpoint}");
    }
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &globex, Function::Reader, OTHER_CLIENT, ENDPOINT).await.unwrap();
    client.sign_assertion(&job(), &globex, Function::Reader).await.unwrap();
    running.stop().await;
    let refused = home.events().into_iter().any(|event| {
        matches!(event, LedgerEvent::Refused { operation, reason, .. }
            if operation == "bind" && reason.contains("no application serves two"))
    });
    assert!(refused, "a refused binding is in the ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_exchanged_file_fails_its_tenant_and_function_only() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let names = ["acme", "globex", "initech", "umbrella"];
    for (number, name) in names.into_iter().enumerate() {
        client.create_key(&job(), &tenant(name), Function::Reader).await.unwrap();
        let client_id = format!("11111111-2222-3333-4444-{number:012}");
        client.bind(&job(), &tenant(name), Function::Reader, &client_id, ENDPOINT).await.unwrap();
    }
    running.stop().await;

    let file = |name: &str| home.signer().join("keys").join(name).join("reader.age");
    let mut damaged = fs::read(file("acme")).unwrap();
    let end = damaged.len() - 1;
    damaged[end] ^= 1;
    fs::write(file("acme"), damaged).unwrap();
    // Another tenant's key in the place of one's own.
    fs::copy(file("umbrella"), file("globex")).unwrap();
    fs::write(file("initech"), b"").unwrap();
    fs::write(home.signer().join("keys/README"), b"left by somebody").unwrap();

    let running = home.start().await;
    let client = running.client().await;
    for name in ["acme", "globex", "initech"] {
        let error =
            client.sign_assertion(&job(), &tenant(name), Function::Reader).await.unwrap_err();
        assert!(matches!(error, IdentityError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        // It is not made anew in silence: the old one may be in a backup.
        let again = client.create_key(&job(), &tenant(name), Function::Reader).await;
        assert!(matches!(again, Err(IdentityError::Damaged { .. })), "{again:?}");
    }
    client.sign_assertion(&job(), &tenant("umbrella"), Function::Reader).await.unwrap();
    let states: Vec<_> = client.credentials(None).await.unwrap();
    assert_eq!(states.len(), 4);
    assert!(matches!(states[0].state, CredentialState::Damaged { .. }));
    assert_eq!(states[3].state, CredentialState::Active);

    assert_eq!(client.retire(&job(), &tenant("acme"), None).await.unwrap(), 1);
    client.create_key(&job(), &tenant("acme"), Function::Reader).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_while_the_signer_runs_is_noticed() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    fs::remove_file(home.signer().join("keys/acme/reader.age")).unwrap();
    let error = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap_err();
    assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
    running.stop().await;
    let signed = home.events().iter().any(|e| matches!(e, LedgerEvent::AssertionSigned { .. }));
    assert!(!signed, "no signature is recorded that was not made");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_signs_nothing_and_is_replaced_on_request() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    let old = client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    home.advance(Duration::from_secs(30 * 86_400));
    let error = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap_err();
    assert!(matches!(&error, IdentityError::Refused { reason, .. } if reason.contains("expired")));
    assert_eq!(client.credentials(None).await.unwrap()[0].state, CredentialState::Expired);
    let new = client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    assert_ne!(new.key_id, old.key_id);
    assert_ne!(new.thumbprint_sha256, old.thumbprint_sha256);
    let signed = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    assert_eq!(signed.key_id, new.key_id);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_is_gone_its_application_is_free_and_the_backup_s_password_stays() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    client.create_key(&job(), &globex, Function::Reader).await.unwrap();
    let name = SecretName::repository();
    client.create_secret(&job(), &acme, &name).await.unwrap();

    let other = Some(Function::Restorer);
    assert_eq!(client.retire(&job(), &acme, other).await.unwrap(), 0);
    assert_eq!(client.retire(&job(), &acme, None).await.unwrap(), 1);
    assert_eq!(client.retire(&job(), &acme, None).await.unwrap(), 0);
    let error = client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap_err();
    assert!(matches!(error, IdentityError::NoKey { .. }), "{error}");
    client.bind(&job(), &globex, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    client.release_secret(&job(), &acme, &name).await.unwrap();
    running.stop().await;
    assert!(!files(&home.signer()).iter().any(|path| path.ends_with("acme/reader.age")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_made_once_is_handed_out_with_a_record_and_never_prints() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let (acme, name) = (tenant("acme"), SecretName::repository());
    let error = client.release_secret(&job(), &acme, &name).await.unwrap_err();
    assert!(matches!(error, IdentityError::NoSecret { .. }), "{error}");
    client.create_secret(&job(), &acme, &name).await.unwrap();
    client.create_secret(&job(), &tenant("globex"), &name).await.unwrap();
    let secret = client.release_secret(&job(), &acme, &name).await.unwrap();
    assert_eq!(secret.expose().len(), 43);
    client.create_secret(&job(), &acme, &name).await.unwrap();
    assert_eq!(
        client.release_secret(&job(), &acme, &name).await.unwrap().expose(),
        secret.expose()
    );
    let other = client.release_secret(&job(), &tenant("globex"), &name).await.unwrap();
    assert_ne!(other.expose(), secret.expose());
    assert_eq!(format!("{secret:?}"), "[redacted]");
    running.stop().await;

    let released = home.events().into_iter().filter(
        |event| matches!(event, LedgerEvent::SecretReleased { tenant, .. } if *tenant == acme),
    );
    assert_eq!(released.count(), 2);
    for path in files(home.root.path()) {
        let content = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains(secret.expose()), "{} holds the secret in clear", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_s_credentials_are_all_listed() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    // More than fit into one answer.
    let mut made = Vec::new();
    for number in 0..20 {
        let name = tenant(&format!("tenant-{number:02}"));
        client.create_key(&job(), &name, Function::Reader).await.unwrap();
        made.push(name);
    }
    let listed: Vec<_> =
        client.credentials(None).await.unwrap().into_iter().map(|c| c.key_use.tenant).collect();
    assert_eq!(listed, made);
    assert_eq!(client.status().await.unwrap().credentials, 20);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_from_outside_is_kept_sealed_and_handed_out_with_a_record_until_it_is_forgotten() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let name = "alert-pager".parse().unwrap();
    let error = client.release_own_secret(&job(), &name).await.unwrap_err();
    assert!(matches!(error, IdentityError::NoOwnSecret { .. }), "{error}");
    for text in ["https://first.example/hook", "https://second.example/hook"] {
        client.store_own_secret(&job(), &name, Secret::new(text.into())).await.unwrap();
    }
    let secret = client.release_own_secret(&job(), &name).await.unwrap();
    assert_eq!(secret.expose(), "https://second.example/hook");
    let long = Secret::new("x".repeat(LONGEST_SECRET + 1));
    let error = client.store_own_secret(&job(), &name, long).await.unwrap_err();
    assert!(matches!(error, IdentityError::Refused { .. }), "{error}");
    running.stop().await;
    for path in files(home.root.path()) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("second.example"), "{} holds it in clear", path.display());
    }

    let running = home.start().await;
    let client = running.client().await;
    client.release_own_secret(&job(), &name).await.unwrap();
    client.forget_own_secret(&job(), &name).await.unwrap();
    client.forget_own_secret(&job(), &name).await.unwrap();
    let error = client.release_own_secret(&job(), &name).await.unwrap_err();
    assert!(matches!(error, IdentityError::NoOwnSecret { .. }), "{error}");
    running.stop().await;
    let is_release = |event: &LedgerEvent| matches!(event, LedgerEvent::OwnSecretReleased { .. });
    assert_eq!(home.events().into_iter().filter(is_release).count(), 2);
}
