//! The power fails, again and again, while the keys of many tenants are changed.

mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use mailkeep_identity::ledger::{self, LedgerEvent};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use story::{READER_ROLES, World, number_from, wait_until};

const REKEY: &[&str] = &["identity", "rotate", "--all", "--at-once", "--deadline", "10m"];
/// What the provider is asked for, at least, until a tenant has its fresh key.
const REQUESTS: u64 = 5;

#[test]
fn killing_a_change_of_all_keys_at_any_moment_leaves_each_tenant_with_one_fresh_key() {
    let kills = number_from("MAILKEEP_REKEY_KILLS").unwrap_or(5);
    let seed = number_from("MAILKEEP_KILL_SEED").unwrap_or(20_261_127);
    eprintln!("MAILKEEP_REKEY_KILLS={kills} MAILKEEP_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let tenants = if kills > 10 { 40 } else { 6 };

    // 1. Tenants, each with a key in use and one that lies ready.
    let count = tenants.to_string();
    let arguments = ["--tenants", &count, "--mailboxes", "1"];
    let mut world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &arguments);
    let before = set_up(&world, tenants);

    // 2. The same command, again and again, killed on its way; sometimes the signer goes down, too.
    let (mut hit, mut done) = (0, false);
    for left in (1..=kills).rev() {
        let missing = open_keys(&world, &before) * REQUESTS;
        world.lab.faults(&json!([{"delay_ms": 40}]));
        world.lab.forget_counts();
        let moment = random.random_range(0..=(2 * missing / left).min(missing.saturating_sub(1)));
        let mut rotation = world.mailkeep.watch(REKEY, |_| {});
        wait_until("the change of keys is so far, or done", || {
            rotation.has_ended() || world.lab.requests(None) >= moment
        });
        std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
        let without_signer = random.random_range(0..3) == 0;
        if without_signer {
            world.kill_signer();
            std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
        }
        let killed = rotation.kill();
        if without_signer {
            world.start_signer();
        }
        hit += u64::from(killed.code.is_none());
        done = killed.code == Some(0);
        eprintln!("{:?} after {moment} requests, {missing} missing", killed.code);
        // What was ordered is done: the same command would be another order.
        if done {
            break;
        }
    }
    let in_time = hit > kills / 2 || (done && hit > 0);
    assert!(in_time, "only {hit} of {kills} kills were in time");

    // 3. Once more, to the end. Each application has one key, a fresh one, and it is the one that signs.
    world.lab.faults(&json!([]));
    if !done {
        world.mailkeep.json(REKEY).ok();
    }
    let held = held(&world);
    for application in world.lab.applications() {
        let keys = application["keys"].as_array().expect("keys");
        assert_eq!(keys.len(), 1, "{application}");
        let key = keys[0]["thumbprint"].as_str().expect("a thumbprint").to_ascii_lowercase();
        let client_id = application["client_id"].as_str().expect("an id");
        assert_ne!(Some(&key), before.get(client_id), "still the old one: {application}");
        let active: Vec<&Held> = held.iter().filter(|one| one.client_id == client_id).collect();
        let [only] = active[..] else { panic!("{client_id}: {active:?}") };
        assert_eq!((only.slot.as_str(), only.is_called(&key)), ("active", true), "{only:?}");
    }

    // 4. The ledger is whole. No key was lost: what was made is in use, or was retired. A command that was
    //    killed and given again changed no key twice.
    world.mailkeep.run(&["identity", "ledger", "verify"]).ok();
    let (mut made, mut retired) = (BTreeSet::new(), BTreeSet::new());
    let content = fs::read(world.ledger()).expect("the ledger");
    let whole = ledger::verify_each(&*content, |record| match &record.event {
        LedgerEvent::KeyCreated { key_id, .. } => {
            made.insert(key_id.clone());
        }
        LedgerEvent::KeyRetired { key_id: Some(key_id), .. } => {
            retired.insert(key_id.clone());
        }
        _ => {}
    });
    whole.expect("the ledger is whole");
    let here: BTreeSet<String> = held.into_iter().map(|one| one.key_id).collect();
    assert_eq!(made.difference(&retired).cloned().collect::<BTreeSet<_>>(), here);
    assert_eq!(made.len(), 2 * tenants, "a key was made although one lay ready");

    // 5. The fresh keys open the mailboxes.
    for number in 0..tenants {
        world.backup(&name(number));
    }
}

