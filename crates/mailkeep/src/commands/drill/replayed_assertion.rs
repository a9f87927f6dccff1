//! Somebody sees an assertion on its way, in a proxy's log say, and uses it a second time.

use mailkeep_lab::{Eavesdropper, Overheard};
use mailkeep_sentry::IncidentKind;
use time::{Duration, OffsetDateTime};

use super::{
    acts::{READS, accepted, elsewhere, expect_what_he_read, failed, names, titles},
    report::Report,
    site::Site,
};
use crate::{exit::Failure, output::Output};

pub(super) async fn play(site: &Site, report: &mut Report, output: &Output) -> Result<(), Failure> {
    output.note("a worker gets a token; the request is in the log of a proxy that somebody reads");
    let worked = site.work().await?;
    let overheard = Overheard {
        token_endpoint: &worked.token_endpoint,
        client_id: &worked.client_id,
        assertion: &worked.assertion,
    };
    report.begin("the thief sends the whole request again");
    let sent = overheard.sent_on(&site.lab, elsewhere(), worked.client_request_id).await;
    let granted = sent.map_err(failed)?;
    report.at("he has a token: the provider takes an assertion twice");
    let thief = Eavesdropper::with_token(&site.lab, elsewhere(), granted.token).map_err(failed)?;
    let victim = site.mailbox(1)?.to_owned();
    let read = thief.read(&victim, READS).await.map_err(failed)?;
    report.at("he has read mail");

    output.note("the sign-in log arrives");
    let found = site.reconcile().await?;
    report.at("the alarm");
    report.expect(
        "the second use is an incident at the first look, with his address",
        names(&found, IncidentKind::ReplayedAssertion, elsewhere()),
        titles(found.incidents.iter().map(|(_, incident)| incident)),
    );
    report.expect(
        "the worker's own use of it is still ours",
        found.found.rogue.len() == 1,
        format!("{} sign-ins of ours, {} of others", found.ours.0, found.found.rogue.len()),
    );

    output.note("five minutes later the assertion is worth nothing");
    site.wait_until(OffsetDateTime::now_utc() + Duration::minutes(11)).await?;
    let again = overheard.is_taken(&site.lab, elsewhere()).await.map_err(failed)?;
    report.expect("a third use, after its five minutes, is refused", !again, accepted(again));

    site.wait_for_the_audit_log().await?;
    site.reconcile().await?;
    let radius = site.radius().await?;
    report.at("the report");
    expect_what_he_read(report, &radius, &victim, &read);
    Ok(())
}
