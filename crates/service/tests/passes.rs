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
};

use mailkeep_service::{Event, Observer};
use mailkeep_vault::ReadData;
use serde_json::{Value, json};

use crate::common::{Admin, TINY, World, open};

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
    assert_eq!(report.new, 400);
    assert!(report.snapshots.len() > 10, "{} rounds", report.snapshots.len());
    assert_eq!(world.stored().await.len() as u64, before + 400);
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
    assert_eq!(world.stored().await.len() as u64, builtin + 1_200 - 150);
    assert_eq!(world.cataloged().await, builtin + 1_200 - 150);
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
