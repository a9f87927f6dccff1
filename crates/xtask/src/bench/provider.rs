//! One mailbox, read from a provider that is 30 ms away: a backup of ours beside a script that uses
//! Microsoft's own client library; and what a backup costs when the provider throttles and cuts off.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Record, measure::Series, release_build, report::Report, workplace};
use crate::{
    story::{SETTINGS, World},
    tools,
    workspace::output,
};

/// How long the provider takes for each request, in milliseconds.
const LATENCY: u64 = 30;
/// Requests in flight that Microsoft allows for one application and mailbox.
const IN_FLIGHT: u64 = 4;
/// The wall time may be this many times what the latency alone makes of the requests.
const MOST: f64 = 1.2;
/// A user of the library must take at least so many times as long.
const LEAST: f64 = 5.0;
/// Folders of the mailbox beside those that every mailbox has.
const FOLDERS: usize = 20;
/// What a user of Microsoft's library for Graph installs; the version is in `tests/interop`.
const LIBRARY: &str = "msgraph-sdk";
/// The address of the mailbox, and its average message in bytes.
const MAILBOX: &str = "measured";
const BYTES: usize = 4096;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Messages of the mailbox that is backed up alone
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    messages: usize,
    /// Messages of the mailbox that both read
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    compared: usize,
    /// How often each of both reads it
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: usize,
    #[command(flatten)]
    record: Record,
}

pub(super) fn run(options: &Options) -> Result<()> {
    tools::for_tests()?;
    let program = release_build()?;
    let alone = backups(&program, options)?;
    let compared = comparison(&program, options)?;
    alone.and(compared)
}

/// A backup, as it reported itself and as the provider counted it.
struct Backup {
    report: Value,
    counters: Value,
    folders: u64,
}

impl Backup {
    /// A first backup of a new mailbox, under such faults.
    fn of(program: &Path, messages: usize, faults: &Value) -> Result<Self> {
        let world = World::start(program, &["--mailboxes", "1"]);
        world.set_up("bench");
        let mailbox = generate(&world, messages)?;
        world.lab.faults(faults);
        world.lab.forget_counts();
        let report = world.mailkeep.json(&["backup", "bench", "--mailbox", &mailbox]).ok().json();
        let counters = world.lab.counters();
        world.lab.faults(&json!([]));
        let listed = world.mailkeep.json(&["ls", "bench", &mailbox]).ok().json_lines();
        ensure!(report["new"] == messages + SETTINGS, "not all {messages} messages: {report}");
        Ok(Self { report, counters, folders: listed.len() as u64 })
    }

    fn seconds(&self) -> Result<f64> {
        self.report["seconds"].as_f64().with_context(|| format!("seconds in {}", self.report))
    }

    /// Settings, which every mailbox has, are new as well.
    fn messages(&self) -> u64 {
        self.report["new"].as_u64().unwrap_or_default().saturating_sub(SETTINGS as u64)
    }

    /// What the latency alone makes of the requests, in seconds.
    fn bound(&self) -> f64 {
        (self.requests() * LATENCY) as f64 / (1000 * IN_FLIGHT) as f64
    }

    /// Requests for contents that were neither refused nor cut off.
    fn answered(&self) -> u64 {
        let of = |what| self.count("message.value", what);
        of("requests") - of("errors")
    }

    fn count(&self, operation: &str, what: &str) -> u64 {
        self.counters["operations"][operation][what].as_u64().unwrap_or_default()
    }

    fn requests(&self) -> u64 {
        self.counters["total"]["requests"].as_u64().unwrap_or_default()
    }

    /// Most requests in flight, of one application at one mailbox.
    fn peak(&self) -> u64 {
        let peaks = self.counters["peak_concurrency"].as_array().into_iter().flatten();
        peaks.filter_map(|peak| peak["requests"].as_u64()).max().unwrap_or_default()
    }
}

/// Makes the mailbox that is measured; its address.
fn generate(world: &World, messages: usize) -> Result<String> {
    let wanted = json!({"mailbox": MAILBOX, "messages": messages, "folders": FOLDERS, "seed": 1,
        "bytes": BYTES});
    let made = world.lab.post("generate", &wanted);
    Ok(made["mailbox"].as_str().context("the generated mailbox")?.to_owned())
}

