//! The signer runs on another machine, and this one reaches it over TLS alone.

mod story;

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use story::World;

#[test]
fn a_backup_needs_the_signer_of_another_machine_and_ends_when_it_is_shut_out() {
    // 1. The signer listens for workers; this machine is not one yet.
    let program = env!("CARGO_BIN_EXE_mailkeep");
    let (world, signer) = World::with_remote_signer(program, &["--mailboxes", "2"]);
    let doctor = world.mailkeep.json(&["doctor"]).exits(1);
    assert!(doctor.text().contains("worker.pem"), "{doctor}");

    // 2. Its key is made here and stays here; the signer gives it a certificate for one tenant.
    let out = world.path("worker");
    let out = out.to_string_lossy();
    let made = world.mailkeep.json(&["signer", "request", "worker-1", "--out", &out]).ok().json();
    let key = fs::metadata(world.path("worker/worker.key")).expect("the worker's key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let request = made["request"].as_str().expect("where the request is");
    let enroll = |tenant: &str| {
        let enroll = ["signer", "enroll", "worker-1", "--request", request, "--out", &out];
        signer.json(&[&enroll[..], &["--tenant", tenant]].concat()).ok().json()
    };
    let enrolled = enroll("acme");
    assert!(!signer.data().join("worker.key").exists());

    // 3. A backup as any other; the signer's ledger names the worker, and this machine has no signer.
    world.set_up("acme");
    world.backup("acme");
    let ann = &world.lab.mailboxes()[0];
    assert_eq!(world.vault_state("acme", ann), world.lab_state(ann));
    assert!(!world.mailkeep.data().join("signer").exists());
    let show = ["identity", "ledger", "show", "--tenant", "acme"];
    let records = signer.json(&show).ok().json_lines();
    let signed: Vec<&Value> =
        records.iter().filter(|record| record.to_string().contains("assertion_signed")).collect();
    assert!(!signed.is_empty(), "{records:#?}");
    let fingerprint = enrolled["worker"]["fingerprint"].as_str().expect("a fingerprint");
    for record in signed {
        let text = record.to_string();
        assert!(text.contains("worker-1") && text.contains(fingerprint), "{text}");
        assert!(!text.contains("\"uid\""), "{text}");
    }

    // 4. It may not ask for another tenant.
    let tenant = world.lab.tenant();
    let add = ["tenant", "add", "other", "--directory", &tenant];
    world.mailkeep.run(&add).exits(12).says(&["may not ask for this tenant"]);

    // 5. It holds its tenant's logs against that tenant's records, which it gets; the whole ledger it does not.
    world.set_up_auditor("acme", &mailkeep_service::auditor_rights());
    world.mailkeep.run(&["identity", "reconcile", "acme"]).ok();
    world.mailkeep.run(&["identity", "ledger", "verify"]).exits(12).says(&["may not ask"]);

    // 6. It is cut off, and says so; the signer itself goes on.
    let listed = signer.json(&["signer", "workers", "list"]).ok().json_lines();
    assert_eq!((listed.len(), &listed[0]["name"]), (1, &Value::from("worker-1")));
    signer.run(&["signer", "workers", "revoke", "worker-1"]).ok();
    world.mailkeep.run(&["backup", "acme"]).exits(12).says(&["was revoked"]);
    signer.run(&["signer", "workers", "revoke", "worker-1"]).exits(10);

    // 7. Enrolled anew, it goes on where it stood.
    enroll("acme");
    assert_eq!(world.backup("acme")["new"], 0);
    let doctor = world.mailkeep.json(&["doctor"]).json_lines();
    let part = |part: &str| doctor.iter().find(|line| line["part"] == part).cloned();
    let certificate = part("certificate for the signer").unwrap_or_default();
    assert_eq!(certificate["state"], "good", "{certificate}");
    assert_eq!(part("signer").unwrap_or_default()["state"], "good");
}
