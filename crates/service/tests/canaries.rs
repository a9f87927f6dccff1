//! Canaries: each leg of their way fails once, for real, and the one that failed is named.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{TINY, World, open};
use mailkeep_control::{AuditFilter, BegunCanary, NewCanary, StoredIncident};
use mailkeep_model::{Address, Function};
use mailkeep_sentry::{Incident, IncidentKind, Leg};
use mailkeep_service::{CanaryOutcome, CanaryPlan, CanaryReport, ErrorKind, ServiceError};
use serde_json::json;
use time::{Duration, OffsetDateTime};

/// A tenant that was backed up, and that is sent canaries from its second mailbox to its first.
async fn world() -> World {
    let world = unprobed().await;
    world.set_up_prober(&["Mail.Send"]).await;
    world.plan().await;
    world
}

async fn unprobed() -> World {
    let world = World::with(|options| options.mailboxes = Some(3), TINY).await;
    world.pass().await;
    world
}

impl World {
    fn address(&self, number: usize) -> Address {
        self.lab.description().tenants[0].mailboxes[number].parse().unwrap()
    }

    async fn plan(&self) {
        let plan = CanaryPlan::new(self.address(1), self.address(0));
        self.service.set_canary_plan(&self.tenant, Some(plan)).await.unwrap();
    }

    async fn send(&self) -> CanaryReport {
        self.service.send_canary(&self.tenant, None).await.unwrap()
    }

    /// How it stands at its deadline.
    async fn at_the_deadline(&self, canary: &CanaryReport) -> CanaryReport {
        let at = canary.deadline;
        self.service.look_after_canary(&self.tenant, canary.id, at).await.unwrap()
    }

    async fn now(&self, canary: &CanaryReport) -> CanaryReport {
        let now = OffsetDateTime::now_utc();
        self.service.look_after_canary(&self.tenant, canary.id, now).await.unwrap()
    }

    /// The incident about canaries, and what its last evidence says.
    async fn incident(&self) -> Option<(StoredIncident, String)> {
        let all = self.service.incidents(Some(&self.tenant)).await.unwrap();
        let mut of_canaries = all.into_iter().filter_map(|stored| {
            let incident: Incident = serde_json::from_value(stored.incident.clone()).unwrap();
            (incident.kind == IncidentKind::CanaryMissed)
                .then(|| (stored, incident.evidence.last().unwrap().text.clone()))
        });
        let first = of_canaries.next();
        assert!(of_canaries.next().is_none(), "one incident tells of all canaries");
        first
    }

    async fn sent(&self) -> u64 {
        let counters = self.admin.counters().await;
        counters["operations"]["sendmail"]["requests"].as_u64().unwrap_or(0)
    }

    async fn flow(&self, settings: serde_json::Value) {
        self.admin.order("mail-flow", settings).await;
    }

    /// Sends one and lets it come through, so that the incident that is open ends.
    async fn comes_through_again(&self) {
        let canary = self.send().await;
        self.pass().await;
        assert_eq!(self.now(&canary).await.outcome, CanaryOutcome::CameThrough);
        let (incident, _) = self.incident().await.unwrap();
        assert!(incident.closed.is_some(), "canaries come through again");
        let note = incident.note.unwrap();
        assert!(note.starts_with("canaries come through again"), "{note}");
    }
}

