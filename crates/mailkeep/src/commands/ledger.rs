//! `mailkeep identity ledger …`

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use mailkeep_identity::{
    CheckpointKey, Kept, LedgerEnd, MAX_LINE, WitnessLine,
    ledger::{self, LedgerEvent, LedgerRecord},
};
use mailkeep_model::TenantName;
use mailkeep_service::{Service, ServiceError};
use serde_json::json;
use time::OffsetDateTime;

use super::{Outcome, browse::rfc3339, secret_file};
use crate::{
    cli::Ledger,
    exit::{Exit, Failure},
    output::{Output, plain},
};

pub(super) async fn run(service: &Service, command: Ledger, output: &Output) -> Outcome {
    match command {
        Ledger::Verify { witness, ledger } => {
            verify(service, &witness, ledger.as_deref(), output).await
        }
        Ledger::Witness => witness(service, output).await,
        Ledger::LastSeen => last_seen(service, output).await,
        Ledger::WitnessKey { name, secret_file } => {
            let key = secret_file::read(&secret_file).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", secret_file.display()))
            })?;
            service.seal_witness_key(&name, &key).await?;
            let sealed = json!({"witness": name, "key": "sealed"});
            output.result(&sealed, || format!("the signer keeps the key of {}", plain(&name)));
            Ok(Exit::Done)
        }
        Ledger::Show { tenant, since } => show(service, tenant, since, output).await,
    }
}

async fn witness(service: &Service, output: &Output) -> Outcome {
    let told = service.tell_witnesses().await?;
    if told.is_empty() {
        let text = "there is no witness: name one in config.toml ([[witness]]); docs/operating.md, 'Watching over the keys'";
        return Err(Failure::usage(text));
    }
    let mut exit = Exit::Done;
    for (witness, state) in &told {
        if state.error.is_some() {
            exit = Exit::Partly;
        }
        let value = json!({"witness": witness.name, "knows": state});
        output.result(&value, || match &state.error {
            None => format!("{} knows of record {}", witness.name, state.seq),
            Some(error) => {
                format!(
                    "{} could not be told: {}; it knows of record {}",
                    witness.name,
                    plain(error),
                    state.seq
                )
            }
        });
    }
    Ok(exit)
}

async fn last_seen(service: &Service, output: &Output) -> Outcome {
    let Some(LedgerEnd { checkpoint, checkpoint_key }) = service.ledger_last_seen().await? else {
        let text =
            "it was never seen here: 'identity reconcile', which needs an auditor, looks at it";
        return Err(Failure::new(Exit::NotFound, text));
    };
    let line = WitnessLine { checkpoint, checkpoint_key: Some(checkpoint_key), follows: None };
    let value = serde_json::to_value(&line).unwrap_or_default();
    output.result(&value, || value.to_string());
    Ok(Exit::Done)
}

/// A ledger, as far as it says of itself what it is.
struct Told {
    key: CheckpointKey,
    /// What it follows, and why.
    follows: Option<(Option<LedgerEnd>, String)>,
}

async fn verify(
    service: &Service,
    witnesses: &[PathBuf],
    copy: Option<&Path>,
    output: &Output,
) -> Outcome {
    let Testimony { mut lines, unread } = read_witnesses(witnesses)?;
    let told = match copy {
        None => told_by_the_signer(service).await?,
        Some(path) => told_by_a_copy(service, path, &mut lines).await?,
    };
    let lost_end = told.follows.as_ref().and_then(|(lost, _)| lost.as_ref());
    let kept = match Kept::of(&lines, &told.key, lost_end) {
        Ok(kept) => kept,
        Err(error) => return Ok(damage(&error.to_string(), &unread, output)),
    };
    let witnessed = kept.present.len();
    let outcome = match copy {
        None => service.read_ledger(kept.present, (), |(), _| ()).await?.0.outcome,
        Some(path) => ledger::verify_witnessed(open(path)?, &told.key, &kept.present, |_| ()),
    };
    let summary = match outcome {
        Ok(summary) => summary,
        Err(error) => return Ok(damage(&error.to_string(), &unread, output)),
    };
    let records = summary.head.seq;
    let value = json!({
        "records": records,
        "head": summary.head.hash.to_string(),
        "witnessed_by": witnessed,
        "damage": null,
        "lost": kept.lost,
        "unread": unread,
        "follows": told.follows.as_ref().map(|(lost, reason)| json!({"lost": lost, "reason": reason})),
    });
    output.result(&value, || {
        let agree = match witnessed {
            0 if copy.is_some() => {
                "without --witness nobody says that it was not written anew".to_owned()
            }
            0 => "without --witness nobody but the signer itself says that it was not written anew"
                .to_owned(),
            count => format!("{count} checkpoints agree"),
        };
        let mut text =
            format!("{records} records, none changed, removed, moved or repeated; {agree}");
        if let Some((_, reason)) = &told.follows {
            text.push_str(&format!("\nIt follows a ledger that is lost. Reason given: {}", plain(reason)));
        }
        for LedgerEnd { checkpoint, checkpoint_key } in &kept.lost {
            text.push_str(&format!(
                "\nNOT VERIFIED: the lost ledger that the witness knew up to record {} on {} (checkpoints signed with {checkpoint_key}); a copy of it can be, with --ledger FILE",
                checkpoint.head.seq,
                rfc3339(checkpoint.time)
            ));
        }
        text + &unread_text(&unread)
    });
    let whole = kept.lost.is_empty() && unread.is_empty();
    Ok(if whole { Exit::Done } else { Exit::Partly })
}

