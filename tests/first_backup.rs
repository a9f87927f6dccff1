//! An administrator sets Mailkeep up, backs two mailboxes up, finds everything again, and is
//! shown that it can all be read without Mailkeep.

mod story;

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use story::{Form, MailTree, World, compare, temporary};

#[test]
fn what_was_mailed_can_be_found_read_and_restored_without_us() {
    // 1. A provider with two mailboxes, and in them the oddest mail that we could think of.
    let seed = temporary();
    let mail = MailTree::odd(seed.path().join("mail"));
    let world =
        World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--seed", &mail.root().to_string_lossy()]);
    let (ann, bo) = (world.lab.mailbox("ann"), world.lab.mailbox("bo"));

    // 2. The tenant gets a key, the administrator registers its certificate, every right is tried.
    world.set_up("acme");
    let checks = world.mailkeep.json(&["tenant", "check", "acme"]).ok().json_lines();
    let (restorer, others): (Vec<_>, Vec<_>) =
        checks.iter().partition(|check| check["check"] == "restorer application");
    assert!(others.iter().all(|check| check["outcome"] == "good"), "{checks:#?}");
    // Nobody has asked for restores into mailboxes yet.
    assert!(restorer.len() == 1 && restorer[0]["outcome"] == "missing", "{checks:#?}");

    // 3. The first backup reads every message once and leaves none out.
    world.lab.forget_counts();
    let first = world.backup("acme");
    // Each mailbox has settings of its own, and the six categories that every new one has.
    let settings = 2 * (1 + 6);
    assert_eq!(first["new"], mail.messages() + settings, "{first}");
    assert_eq!((&first["missed"], &first["failed_mailboxes"]), (&json!([]), &json!([])), "{first}");
    assert_eq!(world.lab.contents_read(), mail.messages());
    // Every token was asked for with an assertion of its own.
    assert_eq!(world.lab.counters()["assertions_reused"], 0);

    // 4. It can be looked at: mailboxes, folders (the empty one, too), messages.
    let listed = world.mailkeep.json(&["ls", "acme"]).ok().json_lines();
    let addresses: Vec<&Value> = listed.iter().map(|line| &line["mailbox"]).collect();
    assert_eq!(addresses, [&ann, &bo]);
    let folders = world.mailkeep.json(&["ls", "acme", &ann]).ok().json_lines();
    let empty = folders.iter().find(|folder| folder["path"] == "Empty");
    assert_eq!(empty.map(|folder| &folder["items"]), Some(&json!(0)), "{folders:#?}");
    let items = world.items("acme", &ann, &[]);
    let plain = items.values().find(|item| item["properties"]["subject"] == "plain");
    let plain = plain.expect("the message with the subject 'plain'")["item"].as_str().unwrap();

    // 5. One message is read, byte for byte, with the line ends of the wire.
    let read = world.mailkeep.run(&["cat", "acme", plain]).ok();
    assert!(read.text().ends_with("Subject: plain\r\n\r\nHello.\r\n"), "{read}");

    // 6. A mailbox is exported, as files and as mboxes; Python finds the same messages in both.
    for (form, name) in [(Form::Eml, "eml"), (Form::Mbox, "mbox")] {
        let out = world.path(name);
        let out_argument = out.to_string_lossy();
        let export = ["export", "acme", &ann, "--format", name, "--out", &out_argument];
        world.mailkeep.run(&export).ok();
        compare(mail.root(), Some("ann"), &form, &out).is_exact(mail.messages_of("ann"));
    }

    // 7. Stock restic, with the recovery kit alone, checks and restores all of it.
    world.repository("acme").is_sound();
    let restored = world.restore_with_restic("acme", "restored");
    compare(mail.root(), None, &Form::Restored, &restored).is_exact(mail.messages());

    // 8. Nothing happens: nothing is read again, no snapshot is made.
    world.lab.forget_counts();
    let idle = world.backup("acme");
    assert_eq!((&idle["snapshots"], &idle["new"]), (&json!([]), &json!(0)), "{idle}");
    assert_eq!(world.lab.contents_read(), 0);

    // 9. People work: mail arrives, is read, flagged, sorted into folders, deleted.
    let changes = json!({"seed": 7, "create": 5, "change": 6, "move": 4, "delete": 3});
    let work = world.lab.post("mutate", &changes);
    let before_that = world.mailkeep.json(&["snapshots", "acme"]).ok().json();
    let before_that = before_that["time"].as_str().expect("the time of a snapshot").to_owned();
    let before = both(&world, &[&ann, &bo], &[]);

    // 10. The second backup reads the content of what is new, and of nothing else.
    world.lab.forget_counts();
    let second = world.backup("acme");
    assert_eq!((&second["new"], &second["removed"]), (&json!(5), &json!(3)), "{second}");
    assert_eq!(world.lab.contents_read(), 5);

    // 11. The vault shows the mailboxes as they are now, and on request as they were.
    let now = both(&world, &[&ann, &bo], &[]);
    let ids = |what: &str| -> BTreeSet<String> {
        let entries = work[what].as_array().into_iter().flatten();
        entries.map(|entry| entry["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let new: BTreeSet<String> =
        now.keys().filter(|id| !before.contains_key(*id)).cloned().collect();
    let gone: BTreeSet<String> =
        before.keys().filter(|id| !now.contains_key(*id)).cloned().collect();
    assert_eq!((new, gone), (ids("created"), ids("deleted")));
    for entry in work["changed"].as_array().unwrap() {
        let (id, field) = (entry["id"].as_str().unwrap(), property(&entry["what"]));
        let values = (&before[id]["properties"][field], &now[id]["properties"][field]);
        assert_ne!(values.0, values.1, "{field} of {id} changed");
    }
    for entry in work["moved"].as_array().unwrap() {
        let moved = &now[entry["id"].as_str().unwrap()];
        assert_eq!(moved["properties"]["folder"], entry["to"], "{moved}");
    }
    assert_eq!(both(&world, &[&ann, &bo], &["--at", &before_that]), before);

    // 12. Mailkeep and restic both find the repository sound.
    world.mailkeep.run(&["verify", "acme", "--read-data"]).ok().says(&["no damage"]);
    world.repository("acme").is_sound();

    // 13. Every key that was used and every secret that was handed out is in the ledger.
    let ledger = fs::read(world.ledger()).expect("the ledger");
    let mut signed = 0;
    mailkeep_identity::ledger::verify_each(&*ledger, |record| {
        let event = &record.event;
        let is_signature =
            matches!(event, mailkeep_identity::ledger::LedgerEvent::AssertionSigned { .. });
        signed += u64::from(is_signature);
    })
    .expect("the ledger is as the signer wrote it");
    assert!(signed > 0, "no signature in the ledger");
}

/// The messages of both mailboxes by the provider's id.
fn both(
    world: &World,
    mailboxes: &[&str],
    more: &[&str],
) -> std::collections::BTreeMap<String, Value> {
    mailboxes.iter().flat_map(|mailbox| world.items("acme", mailbox, more)).collect()
}

/// The property that a kind of change of the lab touches.
fn property(what: &Value) -> &'static str {
    match what.as_str() {
        Some("read") => "read",
        Some("flag") => "follow_up",
        _ => "categories",
    }
}
