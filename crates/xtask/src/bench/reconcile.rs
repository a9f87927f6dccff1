//! Many tenants held against one large ledger: what each of them takes.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Record, measure::megabytes, report::Report};
use crate::workspace::{cargo, output, target};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Tenants that are looked at
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    tenants: usize,
    /// Signatures in the ledger, of all tenants together; twice as many receipts
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    records: usize,
    #[command(flatten)]
    record: Record,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let directory = target().join("bench");
    std::fs::create_dir_all(&directory)?;
    let mut measure = cargo(&["test", "--release", "--package", "mailkeep-service"]);
    measure.args(["--test", "many_tenants", "--", "--ignored", "--nocapture"]);
    measure.env("MAILKEEP_TENANTS", options.tenants.to_string());
    measure.env("MAILKEEP_RECORDS", options.records.to_string());
    measure.env("MAILKEEP_BENCH_DIR", &directory);
    let said = output(&mut measure)?;
    let told = said.lines().find_map(|line| line.split_once("measured ")).context("no figures")?.1;
    let told: Value = serde_json::from_str(told)?;
    let number = |at: &str| told.pointer(at).and_then(Value::as_f64).context("a figure");

    let command = format!(
        "cargo xtask bench reconcile --tenants {} --records {}",
        options.tenants, options.records
    );
    let columns = ["a tenant", "processor, ms", "ms"];
    let mut report = Report::new("Many tenants and one ledger", command, &columns);
    for (what, of) in [
        ("before: all of ledger and receipts for each", "before"),
        ("the first after a start", "first"),
        ("each of the others", "others"),
    ] {
        let milliseconds =
            |kind: &str| -> Result<f64> { Ok(number(&format!("/{of}/{kind}"))? * 1000.0) };
        let values = [milliseconds("cpu")?, milliseconds("wall")?];
        report.row(what, values.map(|value| format!("{value:.1}")));
    }
    let bytes = |at: &str| -> Result<String> { Ok(megabytes(number(at)? as u64)) };
    report.note(format!(
        "{} tenants, one after another; a month of their signatures, {} records ({}), with {} receipts ({}). Service and signer are in one \
         process, whose processor time it is. What is timed is `blast_radius`, which judges as a reconciliation does and asks no provider; \
         *before* is the reading of both that every look did. Memory: {} before the first look, {} at most during all of them; the old way, \
         which keeps all receipts at once, took it to {}.",
        options.tenants,
        options.records,
        bytes("/ledger")?,
        options.records * 2,
        bytes("/receipts")?,
        bytes("/memory/start")?,
        bytes("/memory/peak")?,
        bytes("/memory/peak_before")?,
    ));
    report.finish(&options.record)
}
