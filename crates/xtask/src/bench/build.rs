//! The release build from nothing: what somebody waits for who tries Mailkeep out.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Record, measure::megabytes, report::Report, workplace};
use crate::workspace::cargo;

pub(super) fn run(record: &Record) -> Result<()> {
    // So that no download is measured.
    ensure!(cargo(&["fetch", "--locked"]).status()?.success(), "cargo fetch");
    let place = workplace()?;
    let mut build = cargo(&["build", "--release", "--locked", "--package", "mailkeep"]);
    build.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(place.path());
    println!("$ cargo build --release, from an empty target directory");
    let begin = Instant::now();
    let mut child = build.stdout(Stdio::piped()).spawn()?;
    let mut crates = BTreeSet::new();
    for line in BufReader::new(child.stdout.take().context("the output of cargo")?).lines() {
        let message: Value = serde_json::from_str(&line?)?;
        if message["reason"] == "compiler-artifact" {
            crates.insert(message["package_id"].to_string());
        }
    }
    ensure!(child.wait()?.success(), "the build failed");
    let seconds = begin.elapsed().as_secs_f64();
    let program = fs::metadata(place.path().join("release/mailkeep"))?.len();

    let mut report = Report::new("Release build", "cargo xtask bench build", &["", ""]);
    report.row("from an empty target directory", [format!("{:.1} min", seconds / 60.0)]);
    report.row("crates", [crates.len().to_string()]);
    report.row("program", [megabytes(program)]);
    report.finish(record)
}
