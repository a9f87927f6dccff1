//! The listener for notifications gets its certificate by itself, and the provider believes it.

#[path = "story/pebble.rs"]
mod pebble;
mod story;

use std::{
    fs,
    process::Command,
    sync::{Arc, Mutex},
};

use pebble::{Pebble, free_address};
use serde_json::{Value, json};
use story::{World, run, wait_until};

#[test]
fn a_listener_without_anything_in_front_is_notified_under_a_certificate_that_it_got_itself() {
    // 1. A certificate authority, and a service whose listener has no certificate yet.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"]);
    let listen = free_address();
    let pebble = Pebble::start(listen);
    let settings = format!(
        "[serve]\ninterval_seconds = 86400\n[serve.notifications]\nlisten = \"{listen}\"\n\
         url = \"https://localhost:{}/told\"\nacme_directory = \"{}\"\nacme_ca = {:?}\n",
        listen.port(),
        pebble.directory(),
        pebble.ca()
    );
    fs::write(world.mailkeep.data().join("config.toml"), settings).expect("settings");
    let certificate = || {
        let doctor = world.mailkeep.json(&["doctor"]).json_lines();
        let is = |line: &&Value| line["part"] == "certificate for notifications";
        doctor.iter().find(is).cloned().unwrap_or_default()
    };
    world.mailkeep.run(&["tenant", "list"]).ok();
    assert_eq!(certificate()["state"], "missing");

    // 2. It orders one and answers the challenge itself; the doctor says what serves.
    let reports: Arc<Mutex<Vec<Value>>> = Arc::default();
    let heard = Arc::clone(&reports);
    let serve = world.mailkeep.watch(&["serve"], move |line| {
        let report = serde_json::from_str(line).unwrap_or_default();
        heard.lock().expect("no thread has failed").push(report);
    });
    wait_until("a certificate serves", || certificate()["state"] == "good");
    let detail = certificate()["detail"].to_string();
    assert!(detail.contains("localhost") && detail.contains("valid until"), "{detail}");

    // 3. The provider, which believes that authority and nobody else, subscribes and notifies.
    let root = pebble.root();
    world.lab.post("notifications", &json!({"trust": root}));
    world.set_up("acme");
    let last = || reports.lock().expect("no thread has failed").last().cloned().unwrap_or_default();
    wait_until("the first pass ends", || last()["mailboxes"] == 2);
    wait_until("everything is subscribed to", || {
        let shown = world.lab.post("notifications", &json!({}));
        shown["subscriptions"].as_object().is_some_and(|all| all.len() == 6)
    });
    let ann = &world.lab.mailboxes()[0];
    world.lab.post("mutate", &json!({"mailbox": ann, "seed": 1, "create": 2}));
    wait_until("the mail is in the vault", || last()["new"] == 2);

    // 4. At the next start it serves at once, although the authority is away.
    serve.interrupt().ok();
    drop(pebble);
    let serve = world.mailkeep.watch(&["serve"], |_| {});
    fs::write(world.path("root.pem"), root).expect("a file");
    wait_until("the listener shakes hands under its certificate", || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--tlsv1.3", "--request", "POST", "--cacert"]);
        curl.arg(world.path("root.pem"));
        curl.arg(format!("https://localhost:{}/told?validationToken=hello", listen.port()));
        run(&mut curl, b"").text() == "hello"
    });
    serve.interrupt().ok();
    assert_eq!(certificate()["detail"].to_string(), detail);
}
