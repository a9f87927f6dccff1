//! What a second backup costs must follow what changed, not how much is there.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Record, release_build, report::Report};
use crate::{
    story::{World, size_of},
    tools,
};

/// Messages in the mailboxes that are compared.
const SIZES: [usize; 2] = [1_000, 20_000];
/// Folders in each.
const FOLDERS: usize = 20;
/// People mostly touch what came last; the messages that count as such.
const NEWEST: usize = 200;
const NEW: usize = 100;
const CHANGED: usize = 35;
const MOVED: usize = 15;
const DELETED: usize = 20;

/// What the second backup cost.
struct Cost {
    report: Value,
    requests: u64,
    contents: u64,
    bytes_on_disk: u64,
}

pub(super) fn run(record: &Record) -> Result<()> {
    tools::for_tests()?;
    let program = release_build()?;
    let mut costs = Vec::new();
    for newest in [Some(NEWEST), None] {
        for size in SIZES {
            println!("a mailbox of {size}, changes among {newest:?} newest");
            costs.push(second_backup(&program, size, newest)?);
        }
    }
    let mut report = Report::new(
        "Second backup",
        "cargo xtask bench incremental",
        &["", "1,000, newest", "20,000, newest", "1,000, anywhere", "20,000, anywhere"],
    );
    let field = |name: &str| {
        let values = costs.iter().map(|cost| cost.report[name].as_u64());
        let texts = values.map(|value| value.map(|value| value.to_string()));
        texts.collect::<Option<Vec<_>>>().with_context(|| format!("no {name}"))
    };
    report.row("messages new", field("new")?);
    report.row("messages changed or moved", field("changed")?);
    report.row("messages removed", field("removed")?);
    report.row("requests", costs.iter().map(|cost| cost.requests.to_string()));
    report.row("of these, contents read", costs.iter().map(|cost| cost.contents.to_string()));
    report.row("new tree blobs", field("tree_blobs_added")?);
    report.row("new data blobs", field("data_blobs_added")?);
    report.row("bytes added (compressed)", field("bytes_added")?);
    report
        .row("repository grew by, bytes", costs.iter().map(|cost| cost.bytes_on_disk.to_string()));
    report.row(
        "seconds",
        costs.iter().map(|cost| format!("{:.2}", cost.report["seconds"].as_f64().unwrap_or(0.0))),
    );
    report.note(format!(
        "A generated mailbox with {FOLDERS} folders is backed up; {CHANGED} messages are read, flagged or \
         categorised, {MOVED} are moved, {DELETED} deleted, {NEW} arrive; it is backed up again. *Newest*: among the {NEWEST} newest messages, as people work; \
         *anywhere*: scattered over the whole mailbox, where a large one touches more directories."
    ));
    report.finish(record)
}

fn second_backup(program: &Path, size: usize, newest: Option<usize>) -> Result<Cost> {
    let world = World::start(program, &["--mailboxes", "1"]);
    world.set_up("bench");
    let wanted = json!({"mailbox": "measured", "messages": size, "folders": FOLDERS, "seed": 1});
    let made = world.lab.post("generate", &wanted);
    let mailbox = made["mailbox"].as_str().context("the generated mailbox")?;
    let backup = || world.mailkeep.json(&["backup", "bench", "--mailbox", mailbox]).ok().json();
    backup();
    let mut work = json!({"mailbox": mailbox, "seed": 2, "change": CHANGED, "move": MOVED,
                          "delete": DELETED});
    if let Some(newest) = newest {
        work["newest"] = json!(newest);
    }
    world.lab.post("mutate", &work);
    // Afterwards, so that none of the new ones is among those that are changed.
    world.lab.post("mutate", &json!({"mailbox": mailbox, "seed": 3, "create": NEW}));
    let before = size_of(&world.vault("bench"));
    world.lab.forget_counts();
    let report = backup();
    Ok(Cost {
        report,
        requests: world.lab.requests(None),
        contents: world.lab.contents_read(),
        bytes_on_disk: size_of(&world.vault("bench")).saturating_sub(before),
    })
}
