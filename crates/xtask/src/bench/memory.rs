//! What the service holds in memory must not follow what mailboxes hold.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Record, mail, measure::megabytes, release_build, report::Report, workplace};
use crate::story::World;

/// Size of the large message.
const LARGE: usize = 150_000_000;
/// Events with a large attachment each, and its size.
const EVENTS: (usize, usize) = (8, 30_000_000);
/// What the service may use at most.
const MOST: u64 = 300_000_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Mail as PERSON/FOLDER.mbox [default: the real mailboxes of the reference data]
    #[arg(long, value_name = "DIR")]
    mail: Option<PathBuf>,
    #[command(flatten)]
    record: Record,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let mail = mail(options.mail.as_ref())?;
    let program = release_build()?;
    let place = workplace()?;
    let large = place.path().join("mail");
    write_large(&large.join("large"))?;

    let columns = ["", "messages", "mail", "backup", "peak memory of the service"];
    let mut report = Report::new("Memory", "cargo xtask bench memory", &columns);
    let mut peaks = Vec::new();
    for (name, seeds, events) in [
        ("mailboxes", &[&mail][..], 0),
        ("and one message of 150 MB", &[&mail, &large], 0),
        ("and 8 events with 30 MB each", &[&mail], EVENTS.0),
    ] {
        let seeds: Vec<_> = seeds.iter().map(|seed| seed.to_string_lossy()).collect();
        let arguments: Vec<&str> = seeds.iter().flat_map(|seed| ["--seed", seed]).collect();
        let world = World::start(&program, &arguments);
        world.set_up("bench");
        if events > 0 {
            let order = json!({"mailbox": "planner", "events": events, "event_bytes": EVENTS.1});
            world.lab.post("generate", &order);
        }
        let shown = world.backup("bench");
        let number =
            |name: &str| shown[name].as_u64().with_context(|| format!("{name} in {shown}"));
        let peak = number("peak_memory_bytes")?;
        let seconds = format!("{:.1} s", shown["seconds"].as_f64().unwrap_or_default());
        let bytes = number("content_bytes")?;
        // An attachment that the provider refuses is noted and left out: nothing would be measured.
        ensure!(bytes > (events * EVENTS.1) as u64, "the attachments were not read: {shown}");
        let mail = megabytes(bytes);
        report.row(name, [number("new")?.to_string(), mail, seconds, megabytes(peak)]);
        peaks.push(peak);
    }
    report.note("The process that runs the backup; provider and signer are others.");
    report.finish(&options.record)?;
    ensure!(peaks.iter().all(|peak| *peak < MOST), "more than {}", megabytes(MOST));
    Ok(())
}

/// One message with an attachment that does not compress.
fn write_large(person: &Path) -> Result<()> {
    fs::create_dir_all(person)?;
    let mut file = BufWriter::new(File::create(person.join("large.eml"))?);
    file.write_all(
        b"Subject: large\nFrom: a@outside.example\nTo: b@outside.example\n\
          Date: Mon, 23 Nov 2026 09:00:00 +0000\nMIME-Version: 1.0\n\
          Content-Type: application/octet-stream; name=large.bin\n\
          Content-Transfer-Encoding: base64\n\n",
    )?;
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut line = [b'\n'; 77];
    for _ in 0..LARGE / 78 {
        for digit in &mut line[..76] {
            // xorshift64 (Marsaglia 2003): cheap, and nothing that a compressor could use.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *digit = digits[(state >> 58) as usize];
        }
        file.write_all(&line)?;
    }
    file.flush()?;
    Ok(())
}
