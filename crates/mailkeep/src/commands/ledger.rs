//! `mailkeep identity ledger …`

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use mailkeep_identity::{
    CheckpointKey, Follows, Kept, LedgerEnd, MAX_LINE, Origin, Unexplained, WitnessLine,
    ledger::{self, LedgerEvent, LedgerRecord},
    lost_before,
};
use mailkeep_model::TenantName;
use mailkeep_service::Service;
use serde_json::json;
use time::OffsetDateTime;

use super::{
    Outcome,
    browse::rfc3339,
    secret_file,
    testimony::{KeptLine, Testimony, read_witnesses, unread_text},
};
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
    follows: Option<Follows>,
    which: Which,
    /// What the running ledger knows of the end of this one.
    end: Option<LedgerEnd>,
}

/// Which ledger is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// The signer's.
    Running,
    /// A copy, held against the signer's key.
    CopyOfRunning,
    /// A copy of one that was lost, which the running one says it follows.
    CopyOfLost,
    /// A copy without a signer to ask: it is what it says it is.
    CopyAlone,
}

async fn verify(
    service: &Service,
    witnesses: &[PathBuf],
    copy: Option<&Path>,
    output: &Output,
) -> Outcome {
    let Testimony { lines: mut kept_lines, unread } = read_witnesses(witnesses)?;
    let told = match copy {
        None => told_by_the_signer(service).await?,
        Some(path) => told_by_a_copy(service, path, &mut kept_lines).await?,
    };
    let told = match told {
        Ok(told) => told,
        Err(what) => return Ok(damage(&what, &unread, output)),
    };
    let lines: Vec<WitnessLine> = kept_lines.iter().map(|kept| kept.line.clone()).collect();
    let named = told.follows.as_ref().map(Follows::named).unwrap_or_default();
    let kept = match Kept::of(&lines, &told.key, &named) {
        Ok(kept) => kept,
        Err(error) => {
            let from = match &error {
                Unexplained::Checkpoint { line, .. } => kept_lines.get(*line),
                _ => None,
            };
            let from = from.map(|kept| format!("{}: ", kept.from)).unwrap_or_default();
            return Ok(damage(&format!("{from}{error}"), &unread, output));
        }
    };
    let witnessed = kept.present.len();
    let mut checkpoints = kept.present;
    checkpoints.extend(told.end.map(|end| end.checkpoint));
    let outcome = match copy {
        None => service.read_ledger(checkpoints, (), |(), _| ()).await?.0.outcome,
        Some(path) => ledger::verify_witnessed(open(path)?, &told.key, &checkpoints, |_| ()),
    };
    let summary = match outcome {
        Ok(summary) => summary,
        Err(error) => return Ok(damage(&error.to_string(), &unread, output)),
    };
    let records = summary.head.seq;
    let value = json!({
        "records": records,
        "head": summary.head.hash.to_string(),
        "checkpoint_key": told.key.to_string(),
        "of": told.which.as_str(),
        "witnessed_by": witnessed,
        "damage": null,
        "lost": kept.lost,
        "unread": unread,
        "follows": told.follows.as_ref().map(|one| json!({"lost": one.lost, "earlier": one.earlier, "reason": one.reason})),
    });
    output.result(&value, || {
        let agree = match (witnessed, told.which) {
            (0, Which::Running) => {
                "without --witness nobody but the signer itself says that it was not written anew"
                    .to_owned()
            }
            (0, Which::CopyOfLost) => "it goes as far as the running ledger says".to_owned(),
            (0, _) => "without --witness nobody says that it was not written anew".to_owned(),
            (count, _) => format!("{count} checkpoints agree"),
        };
        let mut text =
            format!("{records} records, none changed, removed, moved or repeated; {agree}");
        let which = match told.which {
            Which::Running => None,
            Which::CopyOfRunning => Some("It is a copy of the running signer's ledger"),
            Which::CopyOfLost => {
                Some("It is a copy of a lost ledger, which the running signer's follows")
            }
            Which::CopyAlone => {
                Some("No signer answers: that it is the signer's, only the copy itself says")
            }
        };
        if let Some(which) = which {
            text.push_str(&format!("\n{which} (checkpoints signed with {})", told.key));
        }
        if let Some(Follows { reason, .. }) = &told.follows {
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

impl Which {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::CopyOfRunning => "copy",
            Self::CopyOfLost => "copy_of_lost",
            Self::CopyAlone => "copy_alone",
        }
    }
}

fn damage(what: &str, unread: &[String], output: &Output) -> Exit {
    output.result(&json!({ "damage": what, "unread": unread }), || {
        format!("DAMAGE: {what}\nKeep the signer's disk as it is{}", unread_text(unread))
    });
    Exit::Damage
}

async fn told_by_the_signer(service: &Service) -> Result<Result<Told, String>, Failure> {
    let (read, origin) = service.read_ledger(Vec::new(), Origin::default(), Origin::note).await?;
    let key = read.key;
    let told = |follows| Told { key, follows, which: Which::Running, end: None };
    Ok(origin.read().map(told).map_err(|unbelieved| unbelieved.to_string()))
}

/// Of a copy of the ledger. A signer does not start with a damaged one: then the key is the one that the
/// ledger names itself, and a ledger that somebody else made names another than the one that signed the
/// checkpoints. Where a signer runs, a copy is held against its key, unless the copy is of a ledger that the
/// running one says was lost: what the witnesses kept of others says nothing of that one. Whatever else
/// names a key of its own is somebody's who would like to have the witnesses' lines put aside.
async fn told_by_a_copy(
    service: &Service,
    path: &Path,
    lines: &mut Vec<KeptLine>,
) -> Result<Result<Told, String>, Failure> {
    let named = named_key(open(path)?);
    let (key, which, end) = match service.signer().await {
        Ok(_) => {
            let running = match told_by_the_signer(service).await? {
                Ok(running) => running,
                Err(what) => return Ok(Err(what)),
            };
            let before = running.follows.as_ref().map(Follows::named).unwrap_or_default();
            let told: Vec<WitnessLine> = lines.iter().map(|kept| kept.line.clone()).collect();
            let lost = lost_before(&told, &running.key, &before);
            let is_it = |end: &LedgerEnd| Some(end.checkpoint_key.to_string()) == named;
            match lost.into_iter().find(is_it) {
                Some(end) => {
                    lines.retain(|kept| {
                        kept.line.checkpoint_key.as_ref() == Some(&end.checkpoint_key)
                    });
                    (end.checkpoint_key.clone(), Which::CopyOfLost, Some(end))
                }
                None if named.as_ref().is_some_and(|one| *one != running.key.to_string()) => {
                    return Ok(Err(format!(
                        "{} names another key for its checkpoints than the running signer's ledger, and that does not say that it follows it: it is not ours",
                        path.display()
                    )));
                }
                None => (running.key, Which::CopyOfRunning, None),
            }
        }
        Err(_) => {
            let named = named.ok_or_else(|| {
                Failure::failed(format!("{} does not begin as a ledger", path.display()))
            })?;
            let key = named.parse();
            let key =
                key.map_err(|error| Failure::failed(format!("the checkpoint key: {error}")))?;
            (key, Which::CopyAlone, None)
        }
    };
    let mut origin = Origin::default();
    // What is wrong with it is found when it is held against the checkpoints.
    let _ = ledger::verify_each(open(path)?, |record| origin.note(record));
    let told = |follows| Told { key, follows, which, end };
    Ok(origin.read().map(told).map_err(|unbelieved| unbelieved.to_string()))
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
