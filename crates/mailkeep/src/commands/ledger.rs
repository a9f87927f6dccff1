//! `mailkeep identity ledger …`

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use mailkeep_identity::{
    Checkpoint, CheckpointKey, MAX_LINE,
    ledger::{self, LedgerEvent, LedgerRecord, LedgerSummary, WitnessError},
};
use mailkeep_model::TenantName;
use mailkeep_service::{Service, ServiceError};
use serde_json::json;
use time::OffsetDateTime;

use super::{Outcome, browse::rfc3339};
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

async fn verify(
    service: &Service,
    witnesses: &[std::path::PathBuf],
    copy: Option<&Path>,
    output: &Output,
) -> Outcome {
    let mut checkpoints = Vec::new();
    for path in witnesses {
        let kept = read_witness(path)?;
        if kept.is_empty() {
            let text =
                format!("{} holds no checkpoints: nothing is held against it", path.display());
            return Err(Failure::usage(text));
        }
        checkpoints.extend(kept);
    }
    let witnessed = checkpoints.len();
    let outcome = match copy {
        None => service.read_ledger(checkpoints, (), |(), _| ()).await?.0.outcome,
        Some(path) => verify_copy(service, path, &checkpoints).await?,
    };
    match outcome {
        Ok(summary) => {
            let records = summary.head.seq;
            let value = json!({
                "records": records,
                "head": summary.head.hash.to_string(),
                "witnessed_by": witnessed,
                "damage": null,
            });
            output.result(&value, || {
                let agree = match witnessed {
                    0 if copy.is_some() => "without --witness nobody says that it was not written anew".to_owned(),
                    0 => "without --witness nobody but the signer itself says that it was not written anew".to_owned(),
                    count => format!("{count} checkpoints agree"),
                };
                format!("{records} records, none changed, removed, moved or repeated; {agree}")
            });
            Ok(Exit::Done)
        }
        Err(error) => {
            let what = error.to_string();
            output.result(&json!({ "damage": what }), || {
                format!("DAMAGE: {what}\nKeep the signer's disk as it is")
            });
            Ok(Exit::Damage)
        }
    }
}

/// Verifies a copy of the ledger. A signer does not start with a damaged one: then the key is the one
/// that the ledger names itself, and a ledger that somebody else made names another than the one that
/// signed the checkpoints.
async fn verify_copy(
    service: &Service,
    path: &Path,
    checkpoints: &[Checkpoint],
) -> Result<Result<LedgerSummary, WitnessError>, Failure> {
    let open = || {
        let file = File::open(path);
        file.map(BufReader::new)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
    };
    let running = match service.signer().await {
        Ok(signer) => Some(signer.status().await.map_err(ServiceError::from)?.checkpoint_key),
        Err(_) => None,
    };
    let key = match running {
        Some(key) => Some(key),
        None => named_key(open()?),
    };
    let key: CheckpointKey = key
        .ok_or_else(|| Failure::failed(format!("{} does not begin as a ledger", path.display())))?
        .parse()
        .map_err(|error| Failure::failed(format!("the checkpoint key: {error}")))?;
    Ok(ledger::verify_witnessed(open()?, &key, checkpoints, |_| ()))
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

fn read_witness(path: &Path) -> Result<Vec<Checkpoint>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            serde_json::from_str(line).map_err(|error| {
                Failure::usage(format!("{} holds no checkpoints: {error}", path.display()))
            })
        })
        .collect()
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
