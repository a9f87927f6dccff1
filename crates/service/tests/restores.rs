//! What a restore promises, seen against the lab with a real signer: nothing comes back twice, what
//! goes wrong costs as little as possible, and there is always an end with a report.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod common;

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mailkeep_control::{AuditEntry, AuditFilter};
use mailkeep_model::{Function, ItemKind, ProviderKind, TenantName};
use mailkeep_service::{
    Connection, Event, Observer, OnConflict, Registration, RestoreLimits, RestoreOutcome,
    RestoreReport, RestoreRequest, RestoreStop, RestoreTarget, RestoreWhat, ServiceError,
};
use mailkeep_vault::FolderPath;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::common::{Admin, World};

const FROM: &str = "source@lab.example";
const INTO: &str = "target@lab.example";
const RIGHTS: [&str; 5] = [
    "Mail.ReadWrite",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "MailboxSettings.ReadWrite",
    "User.Read.All",
];

/// The administrator who registers a restore's certificate, and what happens at the first item.
struct Administrator {
    admin: Admin,
    runtime: tokio::runtime::Handle,
    restored: AtomicUsize,
    at_the_first: Box<dyn Fn() + Send + Sync>,
}

impl Observer for Administrator {
    fn on_event(&self, event: &Event) {
        match event {
            Event::KeyToRegister { client_id, certificate_pem, .. } => {
                let order: Value = json!({ "add_certificate": certificate_pem });
                let (admin, path) = (self.admin.clone(), format!("applications/{client_id}"));
                self.runtime.spawn(async move { admin.order(&path, order).await });
            }
            Event::Restored { .. } if self.restored.fetch_add(1, Ordering::Relaxed) == 0 => {
                (self.at_the_first)();
            }
            _ => {}
        }
    }
}

impl World {
    /// With a mailbox that is backed up and another one that is empty.
    async fn with_mailboxes(what: Value) -> Self {
        let world = Self::new().await;
        world.set_up_restorer().await;
        let mut order = json!({"mailbox": FROM, "messages": 0, "folders": 1, "seed": 3});
        order.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        world.admin.order("generate", order).await;
        world.admin.order("generate", json!({"mailbox": INTO, "messages": 0})).await;
        world.pass().await;
        world
    }

    fn watching(&self, at_the_first: impl Fn() + Send + Sync + 'static) -> Arc<Administrator> {
        Arc::new(Administrator {
            admin: self.admin.clone(),
            runtime: tokio::runtime::Handle::current(),
            restored: AtomicUsize::new(0),
            at_the_first: Box::new(at_the_first),
        })
    }

    async fn restore(&self, request: &RestoreRequest) -> RestoreReport {
        self.service.restore(request, self.watching(|| {})).await.unwrap()
    }

    /// All of one kind that is in a mailbox, as the lab has it.
    async fn there(&self, mailbox: &str, kind: &str) -> Vec<Value> {
        let whole = self.admin.show(&format!("mailbox/{mailbox}")).await;
        whole[kind].as_array().unwrap().clone()
    }

    async fn roles(&self, roles: &[&str]) {
        let tenant = self.service.tenant(&self.tenant).await.unwrap();
        let mut functions = tenant.functions.iter();
        let restorer = functions.find(|known| known.function == Function::Restorer).unwrap();
        let path = format!("applications/{}", restorer.client_id);
        self.admin.order(&path, json!({"roles": roles})).await;
    }

    async fn audited(&self, tenant: &TenantName, action: &str) -> Vec<AuditEntry> {
        let filter = AuditFilter {
            tenant: Some(tenant.clone()),
            action: Some(action.into()),
            ..AuditFilter::default()
        };
        self.service.control().audit_entries(&filter).await.unwrap()
    }
}

/// All of a mailbox, into another one or in place.
fn everything(world: &World, to: Option<&str>) -> RestoreRequest {
    RestoreRequest {
        tenant: world.tenant.clone(),
        what: RestoreWhat::Folder { mailbox: FROM.parse().unwrap(), path: FolderPath::default() },
        at: None,
        to: to
            .map(|to| RestoreTarget { mailbox: to.parse().unwrap(), path: FolderPath::default() }),
        to_tenant: None,
        on_conflict: OnConflict::Skip,
    }
}

/// Of what is no setting: every mailbox has those.
fn counts(report: &RestoreReport) -> [usize; 6] {
    let count = |word| {
        let counted = report.items.iter().filter(|item| item.outcome.as_str() == word);
        counted.filter(|item| item.kind != ItemKind::Setting).count()
    };
    ["created", "replaced", "updated", "present", "failed", "not_tried"].map(count)
}

