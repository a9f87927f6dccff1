//! Settings, tasks and streams: backed up, restored, and told when they cannot be; seen against the
//! lab with a real signer.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod common;
#[path = "kinds/switches.rs"]
mod switches;
#[path = "histories/user.rs"]
#[allow(dead_code)] // Another test needs the rest.
mod user;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use mailkeep_exchange::Extras;
use mailkeep_model::{Address, FolderKind, Function, ItemKind};
use mailkeep_service::{
    Event, Observer, OnConflict, RestoreOutcome, RestoreReport, RestoreRequest, RestoreTarget,
    RestoreWhat,
};
use mailkeep_vault::{FolderPath, ReadData, StoredItem};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    common::{ALL, Admin, World},
    user::User,
};

const ANN: &str = "ann.of.kinds@lab.example";
const BEN: &str = "ben.of.kinds@lab.example";
const TASKS: Extras =
    Extras { tasks: true, streams: false, archive: false, recoverable_items: false };
const STREAMS: Extras =
    Extras { tasks: false, streams: true, archive: false, recoverable_items: false };

/// Registers a restore's certificate, as an administrator does.
struct Administrator {
    admin: Admin,
    runtime: tokio::runtime::Handle,
    outcomes: Mutex<Vec<String>>,
}

impl Observer for Administrator {
    fn on_event(&self, event: &Event) {
        match event {
            Event::KeyToRegister { client_id, certificate_pem, .. } => {
                let order: Value = json!({ "add_certificate": certificate_pem });
                let (admin, path) = (self.admin.clone(), format!("applications/{client_id}"));
                self.runtime.spawn(async move { admin.order(&path, order).await });
            }
            Event::Restored { item } => {
                let what = format!("{:?} '{}': {:?}", item.kind, item.subject, item.outcome);
                self.outcomes.lock().unwrap().push(what);
            }
            _ => {}
        }
    }
}

impl World {
    /// A mailbox with some mail, and another one without, before the first pass.
    async fn of_kinds(extras: Extras) -> (Self, User) {
        let mut world = Self::new().await;
        world.switch(extras).await;
        world.set_up_restorer().await;
        let order = json!({"mailbox": ANN, "messages": 12, "folders": 1, "seed": 5,
                           "events": 3, "contacts": 2});
        world.admin.order("generate", order).await;
        world.admin.order("generate", json!({"mailbox": BEN, "messages": 0})).await;
        let user = User::new(&world).await;
        (world, user)
    }

    /// Everything of the newest snapshot of one kind.
    async fn kept(&self, mailbox: &str, kind: ItemKind) -> Vec<(StoredItem, Vec<u8>)> {
        let view = self.service.view(&self.tenant, None).await.unwrap();
        let address: Address = mailbox.parse().unwrap();
        let mut kept = Vec::new();
        for folder in view.folders(&address).unwrap() {
            for item in view.items(&address, &folder).unwrap() {
                if item.item.kind == kind {
                    let located = view.find(&item.short).unwrap();
                    let mut content = Vec::new();
                    view.read(&located, &mut content).unwrap();
                    kept.push((item, content));
                }
            }
        }
        kept
    }

    async fn restored(
        &self,
        what: RestoreWhat,
        to: Option<&str>,
        how: OnConflict,
    ) -> RestoreReport {
        let (report, outcomes) = self.tried(what, to, how).await;
        assert_eq!(report.count("failed"), 0, "{outcomes}");
        report
    }

    /// The same where some of it may fail, and what became of each.
    async fn tried(
        &self,
        what: RestoreWhat,
        to: Option<&str>,
        how: OnConflict,
    ) -> (RestoreReport, String) {
        let to = to.map(|to| {
            let (mailbox, path) = to.split_once(':').unwrap_or((to, ""));
            let path = if path.is_empty() { FolderPath::default() } else { path.parse().unwrap() };
            RestoreTarget { mailbox: mailbox.parse().unwrap(), path }
        });
        let request = RestoreRequest {
            tenant: self.tenant.clone(),
            what,
            at: None,
            to,
            to_tenant: None,
            on_conflict: how,
        };
        let administrator = Arc::new(Administrator {
            admin: self.admin.clone(),
            runtime: tokio::runtime::Handle::current(),
            outcomes: Mutex::default(),
        });
        let report = self.service.restore(&request, administrator.clone()).await.unwrap();
        let outcomes = administrator.outcomes.lock().unwrap().join("\n");
        (report, outcomes)
    }

    async fn mailbox(&self, address: &str) -> Value {
        self.admin.show(&format!("mailbox/{address}")).await
    }

