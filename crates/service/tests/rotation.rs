//! Keys are changed at a provider that takes its time, while mail is read, and after crashes.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::World;
use mailkeep_exchange::Extras;
use mailkeep_identity::{
    Binding, Slot,
    rotation::{Policy, Stage},
};
use mailkeep_model::Function;
use mailkeep_service::{Acceptance, DataDirectory, Service, StepKind};
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

impl World {
    /// As an import says where the reader's application is.
    async fn name_the_reader_s_application(&self) {
        let signer = self.service.signer().await.unwrap();
        let held = signer.credentials(Some(&self.tenant)).await.unwrap();
        let reader = held.iter().find(|one| one.key_use.function == Function::Reader).unwrap();
        let object_id = self.registered("reader").await["object_id"].as_str().map(str::to_owned);
        let binding = Binding { object_id, ..reader.binding.clone().unwrap() };
        let job = uuid::Uuid::new_v4().into();
        signer.bind_to(&job, &self.tenant, Function::Reader, binding).await.unwrap();
    }

    /// The next key that is added is added, and the answer is lost.
    async fn lose_the_answer(&self) {
        let rule = json!([{"operation": "key.add", "reset": true, "times": 1}]);
        self.admin.order("faults", rule).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_name_the_provider_told_nobody_is_removed_without_an_auditor() {
    let mut world = World::new().await;
    world.set_up_steward().await;
    world.name_the_reader_s_application().await;
    world.service = reopened(&world).await;
    for round in 0..2 {
        let before = registered_keys(&world).await;
        world.lose_the_answer().await;
        let rotation = world.service.rotate(&world.tenant, Function::Reader, soon()).await;
        assert!(rotation.is_err(), "round {round}: {rotation:#?}");
        let rotation = world.service.tend_keys(&world.tenant, Function::Reader, soon()).await;
        let rotation = rotation.unwrap();
        assert_eq!(rotation.stage, Stage::Settled, "round {round}: {rotation:#?}");
        assert_eq!(world.admin.show("faults").await[0]["hits"], 1);
        let after = registered_keys(&world).await;
        assert!(after.len() == 1 && after != before, "round {round}: {before:?}, {after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_may_look_it_is_said_which_certificate_is_to_be_removed_by_hand() {
    let mut world = World::new().await;
    world.name_the_reader_s_application().await;
    world.service = reopened(&world).await;
    let old = world.registered("reader").await["keys"][0].clone();
    let rotation = world.service.rotate(&world.tenant, Function::Reader, soon()).await;
    let said = rotation.unwrap_err().to_string();
    let thumbprint = old["thumbprint"].as_str().unwrap().to_uppercase();
    assert!(said.to_uppercase().contains(&thumbprint), "{thumbprint}: {said}");
    assert_eq!(registered_keys(&world).await.len(), 2);

    // An administrator does it, and the change of keys comes to its end.
    let client_id = world.registered("reader").await["client_id"].clone();
    let order = json!({ "remove_key": old["key_id"] });
    world.admin.order(&format!("applications/{}", client_id.as_str().unwrap()), order).await;
    let rotation = world.service.tend_keys(&world.tenant, Function::Reader, soon()).await.unwrap();
    assert_eq!(rotation.stage, Stage::Settled, "{rotation:#?}");
    assert_eq!(registered_keys(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reads_how_our_applications_are_once_before_and_once_after_it_changed_keys() {
    let world = world().await;
    world.set_up_steward().await;
    world.pass().await;
    let reads = async || {
        let counted = world.admin.counters().await;
        counted["operations"]["application.show"]["requests"].as_u64().unwrap_or_default()
    };
    // What one reading takes.
    let before = reads().await;
    let now = OffsetDateTime::now_utc();
    world.service.posture(&world.tenant, Acceptance::Compare, now).await.unwrap();
    let one = reads().await - before;
    assert!(one > 0, "{:#?}", world.admin.counters().await);
    // Those who change keys have to know their object ids first; that is no matter here.
    for function in [Function::Reader, Function::Auditor, Function::Steward] {
        let rotation = world.service.rotate(&world.tenant, function, soon()).await.unwrap();
        assert_eq!(rotation.stage, Stage::Settled, "{rotation:#?}");
    }
    let before = reads().await;
    let revoked = world.service.revoke(&world.tenant, "test", false, soon()).await.unwrap();
    assert!(revoked.is_complete(), "{revoked:#?}");
    assert_eq!(reads().await - before, 2 * one, "{revoked:#?}");
}
