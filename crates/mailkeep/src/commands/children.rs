//! Processes that this one starts, and how a process knows that it should end.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    signal::unix::{SignalKind, signal},
};

use crate::exit::Failure;

/// How long a child may take to say that it is ready: the lab reads mail first.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A child that runs this program with other arguments. It ends when this value is dropped, and
/// also when this process is killed: then its standard input closes.
pub(super) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    /// The first line that it printed.
    pub(super) ready: String,
}

impl Running {
    /// Starts `mailkeep` with `arguments` and waits for its first line.
    pub(super) async fn start(data: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let what = arguments.first().copied().unwrap_or_default().to_owned();
        let failed =
            |reason: String| Failure::failed(format!("the {what} did not start: {reason}"));
        let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .args(["--until-stdin-closes", "--json", "--data"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| failed("no output".into()))?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(READY_WITHIN, lines.next_line())
            .await
            .map_err(|_| failed(format!("not ready after {} s", READY_WITHIN.as_secs())))?
            .map_err(|error| failed(error.to_string()))?
            .ok_or_else(|| failed("it ended; its message is above".into()))?;
        Ok(Self { child, stdin, ready })
    }

    /// Tells the child to end and waits for it.
    pub(super) async fn stop(mut self) {
        drop(self.stdin.take());
        // A child that does not listen is killed when `self` is dropped.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
    }
}

/// Runs `mailkeep` with `arguments` and a path to its end, as a person would from another terminal:
/// what it needs for a moment (opening a repository takes 128 MB) is not this process's.
pub(super) async fn run_once(data: &Path, arguments: &[&str], path: &Path) -> Result<(), Failure> {
    let what = arguments.first().copied().unwrap_or_default();
    let failed = |reason: String| Failure::failed(format!("{what}: {reason}"));
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let status = Command::new(program)
        .args(arguments)
        .arg(path)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed("it failed; its message is above".into())) }
}

/// Returns at Ctrl-C, at SIGTERM, when the terminal is closed and, when asked for, at the end of standard input.
pub(super) async fn until_told_to_end(when_stdin_closes: bool) {
    let stdin_closes = async {
        if when_stdin_closes {
            let mut stdin = tokio::io::stdin();
            let mut ignored = [0; 64];
            while stdin.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
        } else {
            std::future::pending::<()>().await;
        }
    };
    let told = async |kind| match signal(kind) {
        Ok(mut told) => {
            told.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = stdin_closes => {}
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::hangup()) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
