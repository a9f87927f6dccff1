//! Exchange's configuration, by snapshots that the provider takes.

#![allow(clippy::unwrap_used)]

mod common;

use common::World;
use mailkeep_model::Function;
use mailkeep_sentry::{ExchangeDifference, Source};
use mailkeep_service::{Acceptance, ExchangeLook, auditor_rights};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// A tenant that was set up for it.
async fn world() -> World {
    let world = World::new().await;
    world.set_up_auditor().await;
    let mut asked = world.service.asked(&world.tenant).await.unwrap();
    asked.exchange_configuration = true;
    world.service.ask_for(&world.tenant, &asked).await.unwrap();
    world.grant(true).await;
    world
}

impl World {
    /// Gives the auditor the right to order snapshots, or takes it away.
    async fn grant(&self, granted: bool) {
        let tenant = self.service.tenant(&self.tenant).await.unwrap();
        let auditor = tenant.functions.iter().find(|one| one.function == Function::Auditor);
        let client_id = auditor.unwrap().client_id.to_lowercase();
        let mut roles = auditor_rights();
        if granted {
            roles.push("ConfigurationMonitoring.ReadWrite.All");
        }
        let path = format!("applications/{client_id}");
        self.admin.order(&path, json!({ "roles": roles })).await;
    }

    async fn run(&self, command: &str, parameters: Value) {
        let order = json!({ "command": command, "parameters": parameters });
        self.admin.order("exchange", order).await;
    }

    async fn look(&self, acceptance: Acceptance, hours: i64) -> ExchangeLook {
        let now = OffsetDateTime::now_utc() + Duration::hours(hours);
        self.service.look_at_exchange(&self.tenant, acceptance, now).await.unwrap()
    }

    /// Orders one and reads it.
    async fn seen(&self, acceptance: Acceptance, hours: i64) -> Vec<ExchangeDifference> {
        assert!(matches!(self.look(acceptance, hours).await, ExchangeLook::UnderWay));
        match self.look(acceptance, hours).await {
            ExchangeLook::Seen { differences, incidents, .. } => {
                assert_eq!(differences.len(), incidents.len());
                differences
            }
            other => panic!("{other:?}"),
        }
    }

    async fn open_incidents(&self) -> usize {
        let all = self.service.incidents(Some(&self.tenant)).await.unwrap();
        all.iter().filter(|one| one.closed.is_none()).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_is_accepted_and_what_changes_is_an_incident_with_before_and_after() {
    let world = world().await;
    world.run("New-TransportRule", json!({ "Name": "Old", "Comments": "since ever" })).await;
    world
        .run("New-InboundConnector", json!({ "Name": "Partner", "SenderDomains": "p.example" }))
        .await;
    assert!(world.seen(Acceptance::Compare, 0).await.is_empty(), "the first look accepts");
    assert!(matches!(world.look(Acceptance::Compare, 1).await, ExchangeLook::NotDue));

    world
        .run("New-JournalRule", json!({ "Name": "J", "JournalEmailAddress": "x@y.example" }))
        .await;
    world
        .run("Set-TransportRule", json!({ "Identity": "Old", "BlindCopyTo": "x@y.example" }))
        .await;
    world.run("Remove-InboundConnector", json!({ "Identity": "Partner" })).await;
    let found = world.seen(Acceptance::Compare, 7).await;
    let texts: Vec<String> = found.iter().map(ExchangeDifference::text).collect();
    assert_eq!(
        texts,
        [
            "journal rule 'J' was added: JournalEmailAddress=x@y.example Name=J; before: nothing of that name",
            "transport rule 'Old' was changed: BlindCopyTo=x@y.example; before: nothing",
            "connector 'Partner' (inboundconnector) is gone; before: Name=Partner SenderDomains=p.example",
        ]
    );
    assert_eq!(world.open_incidents().await, 3);
    // The same again is nothing new; accepted, it is as it should be.
    world.seen(Acceptance::Compare, 14).await;
    assert_eq!(world.open_incidents().await, 3);
    assert!(matches!(world.look(Acceptance::Accept, 15).await, ExchangeLook::Accepted));
    assert!(world.seen(Acceptance::Compare, 22).await.is_empty());
    // No job of ours stays.
    let counters = world.admin.counters().await;
    let of = |operation: &str| counters["operations"][operation]["requests"].as_u64();
    assert_eq!(of("configuration.snapshot.create"), of("configuration.job.delete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_a_snapshot_of_the_same_change_are_one_incident() {
    let world = world().await;
    world.seen(Acceptance::Compare, 0).await;
    let later = OffsetDateTime::now_utc() + Duration::minutes(1);
    world.service.reconcile(&world.tenant, later).await.unwrap();
    world.admin.order("clock", json!({ "offset_seconds": 120 })).await;
    world.run("New-TransportRule", json!({ "Name": "Copy", "BlindCopyTo": "x@y.example" })).await;
    let later = OffsetDateTime::now_utc() + Duration::minutes(3);
    world.service.reconcile(&world.tenant, later).await.unwrap();
    world.seen(Acceptance::Compare, 7).await;
    let all = world.service.incidents(Some(&world.tenant)).await.unwrap();
    let [one] = &all[..] else { panic!("{all:#?}") };
    let sources: Vec<&Value> =
        one.incident["evidence"].as_array().unwrap().iter().map(|one| &one["source"]).collect();
    assert_eq!(sources, [&json!(Source::ExchangeChanges), &json!(Source::Posture)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_seen_is_said_and_is_no_change() {
    let world = world().await;
    let posture = async || {
        let now = OffsetDateTime::now_utc();
        let looked = world.service.posture(&world.tenant, Acceptance::Compare, now).await;
        looked.unwrap().unseen.join("; ")
    };
    assert!(posture().await.contains("no snapshot was taken"), "{}", posture().await);
    world.seen(Acceptance::Compare, 0).await;
    assert!(posture().await.contains("the last snapshot that was read"), "{}", posture().await);
    let before = world.open_incidents().await;
    // The provider's own principal may not look any more: the job fails, and nothing is gone.
    let failing = json!({ "configuration": { "delay": 0, "granted": false } });
    world.admin.order("entra", failing).await;
    assert!(matches!(world.look(Acceptance::Compare, 7).await, ExchangeLook::UnderWay));
    let now = OffsetDateTime::now_utc() + Duration::hours(7);
    let error = world.service.look_at_exchange(&world.tenant, Acceptance::Compare, now).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("not authorized"), "{error}");
    assert_eq!(world.open_incidents().await, before);
    assert!(posture().await.contains("not authorized"), "{}", posture().await);
    // The next one is not ordered at once. Ours may not order any more: the right is named.
    assert!(matches!(world.look(Acceptance::Compare, 7).await, ExchangeLook::NotDue));
    world.grant(false).await;
    let now = now + Duration::hours(2);
    let refused = world.service.look_at_exchange(&world.tenant, Acceptance::Compare, now).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("ConfigurationMonitoring.ReadWrite.All"), "{refused}");
}