fn failures(report: &RestoreReport) -> Vec<(ItemKind, &str)> {
    let failed = report.items.iter().filter_map(|item| match &item.outcome {
        RestoreOutcome::Failed(why) => Some((item.kind, why.as_str())),
        _ => None,
    });
    failed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_two_snapshots_comes_back_once_and_can_be_set_to_either_state() {
    let world = World::with_mailboxes(json!({"events": 4, "contacts": 3})).await;
    let first = OffsetDateTime::now_utc();
    let all =
        json!({"mailbox": FROM, "seed": 1, "events": {"change": 9}, "contacts": {"change": 9}});
    world.admin.order("mutate", all).await;
    world.pass().await;
    let second = OffsetDateTime::now_utc();
    let subjects = async || {
        let mut all = world.there(FROM, "events").await;
        all.extend(world.there(FROM, "contacts").await);
        let mut texts: Vec<String> = all
            .iter()
            .map(|one| format!("{} {} {}", one["subject"], one["jobTitle"], one["categories"]))
            .collect();
        texts.sort();
        texts
    };
    let last = subjects().await;
    let gone =
        json!({"mailbox": FROM, "seed": 1, "events": {"delete": 9}, "contacts": {"delete": 9}});
    world.admin.order("mutate", gone).await;
    assert_eq!(subjects().await.len(), 0);
    let request =
        |at, on_conflict| RestoreRequest { at: Some(at), on_conflict, ..everything(&world, None) };
    let count = last.len();
    for (at, on_conflict, expected) in [
        (first, OnConflict::Skip, [count, 0, 0, 0, 0, 0]),
        // Gone is gone, in whatever state; what an earlier restore made of it is there.
        (second, OnConflict::Skip, [0, 0, 0, count, 0, 0]),
        (second, OnConflict::Replace, [0, count, 0, 0, 0, 0]),
        (second, OnConflict::Replace, [0, 0, 0, count, 0, 0]),
    ] {
        let report = world.restore(&request(at, on_conflict)).await;
        assert_eq!(counts(&report), expected, "{:?}", failures(&report));
        assert_eq!(subjects().await.len(), count);
    }
    assert_eq!(subjects().await, last);
    let report = world.restore(&request(first, OnConflict::Copy)).await;
    assert_eq!(counts(&report), [count, 0, 0, 0, 0, 0]);
    let report = world.restore(&request(first, OnConflict::Copy)).await;
    assert_eq!(counts(&report), [0, 0, 0, count, 0, 0]);
    assert_eq!(subjects().await.len(), 2 * count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_lay_beside_its_original_does_not_stand_for_it() {
    let world = World::with_mailboxes(json!({"messages": 3, "events": 2, "contacts": 2})).await;
    let in_place = |on_conflict| RestoreRequest { on_conflict, ..everything(&world, None) };
    let copies = world.restore(&in_place(OnConflict::Copy)).await;
    assert_eq!(counts(&copies)[0], 7, "{:?}", failures(&copies));
    world.pass().await;
    // Everything is there twice now; some of it, originals among it, goes elsewhere.
    let shown = async || {
        let mut all = Vec::new();
        for kind in ["messages", "events", "contacts"] {
            let there = world.there(FROM, kind).await;
            all.extend(there.iter().map(|one| {
                format!("{kind} {} {} {}", one["subject"], one["displayName"], one["folder"])
            }));
        }
        all.sort();
        all
    };
    let before = shown().await;
    assert_eq!(before.len(), 14);
    let order = json!({"mailbox": FROM, "seed": 5, "move": 4, "events": {"delete": 2},
        "contacts": {"delete": 2}});
    world.admin.order("mutate", order).await;
    let back = world.restore(&in_place(OnConflict::Replace)).await;
    assert_eq!(failures(&back), []);
    assert_eq!(shown().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_changed_after_a_restore_is_set_back_when_that_is_asked_for() {
    let world = World::with_mailboxes(json!({"events": 2, "contacts": 2})).await;
    let request = everything(&world, Some(INTO));
    let whole = world.restore(&request).await;
    let shown = async || {
        let mut all = world.there(INTO, "events").await;
        all.extend(world.there(INTO, "contacts").await);
        let texts = all.iter().map(|one| {
            let fields = ["subject", "jobTitle", "categories", "showAs", "start"];
            fields.map(|field| one[field].to_string()).concat()
        });
        let mut texts: Vec<_> = texts.collect();
        texts.sort();
        texts
    };
    let restored = shown().await;
    // Later.
    world.admin.order("clock", json!({"offset_seconds": 200})).await;
    let all =
        json!({"mailbox": INTO, "seed": 1, "events": {"change": 9}, "contacts": {"change": 9}});
    world.admin.order("mutate", all).await;
    assert_ne!(shown().await, restored);
    let count = counts(&whole).iter().sum();
    assert_eq!(counts(&world.restore(&request).await), [0, 0, 0, count, 0, 0]);
    let replace = RestoreRequest { on_conflict: OnConflict::Replace, ..request };
    assert_eq!(counts(&world.restore(&replace).await), [0, count, 0, 0, 0, 0]);
    assert_eq!(shown().await, restored);
    assert_eq!(counts(&world.restore(&replace).await), [0, 0, 0, count, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_cannot_be_deleted_quietly_is_left_alone_and_the_rest_is_replaced() {
    let world = World::with_mailboxes(json!({"events": 12})).await;
    let at = OffsetDateTime::now_utc();
    world
        .admin
        .order("mutate", json!({"mailbox": FROM, "seed": 1, "events": {"change": 99}}))
        .await;
    let notifies = |event: &Value| {
        event["isOrganizer"] == true && !event["attendees"].as_array().unwrap().is_empty()
    };
    let there = world.there(FROM, "events").await;
    let meetings: Vec<&Value> = there.iter().filter(|event| notifies(event)).collect();
    assert!(!meetings.is_empty() && meetings.len() < there.len());
    let request = RestoreRequest {
        at: Some(at),
        on_conflict: OnConflict::Replace,
        ..everything(&world, None)
    };
    let preview = world.service.preview_restore(&request).await.unwrap();
    let first = world.restore(&request).await;
    let again = world.restore(&request).await;
    for report in [&preview, &first, &again] {
        let failures = failures(report);
        assert_eq!(failures.len(), meetings.len(), "{failures:?}");
        assert!(failures.iter().all(|(_, why)| why.contains("Outlook")), "{failures:?}");
    }
    assert_eq!(first.count("replaced"), there.len() - meetings.len());
    let after = world.there(FROM, "events").await;
    assert_eq!(after.len(), there.len());
    assert!(meetings.iter().all(|meeting| after.contains(meeting)), "a meeting was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_costs_only_what_needs_it() {
    let what = json!({"messages": 5, "events": 4, "contacts": 3});
    let world = World::with_mailboxes(what).await;
    for (missing, kind, lost) in
        [("Calendars.ReadWrite", ItemKind::Event, 4), ("Mail.ReadWrite", ItemKind::Message, 5)]
    {
        let into = format!("without-{}@lab.example", missing.to_lowercase());
        world.admin.order("generate", json!({"mailbox": into, "messages": 0})).await;
        let granted: Vec<_> = RIGHTS.into_iter().filter(|right| *right != missing).collect();
        world.roles(&granted).await;
        let request = everything(&world, Some(&into));
        let report = world.restore(&request).await;
        assert_eq!(counts(&report), [12 - lost, 0, 0, 0, lost, 0], "{:?}", failures(&report));
        for (failed, why) in failures(&report) {
            assert!(failed == kind && why.contains(missing), "{failed:?}: {why}");
        }
        assert_eq!(report.stopped, None);
        world.roles(&RIGHTS).await;
        let report = world.restore(&request).await;
        assert_eq!(counts(&report), [lost, 0, 0, 12 - lost, 0, 0], "{:?}", failures(&report));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_made_costs_only_what_lies_in_it() {
    let what = json!({"messages": 30, "folders": 3, "events": 2, "contacts": 2});
    let world = World::with_mailboxes(what).await;
    let fault = json!([{"operation": "folder.create", "mailbox": INTO, "status": 400,
        "code": "ErrorFolderNameInvalid", "times": 1}]);
    world.admin.order("faults", fault).await;
    let request = everything(&world, Some(INTO));
    let report = world.restore(&request).await;
    let failed = failures(&report);
    assert!(!failed.is_empty(), "{:?}", counts(&report));
    assert!(failed.iter().all(|(_, why)| why.contains("ErrorFolderNameInvalid")), "{failed:?}");
    let all = counts(&report).iter().sum::<usize>();
    assert_eq!(report.count("created"), all - failed.len());
    assert!(report.count("created") > 4);
    let folders: std::collections::BTreeSet<_> = report
        .items
        .iter()
        .filter(|item| matches!(item.outcome, RestoreOutcome::Failed(_)))
        .map(|item| item.folder.split('/').next().unwrap())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let again = world.restore(&request).await;
    assert_eq!(counts(&again), [failed.len(), 0, 0, all - failed.len(), 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_leaves_a_report_of_what_was_done_and_no_key() {
    let world = World::with_mailboxes(json!({"messages": 30})).await;
    let request = everything(&world, Some(INTO));
    let slow = json!([{"operation": "message.create", "delay_ms": 100}]);
    world.admin.order("faults", slow).await;
    let observer = world.watching(|| {});
    let World { lab, service, tenant, admin, directory: _directory } = world;
    let service = service.with_restore_limits(RestoreLimits { outage: Duration::ZERO });
    let lab = std::sync::Mutex::new(Some(lab));
    let observer = Arc::new(Administrator {
        admin,
        runtime: observer.runtime.clone(),
        restored: AtomicUsize::new(0),
        // The provider is gone.
        at_the_first: Box::new(move || drop(lab.lock().unwrap().take())),
    });
    let report = service.restore(&request, observer).await.unwrap();
    let [created, .., failed, not_tried] = counts(&report);
    assert!(created > 0 && not_tried > 0, "{:?}", counts(&report));
    assert_eq!(created + failed + not_tried, 30);
    let Some(RestoreStop::Failed(why)) = &report.stopped else { panic!("{:?}", report.stopped) };
    assert!(why.contains("no answer from"), "{why}");
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(!service.retire_abandoned_restorer(&tenant).await.unwrap(), "the key is still there");
    let filter = AuditFilter { action: Some("restore.end".into()), ..AuditFilter::default() };
    let end = &service.control().audit_entries(&filter).await.unwrap()[0].details;
    let not_tried = report.count("not_tried");
    assert_eq!((&end["created"], &end["not_tried"]), (&json!(created), &json!(not_tried)));
    assert_eq!(end["error"], json!(why));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_called_off_tells_how_far_it_came_and_goes_on_from_there() {
    let world = World::with_mailboxes(json!({"messages": 40})).await;
    let request = everything(&world, Some(INTO));
    let slow = json!([{"operation": "message.create", "delay_ms": 50}]);
    world.admin.order("faults", slow).await;
    let called_off = CancellationToken::new();
    let observer = world.watching({
        let called_off = called_off.clone();
        move || called_off.cancel()
    });
    let report = world.service.restore_until(&request, observer, &called_off).await.unwrap();
    let [created, .., failed, not_tried] = counts(&report);
    assert_eq!(report.stopped, Some(RestoreStop::Interrupted));
    assert!(created > 0 && not_tried > 0 && failed == 0, "{:?}", counts(&report));
    assert_eq!(created + not_tried, 40);
    assert_eq!(world.there(INTO, "messages").await.len(), created);
    assert!(!world.service.retire_abandoned_restorer(&world.tenant).await.unwrap());
    let end = &world.audited(&world.tenant, "restore.end").await[0].details;
    assert_eq!((&end["interrupted"], &end["created"]), (&json!(true), &json!(created)));
    assert_eq!(counts(&world.restore(&request).await), [not_tried, 0, 0, created, 0, 0]);
    assert_eq!(world.there(INTO, "messages").await.len(), 40);

    // While nobody registers its key, too.
    let called_off = CancellationToken::new();
    called_off.cancel();
    let observer = Arc::new(mailkeep_service::Unobserved);
    let report = world.service.restore_until(&request, observer, &called_off).await.unwrap();
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 40]);
    assert_eq!(report.stopped, Some(RestoreStop::Interrupted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_dropped_leaves_no_key_and_its_end_is_recorded() {
    let world = World::with_mailboxes(json!({"messages": 20})).await;
    let request = everything(&world, Some(INTO));
    let slow = json!([{"operation": "message.create", "delay_ms": 50}]);
    world.admin.order("faults", slow).await;
    let first = Arc::new(tokio::sync::Notify::new());
    let observer = world.watching({
        let first = Arc::clone(&first);
        move || first.notify_one()
    });
    tokio::select! {
        report = world.service.restore(&request, observer) => panic!("{report:?}"),
        () = first.notified() => {}
    }
    // Whoever begins another one at once waits until the key is gone.
    let ended = async {
        loop {
            if let [end] = &world.audited(&world.tenant, "restore.end").await[..] {
                break end.details.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let end = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    assert_eq!(end["interrupted"], true);
    assert!(end["created"].as_u64().unwrap() > 0, "{end}");
    assert!(!world.service.retire_abandoned_restorer(&world.tenant).await.unwrap());
    world.restore(&request).await;
    assert_eq!(world.there(INTO, "messages").await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_into_either_tenants_audit_finds_a_restore_from_one_into_the_other() {
    let world = World::with_mailboxes(json!({"messages": 2})).await;
    let other: TenantName = "other".parse().unwrap();
    let description = world.lab.description();
    let connection = Connection {
        provider: ProviderKind::M365,
        directory: world.directory_id(),
        authority: description.authority.clone(),
        graph: description.graph.clone(),
        ca_pem: Some(std::fs::read_to_string(&description.ca).unwrap()),
    };
    world.service.add_tenant(&other, connection).await.unwrap();
    let order = json!({"tenant": world.directory_id(), "name": "other", "roles": RIGHTS});
    let client_id = world.admin.order("register", order).await["client_id"].clone();
    let client_id = client_id.as_str().unwrap().to_owned();
    let function = Function::Restorer;
    world.service.register(&other, Registration { function, client_id }).await.unwrap();
    let request =
        RestoreRequest { to_tenant: Some(other.clone()), ..everything(&world, Some(INTO)) };
    let report = world.restore(&request).await;
    assert_eq!(report.count("created"), 2);
    for tenant in [&world.tenant, &other] {
        for action in ["restore.begin", "restore.end"] {
            assert_eq!(world.audited(tenant, action).await.len(), 1, "{tenant} {action}");
        }
        let begin = &world.audited(tenant, "restore.begin").await[0].details;
        assert_eq!((&begin["from"], &begin["into"]), (&json!("acme"), &json!("other")));
        assert_eq!(world.audited(tenant, "restore.end").await[0].details["created"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_carried_out_late_leaves_no_second_one_at_the_end() {
    let world = World::with_mailboxes(json!({"messages": 1})).await;
    // The answer is lost, the look that follows comes too early, and so does the one after that.
    let late = json!([
        {"operation": "message.create", "mailbox": INTO, "reset": true, "when": "after", "times": 1},
        {"operation": "messages.list", "mailbox": INTO, "page": "lose", "share": 1.0, "pass": 2,
         "times": 3},
    ]);
    world.admin.order("faults", late).await;
    let report = world.restore(&everything(&world, Some(INTO))).await;
    let hits = world.admin.show("faults").await;
    assert_eq!((&hits[0]["hits"], &hits[1]["hits"]), (&json!(1), &json!(3)), "{hits}");
    assert_eq!(counts(&report), [1, 0, 0, 0, 0, 0], "{:?}", failures(&report));
    let there = world.there(INTO, "messages").await;
    let message = report.items.iter().find(|item| item.kind == ItemKind::Message).unwrap();
    let made = there.iter().find(|one| one["id"] == json!(message.made)).unwrap();
    let beside = there.iter().filter(|one| one["folder"] == made["folder"]);
    assert_eq!((beside.count(), report.problems.len()), (1, 0), "{there:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_audit_does_not_hide_what_was_restored() {
    let world = World::with_mailboxes(json!({"messages": 2})).await;
    let control = world.service.data().control();
    let observer = world.watching(move || {
        // Nothing of it can be read or written any more. Its index is mapped into memory, and
        // must keep its length.
        for ending in ["", "-wal", "-shm"] {
            let file = format!("{}{ending}", control.display());
            let length = std::fs::metadata(&file).unwrap().len() as usize;
            let mut file = std::fs::File::options().write(true).open(file).unwrap();
            file.write_all(&vec![0; length]).unwrap();
        }
    });
    let report = world.service.restore(&everything(&world, Some(INTO)), observer).await.unwrap();
    assert_eq!(report.count("created"), 2);
    assert!(report.problems.iter().any(|problem| problem.contains("audit")), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_what_is_not_there_makes_no_key() {
    let world = World::with_mailboxes(json!({"messages": 1})).await;
    let request =
        RestoreRequest { at: Some(OffsetDateTime::UNIX_EPOCH), ..everything(&world, Some(INTO)) };
    let error = world.service.restore(&request, world.watching(|| {})).await.unwrap_err();
    assert!(matches!(error, ServiceError::NoSnapshot { .. }), "{error}");
    let end = &world.audited(&world.tenant, "restore.end").await[0].details;
    assert!(end["error"].as_str().unwrap().contains("no snapshot"), "{end}");
    assert_eq!(world.audited(&world.tenant, "restorer.retire").await, []);
}
