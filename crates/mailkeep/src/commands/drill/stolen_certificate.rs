//! January 2021, again: somebody has a copy of the certificate's key that opens the mailboxes.

use std::sync::Arc;

use mailkeep_identity::rotation::Stage;
use mailkeep_lab::OwnIssuer;
use mailkeep_model::Function;
use mailkeep_sentry::IncidentKind;
use mailkeep_service::Unobserved;
use time::{Duration, OffsetDateTime};

use super::{
    acts::{READS, accepted, elsewhere, expect_what_he_read, failed, names, titles},
    report::Report,
    site::Site,
};
use crate::{exit::Failure, output::Output};

pub(super) async fn play(site: &Site, report: &mut Report, output: &Output) -> Result<(), Failure> {
    output.note("the thief opens the sealed key with the key file that lay beside it");
    let mut thief = site.thief()?;
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
    let issuer = OwnIssuer::make("https://issuer.elsewhere.example", "repo:elsewhere");
    let issuer = issuer.map_err(failed)?;
    let let_in_before = thief.is_let_in_by(&issuer).await.map_err(failed)?;
    site.administrator_changes(Function::Reader, &issuer.trust()).await?;
    site.publish(&issuer).await?;
    report.at("an administrator whom he owns has added a federated credential");
    let let_in_by_issuer = thief.is_let_in_by(&issuer).await.map_err(failed)?;
    report.expect(
        "with the federated credential his own identity provider gets him tokens, and not before",
        let_in_by_issuer && !let_in_before,
        format!("before: {}, with it: {}", accepted(let_in_before), accepted(let_in_by_issuer)),
    );

    output.note("the logs are read");
    let found = site.reconcile().await?;
    report.at("the alarm");
    report.expect(
        "the theft is an incident at the first look, with the key and his address",
        names(&found, IncidentKind::StolenKey, elsewhere()),
        titles(found.incidents.iter().map(|(_, incident)| incident)),
    );
    let looked = site.look().await?;
    let tampered = |what: &str| {
        let here = looked.incidents.iter().map(|(_, incident)| incident);
        here.filter(|one| one.kind == IncidentKind::Tampered).any(|one| one.subject.contains(what))
    };
    report.expect(
        "what he changed on the application are incidents: his key, the federated credential",
        tampered("foreign_key") && tampered("federated"),
        looked
            .incidents
            .iter()
            .map(|(_, incident)| incident.subject.split(' ').next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join(", "),
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
    let let_in_by_issuer = thief.is_let_in_by(&issuer).await.map_err(failed)?;
    report.expect(
        "what his own identity provider says is refused",
        !let_in_by_issuer,
        accepted(let_in_by_issuer),
    );
    let reads = thief.can_read(&victim).await.map_err(failed)?;
    report.expect(
        "his token, good for a day under continuous access evaluation, is refused",
        !reads,
        accepted(reads),
    );
    let looked = site.look().await?;
    report.expect(
        "the tenant is as it should be again: no key, credential or owner but ours",
        looked.incidents.is_empty(),
        titles(looked.incidents.iter().map(|(_, incident)| incident)),
    );
    let pass = site.service.backup(&site.tenant, &[], Arc::new(Unobserved)).await?;
    report.expect(
        "the next backup works with the fresh key",
        pass.failures.is_empty() && pass.missed.is_empty(),
        format!("{} mailboxes, {} failures", pass.mailboxes, pass.failures.len()),
    );

    output.note("the audit log arrives, and the report is made");
    site.wait_for_the_audit_log().await?;
    site.reconcile().await?;
    let radius = site.radius().await?;
    report.at("the report");
    expect_what_he_read(report, &radius, &victim, &read);
    Ok(())
}

/// The provider's ids of our keys on the reader's application, as whoever holds one of them can see.
async fn keys_at_the_provider(site: &Site) -> Result<Vec<String>, Failure> {
    let states = site.service.control().key_states(&site.tenant).await;
    let states = states.map_err(mailkeep_service::ServiceError::from)?;
    let readers = states.into_iter().filter(|state| state.function == Function::Reader);
    Ok(readers.filter_map(|state| state.state["provider_id"].as_str().map(str::to_owned)).collect())
}
