//! What a pass promises, seen against the lab with a real signer, and with limits so small that a
//! few hundred messages reach them.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod common;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mailkeep_model::{MailboxKind, MailboxSelection};
use mailkeep_service::{Event, Observer, PassLimits};
use mailkeep_vault::ReadData;
use serde_json::{Value, json};

use crate::common::{Admin, SETTINGS, TINY, World, open};

impl World {
    /// Fills a mailbox.
    async fn generate(&self, mailbox: &str, messages: u32, bytes: u32) {
        let tenant = self.lab.description().tenants[0].id.to_string();
        let order = json!({"tenant": tenant, "mailbox": mailbox, "messages": messages,
            "folders": 1, "seed": 1, "bytes": bytes});
        self.admin.order("generate", order).await;
    }

    /// Messages in the vault's newest snapshot, by short id, of all mailboxes.
    async fn stored(&self) -> BTreeSet<String> {
        let view = self.service.view(&self.tenant, None).await.unwrap();
        let mut stored = BTreeSet::new();
        for mailbox in view.mailboxes().unwrap() {
            let address = mailbox.mailbox.address;
            for folder in view.folders(&address).unwrap() {
                for item in view.items(&address, &folder).unwrap() {
                    assert!(stored.insert(item.short.to_string()), "{} is there twice", item.short);
                }
            }
        }
        stored
    }

