//! `mailkeep signer recover` and `mailkeep identity recover`: another signer in the place of a lost one.

use std::collections::BTreeMap;

use mailkeep_identity::{LedgerEnd, MOST_EARLIER, WitnessLine};
use mailkeep_service::{DataDirectory, Recovery, Service, ServiceError};
use serde_json::json;

use super::{
    Outcome,
    browse::rfc3339,
    open_service, setup,
    testimony::{KeptLine, Testimony, read_witness},
    workers::client,
};
use crate::{
    cli::{Global, IdentityRecover, SignerRecover},
    exit::{Exit, Failure},
    output::{Output, plain},
};

/// `signer recover`
pub(super) async fn signer(global: &Global, arguments: &SignerRecover, output: &Output) -> Outcome {
    let client = client(global, arguments.socket.clone());
    let status = client.status().await.map_err(ServiceError::from)?;
    let (lost, earlier) = match arguments.without_witness {
        true => (None, Vec::new()),
        false => {
            let mut known = what_witnesses_kept(arguments, output)?;
            // The signer's user need not be able to look into the service's state.
            if DataDirectory::new(&global.data).control().is_file() {
                known.extend(open_service(global).await?.ledgers_seen().await?);
            }
            let mut lost = lost_ledgers(known, &status.checkpoint_key);
            if lost.is_empty() {
                return Err(Failure::usage(
                    "where did the lost ledger end? Name what a witness kept of it with --witness FILE, or what 'mailkeep identity ledger last-seen' prints for the service's user; when nobody knows: --without-witness",
                ));
            }
            let last = lost.remove(0);
            lost.truncate(MOST_EARLIER);
            (Some(last), lost)
        }
    };
    let followed = client.follow(lost.clone(), earlier.clone(), &arguments.reason).await;
    followed.map_err(ServiceError::from)?;
    let value = json!({"follows": lost, "earlier": earlier, "reason": arguments.reason});
    output.result(&value, || {
        let ended = match &lost {
            Some(end) => format!("the lost one, which ended at {} or later", place(end)),
            None => "a lost one of which nobody knows where it ended".to_owned(),
        };
        let before: String = earlier
            .iter()
            .map(|end| format!("\nBefore that, one was lost that ended at {} or later.", place(end)))
            .collect();
        format!(
            "The signer's ledger says from now on that it follows {ended}.{before}\n\
             Next, for each tenant: mailkeep identity recover TENANT --kit DIR --out DIR\n\
             Lost with the signer as well, where there were any: where alerts go ('mailkeep alerts remove', 'alerts add'), workers of other machines ('mailkeep signer enroll')"
        )
    });
    Ok(Exit::Done)
}

fn place(LedgerEnd { checkpoint, checkpoint_key }: &LedgerEnd) -> String {
    format!(
        "record {} on {} (checkpoints signed with {checkpoint_key})",
        checkpoint.head.seq,
        rfc3339(checkpoint.time)
    )
}

/// The ends of ledgers that the named files know of. A line that its key did not sign is no end of
/// anything, and keeps nobody from ordering it by the others; it is told.
fn what_witnesses_kept(
    arguments: &SignerRecover,
    output: &Output,
) -> Result<Vec<LedgerEnd>, Failure> {
    let mut known = Vec::new();
    for path in &arguments.witness {
        let before = known.len();
        let Testimony { lines, unread } = read_witness(path)?;
        for one in unread {
            output.complain(&format!("NOT READ: {one}"));
        }
        for KeptLine { from, line } in lines {
            let WitnessLine { checkpoint, checkpoint_key: Some(checkpoint_key), .. } = line else {
                continue;
            };
            let end = LedgerEnd { checkpoint, checkpoint_key };
            match end.verify() {
                Ok(()) => known.push(end),
                Err(error) => output.note(&format!("passed over: {from}: {error}")),
            }
        }
        if known.len() == before {
            let text = format!(
                "{} names no key of the ledger's checkpoints: it was not written by a witness",
                path.display()
            );
            return Err(Failure::usage(text));
        }
    }
    Ok(known)
}

/// Of all but the running ledger, where each ended; the one that was written to last comes first. A witness
/// knows of the running one, too: it is told as soon as that signer runs.
fn lost_ledgers(known: Vec<LedgerEnd>, running: &str) -> Vec<LedgerEnd> {
    let mut last: BTreeMap<String, LedgerEnd> = BTreeMap::new();
    for end in known {
        let key = end.checkpoint_key.to_string();
        let seq = |end: &LedgerEnd| end.checkpoint.head.seq;
        if key != running && last.get(&key).is_none_or(|known| seq(known) < seq(&end)) {
            last.insert(key, end);
        }
    }
    let mut last: Vec<LedgerEnd> = last.into_values().collect();
    last.sort_by_key(|end| std::cmp::Reverse(end.checkpoint.time));
    last
}

/// `identity recover`
pub(super) async fn tenant(
    service: &Service,
    arguments: &IdentityRecover,
    output: &Output,
) -> Outcome {
    let IdentityRecover { tenant, kit, out, deadline } = arguments;
    let begun = service.begin_recovery(tenant, kit.as_deref()).await?;
    // The keys are made: whatever stands in the way from here on, the administrator can go on.
    if let Some(out) = out {
        setup::write(&service.recovery_bundle(tenant).await?, out)?;
    }
    let recovery = service.finish_recovery(begun, *deadline).await?;
    output.result(&recovery, || text(&recovery, arguments));
    Ok(if recovery.is_complete() { Exit::Done } else { Exit::Partly })
}

fn text(recovery: &Recovery, arguments: &IdentityRecover) -> String {
    let tenant = &recovery.tenant;
    let mut lines = Vec::new();
    if recovery.begun {
        lines.push(format!(
            "The signer that is there is ours from now on: {}. 'mailkeep incidents {tenant}' has it",
            plain(&recovery.succession.by_whom())
        ));
    }
    lines.push(match recovery.repository {
        true => "repository: opened with its password, which the signer has".to_owned(),
        false => "repository: there is none yet".to_owned(),
    });
    for one in &recovery.functions {
        let state = if one.accepted { "accepted" } else { "not registered yet" };
        lines.push(format!(
            "{:<10} new key {}, certificate {}, application {}: {state}",
            one.function.as_str(),
            one.key_id,
            one.thumbprint_sha1,
            one.client_id
        ));
    }
    for purged in &recovery.purged {
        let (function, what) = (purged.function.as_str(), plain(&purged.what));
        lines.push(format!("{function:<10} removed {what}"));
    }
    if recovery.is_complete() {
        lines.push(format!(
            "All keys are new, and none from before is at the provider any more. Next: mailkeep backup {tenant}, mailkeep identity reconcile {tenant}, and a fresh 'mailkeep tenant check {tenant}'"
        ));
        return lines.join("\n");
    }
    lines.push("Left to do, by an administrator of the tenant:".to_owned());
    for left in &recovery.left {
        lines.push(format!("  {}: {}", left.function, plain(&left.what)));
    }
    let script = match &arguments.out {
        Some(out) => format!("in {}, ", out.display()),
        None => "with --out DIR the scripts are written; there, ".to_owned(),
    };
    lines.push(format!(
        "By script: {script}'sh break-glass.sh shut', then 'sh break-glass.sh reopen .', which need none of our keys.\n\
         By hand: the auditor's and the steward's certificate are enough where there is a steward ('mailkeep identity certificate {tenant} FUNCTION' prints them); it does the rest.\n\
         Then again: mailkeep identity recover {tenant}"
    ));
    lines.join("\n")
}
