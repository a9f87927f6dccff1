//! A PostgreSQL server for the tests, gone at their end.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    tools,
    workspace::{output, step},
};

/// Who may run a server when we are root, who may not.
const USER: &str = "postgres";

/// A running server that listens on a socket in a directory of its own and on no network.
pub(crate) struct Postgres {
    directory: TempDir,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self> {
        // Not below the workspace: the server's user has to get there, and the name of a socket
        // must be short.
        let directory = tempfile::Builder::new().prefix("mailkeep-pg-").tempdir()?;
        if tools::is_root() {
            let id = |which: &str| -> Result<u32> {
                let id = output(Command::new("id").args([which, USER]))?;
                Ok(id.trim().parse()?)
            };
            chown(directory.path(), Some(id("-u")?), Some(id("-g")?))?;
        }
        let server = Self { directory };
        let make = ["--auth=trust", "--username=mailkeep", "--no-sync", "--encoding=UTF8"];
        output(server.command("initdb", "--pgdata")?.args(make))?;
        let options = format!("-k {} -h '' -c fsync=off", server.directory.path().display());
        let log = server.directory.path().join("log");
        let mut start = server.command("pg_ctl", "--pgdata")?;
        // The server keeps what it inherits: a pipe would never come to its end.
        start.arg("--log").arg(&log).args(["--wait", "--silent", "--options", &options, "start"]);
        step(&mut start).with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(server)
    }

    /// Where it is, as `MAILKEEP_TEST_POSTGRES` wants it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://mailkeep@localhost/postgres?host={}", self.directory.path().display())
    }

    /// One of PostgreSQL's programs, for this server's data, as a user who may run it.
    fn command(&self, program: &str, data: &str) -> Result<Command> {
        let program: PathBuf = tools::find(program).with_context(|| format!("no {program}"))?;
        let mut command = if tools::is_root() {
            let mut command = Command::new("runuser");
            command.args(["--user", USER, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.directory.path()).arg(data).arg(self.data());
        Ok(command)
    }

    fn data(&self) -> PathBuf {
        Path::new(self.directory.path()).join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Ok(mut stop) = self.command("pg_ctl", "--pgdata") {
            // Its data goes away in a moment; there is nothing to save.
            let _ = output(stop.args(["--mode=immediate", "--silent", "stop"]));
        }
    }
}
