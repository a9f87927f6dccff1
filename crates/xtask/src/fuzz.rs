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
    /// The parser; without it, all are listed
    target: Option<String>,
    /// How long to go on
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u32,
}

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
    let fuzzer = build()?;
    match &options.target {
        None => step(&mut Command::new(fuzzer)).map(drop),
        Some(target) => feed(&fuzzer, target, options.seconds),
    }
}

/// Feeds every parser for `seconds` each.
pub(crate) fn run_all(seconds: u32) -> Result<()> {
    let fuzzer = build()?;
    let listed = output(&mut Command::new(&fuzzer))?;
    for line in listed.lines() {
        feed(&fuzzer, line.split(' ').next().unwrap_or_default(), seconds)?;
    }
    Ok(())
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
