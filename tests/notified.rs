//! `mailkeep serve` is told that mail arrived, and does not wait for its next pass.

mod story;

use std::{
    fs,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use story::{World, wait_until};

#[test]
fn mail_is_in_the_vault_soon_after_it_arrived_although_the_next_pass_is_a_day_away() {
    // 1. A service with notifications, and an interval that this story does not live to see.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"]);
    world.set_up("acme");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let settings = format!(
        "[serve]\ninterval_seconds = 86400\n\
         notifications = {{ listen = \"{free}\", url = \"http://{free}/told\" }}\n"
    );
    fs::write(world.mailkeep.data().join("config.toml"), settings).expect("settings");
    let reports: Arc<Mutex<Vec<Value>>> = Arc::default();
    let heard = Arc::clone(&reports);
    let serve = world.mailkeep.watch(&["serve"], move |line| {
        let report = serde_json::from_str(line).unwrap_or_default();
        heard.lock().expect("no thread has failed").push(report);
    });
    let last = || reports.lock().expect("no thread has failed").last().cloned().unwrap_or_default();

    // 2. It makes its first pass, and subscribes to mail, events and contacts of both mailboxes.
    wait_until("the first pass ends", || last()["mailboxes"] == 2);
    wait_until("everything is subscribed to", || {
        let shown = world.lab.post("notifications", &json!({}));
        shown["subscriptions"].as_object().is_some_and(|all| all.len() == 6)
    });

    // 3. Mail arrives in one of them, and only that one is read.
    let ann = &world.lab.mailboxes()[0];
    world.lab.post("mutate", &json!({"mailbox": ann, "seed": 1, "create": 2}));
    let arrived = Instant::now();
    wait_until("the mail is in the vault", || last()["new"] == 2);
    assert!(arrived.elapsed() < Duration::from_secs(60), "{:?}", arrived.elapsed());
    assert_eq!(last()["mailboxes"], 1, "{}", last());

    // 4. It ends when it is told to. Its subscriptions stay for the next start.
    serve.interrupt().ok();
    let shown = world.lab.post("notifications", &json!({}));
    assert_eq!(shown["subscriptions"].as_object().map(|all| all.len()), Some(6));
}
