//! Everything that can stand in the way of a backup: what Mailkeep says, how it ends, and that
//! what is in the vault stays safe.

mod story;

use std::{fs, path::Path};

use serde_json::json;
use story::{READER_ROLES, RESTORER_ROLES, Run, SmallDisk, World, wait_until};

/// A lab with two mailboxes of built-in mail, nobody registered.
fn world() -> World {
    World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"])
}

/// What is in the vault is still there, readable and sound.
fn vault_is_safe(world: &World, messages: u64) {
    assert_eq!(messages_in(world), messages);
}

/// Messages in the newest snapshot, every byte of it checked.
fn messages_in(world: &World) -> u64 {
    let verified = world.mailkeep.json(&["verify", "acme", "--read-data"]).ok().json();
    verified["items"].as_u64().unwrap_or_else(|| panic!("no items in {verified}"))
}

fn backup(world: &World) -> Run {
    world.mailkeep.run(&["backup", "acme"])
}

#[test]
fn a_certificate_that_is_not_registered_is_named_as_the_reason() {
    // 1. The administrator uploads another tenant's certificate by mistake.
    let world = world();
    let wrong = world.add_tenant("other");
    let right = world.add_tenant("acme");
    let client_id = world.lab.register("Mailkeep reader", &wrong, READER_ROLES);
    world.name_client("acme", &client_id);

    // 2. Check and backup both say what Entra ID said and what to do about it.
    let check = world.mailkeep.run(&["tenant", "check", "acme"]);
    check.exits(12).says(&["AADSTS700027", "certificate"]);
    backup(&world).exits(12).says(&["acme", "AADSTS700027", "certificate"]);

    // 3. With the right certificate it works, without anything else to set up.
    world.lab.change_application(&client_id, &json!({"add_certificate": right}));
    world.mailkeep.run(&["tenant", "check", "acme"]).ok();
    backup(&world).ok();
}

#[test]
fn a_revoked_key_ends_backups_and_not_what_was_backed_up() {
    // 1. A backup, as every day.
    let world = world();
    let certificate = world.add_tenant("acme");
    let client_id = world.lab.register("Mailkeep reader", &certificate, READER_ROLES);
    world.name_client("acme", &client_id);
    world.backup("acme");
    let messages = messages_in(&world);

    // 2. The administrator removes the key.
    let key = world.lab.key_of(&client_id);
    world.lab.change_application(&client_id, &json!({"remove_key": key}));
    backup(&world).exits(12).says(&["acme", "AADSTS", "key"]);
    vault_is_safe(&world, messages);

    // 3. The principal is disabled: another number, the same end.
    world
        .lab
        .change_application(&client_id, &json!({"add_certificate": certificate, "enabled": false}));
    backup(&world).exits(12).says(&["acme", "AADSTS"]);

    // 4. Both are taken back.
    world.lab.change_application(&client_id, &json!({"enabled": true}));
    backup(&world).ok();
    vault_is_safe(&world, messages);
}

#[test]
fn a_right_that_is_missing_is_named() {
    for right in READER_ROLES {
        // 1. The administrator forgets one right.
        let world = world();
        let certificate = world.add_tenant("acme");
        let others: Vec<&str> = READER_ROLES.iter().copied().filter(|one| one != right).collect();
        let client_id = world.lab.register("Mailkeep reader", &certificate, &others);
        world.name_client("acme", &client_id);

        // 2. Check and backup name it. Without a right to calendars the mail is safe all the same.
        world.mailkeep.run(&["tenant", "check", "acme"]).exits(12).says(&[right]);
        let partly = ["Calendars.Read", "Contacts.Read", "MailboxSettings.Read"].contains(right);
        let run = backup(&world).exits(if partly { 3 } else { 12 }).says(&[right, "grant"]);
        if partly {
            // And that it is not all of the mailbox.
            let what = right.trim_end_matches(".Read").trim_start_matches("Mailbox");
            let what = what.to_lowercase();
            run.says(&[&format!("{what} not backed up"), "mail is not affected"]);
        }

        // 3. Granted, it works.
        world.lab.change_application(&client_id, &json!({"roles": READER_ROLES}));
        backup(&world).ok();
    }
}

