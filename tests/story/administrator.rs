//! The administrator of the customer's directory, who runs what we print.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{Lab, Run, process::run};

/// Somebody who is signed in to the lab's first tenant with `az`.
pub(crate) struct Administrator {
    /// Where his `az` is, and what it writes down.
    place: PathBuf,
}

impl Administrator {
    #[track_caller]
    pub(crate) fn sign_in(lab: &Lab, place: PathBuf) -> Self {
        fs::create_dir_all(&place).expect("a directory of his own");
        let token = lab.post("administrator", &json!({}))["token"].clone();
        let settings = json!({
            "graph": lab.graph(),
            "token": token,
            "ca": lab.ca(),
            "tenant": lab.tenant(),
            // One of the people has signed in.
            "user": lab.mailboxes().into_iter().max(),
            "log": place.join("az.log"),
        });
        fs::write(place.join("settings.json"), settings.to_string()).expect("settings");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/story/az.py");
        let az = format!("#!/bin/sh\nexec python3 '{}' \"$@\"\n", script.display());
        fs::write(place.join("az"), az).expect("his az");
        fs::set_permissions(place.join("az"), fs::Permissions::from_mode(0o755)).expect("mode");
        Self { place }
    }

    /// `sh SCRIPT ARGUMENTS`, with `az` on the path.
    pub(crate) fn sh(&self, script: &Path, arguments: &[&str]) -> Run {
        self.command(Command::new("sh").arg(script).args(arguments))
    }

    /// `az ARGUMENTS`.
    pub(crate) fn az(&self, arguments: &[&str]) -> Run {
        self.command(Command::new(self.place.join("az")).args(arguments))
    }

    /// `az rest`: something of Graph's.
    #[track_caller]
    pub(crate) fn graph(&self, lab: &Lab, method: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/{path}", lab.graph());
        let body = body.map(Value::to_string);
        let mut arguments = vec!["rest", "--method", method, "--url", &url];
        if let Some(body) = &body {
            arguments.extend(["--headers", "Content-Type=application/json", "--body", body]);
        }
        let answer = self.az(&arguments).ok();
        serde_json::from_slice(&answer.stdout).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    /// What changed something, of all that was called since the last look.
    #[track_caller]
    pub(crate) fn changes(&self) -> Vec<String> {
        let log = self.place.join("az.log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        fs::write(&log, "").expect("the log");
        let changes = |line: &&str| {
            ["POST", "PATCH", "DELETE", "\"create\"", "\"reset\""]
                .iter()
                .any(|one| line.contains(one))
        };
        text.lines().filter(changes).map(str::to_owned).collect()
    }

    fn command(&self, command: &mut Command) -> Run {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.place.display());
        run(command.env("PATH", path).env("FAKE_AZ", self.place.join("settings.json")), b"")
    }
}