fn name(number: usize) -> String {
    format!("t{number}")
}

/// Adds the tenants from a list, as somebody does who looks after many. Gives the thumbprint of each
/// application's key.
fn set_up(world: &World, tenants: usize) -> BTreeMap<String, String> {
    let ids = world.lab.tenants();
    let line = |number: usize| {
        json!({"tenant": name(number), "directory": ids[number], "authority": world.lab.authority(),
               "graph": world.lab.graph(), "keys": ["reader"], "spare": true})
    };
    let import = |lines: Vec<Value>| {
        let list = world.path("list.jsonl");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&list, text).expect("a file of ours");
        let (list, ca) = (list.to_string_lossy().into_owned(), world.lab.ca());
        let ca = ca.to_string_lossy();
        world.mailkeep.json(&["tenant", "import", &list, "--ca", &ca]).ok().json_lines()
    };
    let imported = import((0..tenants).map(line).collect());
    let certificate = |number: usize| {
        let name = name(number);
        let of = imported.iter().find(|one| one["tenant"] == name.as_str()).expect("a line");
        of["certificates"]["reader"]["certificate_pem"].clone()
    };
    let orders: Vec<Value> = (0..tenants)
        .map(|number| {
            json!({"tenant": ids[number], "name": "reader", "roles": READER_ROLES,
                   "certificate": certificate(number)})
        })
        .collect();
    let registered = world.lab.post_all("register", &orders);
    let bound = registered.iter().enumerate().map(|(number, one)| {
        let mut line = line(number);
        line["applications"] =
            json!({"reader": {"client_id": one["client_id"], "object_id": one["object_id"],
                  "key_id": one["key_id"]}});
        line
    });
    import(bound.collect());
    let all = world.lab.applications();
    all.iter().map(|one| (text(&one["client_id"]), text(&one["keys"][0]["thumbprint"]))).collect()
}

/// Tenants whose old key is still there.
fn open_keys(world: &World, before: &BTreeMap<String, String>) -> u64 {
    let all = world.lab.applications();
    let has_old = |application: &&Value| {
        let old = before.get(&text(&application["client_id"]));
        let keys = application["keys"].as_array().into_iter().flatten();
        keys.map(|key| text(&key["thumbprint"])).any(|key| Some(&key) == old)
    };
    all.iter().filter(has_old).count() as u64
}

/// A key that the signer has.
#[derive(Debug)]
struct Held {
    client_id: String,
    key_id: String,
    slot: String,
    thumbprints: [String; 2],
}

impl Held {
    fn is_called(&self, thumbprint: &str) -> bool {
        self.thumbprints.iter().any(|own| own == thumbprint)
    }
}

fn held(world: &World) -> Vec<Held> {
    let lines = world.mailkeep.json(&["identity", "status"]).ok().json_lines();
    let of = |line: &Value| {
        let client_id = text(&line["client_id"]);
        let keys = line["keys"].as_array().cloned().unwrap_or_default();
        let held = move |key: &Value| Held {
            client_id: client_id.clone(),
            key_id: key["key_id"].as_str().unwrap_or_default().to_owned(),
            slot: text(&key["slot"]),
            thumbprints: [text(&key["thumbprint_sha1"]), text(&key["thumbprint_sha256"])],
        };
        keys.iter().map(held).collect::<Vec<_>>()
    };
    lines.iter().flat_map(of).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_ascii_lowercase()
}
