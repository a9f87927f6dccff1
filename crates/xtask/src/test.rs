//! `cargo xtask test`: everything that a change must not break.

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::{
    counts::{self, Counts},
    interop::Recording,
    postgres::Postgres,
    story, tools,
    workspace::{cargo, root, step, target},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Without the long stories: real mail, kills, parsers fed with garbage
    #[arg(long)]
    quick: bool,
}

/// Stories that take minutes.
const LONG: &str = "not (binary(real_mail) | binary(kill) | binary(parsers))";

/// Runs all checks, the quick ones first. The counts of the tests are the last line, whatever they
/// are; an error says that it did not come to that.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    tools::for_tests()?;
    tools::for_interop()?;
    unpack_reference_data()?;
    step(&mut cargo(&["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
    step(&mut cargo(&clippy))?;
    let (doc_counts, doc_outcome) = doc_tests()?;
    let recording = Recording::begin()?;
    let (counts, outcome) = tests(options, &recording)?;
    let outcome = doc_outcome.and(outcome).and(recording.report());
    if let Err(error) = &outcome {
        println!("\nerror: {error:#}");
    }
    report(&(doc_counts + counts));
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The reference data lies beside the project's clone in some places and nowhere in others.
fn unpack_reference_data() -> Result<()> {
    let Some(data) = story::shared_data() else {
        println!("the reference data is not here: tests that need it say so and count as skipped");
        return Ok(());
    };
    let unpack = data.join("../tools/unpack-data");
    if unpack.is_file() {
        let mut unpack = Command::new(unpack);
        step(unpack.arg(root().join("target/testdata")))?;
    }
    Ok(())
}

/// Runs the tests, also when some fail; their own outcome comes second.
fn tests(options: &Options, recording: &Recording) -> Result<(Counts, Result<()>)> {
    let junit = target().join("nextest/default/junit.xml");
    // What an earlier run left must not be taken for this one's.
    if junit.exists() {
        fs::remove_file(&junit).with_context(|| junit.display().to_string())?;
    }
    let postgres = Postgres::start()?;
    let mut nextest = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
    nextest.env("MAILKEEP_TEST_POSTGRES", postgres.url());
    recording.of(&mut nextest);
    if options.quick {
        nextest.args(["--filterset", LONG]);
    }
    let outcome = step(&mut nextest).map(drop);
    let report = fs::read_to_string(&junit);
    match (report, outcome) {
        (Ok(report), outcome) => Ok((counts::of_junit(&report), outcome)),
        // The tests did not even compile.
        (Err(_), Err(error)) => Err(error),
        (Err(error), Ok(())) => bail!("nextest left no report in {}: {error}", junit.display()),
    }
}

fn doc_tests() -> Result<(Counts, Result<()>)> {
    let mut doc = cargo(&["test", "--doc", "--workspace", "--no-fail-fast", "--quiet"]);
    println!("\n$ cargo test --doc --workspace");
    let output = doc.output().context("cannot start cargo test --doc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}{}", String::from_utf8_lossy(&output.stderr));
    let failed = || anyhow::anyhow!("cargo test --doc: {}", output.status);
    let outcome = if output.status.success() { Ok(()) } else { Err(failed()) };
    Ok((counts::of_libtest(&text), outcome))
}

/// Nothing may be skipped silently, so the reasons stand right before the counts.
fn report(all: &Counts) {
    println!();
    for test in &all.skipped {
        println!("skipped: {}: {}", test.name, test.reason);
    }
    for name in &all.failed {
        println!("failed: {name}");
    }
    println!("{} passed, {} failed, {} skipped", all.passed, all.failed.len(), all.skipped.len());
}
