//! Canaries: what a person sees of them.

mod story;

use std::fs;

use serde_json::{Value, json};
use story::{World, wait_until};

#[test]
fn an_administrator_has_canaries_sent_and_learns_which_way_is_broken() {
    // 1. A tenant that is backed up. Nobody has named mailboxes: no canary is sent.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "3"]);
    world.set_up("acme");
    world.backup("acme");
    let mailboxes = world.lab.mailboxes();
    let (ann, bob) = (mailboxes[0].as_str(), mailboxes[1].as_str());
    world.mailkeep.run(&["identity", "canary", "acme"]).exits(1).says(&["tenant canary acme"]);

    // 2. The application that sends gets its certificate and its right; then the plan.
    world.set_up_prober("acme");
    let plan = ["tenant", "canary", "acme", "--from", bob, "--to", ann, "--every", "10m"];
    world.mailkeep.run(&[&plan[..], &["--deadline", "30s"]].concat()).exits(1).says(&["a minute"]);
    let planned = world.mailkeep.json(&[&plan[..], &["--deadline", "1h"]].concat()).ok().json();
    assert_eq!(planned["plan"]["every_seconds"], 600, "{planned}");

    // 3. One on demand comes through, and is shown as what it is.
    let one = ["identity", "canary", "acme", "--pass"];
    let sent = world.mailkeep.json(&one).ok().json();
    assert_eq!(sent["canary"]["outcome"], "came_through", "{sent}");
    assert_eq!(sent["canary"]["leg"], Value::Null);
    let inbox = format!("{ann}:Inbox");
    let listed = world.mailkeep.json(&["ls", "acme", &inbox]).ok().json_lines();
    let canaries: Vec<&Value> = listed.iter().filter(|one| one["canary"] == true).collect();
    let [canary] = canaries[..] else { panic!("{canaries:?}") };
    let subject = canary["properties"]["subject"].as_str().unwrap_or_default();
    assert_eq!(
        subject,
        format!("Mailkeep canary {}", sent["canary"]["reference"].as_str().unwrap())
    );
    assert!(world.mailkeep.run(&["ls", "acme", &inbox]).ok().text().contains("canary"));

    // 4. Mail of that sender is lost on its way: the command says so, and so do incidents.
    world.lab.post("mail-flow", &json!({ "blocked_senders": [bob] }));
    let lost = world.mailkeep.json(&[&one[..], &["--deadline", "5s"]].concat()).exits(22).json();
    assert_eq!(
        (&lost["canary"]["outcome"], &lost["canary"]["leg"]),
        (&json!("missed"), &json!("not_arrived"))
    );
    let [incident] = &world.mailkeep.json(&["incidents", "acme"]).ok().json_lines()[..] else {
        panic!("one incident")
    };
    assert_eq!(incident["kind"], "canary_missed", "{incident}");
    world.mailkeep.run(&["incidents", "show", &incident["id"].to_string()]).ok().says(&[
        "sent, and not arrived",
        "before: the last one came through",
        "Message trace",
    ]);

    // 5. It is mended, the next one comes through, and the incident ends.
    world.lab.post("mail-flow", &json!({}));
    let again = world.mailkeep.json(&one).ok().json();
    assert_eq!(again["canary"]["outcome"], "came_through", "{again}");
    assert!(world.mailkeep.json(&["incidents", "acme"]).ok().json_lines().is_empty());

    // 6. Switched off, none is sent any more.
    world.mailkeep.run(&["tenant", "canary", "acme", "--off"]).ok().says(&["no canaries are sent"]);
    world.mailkeep.run(&one).exits(1);
}

#[test]
fn a_service_that_is_killed_goes_on_with_the_canary_that_it_sent() {
    // 1. A service that never lives to see its second pass sends the first canary at once.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"]);
    world.set_up("acme");
    world.backup("acme");
    let mailboxes = world.lab.mailboxes();
    world.set_up_prober("acme");
    let (from, to) = (mailboxes[1].as_str(), mailboxes[0].as_str());
    world.mailkeep.run(&["tenant", "canary", "acme", "--from", from, "--to", to]).ok();
    let settings = world.mailkeep.data().join("config.toml");
    fs::write(&settings, "[serve]\ninterval_seconds = 86400\n").expect("settings");
    let serve = world.mailkeep.watch(&["serve"], |_| {});
    wait_until("a canary is sent", || world.lab.requests(Some("sendmail")) == 1);
    serve.kill();

    // 2. The next one finds it in its first pass, and sends no second one.
    let serve = world.mailkeep.watch(&["serve"], |_| {});
    let newest = || {
        let shown = world.mailkeep.json(&["tenant", "canary", "acme"]).ok().json();
        shown["canaries"].as_array().cloned().unwrap_or_default()
    };
    wait_until("it comes through", || newest()[0]["outcome"] == "came_through");
    assert_eq!((newest().len(), world.lab.requests(Some("sendmail"))), (1, 1));
    serve.interrupt().ok();
}
