//! Programs that the tests need besides Rust.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::workspace::{output, root, step, target};

/// A program and the Debian package that has it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

/// Stock restic reads what we wrote, Python compares it, curl drives the lab, a PostgreSQL of our
/// own is the second database of `control`, SoftHSM is a hardware security module without hardware,
/// swtpm is a TPM without hardware, which tpm2-tools change and systemd-creds seals with, Pebble is a
/// certificate authority that speaks ACME, clamd is the virus scanner that we ask, and cryptography and SQLite are compiled from C.
const FOR_TESTS: &[Tool] = &[
    Tool { program: "restic", package: "restic" },
    Tool { program: "python3", package: "python3-venv" },
    Tool { program: "curl", package: "curl" },
    Tool { program: "initdb", package: "postgresql" },
    Tool { program: "cc", package: "build-essential" },
    Tool { program: "xz", package: "xz-utils" },
    Tool { program: "softhsm2-util", package: "softhsm2" },
    Tool { program: "swtpm", package: "swtpm" },
    Tool { program: "tpm2_pcrextend", package: "tpm2-tools" },
    Tool { program: "systemd-creds", package: "systemd" },
    Tool { program: "pebble", package: "pebble" },
    Tool { program: "postfix", package: "postfix" },
    Tool { program: "clamd", package: "clamav-daemon" },
];

/// Postfix becomes no mail server of the machine: it gets no settings, without which it does not start.
const ANSWERS: &str = "postfix postfix/main_mailer_type select No configuration\n";

/// Python's libraries that read the events and contacts which we write, with rules of time zones as
/// new as ours, a mail server that takes alerts, and a bucket with object lock.
const PYTHON: &[&str] = &[
    "aiosmtpd==1.4.6",
    "boto3==1.44.8",
    "icalendar==7.3.0",
    "moto[s3,iam,server]==5.2.5",
    "recurring-ical-events==3.8.2",
    "tzdata==2026.6",
    "vobject==0.9.9",
];

/// What other people's clients run on: Python 3.11 and Node 20, or newer.
const FOR_INTEROP: &[Tool] = &[
    Tool { program: "python3", package: "python3-venv" },
    Tool { program: "node", package: "nodejs" },
    Tool { program: "npm", package: "npm" },
];

/// libFuzzer is C++.
const FOR_FUZZING: &[Tool] = &[Tool { program: "c++", package: "build-essential" }];

/// Sees to everything that `cargo xtask test` needs: installs it when that is allowed, else says
/// with which command to do so.
pub(crate) fn for_tests() -> Result<()> {
    provide(FOR_TESTS)?;
    if !is_there("cargo-nextest") {
        step(Command::new("cargo").args(["install", "--locked", "cargo-nextest"]))?;
    }
    if let Err(error) = python_libraries() {
        println!("{error:#}: tests that need Python's libraries say so and count as skipped");
    }
    Ok(())
}

/// Makes an environment with Python's libraries, unless it is there: `target/python`.
fn python_libraries() -> Result<()> {
    let environment = target().join("python");
    let installed = environment.join("installed");
    let wanted = PYTHON.join("\n");
    if fs::read_to_string(&installed).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    step(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut install = Command::new(environment.join("bin/python3"));
    step(install.args(["-m", "pip", "install", "--quiet"]).args(PYTHON))?;
    Ok(fs::write(installed, wanted)?)
}

/// Other people's clients of Entra and Graph, of the versions that `tests/interop` names, in
/// `target/interop`. Unlike Python's libraries they must be there: a test that is skipped for want of
/// them would tell nobody that the lab no longer answers them.
pub(crate) fn for_interop() -> Result<()> {
    provide(FOR_INTEROP)?;
    let (from, to) = (root().join("tests/interop"), target().join("interop"));
    fs::create_dir_all(&to)?;
    let read = |name: &str| fs::read_to_string(from.join(name)).with_context(|| name.to_owned());
    let python = to.join("python");
    let requirements = from.join("requirements.txt");
    install_once(&python, &read("requirements.txt")?, || {
        step(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&python))?;
        // Compiling tens of thousands of modules, of which a script imports a few, takes longer than
        // everything else.
        let mut pip = Command::new(python.join("bin/python3"));
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "--requirement"]);
        step(pip.arg(&requirements)).map(drop)
    })?;
    let node = to.join("node");
    install_once(&node, &read("package-lock.json")?, || {
        fs::create_dir_all(&node)?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(from.join(name), node.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&node);
        step(&mut npm).map(drop)
    })
}

/// The Python that has Microsoft's client library for Graph, among what is there for interop.
pub(crate) fn graph_library() -> Result<PathBuf> {
    for_interop()?;
    Ok(target().join("interop/python/bin/python3"))
}

/// Installs into a directory, unless what is wanted is there.
fn install_once(
    directory: &Path,
    wanted: &str,
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let installed = directory.with_extension("installed");
    if fs::read_to_string(&installed).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    // What an interruption leaves behind is not complete.
    if installed.exists() {
        fs::remove_file(&installed)?;
    }
    install()?;
    Ok(fs::write(installed, wanted)?)
}

/// What `cargo xtask fuzz` needs.
pub(crate) fn for_fuzzing() -> Result<()> {
    provide(FOR_FUZZING)
}

fn provide(tools: &[Tool]) -> Result<()> {
    let mut packages: Vec<_> =
        tools.iter().filter(|tool| !is_there(tool.program)).map(|tool| tool.package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install --yes --no-install-recommends {}", packages.join(" "));
    if !is_there("apt-get") {
        bail!("missing: {}. Install them with your system's package manager", packages.join(", "));
    }
    if !is_root() {
        bail!("missing: {}. Run:\n\n    sudo {install}\n", packages.join(", "));
    }
    step(Command::new("apt-get").arg("update").arg("--quiet"))?;
    answer(ANSWERS)?;
    let mut words = install.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    step(command.args(words).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}

/// Tells Debian's packages beforehand what they would ask.
fn answer(answers: &str) -> Result<()> {
    let mut asked = Command::new("debconf-set-selections").stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = asked.stdin.take() {
        stdin.write_all(answers.as_bytes())?;
    }
    if !asked.wait()?.success() {
        bail!("debconf-set-selections does not take: {answers}");
    }
    Ok(())
}

/// Whether we may install packages.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn is_there(program: &str) -> bool {
    find(program).is_some()
}

/// A program where the shell looks for programs, or where Debian puts PostgreSQL's.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    directories.extend(versions.map(|version| version.path().join("bin")));
    // Where servers are, which is on the path of root alone.
    directories.push("/usr/sbin".into());
    directories.iter().map(|directory| directory.join(program)).find(|path| path.is_file())
}
