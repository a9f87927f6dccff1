//! Figures as people read them, and where they are written down.

use std::{fs, io::Write, process::Command};

use anyhow::{Context, Result};

use crate::workspace::{command, output, root};

const FILE: &str = "docs/benchmarks.md";
const HEAD: &str = "# Benchmarks\n\nEach section is one run of the command that it names, newest \
                    last; `cargo xtask bench … --record` appends one. Megabytes are 10⁶ bytes.\n";

/// One measurement.
pub(super) struct Report {
    title: &'static str,
    command: String,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Report {
    /// `columns`: the first one names the figures.
    pub(super) fn new(title: &'static str, command: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { title, command: command.into(), rows: vec![columns], notes: Vec::new() }
    }

    pub(super) fn row(&mut self, figure: &str, values: impl IntoIterator<Item = String>) {
        self.rows.push(std::iter::once(figure.to_owned()).chain(values).collect());
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints it, and appends it to the file when asked for.
    pub(super) fn finish(&self, record: &super::Record) -> Result<()> {
        let text = self.markdown(&date()?, &machine()?);
        println!("\n{text}");
        if record.record {
            let path = root().join(FILE);
            let new = !path.exists();
            fs::create_dir_all(path.with_file_name(""))?;
            let mut file = fs::File::options().create(true).append(true).open(&path)?;
            if new {
                file.write_all(HEAD.as_bytes())?;
            }
            write!(file, "\n{text}").with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn markdown(&self, date: &str, machine: &str) -> String {
        let mut text = format!("## {}\n\n`{}`, {date}, {machine}\n\n", self.title, self.command);
        for (number, row) in self.rows.iter().enumerate() {
            text.push_str(&format!("| {} |\n", row.join(" | ")));
            if number == 0 {
                let rest = "---:|".repeat(row.len() - 1);
                text.push_str(&format!("|---|{rest}\n"));
            }
        }
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }
}

fn date() -> Result<String> {
    Ok(output(Command::new("date").args(["-u", "+%F"]))?.trim().to_owned())
}

/// What matters for the figures, and nothing that names the machine.
fn machine() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = first_after("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = first_after("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory = memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    let rustc = output(&mut command("rustc", &["--version"]))?;
    let rustc = rustc.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(format!("{cores} cores ({processor}), {} GiB of memory, {rustc}", memory.div_ceil(1 << 20)))
}

/// The text behind the first `NAME :` of a file in /proc.
fn first_after(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_table_that_a_person_can_repeat() {
        let mut report =
            Report::new("First backup", "cargo xtask bench backup", &["", "ours", "theirs"]);
        report.row("seconds", ["1.0".into(), "2.0".into()]);
        report.note("Done once.");
        assert_eq!(
            report.markdown("2026-11-23", "2 cores"),
            "## First backup\n\n`cargo xtask bench backup`, 2026-11-23, 2 cores\n\n\
             |  | ours | theirs |\n|---|---:|---:|\n| seconds | 1.0 | 2.0 |\n\nDone once.\n"
        );
    }
}