#[test]
fn a_right_that_the_restorer_lacks_is_named_as_the_restorers_and_costs_its_items_alone() {
    // 1. A backup, and a restorer that may write mail and contacts only.
    let world = world();
    world.set_up("acme");
    let not_yet = world.mailkeep.run(&["tenant", "check", "acme"]);
    not_yet.ok().says(&["missing", "restorer application", "--client-id restorer="]);
    let shown = world.mailkeep.run(&["tenant", "show", "acme"]);
    shown.ok().says(&["'Mailkeep restorer'", "Calendars.ReadWrite"]);
    let restorer = world.set_up_restorer("acme");
    let check = world.mailkeep.run(&["tenant", "check", "acme"]);
    check.ok().says(&["untried", &restorer, "Calendars.ReadWrite"]);
    let mailbox = world.lab.mailboxes()[0].clone();
    world.backup("acme");
    let roles = RESTORER_ROLES.iter().filter(|right| !right.starts_with("Calendars"));
    let roles: Vec<&str> = roles.copied().collect();
    world.lab.change_application(&restorer, &json!({"roles": roles}));

    // 2. Mail and contacts come back; of the events it is said which application lacks what.
    let target = format!("{mailbox}:Back");
    let arguments = ["acme", &mailbox, "--to", &target];
    let run = world.restore(&arguments).exits(3);
    let run = run.says(&["restorer application", "Grant it Calendars.ReadWrite"]);
    let first = run.json();
    assert!(first["created"].as_u64() > Some(0) && first["failed"].as_u64() > Some(0), "{first}");
    for line in run.json_lines().iter().filter(|line| line["outcome"] == "failed") {
        assert_eq!(line["kind"], "event", "{line}");
    }

    // 3. Granted, the same command does the rest.
    world.lab.change_application(&restorer, &json!({"roles": RESTORER_ROLES}));
    let second = world.restore(&arguments).ok().json();
    assert_eq!((&second["created"], &second["present"]), (&first["failed"], &first["created"]));
}

#[test]
fn an_interrupted_restore_tells_how_far_it_came_and_goes_on_from_there() {
    // 1. A restore that takes its time.
    let world = world();
    world.set_up("acme");
    world.set_up_restorer("acme");
    world.backup("acme");
    let mailbox = world.lab.mailboxes()[0].clone();
    let target = format!("{mailbox}:Back");
    let arguments = ["acme", &mailbox, "--to", &target];
    world.lab.faults(&json!([{"operation": "message.create", "delay_ms": 400}]));
    world.lab.forget_counts();
    let restore = world.start_restore(&arguments);
    wait_until("the restore writes", || world.lab.requests(Some("message.create")) > 6);

    // 2. Somebody presses Ctrl-C: the report says what was done and what was not even tried.
    let cut = restore.interrupt().exits(3).json();
    assert_eq!(cut["stopped"], "interrupted", "{cut}");
    let (made, left) = (cut["created"].as_u64().unwrap(), cut["not_tried"].as_u64().unwrap());
    assert!(made > 0 && left > 0, "{cut}");
    assert_eq!(cut["problems"], json!([]));
    let checked = world.mailkeep.json(&["tenant", "check", "acme"]).ok().json_lines();
    assert!(checked.iter().all(|one| one["check"] != "restorer key"), "it is still there");

    // 3. The same command does the rest, and nothing twice.
    world.lab.faults(&json!([]));
    let rest = world.restore(&arguments).ok().json();
    assert_eq!((&rest["created"], &rest["present"]), (&json!(left), &json!(made)), "{cut} {rest}");
}

#[test]
fn a_provider_that_does_not_answer_costs_nothing_but_time() {
    // 1. A backup, as every day.
    let world = world();
    world.set_up("acme");
    world.backup("acme");
    let messages = messages_in(&world);

    // 2. The provider is gone: where, and that nothing is lost.
    let address = world.lab.address();
    world.lab.kill();
    backup(&world).exits(1).says(&["acme", &address, "no answer"]);
    world.mailkeep.run(&["tenant", "check", "acme"]).exits(1).says(&[&address]);

    // 3. Old mail can be read all the same.
    vault_is_safe(&world, messages);
}

#[test]
fn a_message_that_cannot_be_read_is_reported_and_tried_again_alone() {
    // 1. One message of many cannot be read.
    let world = world();
    world.set_up("acme");
    let created = world.lab.post("mutate", &json!({"seed": 1, "create": 20}));
    let bad = created["created"][7]["id"].as_str().expect("the id of a new message").to_owned();
    let fault = json!([{"operation": "message.value", "item": bad, "status": 500,
                        "code": "ErrorMimeContentConversionFailed"}]);
    world.lab.faults(&fault);

    // 2. The backup is partly done and says which message is missing; all others are safe.
    let first = world.mailkeep.json(&["backup", "acme"]).exits(3).json();
    let missed = first["missed"].as_array().expect("a list of what was missed");
    assert_eq!(missed.len(), 1, "{first}");
    assert_eq!(missed[0]["item"], bad.as_str());
    let new = first["new"].as_u64().expect("a number");
    vault_is_safe(&world, new);
    backup(&world).exits(3).says(&["missed", &bad]);

    // 3. Next time it can be read: that one is fetched, and nothing else.
    world.lab.faults(&json!([]));
    world.lab.forget_counts();
    let second = world.backup("acme");
    assert_eq!((&second["new"], &second["missed"]), (&json!(1), &json!([])), "{second}");
    assert_eq!(world.lab.contents_read(), 1);
    vault_is_safe(&world, new + 1);
}

