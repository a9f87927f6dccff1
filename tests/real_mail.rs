//! Seven people's whole mailboxes, as they were.

mod story;

use story::{Form, Mailkeep, Repository, compare, temporary, testdata};

/// Messages in the seven mailboxes.
const MESSAGES: u64 = 24_689;
/// What the service may use at most.
const MEMORY: u64 = 300 << 20;

#[test]
fn every_message_of_seven_real_mailboxes_survives_unchanged() {
    let Some(mail) = testdata("mailboxes") else {
        eprintln!("skipped, because the real mailboxes are not in target/testdata");
        return;
    };

    // 1. All of it goes out through TLS, OAuth and Graph, and into the vault.
    let directory = temporary();
    let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), directory.path().join("demo"));
    let shown = mailkeep.json(&["demo", "--once", "--mail", &mail.to_string_lossy()]).ok().json();
    let number =
        |name: &str| shown[name].as_u64().unwrap_or_else(|| panic!("no {name} in {shown}"));
    assert_eq!((number("messages"), number("errors")), (MESSAGES, 0), "{shown}");
    assert_eq!(number("mailboxes"), 7);

    // 2. The service did not need much for it: neither memory nor requests.
    assert!(number("peak_memory_bytes") < MEMORY, "{shown}");
    // Beside one a message: at most a page for every ten messages, two for every folder, and a
    // few for the directory and the tokens.
    let most = MESSAGES + MESSAGES / 10 + 2 * number("folders") + 100;
    assert!(number("requests") <= most, "{shown}");

    // 3. Stock restic reads every byte of it, and gives it all back.
    let kit = shown["recovery_kit"].as_str().expect("where the recovery kit is");
    let repository = Repository::opened_with(kit);
    repository.is_sound();
    let restored = directory.path().join("restored");
    repository.restore(&restored);

    // 4. Python finds each message in its own folder, byte for byte.
    compare(&mail, None, &Form::Restored, &restored).is_exact(MESSAGES);
}
