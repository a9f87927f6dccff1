//! `mailkeep signer recover` and `mailkeep identity recover`: another signer in the place of a lost one.

use mailkeep_identity::LedgerEnd;
use mailkeep_service::{DataDirectory, Recovery, Service, ServiceError};
use serde_json::json;

use super::{
    Outcome,
    browse::rfc3339,
    ledger::{Testimony, read_witness},
    open_service, setup,
    workers::client,
};
use crate::{
    cli::{Global, IdentityRecover, SignerRecover},
    exit::{Exit, Failure},
    output::{Output, plain},
};

/// `signer recover`
pub(super) async fn signer(global: &Global, arguments: &SignerRecover, output: &Output) -> Outcome {
    let lost = match arguments.without_witness {
        true => None,
        false => Some(lost_ledger(global, arguments, output).await?),
    };
    let client = client(global, arguments.socket.clone());
    client.follow(lost.clone(), &arguments.reason).await.map_err(ServiceError::from)?;
    output.result(&json!({"follows": lost, "reason": arguments.reason}), || {
        let ended = match &lost {
            Some(LedgerEnd { checkpoint, .. }) => format!(
                "the lost one, which ended at record {} on {} or later",
                checkpoint.head.seq,
                rfc3339(checkpoint.time)
            ),
            None => "a lost one of which nobody knows where it ended".to_owned(),
        };
        format!(
            "The signer's ledger says from now on that it follows {ended}.\n\
             Next, for each tenant: mailkeep identity recover TENANT --kit DIR --out DIR\n\
             Lost with the signer as well, where there were any: where alerts go ('mailkeep alerts remove', 'alerts add'), workers of other machines ('mailkeep signer enroll')"
        )
    });
    Ok(Exit::Done)
}

/// Where the lost ledger ended: what the witness kept, and what was seen here, whichever goes further.
async fn lost_ledger(
    global: &Global,
    arguments: &SignerRecover,
    output: &Output,
) -> Result<LedgerEnd, Failure> {
    let mut known = Vec::new();
    if let Some(path) = &arguments.witness {
        let Testimony { lines, unread } = read_witness(path)?;
        for one in unread {
            output.complain(&format!("NOT READ: {one}"));
        }
        let lines = lines.into_iter();
        known.extend(lines.filter_map(|line| {
            Some(LedgerEnd { checkpoint: line.checkpoint, checkpoint_key: line.checkpoint_key? })
        }));
        if known.is_empty() {
            let text = format!(
                "{} names no key of the ledger's checkpoints: it was not written by a witness",
                path.display()
            );
            return Err(Failure::usage(text));
        }
    }
    // The signer's user need not be able to look into the service's state.
    if DataDirectory::new(&global.data).control().is_file() {
        known.extend(open_service(global).await?.ledger_last_seen().await?);
    }
    // The one that was written to last, and of that the last that is known.
    let last = known.iter().max_by_key(|end| end.checkpoint.time);
    let Some(key) = last.map(|end| end.checkpoint_key.clone()) else {
        return Err(Failure::usage(
            "where did the lost ledger end? Name what a witness kept of it with --witness FILE, or what 'mailkeep identity ledger last-seen' prints for the service's user; when nobody knows: --without-witness",
        ));
    };
    let of_it = known.into_iter().filter(|end| end.checkpoint_key == key);
    let last = of_it.max_by_key(|end| end.checkpoint.head.seq);
    last.ok_or_else(|| Failure::failed("no checkpoint"))
}

/// `identity recover`
pub(super) async fn tenant(
    service: &Service,
    arguments: &IdentityRecover,
    output: &Output,
) -> Outcome {
    let IdentityRecover { tenant, kit, out, deadline } = arguments;
    let recovery = service.recover_from_lost_signer(tenant, kit.as_deref(), *deadline).await?;
    if let Some(out) = out {
        setup::write(&service.recovery_bundle(tenant).await?, out)?;
    }
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
