//! The provider's logs against what we know of ourselves, with everything that we do.

#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, sync::Arc};

use common::{ALL, Admin, World};
use mailkeep_control::Recorded;
use mailkeep_identity::ReceiptLog;
use mailkeep_model::Function;
use mailkeep_sentry::{IncidentKind, LogSource};
use mailkeep_service::{
    Event, LogName, Observer, OnConflict, Reconciled, RestoreRequest, RestoreTarget, RestoreWhat,
};
use mailkeep_vault::FolderPath;
use serde_json::json;
use time::OffsetDateTime;

const ANN: &str = "ann@lab.example";

async fn world() -> World {
    let mut world = World::new().await;
    world.set_up_auditor().await;
    world.switch(ALL).await;
    world.set_up_restorer().await;
    let order = json!({"mailbox": ANN, "messages": 12, "folders": 1, "seed": 5, "contacts": 2});
    world.admin.order("generate", order).await;
    let here = vec!["127.0.0.1/32".parse().unwrap()];
    world.service.set_egress(&world.tenant, here).await.unwrap();
    world
}

impl World {
    async fn reconcile(&self) -> Reconciled {
        let now = OffsetDateTime::now_utc();
        self.service.reconcile(&self.tenant, now).await.unwrap()
    }

    /// A record of reads of mail is told after two minutes: the provider's clock goes forward.
    async fn audit_log_arrives(&self) {
        self.admin.order("clock", json!({ "offset_seconds": 130 })).await;
    }

    fn kinds(found: &Reconciled) -> Vec<IncidentKind> {
        found.incidents.iter().map(|(_, incident)| incident.kind).collect()
    }
}

/// Registers a restore's certificate, as the tenant's administrator does.
struct Administrator(Admin, tokio::runtime::Handle);

