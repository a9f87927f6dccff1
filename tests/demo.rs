//! Somebody tries Mailkeep out with the one command that the README names.

mod story;

use story::{Mailkeep, Repository, temporary};

#[test]
fn the_demo_shows_a_whole_backup_with_nothing_to_configure() {
    // 1. One command.
    let directory = temporary();
    let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), directory.path().join("demo"));
    let shown = mailkeep.json(&["demo", "--once"]).ok().json();

    // 2. Mail went through, nothing was left out, and something was found in it.
    let number =
        |name: &str| shown[name].as_u64().unwrap_or_else(|| panic!("no {name} in {shown}"));
    assert_eq!((number("schema"), number("errors")), (1, 0), "{shown}");
    for name in ["mailboxes", "folders", "messages", "bytes", "snapshots", "requests"] {
        assert!(number(name) > 0, "{name} in {shown}");
    }
    let findings = shown["findings"].as_object().expect("findings by detector");
    assert!(!findings.is_empty(), "the built-in mail has findings: {shown}");

    // 3. The repository that it names opens with the recovery kit that it names, without us.
    let kit = shown["recovery_kit"].as_str().expect("where the recovery kit is");
    let repository = Repository::opened_with(kit);
    assert_eq!(repository.location().to_str(), shown["repository"].as_str());
    repository.is_sound();
    assert_eq!(repository.snapshots().len() as u64, number("snapshots"));
    let files = repository.restic(&["ls", "latest"]).ok().text();
    let messages = files.lines().filter(|line| line.ends_with(".eml")).count();
    assert_eq!(messages as u64, number("messages"));

    // 4. Once more: a demo cleans up behind the one before, and shows the same.
    let again = mailkeep.json(&["demo", "--once"]).ok().json();
    for name in ["mailboxes", "folders", "messages", "bytes", "findings"] {
        assert_eq!(shown[name], again[name], "{name}");
    }

    // 5. It does not touch a directory that no demo made.
    let other = mailkeep.beside(directory.path());
    other.run(&["demo", "--once"]).exits(2).says(&["--data"]);
}
