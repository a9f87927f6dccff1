//! Programs of the user's that something is told to.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

/// What a program of the user's sees of our environment.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Runs a program, without a shell, with JSON and a line's end on its standard input. It ends with 0, or
/// the message did not arrive: why. Dropping the future ends it, with all that it started and did not send
/// away.
pub(crate) async fn run(program: &Path, arguments: &[String], input: &Value) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let group = Group(child.id());
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read all of it may succeed nevertheless.
        let _ = stdin.write_all(format!("{input}\n").as_bytes()).await;
    }
    let status = child.wait().await.map_err(|error| format!("it cannot be waited for: {error}"))?;
    group.has_ended();
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
}

/// A program and what it started. Ended when dropped, unless the program ended by itself.
struct Group(Option<u32>);

impl Group {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let id = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // It may be gone already.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}
