//! Programs that a story runs.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long anything may take to come true before the story says that it never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that ran to its end.
pub(crate) struct Run {
    what: String,
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Run {
    /// Ends the story unless the program succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Ends the story unless the program ended with `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Ends the story unless standard error or output says all of `words`.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let said = format!("{}{}", self.text(), self.stderr).to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "'{word}' is not in what it said: {self}");
        }
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Each line of standard output as JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {line}\nin {self}"),
        };
        self.text().lines().map(parse).collect()
    }

    /// The last line of standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        self.json_lines().pop().unwrap_or_else(|| panic!("no output of {self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |text: &str| -> String {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        let (code, what) = (self.code, &self.what);
        let (out, err) = (end(&self.text()), end(&self.stderr));
        write!(f, "`{what}` (exit {code:?})\n--- standard output\n{out}\n--- standard error\n{err}")
    }
}

/// Runs a command to its end and keeps what it prints.
#[track_caller]
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Run {
    let what = describe(command);
    let begin = Instant::now();
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|e| panic!("cannot start {what}: {e}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want its input may have closed it.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().unwrap_or_else(|e| panic!("cannot wait for {what}: {e}"));
    Run {
        what,
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: begin.elapsed(),
    }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Waits for something to come true; ends the story when it does not.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// A program that runs to its end beside the story, unless it is killed.
pub(crate) struct Watched {
    what: String,
    child: Child,
    begin: Instant,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Watched {
    /// Starts a command; `on_line` gets each line of its output as it comes.
    #[track_caller]
    pub(crate) fn start(
        command: &mut Command,
        mut on_line: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let what = describe(command);
        let pipes = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap_or_else(|e| panic!("cannot start {what}: {e}"));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        // A pipe that nobody reads would stop the program when it is full.
        let stdout = thread::spawn(move || {
            let mut all = Vec::new();
            let mut lines = BufReader::new(stdout.expect("a pipe was asked for"));
            loop {
                let begin = all.len();
                // What a killed program leaves behind may end anywhere.
                if lines.read_until(b'\n', &mut all).unwrap_or(0) == 0 {
                    return all;
                }
                on_line(&String::from_utf8_lossy(&all[begin..]));
            }
        });
        let stderr = thread::spawn(move || {
            let mut all = Vec::new();
            let _ = stderr.expect("a pipe was asked for").read_to_end(&mut all);
            all
        });
        Self { what, child, begin: Instant::now(), stdout, stderr }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Run {
        let what = &self.what;
        let status = self.child.wait().unwrap_or_else(|e| panic!("cannot wait for {what}: {e}"));
        let read = |thread: JoinHandle<Vec<u8>>| match thread.join() {
            Ok(bytes) => bytes,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Run {
            code: status.code(),
            stdout: read(self.stdout),
            stderr: String::from_utf8_lossy(&read(self.stderr)).into_owned(),
            took: self.begin.elapsed(),
            what: self.what,
        }
    }

    /// Asks it to end, as Ctrl-C does; what it had printed until then.
    #[track_caller]
    pub(crate) fn interrupt(self) -> Run {
        run(Command::new("kill").args(["-INT", &self.child.id().to_string()]), b"").ok();
        self.finish()
    }

    /// Ends it at once, as a power failure would; what it had printed until then.
    #[track_caller]
    pub(crate) fn kill(mut self) -> Run {
        // It may have ended already.
        let _ = self.child.kill();
        self.finish()
    }
}

/// A program that goes on in the background until it is stopped or dropped.
pub(crate) struct Background {
    child: Child,
    /// Closes when this process ends, however it ends: the programs listen for that.
    stdin: Option<ChildStdin>,
    /// The first line that it printed.
    pub(crate) first_line: String,
}

impl Background {
    /// Starts a program and waits for its first line of output.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        let what = describe(command);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = pipes.spawn().unwrap_or_else(|e| panic!("cannot start {what}: {e}"));
        let stdin = child.stdin.take();
        let mut first_line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            // An error leaves the line empty, which is found below.
            let _ = stdout.read_line(&mut first_line);
            // Somebody has to read what else it prints, or it would stop when the pipe is full.
            thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        }
        assert!(!first_line.is_empty(), "{what} ended before it was ready");
        Self { child, stdin, first_line }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power failure would.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Lets it end by itself.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        drop(self.stdin.take());
        wait_until("a program in the background ends when it is told to", || {
            !matches!(self.child.try_wait(), Ok(None))
        });
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}

/// The program `mailkeep` with one data directory.
#[derive(Clone)]
pub(crate) struct Mailkeep {
    program: PathBuf,
    data: PathBuf,
}

impl Mailkeep {
    pub(crate) fn new(program: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), data: data.into() }
    }

    /// The same program with another data directory.
    pub(crate) fn beside(&self, data: impl Into<PathBuf>) -> Self {
        Self::new(&self.program, data)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// A command of it, not yet started.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--data").arg(&self.data);
        // What a person has set must not change the story.
        command.env_remove("MAILKEEP_DATA").env_remove("RUST_LOG");
        command
    }

    /// Runs a command and keeps what it prints.
    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Run {
        run(&mut self.command(arguments), b"")
    }

    /// Runs a command with `--json`.
    #[track_caller]
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Run {
        run(self.command(arguments).arg("--json"), b"")
    }

    /// Starts a command that goes on (`lab`, `signer`) and waits until it is ready.
    #[track_caller]
    pub(crate) fn start<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Background {
        Background::start(self.command(arguments).args(["--json", "--until-stdin-closes"]))
    }

    /// Starts a command with `--json` that runs beside the story.
    #[track_caller]
    pub(crate) fn watch<A: AsRef<OsStr>>(
        &self,
        arguments: &[A],
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Watched {
        Watched::start(self.command(arguments).arg("--json"), on_line)
    }

    /// Starts a command that the story does not wait for.
    #[track_caller]
    pub(crate) fn spawn<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap_or_else(|e| panic!("cannot start {}: {e}", describe(&command)))
    }
}
