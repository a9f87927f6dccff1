//! A PostgreSQL server for the tests, gone at their end.

use std::{
    fs::{File, read_to_string},
    os::unix::fs::chown,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{tools, workspace::output};

/// Who may run a server when we are root, who may not.
const USER: &str = "postgres";
/// How long a server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs its arguments until standard input closes: also when we are killed.
const UNTIL_STDIN_CLOSES: &str = r#""$@" & server=$!; cat; kill -s QUIT "$server"; wait"#;

/// A running server that listens on a socket in a directory of its own and on no network.
pub(crate) struct Postgres {
    server: Child,
    directory: TempDir,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self> {
        // Not below the workspace: the server's user has to get there, and the name of a socket
        // must be short.
        let directory = tempfile::Builder::new().prefix("mailkeep-pg-").tempdir()?;
        let path = directory.path();
        if tools::is_root() {
            let id = |which: &str| -> Result<u32> {
                let id = output(Command::new("id").args([which, USER]))?;
                Ok(id.trim().parse()?)
            };
            chown(path, Some(id("-u")?), Some(id("-g")?))?;
        }
        let data = path.join("data");
        let mut make = as_user(program("initdb")?);
        make.args(["--auth=trust", "--username=mailkeep", "--no-sync", "--encoding=UTF8"]);
        output(make.current_dir(path).arg("--pgdata").arg(&data))?;

        let log = path.with_extension("log");
        let mut serve = as_user("sh");
        serve.args(["-c", UNTIL_STDIN_CLOSES, "sh"]).arg(program("postgres")?);
        serve.arg("-D").arg(&data).arg("-k").arg(path).args(["-h", "", "-F"]);
        serve.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let server = serve.current_dir(path).spawn().context("cannot start PostgreSQL")?;
        let started = Self { server, directory };
        let ready = started.wait();
        let said = read_to_string(&log).unwrap_or_default();
        std::fs::remove_file(&log)?;
        ready.context(said).map(|()| started)
    }

    fn wait(&self) -> Result<()> {
        let begin = Instant::now();
        let mut ask = Command::new(program("pg_isready")?);
        ask.arg("--host").arg(self.directory.path());
        while output(&mut ask).is_err() {
            if begin.elapsed() > PATIENCE {
                bail!("PostgreSQL is not ready after {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Where it is, as `MAILKEEP_TEST_POSTGRES` wants it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://mailkeep@localhost/postgres?host={}", self.directory.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        // It may have ended already; its data goes away in a moment.
        let _ = self.server.wait();
    }
}

fn program(name: &str) -> Result<PathBuf> {
    tools::find(name).with_context(|| format!("PostgreSQL's {name} is not there"))
}

/// A command of a user who may run a server.
fn as_user(program: impl Into<PathBuf>) -> Command {
    let program = program.into();
    if !tools::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["--user", USER, "--"]).arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_leaves_nothing_behind() {
        if tools::find("initdb").is_none() {
            eprintln!("skipped, because PostgreSQL is not installed");
            return;
        }
        let server = Postgres::start().unwrap();
        let directory = server.directory.path().to_owned();
        let psql =
            |url: String| output(Command::new("psql").arg(url).args(["-Atc", "SELECT 6 * 7"]));
        assert_eq!(psql(server.url()).unwrap().trim(), "42");
        let url = server.url();
        drop(server);
        assert!(psql(url).is_err());
        assert!(!directory.exists());
    }
}
