//! A colleague's bad mail is taken out of everybody's mailbox, and put back.

mod story;

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};
use story::{MailTree, World, wait_until};

/// What a mailbox holds by the ids of messages, with all that an owner sees of each; what only a server
/// sees of a move (its change key, when it was modified) is left out.
fn messages(world: &World, mailbox: &str) -> BTreeMap<String, Value> {
    let contents = world.lab.contents(mailbox);
    let mut all = BTreeMap::new();
    for message in contents["messages"].as_array().into_iter().flatten() {
        let mut seen = message.clone();
        for moved in ["modified", "change_key", "changed"] {
            seen.as_object_mut().expect("an object").remove(moved);
        }
        all.insert(message["id"].as_str().expect("an id").to_owned(), seen);
    }
    all
}

fn in_sight(messages: &BTreeMap<String, Value>, message_id: &str) -> usize {
    let is_it = |message: &&Value| {
        message["internet_message_id"] == message_id && message["hidden"] == false
    };
    messages.values().filter(is_it).count()
}

fn bad_mail(from: &str, id: &str) -> String {
    format!(
        "From: Ann <{from}>\r\nTo: everybody@own.example\r\nSubject: Your invoice\r\n\
         Message-ID: {id}\r\nDate: Fri, 27 Nov 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/html; charset=utf-8\r\n\r\n\
         <p>Please pay <a href=\"https://pay.evil.example/i?x=1\">here</a>.</p>\r\n"
    )
}

/// Names of people, which are also their mailboxes'.
fn people(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("p{number:03}")).collect()
}

fn world(mailboxes: usize) -> (World, Vec<String>) {
    let names = people(mailboxes);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let place = story::temporary();
    let mail = MailTree::plain(place.path().join("seed"), &names, 4);
    let root = mail.root().to_string_lossy().into_owned();
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--seed", &root]);
    world.set_up("acme");
    let all = world.lab.mailboxes();
    (world, all)
}

#[test]
fn bad_mail_is_taken_out_of_two_hundred_mailboxes_and_put_back_as_it_was() {
    const ID: &str = "<bad-1@own.example>";
    // 1. A tenant with a responder, backed up once: that is how its mailboxes are known.
    let (world, all) = world(200);
    world.backup("acme");
    let quarantine = ["remedy", "quarantine", "--message-id", ID];
    world.mailkeep.run(&quarantine).exits(12).says(&["the responder application"]);
    world.set_up_responder("acme");

    // 2. A colleague sends it to all. Some have read, flagged, moved and purged it by then.
    let ann = all[0].as_str();
    world.lab.post("send", &json!({"from": ann, "to": all[1..], "mime": bad_mail(ann, ID)}));
    let newest = |mailbox: &str, what: &str| {
        let order = json!({"mailbox": mailbox, "newest": 1, "seed": 1, what: 1});
        world.lab.post("mutate", &order);
    };
    newest(&all[1], "change");
    newest(&all[2], "move");
    newest(&all[3], "delete");
    world.backup("acme");
    let before: Vec<_> = all.iter().map(|mailbox| messages(&world, mailbox)).collect();

    // 3. Looking first changes nothing.
    let look = world.mailkeep.json(&[&quarantine[..], &["--dry-run"]].concat()).ok();
    assert_eq!(look.json_lines().len(), 200, "{look}");
    let untouched: Vec<_> = all.iter().map(|mailbox| messages(&world, mailbox)).collect();
    assert_eq!(untouched, before, "a dry run changed something");

    // 4. Quarantine, killed in the middle, again and again, comes to its end all the same.
    let order =
        world.mailkeep.json(&[&quarantine[..], &["--no-wait", "--why", "a complaint"]].concat());
    let remedy = order.ok().json()["remedy"].as_i64().expect("a number");
    for moves in [20, 90, 150] {
        let again = world.mailkeep.watch(&quarantine, |_| {});
        wait_until("some are moved", || world.lab.requests(Some("message.move")) >= moves);
        again.kill();
    }
    let done = world.mailkeep.json(&quarantine).ok().json();
    assert_eq!((&done["remedy"], &done["copies"]), (&json!(remedy), &json!({"quarantined": 200})));
    for mailbox in &all {
        assert_eq!(in_sight(&messages(&world, mailbox), ID), 0, "{mailbox} still shows it");
    }
    // Each was moved into quarantine once: nothing that a killed run did was done to another message.
    let shown = world.mailkeep.json(&["remedy", "show", &remedy.to_string()]).ok().json();
    let recipients = shown["recipients"].as_array().expect("one each");
    assert_eq!(recipients.len(), 200);
    assert!(recipients.iter().all(|one| one["state"] == "quarantined"), "{shown}");

    // 5. The backup does not say that its owner deleted it.
    world.backup("acme");
    let hidden = world.mailkeep.json(&["ls", "acme", &format!("{}:Mailkeep Quarantine", all[5])]);
    assert_eq!(hidden.ok().json_lines().len(), 1);

    // 6. Only the responder's key wrote; the reader's wrote nothing.
    let applications = world.lab.applications();
    let id_of = |name: &str| {
        let found = applications.iter().find(|one| one["name"] == name);
        found.expect("it is registered")["client_id"].clone()
    };
    let (reader, responder) = (id_of("Mailkeep reader"), id_of("Mailkeep responder"));
    let writes: Vec<Value> = world
        .lab
        .log("activity")
        .into_iter()
        .filter(|one| {
            let to_batch = one["requestUri"].as_str().is_some_and(|uri| uri.contains("$batch"));
            one["requestMethod"] != "GET" && !to_batch
        })
        .collect();
    assert!(writes.iter().any(|one| one["appId"] == responder), "{:?}", writes.first());
    assert!(writes.iter().all(|one| one["appId"] != reader), "the reader wrote");

    // 7. Released, everything is as it was; a rule, or the order that took it, does not take it again.
    let release = world.mailkeep.json(&["remedy", "release", "--message-id", ID]).ok().json();
    assert_eq!(release["copies"], json!({"released": 200}), "{release}");
    for (mailbox, before) in all.iter().zip(&before) {
        let after = messages(&world, mailbox);
        if mailbox == &all[3] {
            // What was purged cannot be put back among what was purged: it is said so.
            continue;
        }
        assert_eq!(&after, before, "{mailbox} is not as it was");
    }
    let shown = world.mailkeep.run(&["remedy", "list"]).ok().text();
    assert!(shown.contains("200 released"), "{shown}");
}

