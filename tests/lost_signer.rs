//! The signer's directory is gone for good, and what sealed it: everything that comes back comes from the
//! recovery kit and the tenant's administrator, in the same vault, and everybody is told.

mod story;

use std::{fs, path::PathBuf};

use mailkeep_identity::{Head, ledger};
use story::{Administrator, Run, World, wait_until};
use time::OffsetDateTime;

const REASON: &str = "the disk of the signer is gone";

struct Site {
    world: World,
    administrator: Administrator,
}

impl Site {
    /// A tenant with reader, auditor and steward, registered with what is printed for its administrator.
    fn start() -> Self {
        let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "2"]);
        let administrator = Administrator::sign_in(&world.lab, world.path("administrator"));
        let limits = serde_json::json!({
            "concurrency": 4,
            "requests_per_ten_minutes": null,
            "upload_bytes_per_five_minutes": null,
        });
        world.lab.post("limits", &limits);
        let site = Self { world, administrator };
        site.world.add_tenant("acme");
        let functions = ["--function", "reader", "--function", "auditor", "--function", "steward"];
        let out = site.path("first");
        site.run(&[&["tenant", "setup", "acme", "--out", &out][..], &functions].concat()).ok();
        let register = PathBuf::from(&out).join("register.sh");
        let printed = site.administrator.sh(&register, &[]).ok();
        let printed = String::from_utf8(printed.stdout).expect("text");
        let words: Vec<&str> = printed.split_whitespace().skip(1).collect();
        site.run(&words).ok();
        site.run(&["tenant", "egress", "acme", "127.0.0.1/32"]).ok();
        site
    }

    fn path(&self, name: &str) -> String {
        self.world.path(name).to_string_lossy().into_owned()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.world.mailkeep.run(arguments)
    }

    fn doctor(&self) -> String {
        self.run(&["doctor"]).text()
    }

    /// An outside witness is named in the settings; its file.
    fn name_witness(&self) -> String {
        let witness = self.path("witness.jsonl");
        let config = format!("[[witness]]\nname = \"auditor\"\nfile = {witness:?}\n");
        fs::write(self.world.mailkeep.data().join("config.toml"), config).expect("settings");
        witness
    }

    /// An administrator registers by hand the certificate that is there now, in the place of what there is.
    fn register_by_hand(&self, function: &str, client_id: &str) {
        // The steward has none but in an emergency.
        let before = self.world.lab.key_of(client_id);
        let certificate =
            self.world.mailkeep.json(&["identity", "certificate", "acme", function]).ok().json();
        let add = serde_json::json!({ "add_certificate": certificate["certificate_pem"] });
        self.world.lab.change_application(client_id, &add);
        if !before.is_empty() {
            let remove = serde_json::json!({ "remove_key": before });
            self.world.lab.change_application(client_id, &remove);
        }
    }

    /// The signer's directory and its master key are gone; another signer starts in an empty directory.
    fn lose_signer(&mut self) {
        self.world.kill_signer();
        let data = self.world.mailkeep.data();
        fs::remove_dir_all(data.join("signer")).expect("the signer's directory");
        fs::remove_file(data.with_extension("identity")).expect("the master key");
    }
}