#[test]
fn a_provider_that_stumbles_is_asked_again_in_the_same_pass() {
    // 1. Answers that are refused for a while, fail, or break off in the middle.
    let world = world();
    world.set_up("acme");
    world.lab.post("mutate", &json!({"seed": 2, "create": 60}));
    world.lab.faults(&json!([
        {"status": 429, "code": "ApplicationThrottled", "retry_after": 1, "probability": 0.05, "seed": 3, "times": 4},
        {"operation": "message.value", "status": 503, "retry_after": 0, "probability": 0.1, "seed": 4, "times": 6},
        {"operation": "message.value", "reset": true, "probability": 0.1, "seed": 5, "times": 6},
    ]));

    // 2. Nobody notices.
    let report = world.backup("acme");
    assert_eq!(report["missed"], json!([]), "{report}");
    let new = report["new"].as_u64().expect("a number");
    vault_is_safe(&world, new);
}

#[test]
fn a_full_disk_ends_the_pass_and_harms_nothing() {
    // 1. A vault on a disk with little room. What is in it fits.
    let world = world();
    world.set_up("acme");
    let vaults = world.mailkeep.data().join("vault");
    let Some(disk) = SmallDisk::at(&vaults, "6m") else {
        eprintln!("skipped, because mounting a small disk takes root's rights");
        return;
    };
    world.backup("acme");
    let messages = messages_in(&world);

    // 2. More arrives than there is room for.
    let mailbox = world.lab.mailboxes()[0].clone();
    let arrivals = json!({"mailbox": mailbox, "messages": 60, "bytes": 300_000, "seed": 1});
    world.lab.post("generate", &arrivals);
    backup(&world).exits(1).says(&["no space", "free"]);

    // 3. What was there is there.
    vault_is_safe(&world, messages);

    // 4. Somebody makes room: the backup goes on and is whole.
    disk.resize("200m");
    let report = world.backup("acme");
    assert_eq!(report["missed"], json!([]), "{report}");
    vault_is_safe(&world, messages + 60);
    world.repository("acme").is_sound();
}

#[test]
fn a_second_backup_of_a_tenant_waits_for_nobody() {
    // 1. One backup takes its time.
    let world = world();
    world.set_up("acme");
    world.lab.faults(&json!([{"operation": "folders.delta", "delay_ms": 4000, "times": 1}]));
    world.lab.forget_counts();
    let mut first = world.mailkeep.spawn(&["backup", "acme"]);
    wait_until("the first backup has its token", || world.lab.requests(Some("token")) > 0);

    // 2. The other is told so.
    backup(&world).exits(11).says(&["acme", "another backup"]);
    assert!(first.wait().expect("a child of ours ends").success());
}

#[test]
fn a_backup_without_the_signer_says_how_to_start_it() {
    let mut world = world();
    world.set_up("acme");
    world.kill_signer();
    backup(&world).exits(1).says(&["signer"]);
    world.start_signer();
    backup(&world).ok();
}

#[test]
fn a_damaged_repository_is_found_out() {
    // 1. A backup, and then a bit turns over on the disk.
    let world = world();
    world.set_up("acme");
    world.backup("acme");
    let pack = largest_file(&world.vault("acme").join("data"));
    let mut bytes = fs::read(&pack).expect("a file of the repository");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = fs::metadata(&pack).expect("a file").permissions();
    #[allow(clippy::permissions_set_readonly_false)] // root's own file, in a directory of ours
    permissions.set_readonly(false);
    fs::set_permissions(&pack, permissions).expect("a file of ours");
    fs::write(&pack, bytes).expect("a file of ours");

    // 2. Verification says so, in its own way.
    world.mailkeep.run(&["verify", "acme", "--read-data"]).exits(21).says(&["damage"]);
}

#[test]
fn what_does_not_exist_is_told_apart_from_what_failed() {
    let world = world();
    world.set_up("acme");
    // 1. Nothing was backed up yet.
    world.mailkeep.run(&["ls", "acme"]).exits(10);
    world.backup("acme");
    // 2. No such tenant, mailbox, folder, item.
    let mailbox = world.lab.mailboxes()[0].clone();
    let nowhere = format!("{mailbox}:No such folder");
    for arguments in [
        &["backup", "nobody"][..],
        &["ls", "nobody"],
        &["ls", "acme", "nobody@nowhere.example"],
        &["ls", "acme", &nowhere],
        &["cat", "acme", "000000000000"],
        &["backup", "acme", "--mailbox", "nobody@nowhere.example"],
    ] {
        world.mailkeep.run(arguments).exits(10);
    }
    // 3. Arguments that make no sense.
    for arguments in
        [&["backup"][..], &["backup", "Not A Name"], &["cat", "acme", "?"], &["nonsense"]]
    {
        world.mailkeep.run(arguments).exits(2);
    }
}

fn largest_file(directory: &Path) -> std::path::PathBuf {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the repository").flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => waiting.push(entry.path()),
                Ok(about) => files.push((about.len(), entry.path())),
                Err(_) => {}
            }
        }
    }
    files.into_iter().max().expect("a repository has files").1
}
