//! What witnesses kept of a ledger, read from files.

use std::path::{Path, PathBuf};

use mailkeep_identity::WitnessLine;

use crate::{exit::Failure, output::plain};

/// A line that a witness kept, and where it stands.
pub(super) struct KeptLine {
    /// The file and the line in it, for people.
    pub(super) from: String,
    pub(super) line: WitnessLine,
}

/// What a witness kept.
#[derive(Default)]
pub(super) struct Testimony {
    pub(super) lines: Vec<KeptLine>,
    /// The files of a directory that are none of its, and why. Whoever may put objects into a bucket can put
    /// anything there: that must not keep what else is in it from being held against the ledger.
    pub(super) unread: Vec<String>,
}

/// What several witnesses kept; each of them has kept something.
pub(super) fn read_witnesses(paths: &[PathBuf]) -> Result<Testimony, Failure> {
    let mut all = Testimony::default();
    for path in paths {
        let Testimony { lines, unread } = read_witness(path)?;
        if lines.is_empty() {
            let text =
                format!("{} holds no checkpoints: nothing is held against it", path.display());
            return Err(Failure::usage(text + &unread_text(&unread)));
        }
        all.lines.extend(lines);
        all.unread.extend(unread);
    }
    Ok(all)
}

/// What a witness kept: a file, or a directory of them.
pub(super) fn read_witness(path: &Path) -> Result<Testimony, Failure> {
    if !path.is_dir() {
        let lines = read_witness_file(path).map_err(Failure::usage)?;
        return Ok(Testimony { lines, unread: Vec::new() });
    }
    let failed = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let mut all = Testimony::default();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            continue;
        }
        match read_witness_file(&path) {
            Ok(lines) => all.lines.extend(lines),
            Err(why) => all.unread.push(why),
        }
    }
    all.unread.sort();
    Ok(all)
}

fn read_witness_file(path: &Path) -> Result<Vec<KeptLine>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let lines = WitnessLine::parse_all(&text).map_err(|(line, error)| {
        format!("{} holds no checkpoints: line {line}: {error}", path.display())
    })?;
    let kept =
        |(number, line)| KeptLine { from: format!("{}, line {number}", path.display()), line };
    Ok(lines.into_iter().map(kept).collect())
}

/// What was not read, for people.
pub(super) fn unread_text(unread: &[String]) -> String {
    unread.iter().map(|one| format!("\nNOT READ: {}", plain(one))).collect()
}