#[test]
fn a_lost_signer_costs_no_mail_and_is_explained_to_everybody_who_looks() {
    // 1. A tenant is backed up and watched; a witness is told; the kit lies in a safe.
    let mut site = Site::start();
    let witness = site.name_witness();
    site.world.backup("acme");
    site.run(&["identity", "reconcile", "acme"]).ok();
    let (kit, out) = (site.path("safe"), site.path("for the administrator"));
    site.run(&["recovery-kit", "acme", "--out", &kit]).ok();
    let refused = site.run(&["identity", "recover", "acme", "--kit", &kit]).exits(1);
    refused.says(&["has not been replaced", "identity rotate acme"]);
    site.run(&["identity", "ledger", "witness"]).ok();
    let last_seen = site.run(&["identity", "ledger", "last-seen"]).ok().text();
    assert!(last_seen.contains("checkpoint_key"), "{last_seen}");

    // 2. The signer is lost. Who asks is told where to read on.
    site.lose_signer();
    let doctor = site.doctor();
    assert!(doctor.contains("no signer answers") && doctor.contains("When the signer is lost"));
    site.run(&["backup", "acme"]).exits(1).says(&["no signer answers"]);

    // 3. Another one starts. It is not taken for the old one just because it is there.
    site.world.start_signer();
    let doctor = site.doctor();
    assert!(doctor.contains("another one than before"), "{doctor}");
    assert!(doctor.contains("mailkeep signer recover --reason"), "{doctor}");
    let recover = ["identity", "recover", "acme", "--kit", &kit, "--out", &out];
    site.run(&recover).exits(1).says(&["does not say that it follows another one"]);
    let verify = ["identity", "ledger", "verify", "--witness", &witness];
    site.run(&verify).exits(21).says(&["DAMAGE", "that one was replaced"]);

    // Nor because somebody closes the incident that it makes.
    site.run(&["identity", "reconcile", "acme"]).exits(22).says(&["it was replaced"]);
    site.run(&["incidents", "close", "1", "--note", "fine"]).ok();
    site.run(&["identity", "reconcile", "acme"]).says(&["it was replaced", "ours: 0 sign-ins"]);
    assert!(site.doctor().contains("another one than before"));

    // 4. An administrator orders it, with a reason.
    let order = ["signer", "recover", "--reason", REASON, "--witness", &witness];
    site.run(&order).ok().says(&["follows the lost one", "identity recover TENANT"]);
    site.run(&order).exits(12).says(&["says already"]);
    let doctor = site.doctor();
    assert!(doctor.contains("mailkeep identity recover acme --kit DIR"), "{doctor}");

    // 5. Without the kit, or with somebody else's, nothing is done.
    site.run(&["identity", "recover", "acme"]).exits(1).says(&["--kit DIR"]);
    let stranger = site.world.neighbour("stranger");
    stranger.set_up("globex");
    stranger.backup("globex");
    let other = site.path("another safe");
    stranger.mailkeep.run(&["recovery-kit", "globex", "--out", &other]).ok();
    let wrong = ["identity", "recover", "acme", "--kit", &other];
    site.run(&wrong).exits(1).says(&["is not for this tenant's repository", "vault/globex"]);
    let empty = site.path("nothing");
    fs::create_dir(&empty).expect("a directory");
    let none = ["identity", "recover", "acme", "--kit", &empty];
    site.run(&none).exits(1).says(&["holds no recovery kit"]);

    // 6. With the right one: the password is back, keys are new, and it says what is left to do.
    let left = site.run(&recover).exits(3);
    let left = left.says(&["repository: opened", "not registered yet", "break-glass.sh"]);
    left.says(&["reader", "auditor", "steward"]);

    let doctor = site.doctor();
    assert!(doctor.contains("not all new keys are registered"), "{doctor}");

    // 7. The administrator runs what was written: no key from before is left, the new ones are there.
    let script = PathBuf::from(&out).join("break-glass.sh");
    site.administrator.sh(&script, &["shut"]).ok();
    site.administrator.sh(&script, &["reopen", &out]).ok().says(&["has the new certificate"]);
    let done = site.run(&["identity", "recover", "acme"]).ok();
    done.says(&["All keys are new"]);
    site.run(&["identity", "recover", "acme"]).ok();
    site.run(&["tenant", "check", "acme"]).ok();

    // 8. The same vault, whole: nothing is fetched again, and stock restic finds nothing wrong.
    site.world.lab.forget_counts();
    let pass = site.world.backup("acme");
    assert_eq!((&pass["new"], &pass["content_bytes"]), (&0.into(), &0.into()), "{pass}");
    assert_eq!(site.world.lab.contents_read(), 0);
    site.world.repository("acme").restic(&["check", "--read-data"]).ok();
    let ann = &site.world.lab.mailboxes()[0];
    assert_eq!(site.world.vault_state("acme", ann), site.world.lab_state(ann));

    // 9. What was before is neither called ours nor a theft; that it is so stays open until it is closed.
    let reconciled = site.run(&["identity", "reconcile", "acme"]).exits(22);
    // The one that the silent change of signers made is explained by it.
    reconciled.says(&["1 open incidents"]);
    let open = site.run(&["incidents", "acme"]).text();
    assert!(open.contains("the signer's ledger began anew, by order"), "{open}");
    site.run(&["identity", "posture", "acme"]).exits(22);
    let shown = site.world.mailkeep.json(&["incidents", "acme"]).json_lines();
    let id = shown[0]["id"].to_string();
    site.run(&["incidents", "show", &id]).says(&[REASON, "last seen at record"]);
    site.run(&["incidents", "close", &id, "--note", "ordered by the board"]).ok();
    site.run(&["identity", "reconcile", "acme"]).ok();
    site.run(&["identity", "posture", "acme"]).ok();

    // 10. The witness has both ledgers; what is left of the old one is not said to be verified.
    site.run(&["identity", "ledger", "witness"]).ok();
    let both = site.run(&verify).exits(3);
    both.says(&["1 checkpoints agree", "NOT VERIFIED", REASON]);
    let lines = fs::read_to_string(&witness).expect("what the witness keeps");
    assert!(lines.lines().last().is_some_and(|line| line.contains("follows")), "{lines}");
    let doctor = site.doctor();
    assert!(!doctor.contains("another one than before"), "{doctor}");
}

