//! Our first backup, which includes TLS, OAuth, JSON and inspection, beside restic's of the same
//! messages as local files.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Record, demo, mail,
    measure::{Measured, Series, measure, megabytes},
    release_build,
    report::Report,
    workplace,
};
use crate::{
    story::{Mailkeep, Repository, World, size_of},
    tools,
    workspace::output,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each of both runs
    #[arg(long, default_value_t = 5, value_name = "N")]
    runs: usize,
    /// Mail as PERSON/FOLDER.mbox [default: the real mailboxes of the reference data]
    #[arg(long, value_name = "DIR")]
    mail: Option<PathBuf>,
    #[command(flatten)]
    record: Record,
}

/// One of our runs.
struct Ours {
    shown: Value,
    /// With the start of lab and signer, reading the mbox files, and the summary.
    whole_seconds: f64,
    repository_bytes: u64,
}

impl Ours {
    fn number(&self, name: &str) -> Result<f64> {
        self.shown[name].as_f64().with_context(|| format!("no {name} in {}", self.shown))
    }
}

pub(super) fn run(options: &Options) -> Result<()> {
    tools::for_tests()?;
    let mail = mail(options.mail.as_ref())?;
    let program = release_build()?;
    let place = workplace()?;
    let files = place.path().join("files");
    let mut split = Command::new("python3");
    split.arg("-c").arg(include_str!("split.py")).arg(&mail).arg(&files);
    let messages: u64 = output(&mut split)?.trim().parse().context("the number of messages")?;
    // Neither shall wait for the disk because of the files that were made for the other.
    output(&mut Command::new("sync"))?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 1..=options.runs {
        let mailkeep = Mailkeep::new(&program, place.path().join("m"));
        let run = demo(&mailkeep, &mail);
        let shown = run.json();
        let kit = shown["recovery_kit"].as_str().context("no recovery kit")?;
        let repository = Repository::opened_with(kit).location();
        let repository_bytes = size_of(&repository);
        ensure!(shown["messages"] == messages, "not all {messages} messages: {shown}");
        ours.push(Ours { whole_seconds: run.took.as_secs_f64(), repository_bytes, shown });

        let repository = place.path().join(format!("restic-{number}"));
        let (measured, bytes) = restic(&repository, &files)?;
        std::fs::remove_dir_all(&repository)?;
        let seconds = ours[ours.len() - 1].number("seconds")?;
        println!("run {number}: Mailkeep {seconds:.1} s, restic {:.1} s", measured.seconds);
        theirs.push((measured, bytes));
    }
    let counted = Counted::of(&program, &mail)?;
    report(options, messages, size_of(&files), &ours, &theirs, &counted)
}

fn restic(repository: &Path, files: &Path) -> Result<(Measured, u64)> {
    let command = |arguments: &[&str]| {
        let mut restic = Command::new("restic");
        restic.args(["--quiet", "--repo"]).arg(repository).args(arguments);
        restic.env("RESTIC_PASSWORD", "bench").env("RESTIC_CACHE_DIR", repository.join("cache"));
        restic
    };
    // Not counted: it spends its seconds on choosing how dear guessing the password shall be.
    measure(&mut command(&["init"]))?;
    let measured = measure(command(&["backup"]).arg(files))?;
    let cache = size_of(&repository.join("cache"));
    Ok((measured, size_of(repository) - cache))
}

/// One more run, where the backup is a process of its own and the provider counts.
struct Counted {
    peak_bytes: u64,
    requests: u64,
    contents: u64,
    pages: u64,
    folders: u64,
    other: u64,
}

impl Counted {
    fn of(program: &Path, mail: &Path) -> Result<Self> {
        let world = World::start(program, &["--seed", &mail.to_string_lossy()]);
        world.set_up("bench");
        world.lab.forget_counts();
        let shown = world.backup("bench");
        let peak_bytes = shown["peak_memory_bytes"].as_u64().context("no peak of memory")?;
        let operation = |name| world.lab.requests(Some(name));
        let (requests, contents) = (world.lab.requests(None), world.lab.contents_read());
        let pages = operation("messages.delta");
        let mut folders = 0;
        for mailbox in world.lab.mailboxes() {
            folders +=
                world.mailkeep.json(&["ls", "bench", &mailbox]).ok().json_lines().len() as u64;
        }
        let other = requests - contents - pages;
        Ok(Self { peak_bytes, requests, contents, pages, folders, other })
    }
}

fn report(
    options: &Options,
    messages: u64,
    bytes: u64,
    ours: &[Ours],
    theirs: &[(Measured, u64)],
    counted: &Counted,
) -> Result<()> {
    let numbers = |name: &str| ours.iter().map(|run| run.number(name)).collect::<Result<Vec<_>>>();
    let seconds = Series::new(numbers("seconds")?)?;
    let whole = Series::new(ours.iter().map(|run| run.whole_seconds))?;
    let restic_seconds = Series::new(theirs.iter().map(|(run, _)| run.seconds))?;
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let memory = Series::new([mega(counted.peak_bytes)])?;
    let restic_memory = Series::new(theirs.iter().map(|(run, _)| mega(run.peak_bytes)))?;
    let size = Series::new(ours.iter().map(|run| mega(run.repository_bytes)))?;
    let restic_size = Series::new(theirs.iter().map(|(_, bytes)| mega(*bytes)))?;
    // Both ran one after the other: their ratio within a pair does not see a machine that is
    // slower for a while.
    let pairs = ours.iter().zip(theirs).map(|(a, (b, _))| Ok(a.number("seconds")? / b.seconds));
    let ratio = Series::new(pairs.collect::<Result<Vec<_>>>()?)?;

    let command = format!("cargo xtask bench backup --runs {}", options.runs);
    let columns = ["median (min–max)", "Mailkeep", "restic, local files", "ratio"];
    let mut report = Report::new("First backup", command, &columns);
    let of = |a: &Series, b: &Series| format!("{:.2}", a.median() / b.median());
    report.row(
        "backup, s",
        [seconds.text(), restic_seconds.text(), format!("{:.2}", ratio.median())],
    );
    report.row(
        "whole command, s",
        [whole.text(), restic_seconds.text(), of(&whole, &restic_seconds)],
    );
    report
        .row("peak memory, MB", [memory.text(), restic_memory.text(), of(&memory, &restic_memory)]);
    report.row("repository, MB", [size.text(), restic_size.text(), of(&size, &restic_size)]);
    report.note(format!(
        "{messages} messages, {}. In turn, {} times each. Mailkeep's includes TLS, OAuth, JSON and \
         inspection, and the simulated provider runs on the same cores; \"whole command\" also its \
         start, which reads the mbox files; restic's is `restic backup` alone, its repository made before. Memory is that of the process that runs the backup, in one \
         more run. The ratio of the first row is the median of the pairs' ratios.",
        megabytes(bytes),
        options.runs,
    ));
    let Counted { requests, contents, pages, folders, other, .. } = counted;
    report.note(format!(
        "Requests as the provider counted them in one more run: {requests} = {contents} contents + \
         {pages} pages of messages + {other} others (folder trees, mailboxes, tokens); there are \
         {folders} folders.",
    ));
    report.finish(&options.record)?;
    ensure!(
        *requests <= messages + pages + folders,
        "more requests than messages, pages and folders"
    );
    Ok(())
}
