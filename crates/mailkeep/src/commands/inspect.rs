use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
    time::Instant,
};

use mailkeep_inspect::{
    Context, Executive, MaskKey, Report, inspect, inspect_attachment, inspect_prefix, inspect_text,
    mbox::Messages,
};
use mailkeep_model::{Verdict, VerdictKind};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::Outcome;
use crate::{
    cli::{FailOn, Inspect},
    exit::{Exit, Failure},
    output::{Output, plain},
};

/// Of a larger file the beginning is inspected, and the verdict says so.
const MAX_BYTES: usize = 64 << 20;

/// What `--policy` carries.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Policy {
    /// The organisation's own domains.
    own_domains: Vec<String>,
    /// Names of executives: used at an address that is not the organisation's, one is a finding.
    executives: Vec<String>,
}

pub(super) fn run(arguments: &Inspect, output: &Output) -> Outcome {
    let policy = match &arguments.policy {
        None => Policy::default(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
            toml::from_str(&text)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?
        }
    };
    // A key for this run: marks of equal values are equal within its output, and say nothing
    // outside.
    let mut key = [0; 32];
    rand::fill(&mut key);
    let mask_key = MaskKey::from_bytes(key);
    let person = |name: &String| Executive { name: name.clone(), addresses: Vec::new() };
    let executives: Vec<Executive> = policy.executives.iter().map(person).collect();
    let context = Context::new(OffsetDateTime::now_utc(), &policy.own_domains, &mask_key)
        .with_executives(&executives);
    let mut run = Run { output, context, fail_on: arguments.fail_on, exit: Exit::Done, count: 0 };
    for path in &arguments.text {
        let begin = Instant::now();
        let (bytes, _) = read_bounded(path)?;
        let verdict = inspect_text(&String::from_utf8_lossy(&bytes), &run.context);
        run.show(&path.display().to_string(), None, &verdict, begin);
    }
    for path in &arguments.paths {
        run.path(path)?;
    }
    if run.count == 0 {
        output.complain("nothing to inspect there");
    }
    Ok(run.exit)
}

struct Run<'a> {
    output: &'a Output,
    context: Context<'a>,
    fail_on: Option<FailOn>,
    exit: Exit,
    count: u64,
}

impl Run<'_> {
    fn path(&mut self, path: &Path) -> Result<(), Failure> {
        if path == Path::new("-") {
            let begin = Instant::now();
            let mut bytes = Vec::new();
            let stdin = std::io::stdin().lock();
            stdin
                .take(MAX_BYTES as u64)
                .read_to_end(&mut bytes)
                .map_err(|error| unreadable(path, &error))?;
            let report = inspect(&bytes, &self.context);
            self.show("-", report.message_id.as_deref(), &report.verdict, begin);
            return Ok(());
        }
        let mut waiting = VecDeque::from([path.to_owned()]);
        while let Some(path) = waiting.pop_front() {
            let metadata = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
            if metadata.is_dir() {
                let entries = fs::read_dir(&path).map_err(|error| unreadable(&path, &error))?;
                let entries: Result<Vec<_>, _> =
                    entries.map(|entry| entry.map(|entry| entry.path())).collect();
                let mut entries = entries.map_err(|error| unreadable(&path, &error))?;
                entries.sort();
                waiting.extend(entries);
            } else if metadata.is_file() {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let name = path.display().to_string();
        if has_ending(path, "mbox") {
            let file = File::open(path).map_err(|error| unreadable(path, &error))?;
            for (index, message) in Messages::new(BufReader::new(file), MAX_BYTES).enumerate() {
                let begin = Instant::now();
                let message = message.map_err(|error| unreadable(path, &error))?;
                let report = inspect_prefix(&message.bytes, message.size, &self.context);
                let name = format!("{name}#{}", index + 1);
                self.show(&name, report.message_id.as_deref(), &report.verdict, begin);
            }
            return Ok(());
        }
        let begin = Instant::now();
        let (bytes, size) = read_bounded(path)?;
        let (message_id, verdict) = if has_ending(path, "eml") || looks_like_a_message(&bytes) {
            let Report { message_id, verdict, .. } = inspect_prefix(&bytes, size, &self.context);
            (message_id, verdict)
        } else {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            (None, inspect_attachment(&file_name, &bytes, &self.context))
        };
        self.show(&name, message_id.as_deref(), &verdict, begin);
        Ok(())
    }

    fn show(&mut self, path: &str, message_id: Option<&str>, verdict: &Verdict, begin: Instant) {
        self.count += 1;
        if self.fail_on.is_some_and(|fail_on| fails(fail_on, verdict)) {
            self.exit = Exit::Found;
        }
        let ms = begin.elapsed().as_secs_f64() * 1000.0;
        let value = json!({
            "path": path,
            "message_id": message_id,
            "verdict": verdict.verdict,
            "score": verdict.score,
            "findings": verdict.findings,
            "not_inspected": verdict.not_inspected,
            "ms": (ms * 1000.0).round() / 1000.0,
        });
        self.output.result(&value, || text(path, verdict));
    }
}

fn text(path: &str, verdict: &Verdict) -> String {
    let mut text =
        format!("{:<10} {:.2}  {}", verdict.verdict.as_str(), verdict.score, plain(path));
    for finding in &verdict.findings {
        text.push_str(&format!(
            "\n    {} ({:?}) at {} {}..{}: {}",
            finding.detector,
            finding.severity,
            finding.field,
            finding.start,
            finding.end,
            plain(&finding.evidence)
        ));
    }
    for reason in &verdict.not_inspected {
        text.push_str(&format!("\n    not inspected: {}", plain(reason)));
    }
    text
}

/// Sensitive content is looked for beside the verdict: a malicious message may hold some, too.
fn fails(fail_on: FailOn, verdict: &Verdict) -> bool {
    match fail_on {
        FailOn::Malicious => verdict.verdict == VerdictKind::Malicious,
        FailOn::Suspicious => verdict.verdict >= VerdictKind::Suspicious,
        FailOn::Sensitive => verdict.verdict >= VerdictKind::Sensitive,
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// Whether the first line is a header field (RFC 5322, 2.2), or the line that mbox puts before.
fn looks_like_a_message(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"From ") {
        return true;
    }
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
    (2..=76).contains(&colon) && line[..colon].iter().all(|byte| (33..127).contains(byte))
}

fn read_bounded(path: &Path) -> Result<(Vec<u8>, u64), Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        let size = file.metadata()?.len();
        file.take(MAX_BYTES as u64).read_to_end(&mut bytes)?;
        Ok(size.max(bytes.len() as u64))
    });
    let size = read.map_err(|error| unreadable(path, &error))?;
    Ok((bytes, size))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let exit =
        if error.kind() == std::io::ErrorKind::NotFound { Exit::Usage } else { Exit::Failed };
    Failure::new(exit, format!("cannot read {}: {error}", PathBuf::from(path).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_ending_is_told_by_its_first_line() {
        for message in ["Received: x\n", "From a@b Mon\nTo: x", "X-Y: z"] {
            assert!(looks_like_a_message(message.as_bytes()), "{message}");
        }
        for other in ["", "PK\u{3}\u{4}", "Dear all: hello", "no colon", "<html>"] {
            assert!(!looks_like_a_message(other.as_bytes()), "{other}");
        }
    }
}
