//! Keys are changed at a provider that takes its time, while mail is read, and after crashes.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::World;
use mailkeep_exchange::Extras;
use mailkeep_identity::{
    Slot,
    rotation::{Policy, Stage},
};
use mailkeep_model::Function;
use mailkeep_service::{DataDirectory, Service, StepKind};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// As fast as a test wants it.
const HASTE: Policy = Policy {
    overlap: time::Duration::ZERO,
    retry: time::Duration::milliseconds(300),
    patience: time::Duration::minutes(5),
};

async fn world() -> World {
    let mut world = World::new().await;
    world.set_up_auditor().await;
    world.switch(Extras::default()).await;
    world.service = reopened(&world).await;
    world
}

/// As another process would.
async fn reopened(world: &World) -> Service {
    let data = DataDirectory::new(world.service.data().root());
    let service = Service::open(data, "test".parse().unwrap()).await.unwrap();
    service.with_key_policy(HASTE)
}

fn soon() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::from_secs(60)
}

/// The keys that the lab takes for the reader.
async fn registered_keys(world: &World) -> Vec<String> {
    let all = world.admin.show("applications").await;
    let reader = all.as_array().unwrap().iter().find(|one| one["name"] == "reader").unwrap();
    let keys = reader["keys"].as_array().unwrap();
    keys.iter().map(|key| key["key_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_while_mail_is_read_at_a_provider_that_takes_its_time() {
    let world = world().await;
    let before = registered_keys(&world).await;
    let _: Value = world.admin.order("entra", json!({"key_delay": 2})).await;
    let passes = async {
        let mut passes = 0;
        for _ in 0..4 {
            let report = world.pass().await;
            assert!(report.failures.is_empty(), "{:?}", report.failures);
            passes += 1;
        }
        passes
    };
    let rotation = world.service.rotate(&world.tenant, Function::Reader, soon());
    let (rotation, passes) = tokio::join!(rotation, passes);
    let rotation = rotation.unwrap();
    assert_eq!((rotation.stage, passes), (Stage::Settled, 4), "{rotation:#?}");
    let steps: Vec<StepKind> = rotation.done.iter().map(|step| step.what).collect();
    assert!(steps.contains(&StepKind::Refused), "the provider took the key at once: {steps:?}");
    let after = registered_keys(&world).await;
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
    assert!(world.pass().await.failures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_keys_that_is_cut_off_anywhere_goes_on_where_it_stood() {
    let world = world().await;
    let mut active = Vec::new();
    for round in 0..3_u64 {
        let begun = OffsetDateTime::now_utc();
        for cut in 0..12_u64 {
            let service = reopened(&world).await;
            let moment = Duration::from_millis(7 * (cut + 1) + 3 * round);
            let rotation = service.rotate(&world.tenant, Function::Reader, soon());
            // Dropped in the middle of whatever it does.
            let _ = tokio::time::timeout(moment, rotation).await;
        }
        let service = reopened(&world).await;
        let rotation = service.tend_keys(&world.tenant, Function::Reader, soon()).await.unwrap();
        assert_eq!(rotation.stage, Stage::Settled, "{rotation:#?}");
        assert_eq!(registered_keys(&world).await.len(), 1);
        assert!(world.pass().await.failures.is_empty());
        let certificate = service.known_certificate(&world.tenant, Function::Reader).await;
        let certificate = certificate.unwrap().unwrap();
        assert_eq!(rotation.key_id.as_ref(), Some(&certificate.key_id));
        assert!(!active.contains(&certificate.key_id), "round {round}, begun {begun}");
        active.push(certificate.key_id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_locked_out_is_told_which_certificate_to_register() {
    let world = world().await;
    world.pass().await;
    world.service.tend_keys(&world.tenant, Function::Reader, soon()).await.unwrap();
    let client_id =
        world.service.tenant(&world.tenant).await.unwrap().functions[0].client_id.clone();
    for key in registered_keys(&world).await {
        let order = json!({ "remove_key": key });
        world.admin.order(&format!("applications/{client_id}"), order).await;
    }
    let rotation = world.service.rotate(&world.tenant, Function::Reader, soon()).await.unwrap();
    assert_eq!(rotation.stage, Stage::LockedOut, "{rotation:#?}");
    let help = rotation.waits_for.unwrap();
    assert!(help.contains(&client_id) && help.contains("--prepared"), "{help}");
    // The administrator does as he is told; the same call again is all that is left to do.
    let signer = world.service.signer().await.unwrap();
    let held = signer.credentials(Some(&world.tenant)).await.unwrap();
    let reader = held.iter().find(|one| one.key_use.function == Function::Reader).unwrap();
    let prepared = reader.keys.iter().find(|key| key.slot == Slot::Prepared).unwrap();
    assert!(help.contains(&prepared.certificate.thumbprint_sha1), "{help}");
    let order = json!({ "add_certificate": prepared.certificate.certificate_pem });
    world.admin.order(&format!("applications/{client_id}"), order).await;
    let rotation = world.service.rotate(&world.tenant, Function::Reader, soon()).await.unwrap();
    assert_eq!(rotation.stage, Stage::Settled, "{rotation:#?}");
    assert_eq!(rotation.key_id.as_ref(), Some(&prepared.key_id));
    assert!(world.pass().await.failures.is_empty());
}
