//! What happened reaches people, whatever happens on the way.

#![allow(clippy::unwrap_used)]

#[path = "alerts/postfix.rs"]
mod postfix;
#[path = "alerts/receiver.rs"]
mod receiver;
#[path = "alerts/relay.rs"]
mod relay;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration as StdDuration,
};

use mailkeep_control::{FoundIncident, NewTenant, Recorded};
use mailkeep_model::{ProviderKind, TenantName};
use mailkeep_sentry::{Evidence, Incident, IncidentKind, Severity, Source};
use mailkeep_service::{
    DataDirectory, Delivered, DestinationName, Repeat, Rule, Service, Shape, Target,
};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use receiver::{Answer, PagerDuty, Receiver};
use serde_json::json;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::datetime};

const BEGIN: OffsetDateTime = datetime!(2026-11-23 09:14 UTC);
/// More than anything here takes.
const ENOUGH: StdDuration = StdDuration::from_secs(120);

struct World {
    service: Arc<Service>,
    directory: TempDir,
    tenant: TenantName,
}

/// A signer, a service and a tenant of whom an incident can be told.
async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path().join("data"));
    data.create().unwrap();
    let sealing = Sealing::IdentityFile(directory.path().join("key.txt"));
    let options = SignerOptions::new(data.signer(), data.signer_socket(), sealing);
    let signer = tokio::task::spawn_blocking(|| Signer::open(options)).await.unwrap().unwrap();
    tokio::spawn(signer.serve(std::future::pending()));
    let service = Service::open(data, "test".parse().unwrap()).await.unwrap();
    let tenant: TenantName = "acme".parse().unwrap();
    let new = NewTenant {
        name: tenant.clone(),
        provider: ProviderKind::M365,
        directory_id: "5f0c6f3e-0000-4000-8000-000000000001".into(),
        authority: "https://localhost:1".into(),
        graph: "https://localhost:2".into(),
        ca_pem: None,
        domains: vec!["acme.example".into()],
        functions: Vec::new(),
        created: BEGIN,
    };
    service.control().add_tenant(new).await.unwrap();
    World { service: Arc::new(service), directory, tenant }
}

fn everything() -> Rule {
    Rule { severity: Severity::Notice, tenants: Vec::new(), repeat: Repeat::Growing }
}

fn after(minutes: i64) -> OffsetDateTime {
    BEGIN + Duration::minutes(minutes)
}

impl World {
    async fn add(&self, name: &str, target: &Target) {
        self.add_with(name, target, &everything()).await;
    }

    async fn add_with(&self, name: &str, target: &Target, rule: &Rule) {
        let name: DestinationName = name.parse().unwrap();
        self.service.add_alert_destination(&name, target, false, rule, BEGIN).await.unwrap();
    }

    /// An incident with evidence of these logs; the number of it.
    async fn incident(&self, subject: &str, sources: &[Source], now: OffsetDateTime) -> i64 {
        let evidence = sources.iter().enumerate().map(|(number, source)| Evidence {
            at: now - Duration::minutes(5),
            source: *source,
            record: format!("record-{number}"),
            text: "203.0.113.7 got a token with <!channel> @all `x`\r\nBcc: evil@x.example".into(),
            address: None,
            uti: None,
        });
        let incident = Incident {
            kind: IncidentKind::StolenKey,
            severity: Severity::Critical,
            client_id: None,
            function: None,
            subject: subject.to_owned(),
            evidence: evidence.collect(),
            records: sources.len() as u64,
            newest: None,
        };
        let found = FoundIncident {
            key: incident.key(),
            kind: incident.kind.as_str().into(),
            severity: incident.severity.as_str().into(),
            incident: serde_json::to_value(&incident).unwrap(),
        };
        let recorded = self.service.control().record_incident(&self.tenant, found, now).await;
        match recorded.unwrap() {
            Recorded::New(id) | Recorded::Grown(id) | Recorded::Known(id) => id,
        }
    }