#[test]
fn a_service_that_goes_on_meanwhile_stands_in_the_way_of_no_recovery_not_even_of_the_second_one() {
    // 1. A tenant is watched, the service runs and tells the witness; somebody has a copy of the ledger.
    let mut site = Site::start();
    let witness = site.name_witness();
    site.world.backup("acme");
    site.run(&["identity", "reconcile", "acme"]).ok();
    let (kit, out) = (site.path("safe"), site.path("for the administrator"));
    site.run(&["recovery-kit", "acme", "--out", &kit]).ok();
    let serve = site.world.mailkeep.watch(&["serve"], |_| ());
    let kept = || fs::read_to_string(&witness).unwrap_or_default();
    wait_until("the service tells the witness", || !kept().is_empty());
    let tell = ["identity", "ledger", "witness"];
    site.run(&tell).ok();
    let copy = site.path("copy.jsonl");
    let ledger = |site: &Site| site.world.mailkeep.data().join("signer/ledger.jsonl");

    // 2. The signer is lost. Another one starts, and the witness is told of it before anybody ordered
    // anything: the service does so within a minute. The order is about the lost one all the same.
    site.world.kill_signer();
    fs::copy(ledger(&site), &copy).expect("a copy");
    site.lose_signer();
    site.world.start_signer();
    site.run(&tell).ok();
    assert!(!kept().contains("follows"), "{}", kept());
    let order = ["signer", "recover", "--reason", REASON, "--witness", &witness];
    let forged = kept().lines().next().expect("a line").replacen("\"seq\":", "\"seq\":9", 1);
    let with_forged = site.path("forged.jsonl");
    fs::write(&with_forged, format!("\n{forged}\n{}", kept())).expect("another file");
    let verify = ["identity", "ledger", "verify", "--witness", &with_forged];
    site.run(&verify).exits(21).says(&["forged.jsonl, line 2", "was not signed with this key"]);
    let ordered = site.run(&[&order[..], &["--witness", &with_forged]].concat()).ok();
    ordered.says(&["follows the lost one", "passed over", "forged.jsonl, line 2"]);

    // 3. From then on the witness is told whose place it took, and verifies it.
    site.run(&tell).ok();
    assert!(kept().lines().last().is_some_and(|line| line.contains("follows")), "{}", kept());
    let told = kept().lines().filter(|line| line.contains("follows")).count();
    site.run(&["identity", "ledger", "show"]).ok();
    site.run(&tell).ok();
    assert_eq!(kept().lines().filter(|line| line.contains("follows")).count(), told, "once");
    let verify = ["identity", "ledger", "verify", "--witness", &witness];
    site.run(&verify).exits(3).says(&["NOT VERIFIED", REASON]);

    // 4. That one is lost as well, before the tenant was recovered. The next order names both.
    site.lose_signer();
    site.world.start_signer();
    site.run(&tell).ok();
    site.run(&verify).exits(21).says(&["DAMAGE", "that one was replaced"]);
    site.run(&order).ok().says(&["follows the lost one", "Before that, one was lost"]);
    site.run(&tell).ok();
    site.run(&verify).exits(3).says(&["NOT VERIFIED"]);
    serve.kill();
    let recover = ["identity", "recover", "acme", "--kit", &kit, "--out", &out];
    let report = site.world.mailkeep.json(&recover).exits(3).json();
    assert_eq!(report["begun"], true, "{report}");
    assert!(PathBuf::from(&out).join("break-glass.sh").is_file());

    // 5. A copy of the first ledger is verified as what it is. One of a ledger that somebody else began is
    // not taken for it, whatever he told the witness.
    let verify_copy = [&verify[..], &["--ledger", &copy]].concat();
    site.run(&verify_copy).ok().says(&["copy of a lost ledger", "checkpoints agree"]);
    let stranger = site.world.neighbour("stranger");
    stranger.set_up("globex");
    let theirs = site.path("theirs.jsonl");
    let config = format!("[[witness]]\nname = \"auditor\"\nfile = {theirs:?}\n");
    fs::write(stranger.mailkeep.data().join("config.toml"), config).expect("settings");
    stranger.mailkeep.run(&tell).ok();
    let foreign = stranger.mailkeep.data().join("signer/ledger.jsonl");
    let foreign = foreign.to_string_lossy().into_owned();
    let both = ["--witness", &theirs, "--ledger", &foreign];
    site.run(&[&verify[..], &both].concat()).exits(21).says(&["DAMAGE", "it is not ours"]);

    // 6. An administrator registers two certificates by hand. While somebody else is about to change the
    // reader's key the rest is done, and the report says what is left.
    let functions = report["functions"].as_array().expect("functions");
    for function in ["auditor", "steward"] {
        let one = functions.iter().find(|one| one["function"] == function).expect("it is there");
        site.register_by_hand(function, one["client_id"].as_str().expect("an id"));
    }
    let lease = site.world.mailkeep.data().join("vault/acme.reader.key-lease");
    let lease = fs::File::options().create(true).truncate(false).write(true).open(lease);
    let lease = lease.expect("the lease");
    lease.lock().expect("nobody has it");
    let again = ["identity", "recover", "acme"];
    let second = site.path("once more for the administrator");
    let meanwhile = site.run(&[&again[..], &["--out", &second]].concat()).exits(3);
    meanwhile.says(&["steward    new key", "reader: ", "recover again"]);
    assert!(PathBuf::from(&second).join("break-glass.sh").is_file());
    drop(lease);
    site.run(&again).ok().says(&["All keys are new"]);
    site.run(&["tenant", "check", "acme"]).ok();
}

