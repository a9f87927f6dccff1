//! Somebody outside keeps where the signer's ledger stood: who writes it anew is found out.

mod story;

use std::{fs, io::BufReader};

use mailkeep_identity::{Head, ledger};
use story::World;

#[test]
fn a_ledger_that_was_written_anew_is_found_out_by_its_witness() {
    // 1. A tenant is backed up; two witnesses are named, one of them a program.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    let (file, second) = (world.path("auditor.jsonl"), world.path("second-host.jsonl"));
    let config = format!(
        "[[witness]]\nname = \"auditor\"\nfile = {file:?}\n\
         [[witness]]\nname = \"second host\"\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {second}\"]\n",
        second = second.display()
    );
    fs::write(world.mailkeep.data().join("config.toml"), config).expect("settings are written");
    let doctor = world.mailkeep.json(&["doctor"]).text();
    assert!(doctor.contains("witness auditor") && doctor.contains("not told yet"), "{doctor}");

    // 2. They are told when the ledger has grown, and only then.
    let tell = ["identity", "ledger", "witness"];
    world.mailkeep.run(&tell).ok().says(&["auditor knows of record", "second host knows of"]);
    world.backup("acme");
    world.mailkeep.run(&tell).ok();
    world.mailkeep.run(&tell).ok();
    for kept in [&file, &second] {
        let lines = fs::read_to_string(kept).expect("what the witness keeps");
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(lines.lines().all(|line| line.contains("checkpoint_key")), "{lines}");
    }
    let file = file.to_string_lossy().into_owned();
    let verify = ["identity", "ledger", "verify"];
    world.mailkeep.run(&[&verify[..], &["--witness", &file]].concat()).ok();

    // 3. A signature is taken out, and the chain is made anew behind it: by itself it holds.
    let path = world.mailkeep.data().join("signer/ledger.jsonl");
    let mut records = Vec::new();
    let ledger = BufReader::new(fs::File::open(&path).expect("the ledger"));
    ledger::verify_each(ledger, |record| records.push(record.clone())).expect("it holds");
    let signed = |record: &ledger::LedgerRecord| {
        matches!(record.event, ledger::LedgerEvent::AssertionSigned { .. })
    };
    records.remove(records.iter().position(signed).expect("a signature"));
    let (mut head, mut forged) = (Head::EMPTY, Vec::new());
    for record in &records {
        let (line, next) = ledger::encode(&head, record.time, &record.event).expect("a record");
        forged.extend(line);
        head = next;
    }
    let copy = world.path("forged.jsonl");
    fs::write(&copy, &forged).expect("the forged ledger");
    let copy = copy.to_string_lossy().into_owned();
    let forged = [&verify[..], &["--ledger", &copy]].concat();
    world.mailkeep.run(&forged).ok();

    // 4. Any one witness finds it out, and says where.
    let second = second.to_string_lossy().into_owned();
    for kept in [&file, &second] {
        let verify = [&forged[..], &["--witness", kept]].concat();
        world.mailkeep.run(&verify).exits(21).says(&["DAMAGE", "checkpoint"]);
    }

    // 5. One that cannot be told is said to be so.
    let gone = "[[witness]]\nname = \"gone\"\nfile = \"/nowhere/at/all.jsonl\"\n";
    fs::write(world.mailkeep.data().join("config.toml"), gone).expect("settings are written");
    world.mailkeep.run(&tell).exits(3).says(&["gone could not be told"]);
    let doctor = world.mailkeep.json(&["doctor"]).text();
    assert!(doctor.contains("cannot be told since"), "{doctor}");
}