impl Observer for Administrator {
    fn on_event(&self, event: &Event) {
        if let Event::KeyToRegister { client_id, certificate_pem, .. } = event {
            let (admin, path) = (self.0.clone(), format!("applications/{client_id}"));
            let order = json!({ "add_certificate": certificate_pem });
            self.1.spawn(async move { admin.order(&path, order).await });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_we_do_ourselves_raises_an_alarm() {
    let world = world().await;
    // A backup with everything switched on, requests in batches and streams among them; a restore with
    // a key of its own, which is gone before the logs are read; and another backup.
    world.pass().await;
    let request = RestoreRequest {
        tenant: world.tenant.clone(),
        what: RestoreWhat::Folder { mailbox: ANN.parse().unwrap(), path: FolderPath::default() },
        at: None,
        to: Some(RestoreTarget { mailbox: ANN.parse().unwrap(), path: "Again".parse().unwrap() }),
        to_tenant: None,
        on_conflict: OnConflict::Skip,
    };
    let administrator = Administrator(world.admin.clone(), tokio::runtime::Handle::current());
    world.service.restore(&request, Arc::new(administrator)).await.unwrap();
    world.pass().await;
    world.audit_log_arrives().await;

    // The log of requests is exported to us.
    let export = world.admin.show("logs?kind=activity-export").await;
    let lines: Vec<String> =
        export["records"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let export = lines.join("\n");
    let (calls, damaged) =
        world.service.import_calls(&world.tenant, export.as_bytes()).await.unwrap();
    assert!(calls > 50 && damaged == 0, "{calls} {damaged}");

    let found = world.reconcile().await;
    assert_eq!(World::kinds(&found), [], "{:#?}", found.incidents);
    let (sign_ins, accesses) = found.ours;
    assert!(sign_ins >= 4 && accesses > 0, "{sign_ins} {accesses}");
    let ours =
        |accessor: &&mailkeep_sentry::Accessor| **accessor == mailkeep_sentry::Accessor::Ours;
    assert_eq!(found.found.calls.iter().filter(ours).count(), calls);
    assert_eq!(found.found.accesses.iter().filter(ours).count(), found.found.accesses.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_reads_what_no_job_asked_for_is_found_out() {
    let world = world().await;
    world.pass().await;
    world.audit_log_arrives().await;
    // What a worker does not write down it does all the same.
    let journal = world.service.data().journal().join(world.tenant.as_str());
    for day in fs::read_dir(journal).unwrap() {
        let path = day.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let marks = text.lines().filter(|line| line.contains("\"m\":")).map(|line| {
            // The provider's times are whole seconds: nothing shall look older than the journal.
            let mut mark: serde_json::Value = serde_json::from_str(line).unwrap();
            mark["t"] = json!(mark["t"].as_i64().unwrap() - 5_000_000);
            format!("{mark}\n")
        });
        fs::write(&path, marks.collect::<String>()).unwrap();
    }
    let found = world.reconcile().await;
    let kinds = World::kinds(&found);
    assert!(!kinds.is_empty(), "{:#?} {:#?}", found.logs, found.found);
    assert!(kinds.iter().all(|kind| *kind == IncidentKind::StolenToken), "{kinds:?}");
    assert!(found.found.rogue.is_empty(), "{:?}", found.found.rogue);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_a_worker_made_up_is_found_out_once() {
    let world = world().await;
    world.pass().await;
    let receipts = ReceiptLog::open(world.service.data().receipts()).unwrap();
    let now = OffsetDateTime::now_utc();
    let (name, job) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4().into());
    receipts.intend(now, name, &job, &world.tenant, Function::Reader, "never signed").unwrap();
    let first = world.reconcile().await;
    assert_eq!(World::kinds(&first), [IncidentKind::ForgedReceipt]);
    assert!(matches!(first.incidents[0].0, Recorded::New(_)));
    let second = world.reconcile().await;
    assert!(matches!(second.incidents[0].0, Recorded::Known(_)));
    assert_eq!(world.service.incidents(Some(&world.tenant)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_not_licensed_makes_blind_and_is_no_failure() {
    let world = world().await;
    let unlicensed = json!({ "licensed": false, "delay": 0 });
    world.admin.order("entra", json!({ "sign_ins": unlicensed })).await;
    world.pass().await;
    let found = world.reconcile().await;
    let sign_ins = found.logs.iter().find(|log| log.log == LogName::SignIns).unwrap();
    let LogSource::Absent { why } = &sign_ins.source else { panic!("{sign_ins:?}") };
    assert!(why.contains("licence"), "{why}");
    assert!(found.found.seen.sign_ins.is_empty());
    assert_eq!(World::kinds(&found), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_somebody_adds_in_exchange_is_an_incident_that_says_who_and_what_was_before() {
    let world = world().await;
    let run = async |command: &str, parameters: serde_json::Value| {
        let order = json!({
            "command": command, "parameters": parameters,
            "user": "eve@lab.example", "address": "203.0.113.5",
        });
        world.admin.order("exchange", order).await;
    };
    // What was there before the first look is how administrators wanted it.
    let rule = json!({ "Name": "Old", "Comments": "since ever" });
    run("New-TransportRule", rule).await;
    let later = |minutes: i64| OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
    let first = world.service.reconcile(&world.tenant, later(1)).await.unwrap();
    assert_eq!(World::kinds(&first), [], "{:#?}", first.incidents);
    world.admin.order("clock", json!({ "offset_seconds": 120 })).await;

    run(
        "Set-MailboxAuditBypassAssociation",
        json!({ "Identity": ANN, "AuditBypassEnabled": "True" }),
    )
    .await;
    run("New-TransportRule", json!({ "Name": "Copy", "BlindCopyTo": "eve@elsewhere.example" }))
        .await;
    world.admin.order("clock", json!({ "offset_seconds": 150 })).await;
    run("Set-TransportRule", json!({ "Identity": "Copy", "Comments": "backup" })).await;
    let found = world.service.reconcile(&world.tenant, later(3)).await.unwrap();
    let mut kinds = World::kinds(&found);
    kinds.sort();
    assert_eq!(kinds, [IncidentKind::ProtectionOff, IncidentKind::ExchangeChanged]);
    let of_rule = found.incidents.iter().find(|one| one.1.kind == IncidentKind::ExchangeChanged);
    let evidence = &of_rule.unwrap().1.evidence;
    assert_eq!(evidence.len(), 2, "one incident a rule: {evidence:#?}");
    for (place, parts) in [
        (
            0,
            [
                "New-TransportRule by eve@lab.example, from 203.0.113.5",
                "before: nothing of that name",
            ],
        ),
        (
            1,
            [
                "Comments=backup",
                "before: New-TransportRule by eve@lab.example: BlindCopyTo=eve@elsewhere.example Name=Copy",
            ],
        ),
    ] {
        for part in parts {
            assert!(evidence[place].text.contains(part), "{part}: {}", evidence[place].text);
        }
    }
    // Explained once, it stays closed although the log still tells of it.
    for (recorded, _) in &found.incidents {
        let now = OffsetDateTime::now_utc();
        world.service.close_incident(recorded.id(), "a drill", now).await.unwrap();
    }
    world.service.reconcile(&world.tenant, later(4)).await.unwrap();
    let all = world.service.incidents(Some(&world.tenant)).await.unwrap();
    assert!(all.iter().all(|one| one.closed.is_some()), "{all:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_a_canary_and_looking_for_it_raises_no_alarm() {
    let world = world().await;
    world.pass().await;
    world.set_up_prober(&["Mail.Send"]).await;
    let mailboxes = &world.lab.description().tenants[0].mailboxes;
    let from = mailboxes.iter().find(|one| *one != ANN).unwrap().parse().unwrap();
    let plan = mailkeep_service::CanaryPlan::new(from, ANN.parse().unwrap());
    world.service.set_canary_plan(&world.tenant, Some(plan)).await.unwrap();
    let sent = world.service.send_canary(&world.tenant, None).await.unwrap();
    // No pass runs: somebody has to look whether it arrived, with the reader's key.
    let looked = world.service.look_after_canary(&world.tenant, sent.id, sent.deadline).await;
    assert!(looked.unwrap().note.contains("arrived"));
    world.audit_log_arrives().await;
    let found = world.reconcile().await;
    assert_eq!(World::kinds(&found), [], "{:#?}", found.incidents);
}