/// A mailbox from far away, in order and under faults. Inside: whether it was as fast as it must be.
fn backups(program: &Path, options: &Options) -> Result<Result<()>> {
    let messages = options.messages;
    let far = json!({ "delay_ms": LATENCY });
    let throttled = json!({"operation": "message.value", "status": 429, "retry_after": 1,
        "probability": 0.1, "seed": 1});
    let cut = json!({"operation": "message.value", "reset": true, "when": "before",
        "probability": 0.01, "seed": 2});
    println!("{messages} messages, {LATENCY} ms away");
    let calm = Backup::of(program, messages, &json!([far]))?;
    // A second for each refusal would be all that is measured.
    let few = messages.min(2_000);
    println!("{few} messages, {LATENCY} ms away, 429 at 10 % and cut off at 1 %");
    let stormy = Backup::of(program, few, &json!([far, throttled, cut]))?;

    let command = format!("cargo xtask bench provider --messages {messages}");
    let columns = ["", "in order", "429 at 10 %, cut off at 1 %"];
    let mut report = Report::new("A mailbox 30 ms away", command, &columns);
    let both = [&calm, &stormy];
    let mut row = |name: &str, value: &dyn Fn(&Backup) -> u64| {
        report.row(name, both.iter().map(|backup| value(backup).to_string()));
    };
    row("messages", &Backup::messages);
    row("requests", &Backup::requests);
    row("of these for contents", &|one| one.count("message.value", "requests"));
    row("contents answered", &Backup::answered);
    row("pages of messages", &|one| one.count("messages.delta", "requests"));
    row("folders", &|one| one.folders);
    row("most in flight", &Backup::peak);
    report.row("seconds", [format!("{:.1}", calm.seconds()?), format!("{:.1}", stormy.seconds()?)]);
    // Of the other, the pauses are most of it.
    report.row("requests × latency / 4, s", [format!("{:.1}", calm.bound()), "–".into()]);
    let ratio = calm.seconds()? / calm.bound();
    report.row("seconds, as a multiple of that", [format!("{ratio:.2}"), "–".into()]);
    report.note(format!(
        "A first backup with `mailkeep backup`, of a generated mailbox with messages of {BYTES} bytes on average; the \
         simulated provider waits {LATENCY} ms before each answer and runs on the same cores. With 4 requests in flight for a mailbox, the limit, *requests × latency / 4* is the least that they take. Where it \
         throttles, it asks for a pause of a second, of the whole mailbox, each time. Its other limit, 10,000 requests in ten minutes, is off: with it, nothing is faster than that."
    ));
    report.finish(&options.record)?;

    for backup in both {
        let answered = backup.answered();
        ensure!(answered == backup.messages(), "contents answered twice: {}", backup.counters);
        ensure!(backup.peak() <= IN_FLIGHT, "{} requests in flight", backup.peak());
    }
    let (requests, pages) = (calm.requests(), calm.count("messages.delta", "requests"));
    Ok((|| {
        // The tree with its roles, the lists of calendars and contacts, the count, a token.
        let most = messages as u64 + pages + calm.folders;
        ensure!(requests <= most, "{requests} requests are more than {most}");
        ensure!(ratio <= MOST, "{ratio:.2} times what the latency alone takes");
        Ok(())
    })())
}

/// Beside the library, in turn. Inside: whether ours was as much faster as it must be.
fn comparison(program: &Path, options: &Options) -> Result<Result<()>> {
    let python = tools::graph_library()?;
    let place = workplace()?;
    let world = World::start(program, &["--mailboxes", "1"]);
    let mailbox = generate(&world, options.compared)?;
    let script = place.path().join("provider.py");
    fs::write(&script, include_str!("provider.py"))?;
    let key = place.path().join("key.pem");
    let certificate = output(Command::new(&python).arg(&script).arg("key").arg(&key))?;
    let client_id = world.lab.register("library", &certificate, &["Mail.Read", "User.Read.All"]);
    let task = place.path().join("task.json");
    let told = json!({"tenant": world.lab.tenant(), "client_id": client_id, "key": key,
        "authority": world.lab.authority(), "graph": world.lab.graph(), "ca": world.lab.ca(),
        "mailbox": mailbox});
    fs::write(&task, told.to_string())?;
    world.lab.faults(&json!([{ "delay_ms": LATENCY }]));

    let (mut ours, mut one, mut four) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=options.runs {
        // A tenant of its own each time: its first backup.
        let tenant = format!("bench-{number}");
        world.set_up(&tenant);
        let arguments = ["backup", tenant.as_str(), "--mailbox", mailbox.as_str()];
        let report = world.mailkeep.json(&arguments).ok().json();
        ensure!(report["new"] == options.compared + SETTINGS, "not all messages: {report}");
        ours.push(report["seconds"].as_f64().context("the seconds")?);
        for (at_once, seconds) in [("1", &mut one), ("4", &mut four)] {
            let mut library = Command::new(&python);
            library.arg(&script).arg("read").arg(&task).arg(at_once);
            let seen: Value = serde_json::from_str(output(&mut library)?.trim())?;
            ensure!(seen["messages"] == options.compared, "not all messages: {seen}");
            seconds.push(seen["seconds"].as_f64().context("the seconds")?);
        }
        println!(
            "run {number}: Mailkeep {:.1} s, one after another {:.1} s, four at once {:.1} s",
            ours[number - 1],
            one[number - 1],
            four[number - 1]
        );
    }
    let ratio = |theirs: &[f64]| Series::new(theirs.iter().zip(&ours).map(|(a, b)| a / b));
    let (slower, slower_at_once) = (ratio(&one)?, ratio(&four)?);
    let columns =
        ["median (min–max)", "Mailkeep", "library, one after another", "library, four at once"];
    let command = format!(
        "cargo xtask bench provider --compared {} --runs {}",
        options.compared, options.runs
    );
    let mut report = Report::new("Beside msgraph-sdk", command, &columns);
    let text = |seconds: &[f64]| Series::new(seconds.iter().copied()).map(|series| series.text());
    report.row("seconds", [text(&ours)?, text(&one)?, text(&four)?]);
    report.row("times as long", ["1".into(), slower.text(), slower_at_once.text()]);
    report.note(format!(
        "{} messages of {BYTES} bytes on average, {LATENCY} ms away, in turn. Mailkeep's is `mailkeep backup`, which also inspects, encrypts and stores; the library's \
         ({}, Python, as in tests/interop) reads the folders, each folder's delta with the same properties and the library's usual page of 10, and the MIME of each message, awaiting one answer after \
         another, as its documentation shows it; then the same with four contents at once. *Times as long*: the median of the runs' ratios.",
        options.compared,
        LIBRARY,
    ));
    report.finish(&options.record)?;
    Ok((|| {
        ensure!(
            slower.median() >= LEAST,
            "the library takes only {:.2} times as long",
            slower.median()
        );
        Ok(())
    })())
}
