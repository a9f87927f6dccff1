//! The signer is gone for good: keys, registry, ledger, passwords. Nothing is left but the recovery kit and
//! what the witness kept; and nobody knows whether somebody else has a copy.

use std::{fs, path::Path, sync::Arc};

use mailkeep_identity::{Kept, LedgerEnd};
use mailkeep_model::Function;
use mailkeep_sentry::{IncidentKind, Span, State, Stretch, Whose};
use mailkeep_service::{Recovery, ServiceError, SignerOf, Unobserved};
use mailkeep_vault::ReadData;
use time::{Duration, OffsetDateTime};

use super::{
    acts::{accepted, failed, titles},
    report::Report,
    site::Site,
};
use crate::{exit::Failure, output::Output};

const REASON: &str = "drill: the signer's disk is gone";

pub(super) async fn play(
    site: &mut Site,
    report: &mut Report,
    output: &Output,
) -> Result<(), Failure> {
    report.since("the loss");
    output
        .note("the recovery kit lies in a safe; the witness was told; a worker gets a last token");
    let kit = site.service.data().root().join("safe");
    site.service.recovery_kit(&site.tenant, &kit).await?;
    site.service.tell_witnesses().await?;
    let copy = site.thief()?;
    site.work().await?;

    output.note("the signer's disk and the key that sealed it are gone");
    let lost_at = OffsetDateTime::now_utc();
    site.lose_signer().await?;
    report.begin("the signer is gone");
    let stopped = site.service.backup(&site.tenant, &[], Arc::new(Unobserved)).await;
    report.expect(
        "without a signer a backup stops, and says so",
        matches!(&stopped, Err(error) if error.to_string().contains("no signer answers")),
        stopped.map_or_else(|error| error.to_string(), |_| "it went on".to_owned()),
    );
    another_signer(site, report, &kit).await?;
    let recovery = site.recover(Some(&kit)).await?;
    report.at("the password is back, every function has a new key");
    let fresh = recovery.functions.iter().filter(|one| !one.accepted).count();
    report.expect(
        "every function has a new key, and what the administrator has to do is said",
        fresh == site.registered.len() && !recovery.is_complete() && recovery.left.len() >= fresh,
        format!("{fresh} new keys; left: {}", left(&recovery)),
    );

    output.note("the administrator registers the auditor's and the steward's new certificate");
    site.administrator_registers(Function::Steward, Others::Go).await?;
    site.administrator_registers(Function::Auditor, Others::Stay).await?;
    report.at("the administrator has registered two certificates");
    let recovery = site.recover(None).await?;
    report.at("all is re-keyed");
    let taken = recovery.functions.iter().filter(|one| one.accepted).count();
    report.expect(
        "the steward's key and the auditor's do the rest: all new keys are accepted",
        taken == site.registered.len() && recovery.is_complete(),
        format!("{taken} of {} accepted; left: {}", site.registered.len(), left(&recovery)),
    );
    let looked = site.look().await?;
    report.expect(
        "no key from before is at the provider any more",
        looked.incidents.is_empty() && !recovery.purged.is_empty(),
        format!(
            "{} removed by our keys; incidents: {}",
            recovery.purged.len(),
            titles(looked.incidents.iter().map(|(_, incident)| incident))
        ),
    );

    let pass = site.service.backup(&site.tenant, &[], Arc::new(Unobserved)).await?;
    report.at("the first backup");
    report.expect(
        "the next backup works in the same vault, and fetches nothing again that is there",
        pass.failures.is_empty()
            && pass.missed.is_empty()
            && pass.new == 0
            && pass.content_bytes == 0,
        format!(
            "{} mailboxes, {} new, {} bytes fetched, {} failures",
            pass.mailboxes,
            pass.new,
            pass.content_bytes,
            pass.failures.len()
        ),
    );
    let verified = site.service.verify(&site.tenant, ReadData::Yes).await?;
    report.expect(
        "every byte of the vault is as it was written",
        verified.problems.is_empty() && verified.items > 0,
        format!("{} messages, {} problems", verified.items, verified.problems.len()),
    );
    what_happened_in_between(site, report, lost_at).await?;
    expect_a_known_new_beginning(site, report).await?;

    let let_in = copy.is_let_in().await.map_err(failed)?;
    report.expect("whoever has a copy of a key from before is refused", !let_in, accepted(let_in));
    Ok(())
}

/// Whether an administrator takes the other certificates away.
pub(super) enum Others {
    Go,
    Stay,
}

