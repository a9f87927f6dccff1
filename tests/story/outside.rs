//! Readers that share no code with Mailkeep: Python's `mailbox`, and stock restic.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::process::{Run, run};

/// What is compared with the mail that the lab was seeded with.
pub(crate) enum Form {
    /// A restored repository: `MAILBOX/mail/FOLDER/MONTH/*.eml`.
    Restored,
    /// One mailbox, exported as files: `FOLDER/MONTH/*.eml`.
    Eml,
    /// One mailbox, exported as a file a folder (mboxrd): `FOLDER.mbox`.
    Mbox,
    /// Two restored repositories, with flags, categories and identifiers.
    Copies,
}

/// What Python found.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Messages that should be there.
    pub(crate) expected: u64,
    /// Messages that are as they should be, in the folder where they should be.
    pub(crate) equal: u64,
    /// Messages that are not there, up to a few.
    pub(crate) missing: Vec<String>,
    /// Messages that should not be there, up to a few.
    pub(crate) surplus: Vec<String>,
    /// Folders that are not there.
    pub(crate) folders_missing: Vec<String>,
}

impl Comparison {
    /// Ends the story unless all those `messages` are there once, as they were, and nothing else.
    #[track_caller]
    pub(crate) fn is_exact(&self, messages: u64) {
        assert_eq!(self.expected, messages, "messages that should be there");
        let clean = self.equal == self.expected
            && self.missing.is_empty()
            && self.surplus.is_empty()
            && self.folders_missing.is_empty();
        assert!(clean, "{self:#?}");
    }
}

/// Compares a tree of mbox files, `PERSON/FOLDER.mbox`, with what came out of Mailkeep: byte for
/// byte up to CRLF and LF, folder by folder. `person`: of this one only. For [`Form::Copies`],
/// `expected` is another restored repository.
#[track_caller]
pub(crate) fn compare(
    expected: &Path,
    person: Option<&str>,
    form: &Form,
    found: &Path,
) -> Comparison {
    let form = match form {
        Form::Restored => "restored",
        Form::Eml => "eml",
        Form::Mbox => "mbox",
        Form::Copies => "copies",
    };
    let script = beside_this_file("compare.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(expected).arg(person.unwrap_or("*")).arg(form).arg(found);
    let value = run(&mut python, b"").ok().json();
    let list = |name: &str| {
        let texts = value[name].as_array().into_iter().flatten();
        texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    };
    Comparison {
        expected: value["expected"].as_u64().unwrap_or_default(),
        equal: value["equal"].as_u64().unwrap_or_default(),
        missing: list("missing"),
        surplus: list("surplus"),
        folders_missing: list("folders_missing"),
    }
}

/// A repository, opened by stock restic with what a recovery kit holds.
pub(crate) struct Repository {
    kit: PathBuf,
}

impl Repository {
    pub(crate) fn opened_with(kit: impl Into<PathBuf>) -> Self {
        Self { kit: kit.into() }
    }

    /// Where the kit says that it is.
    pub(crate) fn location(&self) -> PathBuf {
        let file = self.kit.join("repository");
        let text = std::fs::read_to_string(&file);
        PathBuf::from(text.unwrap_or_else(|e| panic!("{}: {e}", file.display())).trim())
    }

    #[track_caller]
    pub(crate) fn restic(&self, arguments: &[&str]) -> Run {
        let mut restic = Command::new("restic");
        restic.arg("--repository-file").arg(self.kit.join("repository"));
        restic.arg("--password-file").arg(self.kit.join("password"));
        // A cache from another run must not stand in for the repository.
        restic.args(["--no-cache"]).args(arguments);
        run(&mut restic, b"")
    }

    /// Every byte, read, decrypted and compared with its hash.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        self.restic(&["check", "--read-data"]).ok().says(&["no errors were found"]);
    }

    /// The newest snapshot, as files below `target`.
    #[track_caller]
    pub(crate) fn restore(&self, target: &Path) {
        self.restic(&["restore", "latest", "--target", &target.to_string_lossy()]).ok();
    }

    /// Snapshots that restic sees, oldest first.
    #[track_caller]
    pub(crate) fn snapshots(&self) -> Vec<Value> {
        let listed = self.restic(&["snapshots", "--json"]).ok().json();
        listed.as_array().cloned().unwrap_or_default()
    }
}

/// A Python with libraries that read calendars and cards, which `cargo xtask test` installs.
pub(crate) fn python() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let python = workspace().join(target).join("python/bin/python3");
    let works = Command::new(&python).args(["-c", "import icalendar, vobject"]).output();
    works.is_ok_and(|output| output.status.success()).then_some(python)
}

/// The project's reference data, where it is present: real mail, which is in no clone.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let place = match std::env::var_os("MAILKEEP_SHARED_DATA") {
        Some(named) => PathBuf::from(named),
        None => workspace().join("../shared/data"),
    };
    place.is_dir().then_some(place)
}

/// The unpacked mail corpora, where `cargo xtask test` has put them.
pub(crate) fn testdata(what: &str) -> Option<PathBuf> {
    let place = workspace().join("target/testdata").join(what);
    place.exists().then_some(place)
}

/// Both crates that use this lie two levels below the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn beside_this_file(name: &str) -> PathBuf {
    workspace().join("tests/story").join(name)
}