#[test]
fn serve_carries_out_orders_and_takes_copies_that_come_later() {
    const ID: &str = "<late@own.example>";
    let (world, all) = world(6);
    world.backup("acme");
    world.set_up_responder("acme");
    fs::write(world.mailkeep.data().join("config.toml"), "[serve]\ninterval_seconds = 3600\n")
        .expect("settings");
    let serve = world.mailkeep.watch(&["serve"], |_| {});
    let ann = all[0].as_str();
    let send = |to: &[String]| {
        world.lab.post("send", &json!({"from": ann, "to": to, "mime": bad_mail(ann, ID)}));
    };
    let gone = |mailbox: &String| in_sight(&messages(&world, mailbox), ID) == 0;

    // 1. Ordered and left to the service.
    send(&all[1..4]);
    let order = ["remedy", "remove", "--message-id", ID, "--no-wait"];
    world.mailkeep.run(&order).exits(2).says(&["--yes"]);
    assert!(!gone(&all[1]), "an order that was refused was carried out");
    let given = world.mailkeep.json(&[&order[..], &["--yes"]].concat()).ok().json();
    // By its number it is for all mailboxes, too.
    let number = given["remedy"].to_string();
    world.mailkeep.run(&["remedy", "remove", "--remedy", &number]).exits(2).says(&["--yes"]);
    wait_until("all have it no more", || all.iter().all(gone));

    // 2. The delivery of the rest was late.
    send(&all[4..]);
    assert!(!gone(&all[4]));
    wait_until("the late ones are gone, too", || all.iter().all(gone));
    // 3. Whoever kills the service in the middle finds the rest done by the next one.
    serve.kill();
    world.lab.post("send", &json!({"to": [all[2]], "mime": bad_mail(ann, ID)}));
    let serve = world.mailkeep.watch(&["serve"], |_| {});
    wait_until("what came while nobody was there is gone", || all.iter().all(gone));
    serve.interrupt().ok();

    // 4. Put back into one mailbox alone, and taken again from nobody.
    let one = ["remedy", "release", "--message-id", ID, "--mailbox", &all[1]];
    world.mailkeep.run(&one).ok().says(&["1 released"]);
    assert!(!gone(&all[1]) && gone(&all[5]));
}
