//! A restore at a provider that is 30 ms away, beside what its limit allows; and one item out of
//! the vault, beside restic.

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Record, measure::Series, release_build, report::Report};
use crate::{
    story::{World, size_of},
    tools,
};

/// Messages that are restored.
const MESSAGES: usize = 2_000;
/// How long the provider takes for each request, in milliseconds.
const LATENCY: u64 = 30;
/// Requests in flight that Microsoft allows for one application and mailbox.
const IN_FLIGHT: u64 = 4;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each of both reads one item
    #[arg(long, default_value_t = 5, value_name = "N")]
    runs: usize,
    #[command(flatten)]
    record: Record,
}

pub(super) fn run(options: &Options) -> Result<()> {
    tools::for_tests()?;
    let program = release_build()?;
    let world = World::start(&program, &["--mailboxes", "2"]);
    world.set_up("bench");
    world.set_up_restorer("bench");
    let wanted = json!({"mailbox": "measured", "messages": MESSAGES, "folders": 20, "seed": 1});
    let made = world.lab.post("generate", &wanted);
    let mailbox = made["mailbox"].as_str().context("the generated mailbox")?.to_owned();
    world.backup("bench");

    let columns = ["", "items", "seconds", "items/s", "requests", "requests/s", "of the limit"];
    let command = format!("cargo xtask bench restore --runs {}", options.runs);
    let mut report = Report::new("Restore", command, &columns);
    let far = json!([{"delay_ms": LATENCY}]);
    let to = format!("{}:Restored", world.lab.mailboxes()[0]);
    for (name, rules) in [("30 ms away", &far), ("30 ms away, again", &far)] {
        world.lab.faults(rules);
        let place = ["bench", mailbox.as_str(), "--to", to.as_str()];
        let shown = world.restore(&place).ok().json();
        world.lab.faults(&json!([]));
        let number = |name: &str| shown[name].as_f64().with_context(|| format!("{name}: {shown}"));
        let (seconds, requests) = (number("seconds")?, number("requests")?);
        let items = number("created")? + number("present")?;
        ensure!(items as usize == MESSAGES && shown["failed"] == 0, "not all: {shown}");
        let limit = (IN_FLIGHT * 1000 / LATENCY) as f64;
        report.row(
            name,
            [
                format!("{items}"),
                format!("{seconds:.1}"),
                format!("{:.0}", items / seconds),
                format!("{requests}"),
                format!("{:.0}", requests / seconds),
                format!("{:.0} %", 100.0 * requests / seconds / limit),
            ],
        );
    }
    report.note(format!(
        "Messages of one mailbox into a folder of another, each with its times, flags and extended properties; the simulated \
         provider waits {LATENCY} ms before each answer. The limit is {IN_FLIGHT} requests in flight for a mailbox: {} requests/s. \
         *Again*: everything is there, nothing is made.",
        IN_FLIGHT * 1000 / LATENCY
    ));
    report.finish(&options.record)?;
    one_item(&world, &mailbox, options)
}

/// One item, by a process that is started for it.
fn one_item(world: &World, mailbox: &str, options: &Options) -> Result<()> {
    let place = format!("{mailbox}:Folder 0001");
    let listed = world.mailkeep.json(&["ls", "bench", &place]).ok().json_lines();
    let items: Vec<&Value> = listed.iter().filter(|line| line["item"].is_string()).collect();
    let item = items.first().context("no item")?;
    let short = item["item"].as_str().context("its id")?;
    let repository = world.repository("bench");
    let snapshots = repository.snapshots();
    let snapshot = snapshots.last().context("a snapshot")?["id"].as_str().context("its id")?;
    let files = repository.restic(&["ls", snapshot]).ok().text();
    let file = files.lines().find(|line| line.contains(short)).context("its file")?.to_owned();

    let (mut cold, mut warm, mut peers_cold, mut peers_warm) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut forgot = true;
    for _ in 0..options.runs {
        forgot &= forget_files();
        cold.push(timed(|| world.mailkeep.run(&["cat", "bench", short]).ok()));
        warm.push(timed(|| world.mailkeep.run(&["cat", "bench", short]).ok()));
        forgot &= forget_files();
        peers_cold.push(timed(|| repository.restic(&["dump", snapshot, &file]).ok()));
        peers_warm.push(timed(|| repository.restic(&["dump", snapshot, &file]).ok()));
    }
    let out = world.path("exported");
    let arguments = ["export", "bench", mailbox, "--format", "eml", "--out"];
    let arguments: Vec<&str> = arguments.into_iter().chain(out.to_str()).collect();
    let all = timed(|| world.mailkeep.run(&arguments).ok());
    let next = (all - Series::new(warm.iter().copied())?.median()) / (MESSAGES - 1) as f64;

    let columns = ["median (min–max), ms", "Mailkeep", "restic dump"];
    let command = format!("cargo xtask bench restore --runs {}", options.runs);
    let mut report = Report::new("One item out of the vault", command, &columns);
    report.row("cold", [Series::new(cold)?.text(), Series::new(peers_cold)?.text()]);
    report.row("warm", [Series::new(warm)?.text(), Series::new(peers_warm)?.text()]);
    report.row("each further item", [format!("{next:.2}"), "–".to_owned()]);
    let cache = if forgot {
        "the system forgot all files before"
    } else {
        "a new process; the system's memory of files could not be emptied"
    };
    report.note(format!(
        "Of {MESSAGES} messages, {} MB. *Cold*: {cache}. *Warm*: once more, a new process. Both derive the key from the password, which \
         takes most of it; Mailkeep's also asks the signer and the catalog. *Each further item*: an export of all, less the first.",
        size_of(Path::new(&world.vault("bench"))) / 1_000_000
    ));
    report.finish(&options.record)
}

/// In milliseconds.
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1000.0
}

/// Has the system forget what it remembers of files; tells whether it may.
fn forget_files() -> bool {
    let synced = Command::new("sync").status().is_ok_and(|status| status.success());
    synced && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}
