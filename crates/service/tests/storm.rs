//! A provider that throttles one request in ten and cuts one in a hundred off changes nothing of what
//! is in the vault, and nothing is read twice that was answered once.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod common;
#[allow(dead_code)] // Each test binary uses its own part of these.
#[path = "histories/mailbox.rs"]
mod mailbox;
#[allow(dead_code)]
#[path = "histories/stored.rs"]
mod stored;

use std::collections::HashMap;

use mailkeep_identity::{CallerLabel, SecretName, SignerClient};
use mailkeep_service::PassLimits;
use mailkeep_vault::{ReadData, Vault};
use serde_json::{Value, json};

use crate::{
    common::{TINY, World},
    mailbox::Mailbox,
};

/// Messages in the mailbox, and the folders that they lie in.
const MESSAGES: u64 = 2_000;
const FOLDERS: u64 = 12;
const MAILBOX: &str = "stormy@lab.example";

const LIMITS: PassLimits =
    PassLimits { spool_bytes: 32 << 20, round_bytes: 8 << 20, round_items: 1_000, ..TINY };

async fn world() -> World {
    let world = World::with(|_| {}, LIMITS).await;
    let order = json!({"mailbox": MAILBOX, "messages": MESSAGES, "folders": FOLDERS, "seed": 3,
        "bytes": 1_500});
    world.admin.order("generate", order).await;
    world
}

/// Everything in which the newest snapshot differs from what the provider has.
async fn differences(world: &World, messages: u64) -> Vec<String> {
    let caller: CallerLabel = "test".parse().unwrap();
    let signer = SignerClient::connect(world.service.data().signer_socket(), caller).await.unwrap();
    let (job, secret) = (uuid::Uuid::new_v4().into(), SecretName::repository());
    let password = signer.release_secret(&job, &world.tenant, &secret).await.unwrap();
    let directory = world.service.data().vault(&world.tenant);
    let vault = Vault::open(&directory, &password).unwrap();
    let snapshot = vault.snapshots().unwrap().pop().unwrap();
    let truth = Mailbox::read(&world.admin, MAILBOX).await;
    assert_eq!(truth.messages().len() as u64, messages);
    let report = vault.verify(ReadData::Yes).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    stored::differences(&vault, &snapshot, &truth)
}

/// How often the provider answered for the content of each message of the mailbox.
async fn answered(world: &World) -> HashMap<String, u64> {
    let truth = Mailbox::read(&world.admin, MAILBOX).await;
    let log = world.admin.show("logs?kind=activity").await;
    let mut answered: HashMap<String, u64> = truth.ids().into_iter().map(|id| (id, 0)).collect();
    for line in log.as_array().unwrap() {
        if line["operation"] == "message.value" && line["responseStatusCode"] == 200 {
            let uri = line["requestUri"].as_str().unwrap();
            let id = uri.trim_end_matches("/$value").rsplit('/').next().unwrap();
            // Those of other mailboxes are of no interest.
            if let Some(count) = answered.get_mut(id) {
                *count += 1;
            }
        }
    }
    answered
}

async fn hits(world: &World) -> Vec<u64> {
    let rules: Value = world.admin.show("faults").await;
    rules.as_array().unwrap().iter().map(|rule| rule["hits"].as_u64().unwrap()).collect()
}

/// Most requests in flight, of one application at one mailbox.
async fn peak(world: &World) -> u64 {
    let counters = world.admin.counters().await;
    let peaks = counters["peak_concurrency"].as_array().unwrap();
    peaks.iter().map(|peak| peak["requests"].as_u64().unwrap()).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_throttles_and_cuts_off_is_backed_up_as_one_that_does_not() {
    let world = world().await;
    // Nine in ten of the refusals want no pause: the seconds would be all that is tested.
    let faults = json!([
        {"mailbox": MAILBOX, "status": 429, "retry_after": 1, "probability": 0.001, "seed": 1},
        {"mailbox": MAILBOX, "status": 429, "retry_after": 0, "probability": 0.09, "seed": 2},
        {"mailbox": MAILBOX, "status": 429, "probability": 0.01, "seed": 3},
        {"mailbox": MAILBOX, "reset": true, "when": "before", "probability": 0.01, "seed": 4},
    ]);
    world.admin.order("faults", faults).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    let hits = hits(&world).await;
    assert!(hits[0] > 0 && hits[1] > 100 && hits[2] > 5 && hits[3] > 5, "{hits:?}");
    let answered = answered(&world).await;
    let other: Vec<_> = answered.iter().filter(|(_, count)| **count != 1).collect();
    assert!(other.is_empty() && answered.len() as u64 == MESSAGES, "{other:?}");
    assert!(peak(&world).await <= 4);
    assert_eq!(differences(&world, MESSAGES).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_is_read_again_only_when_its_answer_broke_off() {
    let world = world().await;
    let cut = json!([{"operation": "message.value", "mailbox": MAILBOX, "reset": true,
        "probability": 0.02, "seed": 5}]);
    world.admin.order("faults", cut).await;
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    let hits = hits(&world).await[0];
    assert!(hits > 20, "{hits}");
    let answered = answered(&world).await;
    assert!(answered.values().all(|count| *count >= 1));
    assert_eq!(answered.values().sum::<u64>(), MESSAGES + hits);
    assert_eq!(differences(&world, MESSAGES).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_is_emptied_costs_a_twentieth_of_a_request_an_item() {
    let world = world().await;
    world.pass().await;
    let gone = 400;
    let order = json!({"mailbox": MAILBOX, "seed": 7, "delete": gone});
    world.admin.order("mutate", order).await;
    // Some of the answers within a batch are refusals, too.
    let faults = json!([{"operation": "message.show", "status": 429, "retry_after": 0,
        "probability": 0.1, "seed": 8}]);
    world.admin.order("faults", faults).await;
    let before = world.admin.counters().await;
    let report = world.pass().await;
    assert!(report.is_whole() && report.removed == gone, "{report:?}");
    let after = world.admin.counters().await;
    let count = |operation: &str| {
        let of = |counters: &Value| {
            counters["operations"][operation]["requests"].as_u64().unwrap_or_default()
        };
        of(&after) - of(&before)
    };
    // Each counts as a request of its own with the provider; what is sent are the batches.
    assert!(count("batch") <= gone / 20 * 4, "{} batches", count("batch"));
    assert_eq!(count("message.show"), gone + hits(&world).await[0]);
    assert!(peak(&world).await <= 4);
    assert_eq!(differences(&world, MESSAGES - gone).await, Vec::<String>::new());
}