/// Another signer is not simply taken for the one before, and no kit but the right one.
async fn another_signer(site: &mut Site, report: &mut Report, kit: &Path) -> Result<(), Failure> {
    site.begin_signer().await?;
    let tenant = site.service.tenant(&site.tenant).await?;
    let seen = site.service.signer_of(&tenant).await?;
    let silent = site.service.begin_recovery(&site.tenant, Some(kit)).await;
    report.expect(
        "another signer that does not say whose place it takes is not taken for ours",
        seen == SignerOf::Another { says_so: false }
            && matches!(silent, Err(ServiceError::NoSuccession { .. })),
        said(silent),
    );
    let lost = site.service.ledger_last_seen().await?;
    let witness = site.witness_lines()?.pop();
    let kept = witness.and_then(|line| {
        Some(LedgerEnd { checkpoint: line.checkpoint, checkpoint_key: line.checkpoint_key? })
    });
    let last = [lost, kept].into_iter().flatten().max_by_key(|end| end.checkpoint.head.seq);
    let signer = site.service.signer().await?;
    signer.follow(last, Vec::new(), REASON).await.map_err(ServiceError::from)?;
    report.at("an administrator has ordered that the new one takes its place");
    let wrong = site.service.data().root().join("another-safe");
    let written = fs::create_dir(&wrong)
        .and_then(|()| fs::write(wrong.join("repository"), "/srv/vault/another\n"))
        .and_then(|()| fs::write(wrong.join("password"), "not this one\n"));
    written.map_err(|error| Failure::failed(format!("another kit: {error}")))?;
    let wrong = site.service.begin_recovery(&site.tenant, Some(&wrong)).await;
    report.expect(
        "another tenant's recovery kit is refused, and says whose it is",
        matches!(&wrong, Err(ServiceError::WrongKit { written_for, .. })
            if written_for.ends_with("another")),
        said(wrong),
    );
    Ok(())
}

/// What the logs have of the time that nobody can explain any more.
async fn what_happened_in_between(
    site: &Site,
    report: &mut Report,
    lost_at: OffsetDateTime,
) -> Result<(), Failure> {
    site.wait_for_the_audit_log().await?;
    let found = site.reconcile().await?;
    report.at("the logs are read");
    report.expect(
        "nothing of what we did before is called a theft",
        found.incidents.is_empty() && found.found.rogue.is_empty(),
        titles(found.incidents.iter().map(|(_, incident)| incident)),
    );
    let undecided = found.found.sign_ins.iter().filter(|one| **one == Whose::Undecided).count();
    report.expect(
        "nor is it called ours: nobody can tell, as the ledger is gone",
        undecided > 0,
        format!("{undecided} sign-ins that nobody can tell, {} of ours", found.ours.0),
    );
    let radius = site.radius().await?;
    let lost = Span::new(lost_at - Duration::minutes(30), lost_at);
    let cleared = |stretch: &&Stretch| {
        let then = lost.as_ref().and_then(|lost| stretch.span.intersection(lost));
        stretch.state == State::NotAccessed && then.is_some()
    };
    let stretches = radius.mailboxes.values().flat_map(|reach| &reach.timeline);
    let cleared = stretches.filter(cleared).count();
    report.expect(
        "of that time no mailbox is said not to have been read: it is blind",
        cleared == 0 && !radius.mailboxes.is_empty(),
        format!("{} mailboxes, cleared for {cleared} stretches of it", radius.mailboxes.len()),
    );
    Ok(())
}

/// That the ledger began anew is known to everybody who looks.
async fn expect_a_known_new_beginning(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let open = site.service.incidents(Some(&site.tenant)).await?;
    let open: Vec<_> = open.into_iter().filter(|one| one.closed.is_none()).collect();
    let kinds: Vec<&str> = open.iter().map(|one| one.kind.as_str()).collect();
    let has_reason = open.iter().any(|one| one.incident.to_string().contains(REASON));
    report.expect(
        "that the ledger began anew is an incident with who, when and why, until somebody closes it",
        kinds == [IncidentKind::LedgerBegunAnew.as_str()] && has_reason,
        kinds.join(", "),
    );
    site.service.tell_witnesses().await?;
    let lines = site.witness_lines()?;
    let succession = site.service.succession().await?;
    let succession = succession.ok_or_else(|| Failure::failed("the new ledger is silent"))?;
    let key = &succession.present.checkpoint_key;
    let named: Vec<LedgerEnd> = succession.lost.iter().cloned().collect();
    let explained = Kept::of(&lines, key, &named);
    // What the witness was told of the new one makes no difference: its ledger has to say it.
    let shed = Kept::of(&lines, key, &[]);
    report.expect(
        "the witness has the old ledger's last record, and a new one that does not name it is found out",
        explained.as_ref().is_ok_and(|kept| kept.lost.len() == 1 && !kept.present.is_empty())
            && shed.is_err(),
        match (&explained, &shed) {
            (Ok(kept), Err(why)) => format!(
                "record {} of the old one; unnamed: {why}",
                kept.lost.first().map_or(0, |end| end.checkpoint.head.seq)
            ),
            other => format!("{other:?}"),
        },
    );
    Ok(())
}

pub(super) fn soon() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::minutes(2)
}

fn said(outcome: Result<Recovery, ServiceError>) -> String {
    match outcome {
        Ok(_) => "it was TAKEN".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn left(recovery: &Recovery) -> String {
    let left: Vec<String> =
        recovery.left.iter().map(|one| format!("{}: {}", one.function, one.what)).collect();
    if left.is_empty() { "nothing".to_owned() } else { left.join("; ") }
}