    /// Messages in the catalog, of all mailboxes.
    async fn cataloged(&self) -> u64 {
        let known = self.service.control().mailboxes(&self.tenant).await.unwrap();
        known.iter().map(|mailbox| mailbox.items).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_backup_far_larger_than_the_spool_comes_to_its_end() {
    let world = World::new().await;
    let before = world.pass().await.new;
    world.generate("large@lab.example", 400, 40_000).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.new, 400 + SETTINGS);
    assert!(report.snapshots.len() > 10, "{} rounds", report.snapshots.len());
    assert_eq!(world.stored().await.len() as u64, before + 400 + SETTINGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_rebuilt_from_the_vault_and_notices_what_was_deleted_meanwhile() {
    let mut world = World::new().await;
    let first = world.pass().await;
    let findings = world.service.control().finding_counts(&world.tenant).await.unwrap();
    let data = world.service.data().clone();
    for ending in ["", "-wal", "-shm"] {
        let file = format!("{}{ending}", data.control().display());
        let _ = std::fs::remove_file(file);
    }
    world.service = open(data.root(), TINY).await;
    world.set_up().await;
    let deleted = json!({"seed": 5, "delete": 7});
    world.admin.order("mutate", deleted).await;
    let values = |counters: &Value| counters["operations"]["message.value"]["requests"].as_u64();
    let before = values(&world.admin.counters().await);
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(values(&world.admin.counters().await), before, "content was downloaded again");
    assert_eq!(report.removed, 7);
    assert_eq!(world.stored().await.len() as u64, first.new - 7);
    assert_eq!(world.cataloged().await, first.new - 7);
    let again = world.service.control().finding_counts(&world.tenant).await.unwrap();
    assert_eq!(again.by_detector.keys().count(), findings.by_detector.keys().count());
}

/// Deletes messages while a pass reads them.
struct Deleter {
    admin: Admin,
    fetched: AtomicU64,
    runtime: tokio::runtime::Handle,
}

impl Observer for Deleter {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Fetched { .. })
            && self.fetched.fetch_add(1, Ordering::Relaxed) == 250
        {
            let admin = self.admin.clone();
            self.runtime.spawn(async move {
                let order = json!({"mailbox": "busy@lab.example", "seed": 3, "delete": 150});
                admin.order("mutate", order).await;
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_while_a_pass_runs_is_gone_after_the_next_one() {
    let world = World::new().await;
    let builtin = world.pass().await.new;
    world.generate("busy@lab.example", 1_200, 300).await;
    let deleter = Deleter {
        admin: world.admin.clone(),
        fetched: AtomicU64::new(0),
        runtime: tokio::runtime::Handle::current(),
    };
    world.watched_pass(Arc::new(deleter)).await;
    let settled = world.pass().await;
    assert!(settled.is_whole(), "{settled:?}");
    assert_eq!(world.stored().await.len() as u64, builtin + 1_200 - 150 + SETTINGS);
    assert_eq!(world.cataloged().await, builtin + 1_200 - 150 + SETTINGS);
    let quiet = world.pass().await;
    assert_eq!((quiet.new, quiet.changed, quiet.removed), (0, 0, 0));
    assert!(quiet.snapshots.is_empty(), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_is_fetched_anew_and_one_that_was_deleted_meanwhile_is_forgotten() {
    let world = World::new().await;
    let fault = json!([{"operation": "message.value", "mailbox": "ann.lee@lab.example",
        "status": 500, "probability": 0.3, "seed": 9}]);
    world.admin.order("faults", fault).await;
    let fault = json!([{"operation": "message.value", "mailbox": "ann.lee@lab.example",
        "status": 404, "times": 1}]);
    world.admin.order("faults", fault).await;
    let first = world.pass().await;
    assert!(first.failures.is_empty(), "{first:?}");
    assert!(!first.missed.is_empty(), "a message that is there and cannot be read is told");
    world.admin.clear_faults().await;
    let second = world.pass().await;
    assert!(second.is_whole(), "{second:?}");
    assert_eq!(second.new, first.missed.len() as u64);
    let skipped = world.service.control().skipped(&world.tenant, None).await.unwrap();
    assert_eq!(skipped, []);
    let report = world.service.verify(&world.tenant, ReadData::Yes).await.unwrap();
    assert!(!report.is_damaged(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_named_before_it_can_be_found_is_stored_by_the_next_pass() {
    let world = World::new().await;
    let before = world.pass().await.new;
    let order = json!({"mailbox": "ann.lee@lab.example", "seed": 8, "create": 2});
    let made = world.admin.order("mutate", order).await;
    let fault = json!([{"item": made["created"][0]["id"], "status": 404}]);
    world.admin.order("faults", fault).await;
    let first = world.pass().await;
    assert_eq!(first.new, 1, "{first:?}");
    // Deleted on its way, as happens every day, is no reason to call anybody.
    assert!(first.is_whole(), "{first:?}");
    world.admin.clear_faults().await;
    let second = world.pass().await;
    assert_eq!((second.new, second.missed.len()), (1, 0), "{second:?}");
    assert_eq!(world.stored().await.len() as u64, before + 2);
    let skipped = world.service.control().skipped(&world.tenant, None).await.unwrap();
    assert_eq!(skipped, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_left_a_folder_for_one_that_a_list_leaves_out_are_not_lost_with_it() {
    let world = World::new().await;
    world.generate("solo@lab.example", 0, 0).await;
    let order = json!({"mailbox": "solo@lab.example", "folder": "archive", "seed": 8, "create": 4});
    world.admin.order("mutate", order).await;
    world.pass().await;
    let before = world.stored().await;
    let moved = json!({"mailbox": "solo@lab.example", "folder": "archive", "seed": 8, "move": 4});
    let moved = world.admin.order("mutate", moved).await;
    assert_eq!(moved["moved"].as_array().map(Vec::len), Some(4), "{moved}");
    let faults = json!([
        {"operation": "folders.delta", "mailbox": "solo@lab.example", "invalidate": "cursors",
            "times": 1},
        {"operation": "folders.delta", "mailbox": "solo@lab.example", "page": "lose", "share": 1.0},
    ]);
    world.admin.order("faults", faults).await;
    world.pass().await;
    world.admin.clear_faults().await;
    let after = world.pass().await;
    assert!(after.is_whole(), "{:?}", after.missed);
    assert_eq!(world.stored().await, before);
}

/// Moves the newest message of a mailbox as soon as a content of it has come in.
struct Mover {
    admin: Admin,
    moved: std::sync::Mutex<Option<tokio::task::JoinHandle<Value>>>,
    runtime: tokio::runtime::Handle,
}

impl Observer for Mover {
    fn on_event(&self, event: &Event) {
        if !matches!(event, Event::Fetched { mailbox, .. } if mailbox.as_str() == MOVING) {
            return;
        }
        let mut moved = self.moved.lock().unwrap();
        if moved.is_none() {
            let admin = self.admin.clone();
            let order = json!({"mailbox": MOVING, "newest": 1, "seed": 8, "move": 1});
            *moved = Some(self.runtime.spawn(async move { admin.order("mutate", order).await }));
        }
    }
}

const MOVING: &str = "moving@lab.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_moves_while_its_former_folder_is_read_slowly_lies_where_it_went() {
    let world = World::new().await;
    world.generate(MOVING, 0, 0).await;
    let folders = world.admin.show(&format!("mailbox/{MOVING}")).await["folders"].clone();
    let made = json!({"mailbox": MOVING, "folder": "archive", "seed": 8, "create": 1});
    let slow = world.admin.order("mutate", made.clone()).await["created"][0].clone();
    let quick = world.admin.order("mutate", made).await["created"][0].clone();
    // The archive hands on late what it told early, and goes on to tell what left it; all other
    // folders are read in between.
    let mut faults = vec![
        json!({"item": slow["id"], "operation": "message.value", "delay_ms": 3000}),
        json!({"operation": "messages.delta", "folder": slow["folder"], "page": "repeat", "times": 1}),
    ];
    for folder in folders.as_array().unwrap().iter().filter(|one| one["id"] != slow["folder"]) {
        faults
            .push(json!({"operation": "messages.delta", "folder": folder["id"], "delay_ms": 700}));
    }
    world.admin.order("faults", json!(faults)).await;
    let mover = Arc::new(Mover {
        admin: world.admin.clone(),
        moved: std::sync::Mutex::default(),
        runtime: tokio::runtime::Handle::current(),
    });
    world.watched_pass(mover.clone()).await;
    let moving = mover.moved.lock().unwrap().take().unwrap();
    let moved = moving.await.unwrap()["moved"][0].clone();
    assert_eq!(moved["id"], quick["id"]);
    world.admin.clear_faults().await;
    assert!(world.pass().await.is_whole());
    let view = world.service.view(&world.tenant, None).await.unwrap();
    let address = MOVING.parse().unwrap();
    let mut found = Vec::new();
    for folder in view.folders(&address).unwrap() {
        for item in view.items(&address, &folder).unwrap() {
            if moved["id"] == json!(item.item.id.0) {
                found.push(json!(item.item.folder.0));
            }
        }
    }
    assert_eq!(found, [moved["to"].clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_calendar_that_a_list_leaves_out_are_not_taken_for_deleted() {
    let world = World::new().await;
    let order = json!({"mailbox": "planner@lab.example", "events": 6, "seed": 4});
    world.admin.order("generate", order).await;
    world.pass().await;
    let before = world.stored().await;
    let fault = json!([{"operation": "calendars.list", "page": "lose", "share": 1.0, "times": 20}]);
    world.admin.order("faults", fault).await;
    let report = world.pass().await;
    assert_eq!(report.removed, 0, "{report:?}");
    assert_eq!(world.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_early_in_a_calendar_of_several_pages_is_seen() {
    let world = World::new().await;
    let order = json!({"mailbox": "busy", "messages": 0, "events": 1100, "seed": 2});
    world.admin.order("generate", order).await;
    let first = world.pass().await;
    assert!(first.is_whole(), "{:?}", first.missed);
    let pages = |counters: &Value| counters["operations"]["events.list"]["requests"].as_u64();
    let before = pages(&world.admin.counters().await).unwrap();
    let work = json!({"mailbox": "busy@lab.example", "seed": 4,
                      "events": {"change": 30, "delete": 20}});
    world.admin.order("mutate", work).await;
    let second = world.pass().await;
    assert_eq!((second.changed, second.removed), (30, 20), "{second:?}");
    assert!(pages(&world.admin.counters().await).unwrap() > before + 6, "one page a calendar");
    let third = world.pass().await;
    assert_eq!((third.new, third.changed, third.removed), (0, 0, 0));
}

/// How often an operation was asked for.
async fn asked(admin: &Admin, operation: &str) -> u64 {
    admin.counters().await["operations"][operation]["requests"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_the_provider_never_told_of_is_missed_by_its_number_and_fetched() {
    let world = World::new().await;
    let before = world.pass().await.new;
    let folders = {
        let begun = asked(&world.admin, "messages.delta").await;
        world.pass().await;
        asked(&world.admin, "messages.delta").await - begun
    };
    let order = json!({"mailbox": "ann.lee@lab.example", "seed": 8, "create": 5});
    world.admin.order("mutate", order).await;
    let fault = json!([{"operation": "messages.delta", "mailbox": "ann.lee@lab.example",
        "page": "lose", "share": 1.0}]);
    world.admin.order("faults", fault).await;
    world.pass().await;
    world.admin.clear_faults().await;
    assert_eq!(world.stored().await.len() as u64, before, "nothing was lost: this test is void");
    // Once more: mail may have come in between the reading and the counting.
    assert_eq!(world.pass().await.new, 0);
    let contents = asked(&world.admin, "message.value").await;
    let found = world.pass().await;
    assert!(found.is_whole(), "{:?}", found.failures);
    assert_eq!(found.new, 5);
    assert_eq!(world.stored().await.len() as u64, before + 5);
    assert_eq!(asked(&world.admin, "message.value").await - contents, 5, "downloaded again");
    // The doubt is over: from here on only changes are asked for, one page a folder.
    let (pages, trees) =
        (asked(&world.admin, "messages.delta").await, asked(&world.admin, "folders.delta").await);
    let quiet = world.pass().await;
    assert!(quiet.snapshots.is_empty(), "{:?}", quiet.snapshots);
    assert_eq!(asked(&world.admin, "messages.delta").await - pages, folders);
    let mailboxes = quiet.mailboxes as u64;
    assert_eq!(asked(&world.admin, "folders.delta").await - trees, 2 * mailboxes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubted_folder_is_left_alone_until_it_is_its_turn() {
    let limits = PassLimits { compare_doubted: Duration::from_secs(86_400), ..TINY };
    let world = World::with(|_| {}, limits).await;
    let before = world.pass().await.new;
    let order = json!({"mailbox": "ann.lee@lab.example", "seed": 8, "create": 5});
    world.admin.order("mutate", order).await;
    let fault = json!([{"operation": "messages.delta", "mailbox": "ann.lee@lab.example",
        "page": "lose", "share": 1.0}]);
    world.admin.order("faults", fault).await;
    world.pass().await;
    world.admin.clear_faults().await;
    for _ in 0..4 {
        assert_eq!(world.pass().await.new, 0);
    }
    assert_eq!(world.stored().await.len() as u64, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_change_that_shows_in_no_number_is_found_when_all_folders_are_compared() {
    let mut world = World::new().await;
    let first = world.pass().await.new;
    let order = json!({"mailbox": "ann.lee@lab.example", "seed": 3, "change": 4});
    world.admin.order("mutate", order).await;
    let fault = json!([{"page": "lose", "share": 1.0}]);
    world.admin.order("faults", fault).await;
    world.pass().await;
    world.admin.clear_faults().await;
    for _ in 0..3 {
        assert_eq!(world.pass().await.changed, 0, "nothing was lost: this test is void");
    }
    let contents = asked(&world.admin, "message.value").await;
    world.reopen(PassLimits { compare_every: Duration::ZERO, ..TINY }).await;
    let found = world.pass().await;
    assert_eq!((found.new, found.changed, found.removed), (0, 4, 0));
    assert_eq!(asked(&world.admin, "message.value").await, contents, "downloaded again");
    assert_eq!(world.stored().await.len() as u64, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_folder_that_the_provider_never_told_of_is_found_with_what_lies_in_it() {
    let world = World::new().await;
    let before = world.pass().await.new;
    let tenant = world.directory_id();
    let order = json!({"tenant": tenant, "mailbox": "ann.lee@lab.example", "messages": 0,
        "folders": 1, "seed": 77});
    world.admin.order("generate", order).await;
    let there = world.admin.show("mailbox/ann.lee@lab.example").await;
    let folders = there["folders"].as_array().unwrap();
    let visible = folders.iter().filter(|folder| folder["hidden"] == false).count();
    let fault = json!([{"operation": "folders.delta", "mailbox": "ann.lee@lab.example",
        "page": "lose", "share": 1.0, "times": 1}]);
    world.admin.order("faults", fault).await;
    world.pass().await;
    world.admin.clear_faults().await;
    let stored = async || {
        let view = world.service.view(&world.tenant, None).await.unwrap();
        let folders = view.folders(&"ann.lee@lab.example".parse().unwrap()).unwrap();
        let mail = mailkeep_model::FolderKind::Mail;
        folders.iter().filter(|folder| folder.folder.kind == mail).count()
    };
    assert_eq!(stored().await, visible - 1, "nothing was lost: this test is void");
    let found = world.pass().await;
    assert!(found.is_whole(), "{:?}", found.failures);
    assert_eq!(stored().await, visible);
    assert_eq!(world.stored().await.len() as u64, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_does_not_tell_its_kind_any_more_stays_in_the_backup_and_is_named() {
    let world = World::new().await;
    assert!(world.pass().await.is_whole());
    let selection =
        MailboxSelection { kinds: [MailboxKind::User].into(), ..MailboxSelection::default() };
    world.service.select_mailboxes(&world.tenant, &selection).await.unwrap();
    assert!(world.pass().await.directory.is_whole());
    // Something changed about her: she is asked again, and does not answer.
    let ann = "ann.lee@lab.example";
    let change = json!({"change": [{"mailbox": ann, "enabled": false}]});
    world.admin.order("users", change).await;
    let refused = json!([{"operation": "mailboxsettings.show", "mailbox": ann, "status": 403}]);
    world.admin.order("faults", refused).await;
    let report = world.pass().await;
    assert!(report.directory.changes.gone.is_empty(), "{:?}", report.directory);
    let unclear: Vec<_> = report.directory.unclear.iter().map(|(who, _)| who.as_str()).collect();
    assert!(unclear == [ann] && !report.is_whole(), "{unclear:?}");
    world.admin.clear_faults().await;
    assert!(world.pass().await.directory.is_whole());
}
