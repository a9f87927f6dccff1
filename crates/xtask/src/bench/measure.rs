//! Time and memory of a program from outside.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How often the kernel is asked. Its high-water mark never falls, so that what is missed is what
/// grew in the last moment only.
const INTERVAL: Duration = Duration::from_millis(5);

/// What a run took.
pub(super) struct Measured {
    pub(super) seconds: f64,
    pub(super) peak_bytes: u64,
}

/// Runs a command to its end, its output aside.
pub(super) fn measure(command: &mut Command) -> Result<Measured> {
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak_bytes.max(high_water_mark(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(INTERVAL);
    };
    let seconds = begin.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(Measured { seconds, peak_bytes })
}

/// `VmHWM`: the most memory that a process ever held (proc(5)).
pub(super) fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Processor time that a process and those of its children that have ended took, in user and system mode
/// (proc(5): fields 14 to 17 of `stat`, in hundredths of a second).
pub(super) fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything; the third field comes behind it.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks = fields.skip(11).take(4).map(|field| field.parse::<f64>().ok());
    Some(ticks.sum::<Option<f64>>()? / 100.0)
}

/// Several values of one figure.
pub(super) struct Series(Vec<f64>);

impl Series {
    pub(super) fn new(values: impl IntoIterator<Item = f64>) -> Result<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        values.first().context("nothing was measured")?;
        Ok(Self(values))
    }

    pub(super) fn median(&self) -> f64 {
        let (low, high) = (self.0[(self.0.len() - 1) / 2], self.0[self.0.len() / 2]);
        f64::midpoint(low, high)
    }

    /// `12.3 (11.9–13.0)`: the median, the smallest and the largest.
    pub(super) fn text(&self) -> String {
        let (smallest, largest) = (self.0[0], self.0[self.0.len() - 1]);
        format!("{:.1} ({smallest:.1}–{largest:.1})", self.median())
    }
}

/// Bytes in units that people read.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_runs_lies_between_both() {
        assert_eq!(Series::new([4.0, 1.0, 2.0, 3.0]).unwrap().text(), "2.5 (1.0–4.0)");
        assert_eq!(Series::new([3.0]).unwrap().median(), 3.0);
        assert!(Series::new([]).is_err());
    }

    #[test]
    fn the_memory_of_a_program_is_seen() {
        let measured = measure(Command::new("sleep").arg("0.05")).unwrap();
        assert!(measured.seconds >= 0.05 && measured.peak_bytes > 0);
        assert!(measure(&mut Command::new("false")).is_err());
    }
}
