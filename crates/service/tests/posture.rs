//! What an administrator or a thief changes on our applications is found, with what was there before and
//! who did it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ALL, World};
use data_encoding::HEXUPPER;
use mailkeep_control::StoredKeyState;
use mailkeep_model::Function;
use mailkeep_sentry::{
    DeviationKind::{
        self, Disabled, Federated, ForeignKey, KeyIsBack, NeverLocked, OwnKeyGone, OwnerAdded,
        OwnerRemoved, Password, RightLost, RightTooMuch, Unlocked,
    },
    IncidentKind, Source,
};
use mailkeep_service::{Acceptance, Looked};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

/// A tenant that was looked at once.
async fn world() -> World {
    let mut world = World::new().await;
    world.switch(ALL).await;
    world.set_up_auditor().await;
    world.lock(json!([]), json!([])).await;
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(kinds(&looked), [NeverLocked, NeverLocked], "{:#?}", looked.posture);
    assert!(looked.incidents.is_empty() && looked.before.is_none());
    world
}

fn kinds(looked: &Looked) -> Vec<DeviationKind> {
    looked.posture.deviations.iter().map(|one| one.kind).collect()
}

/// Those that are not only worth knowing.
fn wrong(looked: &Looked) -> Vec<DeviationKind> {
    kinds(looked).into_iter().filter(|kind| kind.incident().is_some()).collect()
}

impl World {
    async fn look(&self, acceptance: Acceptance) -> Looked {
        // Nothing that was registered just now is missed.
        let now = OffsetDateTime::now_utc() + Duration::hours(1);
        self.service.posture(&self.tenant, acceptance, now).await.unwrap()
    }

    async fn application(&self, function: Function) -> Value {
        let tenant = self.service.tenant(&self.tenant).await.unwrap();
        let ours = tenant.functions.iter().find(|one| one.function == function).unwrap();
        let all = self.admin.show("applications").await;
        let all = all.as_array().unwrap();
        let same = |one: &&Value| one["client_id"] == ours.client_id.to_lowercase();
        all.iter().find(same).unwrap().clone()
    }

    async fn reader(&self) -> Value {
        self.application(Function::Reader).await
    }

    /// What a tenant's administrator does to the reader's application.
    async fn change(&self, change: Value) {
        let reader = self.reader().await;
        let client_id = reader["client_id"].as_str().unwrap();
        self.admin.order(&format!("applications/{client_id}"), change).await;
    }

    async fn lock(&self, policies: Value, locations: Value) {
        let order =
            json!({"tenant": self.directory_id(), "policies": policies, "locations": locations});
        self.admin.order("conditional-access", order).await;
    }
}

fn policy(state: &str) -> Value {
    json!([{
        "id": "8e1a3c00-0000-4000-8000-000000000001",
        "displayName": "Mailkeep only from here",
        "state": state,
        "conditions": {
            "clientApplications": { "includeServicePrincipals": ["ServicePrincipalsInMyTenant"] },
            "locations": {
                "includeLocations": ["All"],
                "excludeLocations": ["8e1a3c00-0000-4000-8000-000000000002"],
            },
        },
        "grantControls": { "operator": "OR", "builtInControls": ["block"] },
    }])
}