    /// Gives the application that reads other rights.
    async fn grant(&self, rights: &[&str]) {
        let tenant = self.service.tenant(&self.tenant).await.unwrap();
        let reader = tenant.functions.iter().find(|one| one.function == Function::Reader).unwrap();
        let path = format!("applications/{}", reader.client_id);
        self.admin.order(&path, json!({ "roles": rights })).await;
    }
}

/// All of ann's mailbox.
fn all_of_ann() -> RestoreWhat {
    RestoreWhat::Folder { mailbox: ANN.parse().unwrap(), path: FolderPath::default() }
}

fn named<'k>(kept: &'k [(StoredItem, Vec<u8>)], name: &str) -> Option<&'k (StoredItem, Vec<u8>)> {
    kept.iter().find(|(stored, _)| stored.item.subject == name)
}

async fn make(user: &User, path: &str, body: Value) -> Value {
    user.send(Method::POST, &format!("{ANN}/{path}"), Some(body)).await.unwrap()
}

fn rule(name: &str) -> Value {
    json!({"displayName": name, "sequence": 1, "isEnabled": true,
           "conditions": {"subjectContains": ["newsletter"]},
           "actions": {"markAsRead": true, "stopProcessingRules": true}})
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_categories_and_settings_come_back_as_they_were() {
    let (world, user) = World::of_kinds(Extras::default()).await;
    make(&user, "mailFolders/inbox/messageRules", rule("Newsletters")).await;
    let category = json!({"displayName": "Garden", "color": "preset9"});
    make(&user, "outlook/masterCategories", category).await;
    let zone = |zone: &str| Some(json!({ "timeZone": zone }));
    let settings = format!("{ANN}/mailboxSettings");
    user.send(Method::PATCH, &settings, zone("Tokyo Standard Time")).await.unwrap();
    let before = world.mailbox(ANN).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");

    // What is kept is the provider's own JSON, which a person can read.
    let kept = world.kept(ANN, ItemKind::Setting).await;
    let (stored, content) = named(&kept, "Newsletters").unwrap();
    let told: Value = serde_json::from_slice(content).unwrap();
    assert_eq!(told["conditions"]["subjectContains"], json!(["newsletter"]));
    assert!(stored.path.name.ends_with(".json"), "{stored:?}");
    assert!(named(&kept, "Garden").is_some());

    // Nothing happens: nothing is stored again.
    let idle = world.pass().await;
    assert_eq!((idle.new, idle.changed, idle.removed), (0, 0, 0), "{idle:?}");

    // All of it is lost, and comes back.
    let now = world.mailbox(ANN).await;
    for one in now["rules"].as_array().unwrap() {
        let path = format!("{ANN}/mailFolders/inbox/messageRules/{}", one["id"].as_str().unwrap());
        user.send(Method::DELETE, &path, None).await.unwrap();
    }
    for one in now["categories"].as_array().unwrap() {
        if one["displayName"] == "Garden" {
            let path = format!("{ANN}/outlook/masterCategories/{}", one["id"].as_str().unwrap());
            user.send(Method::DELETE, &path, None).await.unwrap();
        }
    }
    user.send(Method::PATCH, &settings, zone("UTC")).await.unwrap();
    world.restored(all_of_ann(), None, OnConflict::Replace).await;
    let after = world.mailbox(ANN).await;
    assert_eq!(after["settings"]["timeZone"], before["settings"]["timeZone"]);
    let without_ids = |list: &Value| {
        let mut list: Vec<Value> = list.as_array().unwrap().clone();
        list.iter_mut().for_each(|one| drop(one.as_object_mut().unwrap().remove("id")));
        list.sort_by_key(Value::to_string);
        list
    };
    assert_eq!(without_ids(&after["rules"]), without_ids(&before["rules"]));
    assert_eq!(without_ids(&after["categories"]), without_ids(&before["categories"]));

    // A repetition makes nothing twice.
    let again = world.restored(all_of_ann(), None, OnConflict::Skip).await;
    assert_eq!(again.count("created"), 0, "{again:?}");
    assert_eq!(without_ids(&world.mailbox(ANN).await["rules"]), without_ids(&before["rules"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_settings_are_left_unless_they_are_to_be_replaced() {
    let (world, user) = World::of_kinds(Extras::default()).await;
    make(&user, "mailFolders/inbox/messageRules", rule("Newsletters")).await;
    let body = Some(json!({"timeZone": "Tokyo Standard Time"}));
    user.send(Method::PATCH, &format!("{ANN}/mailboxSettings"), body).await.unwrap();
    world.pass().await;
    let zone = |mailbox: &Value| mailbox["settings"]["timeZone"].clone();
    let before = zone(&world.mailbox(BEN).await);

    // Whoever takes over a mailbox keeps the own time zone, and gets the rules.
    for _ in 0..2 {
        world.restored(all_of_ann(), Some(BEN), OnConflict::Skip).await;
        let ben = world.mailbox(BEN).await;
        assert_eq!(zone(&ben), before);
        assert_eq!(ben["rules"].as_array().unwrap().len(), 1, "{}", ben["rules"]);
    }
    // Settings lie in no folder.
    let below = world.restored(all_of_ann(), Some(&format!("{BEN}:Old")), OnConflict::Skip).await;
    assert!(below.items.iter().all(|item| item.kind != ItemKind::Setting), "{below:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_comes_back_with_its_steps() {
    let (mut world, user) = World::of_kinds(TASKS).await;
    let list = make(&user, "todo/lists", json!({"displayName": "House"})).await;
    let list = list["id"].as_str().unwrap().to_owned();
    let task = json!({"title": "Order paint", "importance": "high",
        "body": {"content": "two tins", "contentType": "text"},
        "dueDateTime": {"dateTime": "2026-12-01T00:00:00", "timeZone": "UTC"}});
    let task = make(&user, &format!("todo/lists/{list}/tasks"), task).await;
    let path = format!("todo/lists/{list}/tasks/{}", task["id"].as_str().unwrap());
    make(&user, &format!("{path}/checklistItems"), json!({"displayName": "Measure"})).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    let kept = world.kept(ANN, ItemKind::Task).await;
    let (stored, content) = named(&kept, "Order paint").unwrap();
    let content = String::from_utf8(content.clone()).unwrap();
    assert!(content.contains("SUMMARY:Order paint") && content.contains("Measure"), "{content}");
    assert!(stored.path.name.ends_with(".ics"));
    let idle = world.pass().await;
    assert_eq!((idle.new, idle.changed, idle.removed), (0, 0, 0), "{idle:?}");

    user.send(Method::DELETE, &format!("{ANN}/{path}"), None).await.unwrap();
    let tasks = |mailbox: &Value| {
        let lists = mailbox["task_lists"].as_array().unwrap();
        lists.iter().map(Value::to_string).filter(|list| list.contains("Order paint")).count()
    };
    assert_eq!(tasks(&world.mailbox(ANN).await), 0);
    for _ in 0..2 {
        world.restored(all_of_ann(), None, OnConflict::Skip).await;
        let ann = world.mailbox(ANN).await;
        let text = ann["task_lists"].to_string();
        assert_eq!(text.matches("\"Order paint\"").count(), 1, "{text}");
        assert!(text.contains("Measure"), "{text}");
    }
    // Into another mailbox, in a list of the same name.
    world.restored(all_of_ann(), Some(BEN), OnConflict::Skip).await;
    let text = world.mailbox(BEN).await["task_lists"].to_string();
    assert!(text.contains("House") && text.contains("Order paint"), "{text}");

    // Switched off, the newest snapshot has them as they last were.
    world.pass().await;
    world.switch(Extras::default()).await;
    user.send(Method::DELETE, &format!("{ANN}/todo/lists/{list}"), None).await.unwrap();
    world.admin.order("mutate", json!({"mailbox": ANN, "seed": 3, "create": 1})).await;
    let report = world.pass().await;
    assert!(report.is_whole() && report.removed == 0, "{report:?}");
    assert!(named(&world.kept(ANN, ItemKind::Task).await, "Order paint").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_costs_only_what_needs_it() {
    let (world, user) = World::of_kinds(ALL).await;
    let list = make(&user, "todo/lists", json!({"displayName": "House"})).await;
    let path = format!("todo/lists/{}/tasks", list["id"].as_str().unwrap());
    make(&user, &path, json!({"title": "Order paint"})).await;
    let mail = ["Mail.Read", "Calendars.Read", "Contacts.Read", "User.Read.All"];
    world.grant(&mail).await;
    let report = world.pass().await;
    assert!(report.missed.is_empty(), "{report:?}");
    assert_eq!(world.kept(ANN, ItemKind::Message).await.len(), 12);
    assert!(world.kept(ANN, ItemKind::Task).await.is_empty());
    for right in ["MailboxSettings.Read", "Tasks.Read.All"] {
        let told = report.failures.iter().filter(|one| one.error.to_string().contains(right));
        assert!(told.count() > 0, "{right} is not named in {:?}", report.failures);
    }
    // Streams, too: each mailbox is told of once, whatever it holds.
    let of_ann = report.failures.iter().filter(|one| one.mailbox.as_str() == ANN).count();
    assert!(of_ann <= 5, "{:?}", report.failures);
    assert!(report.without_stream >= 17, "{report:?}");

    world.grant(&mailkeep_service::reader_rights(ALL)).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    assert!(named(&world.kept(ANN, ItemKind::Task).await, "Order paint").is_some());
    assert!(!world.kept(ANN, ItemKind::Setting).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_lies_beside_each_item_and_is_what_a_restore_is_made_of() {
    let (world, _user) = World::of_kinds(STREAMS).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    assert!(report.streams >= 17 && report.without_stream == 0, "{report:?}");
    for (kind, count) in [(ItemKind::Message, 12), (ItemKind::Event, 3), (ItemKind::Contact, 2)] {
        let kept = world.kept(ANN, kind).await;
        assert_eq!(kept.len(), count);
        assert!(kept.iter().all(|(stored, _)| stored.stream_bytes > Some(0)), "{kept:?}");
    }
    let verified = world.service.verify(&world.tenant, ReadData::Yes).await.unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);

    // Flags that changed since the stream was read are those of the snapshot.
    world.admin.order("mutate", json!({"mailbox": ANN, "seed": 9, "change": 8})).await;
    world.pass().await;
    let before = world.mailbox(ANN).await;
    let gone = json!({"mailbox": ANN, "seed": 1, "delete": 99, "events": {"delete": 99},
                      "contacts": {"delete": 99}});
    world.admin.order("mutate", gone).await;
    let report = world.restored(all_of_ann(), None, OnConflict::Skip).await;
    assert_eq!(report.count("created"), 17, "{report:?}");
    let lost: Vec<_> = report.items.iter().flat_map(|item| &item.lost).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let shown = |mailbox: &Value| -> BTreeMap<String, Value> {
        let messages = mailbox["messages"].as_array().unwrap().iter();
        let seen = messages.filter(|one| one["hidden"] != true);
        seen.map(|one| {
            let key = one["mime_sha256"].as_str().unwrap().to_owned();
            let told = json!([
                one["subject"],
                one["read"],
                one["flag"],
                one["categories"],
                one["folder_path"],
                one["received"],
                one["draft"]
            ]);
            (key, told)
        })
        .collect()
    };
    assert_eq!(shown(&world.mailbox(ANN).await), shown(&before));
    // A repetition makes nothing. A meeting with attendees carries no mark, because marking it might
    // tell them: it is taken for restored once more.
    let again = world.restored(all_of_ann(), None, OnConflict::Skip).await;
    let made = again.items.iter().filter(|item| item.outcome == RestoreOutcome::Created);
    assert!(
        made.clone().all(|item| item.kind == ItemKind::Event),
        "{:?}",
        made.collect::<Vec<_>>()
    );
    let whole = world.mailbox(ANN).await;
    for (kind, count) in [("events", 3), ("contacts", 2)] {
        assert_eq!(whole[kind].as_array().unwrap().len(), count, "{}", whole[kind]);
    }
    assert_eq!(shown(&whole), shown(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_and_could_not_be_marked_is_not_made_once_more() {
    let (world, _user) = World::of_kinds(STREAMS).await;
    world.pass().await;
    let gone = json!({"mailbox": ANN, "seed": 1, "delete": 99});
    world.admin.order("mutate", gone).await;
    let there = async || {
        let all = world.mailbox(ANN).await["messages"].as_array().unwrap().clone();
        all.iter().filter(|one| one["hidden"] != true).count()
    };
    let before = there().await;
    let refused = json!([{"operation": "message.patch", "mailbox": ANN, "status": 400}]);
    world.admin.order("faults", refused).await;
    let (report, outcomes) = world.tried(all_of_ann(), None, OnConflict::Skip).await;
    let failed = report.count("failed");
    assert!(failed > 0 && report.count("created") == 0, "{outcomes}");
    assert_eq!(there().await, before + failed, "{outcomes}");
    // They are found, and get their marks.
    world.admin.order("faults", json!([])).await;
    let report = world.restored(all_of_ann(), None, OnConflict::Skip).await;
    assert_eq!((report.count("created"), there().await), (failed, before + failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_more_is_asked_for_than_is_switched_on() {
    let (world, _user) = World::of_kinds(Extras::default()).await;
    world.pass().await;
    let before = requests(&world.admin).await;
    world.pass().await;
    let after = requests(&world.admin).await;
    let told: Vec<_> =
        after.iter().filter(|(name, count)| before.get(*name) != Some(count)).collect();
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        !names.iter().any(|name| name.contains("task") || name.contains("export")),
        "{names:?}"
    );
    let view = world.service.view(&world.tenant, None).await.unwrap();
    let kinds: Vec<_> = view.folders(&ANN.parse().unwrap()).unwrap();
    assert!(kinds.iter().all(|one| one.folder.kind != FolderKind::Tasks));
}

async fn requests(admin: &Admin) -> BTreeMap<String, u64> {
    let counters = admin.counters().await;
    let operations = counters["operations"].as_object().unwrap().iter();
    operations.map(|(name, one)| (name.clone(), one["requests"].as_u64().unwrap())).collect()
}
