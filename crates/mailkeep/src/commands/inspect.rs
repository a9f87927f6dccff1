use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
    time::Instant,
};

use mailkeep_inspect::{MaskKey, Report, mbox::Messages, policy::Decision};
use mailkeep_model::{Verdict, VerdictKind};
use mailkeep_service::{For, Loaded, ProtectOptions, Protection};
use serde_json::{Value, json};

use super::{Outcome, config};
use crate::{
    cli::{FailOn, Global, Inspect},
    exit::{Exit, Failure},
    output::{Output, plain},
    rules,
};

/// Of a larger file the beginning is inspected, and the verdict says so.
const MAX_BYTES: usize = 64 << 20;

pub(super) fn run(global: &Global, arguments: &Inspect, output: &Output) -> Outcome {
    let protection = Protection::new(options(global, arguments)?, rules::engine());
    // Here nobody waits for a file to be mended: what is wrong with one is the answer.
    if let Some(problem) = protection.look().new_problems.first() {
        return Err(Failure::usage(problem.to_string()));
    }
    let loaded = protection.of(None);
    // A key for this run: marks of equal values are equal within its output, and say nothing
    // outside.
    let mut key = [0; 32];
    rand::fill(&mut key);
    let mask_key = MaskKey::from_bytes(key);
    let of = For { own_domains: &[], mask_key: &mask_key, sender: None };
    let (fail_on, exit) = (arguments.fail_on, Exit::Done);
    let mut run = Run { output, loaded: &loaded, of, fail_on, exit, count: 0 };
    for path in &arguments.text {
        let begin = Instant::now();
        let (bytes, _) = read_bounded(path)?;
        let verdict = loaded.inspect_text(&String::from_utf8_lossy(&bytes), of);
        run.show(&path.display().to_string(), &Report::of_no_message(verdict), begin);
    }
    for path in &arguments.paths {
        run.path(path)?;
    }
    if run.count == 0 {
        output.complain("nothing to inspect there");
    }
    Ok(run.exit)
}

/// What the arguments name, and beside it what the settings do that somebody named.
fn options(global: &Global, arguments: &Inspect) -> Result<ProtectOptions, Failure> {
    let mut options = match &global.config {
        Some(path) => {
            let base = path.parent().unwrap_or_else(|| Path::new("."));
            config(global)?.protect.options(base)?
        }
        None => ProtectOptions::default(),
    };
    options.tenants.clear();
    if let Some(policy) = &arguments.policy {
        options.files.policy = Some(policy.clone());
    }
    options.feeds.extend(arguments.feed.iter().cloned());
    if let Some(rules) = &arguments.rules {
        options.rules = Some(rules.clone());
    }
    if let Some(clamav) = &arguments.clamav {
        options.clamav = Some(clamav.clone());
    }
    Ok(options)
}

struct Run<'a> {
    output: &'a Output,
    loaded: &'a Loaded,
    of: For<'a>,
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
            let report = self.loaded.inspect(&bytes, bytes.len() as u64, self.of);
            self.show("-", &report, begin);
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
                let report = self.loaded.inspect(&message.bytes, message.size, self.of);
                let name = format!("{name}#{}", index + 1);
                self.show(&name, &report, begin);
            }
            return Ok(());
        }
        let begin = Instant::now();
        let (bytes, size) = read_bounded(path)?;
        let report = if has_ending(path, "eml") || looks_like_a_message(&bytes) {
            self.loaded.inspect(&bytes, size, self.of)
        } else {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            Report::of_no_message(self.loaded.inspect_attachment(&file_name, &bytes, self.of))
        };
        self.show(&name, &report, begin);
        Ok(())
    }

    fn show(&mut self, path: &str, report: &Report, begin: Instant) {
        self.count += 1;
        let verdict = &report.verdict;
        let decision = self.loaded.decide(report, None, &[], &[]);
        if self.fail_on.is_some_and(|fail_on| fails(fail_on, verdict)) {
            self.exit = Exit::Found;
        }
        let ms = begin.elapsed().as_secs_f64() * 1000.0;
        let mut value = json!({
            "path": path,
            "message_id": report.message_id,
            "verdict": verdict.verdict,
            "score": verdict.score,
            "findings": verdict.findings,
            "not_inspected": verdict.not_inspected,
            "ms": (ms * 1000.0).round() / 1000.0,
        });
        if let Some(decision) = &decision {
            value["policy"] = told(decision);
        }
        self.output.result(&value, || {
            let mut text = text(path, verdict);
            text.push_str(&decision.as_ref().map(follows).unwrap_or_default());
            text
        });
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

/// What would follow, for programs.
fn told(decision: &Decision) -> Value {
    let rule = |one: &mailkeep_inspect::policy::Applied| {
        json!({
            "rule": one.rule,
            "action": one.action.as_str(),
            "dry_run": one.dry_run,
            "why": one.why,
            "recipients": one.recipients,
        })
    };
    json!({
        "action": decision.action.map(|action| action.as_str()),
        "would": decision.would.map(|action| action.as_str()),
        "rules": decision.applied.iter().map(rule).collect::<Vec<_>>(),
    })
}

/// What would follow, for people.
fn follows(decision: &Decision) -> String {
    let mut text = String::new();
    for one in &decision.applied {
        let dry = if one.dry_run { " (dry run)" } else { "" };
        let (action, rule) = (one.action.as_str(), plain(&one.rule));
        text.push_str(&format!("\n    policy: {action}{dry}, by '{rule}': {}", plain(&one.why)));
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
