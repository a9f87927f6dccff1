//! The power fails, again and again, in the middle of a backup.

mod story;

use std::{fs, process::Child};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use story::{Form, MailTree, World, compare, number_from, temporary, wait_until};

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

    // 2. First backups that do not come to their end, then one that does.
    for _ in 0..kills / 2 {
        kill_a_backup(&mut world, &mut random);
    }
    world.backup("acme");
    let restored = world.restore("acme", "first");
    compare(mail.root(), None, &Form::Restored, &restored).is_exact(mail.messages());

    // 3. People go on working while backups are killed.
    for round in kills / 2..kills {
        let work = json!({"seed": round, "create": 60, "change": 30, "move": 20, "delete": 10});
        world.lab.post("mutate", &work);
        kill_a_backup(&mut world, &mut random);
    }

    // 4. One backup comes to its end.
    let last = world.backup("acme");
    assert_eq!((&last["missed"], &last["failed_mailboxes"]), (&json!([]), &json!([])), "{last}");

    // 5. What it holds is what somebody gets who was never interrupted: same messages, same
    //    folders, same flags, each once.
    let fresh = world.neighbour("fresh");
    fresh.set_up("acme");
    fresh.backup("acme");
    let (expected, found) = (fresh.restore("acme", "fresh-files"), world.restore("acme", "last"));
    let messages = mail.messages() + 50 * (kills - kills / 2);
    compare(&expected, None, &Form::Copies, &found).is_exact(messages);

    // 6. Both verifiers are content, and there is nothing left to do.
    world.repository("acme").is_sound();
    world.mailkeep.run(&["verify", "acme", "--read-data"]).ok();
    world.lab.forget_counts();
    assert_eq!(world.backup("acme")["snapshots"], json!([]));
    assert_eq!(world.lab.contents_read(), 0);

    // 7. The ledger has no gap: what was signed was written down before.
    let ledger = fs::read(world.ledger()).expect("the ledger");
    mailkeep_identity::ledger::verify(&*ledger).expect("the ledger is whole");
}

/// Starts a backup and kills it at a random moment; sometimes the signer, too.
fn kill_a_backup(world: &mut World, random: &mut StdRng) {
    world.lab.forget_counts();
    let mut backup = world.mailkeep.spawn(&["backup", "acme"]);
    // Moments are counted in what the provider was asked for, which does not depend on how fast
    // the machine is, and then in time, to hit the writing of rounds, too.
    let requests = random.random_range(0..700);
    let milliseconds = random.random_range(0..400);
    wait_until("the backup is so far, or done", || {
        has_ended(&mut backup) || world.lab.requests(None) >= requests
    });
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    backup.kill().expect("a child of ours can be killed");
    backup.wait().expect("a child of ours ends");
    if random.random_range(0..3) == 0 {
        world.kill_signer();
        world.start_signer();
    }
}

fn has_ended(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)))
}
