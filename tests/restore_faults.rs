//! What can go wrong at the provider during a restore, each alone: nothing comes back twice, the
//! report names what did not, and repeating the command brings it.

mod story;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use story::{Costs, Fault, RESTORER_ROLES, Run, Scene, World, copies, faults_of_restore};

#[test]
fn a_provider_that_stumbles_does_not_make_a_restore_lose_or_double_anything() {
    each_alone(|fault| fault.costs == Costs::Nothing);
}

#[test]
fn what_is_not_restored_is_named_and_comes_with_the_next_try() {
    each_alone(|fault| fault.costs == Costs::Item);
}

/// Waiting for the key of a restore to be registered takes most of the time: some wait beside
/// each other.
const BESIDE: usize = 4;

fn each_alone(kind: impl Fn(&Fault) -> bool) {
    let only = std::env::var("MAILKEEP_FAULT").ok();
    let mut faults = faults_of_restore();
    faults.retain(|fault| kind(fault) && only.as_ref().is_none_or(|only| *only == fault.name));
    std::thread::scope(|scope| {
        for faults in faults.chunks(faults.len().div_ceil(BESIDE)) {
            scope.spawn(|| one_by_one(faults));
        }
    });
}

fn one_by_one(faults: &[Fault]) {
    // 1. A mailbox with mail, events and contacts of every kind, backed up.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    let restorer = world.set_up_restorer("acme");
    // A received message that does not fit into one request takes one right more.
    let roles = [RESTORER_ROLES, &["Mail-Advanced.ReadWrite.All"]].concat();
    world.lab.change_application(&restorer, &json!({"roles": roles}));
    let ann = world.lab.mailboxes()[0].clone();
    world.lab.post("generate", &json!({"mailbox": ann, "seed": 1, "messages": 0, "events": 14}));
    let made = world.lab.post("generate", &json!({"mailbox": "large", "messages": 2}));
    let large = made["mailbox"].as_str().expect("an address").to_owned();
    world
        .lab
        .post("mutate", &json!({"mailbox": large, "seed": 1, "create": 1, "bytes": 6_000_000}));
    world.backup("acme");
    for (number, fault) in faults.iter().enumerate() {
        let from = if fault.is_about_uploads() { &large } else { &ann };
        meets(&world, fault, from, &format!("target{number}"));
    }
}

fn meets(world: &World, fault: &Fault, from: &str, target: &str) {
    let expected = copies(&world.lab.contents(from));
    assert!(expected.values().all(|copies| *copies == 1), "told apart: {expected:#?}");

    // 2. It is restored into another mailbox, under a fault.
    let name = &fault.name;
    eprintln!("{name}");
    let made = world.lab.post("generate", &json!({"mailbox": target, "messages": 0}));
    let target = made["mailbox"].as_str().expect("an address");
    let there = || copies(&world.lab.contents(target));
    assert_eq!(there(), BTreeMap::new());
    let scene = Scene { mailbox: target.to_owned(), ..Scene::default() };
    world.lab.faults(&json!(fault.rules(&scene)));
    let arguments = ["acme", from, "--to", target];
    let first = world.restore(&arguments);
    let hits = world.lab.hits();
    assert!(hits.iter().all(|hits| *hits > 0), "hits {hits:?} of {fault:#?}\nin {first}");
    world.lab.faults(&json!([]));

    // 3. What is there is there once; what is not, the report names.
    let partly = there();
    for (item, copies) in &partly {
        assert_eq!((expected.get(item), copies), (Some(&1), &1), "{name}: {item}\nin {first}");
    }
    let failed = failed_items(&first);
    let words: Vec<&str> = fault.says.iter().map(String::as_str).collect();
    let first = first.exits(fault.exit()).says(&words);
    assert_eq!(failed.is_empty(), fault.costs == Costs::Nothing, "{name}: {first}");
    assert_eq!(partly.len() + failed.len(), expected.len(), "{name}: {first}");
    assert_eq!(first.json()["failed"], failed.len(), "{name}: {first}");

    // 4. The same command once more completes it, and makes nothing else.
    let second = world.restore(&arguments).ok();
    assert_eq!(second.json()["created"], failed.len(), "{name}: {second}");
    assert_eq!(there(), expected, "{name}: after {first}");
}

fn failed_items(run: &Run) -> Vec<Value> {
    let lines = run.json_lines().into_iter();
    lines.filter(|line| line["outcome"] == "failed").collect()
}
