//! What inspection finds in labelled mail, what it flags without reason, and how fast it is.

mod corpora;
mod found;
mod harm;
#[path = "../../../../inspect/tests/corpora/marked.rs"]
mod marked;
mod sensitive;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use self::{
    corpora::{column, table},
    found::{Inspector, Run},
};
use super::{Record, measure::megabytes, release_build, report::Report, workplace};
use crate::story::testdata;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The corpora, unpacked [default: target/testdata]
    #[arg(long, value_name = "DIR")]
    corpora: Option<PathBuf>,
    /// The program [default: the release build]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Name each miss and each false alarm of the attachments, impersonations and texts, too
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    record: Record,
}

/// The organisation whose mail most of the legitimate mail is.
const DOMAIN: &str = "enron.com";

/// How often the mail is read to see whether memory grows.
const ROUNDS: usize = 5;

/// A figure beside what the design promises.
struct Promise {
    what: String,
    seen: String,
    wanted: String,
    holds: bool,
}

/// What a run gathers.
struct Bench<'a> {
    inspector: Inspector<'a>,
    corpora: &'a Path,
    place: &'a Path,
    verbose: bool,
    promises: Vec<Promise>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let corpora = match &options.corpora {
        Some(named) => std::path::absolute(named)?,
        None => testdata("")
            .context("no target/testdata: ../shared/tools/unpack-data target/testdata")?,
    };
    let program = match &options.program {
        Some(program) => std::path::absolute(program)?,
        None => release_build()?,
    };
    let place = workplace()?;
    let policy = place.path().join("policy.toml");
    fs::write(&policy, policy_of(&corpora)?)?;
    let mut bench = Bench {
        inspector: Inspector { program: &program, policy: &policy },
        corpora: &corpora,
        place: place.path(),
        verbose: options.verbose,
        promises: Vec::new(),
    };
    let mail = bench.mail()?;
    bench.impersonation()?;
    bench.codes()?;
    bench.attachments()?;
    bench.snippets()?;
    bench.bodies()?;
    bench.fixtures()?;
    bench.speed(&mail)?;

    let mut report =
        Report::new("Inspection", "cargo xtask bench inspect", &["", "seen", "wanted", "holds"]);
    for promise in &bench.promises {
        let holds = if promise.holds { "yes" } else { "no" };
        report.row(&promise.what, [promise.seen.clone(), promise.wanted.clone(), holds.to_owned()]);
    }
    report.note(
        "The labelled corpora, each with its own labels; a third of each is kept apart and not in \
         here. Processor time of the whole process, starting included.",
    );
    report.finish(&options.record)?;
    match bench.promises.iter().filter(|promise| !promise.holds).count() {
        0 => Ok(()),
        missed => bail!("{missed} of {} promises do not hold", bench.promises.len()),
    }
}

/// Own domains, and the people whose names are taken in vain.
fn policy_of(corpora: &Path) -> Result<String> {
    let names: Vec<String> = table(&corpora.join("impersonation/vip_list.tsv"))?
        .iter()
        .map(|row| column(row, "name").map(|name| format!("{name:?}")))
        .collect::<Result<_>>()?;
    Ok(format!("own_domains = [{DOMAIN:?}]\nexecutives = [{}]\n", names.join(", ")))
}

impl Bench<'_> {
    fn at_least(&mut self, what: &str, seen: f64, wanted: f64, detail: &str) {
        self.promise(what, format!("{seen:.4}"), format!("≥ {wanted}"), seen >= wanted, detail);
    }

    fn at_most(&mut self, what: &str, seen: f64, wanted: f64, detail: &str) {
        self.promise(what, format!("{seen:.4}"), format!("≤ {wanted}"), seen <= wanted, detail);
    }

    fn promise(&mut self, what: &str, seen: String, wanted: String, holds: bool, detail: &str) {
        println!("{} {what}: {seen} ({wanted}) {detail}", if holds { "  " } else { "✗ " });
        let seen = if detail.is_empty() { seen } else { format!("{seen} ({detail})") };
        self.promises.push(Promise { what: what.to_owned(), seen, wanted, holds });
    }

    /// Malformed messages: each is answered for.
    fn fixtures(&mut self) -> Result<()> {
        let files = corpora::files(&self.corpora.join("fixtures"), "")?;
        let run = self.inspector.paths(&files)?;
        let detail =
            format!("slowest {:.1} ms, peak {}", run.milliseconds(1000), megabytes(run.peak_bytes));
        self.promise(
            "fixtures answered",
            format!("{} of {} files", distinct(&run), files.len()),
            "all".to_owned(),
            distinct(&run) == files.len(),
            &detail,
        );
        Ok(())
    }

    fn speed(&mut self, mail: &Run) -> Result<()> {
        let rate = mail.seen.len() as f64 / mail.cpu_seconds;
        self.promise(
            "messages a CPU-second, whole pipeline",
            format!("{rate:.0}"),
            "≥ 1500".to_owned(),
            rate >= 1500.0,
            &format!("{} messages, {:.2} s", mail.seen.len(), mail.cpu_seconds),
        );
        let p99 = mail.milliseconds(990);
        self.promise(
            "p99 a message",
            format!("{p99:.2} ms"),
            "< 50 ms".to_owned(),
            p99 < 50.0,
            &format!(
                "median {:.2} ms, slowest {:.1} ms",
                mail.milliseconds(500),
                mail.milliseconds(1000)
            ),
        );
        // All of it again and again: what is held must not follow what was read.
        let folders = [self.corpora.join("phish"), self.corpora.join("ham")];
        let again = self.inspector.paths(&vec![folders; ROUNDS].concat())?;
        let growth = again.peak_bytes as f64 / mail.peak_bytes.max(1) as f64;
        self.promise(
            "peak memory, five times as much mail",
            format!("{growth:.2} times"),
            "≤ 1.15 times".to_owned(),
            growth <= 1.15,
            &format!("{} after {}", megabytes(again.peak_bytes), megabytes(mail.peak_bytes)),
        );
        // The texts of real mail, so large that starting the process does not count.
        let file = self.place.join("text.txt");
        let mut text = Vec::new();
        for mbox in corpora::files(&self.corpora.join("mailboxes"), ".mbox")? {
            text.extend_from_slice(&fs::read(&mbox)?);
        }
        // A text is cut off at the limit of what is inspected.
        let pieces: Vec<PathBuf> = text
            .chunks(1 << 20)
            .enumerate()
            .map(|(number, piece)| -> Result<PathBuf> {
                let path = file.with_extension(format!("{number}.txt"));
                fs::write(&path, piece)?;
                Ok(path)
            })
            .collect::<Result<_>>()?;
        let run = self.inspector.texts(&pieces)?;
        let rate = text.len() as f64 / 1e6 / run.cpu_seconds;
        self.promise(
            "sensitive content, MB a CPU-second",
            format!("{rate:.1}"),
            "≥ 20".to_owned(),
            rate >= 20.0,
            &format!(
                "{} in {:.2} s, peak {}",
                megabytes(text.len() as u64),
                run.cpu_seconds,
                megabytes(run.peak_bytes)
            ),
        );
        Ok(())
    }
}

/// How many files were answered for; an mbox is answered for by each of its messages.
fn distinct(run: &Run) -> usize {
    let names = run.seen.iter().map(|seen| seen.path.split('#').next());
    names.collect::<std::collections::BTreeSet<_>>().len()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Counts by name, the most frequent first.
fn frequent<'n>(names: impl Iterator<Item = &'n str>) -> Vec<(&'n str, usize)> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts
}
