//! Somebody used a token as us: one tenant, and many, get a report that can be handed on.

mod story;

use std::{fs, process::Command};

use serde_json::{Value, json};
use story::{World, run};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// One line of an export of the log of requests: a token that is none of ours, and an address with markup.
fn foreign_request(client_id: &str) -> String {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).expect("a time");
    json!({
        "category": "MicrosoftGraphActivityLogs",
        "time": now,
        "properties": {
            "timeGenerated": now,
            "requestId": "5c1f0b51-3a74-4a5b-8b7e-1d0a5f3c9e11",
            "appId": client_id,
            "signInActivityId": "Zm9yZWlnbi10b2tlbg",
            "ipAddress": "203.0.113.9",
            "requestMethod": "GET",
            "requestUri": "https://graph.microsoft.com/v1.0/users/<script>/messages",
            "responseStatusCode": 200,
        },
    })
    .to_string()
}

/// Damages what is kept of a tenant's keys, as a disk would.
fn damage(world: &World, tenant: &str) {
    const DAMAGE: &str = "import sqlite3, sys\n\
        database = sqlite3.connect(sys.argv[1])\n\
        done = database.execute('UPDATE key_states SET state = ? WHERE tenant_id = \
            (SELECT id FROM tenants WHERE name = ?)', ('\"?\"', sys.argv[2]))\n\
        assert done.rowcount > 0\n\
        database.commit()";
    let file = world.mailkeep.data().join("control.sqlite");
    run(Command::new("python3").args(["-c", DAMAGE]).arg(file).arg(tenant), b"").ok();
}

#[test]
fn what_a_token_reached_is_told_of_one_tenant_and_of_all_whatever_happens_to_one_of_them() {
    // 1. Three tenants; one of them was only just added.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"]);
    let client_id = world.set_up("acme");
    world.set_up_auditor("acme", &mailkeep_service::auditor_rights());
    world.backup("acme");
    world.set_up("broken");
    world.add_tenant("added");

    // 2. The export of requests shows a token of the reader that nobody here asked for.
    let export = world.path("export.jsonl");
    fs::write(&export, foreign_request(&client_id)).expect("an export");
    let reconcile = ["identity", "reconcile", "acme", "--calls", &export.to_string_lossy()];
    world.mailkeep.run(&reconcile).exits(22);

    // 3. The report says so, as text, as JSON and as a page.
    let page = world.path("acme.html");
    let blast = ["identity", "blast-radius", "acme", "--html", &page.to_string_lossy()];
    let text = world.mailkeep.run(&blast).ok().text();
    assert!(text.contains("Zm9yZWlnbi10b2tlbg") && text.contains("203.0.113.9"), "{text}");
    assert!(text.contains("What this is read from"), "{text}");
    let report = world.mailkeep.json(&["identity", "blast-radius", "acme"]).ok().json();
    assert_eq!(report["tenant"], "acme");
    assert_eq!(report["tokens"][0]["requests"], 1, "{report}");
    assert_eq!(report["logs"]["calls"]["is"], "read", "{report}");
    assert_eq!(report["incidents"][0]["state"], "open", "{report}");
    let html = fs::read_to_string(&page).expect("a page");
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"), "{html}");
    assert!(html.contains("Zm9yZWlnbi10b2tlbg") && !html.contains("<script"), "{html}");
    assert!(html.contains("<b>A token may still work</b>"), "{html}");

    // 4. What is kept of another tenant is damaged. The others have their reports, those reached first, and
    //    the program says that one is missing.
    world.mailkeep.run(&["identity", "blast-radius", "broken"]).ok();
    damage(&world, "broken");
    let page = world.path("all.html");
    let all = ["identity", "blast-radius", "--all", "--html", &page.to_string_lossy()];
    let lines = world.mailkeep.json(&all).exits(3).json_lines();
    let tenants: Vec<&Value> = lines.iter().map(|line| &line["tenant"]).collect();
    assert_eq!(tenants, ["acme", "added", "broken"], "{lines:?}");
    assert_eq!((&lines[0]["reached"], &lines[1]["reached"]), (&json!(true), &json!(false)));
    assert!(lines[2]["error"].as_str().is_some_and(|why| why.contains("broken")), "{lines:?}");
    let html = fs::read_to_string(&page).expect("a page");
    assert!(
        html.contains("<a href=\"#t0\">acme</a>") && html.contains("<b>no report</b>"),
        "{html}"
    );
    assert!(!html.contains("<h2>added"), "{html}");

    // 5. One tenant or all, not both and not none.
    world.mailkeep.run(&["identity", "blast-radius"]).exits(2);
    world.mailkeep.run(&["identity", "blast-radius", "acme", "--all"]).exits(2);
}