fn here(ranges: &[&str]) -> Value {
    json!([{
        "id": "8e1a3c00-0000-4000-8000-000000000002",
        "displayName": "Us",
        "isTrusted": true,
        "ipRanges": ranges,
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_owners_that_are_not_ours_are_incidents_that_say_who_added_them() {
    let world = world().await;
    let stranger = world.service.certificate(&world.tenant, Function::Prober).await.unwrap();
    let owner = world.application(Function::Auditor).await["service_principal_id"].clone();
    world
        .change(json!({
            "add_certificate": stranger.certificate_pem,
            "add_password": "backup",
            "add_federated": {"name": "ci", "issuer": "https://elsewhere.example", "subject": "x"},
            "add_owner": owner,
        }))
        .await;
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(
        wrong(&looked),
        [ForeignKey, Password, Federated, OwnerAdded, OwnerAdded],
        "{:#?}",
        looked.posture
    );
    assert_eq!(looked.incidents.len(), 4, "the owner of both objects is one incident");
    for (_, incident) in &looked.incidents {
        assert_eq!(incident.kind, IncidentKind::Tampered);
        let told = incident.evidence.iter().find(|one| one.source == Source::DirectoryChanges);
        assert!(told.is_some_and(|one| one.text.contains("admin@")), "{incident:#?}");
    }
    let again = world.look(Acceptance::Compare).await;
    assert!(
        again
            .incidents
            .iter()
            .all(|(recorded, _)| matches!(recorded, mailkeep_control::Recorded::Known(_))),
        "{:#?}",
        again.incidents
    );
    // Owners can be accepted, credentials cannot.
    let accepted = world.look(Acceptance::Accept).await;
    assert_eq!(accepted.incidents.len(), 3);
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(wrong(&looked), [ForeignKey, Password, Federated]);
    world.change(json!({ "remove_owner": owner })).await;
    let looked = world.look(Acceptance::Compare).await;
    let gone = [OwnerRemoved, OwnerRemoved];
    assert_eq!(wrong(&looked)[3..], gone, "{:#?}", looked.posture);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_only_the_database_calls_ours_is_a_stranger_s() {
    let world = world().await;
    world.set_up_restorer().await;
    let restorer = world.application(Function::Restorer).await["client_id"].clone();
    let size = rcgen::RsaKeySize::_2048;
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
    let stranger = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let order = json!({ "add_certificate": stranger.pem() });
    world.admin.order(&format!("applications/{}", restorer.as_str().unwrap()), order).await;
    assert_eq!(wrong(&world.look(Acceptance::Compare).await), [ForeignKey]);

    // Somebody can write to the database: a restore made that certificate, he says, and its key was destroyed.
    let thumbprint = HEXUPPER.encode(&Sha256::digest(stranger.der()));
    let forged = StoredKeyState {
        key_id: "11111111-0000-4000-8000-000000000000".into(),
        function: Function::Restorer,
        state: json!({ "known_as": [thumbprint], "thumbprint": thumbprint }),
    };
    world.service.control().note_key_state(&world.tenant, forged).await.unwrap();
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(wrong(&looked), [ForeignKey], "{:#?}", looked.posture);
    assert!(!kinds(&looked).contains(&DeviationKind::StaleKey));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_a_restore_left_is_still_ours_when_its_key_is_gone() {
    let world = world().await;
    world.set_up_restorer().await;
    let left = world.service.certificate(&world.tenant, Function::Restorer).await.unwrap();
    let restorer = world.application(Function::Restorer).await["client_id"].clone();
    let order = json!({ "add_certificate": left.certificate_pem });
    world.admin.order(&format!("applications/{}", restorer.as_str().unwrap()), order).await;
    assert_eq!(wrong(&world.look(Acceptance::Compare).await), []);
    let signer = world.service.signer().await.unwrap();
    let job = uuid::Uuid::new_v4().into();
    signer.retire(&job, &world.tenant, Some(Function::Restorer)).await.unwrap();
    // The ledger vouches for it.
    let looked = world.look(Acceptance::Compare).await;
    assert!(kinds(&looked).contains(&DeviationKind::StaleKey), "{:#?}", looked.posture);
    assert_eq!(wrong(&looked), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_right_and_closed_is_an_alarm_again_when_it_comes_back() {
    let world = world().await;
    for time in 0..3 {
        world.change(json!({ "enabled": false })).await;
        let looked = world.look(Acceptance::Compare).await;
        let [(recorded, _)] = looked.incidents.as_slice() else { panic!("{looked:#?}") };
        let news = !matches!(recorded, mailkeep_control::Recorded::Known(_));
        assert!(news, "time {time}: {recorded:?}");
        // Looking again is no news.
        let looked = world.look(Acceptance::Compare).await;
        assert!(matches!(looked.incidents[0].0, mailkeep_control::Recorded::Known(_)));
        let open = world.service.incidents(Some(&world.tenant)).await.unwrap();
        assert!(open[0].closed.is_none(), "time {time}");

        world.change(json!({ "enabled": true })).await;
        assert_eq!(wrong(&world.look(Acceptance::Compare).await), []);
        let now = OffsetDateTime::now_utc();
        world.service.close_incident(recorded.id(), "by mistake", now).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_principal_that_was_made_anew_is_not_accepted_unseen() {
    let world = world().await;
    let owner = world.application(Function::Auditor).await["service_principal_id"].clone();
    world.lock(policy("enabled"), here(&["127.0.0.1/32"])).await;
    world.look(Acceptance::Compare).await;
    // The lock names nobody that there is any more: what was accepted is not forgotten for that.
    world.lock(json!([]), json!([])).await;
    world.change(json!({ "add_owner": owner })).await;
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(wrong(&looked), [OwnerAdded, OwnerAdded, Unlocked, Unlocked]);
    let again = world.look(Acceptance::Compare).await;
    assert_eq!(wrong(&again), wrong(&looked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_ours_that_was_removed_is_missed() {
    let world = world().await;
    let key = world.reader().await["keys"][0]["key_id"].clone();
    world.change(json!({ "remove_key": key })).await;
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(wrong(&looked), [OwnKeyGone]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_replaced_does_not_come_back_unseen() {
    let world = world().await;
    let old = world.service.certificate(&world.tenant, Function::Reader).await.unwrap();
    let world = World {
        service: world.service.with_key_policy(mailkeep_identity::rotation::Policy {
            overlap: Duration::ZERO,
            retry: Duration::milliseconds(50),
            ..Default::default()
        }),
        ..world
    };
    let deadline = OffsetDateTime::now_utc() + Duration::minutes(1);
    world.service.rotate(&world.tenant, Function::Reader, deadline).await.unwrap();
    assert_eq!(wrong(&world.look(Acceptance::Compare).await), []);
    world.change(json!({ "add_certificate": old.certificate_pem })).await;
    assert_eq!(wrong(&world.look(Acceptance::Compare).await), [KeyIsBack]);
}

#[tokio::test(flavor = "multi_thread")]
async fn protection_that_was_switched_off_is_an_incident_with_before_and_after() {
    let world = world().await;
    world.service.set_egress(&world.tenant, vec!["127.0.0.1/32".parse().unwrap()]).await.unwrap();
    world.lock(policy("enabled"), here(&["127.0.0.1/32"])).await;
    assert_eq!(kinds(&world.look(Acceptance::Compare).await), []);

    world.lock(policy("enabledForReportingButNotEnforced"), here(&["127.0.0.1/32"])).await;
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(wrong(&looked), [Unlocked, Unlocked]);
    let one = &looked.posture.deviations[0];
    assert!(one.before.as_ref().unwrap().contains("127.0.0.1/32"), "{one:#?}");
    assert!(one.after.contains("report-only"), "{one:#?}");
    let (_, incident) = &looked.incidents[0];
    assert_eq!(incident.kind, IncidentKind::ProtectionOff);
    assert!(incident.evidence.iter().any(|one| one.text.contains("conditional access policy")));

    world.lock(policy("enabled"), here(&["127.0.0.1/32", "203.0.113.0/24"])).await;
    assert_eq!(wrong(&world.look(Acceptance::Compare).await), [Unlocked, Unlocked]);
    world.lock(policy("enabled"), here(&["127.0.0.1/32"])).await;
    assert_eq!(wrong(&world.look(Acceptance::Compare).await), []);

    let mut roles: Vec<String> =
        serde_json::from_value(world.reader().await["roles"].clone()).unwrap();
    let needed = roles.iter().position(|one| one == "Mail.Read").unwrap();
    roles[needed] = "Mail.ReadWrite".to_owned();
    world.change(json!({ "roles": roles, "enabled": false })).await;
    let looked = world.look(Acceptance::Compare).await;
    assert_eq!(wrong(&looked), [Disabled, RightLost, RightTooMuch], "{:#?}", looked.posture);
}