async fn minutes(world: &World) -> Vec<mailkeep_model::TrafficCount> {
    world.service.control().traffic(&world.tenant, 0, i64::MAX).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_comes_through_and_counts_as_nobody_s_mail() {
    let world = world().await;
    let before = minutes(&world).await;
    let canary = world.send().await;
    assert_eq!((canary.outcome, canary.sent.is_some()), (CanaryOutcome::UnderWay, true));
    let second = world.send().await;
    assert_eq!((second.id, world.sent().await), (canary.id, 1), "one is under way at a time");

    assert_eq!(world.now(&canary).await.outcome, CanaryOutcome::UnderWay, "no pass has read it");
    let report = world.pass().await;
    assert_eq!(report.new, 1);
    let through = world.now(&canary).await;
    assert_eq!(through.outcome, CanaryOutcome::CameThrough, "{}", through.note);
    assert_eq!(minutes(&world).await, before, "nobody sent it");
    assert!(world.incident().await.is_none());

    let view = world.service.view(&world.tenant, None).await.unwrap();
    let canaries =
        world.service.canary_items(&world.tenant, &view, &world.address(0)).await.unwrap();
    assert_eq!(canaries.len(), 1);
    let nothing = world.service.canary_items(&world.tenant, &view, &world.address(1)).await;
    assert!(nothing.unwrap().is_empty(), "no copy stays with its sender");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_from_a_mailbox_out_of_scope_is_not_sent_and_says_so_at_once() {
    let world = unprobed().await;
    let client_id = world.set_up_prober(&[]).await;
    world.plan().await;
    let scope = |address: Address| {
        json!({
            "client_id": client_id,
            "roles": [{ "role": "Application Mail.Send", "mailboxes": [address] }],
        })
    };
    world.admin.order("exchange-roles", scope(world.address(2))).await;
    let canary = world.send().await;
    assert_eq!(canary.outcome, CanaryOutcome::Missed(Leg::NotSent));
    let (incident, text) = world.incident().await.unwrap();
    assert!(incident.closed.is_none());
    assert!(text.contains("not sent") && text.contains("Mail.Send"), "{text}");
    assert!(text.contains("before: none has come through yet"), "{text}");

    world.admin.order("exchange-roles", scope(world.address(1))).await;
    world.comes_through_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_of_a_blocked_sender_has_not_arrived() {
    let world = world().await;
    world.flow(json!({ "blocked_senders": [world.address(1)] })).await;
    let canary = world.send().await;
    world.pass().await;
    assert_eq!(world.now(&canary).await.outcome, CanaryOutcome::UnderWay, "it has time");
    let missed = world.at_the_deadline(&canary).await;
    assert_eq!(missed.outcome, CanaryOutcome::Missed(Leg::NotArrived));
    world.flow(json!({})).await;
    world.comes_through_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_stopped_is_noticed_with_before_and_after() {
    let world = world().await;
    let first = world.send().await;
    world.pass().await;
    assert_eq!(world.now(&first).await.outcome, CanaryOutcome::CameThrough);

    let second = world.send().await;
    let missed = world.at_the_deadline(&second).await;
    assert_eq!(missed.outcome, CanaryOutcome::Missed(Leg::NotBackedUp));
    let (incident, text) = world.incident().await.unwrap();
    assert!(incident.closed.is_none());
    for part in [
        &format!("canary {}: arrived, and not backed up", second.reference),
        "; arrived 2",
        "no pass has read it",
        "before: the last one came through: sent 2",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Late is not in time: only the next one ends it.
    world.pass().await;
    assert_eq!(world.now(&second).await.outcome, CanaryOutcome::Missed(Leg::NotBackedUp));
    assert!(world.incident().await.unwrap().0.closed.is_none());
    world.comes_through_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_shut_out_is_noticed_although_nobody_can_look() {
    let world = world().await;
    let tenant = world.service.tenant(&world.tenant).await.unwrap();
    let reader = tenant.functions.iter().find(|one| one.function == Function::Reader).unwrap();
    let path = format!("applications/{}", reader.client_id.to_lowercase());
    world.admin.order(&path, json!({ "roles": ["User.Read.All"] })).await;
    let canary = world.send().await;
    let missed = world.at_the_deadline(&canary).await;
    assert_eq!(missed.outcome, CanaryOutcome::Missed(Leg::NotBackedUp));
    let (_, text) = world.incident().await.unwrap();
    assert!(text.contains("whether it arrived could not be seen"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_the_inspector_cannot_read_is_backed_up_and_not_inspected() {
    let world = world().await;
    world.flow(json!({ "sealed": true })).await;
    let canary = world.send().await;
    world.pass().await;
    assert_eq!(world.now(&canary).await.outcome, CanaryOutcome::UnderWay);
    let missed = world.at_the_deadline(&canary).await;
    assert_eq!(missed.outcome, CanaryOutcome::Missed(Leg::NotInspected));
    world.flow(json!({})).await;
    world.comes_through_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_answer_is_lost_is_not_given_twice_and_the_canary_is_looked_for() {
    let world = world().await;
    let lost = json!([{ "operation": "sendmail", "status": 503, "when": "after", "times": 1 }]);
    world.admin.order("faults", lost).await;
    let canary = world.send().await;
    assert_eq!((canary.sent, canary.outcome), (None, CanaryOutcome::UnderWay));
    world.pass().await;
    assert_eq!(world.now(&canary).await.outcome, CanaryOutcome::CameThrough);
    assert_eq!(world.sent().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_came_back_after_the_deadline_ends_no_incident_whoever_looks_only_then() {
    let world = world().await;
    let first = world.send().await;
    assert_eq!(
        world.at_the_deadline(&first).await.outcome,
        CanaryOutcome::Missed(Leg::NotBackedUp)
    );

    let soon = Some(Duration::seconds(2));
    let second = world.service.send_canary(&world.tenant, soon).await.unwrap();
    wait_for("its deadline", async || OffsetDateTime::now_utc() > second.deadline).await;
    world.pass().await;
    let late = world.now(&second).await;
    assert_eq!(late.outcome, CanaryOutcome::Missed(Leg::NotBackedUp), "{}", late.note);
    assert!(
        late.note.contains("read too late") && late.note.contains("in the vault"),
        "{}",
        late.note
    );
    let (incident, text) = world.incident().await.unwrap();
    assert!(incident.closed.is_none(), "{text}");
    world.comes_through_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_provider_is_out_of_reach_holds_up_nobody_and_is_tried_again() {
    let world = world().await;
    let sent_within = async |what: &str| {
        // Not before its deadline in two hours: eight such tenants would be all that are looked after.
        let minute = std::time::Duration::from_secs(60);
        tokio::time::timeout(minute, world.send()).await.expect(what)
    };
    let out_of_reach = json!([{ "operation": "token", "status": 503 }]);
    world.admin.order("faults", out_of_reach.clone()).await;
    let canary = sent_within("one try ends soon").await;
    assert_eq!((canary.sent, canary.outcome), (None, CanaryOutcome::UnderWay));
    world.admin.order("faults", json!([])).await;
    assert_eq!(world.now(&canary).await.sent, None, "not at every look");
    let look = async |id: i64, at: OffsetDateTime| {
        world.service.look_after_canary(&world.tenant, id, at).await.unwrap()
    };
    let a_minute_later = OffsetDateTime::now_utc() + Duration::minutes(1);
    assert!(look(canary.id, a_minute_later).await.sent.is_some());
    world.pass().await;
    assert_eq!(world.now(&canary).await.outcome, CanaryOutcome::CameThrough);
    assert_eq!(world.sent().await, 1);

    world.admin.order("faults", out_of_reach).await;
    // Its token is as good as used up by then.
    let restarted = open(world.service.data().root(), TINY).await;
    let send = restarted.send_canary(&world.tenant, None);
    let canary = send.await.unwrap();
    assert_eq!((canary.sent, canary.outcome), (None, CanaryOutcome::UnderWay));
    let at = canary.deadline;
    let missed = restarted.look_after_canary(&world.tenant, canary.id, at).await.unwrap();
    assert_eq!(missed.outcome, CanaryOutcome::Missed(Leg::NotSent), "{}", missed.note);
    assert!(missed.note.contains("was refused: "), "{}", missed.note);
    assert_eq!(world.sent().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_canary_is_written_down_and_no_time_is_given_that_nobody_waits_for() {
    let world = world().await;
    for bad in [Duration::ZERO, Duration::days(8), Duration::days(i64::from(u32::MAX))] {
        let refused = world.service.send_canary(&world.tenant, Some(bad)).await.unwrap_err();
        assert!(refused.to_string().contains("seven days at most"), "{refused}");
    }
    assert_eq!(world.sent().await, 0);
    let hour = Some(Duration::hours(1));
    let canary = world.service.send_canary(&world.tenant, hour).await.unwrap();
    let entries = world.service.control().audit_entries(&AuditFilter::default()).await.unwrap();
    let of_canaries = entries.iter().filter(|one| one.action == "identity.canary");
    let [entry] = &of_canaries.collect::<Vec<_>>()[..] else { panic!("{entries:?}") };
    assert_eq!(entry.details["reference"], canary.reference);
    assert_eq!(entry.details["deadline_seconds"], 3600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_before_it_sent_forgets_no_canary_and_raises_no_false_alarm() {
    let world = world().await;
    let begun = OffsetDateTime::now_utc();
    let killed = async |mark: u8, begun: OffsetDateTime| {
        let new = NewCanary {
            digest: [mark; 32],
            sender: world.address(1),
            recipient: world.address(0),
            begun,
            deadline: begun + Duration::hours(2),
            to_be_removed: false,
        };
        let begun = world.service.control().begin_canary(&world.tenant, new, None).await.unwrap();
        let BegunCanary::New(id) = begun else { panic!("{begun:?}") };
        id
    };
    let id = killed(1, begun).await;
    // What comes after it finds it under way, and sends nothing.
    let found = world.send().await;
    assert_eq!((found.id, world.sent().await), (id, 0));
    assert_eq!(world.at_the_deadline(&found).await.outcome, CanaryOutcome::Void);
    assert!(world.incident().await.is_none(), "it proves nothing");
    // Twice in a row is no accident any more.
    let id = killed(2, begun).await;
    let again = world.send().await;
    assert_eq!(again.id, id);
    let missed = world.at_the_deadline(&again).await;
    assert_eq!(missed.outcome, CanaryOutcome::Missed(Leg::NotSent));
    world.comes_through_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unattended_one_is_sent_at_a_time_also_by_a_service_that_was_killed_and_came_back() {
    let world = world().await;
    let root = world.service.data().root().to_owned();
    let first = Arc::new(open(&root, TINY).await);
    let tending = tokio::spawn(async move { first.tend_canaries().await });
    wait_for("the first canary", async || world.sent().await == 1).await;
    tending.abort();
    let _ = tending.await;

    let second = Arc::new(open(&root, TINY).await);
    let tending = tokio::spawn(async move { second.tend_canaries().await });
    world.pass().await;
    let ended = async || {
        let all = world.service.canaries(&world.tenant, 9).await.unwrap();
        all.iter().all(|one| one.ended.is_some())
    };
    wait_for("its end", ended).await;
    tending.abort();
    let all = world.service.canaries(&world.tenant, 9).await.unwrap();
    let [one] = &all[..] else { panic!("{all:?}") };
    assert_eq!((one.outcome, world.sent().await), (CanaryOutcome::CameThrough, 1));
}

async fn wait_for(what: &str, holds: impl AsyncFn() -> bool) {
    let begin = std::time::Instant::now();
    while !holds().await {
        assert!(begin.elapsed().as_secs() < 60, "{what} did not happen");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_sent_before_somebody_named_mailboxes_that_fit() {
    let world = unprobed().await;
    let error = world.service.send_canary(&world.tenant, None).await.unwrap_err();
    assert!(error.to_string().contains("mailkeep tenant canary acme"), "{error}");
    let set = async |from: Address, to: Address| {
        world.service.set_canary_plan(&world.tenant, Some(CanaryPlan::new(from, to))).await
    };
    let (one, other) = (world.address(0), world.address(1));
    let error = set(one.clone(), other.clone()).await.unwrap_err();
    assert!(matches!(error, ServiceError::NotRegistered { function: Function::Prober, .. }));
    world.set_up_prober(&["Mail.Send"]).await;
    assert!(set(one.clone(), one.clone()).await.is_err());
    let stranger: Address = "nobody@elsewhere.example".parse().unwrap();
    assert_eq!(set(one.clone(), stranger).await.unwrap_err().kind(), ErrorKind::NotFound);
    set(one, other).await.unwrap();
    assert_eq!(world.sent().await, 0);
    world.service.set_canary_plan(&world.tenant, None).await.unwrap();
    assert!(world.service.send_canary(&world.tenant, None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_removed_at_the_end_and_one_that_stays_in_sight_is_an_incident() {
    let world = world().await;
    let responder = world.set_up_responder(&["Mail.ReadWrite"]).await;
    let canary = world.send().await;
    world.pass().await;
    let through = world.now(&canary).await;
    assert_eq!(through.outcome, CanaryOutcome::CameThrough, "{}", through.note);
    assert!(through.removed.is_some() && through.note.contains("removed"), "{}", through.note);
    let contents = world.admin.show(&format!("mailbox/{}", world.address(0))).await;
    let subject = format!("Mailkeep canary {}", canary.reference);
    let messages = contents["messages"].as_array().unwrap();
    let left: Vec<_> = messages.iter().filter(|one| one["subject"] == subject).collect();
    assert!(left.len() == 1 && left[0]["hidden"] == true, "{left:?}");

    // Somebody took the responder's right away.
    let roles = |roles: &[&str]| json!({ "roles": roles });
    world.admin.order(&format!("applications/{responder}"), roles(&[])).await;
    let canary = world.send().await;
    world.pass().await;
    assert_eq!(world.now(&canary).await.outcome, CanaryOutcome::UnderWay, "it has time yet");
    let missed = world.at_the_deadline(&canary).await;
    assert_eq!(missed.outcome, CanaryOutcome::Missed(Leg::NotRemoved), "{}", missed.note);
    let (incident, text) = world.incident().await.unwrap();
    assert!(incident.closed.is_none());
    assert!(text.contains("inspected, and not removed"), "{text}");

    world.admin.order(&format!("applications/{responder}"), roles(&["Mail.ReadWrite"])).await;
    world.comes_through_again().await;
}
