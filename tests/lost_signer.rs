//! The signer's directory is gone for good, and what sealed it: everything that comes back comes from the
//! recovery kit and the tenant's administrator, in the same vault, and everybody is told.

mod story;

use std::{fs, path::PathBuf};

use story::{Administrator, Run, World};

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
    let witness = site.path("witness.jsonl");
    let config = format!("[[witness]]\nname = \"auditor\"\nfile = {witness:?}\n");
    fs::write(site.world.mailkeep.data().join("config.toml"), config).expect("settings");
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
