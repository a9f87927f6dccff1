//! Keys of many tenants are changed by one order, and by themselves when they are due.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use common::{TINY, World};
use mailkeep_identity::{
    Slot,
    rotation::{Policy, Stage},
};
use mailkeep_model::{Function, ListedTenant, ProviderKind, TenantName, parse_listed_tenant};
use mailkeep_service::{
    Connection, DataDirectory, FleetChange, FleetOrder, FleetWhose, KeyTending, Registration,
    Revocation, Service, ServiceError, StepKind,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    IsCa, KeyPair,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// As fast as a test wants it.
const HASTE: Policy = Policy {
    overlap: time::Duration::ZERO,
    retry: time::Duration::milliseconds(300),
    patience: time::Duration::minutes(5),
};

/// As another process would.
async fn reopened(world: &World) -> Arc<Service> {
    let data = DataDirectory::new(world.service.data().root());
    let service = Service::open(data, "test".parse().unwrap()).await.unwrap();
    Arc::new(service.with_key_policy(HASTE))
}

fn name(name: &str) -> TenantName {
    name.parse().unwrap()
}

fn listed(world: &World, tenant: &str, number: usize, more: &Value) -> ListedTenant {
    let description = world.lab.description();
    let mut line = json!({
        "tenant": tenant, "directory": description.tenants[number].id,
        "authority": description.authority, "graph": description.graph,
    });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parse_listed_tenant(line.to_string().as_bytes()).unwrap()
}

/// Adds tenants from a list, each in a directory of its own, with a key in use and one that lies ready.
async fn add(world: &World, service: &Arc<Service>, tenants: &[&str]) {
    let ca = std::fs::read_to_string(&world.lab.description().ca).unwrap();
    let keys = json!({"keys": ["reader"], "spare": true});
    let list = |number: usize| listed(world, tenants[number], number + 1, &keys);
    let list: Vec<_> = (0..tenants.len()).map(list).collect();
    let mut certificates = Vec::new();
    let each = |one: mailkeep_service::Imported| {
        let number = tenants.iter().position(|tenant| one.tenant.as_str() == *tenant).unwrap();
        certificates.push((number, one.outcome.unwrap().remove(0).1));
    };
    service.import_tenants(list, Some(&ca), each).await.unwrap();
    let mut bound = Vec::new();
    for (number, certificate) in certificates {
        let directory = world.lab.description().tenants[number + 1].id;
        let order = json!({"tenant": directory, "name": tenants[number],
                           "certificate": certificate.certificate_pem,
                           "roles": mailkeep_service::reader_rights(common::ALL)});
        let registered = world.admin.order("register", order).await;
        let applications = json!({"applications": {"reader": {
            "client_id": registered["client_id"], "object_id": registered["object_id"],
            "key_id": registered["key_id"]}}});
        bound.push(listed(world, tenants[number], number + 1, &applications));
    }
    service.import_tenants(bound, Some(&ca), |one| drop(one.outcome.unwrap())).await.unwrap();
}

/// The keys that the lab takes for an application.
async fn registered_keys(world: &World, application: &str) -> Vec<String> {
    let all = world.admin.show("applications").await;
    let found = all.as_array().unwrap().iter().find(|one| one["name"] == application).unwrap();
    let keys = found["keys"].as_array().unwrap();
    keys.iter().map(|key| key["key_id"].as_str().unwrap().to_owned()).collect()
}

/// As whoever changes keys by hand holds it.
fn changed_by_hand(world: &World, function: Function) -> std::fs::File {
    let vault = world.service.data().root().join("vault");
    std::fs::create_dir_all(&vault).unwrap();
    let lease = vault.join(format!("acme.{function}.key-lease"));
    let lease = std::fs::File::options().create(true).append(true).open(lease).unwrap();
    lease.lock().unwrap();
    lease
}

fn all_at_once() -> FleetOrder {
    let change = FleetChange::Rotate { at_once: true };
    FleetOrder { change, whose: FleetWhose::All, functions: vec![Function::Reader] }
}

async fn carried_out(service: &Arc<Service>, order: FleetOrder) -> (bool, bool, Vec<Revocation>) {
    let ordered = service.order_fleet(order, false).await.unwrap();
    let deadline = OffsetDateTime::now_utc() + Duration::from_secs(60);
    let mut reports = Vec::new();
    let done = service.change_fleet(&ordered, deadline, |report| reports.push(report)).await;
    reports.sort_by(|one, other| one.tenant.cmp(&other.tenant));
    (done.unwrap(), ordered.goes_on, reports)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_changed_keeps_no_other_back_and_the_same_order_changes_nobody_twice() {
    let world = World::with(|lab| lab.tenants = 4, TINY).await;
    let service = reopened(&world).await;
    add(&world, &service, &["a", "b", "c"]).await;
    world.set_up_auditor().await;
    // Somebody removed one tenant's key.
    let deadline = OffsetDateTime::now_utc() + Duration::from_secs(60);
    service.tend_keys(&name("b"), Function::Reader, deadline).await.unwrap();
    let client_id = service.tenant(&name("b")).await.unwrap().functions[0].client_id.clone();
    let change = format!("applications/{client_id}");
    let order = json!({"remove_key": registered_keys(&world, "b").await[0]});
    world.admin.order(&change, order).await;

    let (done, goes_on, first) = carried_out(&service, all_at_once()).await;
    assert!(!done && !goes_on);
    let names: Vec<&str> = first.iter().map(|one| one.tenant.as_str()).collect();
    assert_eq!(names, ["a", "acme", "b", "c"]);
    for report in &first {
        assert_eq!(report.is_complete(), report.tenant.as_str() != "b", "{report:#?}");
        let steps = report.rotations.iter().flat_map(|one| &one.done);
        let made = steps.filter(|step| step.what == StepKind::Made).count();
        // For acme none lay ready.
        assert_eq!(made, usize::from(report.tenant.as_str() == "acme"), "{report:#?}");
    }
    let fresh = registered_keys(&world, "a").await;

    // The administrator helps; another process, the same order: it does what is left.
    let held = service.signer().await.unwrap().credentials(Some(&name("b"))).await.unwrap();
    let prepared = held[0].keys.iter().find(|key| key.slot == Slot::Prepared).unwrap();
    let order = json!({"add_certificate": prepared.certificate.certificate_pem});
    world.admin.order(&change, order).await;
    let service = reopened(&world).await;
    let (done, goes_on, second) = carried_out(&service, all_at_once()).await;
    assert!(done && goes_on, "{second:#?}");
    for report in &second {
        let worked = report.rotations.iter().any(|one| !one.done.is_empty());
        assert_eq!(worked, report.tenant.as_str() == "b", "{report:#?}");
    }
    assert_eq!(registered_keys(&world, "a").await, fresh);
    assert_eq!(registered_keys(&world, "b").await.len(), 1);

    // It is done: given again, it is meant anew.
    let (_, goes_on, third) = carried_out(&service, all_at_once()).await;
    assert!(!goes_on, "{third:#?}");
    assert_ne!(registered_keys(&world, "a").await, fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_time_is_up_before_a_tenant_could_be_touched_stays_open() {
    let world = World::new().await;
    world.set_up_auditor().await;
    let service = reopened(&world).await;
    let before = registered_keys(&world, "reader").await;
    // Somebody changes the key by hand all the while.
    let lease = changed_by_hand(&world, Function::Reader);
    for soon in [Duration::from_secs(1), Duration::ZERO] {
        let ordered = service.order_fleet(all_at_once(), false).await.unwrap();
        let deadline = OffsetDateTime::now_utc() + soon;
        let mut reports = Vec::new();
        let done = service.change_fleet(&ordered, deadline, |report| reports.push(report)).await;
        assert!(!done.unwrap(), "{reports:#?}");
        let [report] = &reports[..] else { panic!("{reports:#?}") };
        assert!(!report.is_complete() && report.left[0].function == Function::Reader);
    }
    assert_eq!(registered_keys(&world, "reader").await, before);
    drop(lease);
    let (done, goes_on, reports) = carried_out(&service, all_at_once()).await;
    assert!(done && goes_on, "{reports:#?}");
    assert_ne!(registered_keys(&world, "reader").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_a_key_reached_are_found_by_any_of_its_names() {
    let world = World::with(|lab| lab.tenants = 3, TINY).await;
    let service = reopened(&world).await;
    add(&world, &service, &["a", "b"]).await;
    let signer = service.signer().await.unwrap();
    let held = signer.credentials(Some(&name("b"))).await.unwrap();
    let key = held[0].keys.iter().find(|key| key.slot == Slot::Active).unwrap();
    // What is known of keys is noted when they are first looked at.
    let deadline = OffsetDateTime::now_utc() + Duration::from_secs(60);
    service.tend_keys(&name("b"), Function::Reader, deadline).await.unwrap();
    for called in [&key.key_id, &key.certificate.thumbprint_sha1.to_ascii_uppercase()] {
        let whose = FleetWhose::ReachedBy { key: called.clone() };
        let ordered = service.order_fleet(FleetOrder { whose, ..all_at_once() }, false).await;
        assert_eq!(ordered.unwrap().tenants(), 1, "{called}");
    }
    let whose = FleetWhose::ReachedBy { key: key.certificate.thumbprint_sha1.clone() };
    let (done, _, reports) = carried_out(&service, FleetOrder { whose, ..all_at_once() }).await;
    assert!(done);
    assert_eq!(reports[0].tenant.as_str(), "b");
    let whose = FleetWhose::ReachedBy { key: "00000000".into() };
    let ordered = service.order_fleet(FleetOrder { whose, ..all_at_once() }, false).await;
    assert_eq!(ordered.unwrap().tenants(), 0);
    // What stands in every incident is nobody's name.
    for key in ["", " ", "key", "        "] {
        let whose = FleetWhose::ReachedBy { key: key.into() };
        let ordered = service.order_fleet(FleetOrder { whose, ..all_at_once() }, false).await;
        assert!(matches!(ordered, Err(ServiceError::KeyName { .. })), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_shut_by_one_order_with_what_was_ready_and_what_is_left_is_said_of_each() {
    let world = World::with(|lab| lab.tenants = 2, TINY).await;
    let service = reopened(&world).await;
    add(&world, &service, &["a"]).await;
    world.set_up_auditor().await;
    let before = [registered_keys(&world, "reader").await, registered_keys(&world, "a").await];
    let change = FleetChange::Revoke { reason: "a drill".into(), distrust: false };
    let order = FleetOrder { change, whose: FleetWhose::All, functions: Vec::new() };
    let (done, _, reports) = carried_out(&service, order.clone()).await;
    // Of one nobody can look for what a thief added.
    assert!(!done);
    let [one, acme] = &reports[..] else { panic!("{reports:#?}") };
    assert!(one.left.iter().any(|left| left.function == Function::Auditor), "{one:#?}");
    let functions: Vec<Function> = acme.rotations.iter().map(|one| one.function).collect();
    // Without a steward nobody ends the tokens that were given out.
    let tokens_alone = acme.left.iter().all(|left| left.what.starts_with("tokens"));
    assert!(tokens_alone && functions.len() == 2, "{acme:#?}");
    let after = [registered_keys(&world, "reader").await, registered_keys(&world, "a").await];
    for (before, after) in before.iter().zip(&after) {
        assert!(after.len() == 1 && before != after, "{before:?} {after:?}");
    }
    // With other words about why, it is the same order.
    let change = FleetChange::Revoke { reason: "the same drill".into(), distrust: false };
    let (_, goes_on, _) = carried_out(&service, FleetOrder { change, ..order }).await;
    assert!(goes_on);
    let again = [registered_keys(&world, "reader").await, registered_keys(&world, "a").await];
    assert_eq!(again, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_not_looked_for_where_keys_are_being_changed() {
    let world = World::new().await;
    world.set_up_auditor().await;
    let service = reopened(&world).await;
    let _lease = changed_by_hand(&world, Function::Reader);
    let deadline = OffsetDateTime::now_utc() + Duration::from_secs(60);
    let report = service.revoke(&world.tenant, "a drill", false, deadline).await.unwrap();
    let about = |function, what: &str| {
        let mut left = report.left.iter().filter(|left| left.function == function);
        left.any(|left| left.what.starts_with(what))
    };
    // A key that is registered meanwhile would be taken for a thief's.
    let looked_for = "credentials that are not ours could not be looked for";
    assert!(about(Function::Reader, looked_for), "{report:#?}");
    assert!(!about(Function::Auditor, looked_for), "{report:#?}");
}

/// As the customer's own authority certifies the key that comes next.
async fn certified(world: &World, service: &Service) {
    let request = service.request_certificate(&world.tenant, Function::Reader).await.unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Acme root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateSigningRequestParams::from_pem(&request.request_pem).unwrap();
    leaf.params.not_before = OffsetDateTime::now_utc();
    leaf.params.not_after = leaf.params.not_before + time::Duration::days(90);
    let chain = format!("{}{}", leaf.signed_by(&root).unwrap().pem(), root.pem());
    service.install_certificate(&world.tenant, Function::Reader, &chain).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_for_all_leaves_a_customers_authority_only_to_shut_somebody_out_and_is_not_done() {
    let world = World::new().await;
    world.set_up_auditor().await;
    let service = reopened(&world).await;
    certified(&world, &service).await;
    let deadline = OffsetDateTime::now_utc() + Duration::from_secs(60);
    service.rotate(&world.tenant, Function::Reader, deadline).await.unwrap();
    let before = registered_keys(&world, "reader").await;

    // 1. However much haste there is.
    let (done, _, reports) = carried_out(&service, all_at_once()).await;
    assert!(!done && reports[0].left[0].what.contains("Acme root"), "{reports:#?}");

    // 2. `serve` does no more, says so, and leaves the order open.
    let tending = {
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.tend_all_keys(&TENDING).await })
    };
    until("it is said", async || !service.key_failures(None).await.unwrap().is_empty()).await;
    tending.abort();
    let failures = service.key_failures(None).await.unwrap();
    assert!(failures[0].2.error.contains("Acme root"), "{failures:?}");
    assert_eq!(registered_keys(&world, "reader").await, before);

    // 3. The authority certifies another: the same order does what was left.
    certified(&world, &service).await;
    let (done, goes_on, reports) = carried_out(&service, all_at_once()).await;
    assert!(done && goes_on, "{reports:#?}");
    let certified = registered_keys(&world, "reader").await;
    assert!(certified != before && certified.len() == 1);

    // 4. A thief is shut out with what there is.
    let change = FleetChange::Revoke { reason: "a drill".into(), distrust: false };
    let order = FleetOrder { change, whose: FleetWhose::All, functions: Vec::new() };
    let (_, _, reports) = carried_out(&service, order).await;
    assert_eq!(reports[0].rotations[0].stage, Stage::Settled, "{reports:#?}");
    assert_ne!(registered_keys(&world, "reader").await, certified);
}

/// Looks after keys without pauses.
const TENDING: KeyTending = KeyTending {
    at_a_time: 2,
    between_keys: Duration::ZERO,
    spread: Duration::ZERO,
    look: Duration::from_millis(100),
};

async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_twenty_days_are_changed_by_themselves_and_one_that_fails_is_seen() {
    // 1. Keys that are made twenty days ago, as signer and provider see it.
    let ago = Arc::new(AtomicI64::new(-21 * 86_400));
    let behind = Arc::clone(&ago);
    let clock =
        move || OffsetDateTime::now_utc() + time::Duration::seconds(behind.load(Ordering::Relaxed));
    let world = World::with_clock(|lab| lab.tenants = 2, TINY, Arc::new(clock)).await;
    let _: Value = world.admin.order("clock", json!({"offset_seconds": -21 * 86_400})).await;
    world.set_up_auditor().await;
    // One whose application nobody registered.
    let description = world.lab.description();
    let connection = Connection {
        provider: ProviderKind::M365,
        directory: description.tenants[1].id.to_string(),
        authority: description.authority.clone(),
        graph: description.graph.clone(),
        ca_pem: Some(std::fs::read_to_string(&description.ca).unwrap()),
    };
    let lost = name("lost");
    world.service.add_tenant(&lost, connection).await.unwrap();
    let client_id = "11111111-2222-3333-4444-555555555555".to_owned();
    let registration = Registration { function: Function::Reader, client_id };
    world.service.register(&lost, registration).await.unwrap();
    let before = registered_keys(&world, "reader").await;

    // 2. Twenty-one days later, with nobody there.
    ago.store(0, Ordering::Relaxed);
    let _: Value = world.admin.order("clock", json!({"offset_seconds": 0})).await;
    let service = reopened(&world).await;
    let tending = {
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.tend_all_keys(&TENDING).await })
    };
    until("fresh keys, and one for the next time", async || {
        let held = service.signer().await.unwrap().credentials(Some(&world.tenant)).await.unwrap();
        let slots: Vec<Vec<Slot>> =
            held.iter().map(|one| one.keys.iter().map(|key| key.slot).collect()).collect();
        let wanted = [Slot::Active, Slot::Prepared];
        slots.iter().all(|slots| slots.len() == 2 && wanted.iter().all(|slot| slots.contains(slot)))
            && registered_keys(&world, "reader").await != before
            && registered_keys(&world, "reader").await.len() == 1
            && registered_keys(&world, "auditor").await.len() == 1
    })
    .await;
    assert!(world.pass().await.failures.is_empty());

    // 3. What failed is there to be seen, with when it is tried again.
    until("the failure is noted", async || !service.key_failures(None).await.unwrap().is_empty())
        .await;
    let failures = service.key_failures(None).await.unwrap();
    let [(tenant, function, failure)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((tenant, *function, failure.tries), (&lost, Function::Reader, 1));
    assert!(failure.next > failure.since && failure.error.contains("700016"), "{failure:?}");
    tending.abort();

    // 4. Once it can be done, it is not a failure any more: what is noted goes.
    let deadline = OffsetDateTime::now_utc() + Duration::from_secs(60);
    let rotation = service.tend_keys(&world.tenant, Function::Reader, deadline).await.unwrap();
    assert_eq!((rotation.stage, rotation.done.len()), (Stage::Settled, 0), "{rotation:#?}");
}