    async fn deliver(&self, now: OffsetDateTime) -> Vec<Delivered> {
        self.service.deliver_alerts(now, ENOUGH).await.unwrap()
    }

    async fn health(&self, name: &str) -> mailkeep_control::AlertDestination {
        let all = self.service.alert_destinations().await.unwrap();
        all.into_iter().find(|one| one.stored.name == name).unwrap().stored
    }
}

fn events(came: &[receiver::Came]) -> Vec<String> {
    came.iter().map(|one| one.body["event"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_as_its_vendor_wants_it_from_the_beginning_to_the_end() {
    let world = world().await;
    type Check = fn(&receiver::Came);
    let shapes: [(Shape, &str, Check); 5] = [
        (Shape::Slack, "/services/T0/B0/x", receiver::slack),
        (Shape::Teams, "/workflows/x", receiver::teams),
        (Shape::Mattermost, "/hooks/x", receiver::mattermost),
        (Shape::Ntfy, "/my-topic", receiver::ntfy),
        (Shape::Json, "/anything", receiver::json),
    ];
    let mut receivers = Vec::new();
    for (number, (shape, path, check)) in shapes.into_iter().enumerate() {
        let receiver = Receiver::start().await;
        world.add(&format!("hook-{number}"), &receiver.webhook(shape, path)).await;
        receivers.push((receiver, check));
    }
    let (pager, mut pagerduty) = (Receiver::start().await, PagerDuty::default());
    world.add("pager", &pager.pagerduty()).await;

    let id = world.incident("key-1", &[Source::SignIns], after(0)).await;
    world.deliver(after(0)).await;
    world.incident("key-1", &[Source::SignIns, Source::MailAccesses], after(1)).await;
    world.deliver(after(1)).await;
    world.deliver(after(17)).await;
    let until = Some(after(60));
    world.service.acknowledge_incident(id, until, "on it", after(18)).await.unwrap().unwrap();
    world.deliver(after(18)).await;
    world.deliver(after(59)).await;
    world.deliver(after(80)).await;
    world.service.control().close_incident(id, "revoked", after(81)).await.unwrap();
    world.deliver(after(81)).await;
    world.deliver(after(10_000)).await;

    for (receiver, check) in &receivers {
        let came = receiver.take();
        assert_eq!(came.len(), 6, "{came:#?}");
        came.iter().for_each(check);
    }
    let actions: Vec<String> = pager.take().iter().map(|came| pagerduty.take(came)).collect();
    assert_eq!(actions, ["trigger", "trigger", "trigger", "acknowledge", "trigger", "resolve"]);
    assert_eq!(pagerduty.open(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_tells_who_since_when_why_and_what_to_do_and_no_more() {
    let world = world().await;
    let receiver = Receiver::start().await;
    world.add("json", &receiver.webhook(Shape::Json, "/x")).await;
    let id = world.incident("key-1", &[Source::SignIns; 9], after(0)).await;
    world.deliver(after(0)).await;
    world.incident("key-1", &[Source::SignIns, Source::Calls], after(1)).await;
    world.service.acknowledge_incident(id, None, "on it", after(1)).await.unwrap().unwrap();
    world.deliver(after(1)).await;
    world.service.control().close_incident(id, "it was a drill", after(2)).await.unwrap();
    world.deliver(after(2)).await;
    let came = receiver.take();
    assert_eq!(events(&came), ["opened", "grown", "acknowledged", "closed"]);
    let first = &came[0].body;
    assert_eq!(first["tenant"], "acme");
    assert_eq!(first["since"], "2026-11-23T09:09:00Z");
    assert_eq!(first["headline"], "tenant acme: a token was got with our key, not by us");
    assert_eq!(first["next_step"], "Shut it: mailkeep identity revoke acme --reason '…'");
    assert_eq!(first["shown_by"], format!("mailkeep incidents show {id}"));
    let evidence = first["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 4);
    assert_eq!(evidence[3], "and 6 more records");
    assert!(!first.to_string().contains("\\r") && !first.to_string().contains("\\n"));
    let news = |number: usize| came[number].body["news"].as_str().unwrap();
    assert_eq!(news(1), "New evidence: log of requests");
    assert!(news(2).contains("looks after it: on it"), "{}", news(2));
    assert_eq!(news(3), "Closed: it was a drill");
    let threads: Vec<_> = came.iter().map(|one| &one.body["thread"]).collect();
    assert!(threads.iter().all(|one| *one == threads[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_sending_and_noting_says_it_again_with_the_same_id() {
    let world = world().await;
    let receiver = Receiver::start().await;
    world.add("json", &receiver.webhook(Shape::Json, "/x")).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    receiver.answer(&[Answer::Never]);
    let service = Arc::clone(&world.service);
    let crashes = tokio::spawn(async move { service.deliver_alerts(after(0), ENOUGH).await });
    receiver.has_got(1).await;
    crashes.abort();
    assert!(crashes.await.unwrap_err().is_cancelled());

    // Whoever died held the destination for a minute at most.
    assert!(world.deliver(BEGIN + Duration::seconds(45)).await.is_empty());
    let told = world.deliver(after(2)).await;
    assert_eq!((told[0].arrived, &told[0].failed), (1, &None));
    let came = receiver.take();
    assert_eq!(events(&came), ["opened", "opened"]);
    assert_eq!(came[0].id, came[1].id);
    assert_eq!(came[0].body, came[1].body);
    assert!(world.deliver(after(3)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_holds_no_other_up_and_is_seen() {
    let world = world().await;
    let (hangs, works) = (Receiver::start().await, Receiver::start().await);
    world.add("hangs", &hangs.webhook(Shape::Json, "/x")).await;
    world.add("works", &works.webhook(Shape::Json, "/x")).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    hangs.answer(&[Answer::Never]);
    let service = Arc::clone(&world.service);
    let short = StdDuration::from_secs(2);
    let delivering = tokio::spawn(async move { service.deliver_alerts(after(0), short).await });
    // It arrives here while nothing comes back there.
    hangs.has_got(1).await;
    works.has_got(1).await;
    assert!(!delivering.is_finished());
    let told = delivering.await.unwrap().unwrap();
    let of = |name: &str| told.iter().find(|one| one.destination == name).unwrap().clone();
    assert_eq!((of("works").arrived, of("works").failed), (1, None));
    assert_eq!(of("hangs").arrived, 0);
    assert!(of("hangs").failed.is_some());
    let seen = world.health("hangs").await;
    assert_eq!((seen.failures, seen.waiting), (1, 1));
    assert!(seen.failing_since.is_some() && seen.error.is_some());
    // It waits longer each time, and what comes later waits behind it.
    world.incident("key-2", &[Source::SignIns], after(1)).await;
    hangs.answer(&[Answer::Status(503)]);
    world.deliver(after(1)).await;
    assert!(world.health("hangs").await.retry_at.unwrap() >= after(2));
    world.deliver(after(3)).await;
    let came = hangs.take();
    assert_eq!(came[0].id, came[1].id);
    assert_eq!(came[1].id, came[2].id);
    assert_eq!(came.len(), 4, "{came:#?}");
    let seen = world.health("hangs").await;
    assert_eq!((seen.failing_since, seen.waiting, seen.error), (None, 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_told_too_much_is_left_alone_for_as_long_as_it_asks() {
    let world = world().await;
    let receiver = Receiver::start().await;
    world.add("json", &receiver.webhook(Shape::Json, "/x")).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    receiver.answer(&[Answer::RetryAfter(600)]);
    world.deliver(after(0)).await;
    world.deliver(after(9)).await;
    assert_eq!(receiver.take().len(), 1);
    world.deliver(after(11)).await;
    assert_eq!(receiver.take().len(), 1);
    assert_eq!(world.health("json").await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_will_never_take_is_given_up_and_the_next_one_arrives() {
    let world = world().await;
    let receiver = Receiver::start().await;
    world.add("json", &receiver.webhook(Shape::Json, "/x")).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    receiver.answer(&[Answer::Status(400); 3]);
    for minute in [0, 1, 3] {
        world.deliver(after(minute)).await;
    }
    world.incident("key-2", &[Source::SignIns], after(4)).await;
    world.deliver(after(4)).await;
    assert_eq!(receiver.take().len(), 4);
    let seen = world.health("json").await;
    assert_eq!((seen.set_aside, seen.waiting, seen.failing_since), (1, 0, None));
    // A refusal of who we are is none of the message: it stays.
    receiver.answer(&[Answer::Status(403); 5]);
    world.incident("key-3", &[Source::SignIns], after(5)).await;
    for minute in [5, 10, 30, 60, 120] {
        world.deliver(after(minute)).await;
    }
    assert_eq!(world.health("json").await.set_aside, 1);
    assert!(world.health("json").await.waiting >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_was_dead_for_a_week_is_told_in_order_and_not_every_reminder() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let often = Rule { repeat: Repeat::EverySeconds(60), ..everything() };
    world.add_with("json", &receiver.webhook(Shape::Json, "/x"), &often).await;
    let id = world.incident("key-1", &[Source::SignIns], after(0)).await;
    receiver.answer(&[Answer::Status(502); 20]);
    for hour in 0..20 {
        world.deliver(after(hour * 60)).await;
    }
    assert_eq!(receiver.take().len(), 20);
    assert_eq!(world.health("json").await.waiting, 1);
    world.service.control().close_incident(id, "done", after(9_000)).await.unwrap();
    world.deliver(after(10_080)).await;
    assert_eq!(events(&receiver.take()), ["opened", "closed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_has_an_end_and_what_did_not_fit_is_told_when_there_is_room() {
    let world = world().await;
    let receiver = Receiver::start().await;
    world.add("json", &receiver.webhook(Shape::Json, "/x")).await;
    for number in 0..520 {
        world.incident(&format!("key-{number}"), &[Source::SignIns], after(0)).await;
    }
    receiver.answer(&[Answer::Status(502)]);
    world.deliver(after(0)).await;
    assert_eq!(world.health("json").await.waiting, 500);
    world.deliver(after(1)).await;
    world.deliver(after(2)).await;
    let came = receiver.take();
    let subjects: std::collections::HashSet<_> =
        came.iter().map(|one| one.body["subject"].to_string()).collect();
    assert_eq!((came.len(), subjects.len()), (521, 520));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_told_what_it_wants_to_hear_and_nothing_else() {
    let world = world().await;
    let (ours, others, none) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let rule = |tenants: Vec<TenantName>| Rule { tenants, ..everything() };
    let globex: TenantName = "globex".parse().unwrap();
    let name = "others".parse().unwrap();
    let to = others.webhook(Shape::Json, "/x");
    // A tenant that is misspelt would be silent for ever.
    let unknown = rule(vec![globex]);
    let refused = world.service.add_alert_destination(&name, &to, false, &unknown, BEGIN).await;
    assert!(refused.is_err());
    let acme = rule(vec![world.tenant.clone()]);
    world.add_with("ours", &ours.webhook(Shape::Json, "/x"), &acme).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    world.deliver(after(0)).await;
    assert_eq!(ours.take().len(), 1);
    // One that is added later hears of what is open.
    world.add("none", &none.webhook(Shape::Json, "/x")).await;
    world.deliver(after(1)).await;
    assert_eq!((none.take().len(), ours.take().len(), others.take().len()), (1, 0, 0));
    let gone: DestinationName = "none".parse().unwrap();
    assert!(world.service.remove_alert_destination(&gone, after(2)).await.unwrap());
    assert!(!world.service.remove_alert_destination(&gone, after(2)).await.unwrap());
    assert!(world.service.test_alert_destination(&gone, after(2)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_alerts_go_is_found_neither_in_the_state_nor_in_an_error() {
    let world = world().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = mailkeep_model::Secret::new(format!("http://{closed}/services/HUSHHUSH"));
    let token = Some(mailkeep_model::Secret::new("tk_HUSHHUSH".into()));
    let target = Target::Webhook { shape: Shape::Json, url, token, ca_pem: None };
    world.add("json", &target).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    let told = world.deliver(after(0)).await;
    assert!(told[0].failed.as_ref().unwrap().contains("cannot be reached"), "{told:?}");
    assert!(!format!("{told:?}{target:?}").contains("HUSHHUSH"));
    let name = "json".parse().unwrap();
    let error = world.service.test_alert_destination(&name, after(1)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("HUSHHUSH"));
    for path in files(&world.directory.path().join("data")) {
        let content = fs::read(&path).unwrap();
        let content = String::from_utf8_lossy(&content).into_owned();
        assert!(!content.contains("HUSHHUSH"), "{}", path.display());
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_the_alert_on_its_input_and_is_ended_when_it_takes_too_long() {
    let world = world().await;
    let script = |name: &str, text: &str| {
        let path = world.directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    };
    let out = world.directory.path().join("out.json");
    let takes = Target::Command {
        program: script("takes", "cat > \"$1\"; env >> \"$1.env\""),
        arguments: vec![out.display().to_string()],
    };
    world.add("takes", &takes).await;
    let pid = world.directory.path().join("pid");
    let hangs = Target::Command {
        program: script("hangs", "sleep 1000 & echo $! > \"$1\"; wait"),
        arguments: vec![pid.display().to_string()],
    };
    world.add("hangs", &hangs).await;
    world
        .add("fails", &Target::Command { program: script("fails", "exit 7"), arguments: vec![] })
        .await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    let within = StdDuration::from_secs(3);
    let told = world.service.deliver_alerts(after(0), within).await.unwrap();
    let why = |name: &str| {
        told.iter().find(|one| one.destination == name).unwrap().failed.clone().unwrap_or_default()
    };
    assert_eq!(why("takes"), "");
    assert!(why("fails").contains('7'), "{}", why("fails"));
    assert!(why("hangs").contains("longer than"), "{}", why("hangs"));
    let said: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!((&said["schema"], &said["event"]), (&json!(1), &json!("opened")));
    let environment = fs::read_to_string(out.with_extension("json.env")).unwrap();
    assert!(!environment.contains("CARGO"), "{environment}");
    // What it started has ended with it.
    let pid = fs::read_to_string(&pid).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let is_gone = || state().is_empty() || state().contains(") Z ");
    let begin = std::time::Instant::now();
    while !is_gone() {
        assert!(begin.elapsed() < ENOUGH, "{}", state());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_arrives_and_wakes_nobody_for_long() {
    let world = world().await;
    let (pager, mut pagerduty) = (Receiver::start().await, PagerDuty::default());
    world.add("pager", &pager.pagerduty()).await;
    world.service.test_alert_destination(&"pager".parse().unwrap(), BEGIN).await.unwrap();
    let actions: Vec<String> = pager.take().iter().map(|came| pagerduty.take(came)).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    let hook = Receiver::start().await;
    let mut target = hook.webhook(Shape::Ntfy, "/topic");
    if let Target::Webhook { token, .. } = &mut target {
        *token = Some(mailkeep_model::Secret::new("tk_abc".into()));
    }
    world.add("ntfy", &target).await;
    world.service.test_alert_destination(&"ntfy".parse().unwrap(), BEGIN).await.unwrap();
    let came = hook.take();
    receiver::ntfy(&came[0]);
    assert_eq!(came[0].bearer.as_deref(), Some("Bearer tk_abc"));
}