#[test]
fn a_tenant_that_nobody_had_watched_is_recovered_although_somebody_looked_before_the_order() {
    // 1. A tenant is backed up; nobody has ever reconciled it, and there is no witness.
    let mut site = Site::start();
    site.world.backup("acme");
    let kit = site.path("safe");
    site.run(&["recovery-kit", "acme", "--out", &kit]).ok();
    site.run(&["identity", "ledger", "last-seen"]).exits(10);

    // 2. The signer is lost; somebody looks, and what he sees is another signer.
    site.lose_signer();
    site.world.start_signer();
    site.run(&["identity", "reconcile", "acme"]);
    site.run(&["identity", "ledger", "last-seen"]).ok();
    assert!(site.doctor().contains("another one than before"), "{}", site.doctor());
    let recover = ["identity", "recover", "acme", "--kit", &kit];
    site.run(&recover).exits(1).says(&["does not say that it follows another one"]);

    // 3. The order makes it ours.
    site.run(&["signer", "recover", "--reason", REASON, "--without-witness"]).ok();
    site.run(&recover).exits(3).says(&["repository: opened", "not registered yet"]);
}

#[test]
fn a_ledger_that_is_made_to_follow_another_one_behind_the_signers_back_is_damage() {
    // 1. A tenant is backed up: the ledger has signatures.
    let mut world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    world.backup("acme");
    let witness = world.path("witness.jsonl");
    let config = format!("[[witness]]\nname = \"auditor\"\nfile = {witness:?}\n");
    fs::write(world.mailkeep.data().join("config.toml"), config).expect("settings");
    world.mailkeep.run(&["identity", "ledger", "verify"]).ok();

    // 2. Somebody with the signer's user adds the record that the signer refuses to write; the chain holds.
    world.kill_signer();
    let path = world.mailkeep.data().join("signer/ledger.jsonl");
    let mut lines = fs::read(&path).expect("the ledger");
    let mut head = Head::EMPTY;
    let each = |record: &ledger::LedgerRecord| head = Head { seq: record.seq, hash: record.hash };
    ledger::verify_each(&lines[..], each).expect("it holds");
    let event = serde_json::json!({
        "kind": "follows", "reason": "an accident", "by": { "caller": "cli", "uid": 0 },
    });
    let event = serde_json::from_value(event).expect("a record");
    let (line, _) = ledger::encode(&head, OffsetDateTime::now_utc(), &event).expect("a record");
    lines.extend(line);
    fs::write(&path, &lines).expect("the ledger");
    world.start_signer();

    // 3. Nobody believes it, and the witness is told where the ledger stands all the same.
    let verified = world.mailkeep.run(&["identity", "ledger", "verify"]).exits(21);
    verified.says(&["DAMAGE", "not to be believed", "something was signed already"]);
    let kit = world.path("safe");
    let kit = kit.to_string_lossy();
    let recovered = world.mailkeep.run(&["identity", "recover", "acme", "--kit", &kit]);
    recovered.says(&["not to be believed"]);
    world.mailkeep.run(&["identity", "ledger", "witness"]).ok();
    let kept = fs::read_to_string(&witness).expect("what the witness keeps");
    assert!(kept.lines().count() == 1 && !kept.contains("follows"), "{kept}");
}
