//! `cargo xtask fuzz`: libFuzzer on the stable toolchain.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    tools,
    workspace::{cargo, output, root, step},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The parser; without it all are listed, or with --seconds fed one after the other
    target: Option<String>,
    /// How long to go on with each [default: 60]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
}

/// How long a parser that was named is fed when nobody says.
const SECONDS: u32 = 60;

/// What cargo-fuzz would pass on a nightly toolchain, less the sanitizers, which are not stable:
/// no code of ours is unsafe, so that panics, overflows, time and memory are what can go wrong.
const INSTRUMENTATION: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// One input may take this long, in seconds, and use this much memory, in MiB.
const LIMITS: &[&str] =
    &["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536", "-print_final_stats=1"];

pub(crate) fn run(options: &Options) -> Result<()> {
    match (&options.target, options.seconds) {
        (None, None) => step(&mut Command::new(build()?)).map(drop),
        (None, Some(seconds)) => run_all(seconds),
        (Some(target), seconds) => feed(&build()?, target, seconds.unwrap_or(SECONDS)),
    }
}

/// Feeds every parser for `seconds` each.
pub(crate) fn run_all(seconds: u32) -> Result<()> {
    let fuzzer = build()?;
    let listed = output(&mut Command::new(&fuzzer))?;
    let mut broken = Vec::new();
    for target in listed.lines().filter_map(|line| line.split(' ').next()) {
        // One that breaks keeps no other from being fed.
        if let Err(error) = feed(&fuzzer, target, seconds) {
            broken.push(format!("{error:#}"));
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!(broken.join("\n")) }
}

fn build() -> Result<PathBuf> {
    tools::for_fuzzing()?;
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say what it compiles for")?;
    // With a target named, the flags reach the program and not the build scripts.
    let mut build = cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    let target = root().join("fuzz/target");
    build.args(["--target", host]).arg("--target-dir").arg(&target);
    build.env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f"));
    step(&mut build)?;
    Ok(target.join(host).join("release/mailkeep-fuzz"))
}

fn feed(fuzzer: &Path, target: &str, seconds: u32) -> Result<()> {
    let corpus = root().join("fuzz/corpus").join(target);
    let artifacts = root().join("fuzz/target/artifacts").join(target);
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let mut feed = Command::new(fuzzer);
    feed.env("MAILKEEP_FUZZ_TARGET", target).env("MAILKEEP_FUZZ_CORPUS", &corpus);
    feed.args(LIMITS).arg(format!("-max_total_time={seconds}"));
    feed.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    if let Err(error) = step(&mut feed) {
        bail!("{target} broke: {error}. The input is in {}", artifacts.display());
    }
    Ok(())
}
