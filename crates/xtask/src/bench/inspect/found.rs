//! What `mailkeep inspect --json` says of files, and what it took to say it.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::super::measure::{cpu_seconds, high_water_mark};

/// One line of its output.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) verdict: String,
    score: f64,
    pub(super) findings: Vec<Finding>,
    #[serde(default)]
    pub(super) not_inspected: Vec<String>,
    pub(super) ms: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Finding {
    pub(super) detector: String,
    pub(super) category: String,
    pub(super) entity: String,
    pub(super) severity: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Seen {
    /// Whether a person would be told that it may do harm.
    pub(super) fn is_flagged(&self) -> bool {
        matches!(self.verdict.as_str(), "suspicious" | "malicious")
    }

    /// The score where it speaks of harm; sensitive content alone does none.
    pub(super) fn harm(&self) -> f64 {
        let harmful = |finding: &Finding| finding.category != "sensitive";
        if self.findings.iter().any(harmful) { self.score } else { 0.0 }
    }

    /// The name of the file without its folder.
    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// A whole run.
#[derive(Default)]
pub(super) struct Run {
    pub(super) seen: Vec<Seen>,
    /// Processor time of the process, starting included.
    pub(super) cpu_seconds: f64,
    pub(super) peak_bytes: u64,
}

impl Run {
    /// Milliseconds a message that so many of a thousand stay below.
    pub(super) fn milliseconds(&self, per_mille: usize) -> f64 {
        let mut all: Vec<f64> = self.seen.iter().map(|seen| seen.ms).collect();
        all.sort_by(f64::total_cmp);
        all.get((all.len() * per_mille / 1000).min(all.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    }
}

/// The program and the policy that it is given.
pub(super) struct Inspector<'a> {
    pub(super) program: &'a Path,
    pub(super) policy: &'a Path,
}

impl Inspector<'_> {
    pub(super) fn paths(&self, paths: &[impl AsRef<OsStr>]) -> Result<Run> {
        self.run(|command| command.args(paths))
    }

    /// Plain texts, one a file.
    pub(super) fn texts(&self, paths: &[impl AsRef<OsStr>]) -> Result<Run> {
        self.run(|command| {
            for path in paths {
                command.arg("--text").arg(path);
            }
            command
        })
    }

    fn run(&self, with: impl FnOnce(&mut Command) -> &mut Command) -> Result<Run> {
        let mut command = Command::new(self.program);
        command.args(["inspect", "--json", "--policy"]).arg(self.policy);
        let mut child = with(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut run = Run::default();
        for line in BufReader::new(output).lines() {
            let line = line?;
            run.seen.push(serde_json::from_str(&line).with_context(|| line.clone())?);
            if run.seen.len().is_multiple_of(8) {
                run.peak_bytes = run.peak_bytes.max(high_water_mark(child.id()).unwrap_or(0));
            }
        }
        // It has ended or is about to; nobody waited for it yet, so that its times can be read.
        run.cpu_seconds = loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
            if stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')) {
                break cpu_seconds(child.id()).context("the times of a process")?;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        let status = child.wait()?;
        ensure!(status.success(), "{command:?}: {status}");
        Ok(run)
    }
}
