//! January 2021, again: somebody has a copy of the certificate's key that opens the mailboxes.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use mailkeep_identity::rotation::Stage;
use mailkeep_lab::Thief;
use mailkeep_model::Function;
use mailkeep_sentry::{BlastRadius, Incident, IncidentKind};
use mailkeep_service::{Service, Unobserved};
use time::{Duration, OffsetDateTime};

use super::{
    report::Report,
    site::{Site, TENANT},
};
use crate::{cli::Global, exit::Failure, output::Output};

/// Where the thief sits.
const ELSEWHERE: &str = "127.0.0.9";
/// Messages that he reads.
const READS: usize = 5;

pub(super) async fn run(_global: &Global, output: &Output) -> Result<Report, Failure> {
    let directory = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("a directory for the drill: {error}")))?;
    let site = Site::start(directory.path(), output).await?;
    let mut report = Report::new("stolen-certificate");
    let played = play(&site, &mut report, output).await;
    site.stop().await;
    played.map(|()| report)
}

async fn play(site: &Site, report: &mut Report, output: &Output) -> Result<(), Failure> {
    output.note("an ordinary day: a backup, and a look at the logs");
    site.service.backup(&site.tenant, &[], Arc::new(Unobserved)).await?;
    let quiet = site.service.reconcile(&site.tenant, OffsetDateTime::now_utc()).await?;
    report.expect(
        "our own uses raise no alarm",
        quiet.incidents.is_empty() && quiet.ours.0 > 0,
        format!("{} sign-ins of ours, {} incidents", quiet.ours.0, quiet.incidents.len()),
    );

    output.note("the thief opens the sealed key with the key file that lay beside it");
    let address: IpAddr = ELSEWHERE.parse().expect("an address");
    let sealed = site.service.data().signer().join("keys").join(TENANT).join("reader.age");
    let failed = |error: mailkeep_lab::LabError| Failure::failed(error.to_string());
    let mut thief = Thief::break_in(&site.key_file, &sealed, &site.lab, address).map_err(failed)?;
    report.begin("the thief gets his first token");
    thief.get_token().await.map_err(failed)?;
    let victim = site.mailbox(1)?.to_owned();
    let read = thief.read(&victim, READS).await.map_err(failed)?;
    report.at("he has read mail");
    let object = site.registered[&Function::Reader].object_id.clone();
    let own = thief.add_own_key(&object).await.map_err(failed)?;
    report.at("he has added a key of his own");
    for key in keys_at_the_provider(site).await? {
        thief.remove_key(&object, &key).await.map_err(failed)?;
    }
    report.at("he has removed ours");

    output.note("the logs are read");
    let found = site.service.reconcile(&site.tenant, OffsetDateTime::now_utc()).await?;
    report.at("the alarm");
    let incidents: Vec<&Incident> = found.incidents.iter().map(|(_, incident)| incident).collect();
    let theft = incidents.iter().find(|incident| incident.kind == IncidentKind::StolenKey);
    let names_him = theft.is_some_and(|incident| {
        incident.evidence.iter().any(|evidence| evidence.address == Some(address))
    });
    report.expect(
        "the theft is an incident at the first look, with the key and his address",
        names_him,
        incidents.iter().map(|one| one.kind.title()).collect::<Vec<_>>().join("; "),
    );

    output.note("the key is revoked, with one command");
    let deadline = OffsetDateTime::now_utc() + Duration::minutes(2);
    let revoked = site.service.revoke(&site.tenant, "drill", true, deadline).await?;
    report.at("shut, and re-keyed");
    let settled = revoked.rotations.iter().filter(|one| one.stage == Stage::Settled).count();
    report.expect(
        "every function has a fresh key, although he had removed ours first",
        settled == revoked.rotations.len() && settled == site.registered.len(),
        format!("{settled} of {}; left: {:?}", revoked.rotations.len(), revoked.left),
    );
    let let_in = thief.is_let_in().await.map_err(failed)?;
    let let_in_with_own = thief.is_let_in_with(&own).await.map_err(failed)?;
    report.expect(
        "the stolen key and the one that he added are refused",
        !let_in && !let_in_with_own,
        format!("stolen: {}, added: {}", accepted(let_in), accepted(let_in_with_own)),
    );
    let pass = site.service.backup(&site.tenant, &[], Arc::new(Unobserved)).await?;
    report.expect(
        "the next backup works with the fresh key",
        pass.failures.is_empty() && pass.missed.is_empty(),
        format!("{} mailboxes, {} failures", pass.mailboxes, pass.failures.len()),
    );

    output.note("the audit log arrives, and the report is made");
    site.wait_for_the_audit_log().await?;
    site.service.reconcile(&site.tenant, OffsetDateTime::now_utc()).await?;
    let radius = radius(&site.service, site).await?;
    report.at("the report");
    expect_what_he_read(report, &radius, &victim, &read);
    Ok(())
}

fn accepted(is: bool) -> &'static str {
    if is { "ACCEPTED" } else { "refused" }
}

/// The provider's ids of our keys on the reader's application, as whoever holds one of them can see.
async fn keys_at_the_provider(site: &Site) -> Result<Vec<String>, Failure> {
    let states = site.service.control().key_states(&site.tenant).await;
    let states = states.map_err(mailkeep_service::ServiceError::from)?;
    let readers = states.into_iter().filter(|state| state.function == Function::Reader);
    Ok(readers.filter_map(|state| state.state["provider_id"].as_str().map(str::to_owned)).collect())
}

async fn radius(service: &Service, site: &Site) -> Result<BlastRadius, Failure> {
    Ok(service.blast_radius(&site.tenant, None, OffsetDateTime::now_utc()).await?)
}

/// What he read is in the report, all of it and nothing else.
fn expect_what_he_read(report: &mut Report, radius: &BlastRadius, victim: &str, read: &[String]) {
    let his: BTreeSet<&str> = read.iter().map(String::as_str).collect();
    let told: BTreeSet<&str> = radius
        .mailboxes
        .get(victim)
        .into_iter()
        .flat_map(|reach| &reach.messages)
        .filter_map(|message| message.message_id.as_deref())
        .collect();
    let elsewhere: usize = radius
        .mailboxes
        .iter()
        .filter(|(mailbox, _)| *mailbox != victim)
        .map(|(_, reach)| reach.messages.len())
        .sum();
    report.expect(
        "the report has every message that he read, and no other",
        told == his && elsewhere == 0 && !his.is_empty(),
        format!("{} read, {} reported, {elsewhere} in other mailboxes", his.len(), told.len()),
    );
    let now = OffsetDateTime::now_utc();
    report.expect(
        "the report says until when his token may still work",
        radius.live_until.is_some_and(|until| until > now),
        radius.live_until.map_or_else(|| "nothing".to_owned(), |until| until.to_string()),
    );
}