fn damage(what: &str, unread: &[String], output: &Output) -> Exit {
    output.result(&json!({ "damage": what, "unread": unread }), || {
        format!("DAMAGE: {what}\nKeep the signer's disk as it is{}", unread_text(unread))
    });
    Exit::Damage
}

fn unread_text(unread: &[String]) -> String {
    unread.iter().map(|one| format!("\nNOT READ: {}", plain(one))).collect()
}

async fn told_by_the_signer(service: &Service) -> Result<Told, Failure> {
    let (read, follows) = service.read_ledger(Vec::new(), None, note_follows).await?;
    Ok(Told { key: read.key, follows })
}

/// Of a copy of the ledger. A signer does not start with a damaged one: then the key is the one that the
/// ledger names itself, and a ledger that somebody else made names another than the one that signed the
/// checkpoints. So it is for a copy of one that was lost; what the witnesses kept of others says nothing
/// of it then.
async fn told_by_a_copy(
    service: &Service,
    path: &Path,
    lines: &mut Vec<WitnessLine>,
) -> Result<Told, Failure> {
    let named = named_key(open(path)?);
    let running = match service.signer().await {
        Ok(signer) => Some(signer.status().await.map_err(ServiceError::from)?.checkpoint_key),
        Err(_) => None,
    };
    let of_named =
        |line: &WitnessLine| line.checkpoint_key.as_ref().map(ToString::to_string) == named;
    let key = match running {
        Some(running) if Some(&running) != named.as_ref() && lines.iter().any(of_named) => {
            lines.retain(of_named);
            named
        }
        Some(running) => Some(running),
        None => named,
    };
    let key: CheckpointKey = key
        .ok_or_else(|| Failure::failed(format!("{} does not begin as a ledger", path.display())))?
        .parse()
        .map_err(|error| Failure::failed(format!("the checkpoint key: {error}")))?;
    let mut follows = None;
    // What is wrong with it is found when it is held against the checkpoints.
    let _ = ledger::verify_each(open(path)?, |record| note_follows(&mut follows, record));
    Ok(Told { key, follows })
}

fn note_follows(found: &mut Option<(Option<LedgerEnd>, String)>, record: &LedgerRecord) {
    if let LedgerEvent::Follows { lost, reason, .. } = &record.event {
        *found = Some((lost.clone(), reason.clone()));
    }
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    let file = File::open(path).map(BufReader::new);
    file.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

/// The key in the record that begins a ledger.
fn named_key(from: impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    from.take(MAX_LINE as u64).read_until(b'\n', &mut line).ok()?;
    let record = ledger::parse(line.strip_suffix(b"\n")?).ok()?;
    match record.event {
        LedgerEvent::Begun { checkpoint_key } => Some(checkpoint_key),
        _ => None,
    }
}

/// What a witness kept.
#[derive(Default)]
pub(super) struct Testimony {
    pub(super) lines: Vec<WitnessLine>,
    /// The files of a directory that are none of its, and why. Whoever may put objects into a bucket can put
    /// anything there: that must not keep what else is in it from being held against the ledger.
    pub(super) unread: Vec<String>,
}

fn read_witnesses(paths: &[PathBuf]) -> Result<Testimony, Failure> {
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

fn read_witness_file(path: &Path) -> Result<Vec<WitnessLine>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    WitnessLine::parse_all(&text).map_err(|(line, error)| {
        format!("{} holds no checkpoints: line {line}: {error}", path.display())
    })
}

async fn show(
    service: &Service,
    tenant: Option<TenantName>,
    since: Option<OffsetDateTime>,
    output: &Output,
) -> Outcome {
    let wanted = move |found: &mut Vec<LedgerRecord>, record: &LedgerRecord| {
        if since.is_none_or(|since| record.time >= since) {
            found.push(record.clone());
        }
    };
    let (read, records) = service.read_ledger(Vec::new(), Vec::new(), wanted).await?;
    for record in &records {
        let event = serde_json::to_value(&record.event).unwrap_or_default();
        if tenant.as_ref().is_some_and(|tenant| event["tenant"] != tenant.as_str()) {
            continue;
        }
        let value = json!({"seq": record.seq, "time": rfc3339(record.time), "event": event});
        output.result(&value, || {
            format!("{}  {}  {}", record.seq, rfc3339(record.time), plain(&event.to_string()))
        });
    }
    match read.outcome {
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            output.complain(&format!("DAMAGE: {error}"));
            Ok(Exit::Damage)
        }
    }
}
