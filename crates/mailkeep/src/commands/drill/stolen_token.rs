//! Somebody lifts a token from a worker's memory: no key is used, and every log shows our own token.

use mailkeep_lab::Eavesdropper;
use mailkeep_sentry::IncidentKind;
use time::{Duration, OffsetDateTime};

use super::{
    acts::{READS, accepted, elsewhere, expect_what_he_read, failed, names, titles},
    report::Report,
    site::Site,
};
use crate::{exit::Failure, output::Output};

pub(super) async fn play(site: &Site, report: &mut Report, output: &Output) -> Result<(), Failure> {
    output.note("a worker gets a token for a job; somebody lifts it from its memory");
    let worked = site.work().await?;
    let lifted = worked.granted.token.clone();
    let thief = Eavesdropper::with_token(&site.lab, elsewhere(), lifted).map_err(failed)?;
    report.begin("the thief uses the token for the first time");
    let victim = site.mailbox(1)?.to_owned();
    let read = thief.read(&victim, READS).await.map_err(failed)?;
    report.at("he has read mail");

    output.note("the audit log arrives; the sign-in log shows nothing but ours");
    site.wait_for_the_audit_log().await?;
    let found = site.reconcile().await?;
    report.at("the alarm");
    report.expect(
        "the sign-ins are all ours: no key was stolen, and none is said to be",
        found.found.rogue.is_empty(),
        format!("{} sign-ins of ours, {} of others", found.ours.0, found.found.rogue.len()),
    );
    report.expect(
        "that our own token was used elsewhere is an incident, with his address",
        names(&found, IncidentKind::StolenToken, elsewhere()) && found.incidents.len() == 1,
        titles(found.incidents.iter().map(|(_, incident)| incident)),
    );
    let radius = site.radius().await?;
    report.at("the report");
    expect_what_he_read(report, &radius, &victim, &read);

    output.note("the keys are changed all the same; the token ends by itself");
    let deadline = OffsetDateTime::now_utc() + Duration::minutes(2);
    let revoked = site.service.revoke(&site.tenant, "drill", false, deadline).await?;
    report.at("re-keyed");
    report.expect(
        "every function has a fresh key",
        revoked.is_complete(),
        format!("{} functions, left: {:?}", revoked.rotations.len(), revoked.left),
    );
    let until = radius.live_until.unwrap_or_else(OffsetDateTime::now_utc);
    site.wait_until(until + Duration::minutes(1)).await?;
    let reads = thief.can_read(&victim).await.map_err(failed)?;
    report.expect("after the time that the report names, it is refused", !reads, accepted(reads));
    Ok(())
}
