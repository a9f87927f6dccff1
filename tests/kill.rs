//! The power fails, again and again, in the middle of a backup and of a restore.

mod story;

use std::{fs, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use story::{Form, MailTree, Watched, World, compare, copies, number_from, temporary, wait_until};

const PEOPLE: &[&str] = &["ann", "bo", "cy"];

#[test]
fn killing_a_backup_at_any_moment_loses_nothing_and_doubles_nothing() {
    let kills = number_from("MAILKEEP_KILLS").unwrap_or(6);
    let seed = number_from("MAILKEEP_KILL_SEED").unwrap_or(20_261_123);
    eprintln!("MAILKEEP_KILLS={kills} MAILKEEP_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    // 1. Three mailboxes; no backup yet.
    let seed = temporary();
    let mail = MailTree::plain(seed.path().join("mail"), PEOPLE, 400);
    let mut world =
        World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--seed", &mail.root().to_string_lossy()]);
    world.set_up("acme");
    // Many rounds in a pass: much lies between the first that is written and the last.
    let config = world.mailkeep.data().join("config.toml");
    fs::write(config, "[backup]\nround_items = 40\n").expect("a file of ours");
    for person in PEOPLE {
        let more = json!({"mailbox": world.lab.mailbox(person), "messages": 0, "events": 28,
                          "contacts": 12});
        world.lab.post("generate", &more);
    }
    let mut hit = 0;

    // 2. First backups that do not come to their end, then one that does.
    for _ in 0..kills / 2 {
        hit += kill_a_backup(&mut world, mail.messages(), &mut random);
    }
    world.backup("acme");
    let restored = world.restore_with_restic("acme", "first");
    compare(mail.root(), None, &Form::Restored, &restored).is_exact(mail.messages());

    // 3. People go on working while backups are killed.
    for round in kills / 2..kills {
        let work = json!({"seed": round, "create": 60, "change": 30, "move": 20, "delete": 10,
            "events": {"create": 3, "change": 6, "delete": 2},
            "contacts": {"create": 3, "change": 3, "move": 1, "delete": 2}});
        world.lab.post("mutate", &work);
        hit += kill_a_backup(&mut world, 190, &mut random);
    }
    assert!(hit > kills / 2, "only {hit} of {kills} kills were in time");

    // 4. One backup comes to its end.
    let last = world.backup("acme");
    assert_eq!((&last["missed"], &last["failed_mailboxes"]), (&json!([]), &json!([])), "{last}");

    // 5. What it holds is what somebody gets who was never interrupted: same messages, same
    //    folders, same flags, each once.
    let fresh = world.neighbour("fresh");
    fresh.set_up("acme");
    fresh.backup("acme");
    let (expected, found) = (
        fresh.restore_with_restic("acme", "fresh-files"),
        world.restore_with_restic("acme", "last"),
    );
    let messages = mail.messages() + 50 * (kills - kills / 2);
    compare(&expected, None, &Form::Copies, &found).is_exact(messages);

    // 6. Both verifiers are content, and there is nothing left to do.
    world.repository("acme").is_sound();
    world.mailkeep.run(&["verify", "acme", "--read-data"]).ok();
    world.lab.forget_counts();
    assert_eq!(world.backup("acme")["snapshots"], json!([]));
    assert_eq!(world.lab.contents_read(), 0);

    // 7. The ledger has no gap: what was signed was written down before.
    ledger_is_whole(&world);
}

#[test]
fn killing_a_restore_at_any_moment_loses_nothing_and_doubles_nothing() {
    let kills = number_from("MAILKEEP_RESTORE_KILLS").unwrap_or(4);
    let seed = number_from("MAILKEEP_KILL_SEED").unwrap_or(20_261_124);
    eprintln!("MAILKEEP_RESTORE_KILLS={kills} MAILKEEP_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    // 1. A mailbox with mail, events and contacts, backed up.
    let mut world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    world.set_up_restorer("acme");
    let ann = mailbox(&world, "source", 90);
    world.backup("acme");
    let expected = copies(&world.lab.contents(&ann));
    assert!(expected.values().all(|copies| *copies == 1), "told apart: {expected:#?}");

    let mut hit = 0;
    for begun in (0..kills).step_by(KILLS_OF_ONE) {
        // 2. Restores into another mailbox that do not come to their end. Nothing comes back
        //    twice at any time, not even half-made.
        let target = mailbox(&world, &format!("target{begun}"), 0);
        let rounds = (kills - begun).min(KILLS_OF_ONE as u64);
        for left in (1..=rounds).rev() {
            hit += kill_a_restore(&mut world, &ann, &target, left, &mut random);
        }

        // 3. One that does: all is there, each once, and the next one finds nothing to do.
        let last = world.restore(&["acme", &ann, "--to", &target]).ok().json();
        assert_eq!(last["failed"], 0, "{last}");
        assert_eq!(copies(&world.lab.contents(&target)), expected, "after {last}");
        let idle = world.restore(&["acme", &ann, "--to", &target]).ok().json();
        let present = expected.len() + story::SETTINGS;
        assert_eq!((&idle["created"], &idle["present"]), (&json!(0), &json!(present)), "{idle}");
        assert_eq!(copies(&world.lab.contents(&target)), expected, "after {idle}");
    }
    assert!(hit > kills / 2, "only {hit} of {kills} kills were in time");

    // 4. The vault was only read; the ledger has no gap.
    world.repository("acme").is_sound();
    ledger_is_whole(&world);
}

/// Kills of restores into the same mailbox.
const KILLS_OF_ONE: usize = 4;

/// Starts a restore and kills it at a random moment, `left` moments before the mailbox should be
/// whole; sometimes the signer, too. How many were killed: one, or none that had not ended.
fn kill_a_restore(world: &mut World, from: &str, to: &str, left: u64, random: &mut StdRng) -> u64 {
    let missing = count(&world.lab.contents(from)).saturating_sub(count(&world.lab.contents(to)));
    let moment = match random.random_range(0..4) {
        // Before anything is written.
        0 => Moment { requests: random.random_range(0..25), of: ANY },
        _ => Moment { requests: random.random_range(0..=missing / left), of: CREATIONS },
    };
    world.lab.faults(&json!([{"mailbox": to, "delay_ms": 20}]));
    world.lab.forget_counts();
    let restore = world.start_restore(&["acme", from, "--to", to]);
    kill(world, restore, &moment, random)
}

/// A moment, counted in what the provider was asked for, which does not depend on how fast the
/// machine is.
struct Moment {
    requests: u64,
    of: &'static [&'static str],
}

const ANY: &[&str] = &[];
const CREATIONS: &[&str] = &["message.create", "event.create", "contact.create"];

/// Kills what runs at that moment, or a little later: some of what happens is no request.
fn kill(world: &mut World, mut runs: Watched, moment: &Moment, random: &mut StdRng) -> u64 {
    wait_until("the run is so far, or done", || {
        let counters = world.lab.counters();
        let of = |operation: &&str| counters["operations"][*operation]["requests"].as_u64();
        let requests = match moment.of {
            [] => counters["total"]["requests"].as_u64().unwrap_or_default(),
            operations => operations.iter().filter_map(of).sum(),
        };
        runs.has_ended() || requests >= moment.requests
    });
    std::thread::sleep(Duration::from_millis(random.random_range(0..150)));
    let ended = runs.kill();
    eprintln!("{:?} after {} {:?}", ended.code, moment.requests, moment.of);
    world.lab.faults(&json!([]));
    if random.random_range(0..3) == 0 {
        world.kill_signer();
        world.start_signer();
    }
    u64::from(ended.code.is_none())
}

/// Items in a mailbox.
fn count(contents: &Value) -> u64 {
    let of = |kind: &str| contents[kind].as_array().map_or(0, Vec::len) as u64;
    of("messages") + of("events") + of("contacts")
}

/// A mailbox with so many messages, and events and contacts in proportion.
fn mailbox(world: &World, name: &str, messages: usize) -> String {
    let wanted = json!({"mailbox": name, "seed": 5, "messages": messages, "folders": messages / 20,
        "events": messages / 4, "contacts": messages / 5, "bytes": 3000});
    let made = world.lab.post("generate", &wanted);
    made["mailbox"].as_str().expect("an address").to_owned()
}

fn ledger_is_whole(world: &World) {
    let ledger = fs::read(world.ledger()).expect("the ledger");
    mailkeep_identity::ledger::verify(&*ledger).expect("the ledger is whole");
}

/// Starts a backup that takes about so many requests and kills it at a random moment; sometimes the
/// signer, too. How many were killed.
fn kill_a_backup(world: &mut World, requests: u64, random: &mut StdRng) -> u64 {
    let moment = Moment { requests: random.random_range(0..requests), of: ANY };
    world.lab.faults(&json!([{"delay_ms": 10}]));
    world.lab.forget_counts();
    let backup = world.mailkeep.watch(&["backup", "acme"], |_| {});
    kill(world, backup, &moment, random)
}
