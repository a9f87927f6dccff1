//! A signer in the place of a lost one says so, and nothing can be explained away with that later.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{CLIENT_ID, ENDPOINT, Home, job, tenant};
use mailkeep_identity::{IdentityError, LedgerEnd, SignerClient, ledger::LedgerEvent};
use mailkeep_model::{Function, Secret};

/// Where another signer's ledger stood when it was lost.
async fn lost() -> LedgerEnd {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let checkpoint = client.checkpoint().await.unwrap();
    let checkpoint_key = client.status().await.unwrap().checkpoint_key.parse().unwrap();
    running.stop().await;
    LedgerEnd { checkpoint, checkpoint_key }
}

async fn refused(client: &SignerClient, lost: Option<LedgerEnd>, reason: &str) -> String {
    match client.follow(lost, Vec::new(), reason).await {
        Err(IdentityError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_signer_says_which_lost_ledger_its_own_follows_and_says_it_once() {
    let (home, lost) = (Home::new(), lost().await);
    let running = home.start().await;
    let client = running.client().await;
    assert!(refused(&client, Some(lost.clone()), " ").await.contains("reason"));
    let mut forged = lost.clone();
    forged.checkpoint.head.seq += 1;
    assert!(refused(&client, Some(forged), "the disk").await.contains("not signed with this key"));
    let own = LedgerEnd {
        checkpoint: client.checkpoint().await.unwrap(),
        checkpoint_key: client.status().await.unwrap().checkpoint_key.parse().unwrap(),
    };
    assert!(refused(&client, Some(own), "the disk").await.contains("this very ledger"));

    client.follow(Some(lost.clone()), Vec::new(), "the disk is gone").await.unwrap();
    assert!(refused(&client, None, "another reason").await.contains("says already"));
    running.stop().await;
    // It still says so after a restart, and that cannot be said again then either.
    let running = home.start().await;
    assert!(refused(&running.client().await, None, "again").await.contains("says already"));
    running.stop().await;
    let says = |event: &LedgerEvent| match event {
        LedgerEvent::Follows { lost, reason, .. } => Some((lost.clone(), reason.clone())),
        _ => None,
    };
    let said: Vec<_> = home.events().iter().filter_map(says).collect();
    assert_eq!(said, [(Some(lost), "the disk is gone".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_in_somebodys_way_cannot_be_explained_away_once_it_signed() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let acme = tenant("acme");
    client.create_key(&job(), &acme, Function::Reader).await.unwrap();
    client.bind(&job(), &acme, Function::Reader, CLIENT_ID, ENDPOINT).await.unwrap();
    client.sign_assertion(&job(), &acme, Function::Reader).await.unwrap();
    assert!(refused(&client, None, "an accident").await.contains("signed already"));
    running.stop().await;
    let running = home.start().await;
    let client = running.client().await;
    assert!(refused(&client, None, "an accident").await.contains("signed already"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_from_a_recovery_kit_is_kept_and_replaces_none_that_is_there() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let (acme, name) = (tenant("acme"), mailkeep_identity::SecretName::repository());
    let store = async |secret: &str| {
        client.store_secret(&job(), &acme, &name, Secret::new(secret.into())).await
    };
    store("kit").await.unwrap();
    store("kit").await.unwrap();
    for other in ["another", "", &"x".repeat(40_000)] {
        assert!(matches!(store(other).await, Err(IdentityError::Refused { .. })), "{other}");
    }
    let kept = client.release_secret(&job(), &acme, &name).await.unwrap();
    assert_eq!(kept.expose(), "kit");
    running.stop().await;
    let stored = home.events().into_iter();
    let stored = stored.filter(|event| matches!(event, LedgerEvent::SecretStored { .. }));
    assert_eq!(stored.count(), 1, "what was there already is no news");
}
